/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/settle.h"

#include "base/parse.h"
#include "cli/containers/isolation.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const char default_path[] =
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

int settle_duration(const char *text, uint64_t *ret)
{
	static const struct {
		const char *name;
		double scale;
	} units[] = {
		{"ns", 1},
		{"us", 1e3},
		{"ms", 1e6},
		{"s", 1e9},
		{"m", 60e9},
		{"h", 3600e9},
		{"d", 86400e9},
	};
	double sum = 0;

	if (!*text)
		return -EINVAL;
	while (*text) {
		size_t digits = strspn(text, "0123456789."), unit, i;
		char number[32];
		double value = 0, place = 1;
		bool fraction = false;

		if (!digits || digits >= sizeof(number))
			return -EINVAL;
		for (size_t d = 0; d < digits; d++) {
			if (text[d] == '.' && fraction)
				return -EINVAL;
			fraction |= text[d] == '.';
			if (text[d] == '.')
				continue;
			value = value * 10 + (text[d] - '0');
			place = fraction ? place * 10 : 1;
		}
		text += digits;
		unit = strcspn(text, "0123456789.");
		for (i = 0; i < ARRAY_LEN(units); i++)
			if (strlen(units[i].name) == unit && memcmp(units[i].name, text, unit) == 0)
				break;
		if (i == ARRAY_LEN(units) && (unit || sum > 0))
			return -EINVAL;
		sum += value / place * (i == ARRAY_LEN(units) ? 1e9 : units[i].scale);
		text += unit;
	}
	if (sum > 1e18)
		return -ERANGE;
	*ret = (uint64_t)sum;
	return 0;
}

/* ---- the process ---- */

static int append(struct strings *to, const struct strings *from, struct arena *arena)
{
	for (size_t i = 0; i < from->count; i++)
		if (strings_add(to, from->items[i], arena) < 0)
			return -ENOMEM;
	return 0;
}

/* Where distributions have the init of a whole system. */
static bool is_system(const char *command)
{
	static const char *const inits[] = {"/sbin/init", "/usr/sbin/init", "/usr/local/sbin/init",
		"/lib/systemd/systemd", "/usr/lib/systemd/systemd", "/bin/systemd", "systemd"};

	for (size_t k = 0; k < ARRAY_LEN(inits); k++)
		if (strcmp(command, inits[k]) == 0)
			return true;
	return false;
}

static int settle_args(const struct settle_input *in, struct record *ret, struct err *err)
{
	const struct spec_image_settings *image = &in->image->config;
	const char *entrypoint = in->options->entrypoint;
	struct strings args = {};
	int r = 0;

	/* The image's command is meant for the image's entrypoint only. */
	if (entrypoint && *entrypoint)
		r = strings_add(&args, entrypoint, &ret->arena);
	else if (!entrypoint)
		r = append(&args, &image->entrypoint, &ret->arena);
	if (r == 0 && in->command->count)
		r = append(&args, in->command, &ret->arena);
	else if (r == 0 && !entrypoint)
		r = append(&args, &image->cmd, &ret->arena);
	if (r == 0 && in->options->systemd == RUN_SYSTEMD_ALWAYS && !args.count)
		r = strings_add(&args, "/sbin/init", &ret->arena);
	if (r < 0)
		return err_sys(err, r, "command");
	if (!args.count)
		return err_set(
			err, -EINVAL, "the image says no command: give one after the image's name");
	ret->args = args;
	ret->systemd = in->options->systemd == RUN_SYSTEMD_ALWAYS ||
		       (in->options->systemd == RUN_SYSTEMD_AUTO && is_system(args.items[0]));
	return 0;
}

static size_t name_length(const char *item)
{
	return strcspn(item, "=");
}

static bool same_name(const char *a, const char *b)
{
	size_t n = name_length(a);

	return n == name_length(b) && memcmp(a, b, n) == 0;
}

int settle_env(struct strings *env, const char *item, struct arena *arena)
{
	for (size_t i = 0; i < env->count; i++) {
		if (!same_name(env->items[i], item))
			continue;
		if (strchr(item, '=')) {
			env->items[i] = item;
			return 0;
		}
		memmove(&env->items[i], &env->items[i + 1],
			(env->count - i - 1) * sizeof(*env->items));
		env->count--;
		return 0;
	}
	return strchr(item, '=') ? strings_add(env, item, arena) : 0;
}

/* "NAME" means the caller's; when that has none, nobody's. */
static const char *from_environment(char *const *environment, const char *name)
{
	for (; environment && *environment; environment++)
		if (same_name(*environment, name))
			return *environment;
	return name;
}

static int settle_environment(const struct settle_input *in, struct record *ret, struct err *err)
{
	const struct strings *lists[] = {&in->image->config.env, &in->file_env, &in->options->env};
	struct arena *arena = &ret->arena;
	int r = strings_add(&ret->env, default_path, arena);

	if (r == 0 && in->options->tty)
		r = strings_add(&ret->env, "TERM=xterm", arena);
	for (size_t l = 0; l < ARRAY_LEN(lists); l++)
		for (size_t i = 0; i < lists[l]->count && r == 0; i++) {
			const char *item = lists[l]->items[i];

			if (!name_length(item))
				return err_set(err, -EINVAL, "--env: \"%.100s\" has no name", item);
			if (l > 0 && !strchr(item, '='))
				item = from_environment(in->environment, item);
			r = settle_env(&ret->env, item, arena);
		}
	return r < 0 ? err_sys(err, r, "environment") : 0;
}

