/* SPDX-License-Identifier: Apache-2.0 */
/* Process: parent. What creating and restoring a container have in common, and the way back when a
 * step fails. */
#include "runtime/making.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/sys.h"
#include "runtime/streams.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { CONFIG_MAX = 64 << 20, DESTROY_MS = 10000 };

void making_begin(struct making *m, const struct runtime *rt, const struct create_options *options)
{
	*m = (struct making){
		.rt = rt,
		.options = options,
		.container = {.dirfd = -1, .pidfd = -1},
		.cgroup_host = {.rootfd = -1},
		.sources = {.rootfs = -1},
		.launch =
			{
				.sync = -1,
				.start_listener = -1,
				.console_socket = -1,
				.hooks_output = {-1, -1},
				.user = {.seccomp_socket = -1},
			},
		.sync = -1,
		.stages_sync = -1,
		.console = -1,
		.stages_console = -1,
		.pidfd = -1,
	};
}

/* Whoever asks for a virtual machine gets one: no annotation of a pod takes it away again. */
static int choose_backend(struct making *m, struct err *err)
{
	const char *word = spec_annotation(m->config, "org.brig.isolation");
	bool vm = m->rt->isolation == SPEC_ISOLATION_VM;
	bool asked = m->config->vm || (word && strcmp(word, "vm") == 0);

	if (m->rt->isolation == SPEC_ISOLATION_CONTAINER && asked)
		return err_set(err, -EINVAL,
			"--isolation=container: the bundle asks for a virtual machine (%s)",
			m->config->vm ? "vm" : "annotations: org.brig.isolation");
	if (!vm && !asked)
		return m->options->layer_count
			       ? err_set(err, -EINVAL, "layers as disks are for isolation \"vm\"")
			       : 0;
	if (!m->rt->vm)
		return err_set(err, -ENOTSUP, "this program makes no virtual machines");
	m->backend = m->rt->vm;
	return 0;
}

static int parse_config(struct making *m, struct err *err)
{
	int r = spec_config_parse(
		"config.json", m->config_text.data, m->config_text.len, &m->config, err);

	if (r == 0 && !m->config->process)
		return err_set(err, -EINVAL, "config.json: process: is missing");
	m->applied = m->config;
	return r < 0 ? r : choose_backend(m, err);
}

int making_read(struct making *m, struct err *err)
{
	const struct create_options *o = m->options;
	autoclose int dirfd = sys_openat(AT_FDCWD, o->bundle, O_PATH | O_DIRECTORY, 0);
	char name[32];
	ssize_t n;
	int r;

	snprintf(name, sizeof(name), "self/fd/%d", dirfd);
	n = dirfd < 0 ? dirfd
		      : sys_readlinkat(m->rt->procfd, name, m->bundle, sizeof(m->bundle) - 1);
	if (n < 0)
		return err_sys(err, (int)n, "bundle %s", o->bundle);
	m->bundle[n] = '\0';
	if (m->bundle[0] != '/') /* mounted nowhere */
		return err_sys(err, -ENOENT, "bundle %s", o->bundle);
	if (o->config_text) {
		buf_puts(&m->config_text, o->config_text);
		return m->config_text.failed ? err_sys(err, -ENOMEM, "configuration")
					     : parse_config(m, err);
	}
	r = o->config ? fd_read_file(AT_FDCWD, o->config, CONFIG_MAX, &m->config_text)
		      : fd_read_file(dirfd, "config.json", CONFIG_MAX, &m->config_text);
	if (r < 0)
		return err_sys(err, r, "read %s%s", o->config ? o->config : m->bundle,
			o->config ? "" : "/config.json");
	return parse_config(m, err);
}

int making_plan(struct making *m, struct err *err)
{
	const struct plan_request request = {
		.id = m->options->id,
		.bundle = m->bundle,
		.no_pivot = m->options->no_pivot,
		.notify_socket = m->options->activation.notify_socket,
		.rootfs = m->options->rootfs,
		.sources = m->options->sources,
		.all_sources = m->backend != NULL,
	};
	struct cgroup_facts facts = {.rootless = !m->rt->host.privileged};
	char own[PATH_MAX];
	int r = 0;

	if (m->backend) {
		r = m->backend->plan(m->config, m->options, &m->arena, &m->backends, err);
		m->applied = &m->backends;
	}
	if (r == 0)
		r = plan_make(m->applied, &request, &m->rt->host, &m->arena, &m->plan, err);
	if (r == 0 && m->rt->cgroup_driver != CGROUP_DISABLED)
		r = cgroup_host_probe(&m->cgroup_host, err);
	m->cgroup_host.hand_over = true;
	if (r == 0 && m->cgroup_host.mount && facts.rootless) {
		r = cgroup_host_own(m->rt->procfd, own, sizeof(own), err);
		facts.own = own;
	}
	if (r < 0)
		return r;
	return cgroup_plan_make(m->config, m->options->id, m->rt->cgroup_driver, &facts, &m->arena,
		&m->cgroup_plan, err);
}

