/* SPDX-License-Identifier: Apache-2.0 */
/* top, stats. */
#include "cli/brig/brig.h"
#include "cli/output/human.h"
#include "cli/output/list.h"
#include "cli/output/terminal.h"
#include "cli/processes.h"

#include "base/clock.h"
#include "base/sys.h"
#include "runtime/stats.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STATS(member) OPTION_AT(brig_stats_values, member)

const struct option brig_stats_options[] = {
	{"all", 'a', OPTION_FLAG, STATS(all), .help = "also containers that do not run"},
	{"format", 0, OPTION_TEXT, STATS(format), .argument = "FORMAT",
		.help = "table, json, or a template"},
	{"no-stream", 0, OPTION_FLAG, STATS(no_stream), .help = "once, not again and again"},
	{"no-trunc", 0, OPTION_FLAG, STATS(no_trunc), .help = "show ids whole"},
	{NULL},
};

int brig_top(const struct invocation *inv, struct err *err)
{
	autobrig struct brig b = BRIG_NONE;
	char id[RECORD_ID_SIZE];
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_box_id(&b, inv->args[0], id, err);
	if (r == 0) {
		r = processes_print(b.boxes.rt, id, (const char *const *)(inv->args + 1), err);
		if (r == -ENOENT)
			return err_set(err, r, "container %s is not running", inv->args[0]);
	}
	return r;
}

/* ---- stats ---- */

static const struct list_field fields[] = {
	{"ID", "CONTAINER ID"},
	{"Container", "CONTAINER"},
	{"Name", "NAME"},
	{"CPUPerc", "CPU %"},
	{"MemUsage", "MEM USAGE / LIMIT"},
	{"MemPerc", "MEM %"},
	{"NetIO", "NET I/O"},
	{"BlockIO", "BLOCK I/O"},
	{"PIDs", "PIDS"},
	{NULL},
};

/* What was read of one container at one time. */
struct sample {
	char id[RECORD_ID_SIZE], name[RECORD_NAME_MAX];
	bool present;
	uint64_t time_ns, cpu_ns, memory, limit, pids, read, written, received, sent;
	bool has_memory, has_io;
};

struct samples {
	struct sample *items;
	size_t count;
	const struct brig_stats_values *values;
	char **names;
};

static uint64_t total_memory(void)
{
	return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t file_cache(const struct cgroup_stats_memory *memory)
{
	for (size_t i = 0; i < memory->stat.count; i++)
		if (strcmp(memory->stat.items[i].key, "inactive_file") == 0)
			return memory->stat.items[i].value;
	return 0;
}

static void read_links(const struct container *c, struct sample *s)
{
	autojson json_t *links = NULL;
	struct err ignored = {};
	size_t i;
	json_t *link;

	if (stats_read_links(c->rt->procfd, c->pid, &links, &ignored) < 0)
		return;
	json_array_foreach (links, i, link) {
		s->received += (uint64_t)json_integer_value(json_object_get(link, "rx_bytes"));
		s->sent += (uint64_t)json_integer_value(json_object_get(link, "tx_bytes"));
	}
}

static void read_cgroup(const struct container *c, struct sample *s)
{
	autocgroup struct cgroup *cgroup = NULL;
	autoarena struct arena arena = {};
	struct cgroup_stats stats = {};
	struct err ignored = {};

	if (c->cgroup.driver == CGROUP_DISABLED || container_cgroup(c, &cgroup, &ignored) < 0 ||
		container_stats(c, cgroup, &arena, &stats, &ignored) < 0)
		return;
	s->cpu_ns = stats.cpu.usage;
	s->pids = stats.pids;
	s->has_memory = stats.memory.present;
	s->memory = stats.memory.usage - file_cache(&stats.memory);
	s->limit = stats.memory.limit;
	s->has_io = stats.io.present;
	for (size_t i = 0; i < stats.io.count; i++) {
		s->read += stats.io.items[i].rbytes;
		s->written += stats.io.items[i].wbytes;
	}
}

static int take_sample(const struct box *box, struct samples *samples)
{
	struct sample *items =
		reallocarray(samples->items, samples->count + 1, sizeof(*samples->items));
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1};
	struct err ignored = {};
	struct sample *s;

	if (!items)
		return -ENOMEM;
	samples->items = items;
	s = &items[samples->count++];
	*s = (struct sample){.time_ns = clock_monotonic_ns()};
	memcpy(s->id, box->id, sizeof(s->id));
	snprintf(s->name, sizeof(s->name), "%s", box->record.name);
	if (container_open(box->boxes->rt, box->id, false, &c, &ignored) < 0 || c.pidfd < 0)
		return 0;
	s->present = true;
	read_cgroup(&c, s);
	read_links(&c, s);
	return 0;
}

