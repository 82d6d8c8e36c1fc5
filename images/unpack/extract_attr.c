/* SPDX-License-Identifier: Apache-2.0 */
/* Owners, modes, times and extended attributes of what is extracted. */
#include "images/unpack/extract_private.h"

#include "base/fd.h"
#include "base/sys.h"
#include "images/unpack/jail.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

JAIL_NEEDS(UNPACK_EXTRACT, SYS_fchown);
JAIL_NEEDS(UNPACK_EXTRACT, SYS_fchownat);
JAIL_NEEDS(UNPACK_EXTRACT, SYS_fchmod);
JAIL_NEEDS(UNPACK_EXTRACT, SYS_fsetxattr);
JAIL_NEEDS(UNPACK_EXTRACT, SYS_utimensat);
JAIL_NEEDS(UNPACK_EXTRACT, SYS_newfstatat);
JAIL_NEEDS(UNPACK_EXTRACT, SYS_fstat);
JAIL_NEEDS(UNPACK_EXTRACT, SYS_sendmsg);
JAIL_NEEDS(UNPACK_EXTRACT, SYS_recvmsg);

static int set_times(int fd, const char *name, struct timespec mtime)
{
	struct timespec times[2] = {mtime, mtime};

	/* By the raw call: glibc takes no empty path, and futimens(3) no O_PATH. */
	return syscall(SYS_utimensat, fd, name, times, name ? AT_SYMLINK_NOFOLLOW : 0) < 0 ? -errno
											   : 0;
}

int extract_set_opaque(int fd, struct err *err)
{
	if (fsetxattr(fd, "user.overlay.opaque", "y", 1, 0) < 0)
		return err_sys(err, -errno,
			"mark a directory as opaque (user.overlay.opaque): the store's file "
			"system must have extended attributes");
	return 0;
}

/*
 * Attributes that mean something to overlay or to a recorded owner are ours alone: an image that
 * brings them is up to no good. Those of the security.* kind but for capabilities belong to the
 * machine that the image was made on.
 */
static int judge_xattr(const struct tar_xattr *a, bool *ret_set, struct err *err)
{
	static const char *const reserved[] = {
		"trusted.", "user.overlay.", "user.containers.", "user.fuseoverlayfs."};

	*ret_set = false;
	for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
		if (strncmp(a->name, reserved[i], strlen(reserved[i])) == 0)
			return err_set(
				err, -EINVAL, "the extended attribute %.100s is reserved", a->name);
	*ret_set = strncmp(a->name, "user.", 5) == 0 || strcmp(a->name, "security.capability") == 0;
	return 0;
}

int extract_set_xattrs(struct extract *x, int fd, const struct tar_entry *e, struct err *err)
{
	for (size_t i = 0; i < e->xattr_count; i++) {
		const struct tar_xattr *a = &e->xattrs[i];
		bool set;
		int r = judge_xattr(a, &set, err);

		if (r < 0)
			return r;
		if (!set)
			continue;
		/* Without a user namespace of several ids nobody may give capabilities away. */
		if (x->request->single_uid && strcmp(a->name, "security.capability") == 0)
			continue;
		if (fsetxattr(fd, a->name, a->value, a->len, 0) == 0)
			continue;
		/* Where a plain archive goes may be any file system. */
		if (errno != EOPNOTSUPP || x->request->format == UNPACK_LAYER)
			return err_sys(err, -errno, "set the extended attribute %.100s", a->name);
	}
	return 0;
}

/* The form that fuse-overlayfs reads with xattr_permissions=2: "uid:gid:mode". */
static int record_owner(int fd, uint32_t uid, uint32_t gid, mode_t mode, struct err *err)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%u:%u:0%o", uid, gid, mode);

	if (fsetxattr(fd, "user.containers.override_stat", text, (size_t)n, 0) < 0)
		return err_sys(err, -errno, "record an owner (user.containers.override_stat)");
	return 0;
}

static int set_owner_and_mode(
	struct extract *x, int fd, uint32_t uid, uint32_t gid, mode_t mode, struct err *err)
{
	int r;

	if (x->request->single_uid && x->request->format == UNPACK_LAYER) {
		r = record_owner(fd, uid, gid, mode, err);
		/* Its owner must be able to read and replace what it cannot own otherwise. */
		mode = (mode & 0777) | 0600;
		if (r < 0)
			return r;
	} else if (!x->request->single_uid && fchown(fd, uid, gid) < 0) {
		r = -errno;
		return err_sys(err, r,
			r == -EINVAL ? "owner %u:%u is not mapped; more subordinate ids are "
				       "needed (subuid(5)), or the single-id mode"
				     : "set owner %u:%u",
			uid, gid);
	}
	r = sys_fchmod(fd, mode); /* after the owner: chown takes set-user-ID away */
	return r < 0 ? err_sys(err, r, "set mode") : 0;
}

