/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime's configuration (config.json) of a container: every decision about what it may do.
 *
 * assemble() is pure: it takes the record and what was found out about the host and the image, and
 * makes no system call. What people know from the big engines are the defaults: few capabilities, a
 * seccomp profile, masked kernel files, a /dev and a /sys of its own.
 */
#pragma once

#include "base/err.h"
#include "cli/containers/record.h"
#include "cli/containers/user.h"

#include <jansson.h>

struct assemble_id_map {
	uint32_t inside, outside, count;
};

struct assemble_device {
	const char *path; /* in the container */
	char type;        /* 'c' or 'b' */
	uint32_t major, minor, mode, uid, gid;
	const char *access; /* "rwm" */
};

/* A rate of a disk: KEY as linux.resources.blockIO calls it. */
struct assemble_throttle {
	const char *key;
	uint32_t major, minor;
	uint64_t rate;
};

/* A file of the host that is bound, read-only; whose it is to be in the container. */
struct assemble_file {
	const char *source, *target;
	uint32_t uid, gid;
};

/* A namespace: a new one, or another's by path, or none: the host's. */
struct assemble_namespace {
	bool host;
	const char *path;
};

struct assemble_facts {
	struct user user;
	const char *rootfs; /* absolute path, where the root is attached */
	const char *hostname;
	/* Absolute paths of files that are bound over those in /etc; NULL: not. */
	const char *hosts_file, *resolv_file, *hostname_file;
	struct assemble_namespace net, pid, ipc, uts, cgroup;
	const struct assemble_id_map *uids, *gids; /* a user namespace of its own, when any */
	const char *userns; /* or, with the same maps, that of another: its path */
	size_t uid_count, gid_count;
	const struct assemble_device *devices; /* of --device, or all of them with --privileged */
	size_t device_count;
	const struct assemble_throttle *throttles; /* of --device-read-bps and so on */
	size_t throttle_count;
	struct assemble_file *secrets;
	size_t secret_count;
	const char *init_program;    /* of --init: an absolute path on the host */
	const char *seccomp_profile; /* the text of the file of --security-opt seccomp= */
	const char *seccomp_socket;  /* of --record-seccomp: the recorder's
					(cli/containers/recorder.h) */
	const char *cgroups_path;    /* linux.cgroupsPath; NULL: the runtime's choice */
	bool rootless;
	uint32_t last_gid; /* group ids of 0 to this one exist for who starts it */
	bool mqueue;       /* the host has a /dev/mqueue, for --ipc host */
};

/* The caller owns *RET. −EINVAL with the option's name, −ENOMEM. */
int assemble(const struct record *record, const struct assemble_facts *facts, json_t **ret,
	struct err *err);

/* Parts, each in a file of its own; all add to CONFIG. */
int assemble_mounts(const struct record *record, const struct assemble_facts *facts, json_t *config,
	struct err *err);
int assemble_limits(const struct record *record, const struct assemble_facts *facts, json_t *config,
	struct err *err);
int assemble_security(const struct record *record, const struct assemble_facts *facts,
	json_t *config, struct err *err);

/* The default profile for a process with the capabilities CAPS (bits): the calls that programs
 * need, and those that a capability makes sense of. seccomp_profile.c. NULL without memory. */
json_t *seccomp_default_profile(uint64_t caps);

/* The capabilities (bits) that the options leave. −EINVAL. */
int assemble_capabilities(const struct run_options *options, uint64_t *ret, struct err *err);
/* The value of KEY among "key=value" or "key:value" texts, or NULL; the last one counts. */
const char *assemble_security_option(const struct strings *security, const char *key);
/* Whether the bare word KEY (or KEY=true) is there. */
bool assemble_security_flag(const struct strings *security, const char *key);
