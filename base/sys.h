/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls, with one calling convention: a non-negative result or a negative errno.
 *
 * Nothing here decides anything. Each function is the call of section 2 of the manual with its
 * name (sys_ in front), except that
 *  - calls that only wait or transfer are repeated on EINTR where the manual says that is safe
 *    (noted below);
 *  - every descriptor is opened close-on-exec, whatever the flags say;
 *  - path-taking calls always take a directory descriptor. AT_FDCWD is for the few paths that the
 *    operator gave; everything inside a rootfs goes through base/path.h.
 *
 * This is the one file that makes raw path-taking calls; tests/checks holds the others to it.
 * Any process may call these; the manual says what privilege each needs. They are
 * async-signal-safe and take no locks, so a freshly cloned stage may use all of them.
 */
#pragma once

#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>

/* openat2(2) with RESOLVE_ of linux/openat2.h; no wrapper in glibc 2.36. */
int sys_openat2(int dirfd, const char *path, uint64_t flags, uint32_t mode, uint64_t resolve);
int sys_openat(int dirfd, const char *path, int flags, mode_t mode);
int sys_mkdirat(int dirfd, const char *path, mode_t mode);
int sys_mknodat(int dirfd, const char *path, mode_t mode, dev_t dev);
int sys_symlinkat(const char *target, int dirfd, const char *path);
int sys_linkat(int olddirfd, const char *oldpath, int newdirfd, const char *newpath, int flags);
int sys_unlinkat(int dirfd, const char *path, int flags);
int sys_renameat2(
	int olddirfd, const char *oldpath, int newdirfd, const char *newpath, unsigned int flags);
ssize_t sys_readlinkat(int dirfd, const char *path, char *buf, size_t size);
int sys_fstatat(int dirfd, const char *path, struct stat *ret, int flags);
struct statx;
int sys_statx(int dirfd, const char *path, int flags, unsigned int mask, struct statx *ret);
int sys_faccessat(int dirfd, const char *path, int mode, int flags);
int sys_fchownat(int dirfd, const char *path, uid_t uid, gid_t gid, int flags);
/* Follows PATH's last symbolic link: fchmodat(2) has no flag against it. */
int sys_fchmodat(int dirfd, const char *path, mode_t mode);
int sys_fchmod(int fd, mode_t mode);
int sys_fchdir(int fd);
int sys_chdir(const char *path);
int sys_chroot(const char *path);
int sys_getcwd(char *buf, size_t size);

int sys_fstat(int fd, struct stat *ret);
int sys_fstatfs(int fd, struct statfs *ret);
/* statx(2): the mount's number; before Linux 6.8 it is used again when the mount is gone. */
int sys_mount_id(int fd, uint64_t *ret);
int sys_statfs(const char *path, struct statfs *ret);
int sys_fsync(int fd);
int sys_ftruncate(int fd, off_t size);
int sys_flock(int fd, int operation); /* repeated on EINTR */
int sys_dup3(int oldfd, int newfd);   /* close-on-exec */
int sys_dup(int fd);                  /* F_DUPFD_CLOEXEC, above standard error */
int sys_set_cloexec(int fd, bool on);
int sys_pipe(int ret_fds[2]);
int sys_memfd_create(const char *name, unsigned int flags);
int sys_close_range(unsigned int first, unsigned int last, unsigned int flags);
ssize_t sys_read(int fd, void *buf, size_t size);                       /* repeated on EINTR */
ssize_t sys_write(int fd, const void *buf, size_t size);                /* repeated on EINTR */
ssize_t sys_pread(int fd, void *buf, size_t size, off_t offset);        /* repeated on EINTR */
ssize_t sys_pwrite(int fd, const void *buf, size_t size, off_t offset); /* repeated on EINTR */
struct pollfd;
int sys_poll(struct pollfd *fds, unsigned int count, int timeout_ms);

int sys_socketpair(int type, int ret_fds[2]); /* AF_UNIX */
int sys_socket_unix(int type);
/* bind(2) and connect(2) to NAME in the directory DIRFD, however long the directory's path is. What
 * is bound is its owner's alone, mode 0600. */
int sys_bind_unix(int sock, int dirfd, const char *name);
int sys_connect_unix(int sock, int dirfd, const char *name);
int sys_listen(int sock, int backlog);
int sys_accept(int sock); /* repeated on EINTR */
ssize_t sys_sendmsg(
	int sock, const struct msghdr *msg, int flags); /* MSG_NOSIGNAL; repeated on EINTR */
ssize_t sys_recvmsg(
	int sock, struct msghdr *msg, int flags); /* MSG_CMSG_CLOEXEC; repeated on EINTR */
int sys_getpeercred(int sock, struct ucred *ret);

union bpf_attr;
int sys_bpf(int cmd, union bpf_attr *attr, unsigned int size); /* descriptors close-on-exec */

int sys_open_tree(int dirfd, const char *path, unsigned int flags);
int sys_move_mount(int fromfd, const char *from, int tofd, const char *to, unsigned int flags);
int sys_fsopen(const char *type);
int sys_fsconfig(int fd, unsigned int cmd, const char *key, const void *value, int aux);
int sys_fsmount(int fd, unsigned int attrs);
int sys_fspick(int dirfd, const char *path, unsigned int flags);
int sys_mount_setattr(int dirfd, const char *path, unsigned int flags, uint64_t set, uint64_t clear,
	uint64_t propagation, int userns_fd);
/* mount(2) on the file system that is mounted at TARGET or to change propagation only. */
int sys_mount(const char *source, const char *target, const char *type, unsigned long flags,
	const void *data);
int sys_umount2(const char *target, int flags);
int sys_pivot_root(const char *new_root, const char *put_old);

struct clone_args; /* linux/sched.h */
/* clone3(2) without shared memory: returns twice, like fork(2). */
pid_t sys_clone3(struct clone_args *args);
/* clone(2) likewise, for filters that know nothing newer; RET_PID: for CLONE_PARENT_SETTID. */
pid_t sys_clone(unsigned long flags, pid_t *ret_pid);
pid_t sys_fork(void);
int sys_unshare(int flags);
int sys_setns(int fd, int flags);
int sys_execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags);
/* repeated on EINTR */
pid_t sys_waitpid(pid_t pid, int *ret_status, int options);
int sys_waitid(idtype_t type, id_t id, siginfo_t *ret_info, int options);
int sys_pidfd_open(pid_t pid, unsigned int flags);
int sys_pidfd_send_signal(int pidfd, int sig);
int sys_pidfd_getfd(int pidfd, int target_fd);
int sys_kill(pid_t pid, int sig);
int sys_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
/* The calling thread only: the raw call, where glibc's would signal every thread. */
int sys_setgroups(size_t count, const gid_t *groups);
int sys_setresuid(uid_t ruid, uid_t euid, uid_t suid);
int sys_setresgid(gid_t rgid, gid_t egid, gid_t sgid);
int sys_sethostname(const char *name);
int sys_setdomainname(const char *name);
int sys_ioctl(int fd, unsigned long request, void *arg);
