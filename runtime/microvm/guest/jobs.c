/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, from their arrival to their answer. What takes long is a child's work (job.c). */
#include "runtime/microvm/guest/agent.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/sys.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>

static bool job_is_free(const struct job *job)
{
	return job->report < 0 && !job->request;
}

static void job_free(struct job *job)
{
	cleanup_close(&job->report);
	cleanup_close(&job->pidfd);
	cleanup_free(&job->request);
	buf_free(&job->reply);
	*job = (struct job){.report = -1, .pidfd = -1, .session = -1};
}

static const struct {
	size_t fixed; /* what stands before .data of the job's request */
	bool starts;
} kinds[] = {
	[PROTO_CREATE] = {sizeof(struct proto_start), true},
	[PROTO_EXEC] = {sizeof(struct proto_start), true},
	[PROTO_RUN] = {sizeof(struct proto_start), true},
	[PROTO_START] = {0, false},
	[PROTO_SIGNAL] = {0, false},
	[PROTO_UPDATE] = {0, false},
	[PROTO_STATS] = {0, false},
	[PROTO_PROCESSES] = {0, false},
	[PROTO_ADOPT] = {sizeof(struct proto_start), true},
	[PROTO_FREEZE] = {0, false},
	[PROTO_THAW] = {0, false},
	[PROTO_MOUNTS_ADD] = {0, false},
	[PROTO_MOUNTS_REMOVE] = {0, false},
	[PROTO_FORGET] = {0, false},
};

static void job_fail(struct agent *a, struct job *job, int error, const char *text)
{
	struct process *p = job->id ? process_find(&a->processes, job->id) : NULL;

	agent_send_failed(a, job->session, error, text);
	if (p)
		process_free(p);
	job_free(job);
}

static void job_go(struct agent *a, struct job *job)
{
	struct process *p = job->id ? process_find(&a->processes, job->id) : NULL;
	struct stdio stdio = {.fds = {-1, -1, -1}};
	struct job_request q = {
		.type = job->type,
		.container = a->container,
		.data = job->request + kinds[job->type].fixed,
		.len = job->len - kinds[job->type].fixed,
		.stdio = &stdio,
	};
	char console[64];
	int r = 0;

	if (p && job->type != PROTO_ADOPT) {
		q.start = &p->start;
		r = job->type == PROTO_RUN ? process_open_plain_stdio(&a->processes, p, &stdio)
					   : process_open_stdio(&a->processes, p, &stdio);
		process_console_path(p, console, sizeof(console));
		q.console = p->console >= 0 ? console : NULL;
	}
	if (r == 0)
		r = job->report = job_start(&a->rt, &q, &job->pidfd);
	for (int i = 0; i < 3; i++)
		cleanup_close(stdio.fds + i);
	if (r >= 0 && fcntl(job->report, F_SETFL, O_NONBLOCK) < 0)
		r = -errno;
	if (r < 0)
		job_fail(a, job, r, "the guest cannot start a process");
	else
		cleanup_free(&job->request);
}

/* Where the process's streams are all there, or it needs none. */
static void job_try(struct agent *a, struct job *job)
{
	const struct process *p = job->id ? process_find(&a->processes, job->id) : NULL;

	if (!p || process_has_streams(p))
		job_go(a, job);
}

/* Who is known to the host by a process of its own. */
static void name_processes(struct agent *a, struct proto_process *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct process *p = process_of_pid(&a->processes, (pid_t)list[i].pid);

		list[i].id = p ? p->id : 0;
	}
}

static int adopt(struct agent *a, struct process *new)
{
	for (size_t i = 0; i < ARRAY_LEN(a->processes.items); i++) {
		struct process *p = a->processes.items + i;

		if (!p->id || !p->is_init)
			continue;
		process_adopt(p, new);
		return 0;
	}
	return -ESRCH;
}

static void job_done(struct agent *a, struct job *job, const struct job_report *report)
{
	struct process *p = job->id ? process_find(&a->processes, job->id) : NULL;
	char *data = job->reply.data + sizeof(*report);
	int r = 0;

	if (report->error < 0) {
		job_fail(a, job, report->error, report->text);
		return;
	}
	if (p && job->type == PROTO_ADOPT) {
		r = adopt(a, p);
	} else if (p) {
		p->pid = report->pid;
		p->is_init = job->type == PROTO_CREATE;
		r = process_take_terminal(&a->processes, p);
		if (p->is_init)
			process_keep_streams(p);
		if (job->session < 0) /* has gone meanwhile */
			process_lost(p);
	}
	if (r < 0) {
		job_fail(a, job, r, "the guest cannot take the terminal");
		return;
	}
	if (job->type == PROTO_PROCESSES)
		name_processes(a, (struct proto_process *)(void *)data,
			report->len / sizeof(struct proto_process));
	agent_send(a, job->session, PROTO_DONE, data, report->len);
	job_free(job);
}

