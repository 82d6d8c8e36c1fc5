/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "runtime/microvm/guest/guest.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>

enum {
	STREAMS_MAX = 4, /* stdin, stdout, stderr, terminal: bit numbers of PROTO_STDIN … */
	RELAYS_MAX = 4 * PROTO_PROCESSES_MAX,
	GREETINGS_MAX = 64, /* connections whose struct proto_stream is awaited */
};

struct process {
	uint32_t id; /* 0: not in use */
	pid_t pid;   /* 0: not started yet */
	int streams[STREAMS_MAX];
	int terminal;              /* our end, for window sizes; −1 without one */
	struct proto_start *start; /* with its strings, until it is started; then NULL */
	uint32_t start_len;
};

struct agent {
	int control, listener, signals;
	bool stop;
	struct process processes[PROTO_PROCESSES_MAX];
	struct relay relays[RELAYS_MAX];
	int greetings[GREETINGS_MAX];
};

/* --- frames --- */

static int send_frame(struct agent *a, uint32_t type, const void *payload, uint32_t len)
{
	uint8_t message[sizeof(struct proto_frame) + 64];
	struct proto_frame frame = {.type = type, .len = len};

	memcpy(message, &frame, sizeof(frame));
	memcpy(message + sizeof(frame), payload, len); /* all of the guest's are small */
	return fd_write_all(a->control, message, sizeof(frame) + len);
}

static void send_failed(struct agent *a, uint32_t id, int error, const char *step)
{
	struct proto_failed failed = {.id = id, .error = error};

	snprintf(failed.step, sizeof(failed.step), "%s", step);
	send_frame(a, PROTO_FAILED, &failed, sizeof(failed));
}

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

/* --- processes --- */

static struct process *process_find(struct agent *a, uint32_t id)
{
	for (int i = 0; i < PROTO_PROCESSES_MAX; i++) {
		if (a->processes[i].id == id)
			return a->processes + i;
	}
	return NULL;
}

/* The process ID, a new one when there is none. ID 0 is nobody's. */
static struct process *process_get(struct agent *a, uint32_t id)
{
	struct process *p = id ? process_find(a, id) : NULL;

	if (p || !id)
		return p;
	p = process_find(a, 0);
	if (p)
		*p = (struct process){.id = id, .streams = {-1, -1, -1, -1}, .terminal = -1};
	return p;
}

static void process_free(struct process *p)
{
	for (int i = 0; i < STREAMS_MAX; i++)
		cleanup_close(p->streams + i);
	cleanup_close(&p->terminal);
	cleanup_free(&p->start);
	p->id = 0;
}

/* Counted strings behind a struct proto_start. */
static int read_strings(char **at, const char *end, char **ret, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		char *nul = memchr(*at, 0, (size_t)(end - *at));

		if (!nul)
			return -EBADMSG;
		ret[i] = *at;
		*at = nul + 1;
	}
	ret[count] = NULL;
	return 0;
}

/* Takes over both descriptors. */
static int add_relay(struct agent *a, int from, int to)
{
	for (int i = 0; i < RELAYS_MAX && from >= 0 && to >= 0; i++) {
		if (a->relays[i].from < 0 && a->relays[i].to < 0)
			return relay_start(a->relays + i, from, to);
	}
	cleanup_close(&from);
	cleanup_close(&to);
	return -EMFILE;
}

/* A pipe between the stream I and the new process; *RET_FD is the process's end. */
static int open_pipe(struct agent *a, struct process *p, int i, int *ret_fd)
{
	int fds[2], r;

	if (p->streams[i] < 0)
		return *ret_fd = sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
	r = sys_pipe(fds);
	if (r < 0)
		return r;
	*ret_fd = fds[i ? 1 : 0];
	return i ? add_relay(a, fds[0], take_fd(p->streams + i))
		 : add_relay(a, take_fd(p->streams + i), fds[1]);
}

static int open_terminal(struct agent *a, struct process *p, int *ret_fd)
{
	struct winsize size = {.ws_row = p->start->rows, .ws_col = p->start->columns};
	int sock = take_fd(p->streams + 3), r;

	if (openpty(&p->terminal, ret_fd, NULL, NULL, &size) < 0) {
		cleanup_close(&sock);
		return -errno;
	}
	sys_set_cloexec(p->terminal, true);
	r = add_relay(a, sys_dup(sock), sys_dup(p->terminal));
	return r < 0 ? r : add_relay(a, sys_dup(p->terminal), sock);
}

