/* SPDX-License-Identifier: Apache-2.0 */
/* #syscalls:fsd openat newfstatat statx close clock_gettime */
#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/microvm/fsd/fsd.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <time.h>

enum { ROOT = 0, NODE_OF_ROOT = 1, TIMEOUT_SECONDS = 1, SALT_SHIFT = 48 };

static int32_t *bucket_of(struct fsd *fsd, dev_t dev, ino_t ino)
{
	uint64_t h = (ino ^ dev << 32) * 0x9e3779b97f4a7c15ULL;

	return fsd->buckets + (h >> 48);
}

int inode_identify(int fd, struct stat *ret, uint64_t *ret_mount)
{
	struct statx s;
	int r = sys_statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &s);

	if (r < 0)
		return r;
	*ret = (struct stat){
		.st_dev = makedev(s.stx_dev_major, s.stx_dev_minor),
		.st_ino = s.stx_ino,
		.st_mode = s.stx_mode,
		.st_nlink = s.stx_nlink,
		.st_uid = s.stx_uid,
		.st_gid = s.stx_gid,
		.st_rdev = makedev(s.stx_rdev_major, s.stx_rdev_minor),
		.st_size = (off_t)s.stx_size,
		.st_blksize = s.stx_blksize,
		.st_blocks = (blkcnt_t)s.stx_blocks,
		.st_atim = {s.stx_atime.tv_sec, s.stx_atime.tv_nsec},
		.st_mtim = {s.stx_mtime.tv_sec, s.stx_mtime.tv_nsec},
		.st_ctim = {s.stx_ctime.tv_sec, s.stx_ctime.tv_nsec},
	};
	*ret_mount = s.stx_mask & STATX_MNT_ID ? s.stx_mnt_id : 0;
	return 0;
}

int fsd_open(struct fsd *fsd, int root, int proc, bool read_only, struct err *err)
{
	struct stat st = {};
	uint64_t mount = 0;
	int r = inode_identify(root, &st, &mount);

	*fsd = (struct fsd){.proc = proc,
		.read_only = read_only,
		.uid = geteuid(),
		.umask = (mode_t)-1,
		.free_inode = -1,
		.free_handle = -1};
	if (r < 0 || !S_ISDIR(st.st_mode))
		return err_sys(err, r < 0 ? r : -ENOTDIR, "the folder to share");
	fsd->inodes = calloc(FSD_INODES_MAX, sizeof(*fsd->inodes));
	fsd->handles = calloc(FSD_HANDLES_MAX, sizeof(*fsd->handles));
	if (!fsd->inodes || !fsd->handles)
		return err_sys(err, -ENOMEM, "file server");
	fsd->inodes[ROOT] = (struct inode){.fd = root,
		.type = S_IFDIR,
		.dev = st.st_dev,
		.ino = st.st_ino,
		.mount = mount,
		.lookups = 1};
	*bucket_of(fsd, st.st_dev, st.st_ino) = ROOT + 1;
	fsd->inode_count = 1;
	return 0;
}

void fsd_close(struct fsd *fsd)
{
	handle_free_all(fsd);
	inode_forget_all(fsd);
	cleanup_close(&fsd->inodes[ROOT].fd);
	cleanup_free(&fsd->inodes);
	cleanup_free(&fsd->handles);
}

struct inode *inode_get(struct fsd *fsd, uint64_t node)
{
	struct inode *inode;

	if (node < NODE_OF_ROOT || node - NODE_OF_ROOT >= (uint64_t)fsd->inode_count)
		return NULL;
	inode = fsd->inodes + (node - NODE_OF_ROOT);
	return inode->fd >= 0 ? inode : NULL;
}

void attr_fill(const struct inode *inode, const struct stat *st, struct fuse_attr *ret)
{
	*ret = (struct fuse_attr){
		.ino = st->st_ino ^ inode->salt,
		.size = (uint64_t)st->st_size,
		.blocks = (uint64_t)st->st_blocks,
		.atime = (uint64_t)st->st_atim.tv_sec,
		.mtime = (uint64_t)st->st_mtim.tv_sec,
		.ctime = (uint64_t)st->st_ctim.tv_sec,
		.atimensec = (uint32_t)st->st_atim.tv_nsec,
		.mtimensec = (uint32_t)st->st_mtim.tv_nsec,
		.ctimensec = (uint32_t)st->st_ctim.tv_nsec,
		.mode = st->st_mode,
		.nlink = (uint32_t)st->st_nlink,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.rdev = (uint32_t)st->st_rdev,
		.blksize = (uint32_t)st->st_blksize,
	};
}