void job_read(struct agent *a, struct job *job)
{
	struct job_report report;
	char buffer[4096];
	ssize_t n;

	while ((n = sys_read(job->report, buffer, sizeof(buffer))) > 0)
		buf_add(&job->reply, buffer, (size_t)n);
	if (job->reply.len >= sizeof(report)) {
		memcpy(&report, job->reply.data, sizeof(report));
		if (job->reply.len >= sizeof(report) + report.len) {
			job_done(a, job, &report);
			return;
		}
	}
	if (n != -EAGAIN)
		job_fail(a, job, -EIO, "the guest's process ended before its report");
}

void jobs_read(struct agent *a)
{
	for (size_t i = 0; i < ARRAY_LEN(a->jobs); i++)
		if (a->jobs[i].report >= 0)
			job_read(a, a->jobs + i);
}

static struct job *job_new(struct agent *a, int session, uint32_t type)
{
	for (size_t i = 0; i < ARRAY_LEN(a->jobs); i++) {
		struct job *job = a->jobs + i;

		if (!job_is_free(job))
			continue;
		job->session = session;
		job->type = (enum proto_type)type;
		return job;
	}
	return NULL;
}

static int take_start(struct agent *a, struct job *job)
{
	struct process *p;
	struct proto_start start;

	if (job->len < sizeof(start))
		return -EBADMSG;
	memcpy(&start, job->request, sizeof(start));
	if (job->type == PROTO_CREATE && a->container)
		return -EEXIST;
	p = process_get(&a->processes, start.id);
	if (!p)
		return -EAGAIN;
	if (p->started)
		return -EEXIST;
	p->start = start;
	p->started = true;
	p->session = job->session;
	job->id = p->id;
	return 0;
}

static int remember_container(struct agent *a, const struct job *job)
{
	const struct proto_setup *setup = (const void *)(job->request + sizeof(struct proto_start));

	if (job->len < sizeof(struct proto_start) + sizeof(*setup))
		return -EBADMSG;
	a->files = host_files();
	if (a->files < 0)
		return a->files;
	a->container = strndup(setup->id, sizeof(setup->id));
	return a->container ? 0 : -ENOMEM;
}

int jobs_begin(struct agent *a, int session, uint32_t type, uint8_t *request, uint32_t len)
{
	bool known = type >= PROTO_CREATE && type < ARRAY_LEN(kinds);
	struct job *job = known ? job_new(a, session, type) : NULL;
	int r = 0;

	if (!job) {
		free(request);
		if (known)
			agent_send_failed(a, session, -EAGAIN, "the guest has too much to do");
		return known ? 0 : -EBADMSG;
	}
	job->request = request;
	job->len = len;
	if (kinds[type].starts)
		r = take_start(a, job);
	if (r == 0 && type == PROTO_CREATE)
		r = remember_container(a, job);
	if (r < 0)
		job_fail(a, job, r, "the guest cannot start that");
	else
		job_try(a, job);
	return 0;
}

void jobs_leave(struct agent *a, int session, bool lost)
{
	for (size_t i = 0; i < ARRAY_LEN(a->jobs); i++) {
		struct job *job = a->jobs + i;

		if (job->session != session)
			continue;
		job->session = -1;
		if (job->request) /* nobody will send the streams that it waits for */
			job_fail(a, job, -EPIPE, "");
		else if (lost && job->type == PROTO_EXEC) /* undoes what it has begun */
			sys_pidfd_send_signal(job->pidfd, SIGTERM);
	}
}

void jobs_go_on(struct agent *a, uint32_t id)
{
	for (size_t i = 0; i < ARRAY_LEN(a->jobs); i++) {
		if (a->jobs[i].request && a->jobs[i].id == id)
			job_try(a, a->jobs + i);
	}
}

void jobs_init(struct agent *a)
{
	for (int i = 0; i < JOBS_MAX; i++)
		a->jobs[i] = (struct job){.report = -1, .pidfd = -1, .session = -1};
}
