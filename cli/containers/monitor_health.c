/* SPDX-License-Identifier: Apache-2.0 */
/* Process: the monitor, and (looker) the fork of it that runs one health check. */
#include "cli/containers/monitor_private.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cli/containers/events.h"
#include "cli/containers/exec.h"
#include "runtime/lifecycle.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { OUTPUT_MAX = 4096, LOG_MAX = 5, TIMED_OUT = -1 };

/* The looker's answer. */
struct look {
	int32_t code; /* of the command; TIMED_OUT, or 126 and such when it could not be run */
	char started[CLOCK_TEXT_MAX], output[OUTPUT_MAX];
};

/* ---- looker ---- */

static int build_process(const struct container *c, const struct spec_config *config,
	const struct box *box, struct arena *arena, struct spec_process *ret, struct err *err)
{
	const struct strings *test = &box->record.health->test;
	struct exec_request request = {};
	int r = 0;

	if (strcmp(test->items[0], "CMD-SHELL") == 0) {
		r = strings_add(&request.args, "/bin/sh", arena);
		if (r == 0)
			r = strings_add(&request.args, "-c", arena);
	}
	for (size_t i = 1; i < test->count && r == 0; i++)
		r = strings_add(&request.args, test->items[i], arena);
	return r < 0 ? err_sys(err, r, "health check")
		     : exec_build(c, config, &request, arena, ret, err);
}

/* Reads what it prints until it has ended or its time is over. */
static void attend(int pipe, int pidfd, pid_t pid, int64_t deadline, struct look *look)
{
	size_t used = 0;
	bool open = true;

	for (;;) {
		struct pollfd fds[2] = {
			{.fd = open ? pipe : -1, .events = POLLIN},
			{.fd = pidfd, .events = POLLIN},
		};
		int64_t left = deadline - clock_monotonic_ms();
		char waste[512];
		int status;

		if (left <= 0) {
			sys_pidfd_send_signal(pidfd, SIGKILL);
			look->code = TIMED_OUT;
			return;
		}
		sys_poll(fds, 2, left > 60000 ? 60000 : (int)left);
		if (fds[0].revents) {
			bool room = used < OUTPUT_MAX - 1;
			ssize_t n = sys_read(pipe, room ? look->output + used : waste,
				room ? OUTPUT_MAX - 1 - used : sizeof(waste));

			open = n > 0;
			used += room && n > 0 ? (size_t)n : 0;
		} else if (fds[1].revents) {
			sys_waitpid(pid, &status, 0);
			look->code =
				WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
			return;
		}
	}
}

static int run_check(struct monitor *m, struct look *look, struct err *err)
{
	autobox struct box box = {.dirfd = -1};
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1};
	autospec struct spec_config *config = NULL;
	autoarena struct arena arena = {};
	autoclose int null = sys_openat(AT_FDCWD, "/dev/null", O_RDONLY, 0), pidfd = -1;
	struct spec_process process;
	const struct exec_options options = {.id = m->id, .process = &process};
	int fds[2], master = -1, r = sys_pipe(fds);
	pid_t pid;

	if (r == 0)
		r = box_open(m->ctx->boxes, m->id, false, &box, err);
	if (r == 0)
		r = container_open(m->ctx->rt, m->id, false, &c, err);
	if (r == 0)
		r = container_config(&c, &config, err);
	if (r == 0)
		r = build_process(&c, config, &box, &arena, &process, err);
	for (int i = 0; i < 3 && r >= 0; i++) {
		r = sys_dup3(i ? fds[1] : null, i);
		if (r >= 0)
			r = sys_set_cloexec(i, false);
	}
	if (r >= 0)
		r = container_exec(m->ctx->rt, &options, &pid, &pidfd, &master, err);
	if (r < 0)
		return r;
	for (int i = 1; i < 3; i++) /* ours would keep the pipe open */
		sys_dup3(null, i);
	close(fds[1]);
	attend(fds[0], pidfd, pid, clock_monotonic_ms() + (int64_t)m->health_timeout_ms, look);
	return 0;
}

