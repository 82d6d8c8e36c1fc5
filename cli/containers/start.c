/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/start.h"

#include "base/fd.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/sys.h"
#include "cli/containers/assemble.h"
#include "cli/containers/egress.h"
#include "cli/containers/idmaps.h"
#include "cli/containers/recorder.h"
#include "cli/containers/start_network.h"
#include "cli/containers/userns.h"
#include "cli/containers/volumes.h"
#include "images/snapshot.h"
#include "runtime/lifecycle.h"
#include "runtime/mounts.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PROFILE_MAX = 4 << 20, HOSTNAME_SIZE = 65, GROUPS_MAX = 256, HOME_SIZE = 1024 };

/* A start on its way. */
struct starting {
	const struct start_context *ctx;
	struct box *box;
	struct arena arena;
	struct assemble_facts facts;
	struct snapshot snapshot;
	struct box_network network;
	int rootfs; /* the detached mount, −1 once the runtime has it */
	/* What its ids are on the host; no ranges: the same. And a user namespace with them, for
	 * mounts that root makes, or −1. */
	struct store_ids ids;
	int userns;
	int denied; /* the egress policy's log, or −1 */
	struct buf profile, config;
};

int start_exit_code(const struct err *err)
{
	if (!strstr(err->text, "exec: \""))
		return 125;
	return err->code == -ENOENT || err->code == -ENOTDIR ? 127 : 126;
}

/* ---- namespaces ---- */

/* The namespace of another container's process, NAME as in /proc/PID/ns. */
static int join_container(struct starting *s, const char *option, const char *other,
	const char *name, struct assemble_namespace *ret, struct err *err)
{
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1};
	char id[RECORD_ID_SIZE];
	int r = boxes_find(s->ctx->boxes, other, id, err);

	if (r < 0)
		return err_add(err, "--%s", option);
	r = container_open(s->ctx->rt, id, false, &c, err);
	if (r < 0 || c.pidfd < 0)
		return err_set(err, -ENOENT, "--%s: container %s does not run", option, other);
	ret->path = arena_printf(&s->arena, "/proc/%d/ns/%s", c.pid, name);
	return ret->path ? 0 : err_sys(err, -ENOMEM, "--%s", option);
}

static int find_namespace(struct starting *s, const char *option, const char *value,
	const char *name, struct assemble_namespace *ret, struct err *err)
{
	if (!value || !*value || strcmp(value, "private") == 0 || strcmp(value, "shareable") == 0)
		return 0;
	if (strcmp(value, "host") == 0) {
		ret->host = true;
		return 0;
	}
	if (strncmp(value, "container:", 10) == 0)
		return join_container(s, option, value + 10, name, ret, err);
	if (strncmp(value, "ns:", 3) == 0) {
		ret->path = value + 3;
		return 0;
	}
	return err_set(err, -EINVAL, "--%s: \"%s\" is none of private, host and container:NAME",
		option, value);
}

static int find_network(struct starting *s, struct err *err)
{
	int r = box_network_reserve(s->ctx, s->box, &s->arena, &s->network, err);

	if (r < 0)
		return r;
	switch ((enum network_mode)s->network.wants.mode) {
	case NETWORK_MODE_HOST:
		s->facts.net.host = true;
		break;
	case NETWORK_MODE_CONTAINER:
		return join_container(
			s, "network", s->network.wants.name, "net", &s->facts.net, err);
	case NETWORK_MODE_PATH:
		s->facts.net.path = s->network.wants.name;
		break;
	case NETWORK_MODE_NETWORKS:
	case NETWORK_MODE_NONE:
	case NETWORK_MODE_PASTA:
		break;
	}
	return 0;
}

static int find_namespaces(struct starting *s, struct err *err)
{
	const struct run_options *o = &s->box->record.options;
	int r = find_network(s, err);

	if (r == 0)
		r = find_namespace(s, "pid", o->pid, "pid", &s->facts.pid, err);
	if (r == 0)
		r = find_namespace(s, "ipc", o->ipc, "ipc", &s->facts.ipc, err);
	if (r == 0)
		r = find_namespace(s, "uts", o->uts, "uts", &s->facts.uts, err);
	return r < 0 ? r
		     : find_namespace(s, "cgroupns", o->cgroupns, "cgroup", &s->facts.cgroup, err);
}

