/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes. The guest has those that mean the same to its kernel as to the host's:
 * user.*, capabilities and ACLs. trusted.* and the labels of the host's security modules are the
 * host's own: they cannot be set, and are not seen.
 *
 * A call by descriptor does not take one of O_PATH, so the name is the descriptor's in the working
 * folder, /proc/self/fd, which leads to the file itself, also when that is a symbolic link.
 */
/* #syscalls:fsd getxattr listxattr setxattr removexattr */
#include "base/parse.h"
#include "base/sys.h"
#include "runtime/microvm/fsd/fsd.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

enum { FIXED_SHORT = 8 }; /* of a SETXATTR, before it was extended */

static bool is_acl(const char *name)
{
	return !strcmp(name, "system.posix_acl_access") ||
	       !strcmp(name, "system.posix_acl_default");
}

static bool is_shared(const char *name)
{
	const char *rest;

	return parse_has_prefix(name, "user.", &rest) || !strcmp(name, "security.capability") ||
	       is_acl(name);
}

/* The error for NAME, which is none of those: what a file system says that has no such kind of
 * name, and HIDDEN for what only the host has. */
static int refusal(const char *name, int hidden)
{
	const char *rest;

	return parse_has_prefix(name, "trusted.", &rest) ||
			       parse_has_prefix(name, "security.", &rest)
		       ? hidden
		       : -EOPNOTSUPP;
}

/* How the kernel finds the inode NODE: "7". */
static int name_of(struct request *r, char ret[16])
{
	const struct inode *inode = inode_get(r->fsd, r->in.nodeid);

	if (inode)
		snprintf(ret, 16, "%d", inode->fd);
	return inode ? 0 : -EINVAL;
}

/* LEN bytes of DATA for who has room for SIZE; for SIZE 0 only how many there are. */
static int64_t reply_value(struct request *r, uint32_t size, const void *data, size_t len)
{
	const struct fuse_getxattr_out out = {.size = (uint32_t)len};

	if (!size)
		return request_reply(r, &out, sizeof(out));
	return len > size ? -ERANGE : request_reply(r, data, len);
}

int64_t op_getxattr(struct request *r)
{
	const struct fuse_getxattr_in *in = request_fixed(r, struct fuse_getxattr_in);
	const char *name = in ? request_string(r, sizeof(*in), 0) : NULL;
	char file[16], value[XATTR_SIZE_MAX];
	ssize_t n;

	if (!name || name_of(r, file) < 0)
		return -EINVAL;
	if (!is_shared(name))
		return refusal(name, -ENODATA);
	/* For more than is wanted the kernel would clear a buffer each time. */
	n = getxattr(file, name, value, in->size < sizeof(value) ? in->size : sizeof(value));
	if (n < 0) /* a file system without ACLs has none: an error would refuse every access */
		return errno == EOPNOTSUPP && is_acl(name) ? -ENODATA : -errno;
	return reply_value(r, in->size, value, (size_t)n);
}

int64_t op_listxattr(struct request *r)
{
	const struct fuse_getxattr_in *in = request_fixed(r, struct fuse_getxattr_in);
	char file[16], list[XATTR_LIST_MAX];
	size_t used = 0;
	ssize_t n;

	if (!in || name_of(r, file) < 0)
		return -EINVAL;
	n = listxattr(file, list, sizeof(list));
	if (n < 0)
		return -errno;
	for (ssize_t at = 0; at < n;) {
		size_t len = strnlen(list + at, (size_t)(n - at)) + 1;

		if (is_shared(list + at)) {
			memmove(list + used, list + at, len);
			used += len;
		}
		at += (ssize_t)len;
	}
	return reply_value(r, in->size, list, used);
}

/* An ACL that lets the group do less may take its set-id bit, which the guest's kernel knows. */
static int drop_set_gid(struct request *r, const char *file)
{
	struct stat st;
	int result = sys_fstatat(r->fsd->proc, file, &st, 0);

	return result < 0 ? result : sys_fchmodat(r->fsd->proc, file, st.st_mode & 05777);
}

int64_t op_setxattr(struct request *r)
{
	const size_t fixed = r->fsd->setxattr_ext ? sizeof(struct fuse_setxattr_in) : FIXED_SHORT;
	const struct fuse_setxattr_in *in = r->body_len >= fixed ? (const void *)r->body : NULL;
	const char *name = in ? request_string(r, fixed, 0) : NULL;
	char file[16], value[XATTR_SIZE_MAX];
	bool kill;
	size_t at;
	int result = name ? name_of(r, file) : -EINVAL;

	if (result < 0)
		return result;
	if (!is_shared(name))
		return refusal(name, -EPERM);
	if (in->size > sizeof(value))
		return -E2BIG;
	at = sizeof(r->in) + fixed + strlen(name) + 1;
	if (virtq_read(r->chain, at, value, in->size) != in->size)
		return -EINVAL;
	kill = r->fsd->setxattr_ext && in->setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID;
	if (setxattr(file, name, value, in->size, (int)in->flags) < 0)
		return -errno;
	return kill ? drop_set_gid(r, file) : 0;
}

int64_t op_removexattr(struct request *r)
{
	const char *name = request_string(r, 0, 0);
	char file[16];

	if (!name || name_of(r, file) < 0)
		return -EINVAL;
	if (!is_shared(name))
		return refusal(name, -EPERM);
	return removexattr(file, name) < 0 ? -errno : 0;
}
