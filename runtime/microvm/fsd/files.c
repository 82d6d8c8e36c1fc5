/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest does to open files and folders. */
/* #syscalls:fsd preadv pwritev fsync fdatasync lseek getdents64 fallocate */
#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/microvm/fsd/fsd.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>

enum { LISTING = 32768 };

static int64_t open_inode(struct request *r, int flags, bool folder)
{
	const struct inode *inode = inode_get(r->fsd, r->in.nodeid);
	struct fuse_open_out out = {};
	int fd, result;

	if (!inode)
		return -EINVAL;
	if (r->fsd->read_only && (flags & O_ACCMODE || flags & O_TRUNC))
		return -EROFS;
	if (S_ISDIR(inode->type) != folder)
		return folder ? -ENOTDIR : -EISDIR;
	fd = inode_reopen(r->fsd, inode, flags | (folder ? O_DIRECTORY : 0));
	if (fd < 0)
		return fd;
	result = handle_new(r->fsd, fd, &out.fh);
	return result < 0 ? result : request_reply(r, &out, sizeof(out));
}

/* The guest's kernel appends at the place that it knows: every write has its offset. */
int64_t op_open(struct request *r)
{
	const struct fuse_open_in *in = request_fixed(r, struct fuse_open_in);

	return in ? open_inode(r, (int)(in->flags & (O_ACCMODE | O_TRUNC)), false) : -EINVAL;
}

int64_t op_opendir(struct request *r)
{
	return open_inode(r, O_RDONLY, true);
}

/* Straight into the guest's buffers, behind the header. */
int64_t op_read(struct request *r)
{
	const struct fuse_read_in *in = request_fixed(r, struct fuse_read_in);
	int fd = in ? handle_get(r->fsd, in->fh) : -EINVAL, count;
	struct iovec iov[VIRTQ_SEGMENTS_MAX];
	ssize_t n;

	if (fd < 0)
		return fd;
	if (in->offset > INT64_MAX)
		return -EINVAL;
	count = iov_slice(r->chain->iov + r->chain->readable, r->chain->writable,
		sizeof(struct fuse_out_header), in->size, iov);
	n = preadv(fd, iov, count, (off_t)in->offset);
	return n < 0 ? -errno : n;
}

int64_t op_write(struct request *r)
{
	const struct fuse_write_in *in = request_fixed(r, struct fuse_write_in);
	int fd = in ? handle_get(r->fsd, in->fh) : -EINVAL, count;
	struct fuse_write_out out = {};
	struct iovec iov[VIRTQ_SEGMENTS_MAX];
	ssize_t n;

	if (fd < 0)
		return fd;
	if (in->offset > INT64_MAX || in->size > r->chain->read_len - r->data_at)
		return -EINVAL;
	count = iov_slice(r->chain->iov, r->chain->readable, r->data_at, in->size, iov);
	n = pwritev(fd, iov, count, (off_t)in->offset);
	if (n < 0)
		return -errno;
	out.size = (uint32_t)n;
	return request_reply(r, &out, sizeof(out));
}

int64_t op_release(struct request *r)
{
	const struct fuse_release_in *in = request_fixed(r, struct fuse_release_in);

	if (!in)
		return -EINVAL;
	handle_free(r->fsd, in->fh);
	return 0;
}

int64_t op_fsync(struct request *r)
{
	const struct fuse_fsync_in *in = request_fixed(r, struct fuse_fsync_in);
	int fd = in ? handle_get(r->fsd, in->fh) : -EINVAL;

	if (fd < 0)
		return fd;
	return (in->fsync_flags & FUSE_FSYNC_FDATASYNC ? fdatasync(fd) : fsync(fd)) < 0 ? -errno
											: 0;
}

/* Nothing is kept back here. */
int64_t op_flush(struct request *r)
{
	const struct fuse_flush_in *in = request_fixed(r, struct fuse_flush_in);
	int fd = in ? handle_get(r->fsd, in->fh) : -EINVAL;

	return fd < 0 ? fd : 0;
}

/* One entry in the guest's form at AT of OUT; the space it takes, 0 when it does not fit. */
static size_t put_entry(uint8_t *out, size_t room, const struct dirent64 *d)
{
	size_t name = strlen(d->d_name), len = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + name);
	struct fuse_dirent entry = {.ino = d->d_ino,
		.off = (uint64_t)d->d_off,
		.namelen = (uint32_t)name,
		.type = d->d_type};

	if (len > room)
		return 0;
	memset(out, 0, len);
	memcpy(out, &entry, FUSE_NAME_OFFSET);
	memcpy(out + FUSE_NAME_OFFSET, d->d_name, name);
	return len;
}

/* The place in a folder is the kernel's own cookie, so nothing is remembered between calls. */
int64_t op_readdir(struct request *r)
{
	const struct fuse_read_in *in = request_fixed(r, struct fuse_read_in);
	int fd = in ? handle_get(r->fsd, in->fh) : -EINVAL;
	uint8_t host[LISTING] __attribute__((aligned(8))), out[LISTING];
	size_t room, used = 0;
	long n;

	if (fd < 0)
		return fd;
	room = in->size < sizeof(out) ? in->size : sizeof(out);
	if (lseek(fd, (off_t)in->offset, SEEK_SET) < 0)
		return -errno;
	n = syscall(SYS_getdents64, fd, host, sizeof(host));
	if (n < 0)
		return -errno;
	for (long at = 0; at < n;) {
		const struct dirent64 *d = (const void *)(host + at);
		size_t len = put_entry(out + used, room - used, d);

		if (!len)
			break; /* the guest goes on from the last one that fitted */
		used += len;
		at += d->d_reclen;
	}
	return request_reply(r, out, used);
}

int64_t op_fallocate(struct request *r)
{
	const struct fuse_fallocate_in *in = request_fixed(r, struct fuse_fallocate_in);
	int fd = in ? handle_get(r->fsd, in->fh) : -EINVAL;

	if (fd < 0)
		return fd;
	if (in->offset > INT64_MAX || in->length > INT64_MAX)
		return -EINVAL;
	return fallocate(fd, (int)in->mode, (off_t)in->offset, (off_t)in->length) < 0 ? -errno : 0;
}

int64_t op_lseek(struct request *r)
{
	const struct fuse_lseek_in *in = request_fixed(r, struct fuse_lseek_in);
	int fd = in ? handle_get(r->fsd, in->fh) : -EINVAL;
	struct fuse_lseek_out out;
	off_t at;

	if (fd < 0)
		return fd;
	if (in->whence != SEEK_DATA && in->whence != SEEK_HOLE)
		return -EINVAL; /* the guest does the others itself */
	at = lseek(fd, (off_t)in->offset, (int)in->whence);
	if (at < 0)
		return -errno;
	out.offset = (uint64_t)at;
	return request_reply(r, &out, sizeof(out));
}
