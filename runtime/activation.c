/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/activation.h"

#include "base/parse.h"
#include "base/sys.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FDS_MAX = 4096 };

int activation_parse(const struct activation_environment *environment, pid_t self,
	struct activation *ret, struct err *err)
{
	struct activation a = {};
	const char *fds = environment->listen_fds, *pid = environment->listen_pid;
	uint32_t for_pid;

	if (fds && *fds) {
		if (parse_u32(fds, &a.fds) < 0 || a.fds > FDS_MAX)
			return err_set(err, -EINVAL,
				"LISTEN_FDS in the environment: \"%s\" is no number of "
				"descriptors",
				fds);
		if (pid && (parse_u32(pid, &for_pid) < 0 || (pid_t)for_pid != self))
			a.fds = 0;
	}
	if (a.fds)
		a.fd_names = environment->listen_fdnames;
	if (environment->notify_socket && environment->notify_socket[0] == '/')
		a.notify_socket = environment->notify_socket;
	*ret = a;
	return 0;
}

int activation_read(struct activation *ret, struct err *err)
{
	const struct activation_environment environment = {
		.listen_fds = getenv("LISTEN_FDS"),
		.listen_pid = getenv("LISTEN_PID"),
		.listen_fdnames = getenv("LISTEN_FDNAMES"),
		.notify_socket = getenv("NOTIFY_SOCKET"),
	};
	pid_t self = environment.listen_pid ? getpid() : 0;
	struct activation a;
	struct stat st;
	int r = activation_parse(&environment, self, &a, err);

	if (r < 0)
		return r;
	if (a.notify_socket &&
		(sys_fstatat(AT_FDCWD, a.notify_socket, &st, 0) < 0 || !S_ISSOCK(st.st_mode)))
		a.notify_socket = NULL;
	for (int fd = 3; fd < 3 + (int)a.fds; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			return err_set(err, -EBADF,
				"LISTEN_FDS in the environment: descriptor %d is not open", fd);
	*ret = a;
	return 0;
}

/* Whether ENTRY is one of the variables that are set anew. */
static bool is_ours(const struct activation *activation, const char *entry)
{
	const char *rest;

	if (activation->notify_socket && parse_has_prefix(entry, "NOTIFY_SOCKET=", &rest))
		return true;
	return activation->fds && (parse_has_prefix(entry, "LISTEN_FDS=", &rest) ||
					  parse_has_prefix(entry, "LISTEN_PID=", &rest) ||
					  parse_has_prefix(entry, "LISTEN_FDNAMES=", &rest));
}

int activation_env(const struct activation *activation, pid_t self, const struct strings *env,
	struct arena *arena, struct strings *ret)
{
	struct strings out = {.items = arena_array(arena, env->count + 5, const char *)};

	if (!out.items)
		return -ENOMEM;
	for (size_t i = 0; i < env->count; i++)
		if (!is_ours(activation, env->items[i]))
			out.items[out.count++] = env->items[i];
	if (activation->fds) {
		out.items[out.count++] = arena_printf(arena, "LISTEN_FDS=%u", activation->fds);
		out.items[out.count++] = arena_printf(arena, "LISTEN_PID=%d", self);
	}
	if (activation->fds && activation->fd_names)
		out.items[out.count++] =
			arena_printf(arena, "LISTEN_FDNAMES=%s", activation->fd_names);
	if (activation->notify_socket)
		out.items[out.count++] = "NOTIFY_SOCKET=" ACTIVATION_SOCKET;
	for (size_t i = 0; i < out.count; i++)
		if (!out.items[i])
			return -ENOMEM;
	*ret = out;
	return 0;
}
