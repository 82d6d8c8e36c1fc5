/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process: parent, and the opener: a child that takes on the identity of request.sources and takes
 * clones of what is bound, for an init whose ids cannot reach that.
 */
#include "runtime/parent_sources.h"

#include "base/fd.h"
#include "base/sys.h"

#include <stdio.h>
#include <string.h>

/* The answer: how many descriptors come in the next messages, or what went wrong. */
struct opened {
	int code;
	char text[ERR_TEXT_MAX];
};

static void open_all(const struct plan *plan, int procfd, int sock, struct err *err)
{
	const struct plan_sources *as = &plan->request.sources;
	struct mount_sources sources = {.rootfs = -1};
	struct opened opened = {};
	int r;

	opened.code = as->enter(as->context, err);
	if (opened.code == 0)
		opened.code = mounts_open_binds(plan, procfd, &sources, err);
	snprintf(opened.text, sizeof(opened.text), "%s", err->text);
	r = fd_send(sock, &opened, sizeof(opened), NULL, 0);
	for (size_t i = 0; i < sources.count && opened.code == 0 && r >= 0; i++)
		if (sources.fds[i] >= 0)
			r = fd_send(sock, &i, sizeof(i), &sources.fds[i], 1);
}

static int take(int sock, struct mount_sources *s, struct err *err)
{
	struct opened opened;
	size_t none = 0;
	ssize_t n = fd_recv(sock, &opened, sizeof(opened), NULL, &none);

	if (n != sizeof(opened))
		return err_set(
			err, n < 0 ? (int)n : -EPIPE, "open mount sources: the process ended");
	if (opened.code < 0)
		return err_set(err, opened.code, "%s", opened.text);
	for (;;) {
		size_t index, count = 1;
		int fd = -1;

		n = fd_recv(sock, &index, sizeof(index), &fd, &count);
		if (n == 0)
			return 0;
		if (n != sizeof(index) || count != 1 || index >= s->count || s->fds[index] >= 0)
			return err_set(err, -EPROTO, "open mount sources: no such mount");
		s->fds[index] = fd;
	}
}

int parent_open_sources(
	const struct plan *plan, int procfd, struct mount_sources *ret, struct err *err)
{
	struct mount_sources s = {.rootfs = -1, .count = plan->nmounts};
	autoclose int ours = -1, theirs = -1;
	int pair[2], r = sys_socketpair(SOCK_SEQPACKET, pair);
	pid_t pid;

	if (r < 0)
		return err_sys(err, r, "open mount sources");
	ours = pair[0], theirs = pair[1];
	s.fds = calloc(s.count + 1, sizeof(*s.fds));
	if (!s.fds)
		return err_sys(err, -ENOMEM, "open mount sources");
	memset(s.fds, 0xff, (s.count + 1) * sizeof(*s.fds));
	pid = sys_fork();
	if (pid == 0) {
		open_all(plan, procfd, theirs, err);
		_exit(0);
	}
	cleanup_close(&theirs);
	r = pid < 0 ? err_sys(err, pid, "open mount sources") : take(ours, &s, err);
	cleanup_close(&ours);
	if (pid > 0)
		sys_waitpid(pid, NULL, 0);
	if (r < 0)
		mounts_close_sources(&s);
	else
		*ret = s;
	return r;
}
