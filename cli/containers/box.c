/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/box.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/process.h"
#include "base/sys.h"
#include "cli/containers/recall.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>

enum { NAME_TRIES = 64, DIR_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW };

/* ---- the folders ---- */

static int open_folder(int dirfd, const char *name, int *ret)
{
	int fd = sys_openat(dirfd, name, DIR_FLAGS, 0);

	if (fd == -ENOENT) {
		int r = sys_mkdirat(dirfd, name, 0700);

		if (r < 0 && r != -EEXIST)
			return r;
		fd = sys_openat(dirfd, name, DIR_FLAGS, 0);
	}
	*ret = fd;
	return fd < 0 ? fd : 0;
}

int boxes_open(int data, int run, const char *data_path, const char *run_path,
	const struct runtime *rt, struct boxes *ret, struct err *err)
{
	struct boxes b = {
		.data = data,
		.run = run,
		.containers = -1,
		.names = -1,
		.run_containers = -1,
		.cgroups = -1,
		.data_path = data_path,
		.run_path = run_path,
		.rt = rt,
	};
	int r = open_folder(data, "containers", &b.containers);

	if (r == 0)
		r = open_folder(data, "names", &b.names);
	if (r == 0)
		r = open_folder(run, "containers", &b.run_containers);
	if (r < 0) {
		boxes_close(&b);
		return err_sys(err, r, "%s", data_path);
	}
	*ret = b;
	return 0;
}

void boxes_close(struct boxes *b)
{
	cleanup_close(&b->containers);
	cleanup_close(&b->names);
	cleanup_close(&b->run_containers);
}

/* ---- finding ---- */

static bool is_hex(const char *text)
{
	return *text && strspn(text, "0123456789abcdef") == strlen(text);
}

static int by_name(const struct boxes *b, const char *name, char ret[RECORD_ID_SIZE])
{
	char id[RECORD_ID_SIZE + 1];
	ssize_t n;

	if (!record_name_is_valid(name))
		return -ENOENT;
	n = sys_readlinkat(b->names, name, id, sizeof(id) - 1);
	if (n < 0)
		return (int)n;
	id[n] = '\0';
	if (n != RECORD_ID_SIZE - 1 || !is_hex(id))
		return -ENOENT;
	memcpy(ret, id, RECORD_ID_SIZE);
	return 0;
}

struct prefix {
	const char *text;
	size_t found;
	char *id;
};

static int note_prefix(void *context, int dirfd, const char *name)
{
	struct prefix *prefix = context;

	(void)dirfd;
	if (strncmp(name, prefix->text, strlen(prefix->text)) != 0 ||
		strlen(name) != RECORD_ID_SIZE - 1)
		return 0;
	prefix->found++;
	memcpy(prefix->id, name, RECORD_ID_SIZE);
	return 0;
}

static int by_prefix(
	const struct boxes *b, const char *text, char ret[RECORD_ID_SIZE], struct err *err)
{
	struct prefix prefix = {.text = text, .id = ret};
	int r = path_each(b->containers, note_prefix, &prefix);

	if (r < 0)
		return err_sys(err, r, "%s/containers", b->data_path);
	if (prefix.found > 1)
		return err_set(err, -EINVAL,
			"%s: several containers have ids that begin so; write more of it", text);
	return prefix.found ? 0 : -ENOENT;
}

