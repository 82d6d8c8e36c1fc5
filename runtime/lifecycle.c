/* SPDX-License-Identifier: Apache-2.0 */
/* Process: a command's own. The verbs on a container that exists. */
#include "runtime/lifecycle.h"

#include "base/log.h"
#include "base/path.h"
#include "base/sys.h"
#include "runtime/backend.h"
#include "runtime/hooks.h"
#include "runtime/rdt.h"
#include "runtime/sync.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { FREEZE_MS = 10000, DESTROY_MS = 10000, STOP_MS = 10000 };

static int wrong_status(
	const struct container *c, const char *verb, const char *wanted, struct err *err)
{
	return err_set(err, -EINVAL, "container \"%s\" is %s; %s needs it %s", c->id,
		container_status_name(container_status(c)), verb, wanted);
}

/* ---- hooks on the host ---- */

/* ALL: also after one that fails, which is only a warning then. */
static int run_host_hooks(const struct container *c, const struct spec_config *config,
	const struct spec_hook_list *list, const char *name, enum container_status status, bool all,
	struct err *err)
{
	autobuf struct buf text = {};
	autojson json_t *state = NULL;
	struct hooks_output output = {-1, -1};
	int r;

	if (!list->count)
		return 0;
	state = container_state_json(c, config, status, status == CONTAINER_STOPPED ? 0 : c->pid);
	r = state ? json_write(state, JSON_COMPACT, &text) : -ENOMEM;
	if (r < 0)
		return err_sys(err, r, "%s hooks", name);
	r = hooks_open_output(config, &output, err);
	if (r < 0)
		return err_add(err, "%s hooks", name);
	if (all)
		hooks_run_all(list, name, buf_str(&text), &output, c->rt->cancel);
	else
		r = hooks_run(list, name, buf_str(&text), &output, c->rt->cancel, err);
	if (output.stdout_fd > 2)
		close(output.stdout_fd);
	if (output.stderr_fd > 2)
		close(output.stderr_fd);
	return r;
}

int container_run_poststart(
	const struct container *c, const struct spec_config *config, struct err *err)
{
	return run_host_hooks(
		c, config, &config->hooks.poststart, "poststart", CONTAINER_RUNNING, false, err);
}

void container_run_poststop(const struct container *c, const struct spec_config *config)
{
	struct err err = {};

	if (run_host_hooks(c, config, &config->hooks.poststop, "poststop", CONTAINER_STOPPED, true,
		    &err) < 0)
		log_warning("%s", err.text);
}

/* ---- start ---- */

int container_go(struct created *created, struct err *err)
{
	struct container *c = &created->container;
	const struct spec_config *config = created->config;
	int r = cancel_take(c->rt->cancel, err);

	if (r == 0)
		r = sync_send(created->sync, SYNC_START, 0, err);
	if (r == -EPIPE) {
		struct err words = {};

		if (sync_expect_end(created->sync, &words) < 0)
			*err = words;
		r = err->code;
	}
	if (r == 0)
		r = cancel_wait(c->rt->cancel, created->sync, err);
	if (r == 0)
		r = sync_expect_end(created->sync, err);
	if (r == 0)
		r = container_run_poststart(c, config, err);
	if (r < 0) {
		struct err ignored = {};

		cleanup_close(&created->sync);
		sys_pidfd_send_signal(created->pidfd, SIGKILL);
		sys_waitpid(c->pid, NULL, 0);
		container_destroy(c, created->cgroup, config, &ignored);
		return r;
	}
	/* Others may have it now; the directory stays open for container_finish(). */
	if (sys_flock(c->dirfd, LOCK_UN) < 0)
		cleanup_close(&c->dirfd);
	return 0;
}

int container_finish(struct created *created, struct err *err)
{
	struct container *c = &created->container;
	int r = container_lock(c, err);

	if (r == -ENOENT) { /* somebody deleted it meanwhile, as we would have */
		err_clear(err);
		return 0;
	}
	return r < 0 ? r : container_destroy(c, created->cgroup, created->config, err);
}

/* It is in a hook that does not end, perhaps, or a poststart hook has failed; there is nothing to
 * be had but its end. */
static void end_init(const struct container *c)
{
	struct pollfd fd = {.fd = c->pidfd, .events = POLLIN};

	sys_pidfd_send_signal(c->pidfd, SIGKILL);
	sys_poll(&fd, 1, STOP_MS);
}

