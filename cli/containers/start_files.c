/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a container that starts: its root file system, its user, its volumes. */
#include "cli/containers/start_private.h"

#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "cli/containers/idmaps.h"
#include "cli/containers/userns.h"
#include "cli/containers/volumes.h"
#include "images/fuse.h"
#include "runtime/mounts.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { GROUPS_MAX = 256, HOME_SIZE = 1024 };

uint32_t start_file_owner(const struct starting *s, bool users, uint32_t id)
{
	const struct store_ids *own = store_ids(s->ctx->store);
	uint32_t host = users ? idmaps_outside(s->ids.uids, s->ids.uid_count, id)
			      : idmaps_outside(s->ids.gids, s->ids.gid_count, id);

	if (!s->ctx->rootless)
		return host;
	if (own->single)
		return id;
	return users ? idmaps_inside(own->uids, own->uid_count, host)
		     : idmaps_inside(own->gids, own->gid_count, host);
}

/* LOOK: in a process of its own, ahead of the mount that the container gets. As that one is, so
 * that a kernel that refuses it does so here; but an upper layer is mounted "volatile" just once.
 */
static int mount_rootfs(struct starting *s, bool look, struct err *err)
{
	const struct snapshot_mount_options options = {
		.userns = s->userns,
		.read_only = look && s->own_ids,
		.volatile_ = s->box->record.options.remove && !look,
		.server = s->server >= 0 ? &s->server : NULL,
	};
	int r = s->rootfs = snapshot_mount(s->ctx->store, &s->snapshot, &options, err);

	return r < 0 ? err_add(err, "container %s", s->box->record.name) : 0;
}

int start_give_rootfs(void *context, struct err *err)
{
	struct starting *s = context;
	int r = 0;

	/* What the kernel is to mount it must have reached in this namespace; fuse-overlayfs is
	 * told names. */
	if (s->rootfs < 0 && s->server < 0)
		r = store_reopen(s->ctx->store, err);
	if (r == 0 && s->rootfs < 0)
		r = mount_rootfs(s, false, err);
	return r < 0 ? r : take_fd(&s->rootfs);
}

static int stop_at_first(void *context, int dirfd, const char *name)
{
	(void)context, (void)dirfd, (void)name;
	return 1;
}

static bool is_empty(int fd)
{
	return path_each(fd, stop_at_first, NULL) == 0;
}

/* Whether the files of M have the container's own ids on the disk: they are shifted on the way. */
static bool is_shifted(const struct starting *s, const struct record_mount *m)
{
	return s->userns >= 0 && strings_have(&m->options, "idmap");
}

/* What the image has at TARGET, with the ids that a volume is to have. */
static int open_image_at(struct starting *s, const struct record_mount *m, struct err *err)
{
	const struct snapshot_mount_options options = {.userns = -1, .read_only = true};
	autoclose int own = -1;
	int r;

	if (is_shifted(s, m)) {
		r = own = snapshot_mount(s->ctx->store, &s->snapshot, &options, err);
		if (r < 0)
			return err_add(err, "volume %s", m->volume);
	}
	r = path_open(own >= 0 ? own : s->rootfs, m->target, O_RDONLY | O_DIRECTORY);
	return r < 0 && r != -ENOENT && r != -ENOTDIR ? err_sys(err, r, "%s", m->target) : r;
}

/* From the image's id, which is the store's, to what that is for the container. */
static int shift(void *context, int dirfd, const char *name)
{
	const struct starting *s = context;
	autoclose int sub = -1;
	struct stat st;
	int r = sys_fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW);

	if (r == 0)
		r = sys_fchownat(dirfd, name, start_file_owner(s, true, st.st_uid),
			start_file_owner(s, false, st.st_gid), AT_SYMLINK_NOFOLLOW);
	if (r == 0 && (st.st_mode & (S_ISUID | S_ISGID)) && S_ISREG(st.st_mode))
		r = sys_fchmodat(dirfd, name, st.st_mode & 07777); /* chown(2) took them away */
	if (r < 0 || !S_ISDIR(st.st_mode))
		return r;
	sub = sys_openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	return sub < 0 ? sub : path_each(sub, shift, context);
}

