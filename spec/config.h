/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OCI runtime configuration (config.json, runtime-spec 1.3.0) as plain structs.
 *
 * spec_config_parse() reads and checks the shape and the values; nothing here touches the system.
 * Members mirror the specification's names in snake case. What the file leaves out is zero, NULL or
 * .set == false; defaults are the planner's business. Names (capabilities, namespaces, options,
 * policies, …) are already turned into the kernel's numbers, and an unknown one is an error.
 *
 * A struct spec_config is read-only once parsed. It owns everything that it points to.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- process ---- */

struct spec_user {
	uint32_t uid, gid;
	struct opt_u32 umask;
	struct {
		uint32_t *items;
		size_t count;
	} additional_gids;
	const char *username; /* for other platforms; not used on Linux */
};

/* One bit for each capability, 1 << CAP_…; see capabilities(7). */
struct spec_capabilities {
	uint64_t bounding, effective, inheritable, permitted, ambient;
};

struct spec_rlimit {
	int resource; /* RLIMIT_… */
	uint64_t soft, hard;
};

struct spec_console_size {
	uint64_t height, width; /* characters */
};

struct spec_io_priority {
	int class; /* IOPRIO_CLASS_… */
	int32_t priority;
};

/* As struct sched_attr; see sched_setattr(2). Times are in nanoseconds. */
struct spec_scheduler {
	int policy; /* SCHED_… */
	int32_t nice, priority;
	uint64_t flags; /* SCHED_FLAG_… */
	uint64_t runtime, deadline, period;
};

struct spec_cpu_affinity {
	const char *initial, *final; /* CPU lists, "0-3,7"; NULL: unchanged */
};

struct spec_process {
	bool terminal, no_new_privileges;
	struct spec_console_size *console_size;
	struct spec_user user;
	struct strings args, env;
	const char *cwd;
	struct spec_capabilities *capabilities; /* NULL: none at all are kept */
	struct {
		struct spec_rlimit *items;
		size_t count;
	} rlimits;
	const char *apparmor_profile, *selinux_label;
	struct opt_i64 oom_score_adj;
	struct spec_scheduler *scheduler;
	struct spec_io_priority *io_priority;
	struct spec_cpu_affinity *exec_cpu_affinity;
};

/* ---- file systems ---- */

struct spec_root {
	const char *path;
	bool readonly;
};

struct spec_id_mapping {
	uint32_t container_id, host_id, size;
	bool relative; /* of a mount option, "@": host_id is an id of the container's user namespace
			*/
};

struct spec_id_mappings {
	struct spec_id_mapping *items;
	size_t count;
};

/* What the options of one mount mean, apart from the file system's own. */
enum spec_mount_extra {
	SPEC_MOUNT_BIND = 1 << 0,
	SPEC_MOUNT_RBIND = 1 << 1, /* comes with BIND */
	SPEC_MOUNT_TMPCOPYUP = 1 << 2,
	SPEC_MOUNT_IDMAP = 1 << 3,
	SPEC_MOUNT_RIDMAP = 1 << 4, /* comes with IDMAP */
	SPEC_MOUNT_COPY_SYMLINK = 1 << 5,
	SPEC_MOUNT_SRC_NOFOLLOW = 1 << 6,
	SPEC_MOUNT_DEST_NOFOLLOW = 1 << 7,
	SPEC_MOUNT_REMOUNT = 1 << 8,
};

struct spec_mount_options {
	uint64_t attr_set, attr_clear;         /* MOUNT_ATTR_… for this mount alone */
	uint64_t rec_attr_set, rec_attr_clear; /* MOUNT_ATTR_… for the whole tree (rro, …) */
	uint64_t propagation;                  /* MS_SHARED, MS_SLAVE, …, or 0 */
	bool rec_propagation;                  /* for the whole tree (rshared, …) */
	unsigned int extra;                    /* enum spec_mount_extra */
	/* Flags of the superblock, which fsconfig(2) takes by name: "ro", "sync", "dirsync", … */
	struct strings sb_flags;
	/* "key" or "key=value", left to the file system, in order. */
	struct strings data;
	struct spec_id_mappings uid_mappings, gid_mappings; /* of "idmap=uids=…;gids=…" */
	bool mappings_relative; /* some of them are; see spec_mapping_resolve() */
};

