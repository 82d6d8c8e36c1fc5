/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/userns.h"

#include "base/fd.h"
#include "base/process.h"
#include "base/sys.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static int write_file(int procfd, pid_t pid, const char *file, const char *text, struct err *err)
{
	char path[64];
	int r;

	snprintf(path, sizeof(path), "%d/%s", pid, file);
	r = fd_write_file(procfd, path, text);
	return r < 0 ? err_sys(err, r, "user namespace: write %s", file) : 0;
}

static const char *find_helper(const char *name, char *buf, size_t size)
{
	static const char *const dirs[] = {"/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin"};

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		snprintf(buf, size, "%s/%s", dirs[i], name);
		if (sys_faccessat(AT_FDCWD, buf, X_OK, 0) == 0)
			return buf;
	}
	return NULL;
}

/* Runs newuidmap or newgidmap: they are set-uid and check the ranges in /etc/subuid. */
static int run_helper(
	const char *name, pid_t pid, const struct spec_id_mappings *map, struct err *err)
{
	autofree const char **argv = calloc(map->count * 3 + 3, sizeof(*argv));
	autofree char(*numbers)[16] = calloc(map->count * 3 + 1, sizeof(*numbers));
	char path[64];
	struct process_options options = {.stdout_fd = -1, .stderr_fd = STDERR_FILENO};
	size_t n = 0;
	int status, r;

	if (!argv || !numbers)
		return err_sys(err, -ENOMEM, "user namespace");
	options.path = find_helper(name, path, sizeof(path));
	if (!options.path)
		return err_set(err, -ENOENT,
			"user namespace: these id mappings need %s; install the package uidmap",
			name);
	options.argv = argv;
	argv[n] = name;
	snprintf(numbers[0], sizeof(numbers[0]), "%d", pid);
	argv[n + 1] = numbers[0];
	for (size_t i = 0; i < map->count; i++) {
		const uint32_t values[3] = {
			map->items[i].container_id, map->items[i].host_id, map->items[i].size};

		for (size_t k = 0; k < 3; k++, n++) {
			snprintf(numbers[n + 1], sizeof(numbers[0]), "%u", values[k]);
			argv[n + 2] = numbers[n + 1];
		}
	}
	r = process_run(&options, &status, err);
	if (r < 0)
		return r;
	if (status)
		return err_set(err, -EPERM,
			"user namespace: %s refused the mappings; are the ranges yours in %s?",
			name, strcmp(name, "newuidmap") == 0 ? "/etc/subuid" : "/etc/subgid");
	return 0;
}

int userns_write_maps(const struct plan *plan, int procfd, pid_t pid, struct err *err)
{
	const struct spec_linux *linux_ = &plan->config->linux_;
	int r = 0;

	if (plan->id_map == PLAN_ID_MAP_HELPER) {
		r = run_helper("newuidmap", pid, &linux_->uid_mappings, err);
		return r < 0 ? r : run_helper("newgidmap", pid, &linux_->gid_mappings, err);
	}
	if (plan->deny_setgroups)
		r = write_file(procfd, pid, "setgroups", "deny", err);
	if (r == 0)
		r = write_file(procfd, pid, "uid_map", plan->uid_map, err);
	return r < 0 ? r : write_file(procfd, pid, "gid_map", plan->gid_map, err);
}
