/* SPDX-License-Identifier: Apache-2.0 */
#include "images/erofs.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "images/helper.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

#define IMAGE "erofs"
#define DRAFT "erofs.new"

static int open_image(int layer)
{
	return sys_openat(layer, IMAGE, O_RDONLY | O_NOFOLLOW, 0);
}

/* Whether FD is what has the name of a draft: who had the lock before may have renamed it. */
static bool is_draft(int layer, int fd)
{
	struct stat mine, named;

	return sys_fstat(fd, &mine) == 0 &&
	       sys_fstatat(layer, DRAFT, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       mine.st_ino == named.st_ino && mine.st_dev == named.st_dev;
}

/* An empty draft that is this process's alone, or −EEXIST when the image got there meanwhile. */
static int open_draft(int layer)
{
	for (;;) {
		autoclose int image = -1;
		autoclose int fd = sys_openat(layer, DRAFT, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
		int r = fd < 0 ? fd : sys_flock(fd, LOCK_EX);

		if (r < 0)
			return r;
		image = open_image(layer);
		if (image != -ENOENT)
			return image < 0 ? image : -EEXIST;
		if (!is_draft(layer, fd))
			continue;
		r = sys_ftruncate(fd, 0);
		return r < 0 ? r : take_fd(&fd);
	}
}

static int fill(struct store *store, const char *chain, int draft, struct err *err)
{
	const struct unpack_request request = {
		.role = UNPACK_EROFS, .format = UNPACK_LAYER, .limits = helper_default_limits};
	autohelper struct helper helper = HELPER_NONE;
	autoclose int files = store_layer_open(store, chain);
	struct unpack_reply reply;
	int r = files < 0 ? err_sys(err, files, "store: layer %s", chain)
			  : helper_prepare(store, err);

	if (r == 0)
		r = helper_start(store, &request, files, -1, draft, &helper, err);
	return r < 0 ? r : helper_wait(&helper, &reply, err);
}

static int make(struct store *store, const char *chain, int layer, struct err *err)
{
	autoclose int draft = open_draft(layer);
	int r = draft == -EEXIST ? 0 : draft;

	if (draft < 0)
		return r < 0 ? err_sys(err, r, "store: image of layer %s", chain) : 0;
	r = fill(store, chain, draft, err);
	if (r < 0) {
		sys_unlinkat(layer, DRAFT, 0);
		return err_add(err, "image of layer %s", chain);
	}
	r = sys_fsync(draft);
	if (r == 0)
		r = sys_renameat2(layer, DRAFT, layer, IMAGE, 0);
	if (r == 0)
		r = sys_fsync(layer);
	return r < 0 ? err_sys(err, r, "store: image of layer %s", chain) : 0;
}

int erofs_open(struct store *store, const char *chain, struct err *err)
{
	char path[200];
	autoclose int layer = -1;
	int fd, r;

	snprintf(path, sizeof(path), "layers/%s", digest_hex(chain));
	layer = sys_openat(store_root(store), path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (layer < 0)
		return err_sys(err, layer, "store: layer %s", chain);
	fd = open_image(layer);
	if (fd == -ENOENT) {
		r = make(store, chain, layer, err);
		fd = r < 0 ? r : open_image(layer);
	}
	return fd < 0 && !err->code ? err_sys(err, fd, "store: image of layer %s", chain) : fd;
}
