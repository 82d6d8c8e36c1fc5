/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cgroup of a container: cgroup v2, always through directory descriptors.
 *
 * Order of use for a container that is being created:
 *
 *	cgroup_host_probe()      where the v2 tree is and what it offers
 *	cgroup_plan_make()       pure: which driver, path, unit, controllers
 *	cgroup_create()          directories (or a systemd scope), controllers switched on
 *	cgroup_apply()           limits
 *	cgroup_apply_devices()   the device filter
 *	cgroup_delegate()        when the container's root may manage its own cgroups
 *	clone3(CLONE_INTO_CGROUP, .cgroup = cgroup->dirfd)
 *	cgroup_settle()          the first process is inside: a placeholder may go
 *	cgroup_enter_delegated() after the process has made its cgroup namespace, if that was asked
 *
 * and for a container that exists: cgroup_open() with what was saved, then freeze, kill, stats,
 * cgroup_apply() for an update, and cgroup_destroy() at the end.
 *
 * Every function takes a cgroup of driver CGROUP_DISABLED and then does nothing and succeeds,
 * unless it says otherwise; its dirfd is −1.
 *
 * Invariants: nothing is resolved outside of the v2 tree (openat2(2) with RESOLVE_BENEATH and
 * RESOLVE_NO_SYMLINKS); waiting is done by poll(2) on cgroup.events, never by sleeping; no file of
 * an ancestor is written but cgroup.subtree_control. The kernel's side is
 * Documentation/admin-guide/cgroup-v2.rst; cgroups(7) is an introduction.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "spec/config.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum cgroup_driver { CGROUP_CGROUPFS, CGROUP_SYSTEMD, CGROUP_DISABLED };

/* "cgroupfs", "systemd", "disabled"; ends with a NULL name. */
extern const struct json_name cgroup_driver_names[];

/* Bits of a controller mask, in the order of cgroup.controllers. */
enum cgroup_controller {
	CGROUP_CPUSET = 1 << 0,
	CGROUP_CPU = 1 << 1,
	CGROUP_IO = 1 << 2,
	CGROUP_MEMORY = 1 << 3,
	CGROUP_HUGETLB = 1 << 4,
	CGROUP_PIDS = 1 << 5,
	CGROUP_RDMA = 1 << 6,
	CGROUP_MISC = 1 << 7,
	CGROUP_DMEM = 1 << 8,
};

/* The words of TEXT ("cpu io memory") as a mask; unknown words are left out. Pure. */
unsigned int cgroup_controllers_parse(const char *text);
/* "memory" for one bit. */
const char *cgroup_controller_name(unsigned int bit);

/* ---- host ---- */

struct cgroup_host {
	int rootfd;         /* the top directory of the v2 tree */
	const char *mount;  /* "/sys/fs/cgroup" or "/sys/fs/cgroup/unified" */
	const char *helper; /* the brig-systemd program; set by the probe to the installed one */
	bool hand_over; /* the first cgroup that is made or opened takes rootfd, set to −1 then */
};

/*
 * Finds the v2 tree at /sys/fs/cgroup, or at /sys/fs/cgroup/unified on a hybrid host.
 * −ENOENT with a sentence when there is none: only CGROUP_DISABLED works then. Any process.
 */
int cgroup_host_probe(struct cgroup_host *ret, struct err *err);
/* Whether the program of the systemd driver is installed. Any process. */
bool cgroup_has_systemd(void);
/* Does nothing for a host that is all zero. */
void cgroup_host_close(struct cgroup_host *host);
CLEANUP_DEFINE(cgroup_host, struct cgroup_host, cgroup_host_close)
#define autocgrouphost __attribute__((cleanup(cleanup_cgroup_host)))

/* The calling process goes to the cgroup that the process WITH of the procfs PROCFD is in: what it
 * does from here on is charged to that one. As root. */
int cgroup_host_join(int procfd, pid_t with, struct err *err);
/* The calling process's own cgroup, "/a/b", from the procfs PROCFD. −ENOENT, −ENAMETOOLONG. */
int cgroup_host_own(int procfd, char *ret, size_t size, struct err *err);

/* ---- plan ---- */

/* What a plan depends on besides the configuration. */
struct cgroup_facts {
	const char *own; /* the runtime's own cgroup, wanted for a rootless caller; may be NULL */
	bool rootless;   /* not root on the host: systemd's user manager, a delegated subtree */
};

