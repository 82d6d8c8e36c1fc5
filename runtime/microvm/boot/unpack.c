/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/boot/unpack.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"

#include <elf.h>
#include <fcntl.h>
#include <lz4.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

/* Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header". */
enum {
	SETUP_SECTORS = 0x1f1,
	MAGIC = 0x202,
	PROTOCOL = 0x206,
	PAYLOAD_OFFSET = 0x248,
	PAYLOAD_LENGTH = 0x24c,
	HEADER_END = 0x250,
	FIRST_PROTOCOL = 0x208, /* with a payload */
	SECTOR = 512,
	LZ4_BLOCK = 8 << 20,
	HOLE_MIN = 64 << 10,
};

static const uint8_t lz4_magic[] = {0x02, 0x21, 0x4c, 0x18};
static const uint8_t gzip_magic[] = {0x1f, 0x8b};
static const uint8_t zstd_magic[] = {0x28, 0xb5, 0x2f, 0xfd};

static uint32_t get32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int find_payload(const uint8_t *image, size_t len, const uint8_t **ret, size_t *ret_len)
{
	size_t begin, offset, size;

	if (len < HEADER_END || memcmp(image + MAGIC, "HdrS", 4) != 0 ||
		(image[PROTOCOL] | image[PROTOCOL + 1] << 8) < FIRST_PROTOCOL)
		return -ENOEXEC;
	begin = ((image[SETUP_SECTORS] ? image[SETUP_SECTORS] : 4U) + 1) * SECTOR;
	offset = get32(image + PAYLOAD_OFFSET);
	size = get32(image + PAYLOAD_LENGTH);
	if (begin > len || offset > len - begin || size > len - begin - offset || size < 8)
		return -ENOEXEC;
	*ret = image + begin + offset;
	*ret_len = size;
	return 0;
}

/* The old frame format of the lz4 tool: blocks of 8 MiB, each behind its length. */
static int unpack_lz4(const uint8_t *p, size_t len, char *out, size_t size)
{
	size_t done = 0;

	p += sizeof(lz4_magic), len -= sizeof(lz4_magic);
	while (done < size) {
		uint32_t block = len >= 4 ? get32(p) : 0;
		size_t room = size - done < LZ4_BLOCK ? size - done : LZ4_BLOCK;
		int n;

		if (!block || block > len - 4 || block > INT32_MAX)
			return -ENOEXEC;
		n = LZ4_decompress_safe((const char *)p + 4, out + done, (int)block, (int)room);
		if (n <= 0)
			return -ENOEXEC;
		done += (size_t)n;
		p += 4 + block, len -= 4 + block;
	}
	return 0;
}

static int unpack_gzip(const uint8_t *p, size_t len, char *out, size_t size)
{
	z_stream z = {
		.next_in = (uint8_t *)(uintptr_t)p,
		.avail_in = (uInt)len,
		.next_out = (uint8_t *)out,
		.avail_out = (uInt)size,
	};
	int r;

	if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
		return -ENOMEM;
	r = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	return r == Z_STREAM_END && !z.avail_out ? 0 : -ENOEXEC;
}

static int unpack_zstd(const uint8_t *p, size_t len, char *out, size_t size)
{
	size_t frame = ZSTD_findFrameCompressedSize(p, len);

	if (ZSTD_isError(frame))
		return -ENOEXEC;
	return ZSTD_decompress(out, size, p, frame) == size ? 0 : -ENOEXEC;
}

static bool begins_with(const uint8_t *p, const uint8_t *magic, size_t len)
{
	return memcmp(p, magic, len) == 0;
}

int unpack_kernel(const uint8_t *image, size_t len, struct buf *ret)
{
	const uint8_t *payload;
	size_t packed, size;
	char *out;
	int r = find_payload(image, len, &payload, &packed);

	if (r < 0)
		return r;
	size = get32(payload + packed - 4); /* gzip ends with it, the build appends it to others */
	if (size < sizeof(Elf64_Ehdr) || size > UNPACK_MAX)
		return -EOPNOTSUPP;
	out = buf_reserve(ret, size);
	if (!out)
		return -ENOMEM;
	if (begins_with(payload, lz4_magic, sizeof(lz4_magic)))
		r = unpack_lz4(payload, packed - 4, out, size);
	else if (begins_with(payload, gzip_magic, sizeof(gzip_magic)))
		r = unpack_gzip(payload, packed, out, size);
	else if (begins_with(payload, zstd_magic, sizeof(zstd_magic)))
		r = unpack_zstd(payload, packed - 4, out, size);
	else
		r = -EOPNOTSUPP;
	if (r == 0 && memcmp(out, ELFMAG, SELFMAG) != 0)
		r = -ENOEXEC;
	if (r == 0)
		ret->len += size;
	return r;
}

/* A file counts by identity and time, which is enough to notice that a package replaced it. */
static int name_of(int kernel, char *ret, size_t size)
{
	struct stat st;
	int r = sys_fstat(kernel, &st);

	if (r == 0)
		snprintf(ret, size, "vmlinux-%llx-%llx-%llx-%llx.%09lx",
			(unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
			(unsigned long long)st.st_size, (unsigned long long)st.st_mtim.tv_sec,
			(unsigned long)st.st_mtim.tv_nsec);
	return r;
}

static bool is_zero(const char *p, size_t len)
{
	return len && !*p && memcmp(p, p + 1, len - 1) == 0;
}

/* A fifth of Debian's kernel is zeros, which need no room here and no copy in the monitor. A file
 * system without holes keeps them. */
static void punch_zeros(int cache, const char *name, const struct buf *elf)
{
	autoclose int fd = sys_openat(cache, name, O_WRONLY | O_NOFOLLOW, 0);

	for (size_t at = 0; fd >= 0 && elf->len - at >= HOLE_MIN; at += HOLE_MIN)
		if (is_zero(elf->data + at, HOLE_MIN) &&
			fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at,
				HOLE_MIN) < 0)
			return;
}

static int unpack_into(int kernel, int cache, const char *name, struct err *err)
{
	autobuf struct buf image = {}, elf = {};
	int r = fd_read_all(kernel, UNPACK_MAX, &image);

	if (r == 0)
		r = unpack_kernel((const uint8_t *)image.data, image.len, &elf);
	if (r == -ENOEXEC || r == -EOPNOTSUPP)
		return 0;
	if (r == 0)
		r = fd_replace_file(cache, name, elf.data, elf.len, 0600);
	if (r == 0)
		punch_zeros(cache, name, &elf);
	return r < 0 ? err_sys(err, r, "unpack the virtual machine's kernel") : 0;
}

int unpack_open(int kernel, int cache, struct err *err)
{
	char name[128];
	autoclose int found = -1;
	int r = name_of(kernel, name, sizeof(name));

	if (r < 0)
		return err_sys(err, r, "the virtual machine's kernel");
	found = sys_openat(cache, name, O_RDONLY | O_NOFOLLOW, 0);
	if (found >= 0)
		return take_fd(&found);
	r = lseek(kernel, 0, SEEK_SET) < 0 ? -errno : 0;
	if (r == 0)
		r = unpack_into(kernel, cache, name, err);
	if (r < 0)
		return r;
	found = sys_openat(cache, name, O_RDONLY | O_NOFOLLOW, 0);
	r = found >= 0 ? take_fd(&found) : sys_dup(kernel);
	return r < 0 ? err_sys(err, r, "the virtual machine's kernel") : r;
}