int container_start(const struct runtime *rt, const char *id, struct err *err)
{
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1};
	autospec struct spec_config *config = NULL;
	autoclose int sock = -1;
	int r = container_open(rt, id, true, &c, err);

	if (r < 0)
		return r;
	if (container_status(&c) != CONTAINER_CREATED)
		return wrong_status(&c, "start", "created", err);
	/* Not before there is the lock: who waits for that has nothing to undo. */
	r = rt->cancel ? cancel_open(rt->cancel, err) : 0;
	if (r == 0)
		r = container_config(&c, &config, err);
	if (r < 0)
		return r;
	r = sock = sys_socket_unix(SOCK_SEQPACKET);
	if (r >= 0)
		r = sys_connect_unix(sock, c.dirfd, "start.sock");
	if (r < 0)
		return err_sys(err, r, "container \"%s\": reach its init process", id);
	r = sync_send(sock, SYNC_START, 0, err);
	if (r < 0) /* it does not know of it and waits on */
		return r;
	r = cancel_wait(rt->cancel, sock, err);
	if (r < 0)
		end_init(&c);
	else
		r = sync_expect_end(sock, err);
	/* The init is gone or it has become the user's process: either way there is no way back to
	 * "created". */
	sys_unlinkat(c.dirfd, "start.sock", 0);
	if (r < 0)
		return r;
	r = container_run_poststart(&c, config, err);
	if (r < 0)
		end_init(&c);
	return r;
}

/* ---- kill, pause, resume ---- */

int container_kill(const struct runtime *rt, const char *id, int sig, bool all, struct err *err)
{
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1};
	autocgroup struct cgroup *cgroup = NULL;
	int r = container_open(rt, id, false, &c, err);

	if (r < 0)
		return r;
	if (!all || c.cgroup.driver == CGROUP_DISABLED)
		return container_signal(&c, sig, err);
	if (container_backend(&c) && sig != SIGKILL)
		return container_backend(&c)->signal_all(&c, sig, err);
	/* Also after the init has ended: without a pid namespace of its own, others may be left. */
	r = container_cgroup(&c, &cgroup, err);
	if (r == -ENOENT)
		return err_set(err, -ESRCH, "container \"%s\": container not running", id);
	if (r < 0)
		return r;
	return sig == SIGKILL ? cgroup_kill(cgroup, err) : cgroup_signal(cgroup, sig, err);
}

static int freeze(const struct runtime *rt, const char *id, bool on, struct err *err)
{
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1};
	autocgroup struct cgroup *cgroup = NULL;
	enum container_status status;
	int r = container_open(rt, id, true, &c, err);

	if (r < 0)
		return r;
	status = container_status(&c);
	if (on && status != CONTAINER_RUNNING && status != CONTAINER_CREATED)
		return wrong_status(&c, "pause", "running", err);
	if (!on && status != CONTAINER_PAUSED)
		return wrong_status(&c, "resume", "paused", err);
	if (container_backend(&c))
		return (on ? container_backend(&c)->freeze : container_backend(&c)->thaw)(&c, err);
	if (c.cgroup.driver == CGROUP_DISABLED)
		return err_set(err, -ENOTSUP,
			"container \"%s\": pause needs a cgroup, and it runs without "
			"(--cgroup-manager)",
			id);
	r = container_cgroup(&c, &cgroup, err);
	if (r < 0)
		return r;
	return on ? cgroup_freeze(cgroup, FREEZE_MS, err) : cgroup_thaw(cgroup, FREEZE_MS, err);
}

int container_pause(const struct runtime *rt, const char *id, struct err *err)
{
	return freeze(rt, id, true, err);
}

int container_resume(const struct runtime *rt, const char *id, struct err *err)
{
	return freeze(rt, id, false, err);
}

/* ---- delete ---- */

int container_leave_rdt(const struct container *c, struct err *err)
{
	autoclose int top = -1;

	if (!c->intel_rdt)
		return 0;
	top = rdt_open(err);
	if (top < 0) { /* unmounting it removed all groups */
		err_clear(err);
		return 0;
	}
	return rdt_remove(top, c->intel_rdt, err);
}

/* In a process that enters the namespace for good. What is at the rootfs's path there may be
 * somebody else's by now: its mount's number tells. */
