/* SPDX-License-Identifier: Apache-2.0 */
/* Process: the attendant, before it gives up its privileges. */
#include "runtime/microvm/host/template.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "cgroups/cgroup.h"
#include "runtime/microvm/host/kernel.h"
#include "runtime/microvm/host/launch.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NAME = 64, CPUINFO_MAX = 1 << 20 };

/* ---- which ---- */

/* Not against attackers (the cache is ours): FNV-1a, twice, with different beginnings. */
struct key {
	uint64_t a, b;
};

static void key_add(struct key *key, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		key->a = (key->a ^ ((const uint8_t *)data)[i]) * 0x100000001b3;
		key->b = (key->b ^ ((const uint8_t *)data)[i]) * 0x1000000000000d21;
	}
}

static int key_add_file(struct key *key, int fd)
{
	struct stat st;
	int r = sys_fstat(fd, &st);
	const uint64_t facts[] = {st.st_dev, st.st_ino, (uint64_t)st.st_size,
		(uint64_t)st.st_mtim.tv_sec, (uint64_t)st.st_mtim.tv_nsec};

	if (r == 0)
		key_add(key, facts, sizeof(facts));
	return r;
}

static int key_add_path(struct key *key, const char *path)
{
	autoclose int fd = sys_openat(AT_FDCWD, path, O_PATH, 0);

	return fd < 0 ? fd : key_add_file(key, fd);
}

/* Whether the state still fits is for KVM and the monitor to say; what is known to differ gets one
 * of its own. */
static int key_add_host(struct key *key)
{
	autobuf struct buf text = {};
	struct utsname host;
	const char *end;
	int r = fd_read_file(AT_FDCWD, "/proc/cpuinfo", CPUINFO_MAX, &text);

	if (r < 0)
		return r;
	for (const char *line = buf_str(&text); *line && *line != '\n'; line = end + 1) {
		end = strchrnul(line, '\n');
		if (strncmp(line, "cpu MHz", 7) != 0) /* of the moment */
			key_add(key, line, (size_t)(end - line));
		if (!*end)
			break;
	}
	uname(&host);
	key_add(key, host.release, strlen(host.release) + 1);
	key_add(key, host.version, strlen(host.version) + 1);
	return 0;
}

static int name_of(const struct machine_options *o, char ret[NAME], struct err *err)
{
	static const char *const programs[] = {"brig-vmm", "brig-fsd", "brig-guest"};
	struct key key = {0xcbf29ce484222325, 0x6c62272e07bb0142};
	const uint64_t size[] = {
		o->plan->vcpus, o->plan->memory_mib, o->nets->count, o->plan->tuning.huge_pages};
	char path[PATH_MAX];
	struct kernel kernel;
	int r = kernel_open(o->plan->kernel, &kernel, err);

	if (r < 0)
		return r;
	r = key_add_file(&key, kernel.image);
	if (r == 0)
		r = key_add_file(&key, kernel.modules);
	kernel_close(&kernel);
	for (size_t i = 0; i < ARRAY_LEN(programs) && r == 0; i++)
		r = key_add_path(&key, machine_helper(programs[i], path, sizeof(path)));
	if (r == 0)
		r = key_add_host(&key);
	if (r < 0)
		return err_sys(err, r, "what a template depends on");
	key_add(&key, size, sizeof(size));
	key_add(&key, LAUNCH_COMMAND_LINE, sizeof(LAUNCH_COMMAND_LINE));
	key_add(&key, o->plan->command_line, strlen(o->plan->command_line) + 1);
	snprintf(ret, NAME, "template-%016llx%016llx", (unsigned long long)key.a,
		(unsigned long long)key.b);
	return 0;
}

/* ---- made ---- */

static int save(struct vm_machine *m, int dir, struct err *err)
{
	autoclose int state = -1, memory = -1;
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW;
	int r = state = sys_openat(dir, "state", flags, 0600);

	if (r >= 0)
		r = memory = sys_openat(dir, "memory", flags, 0600);
	return r < 0 ? err_sys(err, r, "save the virtual machine")
		     : machine_save(m, &(struct machine_files){state, memory, -1}, err);
}

/* Boots a machine with nothing in it, in DIR; FILES is an empty folder. */
static int boot(const struct machine_options *o, int dir, int files, struct err *err)
{
	struct nets nets;
	struct machine_options blank = {
		.plan = o->plan, .state = dir, .files = files, .nets = &nets, .uid = o->uid};
	struct vm_machine m;
	int r = nets_blank(&nets, o->nets->count, err);

	machine_init(&m);
	if (r == 0)
		r = machine_start(&m, &blank, err);
	nets_close(&nets);
	if (r == 0)
		r = machine_ready(&m, err);
	if (r == 0)
		r = save(&m, dir, err);
	machine_stop(&m);
	cleanup_close(&m.log);
	return r;
}

