/* SPDX-License-Identifier: Apache-2.0 */
/* Process: the monitor, its fork that ends the container for another start, and (monitor_start())
 * the command. */
#include "cli/containers/monitor_private.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/process.h"
#include "base/sys.h"
#include "cli/containers/events.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
	DELAY_FIRST_MS = 100,
	DELAY_MAX_MS = 60000,
	WELL_MS = 10000, /* a container that ran so long begins with the first delay again */
};

/* ---- its own affairs ---- */

static void parse_policy(struct monitor *m, const char *text)
{
	const char *rest;

	m->policy = RESTART_NO;
	if (!text)
		return;
	if (strcmp(text, "always") == 0)
		m->policy = RESTART_ALWAYS;
	else if (strcmp(text, "unless-stopped") == 0)
		m->policy = RESTART_UNLESS_STOPPED;
	else if (parse_has_prefix(text, "on-failure", &rest)) {
		m->policy = RESTART_ON_FAILURE;
		m->restart_max = 0;
		if (*rest == ':')
			parse_u32(rest + 1, &m->restart_max);
	}
}

/* What of the record it works by; `update` may have changed it since the last start. */
static int read_settings(struct monitor *m, struct logfile_options *log, struct err *err)
{
	autobox struct box box = {.dirfd = -1};
	const struct record_health *health;
	int r = box_open(m->ctx->boxes, m->id, false, &box, err);

	if (r < 0)
		return r;
	m->tty = box.record.options.tty;
	m->interactive = box.record.options.interactive;
	m->remove = box.record.options.remove;
	snprintf(m->name, sizeof(m->name), "%s", box.record.name);
	snprintf(m->image, sizeof(m->image), "%s", box.record.image);
	snprintf(m->record_seccomp, sizeof(m->record_seccomp), "%s",
		box.record.options.record_seccomp ? box.record.options.record_seccomp : "");
	parse_policy(m, box.record.options.restart);
	health = box.record.health;
	m->has_health = health != NULL;
	if (health) {
		m->health_interval_ms = health->interval / 1000000;
		m->health_timeout_ms = health->timeout / 1000000;
		m->health_start_ms = health->start_period / 1000000;
		m->health_retries = health->retries;
	}
	return logfile_options_parse(&box.record.options, log, err);
}

void monitor_write_status(struct monitor *m, const char *state, const char *error, int exit_code)
{
	struct box_status status = {
		.state = state,
		.boot = m->boot,
		.started = *m->started ? m->started : NULL,
		.finished = *m->finished ? m->finished : NULL,
		.error = error,
		.monitor = getpid(),
		.pid = m->pid,
		.trace = m->pid ? m->trace : (struct container_trace){},
		.exit_code = exit_code,
		.oom_killed = m->oom,
		.restarts = m->restarts,
		.health = *m->health ? m->health : NULL,
		.failing = m->failing,
		.health_log = m->health_log,
	};
	unsigned long long start = 0;
	struct err err = {};

	process_start_time(m->ctx->rt->procfd, getpid(), &start, NULL);
	status.monitor_start = start;
	if (box_status_write(m->dirfd, &status, &err) < 0)
		log_warning("%s", err.text);
}

/* ---- ending ---- */

/* What a container leaves that is started again, or is not there any more. */
static bool end_box(struct monitor *m, bool remove)
{
	autobox struct box box = {.dirfd = -1};
	struct err err = {};
	bool oom = false;
	int r = box_end(m->ctx, m->id, &oom, remove ? &m->rest : NULL, &err);

	if (r == 0 && remove)
		r = box_open(m->ctx->boxes, m->id, true, &box, &err);
	if (r == 0 && remove)
		r = box_destroy(m->ctx, &box, true, &m->rest, &err);
	if (r < 0)
		log_warning("%s", err.text);
	return oom;
}

