/* SPDX-License-Identifier: Apache-2.0 */
/* Process: parent. Creating a container: everything that needs the host's identity, in order. */
#include "base/fd.h"
#include "base/process.h"
#include "base/sys.h"
#include "netns/devices.h"
#include "runtime/making.h"
#include "runtime/parent_sources.h"
#include "runtime/rdt.h"
#include "runtime/sync.h"
#include "runtime/userns.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

/* ---- sockets ---- */

static int open_listener(struct making *m, struct err *err)
{
	int sock = sys_socket_unix(SOCK_SEQPACKET), r = sock;

	if (r >= 0)
		r = sys_bind_unix(sock, m->container.dirfd, "start.sock");
	if (r >= 0)
		r = sys_listen(sock, 1);
	m->launch.start_listener = sock;
	return r < 0 ? err_sys(err, r, "container \"%s\": make start.sock", m->options->id) : 0;
}

static int step_sockets(struct making *m, struct err *err)
{
	int fds[2], r = sys_socketpair(SOCK_SEQPACKET, fds);

	if (r < 0)
		return err_sys(err, r, "make a socketpair");
	m->sync = fds[0], m->stages_sync = fds[1];
	if (!m->run)
		r = open_listener(m, err);
	if (r == 0 && (!m->run || m->options->detach) && m->config->process->terminal &&
		!m->options->console_socket)
		return err_set(err, -EINVAL, "process.terminal: %s needs --console-socket for it",
			m->run ? "run --detach" : "create");
	if (r == 0)
		r = parent_open_console(m->options->console_socket, m->config->process->terminal,
			&m->console, &m->stages_console, err);
	if (r == 0)
		r = parent_seccomp_socket(
			m->applied, &m->seccomp, &m->launch.user.seccomp_socket, err);
	return r < 0 ? r : hooks_open_output(m->config, &m->launch.hooks_output, err);
}

/* ---- the clone ---- */

/*
 * Whether something comes between the making and the start: another command; what the outside is
 * told, which must not be of a container that fails; a terminal to be taken; and moved devices can
 * only go back while the creation is not over. Otherwise init need not stop for us.
 */
static bool waits_for_created(const struct making *m)
{
	return !m->run || m->options->pid_file || m->options->pidfd_socket || m->console >= 0 ||
	       m->config->linux_.net_devices.count;
}

static void fill_launch(struct making *m)
{
	struct launch *l = &m->launch;
	const struct spec_linux *linux_ = &m->config->linux_;

	l->rt = m->rt;
	l->plan = &m->plan;
	l->sources = &m->sources;
	l->cgroup = m->cgroup;
	l->run = m->run;
	l->layers = m->options->layers;
	l->layer_count = m->options->layer_count;
	l->tell_created = waits_for_created(m);
	l->cgroup_path = m->cgroup_path[0] ? m->cgroup_path : NULL;
	l->sync = m->stages_sync;
	l->console_socket = m->stages_console;
	l->images = m->options->images;
	/* Behind a relay it must not speak before that one has told its pid; and a machine takes
	 * the network as it finds it. */
	l->wait_mapped = m->plan.relay || m->plan.id_map != PLAN_ID_MAP_NONE ||
			 linux_->net_devices.count || (m->backend && m->options->connect.call);
	l->user.container = &m->container;
	l->user.config = m->config;
	l->user.process = m->config->process;
	l->user.procfd = m->rt->procfd;
	l->user.preserve_fds = m->options->preserve_fds;
	l->user.activation = &m->options->activation;
	l->user.keyring = m->options->no_new_keyring ? NULL : m->options->id;
	l->user.setgroups_denied =
		m->plan.deny_setgroups ||
		(!m->rt->host.privileged && stage_setgroups_denied(m->rt->procfd, getpid()));
	l->user.seccomp = m->applied->linux_.seccomp ? &m->seccomp : NULL;
}

