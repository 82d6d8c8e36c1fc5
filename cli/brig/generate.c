/* SPDX-License-Identifier: Apache-2.0 */
/* generate systemd. */
#include "base/fd.h"
#include "base/sys.h"
#include "cli/brig/images.h"
#include "cli/containers/unit_text.h"
#include "cli/options_json.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum restart { RESTART_NO, RESTART_ON_FAILURE, RESTART_ALWAYS };

struct generate_values {
	bool files, name, new;
	int restart;
	struct opt_u32 time;
	struct strings wants, after, requires;
};

static const struct json_name restarts[] = {
	{"on-failure", RESTART_ON_FAILURE},
	{"no", RESTART_NO},
	{"always", RESTART_ALWAYS},
	{},
};

const struct option generate_systemd_options[] = {
	{"after", 0, OPTION_TEXTS, OPTION_AT(generate_values, after), .argument = "UNIT",
		.help = "start after UNIT"},
	{"files", 'f', OPTION_FLAG, OPTION_AT(generate_values, files),
		.help = "write to a file in the current directory and print its name"},
	{"name", 'n', OPTION_FLAG, OPTION_AT(generate_values, name),
		.help = "call the container by its name, not by its id"},
	{"new", 0, OPTION_FLAG, OPTION_AT(generate_values, new),
		.help = "make the container anew at each start"},
	{"requires", 0, OPTION_TEXTS, OPTION_AT(generate_values, requires), .argument = "UNIT",
		.help = "start UNIT too, and stop with it"},
	{"restart-policy", 0, OPTION_NAME, OPTION_AT(generate_values, restart), .names = restarts,
		.help = "when systemd starts it again: no, on-failure, always [on-failure]"},
	{"stop-timeout", 't', OPTION_OPT_U32, OPTION_AT(generate_values, time),
		.argument = "SECONDS", .help = "time to stop before it is killed"},
	{"wants", 0, OPTION_TEXTS, OPTION_AT(generate_values, wants), .argument = "UNIT",
		.help = "start UNIT too"},
	{NULL},
};
VALUES_FIT(struct generate_values);

static void add_word(struct buf *out, const char *word)
{
	unit_add_word(out, word, true);
}

static void add_option(struct buf *out, const char *name, const json_t *value)
{
	autobuf struct buf word = {};

	buf_printf(&word, "--%s", name);
	if (json_is_string(value))
		buf_printf(&word, "=%s", json_string_value(value));
	else if (json_is_integer(value))
		buf_printf(&word, "=%lld", (long long)json_integer_value(value));
	else if (json_is_false(value))
		buf_puts(&word, "=false");
	add_word(out, buf_str(&word));
}

/* "brig run" with what the container was made with. */
static int add_run(const struct record *record, struct buf *out, struct err *err)
{
	/* These are systemd's own business now. */
	static const char *const left_out[] = {"name", "restart", "rm"};
	autojson json_t *options = NULL;
	const char *key;
	json_t *value, *item;
	size_t i;
	int r = options_to_json(run_options, &record->options, &options, err);

	if (r < 0)
		return r;
	add_word(out, "run");
	add_word(out, "--rm");
	add_word(out, "--replace");
	add_word(out, "--sig-proxy=false");
	buf_puts(out, " --name");
	add_word(out, record->name);
	json_object_foreach (options, key, value) {
		bool skip = false;

		for (size_t k = 0; k < ARRAY_LEN(left_out); k++)
			skip |= strcmp(left_out[k], key) == 0;
		if (skip)
			continue;
		if (json_is_array(value)) {
			json_array_foreach (value, i, item)
				add_option(out, key, item);
		} else {
			add_option(out, key, value);
		}
	}
	add_word(out, record->image);
	for (i = 0; i < record->command.count; i++)
		add_word(out, record->command.items[i]);
	return 0;
}

static void add_units(struct buf *out, const char *key, const struct strings *units)
{
	for (size_t i = 0; i < units->count; i++)
		buf_printf(out, "%s=%s\n", key, units->items[i]);
}

