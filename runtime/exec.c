/* SPDX-License-Identifier: Apache-2.0 */
/* Process: parent, then joiner. One more process in a running container. */
#include "base/fd.h"
#include "base/sys.h"
#include "runtime/attrs/sched.h"
#include "runtime/backend.h"
#include "runtime/lifecycle.h"
#include "runtime/stage.h"
#include "runtime/sync.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* A process in the making, as struct making is for a container. */
struct joining {
	const struct runtime *rt;
	const struct exec_options *options;
	struct container container;
	struct spec_config *config;
	const struct backend *backend; /* of the container, or NULL */
	json_t *json;                  /* the process as JSON, for the backend */
	struct seccomp_program seccomp;
	struct cgroup *cgroup;
	int cgroup_fd;
	unsigned int namespaces; /* CLONE_NEW… that differ from ours */
	struct user_process user;
	int sync, stages_sync, console, stages_console;
	int pidfd;
	pid_t pid;
};

static int check_status(const struct joining *j, struct err *err)
{
	enum container_status status = container_status(&j->container);

	if (status == CONTAINER_PAUSED && !j->options->ignore_paused)
		return err_set(err, -EINVAL,
			"container \"%s\" is paused; resume it, or give --ignore-paused",
			j->container.id);
	if (status == CONTAINER_CREATING || status == CONTAINER_STOPPED)
		return err_set(err, -EINVAL, "container \"%s\" is %s: container not running",
			j->container.id, container_status_name(status));
	return 0;
}

int stage_container_namespaces(const struct container *container, const struct spec_config *config,
	unsigned int *ret, struct err *err)
{
	static const struct {
		const char *name;
		int type;
	} all[] = {
		{"user", CLONE_NEWUSER},
		{"mnt", CLONE_NEWNS},
		{"pid", CLONE_NEWPID},
		{"net", CLONE_NEWNET},
		{"ipc", CLONE_NEWIPC},
		{"uts", CLONE_NEWUTS},
		{"cgroup", CLONE_NEWCGROUP},
		{"time", CLONE_NEWTIME},
	};

	*ret = 0;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		char theirs[64], ours[32];
		struct stat a, b;

		if (!spec_find_namespace(config, all[i].type))
			continue;
		snprintf(theirs, sizeof(theirs), "%d/ns/%s", container->pid, all[i].name);
		snprintf(ours, sizeof(ours), "self/ns/%s", all[i].name);
		if (all[i].type == CLONE_NEWUSER) {
			int r = sys_fstatat(container->rt->procfd, theirs, &a, 0);

			if (r == 0)
				r = sys_fstatat(container->rt->procfd, ours, &b, 0);
			if (r < 0)
				return err_sys(err, r, "container \"%s\": look at its namespaces",
					container->id);
			if (a.st_ino == b.st_ino)
				continue;
		}
		*ret |= (unsigned int)all[i].type;
	}
	return 0;
}

static bool setgroups_denied(const struct joining *j)
{
	char name[32], text[16];

	snprintf(name, sizeof(name), "%d/setgroups", j->container.pid);
	return fd_read_line(j->rt->procfd, name, text, sizeof(text)) > 0 &&
	       strcmp(text, "deny") == 0;
}

static int prepare_joining(struct joining *j, struct err *err)
{
	int r = stage_container_namespaces(&j->container, j->config, &j->namespaces, err);

	return r < 0 ? r : parent_seccomp(j->rt, j->config, &j->seccomp, err);
}

static int prepare_backend(struct joining *j, struct err *err)
{
	if (j->options->preserve_fds)
		return err_set(err, -ENOTSUP,
			"--preserve-fds: a virtual machine cannot have descriptors of the host");
	j->json = spec_process_json(j->options->process);
	return j->json ? 0 : err_set(err, -EINVAL, "exec: arguments and environment must be UTF-8");
}

static int prepare(struct joining *j, struct err *err)
{
	const struct exec_options *o = j->options;
	int fds[2], r = container_open(j->rt, o->id, false, &j->container, err);

	if (r == 0)
		r = check_status(j, err);
	if (r == 0)
		r = container_config(&j->container, &j->config, err);
	j->backend = container_backend(&j->container);
	if (r == 0)
		r = j->backend ? prepare_backend(j, err) : prepare_joining(j, err);
	if (r == 0 && j->container.cgroup.driver != CGROUP_DISABLED) {
		r = container_cgroup(&j->container, &j->cgroup, err);
		if (r == 0)
			r = cgroup_open_for_exec(j->cgroup, j->rt->procfd, j->container.pid,
				j->backend ? NULL : o->cgroup, &j->cgroup_fd, err);
		/* C3: nor may it find them in the process that joins it. */
		cgroup_free(j->cgroup);
		j->cgroup = NULL;
	} else if (r == 0 && o->cgroup) {
		return err_set(err, -ENOTSUP, "--cgroup: the container runs without a cgroup");
	}
	if (r < 0)
		return r;
	r = sys_socketpair(SOCK_SEQPACKET, fds);
	if (r < 0)
		return err_sys(err, r, "make a socketpair");
	j->sync = fds[0], j->stages_sync = fds[1];
	r = parent_open_console(
		o->console_socket, o->process->terminal, &j->console, &j->stages_console, err);
	if (r == 0 && !j->backend)
		r = parent_seccomp_socket(j->config, &j->seccomp, &j->user.seccomp_socket, err);
	return r;
}

