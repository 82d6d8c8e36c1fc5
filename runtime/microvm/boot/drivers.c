/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/boot/drivers.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <string.h>

enum { FILE_MAX = 64 << 20 };

/* Which modules, and when the agent loads them. */
static const struct wanted {
	const char *group, *module;
	bool required;
} wanted[] = {
	{"boot", "virtio_mmio", true},
	{"19", "vmw_vsock_virtio_transport", true},
	{"1", "virtio_net", false},
	{"2", "virtio_blk", false},
	{"3", "virtio_console", false},
	{"4", "virtio_rng", false},
	{"5", "virtio_balloon", false},
	{"26", "virtiofs", true},
	{"27", "virtio_pmem", false},
	{"27", "nd_pmem", false},
	{"overlay", "overlay", false},
	{"erofs", "erofs", false},
};

const char *drivers_name(size_t index)
{
	return index < ARRAY_LEN(wanted) ? wanted[index].module : NULL;
}

static int find_one(const struct wanted *w, const char *dep, const char *builtin,
	struct arena *arena, struct drivers *ret, struct err *err)
{
	size_t before = ret->modules.count;
	int r = modules_resolve(dep, builtin, w->module, arena, &ret->modules, err);

	if (r == -ENOENT) {
		err_clear(err);
		ret->modules.count = before;
		if (w->required)
			buf_printf(&ret->missing, "%s%s", ret->missing.len ? ", " : "", w->module);
		return 0;
	}
	for (size_t i = before; i < ret->modules.count && r == 0; i++)
		buf_printf(&ret->text, "%s %zu%s\n", w->group, i,
			strstr(strrchr(ret->modules.paths[i], '/') ?: "", ".ko"));
	return r;
}

/* Without a module (it is built in, or there is none) a device is just there. */
static int find_driver(const char *list, const char *alias, const char *dep, const char *builtin,
	struct arena *arena, struct drivers *ret, struct err *err)
{
	bool is_name = !strchr(alias, ':');
	size_t len = strlen(alias);
	const char *name = is_name ? alias : modules_driver(list, alias, &len);
	const struct wanted driver = {
		"boot", name ? arena_printf(arena, "%.*s", (int)len, name) : NULL, is_name};

	if (!name)
		return 0;
	return driver.module ? find_one(&driver, dep, builtin, arena, ret, err)
			     : err_sys(err, -ENOMEM, "modules.alias");
}

int drivers_find(int modules, const char *const *aliases, size_t alias_count, struct arena *arena,
	struct drivers *ret, struct err *err)
{
	autobuf struct buf dep = {}, builtin = {}, list = {};
	int with_dep = fd_read_file(modules, "modules.dep", FILE_MAX, &dep);
	int with_builtin = fd_read_file(modules, "modules.builtin", FILE_MAX, &builtin), r = 0;

	if (with_dep < 0 && with_builtin < 0)
		return err_sys(err, with_dep, "modules.dep and modules.builtin of the kernel");
	for (size_t i = 0; i < ARRAY_LEN(wanted) && r == 0; i++)
		r = find_one(wanted + i, buf_str(&dep), buf_str(&builtin), arena, ret, err);
	if (r == 0 && alias_count && fd_read_file(modules, "modules.alias", FILE_MAX, &list) < 0)
		buf_free(&list); /* an imported kernel has none */
	for (size_t i = 0; i < alias_count && r == 0; i++)
		r = find_driver(buf_str(&list), aliases[i], buf_str(&dep), buf_str(&builtin), arena,
			ret, err);
	if (r == 0 && (ret->text.failed || ret->missing.failed))
		r = err_sys(err, -ENOMEM, "the kernel's drivers");
	return r;
}

void drivers_free(struct drivers *d)
{
	buf_free(&d->text);
	buf_free(&d->missing);
}
