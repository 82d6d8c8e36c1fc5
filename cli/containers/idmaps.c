/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/idmaps.h"

#include "base/parse.h"

#include <stdio.h>
#include <string.h>

enum { RANGES_MAX = 340 }; /* of the kernel, user_namespaces(7) */

#define NO_ID ((uint32_t)-1)

/* ---- options ---- */

static int append(struct store_id_range **list, size_t *count, struct store_id_range range,
	struct arena *arena)
{
	struct store_id_range *longer = arena_array(arena, *count + 1, struct store_id_range);

	if (!longer)
		return -ENOMEM;
	if (*count)
		memcpy(longer, *list, *count * sizeof(*longer));
	longer[(*count)++] = range;
	*list = longer;
	return 0;
}

/* "CONTAINER:HOST:SIZE" */
static int parse_range(const char *text, struct store_id_range *ret)
{
	char copy[48], *save;
	uint32_t *numbers[3] = {&ret->inside, &ret->outside, &ret->count};
	size_t n = 0;

	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		return -EINVAL;
	for (char *w = strtok_r(copy, ":", &save); w; w = strtok_r(NULL, ":", &save))
		if (n == 3 || parse_u32(w, numbers[n++]) < 0)
			return -EINVAL;
	return n == 3 && ret->count && ret->inside <= NO_ID - ret->count &&
			       ret->outside <= NO_ID - ret->count
		       ? 0
		       : -EINVAL;
}

static int parse_given(const char *option, const struct strings *texts, struct arena *arena,
	struct store_id_range **ret, size_t *ret_count, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < texts->count && r == 0; i++) {
		struct store_id_range range;

		if (parse_range(texts->items[i], &range) < 0)
			return err_set(err, -EINVAL, "--%s: \"%.100s\" is not CONTAINER:HOST:SIZE",
				option, texts->items[i]);
		if (*ret_count == RANGES_MAX)
			return err_set(
				err, -EINVAL, "--%s: at most %d of them", option, RANGES_MAX);
		r = append(ret, ret_count, range, arena);
	}
	return r < 0 ? err_sys(err, r, "--%s", option) : 0;
}

static int wrong(struct err *err, const char *mode)
{
	return err_set(err, -EINVAL,
		"--userns: \"%.100s\" is not host, auto[:size=N,…], "
		"keep-id[:uid=N,gid=N], nomap, container:NAME or ns:PATH",
		mode);
}

/* One of "size=N", "uidmapping=C:H:N" … */
static int take_pair(struct idmaps_wants *w, const char *word, struct arena *arena)
{
	struct store_id_range range;
	bool is_auto = w->mode == IDMAPS_AUTO;
	const char *value;

	if (is_auto && parse_has_prefix(word, "size=", &value))
		return parse_u32(value, &w->size) < 0 || !w->size ? -EINVAL : 0;
	if (is_auto && parse_has_prefix(word, "uidmapping=", &value))
		return parse_range(value, &range) < 0
			       ? -EINVAL
			       : append(&w->uids, &w->uid_count, range, arena);
	if (is_auto && parse_has_prefix(word, "gidmapping=", &value))
		return parse_range(value, &range) < 0
			       ? -EINVAL
			       : append(&w->gids, &w->gid_count, range, arena);
	if (!is_auto && parse_has_prefix(word, "uid=", &value)) {
		w->uid.set = true;
		return parse_u32(value, &w->uid.value);
	}
	if (!is_auto && parse_has_prefix(word, "gid=", &value)) {
		w->gid.set = true;
		return parse_u32(value, &w->gid.value);
	}
	return -EINVAL;
}