static int each_sample(struct box *box, void *arg)
{
	struct samples *samples = arg;
	enum box_state state = box_state(box);

	if (!samples->values->all && state != BOX_RUNNING && state != BOX_PAUSED)
		return 0;
	return take_sample(box, samples);
}

static int sample(const struct boxes *boxes, struct samples *samples, struct err *err)
{
	int r = 0;

	samples->count = 0;
	if (!*samples->names) {
		r = boxes_each(boxes, each_sample, samples, err);
		return r < 0 && !err->code ? err_sys(err, r, "stats") : r;
	}
	for (char **name = samples->names; *name && r == 0; name++) {
		autobox struct box box = {.dirfd = -1};

		r = box_open(boxes, *name, false, &box, err);
		if (r == 0)
			r = take_sample(&box, samples);
	}
	return r < 0 && !err->code ? err_sys(err, r, "stats") : r;
}

static const struct sample *same(const struct samples *samples, const char *id)
{
	for (size_t i = 0; i < samples->count; i++)
		if (strcmp(samples->items[i].id, id) == 0)
			return &samples->items[i];
	return NULL;
}

static json_t *both(uint64_t a, uint64_t b, bool known)
{
	char left[HUMAN_TEXT_MAX], right[HUMAN_TEXT_MAX];

	if (!known)
		return json_string("-- / --");
	human_size(a, 3, left);
	human_size(b, 3, right);
	return json_sprintf("%s / %s", left, right);
}

static json_t *row_of(const struct sample *now, const struct sample *before, bool whole)
{
	uint64_t limit = now->limit && now->limit < total_memory() ? now->limit : total_memory();
	char cpu[32] = "--", percent[32] = "--", used[HUMAN_TEXT_MAX], most[HUMAN_TEXT_MAX];
	double share = 0;

	if (now->present && before && before->present && now->time_ns > before->time_ns)
		share = 100.0 * (double)(now->cpu_ns - before->cpu_ns) /
			(double)(now->time_ns - before->time_ns);
	if (now->present)
		snprintf(cpu, sizeof(cpu), "%.2f%%", share);
	if (now->has_memory)
		snprintf(percent, sizeof(percent), "%.2f%%",
			100.0 * (double)now->memory / (double)limit);
	human_size_binary(now->memory, used);
	human_size_binary(limit, most);
	return json_pack("{s:o, s:s, s:s, s:s, s:o, s:s, s:o, s:o, s:o}", "ID",
		json_stringn(now->id, whole ? RECORD_ID_SIZE - 1 : RECORD_SHORT), "Container",
		now->name, "Name", now->name, "CPUPerc", cpu, "MemUsage",
		now->has_memory ? json_sprintf("%s / %s", used, most) : json_string("-- / --"),
		"MemPerc", percent, "NetIO", both(now->received, now->sent, now->present),
		"BlockIO", both(now->read, now->written, now->has_io), "PIDs",
		now->pids ? json_sprintf("%llu", (unsigned long long)now->pids)
			  : json_string("--"));
}

static int print_samples(const struct brig_stats_values *values, const struct samples *now,
	const struct samples *before, bool again, struct err *err)
{
	autojson json_t *rows = json_array();
	autobuf struct buf text = {};
	const struct list_options list = {
		.fields = fields,
		.columns = "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t"
			   "{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}",
		.quiet = "{{.ID}}",
		.format = values->format,
	};
	int r;

	for (size_t i = 0; i < now->count; i++)
		json_array_append_new(rows,
			row_of(&now->items[i], same(before, now->items[i].id), values->no_trunc));
	r = list_print(&list, rows, &text, err);
	if (r < 0)
		return r;
	if (again && terminal_is(STDOUT_FILENO)) /* from the top left corner on */
		fputs("\033[H\033[J", stdout);
	fwrite(buf_str(&text), 1, text.len, stdout);
	fflush(stdout);
	return ferror(stdout) ? -EPIPE : 0;
}

int brig_stats(const struct invocation *inv, struct err *err)
{
	enum { STEP_MS = 1000 };
	const struct brig_stats_values *values = inv->options;
	autobrig struct brig b = BRIG_NONE;
	struct samples one = {.values = values, .names = inv->args}, two = one;
	struct samples *before = &one, *now = &two;
	const struct boxes *boxes;
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_boxes(&b, &boxes, err);
	if (r == 0)
		r = sample(boxes, before, err);
	while (r == 0) {
		struct samples *swap = before;

		sys_poll(NULL, 0, STEP_MS);
		r = sample(boxes, now, err);
		if (r == 0)
			r = print_samples(values, now, before, !values->no_stream, err);
		if (values->no_stream)
			break;
		before = now;
		now = swap;
	}
	free(one.items);
	free(two.items);
	return r == -EPIPE && !err->code ? 0 : r;
}
