/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/host/kernel_store.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "runtime/microvm/boot/drivers.h"

#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { IMAGE_MAX = 512 << 20, LIST_MAX = 64 << 20, NAME_SIZE = 128 };

static int open_store(struct err *err)
{
	autoclose int cache = kernel_open_cache(err), dir = -1, store = -1;
	int r = cache;

	if (r < 0)
		return r;
	r = dir = path_mkdir(cache, "kernels", 0700, (uid_t)-1, (gid_t)-1);
	if (r >= 0)
		r = store = sys_openat(dir, ".", O_RDONLY | O_DIRECTORY, 0);
	return r < 0 ? err_sys(err, r, KERNEL_CACHE "/kernels") : take_fd(&store);
}

/* ---- looking ---- */

static void find_problem(struct kernel_entry *e)
{
	autoarena struct arena arena = {};
	autodrivers struct drivers drivers = {};
	struct kernel kernel = {.image = -1, .modules = -1};
	struct err err = {};
	int r = kernel_open(e->path, &kernel, &err);

	if (r == 0)
		r = drivers_find(kernel.modules, NULL, 0, &arena, &drivers, &err);
	if (r < 0)
		snprintf(e->problem, sizeof(e->problem), "%.255s", err.text);
	else if (drivers.missing.len)
		snprintf(e->problem, sizeof(e->problem), "lacks %.240s", buf_str(&drivers.missing));
	kernel_close(&kernel);
}

/* What is walked through, and for whom. */
struct walk {
	int (*fn)(const struct kernel_entry *entry, void *arg);
	void *arg;
	char used[PATH_MAX];
};

static int visit(struct walk *w, const char *name, bool imported, const char *path)
{
	struct kernel_entry e = {.imported = imported};

	snprintf(e.name, sizeof(e.name), "%s", name);
	snprintf(e.path, sizeof(e.path), "%s", path);
	e.used = strcmp(e.path, w->used) == 0;
	find_problem(&e);
	return w->fn(&e, w->arg);
}

/* FROM: NAME is what follows that in an entry of DIR. */
static int walk_dir(struct walk *w, int fd, const char *from, bool imported)
{
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	char path[PATH_MAX];
	int r = 0;

	while (dir && r == 0 && (entry = readdir(dir))) {
		const char *name = entry->d_name;

		if (*name == '.' || strncmp(name, from, strlen(from)) != 0 ||
			(imported && strcmp(name, "default") == 0))
			continue;
		name += strlen(from);
		if (imported)
			snprintf(path, sizeof(path), KERNEL_CACHE "/kernels/%s/image-%s", name,
				name);
		else
			snprintf(path, sizeof(path), "/boot/%s", entry->d_name);
		r = visit(w, name, imported, path);
	}
	if (dir)
		closedir(dir);
	return r;
}

int kernel_each(int (*fn)(const struct kernel_entry *entry, void *arg), void *arg, struct err *err)
{
	struct walk w = {.fn = fn, .arg = arg};
	int store = open_store(err), r;

	if (store < 0)
		return store;
	if (kernel_find(w.used, sizeof(w.used)) < 0)
		w.used[0] = '\0';
	r = walk_dir(
		&w, sys_openat(AT_FDCWD, "/boot", O_RDONLY | O_DIRECTORY, 0), "vmlinuz-", false);
	if (r == 0)
		return walk_dir(&w, store, "", true);
	close(store);
	return r;
}

/* ---- importing ---- */

/* "Linux version 6.1.0 (…": what the kernel says when it starts. */
static int elf_version(const struct buf *image, char ret[NAME_SIZE])
{
	static const char banner[] = "Linux version ";
	const char *at = memmem(image->data, image->len, banner, sizeof(banner) - 1);
	size_t left, n = 0;

	if (!at)
		return -ENOEXEC;
	at += sizeof(banner) - 1;
	left = image->len - (size_t)(at - image->data);
	while (n < left && n < NAME_SIZE - 1 && at[n] > ' ' && at[n] < 0x7f && at[n] != '/')
		n++;
	memcpy(ret, at, n);
	ret[n] = '\0';
	return n ? 0 : -ENOEXEC;
}

