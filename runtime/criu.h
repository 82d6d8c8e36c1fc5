/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Talking to criu(8), the program that writes processes to image files and makes them again.
 *
 * One `criu swrk` per request, its socket inherited: a request goes there, notifications and one
 * response come back, each a protobuf message in one packet (https://criu.org/RPC). The few fields
 * that are used are written and read here, by their numbers in criu's rpc.proto.
 *
 *	criu_find()          is it installed?
 *	criu_start()         starts it, in the cgroup and namespaces that the caller says
 *	criu_converse()      sends the request, serves notifications, returns the outcome
 *	criu_end()           reaps it
 *
 * Encoding and decoding are pure. The process of a command; single-threaded.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* enum criu_req_type */
enum criu_type {
	CRIU_DUMP = 1,
	CRIU_RESTORE = 2,
	CRIU_NOTIFY = 6,
	CRIU_PRE_DUMP = 13, /* SINGLE_PRE_DUMP: one, and the connection ends */
};

/* enum criu_cg_mode */
enum criu_cgroups {
	CRIU_CGROUPS_IGNORE,
	CRIU_CGROUPS_NONE,
	CRIU_CGROUPS_PROPS,
	CRIU_CGROUPS_SOFT,
	CRIU_CGROUPS_FULL,
	CRIU_CGROUPS_STRICT
};

/* Where memory goes in place of the images; with lazy_pages, where criu waits to be asked for it.
 */
struct criu_page_server {
	const char *address; /* numeric, or NULL for none */
	uint32_t port;
};

/* What the command line passes on to criu as it is. */
struct criu_flags {
	bool tcp_established, tcp_close, tcp_skip_in_flight;
	bool file_locks, ext_unix_sk, shell_job, auto_dedup, link_remap;
	bool lazy_pages;         /* memory stays behind, to be asked for page by page */
	int cgroups;             /* enum criu_cgroups */
	const char *lsm_profile; /* "apparmor:NAME" or "selinux:LABEL" */
	const char *lsm_mount_context;
	struct criu_page_server page_server;
};

/* A descriptor that criu inherits and uses for what the images call KEY. */
struct criu_inherit {
	const char *key;
	int fd; /* ours */
};

struct criu_join {
	const char *type, *path; /* "ipc", …; a namespace file */
};

struct criu_request {
	enum criu_type type;
	const struct criu_flags *flags;
	int images_fd, work_fd; /* ours: criu opens them by our pid */
	const char *log_file;   /* a name in the directory WORK_FD */
	pid_t pid;              /* dump: the tree's root */
	bool leave_running;
	bool notify;               /* dump: tell of its steps; a restore always does */
	const char *root;          /* restore: a mount point, the new root */
	const char *parent_image;  /* relative to the images */
	const char *freeze_cgroup; /* path of a directory in cgroupfs, or NULL */
	const char *cgroup_root;   /* restore, unless cgroups are ignored */
	const char *config_file;   /* criu.conf(5) to read in addition, or NULL */
	uint32_t empty_namespaces; /* CLONE_NEWNET or 0 */
	struct strings external;   /* "mnt[…]:…", "net[…]:…", … */
	struct criu_inherit *inherits;
	size_t ninherits;
	struct criu_join *joins;
	size_t njoins;
};

struct criu_response {
	int type; /* enum criu_type */
	bool success;
	char script[64]; /* of a notification: "setup-namespaces", … */
	pid_t pid;       /* of a notification, or the restored root's */
	int error;       /* an errno, or 0 */
	char message[256];
};

/* Appends REQUEST as a criu_req; see RET->failed for memory. Pure. */
void criu_encode(const struct criu_request *request, struct buf *ret);
/* Appends the answer to a notification. Pure. */
void criu_encode_answer(bool success, struct buf *ret);
/* Reads one criu_resp. −EPROTO for what is none. Pure. */
int criu_decode(const void *data, size_t len, struct criu_response *ret);

/* Appends to RET the last error lines of criu's log TEXT, without their times, separated by "; ";
 * nothing when there are none. Pure. */
void criu_log_errors(const char *text, struct buf *ret);

/* Finds the program in the usual places. −ENOENT with the package's name. */
int criu_find(const char **ret, struct err *err);

struct criu_setup {
	const char *program; /* of criu_find() */
	const struct criu_request *request;
	bool keep_streams; /* criu gets our standard streams (for --shell-job), else /dev/null */
	int cgroup_fd;     /* to start it in, or −1 */
	/* Called in the new process with ARG before criu is executed; may be NULL. */
	int (*prepare)(void *arg, struct err *err);
	void *arg;
};

struct criu {
	pid_t pid;
	int sock;
};

/* Starts criu with the request's inherited descriptors. On failure no process is left. */
int criu_start(const struct criu_setup *setup, struct criu *ret, struct err *err);

/*
 * Sends the request. NOTIFY (NULL: none are wanted) is called for each notification, FD being a
 * descriptor that came with it or −1 (NOTIFY may take it); its failure makes criu give up.
 * RET_PID gets the restored root's pid, and may be NULL. On failure the sentence has the last
 * errors of criu's log; LOG_PATH is what it calls the log.
 */
int criu_converse(const struct criu *criu, const struct criu_request *request, const char *log_path,
	int (*notify)(void *arg, const struct criu_response *event, int *fd, struct err *err),
	void *arg, pid_t *ret_pid, struct err *err);

/* Ends the connection and reaps criu. */
void criu_end(struct criu *criu);
