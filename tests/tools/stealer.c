/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stealer [OWN…]: the first process of a hostile container. Looks for processes that were not
 * there when it began, for ever, and tries on each to ptrace it, to take its descriptors
 * (pidfd_getfd), to open its root, working directory and executable through /proc, and to read
 * its environment. Prints a line for each descriptor or file that it got and that is not the
 * container's, for capabilities that it could get at and does not have itself, and for a variable
 * BRIG_SECRET; "ready" first.
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
		/* The runtime's own executable shows no more than what it is, unless it could be
		 * rewritten through it. */
		if (i < 2 && is_foreign(fd))
			report(names[i], pid, -1, fd);
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

static unsigned long long permitted(const char *pid)
{
	unsigned long long sets[2] = {0};
	char path[64], line[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/status", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "CapPrm: %llx", &sets[0]) == 1)
			break;
	if (file)
		fclose(file);
	return sets[0];
}

/* Who may trace a process has its capabilities. */
static void look_at_privilege(pid_t pid)
{
	char name[16];
	unsigned long long more;

	snprintf(name, sizeof(name), "%d", (int)pid);
	more = permitted(name) & ~permitted("self");
	if (more) {
		printf("STOLEN capabilities of pid %d: %llx\n", (int)pid, more);
		fflush(stdout);
	}
}

static void look_at_environment(pid_t pid)
{
	char path[64], text[4096];
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	file = fopen(path, "re");
	n = file ? fread(text, 1, sizeof(text), file) : 0;
	if (file)
		fclose(file);
	if (memmem(text, n, "BRIG_SECRET", 11)) {
		printf("STOLEN environment of pid %d\n", (int)pid);
		fflush(stdout);
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
			look_at_privilege(pid);
			look_at_environment(pid);
			open_links(pid);
			take_descriptors(pid);
			trace(pid);
		}
		/* Orphans of the container become ours. */
		while (waitpid(-1, NULL, WNOHANG) > 0)
			continue;
	}
}
