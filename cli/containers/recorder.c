/* SPDX-License-Identifier: Apache-2.0 */
/* Process: the recorder, a child of the monitor; and the monitor. */
#include "cli/containers/recorder.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/sys_self.h"
#include "runtime/attrs/seccomp/names.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS /* Linux 6.6 */
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS      SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

enum { LISTENERS_MAX = 64, STATE_MAX = 64 << 10, X32_BIT = 0x40000000 };

/* ---- the profiles ---- */

/* The architectures whose programs this machine can run; the first is its own. */
static const struct {
	uint32_t arch, audit;
	const char *name;
} arches[] = {
#ifdef __aarch64__
	{SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64, "SCMP_ARCH_AARCH64"},
	{SCMP_ARCH_ARM, AUDIT_ARCH_ARM, "SCMP_ARCH_ARM"},
#else
	{SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64, "SCMP_ARCH_X86_64"},
	{SCMP_ARCH_X86, AUDIT_ARCH_I386, "SCMP_ARCH_X86"},
	{SCMP_ARCH_X32, AUDIT_ARCH_X86_64, "SCMP_ARCH_X32"},
#endif
};
_Static_assert(ARRAY_LEN(arches) <= RECORDER_ARCHES, "each has a place in struct recorded");

/* Two that come of a signal's moment, so that another run may need them: the kernel makes a process
 * call them, no program does. */
static const char *const of_signals[] = {"restart_syscall", "rt_sigreturn"};

/* A set of names, as the keys of an object. */
static void add_name(json_t *set, const char *name)
{
	json_object_set_new(set, name, json_true());
}

static void add_numbers(json_t *set, uint32_t arch, const bool *seen)
{
	for (uint32_t i = 0; i < RECORDER_CALLS; i++) {
		char name[SECCOMP_NAME_SIZE];

		if ((!seen || seen[i]) && seccomp_name_of(arch, i, name))
			add_name(set, name);
	}
}

/* The names of SET in their order as the one rule of a profile. */
static json_t *rules(const json_t *set, const char *action)
{
	autofree char *text = json_dumps(set, JSON_SORT_KEYS);
	json_t *sorted = text ? json_loads(text, 0, NULL) : NULL, *names = json_array(), *value;
	const char *key;

	if (!sorted || !names) {
		json_decref(sorted);
		json_decref(names);
		return NULL;
	}
	json_object_foreach (sorted, key, value)
		json_array_append_new(names, json_string(key));
	json_decref(sorted);
	return json_pack("[{s:o, s:s}]", "names", names, "action", action);
}

static json_t *flags(void)
{
	unsigned int killable =
		SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV | SECCOMP_FILTER_FLAG_NEW_LISTENER;

	/* A flag is there when the kernel does not refuse it before it looks at the filter. */
	return sys_seccomp(SECCOMP_SET_MODE_FILTER, killable, NULL) == -EFAULT
		       ? json_pack("[s]", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")
		       : json_array();
}

json_t *recorder_profile(const char *listener)
{
	autojson json_t *names = json_object();
	json_t *all = json_array();

	for (size_t i = 0; i < ARRAY_LEN(arches); i++) {
		json_array_append_new(all, json_string(arches[i].name));
		add_numbers(names, arches[i].arch, NULL);
	}
	return json_pack("{s:s, s:o, s:o, s:s, s:o}", "defaultAction", "SCMP_ACT_ALLOW",
		"architectures", all, "flags", flags(), "listenerPath", listener, "syscalls",
		rules(names, "SCMP_ACT_NOTIFY"));
}

void recorded_add(struct recorded *recorded, uint32_t audit_arch, uint32_t number)
{
	uint32_t arch = 0;

	for (size_t i = 0; i < ARRAY_LEN(arches) && !arch; i++)
		if (arches[i].audit == audit_arch)
			arch = arches[i].arch;
#ifndef __aarch64__
	if (arch == SCMP_ARCH_X86_64 && (number & X32_BIT)) {
		arch = SCMP_ARCH_X32;
		number &= ~(uint32_t)X32_BIT;
	}
#endif
	for (size_t i = 0; arch && number < RECORDER_CALLS && i < RECORDER_ARCHES; i++)
		if (!recorded->arches[i].arch || recorded->arches[i].arch == arch) {
			recorded->arches[i].arch = arch;
			recorded->arches[i].seen[number] = true;
			return;
		}
}

int recorded_write(const struct recorded *recorded, struct buf *ret)
{
	autojson json_t *names = json_object();
	autojson json_t *profile = NULL;
	json_t *used = json_array();

	for (size_t i = 0; i < ARRAY_LEN(arches); i++)
		for (size_t k = 0; k < RECORDER_ARCHES; k++)
			if (recorded->arches[k].arch == arches[i].arch) {
				json_array_append_new(used, json_string(arches[i].name));
				add_numbers(names, arches[i].arch, recorded->arches[k].seen);
			}
	for (size_t i = 0; i < ARRAY_LEN(of_signals); i++)
		add_name(names, of_signals[i]);
	profile = json_pack("{s:s, s:i, s:o, s:o}", "defaultAction", "SCMP_ACT_ERRNO",
		"defaultErrnoRet", EPERM, "architectures", used, "syscalls",
		rules(names, "SCMP_ACT_ALLOW"));
	if (!profile || json_write(profile, JSON_INDENT(2), ret) < 0)
		return -ENOMEM;
	buf_puts(ret, "\n");
	return ret->failed ? -ENOMEM : 0;
}

/* ---- the process ---- */

enum role { FREE, LISTENING, CONNECTED, NOTICES };

struct recording {
	struct recorded recorded;
	struct pollfd fds[2 + LISTENERS_MAX]; /* control, the socket, then any */
	enum role roles[2 + LISTENERS_MAX];
	size_t count;
	struct seccomp_notif *notice;
	size_t notice_size;
};

static void add_fd(struct recording *r, int fd, enum role role)
{
	for (size_t i = 2; i < ARRAY_LEN(r->fds); i++) {
		if (r->roles[i] != FREE)
			continue;
		r->fds[i] = (struct pollfd){.fd = fd, .events = POLLIN};
		r->roles[i] = role;
		if (i >= r->count)
			r->count = i + 1;
		return;
	}
	close(fd); /* its process gets ENOSYS, and says so */
}

static void drop_fd(struct recording *r, size_t i)
{
	cleanup_close(&r->fds[i].fd);
	r->roles[i] = FREE;
}

/* The runtime's message: a state that we need nothing of, and the listener. */
static void take_listener(struct recording *r, size_t i)
{
	autofree char *state = malloc(STATE_MAX);
	uint64_t flags = SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP;
	int listener = -1;
	size_t count = 1;

	if (state && fd_recv(r->fds[i].fd, state, STATE_MAX, &listener, &count) > 0 && count == 1) {
		/* Where there is that: who makes the call and we take turns on one processor. */
		(void)!ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, flags);
		add_fd(r, listener, NOTICES);
	}
	drop_fd(r, i);
}

