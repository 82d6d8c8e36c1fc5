/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/dns/server.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/process.h"
#include "base/sys.h"
#include "netns/home.h"
#include "netns/network_private.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

_Static_assert(2 * 8 <= VISIT_FDS_MAX, "all sockets of a network at once");

enum {
	DNS_PORT = 53,
	PAIRS_MAX = 8,
	FIRST_FD = 3,
	STOP_MS = 5000,
	BIND_TRIES = 20,
	BIND_PAUSE_MS = 10,
};

/* dns.pid: which process it is, and where it listens; port 0: it was told to end. */
struct running {
	pid_t pid;
	unsigned long long start;
	uint16_t port;
};

static int start_time(pid_t pid, unsigned long long *ret)
{
	autoclose int proc = sys_openat(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY, 0);
	char state = '\0';
	int r = proc < 0 ? proc : process_start_time(proc, pid, ret, &state);

	return r == 0 && state == 'Z' ? -ESRCH : r;
}

/* −ENOENT: there is no file that says so. */
static int read_running(struct network_store *store, const char *network, struct running *ret)
{
	char path[NETWORK_NAME_MAX + 16], text[96], *rest = text;
	const char *words[3];
	uint32_t pid, port;
	uint64_t start;
	ssize_t n;

	snprintf(path, sizeof(path), "nets/%s/dns.pid", network);
	n = fd_read_line(store->state, path, text, sizeof(text));
	if (n < 0)
		return -ENOENT;
	for (size_t i = 0; i < 3; i++)
		words[i] = strsep(&rest, " ");
	if (!words[1] || !words[2] || parse_u32(words[0], &pid) < 0 ||
		parse_u64(words[1], &start) < 0 || parse_u32(words[2], &port) < 0 ||
		port > UINT16_MAX)
		return -ENOENT;
	*ret = (struct running){(pid_t)pid, start, (uint16_t)port};
	return 0;
}

static bool is_alive(const struct running *running)
{
	unsigned long long now;

	return start_time(running->pid, &now) == 0 && now == running->start;
}

uint16_t dns_server_port(struct network_store *store, const char *network)
{
	struct running running;

	if (read_running(store, network, &running) < 0 || running.port == DNS_PORT)
		return 0;
	return running.port;
}

/* ---- sockets ---- */

struct sockets {
	int fds[2 * PAIRS_MAX];
	size_t count;
	uint16_t port;
};

static void close_sockets(struct sockets *s)
{
	for (size_t i = 0; i < s->count; i++)
		cleanup_close(&s->fds[i]);
	s->count = 0;
}

