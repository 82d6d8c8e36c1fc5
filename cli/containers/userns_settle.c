/* SPDX-License-Identifier: Apache-2.0 */
/* The ids of a container: settled once, when it is made. */
#include "cli/containers/userns.h"

#include "base/fd.h"
#include "base/sys.h"
#include "cli/containers/box.h"
#include "cli/containers/idmaps.h"
#include "images/fuse.h"
#include "images/snapshot.h"
#include "images/userns.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define NO_ID ((uint32_t)-1)

struct settling {
	const struct boxes *boxes;
	struct store *store;
	const char *config;
	bool rootless;
	struct record *record;
	struct idmaps_wants wants;
	struct store_id_range *taken; /* of one kind, by containers that there are */
	size_t taken_count, taken_room;
	bool users; /* which kind */
	struct err *err;
};

/* ---- what others have ---- */

static int add_taken(struct settling *s, const struct store_id_range *range)
{
	struct store_id_range *longer;

	if (s->taken_count == s->taken_room) {
		s->taken_room = s->taken_room ? 2 * s->taken_room : 32;
		longer = reallocarray(s->taken, s->taken_room, sizeof(*longer));
		if (!longer)
			return err_sys(s->err, -ENOMEM, "--userns");
		s->taken = longer;
	}
	s->taken[s->taken_count++] = *range;
	return 0;
}

static int take_from(struct box *box, void *arg)
{
	struct settling *s = arg;
	const struct record *other = &box->record;
	const char *mode = other->options.userns;
	struct store_id_range *ranges;
	size_t count = 0;
	int r;

	/* Who keeps his ids was not allotted any. */
	if (mode && (strncmp(mode, "keep-id", 7) == 0 || strcmp(mode, "nomap") == 0))
		return 0;
	r = idmaps_read(s->users ? &other->uid_map : &other->gid_map, &s->record->arena, &ranges,
		&count, s->err);
	for (size_t i = 0; i < count && r == 0; i++)
		r = add_taken(s, &ranges[i]);
	return r;
}

/* ---- where ids come from ---- */

static int find_subids(const struct settling *s, const char *file, const char *name,
	struct store_id_range *ret, struct err *err)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", s->config, file);
	if (sys_faccessat(AT_FDCWD, path, F_OK, 0) < 0)
		snprintf(path, sizeof(path), "/etc/%s", file);
	return userns_find_subids(path, name, NO_ID, ret, err);
}

static int allot(struct settling *s, const struct store_id_range *pool, size_t count,
	struct store_id_range *ret)
{
	int r;

	s->taken_count = 0;
	r = boxes_each(s->boxes, take_from, s, s->err);
	if (r < 0)
		return r;
	r = idmaps_allot(pool, count, s->taken, s->taken_count, s->wants.size, ret);
	return r < 0 ? err_set(s->err, r,
			       "--userns auto: no %u %s are free any more: remove containers, ask "
			       "for fewer by size=, or add to /etc/%s",
			       s->wants.size, s->users ? "user ids" : "group ids",
			       s->users ? "subuid" : "subgid")
		     : 0;
}

/* The range that auto or --subuidname take, of one kind of ids. */
static int find_range(struct settling *s, struct store_id_range *ret)
{
	const char *file = s->users ? "subuid" : "subgid";
	const char *name = s->users ? s->wants.subuid_name : s->wants.subgid_name;
	const struct store_ids *own = store_ids(s->store);
	struct store_id_range pool;
	int r;

	if (s->wants.mode == IDMAPS_GIVEN && name) {
		r = find_subids(s, file, name, ret, s->err);
		return r < 0 ? err_add(s->err, "--%sname", file) : 0;
	}
	if (s->wants.mode != IDMAPS_AUTO)
		return 0;
	if (s->rootless) { /* without himself */
		const struct store_id_range *ranges = s->users ? own->uids : own->gids;
		size_t count = s->users ? own->uid_count : own->gid_count;

		return allot(s, ranges + 1, count - 1, ret);
	}
	r = find_subids(s, file, "containers", &pool, s->err);
	if (r < 0)
		return err_set(s->err, r,
			"--userns auto: /etc/%s has no range for it: add one such as "
			"\"containers:2147483648:1073741824\"",
			file);
	return allot(s, &pool, 1, ret);
}

