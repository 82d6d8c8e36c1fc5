/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define RESULT(call)                                  \
	({                                            \
		__auto_type r_ = (call);              \
		r_ < 0 ? (__typeof__(r_))-errno : r_; \
	})

#define RETRY(call)                                   \
	({                                            \
		__typeof__(call) r_;                  \
		do                                    \
			r_ = (call);                  \
		while (r_ < 0 && errno == EINTR);     \
		r_ < 0 ? (__typeof__(r_))-errno : r_; \
	})

int sys_openat2(int dirfd, const char *path, uint64_t flags, uint32_t mode, uint64_t resolve)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.mode = mode,
		.resolve = resolve,
	};
	long r;

	/* EAGAIN: a rename crossed a RESOLVE_IN_ROOT walk; the kernel asks to try again. An
	 * attacker can keep renaming, so the number of tries is bounded. */
	for (int tries = 0; tries < 128; tries++) {
		r = RESULT(syscall(SYS_openat2, dirfd, path, &how, sizeof(how)));
		if (r != -EAGAIN && r != -EINTR)
			break;
	}
	return (int)r;
}

int sys_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	return RETRY(openat(dirfd, path, flags | O_CLOEXEC, mode));
}

int sys_mkdirat(int dirfd, const char *path, mode_t mode)
{
	return RESULT(mkdirat(dirfd, path, mode));
}

int sys_mknodat(int dirfd, const char *path, mode_t mode, dev_t dev)
{
	return RESULT(mknodat(dirfd, path, mode, dev));
}

int sys_symlinkat(const char *target, int dirfd, const char *path)
{
	return RESULT(symlinkat(target, dirfd, path));
}

int sys_linkat(int olddirfd, const char *oldpath, int newdirfd, const char *newpath, int flags)
{
	return RESULT(linkat(olddirfd, oldpath, newdirfd, newpath, flags));
}

int sys_unlinkat(int dirfd, const char *path, int flags)
{
	return RESULT(unlinkat(dirfd, path, flags));
}

int sys_renameat2(
	int olddirfd, const char *oldpath, int newdirfd, const char *newpath, unsigned int flags)
{
	return RESULT(renameat2(olddirfd, oldpath, newdirfd, newpath, flags));
}

ssize_t sys_readlinkat(int dirfd, const char *path, char *buf, size_t size)
{
	return RESULT(readlinkat(dirfd, path, buf, size));
}

int sys_fstatat(int dirfd, const char *path, struct stat *ret, int flags)
{
	return RESULT(fstatat(dirfd, path, ret, flags));
}

int sys_statx(int dirfd, const char *path, int flags, unsigned int mask, struct statx *ret)
{
	return RESULT(statx(dirfd, path, flags, mask, ret));
}

int sys_faccessat(int dirfd, const char *path, int mode, int flags)
{
	return RESULT(faccessat(dirfd, path, mode, flags));
}

int sys_fchownat(int dirfd, const char *path, uid_t uid, gid_t gid, int flags)
{
	return RESULT(fchownat(dirfd, path, uid, gid, flags));
}

int sys_fchmodat(int dirfd, const char *path, mode_t mode)
{
	return RESULT(fchmodat(dirfd, path, mode, 0));
}

int sys_fchmod(int fd, mode_t mode)
{
	return RESULT(fchmod(fd, mode));
}

int sys_fchdir(int fd)
{
	return RESULT(fchdir(fd));
}

int sys_chdir(const char *path)
{
	return RESULT(chdir(path));
}

int sys_chroot(const char *path)
{
	return RESULT(chroot(path));
}

int sys_getcwd(char *buf, size_t size)
{
	/* The raw call shows a directory outside the root as "(unreachable)…"; glibc hides that. */
	return (int)RESULT(syscall(SYS_getcwd, buf, size));
}

int sys_fstat(int fd, struct stat *ret)
{
	return RESULT(fstat(fd, ret));
}

#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x00004000U /* Linux 6.8 */
#endif

int sys_mount_id(int fd, uint64_t *ret)
{
	struct statx stx;
	int r = RESULT(statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID | STATX_MNT_ID_UNIQUE, &stx));

	if (r == 0 && !(stx.stx_mask & (STATX_MNT_ID | STATX_MNT_ID_UNIQUE)))
		r = -EOPNOTSUPP;
	if (r == 0)
		*ret = stx.stx_mnt_id;
	return r;
}

