/* SPDX-License-Identifier: Apache-2.0 */
/* The session's parameters, and what files are rather than what is in them. */
/* #syscalls:fsd fchmodat ftruncate utimensat fstatfs syncfs */
#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/microvm/fsd/fsd.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

enum { MINOR = 31, MINOR_MIN = 27, ATTRIBUTES_VALID_SECONDS = 1 };

/* A guest that begins anew knows nothing any more. */
int64_t op_init(struct request *r)
{
	/* Older kernels send less of it, as far as .flags. */
	const struct fuse_init_in *in =
		r->body_len >= offsetof(struct fuse_init_in, flags2) ? (const void *)r->body : NULL;
	/* No write-back cache: with it the guest's word on size and time would stand against what
	 * others who share the volume did. */
	const uint32_t wanted = FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_PARALLEL_DIROPS |
				FUSE_MAX_PAGES | FUSE_ATOMIC_O_TRUNC | FUSE_DONT_MASK |
				FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO |
				FUSE_ASYNC_DIO | FUSE_CACHE_SYMLINKS | FUSE_HANDLE_KILLPRIV_V2 |
				FUSE_POSIX_ACL | FUSE_SETXATTR_EXT;
	struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION,
		.minor = MINOR,
		.max_background = 64,
		.congestion_threshold = 48,
		.max_write = FSD_WRITE_MAX,
		.max_pages = FSD_WRITE_MAX / 4096,
		.time_gran = 1};

	if (!in || in->major != FUSE_KERNEL_VERSION || in->minor < MINOR_MIN)
		return -EPROTO;
	handle_free_all(r->fsd);
	inode_forget_all(r->fsd);
	out.max_readahead = in->max_readahead;
	out.flags = in->flags & wanted;
	r->fsd->setxattr_ext = out.flags & FUSE_SETXATTR_EXT;
	return request_reply(r, &out, sizeof(out));
}

int64_t op_destroy(struct request *r)
{
	handle_free_all(r->fsd);
	inode_forget_all(r->fsd);
	return 0;
}

static int64_t reply_attributes(struct request *r, const struct inode *inode)
{
	struct fuse_attr_out out = {.attr_valid = ATTRIBUTES_VALID_SECONDS};
	struct stat st;
	int result = sys_fstatat(inode->fd, "", &st, AT_EMPTY_PATH);

	if (result < 0)
		return result;
	attr_fill(inode, &st, &out.attr);
	return request_reply(r, &out, sizeof(out));
}

int64_t op_getattr(struct request *r)
{
	const struct inode *inode = inode_get(r->fsd, r->in.nodeid);

	return inode ? reply_attributes(r, inode) : -EINVAL;
}

static int set_mode(struct fsd *fsd, const struct inode *inode, mode_t mode)
{
	char name[16];

	if (S_ISLNK(inode->type))
		return -EOPNOTSUPP;
	snprintf(name, sizeof(name), "%d", inode->fd);
	return sys_fchmodat(fsd->proc, name, mode & 07777);
}

static int set_size(struct fsd *fsd, const struct inode *inode, uint64_t size, bool kill)
{
	autoclose int fd = inode_reopen(fsd, inode, O_WRONLY);
	int result = fd < 0 ? fd : size > INT64_MAX ? -EFBIG : 0;

	if (result == 0 && kill)
		result = kill_set_id(fd);
	return result < 0 ? result : sys_ftruncate(fd, (off_t)size);
}

static struct timespec time_of(
	const struct fuse_setattr_in *in, uint32_t set, uint32_t now, uint64_t seconds, uint32_t ns)
{
	if (in->valid & now)
		return (struct timespec){.tv_nsec = UTIME_NOW};
	if (in->valid & set)
		return (struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = ns};
	return (struct timespec){.tv_nsec = UTIME_OMIT};
}

static int set_times(const struct inode *inode, const struct fuse_setattr_in *in)
{
	const struct timespec times[2] = {
		time_of(in, FATTR_ATIME, FATTR_ATIME_NOW, in->atime, in->atimensec),
		time_of(in, FATTR_MTIME, FATTR_MTIME_NOW, in->mtime, in->mtimensec),
	};

	return utimensat(inode->fd, "", times, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? -errno
											: 0;
}

/* Owner first: it takes set-id bits away, which the mode may then set again. */
int64_t op_setattr(struct request *r)
{
	const struct fuse_setattr_in *in = request_fixed(r, struct fuse_setattr_in);
	const struct inode *inode = inode_get(r->fsd, r->in.nodeid);
	int result = 0;

	if (!in || !inode)
		return -EINVAL;
	if (in->valid & (FATTR_UID | FATTR_GID))
		result = sys_fchownat(inode->fd, "", in->valid & FATTR_UID ? in->uid : (uid_t)-1,
			in->valid & FATTR_GID ? in->gid : (gid_t)-1,
			AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
	if (result == 0 && in->valid & FATTR_MODE)
		result = set_mode(r->fsd, inode, in->mode);
	if (result == 0 && in->valid & FATTR_SIZE)
		result = set_size(r->fsd, inode, in->size, in->valid & FATTR_KILL_SUIDGID);
	if (result == 0 && in->valid & (FATTR_ATIME | FATTR_MTIME))
		result = set_times(inode, in);
	return result < 0 ? result : reply_attributes(r, inode);
}

int64_t op_statfs(struct request *r)
{
	const struct inode *inode = inode_get(r->fsd, r->in.nodeid);
	struct fuse_statfs_out out = {};
	struct statfs st;
	int result = inode ? sys_fstatfs(inode->fd, &st) : -EINVAL;

	if (result < 0)
		return result;
	out.st = (struct fuse_kstatfs){.blocks = st.f_blocks,
		.bfree = st.f_bfree,
		.bavail = st.f_bavail,
		.files = st.f_files,
		.ffree = st.f_ffree,
		.bsize = (uint32_t)st.f_bsize,
		.namelen = 255,
		.frsize = (uint32_t)st.f_frsize};
	return request_reply(r, &out, sizeof(out));
}

/* The guest asks for each of its file systems, by its root. */
int64_t op_syncfs(struct request *r)
{
	const struct inode *inode = inode_get(r->fsd, r->in.nodeid);
	autoclose int fd = inode ? inode_reopen(r->fsd, inode, O_RDONLY) : -EINVAL;

	return fd < 0 ? fd : syncfs(fd) < 0 ? -errno : 0;
}
