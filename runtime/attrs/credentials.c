/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/attrs/credentials.h"

#include "base/fd.h"
#include "base/sys.h"
#include "base/sys_self.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

/* A line of a status file: "CapInh:\t0000000000000000". */
static int read_set(const char *status, const char *key, uint64_t *ret)
{
	const char *at = strstr(status, key);
	char *end;

	if (!at)
		return -EINVAL;
	at += strlen(key);
	errno = 0;
	*ret = strtoull(at, &end, 16);
	return errno || end - at != 17 || *end != '\n' ? -EINVAL : 0;
}

int credentials_read(int procfd, struct credentials *ret, struct err *err)
{
	autolate int fd = -1;
	struct credentials now;
	/* The sets come within the first 1.5 KiB, after at most 65,536 groups: the rare process
	 * with thousands of groups needs more than one read, so the buffer grows. */
	autobuf struct buf status = {};
	int r;

	fd = sys_openat2(procfd, "self/status", O_RDONLY | O_NOFOLLOW, 0,
		RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS);
	if (fd < 0)
		return err_sys(err, fd, "opening the process's status in procfs");
	for (;;) {
		char *room = buf_reserve(&status, 4096);
		ssize_t n = room ? sys_read(fd, room, 4095) : -ENOMEM;

		if (n < 0)
			return err_sys(err, (int)n, "reading the process's status in procfs");
		status.len += (size_t)n;
		status.data[status.len] = 0;
		if (n == 0 || strstr(status.data, "\nCapAmb:\t0"))
			break;
	}
	r = read_set(buf_str(&status), "\nCapInh:", &now.inheritable);
	r = r ?: read_set(buf_str(&status), "\nCapPrm:", &now.permitted);
	r = r ?: read_set(buf_str(&status), "\nCapEff:", &now.effective);
	r = r ?: read_set(buf_str(&status), "\nCapBnd:", &now.bounding);
	r = r ?: read_set(buf_str(&status), "\nCapAmb:", &now.ambient);
	if (r < 0)
		return err_set(err, r, "the process's status in procfs lacks a capability set");
	*ret = now;
	return 0;
}

static int check_ids(
	const struct spec_user *user, const struct credentials_options *options, struct err *err)
{
	/* 2^32 − 1 would mean "leave it as it is" to setresuid(2): still the runtime's user. */
	if (user->uid == UINT32_MAX)
		return err_set(err, -EINVAL, "process.user.uid: %u is no user", user->uid);
	if (user->gid == UINT32_MAX)
		return err_set(err, -EINVAL, "process.user.gid: %u is no group", user->gid);
	if (user->umask.set && user->umask.value > 0777)
		return err_set(
			err, -EINVAL, "process.user.umask: %#o is above 0777", user->umask.value);
	for (size_t i = 0; i < user->additional_gids.count; i++)
		if (user->additional_gids.items[i] == UINT32_MAX)
			return err_set(err, -EINVAL, "process.user.additionalGids: %u is no group",
				UINT32_MAX);
	if (options->setgroups_denied && !options->keep_original_groups &&
		user->additional_gids.count > 0)
		return err_set(err, -EPERM,
			"process.user.additionalGids: the user namespace's gid map was written "
			"without privilege, which denies setgroups; leave the list out, or give "
			"the "
			"user a range in /etc/subgid and install newgidmap");
	return 0;
}

int credentials_plan(const struct spec_process *process, const struct credentials_options *options,
	const struct credentials *now, struct credentials_plan *ret, struct err *err)
{
	const struct spec_capabilities none = {};
	const struct spec_capabilities *caps = process->capabilities ?: &none;
	const struct spec_user *user = &process->user;
	struct credentials_plan plan = {
		.drop = now->bounding & ~caps->bounding,
		.set_groups = !options->keep_original_groups && !options->setgroups_denied,
		.groups = user->additional_gids.items,
		.group_count = user->additional_gids.count,
		.uid = user->uid,
		.gid = user->gid,
		.umask = user->umask,
	};
	int r = check_ids(user, options, err);

	if (r < 0)
		return r;
	/* What the kernel's rules leave of each set: capset(2) refuses the whole otherwise. */
	plan.permitted = caps->permitted & now->permitted;
	plan.effective = caps->effective & plan.permitted;
	plan.inheritable = caps->inheritable & (now->inheritable | now->permitted) &
			   (now->inheritable | (now->bounding & caps->bounding));
	plan.ambient = caps->ambient & plan.permitted & plan.inheritable;
	plan.ungranted = (caps->bounding & ~now->bounding) | (caps->permitted & ~plan.permitted) |
			 (caps->effective & ~plan.effective) |
			 (caps->inheritable & ~plan.inheritable) | (caps->ambient & ~plan.ambient);
	/* Root keeps its permitted set over setresuid(2) anyway; an empty one needs no keeping.
	 * Inheritable bits are new ones only if they are still permitted at capset(2). */
	plan.keep_caps = user->uid != 0 && (plan.permitted | plan.inheritable);
	plan.clear_ambient = now->ambient & ~plan.ambient;
	*ret = plan;
	return 0;
}

