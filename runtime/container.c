/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/container.h"

#include "base/fd.h"
#include "base/path.h"
#include "base/process.h"
#include "base/sys.h"
#include "runtime/backend.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>

enum { ID_MAX = 255, RECORD_MAX = 1 << 20, CONFIG_MAX = 64 << 20 };

/* ---- the runtime's root ---- */

/* Root of a user namespace, as rootless podman's child, has the user's directory; without one it is
 * root of a container, whose /run is its own. */
static char *default_root(const struct plan_host *host)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	char *root;

	if (!host->privileged && dir && dir[0] == '/')
		return asprintf(&root, "%s/brig-oci", dir) < 0 ? NULL : root;
	if (host->uid == 0)
		return strdup("/run/brig-oci");
	return asprintf(&root, "/tmp/brig-oci-%u", host->uid) < 0 ? NULL : root;
}

static int make_root(const char *path)
{
	autoclose int top = sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0);

	return path_mkdir(top, path, 0700, (uid_t)-1, (gid_t)-1);
}

/* Opens PATH as our directory. One that others may write to is not ours: /tmp is everybody's. */
static int open_root(const char *path, uid_t user, struct err *err)
{
	autoclose int fd = sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
	struct stat st;
	int r;

	if (fd == -ENOENT)
		fd = make_root(path);
	if (fd < 0)
		return err_sys(err, fd, "--root: open %s", path);
	r = sys_fstat(fd, &st);
	if (r < 0)
		return err_sys(err, r, "--root: %s", path);
	if ((st.st_uid != user && st.st_uid != 0) || (st.st_mode & 0022))
		return err_set(err, -EPERM,
			"--root: %s belongs to uid %u with mode %04o; it must be yours, and "
			"writable by "
			"you alone",
			path, st.st_uid, st.st_mode & 07777);
	return take_fd(&fd);
}

static int check_procfs(int fd)
{
	struct statfs fs;
	int r = sys_fstatfs(fd, &fs);

	return r < 0 ? r : fs.f_type == PROC_SUPER_MAGIC ? 0 : -EINVAL;
}

int runtime_open_procfs(struct err *err)
{
	autoclose int fs = sys_fsopen("proc"), fd = -1;
	int r;

	if (fs >= 0 && sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		fd = sys_fsmount(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (fd >= 0)
		return take_fd(&fd);
	fd = sys_openat(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return err_sys(err, fd, "open /proc");
	r = check_procfs(fd);
	if (r < 0)
		return err_set(err, r, "/proc is not a procfs; mount one there");
	return take_fd(&fd);
}

int runtime_open(const struct runtime_options *options, struct runtime *ret, struct err *err)
{
	struct runtime rt = {
		.rootfd = -1,
		.procfd = -1,
		.cgroup_driver = options->cgroup_driver,
		.vm = options->vm,
		.isolation = options->isolation,
		.vm_template = options->vm_template,
	};
	int r = plan_probe_host(&rt.host, err);

	if (r < 0)
		return r;
	rt.rootless = rt.host.uid != 0;
	if (options->root && options->root[0] != '/') {
		autofree char *cwd = getcwd(NULL, 0);

		if (!cwd || asprintf(&rt.root, "%s/%s", cwd, options->root) < 0)
			rt.root = NULL;
	} else {
		rt.root = options->root ? strdup(options->root) : default_root(&rt.host);
	}
	if (!rt.root)
		return err_sys(err, -ENOMEM, "--root");
	r = rt.rootfd = open_root(rt.root, rt.host.uid, err);
	if (r >= 0)
		r = rt.procfd = runtime_open_procfs(err);
	if (r < 0) {
		runtime_close(&rt);
		return r;
	}
	*ret = rt;
	return 0;
}

void runtime_close(struct runtime *rt)
{
	cleanup_free(&rt->root);
	cleanup_close(&rt->rootfd);
	cleanup_close(&rt->procfd);
}

/* ---- one container ---- */

const char *container_status_name(enum container_status status)
{
	static const char *const names[] = {
		[CONTAINER_CREATING] = "creating",
		[CONTAINER_CREATED] = "created",
		[CONTAINER_RUNNING] = "running",
		[CONTAINER_PAUSED] = "paused",
		[CONTAINER_STOPPED] = "stopped",
	};

	return names[status];
}

int container_check_id(const char *id, struct err *err)
{
	size_t n = strlen(id);

	if (!n || n > ID_MAX)
		return err_set(err, -EINVAL, "container id: must have 1 to %d characters", ID_MAX);
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)id[i]) && !strchr("_+-.", id[i]))
			return err_set(err, -EINVAL,
				"container id \"%s\": only letters, digits and _ + - . may be used",
				id);
	if (id[0] == '.')
		return err_set(err, -EINVAL, "container id \"%s\": must not begin with a dot", id);
	return 0;
}

