/* SPDX-License-Identifier: Apache-2.0 */
/* What became of a container: status.json, and what of it is true. */
#include "cli/containers/box.h"

#include "base/fd.h"
#include "base/process.h"
#include "base/sys.h"

#include <fcntl.h>
#include <string.h>

static int take_log(const json_t *value, void *out, const struct json_context *ctx)
{
	(void)ctx;
	*(json_t **)out = (json_t *)value;
	return 0;
}

static const struct json_rule status_rules[] = {
	{"state", JSON_TEXT, true, JSON_AT(box_status, state)},
	{"boot", JSON_TEXT, false, JSON_AT(box_status, boot)},
	{"started", JSON_TEXT, false, JSON_AT(box_status, started)},
	{"finished", JSON_TEXT, false, JSON_AT(box_status, finished)},
	{"error", JSON_TEXT, false, JSON_AT(box_status, error)},
	{"monitor", JSON_I32, false, JSON_AT(box_status, monitor)},
	{"monitorStart", JSON_U64, false, JSON_AT(box_status, monitor_start)},
	{"pid", JSON_I32, false, JSON_AT(box_status, pid)},
	{"pidStart", JSON_U64, false, JSON_AT(box_status, trace.start_time)},
	{"pidInode", JSON_U64, false, JSON_AT(box_status, trace.inode)},
	{"exitCode", JSON_I32, false, JSON_AT(box_status, exit_code)},
	{"oomKilled", JSON_BOOL, false, JSON_AT(box_status, oom_killed)},
	{"restarts", JSON_U32, false, JSON_AT(box_status, restarts)},
	{"health", JSON_TEXT, false, JSON_AT(box_status, health)},
	{"failing", JSON_U32, false, JSON_AT(box_status, failing)},
	{"healthLog", JSON_PARSE, false, JSON_AT(box_status, health_log), .parse = take_log},
	{},
};
static const struct json_table status_table = {sizeof(struct box_status), status_rules};

void box_boot_read(const struct runtime *rt, char ret[BOX_BOOT_MAX])
{
	if (fd_read_line(rt->procfd, "sys/kernel/random/boot_id", ret, BOX_BOOT_MAX) < 0)
		*ret = '\0';
}

int box_status_read(int dirfd, struct box_status *ret, struct err *err)
{
	autobuf struct buf text = {};
	int r = fd_read_file(dirfd, "status.json", BOX_STATUS_MAX, &text);

	if (r == -ENOENT) {
		*ret = (struct box_status){.state = "created"};
		return 0;
	}
	return r < 0 ? err_sys(err, r, "status.json")
		     : box_status_parse(buf_str(&text), text.len, ret, err);
}

/* A monitor of an older version notes no cgroup: then there is no trace. */
static void take_trace(struct box_status *s)
{
	const char *path = json_text_of(s->json, "cgroup");

	if (!path || strlen(path) >= sizeof(s->trace.path) || !s->trace.start_time)
		return;
	memcpy(s->trace.path, path, strlen(path) + 1);
	s->trace.pid = s->pid;
}

int box_status_parse(const char *text, size_t len, struct box_status *ret, struct err *err)
{
	autoboxstatus struct box_status status = {};
	autojson json_t *json = NULL;
	struct arena arena = {};
	int r = json_parse("status.json", text, len, &json, err);

	if (r < 0)
		return r;
	r = json_decode(json, &status_table, &arena, &status, err);
	status.json = take_ptr(json);
	status.arena = arena;
	if (r < 0)
		return r;
	take_trace(&status);
	*ret = status;
	status = (struct box_status){};
	return 0;
}

int box_status_write(int dirfd, const struct box_status *s, struct err *err)
{
	const struct container_trace *trace = &s->trace;
	autobuf struct buf text = {};
	autojson json_t *json =
		json_pack("{s:s, s:s*, s:s*, s:s*, s:s*, s:i, s:o, s:i, s:o*, s:o*, "
			  "s:s*, s:i, s:b, s:I, s:s*, s:I, s:O*}",
			"state", s->state, "boot", s->boot, "started", s->started, "finished",
			s->finished, "error", s->error, "monitor", s->monitor, "monitorStart",
			json_u64(s->monitor_start), "pid", s->pid, "pidStart",
			trace->pid ? json_u64(trace->start_time) : NULL, "pidInode",
			trace->pid && trace->inode ? json_u64(trace->inode) : NULL, "cgroup",
			trace->pid ? trace->path : NULL, "exitCode", s->exit_code, "oomKilled",
			s->oom_killed, "restarts", (json_int_t)s->restarts, "health", s->health,
			"failing", (json_int_t)s->failing, "healthLog", s->health_log);
	int r = json ? json_write(json, JSON_COMPACT, &text) : -ENOMEM;

	if (r == 0)
		r = fd_replace_file(dirfd, "status.json", text.data, text.len, 0600);
	return r < 0 ? err_sys(err, r, "write status.json") : 0;
}

void box_status_free(struct box_status *s)
{
	json_decref(s->json);
	s->json = NULL;
	arena_free(&s->arena);
}

const char *box_state_name(enum box_state state)
{
	static const char *const names[] = {
		[BOX_CREATED] = "created",
		[BOX_RUNNING] = "running",
		[BOX_PAUSED] = "paused",
		[BOX_RESTARTING] = "restarting",
		[BOX_EXITED] = "exited",
	};

	return names[state];
}

bool box_has_monitor(const struct box *box)
{
	unsigned long long start;
	char state;

	return box->status.monitor > 0 &&
	       process_start_time(box->boxes->rt->procfd, box->status.monitor, &start, &state) ==
		       0 &&
	       start == box->status.monitor_start && state != 'Z' && state != 'X';
}

/* Whether it runs by what its monitor has noted, RET then tells how. Else nothing is known: there
 * may be no trace, and the container may have been started again since. */
static bool is_traced(const struct box *box, enum container_status *ret)
{
	const struct box_status *s = &box->status;
	const struct boxes *b = box->boxes;

	return *b->boot && s->boot && strcmp(s->boot, b->boot) == 0 && s->trace.pid &&
	       container_trace_status(b->rt, b->cgroups, &s->trace, ret) == 0;
}

/* What the runtime says; it knows only containers of this boot. */
static enum container_status runtime_status(const struct box *box)
{
	enum container_status status;

	if (is_traced(box, &status))
		return status;
	return container_glance(box->boxes->rt, box->id, &status) < 0 ? CONTAINER_STOPPED : status;
}

enum box_state box_state(const struct box *box)
{
	const char *said = box->status.state;

	if (strcmp(said, "created") == 0)
		return BOX_CREATED;
	if (strcmp(said, "exited") == 0)
		return BOX_EXITED;
	switch (runtime_status(box)) {
	case CONTAINER_RUNNING:
	case CONTAINER_CREATED:
		return BOX_RUNNING;
	case CONTAINER_PAUSED:
		return BOX_PAUSED;
	case CONTAINER_CREATING:
	case CONTAINER_STOPPED:
		break;
	}
	if (!box_has_monitor(box))
		return BOX_EXITED;
	return strcmp(said, "restarting") == 0 ? BOX_RESTARTING : BOX_RUNNING;
}
