/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process: a child of the agent for one request. What it starts becomes the agent's child when this
 * one ends, after its report: the agent is everybody's last parent.
 */
#include "base/arena.h"
#include "base/cancel.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "runtime/microvm/guest/guest.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int take_stdio(const struct stdio *stdio, struct err *err)
{
	for (int i = 0; i < 3; i++) { /* the sources are all above 2 */
		if (dup2(stdio->fds[i], i) < 0)
			return err_sys(err, -errno, "standard streams");
	}
	return 0;
}

static int write_bundle(const char *text, size_t len, struct err *err)
{
	autoclose int dir = -1;
	int r = sys_mkdirat(AT_FDCWD, GUEST_BUNDLE, 0700);

	if (r == 0 || r == -EEXIST)
		r = dir = sys_openat(AT_FDCWD, GUEST_BUNDLE, O_RDONLY | O_DIRECTORY, 0);
	if (r >= 0)
		r = fd_replace_file(dir, "config.json", text, len, 0600);
	return r < 0 ? err_sys(err, r, "config.json in the guest") : 0;
}

static int write_config(const char *text, size_t len, struct err *err)
{
	autojson json_t *config = NULL;
	autobuf struct buf changed = {};
	int r;

	if (!passthrough_is_there())
		return write_bundle(text, len, err);
	r = json_parse("config.json", text, len, &config, err);
	if (r == 0)
		r = passthrough_add_nodes(config, err);
	if (r == 0)
		r = json_write(config, JSON_COMPACT, &changed);
	return r < 0 ? r : write_bundle(changed.data, changed.len, err);
}

static int do_create(const struct runtime *rt, const struct job_request *q, struct job_report *ret,
	struct err *err)
{
	const struct proto_setup *setup = q->data;
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1};
	const struct create_options options = {
		.id = setup->id, .bundle = GUEST_BUNDLE, .console_socket = q->console};
	int r;

	if (q->len < sizeof(*setup) || !memchr(setup->id, 0, sizeof(setup->id)))
		return err_sys(err, -EBADMSG, "create");
	r = setup_apply(setup, err);
	if (r == 0 && setup->layer_count)
		r = layers_mount(setup->layer_count, err);
	if (r == 0)
		r = write_config((const char *)(setup + 1), q->len - sizeof(*setup), err);
	if (r == 0)
		r = take_stdio(q->stdio, err);
	if (r == 0)
		r = container_create(rt, &options, err);
	if (r == 0)
		r = container_open(rt, setup->id, false, &c, err);
	if (r == 0)
		ret->pid = c.pid;
	return r;
}

static int do_adopt(const struct job_request *q, struct err *err)
{
	return q->len < sizeof(struct proto_setup) ? err_sys(err, -EBADMSG, "restore")
						   : setup_apply(q->data, err);
}

static int parse_process(const struct job_request *q, struct arena *arena, json_t **ret_json,
	struct spec_process **ret, struct err *err)
{
	int r = spec_process_parse("process", q->data, q->len, arena, ret_json, ret, err);

	if (r == 0 && q->start->rows) {
		(*ret)->console_size = arena_new(arena, struct spec_console_size);
		if (!(*ret)->console_size)
			return err_sys(err, -ENOMEM, "process");
		(*ret)->console_size->height = q->start->rows;
		(*ret)->console_size->width = q->start->columns;
	}
	return r;
}

static int do_exec(const struct runtime *rt, const struct job_request *q, struct job_report *ret,
	struct err *err)
{
	autoarena struct arena arena = {};
	autojson json_t *json = NULL;
	autocancel struct cancel cancel = {-1};
	struct runtime cancelled = *rt;
	struct spec_process *process;
	struct exec_options options = {
		.id = q->container,
		.console_socket = q->console,
		.cgroup = q->start->cgroup[0] ? q->start->cgroup : NULL,
		.ignore_paused = true, /* who pauses, pauses all of the VM */
	};
	int pidfd = -1, master = -1, r = parse_process(q, &arena, &json, &process, err);

	if (r == 0 && !memchr(q->start->cgroup, 0, sizeof(q->start->cgroup)))
		r = err_sys(err, -EBADMSG, "exec");
	if (r == 0)
		r = take_stdio(q->stdio, err);
	if (r == 0)
		r = cancel_open(&cancel, err);
	options.process = process;
	cancelled.cancel = &cancel;
	return r < 0 ? r : container_exec(&cancelled, &options, &ret->pid, &pidfd, &master, err);
}