static int init_container(const struct runtime *rt, const char *id, struct container *ret)
{
	*ret = (struct container){.rt = rt, .dirfd = -1, .pidfd = -1, .id = strdup(id)};
	return ret->id ? 0 : -ENOMEM;
}

/*
 * Locks the directory that the name stands for at the end: while we waited, the container may
 * have been deleted and even made anew.
 */
static int lock_dir(const struct runtime *rt, const char *id, int fd)
{
	struct stat mine, there;
	int r = sys_flock(fd, LOCK_EX);

	if (r == 0)
		r = sys_fstat(fd, &mine);
	if (r == 0)
		r = sys_fstatat(rt->rootfd, id, &there, AT_SYMLINK_NOFOLLOW);
	if (r == 0 && mine.st_ino != there.st_ino)
		r = -ENOENT;
	return r;
}

int container_new(const struct runtime *rt, const char *id, struct container *ret, struct err *err)
{
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1};
	int r = container_check_id(id, err);

	if (r < 0)
		return r;
	if (init_container(rt, id, &c) < 0)
		return err_sys(err, -ENOMEM, "container \"%s\"", id);
	r = sys_mkdirat(rt->rootfd, id, 0700);
	if (r == -EEXIST)
		return err_set(err, r,
			"container \"%s\" exists already; delete it or choose another id", id);
	if (r < 0)
		return err_sys(err, r, "make %s/%s", rt->root, id);
	r = c.dirfd = sys_openat(rt->rootfd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (r >= 0)
		r = sys_flock(c.dirfd, LOCK_EX);
	if (r < 0) {
		sys_unlinkat(rt->rootfd, id, AT_REMOVEDIR);
		return err_sys(err, r, "open %s/%s", rt->root, id);
	}
	*ret = c;
	c = (struct container){.dirfd = -1, .pidfd = -1};
	return 0;
}

