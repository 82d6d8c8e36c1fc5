/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a container's cgroup: made, opened again, handed over, removed. */
#include "cgroups/cgroup.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "cgroups/host.h"
#include "cgroups/scope.h"
#include "cgroups/tree.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void cgroup_free(struct cgroup *cgroup)
{
	if (!cgroup)
		return;
	scope_release(&cgroup->placeholder, &cgroup->placeholder_pid);
	cleanup_close(&cgroup->dirfd);
	cleanup_close(&cgroup->rootfd);
	free(cgroup->path);
	free(cgroup->top);
	free(cgroup->unit);
	free(cgroup->delegated);
	free(cgroup);
}

static int copy_text(const char *text, char **ret)
{
	if (!text)
		return 0;
	*ret = strdup(text);
	return *ret ? 0 : -ENOMEM;
}

/* A cgroup with no descriptor of its directory yet. */
static int new_cgroup(enum cgroup_driver driver, struct cgroup_host *host, bool rootless,
	struct cgroup **ret, struct err *err)
{
	struct cgroup *cgroup = calloc(1, sizeof(*cgroup));

	if (!cgroup)
		return err_sys(err, -ENOMEM, "cgroup");
	*cgroup = (struct cgroup){
		.driver = driver,
		.dirfd = -1,
		.rootfd = -1,
		.placeholder = -1,
		.rootless = rootless,
		.helper = host->helper,
	};
	if (driver != CGROUP_DISABLED) {
		if (!host->mount)
			cgroup->rootfd = -ENOENT;
		else
			cgroup->rootfd =
				host->hand_over ? take_fd(&host->rootfd) : sys_dup(host->rootfd);
		if (cgroup->rootfd < 0) {
			int r = cgroup->rootfd;

			cgroup->rootfd = -1;
			cgroup_free(cgroup);
			return err_sys(err, r, "open the cgroup tree");
		}
	}
	*ret = cgroup;
	return 0;
}

/* Another container's, or somebody's own: limits and a kill would hit processes not ours. */
static int refuse_occupied(int dirfd, const char *path, struct err *err)
{
	bool populated = false;
	char frozen[8] = "";
	int r = tree_event(dirfd, "populated", &populated);

	if (r == -ENOENT) /* only the top of the tree has no cgroup.events */
		return err_set(err, -EINVAL, "cgroup %s is the top of the tree", path);
	if (r < 0)
		return err_sys(err, r, "read cgroup.events of cgroup %s", path);
	if (populated)
		return err_set(err, -EBUSY, "cgroup %s already has processes in it", path);
	if (fd_read_line(dirfd, "cgroup.freeze", frozen, sizeof(frozen)) > 0 && frozen[0] == '1')
		return err_set(err, -EBUSY, "cgroup %s exists and is frozen", path);
	return 0;
}

static bool means_not_delegated(int r)
{
	return r == -EACCES || r == -EPERM || r == -EROFS;
}

static int join_path(const char *path, const char *below, char **ret)
{
	return asprintf(ret, "%s/%s", strcmp(path, "/") ? path : "", below) < 0 ? -ENOMEM : 0;
}

/* Takes FD as LIMITS and makes DELEGATED beneath it. */
static int adopt_limits(
	struct cgroup *cgroup, const struct cgroup_plan *plan, int fd, struct err *err)
{
	struct stat st;
	int r = sys_fstat(fd, &st);

	cgroup->dirfd = fd;
	if (r < 0)
		return err_sys(err, r, "stat cgroup %s", cgroup->path);
	cgroup->inode = st.st_ino;
	if (!plan->delegated)
		return 0;
	r = sys_mkdirat(fd, plan->delegated, 0755);
	return r < 0 && r != -EEXIST
		       ? err_sys(err, r, "make cgroup %s/%s", cgroup->path, plan->delegated)
		       : 0;
}

static int make_cgroupfs(
	struct cgroup *cgroup, const struct cgroup_plan *plan, int *ret_made, struct err *err)
{
	int fd = tree_make(cgroup->rootfd, plan->path, plan->needed, plan->wanted, ret_made, err);
	int r = fd < 0 ? fd : adopt_limits(cgroup, plan, fd, err);

	/* What we just made is empty. */
	return r < 0 || *ret_made ? r : refuse_occupied(cgroup->dirfd, plan->path, err);
}