static int open_streams(struct agent *a, struct process *p, int fds[3])
{
	int r = 0;

	if (p->start->streams & PROTO_TERMINAL) {
		r = open_terminal(a, p, fds);
		if (r >= 0)
			r = fds[1] = sys_dup(fds[0]);
		return r < 0 ? r : (fds[2] = sys_dup(fds[0]));
	}
	for (int i = 0; i < 3 && r >= 0; i++)
		r = open_pipe(a, p, i, fds + i);
	return r;
}

static pid_t launch(struct agent *a, struct process *p, char *step, size_t size)
{
	char *strings = (char *)(p->start + 1), *end = (char *)p->start + p->start_len, *cwd[2];
	char *argv[PROTO_STRINGS_MAX + 1], *envp[PROTO_STRINGS_MAX + 1];
	autoclose int in = -1, out = -1, errors = -1;
	struct process_start start = {
		.cwd = "/",
		.argv = argv,
		.envp = envp,
		.uid = p->start->uid,
		.gid = p->start->gid,
		.fds = {-1, -1, -1},
		.terminal = p->start->streams & PROTO_TERMINAL,
	};
	int r;

	snprintf(step, size, "arguments");
	if (!p->start->arguments || p->start->arguments > PROTO_STRINGS_MAX ||
		p->start->variables > PROTO_STRINGS_MAX)
		return -EINVAL;
	r = read_strings(&strings, end, cwd, 1);
	if (r == 0)
		r = read_strings(&strings, end, argv, p->start->arguments);
	if (r == 0)
		r = read_strings(&strings, end, envp, p->start->variables);
	if (r < 0)
		return r;
	start.cwd = cwd[0];
	snprintf(step, size, "standard streams");
	r = open_streams(a, p, start.fds);
	in = start.fds[0], out = start.fds[1], errors = start.fds[2];
	return r < 0 ? r : process_start(&start, step, size);
}

/* Starts P when its START and all its streams are there. */
static void process_try(struct agent *a, struct process *p)
{
	struct proto_started started;
	char step[32];
	pid_t pid;

	if (!p->start)
		return;
	for (int i = 0; i < STREAMS_MAX; i++) {
		if (p->start->streams & 1U << i && p->streams[i] < 0)
			return;
	}
	pid = launch(a, p, step, sizeof(step));
	if (pid < 0) {
		send_failed(a, p->id, pid, step);
		process_free(p);
		return;
	}
	cleanup_free(&p->start);
	p->pid = pid;
	started = (struct proto_started){.id = p->id, .pid = pid};
	send_frame(a, PROTO_STARTED, &started, sizeof(started));
}

/* Everybody's orphans end up here too. */
static void reap(struct agent *a)
{
	int status;
	pid_t pid;

	while ((pid = sys_waitpid(-1, &status, WNOHANG)) > 0) {
		for (int i = 0; i < PROTO_PROCESSES_MAX; i++) {
			struct process *p = a->processes + i;
			struct proto_exited exited = {.id = p->id, .status = status};

			if (!p->id || p->pid != pid)
				continue;
			send_frame(a, PROTO_EXITED, &exited, sizeof(exited));
			process_free(p);
		}
	}
}

/* --- requests --- */

/* Takes over START. */
static void handle_start(struct agent *a, struct proto_start *start, uint32_t len)
{
	struct process *p = process_get(a, start->id);

	if (!p || p->pid || p->start) {
		send_failed(a, start->id, p ? -EEXIST : -EAGAIN, "process table");
		free(start);
		return;
	}
	p->start = start;
	p->start_len = len;
	process_try(a, p);
}

static void handle_signal(struct agent *a, const struct proto_signal *signal)
{
	struct process *p = process_find(a, signal->id);

	if (p && p->id && p->pid > 0)
		sys_kill(p->pid, signal->signal);
}

static void handle_resize(struct agent *a, const struct proto_resize *resize)
{
	struct process *p = process_find(a, resize->id);
	struct winsize size = {.ws_row = resize->rows, .ws_col = resize->columns};

	if (p && p->id && p->terminal >= 0)
		ioctl(p->terminal, TIOCSWINSZ, &size);
}

