/* SPDX-License-Identifier: Apache-2.0 */
/* Process: parent. Files that another user may read for a while. */
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "runtime/checkpoint.h"

#include <fcntl.h>
#include <string.h>

/* One file, as it was. */
struct lent_file {
	struct lent_file *next;
	gid_t gid;
	mode_t mode;
	char name[];
};

struct lending {
	gid_t gid;
	struct lent_images *lent;
};

static int lend(void *context, int dirfd, const char *name)
{
	const struct lending *lending = context;
	struct lent_images *lent = lending->lent;
	autoclose int fd = sys_openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	struct lent_file *file;
	struct stat st;
	int r = fd < 0 ? fd : sys_fstat(fd, &st);

	if (r < 0)
		return r == -ELOOP ? 0 : r;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return 0;
	file = malloc(sizeof(*file) + strlen(name) + 1);
	if (!file)
		return -ENOMEM;
	*file = (struct lent_file){lent->files, st.st_gid, st.st_mode & 07777};
	strcpy(file->name, name);
	lent->files = file;
	r = sys_fchownat(fd, "", (uid_t)-1, lending->gid, AT_EMPTY_PATH);
	return r < 0 ? r
		     : sys_fchmod(fd, (file->mode & ~07077) | (S_ISDIR(st.st_mode) ? 010 : 040));
}

int checkpoint_lend_images(int dirfd, gid_t gid, struct lent_images *ret, struct err *err)
{
	struct lending lending = {gid, ret};
	int r;

	*ret = (struct lent_images){.dirfd = dirfd};
	r = lend(&lending, dirfd, ".");
	if (r == 0)
		r = path_each(dirfd, lend, &lending);
	if (r < 0) {
		checkpoint_take_back_images(ret);
		return err_sys(err, r, "let the container's root read the images");
	}
	return 0;
}

void checkpoint_take_back_images(struct lent_images *lent)
{
	while (lent->files) {
		struct lent_file *file = lent->files;
		autoclose int fd =
			sys_openat(lent->dirfd, file->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);

		if (fd >= 0) {
			(void)!sys_fchownat(fd, "", (uid_t)-1, file->gid, AT_EMPTY_PATH);
			sys_fchmod(fd, file->mode);
		}
		lent->files = file->next;
		free(file);
	}
}