/* In a process of its own, when the monitor is to stay small after it. */
static bool end_apart(struct monitor *m)
{
	pid_t pid = sys_fork();
	int status = 0;

	if (pid == 0)
		_exit(end_box(m, false));
	if (pid > 0)
		sys_waitpid(pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

/* Of one that has ended and is still there. Whatever has a reason ends as if it were killed: all
 * others are not looked at once more. */
static void read_reason(struct monitor *m, int code)
{
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1};
	struct err ignored = {};

	if (code != 128 + SIGKILL || container_open(m->ctx->rt, m->id, false, &c, &ignored) < 0 ||
		container_reason(&c, m->reason, sizeof(m->reason)) <= 0)
		m->reason[0] = '\0';
}

static const char *reason(const struct monitor *m)
{
	return *m->reason ? m->reason : NULL;
}

static void end_once(struct monitor *m, bool again, bool remove)
{
	m->oom = again ? end_apart(m) : end_box(m, remove);
	monitor_take_denied(m);
	connect_denied_close(m->denied);
	m->denied = NULL;
	for (size_t i = 0; i < m->held_count; i++)
		close(m->held[i]);
	m->held_count = 0;
}

static int exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Whether it is started again. Somebody who stops it leaves a note first. */
static bool wants_restart(struct monitor *m, int code)
{
	struct stat st;

	if (m->policy == RESTART_NO || m->remove ||
		sys_fstatat(m->rundir, "stopping", &st, AT_SYMLINK_NOFOLLOW) == 0)
		return false;
	if (m->policy == RESTART_ON_FAILURE)
		return code != 0 && (!m->restart_max || m->restarts < m->restart_max);
	return true;
}

static void set_delay(struct monitor *m)
{
	if (clock_monotonic_ms() - m->started_ms >= WELL_MS || !m->delay_ms)
		m->delay_ms = DELAY_FIRST_MS;
	else if (m->delay_ms < DELAY_MAX_MS)
		m->delay_ms *= 2;
	m->restart_at_ms = clock_monotonic_ms() + m->delay_ms;
}

static void note_end(struct monitor *m, int code)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", code);
	if (m->oom)
		events_note(m->ctx->boxes->run, "container", "oom", m->id, "name", m->name, NULL);
	events_note(m->ctx->boxes->run, "container", "die", m->id, "name", m->name, "image",
		m->image, "exitCode", text, NULL);
}

/* The process has ended: false when that was all. */
static bool after_exit(struct monitor *m)
{
	int code = exit_code(m->status);
	bool again = wants_restart(m, code);

	clock_now(m->finished);
	monitor_health_end(m);
	monitor_drain(m);
	logfile_flush(&m->log);
	read_reason(m, code);
	end_once(m, again, !again && m->remove);
	recorder_finish(&m->recorder, m->rundir);
	m->pid = 0;
	note_end(m, code);
	if (again) {
		monitor_close_streams(m);
		set_delay(m);
		monitor_write_status(m, "restarting", reason(m), code);
		return true;
	}
	if (!m->remove)
		monitor_write_status(m, "exited", reason(m), code);
	else
		events_note(
			m->ctx->boxes->run, "container", "destroy", m->id, "name", m->name, NULL);
	cleanup_close(&m->listener);
	sys_unlinkat(m->rundir, "attach.sock", 0);
	return false;
}

/* ---- the loop ---- */

static void take_signals(struct monitor *m)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	while (sys_read(m->sigfd, &info, sizeof(info)) == sizeof(info))
		continue;
	/* As a reaper it also gets what others left behind. */
	while ((pid = sys_waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == m->pid) {
			m->exited = true;
			m->status = status;
		} else if (pid == m->health_pid) {
			m->health_pid = 0;
		}
	}
}

static int next_timeout(const struct monitor *m)
{
	int64_t wait = m->pid ? monitor_health_wait(m) : m->restart_at_ms - clock_monotonic_ms();

	return wait < 0 ? (m->pid ? -1 : 0) : wait > 60000 ? 60000 : (int)wait;
}

/* Starts it again; true when it runs or will be tried once more. */
static bool restart(struct monitor *m)
{
	struct monitor_report report;
	struct logfile_options log;
	struct err err = {};
	struct stat st;

	if (clock_monotonic_ms() < m->restart_at_ms)
		return true;
	if (sys_fstatat(m->rundir, "stopping", &st, AT_SYMLINK_NOFOLLOW) == 0 ||
		read_settings(m, &log, &err) < 0) {
		monitor_write_status(m, "exited", reason(m), exit_code(m->status));
		return false;
	}
	m->restarts++;
	if (monitor_start_once(m, true, &report) == 0)
		return true;
	monitor_write_status(m, "exited", report.text, report.exit_code);
	return false;
}

static void loop(struct monitor *m)
{
	for (;;) {
		struct pollfd fds[MONITOR_POLL_MAX];
		size_t count = monitor_poll(m, fds);
		int r = sys_poll(fds, (unsigned int)count, next_timeout(m));
		struct stat st;

		if (r > 0) {
			monitor_handle(m, fds, count);
			if (fds[0].revents)
				take_signals(m);
		}
		if (m->pid && m->exited && !after_exit(m))
			return;
		if (!m->pid) {
			/* A stop is not kept waiting for the next try. */
			if (sys_fstatat(m->rundir, "stopping", &st, AT_SYMLINK_NOFOLLOW) == 0)
				m->restart_at_ms = 0;
			if (!restart(m))
				return;
		} else {
			monitor_health_go(m);
		}
	}
}

/* What clients have not taken yet. Those that take nothing any more keep it, and nothing else. */
static void finish(struct monitor *m)
{
	while (!monitor_drain(m)) {
		struct pollfd fds[MONITOR_POLL_MAX];
		size_t count = monitor_poll(m, fds);

		if (sys_poll(fds, (unsigned int)count, -1) > 0)
			monitor_handle(m, fds, count);
	}
	monitor_tell_exit(m, exit_code(m->status));
}

