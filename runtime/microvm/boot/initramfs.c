/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/boot/initramfs.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "runtime/microvm/boot/cpio.h"
#include "runtime/microvm/boot/modules.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { FILE_MAX = 64 << 20, FORMAT = 1 };

/* Which modules, and when the agent loads them. */
static const struct wanted {
	const char *group, *module;
	bool required;
} wanted[] = {
	{"boot", "virtio_mmio", true},
	{"19", "vmw_vsock_virtio_transport", true},
	{"1", "virtio_net", false},
	{"2", "virtio_blk", false},
	{"3", "virtio_console", false},
	{"4", "virtio_rng", false},
	{"5", "virtio_balloon", false},
	{"26", "virtiofs", false},
	{"27", "virtio_pmem", false},
	{"27", "nd_pmem", false},
	{"overlay", "overlay", false},
	{"erofs", "erofs", false},
};

/* The list for the agent, and the files behind it. */
struct module_list {
	struct modules modules;
	struct buf text; /* /brig/modules */
};

static int list_one(const struct wanted *w, const char *dep, const char *builtin,
	struct arena *arena, struct module_list *list, struct err *err)
{
	size_t before = list->modules.count;
	int r = modules_resolve(dep, builtin, w->module, arena, &list->modules, err);

	if (r == -ENOENT && !w->required) {
		err_clear(err);
		list->modules.count = before;
		return 0;
	}
	for (size_t i = before; i < list->modules.count && r == 0; i++)
		buf_printf(&list->text, "%s %zu%s\n", w->group, i,
			strstr(strrchr(list->modules.paths[i], '/') ?: "", ".ko"));
	return r;
}

/* Without a driver here (it is built in, or there is none) a device is just there. */
static int list_drivers(const struct initramfs_options *o, const char *dep, const char *builtin,
	struct arena *arena, struct module_list *list, struct err *err)
{
	autobuf struct buf aliases = {};
	int r = o->alias_count ? fd_read_file(o->modules, "modules.alias", FILE_MAX, &aliases) : 0;

	if (r < 0)
		return err_sys(err, r, "modules.alias of the guest's kernel");
	for (size_t i = 0; i < o->alias_count && r == 0; i++) {
		size_t len = 0;
		const char *name = modules_driver(buf_str(&aliases), o->aliases[i], &len);
		const struct wanted driver = {
			"boot", name ? arena_printf(arena, "%.*s", (int)len, name) : NULL, false};

		if (name)
			r = driver.module ? list_one(&driver, dep, builtin, arena, list, err)
					  : err_sys(err, -ENOMEM, "modules.alias");
	}
	return r;
}

static int list_modules(const struct initramfs_options *o, struct arena *arena,
	struct module_list *list, struct err *err)
{
	autobuf struct buf dep = {}, builtin = {};
	int dirfd = o->modules;
	int r = fd_read_file(dirfd, "modules.dep", FILE_MAX, &dep);

	if (r == 0)
		r = fd_read_file(dirfd, "modules.builtin", FILE_MAX, &builtin);
	if (r < 0)
		return err_sys(err, r, "modules.dep and modules.builtin of the guest's kernel");
	for (size_t i = 0; i < ARRAY_LEN(wanted) && r == 0; i++)
		r = list_one(wanted + i, buf_str(&dep), buf_str(&builtin), arena, list, err);
	return r < 0 ? r : list_drivers(o, buf_str(&dep), buf_str(&builtin), arena, list, err);
}

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
	struct module_list list = {};
	autobuf struct buf text = {};
	struct cpio cpio = {.out = ret};
	int r = list_modules(o, &arena, &list, err);

	text = list.text;
	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		cpio_add(&cpio, folders[i], S_IFDIR | 0755, NULL, 0);
	if (r == 0)
		r = add_fd(&cpio, "init", 0500, o->agent, err);
	cpio_add(&cpio, "brig/modules", S_IFREG | 0400, text.data, text.len);
	for (size_t i = 0; i < list.modules.count && r == 0; i++)
		r = add_module(&cpio, o->modules, list.modules.paths[i], i, err);
	for (size_t i = 0; i < o->file_count && r == 0; i++)
		r = add_fd(&cpio, o->files[i].path, o->files[i].mode, o->files[i].fd, err);
	if (r == 0 && (cpio_end(&cpio) < 0 || text.failed))
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

static int hash_inputs(const struct initramfs_options *o, char *ret, size_t size)
{
	autoclose int dep = sys_openat(o->modules, "modules.dep", O_RDONLY, 0);
	struct hash h = {0xcbf29ce484222325, 0x6c62272e07bb0142};
	int r = dep < 0 ? dep : hash_file(&h, dep);

	h.a ^= FORMAT;
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		hash_add(&h, wanted[i].module, strlen(wanted[i].module) + 1);
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
