/* SPDX-License-Identifier: Apache-2.0 */
#include "images/userns.h"

#include "base/arena.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/process.h"
#include "base/sys.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <stdio.h>
#include <string.h>

/* The lines of our own map, each id onto itself. */
static int identity_map(const char *name, struct buf *ret)
{
	autobuf struct buf text = {};
	autoclose int proc = sys_openat(AT_FDCWD, "/proc/self", O_PATH | O_DIRECTORY, 0);
	unsigned int inside, outside, count;
	char *line, *rest;
	int r;

	if (proc < 0)
		return proc;
	r = fd_read_file(proc, name, 64 << 10, &text);
	if (r < 0)
		return r;
	for (line = text.data; line && *line; line = rest) {
		rest = strchr(line, '\n');
		if (rest)
			*rest++ = '\0';
		if (sscanf(line, "%u %u %u", &inside, &outside, &count) == 3)
			buf_printf(ret, "%u %u %u\n", inside, inside, count);
	}
	return ret->failed ? -ENOMEM : 0;
}

static int make_map(const struct store_ids *ids, bool users, struct buf *ret)
{
	const struct store_id_range *ranges = users ? ids->uids : ids->gids;
	size_t count = users ? ids->uid_count : ids->gid_count;

	if (ids->single) {
		buf_printf(ret, "0 %u 1\n", users ? geteuid() : getegid());
		return ret->failed ? -ENOMEM : 0;
	}
	if (!count)
		return identity_map(users ? "uid_map" : "gid_map", ret);
	for (size_t i = 0; i < count; i++)
		buf_printf(ret, "%u %u %u\n", ranges[i].inside, ranges[i].outside, ranges[i].count);
	return ret->failed ? -ENOMEM : 0;
}

/* newuidmap PID INSIDE OUTSIDE COUNT …, without a shell and with nothing in its environment. */
static int run_newidmap(const char *program, pid_t pid, const struct store_id_range *ranges,
	size_t count, struct err *err)
{
	autoarena struct arena arena = {};
	const char **argv = arena_array(&arena, 3 + 3 * count, const char *);
	struct process_options o = {
		.path = program, .stdout_fd = -1, .stderr_fd = -1, .timeout_ms = 10000};
	size_t n = 0;
	int status, r;

	if (!argv)
		return err_sys(err, -ENOMEM, "%s", program);
	argv[n++] = program;
	argv[n++] = arena_printf(&arena, "%d", pid);
	for (size_t i = 0; i < count; i++) {
		argv[n++] = arena_printf(&arena, "%u", ranges[i].inside);
		argv[n++] = arena_printf(&arena, "%u", ranges[i].outside);
		argv[n++] = arena_printf(&arena, "%u", ranges[i].count);
	}
	for (size_t i = 0; i < n; i++)
		if (!argv[i])
			return err_sys(err, -ENOMEM, "%s", program);
	o.argv = argv;
	r = process_run(&o, &status, err);
	if (r < 0)
		return r;
	if (status != 0)
		return err_set(err, -EPERM,
			"%s refused the ids: /etc/subuid and /etc/subgid must give them to this "
			"user",
			program);
	return 0;
}

static int write_maps(int proc, pid_t pid, const struct store_ids *ids, struct err *err)
{
	autobuf struct buf uids = {}, gids = {};
	int r = make_map(ids, true, &uids);

	if (r == 0)
		r = make_map(ids, false, &gids);
	if (r < 0)
		return err_sys(err, r, "user namespace: maps");
	/* Without privilege over groups the kernel wants setgroups(2) off first. */
	if (ids->single && geteuid() != 0)
		fd_write_file(proc, "setgroups", "deny");
	r = fd_write_file(proc, "uid_map", buf_str(&uids));
	if (r == 0)
		r = fd_write_file(proc, "gid_map", buf_str(&gids));
	if (r != -EPERM || !ids->uid_count)
		return r < 0 ? err_sys(err, r, "user namespace: maps") : 0;
	r = run_newidmap("/usr/bin/newuidmap", pid, ids->uids, ids->uid_count, err);
	if (r == 0)
		r = run_newidmap("/usr/bin/newgidmap", pid, ids->gids, ids->gid_count, err);
	return r;
}

int userns_create(const struct store_ids *ids, struct err *err)
{
	struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	int hold[2], fd = -1, r, status;
	autoclose int hold_r = -1, hold_w = -1, proc = -1;
	char path[64], byte;
	pid_t pid;

	r = sys_pipe(hold);
	if (r < 0)
		return err_sys(err, r, "user namespace");
	hold_r = hold[0], hold_w = hold[1];
	pid = sys_clone3(&args);
	if (pid < 0)
		return err_sys(err, pid, "user namespace");
	if (pid == 0) { /* keeps the namespace alive until it is open */
		close(hold_w);
		(void)!sys_read(hold_r, &byte, 1);
		_exit(0);
	}
	snprintf(path, sizeof(path), "/proc/%d", pid);
	proc = sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
	r = proc < 0 ? err_sys(err, proc, "%s", path) : write_maps(proc, pid, ids, err);
	if (r == 0) {
		fd = sys_openat(proc, "ns/user", O_RDONLY, 0);
		r = fd < 0 ? err_sys(err, fd, "%s/ns/user", path) : 0;
	}
	cleanup_close(&hold_w);
	sys_waitpid(pid, &status, 0);
	return r < 0 ? r : fd;
}

int userns_find_subids(const char *file, const char *name, uint32_t uid, struct store_id_range *ret,
	struct err *err)
{
	autobuf struct buf text = {};
	autoclose int fd = sys_openat(AT_FDCWD, file, O_RDONLY | O_NOCTTY, 0);
	char number[16], *line, *rest;
	int r = fd < 0 ? fd : fd_read_all(fd, 1 << 20, &text);

	if (r < 0)
		return err_sys(err, r, "%s", file);
	snprintf(number, sizeof(number), "%u", uid);
	for (line = text.data; line && *line; line = rest) {
		char *start, *count;
		struct store_id_range range = {.inside = 1};

		rest = strchr(line, '\n');
		if (rest)
			*rest++ = '\0';
		start = strchr(line, ':');
		count = start ? strchr(start + 1, ':') : NULL;
		if (!count)
			continue;
		*start++ = *count++ = '\0';
		if (strcmp(line, number) != 0 && (!name || strcmp(line, name) != 0))
			continue;
		if (parse_u32(start, &range.outside) == 0 && parse_u32(count, &range.count) == 0 &&
			range.count) {
			*ret = range;
			return 0;
		}
	}
	return err_set(err, -ENOENT,
		"%s has no range for this user: add one such as \"%s:100000:65536\"", file,
		name ? name : number);
}
