/* SPDX-License-Identifier: Apache-2.0 */
/* events. */
#include "cli/containers/events.h"
#include "cli/brig/brig.h"
#include "cli/output/filter.h"
#include "cli/output/human.h"
#include "cli/output/list.h"

#include "base/clock.h"
#include "base/sys.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#define EVENTS(member) OPTION_AT(brig_events_values, member)

const struct option brig_events_options[] = {
	{"filter", 'f', OPTION_TEXTS, EVENTS(filter), .argument = "KEY=VALUE",
		.help = "only those: type, event, container, image, label"},
	{"format", 0, OPTION_TEXT, EVENTS(format), .argument = "FORMAT",
		.help = "json, or a template"},
	{"no-stream", 0, OPTION_FLAG, EVENTS(no_stream), .help = "end with what has happened"},
	{"since", 0, OPTION_TEXT, EVENTS(since), .argument = "TIME",
		.help = "from this time on: 2026-01-31T12:00:00, or 10m for ten minutes ago"},
	{"until", 0, OPTION_TEXT, EVENTS(until), .argument = "TIME", .help = "up to this time"},
	{NULL},
};

struct watching {
	const struct brig_events_values *values;
	struct filters filters;
	int64_t since, until; /* nanoseconds since 1970 */
	int inotify;
	struct err *err;
};

static const char *text_of(const json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));

	return text ? text : "";
}

static bool is_container(const char *value, const void *context)
{
	const json_t *event = context;
	const char *id = text_of(event, "id");

	return strncmp(id, value, strlen(value)) == 0 ||
	       strcmp(text_of(json_object_get(event, "attributes"), "name"), value) == 0;
}

static bool fits(const struct watching *w, const json_t *event)
{
	const json_t *attributes = json_object_get(event, "attributes");
	int64_t time = json_integer_value(json_object_get(event, "timeNano"));

	return time >= w->since && time <= w->until &&
	       filters_accept_equal(&w->filters, "type", text_of(event, "type")) &&
	       filters_accept_equal(&w->filters, "event", text_of(event, "action")) &&
	       filters_accept_equal(&w->filters, "image", text_of(attributes, "image")) &&
	       filters_accept(&w->filters, "container", is_container, event) &&
	       filters_accept_labels(&w->filters, "label", attributes);
}

/* "2026-… container start 0123 (image=busybox, name=web)" */
static void print_plain(const json_t *event)
{
	autobuf struct buf line = {}, safe = {};
	json_t *attributes = json_object_get(event, "attributes"), *value;
	const char *key;
	bool any = false;

	buf_printf(&line, "%s %s %s %s", text_of(event, "time"), text_of(event, "type"),
		text_of(event, "action"), text_of(event, "id"));
	json_object_foreach (attributes, key, value) {
		buf_printf(&line, "%s%s=%s", any ? ", " : " (", key, json_string_value(value));
		any = true;
	}
	human_text(buf_str(&line), line.len, &safe);
	printf("%s%s\n", buf_str(&safe), any ? ")" : "");
}

static int print_event(const json_t *event, void *arg)
{
	struct watching *w = arg;
	autojson json_t *one = NULL;
	autobuf struct buf text = {};
	int r;

	if (!fits(w, event))
		return 0;
	if (!w->values->format) {
		print_plain(event);
	} else if (strcmp(w->values->format, "json") == 0) {
		if (json_write(event, JSON_COMPACT, &text) < 0)
			return err_sys(w->err, -ENOMEM, "events");
		printf("%s\n", buf_str(&text));
	} else {
		one = json_pack("[{s:s, s:O, s:s, s:s, s:s, s:s, s:O, s:{s:s, s:O}}]", "Time",
			text_of(event, "time"), "TimeNano", json_object_get(event, "timeNano"),
			"Type", text_of(event, "type"), "Action", text_of(event, "action"),
			"Status", text_of(event, "action"), "ID", text_of(event, "id"),
			"Attributes", json_object_get(event, "attributes"), "Actor", "ID",
			text_of(event, "id"), "Attributes", json_object_get(event, "attributes"));
		r = one ? list_print_values(w->values->format, one, &text, w->err) : -ENOMEM;
		if (r < 0)
			return r;
		fwrite(buf_str(&text), 1, text.len, stdout);
	}
	return ferror(stdout) ? -EPIPE : 0;
}

static bool wait_for_more(void *arg)
{
	enum { AGAIN_MS = 1000 };
	struct watching *w = arg;
	struct pollfd fd = {.fd = w->inotify, .events = POLLIN};
	char waste[4096];

	fflush(stdout);
	if (w->values->no_stream || clock_realtime_ns() > w->until)
		return false;
	if (sys_poll(&fd, 1, AGAIN_MS) > 0)
		(void)!sys_read(w->inotify, waste, sizeof(waste));
	return true;
}

static int prepare(struct watching *w, struct brig *b, struct err *err)
{
	static const char *const keys[] = {"type", "event", "container", "image", "label", NULL};
	char path[64];
	int r = filters_parse(&w->values->filter, keys, b->arena, &w->filters, err);

	if (r == 0 && w->values->since) {
		r = human_parse_moment_ns(w->values->since, clock_realtime_ns(), &w->since, err);
	} else {
		/* What is to come; all of it when that is what was asked for. */
		w->since = w->values->until || w->values->no_stream ? 0 : clock_realtime_ns();
	}
	if (r == 0 && w->values->until)
		r = human_parse_moment_ns(w->values->until, clock_realtime_ns(), &w->until, err);
	if (r < 0)
		return r;
	w->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", b->runfd);
	if (w->inotify < 0 || inotify_add_watch(w->inotify, path, IN_MODIFY | IN_CREATE) < 0)
		return err_sys(err, -errno, "watch the events");
	return 0;
}

int brig_events(const struct invocation *inv, struct err *err)
{
	struct watching w = {.values = inv->options, .until = INT64_MAX, .inotify = -1, .err = err};
	const struct events_reader reader = {
		.event = print_event, .wait = wait_for_more, .arg = &w};
	autobrig struct brig b = BRIG_NONE;
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = prepare(&w, &b, err);
	if (r == 0)
		r = events_read(b.runfd, &reader, err);
	cleanup_close(&w.inotify);
	return r;
}
