/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process: init, exec's entrant and joiner. From a process of ours to the user's: one function for
 * create and exec, so that exec can never be less restricted than run.
 */
#include "base/sys.h"
#include "base/sys_self.h"
#include "runtime/attrs/credentials.h"
#include "runtime/attrs/landlock.h"
#include "runtime/attrs/lsm.h"
#include "runtime/attrs/rlimits.h"
#include "runtime/attrs/sched.h"
#include "runtime/attrs/seccomp/cache.h"
#include "runtime/attrs/seccomp/load.h"
#include "runtime/attrs/seccomp/verdict.h"
#include "runtime/stage.h"
#include "runtime/user_lookup.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What an exec's joiner does itself; see user_process_exec(). */
enum joiner_part { JOINER_EXEC, JOINER_FILTER, JOINER_ALL };

/* From the configuration to execve(2). */
struct work {
	const struct user_process *user;
	struct arena arena;
	struct landlock_plan landlock;
	struct credentials_plan credentials;
	enum joiner_part part;
	const struct spec_rlimit *nproc; /* left to the joiner, or NULL */
	bool cwd_later;                  /* only the user may enter it */
	char path[PATH_MAX], home[PATH_MAX];
	const char **argv, **envp;
};

/* ---- attributes ---- */

static int join_keyring(const struct user_process *user, const char *name, struct err *err)
{
	int r = lsm_set_selinux_keyring(user->procfd, user->process->selinux_label, err);

	if (r < 0)
		return r;
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name) < 0 && errno != ENOSYS)
		return err_sys(err, -errno, "make a session keyring");
	return 0;
}

/* What a clone does not hand on as it is (sched(7)). */
static bool scheduler_stays(const struct spec_scheduler *scheduler)
{
	return scheduler && (scheduler->policy == SCHED_DEADLINE ||
				    (scheduler->flags & SCHED_FLAG_RESET_ON_FORK));
}

static int apply_rlimits(struct work *w, struct err *err)
{
	const struct spec_process *process = w->user->process;
	int r = 0;

	for (size_t i = 0; i < process->rlimits.count && r == 0; i++) {
		const struct spec_rlimit *limit = &process->rlimits.items[i];
		struct rlimit now;

		/* There are two processes for a moment, and only one that counts: so the joiner
		 * lowers this one. Raising it is for who has the privilege. */
		if (w->user->report && limit->resource == RLIMIT_NPROC &&
			limit->soft <= limit->hard &&
			sys_prlimit(0, RLIMIT_NPROC, NULL, &now) == 0 &&
			limit->hard <= now.rlim_max)
			w->nproc = limit;
		else
			r = rlimits_apply(limit, 1, err);
	}
	return r;
}

/* What needs privilege, and must come before the credentials. */
static int apply_limits(struct work *w, struct err *err)
{
	const struct spec_process *process = w->user->process;
	const struct spec_cpu_affinity *affinity = process->exec_cpu_affinity;
	const struct spec_linux *linux_ = &w->user->config->linux_;
	int r = apply_rlimits(w, err);

	if (r == 0 && !(w->user->report && scheduler_stays(process->scheduler)))
		r = sched_apply_scheduler(process->scheduler, err);
	if (r == 0)
		r = sched_apply_io_priority(process->io_priority, err);
	if (r == 0 && w->user->report && affinity)
		r = sched_apply_affinity("process.execCPUAffinity.final", affinity->final, err);
	if (r == 0)
		r = sched_apply_memory_policy(linux_->memory_policy, err);
	if (r == 0)
		r = sched_apply_personality(linux_->personality, err);
	return r;
}

static int apply_core_sched(const struct user_process *user, struct err *err)
{
	const char *value = spec_annotation(user->config, SCHED_CORE_ANNOTATION);
	bool wanted = false;
	int r = sched_core_parse(value, &wanted, err);

	if (r < 0 || !wanted)
		return r;
	return user->report ? sched_core_join(user->container->pid, err) : sched_core_create(err);
}

