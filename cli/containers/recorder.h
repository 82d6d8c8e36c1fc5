/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --record-seccomp: which system calls a container makes, as a profile that allows those and no
 * others.
 *
 * The container gets a filter that answers every call by a notice to this process
 * (seccomp_unotify(2)), which notes architecture and number and lets the kernel go on
 * (SECCOMP_USER_NOTIF_FLAG_CONTINUE). Of the ways there are it is the one that sees what a profile
 * judges, by construction: the filter stands where the recorded one is going to stand, so that what
 * brig itself does between loading it and execve(2) is in the profile, and nothing from before;
 * every process of the container inherits it, and exec and health checks load it too; the
 * architecture is the one of the call. It needs no privilege beyond that of any filter, so it works
 * without root. What the others lack:
 *  - ptrace(2) and SECCOMP_RET_TRACE make a tracer of us: debuggers in the container fail, signals
 * and group stops change their order.
 *  - SECCOMP_RET_LOG goes to the audit log, which is limited in rate, shared, and not to be had
 * without privilege: calls are missing from it.
 *  - A BPF program at raw_syscalls needs CAP_BPF and CAP_PERFMON on the host, a cgroup to tell the
 *    container by, and cannot tell when the filter would have been loaded.
 *
 * What it costs is time: two context switches for each call. Once we have received a notice only a
 * fatal signal interrupts the wait (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, Linux 5.19), so that no
 * call gets an EINTR that it cannot have otherwise. A program that asks for a listener of its own
 * is refused one (EBUSY): the kernel has one for each process.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The profile to listen with: every call that has a name, on every architecture of this machine, by
 * way of the socket LISTENER, an absolute path. NULL without memory. Pure but for asking the kernel
 * for flags. */
json_t *recorder_profile(const char *listener);

enum { RECORDER_ARCHES = 4, RECORDER_CALLS = 1024 };

/* Which calls were seen, by architecture (SCMP_ARCH_…). */
struct recorded {
	struct {
		uint32_t arch; /* 0: none yet */
		bool seen[RECORDER_CALLS];
	} arches[RECORDER_ARCHES];
};
/* AUDIT_ARCH and NUMBER as struct seccomp_data has them. What has no name on its architecture is
 * nothing that a profile could allow: it is left out when that is written. */
void recorded_add(struct recorded *recorded, uint32_t audit_arch, uint32_t number);
/* As the text of an OCI profile. −ENOMEM. */
int recorded_write(const struct recorded *recorded, struct buf *ret);

struct recorder {
	pid_t pid;   /* 0: there is none */
	int control; /* closed: it writes what it has and ends */
};

/* The name of the socket in the container's directory RUNDIR. */
#define RECORDER_SOCKET "seccomp.sock"

/*
 * Starts the recorder, a child of the calling process, for the container whose directory is RUNDIR:
 * it listens when this returns. −errno when FILE, an absolute path, could not be written to. The
 * process of the monitor; single-threaded.
 */
int recorder_start(int rundir, const char *file, struct recorder *ret, struct err *err);
/* When the container has ended: waits until the profile is written. */
void recorder_finish(struct recorder *recorder, int rundir);
/* When it did not start: nothing is written. */
void recorder_cancel(struct recorder *recorder, int rundir);
