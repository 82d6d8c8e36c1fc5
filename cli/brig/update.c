/* SPDX-License-Identifier: Apache-2.0 */
/* update. */
#include "cli/brig/brig.h"
#include "cli/containers/assemble.h"
#include "cli/containers/events.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

#define RUN(member) OPTION_AT(run_options, member)

const struct option brig_update_options[] = {
	{"blkio-weight", 0, OPTION_OPT_U32, RUN(blkio_weight),
		.help = "share of the disks' time, 10 to 1000"},
	{"cpu-period", 0, OPTION_OPT_U64, RUN(cpu_period), .argument = "USEC",
		.help = "length of a period of --cpu-quota"},
	{"cpu-quota", 0, OPTION_OPT_I64, RUN(cpu_quota), .argument = "USEC",
		.help = "processor time in each period"},
	{"cpu-shares", 'c', OPTION_OPT_U64, RUN(cpu_shares),
		.help = "share of the processors when they are busy"},
	{"cpus", 0, OPTION_TEXT, RUN(cpus), .argument = "N",
		.help = "how many processors it may keep busy: 1.5"},
	{"cpuset-cpus", 0, OPTION_TEXT, RUN(cpuset_cpus), .argument = "LIST",
		.help = "processors it may use: 0-3,7"},
	{"cpuset-mems", 0, OPTION_TEXT, RUN(cpuset_mems), .argument = "LIST",
		.help = "memory nodes it may use"},
	{"memory", 'm', OPTION_LIMIT, RUN(memory), .help = "most memory"},
	{"memory-reservation", 0, OPTION_LIMIT, RUN(memory_reservation),
		.help = "memory that is left to it when there is little"},
	{"memory-swap", 0, OPTION_LIMIT, RUN(memory_swap),
		.help = "most memory and swap together; -1: any"},
	{"pids-limit", 0, OPTION_OPT_I64, RUN(pids_limit), .argument = "N",
		.help = "most processes; -1: any"},
	{"restart", 0, OPTION_TEXT, RUN(restart), .argument = "POLICY",
		.help = "no, on-failure[:N], always or unless-stopped"},
	{NULL},
};

/* What was given takes the place of what was: the table says what there is. */
static void merge(const struct run_options *given, struct run_options *into)
{
#define TAKE(member)           \
	if (given->member.set) \
	into->member = given->member
#define TAKE_TEXT(member)  \
	if (given->member) \
	into->member = given->member
	TAKE(blkio_weight);
	TAKE(cpu_shares);
	TAKE(memory);
	TAKE(memory_reservation);
	TAKE(memory_swap);
	TAKE(pids_limit);
	if (given->pids_limit.set && given->pids_limit.value == 0) /* as for `run`: no limit */
		into->pids_limit.value = -1;
	TAKE_TEXT(cpuset_cpus);
	TAKE_TEXT(cpuset_mems);
	TAKE_TEXT(restart);
	/* Two ways to say the same. */
	if (given->cpus) {
		into->cpus = given->cpus;
		into->cpu_quota = (struct opt_i64){};
		into->cpu_period = (struct opt_u64){};
	}
	if (given->cpu_quota.set || given->cpu_period.set)
		into->cpus = NULL;
	TAKE(cpu_quota);
	TAKE(cpu_period);
#undef TAKE
#undef TAKE_TEXT
}

/* The limits of the record as it is now, but for those of devices, which stay. */
static int resources(const struct record *record, struct arena *arena, json_t **ret_json,
	struct spec_resources **ret, struct err *err)
{
	static const struct assemble_facts facts = {};
	autojson json_t *config = json_pack("{s:{}}", "linux");
	autobuf struct buf text = {};
	json_t *limits;
	int r = config ? assemble_limits(record, &facts, config, err) : -ENOMEM;

	if (r < 0)
		return r;
	limits = json_object_get(json_object_get(config, "linux"), "resources");
	json_object_del(limits, "devices");
	if (json_write(limits, JSON_COMPACT, &text) < 0)
		return err_sys(err, -ENOMEM, "update");
	return spec_resources_parse("limits", buf_str(&text), text.len, arena, ret_json, ret, err);
}

static int update_one(
	struct brig *b, const char *name, const struct run_options *given, struct err *err)
{
	autobox struct box box = {.dirfd = -1};
	autojson json_t *json = NULL;
	struct spec_resources *limits = NULL;
	const struct boxes *boxes;
	struct update_options options = {};
	enum box_state state;
	int r = brig_boxes(b, &boxes, err);

	if (r == 0)
		r = box_open(boxes, name, true, &box, err);
	if (r < 0)
		return r;
	merge(given, &box.record.options);
	r = brig_check_restart(&box.record.options, err);
	if (r == 0)
		r = resources(&box.record, b->arena, &json, &limits, err);
	state = box_state(&box);
	options.resources = limits;
	if (r == 0 && json_object_size(json) && (state == BOX_RUNNING || state == BOX_PAUSED))
		r = container_update(boxes->rt, box.id, &options, err);
	if (r == 0)
		r = box_update(&box, err);
	if (r == 0)
		events_note(b->runfd, "container", "update", box.id, "name", box.record.name, NULL);
	return r;
}

int brig_update(const struct invocation *inv, struct err *err)
{
	autobrig struct brig b = BRIG_NONE;
	int code = 0, r = brig_open(inv, &b, err);

	for (size_t i = 0; r == 0 && i < inv->arg_count; i++) {
		struct err one = {};

		if (update_one(&b, inv->args[i], inv->options, &one) < 0) {
			log_failure("brig", &one);
			code = 1;
		} else {
			printf("%s\n", inv->args[i]);
		}
	}
	return r < 0 ? r : code;
}