/* A volume that nothing was written to yet gets what the image has in its place. */
static int fill_volume(struct starting *s, const struct record_mount *m, struct err *err)
{
	autoclose int to = sys_openat(AT_FDCWD, m->source, O_RDONLY | O_DIRECTORY, 0), from = -1;
	struct stat st;
	int r;

	if (to < 0)
		return err_sys(err, to, "volume %s", m->volume);
	if (!is_empty(to))
		return 0;
	r = from = open_image_at(s, m, err);
	if (r == -ENOENT || r == -ENOTDIR) {
		r = is_shifted(s, m) ? 0
				     : sys_fchownat(to, "", start_file_owner(s, true, 0),
					       start_file_owner(s, false, 0), AT_EMPTY_PATH);
		return r < 0 ? err_sys(err, r, "volume %s", m->volume) : 0;
	}
	if (r >= 0)
		r = copyup(from, to, err);
	if (r == 0 && s->own_ids) {
		r = path_each(to, shift, s);
		if (r == 0)
			r = sys_fchownat(to, "", start_file_owner(s, true, 0),
				start_file_owner(s, false, 0), AT_EMPTY_PATH);
		if (r < 0)
			err_sys(err, r, "give its files away");
	}
	if (r == 0)
		r = sys_fstat(from, &st);
	if (r == 0)
		r = sys_fchmod(to, st.st_mode & 07777);
	return r < 0 ? err_add(err, "volume %s", m->volume) : 0;
}

struct owner {
	uint32_t uid, gid;
};

/* U: the files belong to whom the container's process is. */
static int give_away(void *context, int dirfd, const char *name)
{
	const struct owner *owner = context;
	autoclose int sub = sys_openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	int r = sub >= 0 ? sys_fchownat(sub, "", owner->uid, owner->gid, AT_EMPTY_PATH)
			 : sys_fchownat(dirfd, name, owner->uid, owner->gid, AT_SYMLINK_NOFOLLOW);

	return r < 0 || sub < 0 ? r : path_each(sub, give_away, context);
}

static int prepare_mount(struct starting *s, const struct record_mount *m, struct err *err)
{
	bool shifted = is_shifted(s, m);
	uint32_t uid = shifted ? s->facts.user.uid : start_file_owner(s, true, s->facts.user.uid);
	uint32_t gid = shifted ? s->facts.user.gid : start_file_owner(s, false, s->facts.user.gid);
	autoclose int fd = -1;
	struct stat st;
	int r = 0;

	if (m->type == RECORD_MOUNT_TMPFS)
		return 0;
	r = sys_fstatat(AT_FDCWD, m->source, &st, 0);
	if (r < 0)
		return err_sys(err, r, "mount %s", m->source);
	if (m->copy_up)
		r = fill_volume(s, m, err);
	if (r < 0 || !m->chown)
		return r;
	fd = sys_openat(AT_FDCWD, m->source, O_RDONLY | O_DIRECTORY, 0);
	r = fd >= 0 ? sys_fchownat(fd, "", uid, gid, AT_EMPTY_PATH)
		    : sys_fchownat(AT_FDCWD, m->source, uid, gid, 0);
	if (r == 0 && fd >= 0)
		r = path_each(fd, give_away, &(struct owner){uid, gid});
	return r < 0 ? err_sys(err, r, "mount %s: U", m->source) : 0;
}

static int prepare_mounts(struct starting *s, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < s->box->record.mounts.count && r == 0; i++)
		r = prepare_mount(s, &s->box->record.mounts.items[i], err);
	return r;
}

/* What has to be seen to in the container's files before it is assembled. */
static int look_at_files(struct starting *s, struct err *err)
{
	const struct record *record = &s->box->record;
	int r = mount_rootfs(s, s->ctx->rootless, err);

	if (r == 0)
		r = user_find(s->rootfs, record->user, &record->options.groups, &s->arena,
			&s->facts.user, err);
	return r < 0 ? r : prepare_mounts(s, err);
}

/* The answer of the process that did this in a user namespace. */
struct looked {
	int code;
	char text[ERR_TEXT_MAX];
	bool by_fuse; /* what the kernel did not mount */
	uint32_t uid, gid, groups[GROUPS_MAX], group_count;
	char home[HOME_SIZE];
};

/* Process: of its own, in a user namespace with the container's ids. */
static _Noreturn void looker(struct starting *s, int sock)
{
	const struct user *user = &s->facts.user;
	struct looked looked = {};
	struct err err = {};
	struct statfs fs;

	looked.code = box_enter_userns(s->ctx->store, &err);
	if (looked.code == 0)
		looked.code = look_at_files(s, &err);
	if (looked.code == 0) {
		looked.by_fuse = sys_fstatfs(s->rootfs, &fs) == 0 && fs.f_type == FUSE_SUPER_MAGIC;
		looked.uid = user->uid;
		looked.gid = user->gid;
		for (size_t i = 0; i < user->group_count && i < GROUPS_MAX; i++)
			looked.groups[looked.group_count++] = user->groups[i];
		snprintf(looked.home, sizeof(looked.home), "%s", user->home);
	}
	snprintf(looked.text, sizeof(looked.text), "%s", err.text);
	fd_send(sock, &looked, sizeof(looked), NULL, 0);
	_exit(0);
}

