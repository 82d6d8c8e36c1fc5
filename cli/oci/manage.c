/* SPDX-License-Identifier: Apache-2.0 */
/* kill, delete, pause, resume. */
#include "base/parse.h"
#include "cli/oci/oci.h"

#include <regex.h>
#include <signal.h>
#include <string.h>

const struct option oci_kill_options[] = {
	{"all", 'a', OPTION_FLAG, OPTION_AT(oci_kill_values, all),
		.help = "signal every process of the container"},
	{"regex", 'r', OPTION_FLAG, OPTION_AT(oci_kill_values, regex),
		.help = "ID is an extended regular expression; signal every container that "
			"matches"},
	{NULL},
};

const struct option oci_delete_options[] = {
	{"force", 'f', OPTION_FLAG, OPTION_AT(oci_delete_values, force),
		.help = "kill it first if it runs, and do not mind if it is gone"},
	{"regex", 'r', OPTION_FLAG, OPTION_AT(oci_delete_values, regex),
		.help = "ID is an extended regular expression; delete every container that "
			"matches"},
	{NULL},
};

/* One verb on the container that is named, or on all whose id matches the pattern. */
struct each {
	const struct runtime *rt;
	regex_t pattern;
	int (*verb)(const struct runtime *rt, const char *id, const void *arg, struct err *err);
	const void *arg;
	struct err *err;
};

static int each_one(const char *id, void *arg)
{
	struct each *each = arg;

	if (regexec(&each->pattern, id, 0, NULL, 0) != 0)
		return 0;
	return each->verb(each->rt, id, each->arg, each->err);
}

static int apply(const struct invocation *inv, bool regex,
	int (*verb)(const struct runtime *, const char *, const void *, struct err *),
	const void *arg, struct err *err)
{
	autoruntime struct runtime rt = {.rootfd = -1, .procfd = -1};
	struct each each = {.rt = &rt, .verb = verb, .arg = arg, .err = err};
	int r = oci_open_runtime(inv, &rt, err);

	if (r < 0)
		return r;
	if (!regex)
		return verb(&rt, inv->args[0], arg, err);
	r = regcomp(&each.pattern, inv->args[0], REG_EXTENDED | REG_NOSUB);
	if (r != 0) {
		char text[128];

		regerror(r, &each.pattern, text, sizeof(text));
		return err_set(err, -EINVAL, "--regex: \"%s\": %s", inv->args[0], text);
	}
	r = container_each(&rt, each_one, &each, err);
	regfree(&each.pattern);
	return r;
}

struct kill_request {
	int sig;
	bool all;
};

static int do_kill(const struct runtime *rt, const char *id, const void *arg, struct err *err)
{
	const struct kill_request *request = arg;

	return container_kill(rt, id, request->sig, request->all, err);
}

int oci_kill(const struct invocation *inv, struct err *err)
{
	const struct oci_kill_values *values = inv->options;
	struct kill_request request = {.sig = SIGTERM, .all = values->all};

	/* "0" is no signal and asks whether there is somebody to get one, as for kill(2). */
	if (inv->arg_count == 2 && strcmp(inv->args[1], "0") == 0)
		request.sig = 0;
	else if (inv->arg_count == 2 && parse_signal(inv->args[1], &request.sig) < 0)
		return err_set(
			err, -EINVAL, "kill: \"%s\" is not a signal; see kill -l", inv->args[1]);
	return apply(inv, values->regex, do_kill, &request, err);
}

static int do_delete(const struct runtime *rt, const char *id, const void *arg, struct err *err)
{
	const struct oci_delete_values *values = arg;

	return container_delete(rt, id, values->force, err);
}

int oci_delete(const struct invocation *inv, struct err *err)
{
	const struct oci_delete_values *values = inv->options;

	return apply(inv, values->regex, do_delete, values, err);
}

static int do_pause(const struct runtime *rt, const char *id, const void *arg, struct err *err)
{
	(void)arg;
	return container_pause(rt, id, err);
}

int oci_pause(const struct invocation *inv, struct err *err)
{
	return apply(inv, false, do_pause, NULL, err);
}

static int do_resume(const struct runtime *rt, const char *id, const void *arg, struct err *err)
{
	(void)arg;
	return container_resume(rt, id, err);
}

int oci_resume(const struct invocation *inv, struct err *err)
{
	return apply(inv, false, do_resume, NULL, err);
}
