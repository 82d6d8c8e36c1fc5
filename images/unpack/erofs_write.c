/* SPDX-License-Identifier: Apache-2.0 */
/* The format itself: fs/erofs/erofs_fs.h of the kernel. Little endian, as are all hosts of ours. */
#include "images/unpack/erofs_private.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "images/unpack/jail.h"

#include <limits.h>
#include <string.h>
#include <sys/sysmacros.h>

JAIL_NEEDS(UNPACK_EROFS, SYS_pwrite64);
JAIL_NEEDS(UNPACK_EROFS, SYS_ftruncate);

enum {
	SUPER_AT = 1024,
	SUPER_MAGIC = 0xe0f5e1e2,
	BLOCK_BITS = 12,
	SLOT = 32,      /* a nid's unit */
	FIRST_NID = 2,  /* number 0 would be no file's */
	EXTENDED = 1,   /* inodes with 32-bit owners and a time */
	PLAIN = 0 << 1, /* where the content is */
	INLINE = 2 << 1,
};

struct super {
	uint32_t magic, checksum, feature_compat;
	uint8_t block_bits, extra_slots;
	uint16_t root_nid;
	uint64_t inodes, build_time;
	uint32_t build_time_ns, blocks, meta_block, xattr_block;
	uint8_t uuid[16], volume_name[16];
	uint32_t feature_incompat;
	uint8_t reserved[44];
};
_Static_assert(sizeof(struct super) == 128, "superblock");

struct inode {
	uint16_t format, xattr_count, mode, reserved;
	uint64_t size;
	uint32_t block_or_device, number, uid, gid;
	uint64_t mtime;
	uint32_t mtime_ns, links;
	uint8_t reserved2[16];
};
_Static_assert(sizeof(struct inode) == 64, "inode");

struct dirent {
	uint64_t nid;
	uint16_t name_at;
	uint8_t type, reserved;
} __attribute__((packed));
_Static_assert(sizeof(struct dirent) == 12, "folder entry");

struct xattr {
	uint8_t name_len, prefix;
	uint16_t value_len;
};

enum { XATTR_HEADER = 12 }; /* before the first: nothing is shared */

static const struct {
	const char *prefix;
	uint8_t index;
} xattr_prefixes[] = {
	{"user.", 1},
	{"system.posix_acl_access", 2},
	{"system.posix_acl_default", 3},
	{"security.", 6},
};

int erofs_reserve(struct erofs_image *image, uint64_t len, uint32_t *ret, struct err *err)
{
	uint64_t count = (len + EROFS_BLOCK - 1) / EROFS_BLOCK;

	if (len > UINT64_MAX - EROFS_BLOCK || image->blocks + count > UINT32_MAX)
		return err_set(err, -EFBIG, "the image would be too large");
	*ret = (uint32_t)image->blocks;
	image->blocks += count;
	return 0;
}

int erofs_add_xattr(struct erofs_image *image, struct erofs_node *node, const char *name,
	const void *value, size_t len, struct err *err)
{
	size_t at = node->xattr_len ? node->xattr_len : XATTR_HEADER, i = 0, skip, name_len, total;
	struct xattr entry;
	uint8_t *grown;

	while (strncmp(name, xattr_prefixes[i].prefix, strlen(xattr_prefixes[i].prefix)) != 0)
		if (++i == ARRAY_LEN(xattr_prefixes))
			return err_set(err, -EINVAL, "attribute %.100s", name);
	skip = strlen(xattr_prefixes[i].prefix);
	name_len = strlen(name) - skip;
	total = (at + sizeof(entry) + name_len + len + 3) / 4 * 4;
	if (name_len > UINT8_MAX || len > UINT16_MAX || total / 4 > UINT16_MAX)
		return err_set(err, -E2BIG, "too many extended attributes");
	grown = arena_alloc(&image->arena, 1, total);
	if (!grown)
		return err_sys(err, -ENOMEM, "pack");
	entry = (struct xattr){(uint8_t)name_len, xattr_prefixes[i].index, (uint16_t)len};
	memset(grown, 0, total);
	if (node->xattr_len)
		memcpy(grown, node->xattrs, at);
	memcpy(grown + at, &entry, sizeof(entry));
	memcpy(grown + at + sizeof(entry), name + skip, name_len);
	memcpy(grown + at + sizeof(entry) + name_len, value, len);
	node->xattrs = grown;
	node->xattr_len = total;
	return 0;
}

