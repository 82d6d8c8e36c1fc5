/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/fsd/session.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum {
	BUDGET = 64,
	FORGETS = 0, /* the queues */
	REQUESTS = 1,
	LAZY_MS = 50,
};

/* What base/ does for this process is said here.
 * #syscalls:fsd epoll_ctl epoll_wait epoll_pwait read write close mmap munmap sendmsg recvmsg futex
 */

/* --- serving --- */

/* Up to BUDGET chains. True: there may be more. Else a kick comes when KICK_AT of them wait. */
static bool drain(struct session_queue *q, uint16_t kick_at)
{
	struct virtq_chain chain;
	int left = BUDGET, r = 0;

	while (!q->broken && left-- > 0) {
		int64_t n;

		r = virtq_pop(&q->virtq, &chain);
		if (r == 0 && virtq_rearm_after(&q->virtq, kick_at))
			continue;
		if (r <= 0)
			break;
		n = fsd_handle(q->session->fsd, &chain);
		if (n < 0) {
			r = (int)n;
			break;
		}
		virtq_push(&q->virtq, chain.head, (uint32_t)n);
	}
	q->broken |= r < 0;
	return left < 0;
}

/* As many FORGETs may wait, for us and for the driver, without it running out of places. */
static uint16_t most_waiting(const struct virtq *q)
{
	return q->state.size > 2 ? q->state.size / 2 : 1;
}

/* One interrupt has the driver look at both queues. */
static void interrupt(struct session *s, bool settle)
{
	struct virtq *forgets = &s->queues[FORGETS].virtq;
	uint16_t waiting = forgets->state.next_used - forgets->state.signalled;
	bool wanted = virtq_must_interrupt(&s->queues[REQUESTS].virtq);

	if (wanted || settle || waiting >= most_waiting(forgets))
		wanted |= virtq_must_interrupt(forgets);
	if (wanted)
		event_signal(s->irq);
}

/* FORGETs first, as they were sent: a folder of whose files the last is closed may be removed. */
static void serve(struct session *s)
{
	struct session_queue *forgets = s->queues + FORGETS;
	bool more = false;

	s->lazy = s->lazy || virtq_rearm(&forgets->virtq);
	if (s->lazy)
		more = drain(forgets, most_waiting(&forgets->virtq));
	more |= drain(s->queues + REQUESTS, 1);
	interrupt(s, false);
	if (more)
		event_signal(s->queues[REQUESTS].kick.fd); /* the VMM gets its turn first */
}

/* Makes up for all that was put off. */
static void settle(struct session *s)
{
	for (int turns = VIRTQ_SIZE_MAX / BUDGET; s->lazy && turns > 0; turns--)
		s->lazy = drain(s->queues + FORGETS, 1);
	interrupt(s, true);
}

/* At each kick, not as long as there is one: so none has to be taken. */
static void on_kick(struct loop_source *source, uint32_t events)
{
	struct session_queue *q = (struct session_queue *)source;

	(void)events;
	if (q->kick.fd >= 0)
		serve(q->session);
}

/* --- taking over and giving back --- */

static void detach(struct session *s)
{
	for (int i = 0; i < FS_QUEUES; i++) {
		struct session_queue *q = s->queues + i;

		if (q->kick.fd >= 0)
			loop_remove(&s->loop, &q->kick);
		cleanup_close(&q->kick.fd);
		virtq_reset(&q->virtq);
		q->broken = false;
	}
	for (int i = 0; i < GUEST_REGION_MAX; i++) {
		if (s->mappings[i].at)
			munmap(s->mappings[i].at, s->mappings[i].len);
		s->mappings[i].at = NULL;
	}
	s->memory = (struct guest_memory){};
	cleanup_close(&s->irq);
	s->lazy = false;
}