static int settle_process(const struct settle_input *in, struct record *ret, struct err *err)
{
	const struct spec_image_settings *image = &in->image->config;
	const char *cwd = in->options->workdir ? in->options->workdir : image->working_dir;
	int r;

	if (in->options->workdir && *in->options->workdir != '/')
		return err_set(err, -EINVAL,
			"--workdir: \"%s\" is not a path in the container: it has to begin with /",
			in->options->workdir);
	ret->cwd = cwd && *cwd ? cwd : "/";
	if (*ret->cwd != '/')
		ret->cwd = arena_printf(&ret->arena, "/%s", cwd);
	ret->user = in->options->user ? in->options->user : image->user;
	r = settle_args(in, ret, err);
	if (r == 0)
		r = settle_environment(in, ret, err);
	ret->stop_timeout = in->options->stop_timeout.set ? in->options->stop_timeout.value : 10;
	ret->stop_signal = in->options->stop_signal;
	if (r == 0 && !ret->stop_signal && image->stop_signal && *image->stop_signal &&
		parse_signal(image->stop_signal, &ret->stop_signal) < 0)
		return err_set(err, -EINVAL, "the image's stop signal \"%.40s\" is none",
			image->stop_signal);
	if (!ret->stop_signal) /* systemd's is RTMIN+3: "halt" */
		ret->stop_signal = ret->systemd ? SIGRTMIN + 3 : SIGTERM;
	return r;
}

/* ---- labels, ports ---- */

static int add_label(struct record *ret, const char *item)
{
	size_t n = name_length(item);
	struct pair *pairs;
	char *key;

	for (size_t i = 0; i < ret->labels.count; i++)
		if (strlen(ret->labels.items[i].key) == n &&
			memcmp(ret->labels.items[i].key, item, n) == 0) {
			ret->labels.items[i].value = item[n] ? item + n + 1 : "";
			return 0;
		}
	pairs = arena_array(&ret->arena, ret->labels.count + 1, struct pair);
	key = arena_strdup(&ret->arena, item);
	if (!pairs || !key)
		return -ENOMEM;
	key[n] = '\0';
	if (ret->labels.count)
		memcpy(pairs, ret->labels.items, ret->labels.count * sizeof(*pairs));
	pairs[ret->labels.count++] = (struct pair){key, item[n] ? item + n + 1 : ""};
	ret->labels.items = pairs;
	return 0;
}

static int settle_labels(const struct settle_input *in, struct record *ret, struct err *err)
{
	const struct pairs *image = &in->image->config.labels;
	const struct strings *lists[] = {&in->file_labels, &in->options->labels};
	int r = 0;

	for (size_t i = 0; i < image->count && r == 0; i++) {
		const char *item = arena_printf(
			&ret->arena, "%s=%s", image->items[i].key, image->items[i].value);

		r = item ? add_label(ret, item) : -ENOMEM;
	}
	for (size_t l = 0; l < ARRAY_LEN(lists); l++)
		for (size_t i = 0; i < lists[l]->count && r == 0; i++) {
			if (!name_length(lists[l]->items[i]))
				return err_set(err, -EINVAL, "--label: \"%.100s\" has no key",
					lists[l]->items[i]);
			r = add_label(ret, lists[l]->items[i]);
		}
	return r < 0 ? err_sys(err, r, "labels") : 0;
}

/* "80", "80/udp", "8000-8010/tcp" → each with its protocol. */
static int add_exposed(struct record *ret, const char *text, struct err *err)
{
	const char *slash = strchr(text, '/'), *proto = slash ? slash + 1 : "tcp";
	char first[16] = "", last[16] = "";
	uint32_t from, to;
	int n;

	n = sscanf(text, "%15[0-9]-%15[0-9]", first, last);
	if (n < 1 || parse_u32(first, &from) < 0 || parse_u32(n > 1 ? last : first, &to) < 0 ||
		!from || from > to || to > 65535 ||
		(strcmp(proto, "tcp") != 0 && strcmp(proto, "udp") != 0 &&
			strcmp(proto, "sctp") != 0) ||
		strlen(first) + (n > 1 ? 1 + strlen(last) : 0) !=
			(slash ? (size_t)(slash - text) : strlen(text)))
		return err_set(err, -EINVAL, "--expose: \"%.100s\" is not a port", text);
	for (; from <= to; from++) {
		const char *port = arena_printf(&ret->arena, "%u/%s", from, proto);

		if (!port || (!strings_have(&ret->exposed, port) &&
				     strings_add(&ret->exposed, port, &ret->arena) < 0))
			return err_sys(err, -ENOMEM, "ports");
	}
	return 0;
}