int sys_fstatfs(int fd, struct statfs *ret)
{
	return RESULT(fstatfs(fd, ret));
}

int sys_statfs(const char *path, struct statfs *ret)
{
	return RESULT(statfs(path, ret));
}

int sys_fsync(int fd)
{
	return RESULT(fsync(fd));
}

int sys_ftruncate(int fd, off_t size)
{
	return RESULT(ftruncate(fd, size));
}

int sys_flock(int fd, int operation)
{
	return RETRY(flock(fd, operation));
}

int sys_dup3(int oldfd, int newfd)
{
	return RETRY(dup3(oldfd, newfd, O_CLOEXEC));
}

int sys_dup(int fd)
{
	return RESULT(fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

int sys_set_cloexec(int fd, bool on)
{
	return RESULT(fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0));
}

int sys_pipe(int ret_fds[2])
{
	return RESULT(pipe2(ret_fds, O_CLOEXEC));
}

int sys_memfd_create(const char *name, unsigned int flags)
{
	return RESULT(memfd_create(name, flags | MFD_CLOEXEC));
}

int sys_close_range(unsigned int first, unsigned int last, unsigned int flags)
{
	return RESULT(close_range(first, last, (int)flags));
}

int sys_bpf(int cmd, union bpf_attr *attr, unsigned int size)
{
	return (int)RESULT(syscall(SYS_bpf, cmd, attr, size));
}

ssize_t sys_read(int fd, void *buf, size_t size)
{
	return RETRY(read(fd, buf, size));
}

ssize_t sys_write(int fd, const void *buf, size_t size)
{
	return RETRY(write(fd, buf, size));
}

ssize_t sys_pread(int fd, void *buf, size_t size, off_t offset)
{
	return RETRY(pread(fd, buf, size, offset));
}

ssize_t sys_pwrite(int fd, const void *buf, size_t size, off_t offset)
{
	return RETRY(pwrite(fd, buf, size, offset));
}

int sys_poll(struct pollfd *fds, unsigned int count, int timeout_ms)
{
	return RESULT(poll(fds, count, timeout_ms));
}

int sys_socketpair(int type, int ret_fds[2])
{
	return RESULT(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ret_fds));
}