static int parse_mode(
	const char *mode, struct arena *arena, struct idmaps_wants *ret, struct err *err)
{
	size_t n = strcspn(mode, ":");
	char *rest = mode[n] ? arena_strdup(arena, mode + n + 1) : NULL, *save;
	int r = 0;

	if (!*mode || strcmp(mode, "host") == 0 || strcmp(mode, "private") == 0)
		return 0;
	if (strcmp(mode, "nomap") == 0) {
		ret->mode = IDMAPS_NOMAP;
	} else if ((n == 4 && strncmp(mode, "auto", n) == 0) ||
		   (n == 7 && strncmp(mode, "keep-id", n) == 0)) {
		ret->mode = n == 4 ? IDMAPS_AUTO : IDMAPS_KEEP_ID;
		for (char *w = rest ? strtok_r(rest, ",", &save) : NULL; w && r == 0;
			w = strtok_r(NULL, ",", &save))
			r = take_pair(ret, w, arena);
	} else if (rest && *rest && n == 9 && strncmp(mode, "container", n) == 0) {
		ret->mode = IDMAPS_CONTAINER;
		ret->name = rest;
	} else if (rest && *rest == '/' && n == 2 && strncmp(mode, "ns", n) == 0) {
		ret->mode = IDMAPS_PATH;
		ret->name = rest;
	} else {
		r = -EINVAL;
	}
	return r == -ENOMEM ? err_sys(err, r, "--userns") : r < 0 ? wrong(err, mode) : 0;
}

static int check_mode(const struct idmaps_wants *w, bool rootless, struct err *err)
{
	if (w->mode == IDMAPS_NOMAP && !rootless)
		return err_set(err, -EINVAL,
			"--userns nomap: is for users without privilege; root can have auto");
	if (w->mode == IDMAPS_PATH && rootless)
		return err_set(
			err, -EINVAL, "--userns ns: only root may enter another's user namespace");
	if (w->mode == IDMAPS_KEEP_ID && !rootless && (w->uid.set || w->gid.set))
		return err_set(err, -EINVAL,
			"--userns keep-id: uid= and gid= are for users without privilege; root can "
			"have --uidmap");
	return 0;
}

int idmaps_parse(const struct run_options *o, bool rootless, struct arena *arena,
	struct idmaps_wants *ret, struct err *err)
{
	struct idmaps_wants w = {.size = IDMAPS_AUTO_SIZE};
	bool given = o->uidmap.count || o->gidmap.count || o->subuidname || o->subgidname;
	int r = 0;

	if (given && o->userns && *o->userns)
		return err_set(err, -EINVAL,
			"--userns is not possible together with --uidmap, --gidmap, --subuidname "
			"and --subgidname");
	if (o->userns)
		r = parse_mode(o->userns, arena, &w, err);
	if (r == 0)
		r = check_mode(&w, rootless, err);
	if (r == 0)
		r = parse_given("uidmap", &o->uidmap, arena, &w.uids, &w.uid_count, err);
	if (r == 0)
		r = parse_given("gidmap", &o->gidmap, arena, &w.gids, &w.gid_count, err);
	if (r < 0)
		return r;
	if (given) {
		w.mode = IDMAPS_GIVEN;
		w.subuid_name = o->subuidname ? o->subuidname : o->subgidname;
		w.subgid_name = o->subgidname ? o->subgidname : o->subuidname;
		/* One of the two alone is for both. */
		if (!w.gid_count && !o->subgidname)
			w.gids = w.uids, w.gid_count = w.uid_count;
		else if (!w.uid_count && !o->subuidname)
			w.uids = w.gids, w.uid_count = w.gid_count;
	}
	*ret = w;
	return 0;
}

/* ---- planning ---- */

struct planning {
	struct arena *arena;
	const struct idmaps_facts *facts;
	struct store_id_range *ranges;
	size_t count;
	struct err *err;
};

/* Adds RANGE, whose outer ids are the host's; joined with the last one where it goes on from that.
 */
static int add_range(struct planning *p, struct store_id_range range)
{
	struct store_id_range *last = p->count ? &p->ranges[p->count - 1] : NULL;

	if (!range.count)
		return 0;
	if (last && last->inside + last->count == range.inside &&
		last->outside + last->count == range.outside) {
		last->count += range.count;
		return 0;
	}
	return append(&p->ranges, &p->count, range, p->arena) < 0
		       ? err_sys(p->err, -ENOMEM, "user namespace")
		       : 0;
}

