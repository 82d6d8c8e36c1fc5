/* SPDX-License-Identifier: Apache-2.0 */
/* Process: a command's own. Writing a running container to files. */
#include "runtime/checkpoint.h"
#include "runtime/backend.h"

#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "runtime/streams.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { END_MS = 10000, THAW_MS = 10000 };

/* Whatever a step acquires, so that one function can release it. */
struct checkpointing {
	const struct runtime *rt;
	const struct checkpoint_options *options;
	const char *program;
	struct container container;
	enum container_status status; /* before */
	struct spec_config *config;
	struct arena arena;
	struct plan plan;
	struct cgroup *cgroup;
	char cgroup_path[PATH_MAX];
	int images_fd, work_fd;
	struct mountinfo_list mounts;
	struct checkpoint_images images;
	const char *namespace_labels[2];
	size_t nlabels;
};

static int step_look(struct checkpointing *c, struct err *err)
{
	const struct checkpoint_options *o = c->options;
	struct plan_request request = {.id = o->id};
	int r = container_open(c->rt, o->id, true, &c->container, err);

	if (r < 0)
		return r;
	c->status = container_status(&c->container);
	if (c->status != CONTAINER_RUNNING && c->status != CONTAINER_PAUSED)
		return err_set(err, -EINVAL, "container \"%s\" is %s; checkpoint needs it running",
			o->id, container_status_name(c->status));
	request.bundle = c->container.bundle;
	r = container_config(&c->container, &c->config, err);
	if (container_backend(&c->container))
		return r;
	if (r == 0 && !c->rt->host.privileged)
		return err_set(err, -EPERM, "checkpoint needs root: criu does");
	if (r == 0)
		r = plan_make(c->config, &request, &c->rt->host, &c->arena, &c->plan, err);
	return r < 0 ? r : checkpoint_check_namespaces(&c->plan, err);
}

static int open_dir(const char *option, const char *path, bool make, int *ret, struct err *err)
{
	int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);

	if (fd == -ENOENT && make) {
		autoclose int from =
			sys_openat(AT_FDCWD, path[0] == '/' ? "/" : ".", O_PATH | O_DIRECTORY, 0);
		autoclose int made =
			from < 0 ? from : path_mkdir(from, path, 0700, (uid_t)-1, (gid_t)-1);

		fd = made < 0 ? made : sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	}
	if (fd < 0)
		return err_sys(err, fd, "%s: open %s", option, path);
	*ret = fd;
	return 0;
}

static int step_directories(struct checkpointing *c, struct err *err)
{
	const struct checkpoint_options *o = c->options;
	int r;

	if (!o->image_path)
		return err_set(err, -EINVAL, "checkpoint needs --image-path");
	if (o->flags.lazy_pages && (o->pre_dump || o->leave_running))
		return err_set(err, -EINVAL, "--lazy-pages: not with %s: the memory goes away",
			o->pre_dump ? "--pre-dump" : "--leave-running");
	if (o->flags.lazy_pages && !o->flags.page_server.address)
		return err_set(err, -EINVAL,
			"--lazy-pages needs --page-server, the address to ask for pages at");
	if (o->status_fd >= 0 && !o->flags.lazy_pages)
		return err_set(err, -EINVAL, "--status-fd is for --lazy-pages");
	if ((o->pre_dump || o->parent_path) && spec_find_namespace(c->config, CLONE_NEWUSER))
		return err_set(err, -ENOTSUP,
			"%s: memory of a container with a user namespace goes into one checkpoint",
			o->pre_dump ? "--pre-dump" : "--parent-path");
	r = open_dir("--image-path", o->image_path, true, &c->images_fd, err);
	if (r == 0)
		r = open_dir("--work-path", o->work_path ? o->work_path : o->image_path, true,
			&c->work_fd, err);
	if (r == 0 && o->parent_path) {
		autoclose int parent = -1;

		if (o->parent_path[0] == '/')
			return err_set(err, -EINVAL,
				"--parent-path %s: must be relative to the directory of "
				"--image-path",
				o->parent_path);
		parent = sys_openat(c->images_fd, o->parent_path, O_PATH | O_DIRECTORY, 0);
		if (parent < 0)
			return err_sys(err, parent, "--parent-path: open %s in %s", o->parent_path,
				o->image_path);
	}
	return r;
}

/* ---- what the process has ---- */

static void proc_name(const struct checkpointing *c, const char *rest, char *ret, size_t size)
{
	snprintf(ret, size, "%d/%s", c->container.pid, rest);
}