static int find_hostname(struct starting *s, struct err *err)
{
	const char *wanted = s->box->record.options.hostname;
	char name[HOSTNAME_SIZE] = "";

	if (wanted && s->facts.uts.host)
		return err_set(err, -EINVAL, "--hostname: not with --uts host");
	if (wanted && (!*wanted || strlen(wanted) >= HOSTNAME_SIZE))
		return err_set(err, -EINVAL, "--hostname: must have 1 to 64 characters");
	if (!wanted && (s->facts.net.host || s->facts.uts.host))
		gethostname(name, sizeof(name) - 1);
	else if (!wanted)
		snprintf(name, sizeof(name), "%.12s", s->box->id);
	s->facts.hostname = wanted ? wanted : arena_strdup(&s->arena, name);
	return s->facts.hostname ? 0 : err_sys(err, -ENOMEM, "--hostname");
}

/* Those of the record, or for a user those that his files in the store have. */
static int find_ids(struct starting *s, struct err *err)
{
	const struct store_ids *own = store_ids(s->ctx->store);
	static const struct store_id_range root_only = {0, 0, 1};
	struct store_id_range *me;
	int r = box_read_ids(&s->box->record, &s->arena, &s->ids, err);

	if (r < 0 || s->ids.uid_count || !s->ctx->rootless)
		return r;
	s->ids = *own;
	if (!own->single)
		return 0;
	me = arena_array(&s->arena, 2, struct store_id_range);
	if (!me)
		return err_sys(err, -ENOMEM, "ids");
	me[0] = me[1] = root_only;
	me[0].outside = geteuid();
	me[1].outside = getegid();
	s->ids = (struct store_ids){.uids = me, .uid_count = 1, .gids = me + 1, .gid_count = 1};
	return 0;
}

static const struct assemble_id_map *map_facts(
	const struct store_id_range *ranges, size_t count, struct arena *arena)
{
	struct assemble_id_map *maps = arena_array(arena, count + 1, struct assemble_id_map);

	for (size_t i = 0; maps && i < count; i++)
		maps[i] = (struct assemble_id_map){
			ranges[i].inside, ranges[i].outside, ranges[i].count};
	return maps;
}

/* A user namespace of its own, or another's. */
static int find_userns(struct starting *s, struct err *err)
{
	const char *mode = s->box->record.options.userns, *rest;
	struct assemble_namespace other = {};
	int r = find_ids(s, err);

	if (r == 0 && mode && parse_has_prefix(mode, "container:", &rest) && s->ids.uid_count)
		r = join_container(s, "userns", rest, "user", &other, err);
	else if (r == 0 && mode && parse_has_prefix(mode, "ns:", &rest))
		other.path = rest;
	s->facts.userns = other.path;
	s->facts.uids = map_facts(s->ids.uids, s->ids.uid_count, &s->arena);
	s->facts.uid_count = s->ids.uid_count;
	s->facts.gids = map_facts(s->ids.gids, s->ids.gid_count, &s->arena);
	s->facts.gid_count = s->ids.gid_count;
	if (r == 0 && (!s->facts.uids || !s->facts.gids))
		r = err_sys(err, -ENOMEM, "ids");
	return r < 0 || s->ctx->rootless ? r : box_open_userns(&s->box->record, &s->userns, err);
}

/* Whose a file is that belongs to ID of the container, for the process that looks at its files:
 * that of a user has the ids of his store. */
static uint32_t file_owner(const struct starting *s, bool users, uint32_t id)
{
	const struct store_ids *own = store_ids(s->ctx->store);
	uint32_t host = users ? idmaps_outside(s->ids.uids, s->ids.uid_count, id)
			      : idmaps_outside(s->ids.gids, s->ids.gid_count, id);

	if (!s->ctx->rootless)
		return host;
	if (own->single)
		return id;
	return users ? idmaps_inside(own->uids, own->uid_count, host)
		     : idmaps_inside(own->gids, own->gid_count, host);
}

/* ---- files ---- */

/* LOOK: only to read, in a process of its own: an upper layer is mounted "volatile" just once. */
static int mount_rootfs(struct starting *s, bool look, struct err *err)
{
	const struct snapshot_mount_options options = {
		.userns = s->userns,
		.read_only = look,
		.volatile_ = s->box->record.options.remove,
	};
	int r = s->rootfs = snapshot_mount(s->ctx->store, &s->snapshot, &options, err);

	return r < 0 ? err_add(err, "container %s", s->box->record.name) : 0;
}

