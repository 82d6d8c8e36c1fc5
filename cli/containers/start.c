/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/start_private.h"

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
#include "images/fuse.h"
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

enum { PROFILE_MAX = 4 << 20, HOSTNAME_SIZE = 65 };

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

	s->own_ids = s->ctx->rootless && s->ids.uid_count;
	if (r == 0 && s->own_ids && fuse_check(err) < 0)
		return err_add(err, "--userns: the kernel shifts ids of files for root alone");
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

/* ---- files ---- */

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
	return r < 0 || s->ctx->rootless ? r : start_give_etc(s, err);
}

/* All of them, but for root of a user namespace: there the kernel takes no range with others. */
static uint32_t find_last_gid(void)
{
	autoclose int proc = sys_openat(AT_FDCWD, "/proc/self", O_PATH | O_DIRECTORY, 0);
	unsigned int inside, outside, count, end = 0;
	autobuf struct buf text = {};
	const char *line;

	if (proc < 0 || fd_read_file(proc, "gid_map", 64 << 10, &text) < 0)
		return 0;
	for (line = buf_str(&text); line && *line;
		line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		if (sscanf(line, "%u %u %u", &inside, &outside, &count) == 3 && inside == end)
			end += count;
	return end ? (end - 1 > INT32_MAX ? INT32_MAX : end - 1) : 0;
}

static int gather(struct starting *s, struct err *err)
{
	const struct record *record = &s->box->record;
	int r = find_namespaces(s, err);

	s->facts.last_gid = find_last_gid();

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
		r = start_look_at_files(s, err);
	if (r == 0)
		r = start_find_devices(&record->options, &s->arena, &s->facts, err);
	if (r == 0 && s->own_ids) /* those of the last time belong to the container's root */
		start_forget_etc(s->box);
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

	if (r == 0)
		r = write_etc(s, err);
	return r < 0 || !s->own_ids ? r : start_give_etc_as_user(s, err);
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

/* Whether a user's binds are opened with all ids of his store: init cannot reach them, or a secret
 * is to belong to somebody. */
static bool gives_away(const struct starting *s)
{
	bool gives = s->own_ids;

	for (size_t i = 0; i < s->facts.secret_count && s->ctx->rootless; i++)
		gives |= s->facts.secrets[i].uid || s->facts.secrets[i].gid;
	return gives;
}

static int create_and_go(struct starting *s, struct started *ret, struct err *err)
{
	char bundle[PATH_MAX];
	const struct create_options options = {
		.id = s->box->id,
		.bundle = bundle,
		.config_text = buf_str(&s->config),
		.connect = {s->network.attached ? connect_network : NULL, s},
		.rootfs = {start_give_rootfs, s},
		.sources = {gives_away(s) ? start_enter_store : NULL, s},
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
		container_trace_make(&created.container, &ret->trace);
		ret->master = take_fd(&created.master);
	}
	created_close(&created);
	return r;
}

int box_start(
	const struct start_context *ctx, struct box *box, struct started *ret, struct err *err)
{
	struct starting s = {
		.ctx = ctx, .box = box, .rootfs = -1, .denied = -1, .userns = -1, .server = -1};
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
	cleanup_close(&s.server);
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
		r = volume_remove(ctx->store, volumes, m->volume, err);
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
