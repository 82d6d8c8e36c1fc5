/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/devices/block.h"

#include "base/cleanup.h"
#include "base/sys.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/virtio_ids.h>
#include <string.h>
#include <sys/ioctl.h>

enum { QUEUE = 0, DISCARD_SECTORS_MAX = 1 << 22 };

static struct block *block_of(struct device *device)
{
	return (struct block *)device;
}

/* What a request asks of the host. */
struct operation {
	uint8_t code; /* IORING_OP_… */
	int count;    /* of vectors */
	uint32_t mode;
	uint64_t offset, len;
};

/* --- the end of a request --- */

static void finish(struct block *b, struct block_request *r, uint8_t status)
{
	*r->status = status;
	virtq_push(b->device.queues + QUEUE, r->head,
		1 + (status == VIRTIO_BLK_S_OK ? r->written : 0));
	r->busy = false;
	b->under_way--;
}

static void complete(struct block *b, struct block_request *r, int64_t result)
{
	bool ok = result >= 0 && (!r->expected || result == r->expected);

	finish(b, r, ok ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR);
}

static void reap(struct block *b)
{
	uint64_t tag;
	int32_t result;

	while (uring_reap(&b->uring, &tag, &result))
		complete(b, b->requests + tag, result);
}

/* --- its beginning --- */

/* #syscalls:io preadv pwritev fdatasync fsync fallocate */
static int64_t run_now(struct block *b, const struct block_request *r, const struct operation *o)
{
	ssize_t n;

	switch (o->code) {
	case IORING_OP_READV:
		n = preadv(b->file, r->iov, o->count, (off_t)o->offset);
		break;
	case IORING_OP_WRITEV:
		n = pwritev(b->file, r->iov, o->count, (off_t)o->offset);
		break;
	case IORING_OP_FSYNC:
		n = fsync(b->file);
		break;
	default:
		n = fallocate(b->file, (int)o->mode, (off_t)o->offset, (off_t)o->len);
	}
	return n < 0 ? -errno : n;
}

static void run(struct block *b, struct block_request *r, const struct operation *o)
{
	if (b->uring.fd < 0)
		complete(b, r, run_now(b, r, o));
	else
		uring_prepare(&b->uring, o->code, r->iov, (unsigned int)o->count, o->offset, o->len,
			o->mode, (uint64_t)(r - b->requests));
}

/* Whole sectors inside of the disk. */
static bool in_disk(const struct block *b, uint64_t sector, uint64_t len)
{
	return len % BLOCK_SECTOR == 0 && sector <= b->config.capacity &&
	       len / BLOCK_SECTOR <= b->config.capacity - sector;
}

static uint8_t plan_transfer(struct block *b, const struct virtio_blk_outhdr *h,
	const struct virtq_chain *chain, struct block_request *r, struct operation *o)
{
	bool in = h->type == VIRTIO_BLK_T_IN;
	size_t len = in ? chain->write_len - 1 : chain->read_len - sizeof(*h);

	if (!in_disk(b, h->sector, len) || (!in && b->read_only))
		return VIRTIO_BLK_S_IOERR;
	o->code = in ? IORING_OP_READV : IORING_OP_WRITEV;
	o->offset = h->sector * BLOCK_SECTOR;
	o->count = in ? iov_slice(chain->iov + chain->readable, chain->writable, 0, len, r->iov)
		      : iov_slice(chain->iov, chain->readable, sizeof(*h), len, r->iov);
	r->expected = (uint32_t)len;
	r->written = in ? (uint32_t)len : 0;
	return VIRTIO_BLK_S_OK;
}

/* One range for each request (max_discard_seg is 1), made a hole: it reads as zero. */
static uint8_t plan_discard(struct block *b, const struct virtio_blk_outhdr *h,
	const struct virtq_chain *chain, struct operation *o)
{
	struct virtio_blk_discard_write_zeroes range;

	if (chain->read_len != sizeof(*h) + sizeof(range))
		return VIRTIO_BLK_S_IOERR;
	virtq_read(chain, sizeof(*h), &range, sizeof(range));
	if (range.flags & ~VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP)
		return VIRTIO_BLK_S_UNSUPP;
	if (b->read_only || range.num_sectors > DISCARD_SECTORS_MAX || !range.num_sectors ||
		!in_disk(b, range.sector, (uint64_t)range.num_sectors * BLOCK_SECTOR))
		return VIRTIO_BLK_S_IOERR;
	o->code = IORING_OP_FALLOCATE;
	o->offset = range.sector * BLOCK_SECTOR;
	o->len = (uint64_t)range.num_sectors * BLOCK_SECTOR;
	o->mode = FALLOC_FL_KEEP_SIZE |
		  (h->type == VIRTIO_BLK_T_WRITE_ZEROES &&
					  !(range.flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP)
				  ? FALLOC_FL_ZERO_RANGE
				  : FALLOC_FL_PUNCH_HOLE);
	return VIRTIO_BLK_S_OK;
}

