/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process: the attendant, the container's first process as the host sees it. Starts the virtual
 * machine, waits for start, passes on what comes from either side, and ends as the container does.
 */
#include "runtime/microvm/host/attendant.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/jail.h"
#include "base/sys.h"
#include "netns/loopback.h"
#include "runtime/microvm/host/attend.h"
#include "runtime/microvm/host/files.h"
#include "runtime/microvm/host/machine.h"
#include "runtime/microvm/host/saved.h"
#include "runtime/microvm/host/template.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Users that nobody else has: above all that systemd and subuid ranges give out, one for each. */
enum { UID_BASE = 0x70000000, UID_MASK = 0x3fffff };

struct attendant {
	struct attend attend; /* first */
	const struct launch *launch;
	struct arena arena;
	struct vm_plan plan;
	struct vm_machine machine;
	struct proto_setup setup;
	struct nets nets;
	struct saved saved; /* its .files −1: it boots */
	struct vfio_devices vfio;
	int state, files, reason;
	int memory_max; /* of the host's cgroup, to be written to; −1: it has none */
	int starter;    /* who said start, until it is answered */
	bool started;
	struct ucred creator;
};

int attendant_plan(
	const struct spec_config *config, struct arena *arena, struct vm_plan *ret, struct err *err)
{
	cpu_set_t set;
	int count = sched_getaffinity(0, sizeof(set), &set) < 0 ? 1 : CPU_COUNT(&set);

	return vm_plan_make(config, (unsigned int)count, arena, ret, err);
}

/* ---- with privileges ---- */

static int enter_namespaces(struct attendant *a, struct err *err)
{
	const struct launch *l = a->launch;
	int r = sys_getpeercred(l->sync, &a->creator);

	if (r < 0)
		return err_sys(err, r, "look who made this process");
	r = l->wait_mapped ? sync_expect(l->sync, SYNC_MAPPED, NULL, err) : 0;
	if (r == 0)
		r = stage_join(l->plan, err);
	if (r == 0 && (l->plan->new_namespaces & CLONE_NEWNET))
		r = netns_raise_loopback(err);
	if (r == 0)
		r = cgroup_enter_delegated(l->cgroup, 0, err);
	if (r < 0)
		return r;
	r = sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	return r < 0 ? err_sys(err, r, "a mount namespace") : 0;
}

static int run_hooks(const struct attendant *a, struct err *err)
{
	const struct launch *l = a->launch;
	const struct spec_hooks *hooks = &l->user.config->hooks;
	autobuf struct buf text = {};
	autojson json_t *state = NULL;
	pid_t pid;
	int r = 0;

	if (hooks->prestart.count || hooks->create_runtime.count) {
		r = sync_send(l->sync, SYNC_HOOKS, 0, err);
		if (r == 0)
			r = sync_expect(l->sync, SYNC_HOOKS_DONE, NULL, err);
	}
	if (r < 0 || !hooks->create_container.count)
		return r;
	r = stage_host_pid(l->user.procfd, &pid, err);
	if (r < 0)
		return r;
	state = container_state_json(l->user.container, l->user.config, CONTAINER_CREATING, pid);
	if (!state || json_write(state, JSON_COMPACT, &text) < 0)
		return err_sys(err, -ENOMEM, "createContainer hooks");
	return hooks_run(&hooks->create_container, "createContainer", buf_str(&text),
		&l->hooks_output, NULL, err);
}

