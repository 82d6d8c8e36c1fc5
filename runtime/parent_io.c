/* SPDX-License-Identifier: Apache-2.0 */
/* Process: parent. The sockets and files by which engines and parents talk; for create and exec. */
#include "base/fd.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/sys_self.h"
#include "runtime/attrs/credentials.h"
#include "runtime/attrs/seccomp/cache.h"
#include "runtime/stage.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* A path that is too long for an address is reached by its directory. */
static int connect_path(int sock, const char *path)
{
	const char *slash = strrchr(path, '/');
	int r = sys_connect_unix(sock, AT_FDCWD, path);
	autoclose int dir = -1;
	char parent[PATH_MAX];

	if (r != -ENAMETOOLONG || !slash || (size_t)(slash - path) >= sizeof(parent))
		return r;
	snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
	dir = sys_openat(AT_FDCWD, parent, O_PATH | O_DIRECTORY, 0);
	return dir < 0 ? dir : sys_connect_unix(sock, dir, slash + 1);
}

int parent_connect(const char *what, const char *path, int *ret, struct err *err)
{
	autoclose int sock = sys_socket_unix(SOCK_STREAM);
	int r = sock < 0 ? sock : connect_path(sock, path);

	if (r == -EPROTOTYPE) { /* it is there, of the other type */
		cleanup_close(&sock);
		sock = sys_socket_unix(SOCK_SEQPACKET);
		r = sock < 0 ? sock : connect_path(sock, path);
	}
	if (r < 0)
		return err_sys(err, r, "%s: connect to %s", what, path);
	*ret = take_fd(&sock);
	return 0;
}

int parent_open_console(
	const char *console_socket, bool terminal, int *ret_ours, int *ret_stages, struct err *err)
{
	int fds[2], r;

	if (console_socket && !terminal)
		return err_set(err, -EINVAL,
			"--console-socket: the process asks for no terminal (process.terminal)");
	if (console_socket)
		return parent_connect("--console-socket", console_socket, ret_stages, err);
	if (!terminal)
		return 0;
	r = sys_socketpair(SOCK_STREAM, fds);
	if (r < 0)
		return err_sys(err, r, "make a socketpair");
	*ret_ours = fds[0], *ret_stages = fds[1];
	return 0;
}

int parent_take_master(int *console, int *ret_master, struct err *err)
{
	size_t n = 1;
	char text[64];
	ssize_t r;

	if (*console < 0)
		return 0;
	r = fd_recv(*console, text, sizeof(text), ret_master, &n);
	cleanup_close(console);
	return r <= 0 || n != 1 ? err_sys(err, r < 0 ? (int)r : -EPROTO, "receive the terminal")
				: 0;
}

int parent_send_pidfd(const char *what, const char *path, int pidfd, struct err *err)
{
	autoclose int sock = -1;
	int r;

	if (!path)
		return 0;
	r = parent_connect(what, path, &sock, err);
	if (r < 0)
		return r;
	r = fd_send(sock, "pidfd", 5, &pidfd, 1);
	return r < 0 ? err_sys(err, r, "%s: send to %s", what, path) : 0;
}

int parent_publish(
	const char *pid_file, const char *pidfd_socket, pid_t pid, int pidfd, struct err *err)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", pid);
	int r = parent_send_pidfd("--pidfd-socket", pidfd_socket, pidfd, err);

	if (r < 0)
		return r;
	r = pid_file ? fd_replace_path(pid_file, text, (size_t)n, 0644) : 0;
	return r < 0 ? err_sys(err, r, "--pid-file: write %s", pid_file) : 0;
}

int parent_seccomp(const struct runtime *rt, const struct spec_config *config,
	struct seccomp_program *ret, struct err *err)
{
	autoclose int cache = -1;

	if (!config->linux_.seccomp)
		return 0;
	cache = sys_openat(rt->rootfd, ".seccomp", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (cache == -ENOENT && sys_mkdirat(rt->rootfd, ".seccomp", 0700) == 0)
		cache = sys_openat(rt->rootfd, ".seccomp", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	return seccomp_cached(cache, config->linux_.seccomp, ret, NULL, err);
}

int parent_seccomp_socket(const struct spec_config *config, const struct seccomp_program *program,
	int *ret, struct err *err)
{
	const char *path = spec_annotation(config, "run.oci.seccomp.receiver");

	if (!path && config->linux_.seccomp)
		path = config->linux_.seccomp->listener_path;
	if (!path || !program->notify)
		return 0;
	return parent_connect("linux.seccomp.listenerPath", path, ret, err);
}

/* Whether this process has all that PROCESS asks for: one call, and the answer in nearly every
 * case. */
static bool has_all(const struct spec_capabilities *caps)
{
	struct __user_cap_data_struct now[2];
	uint64_t wanted = caps->bounding | caps->permitted | caps->effective | caps->inheritable |
			  caps->ambient;

	return sys_capget(now) == 0 &&
	       !(wanted & ~(now[0].permitted | (uint64_t)now[1].permitted << 32));
}

void parent_warn_ungranted(const struct runtime *rt, const struct spec_config *config,
	const struct spec_process *process)
{
	const struct credentials_options options = {.keep_original_groups = true};
	struct credentials_plan plan;
	struct credentials now;
	struct err err = {};

	/* Whoever makes or enters a user namespace has them all in it. */
	if (!process->capabilities || spec_find_namespace(config, CLONE_NEWUSER) ||
		has_all(process->capabilities))
		return;
	if (credentials_read(rt->procfd, &now, &err) < 0 ||
		credentials_plan(process, &options, &now, &plan, &err) < 0)
		return;
	for (int cap = 0; cap < 64; cap++)
		if ((plan.ungranted & ~now.permitted) >> cap & 1)
			log_warning("process.capabilities: %s is not granted: brig-oci was started "
				    "without it",
				spec_capability_name(cap));
}
