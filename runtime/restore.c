/* SPDX-License-Identifier: Apache-2.0 */
/* Process: parent. Making a container from files: as parent.c, with criu in place of the stages. */
#include "base/fd.h"
#include "base/path.h"
#include "base/process.h"
#include "base/sys.h"
#include "netns/table.h"
#include "runtime/checkpoint.h"
#include "runtime/making.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { INHERITS_MAX = 3 + 2, JOINS_MAX = 3 };

struct restoring {
	struct making making;
	const struct restore_options *options;
	const char *program;
	int images_fd, work_fd;
	json_t *json; /* what images borrows from */
	struct checkpoint_images images;
	struct lent_images lent;
	struct criu_request request;
	struct criu_inherit inherits[INHERITS_MAX];
	struct criu_join joins[JOINS_MAX];
	int namespace_fds[2];
	size_t nfds;
	int console_socket; /* connected, or −1 */
	int master;
	struct criu criu;
};

/* ---- the images ---- */

static int open_dir(const char *option, const char *path, int *ret, struct err *err)
{
	int r = *ret = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);

	return r < 0 ? err_sys(err, r, "%s: open %s", option, path) : 0;
}

static int step_images(struct restoring *s, struct err *err)
{
	const struct restore_options *o = s->options;
	autobuf struct buf text = {};
	struct stat st;
	int r;

	if (!o->image_path)
		return err_set(err, -EINVAL, "restore needs --image-path");
	r = open_dir("--image-path", o->image_path, &s->images_fd, err);
	if (r == 0)
		r = open_dir("--work-path", o->work_path ? o->work_path : o->image_path,
			&s->work_fd, err);
	if (r < 0)
		return r;
	r = sys_fstatat(s->images_fd, "inventory.img", &st, 0);
	if (r == 0)
		r = fd_read_file(
			s->images_fd, CHECKPOINT_IMAGES_NAME, CHECKPOINT_IMAGES_MAX, &text);
	if (r == -ENOENT)
		return err_set(
			err, r, "--image-path: %s holds no checkpoint of brig-oci", o->image_path);
	if (r < 0)
		return err_sys(err, r, "--image-path: read %s", o->image_path);
	r = json_parse(CHECKPOINT_IMAGES_NAME, text.data, text.len, &s->json, err);
	if (r == 0)
		r = checkpoint_images_read(s->json, &s->making.arena, &s->images, err);
	return r < 0 ? err_add(err, "--image-path: %s", o->image_path) : 0;
}

static int step_check(struct restoring *s, struct err *err)
{
	const struct restore_options *o = s->options;
	bool terminal = s->making.config->process->terminal;

	if (!s->making.rt->host.privileged)
		return err_set(err, -EPERM, "restore needs root: criu does");
	if (o->create.console_socket && !terminal)
		return err_set(err, -EINVAL,
			"--console-socket: the process asks for no terminal (process.terminal)");
	if (terminal && o->detach && !o->create.console_socket)
		return err_set(err, -EINVAL,
			"process.terminal: restore --detach needs --console-socket for it");
	return checkpoint_check_namespaces(&s->making.plan, err);
}

/* ---- the rootfs ---- */

static bool is_below_another(const struct plan *plan, size_t index)
{
	const char *path = plan->mounts[index].destination;

	for (size_t i = 0; i < plan->nmounts; i++) {
		const char *dir = plan->mounts[i].destination;
		size_t len = strlen(dir);

		if (i != index && strncmp(path, dir, len) == 0 && path[len] == '/')
			return true;
	}
	return false;
}

/* A new rootfs need not have the mount points that the first one was given. */
static int make_mount_points(struct restoring *s, struct err *err)
{
	const struct plan *plan = &s->making.plan;
	autoclose int root = sys_openat(AT_FDCWD, plan->rootfs, O_PATH | O_DIRECTORY, 0);

	if (root < 0)
		return err_sys(err, root, "root.path: open %s", plan->rootfs);
	for (size_t i = 0; i < plan->nmounts; i++) {
		const struct plan_mount *m = &plan->mounts[i];
		autoclose int fd = -1;
		struct stat st = {.st_mode = S_IFDIR};
		int r = 0;

		if (m->kind == PLAN_MOUNT_REMOUNT || is_below_another(plan, i))
			continue;
		if (m->kind == PLAN_MOUNT_BIND)
			r = sys_fstatat(AT_FDCWD, m->source, &st, 0);
		if (r < 0)
			return err_sys(err, r, "mounts: %s: bind %s", m->destination, m->source);
		fd = S_ISDIR(st.st_mode)
			     ? path_mkdir(root, m->destination, 0755, (uid_t)-1, (gid_t)-1)
			     : path_mkfile(root, m->destination, 0644);
		if (fd < 0)
			return err_sys(err, fd, "mounts: %s: make the mount point", m->destination);
	}
	return 0;
}

