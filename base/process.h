/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running a helper program (a hook, newuidmap, criu) and waiting for it.
 *
 * The program gets exactly the environment, directory and three descriptors that are named here;
 * every other descriptor is closed, signals are at their defaults, and when the time is over the
 * whole process group is killed. When the caller dies the program does, too.
 */
#pragma once

#include "base/cancel.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process_options {
	const char *path;        /* absolute */
	const char *const *argv; /* ends with NULL */
	const char *const *envp; /* ends with NULL; NULL: an empty environment */
	const char *cwd;         /* NULL: "/" */
	const void *input;       /* to its standard input, then end of file */
	size_t input_len;
	int stdout_fd, stderr_fd;    /* −1: /dev/null */
	int timeout_ms;              /* 0: none */
	const struct cancel *cancel; /* NULL: no signal ends it */
};

/*
 * Returns 0 when the program ran, with the wait(2) status in RET_STATUS; −ENOENT and such when it
 * could not be started, −ETIMEDOUT or −EINTR (cancel) after it was killed. Single-threaded
 * processes only.
 */
int process_run(const struct process_options *options, int *ret_status, struct err *err);
/* The same with the first of PATHS that is there as .path; NULL after the last. −ENOENT: none is.
 */
int process_run_first(const char *const *paths, const struct process_options *options,
	int *ret_status, struct err *err);

/* The start time of PID in clock ticks since boot (field 22 of /proc/PID/stat, proc(5)): with the
 * pid, a name for a process that is never used twice. PROCFD is a procfs. RET_STATE gets the state
 * letter; may be NULL. −ESRCH when there is no such process. */
int process_start_time(int procfd, pid_t pid, unsigned long long *ret, char *ret_state);
/* Another such name, which is looked at in a third of the time: the number of the pidfd's inode,
 * which no other process has until the next boot. −EOPNOTSUPP: this kernel numbers none. */
int process_pidfd_inode(pid_t pid, uint64_t *ret);
/* Whether PID is the process of that INODE and has not ended: 1, or 0. */
int process_is_inode(pid_t pid, uint64_t inode);

/*
 * What others see of this process: /proc/PID/cmdline and environ, proc_pid_cmdline(5), are the
 * memory into which execve(2) has put arguments and environment.
 *
 * process_own_arguments() copies both, for the process's own use, and returns the copy of ARGV;
 * `environ` is another one from then on. Once, first of all in main(). NULL without memory.
 * process_hide() then empties the originals and gives their whole pages back, which a fork has not
 * copied then: the arguments become TITLE, as far as there is room, the environment nothing. For a
 * process that a container may see, or that stays: what the command was given is nobody's business
 * then.
 */
char **process_own_arguments(int argc, char **argv);
void process_hide(const char *title);