static int handle_frame(struct agent *a)
{
	static const uint32_t at_least[] = {
		[PROTO_START] = sizeof(struct proto_start),
		[PROTO_SIGNAL] = sizeof(struct proto_signal),
		[PROTO_RESIZE] = sizeof(struct proto_resize),
		[PROTO_POWER_OFF] = 0,
	};
	autofree void *payload = NULL;
	struct proto_frame frame;
	int r = read_exactly(a->control, &frame, sizeof(frame));

	if (r < 0)
		return r;
	if (frame.type >= ARRAY_LEN(at_least) || frame.type < PROTO_START ||
		frame.len > PROTO_PAYLOAD_MAX || frame.len < at_least[frame.type])
		return -EBADMSG;
	payload = malloc(frame.len + 1);
	if (!payload)
		return -ENOMEM;
	r = read_exactly(a->control, payload, frame.len);
	if (r < 0)
		return r;
	if (frame.type == PROTO_START)
		handle_start(a, take_ptr(payload), frame.len);
	else if (frame.type == PROTO_SIGNAL)
		handle_signal(a, payload);
	else if (frame.type == PROTO_RESIZE)
		handle_resize(a, payload);
	else
		a->stop = true;
	return 0;
}

/* --- streams --- */

static void accept_stream(struct agent *a)
{
	int fd = sys_accept(a->listener);

	for (int i = 0; i < GREETINGS_MAX && fd >= 0; i++) {
		if (a->greetings[i] < 0)
			a->greetings[i] = take_fd(&fd);
	}
	cleanup_close(&fd);
}

static void read_greeting(struct agent *a, int *slot)
{
	autoclose int fd = take_fd(slot);
	struct proto_stream stream;
	struct process *p;

	if (read_exactly(fd, &stream, sizeof(stream)) < 0)
		return;
	p = process_get(a, stream.id);
	for (int i = 0; i < STREAMS_MAX && p && !p->pid; i++) {
		if (stream.what == 1U << i && p->streams[i] < 0)
			p->streams[i] = take_fd(&fd);
	}
	if (p)
		process_try(a, p);
}

/* --- the loop --- */

enum {
	FD_CONTROL,
	FD_LISTENER,
	FD_SIGNALS,
	FD_GREETINGS,
	FD_RELAYS = FD_GREETINGS + GREETINGS_MAX,
	FD_COUNT = FD_RELAYS + 2 * RELAYS_MAX
};

static void prepare(const struct agent *a, struct pollfd *fds)
{
	fds[FD_CONTROL] = (struct pollfd){.fd = a->control, .events = POLLIN};
	fds[FD_LISTENER] = (struct pollfd){.fd = a->listener, .events = POLLIN};
	fds[FD_SIGNALS] = (struct pollfd){.fd = a->signals, .events = POLLIN};
	for (int i = 0; i < GREETINGS_MAX; i++)
		fds[FD_GREETINGS + i] = (struct pollfd){.fd = a->greetings[i], .events = POLLIN};
	for (int i = 0; i < RELAYS_MAX; i++)
		relay_prepare(a->relays + i, fds + FD_RELAYS + (ptrdiff_t)i * 2);
}

static int turn(struct agent *a)
{
	struct pollfd fds[FD_COUNT];
	struct signalfd_siginfo info;
	int r;

	prepare(a, fds);
	r = sys_poll(fds, FD_COUNT, -1);
	if (r < 0)
		return r == -EINTR ? 0 : r;
	for (int i = 0; i < RELAYS_MAX; i++) {
		struct pollfd *pair = fds + FD_RELAYS + (ptrdiff_t)i * 2;

		if (pair[0].revents || pair[1].revents)
			relay_move(a->relays + i, pair);
	}
	if (fds[FD_SIGNALS].revents && sys_read(a->signals, &info, sizeof(info)) > 0)
		reap(a);
	for (int i = 0; i < GREETINGS_MAX; i++) {
		if (fds[FD_GREETINGS + i].revents)
			read_greeting(a, a->greetings + i);
	}
	if (fds[FD_LISTENER].revents)
		accept_stream(a);
	return fds[FD_CONTROL].revents ? handle_frame(a) : 0;
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

int agent_run(int control, int listener, const struct proto_ready *ready, struct err *err)
{
	static struct agent a; /* the table is large; there is one agent */
	int r;

	signal(SIGPIPE, SIG_IGN);
	a.control = control;
	a.listener = listener;
	for (int i = 0; i < GREETINGS_MAX; i++)
		a.greetings[i] = -1;
	for (int i = 0; i < RELAYS_MAX; i++)
		a.relays[i].from = a.relays[i].to = -1;
	r = a.signals = watch_children();
	if (r >= 0)
		r = send_frame(&a, PROTO_READY, ready, sizeof(*ready));
	while (r >= 0 && !a.stop)
		r = turn(&a);
	cleanup_close(&a.signals);
	return r < 0 && r != -EPIPE ? err_sys(err, r, "agent") : 0;
}