/* OK with a .code to run; OK without one is done already. */
static uint8_t plan(struct block *b, const struct virtio_blk_outhdr *h,
	const struct virtq_chain *chain, struct block_request *r, struct operation *o)
{
	switch (h->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		return plan_transfer(b, h, chain, r, o);
	case VIRTIO_BLK_T_FLUSH:
		o->code = IORING_OP_FSYNC;
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_GET_ID:
		if (chain->write_len < sizeof(b->serial) + 1)
			return VIRTIO_BLK_S_IOERR;
		virtq_write(chain, 0, b->serial, sizeof(b->serial));
		r->written = sizeof(b->serial);
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return plan_discard(b, h, chain, o);
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

/* NULL when a guest has more under way than the queue has entries, by naming a chain twice. */
static struct block_request *request_new(struct block *b, const struct virtq_chain *chain)
{
	const struct iovec *last = chain->iov + chain->readable + chain->writable - 1;
	struct block_request *r = b->requests;

	while (r < b->requests + BLOCK_REQUESTS && r->busy)
		r++;
	if (r == b->requests + BLOCK_REQUESTS)
		return NULL;
	r->busy = true;
	r->head = chain->head;
	r->status = (uint8_t *)last->iov_base + last->iov_len - 1;
	r->expected = r->written = 0;
	b->under_way++;
	return r;
}

static int64_t handle(struct device *device, struct virtq_chain *chain)
{
	struct block *b = block_of(device);
	struct virtio_blk_outhdr h;
	struct operation o = {.code = IORING_OP_NOP};
	struct block_request *r;
	uint8_t status;

	if (virtq_read(chain, 0, &h, sizeof(h)) != sizeof(h) || !chain->write_len ||
		chain->readable + chain->writable > BLOCK_SEGMENTS)
		return -EBADMSG;
	if (!limit_take(&b->limit, (uint64_t)chain->read_len + chain->write_len))
		return -EAGAIN;
	r = request_new(b, chain);
	if (!r)
		return -EBADMSG;
	status = plan(b, &h, chain, r, &o);
	if (status == VIRTIO_BLK_S_OK && o.code != IORING_OP_NOP)
		run(b, r, &o);
	else
		finish(b, r, status);
	return -EINPROGRESS;
}

static int block_kick(struct device *device, unsigned int queue)
{
	struct block *b = block_of(device);
	int r = device_drain(device, queue, handle);

	if (b->uring.fd < 0 || !b->uring.waiting)
		return r;
	if (uring_submit(&b->uring, 0) < 0)
		return -EBADMSG;
	/* What is done already takes no turn of the loop: the ring is found empty again there. */
	reap(b);
	device_signal(device, QUEUE);
	return r;
}

static void done_ready(struct loop_source *source, uint32_t events)
{
	struct block *b = (struct block *)((uint8_t *)source - offsetof(struct block, done));

	(void)events;
	pthread_mutex_lock(&b->device.lock);
	reap(b);
	device_signal(&b->device, QUEUE);
	pthread_mutex_unlock(&b->device.lock);
}

/* Also on a vCPU's thread: the guest waits here, as for real hardware. */
static void block_reset(struct device *device)
{
	struct block *b = block_of(device);

	while (b->under_way) {
		if (uring_submit(&b->uring, 1) < 0)
			abort(); /* the kernel would go on writing to memory that others use */
		reap(b);
	}
}

static int block_hold(struct device *device)
{
	block_reset(device);
	return 0;
}

static const struct device_ops block_ops = {
	.name = "block",
	.id = VIRTIO_ID_BLOCK,
	.queues = 1,
	.queue_size = BLOCK_REQUESTS,
	.kick = block_kick,
	.reset = block_reset,
	.hold = block_hold,
};

static int disk_size(int file, uint64_t *ret)
{
	struct stat st;
	int r = sys_fstat(file, &st);

	if (r < 0)
		return r;
	if (S_ISBLK(st.st_mode))
		return sys_ioctl(file, BLKGETSIZE64, ret);
	*ret = (uint64_t)st.st_size;
	return S_ISREG(st.st_mode) ? 0 : -EINVAL;
}

static uint64_t configure(struct block *b, uint64_t size)
{
	uint64_t features = 1ULL << VIRTIO_BLK_F_SEG_MAX | 1ULL << VIRTIO_BLK_F_FLUSH |
			    1ULL << VIRTIO_BLK_F_BLK_SIZE;

	b->config.capacity = size / BLOCK_SECTOR;
	b->config.seg_max = BLOCK_SEGMENTS - 2;
	b->config.blk_size = BLOCK_SECTOR;
	if (b->read_only)
		return features | 1ULL << VIRTIO_BLK_F_RO;
	b->config.max_discard_sectors = b->config.max_write_zeroes_sectors = DISCARD_SECTORS_MAX;
	b->config.max_discard_seg = b->config.max_write_zeroes_seg = 1;
	b->config.discard_sector_alignment = 1;
	b->config.write_zeroes_may_unmap = 1;
	return features | 1ULL << VIRTIO_BLK_F_DISCARD | 1ULL << VIRTIO_BLK_F_WRITE_ZEROES;
}

int block_open(struct block *b, const struct block_options *o, const struct guest_memory *memory,
	struct loop *loop, struct err *err)
{
	uint64_t size, features;
	int r = disk_size(o->file, &size);

	if (r < 0)
		return err_sys(err, r, "disk: neither a regular file nor a block device");
	b->loop = loop;
	b->uring.fd = -1;
	b->file = o->file;
	b->read_only = o->read_only;
	strncpy(b->serial, o->serial ?: "", sizeof(b->serial)); /* not terminated when it is full */
	features = configure(b, size);
	device_init(&b->device, &block_ops, memory, features, &b->config, sizeof(b->config));
	r = uring_open(&b->uring, b->file, BLOCK_REQUESTS);
	if (r < 0 && r != -ENOSYS)
		return err_sys(err, r, "disk: io_uring");
	b->done = (struct loop_source){.fd = b->uring.fd, .ready = done_ready};
	r = b->done.fd < 0 ? 0 : loop_add(loop, &b->done, EPOLLIN);
	if (r < 0)
		return err_sys(err, r, "disk");
	return limit_open(&b->limit, o->limit, &b->device, QUEUE, loop, err);
}

void block_close(struct block *b)
{
	block_reset(&b->device);
	limit_close(&b->limit, b->loop);
	if (b->uring.fd >= 0)
		loop_remove(b->loop, &b->done);
	uring_close(&b->uring);
	cleanup_close(&b->file);
}
