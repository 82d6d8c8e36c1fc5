/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/secrets.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/sys.h"
#include "cli/containers/record.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { FILE_MAX = 1 << 20, ID_DIGITS = 24, DIR_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW };

static const struct json_rule rules[] = {
	{"id", JSON_TEXT, true, JSON_AT(secret, id)},
	{"name", JSON_TEXT, true, JSON_AT(secret, name)},
	{"created", JSON_TEXT, true, JSON_AT(secret, created)},
	{"labels", JSON_PAIRS, false, JSON_AT(secret, labels)},
	{},
};
static const struct json_table table = {sizeof(struct secret), rules};

int secrets_open(int data, struct err *err)
{
	int fd = sys_openat(data, "secrets", DIR_FLAGS, 0);

	if (fd == -ENOENT) {
		int r = sys_mkdirat(data, "secrets", 0700);

		fd = r < 0 && r != -EEXIST ? r : sys_openat(data, "secrets", DIR_FLAGS, 0);
	}
	return fd < 0 ? err_sys(err, fd, "secrets") : fd;
}

static int fill(int dir, const char *id, const char *name, const void *data, size_t len,
	const struct pairs *labels)
{
	autobuf struct buf text = {};
	autojson json_t *json = NULL, *object = json_object();
	char now[CLOCK_TEXT_MAX];
	int r;

	for (size_t i = 0; labels && i < labels->count; i++)
		json_object_set_new(
			object, labels->items[i].key, json_string(labels->items[i].value));
	clock_now(now);
	json = json_pack(
		"{s:s, s:s, s:s, s:O}", "id", id, "name", name, "created", now, "labels", object);
	r = json ? json_write(json, JSON_COMPACT, &text) : -ENOMEM;
	if (r == 0)
		r = fd_create_file(dir, "data", data, len, 0600);
	if (r == 0)
		r = fd_create_file(dir, "secret.json", text.data, text.len, 0600);
	return r == 0 ? sys_fsync(dir) : r;
}

/* A directory in the place of NAME, also when one is there. */
static int put_in_place(int secrets, const char *temp, const char *name, bool replace)
{
	int r = sys_renameat2(secrets, temp, secrets, name, RENAME_NOREPLACE);

	if (r != -EEXIST || !replace)
		return r;
	r = sys_renameat2(secrets, temp, secrets, name, RENAME_EXCHANGE);
	if (r == 0)
		path_remove_tree(secrets, temp);
	return r;
}

int secret_create(int secrets, const char *name, const void *data, size_t len,
	const struct pairs *labels, bool replace, char ret_id[25], struct err *err)
{
	char temp[RECORD_NAME_MAX + 32], id[RECORD_ID_SIZE];
	autoclose int dir = -1;
	int r;

	if (!record_name_is_valid(name))
		return err_set(err, -EINVAL,
			"secret name \"%.140s\": letters, digits and _ . - only, beginning with a "
			"letter or digit",
			name);
	if (len == 0 || len > SECRET_MAX)
		return err_set(err, len ? -EFBIG : -EINVAL,
			"secret %s: must have from 1 to %d bytes", name, SECRET_MAX);
	snprintf(temp, sizeof(temp), ".%s.%d", name, getpid());
	r = record_make_id(id);
	id[ID_DIGITS] = '\0';
	if (r == 0)
		r = sys_mkdirat(secrets, temp, 0700);
	if (r == 0)
		r = dir = sys_openat(secrets, temp, DIR_FLAGS, 0);
	if (r >= 0)
		r = fill(dir, id, name, data, len, labels);
	if (r == 0)
		r = put_in_place(secrets, temp, name, replace);
	if (r == 0) {
		strcpy(ret_id, id);
		return 0;
	}
	path_remove_tree(secrets, temp);
	if (r == -EEXIST)
		return err_set(err, r, "a secret with the name %s exists already", name);
	return err_sys(err, r, "secret %s", name);
}

