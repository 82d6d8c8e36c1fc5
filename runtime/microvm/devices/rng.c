/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/devices/rng.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <sys/random.h>

/* #syscalls:io getrandom */
static int64_t fill(struct device *device, struct virtq_chain *chain)
{
	uint32_t done = 0;

	(void)device;
	if (!chain->write_len)
		return -EBADMSG;
	for (int i = 0; i < chain->writable && done < RNG_CHAIN_MAX; i++) {
		const struct iovec *iov = chain->iov + chain->readable + i;
		size_t room = RNG_CHAIN_MAX - done;
		ssize_t n = getrandom(iov->iov_base, iov->iov_len < room ? iov->iov_len : room, 0);

		if (n < 0)
			break;
		done += (uint32_t)n;
	}
	return done;
}

static int rng_kick(struct device *device, unsigned int queue)
{
	return device_drain(device, queue, fill);
}

static const struct device_ops rng_ops = {
	.name = "rng",
	.id = VIRTIO_ID_RNG,
	.queues = 1,
	.queue_size = 8,
	.kick = rng_kick,
};

void rng_init(struct rng *rng, const struct guest_memory *memory)
{
	device_init(&rng->device, &rng_ops, memory, 0, NULL, 0);
}
