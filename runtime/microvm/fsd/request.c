/* SPDX-License-Identifier: Apache-2.0 */
#include "base/path.h"
#include "runtime/microvm/fsd/fsd.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define HEADER sizeof(struct fuse_out_header)

enum { NO_ANSWER = 1, WRITES = 2 };

/*
 * What is not here is ENOSYS, which the guest's kernel asks for once:
 *  - FLUSH, since nothing is kept back;
 *  - locks: they are the guest's own. A request on a virtqueue cannot be taken back, so who waits
 *    here for a lock of another guest's could not even be killed.
 */
static const struct {
	fsd_operation *run;
	int flags;
} operations[] = {
	[FUSE_INIT] = {op_init, 0},
	[FUSE_DESTROY] = {op_destroy, 0},
	[FUSE_LOOKUP] = {op_lookup, 0},
	[FUSE_FORGET] = {op_forget, NO_ANSWER},
	[FUSE_BATCH_FORGET] = {op_batch_forget, NO_ANSWER},
	[FUSE_GETATTR] = {op_getattr, 0},
	[FUSE_SETATTR] = {op_setattr, WRITES},
	[FUSE_READLINK] = {op_readlink, 0},
	[FUSE_SYMLINK] = {op_symlink, WRITES},
	[FUSE_MKNOD] = {op_mknod, WRITES},
	[FUSE_MKDIR] = {op_mkdir, WRITES},
	[FUSE_UNLINK] = {op_unlink, WRITES},
	[FUSE_RMDIR] = {op_rmdir, WRITES},
	[FUSE_RENAME] = {op_rename, WRITES},
	[FUSE_RENAME2] = {op_rename2, WRITES},
	[FUSE_LINK] = {op_link, WRITES},
	[FUSE_OPEN] = {op_open, 0},
	[FUSE_READ] = {op_read, 0},
	[FUSE_WRITE] = {op_write, WRITES},
	[FUSE_STATFS] = {op_statfs, 0},
	[FUSE_RELEASE] = {op_release, 0},
	[FUSE_RELEASEDIR] = {op_release, 0},
	[FUSE_FSYNC] = {op_fsync, 0},
	[FUSE_FSYNCDIR] = {op_fsync, 0},
	[FUSE_OPENDIR] = {op_opendir, 0},
	[FUSE_READDIR] = {op_readdir, 0},
	[FUSE_READDIRPLUS] = {op_readdirplus, 0},
	[FUSE_CREATE] = {op_create, WRITES},
	[FUSE_TMPFILE] = {op_tmpfile, WRITES},
	[FUSE_FALLOCATE] = {op_fallocate, WRITES},
	[FUSE_LSEEK] = {op_lseek, 0},
	[FUSE_COPY_FILE_RANGE] = {op_copy, WRITES},
	[FUSE_GETXATTR] = {op_getxattr, 0},
	[FUSE_LISTXATTR] = {op_listxattr, 0},
	[FUSE_SETXATTR] = {op_setxattr, WRITES},
	[FUSE_REMOVEXATTR] = {op_removexattr, WRITES},
	[FUSE_SYNCFS] = {op_syncfs, 0},
};

const char *request_string(const struct request *r, size_t fixed, int index)
{
	size_t at = fixed;

	for (;; index--) {
		const char *end =
			at < r->body_len ? memchr(r->body + at, 0, r->body_len - at) : NULL;

		if (!end)
			return NULL;
		if (index == 0)
			return r->body + at;
		at = (size_t)(end - r->body) + 1;
	}
}

int request_name(const struct request *r, size_t fixed, int index, const char **ret)
{
	const char *name = request_string(r, fixed, index);

	if (!name || !path_is_component(name))
		return -EINVAL;
	if (strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	*ret = name;
	return 0;
}

int64_t request_reply(const struct request *r, const void *data, size_t len)
{
	return virtq_write(r->chain, HEADER, data, len) == len ? (int64_t)len : -ERANGE;
}

/* The data of a WRITE and of a SETXATTR stays where it is; of everything else all is copied. */
static int read_request(struct request *r)
{
	size_t len;

	if (virtq_read(r->chain, 0, &r->in, sizeof(r->in)) != sizeof(r->in))
		return -EBADMSG;
	len = r->chain->read_len - sizeof(r->in);
	if (r->in.opcode == FUSE_WRITE && len > sizeof(struct fuse_write_in))
		len = sizeof(struct fuse_write_in);
	if (r->in.opcode == FUSE_SETXATTR && len > sizeof(r->body))
		len = sizeof(r->body);
	r->data_at = sizeof(r->in) + len;
	if (len > sizeof(r->body))
		return -E2BIG;
	r->body_len = virtq_read(r->chain, sizeof(r->in), r->body, len);
	return 0;
}

static int64_t dispatch(struct request *r)
{
	uint32_t op = r->in.opcode;

	if (op >= sizeof(operations) / sizeof(*operations) || !operations[op].run)
		return -ENOSYS;
	if (operations[op].flags & WRITES && r->fsd->read_only)
		return -EROFS;
	return operations[op].run(r);
}

int64_t fsd_handle(struct fsd *fsd, const struct virtq_chain *chain)
{
	struct request r;
	struct fuse_out_header out;
	int64_t n;

	r.fsd = fsd;
	r.chain = chain;
	n = read_request(&r);
	if (n == -EBADMSG)
		return n;
	if (n == 0)
		n = dispatch(&r);
	if (r.in.opcode == FUSE_FORGET || r.in.opcode == FUSE_BATCH_FORGET)
		return 0;
	out = (struct fuse_out_header){
		.len = (uint32_t)(HEADER + (n > 0 ? (size_t)n : 0)),
		.error = n < 0 ? (int32_t)n : 0,
		.unique = r.in.unique,
	};
	return virtq_write(chain, 0, &out, HEADER) == HEADER ? (int64_t)out.len : -EBADMSG;
}
