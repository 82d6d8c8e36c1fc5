/* SPDX-License-Identifier: Apache-2.0 */
/* Where a container's cgroup goes: decided before anything is touched. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/path.h"
#include "cgroups/cgroup.h"
#include "cgroups/convert.h"
#include "cgroups/property.h"

#include <ctype.h>
#include <string.h>

/* For statistics, also where nothing is limited. The others cost and tell nothing unasked. */
enum { ACCOUNTING = CGROUP_CPU | CGROUP_IO | CGROUP_MEMORY | CGROUP_PIDS };

enum { UNIT_NAME_MAX = 255 };

/* Appends PATH's components, each with "/" in front. */
static int append_path(struct buf *buf, const char *path, struct err *err)
{
	for (;;) {
		size_t n;

		path += strspn(path, "/");
		n = strcspn(path, "/");
		if (!n)
			return 0;
		if (n == 2 && memcmp(path, "..", 2) == 0)
			return err_set(err, -EINVAL,
				"linux.cgroupsPath: \"..\" would lead out of the cgroup tree");
		if (n > 255)
			return err_sys(err, -ENAMETOOLONG, "linux.cgroupsPath");
		if (n != 1 || *path != '.') {
			buf_puts(buf, "/");
			buf_add(buf, path, n);
		}
		path += n;
	}
}

static int plan_cgroupfs(const char *given, const char *id, const struct cgroup_facts *facts,
	struct arena *arena, struct cgroup_plan *plan, struct err *err)
{
	autobuf struct buf buf = {};
	int r = 0;

	if ((!given || given[0] != '/') && facts->rootless && facts->own) {
		/* Beside the own cgroup, which has processes: no controller can be switched on
		 * beneath it. */
		const char *slash = strrchr(facts->own, '/');
		char *parent =
			slash ? arena_printf(arena, "%.*s", (int)(slash - facts->own), facts->own)
			      : arena_strdup(arena, "");

		if (!parent)
			return err_sys(err, -ENOMEM, "cgroup plan");
		r = append_path(&buf, parent, err);
	}
	if (r >= 0 && given && *given)
		r = append_path(&buf, given, err);
	else if (r >= 0)
		buf_printf(&buf, "/brig-%s", id);
	if (r < 0)
		return r;
	if (!buf.len)
		return err_set(err, -EINVAL,
			"linux.cgroupsPath: \"%s\" is the top of the cgroup tree, which cannot be "
			"a "
			"container's",
			given);
	plan->path = buf.failed ? NULL : arena_strdup(arena, buf_str(&buf));
	return plan->path ? 0 : err_sys(err, -ENOMEM, "cgroup plan");
}

/* As systemd.unit(5) has it. */
static bool is_unit_name(const char *name, const char *suffix)
{
	size_t len = strlen(name), suffix_len = strlen(suffix);

	if (len <= suffix_len || len > UNIT_NAME_MAX || name[0] == '.' ||
		strcmp(name + len - suffix_len, suffix) != 0)
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr(":-_.\\@", *name))
			return false;
	return true;
}

/* "SLICE:PREFIX:NAME"; SLICE and PREFIX may be empty. */
static int plan_unit(const char *given, const char *id, struct arena *arena,
	struct cgroup_plan *plan, struct err *err)
{
	const char *prefix = given ? strchr(given, ':') : NULL;
	const char *name = prefix ? strchr(prefix + 1, ':') : NULL;

	if (!given || !*given) {
		plan->unit = arena_printf(arena, "brig-%s.scope", id);
	} else if (!name || !name[1] || strchr(name + 1, ':')) {
		return err_set(err, -EINVAL,
			"linux.cgroupsPath: \"%s\" is not \"SLICE:PREFIX:NAME\", as the cgroup "
			"manager \"systemd\" needs it",
			given);
	} else {
		prefix++, name++;
		if (prefix - given > 1)
			plan->slice = arena_printf(arena, "%.*s", (int)(prefix - given - 1), given);
		plan->unit = name - prefix > 1 ? arena_printf(arena, "%.*s-%s.scope",
							 (int)(name - prefix - 1), prefix, name)
					       : arena_printf(arena, "%s.scope", name);
		if (prefix - given > 1 && !plan->slice)
			return err_sys(err, -ENOMEM, "cgroup plan");
	}
	if (!plan->unit)
		return err_sys(err, -ENOMEM, "cgroup plan");
	if (plan->slice && !is_unit_name(plan->slice, ".slice"))
		return err_set(err, -EINVAL, "linux.cgroupsPath: \"%s\" is not the name of a slice",
			plan->slice);
	if (!is_unit_name(plan->unit, ".scope"))
		return err_set(err, -EINVAL, "linux.cgroupsPath: \"%s\" is not the name of a unit",
			plan->unit);
	return 0;
}

static bool is_property_name(const char *name)
{
	size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

	return len >= 3 && !name[len];
}