/* The pipe's other end closes when the program is executed. */
static int do_run(const struct job_request *q, struct job_report *ret, struct err *err)
{
	struct clone_args args = {.flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
	autoarena struct arena arena = {};
	autoclose int from = -1, to = -1;
	autojson json_t *json = NULL;
	struct spec_process *process;
	int fds[2], r = parse_process(q, &arena, &json, &process, err);

	if (r == 0)
		r = sys_pipe(fds);
	if (r < 0)
		return err_sys(err, r, "run");
	from = fds[0], to = fds[1];
	r = ret->pid = sys_clone3(&args);
	if (r == 0) {
		plain_exec(process, q->stdio, err);
		(void)!sys_write(to, err, sizeof(*err));
		_exit(127);
	}
	if (r < 0)
		return err_sys(err, r, "clone");
	cleanup_close(&to);
	if (sys_read(from, err, sizeof(*err)) == sizeof(*err))
		return err->code;
	return 0;
}

static int do_update(const struct runtime *rt, const struct job_request *q, struct err *err)
{
	autoarena struct arena arena = {};
	autojson json_t *json = NULL;
	struct spec_resources *resources;
	struct update_options options = {};
	int r = spec_resources_parse("resources", q->data, q->len, &arena, &json, &resources, err);

	options.resources = resources;
	return r < 0 ? r : container_update(rt, q->container, &options, err);
}

static uint64_t memory_stat(const struct cgroup_stats_memory *memory, const char *key)
{
	for (size_t i = 0; i < memory->stat.count; i++)
		if (strcmp(memory->stat.items[i].key, key) == 0)
			return memory->stat.items[i].value;
	return 0;
}

static int do_stats(const struct runtime *rt, const struct job_request *q, struct proto_stats *ret,
	struct err *err)
{
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1};
	autocgroup struct cgroup *cgroup = NULL;
	autoarena struct arena arena = {};
	struct cgroup_stats s = {};
	int r = container_open(rt, q->container, false, &c, err);

	if (r == 0)
		r = container_cgroup(&c, &cgroup, err);
	if (r == 0)
		r = cgroup_stats_read(cgroup, &arena, &s, err);
	*ret = (struct proto_stats){
		.cpu_usage = s.cpu.usage,
		.cpu_user = s.cpu.user,
		.cpu_system = s.cpu.system,
		.pids = s.pids,
		.pids_limit = s.pids_limit,
		.memory_usage = s.memory.usage,
		.memory_peak = s.memory.peak,
		.memory_limit = s.memory.limit,
		.memory_swap = s.memory.swap_usage,
		.swap_limit = s.memory.swap_limit,
		.memory_file = memory_stat(&s.memory, "file"),
		.memory_anon = memory_stat(&s.memory, "anon"),
		.memory_kernel = memory_stat(&s.memory, "kernel"),
		.memory_sock = memory_stat(&s.memory, "sock"),
		.memory_inactive_file = memory_stat(&s.memory, "inactive_file"),
		.oom = s.memory.oom,
		.oom_kill = s.memory.oom_kill,
		.events_max = s.memory.events_max,
	};
	return r;
}

/* "4711 (a name) S 1 …", "Uid:\t0…", "sleep\0 60\0": proc(5). What is gone by now stays empty. */
static void describe(const struct runtime *rt, struct proto_process *p)
{
	autobuf struct buf text = {};
	char name[32];
	struct stat st;
	char *paren;

	snprintf(name, sizeof(name), "%u", p->pid);
	if (sys_fstatat(rt->procfd, name, &st, 0) == 0)
		p->uid = st.st_uid;
	snprintf(name, sizeof(name), "%u/stat", p->pid);
	if (fd_read_file(rt->procfd, name, 4096, &text) == 0 && (paren = strrchr(text.data, ')')))
		(void)!sscanf(paren, ") %*c %u", &p->ppid);
	buf_free(&text);
	snprintf(name, sizeof(name), "%u/cmdline", p->pid);
	if (fd_read_file(rt->procfd, name, 1 << 20, &text) < 0 || !text.len)
		return;
	for (size_t i = 0; i + 1 < text.len; i++)
		if (!text.data[i])
			text.data[i] = ' ';
	snprintf(p->command, sizeof(p->command), "%.*s", (int)sizeof(p->command) - 1, text.data);
}

static int do_processes(
	const struct runtime *rt, const struct job_request *q, struct buf *ret, struct err *err)
{
	struct cgroup_pids pids = {};
	int r = container_pids(rt, q->container, &pids, err);

	for (size_t i = 0; i < pids.count; i++) {
		struct proto_process one = {.pid = (uint32_t)pids.items[i]};

		if (ret->len + sizeof(one) > PROTO_REPLY_MAX)
			break;
		describe(rt, &one);
		buf_add(ret, &one, sizeof(one));
	}
	free(pids.items);
	return r;
}