/*
 * In the process that becomes criu. criu wants the rootfs to be a mount point; in a mount namespace
 * of its own nobody sees that it is one. The cgroup namespace is inherited by what it restores.
 */
static int prepare(void *arg, struct err *err)
{
	struct restoring *s = arg;
	const struct making *m = &s->making;
	autoclose int rootfs = -1, place = -1;
	int r = sys_unshare(CLONE_NEWNS);

	if (r == 0)
		r = sys_mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, 0, 0, MS_PRIVATE, -1);
	if (r < 0)
		return err_sys(err, r, "make a mount namespace for criu");
	r = rootfs = mounts_clone(AT_FDCWD, m->plan.rootfs, false, false);
	if (r >= 0 && (m->plan.rootfs_propagation & MS_SLAVE) == 0)
		r = sys_mount_setattr(rootfs, "", AT_EMPTY_PATH, 0, 0, MS_PRIVATE, -1);
	if (r >= 0)
		r = place = sys_openat(AT_FDCWD, m->plan.rootfs, O_PATH | O_DIRECTORY, 0);
	if (r >= 0)
		r = mounts_attach(rootfs, place);
	if (r < 0)
		return err_sys(err, r, "root.path: mount %s", m->plan.rootfs);
	r = cgroup_enter_delegated(m->cgroup, 0, err);
	if (r == 0 && m->plan.new_cgroup_namespace &&
		s->options->flags.cgroups == CRIU_CGROUPS_IGNORE) {
		r = sys_unshare(CLONE_NEWCGROUP);
		if (r < 0)
			return err_sys(err, r, "make a cgroup namespace");
	}
	return r;
}

/* ---- the request ---- */

static void add_inherit(struct restoring *s, const char *key, int fd)
{
	for (size_t i = 0; i < s->request.ninherits; i++)
		if (strcmp(s->inherits[i].key, key) == 0)
			return;
	s->inherits[s->request.ninherits++] = (struct criu_inherit){.key = key, .fd = fd};
}

static int add_streams(struct restoring *s, struct err *err)
{
	for (size_t i = 0; i < s->images.streams.count; i++) {
		struct stat st;
		int r;

		if (!*s->images.streams.items[i])
			continue;
		r = sys_fstat((int)i, &st);
		if (r < 0)
			return err_sys(err, r, "look at descriptor %zu", i);
		r = checkpoint_check_stream(&s->images, (uint32_t)i, &st, err);
		if (r < 0)
			return r;
		add_inherit(s, s->images.streams.items[i], (int)i);
	}
	return 0;
}

static int add_namespaces(struct restoring *s, struct err *err)
{
	static const int types[] = {
		CLONE_NEWNET, CLONE_NEWPID, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWTIME};

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		const struct spec_namespace *ns = spec_find_namespace(s->making.config, types[i]);
		const char *join, *label = checkpoint_namespace_label(types[i], &join);
		int fd;

		if (!ns || !ns->path)
			continue;
		if (!label) {
			s->joins[s->request.njoins++] =
				(struct criu_join){.type = join, .path = ns->path};
			continue;
		}
		fd = sys_openat(AT_FDCWD, ns->path, O_RDONLY, 0);
		if (fd < 0)
			return err_sys(err, fd, "linux.namespaces: join %s", ns->path);
		s->namespace_fds[s->nfds++] = fd;
		add_inherit(s, label, fd);
	}
	return 0;
}

static int add_mounts(struct restoring *s, struct err *err)
{
	struct making *m = &s->making;
	const struct checkpoint_images *images = &s->images;
	const char **items = arena_array(&m->arena, images->mounts.count + 1, const char *);

	if (!items)
		return err_sys(err, -ENOMEM, "planning mounts");
	for (size_t i = 0; i < images->mounts.count; i++) {
		const struct external_mount *mount = &images->mounts.items[i];
		const char *source;
		int r = checkpoint_mount_source(&m->plan, mount,
			m->cgroup_path[0] ? m->cgroup_path : NULL, &m->arena, &source, err);

		if (r < 0)
			return r;
		items[i] = arena_printf(&m->arena, "mnt[%s]:%s", mount->mountpoint, source);
		if (!items[i])
			return err_sys(err, -ENOMEM, "planning mounts");
	}
	s->request.external = (struct strings){.items = items, .count = images->mounts.count};
	return 0;
}

