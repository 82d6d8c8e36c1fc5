/* SPDX-License-Identifier: Apache-2.0 */
/* --secret: copies of secrets for one run of a container, beside its state: they end with the boot.
 */
#include "cli/containers/assemble.h"
#include "cli/containers/secrets.h"
#include "cli/containers/start.h"

#include "base/fd.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/sys.h"
#include "cli/containers/settle.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* NAME[,type=mount|env][,target=…][,uid=N][,gid=N][,mode=0NNN] */
struct wanted {
	const char *name, *target;
	bool env;
	uint32_t uid, gid, mode;
};

static int parse_mode(const char *text, uint32_t *ret)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	if (!*text || *end || mode > 0777)
		return -EINVAL;
	*ret = (uint32_t)mode;
	return 0;
}

static int take_pair(struct wanted *w, const char *key, const char *value)
{
	if (strcmp(key, "source") == 0 || strcmp(key, "src") == 0)
		w->name = value;
	else if (strcmp(key, "target") == 0 || strcmp(key, "dst") == 0)
		w->target = value;
	else if (strcmp(key, "type") == 0 && strcmp(value, "env") == 0)
		w->env = true;
	else if (strcmp(key, "uid") == 0)
		return parse_u32(value, &w->uid);
	else if (strcmp(key, "gid") == 0)
		return parse_u32(value, &w->gid);
	else if (strcmp(key, "mode") == 0)
		return parse_mode(value, &w->mode);
	else if (strcmp(key, "type") != 0 || strcmp(value, "mount") != 0)
		return -EINVAL;
	return 0;
}

static int parse_wanted(const char *text, struct arena *arena, struct wanted *ret, struct err *err)
{
	char *copy = arena_strdup(arena, text), *save;
	int r = copy ? 0 : -ENOMEM;

	*ret = (struct wanted){.mode = 0444};
	for (char *w = copy ? strtok_r(copy, ",", &save) : NULL; w && r == 0;
		w = strtok_r(NULL, ",", &save)) {
		char *value = strchr(w, '=');

		if (value)
			*value++ = '\0';
		if (value)
			r = take_pair(ret, w, value);
		else if (!ret->name)
			ret->name = w;
		else
			r = -EINVAL;
	}
	if (r < 0 || !ret->name)
		return err_set(err, r == -ENOMEM ? r : -EINVAL,
			"--secret: \"%s\" is not NAME[,type=mount|env][,target=…][,uid=][,gid=]"
			"[,mode=]",
			text);
	if (!ret->target)
		ret->target = ret->name;
	return 0;
}

static int add_variable(
	struct box *box, const struct wanted *w, const struct buf *data, struct err *err)
{
	struct arena *arena = &box->record.arena;
	const char *item;

	if (memchr(buf_str(data), '\0', data->len))
		return err_set(
			err, -EINVAL, "--secret %s: has a NUL, and cannot be a variable", w->name);
	item = arena_printf(arena, "%s=%s", w->target, buf_str(data));
	return !item || settle_env(&box->record.env, item, arena) < 0
		       ? err_sys(err, -ENOMEM, "--secret %s", w->name)
		       : 0;
}

/* What an id of the container is for root, who makes the file. */
static uint32_t outside(const struct assemble_id_map *maps, size_t count, uint32_t id)
{
	for (size_t i = 0; i < count; i++)
		if (id >= maps[i].inside && id - maps[i].inside < maps[i].count)
			return maps[i].outside + (id - maps[i].inside);
	return id;
}

/* Files are named by number: the target is the container's affair. */
static int add_file(const struct box *box, int dir, size_t number, const struct wanted *w,
	const struct buf *data, struct arena *arena, struct assemble_facts *facts, struct err *err)
{
	struct assemble_file *file = &facts->secrets[facts->secret_count];
	char name[24];
	int r;

	snprintf(name, sizeof(name), "%zu", number);
	r = fd_create_file(dir, name, data->data, data->len, 0600);
	file->uid = w->uid;
	file->gid = w->gid;
	/* A user gives it away in the user namespace of his store: start_enter_store(). */
	if (r == 0 && !facts->rootless && (w->uid || w->gid || facts->uid_count))
		r = sys_fchownat(dir, name, outside(facts->uids, facts->uid_count, w->uid),
			outside(facts->gids, facts->gid_count, w->gid), AT_SYMLINK_NOFOLLOW);
	if (r == 0)
		r = sys_fchmodat(dir, name, w->mode);
	if (r < 0)
		return err_sys(err, r, "--secret %s", w->name);
	file->source = arena_printf(
		arena, "%s/containers/%s/secrets/%s", box->boxes->run_path, box->id, name);
	file->target =
		*w->target == '/' ? w->target : arena_printf(arena, "/run/secrets/%s", w->target);
	if (!file->source || !file->target)
		return err_sys(err, -ENOMEM, "--secret");
	facts->secret_count++;
	return 0;
}

static int open_folder(const struct box *box, struct err *err)
{
	autoclose int run = box_run_dir(box->boxes, box->id, err);
	int r;

	if (run < 0)
		return run;
	r = path_remove_tree(run, "secrets"); /* of the last time */
	if (r == 0)
		r = sys_mkdirat(run, "secrets", 0700);
	if (r == 0)
		r = sys_openat(run, "secrets", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	return r < 0 ? err_sys(err, r, "--secret") : r;
}

int start_give_secrets(
	struct box *box, struct arena *arena, struct assemble_facts *facts, struct err *err)
{
	const struct strings *list = &box->record.options.secrets;
	autoclose int secrets = -1, dir = -1;
	int r = 0;

	if (!list->count)
		return 0;
	r = secrets = secrets_open(box->boxes->data, err);
	if (r >= 0)
		r = dir = open_folder(box, err);
	facts->secrets = arena_array(arena, list->count, struct assemble_file);
	if (r >= 0 && !facts->secrets)
		r = err_sys(err, -ENOMEM, "--secret");
	for (size_t i = 0; i < list->count && r >= 0; i++) {
		autobuf struct buf data = {};
		struct wanted w;

		r = parse_wanted(list->items[i], arena, &w, err);
		if (r == 0)
			r = secret_read(secrets, w.name, &data, err);
		if (r == 0)
			r = w.env ? add_variable(box, &w, &data, err)
				  : add_file(box, dir, i, &w, &data, arena, facts, err);
		if (data.data)
			explicit_bzero(data.data, data.len);
	}
	return r < 0 ? r : 0;
}