static int create_cgroupfs(struct cgroup *cgroup, const struct cgroup_plan *plan, struct err *err)
{
	int made = 0, r;

	if (copy_text(plan->path, &cgroup->path) < 0 || copy_text(plan->path, &cgroup->top) < 0)
		return err_sys(err, -ENOMEM, "cgroup");
	r = make_cgroupfs(cgroup, plan, &made, err);
	cgroup->fresh = cgroup->no_filter = made > 0; /* one that was there may have limits */
	if (r < 0)
		tree_unmake(cgroup->rootfd, plan->path, made);
	if (means_not_delegated(r))
		return err_set(err, -EACCES,
			"cgroup %s cannot be made: the cgroup tree is not delegated to this user",
			plan->path);
	return r;
}

/* Where the placeholder waits while the scope gets its directories: controllers can be switched on
 * only in a cgroup without processes of its own. */
static const char waiting_room[] = "brig-setup";

static int move_placeholder(int topfd, pid_t pid)
{
	autoclose int fd = -1;
	char text[16];
	int r = sys_mkdirat(topfd, waiting_room, 0755);

	if (r < 0 && r != -EEXIST)
		return r;
	fd = tree_open(topfd, waiting_room);
	snprintf(text, sizeof(text), "%d", (int)pid);
	return fd < 0 ? fd : fd_write_file(fd, "cgroup.procs", text);
}

/* LIMITS beneath the scope, or the scope itself. Nothing above the scope is touched: that is the
 * manager's, which has switched on what a delegated unit may use. */
static int make_systemd(struct cgroup *cgroup, const struct cgroup_plan *plan, struct err *err)
{
	autoclose int topfd = tree_open(cgroup->rootfd, cgroup->top);
	unsigned int there = 0;
	int made, fd, r;

	if (topfd < 0)
		return err_sys(err, topfd, "open cgroup %s", cgroup->top);
	if (!plan->subgroup) {
		r = tree_controllers(topfd, "cgroup.controllers", &there);
		if (r < 0)
			return err_sys(err, r, "read the controllers of cgroup %s", cgroup->top);
		if (plan->needed & ~there)
			return tree_missing(plan->needed & ~there, host_v1(), cgroup->top, err);
		return adopt_limits(cgroup, plan, take_fd(&topfd), err);
	}
	r = move_placeholder(topfd, cgroup->placeholder_pid);
	if (r < 0)
		return err_sys(err, r, "make cgroup %s/%s", cgroup->top, waiting_room);
	fd = tree_make(topfd, plan->subgroup, plan->needed, plan->wanted, &made, err);
	return fd < 0 ? err_add(err, "cgroup %s", cgroup->top)
		      : adopt_limits(cgroup, plan, fd, err);
}

static int create_systemd(struct cgroup *cgroup, const struct cgroup_plan *plan, struct err *err)
{
	int r;

	if (copy_text(plan->unit, &cgroup->unit) < 0)
		return err_sys(err, -ENOMEM, "cgroup");
	r = scope_start(plan, cgroup->helper, &cgroup->placeholder, &cgroup->placeholder_pid,
		&cgroup->top, err);
	if (r < 0)
		return r;
	r = plan->subgroup ? join_path(cgroup->top, plan->subgroup, &cgroup->path)
			   : copy_text(cgroup->top, &cgroup->path);
	r = r < 0 ? err_sys(err, r, "cgroup") : make_systemd(cgroup, plan, err);
	cgroup->fresh = true; /* the manager may have attached a device filter */
	if (r < 0) {
		struct err ignored = {};

		scope_release(&cgroup->placeholder, &cgroup->placeholder_pid);
		(void)scope_stop(cgroup->unit, cgroup->rootless, cgroup->helper, &ignored);
	}
	return r;
}

int cgroup_create(const struct cgroup_plan *plan, struct cgroup_host *host, struct cgroup **ret,
	struct err *err)
{
	autocgroup struct cgroup *cgroup = NULL;
	int r = new_cgroup(plan->driver, host, plan->rootless, &cgroup, err);

	if (r < 0)
		return r;
	if (copy_text(plan->delegated, &cgroup->delegated) < 0)
		return err_sys(err, -ENOMEM, "cgroup");
	if (plan->driver == CGROUP_CGROUPFS)
		r = create_cgroupfs(cgroup, plan, err);
	else if (plan->driver == CGROUP_SYSTEMD)
		r = create_systemd(cgroup, plan, err);
	if (r < 0)
		return r;
	*ret = take_ptr(cgroup);
	return 0;
}