static int serve_relay(struct making *m, pid_t relay, struct err *err)
{
	struct sync_message message;
	int r = 0;

	if (m->plan.id_map != PLAN_ID_MAP_NONE) {
		r = sync_expect(m->sync, SYNC_RELAYED, &message, err);
		if (r == 0)
			r = userns_write_maps(&m->plan, m->rt->procfd, relay, err);
		if (r == 0)
			r = sync_send(m->sync, SYNC_MAPPED, 0, err);
	}
	if (r == 0)
		r = sync_expect(m->sync, SYNC_INIT_PID, &message, err);
	if (r < 0) {
		sys_kill(relay, SIGKILL);
	} else {
		m->pid = message.pid;
		m->pidfd = sys_pidfd_open(m->pid, 0);
	}
	sys_waitpid(relay, NULL, 0);
	if (r == 0 && m->pidfd < 0)
		return err_sys(err, m->pidfd, "open the container's process");
	return r;
}

static int clone_relay(struct making *m, struct clone_args *args, struct err *err)
{
	/* The relay goes into the cgroup and init inherits it: once in another user namespace,
	 * nobody may put it there. */
	struct clone_args relay_args = {
		.flags = CLONE_CLEAR_SIGHAND | (args->flags & CLONE_INTO_CGROUP),
		.cgroup = args->cgroup,
		.exit_signal = SIGCHLD,
	};
	pid_t relay;

	args->flags &= ~(uint64_t)(CLONE_PIDFD | CLONE_INTO_CGROUP);
	args->pidfd = args->cgroup = 0;
	relay = sys_clone3(&relay_args);
	if (relay == 0) {
		cleanup_close(&m->sync);
		relay_main(&m->launch, args);
	}
	return relay < 0 ? err_sys(err, relay, "clone the container's process")
			 : serve_relay(m, relay, err);
}

static _Noreturn void become_init(struct making *m)
{
	cleanup_close(&m->sync); /* so that our death is an end of file */
	if (m->backend)
		m->backend->init_main(&m->launch);
	init_main(&m->launch);
}

/*
 * A user's process that is outside of his manager's cgroups may not start one there, but the
 * manager may fetch it: so init waits for that, as it does for its id maps.
 */
static int clone_and_attach(struct making *m, struct clone_args *args, struct err *err)
{
	args->flags &= ~(uint64_t)CLONE_INTO_CGROUP;
	args->cgroup = 0;
	m->launch.wait_mapped = true;
	m->pid = sys_clone3(args);
	if (m->pid == 0)
		become_init(m);
	if (m->pid < 0) {
		int r = m->pid;

		m->pid = 0;
		return err_sys(err, r, "clone the container's process");
	}
	return cgroup_attach(m->cgroup, m->pid, err);
}

static int clone_init(struct making *m, struct clone_args *args, struct err *err)
{
	pid_t pid = sys_clone3(args);

	if (pid == 0)
		become_init(m);
	if (pid == -EACCES && m->cgroup->driver == CGROUP_SYSTEMD && m->cgroup->rootless)
		return clone_and_attach(m, args, err);
	if (pid < 0)
		return err_sys(err, pid, "clone the container's process");
	m->pid = pid;
	return 0;
}

static int step_clone(struct making *m, struct err *err)
{
	struct clone_args args = {
		.flags = m->plan.new_namespaces | CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
		.pidfd = (uint64_t)(uintptr_t)&m->pidfd,
		.exit_signal = SIGCHLD,
	};
	int r;

	fill_launch(m);
	if (m->cgroup->dirfd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)m->cgroup->dirfd;
	}
	r = m->plan.relay ? clone_relay(m, &args, err) : clone_init(m, &args, err);
	cleanup_close(&m->stages_console);
	cleanup_close(&m->stages_sync);
	return r;
}

/* ---- what the parent does for the waiting init ---- */