/* Called by the parent, or by the init of somebody who may mount only in a namespace of his own. */
static int give_rootfs(void *context, struct err *err)
{
	struct starting *s = context;
	int r = 0;

	if (s->rootfs < 0)
		r = store_reopen(s->ctx->store, err);
	if (r == 0 && s->rootfs < 0)
		r = mount_rootfs(s, false, err);
	return r < 0 ? r : take_fd(&s->rootfs);
}

static bool is_empty(int fd)
{
	int copy = sys_openat(fd, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	bool empty = true;

	if (!dir) {
		cleanup_close(&copy);
		return false;
	}
	while (empty && (entry = readdir(dir)))
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	closedir(dir);
	return empty;
}

/* Whether the files of M have the container's own ids on the disk: they are shifted on the way. */
static bool is_shifted(const struct starting *s, const struct record_mount *m)
{
	return s->userns >= 0 && strings_have(&m->options, "idmap");
}

/* What the image has at TARGET, with the ids that a volume is to have. */
static int open_image_at(struct starting *s, const struct record_mount *m, struct err *err)
{
	const struct snapshot_mount_options options = {.userns = -1, .read_only = true};
	autoclose int own = -1;
	int r;

	if (is_shifted(s, m)) {
		r = own = snapshot_mount(s->ctx->store, &s->snapshot, &options, err);
		if (r < 0)
			return err_add(err, "volume %s", m->volume);
	}
	r = path_open(own >= 0 ? own : s->rootfs, m->target, O_RDONLY | O_DIRECTORY);
	return r < 0 && r != -ENOENT && r != -ENOTDIR ? err_sys(err, r, "%s", m->target) : r;
}

/* A volume that nothing was written to yet gets what the image has in its place. */
static int fill_volume(struct starting *s, const struct record_mount *m, struct err *err)
{
	autoclose int to = sys_openat(AT_FDCWD, m->source, O_RDONLY | O_DIRECTORY, 0), from = -1;
	struct stat st;
	int r;

	if (to < 0)
		return err_sys(err, to, "volume %s", m->volume);
	if (!is_empty(to))
		return 0;
	r = from = open_image_at(s, m, err);
	if (r == -ENOENT || r == -ENOTDIR) {
		r = is_shifted(s, m) ? 0
				     : sys_fchownat(to, "", file_owner(s, true, 0),
					       file_owner(s, false, 0), AT_EMPTY_PATH);
		return r < 0 ? err_sys(err, r, "volume %s", m->volume) : 0;
	}
	if (r >= 0)
		r = copyup(from, to, err);
	if (r == 0)
		r = sys_fstat(from, &st);
	if (r == 0)
		r = sys_fchmod(to, st.st_mode & 07777);
	return r < 0 ? err_add(err, "volume %s", m->volume) : 0;
}

/* U: the files belong to whom the container's process is. */
static int give_away(int fd, uint32_t uid, uint32_t gid)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	int r;

	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	r = sys_fchownat(fd, "", uid, gid, AT_EMPTY_PATH);
	while (r == 0 && (entry = readdir(dir))) {
		int sub;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		sub = sys_openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		r = sub >= 0 ? give_away(sub, uid, gid)
			     : sys_fchownat(fd, entry->d_name, uid, gid, AT_SYMLINK_NOFOLLOW);
	}
	closedir(dir);
	return r;
}

static int prepare_mount(struct starting *s, const struct record_mount *m, struct err *err)
{
	bool shifted = is_shifted(s, m);
	uint32_t uid = shifted ? s->facts.user.uid : file_owner(s, true, s->facts.user.uid);
	uint32_t gid = shifted ? s->facts.user.gid : file_owner(s, false, s->facts.user.gid);
	struct stat st;
	int r = 0, fd;

	if (m->type == RECORD_MOUNT_TMPFS)
		return 0;
	r = sys_fstatat(AT_FDCWD, m->source, &st, 0);
	if (r < 0)
		return err_sys(err, r, "mount %s", m->source);
	if (m->copy_up)
		r = fill_volume(s, m, err);
	if (r < 0 || !m->chown)
		return r;
	fd = sys_openat(AT_FDCWD, m->source, O_RDONLY | O_DIRECTORY, 0);
	r = fd >= 0 ? give_away(fd, uid, gid) : sys_fchownat(AT_FDCWD, m->source, uid, gid, 0);
	return r < 0 ? err_sys(err, r, "mount %s: U", m->source) : 0;
}

