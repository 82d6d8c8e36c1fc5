/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process: relay. Settles what a clone cannot do in one step: namespaces that only children enter
 * (pid, time), offsets of a time namespace that must be set while it is empty, namespaces of the
 * host that are joined by a container with a user namespace of its own, and a joined user namespace
 * that new ones shall belong to. Then it clones the init process as its own sibling and leaves.
 */
#include "base/fd.h"
#include "base/sys.h"
#include "runtime/stage.h"
#include "runtime/sync.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

/*
 * Joins everything before the user namespace that this process may join as it is, the rest as
 * root of that user namespace. The user namespace is last in the list; a namespace that is refused
 * belongs to it and is tried again from inside.
 */
static int join_all(const struct launch *l, struct err *err)
{
	const struct plan *plan = l->plan;
	int later[PLAN_JOINS_MAX], fds[PLAN_JOINS_MAX];
	size_t nlater = 0;
	int r = stage_open_joins(plan, fds, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < plan->njoins; i++) {
		const struct plan_join *join = &plan->joins[i];
		autoclose int fd = fds[i];

		r = sys_setns(fd, join->type);
		if (r == -EPERM && join->type != CLONE_NEWUSER && nlater < ARRAY_LEN(later))
			later[nlater++] = take_fd(&fd);
		else if (r < 0)
			return err_sys(err, r, "linux.namespaces: join %s", join->path);
		else if (join->type == CLONE_NEWUSER)
			r = stage_become_root(stage_keeps_groups(&l->user), err);
		if (r < 0 && r != -EPERM)
			return r;
	}
	for (size_t i = 0; i < nlater; i++) {
		r = sys_setns(later[i], 0);
		if (r < 0)
			return err_sys(err, r, "linux.namespaces: join");
		close(later[i]);
	}
	return 0;
}

static int make_time_namespace(const struct launch *l, struct err *err)
{
	int r = sys_unshare(CLONE_NEWTIME);

	if (r < 0)
		return err_sys(err, r, "make a time namespace");
	r = fd_write_file(l->user.procfd, "self/timens_offsets", l->plan->time_offsets);
	return r < 0 ? err_sys(err, r, "linux.timeOffsets") : 0;
}

static int make_user_namespace(const struct launch *l, struct err *err)
{
	int r = sys_unshare(CLONE_NEWUSER);

	if (r < 0)
		return err_sys(err, r, "make a user namespace");
	r = sync_send(l->sync, SYNC_RELAYED, getpid(), err);
	if (r == 0)
		r = sync_expect(l->sync, SYNC_MAPPED, NULL, err);
	return r < 0 ? r : stage_become_root(stage_keeps_groups(&l->user), err);
}

static int relay_run(const struct launch *l, struct clone_args *args, struct err *err)
{
	unsigned int namespaces = l->plan->new_namespaces;
	pid_t pid;
	int r = join_all(l, err);

	if (r == 0 && (namespaces & CLONE_NEWUSER))
		r = make_user_namespace(l, err);
	if (r == 0 && l->plan->time_offsets)
		r = make_time_namespace(l, err);
	if (r < 0)
		return r;
	args->flags &= ~(uint64_t)(CLONE_NEWUSER | (l->plan->time_offsets ? CLONE_NEWTIME : 0));
	args->flags |= CLONE_PARENT;
	args->exit_signal = 0; /* with CLONE_PARENT it is the creator's own */
	pid = sys_clone3(args);
	if (pid < 0)
		return err_sys(err, pid, "clone the container's process");
	if (pid == 0)
		init_main(l);
	return sync_send(l->sync, SYNC_INIT_PID, pid, err);
}

void relay_main(const struct launch *launch, const struct clone_args *args)
{
	struct clone_args own = *args;
	struct err err = {};

	if (relay_run(launch, &own, &err) < 0) {
		sync_send_failure(launch->sync, &err);
		_exit(1);
	}
	_exit(0);
}
