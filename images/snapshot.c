/* SPDX-License-Identifier: Apache-2.0 */
#include "images/snapshot.h"

#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"
#include "base/sys.h"
#include "images/image.h"
#include "images/layer.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

enum { RECORD_MAX = 256 << 10 };

struct record {
	const char *image;
	struct strings chains;
};
static const struct json_rule record_rules[] = {
	{"image", JSON_TEXT, true, JSON_AT(record, image)},
	{"layers", JSON_TEXTS, true, JSON_AT(record, chains)},
	{},
};
static const struct json_table record_table = {sizeof(struct record), record_rules};

static int check_id(const char *id, struct err *err)
{
	if (!path_is_component(id) || strlen(id) > 250 || *id == '.')
		return err_set(err, -EINVAL, "\"%.100s\" cannot be a container's id", id);
	return 0;
}

static int open_containers(struct store *s)
{
	return sys_openat(store_root(s), "containers", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
}

static int open_directory(struct store *s, const char *id)
{
	autoclose int all = open_containers(s);

	return all < 0 ? all : sys_openat(all, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
}

/* ---- the record ---- */

static int write_record(int dir, const struct image *image, struct err *err)
{
	autobuf struct buf text = {};
	autojson json_t *json = json_pack("{s:s, s:[]}", "image", image->manifest_digest, "layers");
	json_t *chains = json_object_get(json, "layers");
	int r = json ? 0 : -ENOMEM;

	for (size_t i = image->config->diff_ids.count; r == 0 && i-- > 0;)
		r = json_array_append_new(chains, json_string(image->chains[i].text)) ? -ENOMEM : 0;
	if (r == 0)
		r = json_write(json, JSON_COMPACT, &text);
	if (r == 0)
		r = fd_replace_file(dir, "snapshot.json", text.data, text.len, 0600);
	return r < 0 ? err_sys(err, r, "snapshot") : 0;
}

static int check_layers(struct store *s, const struct image *image, struct err *err)
{
	for (size_t i = 0; i < image->config->diff_ids.count; i++)
		if (!store_layer_exists(s, image->chains[i].text))
			return err_set(err, -ENOENT,
				"layer %zu of the image is not here any more: pull it again",
				i + 1);
	return 0;
}

/* The root directory of a container is the upper one: it looks like the topmost layer's. */
static int copy_root_attributes(struct store *s, const struct image *image, int upper)
{
	size_t count = image->config->diff_ids.count;
	autoclose int top = count ? store_layer_open(s, image->chains[count - 1].text) : -ENOENT;
	struct timespec times[2];
	struct stat st, now;
	int r = top < 0 ? top : sys_fstat(top, &st);

	if (r == -ENOENT)
		return sys_fchmod(upper, 0755);
	if (r == 0)
		r = sys_fstat(upper, &now);
	if (r == 0 && (st.st_uid != now.st_uid || st.st_gid != now.st_gid))
		r = sys_fchownat(upper, "", st.st_uid, st.st_gid, AT_EMPTY_PATH);
	if (r == 0)
		r = sys_fchmod(upper, st.st_mode & 07777);
	if (r < 0)
		return r;
	times[0] = times[1] = st.st_mtim;
	return futimens(upper, times) < 0 ? -errno : 0;
}

static int make_directories(struct store *s, const struct image *image, int dir, struct err *err)
{
	autoclose int upper = -1;
	int r = sys_mkdirat(dir, "work", 0700);

	if (r == 0)
		r = sys_mkdirat(dir, "upper", 0700);
	if (r == 0)
		r = upper = sys_openat(dir, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (r >= 0)
		r = copy_root_attributes(s, image, upper);
	return r < 0 ? err_sys(err, r, "snapshot") : 0;
}

int snapshot_create(struct store *s, const char *id, const char *manifest, struct err *err)
{
	autoclose int hold = -1, all = -1, dir = -1;
	autoimage struct image image = {};
	char temp[300];
	int r = check_id(id, err);

	if (r < 0)
		return r;
	hold = store_hold(s, err); /* no collection until the record is in place */
	if (hold < 0)
		return hold;
	r = image_open_digest(s, manifest, &image, err);
	if (r == 0)
		r = check_layers(s, &image, err);
	if (r < 0)
		return r;
	all = open_containers(s);
	if (all < 0)
		return err_sys(err, all, "store: containers");
	snprintf(temp, sizeof(temp), ".%s.new", id);
	r = layer_remove_tree(s, all, temp, err); /* of a crash */
	if (r < 0)
		return r;
	r = sys_mkdirat(all, temp, 0700);
	dir = r < 0 ? r : sys_openat(all, temp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (dir < 0)
		return err_sys(err, dir, "snapshot %s", id);
	r = make_directories(s, &image, dir, err);
	if (r == 0)
		r = write_record(dir, &image, err);
	if (r == 0) {
		r = sys_renameat2(all, temp, all, id, RENAME_NOREPLACE);
		if (r == -EEXIST)
			err_set(err, r, "the container %s exists already", id);
		else if (r < 0)
			err_sys(err, r, "snapshot %s", id);
	}
	if (r < 0)
		path_remove_tree(all, temp);
	return r;
}

int snapshot_load(struct store *s, const char *id, struct snapshot *ret, struct err *err)
{
	autosnapshot struct snapshot snapshot = {};
	autoarena struct arena arena = {};
	autobuf struct buf text = {};
	autojson json_t *json = NULL;
	autoclose int dir = -1;
	struct record record = {};
	int r = check_id(id, err);

	if (r < 0)
		return r;
	dir = open_directory(s, id);
	r = dir < 0 ? dir : fd_read_file(dir, "snapshot.json", RECORD_MAX, &text);
	if (r < 0)
		return err_sys(err, r, "container %s", id);
	r = json_parse("snapshot.json", buf_str(&text), text.len, &json, err);
	if (r == 0)
		r = json_decode(json, &record_table, &arena, &record, err);
	if (r < 0)
		return err_add(err, "container %s", id);
	snapshot.chains = calloc(record.chains.count + 1, sizeof(*snapshot.chains));
	if (!snapshot.chains)
		return err_sys(err, -ENOMEM, "container %s", id);
	for (size_t i = 0; i < record.chains.count; i++) {
		if (!spec_digest_is_valid(record.chains.items[i]))
			return err_set(err, -EINVAL, "container %s: a layer has no digest", id);
		strcpy(snapshot.chains[snapshot.count++].text, record.chains.items[i]);
	}
	snprintf(snapshot.image, sizeof(snapshot.image), "%s", record.image);
	snprintf(snapshot.id, sizeof(snapshot.id), "%s", id);
	*ret = snapshot;
	snapshot = (struct snapshot){};
	return 0;
}

void snapshot_free(struct snapshot *snapshot)
{
	free(snapshot->chains);
	*snapshot = (struct snapshot){};
}

int snapshot_lock(struct store *s, const char *id, bool wait, struct err *err)
{
	autoclose int dir = -1;
	int r = check_id(id, err);

	if (r < 0)
		return r;
	dir = open_directory(s, id);
	r = dir < 0 ? dir : sys_flock(dir, LOCK_EX | (wait ? 0 : LOCK_NB));
	if (r == -EWOULDBLOCK)
		return err_set(err, -EBUSY, "container %s: another command is at work on it", id);
	return r < 0 ? err_sys(err, r, "container %s", id) : take_fd(&dir);
}

int snapshot_remove(struct store *s, const char *id, struct err *err)
{
	autoclose int all = -1, trash = -1;
	char name[300];
	int r = check_id(id, err);

	if (r < 0)
		return r;
	all = open_containers(s);
	trash = sys_openat(store_root(s), "trash", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (all < 0 || trash < 0)
		return err_sys(err, all < 0 ? all : trash, "store");
	/* Out of the way first, so that a crash leaves it whole or gone. */
	snprintf(name, sizeof(name), "%s-%d", id, getpid());
	r = sys_renameat2(all, id, trash, name, 0);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return err_sys(err, r, "remove container %s", id);
	return layer_remove_tree(s, trash, name, err);
}

int snapshot_open_upper(struct store *s, const char *id)
{
	autoclose int dir = path_is_component(id) ? open_directory(s, id) : -EINVAL;

	return dir < 0 ? dir : sys_openat(dir, "upper", O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
}

/* ---- mounting ---- */

/* A layer as a detached mount of its own, its ids shifted. */
static int clone_layer(int layer, int userns, struct err *err)
{
	autoclose int tree = sys_open_tree(layer, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
	int r;

	if (tree < 0)
		return err_sys(err, tree, "clone a layer's mount");
	r = sys_mount_setattr(tree, "", AT_EMPTY_PATH, MOUNT_ATTR_IDMAP, 0, 0, userns);
	if (r < 0)
		return err_sys(err, r, "shift the ids of a layer: its file system must know how");
	return take_fd(&tree);
}

/* By descriptor where the kernel takes one (6.13), else by the descriptor's name in procfs. */
static int add_lower(int context, int fd, bool shifted, struct err *err)
{
	char path[64];
	int r = sys_fsconfig(context, FSCONFIG_SET_FD, "lowerdir+", NULL, fd);

	if (r != -EINVAL && r != -EOPNOTSUPP)
		return r < 0 ? err_sys(err, r, "overlay: add a layer") : 0;
	if (shifted)
		return err_set(err, -EOPNOTSUPP,
			"this kernel cannot shift the ids of overlay's layers (6.13 can): use the "
			"host's ids, or a newer kernel");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = sys_fsconfig(context, FSCONFIG_SET_STRING, "lowerdir+", path, 0);
	return r < 0 ? err_sys(err, r, "overlay: add a layer") : 0;
}

/* Shifted clones are mounted nowhere: they live as long as these descriptors, so until overlay has
 * taken them. */
struct shifted {
	int *fds;
	size_t count;
};

static void shifted_free(struct shifted *s)
{
	while (s->count)
		close(s->fds[--s->count]);
	free(s->fds);
}
CLEANUP_DEFINE(shifted, struct shifted, shifted_free)
#define autoshifted __attribute__((cleanup(cleanup_shifted)))

static int add_lowers(int context, struct store *s, const struct snapshot *snapshot, int userns,
	struct shifted *shifted, struct err *err)
{
	shifted->fds = calloc(snapshot->count, sizeof(*shifted->fds));
	if (!shifted->fds)
		return err_sys(err, -ENOMEM, "overlay");
	for (size_t i = 0; i < snapshot->count; i++) {
		autoclose int layer = store_layer_open(s, snapshot->chains[i].text);
		int r, use = layer;

		if (layer < 0)
			return err_sys(err, layer, "layer %.19s…", snapshot->chains[i].text);
		if (userns >= 0) {
			use = clone_layer(layer, userns, err);
			if (use < 0)
				return use;
			shifted->fds[shifted->count++] = use;
		}
		r = add_lower(context, use, userns >= 0, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int set_path(int context, const char *key, int fd, struct err *err)
{
	char path[64];
	int r = sys_fsconfig(context, FSCONFIG_SET_FD, key, NULL, fd);

	if (r == -EINVAL || r == -EOPNOTSUPP) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		r = sys_fsconfig(context, FSCONFIG_SET_STRING, key, path, 0);
	}
	return r < 0 ? err_sys(err, r, "overlay: %s", key) : 0;
}

static int add_upper(int context, struct store *s, const struct snapshot *snapshot, struct err *err)
{
	autoclose int dir = open_directory(s, snapshot->id), upper = -1, work = -1;
	int r;

	if (dir < 0)
		return err_sys(err, dir, "container %s", snapshot->id);
	upper = sys_openat(dir, "upper", O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	work = sys_openat(dir, "work", O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	if (upper < 0 || work < 0)
		return err_sys(err, upper < 0 ? upper : work, "container %s", snapshot->id);
	r = set_path(context, "upperdir", upper, err);
	return r < 0 ? r : set_path(context, "workdir", work, err);
}

static int set_flag(int context, const char *key, struct err *err)
{
	int r = sys_fsconfig(context, FSCONFIG_SET_FLAG, key, NULL, 0);

	return r < 0 ? err_sys(err, r, "overlay: %s", key) : 0;
}

/* The kernel writes what it dislikes into the context; the last line is worth showing. */
static void add_reason(int context, struct err *err)
{
	char line[256];
	ssize_t n = sys_read(context, line, sizeof(line) - 1);

	if (n <= 2)
		return;
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	err_add(err, "%s", line + 2);
}

int snapshot_mount(struct store *s, const struct snapshot *snapshot,
	const struct snapshot_mount_options *o, struct err *err)
{
	autoclose int context = sys_fsopen("overlay");
	autoshifted struct shifted shifted = {};
	int r, fs;

	if (context < 0)
		return err_sys(err, context, "overlay");
	if (!snapshot->count)
		return err_set(err, -EINVAL, "an image without layers has no root file system");
	r = set_flag(context, "userxattr", err);
	if (r == 0 && o->volatile_ && !o->read_only)
		r = set_flag(context, "volatile", err);
	if (r == 0)
		r = add_lowers(context, s, snapshot, o->userns, &shifted, err);
	if (r == 0 && !o->read_only)
		r = add_upper(context, s, snapshot, err);
	/* One layer alone is no overlay: it needs an empty one to lie on. */
	if (r == 0 && o->read_only && snapshot->count == 1) {
		autoclose int empty = sys_openat(store_root(s), "trash", O_PATH | O_DIRECTORY, 0);

		r = empty < 0 ? err_sys(err, empty, "store")
			      : add_lower(context, empty, false, err);
	}
	if (r < 0)
		return r;
	r = sys_fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (r < 0) {
		err_sys(err, r, "overlay: mount");
		add_reason(context, err);
		return r;
	}
	fs = sys_fsmount(context, o->read_only ? MOUNT_ATTR_RDONLY : 0);
	return fs < 0 ? err_sys(err, fs, "overlay: mount") : fs;
}

int snapshot_fuse_options(
	struct store *s, const struct snapshot *snapshot, struct buf *ret, struct err *err)
{
	char link[64], root[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", store_root(s));
	n = sys_readlinkat(AT_FDCWD, link, root, sizeof(root) - 1);
	if (n < 0)
		return err_sys(err, (int)n, "store");
	root[n] = '\0';
	if (strpbrk(root, ",:\\"))
		return err_set(err, -EINVAL,
			"store %s: fuse-overlayfs takes no \",\" or \":\" here", root);
	buf_puts(ret, "lowerdir=");
	for (size_t i = 0; i < snapshot->count; i++)
		buf_printf(ret, "%s%s/layers/%s/diff", i ? ":" : "", root,
			digest_hex(snapshot->chains[i].text));
	buf_printf(ret, ",upperdir=%s/containers/%s/upper,workdir=%s/containers/%s/work", root,
		snapshot->id, root, snapshot->id);
	if (store_ids(s)->single)
		buf_puts(ret, ",xattr_permissions=2");
	return ret->failed ? err_sys(err, -ENOMEM, "snapshot") : 0;
}

/*
 * Asks the kernel for a context and nothing else: whether overlay may be mounted here is decided at
 * fsopen(2), by the user namespace and the kernel's age (5.11).
 */
int snapshot_probe(struct store *s, enum snapshot_driver *ret, struct err *err)
{
	autoclose int context = sys_fsopen("overlay");
	int r = context;

	/* Recorded owners are something that only fuse-overlayfs reads. */
	if (r >= 0 && !store_ids(s)->single)
		r = sys_fsconfig(context, FSCONFIG_SET_FLAG, "userxattr", NULL, 0);
	else if (r >= 0)
		r = -EPERM;
	if (r == 0) {
		*ret = SNAPSHOT_OVERLAY;
		return 0;
	}
	if (sys_faccessat(AT_FDCWD, "/usr/bin/fuse-overlayfs", X_OK, 0) == 0 &&
		sys_faccessat(AT_FDCWD, "/dev/fuse", R_OK | W_OK, 0) == 0) {
		*ret = SNAPSHOT_FUSE;
		return 0;
	}
	return err_set(err, -EOPNOTSUPP,
		"overlay mounts are not allowed here, and there is no fuse-overlayfs to take its "
		"place");
}
