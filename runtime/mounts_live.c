/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process: parent, then joiner. Mounts of a container that runs.
 *
 * The parent opens the sources with the host's identity, as at creation; the joiner enters the
 * container's namespaces and attaches them beneath its root. The joiner executes nothing, is not
 * dumpable and enters the pid namespace only when a procfs of it is to be made.
 */
#include "base/sys.h"
#include "runtime/backend.h"
#include "runtime/lifecycle.h"
#include "runtime/stage.h"
#include "runtime/sync.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

struct live {
	const struct runtime *rt;
	const struct backend *backend; /* of the container, or NULL */
	struct container container;
	struct spec_config *config;
	unsigned int namespaces;
	struct arena arena;
	/* add */
	struct spec_config asked; /* the configuration with just the new mounts */
	struct spec_config hosts; /* what a backend leaves of it to the host */
	struct plan plan;
	struct mount_sources sources;
	int *made; /* what was attached, for the way back */
	/* remove */
	const struct strings *paths;
	int sync, joiners_sync;
};

/* ---- joiner ---- */

/* umount2(2) takes a path only: the one that procfs has for the descriptor FD. */
static int detach(const struct live *l, int fd)
{
	char path[32];
	int r = sys_fchdir(l->rt->procfd);

	snprintf(path, sizeof(path), "self/fd/%d", fd);
	if (r == 0)
		r = sys_umount2(path, MNT_DETACH);
	return r;
}

static int add_all(struct live *l, int rootfd, struct err *err)
{
	struct mounts_context ctx = {
		.plan = &l->plan,
		.sources = &l->sources,
		.rootfd = rootfd,
		.devfd = -1,
		.ptsfd = -1,
	};

	for (size_t i = 0; i < l->plan.nmounts; i++) {
		const struct plan_mount *mount = &l->plan.mounts[i];

		if (mounts_add(&ctx, mount, l->sources.fds[i], &l->made[i], err) == 0)
			continue;
		while (i-- > 0)
			if (l->made[i] >= 0)
				(void)!detach(l, l->made[i]);
		return err_add(err, "mounts: %s", mount->destination);
	}
	return 0;
}

static int remove_one(const struct live *l, int rootfd, const char *path, struct err *err)
{
	autoclose int fd = sys_openat2(rootfd, path, O_PATH, 0,
		RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	int r = fd < 0 ? fd : detach(l, fd);

	if (r == -ELOOP)
		return err_set(err, r,
			"mounts: %s: a symbolic link is on the way; name the place itself", path);
	if (r == -EINVAL)
		return err_set(err, r, "mounts: %s: nothing is mounted there", path);
	return r < 0 ? err_sys(err, r, "mounts: %s", path) : 0;
}

static int remove_all(const struct live *l, int rootfd, struct err *err)
{
	int r = 0;

	for (size_t i = l->paths->count; i-- > 0 && r == 0;)
		r = remove_one(l, rootfd, l->paths->items[i], err);
	return r;
}

static int work(struct live *l, struct err *err)
{
	autoclose int rootfd = sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0);

	if (rootfd < 0)
		return err_sys(err, rootfd, "open the container's root");
	umask(0);
	return l->paths ? remove_all(l, rootfd, err) : add_all(l, rootfd, err);
}

/* A new procfs is that of the namespace which its maker is in, and only children enter one. */
static bool makes_procfs(const struct live *l)
{
	for (size_t i = 0; !l->paths && i < l->plan.nmounts; i++)
		if (l->plan.mounts[i].kind == PLAN_MOUNT_PROC)
			return true;
	return false;
}

static int work_in_child(struct live *l, struct err *err)
{
	int status;
	pid_t pid = sys_fork();

	if (pid < 0)
		return err_sys(err, pid, "fork");
	if (pid == 0) {
		if (work(l, err) < 0) {
			sync_send_failure(l->joiners_sync, err);
			_exit(1);
		}
		_exit(0);
	}
	sys_waitpid(pid, &status, 0);
	_exit(status == 0 ? 0 : 1);
}

static int join(struct live *l, struct err *err)
{
	int r = stage_enter_container(&l->container, l->namespaces, err);

	if (r == 0 && (l->namespaces & CLONE_NEWUSER))
		r = stage_become_root(true, err);
	if (r < 0)
		return r;
	/* C3: otherwise we stay out of the container's sight, with what we have of the host's. */
	return makes_procfs(l) && (l->namespaces & CLONE_NEWPID) ? work_in_child(l, err)
								 : work(l, err);
}

static _Noreturn void joiner_main(struct live *l)
{
	struct err err = {};

	if (join(l, &err) == 0)
		_exit(0);
	sync_send_failure(l->joiners_sync, &err);
	_exit(1);
}

/* ---- parent ---- */

static int open_live(struct live *l, const char *id, struct err *err)
{
	enum container_status status;
	int r = container_open(l->rt, id, true, &l->container, err);

	if (r < 0)
		return r;
	l->backend = container_backend(&l->container);
	status = container_status(&l->container);
	if (status == CONTAINER_CREATING || status == CONTAINER_STOPPED)
		return err_set(err, -EINVAL, "container \"%s\" is %s: container not running", id,
			container_status_name(status));
	r = container_config(&l->container, &l->config, err);
	if (r == 0 && !l->backend)
		r = stage_container_namespaces(&l->container, l->config, &l->namespaces, err);
	return r;
}