static int apply_labels(const struct user_process *user, struct err *err)
{
	int r = lsm_set_apparmor(user->procfd, user->process->apparmor_profile, err);

	return r < 0 ? r : lsm_set_selinux(user->procfd, user->process->selinux_label, err);
}

/* The user must be able to open /dev/stdout and the like again: its streams become its own. */
static void own_streams(uint32_t uid)
{
	if (uid == 0)
		return;
	for (int fd = 0; fd < 3; fd++) {
		struct stat st;

		if (sys_fstat(fd, &st) < 0 || st.st_uid == uid || S_ISREG(st.st_mode) ||
			(S_ISCHR(st.st_mode) && st.st_rdev == 0x103))
			continue;
		/* Streams of the host's that may not be changed stay as they are. */
		(void)!sys_fchownat(fd, "", uid, (gid_t)-1, AT_EMPTY_PATH);
	}
}

/* config-linux.md, "The Container Process State". */
static int seccomp_state(const struct user_process *user, struct buf *ret, struct err *err)
{
	const struct spec_seccomp *profile = user->config->linux_.seccomp;
	enum container_status status = user->report ? CONTAINER_RUNNING : CONTAINER_CREATED;
	autojson json_t *state = NULL;
	pid_t pid = 0;
	int r = 0;

	if (user->report) /* a joiner has no procfs any more */
		pid = user->report->pid;
	else
		r = stage_host_pid(user->procfd, &pid, err);
	if (r < 0)
		return r;
	state = json_pack("{s:s, s:[s], s:i, s:s, s:o}", "ociVersion", "1.3.0", "fds", "seccompFd",
		"pid", (int)pid, "metadata",
		profile->listener_metadata ? profile->listener_metadata : "", "state",
		container_state_json(user->container, user->config, status,
			user->report ? user->container->pid : pid));
	return state && json_write(state, JSON_COMPACT, ret) == 0
		       ? 0
		       : err_sys(err, -ENOMEM, "linux.seccomp: make the state");
}

static int load_seccomp(const struct user_process *user, struct err *err)
{
	autobuf struct buf state = {};
	int r;

	if (!user->seccomp)
		return 0;
	if (!user->seccomp->notify)
		return seccomp_install(user->seccomp, NULL, err);
	if (user->seccomp_socket < 0)
		return err_set(err, -EINVAL,
			"linux.seccomp: SCMP_ACT_NOTIFY needs linux.seccomp.listenerPath");
	r = seccomp_state(user, &state, err);
	if (r < 0)
		return r;
	return seccomp_install_notify(
		user->seccomp, user->seccomp_socket, state.data, state.len, err);
}

/*
 * Credentials, no_new_privs, Landlock and seccomp. The filter comes last where that is possible:
 * without no_new_privs, loading one needs CAP_SYS_ADMIN, so it comes before that is lost.
 */
static int apply_restrictions(const struct work *w, bool with_filter, struct err *err)
{
	const struct user_process *user = w->user;
	bool no_new_privs = user->process->no_new_privileges;
	bool keeps_admin = w->credentials.effective & (1ULL << CAP_SYS_ADMIN);
	int r = 0;

	if (!no_new_privs && !keeps_admin) {
		if (landlock_wanted(&w->landlock))
			r = landlock_apply(&w->landlock, err);
		if (r == 0 && with_filter)
			r = load_seccomp(user, err);
		return r < 0 ? r : credentials_apply(&w->credentials, err);
	}
	r = credentials_apply(&w->credentials, err);
	if (r == 0 && no_new_privs) {
		r = sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (r < 0)
			return err_sys(err, r, "process.noNewPrivileges");
	}
	if (r == 0 && landlock_wanted(&w->landlock))
		r = landlock_apply(&w->landlock, err);
	return r < 0 || !with_filter ? r : load_seccomp(user, err);
}

