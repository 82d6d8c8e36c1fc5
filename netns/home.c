/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/home.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/process.h"
#include "base/sys.h"
#include "netns/dns/server.h"
#include "netns/loopback.h"
#include "netns/netlink.h"
#include "netns/network_private.h"
#include "netns/tune.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define DIR "home"

struct network_home {
	int userns, netns;
	int route; /* a netlink socket of there, −1: not opened yet */
};

void home_close(struct network_store *store)
{
	struct network_home *home = store->home;

	if (!home)
		return;
	cleanup_close(&home->userns);
	cleanup_close(&home->netns);
	cleanup_close(&home->route);
	free(home);
	store->home = NULL;
}

/* NETNS becomes the store's. */
static int settle(struct network_store *store, int *netns, struct err *err)
{
	autoclose int userns = sys_ioctl(*netns, NS_GET_USERNS, NULL);
	struct network_home *home;

	if (userns < 0)
		return err_sys(err, userns, "the networks' user namespace");
	home = malloc(sizeof(*home));
	if (!home)
		return err_sys(err, -ENOMEM, "networks");
	*home = (struct network_home){take_fd(&userns), take_fd(netns), -1};
	store->home = home;
	return 0;
}

/* ---- finding ---- */

/* INODE's descriptor among those of a process: they are a monitor's, so there are few. */
static int search(int proc, pid_t pid, uint64_t inode)
{
	autoarena struct arena arena = {};
	struct err ignored = {};
	struct strings fds;
	char path[64], text[32], wanted[32];

	snprintf(wanted, sizeof(wanted), "net:[%llu]", (unsigned long long)inode);
	snprintf(path, sizeof(path), "%d/fd", pid);
	if (network_names(proc, path, "", &arena, &fds, &ignored) < 0)
		return -ENOENT;
	for (size_t i = 0; i < fds.count; i++) {
		autoclose int fd = -1;
		struct stat st;
		ssize_t n;

		snprintf(path, sizeof(path), "%d/fd/%s", pid, fds.items[i]);
		n = sys_readlinkat(proc, path, text, sizeof(text) - 1);
		if (n < 0 || (size_t)n != strlen(wanted) || memcmp(text, wanted, (size_t)n) != 0)
			continue;
		fd = sys_openat(proc, path, O_RDONLY, 0);
		/* By the number that it has now: the process may have opened something else. */
		if (fd >= 0 && sys_ioctl(fd, NS_GET_NSTYPE, NULL) == CLONE_NEWNET &&
			sys_fstat(fd, &st) == 0 && st.st_ino == inode)
			return take_fd(&fd);
	}
	return -ENOENT;
}

/* "INODE PID START PID START": either may have it. */
static int search_holders(int proc, char *text)
{
	unsigned long long now;
	uint64_t inode, start;
	uint32_t pid;
	char *rest = text, *word = strsep(&rest, " ");

	if (parse_u64(word, &inode) < 0)
		return -ENOENT;
	while (rest) {
		char *when;

		word = strsep(&rest, " ");
		when = strsep(&rest, " ");
		if (!when || parse_u32(word, &pid) < 0 || parse_u64(when, &start) < 0)
			return -ENOENT;
		if (process_start_time(proc, (pid_t)pid, &now, NULL) == 0 && now == start) {
			int fd = search(proc, (pid_t)pid, inode);

			if (fd >= 0)
				return fd;
		}
	}
	return -ENOENT;
}

int home_find(struct network_store *store, struct err *err)
{
	autoarena struct arena arena = {};
	autoclose int proc = -1, netns = -1;
	struct strings ids;
	int r;

	if (!store->places.rootless || store->home)
		return 1;
	r = network_names(store->state, DIR, "", &arena, &ids, err);
	if (r < 0)
		return r;
	proc = sys_openat(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY, 0);
	for (size_t i = 0; i < ids.count && netns < 0; i++) {
		char path[PATH_MAX], text[128];

		snprintf(path, sizeof(path), DIR "/%s", ids.items[i]);
		if (fd_read_line(store->state, path, text, sizeof(text)) > 0)
			netns = search_holders(proc, text);
	}
	if (netns < 0)
		return 0;
	r = settle(store, &netns, err);
	return r < 0 ? r : 1;
}

/* ---- making ---- */

/* Process: one that has the new namespaces until its creator has opened them. */
static _Noreturn void holder(int hold)
{
	char byte;

	(void)!sys_read(hold, &byte, 1);
	_exit(0);
}

static int write_maps(int proc, struct err *err)
{
	char uids[32], gids[32];
	int r;

	snprintf(uids, sizeof(uids), "0 %u 1\n", geteuid());
	snprintf(gids, sizeof(gids), "0 %u 1\n", getegid());
	r = fd_write_file(proc, "setgroups", "deny");
	if (r == 0)
		r = fd_write_file(proc, "uid_map", uids);
	if (r == 0)
		r = fd_write_file(proc, "gid_map", gids);
	return r < 0 ? err_sys(err, r, "the networks' user namespace") : 0;
}

static int open_new(pid_t pid, int *ret, struct err *err)
{
	char path[64];
	autoclose int proc = -1;
	int r;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	proc = sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
	r = proc < 0 ? err_sys(err, proc, "%s", path) : write_maps(proc, err);
	if (r < 0)
		return r;
	r = sys_openat(proc, "ns/net", O_RDONLY, 0);
	if (r < 0)
		return err_sys(err, r, "%s/ns/net", path);
	*ret = r;
	return 0;
}

