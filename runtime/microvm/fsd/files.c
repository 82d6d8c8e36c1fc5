/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest does to open files and folders. */
/* #syscalls:fsd preadv pwritev2 fsync fdatasync lseek fallocate copy_file_range fchmod */
#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/microvm/fsd/fsd.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/uio.h>

enum { COPY_MAX = 16 << 20 }; /* others wait meanwhile */

int kill_set_id(int fd)
{
	struct stat st;
	mode_t gone = S_ISUID;
	int result = sys_fstat(fd, &st);

	if (result < 0)
		return result;
	if (st.st_mode & S_IXGRP)
		gone |= S_ISGID;
	return st.st_mode & gone ? sys_fchmod(fd, st.st_mode & 07777 & ~gone) : 0;
}

static int64_t open_inode(struct request *r, int flags, uint32_t open_flags, bool folder)
{
	struct inode *inode = inode_get(r->fsd, r->in.nodeid);
	struct fuse_open_out out = {.open_flags = folder ? FOPEN_CACHE_DIR : 0};
	autoclose int fd = -1;
	int result = 0;

	if (!inode)
		return -EINVAL;
	if (r->fsd->read_only && (flags & O_ACCMODE || flags & O_TRUNC))
		return -EROFS;
	if (S_ISDIR(inode->type) != folder)
		return folder ? -ENOTDIR : -EISDIR;
	fd = inode_reopen(r->fsd, inode, flags | (folder ? O_DIRECTORY : 0));
	if (fd < 0)
		return fd;
	if (open_flags & FUSE_OPEN_KILL_SUIDGID)
		result = kill_set_id(fd);
	if (inode_unchanged(inode, fd))
		out.open_flags |= FOPEN_KEEP_CACHE;
	if (result == 0)
		result = handle_new(r->fsd, take_fd(&fd), &out.fh);
	return result < 0 ? result : request_reply(r, &out, sizeof(out));
}

int64_t op_open(struct request *r)
{
	const struct fuse_open_in *in = request_fixed(r, struct fuse_open_in);

	return in ? open_inode(r, (int)(in->flags & (O_ACCMODE | O_TRUNC)), in->open_flags, false)
		  : -EINVAL;
}

int64_t op_opendir(struct request *r)
{
	return open_inode(r, O_RDONLY, 0, true);
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

/* The guest's kernel appends at the end that it knows. Another guest may have moved it. */
static int appends(const struct fuse_write_in *in)
{
	return in->flags & O_APPEND && !(in->write_flags & FUSE_WRITE_CACHE) ? RWF_APPEND : 0;
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
	if (in->write_flags & FUSE_WRITE_KILL_SUIDGID && kill_set_id(fd) < 0)
		return -EIO;
	count = iov_slice(r->chain->iov, r->chain->readable, r->data_at, in->size, iov);
	n = pwritev2(fd, iov, count, (off_t)in->offset, appends(in));
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

int64_t op_copy(struct request *r)
{
	const struct fuse_copy_file_range_in *in = request_fixed(r, struct fuse_copy_file_range_in);
	int from = in ? handle_get(r->fsd, in->fh_in) : -EINVAL;
	int to = in ? handle_get(r->fsd, in->fh_out) : -EINVAL;
	struct fuse_write_out out = {};
	off_t at, target;
	ssize_t n;

	if (from < 0 || to < 0)
		return from < 0 ? from : to;
	if (in->off_in > INT64_MAX || in->off_out > INT64_MAX || in->flags)
		return -EINVAL;
	at = (off_t)in->off_in;
	target = (off_t)in->off_out;
	n = copy_file_range(from, &at, to, &target, in->len < COPY_MAX ? in->len : COPY_MAX, 0);
	if (n < 0)
		return -errno;
	out.size = (uint32_t)n;
	return request_reply(r, &out, sizeof(out));
}