/* The same for outer ids that are the store's: as many ranges as those lie in. */
static int add_own(struct planning *p, struct store_id_range range)
{
	const struct idmaps_facts *f = p->facts;
	int r = 0;

	if (!f->own_count)
		return add_range(p, range);
	while (range.count && r == 0) {
		struct store_id_range part = range;
		size_t i = 0;

		while (i < f->own_count &&
			(range.outside < f->own[i].inside ||
				range.outside - f->own[i].inside >= f->own[i].count))
			i++;
		if (i == f->own_count)
			return err_set(p->err, -EINVAL,
				"user namespace: id %u is none of yours: see /etc/subuid and "
				"/etc/subgid",
				range.outside);
		part.outside = f->own[i].outside + (range.outside - f->own[i].inside);
		if (part.count > f->own[i].count - (range.outside - f->own[i].inside))
			part.count = f->own[i].count - (range.outside - f->own[i].inside);
		r = add_range(p, part);
		range.inside += part.count;
		range.outside += part.count;
		range.count -= part.count;
	}
	return r;
}

/* The end of the store's ids. */
static uint32_t own_end(const struct idmaps_facts *f)
{
	uint32_t end = 0;

	for (size_t i = 0; i < f->own_count; i++)
		if (f->own[i].inside + f->own[i].count > end)
			end = f->own[i].inside + f->own[i].count;
	return end;
}

static bool is_fixed(
	const struct store_id_range *fixed, size_t count, uint32_t id, uint32_t *ret_next)
{
	*ret_next = NO_ID;
	for (size_t i = 0; i < count; i++) {
		if (id >= fixed[i].inside && id - fixed[i].inside < fixed[i].count) {
			*ret_next = fixed[i].inside + fixed[i].count;
			return true;
		}
		if (fixed[i].inside > id && fixed[i].inside < *ret_next)
			*ret_next = fixed[i].inside;
	}
	return false;
}

/* The ids 0 … SIZE of the container from the range, but for those that are FIXED. */
static int plan_auto(struct planning *p, const struct idmaps_wants *w, bool users)
{
	const struct store_id_range *fixed = users ? w->uids : w->gids;
	size_t fixed_count = users ? w->uid_count : w->gid_count;
	uint32_t next;
	int r = 0;

	for (uint32_t id = 0; id < w->size && r == 0; id = next) {
		if (is_fixed(fixed, fixed_count, id, &next))
			continue;
		if (next > w->size)
			next = w->size;
		r = add_range(
			p, (struct store_id_range){id, p->facts->range.outside + id, next - id});
	}
	for (size_t i = 0; i < fixed_count && r == 0; i++)
		r = add_own(p, fixed[i]);
	return r;
}

/* Himself as KEEP, and everything else from what is left, in its order. */
static int plan_keep_id(struct planning *p)
{
	uint32_t keep = p->facts->keep, end = own_end(p->facts);
	int r;

	if (!p->facts->own_count)
		return add_range(p, (struct store_id_range){0, 0, NO_ID});
	if (keep >= end) {
		r = add_own(p, (struct store_id_range){0, 1, end - 1});
		return r < 0 ? r : add_own(p, (struct store_id_range){keep, 0, 1});
	}
	r = add_own(p, (struct store_id_range){0, 1, keep});
	if (r == 0)
		r = add_own(p, (struct store_id_range){keep, 0, 1});
	return r < 0 ? r : add_own(p, (struct store_id_range){keep + 1, keep + 1, end - keep - 1});
}

static int plan_given(struct planning *p, const struct idmaps_wants *w, bool users)
{
	const struct store_id_range *given = users ? w->uids : w->gids;
	size_t count = users ? w->uid_count : w->gid_count;
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++)
		r = add_own(p, given[i]);
	if (r == 0 && p->facts->range.count)
		r = add_range(p,
			(struct store_id_range){0, p->facts->range.outside, p->facts->range.count});
	return r;
}