struct spec_mount {
	const char *destination; /* not empty; relative (deprecated) means beneath the root */
	const char *type, *source;
	struct strings option_names; /* as written */
	struct spec_id_mappings uid_mappings, gid_mappings;
	struct spec_mount_options options;
};

struct spec_mounts {
	struct spec_mount *items;
	size_t count;
};

/* ---- hooks ---- */

struct spec_hook {
	const char *path;
	struct strings args, env;
	struct opt_i64 timeout; /* seconds, > 0 */
};

struct spec_hook_list {
	struct spec_hook *items;
	size_t count;
};

struct spec_hooks {
	struct spec_hook_list prestart, create_runtime, create_container, start_container,
		poststart, poststop;
};

/* ---- linux ---- */

struct spec_namespace {
	int type;         /* CLONE_NEW… */
	const char *path; /* NULL: a new one */
};

struct spec_time_offset {
	bool set;
	int64_t secs;
	uint32_t nanosecs;
};

struct spec_device {
	const char *path;
	char type; /* 'b', 'c' ('u' is turned into it) or 'p' */
	int64_t major, minor;
	struct opt_u32 file_mode, uid, gid;
};

struct spec_net_device {
	const char *host_name, *name; /* name NULL: as on the host */
};

struct spec_device_rule {
	bool allow;
	char type;            /* 'a', 'b', 'c' */
	int64_t major, minor; /* −1: any */
	unsigned int access;  /* BPF_DEVCG_ACC_READ, …; 0 in the file means all of them */
};

struct spec_memory {
	struct opt_i64 limit, reservation, swap, kernel, kernel_tcp; /* bytes; −1: unlimited */
	struct opt_u64 swappiness;
	struct opt_bool disable_oom_killer, use_hierarchy;
	bool check_before_update;
};

struct spec_cpu {
	struct opt_u64 shares, period, burst, realtime_period; /* times in microseconds */
	struct opt_i64 quota, realtime_runtime, idle;
	const char *cpus, *mems;
};

struct spec_throttle {
	int64_t major, minor;
	uint64_t rate; /* bytes or operations a second */
};

struct spec_throttle_list {
	struct spec_throttle *items;
	size_t count;
};

struct spec_weight_device {
	int64_t major, minor;
	struct opt_u32 weight, leaf_weight;
};

struct spec_block_io {
	struct opt_u32 weight, leaf_weight;
	struct {
		struct spec_weight_device *items;
		size_t count;
	} weight_device;
	struct spec_throttle_list read_bps, write_bps, read_iops, write_iops;
};

struct spec_hugepage_limit {
	const char *page_size; /* "2MB", as in the file's name */
	uint64_t limit;        /* bytes */
};

struct spec_rdma {
	const char *device;
	struct opt_u32 hca_handles, hca_objects;
};

struct spec_network {
	struct opt_u32 class_id;
	struct {
		struct spec_interface_priority {
			const char *name;
			uint32_t priority;
		} * items;
		size_t count;
	} priorities;
};

struct spec_resources {
	struct {
		struct spec_device_rule *items;
		size_t count;
	} devices;
	struct spec_memory *memory;
	struct spec_cpu *cpu;
	struct opt_i64 pids_limit; /* negative: unlimited */
	struct spec_block_io *block_io;
	struct {
		struct spec_hugepage_limit *items;
		size_t count;
	} hugepage_limits;
	struct {
		struct spec_rdma *items;
		size_t count;
	} rdma;
	struct spec_network *network; /* cgroup v1 only: refused on v2 when it asks for anything */
	struct pairs unified;
};

