/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/volumes.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/sys.h"
#include "cli/containers/record.h"
#include "images/layer.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { FILE_MAX = 1 << 20, DIR_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW };

static const struct json_rule rules[] = {
	{"name", JSON_TEXT, true, JSON_AT(volume, name)},
	{"created", JSON_TEXT, true, JSON_AT(volume, created)},
	{"labels", JSON_PAIRS, false, JSON_AT(volume, labels)},
	{"options", JSON_PAIRS, false, JSON_AT(volume, options)},
	{"anonymous", JSON_BOOL, false, JSON_AT(volume, anonymous)},
	{},
};
static const struct json_table table = {sizeof(struct volume), rules};

int volumes_open(int data, struct err *err)
{
	int fd = sys_openat(data, "volumes", DIR_FLAGS, 0);

	if (fd == -ENOENT) {
		int r = sys_mkdirat(data, "volumes", 0711);

		fd = r < 0 && r != -EEXIST ? r : sys_openat(data, "volumes", DIR_FLAGS, 0);
	}
	return fd < 0 ? err_sys(err, fd, "volumes") : fd;
}

bool volume_name_is_valid(const char *name)
{
	return record_name_is_valid(name);
}

static json_t *pairs_json(const struct pairs *pairs)
{
	json_t *object = json_object();

	for (size_t i = 0; pairs && i < pairs->count; i++)
		json_object_set_new(
			object, pairs->items[i].key, json_string(pairs->items[i].value));
	return object;
}

static int fill(int dir, const char *name, const struct pairs *labels, const struct pairs *options,
	bool anonymous)
{
	autobuf struct buf text = {};
	autojson json_t *json = NULL;
	char now[CLOCK_TEXT_MAX];
	int r = sys_mkdirat(dir, "_data", 0755);

	if (r < 0)
		return r;
	clock_now(now);
	json = json_pack("{s:s, s:s, s:o, s:o, s:b}", "name", name, "created", now, "labels",
		pairs_json(labels), "options", pairs_json(options), "anonymous", anonymous);
	r = json ? json_write(json, JSON_COMPACT, &text) : -ENOMEM;
	return r < 0 ? r : fd_create_file(dir, "volume.json", text.data, text.len, 0600);
}

int volume_create(int volumes, const char *name, const struct pairs *labels,
	const struct pairs *options, bool anonymous, struct err *err)
{
	autoclose int dir = -1;
	char temp[RECORD_NAME_MAX + 32];
	int r;

	if (!volume_name_is_valid(name))
		return err_set(err, -EINVAL,
			"volume name \"%.140s\": letters, digits and _ . - only, beginning with a "
			"letter or digit",
			name);
	snprintf(temp, sizeof(temp), ".%s.%d", name, getpid());
	r = sys_mkdirat(volumes, temp, 0711);
	if (r == 0)
		r = dir = sys_openat(volumes, temp, DIR_FLAGS, 0);
	if (r >= 0)
		r = fill(dir, name, labels, options, anonymous);
	if (r == 0)
		r = sys_renameat2(volumes, temp, volumes, name, RENAME_NOREPLACE);
	if (r == 0)
		return 0;
	path_remove_tree(volumes, temp);
	if (r == -EEXIST)
		return err_set(err, r, "a volume with the name %s exists already", name);
	return err_sys(err, r, "volume %s", name);
}

int volume_load(int volumes, const char *name, struct volume *ret, struct err *err)
{
	autovolume struct volume volume = {};
	autobuf struct buf text = {};
	autojson json_t *json = NULL;
	autoclose int dir = -1;
	struct arena arena = {};
	int r;

	r = dir = volume_name_is_valid(name) ? sys_openat(volumes, name, DIR_FLAGS, 0) : -ENOENT;
	if (r == -ENOENT)
		return err_set(err, r, "no such volume: %s", name);
	if (r >= 0)
		r = fd_read_file(dir, "volume.json", FILE_MAX, &text);
	if (r < 0)
		return err_sys(err, r, "volume %s", name);
	r = json_parse("volume.json", buf_str(&text), text.len, &json, err);
	if (r == 0)
		r = json_decode(json, &table, &arena, &volume, err);
	volume.json = take_ptr(json);
	volume.arena = arena;
	if (r < 0)
		return err_add(err, "volume %s", name);
	*ret = volume;
	volume = (struct volume){};
	return 0;
}

void volume_free(struct volume *volume)
{
	json_decref(volume->json);
	volume->json = NULL;
	arena_free(&volume->arena);
}

int volume_remove(struct store *store, int volumes, const char *name, struct err *err)
{
	char temp[RECORD_NAME_MAX + 32];
	int r = -ENOENT;

	if (volume_name_is_valid(name)) {
		snprintf(temp, sizeof(temp), ".%s.%d.old", name, getpid());
		r = sys_renameat2(volumes, name, volumes, temp, 0);
	}
	if (r == -ENOENT)
		return err_set(err, r, "no such volume: %s", name);
	if (r == 0)
		r = path_remove_tree(volumes, temp);
	if (r == -EACCES || r == -EPERM) /* a user's, with files of his container's other ids */
		r = layer_remove_tree(store, volumes, temp, err);
	return r < 0 ? err_sys(err, r, "remove volume %s", name) : 0;
}

struct each_volume {
	int (*fn)(const struct volume *volume, void *arg);
	void *arg;
};

static int each_name(void *context, int volumes, const char *name)
{
	const struct each_volume *each = context;
	autovolume struct volume volume = {};
	struct err one = {};
	int r;

	if (!volume_name_is_valid(name))
		return 0;
	r = volume_load(volumes, name, &volume, &one);
	if (r < 0 && r != -ENOENT)
		log_warning("%s", one.text);
	return r < 0 ? 0 : each->fn(&volume, each->arg);
}

int volumes_each(
	int volumes, int (*fn)(const struct volume *volume, void *arg), void *arg, struct err *err)
{
	int r = path_each(volumes, each_name, &(struct each_volume){fn, arg});

	return r < 0 && !err->code ? err_sys(err, r, "volumes") : r;
}