static int read_mountinfo(struct checkpointing *c, struct err *err)
{
	autobuf struct buf text = {};
	autoclose int fd = -1;
	char name[64];
	int r;

	proc_name(c, "mountinfo", name, sizeof(name));
	r = fd = sys_openat(c->rt->procfd, name, O_RDONLY, 0);
	if (r >= 0)
		r = fd_read_all(fd, CHECKPOINT_MOUNTINFO_MAX, &text);
	if (r < 0)
		return err_sys(err, r, "read the container's mountinfo");
	return checkpoint_parse_mountinfo(buf_str(&text), &c->arena, &c->mounts, err);
}

/* DESTINATION as the kernel names it, with links in the root followed; NULL when it is gone. */
static const char *resolve(
	const struct checkpointing *c, int root, const char *destination, char *buffer, size_t size)
{
	autoclose int fd = path_open(root, destination, O_PATH);
	char name[64];
	ssize_t n;

	if (fd < 0)
		return NULL;
	snprintf(name, sizeof(name), "self/fd/%d", fd);
	n = sys_readlinkat(c->rt->procfd, name, buffer, size - 1);
	if (n < 0)
		return NULL;
	buffer[n] = '\0';
	return buffer;
}

static int step_mounts(struct checkpointing *c, struct err *err)
{
	const char **resolved = arena_array(&c->arena, c->plan.nmounts + 1, const char *);
	char name[64], path[PATH_MAX];
	autoclose int root = -1;
	int r = read_mountinfo(c, err);

	if (r < 0)
		return r;
	proc_name(c, "root", name, sizeof(name));
	root = sys_openat(c->rt->procfd, name, O_PATH | O_DIRECTORY, 0);
	if (root < 0)
		return err_sys(err, root, "open the container's root");
	for (size_t i = 0; resolved && i < c->plan.nmounts; i++) {
		const char *found =
			resolve(c, root, c->plan.mounts[i].destination, path, sizeof(path));

		resolved[i] = found ? arena_strdup(&c->arena, found) : NULL;
		if (found && !resolved[i])
			resolved = NULL;
	}
	if (!resolved)
		return err_sys(err, -ENOMEM, "planning mounts");
	return checkpoint_plan_mounts(&c->plan, resolved, &c->mounts, &c->arena, &c->images, err);
}

/* The size of the file that stream FD was made as, when it still is in that place. */
static int note_size(struct checkpointing *c, int fd, const char *name, struct err *err)
{
	char path[64], now[STREAM_NAME_MAX];
	autoclose int file = -1;
	int64_t size;
	int r;

	snprintf(path, sizeof(path), "%d/fd/%d", c->container.pid, fd);
	r = file = sys_openat(c->rt->procfd, path, O_PATH, 0);
	if (r == -ENOENT)
		return 0;
	if (r >= 0)
		r = stream_name(file, now, &size);
	if (r < 0)
		return err_sys(err, r, "look at descriptor %d of the container's process", fd);
	if (strcmp(name, now) == 0 && size >= 0)
		c->images.stream_files.items[c->images.stream_files.count++] =
			(struct stream_file){(uint32_t)fd, size};
	return 0;
}

static int step_streams(struct checkpointing *c, struct err *err)
{
	const char **items = arena_array(&c->arena, STREAMS_COUNT, const char *);

	c->images.stream_files.items = arena_array(&c->arena, STREAMS_COUNT, struct stream_file);
	if (!items || !c->images.stream_files.items)
		return err_sys(err, -ENOMEM, "checkpoint");
	for (int fd = 0; fd < STREAMS_COUNT; fd++) {
		const char *name =
			json_string_value(json_array_get(c->container.streams, (size_t)fd));
		int r = name && strncmp(name, "file[", 5) == 0 ? note_size(c, fd, name, err) : 0;

		if (r < 0)
			return r;
		items[fd] = name ? name : "";
	}
	c->images.streams = (struct strings){.items = items, .count = STREAMS_COUNT};
	c->images.pid = c->container.pid;
	return 0;
}

