/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brig-dns: the name server of one network. Started by netns/dns/server.c with the network's state
 * as descriptor 3 and pairs of sockets, UDP and TCP, from 4 on; never by hand.
 *
 * Two processes: one that serves, and one that starts it anew when it dies. Sockets belong to both,
 * so that queries wait meanwhile.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/sys.h"
#include "netns/dns/client.h"
#include "netns/dns/jail.h"
#include "netns/dns/serve.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define RESOLV_CONF "/etc/resolv.conf"

enum { RESOLV_CONF_MAX = 1 << 16 };
enum { FD_DIR = 3, FD_SOCKETS = 4, PAUSE_MIN_MS = 50, PAUSE_MAX_MS = 5000, WELL_AFTER_S = 10 };

static _Noreturn void work(const struct serve *serve, pid_t parent)
{
	struct err err = {};

	if (sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
		_exit(1);
	if (dns_jail_filter(&err) < 0)
		_exit(1);
	serve_run(serve);
	_exit(1);
}

/* Waits for the end of PID; a signal to end ends both. */
static bool attend(pid_t pid, const sigset_t *signals)
{
	for (;;) {
		siginfo_t info;
		int status;

		if (sigwaitinfo(signals, &info) < 0)
			continue;
		if (info.si_signo == SIGCHLD) {
			if (sys_waitpid(pid, &status, WNOHANG) == pid)
				return true;
			continue;
		}
		sys_kill(pid, SIGKILL);
		sys_waitpid(pid, &status, 0);
		return false;
	}
}

static void wait_ms(unsigned int ms)
{
	const struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};

	nanosleep(&pause, NULL);
}

static int supervise(const struct serve *serve)
{
	unsigned int pause = PAUSE_MIN_MS;
	pid_t self = getpid();
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	for (;;) {
		time_t began = time(NULL);
		pid_t pid = sys_fork();

		if (pid == 0)
			work(serve, self);
		if (pid > 0 && !attend(pid, &signals))
			return 0;
		if (time(NULL) - began >= WELL_AFTER_S)
			pause = PAUSE_MIN_MS;
		wait_ms(pause);
		pause = pause * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause * 2;
	}
}

/* brig-dns resolve NAME: standard output is a socket. For commands that need to know an address. */
static int resolve(const char *name)
{
	autobuf struct buf text = {};
	autoclose int fd = sys_openat(AT_FDCWD, RESOLV_CONF, O_RDONLY | O_NONBLOCK, 0);
	struct resolv servers = {};
	struct err err = {};
	int r = fd;

	if (r >= 0)
		r = fd_read_all(fd, RESOLV_CONF_MAX, &text);
	if (r < 0)
		err_sys(&err, r, RESOLV_CONF);
	resolv_parse(buf_str(&text), &servers);
	if (r >= 0)
		r = dns_jail_enter(-1, &err);
	if (r == 0)
		r = dns_jail_filter(&err);
	if (r == 0)
		r = dns_client_resolve(name, &servers, STDOUT_FILENO, &err);
	if (r < 0)
		(void)send(STDOUT_FILENO, err.text, strlen(err.text), MSG_NOSIGNAL);
	return r < 0;
}

int main(int argc, char **argv)
{
	struct serve serve = {.dir = FD_DIR};
	struct err err = {};
	uint32_t pairs;

	if (argc == 3 && strcmp(argv[1], "resolve") == 0)
		_exit(resolve(argv[2]));

	if (argc != 3 || parse_u32(argv[1], &pairs) < 0 || pairs > ARRAY_LEN(serve.udp)) {
		fprintf(stderr, "brig-dns is started by brig\n");
		return 2;
	}
	for (uint32_t i = 0; i < pairs; i++) {
		serve.udp[i] = FD_SOCKETS + 2 * (int)i;
		serve.tcp[i] = serve.udp[i] + 1;
	}
	serve.sockets = pairs;
	serve.resolv_conf = argv[2];
	if (dns_jail_enter(serve.dir, &err) < 0) {
		fprintf(stderr, "brig-dns: %s\n", err.text);
		return 1;
	}
	return supervise(&serve);
}
