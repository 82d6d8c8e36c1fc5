/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs commands one after another: measure [-o FILE] COMMAND… [-- COMMAND…]…
 *
 * For benchmarks, where a shell between the commands would cost as much as they do. With -o it adds
 * one line to FILE: wall time in µs, user and system time in µs, and the largest resident set of
 * any process below it in KiB (getrusage(2), RUSAGE_CHILDREN). A command's standard input is
 * /dev/null. It is linked statically and stays small, because a process's own size before execve(2)
 * counts.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int run(char **argv)
{
	pid_t pid;
	int status, r = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);

	if (r) {
		fprintf(stderr, "measure: %s: %s\n", argv[0], strerror(r));
		return 127;
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 126;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	fprintf(stderr, "measure: %s %s: wait status 0x%x\n", argv[0], argv[1] ? argv[1] : "",
		status);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static long long micros(struct timeval t)
{
	return t.tv_sec * 1000000LL + t.tv_usec;
}

static int report(const char *file, const struct timespec *begin)
{
	struct timespec end;
	struct rusage usage;
	FILE *out = fopen(file, "a");

	if (!out || clock_gettime(CLOCK_MONOTONIC, &end) < 0 ||
		getrusage(RUSAGE_CHILDREN, &usage) < 0) {
		perror(file);
		return 125;
	}
	fprintf(out, "%lld %lld %ld\n",
		(end.tv_sec - begin->tv_sec) * 1000000LL + (end.tv_nsec - begin->tv_nsec) / 1000,
		micros(usage.ru_utime) + micros(usage.ru_stime), usage.ru_maxrss);
	return fclose(out) ? 125 : 0;
}

int main(int argc, char **argv)
{
	const char *file = NULL;
	struct timespec begin;
	int null, i = 1, r = 0;

	if (argc > 2 && strcmp(argv[1], "-o") == 0) {
		file = argv[2];
		i = 3;
	}
	if (i >= argc) {
		fputs("usage: measure [-o FILE] COMMAND... [-- COMMAND...]...\n", stderr);
		return 2;
	}
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0) {
		perror("/dev/null");
		return 125;
	}
	clock_gettime(CLOCK_MONOTONIC, &begin);
	while (i < argc && r == 0) {
		char **command = argv + i;

		while (i < argc && strcmp(argv[i], "--") != 0)
			i++;
		argv[i++] = NULL;
		if (*command)
			r = run(command);
	}
	return r || !file ? r : report(file, &begin);
}
