/* SPDX-License-Identifier: Apache-2.0 */
/* Process: a command's own, and a child of it that enters the file server's mount namespace. */
#include "runtime/microvm/host/live.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/sys.h"
#include "runtime/microvm/host/ask.h"
#include "runtime/microvm/host/files.h"
#include "runtime/microvm/host/root.h"
#include "runtime/microvm/host/vmplan.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RECORD_MAX = 1 << 20, NAME = 24 };

static const char record_name[] = "mounts.json";

/* ---- which are there ---- */

/* {"next": N, "mounts": [{"destination": …, "name": …}]}, the topmost last; the name is "" for what
 * the guest has made itself. RET is the caller's. */
static int read_record(const struct container *c, json_t **ret, struct err *err)
{
	autobuf struct buf text = {};
	autospec struct spec_config *config = NULL;
	int r = fd_read_file(c->dirfd, record_name, RECORD_MAX, &text);

	if (r == 0)
		return json_parse(record_name, buf_str(&text), text.len, ret, err);
	if (r != -ENOENT)
		return err_sys(err, r, "%s", record_name);
	r = container_config(c, &config, err);
	if (r < 0)
		return r;
	/* Beyond all that creation may have used. */
	*ret = json_pack("{s:I, s:[]}", "next", (json_int_t)config->mounts.count, "mounts");
	return *ret ? 0 : err_sys(err, -ENOMEM, "%s", record_name);
}

static int write_record(const struct container *c, const json_t *record, struct err *err)
{
	autobuf struct buf text = {};
	int r = json_write(record, JSON_COMPACT, &text);

	if (r == 0)
		r = fd_replace_file(c->dirfd, record_name, text.data, text.len, 0600);
	return r < 0 ? err_sys(err, r, "%s", record_name) : 0;
}

/* Whether two texts name the same place: "/a//b/" and "/a/b". */
static bool is_same_place(const char *a, const char *b)
{
	for (;;) {
		size_t n;

		a += strspn(a, "/"), b += strspn(b, "/");
		n = strcspn(a, "/");
		if (n != strcspn(b, "/") || memcmp(a, b, n) != 0)
			return false;
		if (n == 0)
			return true;
		a += n, b += n;
	}
}

/* The topmost one at PATH leaves the record; its name, "" when the host knows none. */
static void take_from_record(json_t *record, const char *path, char ret[NAME])
{
	json_t *list = json_object_get(record, "mounts");

	ret[0] = 0;
	for (size_t i = json_array_size(list); i-- > 0;) {
		const json_t *one = json_array_get(list, i);
		const char *place = json_string_value(json_object_get(one, "destination"));
		const char *name = json_string_value(json_object_get(one, "name"));

		if (!place || !name || !is_same_place(place, path))
			continue;
		snprintf(ret, NAME, "%s", name);
		json_array_remove(list, i);
		return;
	}
}

/* ---- in the file server's mount namespace ---- */

struct visit {
	const struct container *container;
	const struct plan *plan; /* NULL: what is there is taken away */
	const struct mount_sources *sources;
	size_t first, count; /* numbers */
	int root, writable;  /* once inside: the tree, and the same folder to make places in */
};

static int enter(struct visit *v, struct err *err)
{
	char pid[NAME], path[NAME + 8];
	autoclose int ns = -1;
	int r = root_file_server(v->container, pid, sizeof(pid));

	snprintf(path, sizeof(path), "%s/ns/mnt", pid);
	if (r == 0)
		r = ns = sys_openat(v->container->rt->procfd, path, O_RDONLY, 0);
	if (r >= 0)
		r = sys_setns(ns, CLONE_NEWNS);
	if (r == 0)
		r = v->root = sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0);
	if (r >= 0)
		r = v->writable = sys_open_tree(v->root, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
	if (r >= 0)
		r = sys_mount_setattr(v->writable, "", AT_EMPTY_PATH, 0, MOUNT_ATTR_RDONLY, 0, -1);
	return r < 0 ? err_sys(err, r, "enter the file server's tree") : 0;
}

/* What the guest still has open goes on, as it would for a process of the host. */
static void take_away(const struct visit *v, size_t number)
{
	char path[NAME + 1];

	snprintf(path, sizeof(path), "/%zu", number);
	(void)!sys_umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
	if (sys_unlinkat(v->writable, path + 1, 0) < 0)
		(void)!sys_unlinkat(v->writable, path + 1, AT_REMOVEDIR);
}

/* As files_build() and the file server's own jail have them. */
static int put(const struct visit *v, size_t index, struct err *err)
{
	const char *what = v->plan->mounts[index].destination;
	int source = v->sources->fds[index];
	char name[NAME];
	int r = sys_mount_setattr(source, "", AT_EMPTY_PATH | AT_RECURSIVE,
		MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, 0, MS_PRIVATE, -1);

	if (r < 0)
		return err_sys(err, r, "share %s with the virtual machine", what);
	snprintf(name, sizeof(name), "%zu", v->first + index);
	return files_add(v->writable, v->root, source, name, what, err);
}

static int work(struct visit *v, struct err *err)
{
	int r = enter(v, err);

	for (size_t i = 0; i < v->count && r == 0; i++) {
		if (!v->plan)
			take_away(v, v->first + i);
		else if ((r = put(v, i, err)) < 0)
			for (size_t j = 0; j <= i; j++)
				take_away(v, v->first + j);
	}
	return r;
}

