/* SPDX-License-Identifier: Apache-2.0 */
/* run, start, attach: containers and the terminal. */
#include "cli/brig/brig.h"
#include "cli/containers/attach.h"
#include "cli/containers/events.h"
#include "cli/containers/monitor.h"
#include "cli/self.h"

#include "base/log.h"
#include "base/sys.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define START(member)  OPTION_AT(brig_start_values, member)
#define ATTACH(member) OPTION_AT(brig_attach_values, member)

const struct option brig_start_options[] = {
	{"all", 0, OPTION_FLAG, START(all), .help = "all containers"},
	{"at-boot", 0, OPTION_FLAG, START(at_boot),
		.help = "those that their restart policy wants to run after a reboot"},
	{"attach", 'a', OPTION_FLAG, START(attach), .help = "show its output, until it ends"},
	{"interactive", 'i', OPTION_FLAG, START(interactive),
		.help = "attach, and give it standard input"},
	{"detach-keys", 0, OPTION_TEXT, START(detach_keys), .argument = "KEYS",
		.help = "leave it running by typing these [ctrl-p,ctrl-q]"},
	{"sig-proxy", 0, OPTION_OPT_FLAG, START(sig_proxy), .help = "pass signals on to it [true]"},
	{NULL},
};

const struct option brig_attach_options[] = {
	{"detach-keys", 0, OPTION_TEXT, ATTACH(detach_keys), .argument = "KEYS",
		.help = "leave it running by typing these [ctrl-p,ctrl-q]"},
	{"no-stdin", 0, OPTION_FLAG, ATTACH(no_stdin), .help = "do not give it standard input"},
	{"sig-proxy", 0, OPTION_OPT_FLAG, ATTACH(sig_proxy),
		.help = "pass signals on to it [true]"},
	{NULL},
};

/* Gives up what the monitor would otherwise carry along for good. */
static void slim_down(void)
{
	malloc_trim(0);
}

/* The lock that BOX holds, without the rest of it. */
static int take_lock(struct box *box)
{
	int lock = take_fd(&box->dirfd);

	box_close(box);
	return lock;
}

/* The init's pidfd, for signals. −1 when it has ended already: then there is nobody to signal. */
static int open_init(const struct runtime *rt, const char *id)
{
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1};
	struct err ignored = {};

	if (container_open(rt, id, false, &c, &ignored) < 0)
		return -1;
	return take_fd(&c.pidfd);
}

int brig_start_box(
	struct brig *b, struct box *box, const struct brig_attached *attached, struct err *err)
{
	struct monitor_options options = {.client = -1, .others = {-1, -1}};
	struct client_options client = {
		.tty = box->record.options.tty,
		.input = attached->input && box->record.options.interactive,
		.quiet_stdout = attached->no_stdout,
		.quiet_stderr = attached->no_stderr,
		.detach_keys = attached->detach_keys,
		.pidfd = -1,
	};
	struct monitor_report report;
	autoclose int lock = -1, sock = -1;
	bool detached = false;
	int socks[2], r = brig_start_context(b, &options.ctx, err);

	if (r == 0 && attached->attach)
		r = client_begin(err);
	if (r == 0 && attached->attach) {
		r = sys_socketpair(SOCK_SEQPACKET, socks);
		if (r < 0)
			return err_sys(err, r, "make a socketpair");
		options.client = socks[1];
		options.others[0] = sock = socks[0];
	}
	if (r < 0)
		return r;
	memcpy(options.id, box->id, sizeof(options.id));
	options.others[1] = lock = take_lock(box);
	slim_down();
	r = monitor_start(&options, &report, err);
	cleanup_close(&lock);
	if (r < 0 || !attached->attach)
		return r;
	client.sock = sock;
	client.pidfd = attached->no_sig_proxy ? -1 : open_init(options.ctx->rt, options.id);
	r = client_run(&client, &detached, err);
	cleanup_close(&client.pidfd);
	return r;
}

/* ---- run ---- */

