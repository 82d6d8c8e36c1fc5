/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/devices/balloon.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <string.h>
#include <sys/mman.h>

enum {
	PAGE_SHIFT = 12,
	PAGE = 1 << PAGE_SHIFT,
	PFNS_AT_ONCE = 256, /* what Linux puts into a request */
	PFNS_MAX = 4096,    /* what is looked at: each may be a system call, with others waiting */
};

enum role { INFLATE, DEFLATE, STATS, REPORTING, NOBODY };

static struct balloon *balloon_of(struct device *device)
{
	return (struct balloon *)device;
}

static bool has(const struct device *device, int feature)
{
	return device->features >> feature & 1;
}

/* Queues of features that the driver does not want do not count (5.5.2). */
static enum role role_of(const struct device *device, unsigned int queue)
{
	if (queue < 2)
		return queue == 0 ? INFLATE : DEFLATE;
	if (queue == 2 && has(device, VIRTIO_BALLOON_F_STATS_VQ))
		return STATS;
	if (queue == 2U + has(device, VIRTIO_BALLOON_F_STATS_VQ) &&
		has(device, VIRTIO_BALLOON_F_REPORTING))
		return REPORTING;
	return NOBODY;
}

/* Only whole pages go. Huge pages that are given in parts stay: EINVAL. #syscalls:io madvise */
static void give_back(struct balloon *b, void *hva, uint64_t len)
{
	uintptr_t from = ((uintptr_t)hva + PAGE - 1) & -(uintptr_t)PAGE;
	uintptr_t to = ((uintptr_t)hva + len) & -(uintptr_t)PAGE;

	if (to > from && madvise((void *)from, to - from, MADV_REMOVE) == 0)
		b->given_back += to - from;
}

/* A list of page numbers; neighbours go in one call. Pages that are no RAM are left out, and so is
 * what a list has beyond PFNS_MAX: such pages only stay where they are. */
static int64_t inflate(struct device *device, struct virtq_chain *chain)
{
	struct balloon *b = balloon_of(device);
	uint32_t pfns[PFNS_AT_ONCE];
	size_t offset = 0, n;

	while (offset < PFNS_MAX * sizeof(*pfns) &&
		(n = virtq_read(chain, offset, pfns, sizeof(pfns)) / sizeof(*pfns)) > 0) {
		for (size_t i = 0, run; i < n; i += run) {
			uint64_t gpa = (uint64_t)pfns[i] << PAGE_SHIFT;
			void *hva;

			for (run = 1; i + run < n && pfns[i + run] == pfns[i] + run; run++)
				;
			hva = gpa_to_hva(device->memory, gpa, run << PAGE_SHIFT);
			if (hva)
				give_back(b, hva, run << PAGE_SHIFT);
		}
		offset += n * sizeof(*pfns);
	}
	return 0;
}

/* The pages come back by being touched. */
static int64_t deflate(struct device *device, struct virtq_chain *chain)
{
	(void)device;
	(void)chain;
	return 0;
}

static int64_t report(struct device *device, struct virtq_chain *chain)
{
	for (int i = 0; i < chain->writable; i++) {
		const struct iovec *iov = chain->iov + chain->readable + i;

		give_back(balloon_of(device), iov->iov_base, iov->iov_len);
	}
	return 0;
}

/* The driver leaves one buffer with us; we give it back when we want it filled anew. */
static int64_t take_stats(struct device *device, struct virtq_chain *chain)
{
	struct balloon *b = balloon_of(device);
	struct virtio_balloon_stat stat;

	if (b->holds_stats)
		return -EBADMSG;
	for (size_t i = 0; i < BALLOON_STATS; i++) {
		if (virtq_read(chain, i * sizeof(stat), &stat, sizeof(stat)) != sizeof(stat))
			break;
		if (stat.tag < BALLOON_STATS)
			b->stats[stat.tag] = stat.val;
	}
	b->holds_stats = true;
	b->stats_head = chain->head;
	return -EINPROGRESS;
}

static int balloon_kick(struct device *device, unsigned int queue)
{
	static int64_t (*const handlers[])(struct device *, struct virtq_chain *) = {
		[INFLATE] = inflate,
		[DEFLATE] = deflate,
		[STATS] = take_stats,
		[REPORTING] = report,
	};
	enum role role = role_of(device, queue);

	return role == NOBODY ? 0 : device_drain(device, queue, handlers[role]);
}

static void balloon_reset(struct device *device)
{
	struct balloon *b = balloon_of(device);

	b->holds_stats = false;
	b->config.actual = 0;
}

struct own {
	uint64_t stats[BALLOON_STATS], given_back;
	uint32_t num_pages, actual;
	uint16_t stats_head, holds_stats;
	uint32_t reserved;
};

static void balloon_save(struct device *device, void *ret)
{
	const struct balloon *b = balloon_of(device);
	struct own own = {.given_back = b->given_back,
		.num_pages = b->config.num_pages,
		.actual = b->config.actual,
		.stats_head = b->stats_head,
		.holds_stats = b->holds_stats};

	memcpy(own.stats, b->stats, sizeof(own.stats));
	memcpy(ret, &own, sizeof(own));
}

static int balloon_restore(struct device *device, const void *saved)
{
	struct balloon *b = balloon_of(device);
	struct own own;

	memcpy(&own, saved, sizeof(own));
	memcpy(b->stats, own.stats, sizeof(own.stats));
	b->given_back = own.given_back;
	b->config.num_pages = own.num_pages;
	b->config.actual = own.actual;
	b->stats_head = own.stats_head;
	b->holds_stats = own.holds_stats;
	/* The guest's buffer, if there is one, goes back to its queue. */
	return own.holds_stats && own.stats_head >= device->queues[2].state.size ? -EINVAL : 0;
}

static const struct device_ops balloon_ops = {
	.name = "balloon",
	.id = VIRTIO_ID_BALLOON,
	.queues = 4,
	.queue_size = 128,
	.kick = balloon_kick,
	.reset = balloon_reset,
	.save = balloon_save,
	.restore = balloon_restore,
	.own_size = sizeof(struct own),
	.config_moves = true,
};

void balloon_init(struct balloon *b, const struct guest_memory *memory)
{
	*b = (struct balloon){};
	memset(b->stats, 0xff, sizeof(b->stats));
	device_init(&b->device, &balloon_ops, memory,
		1ULL << VIRTIO_BALLOON_F_STATS_VQ | 1ULL << VIRTIO_BALLOON_F_DEFLATE_ON_OOM |
			1ULL << VIRTIO_BALLOON_F_REPORTING,
		&b->config, sizeof(b->config));
	b->device.config_writable = offsetof(struct virtio_balloon_config, actual);
}

void balloon_set(struct balloon *b, uint64_t mib)
{
	uint64_t most = guest_memory_size(b->device.memory) >> PAGE_SHIFT;
	uint64_t pages = mib > most >> 8 ? most : mib << 8;

	pthread_mutex_lock(&b->device.lock);
	b->config.num_pages = (uint32_t)pages;
	device_config_changed(&b->device);
	pthread_mutex_unlock(&b->device.lock);
}

void balloon_read_stats(struct balloon *b, uint64_t ret[BALLOON_STATS])
{
	pthread_mutex_lock(&b->device.lock);
	memcpy(ret, b->stats, sizeof(b->stats));
	if (b->holds_stats && device_running(&b->device)) {
		b->holds_stats = false;
		virtq_push(b->device.queues + 2, b->stats_head, 0);
		device_signal(&b->device, 2);
	}
	pthread_mutex_unlock(&b->device.lock);
}