static int step_request(struct restoring *s, struct err *err)
{
	const struct restore_options *o = s->options;
	const char *config_file = spec_annotation(s->making.config, "org.criu.config");
	int r;

	s->request = (struct criu_request){
		.type = CRIU_RESTORE,
		.flags = &o->flags,
		.images_fd = s->images_fd,
		.work_fd = s->work_fd,
		.log_file = "restore.log",
		.root = s->making.plan.rootfs,
		.config_file = config_file && *config_file ? config_file : NULL,
		.empty_namespaces = o->empty_namespaces,
		.inherits = s->inherits,
		.joins = s->joins,
	};
	if (o->flags.cgroups != CRIU_CGROUPS_IGNORE && s->making.cgroup->path)
		s->request.cgroup_root = s->making.cgroup->path;
	r = add_streams(s, err);
	if (r == 0)
		r = add_mounts(s, err);
	return r < 0 ? r : add_namespaces(s, err);
}

/* ---- what criu tells ---- */

/* The root task is there, in its namespaces, and nothing else yet. */
static int on_namespaces(struct restoring *s, pid_t pid, struct err *err)
{
	struct making *m = &s->making;
	const struct spec_hooks *hooks = &m->config->hooks;
	unsigned long long start_time;
	int r;

	if (m->pid)
		return 0;
	m->pid = pid;
	r = m->pidfd = sys_pidfd_open(pid, 0);
	if (r >= 0)
		r = process_start_time(m->rt->procfd, pid, &start_time, NULL);
	if (r < 0)
		return err_sys(err, r, "look at the container's process");
	r = cgroup_settle(m->cgroup, err);
	if (r == 0)
		r = making_record(m, start_time, err);
	if (r == 0)
		r = making_run_hooks(m, &hooks->prestart, "prestart", CONTAINER_CREATING, err);
	if (r == 0)
		r = making_run_hooks(
			m, &hooks->create_runtime, "createRuntime", CONTAINER_CREATING, err);
	return r;
}

static int on_terminal(struct restoring *s, int *fd, struct err *err)
{
	if (*fd < 0)
		return err_set(err, -EPROTO, "criu sent no terminal");
	if (s->console_socket >= 0)
		return console_send(s->console_socket, *fd, err);
	cleanup_close(&s->master);
	s->master = take_fd(fd);
	return 0;
}

/* criu started in the container's cgroup; limits are for the container alone. */
static void move_criu_out(struct restoring *s)
{
	struct err ignored = {};
	char own[PATH_MAX], path[sizeof(own) + 64], pid[16];

	if (s->making.cgroup->driver == CGROUP_DISABLED ||
		cgroup_host_own(s->making.rt->procfd, own, sizeof(own), &ignored) < 0)
		return;
	snprintf(path, sizeof(path), "%s%s/cgroup.procs", s->making.cgroup_host.mount, own);
	snprintf(pid, sizeof(pid), "%d", s->criu.pid);
	/* Where that is not allowed, it shares the limits for the moment it still lives. */
	(void)!fd_write_file(AT_FDCWD, path, pid);
}

/*
 * While it dumps, criu stops the network by a table that it names after the init's pid, and finds
 * the table in the images that it then makes. It looks for one with the new pid to remove.
 */
static int unlock_network(struct restoring *s, struct err *err)
{
	struct making *m = &s->making;
	autoclose int netns = -1;
	char name[32];

	if (!s->images.pid)
		return 0;
	snprintf(name, sizeof(name), "%d/ns/net", m->pid);
	netns = sys_openat(m->rt->procfd, name, O_RDONLY, 0);
	if (netns < 0)
		return err_sys(err, netns, "open the container's network namespace");
	snprintf(name, sizeof(name), "CRIU-%lld", (long long)s->images.pid);
	return netns_drop_table(netns, name, err);
}

/* All is restored and stopped; after this it runs. */
static int on_restored(struct restoring *s, struct err *err)
{
	struct making *m = &s->making;
	int r;

	move_criu_out(s);
	r = making_apply_cgroup(m, err);
	if (r == 0)
		r = unlock_network(s, err);
	return r < 0 ? r : making_publish(m, err);
}