/* ---- the record ---- */

static json_t *cgroup_json(const struct making *m)
{
	const struct cgroup *c = m->cgroup;

	if (!c) /* not made yet: what delete needs to find it by */
		return json_pack("{s:i, s:s*, s:s*, s:s*, s:b}", "driver", m->cgroup_plan.driver,
			"path", m->cgroup_plan.path, "top", m->cgroup_plan.path, "unit",
			m->cgroup_plan.unit, "rootless", m->cgroup_plan.rootless);
	return json_pack("{s:i, s:s*, s:s*, s:s*, s:s*, s:I, s:b}", "driver", c->driver, "path",
		c->path, "top", c->top, "unit", c->unit, "delegated", c->delegated, "inode",
		(json_int_t)c->inode, "rootless", c->rootless);
}

int making_record(struct making *m, unsigned long long start_time, struct err *err)
{
	uint64_t rootfs_mount = 0;
	char owner[16];
	int r = 0;

	snprintf(owner, sizeof(owner), m->rt->host.uid ? "%u" : "root", m->rt->host.uid);
	if (m->plan.mount_namespace)
		r = sys_mount_id(m->sources.rootfs, &rootfs_mount);
	if (r < 0)
		return err_sys(err, r, "root.path: look at its mount");
	return container_record(&m->container,
		json_pack("{s:s, s:s, s:s, s:s, s:i, s:I, s:b, s:o, s:s*, s:s*, s:I, s:s*, s:O*}",
			"bundle", m->bundle, "rootfs", m->plan.rootfs, "created", m->created,
			"owner", owner, "pid", (int)m->pid, "startTime", (json_int_t)start_time,
			"terminal", (int)m->config->process->terminal, "cgroup", cgroup_json(m),
			"intelRdt", m->rdt_path, "mountNamespace", m->plan.mount_namespace,
			"rootfsMount", (json_int_t)rootfs_mount, "isolation",
			m->backend ? m->backend->name : NULL, "streams", m->streams),
		err);
}

int making_reserve(struct making *m, struct err *err)
{
	int r = container_new(m->rt, m->options->id, &m->container, err);

	if (r < 0)
		return r;
	m->has_container = true;
	clock_now(m->created);
	if (!m->backend && !m->config->process->terminal)
		r = streams_describe(&m->streams, err);
	if (r < 0)
		return r;
	r = fd_create_file(
		m->container.dirfd, "config.json", m->config_text.data, m->config_text.len, 0600);
	if (r < 0)
		return err_sys(err, r, "container \"%s\": write config.json", m->options->id);
	return making_record(m, 0, err);
}

/* ---- the cgroup ---- */

int making_apply_cgroup(struct making *m, struct err *err)
{
	const struct spec_resources *resources = m->applied->linux_.resources;
	int r = resources ? cgroup_apply_devices(m->cgroup, resources, true, err) : 0;

	if (r == -EPERM && !m->rt->host.privileged) {
		log_debug("%s", err->text);
		err_clear(err);
		r = 0;
	}
	if (r == 0)
		r = cgroup_apply(m->cgroup, resources, err);
	/* A container with ids of its own that may write to its cgroups must own them. */
	if (r == 0 && m->plan.owns_cgroup)
		r = cgroup_delegate(m->cgroup, m->plan.root_uid, m->plan.root_gid, err);
	return r;
}

static bool has_limits(const struct spec_resources *r)
{
	return r && (r->memory || r->cpu || r->pids_limit.set || r->block_io || r->unified.count ||
			    r->hugepage_limits.count || r->rdma.count);
}