static int prepare_mounts(struct starting *s, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < s->box->record.mounts.count && r == 0; i++)
		r = prepare_mount(s, &s->box->record.mounts.items[i], err);
	return r;
}

/* What has to be seen to in the container's files before it is assembled. */
static int look_at_files(struct starting *s, struct err *err)
{
	const struct record *record = &s->box->record;
	int r = mount_rootfs(s, s->ctx->rootless, err);

	if (r == 0)
		r = user_find(s->rootfs, record->user, &record->options.groups, &s->arena,
			&s->facts.user, err);
	return r < 0 ? r : prepare_mounts(s, err);
}

/* The answer of the process that did this in a user namespace. */
struct looked {
	int code;
	char text[ERR_TEXT_MAX];
	uint32_t uid, gid, groups[GROUPS_MAX], group_count;
	char home[HOME_SIZE];
};

/* Process: of its own, in a user namespace with the container's ids. */
static _Noreturn void looker(struct starting *s, int sock)
{
	const struct user *user = &s->facts.user;
	struct looked looked = {};
	struct err err = {};

	looked.code = box_enter_userns(s->ctx->store, &err);
	if (looked.code == 0)
		looked.code = look_at_files(s, &err);
	if (looked.code == 0) {
		looked.uid = user->uid;
		looked.gid = user->gid;
		for (size_t i = 0; i < user->group_count && i < GROUPS_MAX; i++)
			looked.groups[looked.group_count++] = user->groups[i];
		snprintf(looked.home, sizeof(looked.home), "%s", user->home);
	}
	snprintf(looked.text, sizeof(looked.text), "%s", err.text);
	fd_send(sock, &looked, sizeof(looked), NULL, 0);
	_exit(0);
}

static int take_looked(struct starting *s, const struct looked *looked, struct err *err)
{
	struct user *user = &s->facts.user;

	if (looked->code < 0)
		return err_set(err, looked->code, "%s", looked->text);
	*user = (struct user){
		.uid = looked->uid,
		.gid = looked->gid,
		.groups = arena_array(&s->arena, looked->group_count, uint32_t),
		.group_count = looked->group_count,
		.home = arena_strdup(&s->arena, looked->home),
	};
	if (!user->groups || !user->home)
		return err_sys(err, -ENOMEM, "--user");
	if (looked->group_count)
		memcpy(user->groups, looked->groups, looked->group_count * sizeof(*user->groups));
	return 0;
}

static int look_from_outside(struct starting *s, struct err *err)
{
	autofree struct looked *looked = calloc(1, sizeof(*looked));
	size_t none = 0;
	ssize_t n;
	int socks[2], r = looked ? sys_socketpair(SOCK_SEQPACKET, socks) : -ENOMEM;
	pid_t pid;

	if (r < 0)
		return err_sys(err, r, "look at the container's files");
	pid = sys_fork();
	if (pid == 0)
		looker(s, socks[1]);
	close(socks[1]);
	n = fd_recv(socks[0], looked, sizeof(*looked), NULL, &none);
	close(socks[0]);
	if (pid > 0)
		sys_waitpid(pid, NULL, 0);
	if (n != sizeof(*looked))
		return err_set(err, -EPIPE, "the look at the container's files has failed");
	return take_looked(s, looked, err);
}

static int read_profile(struct starting *s, struct err *err)
{
	const char *path = assemble_security_option(&s->box->record.options.security, "seccomp");
	autoclose int fd = -1;
	int r;

	if (!path || strcmp(path, "unconfined") == 0 || strcmp(path, "builtin") == 0)
		return 0;
	r = fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_NOCTTY, 0);
	if (r >= 0)
		r = fd_read_all(fd, PROFILE_MAX, &s->profile);
	s->facts.seccomp_profile = buf_str(&s->profile);
	return r < 0 ? err_sys(err, r, "--security-opt seccomp=%s", path) : 0;
}

/* ---- all of it ---- */

/* To the container's root, who may want to write to them. */
static int give_etc(struct starting *s, struct err *err)
{
	const char *const files[] = {
		s->facts.hosts_file, s->facts.resolv_file, s->facts.hostname_file};
	int r = 0;

	for (size_t i = 0; s->ids.uid_count && i < ARRAY_LEN(files) && r == 0; i++)
		if (files[i])
			r = sys_fchownat(AT_FDCWD, files[i], file_owner(s, true, 0),
				file_owner(s, false, 0), AT_SYMLINK_NOFOLLOW);
	return r < 0 ? err_sys(err, r, "/etc") : 0;
}