int cgroup_open(const struct cgroup_saved *saved, struct cgroup_host *host, struct cgroup **ret,
	struct err *err)
{
	autocgroup struct cgroup *cgroup = NULL;
	struct stat st;
	int r = new_cgroup(saved->driver, host, saved->rootless, &cgroup, err);

	if (r < 0)
		return r;
	if (saved->driver == CGROUP_DISABLED) {
		*ret = take_ptr(cgroup);
		return 0;
	}
	if (saved->unit && !saved->path) { /* saved before it was made: enough to remove it */
		r = copy_text(saved->unit, &cgroup->unit);
		if (r < 0)
			return err_sys(err, r, "cgroup");
		*ret = take_ptr(cgroup);
		return 0;
	}
	if (!saved->path || !saved->top)
		return err_set(err, -EINVAL, "the saved state has no path of a cgroup");
	r = copy_text(saved->path, &cgroup->path);
	if (r >= 0)
		r = copy_text(saved->top, &cgroup->top);
	if (r >= 0)
		r = copy_text(saved->unit, &cgroup->unit);
	if (r >= 0)
		r = copy_text(saved->delegated, &cgroup->delegated);
	if (r >= 0)
		r = cgroup->dirfd = tree_open(cgroup->rootfd, saved->path);
	if (r >= 0)
		r = sys_fstat(cgroup->dirfd, &st);
	if (r < 0)
		return err_sys(err, r, "open cgroup %s", saved->path);
	if (saved->inode && st.st_ino != saved->inode)
		return err_set(err, -ESTALE,
			"cgroup %s is not the container's any more: it was removed and made again",
			saved->path);
	cgroup->inode = st.st_ino;
	*ret = take_ptr(cgroup);
	return 0;
}

int cgroup_settle(struct cgroup *cgroup, struct err *err)
{
	autofree char *path = NULL;
	int r;

	if (cgroup->placeholder < 0)
		return 0;
	scope_release(&cgroup->placeholder, &cgroup->placeholder_pid);
	r = join_path(cgroup->top, waiting_room, &path);
	if (r >= 0)
		r = tree_remove(cgroup->rootfd, path);
	return r < 0 ? err_sys(err, r, "remove cgroup %s/%s", cgroup->top, waiting_room) : 0;
}

int cgroup_attach(const struct cgroup *cgroup, pid_t pid, struct err *err)
{
	char text[16];
	int r;

	if (cgroup->driver == CGROUP_DISABLED)
		return 0;
	snprintf(text, sizeof(text), "%d", (int)pid);
	r = fd_write_file(cgroup->dirfd, "cgroup.procs", text);
	if (means_not_delegated(r) && cgroup->unit)
		return scope_attach(cgroup->unit, cgroup->path + strlen(cgroup->top), pid,
			cgroup->rootless, cgroup->helper, err);
	return r < 0 ? err_sys(err, r, "move process %d to cgroup %s", (int)pid, cgroup->path) : 0;
}