static _Noreturn void looker(struct monitor *m, int sock)
{
	struct look look = {};
	struct err err = {};

	clock_now(look.started);
	if (run_check(m, &look, &err) < 0) {
		look.code = start_exit_code(&err);
		snprintf(look.output, sizeof(look.output), "%s", err.text);
	} else if (look.code == TIMED_OUT && !*look.output) {
		snprintf(look.output, sizeof(look.output), "the check took longer than %llu ms",
			(unsigned long long)m->health_timeout_ms);
	}
	fd_send(sock, &look, sizeof(look), NULL, 0);
	_exit(0);
}

/* ---- monitor ---- */

static void set_health(struct monitor *m, const char *health)
{
	if (strcmp(m->health, health) == 0)
		return;
	snprintf(m->health, sizeof(m->health), "%s", health);
	events_note(m->ctx->boxes->run, "container", "health_status", m->id, "name", m->name,
		"health", health, NULL);
}

void monitor_health_begin(struct monitor *m)
{
	m->failing = 0;
	*m->health = '\0';
	json_decref(m->health_log);
	m->health_log = NULL;
	if (!m->has_health)
		return;
	m->health_log = json_array();
	snprintf(m->health, sizeof(m->health), "starting");
	m->health_at_ms = m->started_ms + (int64_t)m->health_interval_ms;
}

void monitor_health_end(struct monitor *m)
{
	if (m->health_pid)
		sys_kill(m->health_pid, SIGKILL);
	cleanup_close(&m->health_fd);
	m->health_pid = 0;
}

int64_t monitor_health_wait(const struct monitor *m)
{
	int64_t left;

	if (!m->has_health || m->health_fd >= 0)
		return -1;
	left = m->health_at_ms - clock_monotonic_ms();
	return left > 0 ? left : 0;
}

void monitor_health_go(struct monitor *m)
{
	int socks[2];
	pid_t pid;

	if (!m->has_health || m->health_fd >= 0 || clock_monotonic_ms() < m->health_at_ms)
		return;
	m->health_at_ms = clock_monotonic_ms() + (int64_t)m->health_interval_ms;
	if (sys_socketpair(SOCK_SEQPACKET, socks) < 0)
		return;
	pid = sys_fork();
	if (pid == 0) {
		close(socks[0]);
		looker(m, socks[1]);
	}
	close(socks[1]);
	if (pid < 0) {
		close(socks[0]);
		return;
	}
	m->health_pid = pid;
	m->health_fd = socks[0];
}

static void add_to_log(struct monitor *m, const struct look *look)
{
	char now[CLOCK_TEXT_MAX];
	json_t *entry;

	clock_now(now);
	entry = json_pack("{s:s, s:s, s:i, s:s}", "Start", look->started, "End", now, "ExitCode",
		look->code, "Output", look->output);
	if (!entry) /* not UTF-8 */
		entry = json_pack("{s:s, s:s, s:i, s:s}", "Start", look->started, "End", now,
			"ExitCode", look->code, "Output", "");
	json_array_append_new(m->health_log, entry);
	while (json_array_size(m->health_log) > LOG_MAX)
		json_array_remove(m->health_log, 0);
}

void monitor_health_take(struct monitor *m)
{
	struct look look;
	size_t none = 0;
	ssize_t n = fd_recv(m->health_fd, &look, sizeof(look), NULL, &none);
	bool young = clock_monotonic_ms() - m->started_ms < (int64_t)m->health_start_ms;

	cleanup_close(&m->health_fd);
	m->health_at_ms = clock_monotonic_ms() + (int64_t)m->health_interval_ms;
	if (n != sizeof(look) || !m->pid)
		return;
	look.output[OUTPUT_MAX - 1] = look.started[CLOCK_TEXT_MAX - 1] = '\0';
	add_to_log(m, &look);
	if (look.code == 0) {
		m->failing = 0;
		set_health(m, "healthy");
	} else if (!young || strcmp(m->health, "starting") != 0) {
		/* A container that has been well is not young any more. */
		m->failing++;
		if (m->failing >= m->health_retries)
			set_health(m, "unhealthy");
	}
	monitor_write_status(m, "running", NULL, 0);
}
