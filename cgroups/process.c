/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/process.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/sys.h"
#include "cgroups/cgroup.h"
#include "cgroups/tree.h"

#include <string.h>

static int set_frozen(const struct cgroup *cgroup, bool frozen, int timeout_ms, struct err *err)
{
	const char *verb = frozen ? "freeze" : "thaw";
	int r;

	if (cgroup->driver == CGROUP_DISABLED)
		return err_set(err, -EOPNOTSUPP,
			"the container has no cgroup, so it cannot be frozen or thawed");
	r = fd_write_file(cgroup->dirfd, "cgroup.freeze", frozen ? "1" : "0");
	if (r >= 0)
		r = tree_event_wait(cgroup->dirfd, "frozen", frozen, timeout_ms);
	if (r == -ETIMEDOUT)
		return err_set(err, r, "%s cgroup %s: not done after %d ms%s", verb, cgroup->path,
			timeout_ms, frozen ? "" : " (is a cgroup above it frozen?)");
	return r < 0 ? err_sys(err, r, "%s cgroup %s", verb, cgroup->path) : 0;
}

int cgroup_freeze(const struct cgroup *cgroup, int timeout_ms, struct err *err)
{
	return set_frozen(cgroup, true, timeout_ms, err);
}

int cgroup_thaw(const struct cgroup *cgroup, int timeout_ms, struct err *err)
{
	return set_frozen(cgroup, false, timeout_ms, err);
}

int cgroup_is_frozen(const struct cgroup *cgroup, bool *ret, struct err *err)
{
	int r;

	if (cgroup->driver == CGROUP_DISABLED) {
		*ret = false;
		return 0;
	}
	r = tree_event(cgroup->dirfd, "frozen", ret);
	return r < 0 ? err_sys(err, r, "read cgroup.events of cgroup %s", cgroup->path) : 0;
}

int cgroup_saved_is_frozen(const struct cgroup_saved *saved, bool *ret, struct err *err)
{
	int r;

	if (saved->driver == CGROUP_DISABLED || !saved->path) {
		*ret = false;
		return 0;
	}
	r = tree_event_of(saved->path, "frozen", ret);
	return r < 0 ? err_sys(err, r, "read cgroup.events of cgroup %s", saved->path) : 0;
}

int cgroup_path_is_frozen(int rootfd, const char *path, bool *ret)
{
	return tree_event_at(rootfd, path, "frozen", ret);
}

struct listing {
	struct cgroup_pids pids;
	size_t room;
};

static int add_pid(struct listing *list, pid_t pid)
{
	if (list->pids.count == list->room) {
		size_t room = list->room ? list->room * 2 : 64;
		pid_t *items = reallocarray(list->pids.items, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		list->pids.items = items;
		list->room = room;
	}
	list->pids.items[list->pids.count++] = pid;
	return 0;
}

static int list_directory(int dirfd, void *arg)
{
	struct listing *list = arg;
	autobuf struct buf text = {};
	char *line, *save = NULL;
	int r = fd_read_file(dirfd, "cgroup.procs", 64 << 20, &text);

	/* A threaded cgroup has no list of processes; they show at its domain. */
	if (r == -EOPNOTSUPP || r == -ENODEV || r == -ENOENT)
		return 0;
	if (r < 0 || !text.data)
		return r;
	for (line = strtok_r(text.data, "\n", &save); line && r >= 0;
		line = strtok_r(NULL, "\n", &save)) {
		uint32_t pid;

		r = parse_u32(line, &pid);
		if (r >= 0 && pid) /* 0: a process of another pid namespace */
			r = add_pid(list, (pid_t)pid);
	}
	return r;
}

int cgroup_list(const struct cgroup *cgroup, struct cgroup_pids *ret, struct err *err)
{
	struct listing list = {};
	int r = 0;

	if (cgroup->driver != CGROUP_DISABLED)
		r = tree_visit(cgroup->dirfd, list_directory, &list);
	if (r < 0) {
		free(list.pids.items);
		return err_sys(err, r, "list the processes of cgroup %s", cgroup->path);
	}
	*ret = list.pids;
	return 0;
}

int cgroup_signal(const struct cgroup *cgroup, int sig, struct err *err)
{
	struct cgroup_pids pids = {};
	int r = cgroup_list(cgroup, &pids, err);

	for (size_t i = 0; i < pids.count && r >= 0; i++) {
		r = sys_kill(pids.items[i], sig);
		if (r == -ESRCH)
			r = 0;
		if (r < 0)
			r = err_sys(err, r, "signal %d to process %d of cgroup %s", sig,
				(int)pids.items[i], cgroup->path);
	}
	free(pids.items);
	return r;
}

enum { KILL_ROUNDS = 64, KILL_WAIT_MS = 100 };

int process_kill_by_list(const struct cgroup *cgroup, struct err *err)
{
	int r = fd_write_file(cgroup->dirfd, "cgroup.freeze", "1");

	for (int i = 0; i < KILL_ROUNDS; i++) {
		r = cgroup_signal(cgroup, SIGKILL, err);
		if (r < 0)
			break;
		r = tree_event_wait(cgroup->dirfd, "populated", false, KILL_WAIT_MS);
		if (r != -ETIMEDOUT)
			break;
		r = 0;
	}
	(void)fd_write_file(cgroup->dirfd, "cgroup.freeze", "0");
	return r == -ENODEV ? 0 : r;
}

int cgroup_kill(const struct cgroup *cgroup, struct err *err)
{
	int r;

	if (cgroup->driver == CGROUP_DISABLED)
		return 0;
	r = fd_write_file(cgroup->dirfd, "cgroup.kill", "1");
	if (r == -ENOENT) {
		bool populated = false;

		if (tree_event(cgroup->dirfd, "populated", &populated) < 0)
			return 0; /* the cgroup itself is gone */
		return process_kill_by_list(cgroup, err);
	}
	if (r < 0 && r != -ENODEV)
		return err_sys(err, r, "kill the processes of cgroup %s", cgroup->path);
	return 0;
}

int cgroup_wait_empty(const struct cgroup *cgroup, int timeout_ms, struct err *err)
{
	int r;

	if (cgroup->driver == CGROUP_DISABLED)
		return 0;
	r = tree_event_wait(cgroup->dirfd, "populated", false, timeout_ms);
	if (r == -ETIMEDOUT)
		return err_set(err, r, "cgroup %s still has processes after %d ms", cgroup->path,
			timeout_ms);
	if (r < 0 && r != -ENODEV && r != -ENOENT)
		return err_sys(err, r, "read cgroup.events of cgroup %s", cgroup->path);
	return 0;
}
