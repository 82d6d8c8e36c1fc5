/* SPDX-License-Identifier: Apache-2.0 */
/* Process: the attendant, and the process that stands for one of exec. */
#include "runtime/microvm/host/attend.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/jail.h"
#include "base/sys.h"
#include "runtime/microvm/vmm/filter.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

enum { STDOUT = 0, STDERR = 1, TERMINAL = 2 }; /* of .out and .written */

/*
 * What is called from attend_seal() on, here, in pump.c, link.c, machine.c and base/:
 * #syscalls:attendant read write pread64 splice poll ppoll close shutdown fcntl fstat newfstatat
 * sendmsg recvmsg sendto recvfrom accept4 getsockopt wait4 waitid clock_gettime ioctl=TIOCGWINSZ
 * kill getpid gettid clone set_robust_list rt_sigaction rt_sigprocmask rt_sigreturn mmap
 * mremap mprotect madvise futex tgkill exit
 */

void attend_init(struct attend *a)
{
	*a = (struct attend){
		.session = {.fd = -1},
		.tty = -1,
		.signals = -1,
		.in = {.from = -1, .to = -1},
		.watched = -1,
	};
	for (int i = 0; i < 3; i++)
		a->out[i].from = a->out[i].to = a->pipes[i] = -1;
}

/* What comes from nowhere, or goes there, needs no way into the guest. */
static bool leads_nowhere(int fd)
{
	struct stat st;

	return sys_fstat(fd, &st) < 0 || (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
}

static int take_signals(struct attend *a, struct err *err)
{
	sigset_t set;

	sigfillset(&set);
	if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
		return err_sys(err, -errno, "block signals");
	a->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return a->signals < 0 ? err_sys(err, -errno, "signalfd") : 0;
}

/* Of a devpts that is mounted nowhere. Bytes pass unchanged: the guest's terminal does the rest. */
static int make_terminal(
	struct attend *a, const struct spec_console_size *size, int console_socket, struct err *err)
{
	autoclose int fs = sys_fsopen("devpts"), mount = -1, master = -1;
	struct termios raw;
	int r = fs < 0 ? fs : sys_fsconfig(fs, FSCONFIG_SET_STRING, "ptmxmode", "0666", 0);

	if (r == 0)
		r = sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (r == 0)
		r = mount = sys_fsmount(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	if (r < 0)
		return err_sys(err, r, "make a terminal");
	r = console_open(mount, size, &master, &a->tty, err);
	if (r == 0)
		r = console_send(console_socket, master, err);
	if (r < 0)
		return r;
	if (tcgetattr(a->tty, &raw) < 0)
		return err_sys(err, -errno, "make a terminal");
	cfmakeraw(&raw);
	if (tcsetattr(a->tty, TCSANOW, &raw) < 0 || ioctl(a->tty, TIOCSCTTY, 0) < 0)
		return err_sys(err, -errno, "make a terminal");
	return 0;
}

static int open_stream(
	struct attend *a, int dirfd, const char *listener, int which, int *ret, struct err *err)
{
	int fd = link_connect(dirfd, listener, err);

	if (fd < 0)
		return fd;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
		close(fd);
		return err_sys(err, -errno, "a stream of the virtual machine");
	}
	a->streams |= 1U << which;
	a->connected[which] = fd;
	*ret = fd;
	return 0;
}

static int add_pump(struct pump *pump, int from, int to, struct err *err)
{
	int r = from < 0 || to < 0 ? -EMFILE : pump_start(pump, from, to);

	return r < 0 ? err_sys(err, r, "a stream of the virtual machine") : 0;
}

static int open_terminal_streams(struct attend *a, int dirfd, const char *listener, struct err *err)
{
	int fd, r = open_stream(a, dirfd, listener, 3, &fd, err);

	if (r == 0)
		r = add_pump(&a->in, sys_dup(a->tty), sys_dup(fd), err);
	return r < 0 ? r : add_pump(a->out + TERMINAL, fd, sys_dup(a->tty), err);
}

/* Standard output or error: a pipe goes to the VMM, for everything else its bytes come here. */
static int add_output(struct attend *a, int procfd, int which, int from, struct err *err)
{
	struct pump *pump = a->out + which - 1;
	int pipe = pump_open_pipe(procfd, which);

	if (pipe < 0)
		return add_pump(pump, from, sys_dup(which), err);
	a->pipes[which] = pipe;
	pump_hand(pump, from);
	return 0;
}

static int open_streams(
	struct attend *a, int procfd, int dirfd, const char *listener, struct err *err)
{
	int fd = -1, r = 0;

	for (int i = 0; i < 3 && r == 0; i++) {
		if (leads_nowhere(i))
			continue;
		r = open_stream(a, dirfd, listener, i, &fd, err);
		if (r == 0 && i == 0)
			r = add_pump(&a->in, sys_dup(0), fd, err);
		else if (r == 0)
			r = add_output(a, procfd, i, fd, err);
	}
	return r;
}

/* From here on only the pumps have what the caller gave us, and give it up when they are done. */
static int leave_streams(struct err *err)
{
	autoclose int null = sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);

	for (int i = 0; i < 3; i++) {
		if (null < 0 || dup2(null, i) < 0)
			return err_sys(err, null < 0 ? null : -errno, "/dev/null");
	}
	return 0;
}

