/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/scope.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/sys.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

/* The manager answers in milliseconds; a job behind others may take longer than a call. */
enum { SCOPE_TIMEOUT_MS = 60000, SCOPE_REPLY_MAX = 8192 };

extern char **environ;

/* In the new process: never returns. The socket becomes its standard input. */
static _Noreturn void become(const char *helper, int socket)
{
	char *argv[] = {(char *)"brig-systemd", NULL};
	sigset_t none;
	int r;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	r = sys_dup3(socket, 0);
	if (r >= 0)
		r = sys_set_cloexec(0, false);
	if (r >= 0) /* what it may have inherited is not for it, standard error aside */
		r = sys_close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	if (r >= 0) /* the environment tells where the user's bus is */
		r = sys_execveat(AT_FDCWD, helper, argv, environ, 0);
	dprintf(0, "error %d run %s: %s", -r, helper, strerror(-r));
	_exit(127);
}

static int spawn(const char *helper, int *ret_socket, pid_t *ret_pid, struct err *err)
{
	struct clone_args args = {.flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
	int sockets[2], r;
	pid_t pid;

	if (!helper || !*helper || sys_faccessat(AT_FDCWD, helper, X_OK, 0) < 0)
		return err_set(err, -ENOSYS,
			"the cgroup manager \"systemd\" needs the program %s, which is not "
			"installed; use \"cgroupfs\"",
			helper && *helper ? helper : "brig-systemd");
	r = sys_socketpair(SOCK_SEQPACKET, sockets);
	if (r < 0)
		return err_sys(err, r, "run %s: socketpair", helper);
	pid = sys_clone3(&args);
	if (pid == 0)
		become(helper, sockets[1]);
	close(sockets[1]);
	if (pid < 0) {
		close(sockets[0]);
		return err_sys(err, pid, "run %s: clone3", helper);
	}
	*ret_socket = sockets[0];
	*ret_pid = pid;
	return 0;
}

void scope_release(int *socket, pid_t *pid)
{
	int status;

	static char bye[] = "bye";
	struct iovec part = {.iov_base = bye, .iov_len = sizeof(bye)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (*socket < 0)
		return;
	/* Said aloud: a process cloned meanwhile may hold a copy of the socket open. */
	(void)sys_sendmsg(*socket, &message, 0);
	cleanup_close(socket);
	(void)sys_waitpid(*pid, &status, 0);
	*pid = 0;
}

/* "ok TEXT" or "error ERRNO TEXT". */
static int read_reply(int socket, char *reply, const char **ret_text, struct err *err)
{
	struct pollfd poll = {.fd = socket, .events = POLLIN};
	const char *rest;
	char *end;
	ssize_t n;
	long code;
	int r;

	do
		r = sys_poll(&poll, 1, SCOPE_TIMEOUT_MS);
	while (r == -EINTR);
	if (r == 0)
		return err_set(err, -ETIMEDOUT, "systemd did not answer within %d s",
			SCOPE_TIMEOUT_MS / 1000);
	n = r < 0 ? r : sys_read(socket, reply, SCOPE_REPLY_MAX - 1);
	if (n < 0)
		return err_sys(err, (int)n, "talk to brig-systemd");
	reply[n] = '\0';
	if (parse_has_prefix(reply, "ok ", ret_text))
		return 0;
	if (!parse_has_prefix(reply, "error ", &rest))
		return err_set(err, -EPROTO, "brig-systemd ended without an answer");
	code = strtol(rest, &end, 10);
	if (code <= 0 || code > 4095 || *end != ' ')
		return err_set(err, -EPROTO, "brig-systemd answered \"%s\"", reply);
	return err_set(err, -(int)code, "%s", end + 1);
}

static void put_properties(const struct pairs *properties, struct buf *request)
{
	for (size_t i = 0; i < properties->count; i++)
		buf_printf(request, "property %s %s\n", properties->items[i].key,
			properties->items[i].value);
}

/* One request, one answer. The program stays as long as the socket; see scope_release(). */
static int talk(const char *helper, const struct buf *request, int *ret_socket, pid_t *ret_pid,
	char *reply, const char **ret_text, struct err *err)
{
	struct iovec part = {.iov_base = request->data, .iov_len = request->len};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t n;
	int r;

	if (request->failed)
		return err_sys(err, -ENOMEM, "talk to brig-systemd");
	r = spawn(helper, ret_socket, ret_pid, err);
	if (r < 0)
		return r;
	n = sys_sendmsg(*ret_socket, &message, 0);
	if (n < 0 && n != -EPIPE) /* EPIPE: it could not start, and has said why */
		r = err_sys(err, (int)n, "talk to brig-systemd");
	else
		r = read_reply(*ret_socket, reply, ret_text, err);
	if (r < 0)
		scope_release(ret_socket, ret_pid);
	return r;
}

static int talk_once(const char *helper, const struct buf *request, struct err *err)
{
	char reply[SCOPE_REPLY_MAX];
	const char *text;
	int socket = -1, r;
	pid_t pid = 0;

	r = talk(helper, request, &socket, &pid, reply, &text, err);
	scope_release(&socket, &pid);
	return r;
}

int scope_start(const struct cgroup_plan *plan, const char *helper, int *ret_socket, pid_t *ret_pid,
	char **ret_path, struct err *err)
{
	autobuf struct buf request = {};
	char reply[SCOPE_REPLY_MAX];
	const char *path;
	int socket = -1, r;
	pid_t pid = 0;

	buf_printf(&request, "start %s %s\n", plan->rootless ? "user" : "system", plan->unit);
	if (plan->slice)
		buf_printf(&request, "property Slice s %s\n", plan->slice);
	if (plan->description)
		buf_printf(&request, "property Description s %s\n", plan->description);
	put_properties(&plan->properties, &request);
	r = talk(helper, &request, &socket, &pid, reply, &path, err);
	if (r < 0)
		return err_add(err, "start %s", plan->unit);
	*ret_path = strdup(path);
	if (!*ret_path) {
		scope_release(&socket, &pid);
		return err_sys(err, -ENOMEM, "start %s", plan->unit);
	}
	*ret_socket = socket;
	*ret_pid = pid;
	return 0;
}

int scope_set(const char *unit, bool user, const char *helper, const struct pairs *properties,
	struct err *err)
{
	autobuf struct buf request = {};
	int r;

	buf_printf(&request, "set %s %s\n", user ? "user" : "system", unit);
	put_properties(properties, &request);
	r = talk_once(helper, &request, err);
	return r < 0 ? err_add(err, "set the properties of %s", unit) : 0;
}

int scope_attach(const char *unit, const char *subgroup, pid_t pid, bool user, const char *helper,
	struct err *err)
{
	autobuf struct buf request = {};
	int r;

	buf_printf(&request, "attach %s %s\n%d %s", user ? "user" : "system", unit, (int)pid,
		*subgroup ? subgroup : "/");
	r = talk_once(helper, &request, err);
	return r < 0 ? err_add(err, "move process %d to %s", (int)pid, unit) : 0;
}

int scope_stop(const char *unit, bool user, const char *helper, struct err *err)
{
	autobuf struct buf request = {};
	int r;

	buf_printf(&request, "stop %s %s\n", user ? "user" : "system", unit);
	r = talk_once(helper, &request, err);
	return r < 0 ? err_add(err, "stop %s", unit) : 0;
}