static int open_state(struct attendant *a, struct err *err)
{
	const struct launch *l = a->launch;
	char path[PATH_MAX];
	int r;

	/* By path: what is mounted there must be of this process's own mount namespace. */
	if (snprintf(path, sizeof(path), "%s/%s", l->rt->root, l->user.container->id) >=
		(int)sizeof(path))
		return err_sys(err, -ENAMETOOLONG, "--root");
	r = a->state = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (r >= 0)
		r = a->reason = sys_openat(
			a->state, "reason", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (r >= 0 && l->cgroup->dirfd >= 0)
		a->memory_max = sys_openat(l->cgroup->dirfd, "memory.max", O_WRONLY, 0);
	return r < 0 ? err_sys(err, r, "container \"%s\"", l->user.container->id) : 0;
}

/* #syscalls:attendant getrandom uname */
static int fill_setup(struct attendant *a, struct err *err)
{
	struct utsname host;

	snprintf(a->setup.id, sizeof(a->setup.id), "%s", a->launch->user.container->id);
	a->setup.layer_count = (uint32_t)a->launch->layer_count;
	a->setup.clock_ns = clock_realtime_ns();
	if (getrandom(a->setup.seed, sizeof(a->setup.seed), 0) != sizeof(a->setup.seed))
		return err_sys(err, -EIO, "random numbers");
	/* Who shares the host's name sees it. */
	if (!spec_find_namespace(a->launch->user.config, CLONE_NEWUTS) && uname(&host) == 0)
		snprintf(a->setup.hostname, sizeof(a->setup.hostname), "%s", host.nodename);
	return 0;
}

static bool wants_template(const struct attendant *a)
{
	const char *wish = spec_annotation(a->launch->user.config, "org.brig.template");

	/* One that has disks or devices of its own would need a template with those; guests of its
	 * own cannot be saved. */
	if (a->launch->layer_count || a->vfio.count || a->plan.tuning.nested)
		return false;
	return a->launch->rt->vm_template || (wish && strcmp(wish, "true") == 0);
}

/* What the machine is made from instead of a boot, if anything. */
static int open_saved(struct attendant *a, struct machine_options *options, struct err *err)
{
	const struct launch *l = a->launch;
	int r = 0;

	if (l->images) {
		r = saved_open(l->images, &a->saved, err);
		if (r == 0)
			r = saved_apply(&a->saved, l->user.process->terminal, &a->setup, err);
	} else if (wants_template(a)) {
		r = template_open(options, &(struct template_maker){l->user.procfd, a->creator.pid},
			&a->saved.files, err);
		template_setup(&a->setup);
	} else {
		return 0;
	}
	options->restore = &a->saved.files;
	return r;
}

static int start_machine(struct attendant *a, struct err *err)
{
	const uid_t uid = UID_BASE | ((uid_t)getpid() & UID_MASK);
	struct machine_options options = {
		.plan = &a->plan,
		.state = a->state,
		.files = a->files,
		.nets = &a->nets,
		.vfio = &a->vfio,
		.layers = a->launch->layers,
		.layer_count = a->launch->layer_count,
		.uid = uid,
	};
	const struct spec_process *process = a->launch->user.process;
	int r = open_saved(a, &options, err);

	if (r == 0)
		r = saved_describe(a->state, process->terminal, &a->setup, err);
	if (r == 0)
		r = machine_start(&a->machine, &options, err);
	saved_close(&a->saved);
	nets_close(&a->nets);
	vfio_devices_close(&a->vfio);
	cleanup_close(&a->files);
	if (r == 0)
		r = attend_open(&a->attend, a->launch->user.procfd, a->state, MACHINE_SOCKET,
			process->terminal, process->console_size, a->launch->console_socket, err);
	if (r < 0)
		return r;
	/* Its mount namespace is a copy of the creator's: what is unmounted there would stay here,
	 * and keep file systems busy for as long as the container lives. Monitor and file server
	 * may still need that one, until they are in namespaces of their own. */
	r = sys_unshare(CLONE_NEWNS);
	if (r == 0)
		r = jail_empty_root();
	return r < 0 ? err_sys(err, r, "leave the host's files") : attend_unprivilege(uid, err);
}

/* C2: while it waits, it holds nothing of the host's but what it still needs, and can get nothing.
 */
static int seal(struct attendant *a, struct err *err)
{
	int keep[7] = {a->launch->sync, a->launch->start_listener, a->reason, a->memory_max};

	machine_descriptors(&a->machine, keep + 4);
	a->state = -1;
	return attend_seal(&a->attend, keep, ARRAY_LEN(keep), err);
}

/* ---- without ---- */

static int create(struct attendant *a, struct err *err)
{
	autojson json_t *guest = vm_plan_guest(a->launch->user.config, a->launch->layer_count);
	autobuf struct buf text = {};
	struct link_message answer;
	struct proto_start start;
	int r = guest ? json_write(guest, JSON_COMPACT, &text) : -ENOMEM;

	if (r < 0)
		return err_sys(err, -ENOMEM, "config.json of the guest");
	attend_fill_start(&a->attend, &start);
	r = fill_setup(a, err);
	if (r < 0)
		return r;
	const struct iovec parts[] = {
		{&start, sizeof(start)}, {&a->setup, sizeof(a->setup)}, {text.data, text.len}};

	r = a->launch->images ? link_send(&a->attend.session, PROTO_ADOPT, parts, 2, err)
			      : link_send(&a->attend.session, PROTO_CREATE, parts, 3, err);
	return r < 0 ? r : link_answer(&a->attend.session, &answer, err);
}

/* The machine has ended, or the answer to start came: the word for who waits. */
static void answer_starter(struct attendant *a, const struct err *failure)
{
	if (a->starter >= 0 && failure)
		sync_send_failure(a->starter, failure);
	cleanup_close(&a->starter);
}

static int on_answer(struct attend *attend, const struct link_message *message, struct err *err)
{
	struct attendant *a = (struct attendant *)attend;
	struct err failure = {};

	if (a->starter < 0)
		return err_set(err, -EPROTO, "the guest agent says what makes no sense");
	if (message->type == PROTO_FAILED)
		link_failure(&message->failed, &failure);
	answer_starter(a, failure.code ? &failure : NULL);
	return 0;
}

static int send_start(struct attendant *a, struct err *err)
{
	a->started = true;
	a->attend.watched = -1;
	return link_send(
		&a->attend.session, a->launch->images ? PROTO_THAW : PROTO_START, NULL, 0, err);
}

/*
 * `start` connects. The peer must be who made us (G1): the socket's directory is 0700, and this
 * holds even if it were not.
 */
static int on_connection(struct attend *attend, struct err *err)
{
	struct attendant *a = (struct attendant *)attend;
	autoclose int sock = sys_accept(a->launch->start_listener);
	struct sync_message message = {};
	struct ucred peer;

	if (sock < 0)
		return err_sys(err, sock, "wait for start");
	if (sys_getpeercred(sock, &peer) < 0 || peer.uid != a->creator.uid)
		return 0;
	if (sync_recv(sock, &message) < 0 || message.type != SYNC_START)
		return 0; /* a start that was killed */
	a->starter = take_fd(&sock);
	return send_start(a, err);
}

/* `run` says it on the socket that it has. */
static int on_sync(struct attend *attend, struct err *err)
{
	struct attendant *a = (struct attendant *)attend;
	int r = sync_expect(a->launch->sync, SYNC_START, NULL, err);

	if (r < 0)
		return r;
	a->starter = a->launch->sync;
	return send_start(a, err);
}

static int on_child(struct attend *attend, struct err *err)
{
	struct attendant *a = (struct attendant *)attend;

	return machine_reap(&a->machine) && !attend->ended
		       ? err_set(err, -EPIPE, "the virtual machine has ended")
		       : 0;
}

static int prepare(struct attendant *a, struct err *err)
{
	const struct launch *l = a->launch;
	int r;

	setsid();
	umask(0);
	r = enter_namespaces(a, err);
	if (r == 0)
		r = open_state(a, err);
	if (r == 0)
		r = attendant_plan(l->user.config, &a->arena, &a->plan, err);
	if (r == 0)
		r = a->files = files_build(l->plan, l->sources, a->state, err);
	if (r >= 0)
		r = run_hooks(a, err);
	if (r == 0)
		r = nets_take(&a->nets, &a->setup, err);
	if (r == 0)
		r = vfio_devices_open(&a->plan, &a->vfio, err);
	if (r == 0)
		r = start_machine(a, err);
	if (r == 0)
		r = seal(a, err);
	if (r == 0)
		r = machine_ready(&a->machine, err);
	if (r == 0)
		machine_inflate(&a->machine, a->plan.memory_mib - a->plan.needed_mib);
	if (r == 0)
		r = attend_greet(&a->attend, err);
	return r < 0 ? r : create(a, err);
}

/* Nobody reads it here: `state` shows it, and who started the container may be told. */
static _Noreturn void end_without_word(struct attendant *a)
{
	struct err why = {};

	machine_reason(&a->machine, &why);
	if (a->reason >= 0)
		(void)!fd_write_all(a->reason, why.text, strlen(why.text));
	answer_starter(a, &why);
	machine_stop(&a->machine);
	a->attend.status = SIGKILL; /* as if somebody had pulled the plug */
	for (int i = 0; i < 3; i++)
		pump_close(a->attend.out + i);
	attend_exit(&a->attend);
}

/*
 * Engines look at the cgroup of a container that has ended, whether its kernel had to kill for want
 * of memory. The guest's had to: so the machine, which has no use any more, ends in just that way,
 * and the cgroup's counter is true of it. This process is by far the smallest there, and fits in
 * what is left.
 */
static void end_for_want_of_memory(const struct attendant *a)
{
	static const char little[] = "16777216";

	if (a->attend.oom_kills && a->memory_max >= 0)
		(void)!sys_write(a->memory_max, little, sizeof(little) - 1);
}

void attendant_main(const struct launch *launch)
{
	static struct attendant a; /* large */
	struct launch own = *launch;
	struct err err = {};
	sigset_t none;
	int r;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* The lock is the parent's: as long as we had it open too, nobody else could take it. */
	close(launch->user.container->dirfd);
	a.launch = &own;
	a.state = a.files = a.reason = a.starter = a.memory_max = a.vfio.container = -1;
	a.saved.files = (struct machine_files){-1, -1, -1};
	attend_init(&a.attend);
	machine_init(&a.machine);
	r = prepare(&a, &err);
	if (r == 0 && own.tell_created)
		r = sync_send(own.sync, SYNC_CREATED, 0, &err);
	if (r < 0) {
		sync_send_failure(own.sync, &err);
		machine_stop(&a.machine);
		_exit(err.code == -ENOENT || err.code == -ENOTDIR ? 127 : 126);
	}
	a.attend.on_answer = on_answer;
	a.attend.on_child = on_child;
	if (own.start_listener >= 0) {
		cleanup_close(&own.sync);
		a.attend.watched = own.start_listener;
		a.attend.on_watched = on_connection;
	} else {
		a.attend.watched = own.sync;
		a.attend.on_watched = on_sync;
	}
	if (attend_run(&a.attend, &err) < 0)
		end_without_word(&a);
	answer_starter(&a, NULL);
	end_for_want_of_memory(&a);
	machine_stop(&a.machine);
	attend_exit(&a.attend);
}

/* ---- exec ---- */

static int exec_start(struct attend *t, const struct backend_exec *e, struct err *err)
{
	autojson json_t *process = vm_plan_guest_process(e->json);
	autobuf struct buf text = {};
	struct link_message answer;
	struct proto_start start;
	const struct container *c = e->container;
	int r;

	setsid();
	if (!process || json_write(process, JSON_COMPACT, &text) < 0)
		return err_sys(err, -ENOMEM, "exec");
	r = attend_open(t, c->rt->procfd, c->dirfd, MACHINE_SOCKET, e->process->terminal,
		e->process->console_size, e->console_socket, err);
	if (r == 0)
		r = attend_unprivilege(UID_BASE | ((uid_t)getpid() & UID_MASK), err);
	if (r == 0)
		r = attend_seal(t, &e->sync, 1, err);
	if (r == 0)
		r = attend_greet(t, err);
	if (r < 0)
		return r;
	attend_fill_start(t, &start);
	if (e->cgroup && snprintf(start.cgroup, sizeof(start.cgroup), "%s", e->cgroup) >=
				 (int)sizeof(start.cgroup))
		return err_sys(err, -ENAMETOOLONG, "--cgroup");
	const struct iovec parts[] = {{&start, sizeof(start)}, {text.data, text.len}};

	r = link_send(&t->session, PROTO_EXEC, parts, ARRAY_LEN(parts), err);
	return r < 0 ? r : link_answer(&t->session, &answer, err);
}

void attendant_exec_main(const struct backend_exec *exec)
{
	static struct attend t; /* large */
	struct err err = {};

	attend_init(&t);
	if (exec_start(&t, exec, &err) < 0) {
		sync_send_failure(exec->sync, &err);
		_exit(err.code == -ENOENT || err.code == -ENOTDIR ? 127 : 126);
	}
	close(exec->sync);
	if (attend_run(&t, &err) < 0)
		t.status = SIGKILL; /* with the container */
	attend_exit(&t);
}
