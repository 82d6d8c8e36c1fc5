/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/devices/virtqueue.h"

#include <errno.h>
#include <string.h>

/* Where the rings end: 2.7.6 and 2.7.8, with the event fields that are always there. */
static uint64_t avail_len(uint16_t size)
{
	return 4 + 2 * (uint64_t)size + 2;
}

static uint64_t used_len(uint16_t size)
{
	return 4 + 8 * (uint64_t)size + 2;
}

static bool is_power_of_2(uint16_t n)
{
	return n && !(n & (n - 1));
}

int virtq_activate(struct virtq *q, const struct guest_memory *memory)
{
	const struct virtq_state *s = &q->state;

	if (!is_power_of_2(s->size) || s->size > VIRTQ_SIZE_MAX)
		return -EINVAL;
	if (s->desc % 16 || s->avail % 2 || s->used % 4)
		return -EINVAL;
	q->desc = gpa_to_hva(memory, s->desc, sizeof(struct vring_desc) * s->size);
	q->avail = gpa_to_hva(memory, s->avail, avail_len(s->size));
	q->used = gpa_to_hva(memory, s->used, used_len(s->size));
	if (!q->desc || !q->avail || !q->used)
		return -EINVAL;
	q->memory = memory;
	return 0;
}

void virtq_reset(struct virtq *q)
{
	*q = (struct virtq){};
}

static uint16_t avail_index(const struct virtq *q)
{
	return __atomic_load_n(&q->avail->idx, __ATOMIC_ACQUIRE);
}

/* The two event fields lie behind the rings: linux/virtio_ring.h. */
static uint16_t *used_event(const struct virtq *q)
{
	return &q->avail->ring[q->state.size];
}

static uint16_t *avail_event(const struct virtq *q)
{
	return (uint16_t *)&q->used->ring[q->state.size];
}

/* The one read of a descriptor. Two 8-byte loads, so that no later use can read it again. */
static struct vring_desc desc_copy(const volatile struct vring_desc *d)
{
	const volatile uint64_t *words = (const volatile uint64_t *)d;
	uint64_t copy[2] = {__atomic_load_n(words, __ATOMIC_RELAXED),
		__atomic_load_n(words + 1, __ATOMIC_RELAXED)};
	struct vring_desc ret;

	memcpy(&ret, copy, sizeof(ret));
	return ret;
}

static int chain_add(const struct virtq *q, struct virtq_chain *chain, const struct vring_desc *d)
{
	bool writable = d->flags & VRING_DESC_F_WRITE;
	uint32_t *len = writable ? &chain->write_len : &chain->read_len;
	int count = chain->readable + chain->writable;
	void *hva;

	if (!writable && chain->writable)
		return -EBADMSG;
	if (!d->len)
		return 0;
	hva = gpa_to_hva(q->memory, d->addr, d->len);
	if (!hva || count == VIRTQ_SEGMENTS_MAX || __builtin_add_overflow(*len, d->len, len))
		return -EBADMSG;
	chain->iov[count] = (struct iovec){.iov_base = hva, .iov_len = d->len};
	if (writable)
		chain->writable++;
	else
		chain->readable++;
	return 0;
}

/* Follows the list that begins at FIRST in TABLE; *RET_INDIRECT is where an indirect one goes on,
 * or untouched. */
static int table_walk(const struct virtq *q, const volatile struct vring_desc *table,
	unsigned int count, unsigned int first, struct virtq_chain *chain,
	struct vring_desc *ret_indirect)
{
	unsigned int i = first;

	for (unsigned int steps = 0; steps < count; steps++) {
		struct vring_desc d;
		int r;

		if (i >= count)
			return -EBADMSG;
		d = desc_copy(table + i);
		if (d.flags & VRING_DESC_F_INDIRECT) {
			if (!ret_indirect || d.flags & VRING_DESC_F_NEXT)
				return -EBADMSG;
			*ret_indirect = d;
			return 0;
		}
		r = chain_add(q, chain, &d);
		if (r < 0 || !(d.flags & VRING_DESC_F_NEXT))
			return r;
		i = d.next;
	}
	return -EBADMSG; /* longer than its table: a loop */
}

