/* SPDX-License-Identifier: Apache-2.0 */
/* stop, kill, restart, rm, pause, unpause, wait, rename, container prune. */
#include "cli/brig/brig.h"
#include "cli/containers/events.h"
#include "cli/output/filter.h"
#include "cli/output/human.h"
#include "cli/self.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/sys.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { STEP_MS = 20, KILL_MS = 10000 };

#define STOP(member) OPTION_AT(brig_stop_values, member)
#define RM(member)   OPTION_AT(brig_rm_values, member)
#define KILL(member) OPTION_AT(brig_kill_values, member)
#define ALL_ROW(where)                                                            \
	{                                                                         \
		"all", 'a', OPTION_FLAG, where, .help = "all containers that run" \
	}

const struct option brig_stop_options[] = {
	ALL_ROW(STOP(all)),
	{"signal", 's', OPTION_SIGNAL, STOP(signal), .help = "the signal that stops it"},
	{"time", 't', OPTION_OPT_I64, STOP(time), .argument = "SECONDS",
		.help = "time to stop before it is killed; -1: any [10]"},
	{"timeout", 0, OPTION_OPT_I64, STOP(time), .hidden = true},
	{"ignore", 'i', OPTION_FLAG, STOP(ignore), .help = "do not mind if it is gone"},
	{NULL},
};

const struct option brig_kill_options[] = {
	ALL_ROW(KILL(all)),
	{"signal", 's', OPTION_SIGNAL, KILL(signal), .help = "the signal [KILL]"},
	{NULL},
};

const struct option brig_rm_options[] = {
	{"all", 'a', OPTION_FLAG, RM(all), .help = "all containers"},
	{"force", 'f', OPTION_FLAG, RM(force), .help = "kill it first if it runs"},
	{"ignore", 'i', OPTION_FLAG, RM(ignore), .help = "do not mind if it is gone"},
	{"time", 't', OPTION_OPT_I64, RM(time), .argument = "SECONDS",
		.help = "with --force: stop it first, and kill it after this time"},
	{"volumes", 'v', OPTION_FLAG, RM(volumes), .help = "remove its anonymous volumes too"},
	{NULL},
};

const struct option brig_pause_options[] = {
	ALL_ROW(OPTION_AT(brig_pause_values, all)),
	{NULL},
};

/* ---- several containers, one verb ---- */

struct each {
	struct brig *b;
	const void *values;
	const struct boxes *boxes;
	/* Prints nothing itself; NAME as it was written. */
	int (*verb)(struct each *each, const char *name, struct err *err);
	bool (*fits)(enum box_state state); /* for --all */
	bool ignore, quiet;
	int code;
};

static void do_one(struct each *each, const char *name)
{
	struct err err = {};
	int r = each->verb(each, name, &err);

	if (r == -ENOENT && each->ignore)
		return;
	if (r < 0) {
		log_failure("brig", &err);
		each->code = 1;
	} else if (!each->quiet) {
		printf("%s\n", name);
	}
}

static int add_name(struct box *box, void *arg)
{
	void **args = arg;
	struct each *each = args[0];
	struct strings *names = args[1];

	if (each->fits && !each->fits(box_state(box)))
		return 0;
	return strings_add(names, arena_strdup(each->b->arena, box->record.name), each->b->arena);
}

static int do_each(const struct invocation *inv, struct each *each, bool all, struct err *err)
{
	autobrig struct brig b = BRIG_NONE;
	struct strings names = {};
	int r;

	if (all ? inv->arg_count > 0 : !inv->arg_count)
		return err_set(
			err, -EINVAL, "%s: say which containers, or --all", inv->command->name);
	r = brig_open(inv, &b, err);
	if (r == 0)
		r = brig_boxes(&b, &each->boxes, err);
	each->b = &b;
	if (r == 0 && all)
		r = boxes_each(each->boxes, add_name, (void *[]){each, &names}, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < names.count; i++)
		do_one(each, names.items[i]);
	for (size_t i = 0; i < inv->arg_count; i++)
		do_one(each, inv->args[i]);
	return each->code;
}

static bool is_alive(enum box_state state)
{
	return state == BOX_RUNNING || state == BOX_PAUSED || state == BOX_RESTARTING;
}

/* ---- waiting for an end ---- */

/* The process of the container, or −1. */
static int open_init(const struct boxes *boxes, const char *id)
{
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1};
	struct err ignored = {};

	if (container_open(boxes->rt, id, false, &c, &ignored) < 0)
		return -1;
	return take_fd(&c.pidfd);
}

/*
 * Waits until the container ID has ended and its monitor has noted that, or is dead itself.
 * DEADLINE as clock_monotonic_ms() counts, −1: none; −ETIMEDOUT. The exit code, −1 for unknown, in
 * RET, which may be NULL. −ENOENT: it has ended and is gone.
 */
