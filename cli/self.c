/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/self.h"

#include "base/cleanup.h"
#include "base/sys.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

static const char self[] = "/proc/self/exe";

/* An image that was executed from a read-only mount, or from a sealed memfd, cannot be written to
 * through /proc/PID/exe, whoever asks. */
static int is_safe(void)
{
	autoclose int exe = -1;
	struct statfs fs;
	int r = sys_statfs(self, &fs);

	if (r < 0)
		return r;
	if (fs.f_flags & ST_RDONLY)
		return 1;
	if (fs.f_type != TMPFS_MAGIC)
		return 0;
	exe = sys_openat(AT_FDCWD, self, O_RDONLY, 0);
	r = exe < 0 ? exe : fcntl(exe, F_GET_SEALS);
	return r >= 0 && (r & SEALS) == SEALS;
}

static int open_readonly_mount(void)
{
	autoclose int tree = sys_open_tree(AT_FDCWD, self, OPEN_TREE_CLONE);
	int r = tree;

	if (r >= 0)
		r = sys_mount_setattr(tree, "", AT_EMPTY_PATH,
			MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0, MS_PRIVATE, -1);
	return r < 0 ? r : take_fd(&tree);
}

static int open_sealed_copy(void)
{
	autoclose int exe = sys_openat(AT_FDCWD, self, O_RDONLY, 0);
	autoclose int copy = sys_memfd_create("brig", MFD_ALLOW_SEALING);
	struct stat st;
	off_t left;
	int r = exe < 0 ? exe : copy;

	if (r >= 0)
		r = sys_fstat(exe, &st);

	if (r < 0)
		return r;
	for (left = st.st_size; left > 0;) {
		ssize_t n = sendfile(copy, exe, NULL, (size_t)left);

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		left -= n;
	}
	if (fcntl(copy, F_ADD_SEALS, SEALS) < 0)
		return -errno;
	return take_fd(&copy);
}

int self_protect(char *const argv[], struct err *err)
{
	autoclose int image = -1;
	int r = is_safe();

	if (r < 0)
		return err_sys(err, r, "look at %s (is /proc mounted?)", self);
	if (r > 0)
		return 0;
	image = open_readonly_mount();
	if (image < 0)
		image = open_sealed_copy();
	if (image < 0)
		return err_sys(err, image, "make a protected image of this program");
	r = sys_execveat(image, "", argv, environ, AT_EMPTY_PATH);
	return err_sys(err, r, "execute a protected image of this program");
}