/*
 * Where a container's cgroups go. Three levels, of which the last two may be the same as the first:
 * PATH (a directory, or the scope that systemd makes), LIMITS beneath it (the runtime's writes;
 * systemd keeps the scope itself), DELEGATED beneath that (handed to the container).
 */
struct cgroup_plan {
	enum cgroup_driver driver;
	const char *path;  /* cgroupfs: "/a/b", normalised. systemd: NULL, known once it is made */
	const char *slice; /* systemd: "machine.slice"; NULL: the manager's default */
	const char *unit;  /* systemd: "libpod-….scope" */
	const char *description;
	const char *subgroup;  /* systemd: LIMITS beneath the scope; NULL: the scope itself */
	const char *delegated; /* DELEGATED beneath LIMITS, or NULL */
	/* systemd: name → one of the bus's types and the value: "t 1024", "b true", "s text". */
	struct pairs properties;
	unsigned int
		needed; /* controllers that the resources need: an error when they are missing */
	unsigned int wanted; /* and those for accounting: switched on where possible */
	bool rootless;
};

/*
 * Plans the cgroup of container ID. RESOURCES may be NULL. Everything in RET is from ARENA or
 * CONFIG. −EINVAL for a bad linux.cgroupsPath or annotation (the sentence names it). Pure.
 *
 * cgroupfs: an absolute cgroupsPath is beneath the v2 tree's top. A relative one, and "brig-ID"
 * when there is none, is beneath the top for root and beside the own cgroup for a rootless caller.
 * systemd: cgroupsPath is "SLICE:PREFIX:NAME".
 *
 * Annotations: org.systemd.property.NAME (a value in GVariant text), run.oci.systemd.subgroup,
 * run.oci.delegate-cgroup.
 */
int cgroup_plan_make(const struct spec_config *config, const char *id, enum cgroup_driver driver,
	const struct cgroup_facts *facts, struct arena *arena, struct cgroup_plan *ret,
	struct err *err);

/* ---- a cgroup ---- */

struct cgroup {
	enum cgroup_driver driver;
	int dirfd;       /* LIMITS, for clone3() and for bpf; −1 when disabled */
	char *path;      /* of LIMITS, from the v2 tree's top: "/a/b"; to be saved */
	char *top;       /* of the directory to remove: PATH of the plan; to be saved */
	char *unit;      /* systemd's unit, or NULL; to be saved */
	char *delegated; /* DELEGATED, or NULL; to be saved */
	uint64_t inode;  /* of LIMITS: tells a later cgroup of the same name apart; to be saved */
	bool rootless;   /* systemd: the user manager's; to be saved */
	bool fresh;      /* just made, nothing applied yet */
	bool no_filter;  /* just made, so no device filter is attached */
	int rootfd;      /* the v2 tree's top, a descriptor of its own */
	const char *helper; /* as in the host */
	int placeholder;    /* systemd: a socket that keeps the scope from being empty, or −1 */
	pid_t placeholder_pid;
};

/* What was saved of one; strings may be NULL where struct cgroup says so. */
struct cgroup_saved {
	enum cgroup_driver driver;
	const char *path, *top, *unit, *delegated;
	uint64_t inode;
	bool rootless;
};

/*
 * Makes the cgroup. HOST may be all zero for CGROUP_DISABLED. *RET is ended with cgroup_free(),
 * which leaves the cgroup itself alone; on failure whatever was made is removed again.
 *
 *  −EBUSY   there are processes in it, or it is frozen: another container's (the sentence names it)
 *  −EACCES  the tree is not delegated to this user: a rootless caller may warn with the sentence
 *           and go on with a plan of CGROUP_DISABLED
 *  −EOPNOTSUPP a controller in plan->needed is not there (the sentence names controller and why)
 *  −ENOTCONN there is no systemd to talk to; a rootless caller may go on likewise
 *  −ENOSYS  the systemd driver was not built or its helper program is not installed
 *
 * The runtime's own process.
 */
int cgroup_create(const struct cgroup_plan *plan, struct cgroup_host *host, struct cgroup **ret,
	struct err *err);

/* Opens what was saved. A unit without a path (saved from the plan, before the scope was made)
 * gives what only cgroup_destroy() takes. −ENOENT when it is gone, −ESTALE when another one has its
 * name. */
int cgroup_open(const struct cgroup_saved *saved, struct cgroup_host *host, struct cgroup **ret,
	struct err *err);