static const char *cap_text(int cap)
{
	return spec_capability_name(cap) ?: "a capability newer than this program";
}

static int drop_bounding(uint64_t drop, struct err *err)
{
	for (int cap = 0; cap < 64; cap++) {
		int r = drop >> cap & 1 ? sys_prctl(PR_CAPBSET_DROP, (unsigned long)cap, 0, 0, 0)
					: 0;

		if (r < 0)
			return err_sys(err, r, "dropping %s from the bounding set", cap_text(cap));
	}
	return 0;
}

static int set_ids(const struct credentials_plan *plan, struct err *err)
{
	int r = 0;

	if (plan->set_groups)
		r = sys_setgroups(plan->group_count, plan->groups);
	if (r == -EINVAL)
		return err_set(err, r,
			"process.user.additionalGids: a group has no mapping in the user "
			"namespace");
	if (r < 0)
		return err_sys(err, r, "setting the supplementary groups");
	r = sys_setresgid(plan->gid, plan->gid, plan->gid);
	if (r == -EINVAL)
		return err_set(err, r,
			"process.user.gid: %u has no mapping in the user namespace; add it to "
			"linux.gidMappings",
			plan->gid);
	if (r < 0)
		return err_sys(err, r, "becoming group %u", plan->gid);
	r = sys_setresuid(plan->uid, plan->uid, plan->uid);
	if (r == -EINVAL)
		return err_set(err, r,
			"process.user.uid: %u has no mapping in the user namespace; add it to "
			"linux.uidMappings",
			plan->uid);
	if (r < 0)
		return err_sys(err, r, "becoming user %u", plan->uid);
	return 0;
}

static int set_capabilities(const struct credentials_plan *plan, struct err *err)
{
	const struct __user_cap_data_struct data[2] = {
		{
			.effective = (uint32_t)plan->effective,
			.permitted = (uint32_t)plan->permitted,
			.inheritable = (uint32_t)plan->inheritable,
		},
		{
			.effective = (uint32_t)(plan->effective >> 32),
			.permitted = (uint32_t)(plan->permitted >> 32),
			.inheritable = (uint32_t)(plan->inheritable >> 32),
		},
	};
	int r = sys_capset(data);

	if (r < 0)
		return err_sys(err, r, "setting the capabilities");
	return 0;
}

static int set_ambient(const struct credentials_plan *plan, struct err *err)
{
	int r = 0;

	if (plan->clear_ambient)
		r = sys_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (r < 0)
		return err_sys(err, r, "clearing the ambient capabilities");
	for (int cap = 0; cap < 64; cap++) {
		if (plan->ambient >> cap & 1)
			r = sys_prctl(
				PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, (unsigned long)cap, 0, 0);
		if (r < 0)
			return err_sys(err, r, "raising the ambient %s", cap_text(cap));
	}
	return 0;
}

int credentials_apply(const struct credentials_plan *plan, struct err *err)
{
	int r = drop_bounding(plan->drop, err);

	if (r < 0)
		return r;
	if (plan->keep_caps) {
		r = sys_prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
		if (r < 0)
			return err_sys(err, r, "keeping capabilities for user %u", plan->uid);
	}
	r = set_ids(plan, err);
	r = r ?: set_capabilities(plan, err);
	r = r ?: set_ambient(plan, err);
	if (r < 0)
		return r;
	if (plan->umask.set)
		umask((mode_t)plan->umask.value);
	return 0;
}
