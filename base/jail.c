/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jail.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "base/sys_self.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/prctl.h>

enum {
	LAST_CAPABILITY = 63,
	LANDLOCK_ABIS = 5, /* the last that added a right for files */
};

/* --- the root --- */

static int pivot(void)
{
	int r = sys_pivot_root(".", ".");

	if (r == 0)
		r = sys_umount2(".", MNT_DETACH);
	return r == -EINVAL ? sys_chroot(".") : r;
}

int jail_root(int mount)
{
	int r = sys_move_mount(mount, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);

	if (r == 0)
		r = sys_fchdir(mount);
	if (r == 0)
		r = pivot();
	return r == 0 ? sys_chdir("/") : r;
}

int jail_empty_root(void)
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

/* --- identity --- */

/* What is permitted and in the mask KEEP becomes effective, the rest goes for good. */
static int set_capabilities(uint64_t keep)
{
	struct __user_cap_data_struct data[2] = {};
	int r = sys_capget(data);

	for (int i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(keep >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	return r < 0 ? r : sys_capset(data); /* ambient ones go with the permitted */
}

int jail_user(uid_t uid, gid_t gid)
{
	int r = sys_prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);

	if (r == 0)
		r = sys_setgroups(0, NULL);
	if (r == 0)
		r = sys_setresgid(gid, gid, gid);
	if (r == 0)
		r = sys_setresuid(uid, uid, uid);
	return r < 0 ? r
		     : set_capabilities(UINT64_MAX); /* setresuid() cleared the effective ones */
}

int jail_capabilities(uint64_t keep)
{
	for (unsigned long cap = 0; cap <= LAST_CAPABILITY; cap++) {
		int r = sys_prctl(PR_CAPBSET_READ, cap, 0, 0, 0);

		if (r == -EINVAL)
			break; /* the kernel has no more */
		if (r > 0 && !(keep >> cap & 1))
			r = sys_prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
		if (r < 0 && r != -EPERM) /* who has no CAP_SETPCAP has nothing to lose either */
			return r;
	}
	return set_capabilities(keep);
}

/* --- files --- */

int jail_files_abi(void)
{
	int abi = sys_landlock_create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi == -ENOSYS || abi == -EOPNOTSUPP ? 0 : abi;
}

int jail_files(int beneath, uint64_t allowed)
{
	/* Every right of each ABI, whatever linux/landlock.h has. */
	static const uint64_t rights[LANDLOCK_ABIS] = {(1ULL << 13) - 1, (1ULL << 14) - 1,
		(1ULL << 15) - 1, (1ULL << 15) - 1, (1ULL << 16) - 1};
	struct landlock_path_beneath_attr rule = {.parent_fd = beneath};
	struct sys_landlock_ruleset attr = {};
	autoclose int ruleset = -1;
	int abi = jail_files_abi(), r;

	if (abi <= 0)
		return abi;
	attr.fs = rights[(abi < LANDLOCK_ABIS ? abi : LANDLOCK_ABIS) - 1];
	rule.allowed_access = attr.fs & allowed;
	r = ruleset = sys_landlock_create_ruleset(&attr, sizeof(attr.fs), 0);
	if (r >= 0 && beneath >= 0 && rule.allowed_access)
		r = sys_landlock_add_rule(ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	if (r >= 0)
		r = sys_landlock_restrict_self(ruleset, 0);
	return r < 0 ? r : abi;
}