/* The init may take its time: hooks of the container, a file system that does not answer. */
static int expect(struct making *m, enum sync_type type, struct err *err)
{
	int r = cancel_wait(m->rt->cancel, m->sync, err);

	return r < 0 ? r : sync_expect(m->sync, type, NULL, err);
}

static int set_oom_score(struct making *m, struct err *err)
{
	const struct opt_i64 *score = &m->config->process->oom_score_adj;
	char name[40], value[24];
	int r;

	if (!score->set)
		return 0;
	snprintf(name, sizeof(name), "%d/oom_score_adj", m->pid);
	snprintf(value, sizeof(value), "%lld", (long long)score->value);
	r = fd_write_file(m->rt->procfd, name, value);
	return r < 0 ? err_sys(err, r, "process.oomScoreAdj: %s", value) : 0;
}

static int serve_hooks(struct making *m, struct err *err)
{
	const struct spec_hooks *hooks = &m->config->hooks;
	int r;

	if (!hooks->prestart.count && !hooks->create_runtime.count)
		return 0;
	r = expect(m, SYNC_HOOKS, err);
	if (r == 0)
		r = making_run_hooks(m, &hooks->prestart, "prestart", CONTAINER_CREATING, err);
	if (r == 0)
		r = making_run_hooks(
			m, &hooks->create_runtime, "createRuntime", CONTAINER_CREATING, err);
	return r < 0 ? r : sync_send(m->sync, SYNC_HOOKS_DONE, 0, err);
}

/* Its group is recorded before anybody is in it: delete --force finds it from then on. */
static int join_rdt(struct making *m, struct err *err)
{
	const struct spec_intel_rdt *rdt = m->config->linux_.intel_rdt;
	autoclose int top = -1;
	int r;

	if (!rdt)
		return 0;
	r = top = rdt_open(err);
	if (r >= 0)
		r = rdt_create(top, m->options->id, rdt, &m->arena, &m->rdt_path, err);
	if (r == 0)
		r = making_record(m, 0, err);
	return r < 0 ? r : rdt_enter(top, m->options->id, rdt, m->pid, err);
}

/* The namespace that init will be in: its own since the clone, or the one that it will join. */
static int open_network_namespace(const struct making *m, struct err *err)
{
	char name[32];
	int fd;

	for (size_t i = 0; i < m->plan.njoins; i++) {
		if (m->plan.joins[i].type != CLONE_NEWNET)
			continue;
		fd = sys_openat(AT_FDCWD, m->plan.joins[i].path, O_RDONLY, 0);
		return fd < 0 ? err_sys(err, fd, "linux.namespaces: open %s", m->plan.joins[i].path)
			      : fd;
	}
	snprintf(name, sizeof(name), "%d/ns/net", m->pid);
	fd = sys_openat(m->rt->procfd, name, O_RDONLY, 0);
	return fd < 0 ? err_sys(err, fd, "open the container's network namespace") : fd;
}

static int move_net_devices(struct making *m, struct err *err)
{
	const struct spec_linux *linux_ = &m->config->linux_;
	autoclose int netns = -1;

	if (!linux_->net_devices.count)
		return 0;
	netns = open_network_namespace(m, err);
	if (netns < 0)
		return netns;
	return netns_devices_move(
		linux_->net_devices.items, linux_->net_devices.count, netns, &m->net_devices, err);
}

/* Before it gives up being dumpable: after that only root may look at its namespaces. */
static int connect_network(struct making *m, struct err *err)
{
	const struct create_connect *connect = &m->options->connect;
	autoclose int netns = -1, userns = -1;
	char name[32];
	int r;

	if (!connect->call)
		return 0;
	snprintf(name, sizeof(name), "%d/ns/net", m->pid);
	r = netns = sys_openat(m->rt->procfd, name, O_RDONLY, 0);
	snprintf(name, sizeof(name), "%d/ns/user", m->pid);
	if (r >= 0)
		r = userns = sys_openat(m->rt->procfd, name, O_RDONLY, 0);
	return r < 0 ? err_sys(err, r, "open the container's namespaces")
		     : connect->call(connect->context, netns, userns, err);
}