/* Beside its place, then renamed: there is a whole one or none. */
static int make(const struct machine_options *o, int cache, const char *name, struct err *err)
{
	static const char *const leftovers[] = {MACHINE_SOCKET, MONITOR_SOCKET, MACHINE_LOG};
	autoclose int dir = -1, files = -1;
	char new[NAME + 8];
	int r;

	snprintf(new, sizeof(new), "%s.new", name);
	r = path_remove_tree(cache, new); /* of one that was interrupted */
	if (r == 0)
		r = sys_mkdirat(cache, new, 0700);
	if (r == 0)
		r = dir = sys_openat(cache, new, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (r >= 0)
		r = sys_mkdirat(dir, "empty", 0700);
	if (r == 0)
		r = files = sys_openat(dir, "empty", O_PATH | O_DIRECTORY, 0);
	r = r < 0 ? err_sys(err, r, "%s/%s", KERNEL_CACHE, new) : boot(o, dir, files, err);
	for (size_t i = 0; i < ARRAY_LEN(leftovers) && r == 0; i++)
		sys_unlinkat(dir, leftovers[i], 0);
	if (r == 0) {
		sys_unlinkat(dir, "empty", AT_REMOVEDIR);
		r = sys_renameat2(cache, new, cache, name, 0);
		if (r < 0)
			err_sys(err, r, "%s/%s", KERNEL_CACHE, name);
	}
	if (r < 0)
		path_remove_tree(cache, new);
	return r < 0 ? err_add(err, "make a template") : 0;
}

static int open_files(int cache, const char *name, struct machine_files *ret)
{
	autoclose int dir = sys_openat(cache, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0),
		      state = -1, memory = -1;
	int r = dir;

	if (r >= 0)
		r = state = sys_openat(dir, "state", O_RDONLY | O_NOFOLLOW, 0);
	if (r >= 0)
		r = memory = sys_openat(dir, "memory", O_RDONLY | O_NOFOLLOW, 0);
	if (r < 0)
		return r;
	*ret = (struct machine_files){take_fd(&state), take_fd(&memory), -1};
	return 0;
}

/*
 * In a process of its own, in the cgroup of who creates the container: the container's limits are
 * for the container, and a file system in memory would count the saved machine as well.
 */
static int make_apart(const struct machine_options *o, const struct template_maker *maker,
	int cache, const char *name, struct err *err)
{
	autoclose int from = -1, to = -1;
	int fds[2], status = 0, r = sys_pipe(fds);
	pid_t pid;

	if (r < 0)
		return err_sys(err, r, "make a template");
	from = fds[0], to = fds[1];
	pid = sys_fork();
	if (pid == 0) {
		r = cgroup_host_join(maker->procfd, maker->creator, err);
		if (r == 0)
			r = make(o, cache, name, err);
		if (r < 0)
			(void)!sys_write(to, err, sizeof(*err));
		_exit(r < 0);
	}
	if (pid < 0)
		return err_sys(err, pid, "make a template");
	cleanup_close(&to);
	r = sys_read(from, err, sizeof(*err)) == sizeof(*err) ? err->code : 0;
	sys_waitpid(pid, &status, 0);
	return r == 0 && status ? err_set(err, -EIO, "make a template: the process ended") : r;
}

/* One makes it, the others wait for that. */
static int make_locked(const struct machine_options *o, const struct template_maker *maker,
	int cache, const char *name, struct machine_files *ret, struct err *err)
{
	autoclose int lock =
		sys_openat(cache, "templates.lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	int r = lock < 0 ? lock : sys_flock(lock, LOCK_EX);

	if (r < 0)
		return err_sys(err, r, "%s/templates.lock", KERNEL_CACHE);
	r = open_files(cache, name, ret);
	if (r == -ENOENT) {
		r = make_apart(o, maker, cache, name, err);
		if (r < 0)
			return r;
		r = open_files(cache, name, ret);
	}
	return r < 0 ? err_sys(err, r, "%s/%s", KERNEL_CACHE, name) : 0;
}

int template_open(const struct machine_options *o, const struct template_maker *maker,
	struct machine_files *ret, struct err *err)
{
	autoclose int cache = kernel_open_cache(err);
	char name[NAME];
	int r = cache < 0 ? cache : name_of(o, name, err);

	if (r < 0)
		return r;
	r = open_files(cache, name, ret);
	if (r == -ENOENT)
		return make_locked(o, maker, cache, name, ret, err);
	return r < 0 ? err_sys(err, r, "%s/%s", KERNEL_CACHE, name) : 0;
}

void template_setup(struct proto_setup *setup)
{
	for (uint32_t i = 0; i < setup->net_count; i++)
		nets_blank_mac(i, setup->nets[i].hardware);
}