/*
 * All that the guest sees is one file system, in which a number is one file: those of other mounts
 * than the first get numbers that it does not have. (FUSE_SUBMOUNTS would make file systems of
 * them, for which Linux forgets that they have ACLs.)
 */
static uint64_t salt_of(struct fsd *fsd, uint64_t mount)
{
	uint64_t i = 0;

	while (i < fsd->mount_count && fsd->mounts[i] != mount)
		i++;
	if (i == fsd->mount_count && i < FSD_MOUNTS)
		fsd->mounts[fsd->mount_count++] = mount;
	return i << SALT_SHIFT;
}

/* A place for one more inode, or NULL. */
static struct inode *inode_take(struct fsd *fsd)
{
	struct inode *inode;

	if (fsd->free_inode >= 0) {
		inode = fsd->inodes + fsd->free_inode;
		fsd->free_inode = inode->next;
		return inode;
	}
	return fsd->inode_count < FSD_INODES_MAX ? fsd->inodes + fsd->inode_count++ : NULL;
}

/* The change time of a file that would get another one if it changed from now on. What changes
 * again within a tick of the clock keeps its time. */
static struct timespec settled(const struct stat *st)
{
	struct timespec now;
	bool old = clock_gettime(CLOCK_REALTIME_COARSE, &now) == 0 &&
		   now.tv_sec > st->st_ctim.tv_sec + 1;

	return old ? st->st_ctim : (struct timespec){};
}

/* The inode of FD, which is taken over: a file that is known keeps its node. */
static struct inode *inode_of(struct fsd *fsd, int fd, const struct stat *st, uint64_t mount)
{
	int32_t *bucket = bucket_of(fsd, st->st_dev, st->st_ino);
	struct inode *inode;

	for (int32_t i = *bucket; i > 0; i = inode->next) {
		inode = fsd->inodes + (i - 1);
		if (inode->dev == st->st_dev && inode->ino == st->st_ino && inode->mount == mount) {
			close(fd);
			return inode;
		}
	}
	inode = inode_take(fsd);
	if (!inode) {
		close(fd);
		return NULL;
	}
	*inode = (struct inode){.fd = fd,
		.type = st->st_mode & S_IFMT,
		.dev = st->st_dev,
		.ino = st->st_ino,
		.mount = mount,
		.seen = settled(st),
		.salt = salt_of(fsd, mount),
		.generation = inode->generation + 1,
		.next = *bucket};
	*bucket = (int32_t)(inode - fsd->inodes) + 1;
	return inode;
}

int inode_admit(
	struct fsd *fsd, int fd, const struct stat *st, uint64_t mount, struct fuse_entry_out *ret)
{
	struct inode *inode = inode_of(fsd, fd, st, mount);

	if (!inode)
		return -ENFILE;
	inode->lookups++;
	*ret = (struct fuse_entry_out){
		.nodeid = (uint64_t)(inode - fsd->inodes) + NODE_OF_ROOT,
		.generation = inode->generation,
		.entry_valid = TIMEOUT_SECONDS,
		.attr_valid = TIMEOUT_SECONDS,
	};
	attr_fill(inode, st, &ret->attr);
	return 0;
}

int inode_lookup(
	struct fsd *fsd, const struct inode *parent, const char *name, struct fuse_entry_out *ret)
{
	autoclose int fd = sys_openat(parent->fd, name, O_PATH | O_NOFOLLOW, 0);
	struct stat st;
	uint64_t mount;
	int r = fd < 0 ? fd : inode_identify(fd, &st, &mount);

	return r < 0 ? r : inode_admit(fsd, take_fd(&fd), &st, mount, ret);
}

/* Indexes come in rising order; those between are free, and get into the list at the end. */
int inode_restore(struct fsd *fsd, uint32_t index, int fd, uint32_t generation, uint64_t lookups)
{
	struct inode *inode = fsd->inodes + index;
	struct stat st;
	int32_t *bucket;
	uint64_t mount;
	int r = index < (uint32_t)fsd->inode_count || index >= FSD_INODES_MAX || !lookups ? -EINVAL
											  : 0;

	if (r == 0)
		r = inode_identify(fd, &st, &mount);
	if (r < 0) {
		close(fd);
		return r;
	}
	for (int32_t i = fsd->inode_count; i < (int32_t)index; i++)
		fsd->inodes[i].fd = -1;
	bucket = bucket_of(fsd, st.st_dev, st.st_ino);
	*inode = (struct inode){.fd = fd,
		.type = st.st_mode & S_IFMT,
		.dev = st.st_dev,
		.ino = st.st_ino,
		.mount = mount,
		.salt = salt_of(fsd, mount),
		.lookups = lookups,
		.generation = generation,
		.next = *bucket};
	*bucket = (int32_t)index + 1;
	fsd->inode_count = (int32_t)index + 1;
	return 0;
}