int attend_open(struct attend *a, int procfd, int dirfd, const char *listener, bool terminal,
	const struct spec_console_size *size, int console_socket, struct err *err)
{
	pid_t pid;
	int r = stage_host_pid(procfd, &pid, err);

	if (r == 0)
		r = take_signals(a, err);
	if (r < 0)
		return r;
	a->id = (uint32_t)pid;
	if (terminal)
		r = make_terminal(a, size, console_socket, err);
	if (r == 0)
		r = a->session.fd = link_connect(dirfd, listener, err);
	if (r >= 0)
		r = terminal ? open_terminal_streams(a, dirfd, listener, err)
			     : open_streams(a, procfd, dirfd, listener, err);
	return r < 0 ? r : leave_streams(err);
}

int attend_greet(struct attend *a, struct err *err)
{
	int r = link_greet(a->session.fd, PROTO_SESSION, 0, -1, err);

	for (int i = 0; i < PROTO_STREAMS && r == 0; i++) {
		int pipe = i < 3 ? a->pipes[i] : -1;

		if (a->streams & 1U << i)
			r = link_greet(a->connected[i], 1U << i, a->id, pipe, err);
	}
	for (int i = 0; i < 3; i++)
		cleanup_close(a->pipes + i); /* else who reads would never see their end */
	return r;
}

void attend_fill_start(const struct attend *a, struct proto_start *ret)
{
	struct winsize size = {};

	*ret = (struct proto_start){.id = a->id, .streams = a->streams};
	if (a->tty >= 0 && ioctl(a->tty, TIOCGWINSZ, &size) == 0) {
		ret->rows = size.ws_row;
		ret->columns = size.ws_col;
	}
}

int attend_seal(const struct attend *a, const int *extra, size_t count, struct err *err)
{
	enum { OWN = 14, EXTRA_MAX = 16 };
	int keep[OWN + EXTRA_MAX] = {a->session.fd, a->tty, a->signals, a->in.from, a->in.to,
		a->out[0].from, a->out[0].to, a->out[1].from, a->out[1].to, a->out[2].from,
		a->out[2].to, a->pipes[0], a->pipes[1], a->pipes[2]};
	int r = count > EXTRA_MAX ? -E2BIG : 0;

	if (r == 0) {
		memcpy(keep + OWN, extra, count * sizeof(*extra));
		r = fd_keep_only(3, keep, OWN + count);
	}
	return r < 0 ? err_sys(err, r, "close descriptors") : filter_load("attendant", err);
}

int attend_unprivilege(uid_t uid, struct err *err)
{
	int r = jail_user(uid, uid);

	if (r == 0)
		r = jail_limit(RLIMIT_CORE, 0);
	if (r == 0)
		r = jail_capabilities(0);
	if (r == 0)
		r = sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (r == 0)
		r = sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (r == 0)
		r = jail_files(-1, 0);
	return r < 0 ? err_sys(err, r, "give up privileges") : 0;
}

/* ---- the loop ---- */

static int pass_window_size(struct attend *a, struct err *err)
{
	struct winsize size;

	if (a->tty < 0 || ioctl(a->tty, TIOCGWINSZ, &size) < 0)
		return 0;
	return link_send_resize(&a->session, a->id, size.ws_row, size.ws_col, err);
}

static int pass_signal(struct attend *a, struct err *err)
{
	struct signalfd_siginfo info;

	if (sys_read(a->signals, &info, sizeof(info)) != sizeof(info))
		return 0;
	switch (info.ssi_signo) {
	case SIGCHLD:
		return a->on_child ? a->on_child(a, err) : 0;
	case SIGPIPE: /* of a write of ours */
		if (info.ssi_code == SI_USER && info.ssi_pid == getpid())
			return 0;
		break;
	case SIGWINCH:
		if (a->tty >= 0)
			return pass_window_size(a, err);
		break;
	case SIGHUP: /* our terminal's master was closed; the guest's closes with it */
		if (a->tty >= 0 && info.ssi_code == SI_KERNEL)
			return 0;
		break;
	default:
		break;
	}
	return link_send_signal(&a->session, a->id, (int)info.ssi_signo, err);
}