static int detach_rootfs(const struct container *c, int namespace)
{
	autoclose int root = -1;
	uint64_t id;
	int r = sys_setns(namespace, CLONE_NEWNS);

	if (r == 0)
		r = root = sys_openat(AT_FDCWD, c->rootfs, O_PATH | O_DIRECTORY, 0);
	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r >= 0)
		r = sys_mount_id(root, &id);
	if (r < 0 || id != c->rootfs_mount)
		return r;
	r = sys_fchdir(root);
	return r < 0 ? r : sys_umount2(".", MNT_DETACH);
}

int container_leave_mounts(const struct container *c, struct err *err)
{
	autoclose int namespace = -1;
	int status = 0, r;
	pid_t pid;

	if (!c->mount_namespace)
		return 0;
	r = namespace = sys_openat(AT_FDCWD, c->mount_namespace, O_RDONLY, 0);
	if (r == -ENOENT) /* and with it what was in it */
		return 0;
	if (r >= 0)
		r = pid = sys_fork();
	if (r == 0)
		_exit(-detach_rootfs(c, namespace));
	if (r > 0)
		r = sys_waitpid(pid, &status, 0);
	if (r >= 0)
		r = WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
	return r < 0 ? err_sys(err, r, "take the container's mounts out of %s", c->mount_namespace)
		     : 0;
}

int container_destroy(struct container *c, struct cgroup *cgroup, const struct spec_config *config,
	struct err *err)
{
	int r = cgroup ? cgroup_destroy(cgroup, DESTROY_MS, err) : 0;

	if (r == 0)
		r = container_leave_rdt(c, err);
	if (r == 0)
		r = container_leave_mounts(c, err);
	if (r < 0)
		return r;
	cleanup_close(&c->pidfd);
	if (config)
		container_run_poststop(c, config);
	return container_remove(c, err);
}

/* −ESTALE: ours is gone and another container's has its name. */
static int open_cgroup(const struct container *c, struct cgroup **ret, struct err *err)
{
	int r = c->cgroup.driver == CGROUP_DISABLED ? 0 : container_cgroup(c, ret, err);

	if (r == -ENOENT || r == -ESTALE) {
		err_clear(err);
		return 0;
	}
	return r;
}

/* SIGKILL, also to a frozen container, and the wait until the init is gone. */
static int stop(struct container *c, struct cgroup *cgroup, struct err *err)
{
	struct pollfd fd = {.fd = c->pidfd, .events = POLLIN};
	struct err ignored = {};
	int r;

	if (c->pidfd < 0)
		return 0;
	r = sys_pidfd_send_signal(c->pidfd, SIGKILL);
	if (r < 0 && r != -ESRCH)
		return err_sys(err, r, "container \"%s\": kill it", c->id);
	if (cgroup)
		cgroup_kill(cgroup, &ignored);
	r = sys_poll(&fd, 1, STOP_MS);
	if (r == 0)
		return err_set(err, -ETIMEDOUT, "container \"%s\": its process %d does not end",
			c->id, c->pid);
	return 0;
}

int container_delete(const struct runtime *rt, const char *id, bool force, struct err *err)
{
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1};
	autospec struct spec_config *config = NULL;
	autocgroup struct cgroup *cgroup = NULL;
	enum container_status status;
	int r = container_open(rt, id, true, &c, err);

	if (force && r == -ENOENT) {
		err_clear(err);
		return 0;
	}
	if (force && r == -EINVAL && container_check_id(id, err) == 0) {
		/* The directory is all that can be undone: a cgroup that has the name that ours
		 * would have may be another's. */
		log_warning("%s; its processes and cgroup may be left", err->text);
		err_clear(err);
		r = path_remove_tree(rt->rootfd, id);
		return r < 0 ? err_sys(err, r, "container \"%s\": remove %s/%s", id, rt->root, id)
			     : 0;
	}
	if (r < 0)
		return r;
	status = container_status(&c);
	if (!force && status != CONTAINER_STOPPED)
		return wrong_status(&c, "delete", "stopped (or --force)", err);
	r = open_cgroup(&c, &cgroup, err);
	if (r == 0)
		r = stop(&c, cgroup, err);
	if (r == 0 && c.json && container_config(&c, &config, err) < 0) {
		log_debug("%s", err->text);
		err_clear(err);
	}
	return r < 0 ? r : container_destroy(&c, cgroup, config, err);
}
