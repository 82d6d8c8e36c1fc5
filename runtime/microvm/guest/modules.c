/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "runtime/microvm/guest/guest.h"

#include <fcntl.h>
#include <linux/module.h>
#include <string.h>
#include <sys/syscall.h>

enum { LIST_MAX = 65536 };

/* A distribution may compress its modules; then the kernel unpacks them. */
static int load_file(int folder, const char *name)
{
	autoclose int fd = sys_openat(folder, name, O_RDONLY, 0);
	size_t len = strlen(name);
	bool plain = len >= 3 && !strcmp(name + len - 3, ".ko");

	if (fd < 0)
		return fd;
	if (syscall(SYS_finit_module, fd, "", plain ? 0 : MODULE_INIT_COMPRESSED_FILE) < 0 &&
		errno != EEXIST)
		return -errno;
	return 0;
}

int modules_load(int folder, const char *group, struct err *err)
{
	autobuf struct buf list = {};
	char *line, *rest, *name;
	int loaded = 0, r = fd_read_file(folder, "modules", LIST_MAX, &list);

	if (r < 0)
		return err_sys(err, r, "the list of kernel modules");
	rest = list.data;
	while (rest && (line = strsep(&rest, "\n"))) {
		name = line;
		if (strcmp(strsep(&name, " "), group) != 0 || !name)
			continue;
		r = load_file(folder, name);
		if (r == -ENOENT)
			continue; /* loaded before, and removed */
		if (r < 0)
			return err_sys(err, r, "kernel module %s for %s", name, group);
		sys_unlinkat(folder, name, 0);
		loaded++;
	}
	return loaded;
}