static int settle_kind(struct settling *s, bool users, uint32_t keep, struct strings *ret)
{
	const struct store_ids *own = store_ids(s->store);
	struct idmaps_facts facts = {.keep = keep};
	struct store_id_range *ranges = NULL;
	size_t count = 0;
	int r;

	if (s->rootless) {
		facts.own = users ? own->uids : own->gids;
		facts.own_count = users ? own->uid_count : own->gid_count;
	}
	s->users = users;
	r = find_range(s, &facts.range);
	if (r == 0)
		r = idmaps_plan(
			&s->wants, users, &facts, &s->record->arena, &ranges, &count, s->err);
	if (r < 0)
		return r;
	return idmaps_write(ranges, count, &s->record->arena, ret) < 0
		       ? err_sys(s->err, -ENOMEM, "user namespace")
		       : 0;
}

static int settle_both(struct settling *s)
{
	uint32_t uid = s->wants.uid.set ? s->wants.uid.value : geteuid();
	uint32_t gid = s->wants.gid.set ? s->wants.gid.value : getegid();
	int r = settle_kind(s, true, uid, &s->record->uid_map);

	if (r == 0)
		r = settle_kind(s, false, gid, &s->record->gid_map);
	if (r < 0 || s->wants.mode != IDMAPS_KEEP_ID || s->record->options.user)
		return r;
	s->record->user = arena_printf(&s->record->arena, "%u:%u", uid, gid);
	return s->record->user ? 0 : err_sys(s->err, -ENOMEM, "--userns");
}

/* ---- those of somebody else ---- */

static int copy_texts(const struct strings *from, struct arena *arena, struct strings *ret)
{
	int r = 0;

	for (size_t i = 0; i < from->count && r == 0; i++) {
		const char *copy = arena_strdup(arena, from->items[i]);

		r = copy ? strings_add(ret, copy, arena) : -ENOMEM;
	}
	return r;
}

static int settle_of_container(struct settling *s)
{
	autobox struct box other = {.dirfd = -1};
	struct arena *arena = &s->record->arena;
	int r = box_open(s->boxes, s->wants.name, false, &other, s->err);

	if (r < 0)
		return err_add(s->err, "--userns");
	r = copy_texts(&other.record.uid_map, arena, &s->record->uid_map);
	if (r == 0)
		r = copy_texts(&other.record.gid_map, arena, &s->record->gid_map);
	return r < 0 ? err_sys(s->err, r, "--userns") : 0;
}

static int read_map(int proc, const char *file, struct arena *arena, struct strings *ret)
{
	autobuf struct buf text = {};
	unsigned int inside, outside, count;
	char *save;
	int r = fd_read_file(proc, file, 64 << 10, &text);

	for (char *line = r == 0 && text.data ? strtok_r(text.data, "\n", &save) : NULL;
		line && r == 0; line = strtok_r(NULL, "\n", &save)) {
		const char *word;

		if (sscanf(line, "%u %u %u", &inside, &outside, &count) != 3)
			return -EPROTO;
		word = arena_printf(arena, "%u:%u:%u", inside, outside, count);
		r = word ? strings_add(ret, word, arena) : -ENOMEM;
	}
	return r;
}

/* A namespace has its maps only in the procfs of somebody who is in it. */
static int settle_of_path(struct settling *s)
{
	autoclose int ns = sys_openat(AT_FDCWD, s->wants.name, O_RDONLY, 0), proc = -1;
	autoclose int ours = -1, theirs = -1;
	char path[32], byte = 0;
	int pair[2], r = ns < 0 ? ns : sys_socketpair(SOCK_SEQPACKET, pair);
	pid_t pid;

	if (r < 0)
		return err_sys(s->err, r, "--userns ns:%s", s->wants.name);
	ours = pair[0], theirs = pair[1];
	pid = sys_fork();
	if (pid == 0) {
		close(ours);
		byte = sys_setns(ns, CLONE_NEWUSER) == 0;
		(void)!sys_write(theirs, &byte, 1);
		(void)!sys_read(theirs, &byte, 1);
		_exit(0);
	}
	cleanup_close(&theirs);
	if (pid < 0)
		return err_sys(s->err, pid, "--userns");
	r = sys_read(ours, &byte, 1) == 1 && byte ? 0 : -EINVAL;
	snprintf(path, sizeof(path), "/proc/%d", pid);
	if (r == 0)
		r = proc = sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
	if (r >= 0)
		r = read_map(proc, "uid_map", &s->record->arena, &s->record->uid_map);
	if (r == 0)
		r = read_map(proc, "gid_map", &s->record->arena, &s->record->gid_map);
	cleanup_close(&ours);
	sys_waitpid(pid, NULL, 0);
	return r < 0 ? err_sys(s->err, r, "--userns ns:%s: enter it", s->wants.name) : 0;
}

