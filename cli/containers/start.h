/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a container: from its record to a process that runs.
 *
 * box_start() is called in a process of its own that ends afterwards, so that whoever stays with
 * the container keeps none of what it took: the child of the monitor (cli/containers/monitor.h),
 * which is the reaper of what this process leaves behind. box_end() is the way back, in another
 * one.
 */
#pragma once

#include "base/err.h"
#include "cli/containers/box.h"
#include "images/snapshot.h"
#include "images/store.h"
#include "netns/attach.h"

enum { START_HELD_MAX = 257 };

/* What both need; borrowed. */
struct start_context {
	const struct boxes *boxes;
	const struct runtime *rt;
	struct store *store;
	const char *libexec; /* directory of the programs that brig executes */
	bool rootless;
};

struct started {
	struct container_trace trace; /* its pid may be 0 when .pid is not */
	pid_t pid;
	int master;               /* of the terminal, or −1 */
	int held[START_HELD_MAX]; /* to be kept open as long as the container runs */
	size_t held_count;
	bool has_denied; /* the last of them is the egress policy's log: cgroups/connect.h */
};

/*
 * Starts BOX, whose standard streams are those of this process. Everything is undone on failure;
 * ERR's code and text are then as the runtime gives them ("exec: …": the program was to blame).
 * Locked by the caller against other verbs.
 */
int box_start(
	const struct start_context *ctx, struct box *box, struct started *ret, struct err *err);

/* What box_end() and box_destroy() have left of a container that is gone for good: it is in no
 * list, and holds no name, address or port, but links and files take the kernel time. A process
 * that dies before box_end_rest() leaves that to others: attach_remove(), snapshot_discard(),
 * boxes_sweep(). */
struct end_rest {
	struct attach_rest links;
	char snapshot[SNAPSHOT_DISCARDED_MAX];
	char box[RECORD_ID_SIZE];
};

/* What a container that has ended leaves: the runtime's state, the cgroup, links and addresses.
 * RET_OOM tells whether the kernel killed a process of it for want of memory. RET_REST NULL: all at
 * once. Else box_destroy() follows. Doing it again is no error. */
int box_end(const struct start_context *ctx, const char *id, bool *ret_oom,
	struct end_rest *ret_rest, struct err *err);

/* Removes what is left of a container that does not run: its files, its record, and with VOLUMES
 * its anonymous volumes. REST: box_end()'s, or NULL. Locked. */
int box_destroy(const struct start_context *ctx, struct box *box, bool volumes,
	struct end_rest *rest, struct err *err);
int box_end_rest(const struct start_context *ctx, const struct end_rest *rest, struct err *err);

/* 126 when the program could not be invoked, 127 when it was not found, else 125. */
int start_exit_code(const struct err *err);

/* ---- pieces, each in a file of its own ---- */

struct assemble_facts;

/* start_devices.c: --device, --gpus, and all devices with --privileged. */
int start_find_devices(const struct run_options *options, struct arena *arena,
	struct assemble_facts *facts, struct err *err);
/* start_secrets.c: --secret, as files that are named in FACTS or as variables of the record. */
int start_give_secrets(
	struct box *box, struct arena *arena, struct assemble_facts *facts, struct err *err);
/* start_etc.c: writes hosts, hostname and resolv.conf into the container's directory and names them
 * in FACTS. ADDRESS and SERVERS are of its network, or NULL. */
struct start_names {
	const char *address, *host_gateway; /* NULL: none */
	const struct strings *servers;      /* NULL or none: the host's */
};
void start_forget_etc(const struct box *box);
int start_write_etc(const struct box *box, const struct start_names *names, struct arena *arena,
	struct assemble_facts *facts, struct err *err);
