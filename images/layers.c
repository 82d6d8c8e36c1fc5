/* SPDX-License-Identifier: Apache-2.0 */
/* The store's layers: staged under a lock, committed by one rename. */
#include "images/store_private.h"

#include "base/fd.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/sys.h"
#include "images/layer.h"
#include "spec/image.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static void layer_path(const char *folder, const char *chain, char ret[200])
{
	snprintf(ret, 200, "%s/%s", folder, digest_hex(chain));
}

bool store_layer_exists(struct store *s, const char *chain)
{
	char path[200];

	layer_path("layers", chain, path);
	return sys_faccessat(s->root, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int store_layer_open(struct store *s, const char *chain)
{
	char path[200];

	snprintf(path, sizeof(path), "layers/%s/diff", digest_hex(chain));
	return sys_openat(s->root, path, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
}

int store_layer_size(struct store *s, const char *chain, uint64_t *ret)
{
	char path[200], text[32];
	autoclose int dir = -1;

	layer_path("layers", chain, path);
	dir = sys_openat(s->root, path, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	if (dir < 0 || fd_read_line(dir, "size", text, sizeof(text)) <= 0)
		return -ENOENT;
	return parse_u64(text, ret);
}

void store_layer_set_size(struct store *s, const char *chain, uint64_t size)
{
	struct err ignored = {};
	autoclose int lock = store_lock_small(s, &ignored), dir = -1;
	char path[200], text[32];

	layer_path("layers", chain, path);
	dir = sys_openat(s->root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	snprintf(text, sizeof(text), "%llu\n", (unsigned long long)size);
	if (dir >= 0 && lock >= 0)
		fd_replace_file(dir, "size", text, strlen(text), 0600);
}

/* What a crash left of an earlier try is worth nothing: its bytes were never verified. */
static int clear_stage(struct store *s, int stage, struct err *err)
{
	int r = layer_remove_tree(s, stage, "diff", err);

	if (r < 0)
		return r;
	r = sys_mkdirat(stage, "diff", 0700);
	return r < 0 ? err_sys(err, r, "store: staging") : 0;
}

int store_layer_stage(struct store *s, const char *chain, struct err *err)
{
	char path[200];
	int r;

	layer_path("staging", chain, path);
	for (;;) {
		autoclose int fd = -1;
		struct stat mine, named;

		if (store_layer_exists(s, chain))
			return -EEXIST;
		r = sys_mkdirat(s->root, path, 0700);
		if (r < 0 && r != -EEXIST)
			return err_sys(err, r, "store: %s", path);
		fd = sys_openat(s->root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (fd == -ENOENT)
			continue; /* committed between the two calls */
		r = fd < 0 ? fd : sys_flock(fd, LOCK_EX);
		if (r == 0)
			r = sys_fstat(fd, &mine);
		if (r < 0)
			return err_sys(err, r, "store: %s", path);
		if (sys_fstatat(s->root, path, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
			mine.st_ino != named.st_ino || mine.st_dev != named.st_dev)
			continue; /* committed or abandoned while we waited */
		r = clear_stage(s, fd, err);
		return r < 0 ? r : take_fd(&fd);
	}
}

int store_layer_commit(struct store *s, const char *chain, struct err *err)
{
	char from[200], to[200];
	int r;

	layer_path("staging", chain, from);
	layer_path("layers", chain, to);
	r = store_note_layer(s, chain);
	if (r == 0)
		r = sys_renameat2(s->root, from, s->root, to, RENAME_NOREPLACE);
	if (r == 0)
		r = store_sync_folder(s, "layers");
	return r < 0 ? err_sys(err, r, "store: layer %s", chain) : 0;
}

void store_layer_abandon(struct store *s, const char *chain)
{
	struct err ignored = {};
	autoclose int staging = sys_openat(s->root, "staging", O_RDONLY | O_DIRECTORY, 0);
	autoclose int stage = -1;

	if (staging < 0)
		return;
	stage = sys_openat(staging, digest_hex(chain), O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	/* What cannot be removed now is what store_collect() looks for. */
	if (stage >= 0 && layer_remove_tree(s, stage, "diff", &ignored) == 0)
		path_remove_tree(staging, digest_hex(chain));
}

int store_sync(struct store *s, struct err *err)
{
	if (s->note >= 0)
		return 0;
	return syncfs(s->root) < 0 ? err_sys(err, -errno, "store: write to the disk") : 0;
}
