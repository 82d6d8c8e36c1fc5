/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brig-fsd ROOT SOCKET rw|ro: serves the folder behind the descriptor ROOT to the VM whose VMM is
 * at the descriptor SOCKET. Needs root: the guest's files have many owners.
 *
 * The jail: mount, network, IPC, UTS and cgroup namespaces of its own (the PID namespace comes from
 * the launcher), the folder as the root, the five capabilities that owners and modes need, Landlock
 * on the folder, a system call filter.
 */
#include "base/cleanup.h"
#include "base/jail.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/sys.h"
#include "runtime/microvm/fsd/session.h"
#include "runtime/microvm/vmm/filter.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define KEPT                                                                                      \
	(1ULL << CAP_CHOWN | 1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_FOWNER | 1ULL << CAP_FSETID | \
		1ULL << CAP_SETFCAP)

/* A procfs that is mounted nowhere, so nothing leads from it to other files. */
static int open_proc(struct err *err)
{
	autoclose int fs = sys_fsopen("proc"), mount = -1;
	int r = fs < 0 ? fs : sys_fsconfig(fs, FSCONFIG_SET_STRING, "subset", "pid", 0);

	if (r == 0)
		r = sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (r == 0)
		r = mount =
			sys_fsmount(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (r >= 0)
		r = sys_openat(mount, "self/fd", O_PATH | O_DIRECTORY, 0);
	return r < 0 ? err_sys(err, r, "file server: procfs") : r;
}

/* The folder, with what is mounted in it, as a mount of its own that runs nothing. */
static int clone_folder(int folder, bool read_only, struct err *err)
{
	autoclose int mount =
		sys_open_tree(folder, "", OPEN_TREE_CLONE | AT_EMPTY_PATH | AT_RECURSIVE);
	uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
			      (read_only ? MOUNT_ATTR_RDONLY : 0);
	int r = mount < 0 ? mount
			  : sys_mount_setattr(mount, "", AT_EMPTY_PATH | AT_RECURSIVE, attributes,
				    0, MS_PRIVATE, -1);

	return r < 0 ? err_sys(err, r, "file server: the folder to share") : take_fd(&mount);
}

/* Every file that the guest knows is a descriptor here. */
static int raise_limit(void)
{
	struct rlimit limit = {FSD_INODES_MAX + FSD_HANDLES_MAX, FSD_INODES_MAX + FSD_HANDLES_MAX};

	/* More than the hard limit needs CAP_SYS_RESOURCE, and the kernel's fs.nr_open. */
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
		return 0;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

static int enter_jail(int folder, bool read_only, int *ret_root, int *ret_proc, struct err *err)
{
	autoclose int mount = -1, root = -1, proc = -1;
	int r = mount = clone_folder(folder, read_only, err); /* only its own namespace can */

	if (r < 0)
		return r;
	r = sys_unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP);
	if (r == 0)
		r = sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	if (r < 0)
		return err_sys(err, r, "file server: namespaces");
	r = proc = open_proc(err);
	if (r < 0)
		return r;
	r = jail_root(mount);
	if (r == 0)
		r = root = sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0);
	if (r >= 0)
		r = raise_limit();
	if (r == 0)
		r = jail_capabilities(KEPT);
	if (r == 0)
		r = sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (r == 0)
		r = sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	/* Without its second version nothing could be renamed from one folder to another. */
	if (r == 0 && jail_files_abi() >= JAIL_FILES_REFER_ABI)
		r = jail_files(root, JAIL_FILES_ALL);
	if (r < 0)
		return err_sys(err, r, "file server: jail");
	r = sys_fchdir(proc); /* xattr.c */
	if (r < 0)
		return err_sys(err, r, "file server: procfs");
	*ret_root = take_fd(&root);
	*ret_proc = take_fd(&proc);
	return 0;
}

static int run(char **argv, struct err *err)
{
	static struct fsd fsd;
	static struct session session;
	uint32_t folder, socket;
	bool read_only = !strcmp(argv[3], "ro");
	int root = -1, proc = -1, r;

	if (parse_u32(argv[1], &folder) < 0 || parse_u32(argv[2], &socket) < 0 ||
		(!read_only && strcmp(argv[3], "rw") != 0))
		return err_set(err, -EINVAL, "usage: brig-fsd ROOT SOCKET rw|ro");
	r = enter_jail((int)folder, read_only, &root, &proc, err);
	close((int)folder);
	if (r == 0)
		r = fsd_open(&fsd, root, proc, read_only, err);
	if (r == 0)
		r = session_open(&session, &fsd, (int)socket, err);
	if (r == 0)
		r = filter_load("fsd", err);
	return r < 0 ? r : session_run(&session, err);
}

int main(int argc, char **argv)
{
	struct err err = {};
	int r = argc == 4 ? run(argv, &err)
			  : err_set(&err, -EINVAL, "usage: brig-fsd ROOT SOCKET rw|ro");

	if (r < 0)
		log_failure("brig-fsd", &err);
	return r < 0;
}