static int step_namespaces(struct checkpointing *c, struct err *err)
{
	static const struct {
		int type;
		const char *file;
	} kinds[] = {{CLONE_NEWNET, "net"}, {CLONE_NEWPID, "pid"}};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const struct spec_namespace *ns = spec_find_namespace(c->config, kinds[i].type);
		char name[64], rest[16];
		const char *join;
		struct stat st;
		int r;

		if (!ns || !ns->path)
			continue;
		snprintf(rest, sizeof(rest), "ns/%s", kinds[i].file);
		proc_name(c, rest, name, sizeof(name));
		r = sys_fstatat(c->rt->procfd, name, &st, 0);
		if (r < 0)
			return err_sys(
				err, r, "look at the container's %s namespace", kinds[i].file);
		c->namespace_labels[c->nlabels] = arena_printf(&c->arena, "%s[%" PRIu64 "]:%s",
			kinds[i].file, (uint64_t)st.st_ino,
			checkpoint_namespace_label(kinds[i].type, &join));
		if (!c->namespace_labels[c->nlabels++])
			return err_sys(err, -ENOMEM, "checkpoint");
	}
	return 0;
}

static int step_cgroup(struct checkpointing *c, struct err *err)
{
	autocgrouphost struct cgroup_host host = {.rootfd = -1};
	int r;

	if (c->container.cgroup.driver == CGROUP_DISABLED)
		return 0;
	r = cgroup_host_probe(&host, err);
	if (r == 0)
		r = cgroup_open(&c->container.cgroup, &host, &c->cgroup, err);
	if (r == 0)
		snprintf(c->cgroup_path, sizeof(c->cgroup_path), "%s%s", host.mount,
			c->cgroup->path);
	return r < 0 ? err_add(err, "container \"%s\"", c->options->id) : 0;
}

/* ---- the dump ---- */

static int write_images_file(const struct checkpointing *c, struct err *err)
{
	autojson json_t *json = checkpoint_images_json(&c->images);
	autobuf struct buf text = {};
	int r = json ? json_write(json, JSON_COMPACT, &text) : -ENOMEM;

	if (r == 0)
		r = fd_replace_file(
			c->images_fd, CHECKPOINT_IMAGES_NAME, text.data, text.len, 0600);
	return r < 0 ? err_sys(err, r, "--image-path: write %s/%s", c->options->image_path,
			       CHECKPOINT_IMAGES_NAME)
		     : 0;
}

static int collect_external(struct checkpointing *c, struct strings *ret, struct err *err)
{
	const struct checkpoint_images *images = &c->images;
	size_t n = 0, room = images->mounts.count + images->streams.count + c->nlabels;
	const char **items = arena_array(&c->arena, room + 1, const char *);
	bool failed = !items;

	for (size_t i = 0; !failed && i < images->mounts.count; i++, n++) {
		const char *path = images->mounts.items[i].mountpoint;

		items[n] = arena_printf(&c->arena, "mnt[%s]:%s", path, path);
		failed = !items[n];
	}
	for (size_t i = 0; !failed && i < images->streams.count; i++) {
		const char *stream = images->streams.items[i];

		if (strncmp(stream, "file[", 5) == 0)
			items[n++] = stream;
		if (strncmp(stream, "socket:", 7) != 0)
			continue;
		items[n] = arena_printf(&c->arena, "unix%s", stream + 7);
		failed = !items[n++];
	}
	for (size_t i = 0; !failed && i < c->nlabels; i++)
		items[n++] = c->namespace_labels[i];
	*ret = (struct strings){.items = items, .count = n};
	return failed ? err_sys(err, -ENOMEM, "checkpoint") : 0;
}

static const char *config_file(const struct spec_config *config)
{
	const char *path = spec_annotation(config, "org.criu.config");

	return path && *path ? path : NULL;
}

/* criu waits for those who ask for pages. */
static int on_dump_step(void *arg, const struct criu_response *event, int *fd, struct err *err)
{
	const struct checkpointing *c = arg;
	int r;

	(void)fd;
	if (strcmp(event->script, "status-ready") != 0)
		return 0;
	r = fd_write_all(c->options->status_fd, "", 1);
	return r < 0 ? err_sys(err, r, "--status-fd: write to %d", c->options->status_fd) : 0;
}