int user_process_check(const struct user_process *user, struct err *err)
{
	char path[PATH_MAX];
	bool later;
	int r = user_enter_cwd(user->process->cwd, &later, err);

	/* A relative name in a directory that only the user may enter is found out later. */
	return r < 0 || later ? r : user_find_executable(user->process, path, sizeof(path), err);
}

/* ---- the way to execve(2) ---- */

static int plan_restrictions(struct work *w, struct err *err)
{
	const struct user_process *user = w->user;
	/* An engine that made the user namespace itself knows what it denies: the groups that the
	 * image has for the user are a wish then. */
	const struct credentials_options options = {
		.keep_original_groups =
			spec_annotation(user->config, "run.oci.keep_original_groups") ||
			(user->setgroups_denied &&
				!spec_find_namespace(user->config, CLONE_NEWUSER)),
		.setgroups_denied = user->setgroups_denied,
	};
	struct credentials now;
	int r = landlock_parse(&user->config->annotations, &w->arena, &w->landlock, err);

	if (r == 0)
		r = credentials_read(user->procfd, &now, err);
	return r < 0 ? r : credentials_plan(user->process, &options, &now, &w->credentials, err);
}

static int make_words(struct work *w, struct err *err)
{
	const struct spec_process *process = w->user->process;
	struct strings env = process->env;

	if (w->user->activation &&
		(w->user->activation->fds || w->user->activation->notify_socket) &&
		activation_env(w->user->activation, getpid(), &process->env, &w->arena, &env) < 0)
		return err_sys(err, -ENOMEM, "process");
	w->argv = arena_array(&w->arena, process->args.count + 1, const char *);
	w->envp = arena_array(&w->arena, env.count + 2, const char *);
	if (!w->argv || !w->envp)
		return err_sys(err, -ENOMEM, "process");
	memcpy(w->argv, process->args.items, process->args.count * sizeof(*w->argv));
	if (env.count)
		memcpy(w->envp, env.items, env.count * sizeof(*w->envp));
	if (!user_find_env(process, "HOME")) {
		user_find_home(process->user.uid, w->home, sizeof(w->home));
		w->envp[env.count] = w->home;
	}
	return 0;
}

/* Everything of ours ends here; what comes next may be under the user's filter. */
static int give_up_descriptors(const struct user_process *user, struct err *err)
{
	const unsigned int first = 3 + user->preserve_fds;
	const unsigned int kept = (unsigned int)user->seccomp_socket;
	int r;

	/* C3: a joiner has none of them, not even for a moment. */
	if (!user->report)
		r = sys_close_range(first, ~0U, CLOSE_RANGE_CLOEXEC);
	else if (user->seccomp_socket < 0)
		r = sys_close_range(first, ~0U, 0);
	else
		r = (kept > first ? sys_close_range(first, kept - 1, 0) : 0)
			    ?: sys_close_range(kept + 1, ~0U, 0);
	for (int fd = 3; r == 0 && fd < (int)first; fd++)
		r = sys_set_cloexec(fd, false);
	return r < 0 ? err_sys(err, r, "prepare the descriptors") : 0;
}

static int enter_cwd_as_user(struct work *w, struct err *err)
{
	const struct user_process *user = w->user;
	int r = sys_chdir(user->process->cwd);

	if (r < 0)
		return err_sys(err, r, "process.cwd: %s", user->process->cwd);
	r = user_check_cwd(user->process->cwd, err);
	return r < 0 ? r : user_find_executable(user->process, w->path, sizeof(w->path), err);
}

static int restrict_self(struct work *w, bool with_filter, struct err *err)
{
	int r = apply_restrictions(w, with_filter, err);

	return r == 0 && w->cwd_later ? enter_cwd_as_user(w, err) : r;
}

static int execute(const struct work *w, struct err *err)
{
	int r = sys_execveat(AT_FDCWD, w->path, (char *const *)w->argv, (char *const *)w->envp, 0);

	return user_exec_error(w->user->process->args.items[0], r, err);
}

