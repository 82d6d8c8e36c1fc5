/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest does to names in folders. */
/* #syscalls:fsd readlinkat symlinkat mknodat mkdirat unlinkat renameat renameat2 linkat fchownat */
#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/microvm/fsd/fsd.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static int64_t reply_entry(struct request *r, const struct inode *parent, const char *name)
{
	struct fuse_entry_out entry;
	int result = inode_lookup(r->fsd, parent, name, &entry);

	return result < 0 ? result : request_reply(r, &entry, sizeof(entry));
}

/* The folder of a request and the name behind FIXED bytes. */
static int parent_and_name(
	struct request *r, size_t fixed, struct inode **ret_parent, const char **ret_name)
{
	*ret_parent = inode_get(r->fsd, r->in.nodeid);
	*ret_name = request_name(r, fixed, 0);
	return *ret_parent && *ret_name ? 0 : -EINVAL;
}

int64_t op_lookup(struct request *r)
{
	struct inode *parent;
	const char *name;
	int result = parent_and_name(r, 0, &parent, &name);

	return result < 0 ? result : reply_entry(r, parent, name);
}

int64_t op_forget(struct request *r)
{
	const struct fuse_forget_in *in = request_fixed(r, struct fuse_forget_in);

	if (in)
		inode_forget(r->fsd, r->in.nodeid, in->nlookup);
	return 0;
}

int64_t op_batch_forget(struct request *r)
{
	const struct fuse_batch_forget_in *in = request_fixed(r, struct fuse_batch_forget_in);
	size_t most = in ? (r->body_len - sizeof(*in)) / sizeof(struct fuse_forget_one) : 0;

	for (size_t i = 0; i < most && i < in->count; i++) {
		struct fuse_forget_one one;

		memcpy(&one, r->body + sizeof(*in) + i * sizeof(one), sizeof(one));
		inode_forget(r->fsd, one.nodeid, one.nlookup);
	}
	return 0;
}

int64_t op_readlink(struct request *r)
{
	const struct inode *inode = inode_get(r->fsd, r->in.nodeid);
	char target[4096];
	ssize_t n = inode ? sys_readlinkat(inode->fd, "", target, sizeof(target)) : -EINVAL;

	return n < 0 ? n : request_reply(r, target, (size_t)n);
}

/* New files belong to who asked in the guest. What was just made is removed if that fails. */
static int64_t give_away(struct request *r, struct inode *parent, const char *name, int made)
{
	int result = made;

	if (result == 0)
		result = sys_fchownat(parent->fd, name, r->in.uid, r->in.gid, AT_SYMLINK_NOFOLLOW);
	if (made == 0 && result < 0) {
		if (sys_unlinkat(parent->fd, name, 0) == -EISDIR)
			sys_unlinkat(parent->fd, name, AT_REMOVEDIR);
	}
	return result < 0 ? result : reply_entry(r, parent, name);
}

int64_t op_symlink(struct request *r)
{
	const char *target = request_string(r, 0, 1), *name;
	struct inode *parent;
	int result = parent_and_name(r, 0, &parent, &name);

	if (result < 0 || !target)
		return -EINVAL;
	return give_away(r, parent, name, sys_symlinkat(target, parent->fd, name));
}

/* Device nodes would be ones of the host: only files, FIFOs and sockets. */
int64_t op_mknod(struct request *r)
{
	const struct fuse_mknod_in *in = request_fixed(r, struct fuse_mknod_in);
	struct inode *parent;
	const char *name;
	int result = in ? parent_and_name(r, sizeof(*in), &parent, &name) : -EINVAL;

	if (result < 0)
		return result;
	if (!S_ISREG(in->mode) && !S_ISFIFO(in->mode) && !S_ISSOCK(in->mode))
		return -EPERM;
	return give_away(r, parent, name, sys_mknodat(parent->fd, name, in->mode & ~in->umask, 0));
}