static int dump(struct checkpointing *c, struct err *err)
{
	const struct checkpoint_options *o = c->options;
	struct criu_request request = {
		.type = o->pre_dump ? CRIU_PRE_DUMP : CRIU_DUMP,
		.flags = &o->flags,
		.images_fd = c->images_fd,
		.work_fd = c->work_fd,
		.log_file = "dump.log",
		.pid = c->container.pid,
		.leave_running = o->leave_running || o->pre_dump,
		.notify = o->status_fd >= 0,
		.parent_image = o->parent_path,
		.config_file = config_file(c->config),
		.empty_namespaces = o->empty_namespaces,
	};
	const struct criu_setup setup = {
		.program = c->program,
		.request = &request,
		.keep_streams = o->flags.shell_job,
		.cgroup_fd = -1,
	};
	struct criu criu = {.sock = -1};
	char log_path[PATH_MAX];
	int r = collect_external(c, &request.external, err);

	snprintf(log_path, sizeof(log_path), "%s/%s", o->work_path ? o->work_path : o->image_path,
		request.log_file);
	if (c->cgroup_path[0])
		request.freeze_cgroup = c->cgroup_path;
	if (r == 0)
		r = criu_start(&setup, &criu, err);
	if (r < 0)
		return r;
	r = criu_converse(&criu, &request, log_path, on_dump_step, c, NULL, err);
	criu_end(&criu);
	return r;
}

/* A criu that died half-way may have left the container frozen. */
static void go_on(struct checkpointing *c)
{
	struct err ignored = {};
	bool frozen = false;

	if (c->cgroup && c->status == CONTAINER_RUNNING &&
		cgroup_is_frozen(c->cgroup, &frozen, &ignored) == 0 && frozen)
		cgroup_thaw(c->cgroup, THAW_MS, &ignored);
}

/* criu has killed the processes; the init is its parent's to reap. */
static int wait_end(const struct checkpointing *c, struct err *err)
{
	struct pollfd fd = {.fd = c->container.pidfd, .events = POLLIN};
	int r = sys_poll(&fd, 1, END_MS);

	if (r == 0)
		return err_set(err, -ETIMEDOUT, "its process %d does not end", c->container.pid);
	return r < 0 ? err_sys(err, r, "wait for its end") : 0;
}

/* Without criu: the backend writes what it has made. A container that shall end ends stopped. */
static int checkpoint_by_backend(struct checkpointing *c, struct err *err)
{
	const struct checkpoint_options *o = c->options;
	const struct backend *backend = container_backend(&c->container);
	bool was_running = c->status == CONTAINER_RUNNING;
	struct err ignored = {};
	int r;

	if (o->pre_dump || o->parent_path || o->flags.page_server.address)
		return err_set(err, -ENOTSUP,
			"%s: not with isolation \"%s\": a checkpoint is always whole",
			o->pre_dump      ? "--pre-dump"
			: o->parent_path ? "--parent-path"
					 : "--page-server",
			backend->name);
	r = step_directories(c, err);
	if (r == 0 && was_running)
		r = backend->freeze(&c->container, err);
	if (r < 0)
		return r;
	r = backend->checkpoint(&c->container, c->images_fd, err);
	if (r == 0 && !o->leave_running) {
		r = container_signal(&c->container, SIGKILL, err);
		return r < 0 ? r : wait_end(c, err);
	}
	if (was_running && r < 0)
		backend->thaw(&c->container, &ignored);
	else if (was_running)
		r = backend->thaw(&c->container, err);
	return r;
}

static int checkpoint(struct checkpointing *c, struct err *err)
{
	const struct checkpoint_options *o = c->options;
	int r = step_look(c, err);

	if (r == 0 && container_backend(&c->container)) {
		r = checkpoint_by_backend(c, err);
		return r < 0 ? err_add(err, "checkpoint container \"%s\"", o->id) : 0;
	}
	if (r == 0)
		r = criu_find(&c->program, err);
	if (r == 0)
		r = step_directories(c, err);
	if (r == 0)
		r = step_mounts(c, err);
	if (r == 0)
		r = step_streams(c, err);
	if (r == 0)
		r = step_namespaces(c, err);
	if (r == 0)
		r = step_cgroup(c, err);
	if (r == 0)
		r = write_images_file(c, err);
	if (r < 0)
		return r;
	r = dump(c, err);
	if (r < 0)
		go_on(c);
	else if (!o->leave_running && !o->pre_dump)
		r = wait_end(c, err);
	return r < 0 ? err_add(err, "checkpoint container \"%s\"", o->id) : 0;
}

int container_checkpoint(
	const struct runtime *rt, const struct checkpoint_options *options, struct err *err)
{
	struct checkpointing c = {
		.rt = rt,
		.options = options,
		.container = {.dirfd = -1, .pidfd = -1},
		.images_fd = -1,
		.work_fd = -1,
	};
	int r = checkpoint(&c, err);

	cleanup_close(&c.images_fd);
	cleanup_close(&c.work_fd);
	cgroup_free(c.cgroup);
	container_close(&c.container);
	spec_config_free(c.config);
	arena_free(&c.arena);
	return r;
}
