/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/vmm/jail.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/mount.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum {
	LAST_CAPABILITY = 63,
	/* Every right that linux/landlock.h of any ABI names for files; masked to what there is. */
	LANDLOCK_ABIS = 5,
};

/* A directory of files that only we may write is not there; capabilities survive the change of user
 * until the namespaces are made. */
static int change_user(uid_t uid, gid_t gid)
{
	int r = sys_prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);

	if (r == 0)
		r = sys_setgroups(0, NULL);
	if (r == 0)
		r = sys_setresgid(gid, gid, gid);
	if (r == 0)
		r = sys_setresuid(uid, uid, uid);
	return r;
}

/* What is permitted and in the mask KEEP becomes effective, the rest goes for good. */
static int set_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {};

	if (syscall(SYS_capget, &head, data) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(keep >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

int jail_user(uid_t uid, gid_t gid)
{
	int r = change_user(uid, gid);

	return r < 0 ? r
		     : set_capabilities(UINT64_MAX); /* setresuid() cleared the effective ones */
}

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

int jail_root(int mount)
{
	int r = sys_move_mount(mount, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);

	if (r == 0)
		r = sys_fchdir(mount);
	if (r == 0)
		r = sys_pivot_root(".", ".");
	if (r == 0)
		r = sys_umount2(".", MNT_DETACH);
	return r == 0 ? sys_chdir("/") : r;
}

static int empty_root(void)
{
	autoclose int fs = -1, root = -1;
	int r = sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);

	if (r == 0)
		r = fs = sys_fsopen("tmpfs");
	if (r >= 0)
		r = sys_fsconfig(fs, FSCONFIG_SET_STRING, "size", "4096", 0);
	if (r == 0)
		r = sys_fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0000", 0);
	if (r == 0)
		r = sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (r == 0)
		r = root = sys_fsmount(fs, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
						   MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return r < 0 ? r : jail_root(root);
}

int jail_capabilities(uint64_t keep)
{
	for (unsigned long cap = 0; cap <= LAST_CAPABILITY; cap++) {
		int r = sys_prctl(PR_CAPBSET_READ, cap, 0, 0, 0);

		if (r == -EINVAL)
			break; /* the kernel has no more */
		if (r > 0 && !(keep >> cap & 1))
			r = sys_prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
		if (r < 0)
			return r;
	}
	return set_capabilities(keep); /* ambient ones go with the permitted */
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

/* Without the second ABI nothing could be renamed from one folder to another. */
enum { LANDLOCK_REFER_ABI = 2 };

int jail_files(int beneath)
{
	static const uint64_t rights[LANDLOCK_ABIS] = {(1ULL << 13) - 1, (1ULL << 14) - 1,
		(1ULL << 15) - 1, (1ULL << 15) - 1, (1ULL << 16) - 1};
	struct landlock_ruleset_attr attr = {};
	struct landlock_path_beneath_attr rule = {.parent_fd = beneath};
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	autoclose int ruleset = -1;

	if (abi < 0)
		return errno != ENOSYS && errno != EOPNOTSUPP ? -errno : 0;
	if (beneath >= 0 && abi < LANDLOCK_REFER_ABI)
		return 0;
	attr.handled_access_fs = rights[(abi < LANDLOCK_ABIS ? abi : LANDLOCK_ABIS) - 1];
	rule.allowed_access = attr.handled_access_fs;
	ruleset =
		(int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
	if (ruleset < 0)
		return -errno;
	if (beneath >= 0 &&
		syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return -errno;
	return syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? -errno : 0;
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
		r = empty_root();
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
		r = jail_files(-1);
	return r < 0 ? err_sys(err, r, "jail: Landlock") : 0;
}