int extract_set_file(struct extract *x, int fd, const struct tar_entry *e, struct err *err)
{
	int r = set_owner_and_mode(x, fd, e->uid, e->gid, e->mode, err);

	if (r == 0)
		r = extract_set_xattrs(
			x, fd, e, err); /* after the owner: chown drops capabilities */
	if (r == 0) {
		r = set_times(fd, NULL, e->mtime);
		if (r < 0)
			err_sys(err, r, "set times");
	}
	return r;
}

int extract_set_link(
	struct extract *x, int parent, const char *base, const struct tar_entry *e, struct err *err)
{
	int r = 0;

	/* user.* attributes cannot be on a symbolic link or a device, so that in single-id mode
	 * their owner is lost; nothing depends on it. */
	if (!x->request->single_uid)
		r = sys_fchownat(parent, base, e->uid, e->gid, AT_SYMLINK_NOFOLLOW);
	if (r < 0)
		return err_sys(err, r, "set owner %u:%u", e->uid, e->gid);
	r = set_times(parent, base, e->mtime);
	return r < 0 ? err_sys(err, r, "set times") : 0;
}

/* ---- directories, at the end ---- */

int extract_note_directory(
	struct extract *x, const char *path, const struct tar_entry *e, struct err *err)
{
	struct late_directory *d = arena_new(&x->arena, struct late_directory);

	if (!d || !(d->path = arena_strdup(&x->arena, path)))
		return err_sys(err, -ENOMEM, "entry \"%.300s\"", path);
	d->uid = e->uid;
	d->gid = e->gid;
	d->mode = e->mode;
	d->mtime = e->mtime;
	d->next = x->late;
	x->late = d;
	return 0;
}

/*
 * Entries may name a directory often, or remove it in between: what counts is the newest note. The
 * list is newest first, so an attribute that is set must not be set again by an older note. Times
 * are set before modes, and both after the content of the directory no longer changes, so the order
 * among directories does not matter.
 */
static int finish_directory(struct extract *x, const struct late_directory *d, struct err *err)
{
	autoclose int fd = extract_open(x, d->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	int r;

	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
		return 0; /* replaced later in the archive */
	if (fd < 0)
		return err_sys(err, fd, "directory \"%.300s\"", d->path);
	r = set_times(fd, NULL, d->mtime);
	if (r < 0)
		return err_sys(err, r, "directory \"%.300s\": set times", d->path);
	r = set_owner_and_mode(x, fd, d->uid, d->gid, d->mode, err);
	return r < 0 ? err_add(err, "directory \"%.300s\"", d->path) : 0;
}

/* Looks for PATH in the layers below, topmost first, and takes its attributes over. */
static void inherit(struct late_directory *d, int layers, const struct unpack_lowers *lowers)
{
	char path[64 + 8 + PATH_MAX];
	struct stat st;

	for (uint32_t i = 0; i < lowers->count && i < UNPACK_CHAINS_MAX; i++) {
		snprintf(path, sizeof(path), "%.64s/diff/%s", lowers->chains[i], d->path);
		autoclose int fd = sys_openat2(layers, path, O_PATH | O_NOFOLLOW, 0,
			RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);

		if (fd == -ENOENT)
			continue;
		if (fd < 0 || fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))
			return; /* hidden or replaced below: the directory is new */
		d->mode = st.st_mode & 07777;
		d->uid = st.st_uid;
		d->gid = st.st_gid;
		d->mtime = st.st_mtim;
		return;
	}
}

static int ask_lowers(struct extract *x, struct err *err)
{
	autofree struct unpack_lowers *lowers = calloc(1, sizeof(*lowers));
	struct unpack_need need = {.message = UNPACK_NEED_LOWERS};
	autoclose int layers = -1;
	size_t nfds = 1;
	ssize_t n;
	int r;

	if (!lowers)
		return err_sys(err, -ENOMEM, "lower layers");
	r = fd_send(x->control, &need, sizeof(need), NULL, 0);
	if (r < 0)
		return err_sys(err, r, "ask for the lower layers");
	n = fd_recv(x->control, lowers, sizeof(*lowers), &layers, &nfds);
	if (n != sizeof(*lowers))
		return err_sys(err, n < 0 ? (int)n : -EPROTO, "ask for the lower layers");
	for (struct late_directory *d = x->late; d && layers >= 0; d = d->next)
		if (d->implied)
			inherit(d, layers, lowers);
	return 0;
}

static void reverse(struct late_directory **list)
{
	struct late_directory *d = *list, *done = NULL, *next;

	for (; d; d = next) {
		next = d->next;
		d->next = done;
		done = d;
	}
	*list = done;
}

int extract_finish_directories(struct extract *x, struct err *err)
{
	bool implied = false;
	int r = 0;

	for (struct late_directory *d = x->late; d; d = d->next)
		implied |= d->implied;
	if (implied && x->control >= 0 && x->request->format == UNPACK_LAYER)
		r = ask_lowers(x, err);
	reverse(&x->late); /* oldest first: the last word stays */
	for (struct late_directory *d = x->late; r == 0 && d; d = d->next)
		r = finish_directory(x, d, err);
	return r;
}
