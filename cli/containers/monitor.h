/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor: the small process that stays with a container.
 *
 * It is a fork of the command that starts the container, taken before that one loads what a start
 * needs; the start itself happens in a fork of the monitor that ends afterwards, and the
 * container's process becomes the monitor's child by PR_SET_CHILD_SUBREAPER. So the monitor has the
 * container's exit status, its output and its terminal, survives the command, starts the container
 * again when its restart policy says so, and stays small.
 *
 * When it is killed the container goes on without log; its state is still found out
 * (cli/containers/box.h), only its exit status is lost.
 */
#pragma once

#include "cli/containers/start.h"

struct monitor_options {
	const struct start_context *ctx;
	char id[RECORD_ID_SIZE];
	int client; /* a SOCK_SEQPACKET socket that is attached from the beginning, or −1 */
	/* The command's own descriptors that the monitor must not keep: the other end of that
	 * socket, the container's lock. −1: none. */
	int others[2];
};

/* The answer about the first start. */
struct monitor_report {
	int code;      /* 0, or a negative errno and .text */
	int exit_code; /* for the shell, when it failed */
	pid_t pid;
	struct container_trace trace;
	uint32_t held; /* descriptors that follow, in messages of their own */
	bool denied;   /* the last of them is the egress policy's log */
	char text[ERR_TEXT_MAX];
};

/*
 * Starts the container and its monitor; returns when it runs, or with the error, which .exit_code
 * belongs to. The caller holds the container's lock and has no child that it waits for. CLIENT is
 * closed here.
 */
int monitor_start(
	const struct monitor_options *options, struct monitor_report *ret, struct err *err);
