/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/boot/modules.h"

#include <fnmatch.h>
#include <stdbool.h>
#include <string.h>

enum { DEPTH_MAX = 32 };

/* A piece of text that is not NUL-terminated. */
struct span {
	const char *at;
	size_t len;
};

static char same(char c)
{
	return c == '-' ? '_' : c;
}

/* Whether PATH ends in "/NAME.ko", or that with a compression's suffix. */
static bool is_module(struct span path, struct span name)
{
	const char *base = memrchr(path.at, '/', path.len);
	size_t len;

	base = base ? base + 1 : path.at;
	len = (size_t)(path.at + path.len - base);
	if (len < name.len + 3 || strncmp(base + name.len, ".ko", 3) != 0)
		return false;
	if (len > name.len + 3 && base[name.len + 3] != '.')
		return false;
	for (size_t i = 0; i < name.len; i++) {
		if (same(base[i]) != same(name.at[i]))
			return false;
	}
	return true;
}

static struct span line_at(const char *text)
{
	return (struct span){text, strcspn(text, "\n")};
}

static const char *next_line(struct span line)
{
	const char *end = line.at + line.len;

	return *end ? end + 1 : end;
}

static struct span path_of(struct span line)
{
	const char *colon = memchr(line.at, ':', line.len);

	return (struct span){line.at, colon ? (size_t)(colon - line.at) : line.len};
}

/* The line of modules.dep whose module is exactly PATH, or by name. */
static bool find_line(const char *dep, struct span want, bool by_path, struct span *ret)
{
	for (const char *p = dep; *p;) {
		struct span line = line_at(p), path = path_of(line);

		if (by_path ? path.len == want.len && !memcmp(path.at, want.at, path.len)
			    : is_module(path, want)) {
			*ret = line;
			return true;
		}
		p = next_line(line);
	}
	return false;
}

static bool have(const struct modules *m, struct span path)
{
	for (size_t i = 0; i < m->count; i++) {
		if (strlen(m->paths[i]) == path.len && !memcmp(m->paths[i], path.at, path.len))
			return true;
	}
	return false;
}

static int add_line(const char *dep, struct span line, struct arena *arena, struct modules *ret,
	unsigned int depth);

static int add_needed(const char *dep, struct span line, size_t from, struct arena *arena,
	struct modules *ret, unsigned int depth)
{
	for (size_t i = from; i < line.len;) {
		struct span path = {line.at + i, 0}, needed;
		int r;

		while (i + path.len < line.len && path.at[path.len] != ' ')
			path.len++;
		i += path.len + 1;
		if (!path.len)
			continue;
		if (!find_line(dep, path, true, &needed))
			return -ENOENT;
		r = add_line(dep, needed, arena, ret, depth + 1);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What it needs first. A cycle ends at DEPTH_MAX. */
static int add_line(const char *dep, struct span line, struct arena *arena, struct modules *ret,
	unsigned int depth)
{
	struct span path = path_of(line);
	int r;

	if (have(ret, path))
		return 0;
	if (depth == DEPTH_MAX || path.len == line.len)
		return -ELOOP;
	r = add_needed(dep, line, path.len + 1, arena, ret, depth);
	if (r < 0)
		return r;
	if (ret->count == MODULES_MAX)
		return -E2BIG;
	ret->paths[ret->count] = arena_printf(arena, "%.*s", (int)path.len, path.at);
	return ret->paths[ret->count++] ? 0 : -ENOMEM;
}

int modules_resolve(const char *dep, const char *builtin, const char *name, struct arena *arena,
	struct modules *ret, struct err *err)
{
	struct span want = {name, strlen(name)}, line;
	int r;

	if (find_line(builtin, want, false, &line))
		return 0;
	if (!find_line(dep, want, false, &line))
		return err_set(err, -ENOENT, "the kernel has no module %s", name);
	r = add_line(dep, line, arena, ret, 0);
	return r < 0 ? err_sys(err, r, "modules.dep: what %s needs", name) : 0;
}

/* "alias PATTERN NAME", with shell patterns. */
const char *modules_driver(const char *alias_list, const char *alias, size_t *ret_len)
{
	static const char word[] = "alias ";
	char pattern[256];

	for (const char *p = alias_list; *p;) {
		struct span line = line_at(p);
		const char *name = memrchr(line.at, ' ', line.len);
		size_t len = name ? (size_t)(name - line.at) : 0;

		p = next_line(line);
		if (len <= strlen(word) || strncmp(line.at, word, strlen(word)) != 0 ||
			len - strlen(word) >= sizeof(pattern))
			continue;
		len -= strlen(word);
		memcpy(pattern, line.at + strlen(word), len);
		pattern[len] = 0;
		if (fnmatch(pattern, alias, 0) != 0)
			continue;
		*ret_len = (size_t)(line.at + line.len - name - 1);
		return name + 1;
	}
	return NULL;
}