/* ---- joiner ---- */

static int make_console(const struct joining *j, struct err *err)
{
	const struct spec_process *process = j->options->process;
	autoclose int pts =
		sys_openat(AT_FDCWD, "/dev/pts", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	autoclose int master = -1, peer = -1;
	int r;

	if (pts < 0)
		return err_sys(err, pts, "open the container's /dev/pts");
	r = console_open(pts, process->console_size, &master, &peer, err);
	if (r == 0 && process->user.uid)
		(void)!sys_fchownat(peer, "", process->user.uid, (gid_t)-1, AT_EMPTY_PATH);
	if (r == 0)
		r = console_send(j->stages_console, master, err);
	return r < 0 ? r : console_attach(peer, err);
}

static int set_oom_score(const struct joining *j, struct err *err)
{
	const struct opt_i64 *score = &j->options->process->oom_score_adj;
	char value[24];
	int r;

	if (!score->set)
		return 0;
	snprintf(value, sizeof(value), "%lld", (long long)score->value);
	r = fd_write_file(j->rt->procfd, "self/oom_score_adj", value);
	return r < 0 ? err_sys(err, r, "process.oomScoreAdj: %s", value) : 0;
}

static int joiner_run(const struct joining *j, struct err *err)
{
	/* The pid namespace was entered by the clone. */
	unsigned int rest = j->namespaces & ~(unsigned int)CLONE_NEWPID;
	int r;

	setsid();
	r = set_oom_score(j, err);
	if (r == 0 && rest) {
		/* One call for all, by pidfd (B2): no path is asked, nobody meets us half inside.
		 */
		r = sys_setns(j->container.pidfd, (int)rest);
		if (r < 0)
			return err_sys(err, r, "join the container's namespaces");
	}
	if (r == 0 && spec_find_namespace(j->config, CLONE_NEWUSER)) {
		r = stage_become_root(j->user.setgroups_denied, err);
		if (r == -EINVAL) { /* root is not mapped: credentials take us further */
			err_clear(err);
			r = 0;
		}
	}
	if (r == 0 && j->stages_console >= 0)
		r = make_console(j, err);
	return r < 0 ? r : user_process_exec(&j->user, err);
}

static _Noreturn void joiner_main(const struct joining *j)
{
	struct err err = {};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	joiner_run(j, &err);
	sync_send_failure(j->stages_sync, &err);
	_exit(err.code == -ENOENT || err.code == -ENOTDIR ? 127 : 126);
}

/*
 * An unprivileged user may enter the pid namespace only together with the user namespace that it
 * belongs to, and then is no longer who the engine talks to: a process of its own does that.
 */
static _Noreturn void joiner_relay(struct joining *j, struct clone_args *args)
{
	const unsigned int first = j->namespaces & (CLONE_NEWUSER | CLONE_NEWPID);
	struct err err = {};
	int r = sys_setns(j->container.pidfd, (int)first);

	if (r < 0) {
		err_sys(&err, r, "join the container's user namespace");
	} else {
		j->namespaces &= ~first;
		args->flags = (args->flags | CLONE_PARENT) & ~(uint64_t)CLONE_PIDFD;
		args->exit_signal = 0;
		args->pidfd = 0;
		r = sys_clone3(args);
		if (r == 0)
			joiner_main(j);
		if (r < 0)
			err_sys(&err, r, "clone the process");
		else if (sync_send(j->stages_sync, SYNC_INIT_PID, r, &err) == 0)
			_exit(0);
	}
	sync_send_failure(j->stages_sync, &err);
	_exit(1);
}

static _Noreturn void backend_main(struct joining *j)
{
	const struct backend_exec exec = {
		.container = &j->container,
		.config = j->config,
		.process = j->options->process,
		.json = j->json,
		.cgroup = j->options->cgroup,
		.ignore_paused = j->options->ignore_paused,
		.sync = j->stages_sync,
		.console_socket = j->stages_console,
	};

	cleanup_close(&j->sync); /* so that our parent's death is an end of file */
	cleanup_close(&j->console);
	j->backend->exec_main(&exec);
}

/* ---- parent ---- */

static int clone_by_relay(struct joining *j, struct clone_args *args, struct err *err)
{
	struct clone_args relay_args = {
		.flags = CLONE_CLEAR_SIGHAND | (args->flags & CLONE_INTO_CGROUP),
		.cgroup = args->cgroup,
		.exit_signal = SIGCHLD,
	};
	struct sync_message message;
	pid_t relay;
	int r;

	args->flags &= ~(uint64_t)CLONE_INTO_CGROUP;
	args->cgroup = 0;
	relay = sys_clone3(&relay_args);

	if (relay == 0)
		joiner_relay(j, args);
	if (relay < 0)
		return err_sys(err, relay, "clone a process");
	r = sync_expect(j->sync, SYNC_INIT_PID, &message, err);
	sys_waitpid(relay, NULL, 0);
	if (r < 0)
		return r;
	j->pid = message.pid;
	r = j->pidfd = sys_pidfd_open(j->pid, 0);
	return r < 0 ? err_sys(err, r, "open the process") : 0;
}

static int clone_joiner(struct joining *j, struct err *err)
{
	const struct spec_cpu_affinity *affinity = j->options->process->exec_cpu_affinity;
	struct clone_args args = {
		.flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
		.pidfd = (uint64_t)(uintptr_t)&j->pidfd,
		.exit_signal = SIGCHLD,
	};
	int r = 0;

	if (j->cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)j->cgroup_fd;
	}
	/* Inherited: the child must not run elsewhere before it is in the container's cpuset. */
	if (affinity)
		r = sched_apply_affinity("process.execCPUAffinity.initial", affinity->initial, err);
	if (r < 0)
		return r;
	if ((j->namespaces & CLONE_NEWUSER) && j->rt->rootless)
		return clone_by_relay(j, &args, err);
	if (j->namespaces & CLONE_NEWPID) {
		r = sys_setns(j->container.pidfd, CLONE_NEWPID);
		if (r < 0)
			return err_sys(err, r, "join the container's pid namespace");
	}
	j->pid = sys_clone3(&args);
	if (j->pid == 0 && j->backend)
		backend_main(j);
	if (j->pid == 0)
		joiner_main(j);
	return j->pid < 0 ? err_sys(err, j->pid, "clone the process") : 0;
}

