/* SPDX-License-Identifier: Apache-2.0 */
/* inspect, logs, top, port, diff: looking at one container. */
#include "cli/brig/brig.h"
#include "cli/brig/images.h"
#include "cli/brig/several.h"
#include "cli/brig/show.h"
#include "cli/containers/logfile.h"
#include "cli/containers/start_network.h"
#include "cli/output/human.h"
#include "cli/output/list.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/sys.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define INSPECT(member) OPTION_AT(brig_inspect_values, member)
#define LOGS(member)    OPTION_AT(brig_logs_values, member)

static const struct json_name inspect_types[] = {
	{"all", INSPECT_ALL},
	{"container", INSPECT_CONTAINER},
	{"image", INSPECT_IMAGE},
	{"volume", INSPECT_VOLUME},
	{"secret", INSPECT_SECRET},
	{},
};

const struct option brig_inspect_options[] = {
	{"format", 'f', OPTION_TEXT, INSPECT(format), .argument = "TEMPLATE",
		.help = "json, or a template for each"},
	{"size", 's', OPTION_FLAG, INSPECT(size), .help = "tell how much was written too"},
	{"type", 0, OPTION_NAME, INSPECT(type), .names = inspect_types,
		.help = "look for a container, an image, a volume or a secret only"},
	{NULL},
};

const struct option brig_logs_options[] = {
	{"follow", 'f', OPTION_FLAG, LOGS(follow), .help = "show what comes, until the end"},
	{"since", 0, OPTION_TEXT, LOGS(since), .argument = "TIME",
		.help = "from this time on: 2026-01-31T12:00:00, or 10m for ten minutes ago"},
	{"tail", 'n', OPTION_TEXT, LOGS(tail), .argument = "N",
		.help = "only the last N lines [all]"},
	{"timestamps", 't', OPTION_FLAG, LOGS(timestamps), .help = "show the time of each line"},
	{"until", 0, OPTION_TEXT, LOGS(until), .argument = "TIME", .help = "up to this time"},
	{NULL},
};

/* ---- inspect ---- */

/* The container, or what else has that name. */
static int inspect_one(struct brig *b, const char *name, json_t **ret, struct err *err)
{
	const struct brig_inspect_values *values = b->inv->options;
	autobox struct box box = {.dirfd = -1};
	const struct boxes *boxes;
	int r = brig_boxes(b, &boxes, err);

	if (r == 0 && (values->type == INSPECT_ALL || values->type == INSPECT_CONTAINER)) {
		r = box_open(boxes, name, false, &box, err);
		if (r == 0)
			*ret = show_inspect(b, &box, values->size);
		if (r != -ENOENT || values->type == INSPECT_CONTAINER)
			return r;
		err_clear(err);
		r = 0;
	}
	return r < 0 ? r : inspect_other(b, name, values->type, ret, err);
}

int brig_inspect(const struct invocation *inv, struct err *err)
{
	const struct brig_inspect_values *values = inv->options;
	autobrig struct brig b = BRIG_NONE;
	int r = brig_open(inv, &b, err);

	return r < 0 ? r : several_inspect(&b, values->format, inspect_one, err);
}

/* ---- logs ---- */

struct following {
	const struct brig_logs_values *values;
	const struct boxes *boxes;
	const char *id;
	int inotify;
	bool ended; /* the container had ended before the last look */
};

static int print_entry(const struct logfile_entry *entry, void *arg)
{
	const struct following *f = arg;
	FILE *out = entry->is_error ? stderr : stdout;

	if (f->values->timestamps)
		fprintf(out, "%s ", entry->time);
	fwrite(entry->text, 1, entry->len, out);
	return ferror(out) ? -EPIPE : 0;
}

static bool is_over(const struct following *f)
{
	autobox struct box box = {.dirfd = -1};
	struct err ignored = {};
	enum box_state state;

	if (box_open(f->boxes, f->id, false, &box, &ignored) < 0)
		return true;
	state = box_state(&box);
	return state == BOX_EXITED;
}

/* Waits until something changes. After the container's end the log is looked at once more. */
static bool wait_for_more(void *arg)
{
	enum { AGAIN_MS = 1000 };
	struct following *f = arg;
	struct pollfd fd = {.fd = f->inotify, .events = POLLIN};
	char events[4096];

	fflush(stdout);
	if (f->ended)
		return false;
	f->ended = is_over(f);
	if (f->ended)
		return true;
	/* Its end changes the directory, too; the limit is for a monitor that was killed. */
	if (sys_poll(&fd, 1, AGAIN_MS) > 0)
		(void)!sys_read(f->inotify, events, sizeof(events));
	return true;
}