/* Libseccomp's numbers are applied where the filter is made; here are the names' meanings. */
enum spec_seccomp_action {
	SPEC_SECCOMP_KILL_THREAD = 1, /* also SCMP_ACT_KILL */
	SPEC_SECCOMP_KILL_PROCESS,
	SPEC_SECCOMP_TRAP,
	SPEC_SECCOMP_ERRNO,
	SPEC_SECCOMP_TRACE,
	SPEC_SECCOMP_ALLOW,
	SPEC_SECCOMP_LOG,
	SPEC_SECCOMP_NOTIFY,
};

enum spec_seccomp_op {
	SPEC_SECCOMP_NE = 1,
	SPEC_SECCOMP_LT,
	SPEC_SECCOMP_LE,
	SPEC_SECCOMP_EQ,
	SPEC_SECCOMP_GE,
	SPEC_SECCOMP_GT,
	SPEC_SECCOMP_MASKED_EQ,
};

struct spec_seccomp_arg {
	uint32_t index;
	uint64_t value, value_two;
	int op; /* enum spec_seccomp_op */
};

struct spec_seccomp_rule {
	struct strings names;
	int action; /* enum spec_seccomp_action */
	struct opt_u32 errno_ret;
	struct {
		struct spec_seccomp_arg *items;
		size_t count;
	} args;
};

struct spec_seccomp {
	int default_action;
	struct opt_u32 default_errno_ret;
	struct {
		int *items; /* the AUDIT_ARCH_… tokens of libseccomp, SCMP_ARCH_…, as int */
		size_t count;
	} architectures;
	struct strings flags; /* checked: SECCOMP_FILTER_FLAG_… */
	const char *listener_path, *listener_metadata;
	struct {
		struct spec_seccomp_rule *items;
		size_t count;
	} syscalls;
};

struct spec_intel_rdt {
	const char *clos_id, *l3_cache_schema, *mem_bw_schema;
	struct strings schemata;
	bool enable_monitoring;
};

struct spec_memory_policy {
	int mode; /* MPOL_… */
	const char *nodes;
	uint64_t flags; /* MPOL_F_… */
};

struct spec_personality {
	int domain;           /* PER_LINUX, PER_LINUX32 */
	struct strings flags; /* the specification defines none: refused when there are any */
};

struct spec_linux {
	struct {
		struct spec_namespace *items;
		size_t count;
	} namespaces;
	/* Valid ranges. Both are empty for a new user namespace that leaves them to the runtime;
	 * for a joined one they say nothing, since it has its own. */
	struct spec_id_mappings uid_mappings, gid_mappings;
	struct spec_time_offset *time_boottime, *time_monotonic;
	struct {
		struct spec_device *items;
		size_t count;
	} devices;
	struct {
		struct spec_net_device *items;
		size_t count;
	} net_devices;
	const char *cgroups_path;
	struct spec_resources *resources;
	uint64_t rootfs_propagation; /* MS_…, with MS_REC for "rslave" and such, or 0 */
	struct spec_seccomp *seccomp;
	struct pairs sysctl;
	struct strings masked_paths, readonly_paths;
	const char *mount_label;
	struct spec_intel_rdt *intel_rdt;
	struct spec_memory_policy *memory_policy;
	struct spec_personality *personality;
};

/* ---- vm ---- */

struct spec_vm {
	struct {
		const char *path;
		struct strings parameters;
	} hypervisor;
	struct {
		const char *path, *initrd;
		struct strings parameters;
	} kernel;
	struct {
		const char *path;
		int format; /* enum spec_vm_format */
	} image;
	struct opt_u32 vcpus;
	struct opt_u64 memory; /* bytes */
	const char *device_tree;
	struct strings dtdevs;
	struct {
		struct spec_vm_io_memory {
			struct opt_u64 first_gfn; /* guest frame number; by default first_mfn */
			uint64_t first_mfn, count;
		} * items;
		size_t count;
	} iomems;
	struct {
		uint32_t *items;
		size_t count;
	} irqs;
};