static int visit(struct visit *v, struct err *err)
{
	autoclose int ours = -1, childs = -1;
	int fds[2], status = 0, r = sys_socketpair(SOCK_SEQPACKET, fds);
	pid_t pid;

	if (r < 0)
		return err_sys(err, r, "make a socketpair");
	ours = fds[0], childs = fds[1];
	pid = sys_fork();
	if (pid == 0) {
		r = work(v, err);
		if (r < 0)
			sync_send_failure(childs, err);
		_exit(r < 0);
	}
	if (pid < 0)
		return err_sys(err, pid, "fork");
	cleanup_close(&childs);
	r = sync_expect_end(ours, err);
	sys_waitpid(pid, &status, 0);
	return r == 0 && status ? err_set(err, -EIO, "the process in the file server's tree ended")
				: r;
}

/* ---- add ---- */

static int ask_add(const struct container *c, const json_t *guests, struct err *err)
{
	autobuf struct buf text = {};
	struct link link = {.fd = -1};
	struct link_message answer;
	int r = json_write(guests, JSON_COMPACT, &text);

	if (r < 0)
		return err_sys(err, r, "mounts");
	r = ask_agent(c, PROTO_MOUNTS_ADD, text.data, text.len, &link, &answer, err);
	link_close(&link);
	return r;
}

/* Those of the guest's own are no mounts of the plan. */
static int record_added(json_t *record, const struct backend_mounts *m, size_t first)
{
	json_t *list = json_object_get(record, "mounts");
	size_t shared = 0;
	int r = 0;

	for (size_t i = 0; i < m->config->mounts.count && r == 0; i++) {
		const struct spec_mount *mount = &m->config->mounts.items[i];
		char name[NAME] = "";

		if (mount->options.extra & SPEC_MOUNT_REMOUNT)
			continue;
		if (vm_plan_is_hosts(mount))
			snprintf(name, sizeof(name), "%zu", first + shared++);
		r = json_array_append_new(list,
			json_pack("{s:s, s:s}", "destination", mount->destination, "name", name));
	}
	return r;
}

int live_add(const struct backend_mounts *m, struct err *err)
{
	struct visit v = {.container = m->container,
		.plan = m->plan,
		.sources = m->sources,
		.count = m->plan->nmounts};
	autojson json_t *record = NULL, *guests = NULL;
	struct err ignored = {};
	int r = read_record(m->container, &record, err);

	if (r < 0)
		return r;
	v.first = (size_t)json_integer_value(json_object_get(record, "next"));
	guests = vm_plan_guest_mounts(m->config, m->json, v.first);
	/* The numbers are used from here on: a name that stood for something else a moment ago
	 * would be taken for that. */
	if (!guests || json_object_set_new(
			       record, "next", json_integer((json_int_t)(v.first + v.count))) < 0)
		return err_sys(err, -ENOMEM, "mounts");
	r = write_record(m->container, record, err);
	if (r == 0 && v.count)
		r = visit(&v, err);
	if (r < 0)
		return r;
	r = ask_add(m->container, guests, err);
	if (r == 0 && record_added(record, m, v.first) < 0)
		r = err_sys(err, -ENOMEM, "mounts");
	if (r == 0)
		return write_record(m->container, record, err);
	v.plan = NULL;
	if (v.count)
		visit(&v, &ignored);
	return r;
}

/* ---- remove ---- */

static int ask_text(
	const struct container *c, enum proto_type type, const char *text, struct err *err)
{
	struct link link = {.fd = -1};
	struct link_message answer;
	int r = ask_agent(c, type, text, strlen(text), &link, &answer, err);

	link_close(&link);
	return r;
}

static int remove_one(const struct container *c, json_t *record, const char *path, struct err *err)
{
	struct visit v = {.container = c, .count = 1};
	struct err busy = {};
	char name[NAME];
	int r = ask_text(c, PROTO_MOUNTS_REMOVE, path, err);

	if (r < 0)
		return r;
	take_from_record(record, path, name);
	r = write_record(c, record, err);
	if (r < 0 || !name[0])
		return r;
	v.first = (size_t)strtoul(name, NULL, 10);
	r = visit(&v, err);
	/* The container has lost it already; only the host's file system would stay busy. */
	if (r == 0 && ask_text(c, PROTO_FORGET, name, &busy) < 0)
		log_warning("mounts: %s: %s", path, busy.text);
	return r;
}

int live_remove(const struct container *c, const struct strings *paths, struct err *err)
{
	autojson json_t *record = NULL;
	int r = read_record(c, &record, err);

	for (size_t i = paths->count; i-- > 0 && r == 0;)
		r = remove_one(c, record, paths->items[i], err);
	return r;
}

int live_refuse(const struct container *c, struct err *err)
{
	autojson json_t *record = NULL;
	const json_t *one;
	size_t i;
	int r = read_record(c, &record, err);

	if (r < 0)
		return r;
	json_array_foreach (json_object_get(record, "mounts"), i, one)
		if (*json_string_value(json_object_get(one, "name")))
			return err_set(err, -EBUSY,
				"container \"%s\": %s was added while it ran (mounts add), and a "
				"restored machine would not have it: mounts remove it first",
				c->id, json_string_value(json_object_get(one, "destination")));
	return 0;
}
