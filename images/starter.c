/* SPDX-License-Identifier: Apache-2.0 */
#include "images/starter.h"

#include "base/fd.h"
#include "base/sys.h"
#include "images/store_private.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>

enum { CHILDREN_MAX = 64, DEPTH_MAX = 8 };

struct start_ask {
	struct unpack_request request;
	bool has_dir, has_in, has_out;
};

struct start_answer {
	struct err error; /* code 0: the control socket comes along */
};

struct child {
	pid_t pid;
	int pidfd, life;
};

struct starter {
	struct store *store;
	int sock;
	struct child children[CHILDREN_MAX];
	size_t count;
};

/* ---- what may be asked ---- */

static bool same_file(int a, int b)
{
	struct stat x, y;

	return sys_fstat(a, &x) == 0 && sys_fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* Walks up from DIRFD: "staging" or "trash" of the store has to be on the way. */
static bool is_beneath(struct store *s, int dirfd)
{
	autoclose int staging = sys_openat(s->root, "staging", O_PATH | O_DIRECTORY, 0);
	autoclose int trash = sys_openat(s->root, "trash", O_PATH | O_DIRECTORY, 0);
	autoclose int at = sys_openat(dirfd, "..", O_PATH | O_DIRECTORY, 0);

	for (int depth = 0; at >= 0 && depth < DEPTH_MAX; depth++) {
		int up;

		if (same_file(at, staging) || same_file(at, trash))
			return true;
		up = sys_openat(at, "..", O_PATH | O_DIRECTORY, 0);
		close(at);
		at = up;
	}
	return false;
}

static int check(struct starter *t, const struct start_ask *ask, int dirfd, struct err *err)
{
	const struct unpack_limits *l = &ask->request.limits, *most = &helper_default_limits;
	bool directory;

	switch (ask->request.role) {
	case UNPACK_INFLATE:
		directory = false;
		break;
	case UNPACK_EXTRACT:
	case UNPACK_REMOVE:
		directory = true;
		break;
	default:
		return err_set(err, -EPERM, "a pull does not need role %u", ask->request.role);
	}
	if (ask->request.devices)
		return err_set(err, -EPERM, "a pull makes no device nodes");
	if (directory != (dirfd >= 0) || (directory && !is_beneath(t->store, dirfd)))
		return err_set(err, -EPERM, "the directory is not one of the store's");
	if (l->bytes > most->bytes || l->entries > most->entries || l->depth > most->depth ||
		l->seconds > most->seconds || l->ratio > most->ratio)
		return err_set(err, -EPERM, "the limits are wider than allowed");
	if (t->count == CHILDREN_MAX)
		return err_set(err, -EAGAIN, "more than %d helpers", CHILDREN_MAX);
	return 0;
}

/* ---- children ---- */

static int start(struct starter *t, const struct start_ask *ask, const int fds[3], int life,
	int *ret_control, struct err *err)
{
	struct child child = {.pidfd = -1};
	int r = check(t, ask, fds[0], err);

	if (r == 0)
		r = helper_spawn(t->store, &ask->request, fds[0], fds[1], fds[2], &child.pid,
			ret_control, err);
	if (r < 0)
		return r;
	child.pidfd = sys_pidfd_open(child.pid, 0);
	if (child.pidfd < 0) {
		sys_kill(child.pid, SIGKILL);
		sys_waitpid(child.pid, &r, 0);
		cleanup_close(ret_control);
		return err_sys(err, child.pidfd, "start brig-unpack");
	}
	child.life = life;
	t->children[t->count++] = child;
	return 0;
}

static void end_child(struct starter *t, size_t i)
{
	struct child *child = &t->children[i];
	int status = 0;

	sys_waitpid(child->pid, &status, 0);
	(void)fd_send(child->life, &status, sizeof(status), NULL, 0);
	close(child->pidfd);
	close(child->life);
	*child = t->children[--t->count];
}

/* One message; 0 at the end of the stream. */
static int serve(struct starter *t, struct err *err)
{
	struct start_answer answer = {};
	struct start_ask ask;
	int fds[4] = {-1, -1, -1, -1}, sorted[3] = {-1, -1, -1}, control = -1;
	size_t count = ARRAY_LEN(fds), next = 1;
	ssize_t n = fd_recv(t->sock, &ask, sizeof(ask), fds, &count);
	bool started = false;

	if (n <= 0)
		return n < 0 ? err_sys(err, (int)n, "starter") : 0;
	if (n == sizeof(ask) &&
		count == 1 + (size_t)ask.has_dir + (size_t)ask.has_in + (size_t)ask.has_out) {
		if (ask.has_dir)
			sorted[0] = fds[next++];
		if (ask.has_in)
			sorted[1] = fds[next++];
		if (ask.has_out)
			sorted[2] = fds[next++];
		started = start(t, &ask, sorted, fds[0], &control, &answer.error) == 0;
		(void)fd_send(fds[0], &answer, sizeof(answer), &control, started);
	}
	cleanup_close(&control);
	for (size_t i = started ? 1 : 0; i < count; i++)
		close(fds[i]);
	return 1;
}

int starter_run(struct store *store, int sock, struct err *err)
{
	struct starter t = {.store = store, .sock = sock};
	int r = 1;

	while (r > 0) {
		struct pollfd fds[1 + 2 * CHILDREN_MAX] = {{.fd = sock, .events = POLLIN}};
		size_t count = t.count;

		for (size_t i = 0; i < count; i++) {
			fds[1 + 2 * i] =
				(struct pollfd){.fd = t.children[i].pidfd, .events = POLLIN};
			fds[2 + 2 * i] =
				(struct pollfd){.fd = t.children[i].life, .events = POLLIN};
		}
		r = sys_poll(fds, (unsigned int)(1 + 2 * count), -1);
		if (r == -EINTR) {
			r = 1;
			continue;
		}
		for (size_t i = count; r > 0 && i > 0; i--) {
			/* Whatever comes over life, its end above all, means "kill". */
			if (fds[2 * i].revents)
				sys_kill(t.children[i - 1].pid, SIGKILL);
			if (fds[2 * i].revents || fds[2 * i - 1].revents)
				end_child(&t, i - 1);
		}
		if (r > 0 && fds[0].revents)
			r = serve(&t, err);
	}
	while (t.count > 0) {
		sys_kill(t.children[t.count - 1].pid, SIGKILL);
		end_child(&t, t.count - 1);
	}
	return r;
}

/* ---- the talker ---- */

void starter_use(struct store *store, int sock)
{
	store->starter = sock;
}

int starter_ask(int sock, const struct unpack_request *request, int dirfd, int in, int out,
	struct helper *ret, struct err *err)
{
	struct start_ask ask = {
		.request = *request, .has_dir = dirfd >= 0, .has_in = in >= 0, .has_out = out >= 0};
	const int given[] = {dirfd, in, out};
	autoclose int ours = -1, theirs = -1;
	struct start_answer answer;
	int pair[2], fds[4], control = -1;
	size_t count = 1, one = 1;
	ssize_t n;
	int r = sys_socketpair(SOCK_SEQPACKET, pair);

	if (r < 0)
		return err_sys(err, r, "start brig-unpack");
	ours = pair[0], theirs = pair[1];
	fds[0] = theirs;
	for (size_t i = 0; i < ARRAY_LEN(given); i++)
		if (given[i] >= 0)
			fds[count++] = given[i];
	r = fd_send(sock, &ask, sizeof(ask), fds, count);
	if (r < 0)
		return err_sys(err, r, "start brig-unpack");
	cleanup_close(&theirs);
	n = fd_recv(ours, &answer, sizeof(answer), &control, &one);
	if (n != sizeof(answer) || (answer.error.code == 0) != (one == 1)) {
		cleanup_close(&control);
		return err_set(err, -EPIPE, "start brig-unpack: no answer");
	}
	if (answer.error.code < 0) {
		*err = answer.error;
		return err->code;
	}
	ret->pid = 0;
	ret->control = control;
	ret->life = take_fd(&ours);
	return 0;
}

int starter_wait(int *life)
{
	int status = 0;

	/* Without an answer the starter itself has died. */
	if (fd_recv(*life, &status, sizeof(status), NULL, NULL) != sizeof(status))
		status = SIGKILL;
	cleanup_close(life);
	return status;
}

void starter_kill(int life)
{
	shutdown(life, SHUT_WR);
}
