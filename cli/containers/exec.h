/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One more process in a running container: what it is, from what the container's own is and what is
 * asked for. It is carried out by container_exec() (runtime/lifecycle.h).
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "runtime/container.h"
#include "spec/config.h"

struct exec_request {
	struct strings args, env; /* env: NAME=VALUE each */
	const char *cwd, *user;   /* NULL: the container's own */
	bool tty, privileged;
};

/*
 * Fills RET from ARENA for the container C, whose CONFIG it borrows from. The user is looked up in
 * the container's files as they are now, beneath its root. The process of a command.
 */
int exec_build(const struct container *c, const struct spec_config *config,
	const struct exec_request *request, struct arena *arena, struct spec_process *ret,
	struct err *err);
