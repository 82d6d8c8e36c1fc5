/* SPDX-License-Identifier: Apache-2.0 */
/* Process: parent and entrant. One more process in a running container. */
#include "base/fd.h"
#include "base/process.h"
#include "base/sys.h"
#include "runtime/attrs/sched.h"
#include "runtime/backend.h"
#include "runtime/lifecycle.h"
#include "runtime/stage.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

/* A process in the making, as struct making is for a container. */
struct joining {
	const struct runtime *rt;
	const struct exec_options *options;
	const struct container *container;
	const struct spec_config *config;
	struct container own_container; /* when the caller gave none */
	struct spec_config *own_config;
	const struct backend *backend; /* of the container, or NULL */
	json_t *json;                  /* the process as JSON, for the backend */
	struct seccomp_program seccomp;
	struct cgroup *cgroup;
	int cgroup_fd;
	unsigned int namespaces; /* CLONE_NEW… that differ from ours */
	struct user_process user;
	struct join_report *report; /* shared with entrant and joiner */
	int console, stages_console;
	pid_t child; /* the entrant, or the backend's process */
	int child_pidfd;
	int sync, child_sync; /* ours, and a backend's end of the socketpair */
	pid_t pid;            /* the user's process, or the one that stands for it */
	int pidfd;
};

