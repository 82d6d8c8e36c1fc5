/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Installing a compiled program in the calling process, and handing its listener on.
 *
 * The trouble with SCMP_ACT_NOTIFY: from the moment that the filter stands, any system call of the
 * loading process can be one that waits for the supervisor, sendmsg(2) and execve(2) among them,
 * yet the supervisor cannot answer before it has the listener. So the loading process must not make
 * a single system call between seccomp(2) and the arrival of the listener at the supervisor.
 *
 * seccomp_install_notify() therefore starts a thread first, which shares memory and descriptor
 * table but, with no TSYNC, not the filter. The loader calls seccomp(2) and stores the listener's
 * number in memory; the thread, which waited for that number, sends it, closes it and stores the
 * result; the loader waits for the result by reading memory only. In between there is no call of
 * the loader's that the filter could catch, and nothing to race with: the number is written once by
 * the one who owns it, and a descriptor in flight keeps the listener alive. The thread ends
 * before the function returns or at the latest when the loader executes its program. When sending
 * fails, the thread closes the only listener, so that trapped calls fail with ENOSYS instead of
 * waiting for ever, and the loader returns the error.
 *
 * pidfd_getfd(2) from the parent would do without the thread, but needs ptrace access to a process
 * that is not dumpable, which a rootless runtime does not have.
 *
 * Both need no_new_privs or CAP_SYS_ADMIN in the user namespace. They are the last step before
 * close_range(2) and execve(2). A failure is final. Child stages only, single-threaded.
 */
#pragma once

#include "base/err.h"
#include "runtime/attrs/seccomp/compile.h"

#include <stddef.h>

/*
 * Installs PROGRAM: one system call. When PROGRAM->notify, *RET_LISTENER gets the listener
 * (close-on-exec, the caller's), else −1; NULL is allowed only without notify (−EINVAL).
 */
int seccomp_install(const struct seccomp_program *program, int *ret_listener, struct err *err);

/*
 * Installs PROGRAM and sends the listener with the LEN bytes of STATE over SOCK: for listenerPath
 * the OCI container process state (config-linux.md, "The Container Process State", with "fds":
 * ["seccompFd"]) as JSON, and a connected SOCK_STREAM or SOCK_SEQPACKET socket. The descriptor
 * goes with the first byte. SOCK stays open (close-on-exec, the caller's). A supervisor that does
 * not read for 10 s is −ETIMEDOUT. Without notify this is seccomp_install() and nothing is sent.
 *
 * Needs room for one more task (pids.max, RLIMIT_NPROC) for that moment, and the process must be
 * in the PID and time namespaces of its children already.
 */
int seccomp_install_notify(const struct seccomp_program *program, int sock, const void *state,
	size_t len, struct err *err);