int generate_brig(const struct brig *b, struct buf *out, struct err *err)
{
	char self[PATH_MAX];
	ssize_t n = sys_readlinkat(AT_FDCWD, "/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return err_sys(err, (int)n, "/proc/self/exe");
	self[n] = '\0';
	add_word(out, self);
	if (b->global->root) {
		add_word(out, "--root");
		add_word(out, b->dirs.data);
	}
	if (b->global->runroot) {
		add_word(out, "--runroot");
		add_word(out, b->dirs.run);
	}
	memmove(out->data, out->data + 1, out->len--); /* the first word has no space before it */
	return out->failed ? err_sys(err, -ENOMEM, "unit") : 0;
}

static int add_unit(const struct brig *b, const struct generate_values *v, const struct box *box,
	struct buf *out, struct err *err)
{
	static const char *const words[] = {[RESTART_NO] = "no",
		[RESTART_ON_FAILURE] = "on-failure",
		[RESTART_ALWAYS] = "always"};
	const char *name = v->name || v->new ? box->record.name : box->id;
	uint32_t time = v->time.set ? v->time.value : box->record.stop_timeout;
	autobuf struct buf brig = {};
	const char *self;
	int r = generate_brig(b, &brig, err);

	if (r < 0)
		return r;
	self = buf_str(&brig);
	buf_printf(out,
		"[Unit]\nDescription=Container %s\nDocumentation=man:brig-generate(1)\n"
		"Wants=network-online.target\nAfter=network-online.target\n",
		box->record.name);
	add_units(out, "Wants", &v->wants);
	add_units(out, "Requires", &v->requires);
	add_units(out, "After", &v->after);
	buf_printf(out, "\n[Service]\nType=exec\nRestart=%s\nTimeoutStopSec=%u\nExecStart=",
		words[v->restart], time + 60);
	if (v->new) {
		buf_puts(out, self);
		r = add_run(&box->record, out, err);
	} else {
		buf_printf(out, "%s start --attach --sig-proxy=false %s", self, name);
	}
	buf_printf(out, "\nExecStop=%s stop --ignore --time %u %s\n", self, time, name);
	if (v->new)
		buf_printf(out, "ExecStopPost=%s rm --force --ignore %s\n", self, name);
	buf_puts(out, "\n[Install]\nWantedBy=");
	buf_puts(out, b->rootless ? "default.target\n" : "multi-user.target\n");
	return r;
}

int generate_systemd_run(const struct invocation *inv, struct err *err)
{
	const struct generate_values *v = inv->options;
	autobrig struct brig b = BRIG_NONE;
	autobox struct box box = {.dirfd = -1};
	autobuf struct buf out = {};
	char file[RECORD_NAME_MAX + 32];
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_box(&b, inv->args[0], false, &box, err);
	if (r == 0)
		r = add_unit(&b, v, &box, &out, err);
	if (r < 0)
		return r;
	if (!v->files)
		return print_buf(&out, err);
	snprintf(file, sizeof(file), "container-%s.service", v->name ? box.record.name : box.id);
	r = fd_replace_path(file, buf_str(&out), out.len, 0644);
	if (r < 0)
		return err_sys(err, r, "%s", file);
	printf("%s\n", file);
	return 0;
}

int generate_boot_run(const struct invocation *inv, struct err *err)
{
	autobrig struct brig b = BRIG_NONE;
	autobuf struct buf out = {}, brig = {};
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = generate_brig(&b, &brig, err);
	if (r < 0)
		return r;
	buf_printf(&out,
		"[Unit]\nDescription=Containers that brig starts at boot\n"
		"Documentation=man:brig-generate(1)\nWants=network-online.target\n"
		"After=network-online.target\n\n[Service]\nType=oneshot\nRemainAfterExit=yes\n"
		"KillMode=process\nExecStart=%s start --at-boot\n\n[Install]\nWantedBy=%s\n",
		buf_str(&brig), b.rootless ? "default.target" : "multi-user.target");
	return print_buf(&out, err);
}