static int step_serve(struct making *m, struct err *err)
{
	unsigned long long start_time;
	int r = cgroup_settle(m->cgroup, err);

	if (r == 0 && m->plan.id_map != PLAN_ID_MAP_NONE && !m->plan.relay)
		r = userns_write_maps(&m->plan, m->rt->procfd, m->pid, err);
	if (r == 0)
		r = connect_network(m, err);
	if (r == 0)
		r = set_oom_score(m, err);
	if (r == 0)
		r = join_rdt(m, err);
	if (r == 0)
		r = move_net_devices(m, err);
	if (r == 0 && m->launch.wait_mapped)
		r = sync_send(m->sync, SYNC_MAPPED, 0, err);
	if (r < 0)
		return r;
	r = process_start_time(m->rt->procfd, m->pid, &start_time, NULL);
	if (r < 0)
		return err_sys(err, r, "look at the container's process");
	r = making_record(m, start_time, err);
	if (r == 0)
		r = serve_hooks(m, err);
	if (r == 0 && m->launch.tell_created)
		r = expect(m, SYNC_CREATED, err);
	return r < 0 || m->run ? r : cancel_take(m->rt->cancel, err);
}

/* ---- all of it ---- */

static int make(struct making *m, struct err *err)
{
	int r = making_read(m, err);

	if (r == 0)
		r = making_plan(m, err);
	if (r == 0)
		r = parent_seccomp(m->rt, m->applied, &m->seccomp, err);
	if (r == 0 && m->plan.request.sources.enter)
		r = parent_open_sources(&m->plan, m->rt->procfd, &m->sources, err);
	else if (r == 0 && !m->plan.sources_by_init)
		r = mounts_open_sources(&m->plan, m->rt->procfd, &m->sources, err);
	if (r == 0)
		r = making_reserve(m, err);
	if (r == 0 && m->backend)
		r = m->backend->prepare(m->config, &m->arena, err);
	if (r == 0)
		r = making_cgroup(m, err);
	if (r == 0)
		r = making_apply_cgroup(m, err);
	if (r == 0)
		r = step_sockets(m, err);
	if (r == 0 && !m->rt->rootless) {
		/* C3: nobody in the container may look into a process of ours. */
		r = sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
		if (r < 0)
			err_sys(err, r, "prctl(PR_SET_DUMPABLE)");
	}
	if (r == 0)
		r = step_clone(m, err);
	if (r == 0)
		r = step_serve(m, err);
	return r;
}

static int create(const struct runtime *rt, const struct create_options *options, bool run,
	struct created *ret, struct err *err)
{
	struct making m;
	int master = -1, r;

	making_begin(&m, rt, options);
	m.run = run;
	r = make(&m, err);

	if (r == 0)
		r = parent_take_master(&m.console, &master, err);
	if (r == 0)
		r = making_publish(&m, err);
	if (r < 0) {
		cleanup_close(&master);
		making_roll_back(&m);
	} else {
		if (!m.backend)
			parent_warn_ungranted(rt, m.config, m.config->process);
		making_hand_over(&m, master, ret);
	}
	making_close(&m);
	return r;
}

int container_create(
	const struct runtime *rt, const struct create_options *options, struct err *err)
{
	struct created created;
	int r = create(rt, options, false, &created, err);

	if (r == 0)
		created_close(&created);
	return r;
}

int container_create_for_run(const struct runtime *rt, const struct create_options *options,
	struct created *ret, struct err *err)
{
	return create(rt, options, true, ret, err);
}

void created_close(struct created *created)
{
	cleanup_close(&created->sync);
	cleanup_close(&created->master);
	cleanup_close(&created->pidfd);
	container_close(&created->container);
	cgroup_free(created->cgroup);
	created->cgroup = NULL;
	spec_config_free(created->config);
	created->config = NULL;
}