static int wait_for_end(
	const struct boxes *boxes, const char *id, int64_t deadline, int *ret, struct err *err)
{
	for (;;) {
		autobox struct box box = {.dirfd = -1};
		autoclose int init = open_init(boxes, id);
		struct pollfd fd = {.fd = init, .events = POLLIN};
		int64_t left = deadline < 0 ? 60000 : deadline - clock_monotonic_ms();
		int r = box_open(boxes, id, false, &box, err);

		if (r < 0)
			return r;
		if (!is_alive(box_state(&box)) && strcmp(box.status.state, "created") != 0) {
			if (ret)
				*ret = strcmp(box.status.state, "exited") == 0
					       ? box.status.exit_code
					       : -1;
			return 0;
		}
		if (left <= 0)
			return -ETIMEDOUT;
		/* Once it has ended the monitor needs a moment. */
		sys_poll(&fd, 1,
			init >= 0 && left > STEP_MS ? (int)(left < 1000 ? left : 1000) : STEP_MS);
		if (fd.revents)
			sys_poll(NULL, 0, STEP_MS / 4);
	}
}

/* The note that keeps the monitor from starting it again, and a signal so that it looks. */
static void note_stopping(const struct box *box)
{
	struct err ignored = {};
	autoclose int dir = box_run_dir(box->boxes, box->id, &ignored);

	if (dir >= 0)
		fd_create_file(dir, "stopping", "", 0, 0600);
	if (box_has_monitor(box))
		sys_kill(box->status.monitor, SIGCONT);
}

/* What a monitor would have done, had it not been killed. */
static int end_without_monitor(struct brig *b, struct box *box, struct err *err)
{
	const struct start_context *ctx;
	struct box_status status = box->status;
	bool oom;
	int r = brig_start_context(b, &ctx, err);

	if (r == 0)
		r = box_end(ctx, box->id, &oom, NULL, err);
	if (r < 0 || strcmp(status.state, "running") != 0)
		return r;
	status.state = "exited";
	status.exit_code = -1;
	status.monitor = 0;
	status.error = "its monitor was killed";
	return box_status_write(box->dirfd, &status, err);
}

/* ---- stop ---- */

/* SECONDS −1: as long as it takes. */
static int stop_box(struct brig *b, const struct boxes *boxes, const char *name, int sig,
	const int64_t *seconds, struct err *err)
{
	autobox struct box box = {.dirfd = -1};
	int64_t time;
	bool orphan;
	int r = box_open(boxes, name, false, &box, err);

	if (r < 0)
		return r;
	if (!is_alive(box_state(&box)))
		return 0;
	orphan = !box_has_monitor(&box);
	time = seconds ? *seconds : box.record.stop_timeout;
	note_stopping(&box);
	events_note(b->runfd, "container", "stop", box.id, "name", box.record.name, NULL);
	if (box_state(&box) == BOX_PAUSED) {
		r = container_resume(boxes->rt, box.id, err);
		if (r < 0)
			return r;
	}
	r = container_kill(boxes->rt, box.id, sig ? sig : box.record.stop_signal, false, err);
	if (r == -ESRCH || r == -ENOENT) /* between two starts, or just now */
		err_clear(err);
	else if (r < 0)
		return r;
	r = time == 0 ? -ETIMEDOUT
		      : wait_for_end(boxes, box.id,
				time < 0 ? -1 : clock_monotonic_ms() + time * 1000, NULL, err);
	if (r == -ETIMEDOUT) {
		err_clear(err);
		r = container_kill(boxes->rt, box.id, SIGKILL, true, err);
		if (r == -ESRCH || r == -ENOENT)
			err_clear(err);
		r = wait_for_end(boxes, box.id, clock_monotonic_ms() + KILL_MS, NULL, err);
		if (r == -ETIMEDOUT)
			return err_set(err, r, "container %s does not end", name);
	}
	if (r == -ENOENT) { /* --rm */
		err_clear(err);
		return 0;
	}
	return r == 0 && orphan ? end_without_monitor(b, &box, err) : r;
}

static int do_stop(struct each *each, const char *name, struct err *err)
{
	const struct brig_stop_values *values = each->values;

	return stop_box(each->b, each->boxes, name, values->signal,
		values->time.set ? &values->time.value : NULL, err);
}

int brig_stop(const struct invocation *inv, struct err *err)
{
	const struct brig_stop_values *values = inv->options;
	struct each each = {
		.values = values, .verb = do_stop, .fits = is_alive, .ignore = values->ignore};

	return do_each(inv, &each, values->all, err);
}

/* ---- restart ---- */

