/* SPDX-License-Identifier: Apache-2.0 */
#include "images/snapshot.h"

#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"
#include "base/sys.h"
#include "images/fuse.h"
#include "images/image.h"
#include "images/layer.h"
#include "images/overlay.h"

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

static int open_trash(struct store *s)
{
	return sys_openat(store_root(s), "trash", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
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

int snapshot_discard(
	struct store *s, const char *id, char ret[SNAPSHOT_DISCARDED_MAX], struct err *err)
{
	autoclose int all = -1, trash = -1;
	char name[SNAPSHOT_DISCARDED_MAX];
	int r = check_id(id, err);

	if (r < 0)
		return r;
	all = open_containers(s);
	trash = open_trash(s);
	if (all < 0 || trash < 0)
		return err_sys(err, all < 0 ? all : trash, "store");
	/* Out of the way first, so that a crash leaves it whole or gone. */
	snprintf(name, sizeof(name), "%s-%d", id, getpid());
	r = sys_renameat2(all, id, trash, name, 0);
	if (r < 0 && r != -ENOENT)
		return err_sys(err, r, "remove container %s", id);
	memcpy(ret, r < 0 ? "" : name, r < 0 ? 1 : sizeof(name));
	return 0;
}

int snapshot_remove_discarded(struct store *s, const char *name, struct err *err)
{
	autoclose int trash = *name ? open_trash(s) : -1;

	if (!*name)
		return 0;
	return trash < 0 ? err_sys(err, trash, "store") : layer_remove_tree(s, trash, name, err);
}

int snapshot_remove(struct store *s, const char *id, struct err *err)
{
	char name[SNAPSHOT_DISCARDED_MAX];
	int r = snapshot_discard(s, id, name, err);

	return r < 0 ? r : snapshot_remove_discarded(s, name, err);
}

int snapshot_open_upper(struct store *s, const char *id)
{
	autoclose int dir = path_is_component(id) ? open_directory(s, id) : -EINVAL;

	return dir < 0 ? dir : sys_openat(dir, "upper", O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
}

/* ---- mounting ---- */

/* The layers, topmost first, and what lies on them: all as descriptors. */
struct parts {
	struct overlay overlay;
	int *fds;
	size_t count;
};

static void parts_free(struct parts *p)
{
	while (p->count)
		close(p->fds[--p->count]);
	free(p->fds);
	cleanup_close(&p->overlay.top);
}
CLEANUP_DEFINE(parts, struct parts, parts_free)
#define autoparts __attribute__((cleanup(cleanup_parts)))

static int open_parts(struct store *s, const struct snapshot *snapshot, bool read_only,
	struct parts *p, struct err *err)
{
	p->fds = calloc(snapshot->count + 1, sizeof(*p->fds));
	if (!p->fds)
		return err_sys(err, -ENOMEM, "overlay");
	for (size_t i = 0; i < snapshot->count; i++) {
		int fd = store_layer_open(s, snapshot->chains[i].text);

		if (fd < 0)
			return err_sys(err, fd, "layer %.19s…", snapshot->chains[i].text);
		p->fds[p->count++] = fd;
	}
	if (!read_only) {
		p->overlay.top = open_directory(s, snapshot->id);
		return p->overlay.top < 0
			       ? err_sys(err, p->overlay.top, "container %s", snapshot->id)
			       : 0;
	}
	/* One layer alone is no overlay: it needs an empty one to lie on. */
	if (p->count == 1) {
		int empty = sys_openat(store_root(s), "trash", O_PATH | O_DIRECTORY, 0);

		if (empty < 0)
			return err_sys(err, empty, "store");
		p->fds[p->count++] = empty;
	}
	return 0;
}

/* "lowerdir=…:…,upperdir=…,workdir=…", absolute paths. */
static int fuse_options(struct store *s, const struct snapshot *snapshot,
	const struct snapshot_mount_options *o, struct buf *ret, struct err *err)
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
	if (o->read_only && o->written)
		buf_printf(ret, "%s/containers/%s/upper:", root, snapshot->id);
	for (size_t i = 0; i < snapshot->count; i++)
		buf_printf(ret, "%s%s/layers/%s/diff", i ? ":" : "", root,
			digest_hex(snapshot->chains[i].text));
	if (!o->read_only)
		buf_printf(ret, ",upperdir=%s/containers/%s/upper,workdir=%s/containers/%s/work",
			root, snapshot->id, root, snapshot->id);
	if (!o->read_only && o->volatile_)
		buf_puts(ret, ",volatile");
	return ret->failed ? err_sys(err, -ENOMEM, "snapshot") : 0;
}

static int mount_by_fuse(struct store *s, const struct snapshot *snapshot,
	const struct snapshot_mount_options *o, struct err *err)
{
	autobuf struct buf options = {};
	autoclose int own = -1;
	int r = fuse_options(s, snapshot, o, &options, err);

	if (r == 0 && !o->server)
		r = own = fuse_server_start(s, true, err);
	return r < 0 ? r
		     : fuse_mount(
			       o->server ? *o->server : own, buf_str(&options), o->read_only, err);
}

/* What a kernel says that has no overlay for this user, or for the file system of the store. */
static bool is_refusal(int r)
{
	return r == -EPERM || r == -EACCES || r == -EINVAL || r == -ENODEV || r == -EOPNOTSUPP;
}

/* The kernel's refusal in ERR, and what would help. Returns its code. */
static int add_way_out(const struct err *missing, struct err *err)
{
	struct err refusal = *err;

	return err_set(err, refusal.code, "%s (to go without it: %s)", refusal.text, missing->text);
}

int snapshot_mount(struct store *s, const struct snapshot *snapshot,
	const struct snapshot_mount_options *o, struct err *err)
{
	autoparts struct parts parts = {
		.overlay = {.userns = o->userns, .top = -1, .volatile_ = o->volatile_}};
	struct err missing = {};
	int r;

	if (!snapshot->count)
		return err_set(err, -EINVAL, "an image without layers has no root file system");
	if (o->server)
		return mount_by_fuse(s, snapshot, o, err);
	r = open_parts(s, snapshot, o->read_only, &parts, err);
	if (r < 0)
		return r;
	parts.overlay.lowers = parts.fds;
	parts.overlay.count = parts.count;
	r = overlay_mount(&parts.overlay, err);
	if (r >= 0 || !is_refusal(r) || o->userns >= 0)
		return r;
	if (fuse_check(&missing) < 0)
		return add_way_out(&missing, err);
	err_clear(err);
	return mount_by_fuse(s, snapshot, o, err);
}

/* An overlay of an empty directory, with the upper one where those of containers are. */
static int try_overlay(struct store *s, struct err *err)
{
	autoclose int all = open_containers(s), dir = -1;
	autoclose int lower = sys_openat(store_root(s), "trash", O_PATH | O_DIRECTORY, 0), fs = -1;
	char name[32];
	int r = all < 0 ? all : lower < 0 ? lower : 0;

	snprintf(name, sizeof(name), ".probe-%d", getpid());
	if (r == 0)
		r = sys_mkdirat(all, name, 0700);
	if (r == 0)
		r = dir = sys_openat(all, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (r >= 0)
		r = sys_mkdirat(dir, "upper", 0700);
	if (r == 0)
		r = sys_mkdirat(dir, "work", 0700);
	if (r < 0)
		return err_sys(err, r, "store");
	r = fs = overlay_mount(
		&(struct overlay){.lowers = &lower, .count = 1, .userns = -1, .top = dir}, err);
	cleanup_close(&fs);
	path_remove_tree(all, name);
	return r < 0 ? r : 0;
}

int snapshot_probe(struct store *s, enum snapshot_driver *ret, struct err *err)
{
	struct err missing = {};
	int r = try_overlay(s, err);

	if (r < 0 && !is_refusal(r))
		return r;
	if (r < 0 && fuse_check(&missing) < 0) {
		add_way_out(&missing, err);
		err->code = -EOPNOTSUPP;
		return -EOPNOTSUPP;
	}
	*ret = r < 0 ? SNAPSHOT_FUSE : SNAPSHOT_OVERLAY;
	return 0;
}