int boxes_find(const struct boxes *b, const char *text, char ret[RECORD_ID_SIZE], struct err *err)
{
	char id[RECORD_ID_SIZE];
	int r = -ENOENT;
	struct stat st;

	if (strlen(text) == RECORD_ID_SIZE - 1 && is_hex(text) &&
		sys_fstatat(b->containers, text, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		memcpy(ret, text, RECORD_ID_SIZE);
		return 0;
	}
	r = by_name(b, text, id);
	if (r == -ENOENT && is_hex(text) && strlen(text) < RECORD_ID_SIZE - 1)
		r = by_prefix(b, text, id, err);
	if (r == -ENOENT)
		return err_set(err, r, "no such container: %s", text);
	if (r < 0)
		return err->code ? r : err_sys(err, r, "container %s", text);
	memcpy(ret, id, sizeof(id));
	return 0;
}

/* ---- one of them ---- */

static int read_record(struct box *box, struct err *err)
{
	autobuf struct buf text = {};
	int r = fd_read_file(box->dirfd, "container.json", BOX_RECORD_MAX, &text);

	if (r < 0)
		return err_sys(err, r, "container.json");
	return box_record_parse("container.json", buf_str(&text), text.len, &box->record, err);
}

/* The lock of the directory that the id stands for once it is ours. */
static int lock(const struct boxes *b, struct box *box, struct err *err)
{
	struct stat mine, there;
	int r = sys_flock(box->dirfd, LOCK_EX);

	if (r == 0)
		r = sys_fstat(box->dirfd, &mine);
	if (r == 0)
		r = sys_fstatat(b->containers, box->id, &there, AT_SYMLINK_NOFOLLOW);
	if (r == 0 && mine.st_ino != there.st_ino)
		r = -ENOENT;
	if (r == -ENOENT)
		return err_set(err, r, "no such container: %s", box->id);
	return r < 0 ? err_sys(err, r, "container %s: lock it", box->id) : 0;
}

/* ID is a whole one; TEXT what the user called it. */
static int open_by_id(const struct boxes *b, const char id[RECORD_ID_SIZE], const char *text,
	bool locked, struct box *ret, struct err *err)
{
	autobox struct box box = {.boxes = b, .dirfd = -1};
	int r;

	memcpy(box.id, id, sizeof(box.id));
	r = box.dirfd = sys_openat(b->containers, box.id, DIR_FLAGS, 0);
	if (r < 0)
		return err_set(err, r, "no such container: %s", text);
	r = locked ? lock(b, &box, err) : 0;
	if (r == 0)
		r = read_record(&box, err);
	if (r == 0)
		r = box_status_read(box.dirfd, &box.status, err);
	if (r < 0)
		return err_add(err, "container %s", text);
	*ret = box;
	box = (struct box){.dirfd = -1};
	return 0;
}

int box_open(const struct boxes *b, const char *text, bool locked, struct box *ret, struct err *err)
{
	char id[RECORD_ID_SIZE];
	int r = boxes_find(b, text, id, err);

	return r < 0 ? r : open_by_id(b, id, text, locked, ret, err);
}

void box_close(struct box *box)
{
	cleanup_close(&box->dirfd);
	box_record_free(&box->record);
	box_status_free(&box->status);
}

struct each_box {
	struct boxes boxes; /* with what helps to look at many */
	bool is_ready;
	struct cgroup_host host;
	struct recall *recall;
	struct buf status, record;
	int (*fn)(struct box *box, void *arg);
	void *arg;
};

/* What one container would not be worth. */
static void make_ready(struct each_box *each)
{
	struct boxes *b = &each->boxes;
	struct err ignored = {};

	if (cgroup_host_probe(&each->host, &ignored) == 0)
		b->cgroups = each->host.rootfd;
	box_boot_read(b->rt, b->boot);
	each->recall = recall_open(b->run);
	each->is_ready = true;
}

/* Reads what is not recalled. The status comes first: it never goes before the record does, so that
 * one which is not there was not there while the record still was. */
static int read_texts(
	struct each_box *each, const char *id, struct recall_texts *ret, struct err *err)
{
	char name[RECORD_ID_SIZE + 32];
	int r;

	each->status.len = each->record.len = 0;
	snprintf(name, sizeof(name), "%s/status.json", id);
	r = fd_read_own_file(each->boxes.containers, name, BOX_STATUS_MAX, &each->status);
	ret->status = r == 0 ? buf_str(&each->status) : NULL;
	ret->status_len = each->status.len;
	if (r < 0 && r != -ENOENT)
		return err_sys(err, r, "status.json");
	snprintf(name, sizeof(name), "%s/container.json", id);
	r = fd_read_own_file(each->boxes.containers, name, BOX_RECORD_MAX, &each->record);
	ret->record = buf_str(&each->record);
	ret->record_len = each->record.len;
	return r < 0 ? err_sys(err, r, "container.json") : 0;
}

static int open_listed(struct each_box *each, const char *id, struct box *ret, struct err *err)
{
	autobox struct box box = {.boxes = &each->boxes, .dirfd = -1};
	struct recall_texts texts = {};
	struct stat folder;
	int r = sys_fstatat(each->boxes.containers, id, &folder, AT_SYMLINK_NOFOLLOW);

	if (r == 0 && !S_ISDIR(folder.st_mode))
		r = -ENOTDIR;
	if (r < 0)
		return err_sys(err, r, "container %s", id);
	if (!recall_find(each->recall, id, &folder, &texts))
		r = read_texts(each, id, &texts, err);
	if (r == 0)
		r = box_record_parse(
			"container.json", texts.record, texts.record_len, &box.record, err);
	box.status.state = "created";
	if (r == 0 && texts.status)
		r = box_status_parse(texts.status, texts.status_len, &box.status, err);
	if (r < 0)
		return err_add(err, "container %s", id);
	recall_keep(each->recall, id, &folder, &texts);
	memcpy(box.id, id, sizeof(box.id));
	*ret = box;
	box = (struct box){.dirfd = -1};
	return 0;
}

static int each_name(void *context, int dirfd, const char *name)
{
	struct each_box *each = context;
	autobox struct box box = {.dirfd = -1};
	struct err one = {};
	int r;

	(void)dirfd;
	if (strlen(name) != RECORD_ID_SIZE - 1 || !is_hex(name))
		return 0;
	if (!each->is_ready)
		make_ready(each);
	r = open_listed(each, name, &box, &one);
	if (r < 0 && r != -ENOENT) /* it may have gone meanwhile */
		log_warning("%s; remove it with rm --force", one.text);
	return r < 0 ? 0 : each->fn(&box, each->arg);
}

int boxes_each(
	const struct boxes *b, int (*fn)(struct box *box, void *arg), void *arg, struct err *err)
{
	struct each_box each = {.boxes = *b, .host = {.rootfd = -1}, .fn = fn, .arg = arg};
	int r = path_each(b->containers, each_name, &each);

	recall_close(each.recall, r == 0);
	cgroup_host_close(&each.host);
	buf_free(&each.status);
	buf_free(&each.record);
	return r < 0 && !err->code ? err_sys(err, r, "%s/containers", b->data_path) : r;
}

/* ---- making and changing ---- */

static int take_name(const struct boxes *b, const char *name, const char *id)
{
	return sys_symlinkat(id, b->names, name);
}

/* Whether the container that has NAME is there; a crash may have left only the name. */
static bool name_is_stale(const struct boxes *b, const char *name)
{
	char id[RECORD_ID_SIZE];
	struct stat st;

	return by_name(b, name, id) == 0 &&
	       sys_fstatat(b->containers, id, &st, AT_SYMLINK_NOFOLLOW) == -ENOENT;
}

static int name_it(const struct boxes *b, const char *name, const char *id, struct err *err)
{
	char other[RECORD_ID_SIZE] = "";
	int r;

	if (!record_name_is_valid(name))
		return err_set(err, -EINVAL,
			"container name \"%.140s\": letters, digits and _ . - only, beginning with "
			"a letter or digit",
			name);
	r = take_name(b, name, id);
	if (r == -EEXIST && name_is_stale(b, name)) {
		sys_unlinkat(b->names, name, 0);
		r = take_name(b, name, id);
	}
	if (r == -EEXIST) {
		by_name(b, name, other);
		return err_set(err, r,
			"the container name \"%s\" is already in use by container %.12s: remove or "
			"rename that one, or choose another name",
			name, other);
	}
	return r < 0 ? err_sys(err, r, "container name \"%s\"", name) : 0;
}

static int generate_name(const struct boxes *b, struct record *record, struct err *err)
{
	char name[RECORD_NAME_MAX];
	uint32_t seed;
	int r = -EEXIST;

	for (int i = 0; r == -EEXIST && i < NAME_TRIES; i++) {
		if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
			return err_sys(err, -errno, "container name");
		/* Plain names first; with a number only when those are taken. */
		record_make_name(i < NAME_TRIES / 2 ? seed % 4096 : seed, name);
		r = take_name(b, name, record->id);
	}
	if (r < 0)
		return err_sys(err, r, "container name");
	record->name = arena_strdup(&record->arena, name);
	return record->name ? 0 : err_sys(err, -ENOMEM, "container name");
}

static int write_record(int dirfd, const struct record *record, struct err *err)
{
	autobuf struct buf text = {};
	int r = box_record_write(record, &text, err);

	if (r < 0)
		return r;
	r = fd_replace_file(dirfd, "container.json", text.data, text.len, 0600);
	return r < 0 ? err_sys(err, r, "container %s: write container.json", record->name) : 0;
}

static int fill_directory(int dir, const struct record *record, struct err *err)
{
	int r = sys_mkdirat(dir, "rootfs", 0755);

	return r < 0 ? err_sys(err, r, "container %s", record->name)
		     : write_record(dir, record, err);
}

int box_create(const struct boxes *b, struct record *record, struct err *err)
{
	autoclose int dir = -1;
	char temp[RECORD_ID_SIZE + 8];
	int r = record->name ? name_it(b, record->name, record->id, err)
			     : generate_name(b, record, err);

	if (r < 0)
		return r;
	snprintf(temp, sizeof(temp), ".%s.new", record->id);
	r = sys_mkdirat(b->containers, temp, 0700);
	if (r == 0)
		r = dir = sys_openat(b->containers, temp, DIR_FLAGS, 0);
	if (r < 0)
		err_sys(err, r, "container %s", record->name);
	else
		r = fill_directory(dir, record, err);
	if (r == 0) {
		r = sys_renameat2(b->containers, temp, b->containers, record->id, 0);
		if (r < 0)
			err_sys(err, r, "container %s", record->name);
	}
	if (r < 0) {
		path_remove_tree(b->containers, temp);
		sys_unlinkat(b->names, record->name, 0);
	}
	return r;
}

int box_update(struct box *box, struct err *err)
{
	return write_record(box->dirfd, &box->record, err);
}

int box_rename(struct box *box, const char *name, struct err *err)
{
	const struct boxes *b = box->boxes;
	const char *before = box->record.name;
	int r = name_it(b, name, box->id, err);

	if (r < 0)
		return r;
	box->record.name = arena_strdup(&box->record.arena, name);
	r = box->record.name ? box_update(box, err) : err_sys(err, -ENOMEM, "rename");
	/* Either name leads to it until here. */
	sys_unlinkat(b->names, r < 0 ? name : before, 0);
	return r;
}

enum { DISCARDED_SIZE = RECORD_ID_SIZE + 8 };

/* Away at once, whatever removing its files takes. */
static void discarded_name(const char *id, char ret[DISCARDED_SIZE])
{
	snprintf(ret, DISCARDED_SIZE, ".%s.old", id);
}

int box_discard(struct box *box, struct err *err)
{
	const struct boxes *b = box->boxes;
	char temp[DISCARDED_SIZE];
	int r;

	discarded_name(box->id, temp);
	r = sys_renameat2(b->containers, box->id, b->containers, temp, 0);
	if (r < 0 && r != -ENOENT)
		return err_sys(err, r, "remove container %s", box->record.name);
	if (box->record.name)
		sys_unlinkat(b->names, box->record.name, 0);
	return 0;
}

int boxes_remove_discarded(const struct boxes *b, const char *id, struct err *err)
{
	char temp[DISCARDED_SIZE];
	int r;

	discarded_name(id, temp);
	path_remove_tree(b->run_containers, id);
	r = path_remove_tree(b->containers, temp);
	return r < 0 ? err_sys(err, r, "remove container %s", id) : 0;
}

int box_remove(struct box *box, struct err *err)
{
	int r = box_discard(box, err);

	return r < 0 ? r : boxes_remove_discarded(box->boxes, box->id, err);
}

struct sweep {
	const struct boxes *boxes;
	struct err *err;
};

static int sweep_name(void *context, int dirfd, const char *name)
{
	const struct sweep *sweep = context;
	char id[RECORD_ID_SIZE], temp[DISCARDED_SIZE];

	(void)dirfd;
	snprintf(id, sizeof(id), "%s", name + (*name == '.'));
	discarded_name(id, temp);
	return is_hex(id) && strcmp(name, temp) == 0
		       ? boxes_remove_discarded(sweep->boxes, id, sweep->err)
		       : 0;
}

int boxes_sweep(const struct boxes *b, struct err *err)
{
	int r = path_each(b->containers, sweep_name, &(struct sweep){b, err});

	return r < 0 && !err->code ? err_sys(err, r, "%s/containers", b->data_path) : r;
}

int box_run_dir(const struct boxes *b, const char *id, struct err *err)
{
	int fd, r = open_folder(b->run_containers, id, &fd);

	return r < 0 ? err_sys(err, r, "%s/containers/%s", b->run_path, id) : fd;
}
