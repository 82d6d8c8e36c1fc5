/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest does to names in folders. */
/* #syscalls:fsd readlinkat symlinkat mknodat mkdirat unlinkat renameat renameat2 linkat fchownat
 * umask */
#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/microvm/fsd/fsd.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SET_ID ((mode_t)(S_ISUID | S_ISGID))

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
	return *ret_parent ? request_name(r, fixed, 0, ret_name) : -EINVAL;
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

/* The group of a new file: a folder with the set-group-ID bit gives its own. */
static int group_of(const struct request *r, const struct inode *parent, gid_t *ret)
{
	struct stat st;
	int result = sys_fstatat(parent->fd, "", &st, AT_EMPTY_PATH);

	*ret = result == 0 && st.st_mode & S_ISGID ? st.st_gid : r->in.gid;
	return result;
}

/* Where others on the host may write, they may have put something else under the name of what was
 * just made. That is not given away: it is of another type, another's, or has another name. */
static bool is_made(const struct request *r, const struct stat *st, mode_t type)
{
	return (st->st_mode & S_IFMT) == type && st->st_uid == r->fsd->uid &&
	       (S_ISDIR(type) || st->st_nlink == 1);
}

/* New files belong to who asked in the guest. Set-id bits come last: no other owner ever has them.
 * TYPE is that of what was made, when FD was opened by its name; 0 when FD made it. What it is
 * after that is in RET. */
static int own(struct request *r, const struct inode *parent, int fd, mode_t set_id, mode_t type,
	struct stat *ret, uint64_t *ret_mount)
{
	gid_t gid = r->in.gid;
	char number[16];
	int result = inode_identify(fd, ret, ret_mount);

	if (result == 0 && type && !is_made(r, ret, type))
		return -ESTALE;
	if (result == 0 && ret->st_gid != gid)
		result = group_of(r, parent, &gid);
	if (result < 0 || (ret->st_uid == r->in.uid && ret->st_gid == gid && !set_id))
		return result;
	if (ret->st_uid != r->in.uid || ret->st_gid != gid)
		result = sys_fchownat(fd, "", r->in.uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
	if (result == 0 && set_id) {
		snprintf(number, sizeof(number), "%d", fd);
		result = sys_fchmodat(r->fsd->proc, number, (ret->st_mode & 07777) | set_id);
	}
	return result < 0 ? result : inode_identify(fd, ret, ret_mount);
}

/* The answer to the creation of a MODE (with its type) that ended with MADE. What was made is
 * removed if the rest fails. */
static int64_t reply_made(
	struct request *r, struct inode *parent, const char *name, mode_t mode, int made)
{
	autoclose int fd = made < 0 ? made : sys_openat(parent->fd, name, O_PATH | O_NOFOLLOW, 0);
	struct fuse_entry_out entry;
	struct stat st;
	uint64_t mount;
	int result = fd < 0 ? fd : own(r, parent, fd, mode & SET_ID, mode & S_IFMT, &st, &mount);

	if (result == 0)
		result = inode_admit(r->fsd, take_fd(&fd), &st, mount, &entry);
	if (made == 0 && result < 0 && result != -ESTALE &&
		sys_unlinkat(parent->fd, name, 0) == -EISDIR)
		sys_unlinkat(parent->fd, name, AT_REMOVEDIR);
	return result < 0 ? result : request_reply(r, &entry, sizeof(entry));
}

/* The kernel's umask is the guest's, since a folder's default ACL takes its place. */
static void set_umask(struct fsd *fsd, uint32_t mask)
{
	if (fsd->umask != (mask & 0777))
		umask(mask & 0777);
	fsd->umask = mask & 0777;
}

int64_t op_symlink(struct request *r)
{
	const char *target = request_string(r, 0, 1), *name;
	struct inode *parent;
	int result = parent_and_name(r, 0, &parent, &name);

	if (result < 0 || !target)
		return result < 0 ? result : -EINVAL;
	return reply_made(r, parent, name, S_IFLNK, sys_symlinkat(target, parent->fd, name));
}

/* Device nodes would be ones of the host: only files, FIFOs and sockets, and the device 0:0 that
 * none is, which overlay's whiteouts are. */
int64_t op_mknod(struct request *r)
{
	const struct fuse_mknod_in *in = request_fixed(r, struct fuse_mknod_in);
	struct inode *parent;
	const char *name;
	int result = in ? parent_and_name(r, sizeof(*in), &parent, &name) : -EINVAL;

	if (result < 0)
		return result;
	if (!S_ISREG(in->mode) && !S_ISFIFO(in->mode) && !S_ISSOCK(in->mode) &&
		!(S_ISCHR(in->mode) && in->rdev == 0))
		return -EPERM;
	set_umask(r->fsd, in->umask);
	return reply_made(
		r, parent, name, in->mode, sys_mknodat(parent->fd, name, in->mode & ~SET_ID, 0));
}

int64_t op_mkdir(struct request *r)
{
	const struct fuse_mkdir_in *in = request_fixed(r, struct fuse_mkdir_in);
	struct inode *parent;
	const char *name;
	int result = in ? parent_and_name(r, sizeof(*in), &parent, &name) : -EINVAL;

	if (result < 0)
		return result;
	set_umask(r->fsd, in->umask);
	return reply_made(r, parent, name, S_IFDIR, sys_mkdirat(parent->fd, name, in->mode));
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
	const char *old, *new;
	int result = from && to ? request_name(r, fixed, 0, &old) : -EINVAL;

	if (result == 0)
		result = request_name(r, fixed, 1, &new);
	return result < 0 ? result : sys_renameat2(from->fd, old, to->fd, new, flags);
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
		return result < 0 ? result : -EINVAL;
	snprintf(number, sizeof(number), "%d", inode->fd);
	result = sys_linkat(r->fsd->proc, number, parent->fd, name, AT_SYMLINK_FOLLOW);
	return result < 0 ? result : reply_entry(r, parent, name);
}

struct created {
	struct fuse_entry_out entry;
	struct fuse_open_out open;
};

/* Answers with the open FD, which is taken over, of the inode in OUT. */
static int64_t reply_open(struct request *r, struct created *out, int fd)
{
	int result = handle_new(r->fsd, fd, &out->open.fh);

	if (result == 0)
		return request_reply(r, out, sizeof(*out));
	inode_forget(r->fsd, out->entry.nodeid, 1);
	return result;
}

/* FD was made just now: it gets its owner and becomes an inode. */
static int admit_made(struct request *r, const struct inode *parent, int fd, mode_t set_id,
	struct fuse_entry_out *ret)
{
	char number[16];
	struct stat st;
	uint64_t mount;
	int path, result = own(r, parent, fd, set_id, 0, &st, &mount);