int64_t op_mkdir(struct request *r)
{
	const struct fuse_mkdir_in *in = request_fixed(r, struct fuse_mkdir_in);
	struct inode *parent;
	const char *name;
	int result = in ? parent_and_name(r, sizeof(*in), &parent, &name) : -EINVAL;

	if (result < 0)
		return result;
	return give_away(r, parent, name, sys_mkdirat(parent->fd, name, in->mode & ~in->umask));
}

int64_t op_unlink(struct request *r)
{
	struct inode *parent;
	const char *name;
	int result = parent_and_name(r, 0, &parent, &name);

	return result < 0 ? result : sys_unlinkat(parent->fd, name, 0);
}

int64_t op_rmdir(struct request *r)
{
	struct inode *parent;
	const char *name;
	int result = parent_and_name(r, 0, &parent, &name);

	return result < 0 ? result : sys_unlinkat(parent->fd, name, AT_REMOVEDIR);
}

static int64_t do_rename(struct request *r, size_t fixed, uint64_t newdir, uint32_t flags)
{
	const struct inode *from = inode_get(r->fsd, r->in.nodeid);
	const struct inode *to = inode_get(r->fsd, newdir);
	const char *old = request_name(r, fixed, 0), *new = request_name(r, fixed, 1);

	if (!from || !to || !old || !new || flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL; /* a whiteout is a device node */
	return sys_renameat2(from->fd, old, to->fd, new, flags);
}

int64_t op_rename(struct request *r)
{
	const struct fuse_rename_in *in = request_fixed(r, struct fuse_rename_in);

	return in ? do_rename(r, sizeof(*in), in->newdir, 0) : -EINVAL;
}

int64_t op_rename2(struct request *r)
{
	const struct fuse_rename2_in *in = request_fixed(r, struct fuse_rename2_in);

	return in ? do_rename(r, sizeof(*in), in->newdir, in->flags) : -EINVAL;
}

int64_t op_link(struct request *r)
{
	const struct fuse_link_in *in = request_fixed(r, struct fuse_link_in);
	const struct inode *inode = in ? inode_get(r->fsd, in->oldnodeid) : NULL;
	struct inode *parent;
	const char *name;
	char number[16];
	int result = in ? parent_and_name(r, sizeof(*in), &parent, &name) : -EINVAL;

	if (result < 0 || !inode)
		return -EINVAL;
	snprintf(number, sizeof(number), "%d", inode->fd);
	result = sys_linkat(r->fsd->proc, number, parent->fd, name, AT_SYMLINK_FOLLOW);
	return result < 0 ? result : reply_entry(r, parent, name);
}

/* Exclusively made with O_NOFOLLOW, so that a link that is there is never written through; a file
 * that exists already is opened by its inode. */
int64_t op_create(struct request *r)
{
	const struct fuse_create_in *in = request_fixed(r, struct fuse_create_in);
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out = {};
	struct inode *parent;
	const char *name;
	autoclose int fd = -1;
	int result = in ? parent_and_name(r, sizeof(*in), &parent, &name) : -EINVAL;
	int flags = in ? (int)(in->flags & (O_ACCMODE | O_APPEND | O_TRUNC)) : 0;
	bool made;

	if (result < 0)
		return result;
	fd = sys_openat(parent->fd, name, (flags & ~O_APPEND) | O_CREAT | O_EXCL | O_NOFOLLOW,
		in->mode & ~in->umask & 07777);
	made = fd >= 0;
	if (fd == -EEXIST && in->flags & O_EXCL)
		return fd;
	if (fd < 0 && fd != -EEXIST)
		return fd;
	if (made)
		result = sys_fchownat(fd, "", r->in.uid, r->in.gid, AT_EMPTY_PATH);
	if (result == 0)
		result = inode_lookup(r->fsd, parent, name, &out.entry);
	if (result == 0 && !made)
		result = fd = inode_reopen(
			r->fsd, inode_get(r->fsd, out.entry.nodeid), flags & ~O_APPEND);
	if (result >= 0)
		result = handle_new(r->fsd, take_fd(&fd), &out.open.fh);
	if (result < 0) {
		inode_forget(r->fsd, out.entry.nodeid, 1);
		return result;
	}
	return request_reply(r, &out, sizeof(out));
}
