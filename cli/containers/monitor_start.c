/* SPDX-License-Identifier: Apache-2.0 */
/* Process: the monitor, and its fork that starts the container. */
#include "cli/containers/monitor_private.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/sys.h"
#include "cli/containers/events.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* What the container has as streams, in its process, and what of that is ours. */
struct pipes {
	int theirs[3];
};

static int make_pipes(struct monitor *m, struct pipes *p, struct err *err)
{
	int fds[2], r = 0;

	for (int i = 0; i < 3; i++)
		p->theirs[i] = -1;
	if (m->tty)
		return 0;
	for (int i = 0; i < 3 && r >= 0; i++) {
		if (i == 0 && !m->interactive)
			continue;
		r = sys_pipe(fds);
		if (r < 0)
			break;
		p->theirs[i] = i == 0 ? fds[0] : fds[1];
		fcntl(i == 0 ? fds[1] : fds[0], F_SETFL, O_NONBLOCK);
		if (i == 0)
			m->input = fds[1];
		else
			m->streams[i - 1].fd = fds[0];
	}
	return r < 0 ? err_sys(err, r, "make a pipe") : 0;
}

static void close_pipes(struct pipes *p)
{
	for (int i = 0; i < 3; i++)
		cleanup_close(&p->theirs[i]);
}

/* Process: the starter. Its standard streams become the container's. */
static int take_streams(const struct pipes *p, struct err *err)
{
	int null = sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0), r = null;

	for (int i = 0; i < 3 && r >= 0; i++) {
		r = sys_dup3(p->theirs[i] >= 0 ? p->theirs[i] : null, i);
		if (r >= 0)
			r = sys_set_cloexec(i, false);
	}
	if (null > 2)
		close(null);
	return r < 0 ? err_sys(err, r, "set the standard streams up") : 0;
}

static _Noreturn void starter(struct monitor *m, const struct pipes *p, bool again, int sock)
{
	autobox struct box box = {.dirfd = -1};
	struct monitor_report report = {};
	struct started started = {.master = -1};
	struct err err = {};
	int r;

	if (m->warnings >= 0)
		log_open(&(struct log_options){.fd = m->warnings, .level = LOG_WARNING}, &err);
	/* The first time the command has the lock. */
	r = box_open(m->ctx->boxes, m->id, again, &box, &err);
	if (r == 0)
		r = take_streams(p, &err);
	if (r == 0)
		r = box_start(m->ctx, &box, &started, &err);
	report.code = r;
	report.pid = started.pid;
	report.trace = started.trace;
	report.exit_code = r < 0 ? start_exit_code(&err) : 0;
	snprintf(report.text, sizeof(report.text), "%s", r < 0 ? err.text : "");
	report.held = (uint32_t)started.held_count;
	report.denied = started.has_denied;
	r = fd_send(sock, &report, sizeof(report), &started.master, started.master >= 0);
	for (size_t at = 0; at < started.held_count && r >= 0; at += FD_SEND_MAX) {
		size_t left = started.held_count - at;

		r = fd_send(
			sock, "h", 1, started.held + at, left < FD_SEND_MAX ? left : FD_SEND_MAX);
	}
	_exit(r < 0 ? 1 : 0);
}

/* Without it the policy holds all the same. */
static void watch_denied(struct monitor *m)
{
	struct err err = {};

	if (connect_denied_open(m->held[m->held_count - 1], &m->denied, &err) < 0)
		log_warning("%s", err.text);
}

/* The starter's answer. */
static int take_answer(struct monitor *m, int sock, struct monitor_report *ret)
{
	int master;
	size_t count = 1;
	ssize_t n = fd_recv(sock, ret, sizeof(*ret), &master, &count);
	char letter;

	if (n != sizeof(*ret)) {
		*ret = (struct monitor_report){.code = n < 0 ? (int)n : -EPIPE, .exit_code = 125};
		snprintf(ret->text, sizeof(ret->text), "the start ended without an answer");
		return ret->code;
	}
	if (count) {
		m->streams[0].fd = m->input = master;
		fcntl(master, F_SETFL, O_NONBLOCK);
	}
	while (m->held_count < ret->held && m->held_count < START_HELD_MAX) {
		count = START_HELD_MAX - m->held_count;
		count = count < FD_SEND_MAX ? count : FD_SEND_MAX;
		if (fd_recv(sock, &letter, 1, m->held + m->held_count, &count) <= 0)
			break;
		m->held_count += count;
	}
	if (ret->denied && m->held_count == ret->held)
		watch_denied(m);
	return ret->code;
}

void monitor_close_streams(struct monitor *m)
{
	if (m->input >= 0 && m->input != m->streams[0].fd)
		close(m->input);
	m->input = -1;
	m->input_len = m->input_at = 0;
	for (int i = 0; i < STREAMS; i++)
		cleanup_close(&m->streams[i].fd);
}

int monitor_start_once(struct monitor *m, bool again, struct monitor_report *ret)
{
	int socks[2] = {-1, -1}, r;
	struct pipes pipes;
	struct err err = {};
	pid_t pid = -1;

	r = make_pipes(m, &pipes, &err);
	if (r == 0 && *m->record_seccomp)
		r = recorder_start(m->rundir, m->record_seccomp, &m->recorder, &err);
	if (r == 0)
		r = sys_socketpair(SOCK_SEQPACKET, socks);
	if (r == 0) {
		pid = sys_fork();
		if (pid == 0)
			starter(m, &pipes, again, socks[1]);
	}
	close_pipes(&pipes);
	cleanup_close(&socks[1]);
	if (pid < 0) {
		*ret = (struct monitor_report){.code = r < 0 ? r : (int)pid, .exit_code = 125};
		if (!err.code)
			err_sys(&err, ret->code, "start the container");
		snprintf(ret->text, sizeof(ret->text), "%s", err.text);
	} else {
		take_answer(m, socks[0], ret);
		sys_waitpid(pid, NULL, 0);
	}
	cleanup_close(&socks[0]);
	if (ret->code < 0) {
		recorder_cancel(&m->recorder, m->rundir);
		monitor_close_streams(m);
		return ret->code;
	}
	m->pid = ret->pid;
	m->trace = ret->trace;
	m->exited = false;
	m->started_ms = clock_monotonic_ms();
	clock_now(m->started);
	monitor_health_begin(m);
	monitor_write_status(m, "running", NULL, 0);
	events_note(m->ctx->boxes->run, "container", "start", m->id, "name", m->name, "image",
		m->image, NULL);
	return 0;
}
