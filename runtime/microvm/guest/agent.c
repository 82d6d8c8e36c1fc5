/* SPDX-License-Identifier: Apache-2.0 */
/* The host's connections, and the loop that serves them. */
#include "runtime/microvm/guest/agent.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

static int read_exactly(int fd, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = sys_read(fd, (uint8_t *)buf + done, len - done);

		if (n <= 0)
			return n < 0 ? (int)n : -EPIPE;
		done += (size_t)n;
	}
	return 0;
}

/* --- replies --- */

void agent_send(struct agent *a, int session, uint32_t type, const void *payload, uint32_t len)
{
	const struct proto_frame frame = {.type = type, .len = len};
	autobuf struct buf message = {};

	if (session < 0 || a->sessions[session] < 0)
		return;
	buf_add(&message, &frame, sizeof(frame));
	buf_add(&message, payload, len);
	if (!message.failed) /* who has gone hears nothing */
		(void)!fd_write_all(a->sessions[session], message.data, message.len);
}

void agent_send_failed(struct agent *a, int session, int error, const char *text)
{
	struct proto_failed failed = {.error = error};

	snprintf(failed.text, sizeof(failed.text), "%s", text);
	agent_send(a, session, PROTO_FAILED, &failed, sizeof(failed));
}

/* --- sessions --- */

/* LOST: whoever was at the other end has closed it, or has ended. Else the machine was restored,
 * and its processes go on without. */
static void session_close(struct agent *a, int session, bool lost)
{
	cleanup_close(a->sessions + session);
	jobs_leave(a, session, lost);
	for (size_t i = 0; i < ARRAY_LEN(a->processes.items); i++) {
		struct process *p = a->processes.items + i;

		if (!p->id || p->session != session)
			continue;
		p->session = -1;
		if (lost)
			process_lost(p);
	}
}

/* --- ended processes --- */

/* Everything here is the container: what the kernel killed, it killed there. */
static uint64_t count_oom_kills(void)
{
	enum { VMSTAT_MAX = 65536 };
	autobuf struct buf text = {};
	uint64_t count = 0;
	const char *at;

	if (fd_read_file(AT_FDCWD, "/proc/vmstat", VMSTAT_MAX, &text) < 0)
		return 0;
	at = strstr(buf_str(&text), "\noom_kill ");
	if (at)
		sscanf(at, "\noom_kill %" SCNu64, &count);
	return count;
}

static void process_ended(struct agent *a, struct process *p, int status)
{
	struct proto_exited exited = {
		.id = p->id, .status = status, .oom_kills = count_oom_kills()};

	process_written(p, exited.written);
	/* Then the host may pull the plug. */
	if (p->is_init && a->files >= 0)
		(void)!syncfs(a->files);
	agent_send(a, p->session, PROTO_EXITED, &exited, sizeof(exited));
	process_free(p);
}

/*
 * Everybody's orphans end up here too. A process can only be ours once the child that started it
 * has ended, so by then that one's report is there.
 */
static void reap(struct agent *a)
{
	siginfo_t info = {};

	while (sys_waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid) {
		struct process *p;
		int status;

		jobs_read(a);
		if (sys_waitpid(info.si_pid, &status, WNOHANG) <= 0)
			return;
		p = process_of_pid(&a->processes, info.si_pid);
		if (p)
			process_ended(a, p, status);
		info.si_pid = 0;
	}
}

/* --- requests --- */

static void handle_signal(struct agent *a, int session, uint8_t *request, uint32_t len)
{
	struct proto_signal signal;
	const struct process *p;

	memcpy(&signal, request, sizeof(signal));
	if (signal.id == PROTO_SIGNAL_ALL) {
		jobs_begin(a, session, PROTO_SIGNAL, request, len);
		return;
	}
	free(request);
	p = process_find(&a->processes, signal.id);
	if (p && p->pid > 0) /* else it has ended, and that is on its way */
		(void)!sys_kill(p->pid, signal.signal);
}

static void handle_resize(struct agent *a, const uint8_t *request)
{
	struct proto_resize resize;
	const struct process *p;

	memcpy(&resize, request, sizeof(resize));
	p = process_find(&a->processes, resize.id);
	if (p && p->id)
		process_resize(p, resize.rows, resize.columns);
}

static int handle_frame(struct agent *a, int session)
{
	int fd = a->sessions[session], r;
	autofree uint8_t *payload = NULL;
	struct proto_frame frame;

	r = read_exactly(fd, &frame, sizeof(frame));
	if (r < 0)
		return r;
	if (frame.len > PROTO_REQUEST_MAX)
		return -EBADMSG;
	payload = calloc(1, frame.len + sizeof(struct proto_start) + 1);
	if (!payload)
		return -ENOMEM;
	r = read_exactly(fd, payload, frame.len);
	if (r < 0)
		return r;
	switch (frame.type) {
	case PROTO_POWER_OFF:
		a->stop = true;
		return 0;
	case PROTO_SIGNAL:
		handle_signal(a, session, take_ptr(payload), frame.len);
		return 0;
	case PROTO_RESIZE:
		handle_resize(a, payload);
		return 0;
	default:
		return jobs_begin(a, session, frame.type, take_ptr(payload), frame.len);
	}
}

/* --- new connections --- */

static void accept_connection(struct agent *a)
{
	int fd = sys_accept(a->listener);

	for (int i = 0; i < GREETINGS_MAX && fd >= 0; i++) {
		if (a->greetings[i] < 0)
			a->greetings[i] = take_fd(&fd);
	}
	cleanup_close(&fd);
}