/* ---- folders ---- */

/* How many entries from FIRST on fit into one block, and the bytes that they take. */
static size_t fill_block(const struct erofs_node *folder, size_t first, size_t *ret_len)
{
	size_t n = first, len = 0;

	for (; n < folder->entry_count; n++) {
		size_t more = sizeof(struct dirent) + strlen(folder->entries[n].name);

		if (len + more > EROFS_BLOCK)
			break;
		len += more;
	}
	*ret_len = len;
	return n - first;
}

static uint64_t folder_size(const struct erofs_node *folder)
{
	size_t len = 0, blocks = 0;

	for (size_t at = 0; at < folder->entry_count; blocks++)
		at += fill_block(folder, at, &len);
	return (blocks - 1) * EROFS_BLOCK + len;
}

static uint8_t type_of(mode_t mode)
{
	static const struct {
		mode_t mode;
		uint8_t type;
	} types[] = {{S_IFREG, 1}, {S_IFDIR, 2}, {S_IFCHR, 3}, {S_IFBLK, 4}, {S_IFIFO, 5},
		{S_IFSOCK, 6}, {S_IFLNK, 7}};

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if ((mode & S_IFMT) == types[i].mode)
			return types[i].type;
	return 0;
}

/* COUNT entries from FIRST on, as one block at OUT: first all entries, then all names. */
static void put_block(const struct erofs_node *folder, size_t first, size_t count, uint8_t *out)
{
	size_t name_at = count * sizeof(struct dirent);

	for (size_t i = 0; i < count; i++) {
		const struct erofs_entry *e = folder->entries + first + i;
		const struct dirent d = {.nid = e->node->nid,
			.name_at = (uint16_t)name_at,
			.type = type_of(e->node->mode)};

		memcpy(out + i * sizeof(d), &d, sizeof(d));
		memcpy(out + name_at, e->name, strlen(e->name));
		name_at += strlen(e->name);
	}
}

/* ---- layout ---- */

static size_t inode_len(const struct erofs_node *n)
{
	return sizeof(struct inode) + n->xattr_len;
}

/* What is known here and not yet written: of folders and links. */
static bool has_tail(const struct erofs_node *n)
{
	return !S_ISREG(n->mode) && n->size % EROFS_BLOCK;
}

/* Gives NODE its place from AT on; an inode and what stands behind it are in one block. Returns
 * where the next may begin. */
static uint64_t place(struct erofs_node *n, uint64_t at)
{
	size_t tail = has_tail(n) ? n->size % EROFS_BLOCK : 0, whole;

	n->tail_inside = tail && inode_len(n) + tail <= EROFS_BLOCK;
	whole = n->tail_inside ? inode_len(n) + tail : sizeof(struct inode);
	if (at % EROFS_BLOCK + whole > EROFS_BLOCK)
		at = (at / EROFS_BLOCK + 1) * EROFS_BLOCK;
	n->nid = at / SLOT;
	at += inode_len(n) + (n->tail_inside ? tail : 0);
	return (at + SLOT - 1) / SLOT * SLOT;
}

/* Returns the bytes of the inodes; their first block in RET_BLOCK. */
static int64_t lay_out(struct erofs_image *image, uint32_t *ret_block, struct err *err)
{
	uint64_t at = (uint64_t)FIRST_NID * SLOT;
	int r;

	for (struct erofs_node *n = image->first; n; n = n->next) {
		if (S_ISDIR(n->mode))
			n->size = folder_size(n);
		at = place(n, at);
	}
	r = erofs_reserve(image, at, ret_block, err);
	for (struct erofs_node *n = image->first; n && r == 0; n = n->next)
		if (S_ISDIR(n->mode) || S_ISLNK(n->mode))
			r = erofs_reserve(image,
				n->tail_inside ? n->size / EROFS_BLOCK * EROFS_BLOCK : n->size,
				&n->block, err);
	return r < 0 ? r : (int64_t)at;
}

/* ---- writing ---- */

