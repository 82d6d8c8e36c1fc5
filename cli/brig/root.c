/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/brig/root.h"

#include "base/sys.h"
#include "cli/containers/userns.h"
#include "images/snapshot.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int open_running(const struct box *box, bool *ret_bare, struct err *err)
{
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1};
	int r = container_open(box->boxes->rt, box->id, false, &c, err);

	return r < 0 ? r : container_open_root(&c, ret_bare, err);
}

int root_open_snapshot(struct brig *b, const struct box *box, bool read_only, struct err *err)
{
	struct snapshot_mount_options options = {.userns = -1, .read_only = read_only};
	autosnapshot struct snapshot snapshot = {};
	autoclose int userns = -1;
	struct store *store;
	int r = brig_store(b, &store, err);

	if (r == 0 && geteuid() != 0)
		r = box_enter_userns(store, err);
	else if (r == 0)
		r = box_open_userns(&box->record, &userns, err);
	options.userns = userns;
	if (r == 0)
		r = snapshot_load(store, box->id, &snapshot, err);
	return r < 0 ? r : snapshot_mount(store, &snapshot, &options, err);
}

int root_open(struct brig *b, const struct box *box, struct root *ret, struct err *err)
{
	enum box_state state = box_state(box);
	bool runs = state == BOX_RUNNING || state == BOX_PAUSED, bare = true;
	int fd = runs ? open_running(box, &bare, err) : root_open_snapshot(b, box, false, err);

	if (fd < 0)
		return fd;
	*ret = (struct root){.fd = fd, .mount = -1, .record = bare ? &box->record : NULL};
	return 0;
}

void root_close(struct root *root)
{
	if (root->fd < 0)
		return;
	cleanup_close(&root->fd);
	cleanup_close(&root->mount);
}

int root_find(struct root *root, const char *path, const char **ret_rest)
{
	const struct record_mount *best = NULL;
	size_t longest = 0;

	for (size_t i = 0; root->record && i < root->record->mounts.count; i++) {
		const struct record_mount *m = &root->record->mounts.items[i];
		size_t n = strlen(m->target);

		if (m->source && n > longest && strncmp(path, m->target, n) == 0 &&
			(path[n] == '/' || !path[n])) {
			best = m;
			longest = n;
		}
	}
	*ret_rest = path;
	if (!best)
		return root->fd;
	cleanup_close(&root->mount);
	root->mount = sys_openat(AT_FDCWD, best->source, O_PATH | O_DIRECTORY, 0);
	*ret_rest = path[longest] ? path + longest : "/";
	return root->mount;
}
