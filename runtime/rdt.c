/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/rdt.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/sys.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>

#ifndef RDTGROUP_SUPER_MAGIC
#define RDTGROUP_SUPER_MAGIC 0x7655821
#endif

enum { SCHEMATA_MAX = 1 << 20, CACHES_MAX = 256 };

int rdt_open(struct err *err)
{
	autoclose int fd =
		sys_openat(AT_FDCWD, "/sys/fs/resctrl", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	struct statfs fs;
	int r = fd < 0 ? fd : sys_fstatfs(fd, &fs);

	if (r < 0 || fs.f_type != RDTGROUP_SUPER_MAGIC)
		return err_set(err, -EOPNOTSUPP,
			"linux.intelRdt: no resctrl file system at /sys/fs/resctrl; where the "
			"processor has Intel RDT, mount -t resctrl resctrl /sys/fs/resctrl");
	return take_fd(&fd);
}

/* ---- schemata ---- */

/* Appends the lines of TEXT, without those of bandwidth when WITHOUT_MB. */
static void add_lines(struct buf *out, const char *text, bool without_mb)
{
	while (text && *text) {
		size_t n = strcspn(text, "\n"), blank = strspn(text, " \t");

		if (n > blank && !(without_mb && strncmp(text + blank, "MB:", 3) == 0))
			buf_printf(out, "%.*s\n", (int)(n - blank), text + blank);
		text += n + (text[n] == '\n');
	}
}

int rdt_schemata(const struct spec_intel_rdt *rdt, struct arena *arena, const char **ret)
{
	autobuf struct buf out = {};

	add_lines(&out, rdt->l3_cache_schema, rdt->mem_bw_schema != NULL);
	add_lines(&out, rdt->mem_bw_schema, false);
	for (size_t i = 0; i < rdt->schemata.count; i++)
		add_lines(&out, rdt->schemata.items[i], false);
	*ret = out.len && !out.failed ? arena_strdup(arena, buf_str(&out)) : NULL;
	return out.failed || (out.len && !*ret) ? -ENOMEM : 0;
}

/* Whether the line "NAME:…" of HAVE has the N bytes of PART between its separators. */
static bool has_part(
	const char *have, const char *name, size_t name_len, const char *part, size_t n)
{
	for (const char *line = have; line && *line;
		line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
		const char *p = line + strspn(line, " \t");

		if (strncmp(p, name, name_len) != 0 || p[name_len] != ':')
			continue;
		for (p += name_len; *p == ':' || *p == ';';) {
			size_t len;

			p += 1 + strspn(p + 1, " \t0"); /* "0" pads ids and masks */
			len = strcspn(p, ";\n");
			if (len == n && memcmp(p, part, n) == 0)
				return true;
			p += len;
		}
	}
	return false;
}

static bool line_matches(const char *have, const char *line, size_t len)
{
	size_t name_len = strcspn(line, ":\n");
	const char *p = line + name_len, *end = line + len;

	while (p < end) {
		size_t n;

		p += 1 + strspn(p + 1, " \t0");
		n = strcspn(p, ";\n");
		if (n && !has_part(have, line, name_len, p, n))
			return false;
		p += n;
	}
	return true;
}

bool rdt_schemata_match(const char *have, const char *wanted)
{
	while (*wanted) {
		size_t n = strcspn(wanted, "\n");

		if (n && !line_matches(have, wanted, n))
			return false;
		wanted += n + (wanted[n] == '\n');
	}
	return true;
}

/* ---- groups ---- */

/* "/" is the class of all that is in none: the top itself. */
static const char *group_of(const char *id, const struct spec_intel_rdt *rdt)
{
	if (rdt->clos_id && strcmp(rdt->clos_id, "/") == 0)
		return ".";
	return rdt->clos_id && *rdt->clos_id ? rdt->clos_id : id;
}

/* The kernel's own words about the write that failed, where it left some. */
static int refused(int top, const char *what, int r, struct err *err)
{
	char words[256];

	if (fd_read_line(top, "info/last_cmd_status", words, sizeof(words)) > 0 &&
		strcmp(words, "ok") != 0)
		return err_set(err, r, "linux.intelRdt: %s: %s", what, words);
	return err_sys(err, r, "linux.intelRdt: %s", what);
}

static int open_group(int top, const char *name, struct err *err)
{
	int fd;

	if (strcmp(name, ".") != 0 && !path_is_component(name))
		return err_set(err, -EINVAL,
			"linux.intelRdt.closID: \"%s\" is no name of a directory", name);
	fd = sys_openat(top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	return fd < 0 ? err_sys(err, fd, "linux.intelRdt: open the group %s", name) : fd;
}

static int write_schemata(int top, int group, const char *schemata, struct err *err)
{
	int r = schemata ? fd_write_file(group, "schemata", schemata) : 0;

	return r < 0 ? refused(top, "write schemata", r, err) : 0;
}

static int check_existing(int group, const char *name, const char *schemata, struct err *err)
{
	autobuf struct buf have = {};
	int r;

	if (!schemata)
		return 0;
	r = fd_read_file(group, "schemata", SCHEMATA_MAX, &have);
	if (r < 0)
		return err_sys(err, r, "linux.intelRdt: read schemata of %s", name);
	if (!rdt_schemata_match(buf_str(&have), schemata))
		return err_set(err, -EEXIST,
			"linux.intelRdt.closID: the group \"%s\" exists with other schemata", name);
	return 0;
}

static int make_monitoring(int group, const char *id, struct err *err)
{
	autoclose int parent =
		sys_openat(group, "mon_groups", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	int r = parent < 0 ? parent : sys_mkdirat(parent, id, 0755);

	return r < 0 ? err_sys(err, r, "linux.intelRdt.enableMonitoring: make mon_groups/%s", id)
		     : 0;
}

/* Fills a group that is there: MADE by us, or before. */
static int fill_group(int top, const char *id, const struct spec_intel_rdt *rdt, bool made,
	const char *schemata, struct err *err)
{
	const char *name = group_of(id, rdt);
	autoclose int group = open_group(top, name, err);
	int r;

	if (group < 0)
		return group;
	r = made ? write_schemata(top, group, schemata, err)
		 : check_existing(group, name, schemata, err);
	if (r == 0 && rdt->enable_monitoring)
		r = make_monitoring(group, id, err);
	return r;
}

int rdt_create(int top, const char *id, const struct spec_intel_rdt *rdt, struct arena *arena,
	const char **ret, struct err *err)
{
	const char *name = group_of(id, rdt), *schemata, *path = NULL;
	bool given = name != id, made = false;
	struct err ignored = {};
	int r = rdt_schemata(rdt, arena, &schemata);

	if (r < 0)
		return err_sys(err, r, "linux.intelRdt");
	if (strcmp(name, ".") != 0 && !path_is_component(name))
		return open_group(top, name, err);
	if (!given || schemata) {
		r = sys_mkdirat(top, name, 0755);
		made = r == 0;
		if (r < 0 && !(r == -EEXIST && given))
			return refused(top, "make a group", r, err);
	}
	if (made)
		path = arena_strdup(arena, name);
	else if (rdt->enable_monitoring)
		path = arena_printf(arena, "%s/mon_groups/%s", name, id);
	if ((made || rdt->enable_monitoring) && !path)
		r = err_sys(err, -ENOMEM, "linux.intelRdt");
	else
		r = fill_group(top, id, rdt, made, schemata, err);
	if (r < 0) {
		if (made)
			rdt_remove(top, name, &ignored);
		return r;
	}
	*ret = path;
	return 0;
}

int rdt_enter(int top, const char *id, const struct spec_intel_rdt *rdt, pid_t pid, struct err *err)
{
	autoclose int group = open_group(top, group_of(id, rdt), err);
	char text[16], file[300];
	int r;

	if (group < 0)
		return group;
	snprintf(text, sizeof(text), "%d", pid);
	r = fd_write_file(group, "tasks", text);
	if (r == 0 && rdt->enable_monitoring) {
		snprintf(file, sizeof(file), "mon_groups/%s/tasks", id);
		r = fd_write_file(group, file, text);
	}
	return r < 0 ? refused(top, "move the container's process", r, err) : 0;
}

int rdt_update(int top, const char *id, const struct spec_intel_rdt *rdt,
	const struct spec_intel_rdt *change, struct err *err)
{
	autoclose int group = open_group(top, group_of(id, rdt), err);
	autoarena struct arena arena = {};
	const char *schemata;
	int r = group < 0 ? group : rdt_schemata(change, &arena, &schemata);

	if (group < 0)
		return r;
	return r < 0 ? err_sys(err, r, "linux.intelRdt")
		     : write_schemata(top, group, schemata, err);
}

/* ---- statistics ---- */

/* The file NAME of DIR into OBJECT; one that is not there, or has no number now, is left out. */
static int add_count(json_t *object, int dir, const char *name)
{
	char text[32];
	uint64_t value;

	if (fd_read_line(dir, name, text, sizeof(text)) < 0 || parse_u64(text, &value) < 0)
		return 0;
	return json_object_set_new(object, name, json_integer((json_int_t)value));
}

/* One element for each cache, in the order of their numbers: mon_L3_00, mon_L3_01, … */
static int add_caches(json_t *result, int mon_data)
{
	autojson json_t *mbm = json_array(), *cmt = json_array();
	int r = 0;

	for (unsigned int i = 0; i < CACHES_MAX && r == 0; i++) {
		char name[16];
		autoclose int dir = -1;
		json_t *bytes, *occupancy;

		snprintf(name, sizeof(name), "mon_L3_%02u", i);
		dir = sys_openat(mon_data, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (dir < 0)
			continue;
		bytes = json_object(), occupancy = json_object();
		r = add_count(bytes, dir, "mbm_total_bytes") |
		    add_count(bytes, dir, "mbm_local_bytes") |
		    add_count(occupancy, dir, "llc_occupancy");
		r |= json_array_append_new(mbm, bytes) | json_array_append_new(cmt, occupancy);
	}
	r |= json_object_set(result, "mbm_stats", mbm) | json_object_set(result, "cmt_stats", cmt);
	return r ? -ENOMEM : 0;
}

/* The lines of the schemata FILE that are for RESOURCE, as one text. */
static int add_schema(
	json_t *result, const char *key, int dir, const char *file, const char *resource)
{
	autobuf struct buf text = {}, out = {};

	if (fd_read_file(dir, file, SCHEMATA_MAX, &text) < 0)
		return 0;
	for (const char *line = buf_str(&text); *line; line += strcspn(line, "\n")) {
		line += strspn(line, " \t\n");
		if (strncmp(line, resource, strlen(resource)) == 0)
			buf_printf(&out, "%s%.*s", out.len ? "\n" : "", (int)strcspn(line, "\n"),
				line);
	}
	if (!out.len && !out.failed)
		return 0;
	return out.failed ? -ENOMEM : json_object_set_new(result, key, json_string(buf_str(&out)));
}

int rdt_stats(
	int top, const char *id, const struct spec_intel_rdt *rdt, json_t **ret, struct err *err)
{
	autoclose int group = open_group(top, group_of(id, rdt), err), mon_data = -1;
	autojson json_t *result = json_object();
	char path[300] = "mon_data";
	int r;

	if (group < 0)
		return group;
	if (rdt->enable_monitoring)
		snprintf(path, sizeof(path), "mon_groups/%s/mon_data", id);
	r = add_schema(result, "l3_cache_schema_root", top, "schemata", "L3") |
	    add_schema(result, "l3_cache_schema", group, "schemata", "L3") |
	    add_schema(result, "mem_bw_schema_root", top, "schemata", "MB") |
	    add_schema(result, "mem_bw_schema", group, "schemata", "MB");
	if (rdt->enable_monitoring || strcmp(group_of(id, rdt), id) == 0)
		mon_data = sys_openat(group, path, O_RDONLY | O_DIRECTORY, 0);
	if (!r && mon_data >= 0)
		r = add_caches(result, mon_data);
	if (r)
		return err_sys(err, -ENOMEM, "linux.intelRdt: statistics");
	*ret = json_incref(result);
	return 0;
}

int rdt_remove(int top, const char *path, struct err *err)
{
	int r = sys_unlinkat(top, path, AT_REMOVEDIR);

	return r < 0 && r != -ENOENT ? err_sys(err, r, "linux.intelRdt: remove the group %s", path)
				     : 0;
}