static int take_message(struct attend *a, const struct link_message *message, struct err *err)
{
	if (message->type == PROTO_EXITED && message->exited.id == a->id) {
		a->ended = true;
		a->status = message->exited.status;
		memcpy(a->written, message->exited.written, sizeof(a->written));
		for (int i = 0; i < 3; i++)
			pump_expect(a->out + i, a->written[i]);
		a->oom_kills = message->exited.oom_kills;
		return 0;
	}
	if ((message->type == PROTO_DONE || message->type == PROTO_FAILED) && a->on_answer)
		return a->on_answer(a, message, err);
	return err_set(err, -EPROTO, "the guest agent says what makes no sense");
}

static int take_messages(struct attend *a, struct err *err)
{
	struct link_message message;
	int r;

	while ((r = link_next(&a->session, &message)) > 0) {
		r = take_message(a, &message, err);
		if (r < 0)
			return r;
	}
	return r < 0 ? err_set(err, r, "the guest agent says what makes no sense") : 0;
}

static int read_session(struct attend *a, struct err *err)
{
	int r = link_read(&a->session), taken = take_messages(a, err);

	if (taken == 0 && r < 0 && !a->ended)
		return err_set(err, -EPIPE, "the virtual machine has ended");
	return taken;
}

static bool is_passed_on(const struct attend *a)
{
	for (int i = 0; i < 3; i++)
		if (a->out[i].from >= 0 && a->out[i].total < a->written[i])
			return false;
	return true;
}

enum { FD_SESSION, FD_SIGNALS, FD_WATCHED, FD_IN, FD_OUT, FD_COUNT = FD_OUT + 3 };

static void prepare(const struct attend *a, struct pollfd fds[FD_COUNT])
{
	fds[FD_SESSION] = (struct pollfd){a->ended ? -1 : a->session.fd, POLLIN, 0};
	fds[FD_SIGNALS] = (struct pollfd){a->signals, POLLIN, 0};
	fds[FD_WATCHED] = (struct pollfd){a->watched, POLLIN, 0};
	fds[FD_IN] = pump_poll(&a->in);
	for (int i = 0; i < 3; i++)
		fds[FD_OUT + i] = pump_poll(a->out + i);
}

static int turn(struct attend *a, struct err *err)
{
	struct pollfd fds[FD_COUNT];
	int r;

	prepare(a, fds);
	r = sys_poll(fds, FD_COUNT, -1);
	if (r < 0)
		return r == -EINTR ? 0 : err_sys(err, r, "poll");
	r = 0;
	for (int i = 0; i < 3; i++)
		if (fds[FD_OUT + i].revents)
			pump_move(a->out + i);
	if (fds[FD_IN].revents)
		pump_move(&a->in);
	if (fds[FD_SESSION].revents)
		r = read_session(a, err);
	if (r == 0 && fds[FD_SIGNALS].revents && !a->ended)
		r = pass_signal(a, err);
	if (r == 0 && fds[FD_WATCHED].revents)
		r = a->on_watched(a, err);
	return r;
}

int attend_run(struct attend *a, struct err *err)
{
	int r = take_messages(a, err); /* that came with the answer to a request */

	while (r == 0 && !(a->ended && is_passed_on(a)))
		r = turn(a, err);
	pump_close(&a->in);
	return r;
}

/* Others may have inherited its streams and write on, as in a container of this kernel. */
static void leave_pumps(struct attend *a)
{
	bool left = false;

	for (int i = 0; i < 3; i++)
		left |= !pump_leave(a->out + i);
	if (!left || sys_fork() != 0)
		return;
	link_close(&a->session);
	a->watched = -1;
	while (a->out[0].from >= 0 || a->out[1].from >= 0 || a->out[2].from >= 0) {
		struct pollfd fds[3];

		for (int i = 0; i < 3; i++)
			fds[i] = pump_poll(a->out + i);
		if (sys_poll(fds, 3, -1) < 0)
			continue;
		for (int i = 0; i < 3; i++)
			if (fds[i].revents)
				pump_move(a->out + i);
	}
	_exit(0);
}

void attend_exit(struct attend *a)
{
	int sig = WIFSIGNALED(a->status) ? WTERMSIG(a->status) : 0;
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t none;

	leave_pumps(a);
	if (sig) {
		sigemptyset(&none);
		sigaction(sig, &action, NULL);
		sys_kill(getpid(), sig);
		sigprocmask(SIG_SETMASK, &none, NULL);
		_exit(128 + sig);
	}
	_exit(WIFEXITED(a->status) ? WEXITSTATUS(a->status) : 255);
}
