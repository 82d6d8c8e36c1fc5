/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process: init, pid 1 of the container to be. Builds the root, waits for start, becomes the user's
 * process. Until then it is ours: not dumpable, all descriptors close-on-exec.
 */
#include "base/fd.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/process.h"
#include "base/sys.h"
#include "netns/loopback.h"
#include "runtime/stage.h"
#include "runtime/sync.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

bool stage_setgroups_denied(int procfd, pid_t pid)
{
	char name[32], text[16];

	snprintf(name, sizeof(name), "%d/setgroups", pid);
	return fd_read_line(procfd, name, text, sizeof(text)) > 0 && strcmp(text, "deny") == 0;
}

bool stage_keeps_groups(const struct user_process *user)
{
	return user->setgroups_denied ||
	       spec_annotation(user->config, "run.oci.keep_original_groups");
}

int stage_become_root(bool keep_groups, struct err *err)
{
	int r = sys_setresgid(0, 0, 0);

	if (r == 0 && !keep_groups)
		r = sys_setgroups(0, NULL);
	if (r == 0)
		r = sys_setresuid(0, 0, 0);
	return r < 0 ? err_sys(err, r, "become root of the user namespace (is id 0 mapped?)") : 0;
}

int stage_open_joins(const struct plan *plan, int ret_fds[PLAN_JOINS_MAX], struct err *err)
{
	for (size_t i = 0; i < plan->njoins; i++) {
		ret_fds[i] = sys_openat(AT_FDCWD, plan->joins[i].path, O_RDONLY, 0);
		if (ret_fds[i] >= 0)
			continue;
		for (size_t k = 0; k < i; k++)
			close(ret_fds[k]);
		return err_sys(err, ret_fds[i], "linux.namespaces: join %s", plan->joins[i].path);
	}
	return 0;
}

int stage_join(const struct plan *plan, struct err *err)
{
	int fds[PLAN_JOINS_MAX], r = stage_open_joins(plan, fds, err);

	for (size_t i = 0; i < plan->njoins && r == 0; i++) {
		r = sys_setns(fds[i], plan->joins[i].type);
		if (r < 0)
			err_sys(err, r, "linux.namespaces: join %s", plan->joins[i].path);
		close(fds[i]);
	}
	return r;
}

/* B1: only into procfs itself, whatever is mounted where. */
static int write_sysctl(int procfd, const struct plan_sysctl *sysctl, struct err *err)
{
	autolate int fd = -1;
	char path[PATH_MAX];
	size_t len = strlen(sysctl->value);
	ssize_t n;

	if (snprintf(path, sizeof(path), "sys/%s", sysctl->path) >= (int)sizeof(path))
		return err_sys(err, -ENAMETOOLONG, "linux.sysctl");
	fd = sys_openat2(
		procfd, path, O_WRONLY, 0, RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS);
	if (fd < 0)
		return err_sys(err, fd, "linux.sysctl: %s", sysctl->path);
	n = sys_write(fd, sysctl->value, len);
	return n < 0 ? err_sys(err, (int)n, "linux.sysctl: %s = %s", sysctl->path, sysctl->value)
		     : 0;
}

static int set_names(const struct spec_config *config, struct err *err)
{
	int r = config->hostname ? sys_sethostname(config->hostname) : 0;

	if (r < 0)
		return err_sys(err, r, "hostname");
	r = config->domainname ? sys_setdomainname(config->domainname) : 0;
	return r < 0 ? err_sys(err, r, "domainname") : 0;
}