static void add_stream(struct agent *a, int *fd, const struct proto_hello *hello)
{
	struct process *p = process_get(&a->processes, hello->id);

	for (int i = 0; i < PROTO_STREAMS && p && !p->pid; i++) {
		if (hello->what == 1U << i && p->streams[i] < 0)
			p->streams[i] = take_fd(fd);
	}
	if (p)
		jobs_go_on(a, p->id);
}

static void read_hello(struct agent *a, int *slot)
{
	autoclose int fd = take_fd(slot);
	struct proto_hello hello;

	if (read_exactly(fd, &hello, sizeof(hello)) < 0)
		return;
	if (hello.what != PROTO_SESSION) {
		add_stream(a, &fd, &hello);
		return;
	}
	for (int i = 0; i < SESSIONS_MAX && fd >= 0; i++) {
		if (a->sessions[i] < 0)
			a->sessions[i] = take_fd(&fd);
	}
}

/* --- the loop --- */

/* What an entry of the poll belongs to. */
struct polled {
	enum { READY, LISTENER, SIGNALS, GREETING, SESSION, JOB, RELAY } kind;
	size_t index;
	int count; /* entries, of a relay */
};

struct polling {
	struct pollfd fds[POLLED_MAX];
	struct polled what[POLLED_MAX];
	unsigned int count;
};

static void add(struct polling *p, int fd, int kind, size_t index)
{
	if (fd < 0)
		return;
	p->fds[p->count] = (struct pollfd){.fd = fd, .events = POLLIN};
	p->what[p->count++] = (struct polled){.kind = kind, .index = index, .count = 1};
}

static void prepare(const struct agent *a, struct polling *p)
{
	p->count = 0;
	/* Bytes first: what a process wrote goes before the news of its end. */
	for (size_t i = 0; i < ARRAY_LEN(a->processes.relays); i++) {
		int n = relay_prepare(a->processes.relays + i, p->fds + p->count);

		p->what[p->count] = (struct polled){.kind = RELAY, .index = i, .count = n};
		p->count += (unsigned int)n;
	}
	for (size_t i = 0; i < JOBS_MAX; i++)
		add(p, a->jobs[i].report, JOB, i);
	add(p, a->signals, SIGNALS, 0);
	for (size_t i = 0; i < GREETINGS_MAX; i++)
		add(p, a->greetings[i], GREETING, i);
	for (size_t i = 0; i < SESSIONS_MAX; i++)
		add(p, a->sessions[i], SESSION, i);
	add(p, a->listener, LISTENER, 0);
	add(p, a->ready, READY, 0);
}

static int say_ready(struct agent *a, struct err *err)
{
	const struct proto_frame frame = {.type = PROTO_READY, .len = sizeof(a->greeting)};
	int r = a->ready = host_dial(err);

	if (r >= 0)
		r = fd_write_all(a->ready, &frame, sizeof(frame));
	if (r == 0)
		r = fd_write_all(a->ready, &a->greeting, sizeof(a->greeting));
	return r;
}

/* Our connection has ended. After a restore another host is there, else there is none. */
static void meet_again(struct agent *a)
{
	struct err ignored = {};

	cleanup_close(&a->ready);
	a->stop = say_ready(a, &ignored) < 0;
}

/* All connections of a machine that is restored end with this; one that its peer closes does not.
 */
static bool was_reset(int error)
{
	return error == -ENOTCONN || error == -ECONNRESET;
}

static void serve(struct agent *a, const struct polled *what, const struct pollfd *fds)
{
	struct signalfd_siginfo info;
	int r;

	switch (what->kind) {
	case RELAY:
		relay_move(a->processes.relays + what->index, fds, what->count);
		break;
	case JOB:
		if (a->jobs[what->index].report >= 0)
			job_read(a, a->jobs + what->index);
		break;
	case SIGNALS:
		if (sys_read(a->signals, &info, sizeof(info)) > 0)
			reap(a);
		break;
	case GREETING:
		read_hello(a, a->greetings + what->index);
		break;
	case SESSION:
		r = handle_frame(a, (int)what->index);
		if (r < 0)
			session_close(a, (int)what->index, !was_reset(r));
		break;
	case LISTENER:
		accept_connection(a);
		break;
	case READY:
		meet_again(a);
		break;
	}
}

static int turn(struct agent *a, struct polling *p)
{
	int r;

	prepare(a, p);
	r = sys_poll(p->fds, p->count, -1);
	if (r < 0)
		return r == -EINTR ? 0 : r;
	for (unsigned int i = 0; i < p->count; i += (unsigned int)p->what[i].count) {
		const struct pollfd *fds = p->fds + i;

		if (fds[0].revents || (p->what[i].count > 1 && fds[1].revents))
			serve(a, p->what + i, fds);
	}
	processes_hang_up(&a->processes);
	return 0;
}

static int watch_children(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

int agent_run(int listener, const struct proto_ready *ready, struct err *err)
{
	static struct agent a; /* the tables are large; there is one agent */
	static struct polling polling;
	const struct runtime_options options = {.root = "/run/brig-oci"};
	int r;

	signal(SIGPIPE, SIG_IGN);
	processes_init(&a.processes);
	a.ready = a.files = -1;
	a.greeting = *ready;
	a.listener = listener;
	for (int i = 0; i < GREETINGS_MAX; i++)
		a.greetings[i] = -1;
	for (int i = 0; i < SESSIONS_MAX; i++)
		a.sessions[i] = -1;
	jobs_init(&a);
	r = runtime_open(&options, &a.rt, err);
	if (r < 0)
		return r;
	r = a.signals = watch_children();
	if (r >= 0)
		r = say_ready(&a, err);
	while (r >= 0 && !a.stop)
		r = turn(&a, &polling);
	runtime_close(&a.rt);
	return r < 0 && r != -EPIPE ? err_sys(err, r, "agent") : 0;
}
