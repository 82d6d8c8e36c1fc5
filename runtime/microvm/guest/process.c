/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "runtime/microvm/guest/guest.h"

#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

enum { OUT = 1, ERRORS = 2, TERMINAL = 3 }; /* bit numbers of PROTO_STDOUT … */

void processes_init(struct processes *all)
{
	*all = (struct processes){};
	for (size_t i = 0; i < ARRAY_LEN(all->relays); i++)
		all->relays[i].from = all->relays[i].to = -1;
}

struct process *process_find(struct processes *all, uint32_t id)
{
	for (size_t i = 0; i < ARRAY_LEN(all->items); i++) {
		if (all->items[i].id == id)
			return all->items + i;
	}
	return NULL;
}

struct process *process_of_pid(struct processes *all, pid_t pid)
{
	for (size_t i = 0; i < ARRAY_LEN(all->items); i++) {
		if (all->items[i].id && all->items[i].pid == pid)
			return all->items + i;
	}
	return NULL;
}

struct process *process_get(struct processes *all, uint32_t id)
{
	struct process *p = id ? process_find(all, id) : NULL;

	if (p || !id)
		return p;
	p = process_find(all, 0);
	for (size_t i = 0; i < ARRAY_LEN(all->items) && !p; i++) {
		if (!all->items[i].started) { /* streams without a request: their host has gone */
			p = all->items + i;
			process_free(p);
		}
	}
	if (p)
		*p = (struct process){.id = id,
			.streams = {-1, -1, -1, -1},
			.session = -1,
			.terminal = -1,
			.console = -1};
	return p;
}

void process_free(struct process *p)
{
	char path[64];

	for (int i = 0; i < PROTO_STREAMS; i++)
		cleanup_close(p->streams + i);
	for (int i = 0; i < 3; i++) {
		if (p->relays[i])
			p->relays[i]->owned = false;
	}
	if (p->typed)
		p->typed->owned = false;
	if (p->console >= 0) {
		process_console_path(p, path, sizeof(path));
		sys_unlinkat(AT_FDCWD, path, 0);
	}
	cleanup_close(&p->console);
	cleanup_close(&p->terminal);
	p->id = 0;
}

bool process_has_streams(const struct process *p)
{
	for (int i = 0; i < PROTO_STREAMS; i++) {
		if (p->start.streams & 1U << i && p->streams[i] < 0)
			return false;
	}
	return true;
}

/* Takes over both descriptors. */
static struct relay *add_relay(struct processes *all, int from, int to)
{
	for (size_t i = 0; i < ARRAY_LEN(all->relays) && from >= 0 && to >= 0; i++) {
		struct relay *relay = all->relays + i;

		if (relay_is_free(relay))
			return relay_start(relay, from, to) == 0 ? relay : NULL;
	}
	cleanup_close(&from);
	cleanup_close(&to);
	return NULL;
}

/* Of what P writes, so that it is counted. */
static int add_output(struct processes *all, struct process *p, int which, int from, int to)
{
	struct relay *relay = add_relay(all, from, to);

	p->relays[which - 1] = relay;
	if (relay)
		relay->owned = true;
	return relay ? 0 : -EMFILE;
}

/* A pipe between the stream I and the new process; *RET_FD is the process's end. */
static int open_pipe(struct processes *all, struct process *p, int i, int *ret_fd)
{
	int fds[2], r;

	if (p->streams[i] < 0)
		return *ret_fd = sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
	r = sys_pipe(fds);
	if (r < 0)
		return r;
	/* Who writes much is woken a quarter as often; a kernel that says no does without. */
	(void)!fcntl(fds[0], F_SETPIPE_SZ, RELAY_BUFFER);
	*ret_fd = fds[i ? 1 : 0];
	if (i)
		return add_output(all, p, i, fds[0], take_fd(p->streams + i));
	p->typed = add_relay(all, take_fd(p->streams), fds[1]);
	if (!p->typed)
		return -EMFILE;
	p->typed->owned = true;
	return 0;
}

void process_console_path(const struct process *p, char *ret, size_t size)
{
	snprintf(ret, size, "/run/console-%u", p->id);
}

static int listen_console(struct process *p)
{
	char path[64];
	int r = p->console = sys_socket_unix(SOCK_STREAM);

	process_console_path(p, path, sizeof(path));
	if (r >= 0)
		r = sys_bind_unix(p->console, AT_FDCWD, path);
	return r < 0 ? r : sys_listen(p->console, 1);
}