static int check_mount(const struct live *l, const struct plan_mount *mount, struct err *err)
{
	/* A tree of the host's would show, of which no more than a part may be seen. */
	if (mount->kind == PLAN_MOUNT_CGROUP && !l->backend && !(l->namespaces & CLONE_NEWCGROUP))
		return err_set(err, -ENOTSUP, "needs a container with a cgroup namespace");
	if (mount->is_dev)
		return err_set(
			err, -ENOTSUP, "/dev was filled when the container was made and stays");
	return 0;
}

static int open_sources(struct live *l, struct err *err)
{
	int r = 0;

	l->sources = (struct mount_sources){.rootfs = -1, .count = l->plan.nmounts};
	l->sources.fds = arena_array(&l->arena, l->plan.nmounts + 1, int);
	l->made = arena_array(&l->arena, l->plan.nmounts + 1, int);
	if (!l->sources.fds || !l->made)
		return err_sys(err, -ENOMEM, "open mount sources");
	for (size_t i = 0; i < l->plan.nmounts; i++)
		l->sources.fds[i] = l->made[i] = -1;
	for (size_t i = 0; i < l->plan.nmounts && r == 0; i++) {
		const struct plan_mount *mount = &l->plan.mounts[i];

		r = check_mount(l, mount, err);
		if (r == 0)
			r = mounts_open_source(mount, l->rt->procfd, &l->sources.fds[i], err);
		if (r < 0)
			err_add(err, "mounts: %s", mount->destination);
	}
	return r;
}

static bool has_proc(const struct plan *plan)
{
	for (size_t i = 0; i < plan->nmounts; i++)
		if (plan->mounts[i].kind == PLAN_MOUNT_PROC)
			return true;
	return false;
}

static int prepare_add(struct live *l, const struct spec_mounts *list, struct err *err)
{
	const struct plan_request request = {
		.id = l->container.id,
		.bundle = l->container.bundle,
	};
	const struct create_options none = {};
	const struct spec_config *applied = &l->asked;
	int r = 0;

	l->asked = *l->config;
	l->asked.mounts = *list;
	if (l->backend) {
		r = l->backend->plan(&l->asked, &none, &l->arena, &l->hosts, err);
		applied = &l->hosts;
	}
	if (r == 0)
		r = plan_make(applied, &request, &l->rt->host, &l->arena, &l->plan, err);
	return r < 0 ? r : open_sources(l, err);
}

static int run_joiner(struct live *l, struct err *err)
{
	struct clone_args args = {.flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
	int fds[2], status = 0, r;
	pid_t pid;

	if (l->paths || !has_proc(&l->plan))
		l->namespaces &= ~(unsigned int)CLONE_NEWPID;
	r = sys_socketpair(SOCK_SEQPACKET, fds);
	if (r < 0)
		return err_sys(err, r, "make a socketpair");
	l->sync = fds[0], l->joiners_sync = fds[1];
	/* C3: from here on nobody in the container may look into this process or its child. */
	r = sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (r < 0)
		return err_sys(err, r, "prctl(PR_SET_DUMPABLE)");
	pid = sys_clone3(&args);
	if (pid == 0)
		joiner_main(l);
	if (pid < 0)
		return err_sys(err, pid, "clone a process");
	cleanup_close(&l->joiners_sync);
	r = sync_expect_end(l->sync, err);
	sys_waitpid(pid, &status, 0);
	if (r == 0 && status != 0)
		return err_set(err, -EIO, "the process that joined the container was killed");
	return r;
}

static void close_live(struct live *l)
{
	for (size_t i = 0; l->sources.fds && i < l->sources.count; i++)
		cleanup_close(&l->sources.fds[i]);
	cleanup_close(&l->sync);
	cleanup_close(&l->joiners_sync);
	arena_free(&l->arena);
	spec_config_free(l->config);
	container_close(&l->container);
}

static struct live new_live(const struct runtime *rt)
{
	return (struct live){
		.rt = rt,
		.container = {.dirfd = -1, .pidfd = -1},
		.sync = -1,
		.joiners_sync = -1,
	};
}

static int add_by_backend(struct live *l, const json_t *json, struct err *err)
{
	const struct backend_mounts mounts = {
		.container = &l->container,
		.config = &l->asked,
		.json = json,
		.plan = &l->plan,
		.sources = &l->sources,
	};

	return l->backend->mounts_add(&mounts, err);
}

int container_mounts_add(const struct runtime *rt, const char *id, const struct spec_mounts *list,
	const json_t *json, struct err *err)
{
	struct live l = new_live(rt);
	int r = open_live(&l, id, err);

	if (r == 0)
		r = prepare_add(&l, list, err);
	if (r == 0)
		r = l.backend ? add_by_backend(&l, json, err) : run_joiner(&l, err);
	close_live(&l);
	return r;
}

int container_mounts_remove(
	const struct runtime *rt, const char *id, const struct strings *paths, struct err *err)
{
	struct live l = new_live(rt);
	int r = open_live(&l, id, err);

	l.paths = paths;
	if (r == 0)
		r = l.backend ? l.backend->mounts_remove(&l.container, paths, err)
			      : run_joiner(&l, err);
	close_live(&l);
	return r;
}
