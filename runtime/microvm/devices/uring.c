/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/devices/uring.h"

#include "base/cleanup.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static int ring_register(int fd, unsigned int op, void *arg, unsigned int count)
{
	return syscall(SYS_io_uring_register, fd, op, arg, count) < 0 ? -errno : 0;
}

/* From now on this ring knows one file and four operations, and cannot be told otherwise. */
static int restrict_to(int fd, int file)
{
	struct io_uring_restriction rules[] = {
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READV},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITEV},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_FSYNC},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_FALLOCATE},
		{.opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED, .sqe_flags = IOSQE_FIXED_FILE},
	};
	int r = ring_register(fd, IORING_REGISTER_FILES, &file, 1);

	if (r == 0)
		r = ring_register(fd, IORING_REGISTER_RESTRICTIONS, rules, ARRAY_LEN(rules));
	return r < 0 ? r : ring_register(fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

static int map_rings(struct uring *u, const struct io_uring_params *p)
{
	size_t sq = p->sq_off.array + p->sq_entries * sizeof(unsigned int);
	size_t cq = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
	uint8_t *rings;

	u->rings_len = sq > cq ? sq : cq;
	rings = mmap(
		NULL, u->rings_len, PROT_READ | PROT_WRITE, MAP_SHARED, u->fd, IORING_OFF_SQ_RING);
	if (rings == MAP_FAILED)
		return -errno;
	u->rings = rings;
	u->sqes = mmap(NULL, p->sq_entries * sizeof(*u->sqes), PROT_READ | PROT_WRITE, MAP_SHARED,
		u->fd, IORING_OFF_SQES);
	if (u->sqes == MAP_FAILED)
		return u->sqes = NULL, -errno;
	u->entries = p->sq_entries;
	u->sq_head = (unsigned int *)(rings + p->sq_off.head);
	u->sq_tail = (unsigned int *)(rings + p->sq_off.tail);
	u->sq_array = (unsigned int *)(rings + p->sq_off.array);
	u->sq_mask = p->sq_entries - 1;
	u->cq_head = (unsigned int *)(rings + p->cq_off.head);
	u->cq_tail = (unsigned int *)(rings + p->cq_off.tail);
	u->cq_mask = p->cq_entries - 1;
	u->cqes = (struct io_uring_cqe *)(rings + p->cq_off.cqes);
	return 0;
}

int uring_open(struct uring *u, int file, unsigned int entries)
{
	struct io_uring_params p = {.flags = IORING_SETUP_R_DISABLED};
	int r;

	*u = (struct uring){.fd = (int)syscall(SYS_io_uring_setup, entries, &p)};
	if (u->fd < 0)
		return -ENOSYS;
	r = p.features & IORING_FEAT_SINGLE_MMAP ? map_rings(u, &p) : -ENOSYS;
	if (r == 0)
		r = restrict_to(u->fd, file);
	if (r < 0)
		uring_close(u);
	return r < 0 ? -ENOSYS : 0;
}

void uring_close(struct uring *u)
{
	if (u->sqes)
		munmap(u->sqes, u->entries * sizeof(*u->sqes));
	if (u->rings)
		munmap(u->rings, u->rings_len);
	cleanup_close(&u->fd);
	*u = (struct uring){.fd = -1};
}

void uring_prepare(struct uring *u, uint8_t op, const struct iovec *iov, unsigned int count,
	uint64_t offset, uint64_t len, uint32_t mode, uint64_t tag)
{
	unsigned int at = (*u->sq_tail + u->waiting) & u->sq_mask;
	struct io_uring_sqe *sqe = u->sqes + at;

	*sqe = (struct io_uring_sqe){
		.opcode = op,
		.flags = IOSQE_FIXED_FILE, /* file 0 */
		.off = offset,
		.user_data = tag,
	};
	if (op == IORING_OP_FALLOCATE) {
		sqe->addr = len;
		sqe->len = mode;
	} else if (op != IORING_OP_FSYNC) { /* which insists on zeros */
		sqe->addr = (uint64_t)(uintptr_t)iov;
		sqe->len = count;
	}
	u->sq_array[at] = at;
	u->waiting++;
}

/* #syscalls:io,vcpu io_uring_enter */
int uring_submit(struct uring *u, unsigned int wait)
{
	unsigned int count;
	long n;

	__atomic_store_n(u->sq_tail, *u->sq_tail + u->waiting, __ATOMIC_RELEASE);
	u->waiting = 0;
	/* With those that an earlier call could not hand over. */
	count = *u->sq_tail - __atomic_load_n(u->sq_head, __ATOMIC_ACQUIRE);
	do
		n = syscall(SYS_io_uring_enter, u->fd, count, wait,
			wait ? IORING_ENTER_GETEVENTS : 0, NULL, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

bool uring_reap(struct uring *u, uint64_t *ret_tag, int32_t *ret_result)
{
	unsigned int head = *u->cq_head;
	const struct io_uring_cqe *cqe = u->cqes + (head & u->cq_mask);

	if (head == __atomic_load_n(u->cq_tail, __ATOMIC_ACQUIRE))
		return false;
	*ret_tag = cqe->user_data;
	*ret_result = cqe->res;
	__atomic_store_n(u->cq_head, head + 1, __ATOMIC_RELEASE);
	return true;
}