int process_open_stdio(struct processes *all, struct process *p, struct stdio *ret)
{
	bool terminal = p->start.streams & PROTO_TERMINAL;
	int r = terminal ? listen_console(p) : 0;

	for (int i = 0; i < 3 && r >= 0; i++) {
		if (terminal)
			r = ret->fds[i] = sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
		else
			r = open_pipe(all, p, i, ret->fds + i);
	}
	return r < 0 ? r : 0;
}

/* Both directions between MASTER, which is taken over, and the stream. */
static int join_terminal(struct processes *all, struct process *p, int master)
{
	int sock = take_fd(p->streams + TERMINAL), r;

	p->terminal = master;
	sys_set_cloexec(master, true);
	p->typed = add_relay(all, sys_dup(sock), sys_dup(master));
	r = p->typed ? 0 : -EMFILE;
	if (r < 0) {
		cleanup_close(&sock);
		return r;
	}
	p->typed->owned = true;
	return add_output(all, p, TERMINAL, sys_dup(master), sock);
}

void process_keep_streams(struct process *p)
{
	for (int i = 0; i < 3; i++)
		if (p->relays[i])
			p->relays[i]->keeps = RELAY_KEEPS_FROM;
	if (p->typed)
		p->typed->keeps = RELAY_KEEPS_TO;
}

void process_adopt(struct process *p, struct process *new)
{
	bool terminal = p->terminal >= 0;

	if (p->typed)
		relay_join(p->typed,
			terminal ? sys_dup(new->streams[TERMINAL]) : take_fd(new->streams));
	for (int i = 0; i < 3; i++)
		if (p->relays[i])
			relay_join(p->relays[i], take_fd(new->streams + 1 + i));
	p->id = new->id;
	p->session = new->session;
	p->start = new->start;
	process_free(new);
	process_resize(p, p->start.rows, p->start.columns);
}

void processes_hang_up(struct processes *all)
{
	for (size_t i = 0; i < ARRAY_LEN(all->items); i++) {
		struct process *p = all->items + i;

		if (!p->id || p->terminal < 0 || !p->typed || p->typed->to >= 0)
			continue;
		cleanup_close(&p->terminal);
		relay_stop(p->relays[TERMINAL - 1]);
	}
}

int process_open_plain_stdio(struct processes *all, struct process *p, struct stdio *ret)
{
	struct winsize size = {.ws_row = p->start.rows, .ws_col = p->start.columns};
	int master, r;

	if (!(p->start.streams & PROTO_TERMINAL))
		return process_open_stdio(all, p, ret);
	if (openpty(&master, ret->fds, NULL, NULL, &size) < 0)
		return -errno;
	ret->terminal = true;
	sys_set_cloexec(ret->fds[0], true);
	r = join_terminal(all, p, master);
	for (int i = 1; i < 3 && r >= 0; i++)
		r = ret->fds[i] = sys_dup(ret->fds[0]);
	return r < 0 ? r : 0;
}

int process_take_terminal(struct processes *all, struct process *p)
{
	autoclose int sock = -1;
	char name[64];
	size_t count = 1;
	int master = -1;
	ssize_t n;

	if (p->console < 0)
		return 0;
	sock = sys_accept(p->console);
	if (sock < 0)
		return sock;
	n = fd_recv(sock, name, sizeof(name), &master, &count);
	if (n <= 0 || count != 1)
		return n < 0 ? (int)n : -EPROTO;
	n = join_terminal(all, p, master);
	process_resize(p, p->start.rows, p->start.columns);
	return (int)n;
}

void process_resize(const struct process *p, uint16_t rows, uint16_t columns)
{
	struct winsize size = {.ws_row = rows, .ws_col = columns};

	if (p->terminal >= 0 && (rows || columns))
		ioctl(p->terminal, TIOCSWINSZ, &size);
}

void process_written(const struct process *p, uint64_t ret[3])
{
	for (int i = 0; i < 3; i++)
		ret[i] = p->relays[i] ? relay_written(p->relays[i]) : 0;
}

void process_lost(const struct process *p)
{
	if (p->pid > 0 && !p->is_init)
		(void)!sys_kill(p->pid, SIGKILL);
}