static int do_mounts_add(const struct runtime *rt, const struct job_request *q, struct err *err)
{
	autoarena struct arena arena = {};
	autojson json_t *json = NULL;
	struct spec_mounts list;
	int r = spec_mounts_parse("mounts", q->data, q->len, &arena, &json, &list, err);

	return r < 0 ? r : container_mounts_add(rt, q->container, &list, json, err);
}

static int do_mounts_remove(const struct runtime *rt, const struct job_request *q, struct err *err)
{
	const char *path = q->data; /* ends at .len, see above */
	const struct strings paths = {&path, 1};

	return container_mounts_remove(rt, q->container, &paths, err);
}

/*
 * This kernel keeps what it knows of a tree, and so does the file server, and the host's file
 * system stays busy. Looking for the tree's name once more, when it is not taken for granted any
 * longer, shows that there is none: then all of it is forgotten.
 */
static int do_forget(const struct job_request *q, struct err *err)
{
	enum { STEP_MS = 100, STEPS = 30 };
	autofree char *path = NULL;
	struct stat st;
	int r;

	if (asprintf(&path, GUEST_FILES "/%s", (const char *)q->data) < 0) {
		path = NULL;
		return err_sys(err, -ENOMEM, "forget");
	}
	for (int i = 0; i < STEPS; i++) {
		r = sys_fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW);
		if (r < 0)
			return 0;
		sys_poll(NULL, 0, STEP_MS);
	}
	return err_set(err, -EBUSY, "%s is still there", path);
}

static int do_job(const struct runtime *rt, const struct job_request *q, struct job_report *ret,
	struct buf *ret_data, struct err *err)
{
	const struct proto_signal *signal = q->data;
	struct proto_stats stats;
	int r;

	if (q->type == PROTO_CREATE)
		return do_create(rt, q, ret, err);
	if (q->type == PROTO_RUN)
		return do_run(q, ret, err);
	if (!q->container)
		return err_set(err, -ESRCH, "there is no container in this guest");
	if (q->type == PROTO_START)
		return container_start(rt, q->container, err);
	if (q->type == PROTO_EXEC)
		return do_exec(rt, q, ret, err);
	if (q->type == PROTO_SIGNAL)
		return container_kill(rt, q->container, signal->signal, true, err);
	if (q->type == PROTO_UPDATE)
		return do_update(rt, q, err);
	if (q->type == PROTO_ADOPT)
		return do_adopt(q, err);
	if (q->type == PROTO_FREEZE)
		return container_pause(rt, q->container, err);
	if (q->type == PROTO_THAW)
		return container_resume(rt, q->container, err);
	if (q->type == PROTO_MOUNTS_ADD)
		return do_mounts_add(rt, q, err);
	if (q->type == PROTO_MOUNTS_REMOVE)
		return do_mounts_remove(rt, q, err);
	if (q->type == PROTO_FORGET)
		return do_forget(q, err);
	if (q->type == PROTO_PROCESSES)
		return do_processes(rt, q, ret_data, err);
	r = do_stats(rt, q, &stats, err);
	buf_add(ret_data, &stats, sizeof(stats));
	return r;
}

static _Noreturn void job_main(const struct runtime *rt, const struct job_request *q, int report_fd)
{
	struct job_report report = {};
	autobuf struct buf data = {}, message = {};
	struct err err = {};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	report.error = do_job(rt, q, &report, &data, &err);
	if (report.error < 0)
		snprintf(report.text, sizeof(report.text), "%.*s", (int)sizeof(report.text) - 1,
			err.text);
	report.len = report.error < 0 ? 0 : (uint32_t)data.len;
	buf_add(&message, &report, sizeof(report));
	buf_add(&message, data.data, report.len);
	_exit(message.failed || fd_write_all(report_fd, message.data, message.len) < 0);
}

int job_start(const struct runtime *rt, const struct job_request *request, int *ret_pidfd)
{
	struct clone_args args = {
		.flags = CLONE_CLEAR_SIGHAND | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)ret_pidfd,
		.exit_signal = SIGCHLD,
	};
	int fds[2], r = sys_pipe(fds);
	pid_t pid;

	if (r < 0)
		return r;
	pid = sys_clone3(&args);
	if (pid == 0)
		job_main(rt, request, fds[1]);
	close(fds[1]);
	if (pid < 0)
		close(fds[0]);
	return pid < 0 ? pid : fds[0];
}