int making_cgroup(struct making *m, struct err *err)
{
	int r = cgroup_create(&m->cgroup_plan, &m->cgroup_host, &m->cgroup, err);

	/* A user without a delegated subtree still gets containers, but no limits. */
	if ((r == -EACCES || r == -ENOTCONN) && !m->rt->host.privileged &&
		!m->config->linux_.cgroups_path) {
		if (has_limits(m->config->linux_.resources))
			log_warning("%s: limits are not enforced", err->text);
		err_clear(err);
		m->cgroup_plan = (struct cgroup_plan){.driver = CGROUP_DISABLED};
		r = cgroup_create(&m->cgroup_plan, &m->cgroup_host, &m->cgroup, err);
	}
	if (r == 0 && m->cgroup->path)
		snprintf(m->cgroup_path, sizeof(m->cgroup_path), "%s%s%s%s", m->cgroup_host.mount,
			m->cgroup->path, m->cgroup->delegated ? "/" : "",
			m->cgroup->delegated ? m->cgroup->delegated : "");
	return r;
}

/* ---- hooks, and whom the engine is told of ---- */

int making_run_hooks(struct making *m, const struct spec_hook_list *list, const char *name,
	enum container_status status, struct err *err)
{
	autobuf struct buf text = {};
	autojson json_t *state = NULL;

	if (!list->count)
		return 0;
	state = container_state_json(&m->container, m->config, status, m->pid);
	if (!state || json_write(state, JSON_COMPACT, &text) < 0)
		return err_sys(err, -ENOMEM, "%s hooks", name);
	return hooks_run(list, name, buf_str(&text), &m->launch.hooks_output, m->rt->cancel, err);
}

int making_publish(struct making *m, struct err *err)
{
	static const char receiver[] = "run.oci.pidfd_receiver";
	const struct create_options *o = m->options;
	int r = parent_send_pidfd(receiver, spec_annotation(m->config, receiver), m->pidfd, err);

	return r < 0 ? r : parent_publish(o->pid_file, o->pidfd_socket, m->pid, m->pidfd, err);
}

/* ---- the way out ---- */

void making_close(struct making *m)
{
	cleanup_close(&m->sync);
	cleanup_close(&m->stages_sync);
	cleanup_close(&m->console);
	cleanup_close(&m->stages_console);
	cleanup_close(&m->pidfd);
	cleanup_close(&m->launch.start_listener);
	cleanup_close(&m->launch.user.seccomp_socket);
	if (m->launch.hooks_output.stdout_fd > 2)
		close(m->launch.hooks_output.stdout_fd);
	if (m->launch.hooks_output.stderr_fd > 2)
		close(m->launch.hooks_output.stderr_fd);
	mounts_close_sources(&m->sources);
	netns_devices_free(m->net_devices);
	seccomp_program_free(&m->seccomp);
	cgroup_free(m->cgroup);
	cgroup_host_close(&m->cgroup_host);
	container_close(&m->container);
	spec_config_free(m->config);
	arena_free(&m->arena);
	json_decref(m->streams);
	buf_free(&m->config_text);
}

/* Undoes every step that was taken; runtime.md "Lifecycle": a failed create still runs poststop. */
void making_roll_back(struct making *m)
{
	struct err err = {};

	if (m->net_devices) /* the end of the namespace would be the end of virtual ones */
		netns_devices_return(m->net_devices);
	if (m->pidfd >= 0) {
		sys_pidfd_send_signal(m->pidfd, SIGKILL);
		sys_waitpid(m->pid, NULL, 0);
	}
	if (!m->has_container)
		return;
	if (m->cgroup && cgroup_destroy(m->cgroup, DESTROY_MS, &err) < 0)
		log_warning("%s", err.text);
	if (container_leave_rdt(&m->container, &err) < 0)
		log_warning("%s", err.text);
	if (container_leave_mounts(&m->container, &err) < 0)
		log_warning("%s", err.text);
	if (m->pid) {
		cleanup_close(&m->container.pidfd);
		container_run_poststop(&m->container, m->config);
	}
	if (container_remove(&m->container, &err) < 0)
		log_warning("%s", err.text);
}

void making_hand_over(struct making *m, int master, struct created *ret)
{
	*ret = (struct created){
		.container = m->container,
		.config = take_ptr(m->config),
		.cgroup = take_ptr(m->cgroup),
		.sync = take_fd(&m->sync),
		.master = master,
		.pidfd = take_fd(&m->pidfd),
	};
	m->container = (struct container){.dirfd = -1, .pidfd = -1};
}