int container_lock(struct container *c, struct err *err)
{
	int r;

	if (c->dirfd < 0)
		c->dirfd = sys_openat(c->rt->rootfd, c->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	r = c->dirfd < 0 ? c->dirfd : lock_dir(c->rt, c->id, c->dirfd);
	if (r == -ENOENT)
		return err_set(err, r, "container \"%s\" does not exist", c->id);
	return r < 0 ? err_sys(err, r, "container \"%s\": lock it", c->id) : 0;
}

static int damaged(const struct container *c, struct err *err)
{
	return err_set(err, -EINVAL,
		"container \"%s\": state.json is damaged; delete it with --force", c->id);
}

/* A whole number of OBJECT between 0 and MAX; 0 when it is left out. */
static bool number_of(const json_t *object, const char *key, json_int_t max, json_int_t *ret)
{
	const json_t *value = json_object_get(object, key);

	*ret = json_integer_value(value);
	return !value || (json_is_integer(value) && *ret >= 0 && *ret <= max);
}

static int read_members(struct container *c, struct err *err)
{
	const json_t *j = c->json, *cgroup = json_object_get(j, "cgroup");
	json_int_t driver, pid, start_time;
	bool good = (!cgroup || json_is_object(cgroup)) &&
		    number_of(cgroup, "driver", CGROUP_DISABLED, &driver) &&
		    number_of(j, "pid", INT_MAX, &pid) &&
		    number_of(j, "startTime", INT64_MAX, &start_time);

	if (!good)
		return damaged(c, err);

	c->bundle = json_text_of(j, "bundle");
	c->rootfs = json_text_of(j, "rootfs");
	c->created = json_text_of(j, "created");
	c->owner = json_text_of(j, "owner");
	c->intel_rdt = json_text_of(j, "intelRdt");
	c->mount_namespace = json_text_of(j, "mountNamespace");
	c->streams = json_object_get(j, "streams");
	c->rootfs_mount = (uint64_t)json_integer_value(json_object_get(j, "rootfsMount"));
	c->cgroup = (struct cgroup_saved){
		.driver = (enum cgroup_driver)driver,
		.path = json_text_of(cgroup, "path"),
		.top = json_text_of(cgroup, "top"),
		.unit = json_text_of(cgroup, "unit"),
		.delegated = json_text_of(cgroup, "delegated"),
		.inode = (uint64_t)json_integer_value(json_object_get(cgroup, "inode")),
		.rootless = json_is_true(json_object_get(cgroup, "rootless")),
	};
	if (!cgroup)
		c->cgroup.driver = CGROUP_DISABLED;
	c->pid = (pid_t)pid;
	c->start_time = (unsigned long long)start_time;
	c->terminal = json_is_true(json_object_get(j, "terminal"));
	c->vm = json_object_get(j, "isolation") != NULL;
	if (!c->bundle || !c->rootfs || !c->created || !c->owner)
		return damaged(c, err);
	if (c->vm && !c->rt->vm)
		return err_set(err, -ENOTSUP,
			"container \"%s\" is a virtual machine, which this program cannot manage",
			c->id);
	return 0;
}

const struct backend *container_backend(const struct container *c)
{
	return c->vm ? c->rt->vm : NULL;
}

int container_open_root(const struct container *c, bool *ret_bare, struct err *err)
{
	const struct backend *backend = container_backend(c);
	char path[32];
	int fd;

	if (backend) {
		fd = backend->open_root(c, err);
	} else {
		snprintf(path, sizeof(path), "%d/root", c->pid);
		fd = sys_openat(c->rt->procfd, path, O_PATH | O_DIRECTORY, 0);
		if (fd < 0)
			err_sys(err, fd, "container \"%s\": open its root", c->id);
	}
	if (fd >= 0)
		*ret_bare = backend != NULL;
	return fd;
}

int container_parse_record(struct container *c, const char *text, size_t len, struct err *err)
{
	int r = json_parse("state.json", text, len, &c->json, err);

	return r < 0 ? r : read_members(c, err);
}

/* Whether the process PID is still the one that was started then: 1, or 0. */
static int is_alive(const struct runtime *rt, pid_t pid, unsigned long long start_time)
{
	unsigned long long found;
	char state;
	int r = process_start_time(rt->procfd, pid, &found, &state);

	if (r < 0)
		return r == -ESRCH ? 0 : r;
	return found == start_time && state != 'Z' && state != 'X';
}

/* Whether the process of the init's number is still the one that we made: 1, or 0. */
static int is_our_init(const struct container *c)
{
	return is_alive(c->rt, c->pid, c->start_time);
}

/* Opens the init's pidfd, if it lives. That it cannot be found out is an error: a container that
 * runs must not be taken for stopped. */
static int find_init(struct container *c, struct err *err)
{
	autoclose int pidfd = -1;
	int r;

	if (!c->pid)
		return 0;
	r = pidfd = sys_pidfd_open(c->pid, 0);
	if (r == -EINVAL) /* the number is a thread's by now */
		return 0;
	if (r >= 0)
		r = is_our_init(c);
	if (r == -ESRCH)
		return 0;
	if (r < 0)
		return err_sys(err, r, "container \"%s\": look for its process %d", c->id, c->pid);
	if (r)
		c->pidfd = take_fd(&pidfd);
	return 0;
}

static int load_record(struct container *c, struct err *err)
{
	autobuf struct buf text = {};
	int r = fd_read_file(c->dirfd, "state.json", RECORD_MAX, &text);

	if (r == -ENOENT) { /* creating: nothing is recorded yet, nor made */
		c->cgroup.driver = CGROUP_DISABLED;
		return 0;
	}
	if (r < 0)
		return err_sys(err, r, "container \"%s\": read state.json", c->id);
	r = container_parse_record(c, buf_str(&text), text.len, err);
	return r < 0 ? r : find_init(c, err);
}

int container_open(
	const struct runtime *rt, const char *id, bool lock, struct container *ret, struct err *err)
{
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1};
	int r = container_check_id(id, err);

	if (r < 0)
		return r;
	if (init_container(rt, id, &c) < 0)
		return err_sys(err, -ENOMEM, "container \"%s\"", id);
	if (lock)
		r = container_lock(&c, err);
	else
		r = c.dirfd = sys_openat(rt->rootfd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (lock && r < 0)
		return r;
	if (r == -ENOENT)
		return err_set(err, r, "container \"%s\" does not exist", id);
	if (r < 0)
		return err_sys(err, r, "container \"%s\": open %s/%s", id, rt->root, id);
	r = load_record(&c, err);
	if (r < 0)
		return r;
	*ret = c;
	c = (struct container){.dirfd = -1, .pidfd = -1};
	return 0;
}

void container_close(struct container *c)
{
	cleanup_close(&c->dirfd);
	cleanup_close(&c->pidfd);
	cleanup_free(&c->id);
	json_decref(c->json);
	c->json = NULL;
}

int container_record(struct container *c, json_t *record, struct err *err)
{
	autobuf struct buf text = {};
	int r;

	json_decref(c->json);
	c->json = record;
	if (!record || json_write(record, JSON_COMPACT, &text) < 0)
		return err_sys(err, -ENOMEM, "container \"%s\": write state.json", c->id);
	r = fd_replace_file(c->dirfd, "state.json", text.data, text.len, 0600);
	if (r < 0)
		return err_sys(err, r, "container \"%s\": write state.json", c->id);
	return read_members(c, err);
}

int container_cgroup(const struct container *c, struct cgroup **ret, struct err *err)
{
	autocgrouphost struct cgroup_host host = {.rootfd = -1};
	int r = 0;

	if (c->cgroup.driver != CGROUP_DISABLED)
		r = cgroup_host_probe(&host, err);
	host.hand_over = true;
	if (r == 0)
		r = cgroup_open(&c->cgroup, &host, ret, err);
	return r < 0 ? err_add(err, "container \"%s\"", c->id) : 0;
}

static bool is_frozen(const struct container *c)
{
	struct err ignored = {};
	bool frozen = false;

	if (container_backend(c))
		return container_backend(c)->frozen(c);
	return cgroup_saved_is_frozen(&c->cgroup, &frozen, &ignored) == 0 && frozen;
}

enum container_status container_status(const struct container *c)
{
	struct stat st;

	if (!c->json || !c->pid)
		return CONTAINER_CREATING;
	if (c->pidfd < 0)
		return CONTAINER_STOPPED;
	if (sys_fstatat(c->dirfd, "start.sock", &st, AT_SYMLINK_NOFOLLOW) == 0)
		return CONTAINER_CREATED;
	return is_frozen(c) ? CONTAINER_PAUSED : CONTAINER_RUNNING;
}

int container_glance(const struct runtime *rt, const char *id, enum container_status *ret)
{
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1};
	autobuf struct buf text = {};
	struct err ignored = {};
	char name[ID_MAX + 16];
	struct stat st;
	int r = container_check_id(id, &ignored);

	if (r == 0)
		r = init_container(rt, id, &c);
	snprintf(name, sizeof(name), "%s/state.json", id);
	if (r == 0)
		r = fd_read_file(rt->rootfd, name, RECORD_MAX, &text);
	if (r == 0)
		r = container_parse_record(&c, buf_str(&text), text.len, &ignored);
	if (r == 0 && container_backend(&c)) { /* which looks through the directory */
		container_close(&c);
		r = container_open(rt, id, false, &c, &ignored);
		if (r == 0)
			*ret = container_status(&c);
		return r;
	}
	if (r == 0 && c.pid)
		r = is_our_init(&c);
	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "%s/start.sock", id);
	if (!c.pid)
		*ret = CONTAINER_CREATING;
	else if (!r)
		*ret = CONTAINER_STOPPED;
	else if (sys_fstatat(rt->rootfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		*ret = CONTAINER_CREATED;
	else
		*ret = is_frozen(&c) ? CONTAINER_PAUSED : CONTAINER_RUNNING;
	return 0;
}

void container_trace_make(const struct container *c, struct container_trace *ret)
{
	const char *path = c->cgroup.driver == CGROUP_DISABLED ? "" : c->cgroup.path;

	*ret = (struct container_trace){};
	if (c->vm || !c->pid || !c->start_time || !path || strlen(path) >= sizeof(ret->path))
		return;
	ret->pid = c->pid;
	ret->start_time = c->start_time;
	memcpy(ret->path, path, strlen(path) + 1);
	if (process_pidfd_inode(c->pid, &ret->inode) < 0)
		ret->inode = 0;
}

int container_trace_status(const struct runtime *rt, int cgroups,
	const struct container_trace *trace, enum container_status *ret)
{
	bool frozen = false;
	int r = trace->inode ? process_is_inode(trace->pid, trace->inode)
			     : is_alive(rt, trace->pid, trace->start_time);

	if (r > 0 && *trace->path)
		r = cgroups < 0 ? -ENOENT : cgroup_path_is_frozen(cgroups, trace->path, &frozen);
	else if (r == 0)
		r = -ESRCH;
	if (r < 0)
		return r;
	*ret = frozen ? CONTAINER_PAUSED : CONTAINER_RUNNING;
	return 0;
}

int container_config(const struct container *c, struct spec_config **ret, struct err *err)
{
	autobuf struct buf text = {};
	int r = fd_read_file(c->dirfd, "config.json", CONFIG_MAX, &text);

	if (r < 0)
		return err_sys(err, r, "container \"%s\": read config.json", c->id);
	return spec_config_parse("config.json", text.data, text.len, ret, err);
}

json_t *container_state_json(const struct container *c, const struct spec_config *config,
	enum container_status status, pid_t pid)
{
	autojson json_t *annotations = json_object();
	json_t *state;

	for (size_t i = 0; annotations && i < config->annotations.count; i++)
		json_object_set_new(annotations, config->annotations.items[i].key,
			json_string(config->annotations.items[i].value));
	state = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:O}", "ociVersion", "1.3.0", "id",
		c->id, "status", container_status_name(status), "bundle", c->bundle, "rootfs",
		c->rootfs, "created", c->created, "owner", c->owner, "annotations", annotations);
	if (state && pid && json_object_set_new(state, "pid", json_integer(pid)) < 0) {
		json_decref(state);
		return NULL;
	}
	return state;
}