static void take_notice(struct recording *r, int listener)
{
	struct seccomp_notif_resp answer = {.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

	memset(r->notice, 0, r->notice_size);
	if (sys_ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, r->notice) < 0)
		return; /* it was killed meanwhile */
	recorded_add(&r->recorded, r->notice->data.arch, (uint32_t)r->notice->data.nr);
	answer.id = r->notice->id;
	(void)!sys_ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

static void handle(struct recording *r, size_t i)
{
	short events = r->fds[i].revents;
	int fd;

	if (r->roles[i] == LISTENING) {
		fd = sys_accept(r->fds[i].fd);
		if (fd >= 0)
			add_fd(r, fd, CONNECTED);
	} else if (r->roles[i] == CONNECTED) {
		take_listener(r, i);
	} else if (events & POLLIN) {
		take_notice(r, r->fds[i].fd);
	} else if (events) { /* no process has the filter any more */
		drop_fd(r, i);
	}
}

static void record(struct recording *r)
{
	for (;;) {
		if (sys_poll(r->fds, (unsigned int)r->count, -1) < 0)
			continue;
		if (r->fds[0].revents)
			return;
		for (size_t i = 1; i < r->count; i++)
			if (r->fds[i].revents)
				handle(r, i);
	}
}

static _Noreturn void recorder(int control, int sock, const char *file)
{
	struct recording *r = calloc(1, sizeof(*r));
	struct seccomp_notif_sizes sizes = {};
	autobuf struct buf text = {};
	int code;

	sys_prctl(PR_SET_NAME, (unsigned long)"brig-recorder", 0, 0, 0);
	if (!r || sys_seccomp(SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
		_exit(1);
	r->notice_size =
		sizes.seccomp_notif > sizeof(*r->notice) ? sizes.seccomp_notif : sizeof(*r->notice);
	r->notice = malloc(r->notice_size);
	if (!r->notice)
		_exit(1);
	r->fds[0] = (struct pollfd){.fd = control, .events = POLLIN};
	r->fds[1] = (struct pollfd){.fd = sock, .events = POLLIN};
	r->roles[1] = LISTENING;
	r->count = 2;
	record(r);
	code = recorded_write(&r->recorded, &text);
	if (code == 0)
		code = fd_replace_path(file, text.data, text.len, 0644);
	_exit(code < 0);
}

/* ---- the monitor's side ---- */

/* So that a run of an hour does not find out at its end that it has recorded for nothing. */
static int check_file(const char *file, struct err *err)
{
	autofree char *dir = strdup(file);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	int r;

	if (!slash)
		return err_sys(err, dir ? -EINVAL : -ENOMEM, "--record-seccomp");
	slash[slash == dir] = '\0';
	r = sys_faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS);
	return r < 0 ? err_sys(err, r, "--record-seccomp: write to %s", dir) : 0;
}

int recorder_start(int rundir, const char *file, struct recorder *ret, struct err *err)
{
	autoclose int sock = sys_socket_unix(SOCK_SEQPACKET), ours = -1, theirs = -1;
	int pipe[2], r = check_file(file, err);
	pid_t pid;

	if (r < 0)
		return r;
	sys_unlinkat(rundir, RECORDER_SOCKET, 0);
	r = sock < 0 ? sock : sys_bind_unix(sock, rundir, RECORDER_SOCKET);
	if (r == 0)
		r = sys_listen(sock, LISTENERS_MAX);
	if (r == 0)
		r = sys_pipe(pipe);
	if (r < 0)
		return err_sys(err, r, "--record-seccomp");
	theirs = pipe[0], ours = pipe[1];
	pid = sys_fork();
	if (pid == 0) {
		close(ours);
		recorder(theirs, sock, file);
	}
	if (pid < 0)
		return err_sys(err, pid, "--record-seccomp");
	*ret = (struct recorder){.pid = pid, .control = take_fd(&ours)};
	return 0;
}

void recorder_cancel(struct recorder *recorder, int rundir)
{
	if (recorder->pid > 0)
		kill(recorder->pid, SIGKILL);
	recorder_finish(recorder, rundir);
}

void recorder_finish(struct recorder *recorder, int rundir)
{
	if (recorder->pid <= 0)
		return;
	cleanup_close(&recorder->control);
	sys_waitpid(recorder->pid, NULL, 0);
	recorder->pid = 0;
	sys_unlinkat(rundir, RECORDER_SOCKET, 0);
}