static int enter_namespaces(const struct launch *l, struct err *err)
{
	const struct plan *plan = l->plan;
	const struct plan_sysctl *sysctl = plan->sysctls;
	bool in_user_namespace = spec_find_namespace(plan->config, CLONE_NEWUSER) != NULL;
	int r = 0;

	if (l->wait_mapped)
		r = sync_expect(l->sync, SYNC_MAPPED, NULL, err);
	if (r == 0 && l->rt->rootless) /* until here, its id maps had to be written */
		r = sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (r == 0 && in_user_namespace && !plan->relay)
		r = stage_become_root(stage_keeps_groups(&l->user), err);
	if (r == 0 && !plan->relay)
		r = stage_join(plan, err);
	if (r == 0 && (plan->new_namespaces & CLONE_NEWNET))
		r = netns_raise_loopback(err);
	/* What is delegated is all that the namespace shows. */
	if (r == 0)
		r = cgroup_enter_delegated(l->cgroup, 0, err);
	/* Not by the clone: that would make the creator's cgroup the namespace's root. */
	if (r == 0 && plan->new_cgroup_namespace) {
		r = sys_unshare(CLONE_NEWCGROUP);
		if (r < 0)
			return err_sys(err, r, "make a cgroup namespace");
	}
	if (r == 0)
		r = set_names(plan->config, err);
	for (size_t i = 0; i < plan->nsysctls && r == 0; i++)
		r = write_sysctl(l->user.procfd, &sysctl[i], err);
	return r;
}

int stage_host_pid(int procfd, pid_t *ret, struct err *err)
{
	char text[16];
	ssize_t n = sys_readlinkat(procfd, "self", text, sizeof(text) - 1);
	uint32_t pid;

	text[n < 0 ? 0 : n] = '\0';
	if (parse_u32(text, &pid) < 0)
		return err_set(err, -EIO, "this process is not in the host's procfs");
	*ret = (pid_t)pid;
	return 0;
}

static int run_hooks(const struct launch *l, const struct spec_hook_list *list, const char *name,
	enum container_status status, struct err *err)
{
	autobuf struct buf text = {};
	autojson json_t *state = NULL;
	pid_t pid;

	if (!list->count)
		return 0;
	if (stage_host_pid(l->user.procfd, &pid, err) < 0)
		return err_add(err, "%s hooks", name);
	state = container_state_json(l->user.container, l->plan->config, status, pid);
	if (!state || json_write(state, JSON_COMPACT, &text) < 0)
		return err_sys(err, -ENOMEM, "%s hooks", name);
	return hooks_run(list, name, buf_str(&text), &l->hooks_output, NULL, err);
}

/* The terminal's master goes to the engine; its slave becomes our streams and /dev/console. */
static int make_console(struct launch *l, struct mounts_context *ctx, struct err *err)
{
	const struct spec_process *process = l->plan->config->process;
	autoclose int pts = -1, master = -1, peer = -1;
	int r;

	if (ctx->ptsfd < 0)
		pts = path_open_nofollow(ctx->rootfd, "/dev/pts", O_RDONLY | O_DIRECTORY);
	r = console_open(
		ctx->ptsfd < 0 ? pts : ctx->ptsfd, process->console_size, &master, &peer, err);
	if (r == 0 && (process->user.uid || process->user.gid))
		(void)!sys_fchownat(peer, "", process->user.uid, (gid_t)-1, AT_EMPTY_PATH);
	if (r == 0)
		r = mounts_bind_console(ctx, peer, err);
	if (r == 0)
		r = console_send(l->console_socket, master, err);
	if (r == 0)
		r = console_attach(peer, err);
	return r < 0 ? r : console_control(err);
}

