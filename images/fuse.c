/* SPDX-License-Identifier: Apache-2.0 */
#include "images/fuse.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "images/userns.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* What an argument of a program may be (MAX_ARG_STRLEN) is more than a message takes. */
enum { OPTIONS_MAX = 120 << 10, SOCK = 3, DEVICE = 4 };

static const char *find_program(void)
{
	static const char *const paths[] = {
		"/usr/bin/fuse-overlayfs", "/usr/local/bin/fuse-overlayfs"};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (sys_faccessat(AT_FDCWD, paths[i], X_OK, 0) == 0)
			return paths[i];
	return NULL;
}

int fuse_check(struct err *err)
{
	int r = find_program() ? 0 : -ENOENT;

	if (r < 0)
		return err_set(err, -EOPNOTSUPP, "install the package fuse-overlayfs");
	r = sys_faccessat(AT_FDCWD, "/dev/fuse", R_OK | W_OK, 0);
	return r < 0 ? err_set(err, -EOPNOTSUPP,
			       "fuse-overlayfs needs /dev/fuse: %s (modprobe fuse)", strerror(-r))
		     : 0;
}

/* ---- the server ---- */

/* Nothing of who started us: a pipe of his that stayed open here would never end for its reader. */
static int let_go(int sock)
{
	int null = sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0); /* goes with all others */
	sigset_t none;
	int r = null < 0 ? null : 0;

	for (int fd = 0; fd <= 2 && r >= 0; fd++) {
		r = sys_dup3(null, fd);
		if (r >= 0)
			r = sys_set_cloexec(fd, false);
	}
	if (r >= 0 && sock != SOCK)
		r = sys_dup3(sock, SOCK);
	if (r < 0)
		return r;
	r = sys_close_range(SOCK + 1, ~0U, 0);
	if (r < 0)
		return r;
	setsid();
	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? -errno : 0;
}

static int become_root_of(struct store *store, struct err *err)
{
	autoclose int userns = userns_create(store_ids(store), err);
	int r = userns;

	if (r < 0)
		return err_add(err, "fuse-overlayfs: make a user namespace");
	r = sys_setns(userns, CLONE_NEWUSER);
	if (r == 0)
		r = sys_setresgid(0, 0, 0);
	if (r == 0)
		r = sys_setresuid(0, 0, 0);
	return r < 0 ? err_sys(err, r, "fuse-overlayfs: enter a user namespace") : 0;
}

static int become_server(struct store *store, bool inside, const char *options, struct err *err)
{
	static char device[] = "/dev/fd/4", debug[] = "-f", flag[] = "-o";
	char *argv[] = {"fuse-overlayfs", debug, flag, (char *)options, device, NULL};
	char *envp[] = {"PATH=/usr/bin:/bin", NULL};
	const char *program = find_program();
	int r = inside ? 0 : become_root_of(store, err);

	if (r < 0)
		return r;
	if (!program)
		return fuse_check(err);
	r = sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (r == 0)
		r = sys_execveat(AT_FDCWD, program, argv, envp, 0);
	return err_sys(err, r, "%s", program);
}

/* Process: of its own, until it executes fuse-overlayfs. The socket closes then, which is the good
 * answer; any other one is a sentence. */
static _Noreturn void serve(struct store *store, bool inside, int sock)
{
	static char options[OPTIONS_MAX];
	struct err err = {};
	size_t count = 1;
	int device = -1;
	ssize_t n;

	if (let_go(sock) < 0)
		_exit(1);
	n = fd_recv(SOCK, options, sizeof(options) - 1, &device, &count);
	if (n <= 0 || count != 1)
		_exit(0);
	if (device != DEVICE && sys_dup3(device, DEVICE) < 0)
		_exit(1);
	sys_set_cloexec(DEVICE, false);
	(void)become_server(store, inside, options, &err);
	fd_send(SOCK, err.text, strlen(err.text) + 1, NULL, 0);
	_exit(1);
}

int fuse_server_start(struct store *store, bool inside, struct err *err)
{
	autoclose int ours = -1, theirs = -1;
	int pair[2], r = sys_socketpair(SOCK_SEQPACKET, pair);
	pid_t pid;

	if (r < 0)
		return err_sys(err, r, "fuse-overlayfs");
	ours = pair[0], theirs = pair[1];
	pid = sys_fork();
	if (pid == 0)
		serve(store, inside, theirs);
	return pid < 0 ? err_sys(err, pid, "fuse-overlayfs") : take_fd(&ours);
}

/* ---- the mount ---- */

static int configure(int context, int device)
{
	static const char *const flags[] = {"default_permissions", "allow_other"};
	static const char *const pairs[][2] = {{"subtype", "fuse-overlayfs"},
		{"source", "fuse-overlayfs"}, {"rootmode", "40000"}, {"user_id", "0"},
		{"group_id", "0"}};
	char number[16];
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(pairs) && r == 0; i++)
		r = sys_fsconfig(context, FSCONFIG_SET_STRING, pairs[i][0], pairs[i][1], 0);
	for (size_t i = 0; i < ARRAY_LEN(flags) && r == 0; i++)
		r = sys_fsconfig(context, FSCONFIG_SET_FLAG, flags[i], NULL, 0);
	snprintf(number, sizeof(number), "%d", device);
	if (r == 0)
		r = sys_fsconfig(context, FSCONFIG_SET_STRING, "fd", number, 0);
	return r < 0 ? r : sys_fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
}

/* Mounted before it is served: a server that reads from an unmounted device gives up. */
static int hand_over(int server, const char *options, int device, struct err *err)
{
	char answer[ERR_TEXT_MAX] = "";
	size_t none = 0;
	ssize_t n = fd_send(server, options, strlen(options) + 1, &device, 1);

	if (n >= 0)
		n = fd_recv(server, answer, sizeof(answer) - 1, NULL, &none);
	if (n < 0)
		return err_sys(err, (int)n, "fuse-overlayfs");
	return n > 0 ? err_set(err, -EOPNOTSUPP, "%s", answer) : 0;
}

int fuse_mount(int server, const char *options, bool read_only, struct err *err)
{
	autoclose int device = sys_openat(AT_FDCWD, "/dev/fuse", O_RDWR, 0), context = -1, fs = -1;
	int r;

	if (device < 0)
		return err_sys(err, device, "/dev/fuse");
	if (strlen(options) >= OPTIONS_MAX)
		return err_set(err, -E2BIG, "fuse-overlayfs: too many layers");
	context = sys_fsopen("fuse");
	r = context < 0 ? context : configure(context, device);
	if (r == 0)
		r = fs = sys_fsmount(context, read_only ? MOUNT_ATTR_RDONLY : 0);
	if (r < 0)
		return err_sys(err, r, "fuse-overlayfs: mount");
	r = hand_over(server, options, device, err);
	return r < 0 ? r : take_fd(&fs);
}