static bool wants(const struct strings *list, const char *stream)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcasecmp(list->items[i], stream) == 0)
			return true;
	return false;
}

static int check_attach(const struct strings *list, struct err *err)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcasecmp(list->items[i], "stdin") != 0 &&
			strcasecmp(list->items[i], "stdout") != 0 &&
			strcasecmp(list->items[i], "stderr") != 0)
			return err_set(err, -EINVAL,
				"--attach: \"%s\" is not stdin, stdout or stderr", list->items[i]);
	return 0;
}

static int check_values(const struct brig_run_values *values, struct err *err)
{
	bool foreground = !values->detach;

	if (values->detach && values->attach.count)
		return err_set(err, -EINVAL, "--detach and --attach are not possible together");
	if (foreground && values->run.tty && values->run.interactive && !isatty(STDIN_FILENO))
		return err_set(err, -EINVAL,
			"the input device is not a terminal: leave --tty out, or --interactive");
	return check_attach(&values->attach, err);
}

int brig_run(const struct invocation *inv, struct err *err)
{
	const struct brig_run_values *values = inv->options;
	const struct strings *list = &values->attach;
	const struct brig_attached attached = {
		.attach = !values->detach,
		.input = values->run.interactive && (!list->count || wants(list, "stdin")),
		.no_stdout = list->count && !wants(list, "stdout"),
		.no_stderr = list->count && !wants(list, "stderr"),
		.detach_keys = values->detach_keys,
		.no_sig_proxy = values->sig_proxy.set && !values->sig_proxy.value,
	};
	autobrig struct brig b = BRIG_NONE;
	autobox struct box box = {.dirfd = -1};
	const struct start_context *ctx;
	char id[RECORD_ID_SIZE];
	struct err start_err = {};
	int r = check_values(values, err);

	if (r == 0)
		r = self_protect(inv->argv, err);
	if (r == 0)
		r = brig_open(inv, &b, err);
	if (r == 0)
		r = brig_make_container(&b, values, inv->args, id, err);
	if (r == 0)
		r = brig_start_context(&b, &ctx, err);
	if (r == 0)
		r = box_open(ctx->boxes, id, true, &box, err);
	if (r < 0)
		return r;
	r = brig_start_box(&b, &box, &attached, &start_err);
	if (r < 0) {
		struct err ignored = {};
		int code = start_exit_code(&start_err);

		/* As everywhere it stays, to be looked at, unless it was to go anyway. */
		if (values->run.remove)
			brig_remove_box(&b, id, true, true, &ignored);
		log_failure("brig", &start_err);
		return code;
	}
	if (values->detach)
		printf("%s\n", id);
	return r;
}

/* ---- start ---- */

static int start_one(
	struct brig *b, const char *name, const struct brig_attached *attached, struct err *err)
{
	autobox struct box box = {.dirfd = -1};
	const struct start_context *ctx;
	int r = brig_start_context(b, &ctx, err);

	if (r == 0)
		r = box_open(ctx->boxes, name, true, &box, err);
	if (r < 0)
		return r;
	switch (box_state(&box)) {
	case BOX_CREATED:
	case BOX_EXITED:
		break;
	case BOX_PAUSED:
		return err_set(err, -EINVAL, "container %s is paused: unpause it", name);
	case BOX_RUNNING:
	case BOX_RESTARTING:
		return 0;
	}
	return brig_start_box(b, &box, attached, err);
}

/*
 * always: whatever it did before; unless-stopped: when it ran as the machine went down. Nobody has
 * written the status of those since, so it is of another boot.
 */
static bool wants_boot(const struct box *box)
{
	const char *policy = box->record.options.restart, *state = box->status.state;

	if (!policy || box_state(box) != BOX_EXITED)
		return false;
	if (strcmp(policy, "always") == 0)
		return true;
	return strcmp(policy, "unless-stopped") == 0 && state &&
	       (strcmp(state, "running") == 0 || strcmp(state, "restarting") == 0);
}

struct chosen {
	const struct brig_start_values *values;
	struct arena *arena;
	struct strings names;
};

