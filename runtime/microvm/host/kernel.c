/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/host/kernel.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

enum { HEAD = 65536, MAGIC_AT = 0x202, VERSION_AT = 0x20e, SETUP_AT = 0x200 };

static const char prefix[] = "vmlinuz-";

/* "6.1.0-49-cloud-amd64 (debian-kernel@…": Documentation/arch/x86/boot.rst, kernel_version. */
int kernel_read_version(const uint8_t *image, size_t len, char *ret, size_t size)
{
	size_t at, n = 0;

	if (len < VERSION_AT + 2 || memcmp(image + MAGIC_AT, "HdrS", 4) != 0)
		return -ENOEXEC;
	at = SETUP_AT + (size_t)(image[VERSION_AT] | image[VERSION_AT + 1] << 8);
	while (at + n < len && image[at + n] > ' ' && image[at + n] < 0x7f &&
		image[at + n] != '/' && n < size)
		n++;
	if (at == SETUP_AT || !n || n == size || at + n >= len || image[at] == '.')
		return -ENOEXEC;
	memcpy(ret, image + at, n);
	ret[n] = 0;
	return 0;
}

/* An ELF file does not tell: its name has to. */
static int version_of(const char *path, int image, char *ret, size_t size)
{
	autofree uint8_t *head = malloc(HEAD);
	const char *name = strrchr(path, '/'), *dash = name ? strchr(name, '-') : NULL;
	ssize_t n = head ? sys_pread(image, head, HEAD, 0) : -ENOMEM;

	if (n < 0)
		return (int)n;
	if (kernel_read_version(head, (size_t)n, ret, size) == 0)
		return 0;
	if (!dash || !dash[1] || snprintf(ret, size, "%s", dash + 1) >= (int)size)
		return -ENOEXEC;
	return 0;
}

static int newest(char *ret, size_t size)
{
	int fd = sys_openat(AT_FDCWD, "/boot", O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	ret[0] = 0;
	if (!dir)
		return fd < 0 ? fd : -ENOMEM;
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, prefix, strlen(prefix)) &&
			strverscmp(entry->d_name, ret) > 0)
			snprintf(ret, size, "%s", entry->d_name);
	closedir(dir);
	return ret[0] ? 0 : -ENOENT;
}

/* An imported kernel that was chosen (kernel_store.h). */
static int chosen(char *ret, size_t size)
{
	char name[NAME_MAX + 1];
	ssize_t n =
		sys_readlinkat(AT_FDCWD, KERNEL_CACHE "/kernels/default", name, sizeof(name) - 1);

	if (n < 0)
		return (int)n;
	name[n] = '\0';
	snprintf(ret, size, KERNEL_CACHE "/kernels/%s/image-%s", name, name);
	return 0;
}

/* Else the host's own kernel: it is the one that was tested on this machine. */
int kernel_find(char *ret, size_t size)
{
	char name[NAME_MAX + 1];
	struct utsname host;
	int r;

	if (chosen(ret, size) == 0)
		return 0;
	uname(&host);
	snprintf(ret, size, "/boot/%s%s", prefix, host.release);
	if (sys_faccessat(AT_FDCWD, ret, R_OK, 0) == 0)
		return 0;
	r = newest(name, sizeof(name));
	snprintf(ret, size, "/boot/%s", name);
	return r;
}

/* Beside an imported kernel, else where the distribution has them. */
static int open_modules(const char *path, const char *version, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char modules[PATH_MAX];
	int fd;

	snprintf(modules, sizeof(modules), "%.*s/modules", slash ? (int)(slash - path) : 1,
		slash ? path : ".");
	fd = sys_openat(AT_FDCWD, modules, O_RDONLY | O_DIRECTORY, 0);
	if (fd != -ENOENT)
		return fd < 0 ? err_sys(err, fd, "%s", modules) : fd;
	snprintf(modules, sizeof(modules), "/lib/modules/%s", version);
	fd = sys_openat(AT_FDCWD, modules, O_RDONLY | O_DIRECTORY, 0);
	return fd < 0 ? err_sys(err, fd, "the modules of %s: %s", path, modules) : fd;
}

int kernel_open(const char *path, struct kernel *ret, struct err *err)
{
	struct kernel k = {.image = -1, .modules = -1};
	char found[PATH_MAX];
	int r = path ? 0 : kernel_find(found, sizeof(found));

	if (path && !strchr(path, '/')) {
		snprintf(found, sizeof(found), KERNEL_CACHE "/kernels/%s/image-%s", path, path);
		path = found;
	}
	if (r < 0)
		return err_set(err, -ENOENT,
			"there is no kernel for the virtual machine: install one in /boot "
			"(linux-image-cloud-amd64), or name one in vm.kernel.path");
	path = path ? path : found;
	r = k.image = sys_openat(AT_FDCWD, path, O_RDONLY, 0);
	if (r < 0)
		return err_sys(err, r, "the virtual machine's kernel %s", path);
	r = version_of(path, k.image, k.version, sizeof(k.version));
	if (r < 0) {
		kernel_close(&k);
		return err_set(err, -ENOEXEC, "%s is no kernel that a virtual machine boots", path);
	}
	r = k.modules = open_modules(path, k.version, err);
	if (r < 0) {
		kernel_close(&k);
		return r;
	}
	*ret = k;
	return 0;
}

void kernel_close(struct kernel *k)
{
	cleanup_close(&k->image);
	cleanup_close(&k->modules);
}

int kernel_open_cache(struct err *err)
{
	autoclose int top = sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0), dir = -1,
		      cache = -1;
	int r = top;

	if (r >= 0)
		r = dir = path_mkdir(top, KERNEL_CACHE, 0700, (uid_t)-1, (gid_t)-1);
	if (r >= 0)
		r = cache = sys_openat(dir, ".", O_RDONLY | O_DIRECTORY, 0);
	return r < 0 ? err_sys(err, r, "%s", KERNEL_CACHE) : take_fd(&cache);
}