static int on_event(void *arg, const struct criu_response *event, int *fd, struct err *err)
{
	struct restoring *s = arg;

	if (strcmp(event->script, "setup-namespaces") == 0)
		return on_namespaces(s, event->pid, err);
	if (strcmp(event->script, "orphan-pts-master") == 0)
		return on_terminal(s, fd, err);
	if (strcmp(event->script, "post-restore") == 0)
		return on_restored(s, err);
	return 0;
}

static int step_restore(struct restoring *s, struct err *err)
{
	const struct restore_options *o = s->options;
	const struct criu_setup setup = {
		.program = s->program,
		.request = &s->request,
		.keep_streams = o->flags.shell_job,
		.cgroup_fd = s->making.cgroup->dirfd,
		.prepare = prepare,
		.arg = s,
	};
	char log_path[PATH_MAX];
	int r = 0;

	if (s->making.plan.new_namespaces & CLONE_NEWUSER)
		r = checkpoint_lend_images(s->images_fd, s->making.plan.root_gid, &s->lent, err);
	if (r == 0)
		r = criu_start(&setup, &s->criu, err);
	if (r < 0)
		return r;
	snprintf(log_path, sizeof(log_path), "%s/%s", o->work_path ? o->work_path : o->image_path,
		s->request.log_file);
	r = criu_converse(&s->criu, &s->request, log_path, on_event, s, NULL, err);
	criu_end(&s->criu);
	checkpoint_take_back_images(&s->lent);
	if (r == 0 && !s->making.pid)
		return err_set(err, -EPROTO, "criu did not tell the container's process");
	return r;
}

static int restore(struct restoring *s, struct err *err)
{
	struct making *m = &s->making;
	const char *console_socket = m->options->console_socket;
	int r = making_plan(m, err);

	if (r == 0)
		r = step_check(s, err);
	if (r == 0)
		r = criu_find(&s->program, err);
	if (r == 0)
		r = step_images(s, err);
	if (r == 0)
		r = hooks_open_output(m->config, &m->launch.hooks_output, err);
	if (r == 0 && console_socket)
		r = parent_connect("--console-socket", console_socket, &s->console_socket, err);
	if (r == 0)
		r = making_reserve(m, err);
	if (r == 0)
		r = making_cgroup(m, err);
	if (r == 0)
		r = make_mount_points(s, err);
	if (r == 0)
		r = step_request(s, err);
	return r < 0 ? r : step_restore(s, err);
}

static void restoring_close(struct restoring *s)
{
	cleanup_close(&s->images_fd);
	cleanup_close(&s->work_fd);
	cleanup_close(&s->console_socket);
	cleanup_close(&s->master);
	for (size_t i = 0; i < s->nfds; i++)
		cleanup_close(&s->namespace_fds[i]);
	checkpoint_take_back_images(&s->lent);
	json_decref(s->json);
	making_close(&s->making);
}

/* Without criu: it is created as any other, from images. */
static int restore_by_backend(const struct runtime *rt, const struct restore_options *options,
	struct created *ret, struct err *err)
{
	struct create_options create = options->create;
	int r = options->image_path ? 0 : err_set(err, -EINVAL, "restore needs --image-path");

	create.images = options->image_path;
	create.detach = options->detach;
	if (r == 0)
		r = container_create_for_run(rt, &create, ret, err);
	if (r < 0)
		return err_add(err, "restore container \"%s\"", create.id);
	r = container_go(ret, err);
	if (r < 0) {
		created_close(ret);
		return err_add(err, "restore container \"%s\"", create.id);
	}
	cleanup_close(&ret->sync);
	cleanup_close(&ret->container.dirfd);
	return 0;
}

int container_restore(const struct runtime *rt, const struct restore_options *options,
	struct created *ret, struct err *err)
{
	struct restoring s = {
		.options = options,
		.images_fd = -1,
		.work_fd = -1,
		.console_socket = -1,
		.master = -1,
		.criu = {.sock = -1},
	};
	int r;

	making_begin(&s.making, rt, &options->create);
	r = making_read(&s.making, err);
	if (r == 0 && s.making.backend) {
		restoring_close(&s);
		return restore_by_backend(rt, options, ret, err);
	}
	if (r == 0)
		r = restore(&s, err);
	if (r == 0)
		r = container_run_poststart(&s.making.container, s.making.config, err);
	if (r < 0) {
		err_add(err, "restore container \"%s\"", options->create.id);
		making_roll_back(&s.making);
	} else {
		making_hand_over(&s.making, take_fd(&s.master), ret);
		cleanup_close(&ret->container.dirfd); /* and with it the lock */
	}
	restoring_close(&s);
	return r;
}