static int settle_exposed(const struct settle_input *in, struct record *ret, struct err *err)
{
	const struct strings *lists[] = {&in->image->config.exposed_ports, &in->options->expose};
	int r = 0;

	for (size_t l = 0; l < ARRAY_LEN(lists); l++)
		for (size_t i = 0; i < lists[l]->count && r == 0; i++)
			r = add_exposed(ret, lists[l]->items[i], err);
	return r;
}

/* ---- health ---- */

static int take_duration(const char *option, const char *text, uint64_t *ret, struct err *err)
{
	if (text && settle_duration(text, ret) < 0)
		return err_set(
			err, -EINVAL, "--%s: \"%s\" is not a time: 30s, 1m30s", option, text);
	return 0;
}

static uint64_t or_default(const struct opt_i64 *value, uint64_t fallback)
{
	return value->set && value->value > 0 ? (uint64_t)value->value : fallback;
}

static int settle_health(const struct settle_input *in, struct record *ret, struct err *err)
{
	static const struct spec_health_check none = {};
	const struct run_options *o = in->options;
	const struct spec_health_check *image = in->image->config.health_check;
	struct record_health *health = arena_new(&ret->arena, struct record_health);
	int r = 0;

	if (!image || o->no_healthcheck)
		image = &none;
	if (!health)
		return err_sys(err, -ENOMEM, "health check");
	health->test = image->test;
	if (o->health_cmd) {
		health->test = (struct strings){};
		r = strings_add(&health->test, "CMD-SHELL", &ret->arena);
		if (r == 0)
			r = strings_add(&health->test, o->health_cmd, &ret->arena);
		if (r < 0)
			return err_sys(err, r, "health check");
		if (o->no_healthcheck)
			return err_set(err, -EINVAL,
				"--no-healthcheck and --health-cmd are not possible together");
	}
	if (health->test.count < 2 || strcmp(health->test.items[0], "NONE") == 0 ||
		(o->health_cmd && strcmp(o->health_cmd, "none") == 0))
		return 0;
	health->interval = or_default(&image->interval, 30000000000);
	health->timeout = or_default(&image->timeout, 30000000000);
	health->start_period = or_default(&image->start_period, 0);
	health->retries = image->retries ? image->retries : 3;
	if (o->health_retries.set)
		health->retries = o->health_retries.value;
	r = take_duration("health-interval", o->health_interval, &health->interval, err);
	if (r == 0)
		r = take_duration("health-timeout", o->health_timeout, &health->timeout, err);
	if (r == 0)
		r = take_duration(
			"health-start-period", o->health_start_period, &health->start_period, err);
	if (r == 0)
		ret->health = health;
	return r;
}

/* Whoever starts it may be elsewhere. */
static const char *absolute(const struct settle_input *in, struct record *ret, const char *file)
{
	return *file == '/' ? file : arena_printf(&ret->arena, "%s/%s", in->cwd, file);
}

/* --security-opt seccomp=FILE */
static int settle_security(const struct settle_input *in, struct record *ret, struct err *err)
{
	const struct strings *given = &in->options->security;
	int r = 0;

	ret->options.security = (struct strings){};
	for (size_t i = 0; i < given->count && r == 0; i++) {
		const char *item = given->items[i], *file;

		if ((parse_has_prefix(item, "seccomp=", &file) ||
			    parse_has_prefix(item, "seccomp:", &file)) &&
			strcmp(file, "unconfined") != 0 && strcmp(file, "builtin") != 0) {
			file = absolute(in, ret, file);
			item = file ? arena_printf(&ret->arena, "seccomp=%s", file) : NULL;
		}
		r = item ? strings_add(&ret->options.security, item, &ret->arena) : -ENOMEM;
	}
	return r < 0 ? err_sys(err, r, "--security-opt") : 0;
}

static int settle_recording(const struct settle_input *in, struct record *ret, struct err *err)
{
	const char *file = in->options->record_seccomp;

	if (!file)
		return 0;
	if (!*file)
		return err_set(err, -EINVAL, "--record-seccomp: needs the name of a file");
	if (in->options->restart && strcmp(in->options->restart, "no") != 0)
		return err_set(
			err, -EINVAL, "--record-seccomp and --restart are not possible together");
	ret->options.record_seccomp = absolute(in, ret, file);
	return ret->options.record_seccomp ? 0 : err_sys(err, -ENOMEM, "--record-seccomp");
}

int settle(const struct settle_input *in, struct record *ret, struct err *err)
{
	int r;

	ret->options = *in->options;
	ret->command = *in->command;
	r = isolation_settle(ret, err);
	if (r == 0)
		r = settle_recording(in, ret, err);
	if (r == 0)
		r = settle_security(in, ret, err);
	if (r == 0)
		r = settle_process(in, ret, err);
	if (r == 0)
		r = settle_labels(in, ret, err);
	if (r == 0)
		r = settle_exposed(in, ret, err);
	if (r == 0)
		r = settle_mounts(in->options, in->image, in->cwd, ret, err);
	return r < 0 ? r : settle_health(in, ret, err);
}
