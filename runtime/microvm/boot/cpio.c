/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/boot/cpio.h"

#include <string.h>
#include <sys/stat.h>

static void pad(struct cpio *cpio)
{
	static const char zeros[4];

	buf_add(cpio->out, zeros, -cpio->out->len & 3);
}

static void entry(struct cpio *cpio, uint32_t inode, const char *path, mode_t mode,
	const void *data, size_t len)
{
	size_t name = strlen(path) + 1;

	buf_printf(cpio->out, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", inode,
		(unsigned int)mode, 0, 0, S_ISDIR(mode) ? 2 : 1, 0, (unsigned int)len, 0, 0, 0, 0,
		(unsigned int)name, 0);
	buf_add(cpio->out, path, name);
	pad(cpio);
	buf_add(cpio->out, data, len);
	pad(cpio);
}

void cpio_add(struct cpio *cpio, const char *path, mode_t mode, const void *data, size_t len)
{
	if (len > UINT32_MAX)
		cpio->out->failed = true; /* the format has 32-bit sizes */
	else
		entry(cpio, ++cpio->inode, path, mode, data, len);
}

int cpio_end(struct cpio *cpio)
{
	entry(cpio, 0, "TRAILER!!!", 0, NULL, 0);
	return cpio->out->failed ? -ENOMEM : 0;
}