int container_reason(const struct container *c, char *ret, size_t size)
{
	ssize_t n = c->vm ? fd_read_line(c->dirfd, "reason", ret, size) : 0;

	return n < 0 ? 0 : (int)n;
}

int container_signal(const struct container *c, int sig, struct err *err)
{
	int r = c->pidfd < 0 ? -ESRCH : sys_pidfd_send_signal(c->pidfd, sig);

	if (r == -ESRCH)
		return err_set(err, r, "container \"%s\": container not running", c->id);
	return r < 0 ? err_sys(err, r, "container \"%s\": send signal %d", c->id, sig) : 0;
}

int container_each(
	const struct runtime *rt, int (*fn)(const char *id, void *arg), void *arg, struct err *err)
{
	int copy = sys_openat(rt->rootfd, ".", O_RDONLY | O_DIRECTORY, 0), r = 0;
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	struct err ignored = {};

	if (!dir) {
		r = copy < 0 ? copy : -ENOMEM;
		cleanup_close(&copy);
		return err_sys(err, r, "read %s", rt->root);
	}
	/* readdir(3) tells an error from the end by errno alone. */
	while (r == 0 && (errno = 0, entry = readdir(dir)))
		if (entry->d_type == DT_DIR && container_check_id(entry->d_name, &ignored) == 0 &&
			entry->d_name[0] != '.')
			r = fn(entry->d_name, arg);
	if (r == 0 && errno)
		r = err_sys(err, -errno, "read %s", rt->root);
	closedir(dir);
	return r;
}

int container_remove(struct container *c, struct err *err)
{
	int r;

	/* What is usually there, without reading the directory; then whatever else is. */
	sys_unlinkat(c->dirfd, "state.json", 0);
	sys_unlinkat(c->dirfd, "config.json", 0);
	r = sys_unlinkat(c->rt->rootfd, c->id, AT_REMOVEDIR);
	if (r == -ENOTEMPTY) { /* it was never started */
		sys_unlinkat(c->dirfd, "start.sock", 0);
		r = sys_unlinkat(c->rt->rootfd, c->id, AT_REMOVEDIR);
	}
	if (r < 0)
		r = path_remove_tree(c->rt->rootfd, c->id);

	return r < 0 ? err_sys(err, r, "container \"%s\": remove %s/%s", c->id, c->rt->root, c->id)
		     : 0;
}