/* hosts and resolv.conf, with what is known of the network. */
static int write_etc(struct starting *s, struct err *err)
{
	const struct attachment *a = &s->network.attachment;
	char address[ADDRESS_TEXT_MAX] = "", gateway[ADDRESS_TEXT_MAX] = "";
	struct start_names names = {.servers = s->network.attached ? &a->servers : NULL};
	int r;

	if (s->network.attached && a->links.count) {
		address_format(&a->links.items[0].ip, address);
		if (!*address)
			address_format(&a->links.items[0].ip6, address);
	}
	if (s->network.attached)
		address_format(&a->host_gateway, gateway);
	names.address = *address ? address : NULL;
	names.host_gateway = *gateway ? gateway : NULL;
	r = start_write_etc(s->box, &names, &s->arena, &s->facts, err);
	return r < 0 || s->ctx->rootless ? r : give_etc(s, err);
}

static int gather(struct starting *s, struct err *err)
{
	const struct record *record = &s->box->record;
	int r = find_namespaces(s, err);

	s->facts.rootless = s->ctx->rootless;
	s->facts.mqueue = sys_faccessat(AT_FDCWD, "/dev/mqueue", F_OK, 0) == 0;
	s->facts.rootfs = arena_printf(
		&s->arena, "%s/containers/%s/rootfs", s->box->boxes->data_path, s->box->id);
	if (record->options.init)
		s->facts.init_program = arena_printf(&s->arena, "%s/brig-init", s->ctx->libexec);
	if (record->options.record_seccomp)
		s->facts.seccomp_socket = arena_printf(&s->arena,
			"%s/containers/%s/" RECORDER_SOCKET, s->box->boxes->run_path, s->box->id);
	s->facts.cgroups_path = NULL;
	if (record->options.cgroup_parent)
		s->facts.cgroups_path = arena_printf(
			&s->arena, "%s/brig-%s", record->options.cgroup_parent, s->box->id);
	if (r == 0)
		r = find_hostname(s, err);
	if (r == 0)
		r = snapshot_load(s->ctx->store, s->box->id, &s->snapshot, err);
	if (r == 0)
		r = find_userns(s, err);
	if (r == 0)
		r = s->ctx->rootless ? look_from_outside(s, err) : look_at_files(s, err);
	if (r == 0)
		r = start_find_devices(&record->options, &s->arena, &s->facts, err);
	if (r == 0)
		r = write_etc(s, err);
	if (r == 0)
		r = start_give_secrets(s->box, &s->arena, &s->facts, err);
	return r < 0 ? r : read_profile(s, err);
}

static int configure(struct starting *s, struct err *err)
{
	autojson json_t *config = NULL;
	int r = assemble(&s->box->record, &s->facts, &config, err);

	if (r < 0)
		return r;
	r = json_write(config, JSON_COMPACT, &s->config);
	return r < 0 ? err_sys(err, r, "configuration") : 0;
}

/* By the parent, before its program runs. What only the network's drivers know goes into the files
 * now. */
static int connect_network(void *context, int netns, int userns, struct err *err)
{
	struct starting *s = context;
	int r = box_network_apply(s->ctx, s->box, netns, userns, &s->arena, &s->network, err);

	return r < 0 ? r : write_etc(s, err);
}

/* The monitor keeps what holds the ports. */
static void keep_held(struct starting *s, struct started *ret)
{
	struct attach_held *held = &s->network.held;

	for (size_t i = 0; i < held->count && i + 1 < START_HELD_MAX; i++)
		ret->held[ret->held_count++] = held->fds[i];
	held->count = 0;
	ret->has_denied = s->denied >= 0;
	if (ret->has_denied)
		ret->held[ret->held_count++] = take_fd(&s->denied);
}

static int create_and_go(struct starting *s, struct started *ret, struct err *err)
{
	char bundle[PATH_MAX];
	const struct create_options options = {
		.id = s->box->id,
		.bundle = bundle,
		.config_text = buf_str(&s->config),
		.connect = {s->network.attached ? connect_network : NULL, s},
		.rootfs = {give_rootfs, s},
	};
	struct created created;
	int r;

	snprintf(bundle, sizeof(bundle), "%s/containers/%s", s->box->boxes->data_path, s->box->id);
	r = container_create_for_run(s->ctx->rt, &options, &created, err);
	if (r < 0)
		return r;
	r = egress_apply(s->ctx, &s->box->record.options, &created.container,
		s->network.attached ? &s->network.attachment.servers : NULL, &s->denied, err);
	if (r < 0) {
		struct err ignored = {};

		sys_pidfd_send_signal(created.pidfd, SIGKILL);
		sys_waitpid(created.container.pid, NULL, 0);
		container_destroy(&created.container, created.cgroup, created.config, &ignored);
	} else {
		r = container_go(&created, err);
	}
	if (r == 0) {
		ret->pid = created.container.pid;
		ret->master = take_fd(&created.master);
	}
	created_close(&created);
	return r;
}