/* TimeoutStopSec and its like are names of the files; on the bus they are TimeoutStopUSec. */
static bool is_seconds(const char *name)
{
	size_t len = strlen(name);

	return len > 3 && strcmp(name + len - 3, "Sec") == 0 && name[len - 4] != 'U';
}

static int plan_annotation(const char *key, const char *text, struct arena *arena,
	struct pairs *properties, struct err *err)
{
	const char *name, *value;
	bool seconds;
	int r;

	if (!parse_has_prefix(key, "org.systemd.property.", &name))
		return 0;
	if (!is_property_name(name))
		return err_set(err, -EINVAL, "annotation %s: \"%s\" is not the name of a property",
			key, name);
	seconds = is_seconds(name);
	r = property_parse(arena, text, seconds, &value);
	if (r >= 0 && seconds) {
		name = arena_printf(arena, "%.*sUSec", (int)strlen(name) - 3, name);
		r = name ? 0 : -ENOMEM;
	}
	if (r >= 0)
		r = property_add(properties, name, value, arena);
	if (r == -EINVAL)
		return err_set(err, r,
			"annotation %s: \"%s\" is not a value: use true, a number such as \"uint64 "
			"5\", a 'string' or an array of those",
			key, text);
	return r < 0 ? err_sys(err, r, "annotation %s", key) : 0;
}

static int plan_properties(const struct spec_config *config, struct arena *arena,
	struct cgroup_plan *plan, struct err *err)
{
	static const struct pair first[] = {
		{"Delegate", "b true"},
		{"DefaultDependencies", "b false"},
		{"MemoryAccounting", "b true"},
		{"CPUAccounting", "b true"},
		{"IOAccounting", "b true"},
		{"TasksAccounting", "b true"},
		/* Forgotten as soon as it ends, however it ends, without a call for that. */
		{"CollectMode", "s inactive-or-failed"},
	};
	struct convert_now now = {};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(first) && r >= 0; i++)
		r = property_add(&plan->properties, first[i].key, first[i].value, arena);
	if (r < 0)
		return err_sys(err, r, "cgroup plan");
	if (config->linux_.resources)
		r = convert_properties(
			config->linux_.resources, &now, arena, &plan->properties, err);
	for (size_t i = 0; i < config->annotations.count && r >= 0; i++)
		r = plan_annotation(config->annotations.items[i].key,
			config->annotations.items[i].value, arena, &plan->properties, err);
	return r;
}

/* The annotation KEY as the name of one cgroup; "" and absent give NULL and FALLBACK. */
static int plan_subgroup(const struct spec_config *config, const char *key, const char *fallback,
	const char **ret, struct err *err)
{
	const char *text = fallback;

	for (size_t i = 0; i < config->annotations.count; i++)
		if (strcmp(config->annotations.items[i].key, key) == 0)
			text = config->annotations.items[i].value;
	if (text && *text && (!path_is_component(text) || text[0] == '.' || strchr(text, '\n')))
		return err_set(err, -EINVAL, "annotation %s: \"%s\" is not the name of a cgroup",
			key, text);
	*ret = text && *text ? text : NULL;
	return 0;
}

static int plan_systemd(const struct spec_config *config, const char *id, struct arena *arena,
	struct cgroup_plan *plan, struct err *err)
{
	const char *text = arena_printf(arena, "brig container %s", id);
	int r = plan_unit(config->linux_.cgroups_path, id, arena, plan, err);

	if (r < 0)
		return r;
	plan->description = text ? property_escape(arena, text, strlen(text)) : NULL;
	if (!plan->description)
		return err_sys(err, -ENOMEM, "cgroup plan");
	/* The manager writes the scope's own files whenever it likes; below it does not. */
	r = plan_subgroup(config, "run.oci.systemd.subgroup", "container", &plan->subgroup, err);
	return r < 0 ? r : plan_properties(config, arena, plan, err);
}

int cgroup_plan_make(const struct spec_config *config, const char *id, enum cgroup_driver driver,
	const struct cgroup_facts *facts, struct arena *arena, struct cgroup_plan *ret,
	struct err *err)
{
	struct cgroup_plan plan = {.driver = driver, .rootless = facts->rootless};
	struct convert_writes writes = {};
	struct convert_now now = {};
	int r = 0;

	if (driver == CGROUP_DISABLED) {
		*ret = plan;
		return 0;
	}
	if (config->linux_.resources)
		r = convert_resources(config->linux_.resources, &now, arena, &writes, err);
	if (r >= 0)
		r = plan_subgroup(config, "run.oci.delegate-cgroup", NULL, &plan.delegated, err);
	if (r >= 0)
		r = driver == CGROUP_SYSTEMD ? plan_systemd(config, id, arena, &plan, err)
					     : plan_cgroupfs(config->linux_.cgroups_path, id, facts,
						       arena, &plan, err);
	if (r < 0)
		return r;
	plan.needed = writes.controllers;
	plan.wanted = ACCOUNTING;
	*ret = plan;
	return 0;
}