int cgroup_enter_delegated(const struct cgroup *cgroup, pid_t pid, struct err *err)
{
	autoclose int fd = -1;
	char text[16];
	int r;

	if (cgroup->driver == CGROUP_DISABLED || !cgroup->delegated)
		return 0;
	fd = sys_openat2(cgroup->dirfd, cgroup->delegated, O_RDONLY | O_DIRECTORY, 0,
		RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	snprintf(text, sizeof(text), "%d", (int)pid);
	r = fd < 0 ? fd : fd_write_file(fd, "cgroup.procs", text);
	return r < 0 ? err_sys(err, r, "enter cgroup %s/%s", cgroup->path, cgroup->delegated) : 0;
}

/* The cgroup of process PID, as a directory, if it is PATH or beneath. */
static int open_cgroup_of(const struct cgroup *cgroup, int procfd, pid_t pid)
{
	autobuf struct buf text = {};
	char name[32], own[PATH_MAX];
	size_t n = strlen(cgroup->path);
	unsigned int v1;
	int r;

	snprintf(name, sizeof(name), "%d/cgroup", (int)pid);
	r = fd_read_file(procfd, name, 1 << 20, &text);
	if (r >= 0)
		r = host_parse_own(buf_str(&text), own, sizeof(own), &v1);
	if (r < 0)
		return r;
	if (strncmp(own, cgroup->path, n) != 0 || (own[n] && own[n] != '/'))
		return -EXDEV;
	return tree_open(cgroup->rootfd, own);
}

int cgroup_open_for_exec(const struct cgroup *cgroup, int procfd, pid_t init, const char *sub,
	int *ret_fd, struct err *err)
{
	unsigned int on = 0;
	int fd;

	if (cgroup->driver == CGROUP_DISABLED) {
		*ret_fd = -1;
		return 0;
	}
	if (sub) {
		fd = tree_open(cgroup->dirfd, sub);
		if (fd < 0)
			return err_sys(err, fd, "open cgroup %s beneath %s", sub, cgroup->path);
		*ret_fd = fd;
		return 0;
	}
	/* A cgroup with controllers on for its children takes no process any more; the container
	 * has moved its own beneath. */
	(void)tree_controllers(cgroup->dirfd, "cgroup.subtree_control", &on);
	if (on || cgroup->delegated)
		fd = open_cgroup_of(cgroup, procfd, init);
	else
		fd = sys_dup(cgroup->dirfd);
	if (fd < 0)
		return err_sys(err, fd, "open the cgroup of process %d beneath %s", (int)init,
			cgroup->path);
	*ret_fd = fd;
	return 0;
}

/* Gives one file away; what this kernel does not have is left out. */
static int give_file(int dirfd, const char *name, uid_t uid, gid_t gid)
{
	int r = sys_fchownat(dirfd, name, uid, gid, AT_SYMLINK_NOFOLLOW);

	return r == -ENOENT ? 0 : r;
}

static int delegate_directory(int dirfd, const char *list, uid_t uid, gid_t gid)
{
	autofree char *copy = strdup(list);
	char *save = NULL;
	int r = copy ? sys_fchownat(dirfd, "", uid, gid, AT_EMPTY_PATH) : -ENOMEM;

	for (char *name = copy ? strtok_r(copy, "\n", &save) : NULL; name && r >= 0;
		name = strtok_r(NULL, "\n", &save))
		if (path_is_component(name))
			r = give_file(dirfd, name, uid, gid);
	return r;
}

int cgroup_delegate(const struct cgroup *cgroup, uid_t uid, gid_t gid, struct err *err)
{
	static const char always[] = "cgroup.procs\ncgroup.threads\ncgroup.subtree_control\n";
	autobuf struct buf list = {};
	autoclose int below = -1;
	int r;

	if (cgroup->driver == CGROUP_DISABLED)
		return 0;
	/* The kernel's own list of what is safe to give (cgroup-v2.rst, "Delegation"). */
	if (fd_read_file(AT_FDCWD, "/sys/kernel/cgroup/delegate", 65536, &list) < 0 || !list.len)
		buf_puts(&list, always);
	if (list.failed)
		return err_sys(err, -ENOMEM, "cgroup");
	r = delegate_directory(cgroup->dirfd, buf_str(&list), uid, gid);
	if (r >= 0 && cgroup->delegated) {
		below = tree_open(cgroup->dirfd, cgroup->delegated);
		r = below < 0 ? below : delegate_directory(below, buf_str(&list), uid, gid);
	}
	return r < 0 ? err_sys(err, r, "hand cgroup %s to user %u", cgroup->path, uid) : 0;
}

static int empty_cgroup(const struct cgroup *cgroup, int timeout_ms, struct err *err)
{
	int r = cgroup_kill(cgroup, err);

	return r < 0 ? r : cgroup_wait_empty(cgroup, timeout_ms, err);
}

int cgroup_destroy(struct cgroup *cgroup, int timeout_ms, struct err *err)
{
	int r, stopped;

	if (cgroup->driver == CGROUP_DISABLED)
		return 0;
	scope_release(&cgroup->placeholder, &cgroup->placeholder_pid);
	if (!cgroup->path)
		return scope_stop(cgroup->unit, cgroup->rootless, cgroup->helper, err);
	/* Mostly its processes are gone and it has made no cgroups: then this is all. */
	if (!cgroup->unit && sys_unlinkat(cgroup->rootfd, cgroup->top + strspn(cgroup->top, "/"),
				     AT_REMOVEDIR) == 0)
		return 0;
	r = empty_cgroup(cgroup, timeout_ms, err);
	if (r < 0)
		return r;
	r = tree_remove(cgroup->rootfd, cgroup->top);
	if (cgroup->unit) {
		/* It also ends what else was put into the scope, after which the rest can go. */
		stopped = scope_stop(cgroup->unit, cgroup->rootless, cgroup->helper, err);
		if (stopped < 0)
			return stopped;
		if (r < 0)
			r = tree_remove(cgroup->rootfd, cgroup->top);
	}
	return r < 0 ? err_sys(err, r, "remove cgroup %s", cgroup->top) : 0;
}