static int take_looked(struct starting *s, const struct looked *looked, struct err *err)
{
	struct user *user = &s->facts.user;

	if (looked->code < 0)
		return err_set(err, looked->code, "%s", looked->text);
	*user = (struct user){
		.uid = looked->uid,
		.gid = looked->gid,
		.groups = arena_array(&s->arena, looked->group_count, uint32_t),
		.group_count = looked->group_count,
		.home = arena_strdup(&s->arena, looked->home),
	};
	if (!user->groups || !user->home)
		return err_sys(err, -ENOMEM, "--user");
	if (looked->group_count)
		memcpy(user->groups, looked->groups, looked->group_count * sizeof(*user->groups));
	return 0;
}

static int look_from_outside(struct starting *s, struct err *err)
{
	autofree struct looked *looked = calloc(1, sizeof(*looked));
	size_t none = 0;
	ssize_t n;
	int socks[2], r = looked ? sys_socketpair(SOCK_SEQPACKET, socks) : -ENOMEM;
	pid_t pid;

	if (r < 0)
		return err_sys(err, r, "look at the container's files");
	pid = sys_fork();
	if (pid == 0)
		looker(s, socks[1]);
	close(socks[1]);
	n = fd_recv(socks[0], looked, sizeof(*looked), NULL, &none);
	close(socks[0]);
	if (pid > 0)
		sys_waitpid(pid, NULL, 0);
	if (n != sizeof(*looked))
		return err_set(err, -EPIPE, "the look at the container's files has failed");
	r = take_looked(s, looked, err);
	if (r == 0 && (looked->by_fuse || s->own_ids))
		r = s->server = fuse_server_start(s->ctx->store, false, err);
	return r < 0 ? r : 0;
}

int start_look_at_files(struct starting *s, struct err *err)
{
	return s->ctx->rootless ? look_from_outside(s, err) : look_at_files(s, err);
}

int start_give_etc(struct starting *s, struct err *err)
{
	const char *const files[] = {
		s->facts.hosts_file, s->facts.resolv_file, s->facts.hostname_file};
	int r = 0;

	for (size_t i = 0; s->ids.uid_count && i < ARRAY_LEN(files) && r == 0; i++)
		if (files[i])
			r = sys_fchownat(AT_FDCWD, files[i], start_file_owner(s, true, 0),
				start_file_owner(s, false, 0), AT_SYMLINK_NOFOLLOW);
	return r < 0 ? err_sys(err, r, "/etc") : 0;
}

static int give_secrets(struct starting *s, struct err *err)
{
	for (size_t i = 0; i < s->facts.secret_count; i++) {
		const struct assemble_file *file = &s->facts.secrets[i];
		int r = sys_fchownat(AT_FDCWD, file->source, start_file_owner(s, true, file->uid),
			start_file_owner(s, false, file->gid), AT_SYMLINK_NOFOLLOW);

		if (r < 0)
			return err_sys(err, r, "--secret: give %s away", file->target);
	}
	return 0;
}

int start_enter_store(void *context, struct err *err)
{
	struct starting *s = context;
	int r = box_enter_userns(s->ctx->store, err);

	/* Else there is more to be written to them, by the user. */
	if (r == 0 && s->own_ids && !s->network.attached)
		r = start_give_etc(s, err);
	return r < 0 ? r : give_secrets(s, err);
}

int start_give_etc_as_user(struct starting *s, struct err *err)
{
	autoclose int ours = -1, theirs = -1;
	int pair[2], r = sys_socketpair(SOCK_SEQPACKET, pair);
	size_t none = 0;
	ssize_t n;
	pid_t pid;

	if (r < 0)
		return err_sys(err, r, "/etc");
	ours = pair[0], theirs = pair[1];
	pid = sys_fork();
	if (pid == 0) {
		r = box_enter_userns(s->ctx->store, err);
		if (r == 0)
			r = start_give_etc(s, err);
		fd_send(theirs, err, sizeof(*err), NULL, 0);
		_exit(0);
	}
	cleanup_close(&theirs);
	n = pid < 0 ? pid : fd_recv(ours, err, sizeof(*err), NULL, &none);
	if (pid > 0)
		sys_waitpid(pid, NULL, 0);
	if (n != sizeof(*err))
		return err_set(err, -ECHILD, "/etc: its files cannot be given away");
	return err->code;
}