static int check_status(const struct joining *j, struct err *err)
{
	enum container_status status = container_status(j->container);

	if (status == CONTAINER_PAUSED && !j->options->ignore_paused)
		return err_set(err, -EINVAL,
			"container \"%s\" is paused; resume it, or give --ignore-paused",
			j->container->id);
	if (status == CONTAINER_CREATING || status == CONTAINER_STOPPED)
		return err_set(err, -EINVAL, "container \"%s\" is %s: container not running",
			j->container->id, container_status_name(status));
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

int stage_enter_container(
	const struct container *container, unsigned int namespaces, struct err *err)
{
	autoclose int root = -1;
	char name[32];
	int r = 0;

	if (container->mount_namespace) {
		snprintf(name, sizeof(name), "%d/root", container->pid);
		r = root = sys_openat(container->rt->procfd, name, O_PATH | O_DIRECTORY, 0);
		if (r < 0)
			return err_sys(err, r, "open the container's root");
	}
	/* One call for all, by pidfd (B2): no path is asked, nobody meets us half inside. */
	r = namespaces ? sys_setns(container->pidfd, (int)namespaces) : 0;
	if (r < 0)
		return err_sys(err, r, "join the container's namespaces");
	/* In a mount namespace of its own the container's root is the namespace's. */
	if (root >= 0) {
		r = sys_fchdir(root);
		if (r == 0)
			r = sys_chroot(".");
	}
	return r < 0 ? err_sys(err, r, "enter the container's root") : 0;
}

static int prepare_joining(struct joining *j, struct err *err)
{
	int r = stage_container_namespaces(j->container, j->config, &j->namespaces, err);

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

static int open_sync(struct joining *j, struct err *err)
{
	int fds[2], r = sys_socketpair(SOCK_SEQPACKET, fds);

	if (r < 0)
		return err_sys(err, r, "make a socketpair");
	j->sync = fds[0], j->child_sync = fds[1];
	return 0;
}

static int open_container(struct joining *j, struct err *err)
{
	const struct exec_options *o = j->options;
	int r = 0;

	j->container = o->container;
	j->config = o->config;
	if (!j->container) {
		r = container_open(j->rt, o->id, false, &j->own_container, err);
		j->container = &j->own_container;
	}
	if (r == 0 && !j->config) {
		r = container_config(j->container, &j->own_config, err);
		j->config = j->own_config;
	}
	return r;
}

static int prepare(struct joining *j, struct err *err)
{
	const struct exec_options *o = j->options;
	int r = open_container(j, err);

	if (r == 0)
		r = check_status(j, err);
	if (r == 0)
		j->backend = container_backend(j->container);
	if (r == 0)
		r = j->backend ? prepare_backend(j, err) : prepare_joining(j, err);
	if (r == 0 && j->container->cgroup.driver != CGROUP_DISABLED) {
		r = container_cgroup(j->container, &j->cgroup, err);
		if (r == 0)
			r = cgroup_open_for_exec(j->cgroup, j->rt->procfd, j->container->pid,
				j->backend ? NULL : o->cgroup, &j->cgroup_fd, err);
		cgroup_free(j->cgroup);
		j->cgroup = NULL;
	} else if (r == 0 && o->cgroup) {
		return err_set(err, -ENOTSUP, "--cgroup: the container runs without a cgroup");
	}
	if (r < 0)
		return r;
	j->report = mmap(NULL, sizeof(*j->report), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (j->report == MAP_FAILED) {
		j->report = NULL;
		return err_sys(err, -errno, "mmap");
	}
	r = parent_open_console(
		o->console_socket, o->process->terminal, &j->console, &j->stages_console, err);
	if (r == 0 && j->backend)
		r = open_sync(j, err);
	else if (r == 0)
		r = parent_seccomp_socket(j->config, &j->seccomp, &j->user.seccomp_socket, err);
	return r;
}

/* ---- entrant ---- */

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

static int enter(const struct joining *j, struct err *err)
{
	int r = set_oom_score(j, err);

	if (r < 0)
		return r;
	/* C3: for the joiner, which inherits it. */
	r = sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (r < 0)
		return err_sys(err, r, "prctl(PR_SET_DUMPABLE)");
	r = stage_enter_container(j->container, j->namespaces, err);
	if (r < 0)
		return r;
	if (spec_find_namespace(j->config, CLONE_NEWUSER)) {
		r = stage_become_root(stage_keeps_groups(&j->user), err);
		if (r == -EINVAL) { /* root is not mapped: credentials take us further */
			err_clear(err);
			r = 0;
		}
	}
	if (r == 0 && j->stages_console >= 0)
		r = make_console(j, err);
	return r < 0 ? r : user_process_exec(&j->user, err);
}

static _Noreturn void entrant_main(const struct joining *j)
{
	struct err err = {};

	setsid(); /* keys that are typed are not for us */
	process_hide("brig-oci exec");
	if (enter(j, &err) < 0)
		j->report->err = err;
	_exit(0);
}

static _Noreturn void backend_main(const struct joining *j)
{
	const struct backend_exec exec = {
		.container = j->container,
		.config = j->config,
		.process = j->options->process,
		.json = j->json,
		.cgroup = j->options->cgroup,
		.sync = j->child_sync,
		.console_socket = j->stages_console,
	};

	close(j->sync); /* so that our parent's death is an end of file */
	/* C3: a process of ours in the container's cgroup, and with a capability for a while. */
	if (sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		_exit(1);
	j->backend->exec_main(&exec);
}

/* ---- parent ---- */

static int clone_child(struct joining *j, struct err *err)
{
	const struct spec_cpu_affinity *affinity = j->options->process->exec_cpu_affinity;
	struct clone_args args = {
		.flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
		.pidfd = (uint64_t)(uintptr_t)&j->child_pidfd,
		.exit_signal = SIGCHLD,
	};
	sigset_t none;
	int r = 0;

	if (j->cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)j->cgroup_fd;
	}
	/* Inherited: the child must not run elsewhere before it is in the container's cpuset. */
	if (affinity && !j->backend)
		r = sched_apply_affinity("process.execCPUAffinity.initial", affinity->initial, err);
	if (r < 0)
		return r;
	r = sys_clone3(&args);
	if (r == 0) {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		if (j->backend)
			backend_main(j);
		entrant_main(j);
	}
	cleanup_close(&j->stages_console);
	cleanup_close(&j->child_sync);
	if (r < 0)
		return err_sys(err, r, "clone the process");
	j->child = r;
	return 0;
}

/* Opens the joiner, after the entrant's end: a number that the container may have put into the
 * report is none of our children's. */
static int open_joiner(struct joining *j, struct err *err)
{
	const pid_t pid = *(volatile pid_t *)&j->report->pid;
	siginfo_t info;

	if (pid <= 0)
		return 0;
	if (sys_waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return err_set(
			err, -EPROTO, "the process that joined the container was tampered with");
	j->pidfd = sys_pidfd_open(pid, 0);
	if (j->pidfd < 0)
		return err_sys(err, j->pidfd, "open the process");
	j->pid = pid;
	return 0;
}

static int read_report(const struct joining *j, int status, struct err *err)
{
	*err = j->report->err;
	err->text[sizeof(err->text) - 1] = '\0';
	if (err->code < 0)
		return err->code;
	err_clear(err);
	if (j->pid)
		return 0;
	return err_set(err, -ECHILD,
		"the process that was to join the container ended before: %s %d",
		WIFSIGNALED(status) ? "signal" : "status",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* The entrant has ended, or must: what is left is the joiner. */
static int settle_joiner(struct joining *j, int r, struct err *err)
{
	struct err ignored = {};
	int status = 0;

	if (r < 0)
		sys_pidfd_send_signal(j->child_pidfd, SIGKILL);
	sys_waitpid(j->child, &status, 0);
	if (r < 0) {
		open_joiner(j, &ignored);
		return r;
	}
	r = open_joiner(j, err);
	return r < 0 ? r : read_report(j, status, err);
}

/* The backend's process stands for the user's. */
static int settle_backend(struct joining *j, int r, struct err *err)
{
	j->pid = j->child;
	j->pidfd = take_fd(&j->child_pidfd);
	return r < 0 ? r : sync_expect_end(j->sync, err);
}

/* Returns when the user's process was executed: that ends the entrant's vfork, and a backend's
 * process closes its socket then. */
static int start(struct joining *j, struct err *err)
{
	int r = clone_child(j, err);

	if (r < 0)
		return r;
	r = cancel_wait(j->rt->cancel, j->backend ? j->sync : j->child_pidfd, err);
	return j->backend ? settle_backend(j, r, err) : settle_joiner(j, r, err);
}

static int run(struct joining *j, int *ret_master, struct err *err)
{
	int r = prepare(j, err);

	if (r < 0)
		return r;
	j->user.config = j->config;
	j->user.container = j->container;
	j->user.report = j->report;
	j->user.setgroups_denied = stage_setgroups_denied(j->rt->procfd, j->container->pid);
	j->user.seccomp = j->config->linux_.seccomp ? &j->seccomp : NULL;
	r = start(j, err);
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
		.own_container = {.dirfd = -1, .pidfd = -1},
		.cgroup_fd = -1,
		.console = -1,
		.stages_console = -1,
		.child_pidfd = -1,
		.sync = -1,
		.child_sync = -1,
		.pidfd = -1,
		.user =
			{
				.process = options->process,
				.procfd = rt->procfd,
				.preserve_fds = options->preserve_fds,
				.seccomp_socket = -1,
			},
	};
	int r = run(&j, ret_master, err);

	if (r == 0) {
		if (!j.backend)
			parent_warn_ungranted(rt, j.config, options->process);
		*ret_pid = j.pid;
		*ret_pidfd = take_fd(&j.pidfd);
	}
	cleanup_close(&j.console);
	cleanup_close(&j.stages_console);
	cleanup_close(&j.child_pidfd);
	cleanup_close(&j.sync);
	cleanup_close(&j.child_sync);
	cleanup_close(&j.pidfd);
	cleanup_close(&j.cgroup_fd);
	cleanup_close(&j.user.seccomp_socket);
	if (j.report)
		munmap(j.report, sizeof(*j.report));
	seccomp_program_free(&j.seccomp);
	cgroup_free(j.cgroup);
	json_decref(j.json);
	spec_config_free(j.own_config);
	container_close(&j.own_container);
	return r;
}
