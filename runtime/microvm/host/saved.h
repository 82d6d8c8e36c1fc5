/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's machine as files in a folder, of checkpoint and restore:
 *
 *   state, memory, files   what the monitor and the file server write (vmm/control.h)
 *   machine.json           what the attendant has to know; written last, so that it says whether
 *                          the others are whole
 *
 * They hold all that the container's memory has; the folder is the caller's to protect. Restoring
 * takes nothing in them on trust.
 */
#pragma once

#include "runtime/backend.h"
#include "runtime/microvm/host/machine.h"

struct saved {
	struct machine_files files;
	bool terminal;
	size_t net_count;
	uint8_t macs[PROTO_NETS_MAX][6]; /* by which the guest knows its interfaces */
};

/* Leaves in the container's folder STATE what saved_write() needs of it. The attendant. */
int saved_describe(int state, bool terminal, const struct proto_setup *setup, struct err *err);
/* Writes C, which is paused, to the folder DIR. On failure nothing of it is there. A command. */
int saved_write(const struct container *c, int dir, struct err *err);
/* Opens what the folder PATH has; −EINVAL with the reason when it is not what saved_write() wrote.
 * End with saved_close(). The attendant, as root. */
int saved_open(const char *path, struct saved *ret, struct err *err);
void saved_close(struct saved *saved);
/* Refuses a machine that is not for a container with TERMINAL and the interfaces of SETUP, and
 * tells SETUP by what the guest knows these. */
int saved_apply(
	const struct saved *saved, bool terminal, struct proto_setup *setup, struct err *err);