int box_start(
	const struct start_context *ctx, struct box *box, struct started *ret, struct err *err)
{
	struct starting s = {.ctx = ctx, .box = box, .rootfs = -1, .denied = -1, .userns = -1};
	int r;

	*ret = (struct started){.master = -1};
	/* Of a monitor that was killed: whatever is left of the last time. */
	r = container_delete(ctx->rt, box->id, true, err);
	if (r == 0)
		r = gather(&s, err);
	if (r == 0)
		r = configure(&s, err);
	if (r == 0)
		r = create_and_go(&s, ret, err);
	if (r == 0) {
		keep_held(&s, ret);
	} else if (s.network.attached) {
		struct err ignored = {};

		attach_release(&s.network.held);
		box_network_remove(ctx, box->id, NULL, &ignored);
	}
	cleanup_close(&s.rootfs);
	cleanup_close(&s.userns);
	cleanup_close(&s.denied);
	snapshot_free(&s.snapshot);
	buf_free(&s.profile);
	buf_free(&s.config);
	arena_free(&s.arena);
	return r;
}

/* ---- the end ---- */

static bool was_oom(const struct start_context *ctx, const char *id)
{
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1};
	autocgroup struct cgroup *cgroup = NULL;
	struct cgroup_events events;
	struct cgroup_event_counts counts = {};
	struct err ignored = {};

	if (container_open(ctx->rt, id, false, &c, &ignored) < 0 || !c.json ||
		c.cgroup.driver == CGROUP_DISABLED || container_cgroup(&c, &cgroup, &ignored) < 0 ||
		cgroup_events_open(cgroup, &events, &ignored) < 0)
		return false;
	cgroup_events_read(&events, &counts);
	cgroup_events_close(&events);
	return counts.oom_kill > 0;
}

int box_end(const struct start_context *ctx, const char *id, bool *ret_oom,
	struct end_rest *ret_rest, struct err *err)
{
	int r;

	if (ret_rest)
		*ret_rest = (struct end_rest){};
	*ret_oom = was_oom(ctx, id);
	r = container_delete(ctx->rt, id, true, err);
	if (r < 0)
		return r;
	return box_network_remove(ctx, id, ret_rest ? &ret_rest->links : NULL, err);
}

int box_end_rest(const struct start_context *ctx, const struct end_rest *rest, struct err *err)
{
	struct err other = {};
	int r = box_network_remove_rest(ctx, &rest->links, err);
	int s = snapshot_remove_discarded(ctx->store, rest->snapshot, r < 0 ? &other : err);

	if (r == 0)
		r = s;
	s = *rest->box ? boxes_remove_discarded(ctx->boxes, rest->box, r < 0 ? &other : err) : 0;
	return r < 0 ? r : s;
}

static int remove_volumes(
	const struct start_context *ctx, const struct record *record, struct err *err)
{
	autoclose int volumes = volumes_open(ctx->boxes->data, err);
	int r = volumes < 0 ? volumes : 0;

	for (size_t i = 0; i < record->mounts.count && r == 0; i++) {
		const struct record_mount *m = &record->mounts.items[i];

		if (!m->anonymous || !m->volume)
			continue;
		r = volume_remove(volumes, m->volume, err);
		if (r == -ENOENT)
			r = 0;
	}
	return r;
}

int box_destroy(const struct start_context *ctx, struct box *box, bool volumes,
	struct end_rest *rest, struct err *err)
{
	int r = rest ? snapshot_discard(ctx->store, box->id, rest->snapshot, err)
		     : snapshot_remove(ctx->store, box->id, err);

	if (r == 0 && volumes)
		r = remove_volumes(ctx, &box->record, err);
	if (r < 0 || !rest)
		return r < 0 ? r : box_remove(box, err);
	memcpy(rest->box, box->id, sizeof(rest->box));
	return box_discard(box, err);
}