enum spec_vm_format { SPEC_VM_RAW = 1, SPEC_VM_QCOW2, SPEC_VM_VDI, SPEC_VM_VMDK, SPEC_VM_VHD };

/* ---- the whole ---- */

struct spec_config {
	const char *oci_version;
	struct spec_root *root;
	struct spec_mounts mounts;
	struct spec_process *process; /* NULL: the container cannot be started */
	const char *hostname, *domainname;
	struct spec_hooks hooks;
	struct pairs annotations;
	struct spec_linux linux_; /* "linux" is a macro of gnu17 */
	struct spec_vm *vm;

	json_t *json; /* what the strings are borrowed from */
	struct arena arena;
};

/*
 * Parses and validates the LEN bytes of TEXT. NAME ("config.json") stands in front of errors, with
 * the place and what to do. *RET is untouched on failure and ended with spec_config_free().
 * −EINVAL, −ENOMEM. Any process; a pure function.
 */
int spec_config_parse(
	const char *name, const char *text, size_t len, struct spec_config **ret, struct err *err);
void spec_config_free(struct spec_config *config);

static inline void spec_config_release(struct spec_config **config)
{
	spec_config_free(*config);
	*config = NULL;
}
CLEANUP_DEFINE(spec_config, struct spec_config *, spec_config_release)
#define autospec __attribute__((cleanup(cleanup_spec_config)))

/* A process alone, as `exec --process FILE` gives it. Same rules; ARENA and *JSON own the result.
 */
int spec_process_parse(const char *name, const char *text, size_t len, struct arena *arena,
	json_t **ret_json, struct spec_process **ret, struct err *err);

/* The way back; the caller owns it. NULL without memory, or for a text that is not UTF-8. */
json_t *spec_process_json(const struct spec_process *process);
json_t *spec_resources_json(const struct spec_resources *resources);

/* Resources alone, as `update --resources FILE` gives them. Same rules. */
int spec_resources_parse(const char *name, const char *text, size_t len, struct arena *arena,
	json_t **ret_json, struct spec_resources **ret, struct err *err);

/* A JSON array of mounts alone, as `mounts add` takes it. Same rules. */
int spec_mounts_parse(const char *name, const char *text, size_t len, struct arena *arena,
	json_t **ret_json, struct spec_mounts *ret, struct err *err);

/* The namespace of TYPE (CLONE_NEW…) that CONFIG asks for, or NULL: the runtime's own is used. */
const struct spec_namespace *spec_find_namespace(const struct spec_config *config, int type);
/* What the annotation org.brig.isolation may ask for; spec_isolation_names has the words. */
enum spec_isolation { SPEC_ISOLATION_CONTAINER = 1, SPEC_ISOLATION_VM };

/* The annotation KEY, or NULL. */
const char *spec_annotation(const struct spec_config *config, const char *key);

/* "CAP_CHOWN" or "chown" → bit number; −EINVAL when there is no such capability. */
int spec_capability_parse(const char *name, int *ret);
/* "CAP_CHOWN" for 0, or NULL. */
const char *spec_capability_name(int cap);

/*
 * Turns the option words of one mount into flags; an unknown word is the file system's own, except
 * for a bind mount, which has none: there it is −EINVAL. Later words win over earlier ones.
 */
int spec_mount_options_parse(const struct strings *words, struct arena *arena,
	struct spec_mount_options *ret, struct err *err);

/*
 * What the relative MAPPING of a mount means on the host, given the CONTAINER's own mappings: a
 * mapping that is not relative stays as it is. −ERANGE when it is not within one of the
 * container's ranges.
 */
int spec_mapping_resolve(const struct spec_id_mapping *mapping,
	const struct spec_id_mappings *container, struct spec_id_mapping *ret);

/*
 * The path beneath /proc/sys of the sysctl KEY, written with dots or slashes as sysctl(8) takes
 * them: the separator that comes first is the one that separates. −EINVAL for a key that is empty
 * or has an empty, "." or ".." component.
 */
int spec_sysctl_path(const char *key, struct arena *arena, const char **ret);