static int prepare(struct monitor *m, struct err *err)
{
	struct logfile_options log;
	sigset_t all;
	int r;

	/* Not of the session, nor of the terminal, nor in the way of an unmount. */
	setsid();
	sys_chdir("/");
	sys_prctl(PR_SET_NAME, (unsigned long)"brig-monitor", 0, 0, 0);
	r = sys_prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	m->sigfd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	if (r < 0 || m->sigfd < 0)
		return err_sys(err, r < 0 ? r : -errno, "set the monitor up");
	m->warnings = sys_dup(STDERR_FILENO);
	for (int i = 0; i < 3; i++) {
		autoclose int null = sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);

		if (null >= 0)
			sys_dup3(null, i);
	}
	r = m->dirfd = sys_openat(m->ctx->boxes->containers, m->id, O_RDONLY | O_DIRECTORY, 0);
	if (r < 0)
		return err_sys(err, r, "container %s", m->id);
	r = m->rundir = box_run_dir(m->ctx->boxes, m->id, err);
	if (r < 0)
		return r;
	sys_unlinkat(m->rundir, "stopping", 0);
	box_boot_read(m->ctx->rt, m->boot);
	r = read_settings(m, &log, err);
	if (r == 0)
		r = logfile_open(m->dirfd, &log, &m->log, err);
	return r < 0 ? r : monitor_listen(m, err);
}

static void report(struct monitor *m, const struct monitor_report *report)
{
	struct err ignored = {};

	fd_send(m->report, report, sizeof(*report), NULL, 0);
	cleanup_close(&m->report);
	cleanup_close(&m->warnings);
	/* From now on nobody is there who would read them. */
	log_open(&(struct log_options){.path = "/dev/null", .level = LOG_ERROR}, &ignored);
}

static _Noreturn void monitor_main(struct monitor *m, int client)
{
	struct monitor_report answer = {};
	struct err err = {};
	int r = prepare(m, &err);

	if (r < 0) {
		answer = (struct monitor_report){.code = r, .exit_code = 125};
		snprintf(answer.text, sizeof(answer.text), "%s", err.text);
	} else {
		if (client >= 0)
			monitor_add_client(m, client);
		malloc_trim(0);
		r = monitor_start_once(m, false, &answer);
	}
	if (r < 0 && m->dirfd >= 0) {
		clock_now(m->finished);
		if (m->remove)
			end_once(m, false, false);
		monitor_write_status(
			m, *m->started ? "exited" : "created", answer.text, answer.exit_code);
		sys_unlinkat(m->rundir, "attach.sock", 0);
	}
	report(m, &answer);
	if (r < 0)
		_exit(1);
	monitor_forget(m->id);
	loop(m);
	finish(m);
	/* Whoever waited for the container has been told: nobody waits for this. */
	if (box_end_rest(m->ctx, &m->rest, &err) < 0)
		log_warning("%s", err.text);
	_exit(0);
}

/* ---- the command ---- */

int monitor_start(
	const struct monitor_options *options, struct monitor_report *ret, struct err *err)
{
	int socks[2], client = options->client, r = sys_socketpair(SOCK_SEQPACKET, socks);
	size_t count = 0;
	pid_t pid;
	ssize_t n;

	*ret = (struct monitor_report){.exit_code = 125};
	if (r < 0)
		return err_sys(err, r, "make a socketpair");
	/* No signal at its end: it is nobody's to wait for, and the init's as soon as the command
	 * is gone. */
	pid = sys_clone3(&(struct clone_args){});
	if (pid == 0) {
		struct monitor *m = calloc(1, sizeof(*m));

		if (!m)
			_exit(0);
		close(socks[0]);
		for (size_t i = 0; i < ARRAY_LEN(options->others); i++)
			if (options->others[i] >= 0)
				close(options->others[i]);
		m->ctx = options->ctx;
		m->id = options->id;
		m->report = socks[1];
		m->dirfd = m->rundir = m->warnings = m->log.fd = m->listener = m->sigfd = -1;
		m->input = m->health_fd = m->streams[0].fd = m->streams[1].fd = -1;
		for (size_t i = 0; i < CLIENTS_MAX; i++)
			m->clients[i].fd = -1;
		monitor_main(m, client);
	}
	close(socks[1]);
	cleanup_close(&client);
	if (pid < 0) {
		close(socks[0]);
		return err_sys(err, pid, "fork the monitor");
	}
	n = fd_recv(socks[0], ret, sizeof(*ret), NULL, &count);
	close(socks[0]);
	if (n != sizeof(*ret)) {
		*ret = (struct monitor_report){.exit_code = 125};
		return err_set(err, -EPIPE, "the container's monitor ended without an answer");
	}
	return ret->code < 0 ? err_set(err, ret->code, "%s", ret->text) : 0;
}