static int image_version(const struct buf *image, char ret[NAME_SIZE])
{
	if (image->len > SELFMAG && memcmp(image->data, ELFMAG, SELFMAG) == 0)
		return elf_version(image, ret);
	return kernel_read_version((const uint8_t *)image->data, image->len, ret, NAME_SIZE);
}

static int open_folder(const char *path)
{
	return sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
}

/* A build folder has modules.builtin beside vmlinux. */
static int open_modules(const struct kernel_import_options *o, const char *version, struct err *err)
{
	const char *slash = strrchr(o->image, '/');
	char path[PATH_MAX];
	int fd;

	if (o->modules) {
		fd = open_folder(o->modules);
		return fd < 0 ? err_sys(err, fd, "--modules %s", o->modules) : fd;
	}
	snprintf(path, sizeof(path), "%.*s/modules.builtin", slash ? (int)(slash - o->image) : 1,
		slash ? o->image : ".");
	if (sys_faccessat(AT_FDCWD, path, R_OK, 0) == 0) {
		*strrchr(path, '/') = '\0';
		return open_folder(path);
	}
	snprintf(path, sizeof(path), "/lib/modules/%s", version);
	fd = open_folder(path);
	return fd < 0 ? err_sys(err, fd,
				"the modules of %s: there is no modules.builtin beside it, and no "
				"%s: name the folder with --modules",
				o->image, path)
		      : fd;
}

static int copy_file(int from, int to, const char *name, size_t max)
{
	autobuf struct buf data = {};
	autoclose int parent = -1;
	const char *last;
	int r = fd_read_file(from, name, max, &data);

	if (r == 0)
		r = parent = path_open_parent(to, name, true, &last);
	return r < 0 ? r : fd_create_file(parent, last, data.data, data.len, 0600);
}

/* The lists, and what of them guests load. */
static int copy_modules(int from, int to, const struct drivers *drivers, struct err *err)
{
	static const char *const lists[] = {"modules.dep", "modules.builtin"};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		int r = copy_file(from, to, lists[i], LIST_MAX);

		if (r < 0 && r != -ENOENT)
			return err_sys(err, r, "copy %s", lists[i]);
	}
	for (size_t i = 0; i < drivers->modules.count; i++) {
		int r = copy_file(from, to, drivers->modules.paths[i], LIST_MAX);

		if (r < 0)
			return err_sys(err, r, "copy %s", drivers->modules.paths[i]);
	}
	return 0;
}

static int check_drivers(
	int modules, const char *image, struct arena *arena, struct drivers *ret, struct err *err)
{
	int r = drivers_find(modules, NULL, 0, arena, ret, err);

	if (r == 0 && ret->missing.len)
		return err_set(err, -ENOENT, "%s lacks the drivers %s, without which no guest runs",
			image, buf_str(&ret->missing));
	return r;
}

static int fill(int dir, const char *name, const struct buf *image, int modules,
	const struct drivers *drivers, struct err *err)
{
	autoclose int to = -1;
	char file[NAME_SIZE + 8];
	int r;

	snprintf(file, sizeof(file), "image-%s", name);
	r = fd_create_file(dir, file, image->data, image->len, 0600);
	if (r == 0)
		r = sys_mkdirat(dir, "modules", 0700);
	if (r == 0)
		r = to = sys_openat(dir, "modules", O_RDONLY | O_DIRECTORY, 0);
	return r < 0 ? err_sys(err, r, "kernel %s", name) : copy_modules(modules, to, drivers, err);
}

