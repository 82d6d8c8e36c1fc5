/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/vmm/jail.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/jail.h"
#include "base/sys.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static int write_file(const char *name, const char *text)
{
	return fd_write_file(AT_FDCWD, name, text);
}

/* One user, one group, each itself. */
static int map_user(uid_t uid, gid_t gid)
{
	char line[64];
	int r = write_file("/proc/self/setgroups", "deny");

	snprintf(line, sizeof(line), "%u %u 1", uid, uid);
	if (r == 0)
		r = write_file("/proc/self/uid_map", line);
	snprintf(line, sizeof(line), "%u %u 1", gid, gid);
	return r == 0 ? write_file("/proc/self/gid_map", line) : r;
}

static int make_namespaces(struct err *err)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int r = sys_unshare(CLONE_NEWUSER);

	if (r == 0)
		r = map_user(uid, gid);
	if (r < 0)
		return err_sys(err, r, "jail: a user namespace for uid %u", uid);
	r = sys_unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP);
	return r < 0 ? err_sys(err, r, "jail: namespaces") : 0;
}

static int set_limits(unsigned int descriptors)
{
	const struct {
		__rlimit_resource_t which;
		rlim_t value;
	} limits[] = {
		{RLIMIT_NOFILE, descriptors},
		{RLIMIT_CORE, 0},
		{RLIMIT_MSGQUEUE, 0},
		{RLIMIT_LOCKS, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		const struct rlimit limit = {limits[i].value, limits[i].value};

		if (setrlimit(limits[i].which, &limit) < 0)
			return -errno;
	}
	return 0;
}

int jail_enter(const struct jail_options *o, struct err *err)
{
	int r = 0;

	if (o->change_user)
		r = jail_user(o->uid, o->gid);
	if (r < 0)
		return err_sys(err, r, "jail: user %u and group %u", o->uid, o->gid);
	/* The maps are files of root's while the process is not dumpable. */
	r = sys_prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	if (r == 0)
		r = make_namespaces(err);
	if (r < 0)
		return r;
	r = sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (r == 0)
		r = jail_empty_root();
	if (r < 0)
		return err_sys(err, r, "jail: an empty root");
	r = jail_capabilities(0);
	if (r < 0)
		return err_sys(err, r, "jail: capabilities");
	r = set_limits(o->descriptors);
	if (r < 0)
		return err_sys(err, r, "jail: limits");
	r = sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (r == 0)
		r = jail_files(-1, 0);
	return r < 0 ? err_sys(err, r, "jail: Landlock") : 0;
}