static int load_named(int secrets, const char *name, struct secret *ret, struct err *err)
{
	autosecret struct secret secret = {};
	autobuf struct buf text = {};
	autoclose int dir = -1;
	int r;

	r = dir = record_name_is_valid(name) ? sys_openat(secrets, name, DIR_FLAGS, 0) : -ENOENT;
	if (r == -ENOENT)
		return err_set(err, r, "no such secret: %s", name);
	if (r >= 0)
		r = fd_read_file(dir, "secret.json", FILE_MAX, &text);
	if (r < 0)
		return err_sys(err, r, "secret %s", name);
	r = json_parse("secret.json", buf_str(&text), text.len, &secret.json, err);
	if (r == 0)
		r = json_decode(secret.json, &table, &secret.arena, &secret, err);
	if (r < 0)
		return err_add(err, "secret %s", name);
	*ret = secret;
	secret = (struct secret){};
	return 0;
}

struct find {
	const char *text;
	char name[RECORD_NAME_MAX];
	size_t count;
};

static int match_id(const struct secret *secret, void *arg)
{
	struct find *f = arg;

	if (strncmp(secret->id, f->text, strlen(f->text)) == 0) {
		snprintf(f->name, sizeof(f->name), "%s", secret->name);
		f->count++;
	}
	return 0;
}

int secret_load(int secrets, const char *text, struct secret *ret, struct err *err)
{
	struct find find = {.text = text};
	int r = load_named(secrets, text, ret, err);

	if (r != -ENOENT || strlen(text) < 4 || strspn(text, "0123456789abcdef") != strlen(text))
		return r;
	r = secrets_each(secrets, match_id, &find, err);
	if (r < 0 || find.count == 0)
		return r < 0 ? r : err->code;
	if (find.count > 1)
		return err_set(err, -EINVAL, "%s: several secrets have ids that begin so", text);
	err_clear(err);
	return load_named(secrets, find.name, ret, err);
}

int secret_read(int secrets, const char *name, struct buf *ret, struct err *err)
{
	autoclose int dir =
		record_name_is_valid(name) ? sys_openat(secrets, name, DIR_FLAGS, 0) : -ENOENT;
	int r = dir < 0 ? dir : fd_read_file(dir, "data", SECRET_MAX, ret);

	if (r == -ENOENT)
		return err_set(err, r, "no such secret: %s", name);
	return r < 0 ? err_sys(err, r, "secret %s", name) : 0;
}

void secret_free(struct secret *secret)
{
	json_release(&secret->json);
	arena_free(&secret->arena);
}

int secret_remove(int secrets, const char *name, struct err *err)
{
	char temp[RECORD_NAME_MAX + 32];
	int r = -ENOENT;

	if (record_name_is_valid(name)) {
		snprintf(temp, sizeof(temp), ".%s.%d.old", name, getpid());
		r = sys_renameat2(secrets, name, secrets, temp, 0);
	}
	if (r == -ENOENT)
		return err_set(err, r, "no such secret: %s", name);
	if (r == 0)
		r = path_remove_tree(secrets, temp);
	return r < 0 ? err_sys(err, r, "remove secret %s", name) : 0;
}

struct each_secret {
	int (*fn)(const struct secret *secret, void *arg);
	void *arg;
};

static int each_name(void *context, int secrets, const char *name)
{
	const struct each_secret *each = context;
	autosecret struct secret secret = {};
	struct err one = {};
	int r;

	if (!record_name_is_valid(name))
		return 0;
	r = load_named(secrets, name, &secret, &one);
	if (r < 0 && r != -ENOENT)
		log_warning("%s", one.text);
	return r < 0 ? 0 : each->fn(&secret, each->arg);
}

int secrets_each(
	int secrets, int (*fn)(const struct secret *secret, void *arg), void *arg, struct err *err)
{
	int r = path_each(secrets, each_name, &(struct each_secret){fn, arg});

	return r < 0 && !err->code ? err_sys(err, r, "secrets") : r;
}