static int build_root(struct launch *l, struct err *err)
{
	const struct spec_hooks *hooks = &l->plan->config->hooks;
	struct mounts_context ctx = {
		.plan = l->plan,
		.sources = l->sources,
		.cgroup_path = l->cgroup_path,
		.rootfd = -1,
		.devfd = -1,
		.ptsfd = -1,
	};
	struct mount_sources own = *l->sources;
	int r = 0;

	if (l->plan->sources_by_init) {
		r = l->plan->request.sources.enter
			    ? mounts_open_rootfs(l->plan, &own, err)
			    : mounts_open_sources(l->plan, l->user.procfd, &own, err);
		ctx.sources = &own;
	}
	if (r == 0)
		r = mounts_enter_rootfs(&ctx, err);
	if (r == 0)
		r = mounts_make(&ctx, err);
	if (r == 0 && (hooks->prestart.count || hooks->create_runtime.count)) {
		r = sync_send(l->sync, SYNC_HOOKS, 0, err);
		if (r == 0)
			r = sync_expect(l->sync, SYNC_HOOKS_DONE, NULL, err);
	}
	if (r == 0)
		r = run_hooks(
			l, &hooks->create_container, "createContainer", CONTAINER_CREATING, err);
	if (r == 0 && l->console_socket >= 0)
		r = make_console(l, &ctx, err);
	if (r == 0)
		r = mounts_restrict(&ctx, err);
	return r < 0 ? r : mounts_pivot(&ctx, l->user.procfd, err);
}

/*
 * Waits for `start`: it connects, we answer by executing the user's process (the connection
 * closes) or by saying why not. The peer must be who made us (G1): the socket's directory is 0700,
 * and this holds even if it were not.
 */
static int wait_for_start(struct launch *l, uid_t creator, struct err *err)
{
	for (;;) {
		autoclose int sock = sys_accept(l->start_listener);
		struct sync_message message = {};
		struct ucred peer;

		if (sock < 0)
			return err_sys(err, sock, "wait for start");
		if (sys_getpeercred(sock, &peer) < 0 || peer.uid != creator)
			continue;
		if (sync_recv(sock, &message) < 0 || message.type != SYNC_START)
			continue; /* a start that was killed */
		cleanup_close(&l->start_listener);
		l->sync = take_fd(&sock);
		return 0;
	}
}

/*
 * C2: while it waits, perhaps for long, init holds nothing of the host's but what it still needs.
 * What was built with late-closed descriptors is given up here.
 */
static int close_leftovers(struct launch *l, struct err *err)
{
	const int keep[] = {
		l->start_listener,
		l->user.procfd,
		l->user.seccomp_socket,
		l->hooks_output.stdout_fd,
		l->hooks_output.stderr_fd,
	};
	int r = fd_keep_only(3 + (int)l->user.preserve_fds, keep, ARRAY_LEN(keep));

	l->sync = -1;
	return r < 0 ? err_sys(err, r, "close descriptors") : 0;
}

static int init_run(struct launch *l, struct err *err)
{
	const struct spec_hooks *hooks = &l->plan->config->hooks;
	int r;

	setsid();
	umask(0);
	r = enter_namespaces(l, err);
	if (r == 0)
		r = build_root(l, err);
	umask(0022);
	if (r == 0 && l->tell_created)
		r = user_process_check(&l->user, err);
	if (r == 0 && l->tell_created)
		r = sync_send(l->sync, SYNC_CREATED, 0, err);
	if (r < 0)
		return r;
	if (l->start_listener >= 0) {
		struct ucred creator;

		r = sys_getpeercred(l->sync, &creator);
		if (r < 0)
			return err_sys(err, r, "look who made this process");
		r = close_leftovers(l, err);
		if (r == 0)
			r = wait_for_start(l, creator.uid, err);
	} else {
		r = sync_expect(l->sync, SYNC_START, NULL, err);
	}
	if (r == 0)
		r = run_hooks(l, &hooks->start_container, "startContainer", CONTAINER_CREATED, err);
	return r < 0 ? r : user_process_exec(&l->user, err);
}

void init_main(const struct launch *launch)
{
	struct launch l = *launch;
	struct err err = {};
	sigset_t none;

	process_hide("brig-oci init");
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* The lock is the parent's: as long as we had it open too, nobody else could take it. */
	close(launch->user.container->dirfd);
	init_run(&l, &err);
	if (l.sync >= 0)
		sync_send_failure(l.sync, &err);
	_exit(err.code == -ENOENT || err.code == -ENOTDIR ? 127 : 126);
}