static int make(int *ret, struct err *err)
{
	struct clone_args args = {.flags = CLONE_NEWUSER | CLONE_NEWNET, .exit_signal = SIGCHLD};
	int hold[2], r = sys_pipe(hold);
	pid_t pid;

	if (r < 0)
		return err_sys(err, r, "the networks' namespace");
	pid = sys_clone3(&args);
	if (pid == 0) {
		cleanup_close(&hold[1]);
		holder(hold[0]);
	}
	r = pid < 0 ? err_sys(err, pid,
			      "make a user namespace for networks (is "
			      "kernel.unprivileged_userns_clone or AppArmor against it?)")
		    : open_new(pid, ret, err);
	cleanup_close(&hold[0]);
	cleanup_close(&hold[1]);
	if (pid > 0)
		sys_waitpid(pid, NULL, 0);
	return r;
}

/* Servers whose sockets are in a namespace that nobody finds any more. */
static int stop_servers(struct network_store *store, struct err *err)
{
	autoarena struct arena arena = {};
	struct strings networks;
	int r = network_names(store->state, "nets", "", &arena, &networks, err);

	for (size_t i = 0; i < networks.count && r == 0; i++)
		r = dns_server_stop(store, networks.items[i], err);
	return r;
}

/* A new namespace forwards when the first one does. */
static int prepare(void *arg, struct visit_fds *ret, struct err *err)
{
	int r = tune_no_forwarding(err);

	(void)arg;
	(void)ret;
	return r < 0 ? r : netns_raise_loopback(err);
}

int home_ensure(struct network_store *store, struct err *err)
{
	autoclose int netns = -1;
	int r = home_find(store, err);

	if (r)
		return r < 0 ? r : 0;
	r = stop_servers(store, err);
	if (r == 0)
		r = make(&netns, err);
	if (r == 0)
		r = settle(store, &netns, err);
	return r < 0 ? r : home_visit(store, prepare, NULL, NULL, err);
}

/* ---- keeping ---- */

int home_hold(struct network_store *store, const char *id, pid_t holder_pid,
	struct attach_held *held, struct err *err)
{
	const pid_t pids[] = {getpid(), holder_pid};
	autoclose int proc = sys_openat(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY, 0), dir = -1;
	autobuf struct buf text = {};
	struct stat st;
	int fd, r = proc < 0 ? proc : sys_fstat(store->home->netns, &st);

	if (r == 0)
		buf_printf(&text, "%llu", (unsigned long long)st.st_ino);
	for (size_t i = 0; i < ARRAY_LEN(pids) && r == 0; i++) {
		unsigned long long start;

		if (!pids[i])
			continue;
		r = process_start_time(proc, pids[i], &start, NULL);
		if (r == 0)
			buf_printf(&text, " %d %llu", pids[i], start);
	}
	if (r == 0)
		r = dir = path_mkdir(store->state, DIR, 0700, (uid_t)-1, (gid_t)-1);
	if (r >= 0)
		r = text.failed ? -ENOMEM : fd_replace_file(dir, id, text.data, text.len, 0600);
	if (r < 0)
		return err_sys(err, r, "networks: " DIR "/%s", id);
	if (held->count == ARRAY_LEN(held->fds))
		return err_set(err, -E2BIG, "too many descriptors to hold");
	fd = sys_dup(store->home->netns);
	if (fd < 0)
		return err_sys(err, fd, "hold the networks' namespace");
	held->fds[held->count++] = fd;
	return 0;
}

int home_forget(struct network_store *store, const char *id, struct err *err)
{
	char path[PATH_MAX];
	int r;

	snprintf(path, sizeof(path), DIR "/%s", id);
	r = sys_unlinkat(store->state, path, 0);
	return r < 0 && r != -ENOENT ? err_sys(err, r, "networks: %s", path) : 0;
}

/* ---- working there ---- */

static int require(struct network_store *store, struct err *err)
{
	int r = home_find(store, err);

	return r ? r
		 : err_set(err, -ESRCH,
			   "the networks' namespace is gone: start the container anew");
}

int home_visit(struct network_store *store, visit_work work, void *arg, struct visit_fds *ret,
	struct err *err)
{
	struct visit_fds fds = {};
	int r = require(store, err);

	if (r < 0)
		return r;
	if (store->home)
		return visit(store->home->userns, store->home->netns, work, arg, ret, err);
	r = work(arg, &fds, err);
	if (r >= 0 && ret)
		*ret = fds;
	else
		visit_close(&fds);
	return r;
}

int home_netlink(struct network_store *store, struct err *err)
{
	struct network_home *home;
	int r = require(store, err);

	home = store->home;
	if (r < 0)
		return r;
	if (!home)
		return netlink_open(err);
	if (home->route < 0) {
		struct visit_fds fds;

		r = home_visit(store, visit_netlink, NULL, &fds, err);
		if (r < 0)
			return r;
		home->route = fds.items[0];
	}
	r = sys_dup(home->route);
	return r < 0 ? err_sys(err, r, "netlink") : r;
}

int home_open(struct network_store *store, struct err *err)
{
	int r = require(store, err);

	if (r < 0)
		return r;
	r = store->home ? sys_dup(store->home->netns)
			: sys_openat(AT_FDCWD, "/proc/self/ns/net", O_RDONLY, 0);
	return r < 0 ? err_sys(err, r, "open the network namespace") : r;
}