static int run(struct joining *j, int *ret_master, struct err *err)
{
	int r = prepare(j, err);

	if (r < 0)
		return r;
	j->user.config = j->config;
	j->user.container = &j->container;
	if (!j->backend) {
		j->user.setgroups_denied = setgroups_denied(j);
		j->user.seccomp = j->config->linux_.seccomp ? &j->seccomp : NULL;
	}
	/* C3: from here on nobody in the container may look into this process or its child. */
	r = sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (r < 0)
		return err_sys(err, r, "prctl(PR_SET_DUMPABLE)");
	r = clone_joiner(j, err);
	cleanup_close(&j->stages_sync);
	cleanup_close(&j->stages_console);
	if (r == 0)
		r = sync_expect_end(j->sync, err);
	if (r == 0)
		r = parent_take_master(&j->console, ret_master, err);
	if (r == 0)
		r = parent_publish(
			j->options->pid_file, j->options->pidfd_socket, j->pid, j->pidfd, err);
	if (r < 0 && j->pidfd >= 0) {
		sys_pidfd_send_signal(j->pidfd, SIGKILL);
		sys_waitpid(j->pid, NULL, 0);
	}
	return r;
}

int container_exec(const struct runtime *rt, const struct exec_options *options, pid_t *ret_pid,
	int *ret_pidfd, int *ret_master, struct err *err)
{
	struct joining j = {
		.rt = rt,
		.options = options,
		.container = {.dirfd = -1, .pidfd = -1},
		.cgroup_fd = -1,
		.sync = -1,
		.stages_sync = -1,
		.console = -1,
		.stages_console = -1,
		.pidfd = -1,
		.user =
			{
				.process = options->process,
				.procfd = rt->procfd,
				.preserve_fds = options->preserve_fds,
				.joining = true,
				.seccomp_socket = -1,
			},
	};
	int r = run(&j, ret_master, err);

	if (r == 0) {
		*ret_pid = j.pid;
		*ret_pidfd = take_fd(&j.pidfd);
	}
	cleanup_close(&j.sync);
	cleanup_close(&j.stages_sync);
	cleanup_close(&j.console);
	cleanup_close(&j.stages_console);
	cleanup_close(&j.pidfd);
	cleanup_close(&j.cgroup_fd);
	cleanup_close(&j.user.seccomp_socket);
	seccomp_program_free(&j.seccomp);
	cgroup_free(j.cgroup);
	json_decref(j.json);
	spec_config_free(j.config);
	container_close(&j.container);
	return r;
}
