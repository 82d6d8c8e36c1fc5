/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Code that changes its process, for tests: run in a forked child, which exits 0 when all went
 * well.
 */
#pragma once

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Ends the child with a line about where, unless CONDITION. */
#define child_check(condition)                                                                   \
	do {                                                                                     \
		if (!(condition)) {                                                              \
			dprintf(2, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, err.text); \
			_exit(1);                                                                \
		}                                                                                \
	} while (0)

/* Returns the wait status of a child that ran RUN(ARG). */
static inline int child_run(void (*run)(void *), void *arg)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		run(arg);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}
