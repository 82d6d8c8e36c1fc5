/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/devices/loop.h"

#include "base/sys.h"

#include <sys/eventfd.h>
#include <unistd.h>

int loop_open(struct loop *loop, struct err *err)
{
	*loop = (struct loop){.epoll = epoll_create1(EPOLL_CLOEXEC)};
	return loop->epoll < 0 ? err_sys(err, -errno, "epoll_create1") : 0;
}

void loop_close(struct loop *loop)
{
	if (loop->epoll >= 0)
		close(loop->epoll);
	loop->epoll = -1;
}

/* #syscalls:io,vcpu epoll_ctl */
int loop_add(struct loop *loop, struct loop_source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, source->fd, &event) < 0 ? -errno : 0;
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, source->fd, NULL);
}

/* #syscalls:io epoll_wait epoll_pwait */
int loop_turn(struct loop *loop, int timeout_ms)
{
	struct epoll_event batch[LOOP_BATCH];
	int n = epoll_wait(loop->epoll, batch, LOOP_BATCH, timeout_ms);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		struct loop_source *source = batch[i].data.ptr;

		source->ready(source, batch[i].events);
	}
	return n;
}

int loop_run(struct loop *loop)
{
	int r = 0;

	while (!loop->stop && r >= 0)
		r = loop_turn(loop, -1);
	return r < 0 ? r : 0;
}

int event_open(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

/* A full counter is as good as one more: the reader wakes up either way. #syscalls:io,vcpu write */
void event_signal(int fd)
{
	uint64_t one = 1;

	(void)!sys_write(fd, &one, sizeof(one));
}

/* #syscalls:io read */
bool event_take(int fd)
{
	uint64_t count;

	return sys_read(fd, &count, sizeof(count)) == sizeof(count);
}
