/* SPDX-License-Identifier: Apache-2.0 */
/* exec. */
#include "cli/containers/exec.h"
#include "cli/brig/brig.h"
#include "cli/containers/events.h"
#include "cli/foreground.h"
#include "cli/self.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/sys.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { LINES_MAX = 4 << 20 };

#define EXEC(member) OPTION_AT(brig_exec_values, member)

const struct option brig_exec_options[] = {
	{"detach", 'd', OPTION_FLAG, EXEC(detach), .help = "return as soon as it runs"},
	{"detach-keys", 0, OPTION_TEXT, EXEC(detach_keys), .argument = "KEYS",
		.help = "leave it running by typing these [ctrl-p,ctrl-q]"},
	{"env", 'e', OPTION_TEXTS, EXEC(env), .argument = "NAME[=VALUE]",
		.help = "set a variable; without a value, as it is here"},
	{"env-file", 0, OPTION_TEXTS, EXEC(env_file), .argument = "FILE",
		.help = "set the variables of the lines of FILE"},
	{"interactive", 'i', OPTION_FLAG, EXEC(interactive), .help = "give it standard input"},
	{"privileged", 0, OPTION_FLAG, EXEC(privileged), .help = "give it all capabilities"},
	{"tty", 't', OPTION_FLAG, EXEC(tty), .help = "give it a terminal"},
	{"user", 'u', OPTION_TEXT, EXEC(user), .argument = "USER[:GROUP]",
		.help = "run as this user of the container, by name or number"},
	{"workdir", 'w', OPTION_TEXT, EXEC(workdir), .argument = "DIR", .help = "start in DIR"},
	{NULL},
};

static int add_lines(
	const struct strings *files, struct arena *arena, struct strings *ret, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < files->count && r == 0; i++) {
		autobuf struct buf text = {};
		autoclose int fd = sys_openat(AT_FDCWD, files->items[i], O_RDONLY | O_NOCTTY, 0);

		r = fd < 0 ? fd : fd_read_all(fd, LINES_MAX, &text);
		if (r < 0)
			return err_sys(err, r, "--env-file: read %s", files->items[i]);
		r = run_options_read_lines(files->items[i], buf_str(&text), arena, ret, err);
	}
	return r;
}

/* Variables without a value have ours, and without one here they are left alone. */
static int environment(const struct brig_exec_values *values, struct arena *arena,
	struct strings *ret, struct err *err)
{
	struct strings all = {};
	int r = add_lines(&values->env_file, arena, &all, err);

	for (size_t i = 0; i < values->env.count && r == 0; i++)
		r = strings_add(&all, values->env.items[i], arena);
	for (size_t i = 0; i < all.count && r == 0; i++) {
		const char *item = all.items[i], *value;

		if (!strchr(item, '=')) {
			value = getenv(item);
			if (!value)
				continue;
			item = arena_printf(arena, "%s=%s", item, value);
		}
		r = strings_add(ret, item, arena);
	}
	return r < 0 && !err->code ? err_sys(err, r, "environment") : r;
}

static int open_running(struct brig *b, const char *name, struct box *ret, struct err *err)
{
	const struct boxes *boxes;
	enum box_state state;
	int r = brig_boxes(b, &boxes, err);

	if (r == 0)
		r = box_open(boxes, name, false, ret, err);
	if (r < 0)
		return r;
	state = box_state(ret);
	if (state != BOX_RUNNING)
		return err_set(err, -EINVAL, "container %s is %s, not running%s", name,
			box_state_name(state), state == BOX_PAUSED ? ": unpause it" : "");
	return 0;
}

/* Without --interactive it reads nothing, whatever we have as standard input. */
static int close_input(struct err *err)
{
	autoclose int null = sys_openat(AT_FDCWD, "/dev/null", O_RDONLY, 0);
	int r = null < 0 ? null : sys_dup3(null, STDIN_FILENO);

	if (r >= 0)
		r = sys_set_cloexec(STDIN_FILENO, false);
	return r < 0 ? err_sys(err, r, "/dev/null") : 0;
}

/*
 * Process: a fork that stays when the person has left. A terminal whose other side is closed hangs
 * up, so somebody has to hold it, and has to read what nobody is going to see.
 */
static _Noreturn void keep_terminal(int master)
{
	char data[4096];
	ssize_t n;

	setsid();
	sys_prctl(PR_SET_NAME, (unsigned long)"brig-exec", 0, 0, 0);
	for (int i = 0; i < 3; i++)
		close(i);
	do {
		struct pollfd fd = {.fd = master, .events = POLLIN};

		sys_poll(&fd, 1, -1);
		n = sys_read(master, data, sizeof(data));
	} while (n > 0 || n == -EAGAIN || n == -EINTR);
	_exit(0);
}

static int go(const struct brig_exec_values *values, struct box *box,
	const struct spec_process *process, struct err *err)
{
	const struct exec_options options = {.id = box->id, .process = process};
	struct detach_keys keys = {};
	struct foreground fg = {.pidfd = -1, .master = -1};
	int r = detach_parse(values->detach_keys, &keys, err);

	if (r < 0)
		return r;
	if (values->interactive)
		fg.keys = &keys;

	if (!values->interactive || values->detach)
		r = close_input(err);
	if (r == 0)
		r = foreground_begin(err);
	if (r == 0)
		r = container_exec(box->boxes->rt, &options, &fg.pid, &fg.pidfd, &fg.master, err);
	if (r == 0 && !values->detach)
		r = foreground_wait(&fg, err);
	if (fg.detached && sys_fork() == 0)
		keep_terminal(fg.master);
	cleanup_close(&fg.pidfd);
	cleanup_close(&fg.master);
	return r;
}

int brig_exec(const struct invocation *inv, struct err *err)
{
	const struct brig_exec_values *values = inv->options;
	autobrig struct brig b = BRIG_NONE;
	autobox struct box box = {.dirfd = -1};
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1};
	autospec struct spec_config *config = NULL;
	struct exec_request request = {
		.cwd = values->workdir,
		.user = values->user,
		.tty = values->tty && !values->detach,
		.privileged = values->privileged,
		.args = {.items = (const char **)(inv->args + 1), .count = inv->arg_count - 1},
	};
	struct spec_process process;
	int r = self_protect(inv->argv, err);

	if (values->tty && values->interactive && !values->detach && !isatty(STDIN_FILENO))
		return err_set(err, -EINVAL,
			"the input device is not a terminal: leave --tty out, or --interactive");
	if (r == 0)
		r = brig_open(inv, &b, err);
	if (r == 0)
		r = open_running(&b, inv->args[0], &box, err);
	if (r == 0 && values->privileged &&
		(box.record.options.allow_connect.count || box.record.options.deny_connect.count))
		r = err_set(err, -EPERM,
			"--privileged goes round the container's --allow-connect and "
			"--deny-connect");
	if (r == 0)
		r = environment(values, b.arena, &request.env, err);
	if (r == 0)
		r = container_open(box.boxes->rt, box.id, false, &c, err);
	if (r == 0)
		r = container_config(&c, &config, err);
	if (r == 0)
		r = exec_build(&c, config, &request, b.arena, &process, err);
	if (r < 0)
		return r;
	events_note(b.runfd, "container", "exec_start", box.id, "name", box.record.name, NULL);
	r = go(values, &box, &process, err);
	if (r < 0) {
		log_failure("brig", err);
		return start_exit_code(err);
	}
	return r;
}
