/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan of a container: every decision, taken before anything is done.
 *
 * plan_make() is pure: from the configuration, what the caller asked for and a few facts about the
 * host it decides which namespaces are made or joined and by which process, which id maps are
 * written how, which mounts are made in which order and by what means. The stages only carry it
 * out. The plan is const after it is made, is shared with the stages by fork(2), and borrows from
 * the configuration and its own arena.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "spec/config.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What plan_make() knows of the host; plan_probe_host() fills it. */
struct plan_host {
	uid_t uid; /* effective */
	gid_t gid;
	/* Root in the initial user namespace: may make devices, idmap any file system, and write
	 * any id map. */
	bool privileged;
};

/*
 * A root file system that is mounted nowhere on the host: .open gives it as a detached mount, which
 * is attached at root.path in the container's mount namespace alone and ends with it. Called once,
 * by the process that opens the sources of mounts: the parent, or the init in its user namespace
 * when that is not root (plan.sources_by_init). NULL: root.path itself.
 */
struct plan_rootfs {
	int (*open)(void *context, struct err *err);
	void *context;
};

/*
 * Whose the sources of binds are, when the container's root may not reach them: .enter is called in
 * a child of the parent, which then opens them in that identity. NULL: as plan.sources_by_init
 * says.
 */
struct plan_sources {
	int (*enter)(void *context, struct err *err);
	void *context;
};

/* What the command line asked for. Paths are absolute. */
struct plan_request {
	const char *id, *bundle;
	bool no_pivot;
	const char *notify_socket; /* bound to ACTIVATION_SOCKET; NULL: none */
	struct plan_rootfs rootfs;
	struct plan_sources sources;
	bool all_sources; /* the parent makes file systems, too, while it may use the host's devices
			   */
};

/* How the id maps of a new user namespace are written; user_namespaces(7). */
enum plan_id_map {
	PLAN_ID_MAP_NONE,   /* no new user namespace */
	PLAN_ID_MAP_DIRECT, /* by the parent, straight into uid_map and gid_map */
	PLAN_ID_MAP_HELPER, /* by newuidmap(1) and newgidmap(1), which look at /etc/subuid */
};

enum { PLAN_JOINS_MAX = 8 };

struct plan_join {
	int type; /* CLONE_NEW… */
	const char *path;
};

enum plan_mount_kind {
	PLAN_MOUNT_BIND, /* a clone of .source, taken by the parent */
	PLAN_MOUNT_FS,   /* a new file system of .type */
	PLAN_MOUNT_TMPFS,
	PLAN_MOUNT_PROC,    /* its destination must be a real directory (A5) */
	PLAN_MOUNT_SYSFS,   /* likewise */
	PLAN_MOUNT_DEVPTS,  /* the container's terminals come from it when it is at /dev/pts */
	PLAN_MOUNT_CGROUP,  /* cgroup2, or a bind of the own cgroup without a cgroup namespace */
	PLAN_MOUNT_REMOUNT, /* attributes of what is mounted at the destination */
};

struct plan_mount {
	enum plan_mount_kind kind;
	const char *type, *source, *destination; /* source: absolute, or the file system's own */
	const struct spec_mount *spec;
	/* The id map of an idmapped mount, as texts for uid_map and gid_map; NULL: not idmapped. */
	const char *uid_map, *gid_map;
	const char *context;     /* the SELinux label of its files, linux.mountLabel; or NULL */
	const char *context_key; /* the option that gives it: "context", "fscontext", … */
	bool is_dev;             /* the tmpfs at /dev, which gets the devices and links */
};

struct plan_device {
	const char *path; /* in the container */
	mode_t mode;      /* type and permissions */
	int64_t major, minor;
	uid_t uid;
	gid_t gid;
	bool is_default; /* not listed, but the specification wants it */
};

struct plan_sysctl {
	const char *path, *value; /* path below /proc/sys: "net/ipv4/ip_forward" */
};

struct plan {
	const struct spec_config *config;
	struct plan_request request;

	unsigned int new_namespaces; /* CLONE_NEW…, made by the clone of the init process */
	bool new_cgroup_namespace;   /* made by the init process itself, once it is in its cgroup */
	struct plan_join *joins;     /* in the order in which they are joined */
	size_t njoins;
	/* The mount namespace that is joined, or NULL: then it is a new one. What is mounted in a
	 * joined one others see as well: its root stays what it is, the container changes to its
	 * own by chroot(2), and the mounts are taken away with the container. */
	const char *mount_namespace;
	/* A process of its own between parent and init is needed: it joins or makes what must be
	 * settled before the init process may be cloned, and leaves. */
	bool relay;
	const char *time_offsets; /* for timens_offsets, or NULL: the time namespace is plain */

	uid_t root_uid; /* the host's ids of the container's root */
	gid_t root_gid;
	bool owns_cgroup; /* it has ids of its own and may write to its cgroups */
	enum plan_id_map id_map;
	const char *uid_map, *gid_map; /* texts for uid_map and gid_map */
	bool deny_setgroups;

	/* Only root may clone the host's mounts where they are; anybody else's init does it in the
	 * mount namespace of its own, but for binds with request.sources. */
	bool sources_by_init;
	const char *rootfs;          /* absolute */
	uint64_t rootfs_propagation; /* MS_… of the runtime's view, MS_REC included */
	struct plan_mount *mounts;
	size_t nmounts;
	struct plan_device *devices;
	size_t ndevices;
	bool devices_by_bind; /* mknod(2) is not allowed: the host's nodes are bound instead */
	/* A sysfs of its own may be refused, as the network namespace can be another user
	 * namespace's: then the host's is bound, read-only. Else a refusal is an error. */
	bool sysfs_by_bind;
	bool has_dev; /* /dev is a file system of the container's own */
	const char
		*context_key; /* for what is mounted over masked paths, as in struct plan_mount */
	struct plan_sysctl *sysctls;
	size_t nsysctls;
};

int plan_probe_host(struct plan_host *ret, struct err *err);

/* Fills RET from ARENA. −EINVAL with the field's name for what cannot be done. Pure. */
int plan_make(const struct spec_config *config, const struct plan_request *request,
	const struct plan_host *host, struct arena *arena, struct plan *ret, struct err *err);

/* The parts of it, each in a file of its own. */
int plan_mounts(
	struct plan *plan, const struct plan_host *host, struct arena *arena, struct err *err);
int plan_devices(
	struct plan *plan, const struct plan_host *host, struct arena *arena, struct err *err);

/* PATH below the bundle unless it is absolute. */
const char *plan_bundle_path(const struct plan *plan, struct arena *arena, const char *path);
/* What CONTAINER_ID is on the host; false when it is not mapped. */
bool plan_host_id(const struct spec_id_mappings *map, uint32_t container_id, uint32_t *ret);
/* "inside outside size\n…", as uid_map(5) in user_namespaces(7) takes it; NULL without memory. */
const char *plan_map_text(const struct spec_id_mappings *map, struct arena *arena);