static int parse_time(const char *option, const char *text, struct arena *arena, const char **ret,
	struct err *err)
{
	char formatted[CLOCK_TEXT_MAX];
	int64_t ns;

	if (!text)
		return 0;
	if (human_parse_moment_ns(text, clock_realtime_ns(), &ns, err) < 0)
		return err_add(err, "--%s", option);
	clock_format_ns(ns, formatted);
	*ret = arena_strdup(arena, formatted);
	return *ret ? 0 : err_sys(err, -ENOMEM, "--%s", option);
}

static int watch(struct following *f, const struct box *box, struct err *err)
{
	char path[64];

	f->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", box->dirfd);
	if (f->inotify < 0 || inotify_add_watch(f->inotify, path,
				      IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF) < 0)
		return err_sys(err, -errno, "watch the log");
	return 0;
}

int brig_logs(const struct invocation *inv, struct err *err)
{
	const struct brig_logs_values *values = inv->options;
	struct following f = {.values = values, .inotify = -1};
	struct logfile_reader reader = {.tail = -1, .entry = print_entry, .arg = &f};
	autobrig struct brig b = BRIG_NONE;
	autobox struct box box = {.dirfd = -1};
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_boxes(&b, &f.boxes, err);
	if (r == 0)
		r = box_open(f.boxes, inv->args[0], false, &box, err);
	if (r == 0)
		r = parse_time("since", values->since, b.arena, &reader.since, err);
	if (r == 0)
		r = parse_time("until", values->until, b.arena, &reader.until, err);
	if (r < 0)
		return r;
	if (values->tail && strcmp(values->tail, "all") != 0 &&
		(parse_i64(values->tail, &reader.tail) < 0 || reader.tail < -1))
		return err_set(err, -EINVAL, "--tail: \"%s\" is not a number or all", values->tail);
	if (box.record.options.log_driver && strcmp(box.record.options.log_driver, "none") == 0)
		return err_set(err, -ENOTSUP, "container %s keeps no log (--log-driver none)",
			inv->args[0]);
	f.id = box.id;
	if (values->follow) {
		r = watch(&f, &box, err);
		reader.wait = wait_for_more;
	}
	if (r == 0)
		r = logfile_read(box.dirfd, &reader, err);
	cleanup_close(&f.inotify);
	return r < 0 ? r : 0;
}

/* ---- port ---- */

/* "80", "80/tcp": whether N of PORT is meant. */
static bool is_wanted(const char *wanted, const struct port *port, unsigned int n)
{
	char text[32];

	if (!wanted)
		return true;
	snprintf(text, sizeof(text), "%u/%s", port->container + n, show_protocol(port));
	if (strcmp(wanted, text) == 0)
		return true;
	*strchr(text, '/') = '\0';
	return strcmp(wanted, text) == 0 && port->protocol == PORT_TCP;
}

int brig_port(const struct invocation *inv, struct err *err)
{
	autobrig struct brig b = BRIG_NONE;
	autobox struct box box = {.dirfd = -1};
	const char *wanted = inv->arg_count > 1 ? inv->args[1] : NULL;
	struct attachment a = {};
	char ip[ADDRESS_TEXT_MAX];
	bool any = false;
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_box(&b, inv->args[0], false, &box, err);
	if (r < 0)
		return r;
	if (show_attachment(&b, &box, &a) < 0)
		a = (struct attachment){};
	for (size_t i = 0; i < a.ports.count; i++)
		for (unsigned int n = 0; n < a.ports.items[i].count; n++) {
			const struct port *p = &a.ports.items[i];

			if (!is_wanted(wanted, p, n))
				continue;
			any = true;
			if (!wanted)
				printf("%u/%s -> ", p->container + n, show_protocol(p));
			printf(strchr(show_host_ip(p, ip), ':') ? "[%s]:%u\n" : "%s:%u\n", ip,
				p->host + n);
		}
	return any || !wanted ? 0
			      : err_set(err, -ENOENT, "port %s of container %s is not published",
					wanted, inv->args[0]);
}