void cgroup_free(struct cgroup *cgroup);
static inline void cgroup_release(struct cgroup **cgroup)
{
	cgroup_free(*cgroup);
	*cgroup = NULL;
}
CLEANUP_DEFINE(cgroup, struct cgroup *, cgroup_release)
#define autocgroup __attribute__((cleanup(cleanup_cgroup)))

/* Call when the container's first process is inside: ends the process that held a systemd scope
 * open until then. */
int cgroup_settle(struct cgroup *cgroup, struct err *err);

/*
 * Moves the process PID into LIMITS. Only for where clone3(CLONE_INTO_CGROUP) gives −EACCES: a
 * user's process that is outside of his own manager's cgroups may not go there by itself, but that
 * manager may fetch it.
 */
int cgroup_attach(const struct cgroup *cgroup, pid_t pid, struct err *err);

/* Moves PID into DELEGATED; does nothing when there is none. PID as the caller sees it; needs a
 * mounted v2 tree no longer, so the container's stage may call it with 0 for itself. */
int cgroup_enter_delegated(const struct cgroup *cgroup, pid_t pid, struct err *err);

/*
 * The directory for clone3(CLONE_INTO_CGROUP) of a process that joins a running container: SUB
 * beneath the container's cgroup when SUB is not NULL (it must exist), else the container's cgroup,
 * else, if that one has become a mere parent, the one that INIT is in. PROCFD is the host's procfs.
 * *RET_FD is the caller's to close, −1 when disabled. −ENOENT, −EINVAL.
 */
int cgroup_open_for_exec(const struct cgroup *cgroup, int procfd, pid_t init, const char *sub,
	int *ret_fd, struct err *err);

/*
 * Hands the cgroup to UID:GID of the host: the directory and cgroup.procs, cgroup.threads,
 * cgroup.subtree_control and what else /sys/kernel/cgroup/delegate lists, for DELEGATED and, so
 * that its processes can be moved there, for LIMITS' own files of that kind. The limits themselves
 * stay root's. Rootless callers need not call this: the files are theirs.
 */
int cgroup_delegate(const struct cgroup *cgroup, uid_t uid, gid_t gid, struct err *err);

/* ---- limits ---- */

/*
 * Writes all limits that RESOURCES sets (NULL: none), in an order that is safe for growing and
 * shrinking; devices are left to cgroup_apply_devices(). Also for updates. Under systemd the
 * manager is told in one message as well. The error names the field and the file.
 *
 *  −EOPNOTSUPP a controller is not there (named), or the field has no meaning on cgroup v2
 *  −EINVAL     a value that the kernel cannot take
 *  −EBUSY      memory.checkBeforeUpdate: the new limit is below what is in use
 */
int cgroup_apply(struct cgroup *cgroup, const struct spec_resources *resources, struct err *err);

/*
 * Installs the filter for device nodes that RESOURCES' rules ask for, in place of an earlier one in
 * a single step; no filter when the rules allow everything. Rules apply in order, the last that
 * matches decides. DEFAULTS adds the devices that every container has (null, zero, full, random,
 * urandom, tty, console, ptmx, pts). Needs CAP_BPF (or CAP_SYS_ADMIN) and CAP_NET_ADMIN in the
 * initial user namespace; −EPERM without: a rootless caller goes on without, as nothing of the host
 * can be opened there that its user could not open.
 */
int cgroup_apply_devices(struct cgroup *cgroup, const struct spec_resources *resources,
	bool defaults, struct err *err);

/* ---- processes ---- */

/* Returns once all processes in it and beneath are frozen (thawed). −ETIMEDOUT after TIMEOUT_MS;
 * −EOPNOTSUPP when disabled. */
int cgroup_freeze(const struct cgroup *cgroup, int timeout_ms, struct err *err);
int cgroup_thaw(const struct cgroup *cgroup, int timeout_ms, struct err *err);
/* Whether it is frozen, by its own setting or an ancestor's. */
int cgroup_is_frozen(const struct cgroup *cgroup, bool *ret, struct err *err);
/* The same of a cgroup that is not open, for who looks at many. A process of it lives, so that it
 * is the one that was saved. */
int cgroup_saved_is_frozen(const struct cgroup_saved *saved, bool *ret, struct err *err);

/* The same of the cgroup PATH beneath ROOTFD, cgroup_host_probe()'s: a call less for each. */
int cgroup_path_is_frozen(int rootfd, const char *path, bool *ret);