/* ---- exec: the last step is the clone ---- */

enum { JOINER_FLAGS = CLONE_PARENT | CLONE_PARENT_SETTID | CLONE_VFORK };

/* Whether the filter would let happen what the joiner, and its creator, do under it. */
static bool filter_lets_join(const struct work *w)
{
	const struct user_process *user = w->user;
	const uint64_t none[6] = {}, terminal[6] = {0, TIOCSCTTY}, nproc[6] = {0, RLIMIT_NPROC};
#ifdef __s390x__
	const uint64_t clone_args[6] = {0, JOINER_FLAGS};
#else
	const uint64_t clone_args[6] = {JOINER_FLAGS};
#endif

	return !user->seccomp->notify && /* who sends the listener must be who has the pid */
	       seccomp_allows(user->seccomp, SYS_clone, clone_args) &&
	       seccomp_allows(user->seccomp, SYS_setsid, none) &&
	       (!user->process->terminal || seccomp_allows(user->seccomp, SYS_ioctl, terminal)) &&
	       (!w->nproc || seccomp_allows(user->seccomp, SYS_prlimit64, nproc));
}

static enum joiner_part plan_joiner(const struct work *w)
{
	const struct spec_process *process = w->user->process;

	if (scheduler_stays(process->scheduler))
		return JOINER_ALL;
	if (!w->user->seccomp)
		return JOINER_EXEC;
	if (process->no_new_privileges || (w->credentials.effective & (1ULL << CAP_SYS_ADMIN)))
		return JOINER_FILTER;
	return filter_lets_join(w) ? JOINER_EXEC : JOINER_ALL;
}

static int joiner_run(struct work *w, struct err *err)
{
	const struct spec_process *process = w->user->process;
	int r = 0;

	setsid();
	if (process->terminal)
		r = console_control(err);
	if (r == 0 && scheduler_stays(process->scheduler))
		r = sched_apply_scheduler(process->scheduler, err);
	if (r == 0 && w->nproc)
		r = rlimits_apply(w->nproc, 1, err);
	if (r == 0 && w->part == JOINER_FILTER)
		r = load_seccomp(w->user, err);
	else if (r == 0 && w->part == JOINER_ALL)
		r = restrict_self(w, true, err);
	return r < 0 ? r : execute(w, err);
}

static int run_joiner(struct work *w, struct err *err)
{
	pid_t pid;
	int r = 0;

	w->part = plan_joiner(w);
	if (w->part != JOINER_ALL)
		r = restrict_self(w, w->part == JOINER_EXEC, err);
	if (r < 0)
		return r;
	pid = sys_clone(JOINER_FLAGS, &w->user->report->pid);
	if (pid < 0)
		return err_sys(err, pid, "clone the process");
	if (pid)
		return 0;
	joiner_run(w, err);
	w->user->report->err = *err;
	_exit(err->code == -ENOENT || err->code == -ENOTDIR ? 127 : 126);
}

int user_process_exec(const struct user_process *user, struct err *err)
{
	struct work w = {.user = user};
	int r = user_enter_cwd(user->process->cwd, &w.cwd_later, err);

	if (r == 0)
		r = plan_restrictions(&w, err);
	if (r == 0 && user->keyring)
		r = join_keyring(user, user->keyring, err);
	if (r == 0)
		r = apply_limits(&w, err);
	if (r == 0)
		r = apply_core_sched(user, err);
	if (r == 0)
		r = make_words(&w, err);
	if (r == 0) {
		own_streams(user->process->user.uid);
		r = apply_labels(user, err);
	}
	if (r == 0)
		r = give_up_descriptors(user, err);
	if (r == 0 && !w.cwd_later)
		r = user_find_executable(user->process, w.path, sizeof(w.path), err);
	if (r == 0 && user->report)
		r = run_joiner(&w, err);
	else if (r == 0)
		r = restrict_self(&w, true, err) ?: execute(&w, err);
	arena_free(&w.arena);
	return r;
}
