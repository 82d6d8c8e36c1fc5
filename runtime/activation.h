/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a service manager gave to the caller and the container's first process is to have:
 * descriptors (sd_listen_fds(3)) and a socket for its state (sd_notify(3)).
 *
 * Descriptors begin at 3 and count in addition to --preserve-fds. Of the notification socket the
 * container gets that one file, bound to ACTIVATION_SOCKET, and nothing else of its directory. The
 * variables are those of the manager's protocol; a process that exec adds gets none of it.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

#include <stdint.h>
#include <sys/types.h>

#define ACTIVATION_SOCKET "/run/notify/notify.sock"

struct activation {
	uint32_t fds;              /* how many, from 3 on */
	const char *fd_names;      /* LISTEN_FDNAMES, or NULL */
	const char *notify_socket; /* on the host, absolute; NULL: none */
};

/* The four variables as the caller's environment has them; NULL: not set. */
struct activation_environment {
	const char *listen_fds, *listen_pid, *listen_fdnames, *notify_socket;
};

/*
 * Descriptors that are meant for another process than SELF do not count, nor do sockets in the
 * abstract namespace, which belongs to the host's network. −EINVAL for a LISTEN_FDS that is no
 * number. Pure; RET borrows from ENVIRONMENT.
 */
int activation_parse(const struct activation_environment *environment, pid_t self,
	struct activation *ret, struct err *err);
/* The same of this process's environment; a notification socket that is not there does not count
 * either. The process of a command. */
int activation_read(struct activation *ret, struct err *err);

/* ENV with the variables of ACTIVATION in place of those of the same names, for the process with
 * the pid SELF. −ENOMEM. Pure. */
int activation_env(const struct activation *activation, pid_t self, const struct strings *env,
	struct arena *arena, struct strings *ret);