/* The kernel wants each id once, on both sides. */
static int check_overlap(const struct planning *p)
{
	for (size_t i = 0; i < p->count; i++)
		for (size_t k = i + 1; k < p->count; k++) {
			const struct store_id_range *a = &p->ranges[i], *b = &p->ranges[k];

			if ((a->inside < b->inside + b->count &&
				    b->inside < a->inside + a->count) ||
				(a->outside < b->outside + b->count &&
					b->outside < a->outside + a->count))
				return err_set(p->err, -EINVAL,
					"user namespace: %u:%u:%u and %u:%u:%u overlap", a->inside,
					a->outside, a->count, b->inside, b->outside, b->count);
		}
	return 0;
}

int idmaps_plan(const struct idmaps_wants *wants, bool users, const struct idmaps_facts *facts,
	struct arena *arena, struct store_id_range **ret, size_t *ret_count, struct err *err)
{
	struct planning p = {.arena = arena, .facts = facts, .err = err};
	int r = 0;

	if (wants->mode == IDMAPS_AUTO)
		r = plan_auto(&p, wants, users);
	else if (wants->mode == IDMAPS_KEEP_ID)
		r = plan_keep_id(&p);
	else if (wants->mode == IDMAPS_NOMAP)
		r = add_own(&p, (struct store_id_range){0, 1, own_end(facts) - 1});
	else if (wants->mode == IDMAPS_GIVEN)
		r = plan_given(&p, wants, users);
	if (r == 0)
		r = check_overlap(&p);
	if (r < 0)
		return r;
	*ret = p.ranges;
	*ret_count = p.count;
	return 0;
}

int idmaps_allot(const struct store_id_range *pool, size_t pool_count,
	const struct store_id_range *taken, size_t taken_count, uint32_t count,
	struct store_id_range *ret)
{
	for (size_t i = 0; i < pool_count; i++) {
		uint64_t at = pool[i].outside, end = at + pool[i].count;
		bool moved = true;

		while (moved && at + count <= end) {
			moved = false;
			for (size_t k = 0; k < taken_count && !moved; k++) {
				uint64_t from = taken[k].outside, to = from + taken[k].count;

				if (at < to && from < at + count) {
					at = to;
					moved = true;
				}
			}
		}
		if (at + count <= end && count) {
			*ret = (struct store_id_range){0, (uint32_t)at, count};
			return 0;
		}
	}
	return -ENOSPC;
}

/* ---- records ---- */

int idmaps_write(
	const struct store_id_range *ranges, size_t count, struct arena *arena, struct strings *ret)
{
	int r = 0;

	*ret = (struct strings){};
	for (size_t i = 0; i < count && r == 0; i++) {
		const char *text = arena_printf(
			arena, "%u:%u:%u", ranges[i].inside, ranges[i].outside, ranges[i].count);

		r = text ? strings_add(ret, text, arena) : -ENOMEM;
	}
	return r;
}

int idmaps_read(const struct strings *texts, struct arena *arena, struct store_id_range **ret,
	size_t *ret_count, struct err *err)
{
	*ret = NULL;
	*ret_count = 0;
	return parse_given("userns", texts, arena, ret, ret_count, err);
}

uint32_t idmaps_outside(const struct store_id_range *ranges, size_t count, uint32_t inside)
{
	for (size_t i = 0; i < count; i++)
		if (inside >= ranges[i].inside && inside - ranges[i].inside < ranges[i].count)
			return ranges[i].outside + (inside - ranges[i].inside);
	return count ? NO_ID : inside;
}

uint32_t idmaps_inside(const struct store_id_range *ranges, size_t count, uint32_t outside)
{
	for (size_t i = 0; i < count; i++)
		if (outside >= ranges[i].outside && outside - ranges[i].outside < ranges[i].count)
			return ranges[i].inside + (outside - ranges[i].outside);
	return count ? NO_ID : outside;
}