static int choose(struct box *box, void *arg)
{
	struct chosen *c = arg;
	enum box_state state = box_state(box);

	if (c->values->at_boot ? !wants_boot(box) : state != BOX_CREATED && state != BOX_EXITED)
		return 0;
	return strings_add(&c->names, arena_strdup(c->arena, box->record.name), c->arena);
}

/* Which containers to start: those that were named, or by --all and --at-boot. */
static int choose_all(struct brig *b, const struct invocation *inv,
	const struct brig_start_values *values, struct strings *ret, struct err *err)
{
	struct chosen c = {.values = values, .arena = b->arena};
	bool by_option = values->all || values->at_boot;
	const struct boxes *boxes;
	int r;

	if (by_option ? inv->arg_count > 0 : !inv->arg_count)
		return err_set(err, -EINVAL, "start: say which containers, or --all");
	if (by_option && (values->attach || values->interactive))
		return err_set(err, -EINVAL, "start: only one container can be attached to");
	c.names = (struct strings){.items = (const char **)inv->args, .count = inv->arg_count};
	if (by_option) {
		c.names = (struct strings){};
		r = brig_boxes(b, &boxes, err);
		if (r == 0)
			r = boxes_each(boxes, choose, &c, err);
		if (r < 0)
			return r;
	}
	*ret = c.names;
	return 0;
}

int brig_start(const struct invocation *inv, struct err *err)
{
	const struct brig_start_values *values = inv->options;
	const struct brig_attached attached = {
		.attach = values->attach || values->interactive,
		.input = values->interactive,
		.detach_keys = values->detach_keys,
		.no_sig_proxy = values->sig_proxy.set && !values->sig_proxy.value,
	};
	autobrig struct brig b = BRIG_NONE;
	struct strings names = {};
	int code = 0, r = 0;

	if (attached.attach && inv->arg_count > 1)
		return err_set(err, -EINVAL, "start: only one container can be attached to");
	r = self_protect(inv->argv, err);
	if (r == 0)
		r = brig_open(inv, &b, err);
	if (r == 0)
		r = choose_all(&b, inv, values, &names, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < names.count; i++) {
		struct err one = {};

		r = start_one(&b, names.items[i], &attached, &one);
		if (r < 0) {
			log_failure("brig", &one);
			code = attached.attach ? start_exit_code(&one) : 1;
		} else if (attached.attach) {
			code = r;
		} else {
			printf("%s\n", names.items[i]);
		}
	}
	return code;
}

/* ---- attach ---- */

int brig_attach(const struct invocation *inv, struct err *err)
{
	const struct brig_attach_values *values = inv->options;
	struct client_options client = {.detach_keys = values->detach_keys, .pidfd = -1};
	autobrig struct brig b = BRIG_NONE;
	autobox struct box box = {.dirfd = -1};
	autoclose int sock = -1, rundir = -1, init = -1;
	bool detached = false;
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_box(&b, inv->args[0], false, &box, err);
	if (r < 0)
		return r;
	if (box_state(&box) != BOX_RUNNING)
		return err_set(err, -EINVAL, "container %s is %s, it cannot be attached to",
			inv->args[0], box_state_name(box_state(&box)));
	client.tty = box.record.options.tty;
	client.input = box.record.options.interactive && !values->no_stdin;
	r = client_begin(err);
	if (r == 0)
		r = rundir = box_run_dir(box.boxes, box.id, err);
	if (r < 0)
		return r;
	r = sock = sys_socket_unix(SOCK_SEQPACKET);
	if (r >= 0)
		r = sys_connect_unix(sock, rundir, "attach.sock");
	if (r < 0)
		return err_sys(err, r, "container %s: reach its monitor", inv->args[0]);
	client.sock = sock;
	init = open_init(box.boxes->rt, box.id);
	if (!values->sig_proxy.set || values->sig_proxy.value)
		client.pidfd = init;
	events_note(b.runfd, "container", "attach", box.id, "name", box.record.name, NULL);
	return client_run(&client, &detached, err);
}