/* Beside, then renamed: it is there whole or not at all. */
static int store_kernel(const char *name, const struct buf *image, int modules,
	const struct drivers *drivers, struct err *err)
{
	autoclose int store = open_store(err), dir = -1;
	char fresh[32];
	int r = store;

	if (r < 0)
		return r;
	snprintf(fresh, sizeof(fresh), ".new-%d", getpid());
	path_remove_tree(store, fresh);
	r = sys_mkdirat(store, fresh, 0700);
	if (r == 0)
		r = dir = sys_openat(store, fresh, O_RDONLY | O_DIRECTORY, 0);
	r = r < 0 ? err_sys(err, r, KERNEL_CACHE "/kernels")
		  : fill(dir, name, image, modules, drivers, err);
	if (r == 0) {
		r = sys_renameat2(store, fresh, store, name, 1 /* RENAME_NOREPLACE */);
		if (r == -EEXIST)
			err_set(err, r, "there is a kernel %s already: brig kernel rm %s", name,
				name);
		else if (r < 0)
			err_sys(err, r, "kernel %s", name);
	}
	if (r < 0)
		path_remove_tree(store, fresh);
	return r;
}

static int read_image(
	const char *path, struct buf *ret, char ret_version[NAME_SIZE], struct err *err)
{
	autoclose int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_NOCTTY, 0);
	int r = fd < 0 ? fd : fd_read_all(fd, IMAGE_MAX, ret);

	if (r < 0)
		return err_sys(err, r, "%s", path);
	r = image_version(ret, ret_version);
	return r < 0 ? err_set(err, -EINVAL,
			       "%s is no kernel that a virtual machine boots: neither a bzImage "
			       "nor an ELF file of Linux",
			       path)
		     : 0;
}

int kernel_import(const struct kernel_import_options *o, char ret_name[NAME_SIZE], struct err *err)
{
	autoarena struct arena arena = {};
	autodrivers struct drivers drivers = {};
	autobuf struct buf image = {};
	autoclose int modules = -1;
	char version[NAME_SIZE];
	const char *name = o->name ? o->name : version;
	int r = read_image(o->image, &image, version, err);

	if (r == 0 && (!path_is_component(name) || *name == '.' || strlen(name) >= NAME_SIZE ||
			      strcmp(name, "default") == 0))
		return err_set(err, -EINVAL, "\"%s\" cannot be a kernel's name", name);
	if (r == 0)
		r = modules = open_modules(o, version, err);
	if (r >= 0)
		r = check_drivers(modules, o->image, &arena, &drivers, err);
	if (r == 0)
		r = store_kernel(name, &image, modules, &drivers, err);
	if (r == 0 && o->use)
		r = kernel_use(name, err);
	if (r == 0)
		snprintf(ret_name, NAME_SIZE, "%s", name);
	return r;
}

/* ---- choosing, removing ---- */

static int check_there(int store, const char *name, struct err *err)
{
	if (!path_is_component(name) || strcmp(name, "default") == 0 ||
		sys_faccessat(store, name, F_OK, 0) < 0)
		return err_set(
			err, -ENOENT, "there is no imported kernel %s: see brig kernel ls", name);
	return 0;
}

int kernel_use(const char *name, struct err *err)
{
	autoclose int store = open_store(err);
	char fresh[32];
	int r = store < 0 ? store : name ? check_there(store, name, err) : 0;

	if (r < 0)
		return r;
	if (!name) {
		r = sys_unlinkat(store, "default", 0);
		return r < 0 && r != -ENOENT ? err_sys(err, r, "kernel default") : 0;
	}
	snprintf(fresh, sizeof(fresh), ".default-%d", getpid());
	sys_unlinkat(store, fresh, 0);
	r = sys_symlinkat(name, store, fresh);
	if (r == 0)
		r = sys_renameat2(store, fresh, store, "default", 0);
	return r < 0 ? err_sys(err, r, "kernel default") : 0;
}

int kernel_remove(const char *name, struct err *err)
{
	autoclose int store = open_store(err);
	char used[NAME_SIZE];
	ssize_t n;
	int r = store < 0 ? store : check_there(store, name, err);

	if (r < 0)
		return r;
	n = sys_readlinkat(store, "default", used, sizeof(used) - 1);
	used[n < 0 ? 0 : n] = '\0';
	if (strcmp(used, name) == 0)
		r = kernel_use(NULL, err);
	if (r == 0)
		r = path_remove_tree(store, name);
	return r < 0 ? err_sys(err, r, "kernel %s", name) : 0;
}