static int do_restart(struct each *each, const char *name, struct err *err)
{
	static const struct brig_attached detached = {};
	autobox struct box box = {.dirfd = -1};
	int r = do_stop(each, name, err);

	if (r == 0)
		r = box_open(each->boxes, name, true, &box, err);
	if (r == 0)
		events_note(each->b->runfd, "container", "restart", box.id, "name", box.record.name,
			NULL);
	return r < 0 ? r : brig_start_box(each->b, &box, &detached, err);
}

int brig_restart(const struct invocation *inv, struct err *err)
{
	const struct brig_stop_values *values = inv->options;
	struct each each = {
		.values = values, .verb = do_restart, .fits = is_alive, .ignore = values->ignore};
	int r = self_protect(inv->argv, err);

	return r < 0 ? r : do_each(inv, &each, values->all, err);
}

/* ---- kill ---- */

static int do_kill(struct each *each, const char *name, struct err *err)
{
	const struct brig_kill_values *values = each->values;
	autobox struct box box = {.dirfd = -1};
	int sig = values->signal ? values->signal : SIGKILL, r;
	char text[8];

	r = box_open(each->boxes, name, false, &box, err);
	if (r < 0)
		return r;
	if (!is_alive(box_state(&box)))
		return err_set(err, -ESRCH, "container %s is not running", name);
	if (sig == SIGKILL || sig == box.record.stop_signal)
		note_stopping(&box);
	snprintf(text, sizeof(text), "%d", sig);
	events_note(each->b->runfd, "container", "kill", box.id, "name", box.record.name, "signal",
		text, NULL);
	r = container_kill(each->boxes->rt, box.id, sig, false, err);
	if (r == -ENOENT || r == -ESRCH)
		return err_set(err, -ESRCH, "container %s is not running", name);
	return r;
}

int brig_kill(const struct invocation *inv, struct err *err)
{
	const struct brig_kill_values *values = inv->options;
	struct each each = {.values = values, .verb = do_kill, .fits = is_alive};

	return do_each(inv, &each, values->all, err);
}

/* ---- rm ---- */

int brig_remove_box(struct brig *b, const char *text, bool force, bool volumes, struct err *err)
{
	autobox struct box box = {.dirfd = -1};
	const struct start_context *ctx;
	char id[RECORD_ID_SIZE];
	bool oom;
	int64_t at_once = 0;
	int r = brig_start_context(b, &ctx, err);

	if (r == 0)
		r = boxes_find(ctx->boxes, text, id, err);
	if (r == 0 && force)
		r = stop_box(b, ctx->boxes, id, SIGKILL, &at_once, err);
	if (r == 0)
		r = box_open(ctx->boxes, id, true, &box, err);
	if (force && r == -ENOENT && *id) { /* --rm was quicker */
		err_clear(err);
		return 0;
	}
	if (r < 0)
		return r;
	if (is_alive(box_state(&box)))
		return err_set(err, -EBUSY,
			"container %s is %s: stop it before removing it, or force it", text,
			box_state_name(box_state(&box)));
	r = box_end(ctx, box.id, &oom, NULL, err);
	if (r == 0)
		r = box_destroy(ctx, &box, volumes, NULL, err);
	if (r == 0)
		events_note(b->runfd, "container", "destroy", id, "name", box.record.name, NULL);
	return r;
}

static int do_rm(struct each *each, const char *name, struct err *err)
{
	const struct brig_rm_values *values = each->values;
	int r = 0;

	if (values->force && values->time.set)
		r = stop_box(each->b, each->boxes, name, 0, &values->time.value, err);
	return r < 0 ? r : brig_remove_box(each->b, name, values->force, values->volumes, err);
}

int brig_rm(const struct invocation *inv, struct err *err)
{
	const struct brig_rm_values *values = inv->options;
	struct each each = {
		.values = values, .verb = do_rm, .ignore = values->ignore || values->force};

	return do_each(inv, &each, values->all, err);
}

/* ---- pause, unpause ---- */

static bool is_running(enum box_state state)
{
	return state == BOX_RUNNING;
}

static bool is_paused(enum box_state state)
{
	return state == BOX_PAUSED;
}

static int freeze(struct each *each, const char *name, bool on, struct err *err)
{
	autobox struct box box = {.dirfd = -1};
	enum box_state state;
	int r = box_open(each->boxes, name, false, &box, err);

	if (r < 0)
		return r;
	state = box_state(&box);
	if (state != (on ? BOX_RUNNING : BOX_PAUSED))
		return err_set(err, -EINVAL, "container %s is %s, not %s", name,
			box_state_name(state), on ? "running" : "paused");
	r = on ? container_pause(each->boxes->rt, box.id, err)
	       : container_resume(each->boxes->rt, box.id, err);
	if (r == 0)
		events_note(each->b->runfd, "container", on ? "pause" : "unpause", box.id, "name",
			box.record.name, NULL);
	return r;
}