static int bind_socket(
	const struct network *n, const struct address *at, int type, uint16_t port, int *ret)
{
	autoclose int sock = socket(at->family, type | SOCK_CLOEXEC, 0);
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	bool is4 = at->family == AF_INET;
	const int on = 1;

	if (sock < 0)
		return -errno;
	memcpy(is4 ? (void *)&v4.sin_addr : &v6.sin6_addr, at->bytes, address_len(at));
	if (setsockopt(sock, SOL_SOCKET, SO_BINDTODEVICE, n->interface,
		    (socklen_t)strlen(n->interface) + 1) < 0)
		return -errno;
	/* Of a stream only: connections that end block no new server. */
	if (type == SOCK_STREAM && setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	if (bind(sock, is4 ? (void *)&v4 : (void *)&v6, is4 ? sizeof(v4) : sizeof(v6)) < 0)
		return -errno;
	if (type == SOCK_STREAM && listen(sock, SOMAXCONN) < 0)
		return -errno;
	*ret = take_fd(&sock);
	return 0;
}

static int bind_all(const struct network *n, uint16_t port, struct sockets *s)
{
	int r = 0;

	for (size_t i = 0; i < n->subnets.count && r == 0; i++) {
		const struct address *at = &n->subnets.items[i].gateway;

		if (!at->family || s->count + 2 > ARRAY_LEN(s->fds))
			continue;
		r = bind_socket(n, at, SOCK_DGRAM, port, &s->fds[s->count]);
		s->count += r == 0;
		if (r == 0)
			r = bind_socket(n, at, SOCK_STREAM, port, &s->fds[s->count]);
		s->count += r == 0 && s->count % 2 == 1;
	}
	s->port = port;
	if (r < 0)
		close_sockets(s);
	return r;
}

static void wait_ms(long ms)
{
	const struct timespec pause = {.tv_nsec = ms * 1000000};

	nanosleep(&pause, NULL);
}

struct binding {
	const struct network *network;
	bool restart; /* a server that has just died may still have its sockets */
};

/* Somebody who has port 53 of all addresses has it on the bridge, too: then the rules lead to
 * another one. */
static int bind_anywhere(void *arg, struct visit_fds *ret, struct err *err)
{
	enum { FALLBACK_FIRST = 5300, FALLBACK_LAST = 5399 };
	const struct binding *b = arg;
	const struct network *n = b->network;
	struct sockets sockets = {}, *s = &sockets;
	int r = bind_all(n, DNS_PORT, s);

	for (int i = 0; i < BIND_TRIES && b->restart && r == -EADDRINUSE; i++) {
		wait_ms(BIND_PAUSE_MS);
		r = bind_all(n, DNS_PORT, s);
	}
	for (uint16_t port = FALLBACK_FIRST; port <= FALLBACK_LAST && r == -EADDRINUSE; port++)
		r = bind_all(n, port, s);
	if (r < 0)
		return err_sys(err, r, "listen for names on bridge %s", n->interface);
	memcpy(ret->items, s->fds, s->count * sizeof(*s->fds));
	ret->count = s->count;
	return s->port;
}

/* Bound where the bridge is; the server itself is a process of the host. */
static int open_sockets(struct network_store *store, const struct network *n, bool restart,
	struct sockets *s, struct err *err)
{
	struct binding binding = {n, restart};
	struct visit_fds fds;
	int r = home_visit(store, bind_anywhere, &binding, &fds, err);

	if (r < 0)
		return r;
	memcpy(s->fds, fds.items, fds.count * sizeof(*s->fds));
	s->count = fds.count;
	s->port = (uint16_t)r;
	return 0;
}

/* ---- starting ---- */

struct start {
	int program, dir;
	const struct sockets *sockets;
};

/* What the process between has to know besides. */
struct detached {
	int program, tell, go;
};

/*
 * Descriptors: the directory as 3, the sockets behind it, then those of RET, which are closed on
 * exec. Of the rest nothing is kept, not even for a moment: a port of the command would be in use
 * as long.
 */
static int take_descriptors(const struct start *s, struct detached *ret)
{
	int fds[2 * PAIRS_MAX + 4], null = sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
	int *const own[] = {&ret->program, &ret->tell, &ret->go};
	size_t count = 0, plain;

	/* First above the numbers that they get. */
	fds[count++] = fcntl(s->dir, F_DUPFD_CLOEXEC, 64);
	for (size_t i = 0; i < s->sockets->count; i++)
		fds[count++] = fcntl(s->sockets->fds[i], F_DUPFD_CLOEXEC, 64);
	plain = count;
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		fds[count++] = fcntl(*own[i], F_DUPFD_CLOEXEC, 64);
	null = fcntl(null, F_DUPFD_CLOEXEC, 64);
	for (int i = 0; i < FIRST_FD; i++)
		if (dup2(null, i) < 0)
			return -errno;
	for (size_t i = 0; i < count; i++) {
		int to = FIRST_FD + (int)i, r = sys_dup3(fds[i], to);

		if (r >= 0)
			r = sys_set_cloexec(to, i >= plain);
		if (r < 0)
			return r;
		if (i >= plain)
			*own[i - plain] = to;
	}
	return sys_close_range((unsigned int)(FIRST_FD + count), ~0U, 0);
}

static _Noreturn void become(const struct start *s, int program)
{
	char pairs[16];
	char *const argv[] = {(char *)"brig-dns", pairs, (char *)"/etc/resolv.conf", NULL};
	char *const envp[] = {NULL};

	snprintf(pairs, sizeof(pairs), "%zu", s->sockets->count / 2);
	sys_execveat(program, "", argv, envp, AT_EMPTY_PATH);
	_exit(127);
}

/* The process between: its child belongs to nobody. It tells the number and ends. */
static _Noreturn void detach(const struct start *s, int tell, int go)
{
	struct detached d = {s->program, tell, go};
	sigset_t none;
	pid_t pid;
	char c;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (setsid() < 0 || sys_chdir("/") < 0 || take_descriptors(s, &d) < 0)
		_exit(126);
	pid = sys_fork();
	if (pid == 0) {
		/* Without a record of it nobody would find this process again: the caller writes
		 * that first. The end of the pipe means that the caller is dead. */
		if (sys_read(d.go, &c, 1) != 1)
			_exit(0);
		become(s, d.program);
	}
	(void)!sys_write(d.tell, &pid, sizeof(pid));
	_exit(0);
}

static int write_running(int dir, const struct running *running, struct err *err)
{
	char text[96];
	int r;

	snprintf(text, sizeof(text), "%d %llu %u", running->pid, running->start, running->port);
	r = fd_replace_file(dir, "dns.pid", text, strlen(text), 0600);
	return r < 0 ? err_sys(err, r, "dns.pid") : 0;
}

/* Returns the process's number; GO starts its work. */
static int launch(const struct start *s, int tell[2], int go[2], pid_t *ret, struct err *err)
{
	int status = 0, r;
	pid_t between = sys_fork();

	if (between == 0) {
		cleanup_close(&go[1]); /* else its end would never be seen */
		detach(s, tell[1], go[0]);
	}
	if (between < 0)
		return err_sys(err, between, "fork");
	cleanup_close(&tell[1]);
	r = (int)sys_read(tell[0], ret, sizeof(*ret));
	sys_waitpid(between, &status, 0);
	if (r != sizeof(*ret) || *ret < 0)
		return err_set(err, -EAGAIN, "the name server cannot be started");
	return 0;
}

static int start(struct network_store *store, const struct network *n,
	const struct sockets *sockets, struct err *err)
{
	autoclose int libexec =
		sys_openat(AT_FDCWD, store->places.libexec, O_PATH | O_DIRECTORY, 0);
	autoclose int program = libexec < 0 ? libexec : sys_openat(libexec, "brig-dns", O_PATH, 0);
	autoclose int dir = network_state_dir(store, n->name, err);
	const struct start s = {program, dir, sockets};
	struct running running = {.port = sockets->port};
	int tell[2] = {-1, -1}, go[2] = {-1, -1}, r;

	if (program < 0)
		return err_sys(err, program, "%s/brig-dns", store->places.libexec);
	if (dir < 0)
		return dir;
	r = sys_pipe(tell);
	if (r == 0)
		r = sys_pipe(go);
	if (r < 0)
		err_sys(err, r, "pipe");
	else
		r = launch(&s, tell, go, &running.pid, err);
	if (r == 0) {
		r = start_time(running.pid, &running.start);
		if (r < 0)
			err_sys(err, r, "the name server");
	}
	if (r == 0)
		r = write_running(dir, &running, err);
	if (r == 0 && sys_write(go[1], "", 1) != 1)
		r = err_set(err, -EPIPE, "the name server has died");
	for (int i = 0; i < 2; i++) {
		cleanup_close(&tell[i]);
		cleanup_close(&go[i]);
	}
	return r;
}

int dns_server_ensure(struct network_store *store, const struct network *network, struct err *err)
{
	struct sockets sockets = {};
	struct running running;
	int known = read_running(store, network->name, &running), r = 0;

	if (known == 0 && !running.port)
		r = dns_server_stop(store, network->name, err);
	else if (known == 0 && is_alive(&running))
		return 0;
	if (r == 0)
		r = open_sockets(store, network, known == 0, &sockets, err);
	if (r == 0 && sockets.count)
		r = start(store, network, &sockets, err);
	close_sockets(&sockets);
	return r < 0 ? err_add(err, "names of network %s", network->name) : 0;
}

/* The process, or −1 when it is not there any more. */
static int open_running(const struct running *running)
{
	autoclose int pidfd = sys_pidfd_open(running->pid, 0);

	/* The number's owner is looked at after it was opened: it is that process, or none. */
	return pidfd >= 0 && is_alive(running) ? take_fd(&pidfd) : -1;
}

int dns_server_dismiss(struct network_store *store, const char *network, struct err *err)
{
	autoclose int pidfd = -1, dir = -1;
	struct running running;
	int r;

	if (read_running(store, network, &running) < 0)
		return 0;
	pidfd = open_running(&running);
	if (pidfd < 0)
		return dns_server_stop(store, network, err);
	r = dir = network_state_dir(store, network, err);
	if (r < 0)
		return r;
	running.port = 0;
	r = write_running(dir, &running, err);
	if (r < 0)
		return r;
	r = sys_pidfd_send_signal(pidfd, SIGTERM);
	return r < 0 && r != -ESRCH ? err_sys(err, r, "end the name server of network %s", network)
				    : 0;
}

int dns_server_stop(struct network_store *store, const char *network, struct err *err)
{
	char path[NETWORK_NAME_MAX + 16];
	struct running running;
	autoclose int pidfd = -1;
	int r;

	if (read_running(store, network, &running) < 0)
		return 0;
	pidfd = open_running(&running);
	if (pidfd >= 0) {
		struct pollfd wait = {.fd = pidfd, .events = POLLIN};

		r = sys_pidfd_send_signal(pidfd, SIGTERM);
		if (r == 0 && sys_poll(&wait, 1, STOP_MS) == 0)
			r = sys_pidfd_send_signal(pidfd, SIGKILL);
		if (r < 0 && r != -ESRCH)
			return err_sys(err, r, "end the name server of network %s", network);
	}
	snprintf(path, sizeof(path), "nets/%s/dns.pid", network);
	r = sys_unlinkat(store->state, path, 0);
	return r < 0 && r != -ENOENT ? err_sys(err, r, "%s", path) : 0;
}

static int tidy_one(struct network_store *store, const char *network, struct err *err)
{
	struct running running;
	autoclose int pidfd = -1;
	int r;

	if (read_running(store, network, &running) < 0 || running.port)
		return 0;
	pidfd = open_running(&running);
	if (pidfd >= 0)
		sys_poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, STOP_MS);
	r = network_lock(store, err);
	if (r < 0)
		return r;
	/* Somebody may have started another one meanwhile. */
	if (read_running(store, network, &running) == 0 && !running.port)
		r = dns_server_stop(store, network, err);
	network_unlock(store);
	return r;
}

int dns_server_tidy(struct network_store *store, struct err *err)
{
	autoarena struct arena arena = {};
	struct strings networks;
	int r = network_names(store->state, "nets", "", &arena, &networks, err);

	for (size_t i = 0; i < networks.count && r == 0; i++)
		r = tidy_one(store, networks.items[i], err);
	return r;
}