static int write_at(
	struct erofs_image *image, const void *data, size_t len, uint64_t at, struct err *err)
{
	while (len) {
		ssize_t n = sys_pwrite(image->out, data, len, (off_t)at);

		if (n <= 0)
			return err_sys(err, n < 0 ? (int)n : -EIO, "write the image");
		data = (const uint8_t *)data + n;
		len -= (size_t)n;
		at += (uint64_t)n;
	}
	return 0;
}

static uint32_t device_of(dev_t d)
{
	return (minor(d) & 0xff) | major(d) << 8 | (minor(d) & ~0xffU) << 12;
}

static void put_inode(const struct erofs_node *n, uint32_t number, uint8_t *out)
{
	const bool device = S_ISCHR(n->mode) || S_ISBLK(n->mode);
	const struct inode i = {
		.format = (uint16_t)(EXTENDED | (n->tail_inside ? INLINE : PLAIN)),
		.xattr_count = (uint16_t)(n->xattr_len ? (n->xattr_len - XATTR_HEADER) / 4 + 1 : 0),
		.mode = (uint16_t)n->mode,
		.size = n->size,
		.block_or_device = device ? device_of(n->rdev) : n->block,
		.number = number,
		.uid = n->uid,
		.gid = n->gid,
		.mtime = (uint64_t)n->mtime.tv_sec,
		.mtime_ns = (uint32_t)n->mtime.tv_nsec,
		.links = n->links,
	};

	memcpy(out, &i, sizeof(i));
	if (n->xattr_len)
		memcpy(out + sizeof(i), n->xattrs, n->xattr_len);
}

/* Where the piece of N's content that begins with block INDEX stands: behind its inode at INSIDE,
 * or in the image, by way of BLOCK. */
static int put_piece(struct erofs_image *image, const struct erofs_node *n, uint64_t index,
	uint8_t *inside, const uint8_t *block, struct err *err)
{
	if (n->tail_inside && index == n->size / EROFS_BLOCK) {
		memcpy(inside, block, n->size % EROFS_BLOCK);
		return 0;
	}
	return write_at(image, block, EROFS_BLOCK, (n->block + index) * EROFS_BLOCK, err);
}

static int put_content(
	struct erofs_image *image, const struct erofs_node *n, uint8_t *inside, struct err *err)
{
	uint8_t block[EROFS_BLOCK] = {};
	size_t first = 0, len;
	int r = 0;

	if (S_ISLNK(n->mode)) {
		memcpy(block, n->target, n->size);
		return put_piece(image, n, 0, inside, block, err);
	}
	for (uint64_t i = 0; S_ISDIR(n->mode) && first < n->entry_count && r == 0; i++) {
		size_t count = fill_block(n, first, &len);

		memset(block, 0, sizeof(block));
		put_block(n, first, count, block);
		first += count;
		r = put_piece(image, n, i, inside, block, err);
	}
	return r;
}

int erofs_write(struct erofs_image *image, struct err *err)
{
	struct super super = {.magic = SUPER_MAGIC, .block_bits = BLOCK_BITS};
	autofree uint8_t *inodes = NULL;
	uint32_t number = 0, block = 0;
	int64_t len = lay_out(image, &block, err);
	int r = 0;

	if (len < 0)
		return (int)len;
	inodes = calloc(1, (size_t)len);
	if (!inodes)
		return err_sys(err, -ENOMEM, "pack");
	for (const struct erofs_node *n = image->first; n && r == 0; n = n->next) {
		uint8_t *at = inodes + n->nid * SLOT;

		put_inode(n, ++number, at);
		r = put_content(image, n, at + inode_len(n), err);
	}
	if (r == 0)
		r = write_at(image, inodes, (size_t)len, (uint64_t)block * EROFS_BLOCK, err);
	super.root_nid = (uint16_t)image->first->nid;
	super.inodes = number;
	super.blocks = (uint32_t)image->blocks;
	super.meta_block = block;
	if (r == 0)
		r = write_at(image, &super, sizeof(super), SUPER_AT, err);
	if (r == 0 && sys_ftruncate(image->out, (off_t)(image->blocks * EROFS_BLOCK)) < 0)
		r = err_sys(err, -errno, "write the image");
	return r;
}
