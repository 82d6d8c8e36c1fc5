/* SPDX-License-Identifier: Apache-2.0 */
/* Process: a command's own. What happens to a container, as it happens. */
#include "base/arena.h"
#include "base/clock.h"
#include "base/sys.h"
#include "runtime/backend.h"
#include "runtime/lifecycle.h"
#include "runtime/rdt.h"
#include "runtime/stats.h"

#include <poll.h>

enum { ENDING_MS = 5000 };

struct watch {
	struct container container;
	struct spec_config *config;
	struct cgroup *cgroup;
	struct cgroup_events files;
	uint64_t oom_kills; /* that were told, or had been before */
	bool has_begun;     /* statistics were read once */
	const struct events_options *options;
};

/* DATA is stolen; NULL: there is none. */
static int emit(const struct watch *w, const char *type, json_t *data, struct err *err)
{
	autojson json_t *event =
		json_pack("{s:s, s:s, s:o*}", "type", type, "id", w->container.id, "data", data);

	if (!event)
		return err_sys(err, -ENOMEM, "events");
	return w->options->emit(event, w->options->arg, err);
}

static int read_rdt(const struct watch *w, json_t **ret, struct err *err)
{
	autoclose int top = rdt_open(err);

	return top < 0 ? top
		       : rdt_stats(top, w->container.id, w->config->linux_.intel_rdt, ret, err);
}

int container_stats(const struct container *c, const struct cgroup *cgroup, struct arena *arena,
	struct cgroup_stats *ret, struct err *err)
{
	const struct backend *backend = container_backend(c);
	int r = cgroup_stats_read(cgroup, arena, ret, err);

	return r < 0 || !backend ? r : backend->stats(c, arena, ret, err);
}

static int tell_oom(
	struct watch *w, uint64_t events, uint64_t kills, uint64_t group_kills, struct err *err)
{
	json_t *data;

	if (kills <= w->oom_kills)
		return 0;
	w->oom_kills = kills;
	data = json_pack("{s:I, s:I, s:I}", "events", (json_int_t)events, "kills",
		(json_int_t)kills, "groupKills", (json_int_t)group_kills);
	return data ? emit(w, "oom", data, err) : err_sys(err, -ENOMEM, "events");
}

static int emit_stats(struct watch *w, struct err *err)
{
	autoarena struct arena arena = {};
	struct cgroup_stats stats;
	json_t *links = NULL, *rdt = NULL, *data;
	int r = container_stats(&w->container, w->cgroup, &arena, &stats, err);

	/* What a guest's kernel kills, no file here tells. */
	if (r == 0 && container_backend(&w->container)) {
		if (!w->has_begun)
			w->oom_kills = stats.memory.oom_kill;
		r = tell_oom(w, stats.memory.oom, stats.memory.oom_kill,
			stats.memory.oom_group_kill, err);
	}
	w->has_begun = true;
	if (r == 0)
		r = stats_read_links(w->container.rt->procfd, w->container.pid, &links, err);
	if (r < 0)
		return r;
	if (w->config->linux_.intel_rdt)
		r = read_rdt(w, &rdt, err);
	if (r < 0) {
		json_decref(links);
		return r;
	}
	data = stats_json(&stats, links, rdt);
	return data ? emit(w, "stats", data, err) : err_sys(err, -ENOMEM, "events");
}

/* Reads the counters, which also arms the file for the next poll. The cgroup may be gone. */
static int emit_oom(struct watch *w, struct err *err)
{
	struct cgroup_event_counts counts;

	if (w->files.memory < 0 || cgroup_events_read(&w->files, &counts) < 0)
		return 0;
	return tell_oom(w, counts.oom, counts.oom_kill, counts.oom_group_kill, err);
}

/* A process that exits loses its namespaces first and has ended a moment later, on a busy machine a
 * long one. */
static bool has_ended(const struct watch *w)
{
	struct pollfd fd = {.fd = w->container.pidfd, .events = POLLIN};

	return sys_poll(&fd, 1, ENDING_MS) > 0;
}

/* Sleeps until something happens: to the container, to its memory, to the reader, or the time. */
static int watch_loop(struct watch *w, struct err *err)
{
	int64_t next = clock_monotonic_ms();
	int r = 0;

	while (r == 0) {
		struct pollfd fds[] = {
			{.fd = w->container.pidfd, .events = POLLIN},
			{.fd = w->files.memory, .events = POLLPRI},
			{.fd = w->options->reader}, /* POLLERR: nobody reads any more */
		};
		int64_t left = next - clock_monotonic_ms();

		r = sys_poll(fds, ARRAY_LEN(fds), left > 0 ? (int)left : 0);
		if (r < 0 && r != -EINTR)
			return err_sys(err, r, "wait for events");
		if (fds[2].revents)
			return 0;
		r = emit_oom(w, err);
		if (r == 0 && fds[0].revents)
			return emit(w, "exit", NULL, err);
		if (r == 0 && clock_monotonic_ms() >= next) {
			r = emit_stats(w, err);
			next = clock_monotonic_ms() + w->options->interval_ms;
			if (r < 0 && has_ended(w)) { /* while we read: the next round says so */
				err_clear(err);
				r = 0;
			}
		}
	}
	return r;
}

static int open_watch(const struct runtime *rt, const char *id, struct watch *w, struct err *err)
{
	enum container_status status;
	struct cgroup_event_counts counts;
	int r = container_open(rt, id, false, &w->container, err);

	if (r < 0)
		return r;
	status = container_status(&w->container);
	if (status == CONTAINER_CREATING || status == CONTAINER_STOPPED)
		return err_set(err, -EINVAL, "container \"%s\" is %s: container not running", id,
			container_status_name(status));
	r = container_cgroup(&w->container, &w->cgroup, err);
	if (r == 0)
		r = cgroup_events_open(w->cgroup, &w->files, err);
	if (r == 0 && cgroup_events_read(&w->files, &counts) == 0)
		w->oom_kills = counts.oom_kill;
	return r < 0 ? err_add(err, "events") : 0;
}

int container_events(const struct runtime *rt, const char *id, const struct events_options *options,
	struct err *err)
{
	struct watch w = {
		.container = {.dirfd = -1, .pidfd = -1},
		.files = {-1, -1},
		.options = options,
	};
	int r = open_watch(rt, id, &w, err);

	if (r == 0)
		r = container_config(&w.container, &w.config, err);
	if (r == 0)
		r = options->once ? emit_stats(&w, err) : watch_loop(&w, err);
	cgroup_events_close(&w.files);
	cgroup_free(w.cgroup);
	spec_config_free(w.config);
	container_close(&w.container);
	return r;
}
