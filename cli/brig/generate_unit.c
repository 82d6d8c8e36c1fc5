/* SPDX-License-Identifier: Apache-2.0 */
/* generate unit: units of systemd from files of the Quadlet form. */
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "cli/brig/images.h"
#include "cli/containers/quadlet.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { QUADLET_MAX = 1 << 20 };

struct unit_values {
	const char *output;
};

const struct option generate_unit_options[] = {
	{"output", 'o', OPTION_TEXT, OPTION_AT(unit_values, output), .argument = "DIR",
		.help = "write NAME.service files there, with the links that [Install] asks for, "
			"as "
			"a generator of systemd does"},
	{NULL},
};
VALUES_FIT(struct unit_values);

static int read_text(int dir, const char *name, struct arena *arena, char **ret)
{
	autobuf struct buf text = {};
	int r = fd_read_file(dir, name, QUADLET_MAX, &text);

	if (r == 0 && memchr(buf_str(&text), '\0', text.len))
		r = -EINVAL;
	if (r == 0)
		*ret = arena_strdup(arena, buf_str(&text));
	return r < 0 ? r : *ret ? 0 : -ENOMEM;
}

static int read_sibling(void *context, const char *name, struct arena *arena, char **ret)
{
	return read_text(*(const int *)context, name, arena, ret);
}

/* The folder of PATH, open, with its absolute name. */
static int open_folder(const char *path, char ret_name[PATH_MAX], struct err *err)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX], link[32];
	autoclose int fd = -1;
	ssize_t n;
	int r;

	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	r = fd = sys_openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0);
	if (r < 0)
		return err_sys(err, r, "%s", dir);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = sys_readlinkat(AT_FDCWD, link, ret_name, PATH_MAX - 1);
	if (n < 0)
		return err_sys(err, (int)n, "%s", dir);
	ret_name[n] = '\0';
	return take_fd(&fd);
}

/* DIR/multi-user.target.wants/web.service, as `systemctl enable` would make it. */
static int add_links(int dir, const struct strings *targets, const char *suffix, const char *unit,
	struct err *err)
{
	char name[PATH_MAX], to[PATH_MAX];
	int r = 0;

	snprintf(to, sizeof(to), "../%s", unit);
	for (size_t i = 0; i < targets->count && r == 0; i++) {
		autoclose int folder = -1;

		snprintf(name, sizeof(name), "%s%s", targets->items[i], suffix);
		if (!path_is_component(name))
			return err_set(
				err, -EINVAL, "[Install]: \"%s\" is no unit", targets->items[i]);
		r = folder = path_mkdir(dir, name, 0755, (uid_t)-1, (gid_t)-1);
		if (r >= 0)
			r = sys_symlinkat(to, folder, unit);
		if (r == -EEXIST)
			r = 0;
	}
	return r < 0 ? err_sys(err, r, "%s", name) : 0;
}

static int add_aliases(int dir, const struct quadlet *q, struct err *err)
{
	for (size_t i = 0; i < q->aliases.count; i++) {
		int r = path_is_component(q->aliases.items[i])
				? sys_symlinkat(q->unit, dir, q->aliases.items[i])
				: -EINVAL;

		if (r < 0 && r != -EEXIST)
			return err_sys(err, r, "[Install]: Alias=%s", q->aliases.items[i]);
	}
	return 0;
}

static int write_out(
	const char *output, const struct quadlet *q, const struct buf *text, struct err *err)
{
	autoclose int dir = sys_openat(AT_FDCWD, output, O_RDONLY | O_DIRECTORY, 0);
	int r = dir < 0 ? dir : fd_replace_file(dir, q->unit, text->data, text->len, 0644);

	if (r < 0)
		return err_sys(err, r, "%s/%s", output, q->unit);
	/* A template is enabled by its instances, which only an administrator can name. */
	if (strstr(q->unit, "@."))
		return 0;
	r = add_links(dir, &q->wanted_by, ".wants", q->unit, err);
	if (r == 0)
		r = add_links(dir, &q->required_by, ".requires", q->unit, err);
	return r < 0 ? r : add_aliases(dir, q, err);
}

static int translate(const char *path, const char *brig, const char *output, struct arena *arena,
	struct err *err)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	autobuf struct buf text = {};
	char folder[PATH_MAX];
	autoclose int dir = open_folder(path, folder, err);
	struct quadlet_request request = {.brig = brig, .sibling = read_sibling, .context = &dir};
	struct quadlet quadlet;
	int r;

	if (dir < 0)
		return dir;
	r = read_text(dir, base, arena, &request.text);
	if (r < 0)
		return err_sys(err, r, "%s", path);
	request.path = arena_printf(arena, "%s/%s", strcmp(folder, "/") ? folder : "", base);
	if (!request.path)
		return err_sys(err, -ENOMEM, "%s", path);
	r = quadlet_translate(&request, arena, &text, &quadlet, err);
	if (r < 0)
		return r;
	if (output)
		return write_out(output, &quadlet, &text, err);
	printf("# %s\n", quadlet.unit);
	return print_buf(&text, err);
}

int generate_unit_run(const struct invocation *inv, struct err *err)
{
	const struct unit_values *v = inv->options;
	autobrig struct brig b = BRIG_NONE;
	autobuf struct buf brig = {};
	int r = brig_find(
		inv, &b, err); /* as early as systemd starts generators, nothing can be made */

	if (r == 0)
		r = generate_brig(&b, &brig, err);
	for (size_t i = 0; i < inv->arg_count && r == 0; i++)
		r = translate(inv->args[i], buf_str(&brig), v->output, inv->arena, err);
	return r;
}