static int chain_walk(const struct virtq *q, uint16_t head, struct virtq_chain *chain)
{
	struct vring_desc indirect = {};
	const volatile struct vring_desc *table;
	int r;

	r = table_walk(
		q, q->desc, q->state.size, head, chain, q->state.indirect ? &indirect : NULL);
	if (r < 0 || !indirect.flags)
		return r;
	if (!indirect.len || indirect.len % sizeof(*table) || indirect.addr % sizeof(uint64_t) ||
		indirect.len / sizeof(*table) > VIRTQ_SEGMENTS_MAX)
		return -EBADMSG;
	table = gpa_to_hva(q->memory, indirect.addr, indirect.len);
	if (!table)
		return -EBADMSG;
	return table_walk(q, table, indirect.len / sizeof(*table), 0, chain, NULL);
}

int virtq_pop(struct virtq *q, struct virtq_chain *ret)
{
	uint16_t waiting, head;
	int r;

	if (!q->memory)
		return 0;
	waiting = (uint16_t)(avail_index(q) - q->state.next_avail);
	if (!waiting)
		return 0;
	if (waiting > q->state.size)
		return -EBADMSG;
	head = __atomic_load_n(
		&q->avail->ring[q->state.next_avail & (q->state.size - 1)], __ATOMIC_RELAXED);
	if (head >= q->state.size)
		return -EBADMSG;
	ret->head = head;
	ret->readable = ret->writable = 0;
	ret->read_len = ret->write_len = 0;
	r = chain_walk(q, head, ret);
	if (r < 0)
		return r;
	q->state.next_avail++;
	return 1;
}

void virtq_unpop(struct virtq *q)
{
	q->state.next_avail--;
}

void virtq_push(struct virtq *q, uint16_t head, uint32_t written)
{
	struct vring_used_elem *elem = q->used->ring + (q->state.next_used & (q->state.size - 1));

	__atomic_store_n(&elem->id, head, __ATOMIC_RELAXED);
	__atomic_store_n(&elem->len, written, __ATOMIC_RELAXED);
	q->state.next_used++;
	__atomic_store_n(&q->used->idx, q->state.next_used, __ATOMIC_RELEASE);
}

bool virtq_must_interrupt(struct virtq *q)
{
	uint16_t before = q->state.signalled, now = q->state.next_used, event;

	if (!q->memory || before == now)
		return false;
	/* Our index must be visible before we look at what the driver wants (2.7.10). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	q->state.signalled = now;
	if (!q->state.event_idx)
		return !(__atomic_load_n(&q->avail->flags, __ATOMIC_RELAXED) &
			 VRING_AVAIL_F_NO_INTERRUPT);
	event = __atomic_load_n(used_event(q), __ATOMIC_RELAXED);
	return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

bool virtq_rearm_after(struct virtq *q, uint16_t count)
{
	if (!q->memory)
		return false;
	if (!q->state.event_idx)
		return avail_index(q) != q->state.next_avail;
	__atomic_store_n(
		avail_event(q), (uint16_t)(q->state.next_avail + count - 1), __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return (uint16_t)(avail_index(q) - q->state.next_avail) >= count;
}

bool virtq_rearm(struct virtq *q)
{
	return virtq_rearm_after(q, 1);
}

int iov_slice(const struct iovec *iov, int count, size_t offset, size_t len, struct iovec *ret)
{
	int used = 0;

	for (int i = 0; i < count && len; i++) {
		size_t n = iov[i].iov_len;

		if (offset >= n) {
			offset -= n;
			continue;
		}
		n -= offset;
		if (n > len)
			n = len;
		ret[used++] = (struct iovec){
			.iov_base = (uint8_t *)iov[i].iov_base + offset, .iov_len = n};
		offset = 0;
		len -= n;
	}
	return used;
}

size_t virtq_read(const struct virtq_chain *chain, size_t offset, void *ret, size_t len)
{
	size_t done = 0;

	for (int i = 0; i < chain->readable && done < len; i++) {
		size_t n = chain->iov[i].iov_len;

		if (offset >= n) {
			offset -= n;
			continue;
		}
		n = n - offset < len - done ? n - offset : len - done;
		memcpy((uint8_t *)ret + done, (uint8_t *)chain->iov[i].iov_base + offset, n);
		offset = 0;
		done += n;
	}
	return done;
}

size_t virtq_write(const struct virtq_chain *chain, size_t offset, const void *data, size_t len)
{
	const struct iovec *iov = chain->iov + chain->readable;
	size_t done = 0;

	for (int i = 0; i < chain->writable && done < len; i++) {
		size_t n = iov[i].iov_len;

		if (offset >= n) {
			offset -= n;
			continue;
		}
		n = n - offset < len - done ? n - offset : len - done;
		memcpy((uint8_t *)iov[i].iov_base + offset, (const uint8_t *)data + done, n);
		offset = 0;
		done += n;
	}
	return done;
}