static int map_memory(struct session *s, const struct fs_message *m, int memory)
{
	if (m->region_count > GUEST_REGION_MAX)
		return -EBADMSG;
	for (uint32_t i = 0; i < m->region_count; i++) {
		size_t len = m->regions[i].size;
		void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, memory,
			(off_t)m->regions[i].offset);
		int r;

		if (at == MAP_FAILED)
			return -errno;
		s->mappings[i].at = at;
		s->mappings[i].len = len;
		r = guest_memory_add(&s->memory, m->regions[i].gpa, len, at);
		if (r < 0)
			return r;
	}
	return 0;
}

/* FDS: memory, interrupt, kicks; those that are kept become −1. */
static int attach(struct session *s, const struct fs_message *m, int *fds)
{
	int r = map_memory(s, m, fds[0]);

	s->irq = take_fd(fds + 1);
	for (int i = 0; i < FS_QUEUES && r == 0; i++) {
		struct session_queue *q = s->queues + i;

		q->virtq.state = m->queues[i];
		q->kick.fd = take_fd(fds + 2 + i);
		if (q->virtq.state.ready)
			r = virtq_activate(&q->virtq, &s->memory);
		if (r == 0)
			r = loop_add(&s->loop, &q->kick, EPOLLIN | EPOLLET);
		if (r == 0)
			event_signal(q->kick.fd); /* what came before us */
	}
	s->lazy = r == 0; /* the first queue may have been left so */
	return r;
}

static int answer(struct session *s, struct fs_message *m, int *fds, size_t count)
{
	struct fs_message out = {.type = m->type};
	bool attached = s->irq >= 0;

	if (m->type == FS_ATTACH && count == FS_WIRES && !attached) {
		out.result = attach(s, m, fds);
		if (out.result < 0)
			detach(s);
	} else if (m->type == FS_DETACH && count == 0 && attached) {
		settle(s);
		for (int i = 0; i < FS_QUEUES; i++)
			out.queues[i] = s->queues[i].virtq.state;
		detach(s);
	} else if (m->type == FS_SAVE && count == 1 && !attached) {
		out.result = fsd_save(s->fsd, fds[0]);
	} else {
		out.result = -EBADMSG;
	}
	return fd_send(s->vmm.fd, &out, sizeof(out), NULL, 0);
}

static void on_message(struct loop_source *source, uint32_t events)
{
	struct session *s = (struct session *)((uint8_t *)source - offsetof(struct session, vmm));
	struct fs_message m;
	int fds[FS_WIRES] = {-1, -1, -1, -1};
	size_t count = FS_WIRES;
	ssize_t n = fd_recv(source->fd, &m, sizeof(m), fds, &count);

	(void)events;
	if (n != sizeof(m) || answer(s, &m, fds, count) < 0)
		s->loop.stop = true; /* the VMM has ended, or is no VMM */
	for (int i = 0; i < FS_WIRES; i++)
		cleanup_close(fds + i);
}

int session_open(struct session *s, struct fsd *fsd, int socket, struct err *err)
{
	int r;

	*s = (struct session){.fsd = fsd, .vmm = {.fd = socket, .ready = on_message}, .irq = -1};
	for (int i = 0; i < FS_QUEUES; i++)
		s->queues[i] =
			(struct session_queue){.kick = {.fd = -1, .ready = on_kick}, .session = s};
	r = loop_open(&s->loop, err);
	if (r < 0)
		return r;
	r = loop_add(&s->loop, &s->vmm, EPOLLIN);
	return r < 0 ? err_sys(err, r, "the VMM's socket") : 0;
}

int session_run(struct session *s, struct err *err)
{
	int r = 0;

	while (!s->loop.stop && r >= 0) {
		r = loop_turn(&s->loop, s->lazy ? LAZY_MS : -1);
		if (r == 0 && s->lazy)
			settle(s);
	}
	return r < 0 ? err_sys(err, r, "epoll_wait") : 0;
}

void session_close(struct session *s)
{
	detach(s);
	loop_close(&s->loop);
}
