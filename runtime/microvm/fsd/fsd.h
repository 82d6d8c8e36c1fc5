/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brig-fsd: the file server of one shared folder of one VM.
 *
 * session.c takes the guest's queues from the VMM (devices/fs.h) and turns chains into requests;
 * request.c holds the table of FUSE operations; inode.c names the files that the guest knows;
 * files.c, folders.c, names.c, attributes.c and xattr.c are the operations.
 *
 * Everything in a request is hostile. A node or handle is an index that is checked; a name is one
 * component; no path is ever walked, and symbolic links are never followed here: each inode is a
 * descriptor (O_PATH), opened beneath its parent's. The guest checks its users' permissions; what
 * bounds the guest is that this process has only the shared folder (fsd/main.c).
 */
#pragma once

#include "base/err.h"
#include "runtime/microvm/devices/virtqueue.h"

#include <linux/fuse.h>
#include <stdbool.h>
#include <sys/stat.h>

enum {
	FSD_INODES_MAX = 1 << 20, /* a guest's kernel forgets only when its memory is short */
	FSD_HANDLES_MAX = 1 << 16,
	FSD_BUCKETS = 1 << 16,
	FSD_MOUNTS = 256,    /* whose numbers are told apart */
	FSD_BODY_MAX = 9000, /* two names and any fixed part */
	FSD_WRITE_MAX = 128 * 4096,
};

struct inode {
	int fd;        /* O_PATH; −1: not in use */
	uint16_t type; /* S_IFMT */
	bool opened;   /* the guest may have cached what is in it */
	dev_t dev;
	ino_t ino;
	uint64_t mount;       /* a file may be shared twice, once read-only */
	uint64_t lookups;     /* how often the guest was told of it */
	struct timespec seen; /* its change time when it was last looked at; 0: unknown */
	uint64_t salt;        /* what makes its number another than those of other mounts */
	uint32_t generation;
	int32_t next; /* in its bucket (index + 1), or among the free ones (index, −1: the last) */
};

/* Open files and folders; the index is what the guest gets. */
struct handle {
	int fd;       /* −1: not in use */
	int32_t next; /* among the free ones; −1: the last */
};

struct fsd {
	int proc; /* /proc/self/fd, to open again what is open as O_PATH; the working folder, too */
	bool read_only;
	uid_t uid;         /* its own: of what it makes, until given away */
	mode_t umask;      /* the kernel's for this process; beyond 0777: unknown */
	bool setxattr_ext; /* agreed with the guest */
	uint64_t mounts[FSD_MOUNTS], mount_count; /* that were met, in that order */
	/* Big, but memory only as far as they were ever used: beyond the counts nothing was
	 * touched. */
	struct inode *inodes;
	struct handle *handles;
	int32_t inode_count, handle_count;
	int32_t free_inode, free_handle; /* among those; −1: none */
	int32_t buckets[FSD_BUCKETS];    /* index + 1; 0: empty */
};

/* One request, its fixed part and names copied out of the guest's memory. */
struct request {
	struct fsd *fsd;
	const struct virtq_chain *chain;
	struct fuse_in_header in;
	char body[FSD_BODY_MAX];
	size_t body_len;
	size_t data_at; /* where a WRITE's data begins in the chain */
};

/* Takes over ROOT, an O_PATH descriptor of the folder. */
int fsd_open(struct fsd *fsd, int root, int proc, bool read_only, struct err *err);
void fsd_close(struct fsd *fsd);
/* Does what CHAIN asks and answers in it. Returns the bytes written, or −EBADMSG for what is no
 * request at all. */
int64_t fsd_handle(struct fsd *fsd, const struct virtq_chain *chain);

/* --- saved.c --- */

/* Writes what the guest knows to the empty FILE. −ESTALE: an open file was removed. */
int fsd_save(struct fsd *fsd, int file);
/* Right after fsd_open(), with the files as they were. −EINVAL for what fsd_save() did not write;
 * else what is not there any more is in ERR. */
int fsd_restore(struct fsd *fsd, int file, struct err *err);

/* --- inode.c --- */

/* The inode that the guest calls NODE, or NULL. */
struct inode *inode_get(struct fsd *fsd, uint64_t node);
/* Looks NAME up in PARENT and tells the guest: one lookup more. */
int inode_lookup(
	struct fsd *fsd, const struct inode *parent, const char *name, struct fuse_entry_out *ret);
/* Which file FD is, and through which mount. */
int inode_identify(int fd, struct stat *ret, uint64_t *ret_mount);
/* The same as inode_lookup() for what is open as FD (O_PATH), which is taken over, also on failure,
 * and was just now found to be ST and MOUNT. */
int inode_admit(
	struct fsd *fsd, int fd, const struct stat *st, uint64_t mount, struct fuse_entry_out *ret);
void inode_forget(struct fsd *fsd, uint64_t node, uint64_t lookups);
void inode_forget_all(struct fsd *fsd);
/* Opens it anew with FLAGS of open(2); never follows. */
int inode_reopen(struct fsd *fsd, const struct inode *inode, int flags);
/* Whether nothing has changed the file since it was last asked, FD being the file opened anew, or
 * since it was found: the guest may keep what it read then. False the first time: it has nothing.
 */
bool inode_unchanged(struct inode *inode, int fd);
void attr_fill(const struct inode *inode, const struct stat *st, struct fuse_attr *ret);
/* A handle for FD, which is taken over, also on failure. */
int handle_new(struct fsd *fsd, int fd, uint64_t *ret);
/* In a server that is as new: the inode INDEX is FD, which is taken over, also on failure. −EINVAL:
 * no such index, or not the next one up. After the last inode_restored(). The same for handles. */
int inode_restore(struct fsd *fsd, uint32_t index, int fd, uint32_t generation, uint64_t lookups);
void inode_restored(struct fsd *fsd);
int handle_restore(struct fsd *fsd, uint32_t index, int fd);
void handle_restored(struct fsd *fsd);
int handle_get(const struct fsd *fsd, uint64_t handle);
void handle_free(struct fsd *fsd, uint64_t handle);
void handle_free_all(struct fsd *fsd);

/* --- the operations: bytes of the answer behind its header, or a negative errno --- */

typedef int64_t fsd_operation(struct request *request);

/* The fixed part of a request, or NULL when it is too short. */
#define request_fixed(request, type) \
	((request)->body_len >= sizeof(type) ? (const type *)(const void *)(request)->body : NULL)
/* The INDEX-th string behind FIXED bytes; NULL when it is not there or not terminated. */
const char *request_string(const struct request *request, size_t fixed, int index);
/* The same, and one component of a path: what the guest calls a file. −EINVAL, −ENAMETOOLONG. */
int request_name(const struct request *request, size_t fixed, int index, const char **ret);
int64_t request_reply(const struct request *request, const void *data, size_t len);

/* names.c */
fsd_operation op_lookup, op_forget, op_batch_forget, op_readlink, op_symlink, op_mknod, op_mkdir,
	op_unlink, op_rmdir, op_rename, op_rename2, op_link, op_create, op_tmpfile;
/* files.c */
fsd_operation op_open, op_read, op_write, op_release, op_fsync, op_opendir, op_fallocate, op_lseek,
	op_copy;
/* folders.c */
fsd_operation op_readdir, op_readdirplus;
/* attributes.c */
fsd_operation op_init, op_destroy, op_getattr, op_setattr, op_statfs, op_syncfs;
/* As write(2) does for who has no CAP_FSETID: set-id bits go. */
int kill_set_id(int fd);
/* xattr.c */
fsd_operation op_getxattr, op_listxattr, op_setxattr, op_removexattr;
