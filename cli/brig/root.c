/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/brig/root.h"

#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "cli/containers/userns.h"
#include "images/fuse.h"
#include "images/snapshot.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

bool root_is_fuse(int fd)
{
	struct statfs fs;

	return sys_fstatfs(fd, &fs) == 0 && fs.f_type == FUSE_SUPER_MAGIC;
}

static int open_running(
	struct brig *b, const struct box *box, bool *ret_bare, int *ret_entry, struct err *err)
{
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1};
	int fd, r = container_open(box->boxes->rt, box->id, false, &c, err);

	if (r < 0)
		return r;
	fd = container_open_root(&c, ret_bare, err);
	if (fd >= 0 && b->rootless && root_is_fuse(fd))
		*ret_entry = take_fd(&c.pidfd);
	return fd;
}

static int open_snapshot(struct brig *b, const struct box *box,
	struct snapshot_mount_options options, struct err *err)
{
	autosnapshot struct snapshot snapshot = {};
	autoclose int userns = -1, server = -1;
	struct store *store;
	int r = brig_store(b, &store, err);

	if (r == 0 && geteuid() != 0)
		r = box_enter_userns(store, err);
	else if (r == 0)
		r = box_open_userns(&box->record, &userns, err);
	options.userns = userns;
	/* What fuse-overlayfs has written it alone reads right. */
	if (r == 0 && (options.written || (b->rootless && box->record.uid_map.count))) {
		r = server = fuse_server_start(store, true, err);
		options.server = &server;
	}
	if (r >= 0)
		r = snapshot_load(store, box->id, &snapshot, err);
	return r < 0 ? r : snapshot_mount(store, &snapshot, &options, err);
}

int root_open_snapshot(struct brig *b, const struct box *box, bool read_only, struct err *err)
{
	return open_snapshot(
		b, box, (struct snapshot_mount_options){.userns = -1, .read_only = read_only}, err);
}

int root_open(struct brig *b, const struct box *box, struct root *ret, struct err *err)
{
	enum box_state state = box_state(box);
	bool runs = state == BOX_RUNNING || state == BOX_PAUSED, bare = true;
	struct root root = ROOT_NONE;

	root.fd = runs ? open_running(b, box, &bare, &root.entry, err)
		       : root_open_snapshot(b, box, false, err);
	if (root.fd < 0)
		return root.fd;
	root.record = bare ? &box->record : NULL;
	*ret = root;
	return 0;
}

int root_open_written(struct brig *b, const struct box *box, struct err *err)
{
	return open_snapshot(b, box,
		(struct snapshot_mount_options){.userns = -1, .read_only = true, .written = true},
		err);
}

void root_close(struct root *root)
{
	if (root->fd < 0)
		return;
	cleanup_close(&root->fd);
	cleanup_close(&root->mount);
	cleanup_close(&root->entry);
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

int root_in_fork(int (*work)(const void *arg), const void *arg)
{
	autoclose int ours = -1, theirs = -1;
	int fds[2], fd = -1, result = -ECHILD, r = sys_socketpair(SOCK_SEQPACKET, fds);
	size_t count = 1;
	pid_t pid;

	if (r < 0)
		return r;
	ours = fds[0], theirs = fds[1];
	pid = sys_fork();
	if (pid == 0) {
		r = fd = work(arg);
		_exit(fd_send(theirs, &r, sizeof(r), &fd, fd >= 0) < 0);
	}
	cleanup_close(&theirs);
	if (pid < 0)
		return pid;
	if (fd_recv(ours, &result, sizeof(result), &fd, &count) != sizeof(result))
		result = -ECHILD;
	sys_waitpid(pid, NULL, 0);
	return result < 0 ? result : count == 1 ? fd : -EPROTO;
}

struct inside {
	int entry, root, flags;
	const char *path;
};

/* Process: a fork. */
static int open_inside(const void *arg)
{
	const struct inside *in = arg;
	int r = sys_setns(in->entry, CLONE_NEWUSER);

	if (r == 0)
		r = sys_setresgid(0, 0, 0);
	if (r == 0)
		r = sys_setresuid(0, 0, 0);
	return r < 0 ? r : path_open(in->root, in->path, in->flags);
}

int root_open_at(struct root *root, const char *path, int flags)
{
	struct inside inside = {.entry = root->entry, .flags = flags};
	int fd = inside.root = root_find(root, path, &inside.path);

	if (fd < 0)
		return fd;
	return root->entry < 0 ? path_open(fd, inside.path, flags)
			       : root_in_fork(open_inside, &inside);
}
