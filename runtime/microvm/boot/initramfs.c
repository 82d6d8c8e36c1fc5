/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/boot/initramfs.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "runtime/microvm/boot/cpio.h"
#include "runtime/microvm/boot/drivers.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { FILE_MAX = 64 << 20, FORMAT = 1 };

static int add_fd(struct cpio *cpio, const char *path, unsigned int mode, int fd, struct err *err)
{
	autobuf struct buf data = {};
	int r = lseek(fd, 0, SEEK_SET) < 0 ? -errno : fd_read_all(fd, FILE_MAX, &data);

	if (r < 0)
		return err_sys(err, r, "initramfs: %s", path);
	cpio_add(cpio, path, S_IFREG | mode, data.data, data.len);
	return 0;
}

static int add_module(struct cpio *cpio, int dirfd, const char *path, size_t index, struct err *err)
{
	autoclose int fd = sys_openat(dirfd, path, O_RDONLY, 0);
	const char *suffix = strstr(strrchr(path, '/') ?: "", ".ko");
	char name[64];

	if (fd < 0)
		return err_sys(err, fd, "kernel module %s", path);
	if (!suffix ||
		snprintf(name, sizeof(name), "brig/%zu%s", index, suffix) >= (int)sizeof(name))
		return err_set(err, -EINVAL, "modules.dep: %s is not a module's path", path);
	return add_fd(cpio, name, 0400, fd, err);
}

int initramfs_write(const struct initramfs_options *o, struct buf *ret, struct err *err)
{
	static const char *const folders[] = {"bin", "brig", "dev", "proc", "run", "sys", "tmp"};
	autoarena struct arena arena = {};
	autodrivers struct drivers drivers = {};
	struct cpio cpio = {.out = ret};
	int r = drivers_find(o->modules, o->aliases, o->alias_count, &arena, &drivers, err);

	if (r == 0 && drivers.missing.len)
		return err_set(err, -ENOENT, "the virtual machine's kernel lacks the drivers %s",
			buf_str(&drivers.missing));
	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		cpio_add(&cpio, folders[i], S_IFDIR | 0755, NULL, 0);
	if (r == 0)
		r = add_fd(&cpio, "init", 0500, o->agent, err);
	cpio_add(&cpio, "brig/modules", S_IFREG | 0400, drivers.text.data, drivers.text.len);
	for (size_t i = 0; i < drivers.modules.count && r == 0; i++)
		r = add_module(&cpio, o->modules, drivers.modules.paths[i], i, err);
	for (size_t i = 0; i < o->file_count && r == 0; i++)
		r = add_fd(&cpio, o->files[i].path, o->files[i].mode, o->files[i].fd, err);
	if (r == 0 && cpio_end(&cpio) < 0)
		r = err_sys(err, -ENOMEM, "initramfs");
	return r;
}

/* Not against attackers (the cache is ours): FNV-1a, twice, with different beginnings. */
struct hash {
	uint64_t a, b;
};

static void hash_add(struct hash *h, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		h->a = (h->a ^ ((const uint8_t *)data)[i]) * 0x100000001b3;
		h->b = (h->b ^ ((const uint8_t *)data)[i]) * 0x1000000000000d21;
	}
}

/* A file counts by identity and time, which is enough to notice that a package replaced it. */
static int hash_file(struct hash *h, int fd)
{
	struct stat st;
	int r = sys_fstat(fd, &st);
	const uint64_t facts[] = {st.st_dev, st.st_ino, (uint64_t)st.st_size,
		(uint64_t)st.st_mtim.tv_sec, (uint64_t)st.st_mtim.tv_nsec,
		(uint64_t)st.st_ctim.tv_sec, (uint64_t)st.st_ctim.tv_nsec};

	if (r == 0)
		hash_add(h, facts, sizeof(facts));
	return r;
}

/* One of the two lists may not be there, where all drivers are of one kind. */
static int hash_list(struct hash *h, int modules)
{
	static const char *const names[] = {"modules.dep", "modules.builtin"};
	int r = -ENOENT;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		autoclose int fd = sys_openat(modules, names[i], O_RDONLY, 0);

		if (fd >= 0)
			r = hash_file(h, fd);
	}
	return r;
}

static int hash_inputs(const struct initramfs_options *o, char *ret, size_t size)
{
	struct hash h = {0xcbf29ce484222325, 0x6c62272e07bb0142};
	const char *name;
	int r = hash_list(&h, o->modules);

	h.a ^= FORMAT;
	for (size_t i = 0; (name = drivers_name(i)); i++)
		hash_add(&h, name, strlen(name) + 1);
	for (size_t i = 0; i < o->alias_count; i++)
		hash_add(&h, o->aliases[i], strlen(o->aliases[i]) + 1);
	if (r == 0)
		r = hash_file(&h, o->agent);
	for (size_t i = 0; i < o->file_count && r == 0; i++) {
		hash_add(&h, o->files[i].path, strlen(o->files[i].path) + 1);
		hash_add(&h, &o->files[i].mode, sizeof(o->files[i].mode));
		r = hash_file(&h, o->files[i].fd);
	}
	snprintf(ret, size, "initramfs-%016llx%016llx", (unsigned long long)h.a,
		(unsigned long long)h.b);
	return r;
}

int initramfs_open(const struct initramfs_options *o, int cache, struct err *err)
{
	autobuf struct buf archive = {};
	char name[64];
	int fd, r = hash_inputs(o, name, sizeof(name));

	if (r < 0)
		return err_sys(err, r, "initramfs: modules.dep of the kernel, or the agent");
	fd = sys_openat(cache, name, O_RDONLY | O_NOFOLLOW, 0);
	if (fd != -ENOENT)
		return fd < 0 ? err_sys(err, fd, "%s", name) : fd;
	r = initramfs_write(o, &archive, err);
	if (r < 0)
		return r;
	r = fd_replace_file(cache, name, archive.data, archive.len, 0600);
	if (r == 0)
		r = fd = sys_openat(cache, name, O_RDONLY | O_NOFOLLOW, 0);
	return r < 0 ? err_sys(err, r, "%s", name) : fd;
}
