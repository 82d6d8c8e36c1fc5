/* SPDX-License-Identifier: Apache-2.0 */
/* Limits: from the conversion's list into the files, on create and on update. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/sys.h"
#include "cgroups/cgroup.h"
#include "cgroups/convert.h"
#include "cgroups/host.h"
#include "cgroups/scope.h"
#include "cgroups/tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct opt_u64 read_number(int dirfd, const char *file)
{
	struct opt_u64 value = {.set = true};
	char text[64];

	if (fd_read_line(dirfd, file, text, sizeof(text)) < 0)
		return (struct opt_u64){};
	if (strcmp(text, "max") == 0)
		value.value = UINT64_MAX;
	else if (parse_u64(text, &value.value) < 0)
		value.set = false;
	return value;
}

/* What the conversion of an update depends on; a new cgroup has nothing but defaults. */
static void read_now(const struct cgroup *cgroup, const struct spec_resources *resources,
	char *cpu_max, size_t size, struct convert_now *ret)
{
	*ret = (struct convert_now){};
	if (cgroup->fresh)
		return;
	if (resources->memory) {
		ret->memory_max = read_number(cgroup->dirfd, "memory.max");
		ret->swap_max = read_number(cgroup->dirfd, "memory.swap.max");
	}
	if (resources->cpu) {
		ret->cpu_burst = read_number(cgroup->dirfd, "cpu.max.burst");
		if (fd_read_line(cgroup->dirfd, "cpu.max", cpu_max, size) > 0)
			ret->cpu_max = cpu_max;
	}
}

/* Switches on what was not needed when the cgroup was made. */
static int ensure_controllers(struct cgroup *cgroup, unsigned int needed, struct err *err)
{
	autoclose int topfd = -1, fd = -1;
	unsigned int there = 0;
	const char *path = cgroup->path;
	int made, r;

	if (!needed)
		return 0;
	r = tree_controllers(cgroup->dirfd, "cgroup.controllers", &there);
	if (r < 0)
		return err_sys(err, r, "read the controllers of cgroup %s", cgroup->path);
	if (!(needed & ~there))
		return 0;
	if (cgroup->driver == CGROUP_SYSTEMD) { /* above its scope all is the manager's */
		if (strcmp(cgroup->path, cgroup->top) == 0)
			return tree_missing(needed & ~there, host_v1(), cgroup->path, err);
		path = cgroup->path + strlen(cgroup->top);
	}
	topfd = cgroup->driver == CGROUP_SYSTEMD ? tree_open(cgroup->rootfd, cgroup->top)
						 : tree_open(cgroup->rootfd, ".");
	if (topfd < 0)
		return err_sys(err, topfd, "open cgroup %s", cgroup->top);
	fd = tree_make(topfd, path, needed, 0, &made, err);
	return fd < 0 ? fd : 0;
}

static int check_before_update(
	const struct cgroup *cgroup, const struct spec_memory *memory, struct err *err)
{
	struct opt_u64 usage;

	if (!memory || !memory->check_before_update || !memory->limit.set ||
		memory->limit.value <= 0)
		return 0;
	usage = read_number(cgroup->dirfd, "memory.current");
	if (usage.set && usage.value > (uint64_t)memory->limit.value)
		return err_set(err, -EBUSY,
			"memory.limit: %" PRId64 " is below the %" PRIu64
			" bytes in use, and memory.checkBeforeUpdate asks not to shrink below that",
			memory->limit.value, usage.value);
	return 0;
}

static int write_error(
	const struct cgroup *cgroup, const struct convert_write *w, int r, struct err *err)
{
	if (r == -ENOENT)
		return err_set(err, -EOPNOTSUPP, "%s: this kernel has no file %s in cgroup %s",
			w->field, w->file, cgroup->path);
	return err_sys(err, r, "%s: write \"%s\" to %s of cgroup %s", w->field, w->value, w->file,
		cgroup->path);
}

static bool is_absent(int r)
{
	return r == -ENOENT || r == -EOPNOTSUPP;
}

/* Files with one line a device or resource cannot be put back by writing what was read. */
static bool is_keyed(const char *file)
{
	return strncmp(file, "io.", 3) == 0 || strncmp(file, "rdma.", 5) == 0 ||
	       strncmp(file, "misc.", 5) == 0 || strncmp(file, "dmem.", 5) == 0;
}

struct undo {
	const char *file;
	char value[256];
};

static void remember(const struct cgroup *cgroup, const char *file, struct undo *undo)
{
	ssize_t n = -1;

	if (!cgroup->fresh && !is_keyed(file))
		n = fd_read_line(cgroup->dirfd, file, undo->value, sizeof(undo->value));
	undo->file = n >= 0 ? file : NULL;
}

static void put_back(const struct cgroup *cgroup, const struct undo *undo, size_t count)
{
	while (count--)
		if (undo[count].file) /* an empty list of CPUs is written as a newline */
			(void)fd_write_file(cgroup->dirfd, undo[count].file,
				*undo[count].value ? undo[count].value : "\n");
}

/* All or, as far as the kernel lets take it back, nothing. */
static int write_all(struct cgroup *cgroup, const struct convert_writes *writes, struct err *err)
{
	autofree struct undo *undo = calloc(writes->count + 1, sizeof(*undo));
	bool either = false;
	int r = 0;

	if (!undo)
		return err_sys(err, -ENOMEM, "cgroup");
	for (size_t i = 0; i < writes->count; i++) {
		const struct convert_write *w = &writes->items[i];
		bool may_lack = either || w->flags & (CONVERT_OPTIONAL | CONVERT_EITHER);

		remember(cgroup, w->file, &undo[i]);
		r = fd_write_file(cgroup->dirfd, w->file, w->value);
		if (r < 0 && !(may_lack && is_absent(r))) {
			put_back(cgroup, undo, i);
			return write_error(cgroup, w, r, err);
		}
		either = w->flags & CONVERT_EITHER && r >= 0;
	}
	return 0;
}

int cgroup_apply(struct cgroup *cgroup, const struct spec_resources *resources, struct err *err)
{
	autoarena struct arena arena = {};
	struct convert_writes writes = {};
	struct pairs properties = {};
	struct convert_now now;
	char cpu_max[64];
	int r;

	if (cgroup->driver == CGROUP_DISABLED || !resources)
		return 0;
	read_now(cgroup, resources, cpu_max, sizeof(cpu_max), &now);
	r = convert_resources(resources, &now, &arena, &writes, err);
	if (r >= 0)
		r = ensure_controllers(cgroup, writes.controllers, err);
	if (r >= 0)
		r = check_before_update(cgroup, resources->memory, err);
	/* The manager first: a scope's limits hold for LIMITS beneath it. When the scope was
	 * started it was told them already. */
	if (r >= 0 && cgroup->unit && !cgroup->fresh)
		r = convert_properties(resources, &now, &arena, &properties, err);
	if (r >= 0 && properties.count)
		r = scope_set(cgroup->unit, cgroup->rootless, cgroup->helper, &properties, err);
	if (r >= 0)
		r = write_all(cgroup, &writes, err);
	if (r >= 0)
		cgroup->fresh = false;
	return r;
}