/* SIGKILL to every process in it and beneath, also frozen ones. Does not wait for them. */
int cgroup_kill(const struct cgroup *cgroup, struct err *err);
/* Any other signal, to every process that is seen; races with forks, as kill(2) does. */
int cgroup_signal(const struct cgroup *cgroup, int sig, struct err *err);
/* Waits until no process is left in it and beneath. −ETIMEDOUT. */
int cgroup_wait_empty(const struct cgroup *cgroup, int timeout_ms, struct err *err);

struct cgroup_pids {
	pid_t *items;
	size_t count;
};
/* The processes in it and beneath, each once, in no order. RET is ended with free(ret->items). */
int cgroup_list(const struct cgroup *cgroup, struct cgroup_pids *ret, struct err *err);

/*
 * Removes the cgroup and all beneath it; processes that are left are killed first. Waits at most
 * TIMEOUT_MS for them to be gone. 0 when there is nothing any more. For systemd the scope is
 * stopped and forgotten. −EBUSY names the cgroup that has processes still.
 */
int cgroup_destroy(struct cgroup *cgroup, int timeout_ms, struct err *err);

/* ---- statistics ---- */

/* Times in microseconds, sizes in bytes; UINT64_MAX stands for "max". */
struct cgroup_pressure_line {
	double avg10, avg60, avg300; /* per cent */
	uint64_t total;
};
struct cgroup_pressure {
	bool present; /* the kernel may be without PSI */
	struct cgroup_pressure_line some, full;
};

struct cgroup_stats_cpu {
	uint64_t usage, user, system;
	uint64_t periods, throttled, throttled_time, bursts, burst_time;
	struct cgroup_pressure pressure;
};

struct cgroup_stats_memory {
	bool present;
	uint64_t usage, peak, limit, high, low; /* peak 0: the kernel is older than 5.19 */
	uint64_t swap_usage, swap_peak, swap_limit;
	uint64_t events_low, events_high, events_max, oom, oom_kill, oom_group_kill;
	struct pairs_u64 {
		struct pair_u64 {
			const char *key;
			uint64_t value;
		} * items;
		size_t count;
	} stat; /* memory.stat, all of it, in the kernel's order */
	struct cgroup_pressure pressure;
};

struct cgroup_stats_io {
	bool present;
	struct cgroup_stats_io_device {
		uint32_t major, minor;
		uint64_t rbytes, wbytes, rios, wios, dbytes, dios;
	} * items;
	size_t count;
	struct cgroup_pressure pressure;
};

struct cgroup_stats_hugetlb {
	const char *page_size; /* "2MB" */
	uint64_t usage, limit, failures, rsvd_usage, rsvd_limit;
};

struct cgroup_stats_rdma {
	const char *device;
	uint64_t handles, objects, handles_limit, objects_limit;
};

struct cgroup_stats_misc {
	const char *name;
	uint64_t usage, limit, failures;
};

struct cgroup_stats {
	bool pids_present;
	uint64_t pids, pids_limit, pids_peak, pids_failures;
	struct cgroup_stats_cpu cpu;
	const char *cpuset_cpus, *cpuset_mems; /* the effective ones, NULL without the controller */
	struct cgroup_stats_memory memory;
	struct cgroup_stats_io io;
	struct {
		struct cgroup_stats_hugetlb *items;
		size_t count;
	} hugetlb;
	struct {
		struct cgroup_stats_rdma *items;
		size_t count;
	} rdma;
	struct {
		struct cgroup_stats_misc *items;
		size_t count;
	} misc;
	bool frozen;
};

/* Fills RET, with lists from ARENA. What has no controller stays zero. −EOPNOTSUPP when disabled.
 */
int cgroup_stats_read(const struct cgroup *cgroup, struct arena *arena, struct cgroup_stats *ret,
	struct err *err);

/* ---- events ---- */

/* Two files to watch for POLLPRI; either is −1 when it is not there. */
struct cgroup_events {
	int state;  /* cgroup.events: populated, frozen */
	int memory; /* memory.events: oom and the like */
};
struct cgroup_event_counts {
	bool populated, frozen;
	uint64_t oom, oom_kill, oom_group_kill, high, max;
};

/* Opens the files. −EOPNOTSUPP when disabled. */
int cgroup_events_open(const struct cgroup *cgroup, struct cgroup_events *ret, struct err *err);
/* Reads what holds now and arms both files for the next POLLPRI. −ENODEV: the cgroup is gone. */
int cgroup_events_read(const struct cgroup_events *events, struct cgroup_event_counts *ret);
void cgroup_events_close(struct cgroup_events *events);
