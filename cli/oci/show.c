/* SPDX-License-Identifier: Apache-2.0 */
/* state, list, ps. */
#include "base/fd.h"
#include "base/parse.h"
#include "base/process.h"
#include "base/sys.h"
#include "cli/oci/oci.h"
#include "cli/processes.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct json_name formats[] = {
	{"table", OCI_TABLE},
	{"json", OCI_JSON},
	{NULL, 0},
};

const struct oci_list_values oci_ps_defaults = {.format = OCI_TABLE};

const struct option oci_list_options[] = {
	{"format", 'f', OPTION_NAME, OPTION_AT(oci_list_values, format), .names = formats,
		.help = "print a table or json"},
	{"quiet", 'q', OPTION_FLAG, OPTION_AT(oci_list_values, quiet), .help = "print only ids"},
	{NULL},
};

const struct option oci_ps_options[] = {
	{"format", 'f', OPTION_NAME, OPTION_AT(oci_list_values, format), .names = formats,
		.help = "print a table, or json: the pids alone"},
	{NULL},
};

int oci_print_json(const json_t *value, struct err *err)
{
	autobuf struct buf text = {};
	int r;

	if (!value || json_write(value, JSON_INDENT(2), &text) < 0)
		return err_sys(err, -ENOMEM, "print JSON");
	buf_puts(&text, "\n");
	r = fd_write_all(STDOUT_FILENO, text.data, text.len);
	return r < 0 ? err_sys(err, r, "write to standard output") : 0;
}

static json_t *state_of(const struct container *c, struct err *err)
{
	autospec struct spec_config *config = NULL;
	enum container_status status = container_status(c);
	char reason[CONTAINER_REASON_MAX];
	json_t *state;

	if (container_config(c, &config, err) < 0)
		return NULL;
	state = container_state_json(c, config, status, status == CONTAINER_STOPPED ? 0 : c->pid);
	if (state && status == CONTAINER_STOPPED && container_reason(c, reason, sizeof(reason)) > 0)
		json_object_set_new(state, "reason", json_string(reason));
	/* The specification leaves pid out when there is none; engines want to see 0. */
	if (state && !json_object_get(state, "pid"))
		json_object_set_new(state, "pid", json_integer(0));
	if (!state)
		err_sys(err, -ENOMEM, "container \"%s\"", c->id);
	return state;
}

int oci_state(const struct invocation *inv, struct err *err)
{
	autoruntime struct runtime rt = {.rootfd = -1, .procfd = -1};
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1};
	autojson json_t *state = NULL;
	int r = oci_open_runtime(inv, &rt, err);

	if (r == 0)
		r = container_open(&rt, inv->args[0], false, &c, err);
	if (r == 0 && !c.json)
		return err_set(err, -ENOENT, "container \"%s\" is still being created", c.id);
	if (r < 0)
		return r;
	state = state_of(&c, err);
	return state ? oci_print_json(state, err) : err->code;
}

/* ---- list ---- */

struct listing {
	const struct runtime *rt;
	const struct oci_list_values *values;
	json_t *states;
};

static int list_one(const char *id, void *arg)
{
	struct listing *listing = arg;
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1};
	struct err err = {};
	json_t *state;

	/* One that is being made or goes away meanwhile is simply not in the list. */
	if (container_open(listing->rt, id, false, &c, &err) < 0 || !c.json)
		return 0;
	state = listing->values->quiet ? json_pack("{s:s}", "id", id) : state_of(&c, &err);
	if (state)
		json_array_append_new(listing->states, state);
	return 0;
}

static const char *text_of(const json_t *state, const char *key)
{
	const char *text = json_string_value(json_object_get(state, key));

	return text ? text : "";
}

static void print_table(const json_t *states)
{
	static const char *const keys[] = {"id", "status", "bundle"};
	int width[3] = {10, 8, 10};
	size_t i;
	json_t *s;

	json_array_foreach (states, i, s)
		for (int k = 0; k < 3; k++) {
			int n = (int)strlen(text_of(s, keys[k]));

			width[k] = n > width[k] ? n : width[k];
		}
	printf("%-*s  %-8s  %-*s  %-*s  %-30s  %s\n", width[0], "ID", "PID", width[1], "STATUS",
		width[2], "BUNDLE", "CREATED", "OWNER");
	json_array_foreach (states, i, s)
		printf("%-*s  %-8lld  %-*s  %-*s  %-30s  %s\n", width[0], text_of(s, "id"),
			(long long)json_integer_value(json_object_get(s, "pid")), width[1],
			text_of(s, "status"), width[2], text_of(s, "bundle"), text_of(s, "created"),
			text_of(s, "owner"));
}

int oci_list(const struct invocation *inv, struct err *err)
{
	autoruntime struct runtime rt = {.rootfd = -1, .procfd = -1};
	autojson json_t *states = json_array();
	struct listing listing = {.rt = &rt, .values = inv->options, .states = states};
	size_t i;
	json_t *s;
	int r = states ? oci_open_runtime(inv, &rt, err) : err_sys(err, -ENOMEM, "list");

	if (r == 0)
		r = container_each(&rt, list_one, &listing, err);
	if (r < 0)
		return r;
	if (listing.values->quiet)
		json_array_foreach (states, i, s)
			printf("%s\n", text_of(s, "id"));
	else if (listing.values->format == OCI_JSON)
		return oci_print_json(states, err);
	else
		print_table(states);
	return 0;
}

/* ---- ps ---- */

int oci_ps(const struct invocation *inv, struct err *err)
{
	const struct oci_list_values *values = inv->options;
	autoruntime struct runtime rt = {.rootfd = -1, .procfd = -1};
	autojson json_t *list = NULL;
	struct cgroup_pids pids = {};
	int r = oci_open_runtime(inv, &rt, err);

	if (r == 0 && values->format != OCI_JSON)
		return processes_print(
			&rt, inv->args[0], (const char *const *)(inv->args + 1), err);
	if (r == 0)
		r = container_pids(&rt, inv->args[0], &pids, err);
	if (r < 0)
		return r;
	list = json_array();
	for (size_t i = 0; list && i < pids.count; i++)
		json_array_append_new(list, json_integer(pids.items[i]));
	free(pids.items);
	return oci_print_json(list, err);
}