int sys_socket_unix(int type)
{
	return RESULT(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
}

/* sun_path holds 107 bytes, so a long directory is named by its descriptor instead. */
static int unix_address(int dirfd, const char *name, struct sockaddr_un *ret)
{
	int n;

	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (dirfd == AT_FDCWD || name[0] == '/')
		n = snprintf(ret->sun_path, sizeof(ret->sun_path), "%s", name);
	else
		n = snprintf(
			ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", dirfd, name);
	return n < (int)sizeof(ret->sun_path) ? 0 : -ENAMETOOLONG;
}

int sys_bind_unix(int sock, int dirfd, const char *name)
{
	struct sockaddr_un address;
	int r = unix_address(dirfd, name, &address);

	/* A socket's mode before is its file's mode: nobody else can connect, at no moment. */
	if (r == 0)
		r = RESULT(fchmod(sock, 0600));
	return r < 0 ? r : RESULT(bind(sock, (struct sockaddr *)&address, sizeof(address)));
}

int sys_connect_unix(int sock, int dirfd, const char *name)
{
	struct sockaddr_un address;
	int r = unix_address(dirfd, name, &address);

	return r < 0 ? r : RETRY(connect(sock, (struct sockaddr *)&address, sizeof(address)));
}

int sys_listen(int sock, int backlog)
{
	return RESULT(listen(sock, backlog));
}

int sys_accept(int sock)
{
	return RETRY(accept4(sock, NULL, NULL, SOCK_CLOEXEC));
}

ssize_t sys_sendmsg(int sock, const struct msghdr *msg, int flags)
{
	return RETRY(sendmsg(sock, msg, flags | MSG_NOSIGNAL));
}

ssize_t sys_recvmsg(int sock, struct msghdr *msg, int flags)
{
	return RETRY(recvmsg(sock, msg, flags | MSG_CMSG_CLOEXEC));
}

int sys_getpeercred(int sock, struct ucred *ret)
{
	socklen_t size = sizeof(*ret);

	return RESULT(getsockopt(sock, SOL_SOCKET, SO_PEERCRED, ret, &size));
}

int sys_open_tree(int dirfd, const char *path, unsigned int flags)
{
	return RESULT(open_tree(dirfd, path, flags | OPEN_TREE_CLOEXEC));
}

int sys_move_mount(int fromfd, const char *from, int tofd, const char *to, unsigned int flags)
{
	return RESULT(move_mount(fromfd, from, tofd, to, flags));
}

int sys_fsopen(const char *type)
{
	return RESULT(fsopen(type, FSOPEN_CLOEXEC));
}

int sys_fsconfig(int fd, unsigned int cmd, const char *key, const void *value, int aux)
{
	return RESULT(fsconfig(fd, cmd, key, value, aux));
}

int sys_fsmount(int fd, unsigned int attrs)
{
	return RESULT(fsmount(fd, FSMOUNT_CLOEXEC, attrs));
}

int sys_fspick(int dirfd, const char *path, unsigned int flags)
{
	return RESULT(fspick(dirfd, path, flags | FSPICK_CLOEXEC));
}

int sys_mount_setattr(int dirfd, const char *path, unsigned int flags, uint64_t set, uint64_t clear,
	uint64_t propagation, int userns_fd)
{
	struct mount_attr attr = {
		.attr_set = set,
		.attr_clr = clear,
		.propagation = propagation,
		.userns_fd = userns_fd >= 0 ? (uint64_t)userns_fd : 0,
	};

	return RESULT(mount_setattr(dirfd, path, flags, &attr, sizeof(attr)));
}

int sys_mount(const char *source, const char *target, const char *type, unsigned long flags,
	const void *data)
{
	return RESULT(mount(source, target, type, flags, data));
}

int sys_umount2(const char *target, int flags)
{
	return RESULT(umount2(target, flags));
}

int sys_pivot_root(const char *new_root, const char *put_old)
{
	return (int)RESULT(syscall(SYS_pivot_root, new_root, put_old));
}

pid_t sys_clone3(struct clone_args *args)
{
	return (pid_t)RESULT(syscall(SYS_clone3, args, sizeof(*args)));
}

pid_t sys_clone(unsigned long flags, pid_t *ret_pid)
{
#ifdef __s390x__
	return (pid_t)RESULT(syscall(SYS_clone, NULL, flags, ret_pid, NULL, 0));
#else
	return (pid_t)RESULT(syscall(SYS_clone, flags, NULL, ret_pid, NULL, 0));
#endif
}

pid_t sys_fork(void)
{
	return RESULT(fork());
}

int sys_unshare(int flags)
{
	return RESULT(unshare(flags));
}

int sys_setns(int fd, int flags)
{
	return RESULT(setns(fd, flags));
}

int sys_execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags)
{
	return RESULT(execveat(fd, path, argv, envp, flags));
}

pid_t sys_waitpid(pid_t pid, int *ret_status, int options)
{
	return RETRY(waitpid(pid, ret_status, options));
}

int sys_waitid(idtype_t type, id_t id, siginfo_t *ret_info, int options)
{
	return RETRY(waitid(type, id, ret_info, options));
}

int sys_pidfd_open(pid_t pid, unsigned int flags)
{
	return RESULT(pidfd_open(pid, flags));
}

int sys_pidfd_send_signal(int pidfd, int sig)
{
	return RESULT(pidfd_send_signal(pidfd, sig, NULL, 0));
}

int sys_pidfd_getfd(int pidfd, int target_fd)
{
	return RESULT(pidfd_getfd(pidfd, target_fd, 0));
}

int sys_kill(pid_t pid, int sig)
{
	return RESULT(kill(pid, sig));
}

int sys_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	return RESULT(prctl(option, a, b, c, d));
}

int sys_setgroups(size_t count, const gid_t *groups)
{
	return (int)RESULT(syscall(SYS_setgroups, count, groups));
}

int sys_setresuid(uid_t ruid, uid_t euid, uid_t suid)
{
	return (int)RESULT(syscall(SYS_setresuid, ruid, euid, suid));
}

int sys_setresgid(gid_t rgid, gid_t egid, gid_t sgid)
{
	return (int)RESULT(syscall(SYS_setresgid, rgid, egid, sgid));
}

int sys_sethostname(const char *name)
{
	return RESULT(sethostname(name, strlen(name)));
}

int sys_setdomainname(const char *name)
{
	return RESULT(setdomainname(name, strlen(name)));
}

int sys_ioctl(int fd, unsigned long request, void *arg)
{
	return RESULT(ioctl(fd, request, arg));
}
