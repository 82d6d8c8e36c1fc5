/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/attrs/seccomp/load.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "base/sys_self.h"

#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

enum {
	STACK_SIZE = 64 << 10,
	SEND_TIMEOUT_MS = 10000,
	SPINS_BEFORE_SLEEP = 64,
	SLEEP_NS = 50000,
};

/*
 * What loader and thread share. .listener goes from NOT_YET to a descriptor or a negative errno,
 * once, by the loader; .result from NOT_YET to 0 or a negative errno, once, by the thread.
 */
enum { NOT_YET = INT32_MIN };

struct handover {
	atomic_int listener, result;
	int sock;
	const void *state;
	size_t len;
};

static int check(const struct seccomp_program *program, struct err *err)
{
	if (program->count == 0 || program->count > BPF_MAXINSNS)
		return err_set(
			err, -EINVAL, "seccomp: a filter of %zu instructions", program->count);
	return 0;
}

static int explain(int code, struct err *err)
{
	if (code == -EACCES)
		return err_set(err, code,
			"seccomp: installing a filter needs process.noNewPrivileges, or "
			"CAP_SYS_ADMIN in "
			"the user namespace");
	if (code == -EBUSY)
		return err_set(err, code,
			"seccomp: SCMP_ACT_NOTIFY: a listener watches this process already, and "
			"the "
			"kernel has no more than one");
	return err_sys(err, code, "seccomp: installing the filter");
}

/* The call itself. Nothing that could make another system call may follow it here. */
static int install(const struct seccomp_program *program)
{
	struct sock_fprog prog = {
		.len = (unsigned short)program->count,
		.filter = program->insns,
	};
	unsigned int flags = program->flags;

	if (program->notify)
		flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
	return sys_seccomp(SECCOMP_SET_MODE_FILTER, flags, &prog);
}

int seccomp_install(const struct seccomp_program *program, int *ret_listener, struct err *err)
{
	int r = check(program, err);

	if (r < 0)
		return r;
	if (program->notify && !ret_listener)
		return err_set(err, -EINVAL,
			"linux.seccomp.listenerPath: missing, but a rule says SCMP_ACT_NOTIFY");
	r = install(program);
	if (r < 0)
		return explain(r, err);
	if (ret_listener)
		*ret_listener = program->notify ? r : -1;
	return 0;
}

/* ---- the thread ---- */

/*
 * Waits until the loader has stored a value. The loader can call nothing to wake anybody, so this
 * looks again and again; it lasts as long as one seccomp(2). Until the value is there, errno is the
 * loader's (the two share it): sched_yield(2) never fails and clock_nanosleep(3) does not set it.
 */
static int wait_listener(struct handover *h)
{
	const struct timespec pause = {.tv_nsec = SLEEP_NS};
	int listener;

	for (int i = 0;; i++) {
		listener = atomic_load_explicit(&h->listener, memory_order_acquire);
		if (listener != NOT_YET)
			return listener;
		if (i < SPINS_BEFORE_SLEEP)
			sched_yield();
		else
			clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	}
}

/* Sends what is left of the message, without a descriptor, when the socket took only a part. */
static int send_rest(int sock, const char *data, size_t len)
{
	while (len > 0) {
		struct pollfd ready = {.fd = sock, .events = POLLOUT};
		struct iovec iov = {.iov_base = (void *)data, .iov_len = len};
		const struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
		int r = sys_poll(&ready, 1, SEND_TIMEOUT_MS);
		ssize_t n;

		if (r <= 0)
			return r < 0 ? r : -ETIMEDOUT;
		n = sys_sendmsg(sock, &msg, MSG_DONTWAIT);
		if (n < 0 && n != -EAGAIN)
			return (int)n;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int send_listener(const struct handover *h, int listener)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct iovec iov = {.iov_base = (void *)h->state, .iov_len = h->len};
	const struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
	struct pollfd ready = {.fd = h->sock, .events = POLLOUT};
	ssize_t n;
	int r;

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	*(int *)CMSG_DATA(head) = listener;
	r = sys_poll(&ready, 1, SEND_TIMEOUT_MS);
	if (r <= 0)
		return r < 0 ? r : -ETIMEDOUT;
	n = sys_sendmsg(h->sock, &msg, MSG_DONTWAIT);
	if (n < 0)
		return (int)n;
	return send_rest(h->sock, (const char *)h->state + n, h->len - (size_t)n);
}

/* Sent or not, the listener is closed here: the loader could perhaps not, and when sending failed
 * this was the last one, which makes trapped calls fail instead of waiting. */
static int hand_over(void *arg)
{
	struct handover *h = arg;
	const int listener = wait_listener(h);
	int r = 0;

	if (listener >= 0) {
		r = send_listener(h, listener);
		close(listener);
	}
	atomic_store_explicit(&h->result, r, memory_order_release);
	return 0;
}

/* ---- the loader ---- */

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Starts the thread on a stack of its own, which is left to the process: it may not be unmapped
 * while the thread runs, nor after the filter stands. */
static int start_thread(struct handover *h)
{
	const int flags =
		CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (stack == MAP_FAILED)
		return -errno;
	if (clone(hand_over, stack + STACK_SIZE, flags, h) < 0) {
		int r = -errno;

		munmap(stack, STACK_SIZE);
		return r;
	}
	return 0;
}

int seccomp_install_notify(const struct seccomp_program *program, int sock, const void *state,
	size_t len, struct err *err)
{
	struct handover *h;
	int r = check(program, err);
	int listener;

	if (r < 0)
		return r;
	if (!program->notify)
		return seccomp_install(program, NULL, err);
	if (len == 0)
		return err_set(err, -EINVAL, "seccomp: nothing to send to the supervisor");
	/* Not on this stack: the thread may outlive the function by a few instructions. */
	h = mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (h == MAP_FAILED)
		return err_sys(err, -errno, "seccomp: handing the listener over");
	h->sock = sock;
	h->state = state;
	h->len = len;
	atomic_init(&h->listener, NOT_YET);
	atomic_init(&h->result, NOT_YET);
	r = start_thread(h);
	if (r < 0) {
		munmap(h, sizeof(*h));
		return err_sys(err, r,
			"seccomp: starting the thread that hands the listener over (pids.max and "
			"RLIMIT_NPROC must leave room for it)");
	}
	listener = install(program);
	atomic_store_explicit(&h->listener, listener, memory_order_release);
	while ((r = atomic_load_explicit(&h->result, memory_order_acquire)) == NOT_YET)
		relax();
	if (listener < 0)
		return explain(listener, err);
	return r < 0 ? err_sys(err, r, "seccomp: sending the listener to its supervisor") : 0;
}