/* ---- all of it ---- */

static int lock_ids(const struct boxes *boxes, struct err *err)
{
	autoclose int fd = sys_openat(boxes->data, "ids.lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	int r = fd < 0 ? fd : sys_flock(fd, LOCK_EX);

	return r < 0 ? err_sys(err, r, "ids.lock") : take_fd(&fd);
}

int box_settle_ids(const struct boxes *boxes, struct store *store, const char *config,
	bool rootless, struct record *record, int *ret_lock, struct err *err)
{
	struct settling s = {.boxes = boxes,
		.store = store,
		.config = config,
		.rootless = rootless,
		.record = record,
		.err = err};
	int r = idmaps_parse(&record->options, rootless, &record->arena, &s.wants, err);

	*ret_lock = -1;
	if (r < 0 || s.wants.mode == IDMAPS_DEFAULT)
		return r;
	if (rootless && store_ids(store)->single)
		return err_set(err, -EPERM,
			"--userns: needs subordinate ids: see `brig doctor`, /etc/subuid and "
			"/etc/subgid");
	if (s.wants.mode == IDMAPS_CONTAINER)
		return settle_of_container(&s);
	if (rootless && fuse_check(err) < 0)
		return err_add(err,
			"--userns: the kernel shifts the ids of files for root alone: for you");
	if (s.wants.mode == IDMAPS_PATH)
		return settle_of_path(&s);
	r = *ret_lock = lock_ids(boxes, err);
	if (r >= 0)
		r = settle_both(&s);
	free(s.taken);
	return r < 0 ? r : 0;
}

int box_read_ids(
	const struct record *record, struct arena *arena, struct store_ids *ret, struct err *err)
{
	struct store_id_range *uids, *gids;
	struct store_ids ids = {};
	int r = idmaps_read(&record->uid_map, arena, &uids, &ids.uid_count, err);

	if (r == 0)
		r = idmaps_read(&record->gid_map, arena, &gids, &ids.gid_count, err);
	if (r < 0)
		return r;
	ids.uids = uids;
	ids.gids = gids;
	*ret = ids;
	return 0;
}

int box_open_userns(const struct record *record, int *ret, struct err *err)
{
	autoarena struct arena arena = {};
	struct store_ids ids = {};
	int r = box_read_ids(record, &arena, &ids, err);

	*ret = -1;
	if (r < 0 || !ids.uid_count)
		return r;
	r = *ret = userns_create(&ids, err);
	return r < 0 ? r : 0;
}

static const struct store_id_range *reversed(
	const struct store_id_range *ranges, size_t count, struct arena *arena)
{
	struct store_id_range *swapped = arena_array(arena, count, struct store_id_range);

	for (size_t i = 0; swapped && i < count; i++)
		swapped[i] = (struct store_id_range){
			ranges[i].outside, ranges[i].inside, ranges[i].count};
	return swapped;
}

int box_open_reverse_userns(const struct record *record, int *ret, struct err *err)
{
	autoarena struct arena arena = {};
	struct store_ids ids = {};
	int r = box_read_ids(record, &arena, &ids, err);

	*ret = -1;
	if (r < 0 || !ids.uid_count)
		return r;
	ids.uids = reversed(ids.uids, ids.uid_count, &arena);
	ids.gids = reversed(ids.gids, ids.gid_count, &arena);
	if (!ids.uids || !ids.gids)
		return err_sys(err, -ENOMEM, "user namespace");
	r = *ret = userns_create(&ids, err);
	return r < 0 ? r : 0;
}

int box_give_root(struct store *store, const struct record *record, struct err *err)
{
	autoarena struct arena arena = {};
	struct store_ids ids = {};
	autoclose int upper = -1;
	struct stat st;
	int r = box_read_ids(record, &arena, &ids, err);

	if (r < 0 || !ids.uid_count)
		return r;
	r = upper = snapshot_open_upper(store, record->id);
	if (r >= 0)
		r = sys_fstat(upper, &st);
	if (r == 0)
		r = sys_fchownat(upper, "", idmaps_outside(ids.uids, ids.uid_count, st.st_uid),
			idmaps_outside(ids.gids, ids.gid_count, st.st_gid), AT_EMPTY_PATH);
	return r < 0 ? err_sys(err, r, "--userns: give the root directory to its owner") : 0;
}