static int do_pause(struct each *each, const char *name, struct err *err)
{
	return freeze(each, name, true, err);
}

static int do_unpause(struct each *each, const char *name, struct err *err)
{
	return freeze(each, name, false, err);
}

int brig_pause(const struct invocation *inv, struct err *err)
{
	const struct brig_pause_values *values = inv->options;
	struct each each = {.verb = do_pause, .fits = is_running};

	return do_each(inv, &each, values->all, err);
}

int brig_unpause(const struct invocation *inv, struct err *err)
{
	const struct brig_pause_values *values = inv->options;
	struct each each = {.verb = do_unpause, .fits = is_paused};

	return do_each(inv, &each, values->all, err);
}

/* ---- wait, rename ---- */

static int do_wait(struct each *each, const char *name, struct err *err)
{
	char id[RECORD_ID_SIZE];
	int code = -1, r = boxes_find(each->boxes, name, id, err);

	if (r == 0)
		r = wait_for_end(each->boxes, id, -1, &code, err);
	if (r == 0)
		printf("%d\n", code);
	return r;
}

int brig_wait(const struct invocation *inv, struct err *err)
{
	struct each each = {.verb = do_wait, .quiet = true};

	return do_each(inv, &each, false, err);
}

int brig_rename(const struct invocation *inv, struct err *err)
{
	autobrig struct brig b = BRIG_NONE;
	autobox struct box box = {.dirfd = -1};
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_box(&b, inv->args[0], true, &box, err);
	if (r == 0)
		r = box_rename(&box, inv->args[1], err);
	if (r == 0)
		events_note(b.runfd, "container", "rename", box.id, "name", inv->args[1], "oldName",
			inv->args[0], NULL);
	return r;
}

/* ---- container prune ---- */

#define PRUNE(member) OPTION_AT(brig_prune_values, member)

const struct option brig_prune_options[] = {
	{"filter", 0, OPTION_TEXTS, PRUNE(filter), .argument = "KEY=VALUE",
		.help = "only those: until (24h, or a time), label"},
	{"force", 'f', OPTION_FLAG, PRUNE(force), .help = "do not ask"},
	{NULL},
};

struct pruning {
	struct brig *b;
	struct filters filters;
	int64_t until;
	struct strings ids;
};

static int add_prunable(struct box *box, void *arg)
{
	struct pruning *p = arg;
	int64_t created = 0;

	if (is_alive(box_state(box)) || !filters_accept_labels(&p->filters, "label",
						json_object_get(box->record.json, "labels")))
		return 0;
	if (human_parse_time(box->record.created, &created, NULL) == 0 && created > p->until)
		return 0;
	return strings_add(&p->ids, arena_strdup(p->b->arena, box->id), p->b->arena);
}

static bool confirmed(const struct brig_prune_values *values)
{
	char answer[8] = "";

	if (values->force || !isatty(STDIN_FILENO))
		return true;
	fprintf(stderr, "All containers that do not run will be removed. Go on? [y/N] ");
	return fgets(answer, sizeof(answer), stdin) && (*answer == 'y' || *answer == 'Y');
}

int brig_container_exists(const struct invocation *inv, struct err *err)
{
	autobrig struct brig b = BRIG_NONE;
	char id[RECORD_ID_SIZE];
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_box_id(&b, inv->args[0], id, err);
	return r == -ENOENT ? 1 : r;
}

int brig_container_prune(const struct invocation *inv, struct err *err)
{
	static const char *const keys[] = {"until", "label", NULL};
	const struct brig_prune_values *values = inv->options;
	autobrig struct brig b = BRIG_NONE;
	struct pruning p = {.b = &b, .until = INT64_MAX};
	const struct boxes *boxes;
	int code = 0, r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_boxes(&b, &boxes, err);
	if (r == 0)
		r = filters_parse(&values->filter, keys, b.arena, &p.filters, err);
	if (r == 0 && filters_have(&p.filters, "until"))
		r = human_parse_moment(
			filters_value(&p.filters, "until"), human_now(), &p.until, err);
	if (r < 0 || !confirmed(values))
		return r;
	r = boxes_sweep(boxes, err);
	if (r == 0)
		r = boxes_each(boxes, add_prunable, &p, err);
	for (size_t i = 0; r == 0 && i < p.ids.count; i++) {
		struct err one = {};

		if (brig_remove_box(&b, p.ids.items[i], false, true, &one) < 0) {
			log_failure("brig", &one);
			code = 1;
		} else {
			printf("%s\n", p.ids.items[i]);
		}
	}
	return r < 0 ? r : code;
}
