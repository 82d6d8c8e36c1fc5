/* SPDX-License-Identifier: Apache-2.0 */
/* What is in folders. The place in one is the kernel's own cookie, so nothing is remembered between
 * calls. */
/* #syscalls:fsd getdents64 lseek */
#include "base/path.h"
#include "base/sys.h"
#include "runtime/microvm/fsd/fsd.h"

#include <dirent.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	LISTING = 32768,
	ENTRY_MIN = 1024, /* any one entry of the host's fits */
	PLUS_SHARE = 4,   /* an entry with attributes takes so much more room than the host's */
};

/* Lists the open folder FD from OFFSET on, about as much as fits into ROOM bytes. */
static long list(int fd, uint64_t offset, size_t room, uint8_t host[LISTING])
{
	long n;

	room = room < ENTRY_MIN ? ENTRY_MIN : room > LISTING ? LISTING : room;
	if (lseek(fd, (off_t)offset, SEEK_SET) < 0)
		return -errno;
	n = syscall(SYS_getdents64, fd, host, room);
	return n < 0 ? -errno : n;
}

/* One entry in the guest's form at OUT; the space it takes, 0 when it does not fit. */
static size_t put_entry(
	const struct inode *folder, uint8_t *out, size_t room, const struct dirent64 *d)
{
	size_t name = strlen(d->d_name), len = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + name);
	struct fuse_dirent entry = {.ino = d->d_ino ^ folder->salt,
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

/* The same with what a lookup would tell; without it for what cannot be looked up. */
static size_t put_plus(struct fsd *fsd, const struct inode *folder, uint8_t *out, size_t room,
	const struct dirent64 *d)
{
	const size_t before = offsetof(struct fuse_direntplus, dirent);
	struct fuse_entry_out entry = {};
	size_t len = room < before ? 0 : put_entry(folder, out + before, room - before, d);

	if (!len)
		return 0;
	if (path_is_component(d->d_name) && inode_lookup(fsd, folder, d->d_name, &entry) < 0)
		entry = (struct fuse_entry_out){};
	memcpy(out, &entry, sizeof(entry));
	return before + len;
}

static int64_t read_folder(struct request *r, bool plus)
{
	const struct fuse_read_in *in = request_fixed(r, struct fuse_read_in);
	const struct inode *folder = inode_get(r->fsd, r->in.nodeid);
	int fd = in ? handle_get(r->fsd, in->fh) : -EINVAL;
	uint8_t host[LISTING] __attribute__((aligned(8))), out[LISTING];
	size_t room, used = 0;
	long n;

	if (fd < 0 || !folder)
		return fd < 0 ? fd : -EINVAL;
	room = in->size < sizeof(out) ? in->size : sizeof(out);
	/* What the guest would not learn of it must not be counted as told. */
	if (room > r->chain->write_len - sizeof(struct fuse_out_header))
		return -ERANGE;
	n = list(fd, in->offset, plus ? room / PLUS_SHARE : room, host);
	for (long at = 0; at < n;) {
		const struct dirent64 *d = (const void *)(host + at);
		size_t len = plus ? put_plus(r->fsd, folder, out + used, room - used, d)
				  : put_entry(folder, out + used, room - used, d);

		if (!len)
			break; /* the guest goes on from the last one that fitted */
		used += len;
		at += d->d_reclen;
	}
	return n < 0 ? n : request_reply(r, out, used);
}

int64_t op_readdir(struct request *r)
{
	return read_folder(r, false);
}

int64_t op_readdirplus(struct request *r)
{
	return read_folder(r, true);
}
