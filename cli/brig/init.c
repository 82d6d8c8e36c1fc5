/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brig-init: the first process of a container with --init. Starts the program, passes signals on to
 * it, reaps what others leave behind, and ends with the program's exit status.
 *
 * usage: brig-init -- PROGRAM [ARGUMENT…]
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOT_FOUND = 127, NOT_INVOKED = 126 };

static _Noreturn void become(char **argv, const sigset_t *before)
{
	sigprocmask(SIG_SETMASK, before, NULL);
	/* A group of its own, so that a signal from the terminal goes to it and not to us; in the
	 * foreground when there is a terminal. */
	setpgid(0, 0);
	if (isatty(STDIN_FILENO)) {
		signal(SIGTTOU, SIG_IGN);
		tcsetpgrp(STDIN_FILENO, getpid());
		signal(SIGTTOU, SIG_DFL);
	}
	execvp(argv[0], argv);
	fprintf(stderr, "brig-init: %s: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? NOT_FOUND : NOT_INVOKED);
}

/* Reaps all that has ended; true when CHILD has, with its status in RET. */
static int reap(pid_t child, int *ret)
{
	int status, ended = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == child) {
			*ret = status;
			ended = 1;
		}
	return ended;
}

int main(int argc, char **argv)
{
	sigset_t all, before;
	int sig, status;
	pid_t child;

	if (argc < 3 || strcmp(argv[1], "--") != 0) {
		fprintf(stderr, "usage: brig-init -- PROGRAM [ARGUMENT...]\n");
		return NOT_FOUND;
	}
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	child = fork();
	if (child == 0)
		become(argv + 2, &before);
	if (child < 0) {
		perror("brig-init: fork");
		return NOT_INVOKED;
	}
	for (;;) {
		if (sigwait(&all, &sig) != 0)
			continue;
		if (sig != SIGCHLD)
			kill(child, sig);
		else if (reap(child, &status))
			return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	}
}