void inode_restored(struct fsd *fsd)
{
	for (int32_t i = fsd->inode_count - 1; i > ROOT; i--) {
		if (fsd->inodes[i].fd >= 0)
			continue;
		fsd->inodes[i].next = fsd->free_inode;
		fsd->free_inode = i;
	}
}

static void inode_free(struct fsd *fsd, struct inode *inode)
{
	int32_t *link = bucket_of(fsd, inode->dev, inode->ino), at = (int32_t)(inode - fsd->inodes);

	while (*link != at + 1)
		link = &fsd->inodes[*link - 1].next;
	*link = inode->next;
	cleanup_close(&inode->fd);
	inode->next = fsd->free_inode;
	fsd->free_inode = at;
}

void inode_forget(struct fsd *fsd, uint64_t node, uint64_t lookups)
{
	struct inode *inode = inode_get(fsd, node);

	if (!inode || node == NODE_OF_ROOT)
		return;
	inode->lookups -= lookups < inode->lookups ? lookups : inode->lookups;
	if (!inode->lookups)
		inode_free(fsd, inode);
}

void inode_forget_all(struct fsd *fsd)
{
	for (int32_t i = ROOT + 1; i < fsd->inode_count; i++)
		if (fsd->inodes[i].fd >= 0)
			inode_free(fsd, fsd->inodes + i);
}

bool inode_unchanged(struct inode *inode, int fd)
{
	struct timespec before = inode->seen;
	struct stat st;

	if (!inode->opened) {
		inode->opened = true;
		return false;
	}
	inode->seen = (struct timespec){};
	if (sys_fstat(fd, &st) < 0)
		return false;
	inode->seen = settled(&st);
	return inode->seen.tv_sec && before.tv_sec == inode->seen.tv_sec &&
	       before.tv_nsec == inode->seen.tv_nsec;
}

/* Only what cannot act by being opened: no device, no FIFO that blocks. */
int inode_reopen(struct fsd *fsd, const struct inode *inode, int flags)
{
	char name[16];

	if (!S_ISREG(inode->type) && !S_ISDIR(inode->type))
		return inode->type == S_IFLNK ? -ELOOP : -ENXIO;
	snprintf(name, sizeof(name), "%d", inode->fd);
	return sys_openat(fsd->proc, name, flags & ~(O_NOFOLLOW | O_CREAT | O_EXCL), 0);
}

int handle_new(struct fsd *fsd, int fd, uint64_t *ret)
{
	int32_t at = fsd->free_handle;

	if (at >= 0) {
		fsd->free_handle = fsd->handles[at].next;
	} else if (fsd->handle_count < FSD_HANDLES_MAX) {
		at = fsd->handle_count++;
	} else {
		close(fd);
		return -ENFILE;
	}
	fsd->handles[at].fd = fd;
	*ret = (uint64_t)at;
	return 0;
}

int handle_get(const struct fsd *fsd, uint64_t handle)
{
	bool used = handle < (uint64_t)fsd->handle_count && fsd->handles[handle].fd >= 0;

	return used ? fsd->handles[handle].fd : -EBADF;
}

void handle_free(struct fsd *fsd, uint64_t handle)
{
	if (handle_get(fsd, handle) < 0)
		return;
	cleanup_close(&fsd->handles[handle].fd);
	fsd->handles[handle].next = fsd->free_handle;
	fsd->free_handle = (int32_t)handle;
}

void handle_free_all(struct fsd *fsd)
{
	for (uint64_t i = 0; i < (uint64_t)fsd->handle_count; i++)
		handle_free(fsd, i);
}

int handle_restore(struct fsd *fsd, uint32_t index, int fd)
{
	if (index < (uint32_t)fsd->handle_count || index >= FSD_HANDLES_MAX) {
		close(fd);
		return -EINVAL;
	}
	for (int32_t i = fsd->handle_count; i < (int32_t)index; i++)
		fsd->handles[i].fd = -1;
	fsd->handles[index].fd = fd;
	fsd->handle_count = (int32_t)index + 1;
	return 0;
}

void handle_restored(struct fsd *fsd)
{
	for (int32_t i = fsd->handle_count - 1; i >= 0; i--) {
		if (fsd->handles[i].fd >= 0)
			continue;
		fsd->handles[i].next = fsd->free_handle;
		fsd->free_handle = i;
	}
}
