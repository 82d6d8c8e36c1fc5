/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/processes.h"

#include "base/fd.h"
#include "base/parse.h"
#include "base/process.h"
#include "base/sys.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool has_pid(const struct cgroup_pids *pids, const char *word)
{
	uint32_t pid;

	if (parse_u32(word, &pid) < 0)
		return false;
	for (size_t i = 0; i < pids->count; i++)
		if ((uint32_t)pids->items[i] == pid)
			return true;
	return false;
}

/* Prints the header of ps(1)'s output and the lines whose PID column is one of ours. */
static int filter(char *text, const struct cgroup_pids *pids, struct err *err)
{
	char *save, *line = strtok_r(text, "\n", &save);
	size_t column = 0;
	bool found = false;

	if (line) {
		autofree char *header = strdup(line);
		char *inner;

		for (char *w = header ? strtok_r(header, " ", &inner) : NULL; w && !found;
			w = strtok_r(NULL, " ", &inner)) {
			found = strcmp(w, "PID") == 0;
			column += !found;
		}
	}
	if (!found)
		return err_set(err, -EINVAL, "ps: these options print no column PID");
	printf("%s\n", line);
	while ((line = strtok_r(NULL, "\n", &save))) {
		autofree char *copy = strdup(line);
		char *inner, *w = copy ? strtok_r(copy, " ", &inner) : NULL;

		for (size_t i = 0; w && i < column; i++)
			w = strtok_r(NULL, " ", &inner);
		if (w && has_pid(pids, w))
			printf("%s\n", line);
	}
	return 0;
}

static int print_by_ps(const struct cgroup_pids *pids, const char *const *words, struct err *err)
{
	static const char *const envp[] = {"PATH=/usr/bin:/bin", "COLUMNS=512", NULL};
	size_t count = 0;
	autofree const char **argv = NULL;
	autoclose int out = sys_memfd_create("ps", 0);
	autobuf struct buf text = {};
	struct process_options options = {
		.path = "/usr/bin/ps",
		.envp = envp,
		.stdout_fd = out,
		.stderr_fd = STDERR_FILENO,
	};
	int status, r;

	while (words[count])
		count++;
	argv = calloc(count + 3, sizeof(*argv));
	if (!argv || out < 0)
		return err_sys(err, argv ? out : -ENOMEM, "ps");
	options.argv = argv;
	argv[0] = "ps";
	argv[1] = "-ef";
	for (size_t i = 0; i < count; i++)
		argv[i + 1] = words[i];
	if (sys_faccessat(AT_FDCWD, options.path, X_OK, 0) < 0)
		options.path = "/bin/ps";
	r = process_run(&options, &status, err);
	if (r < 0)
		return err_add(err, "ps --format=table (install procps, or use --format=json)");
	if (status)
		return err_set(err, -EINVAL, "ps: failed");
	if (lseek(out, 0, SEEK_SET) < 0 || fd_read_all(out, 64 << 20, &text) < 0)
		return err_sys(err, -EIO, "ps: read its output");
	return filter(text.data ? text.data : (char[]){""}, pids, err);
}

static void print_list(const struct container_processes *all)
{
	printf("%10s %10s %10s CMD\n", "UID", "PID", "PPID");
	for (size_t i = 0; i < all->count; i++)
		printf("%10u %10d %10d %s\n", all->items[i].uid, all->items[i].pid,
			all->items[i].ppid, all->items[i].command);
}

int processes_print(
	const struct runtime *rt, const char *id, const char *const *words, struct err *err)
{
	struct container_processes all = {};
	struct cgroup_pids pids = {};
	int r = container_processes(rt, id, &all, err);

	if (r == 0 && *words)
		r = err_set(err, -EINVAL,
			"ps: a virtual machine's processes are listed without options of ps(1)");
	else if (r == 0)
		print_list(&all);
	free(all.items);
	if (r != -EOPNOTSUPP)
		return r;
	err_clear(err);
	r = container_pids(rt, id, &pids, err);
	if (r == 0)
		r = print_by_ps(&pids, words, err);
	free(pids.items);
	return r;
}