	if (result < 0)
		return result;
	snprintf(number, sizeof(number), "%d", fd);
	path = sys_openat(r->fsd->proc, number, O_PATH, 0);
	return path < 0 ? path : inode_admit(r->fsd, path, &st, mount, ret);
}

static int64_t create_new(struct request *r, struct inode *parent, const char *name)
{
	const struct fuse_create_in *in = request_fixed(r, struct fuse_create_in);
	autoclose int fd = -1;
	struct created out = {};
	int result;

	set_umask(r->fsd, in->umask);
	fd = sys_openat(parent->fd, name,
		(int)(in->flags & O_ACCMODE) | O_CREAT | O_EXCL | O_NOFOLLOW,
		in->mode & ~SET_ID & 07777);
	if (fd < 0)
		return fd;
	result = admit_made(r, parent, fd, in->mode & SET_ID, &out.entry);
	if (result == 0)
		return reply_open(r, &out, take_fd(&fd));
	sys_unlinkat(parent->fd, name, 0);
	return result;
}

static int64_t create_old(struct request *r, struct inode *parent, const char *name)
{
	const struct fuse_create_in *in = request_fixed(r, struct fuse_create_in);
	struct created out = {};
	int fd, result = inode_lookup(r->fsd, parent, name, &out.entry);

	if (result < 0)
		return result;
	fd = inode_reopen(r->fsd, inode_get(r->fsd, out.entry.nodeid),
		(int)(in->flags & (O_ACCMODE | O_TRUNC)));
	if (fd >= 0 && in->open_flags & FUSE_OPEN_KILL_SUIDGID)
		result = kill_set_id(fd);
	if (fd >= 0 && result == 0)
		return reply_open(r, &out, fd);
	inode_forget(r->fsd, out.entry.nodeid, 1);
	if (fd < 0)
		return fd;
	close(fd);
	return result;
}

/* Exclusively made, so that a link that is there is never written through; a file that exists
 * already is opened by its inode. */
int64_t op_create(struct request *r)
{
	const struct fuse_create_in *in = request_fixed(r, struct fuse_create_in);
	struct inode *parent;
	const char *name;
	int64_t result = in ? parent_and_name(r, sizeof(*in), &parent, &name) : -EINVAL;

	if (result < 0)
		return result;
	result = create_new(r, parent, name);
	return result == -EEXIST && !(in->flags & O_EXCL) ? create_old(r, parent, name) : result;
}

/* Its name is of no use. */
int64_t op_tmpfile(struct request *r)
{
	const struct fuse_create_in *in = request_fixed(r, struct fuse_create_in);
	const struct inode *parent = inode_get(r->fsd, r->in.nodeid);
	autoclose int fd = -1;
	struct created out = {};
	int result;

	if (!in || !parent)
		return -EINVAL;
	set_umask(r->fsd, in->umask);
	fd = sys_openat(parent->fd, ".",
		(int)(in->flags & (O_ACCMODE | O_EXCL)) | O_TMPFILE | O_NOFOLLOW,
		in->mode & ~SET_ID & 07777);
	result = fd < 0 ? fd : admit_made(r, parent, fd, in->mode & SET_ID, &out.entry);
	return result < 0 ? result : reply_open(r, &out, take_fd(&fd));
}
