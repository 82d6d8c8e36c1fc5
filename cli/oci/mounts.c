/* SPDX-License-Identifier: Apache-2.0 */
/* mounts add, mounts remove. */
#include "base/fd.h"
#include "base/sys.h"
#include "cli/oci/oci.h"
#include "cli/self.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { LIST_MAX = 16 << 20 };

/* Reads the file that the second operand names into TEXT, and what to call it in errors. */
static int read_list(
	const struct invocation *inv, struct buf *text, const char **ret_name, struct err *err)
{
	const char *path = inv->args[1];
	bool from_stdin = strcmp(path, "-") == 0;
	autoclose int fd = from_stdin ? sys_dup(STDIN_FILENO)
				      : sys_openat(AT_FDCWD, path, O_RDONLY | O_NOCTTY, 0);
	int r = fd < 0 ? fd : fd_read_all(fd, LIST_MAX, text);

	*ret_name = from_stdin ? "standard input" : path;
	return r < 0 ? err_sys(err, r, "mounts: read %s", *ret_name) : 0;
}

int oci_mounts_add(const struct invocation *inv, struct err *err)
{
	autoruntime struct runtime rt = {.rootfd = -1, .procfd = -1};
	autobuf struct buf text = {};
	autojson json_t *json = NULL;
	struct spec_mounts list;
	const char *name;
	int r = self_protect(inv->argv, err);

	if (r == 0)
		r = read_list(inv, &text, &name, err);
	if (r == 0)
		r = spec_mounts_parse(
			name, buf_str(&text), text.len, inv->arena, &json, &list, err);
	if (r == 0)
		r = oci_open_runtime(inv, &rt, err);
	return r < 0 ? r : container_mounts_add(&rt, inv->args[0], &list, json, err);
}

static int read_destinations(const char *name, const json_t *json, struct arena *arena,
	struct strings *ret, struct err *err)
{
	const json_t *mount;
	size_t i;

	if (!json_is_array(json))
		return err_set(err, -EINVAL, "%s: must be an array of mounts", name);
	ret->items = arena_array(arena, json_array_size(json) + 1, const char *);
	if (!ret->items)
		return err_sys(err, -ENOMEM, "%s", name);
	json_array_foreach (json, i, mount) {
		const char *path = json_string_value(json_object_get(mount, "destination"));

		if (!path || path[0] != '/' || strspn(path, "/") == strlen(path))
			return err_set(err, -EINVAL,
				"%s: [%zu].destination: must be an absolute path below the root",
				name, i);
		ret->items[ret->count++] = path;
	}
	return 0;
}

int oci_mounts_remove(const struct invocation *inv, struct err *err)
{
	autoruntime struct runtime rt = {.rootfd = -1, .procfd = -1};
	autobuf struct buf text = {};
	autojson json_t *json = NULL;
	struct strings paths = {};
	const char *name;
	int r = self_protect(inv->argv, err);

	if (r == 0)
		r = read_list(inv, &text, &name, err);
	if (r == 0)
		r = json_parse(name, buf_str(&text), text.len, &json, err);
	if (r == 0)
		r = read_destinations(name, json, inv->arena, &paths, err);
	if (r == 0)
		r = oci_open_runtime(inv, &rt, err);
	return r < 0 ? r : container_mounts_remove(&rt, inv->args[0], &paths, err);
}
