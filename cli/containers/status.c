/* SPDX-License-Identifier: Apache-2.0 */
/* What became of a container: status.json, and what of it is true. */
#include "cli/containers/box.h"

#include "base/fd.h"
#include "base/process.h"
#include "base/sys.h"

#include <fcntl.h>
#include <string.h>

enum { STATUS_MAX = 1 << 20 };

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
	{"exitCode", JSON_I32, false, JSON_AT(box_status, exit_code)},
	{"oomKilled", JSON_BOOL, false, JSON_AT(box_status, oom_killed)},
	{"restarts", JSON_U32, false, JSON_AT(box_status, restarts)},
	{"health", JSON_TEXT, false, JSON_AT(box_status, health)},
	{"failing", JSON_U32, false, JSON_AT(box_status, failing)},
	{"healthLog", JSON_PARSE, false, JSON_AT(box_status, health_log), .parse = take_log},
	{},
};
static const struct json_table status_table = {sizeof(struct box_status), status_rules};

int box_status_read(int dirfd, struct box_status *ret, struct err *err)
{
	autoboxstatus struct box_status status = {};
	autobuf struct buf text = {};
	autojson json_t *json = NULL;
	struct arena arena = {};
	int r = fd_read_file(dirfd, "status.json", STATUS_MAX, &text);

	if (r == -ENOENT) {
		*ret = (struct box_status){.state = "created"};
		return 0;
	}
	if (r < 0)
		return err_sys(err, r, "status.json");
	r = json_parse("status.json", buf_str(&text), text.len, &json, err);
	if (r < 0)
		return r;
	r = json_decode(json, &status_table, &arena, &status, err);
	status.json = take_ptr(json);
	status.arena = arena;
	if (r < 0)
		return r;
	*ret = status;
	status = (struct box_status){};
	return 0;
}

int box_status_write(int dirfd, const struct box_status *s, struct err *err)
{
	autobuf struct buf text = {};
	autojson json_t *json = json_pack("{s:s, s:s*, s:s*, s:s*, s:s*, s:i, s:o, s:i, s:i, s:b, "
					  "s:I, s:s*, s:I, s:O*}",
		"state", s->state, "boot", s->boot, "started", s->started, "finished", s->finished,
		"error", s->error, "monitor", s->monitor, "monitorStart",
		json_u64(s->monitor_start), "pid", s->pid, "exitCode", s->exit_code, "oomKilled",
		s->oom_killed, "restarts", (json_int_t)s->restarts, "health", s->health, "failing",
		(json_int_t)s->failing, "healthLog", s->health_log);
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

/* What the runtime says; it knows only containers of this boot. */
static enum container_status runtime_status(const struct box *box)
{
	enum container_status status;

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
