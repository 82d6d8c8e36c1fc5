/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container on disk: its directory below the runtime's root, its record, its lock, its status.
 *
 *   ROOT/ID/state.json   the record: what never changes after creation, and the init's identity
 *   ROOT/ID/config.json  the configuration as it was at creation, byte for byte
 *   ROOT/ID/reason       why it ended, when it was not the container that did; see backend.h
 *   ROOT/ID/start.sock   where the init waits; there only from created to running
 *
 * The directory's flock(2) serialises the verbs that change a container; readers take none and see
 * the old record or the new one whole. The status is never stored, it is derived: from the init
 * (pid and start time, so that a pid that was used again is not mistaken), the socket and the
 * freezer. A record without a pid is "creating": its creator is at work, or died and left the rest
 * to delete --force.
 */
#pragma once

#include "base/cancel.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "cgroups/cgroup.h"
#include "runtime/plan.h"
#include "spec/config.h"

#include <stdbool.h>
#include <sys/types.h>

struct backend; /* runtime/backend.h */

struct runtime {
	char *root; /* absolute path of the directory of containers */
	int rootfd; /* that directory */
	int procfd; /* a procfs that only we see */
	struct plan_host host;
	bool rootless; /* host.uid is not 0 */
	enum cgroup_driver cgroup_driver;
	/* For containers with isolation "vm", or NULL: none can be made. */
	const struct backend *vm;
	enum spec_isolation isolation; /* of new containers; 0: as config.json says */
	bool vm_template;      /* machines are made from a saved one where there is a choice */
	struct cancel *cancel; /* what ends making, starting or exec, or NULL */
};

struct runtime_options {
	const char *root; /* NULL: /run/brig-oci, or $XDG_RUNTIME_DIR/brig-oci */
	enum cgroup_driver cgroup_driver;
	const struct backend *vm;
	enum spec_isolation isolation;
	bool vm_template;
};

/* Opens (and makes, mode 0700) the root. The process of a command; end with runtime_close(). */
int runtime_open(const struct runtime_options *options, struct runtime *ret, struct err *err);
void runtime_close(struct runtime *rt);

/*
 * A private procfs: from fsopen(2) where that is allowed, else the host's /proc, checked to be
 * one. Nothing mounted over parts of /proc can redirect what is written through it.
 */
int runtime_open_procfs(struct err *err);

enum container_status {
	CONTAINER_CREATING,
	CONTAINER_CREATED,
	CONTAINER_RUNNING,
	CONTAINER_PAUSED,
	CONTAINER_STOPPED,
};

/* "creating", …; the word of `state` and of the hooks. */
const char *container_status_name(enum container_status status);

struct container {
	const struct runtime *rt;
	int dirfd;
	char *id;
	json_t *json; /* the record; what follows is borrowed from it */

	const char *bundle, *rootfs, *created, *owner;
	pid_t pid; /* of the init; 0 while creating */
	unsigned long long start_time;
	struct cgroup_saved cgroup;
	const char *intel_rdt; /* directory to remove with the container, or NULL */
	/* The mount namespace that it joined, or NULL, and the number there of its root's mount. */
	const char *mount_namespace;
	const json_t *streams; /* that it was made with, see streams.h; NULL: a terminal */
	uint64_t rootfs_mount;
	bool terminal;
	bool vm;   /* made with isolation "vm" */
	int pidfd; /* of the init, −1 when it has ended */
};

/* IDs are names of directories: 1 to 255 letters, digits and "_+-.", not beginning with ".". */
int container_check_id(const char *id, struct err *err);

/* Makes the directory and takes its lock. −EEXIST when the id is in use. */
int container_new(const struct runtime *rt, const char *id, struct container *ret, struct err *err);
/* Opens an existing one; LOCK: waits for its lock. −ENOENT: `container "ID" does not exist`. */
int container_open(const struct runtime *rt, const char *id, bool lock, struct container *ret,
	struct err *err);
void container_close(struct container *c);
/* Takes the lock, opening the directory when it is not. −ENOENT when it was deleted. */
int container_lock(struct container *c, struct err *err);

/* Reads TEXT, a record, into .json and the members that are borrowed from it. −EINVAL when it is
 * damaged. Pure. */
int container_parse_record(struct container *c, const char *text, size_t len, struct err *err);

/* Writes RECORD (stolen) as the container's record and reads the members from it. */
int container_record(struct container *c, json_t *record, struct err *err);

enum container_status container_status(const struct container *c);
/* The status of the container ID by its record alone, for who looks at many: half of what opening
 * it costs. −ENOENT also when nothing is recorded yet. */
int container_glance(const struct runtime *rt, const char *id, enum container_status *ret);

/* What tells whether a container runs, without its record: for who keeps it and looks at many. */
enum { CONTAINER_TRACE_PATH = 256 };
struct container_trace {
	pid_t pid; /* 0: there is none, the record has to be read */
	uint64_t start_time;
	uint64_t inode;                  /* process_pidfd_inode(), or 0 */
	char path[CONTAINER_TRACE_PATH]; /* of the cgroup, "" when it has none */
};
/* The trace of C, which was started; none of a virtual machine, whose backend has to be asked. */
void container_trace_make(const struct container *c, struct container_trace *ret);
/*
 * CONTAINER_RUNNING or CONTAINER_PAUSED while its first process lives, that very one. −ESRCH when
 * it does not, and other errors: the record may know of a later one. CGROUPS: the top of the tree
 * of cgroups (cgroup_host_probe()), or −1.
 */
int container_trace_status(const struct runtime *rt, int cgroups,
	const struct container_trace *trace, enum container_status *ret);

/* Opens the container's cgroup. *RET is ended with cgroup_free(). −ENOENT when it is gone. */
int container_cgroup(const struct container *c, struct cgroup **ret, struct err *err);

/* The configuration at creation, parsed. */
int container_config(const struct container *c, struct spec_config **ret, struct err *err);

/* What `state` prints and hooks get: runtime-spec, runtime.md "State". PID 0 is left out. The
 * caller owns the result; NULL without memory. */
json_t *container_state_json(const struct container *c, const struct spec_config *config,
	enum container_status status, pid_t pid);

enum { CONTAINER_REASON_MAX = 512 };

/* Why it is stopped, when that is not its first process's own end. Returns the length of the text,
 * 0 when there is none, or when it does not fit: CONTAINER_REASON_MAX is enough. */
int container_reason(const struct container *c, char *ret, size_t size);

/* Sends SIG to the init, 0 to probe. −ESRCH when it has ended. */
int container_signal(const struct container *c, int sig, struct err *err);
/*
 * The root of a running container, to walk beneath: as its processes see it, with what is mounted
 * there. Of a virtual machine that is what the host shares with it, where nothing is mounted:
 * RET_BARE. Returns a descriptor.
 */
int container_open_root(const struct container *c, bool *ret_bare, struct err *err);

/* Calls FN for every id below the root, in no order; stops at its first non-zero result. */
int container_each(
	const struct runtime *rt, int (*fn)(const char *id, void *arg), void *arg, struct err *err);

/* Removes the directory; 0 when it is gone already. */
int container_remove(struct container *c, struct err *err);

CLEANUP_DEFINE(container, struct container, container_close)
#define autocontainer __attribute__((cleanup(cleanup_container)))
