/* SPDX-License-Identifier: Apache-2.0 */
/* Limits and devices. */
#include "cli/containers/assemble.h"

#include "base/parse.h"

#include <stdio.h>
#include <string.h>

enum { CPU_PERIOD = 100000 }; /* microseconds; as every engine */

static void set_limit(json_t *object, const char *key, const struct opt_i64 *value)
{
	if (value->set && value->value)
		json_object_set_new(object, key, json_integer(value->value));
}

static int add_memory(const struct run_options *o, json_t *resources, struct err *err)
{
	json_t *memory;

	if (!o->memory.set && !o->memory_swap.set && !o->memory_reservation.set &&
		!o->oom_kill_disable)
		return 0;
	if (o->memory.set && o->memory.value > 0 && o->memory.value < 6 << 20)
		return err_set(err, -EINVAL, "--memory: at least 6m are needed");
	if (o->memory_swap.set && o->memory_swap.value > 0 &&
		(!o->memory.set || o->memory_swap.value < o->memory.value))
		return err_set(err, -EINVAL,
			"--memory-swap: is memory and swap together, so it needs --memory and must "
			"not be less");
	memory = json_object();
	set_limit(memory, "limit", &o->memory);
	set_limit(memory, "swap", &o->memory_swap);
	/* As everywhere: without a word, as much swap as memory. */
	if (o->memory.set && o->memory.value > 0 && !o->memory_swap.set)
		json_object_set_new(memory, "swap", json_integer(2 * o->memory.value));
	set_limit(memory, "reservation", &o->memory_reservation);
	if (o->oom_kill_disable)
		json_object_set_new(memory, "disableOOMKiller", json_true());
	return json_object_set_new(resources, "memory", memory) < 0
		       ? err_sys(err, -ENOMEM, "--memory")
		       : 0;
}

/* "1.5" → microseconds in a period. */
static int cpu_quota(const char *text, int64_t *ret)
{
	double value = 0, place = 1;
	bool fraction = false;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text == '.' && !fraction) {
			fraction = true;
			continue;
		}
		if (*text < '0' || *text > '9' || value > 1e9)
			return -EINVAL;
		value = value * 10 + (*text - '0');
		place = fraction ? place * 10 : 1;
	}
	*ret = (int64_t)(value / place * CPU_PERIOD + 0.5);
	return *ret >= 1000 ? 0 : -ERANGE;
}

static int add_cpu(const struct run_options *o, json_t *resources, struct err *err)
{
	autojson json_t *cpu = json_object();
	int64_t quota;

	if (o->cpus) {
		if (o->cpu_quota.set || o->cpu_period.set)
			return err_set(err, -EINVAL,
				"--cpus: is a quota by itself; leave --cpu-quota and --cpu-period "
				"out");
		if (cpu_quota(o->cpus, &quota) < 0)
			return err_set(err, -EINVAL,
				"--cpus: \"%s\" is not a number of processors, 0.01 or more",
				o->cpus);
		json_object_set_new(cpu, "quota", json_integer(quota));
		json_object_set_new(cpu, "period", json_integer(CPU_PERIOD));
	}
	set_limit(cpu, "quota", &o->cpu_quota);
	if (o->cpu_period.set)
		json_object_set_new(cpu, "period", json_u64(o->cpu_period.value));
	if (o->cpu_shares.set)
		json_object_set_new(cpu, "shares", json_u64(o->cpu_shares.value));
	if (o->cpuset_cpus)
		json_object_set_new(cpu, "cpus", json_string(o->cpuset_cpus));
	if (o->cpuset_mems)
		json_object_set_new(cpu, "mems", json_string(o->cpuset_mems));
	if (json_object_size(cpu))
		json_object_set(resources, "cpu", cpu);
	return 0;
}

/* ---- devices ---- */

static json_t *rule(const char *type, int64_t major, int64_t minor, const char *access)
{
	json_t *rule = json_pack("{s:b, s:s, s:s}", "allow", 1, "type", type, "access", access);

	if (major >= 0)
		json_object_set_new(rule, "major", json_integer(major));
	if (minor >= 0)
		json_object_set_new(rule, "minor", json_integer(minor));
	return rule;
}

/* "c 42:* rwm" */
static int add_written_rule(json_t *rules, const char *text, struct err *err)
{
	char type[2], major[12], minor[12], access[4], rest;
	uint32_t a = 0, b = 0;

	if (sscanf(text, "%1[abc] %11[0-9*]:%11[0-9*] %3[rwm]%c", type, major, minor, access,
		    &rest) != 4 ||
		(strcmp(major, "*") != 0 && parse_u32(major, &a) < 0) ||
		(strcmp(minor, "*") != 0 && parse_u32(minor, &b) < 0))
		return err_set(err, -EINVAL,
			"--device-cgroup-rule: \"%s\" is not like \"c 42:* rwm\"", text);
	json_array_append_new(rules, rule(type, *major == '*' ? -1 : (int64_t)a,
					     *minor == '*' ? -1 : (int64_t)b, access));
	return 0;
}

static int add_devices(const struct record *record, const struct assemble_facts *facts,
	json_t *linux_, json_t *resources, struct err *err)
{
	const struct run_options *o = &record->options;
	json_t *rules = json_array(), *devices = json_array();
	int r = 0;

	if (o->privileged) {
		json_array_append_new(rules, json_pack("{s:b, s:s}", "allow", 1, "access", "rwm"));
	} else {
		json_array_append_new(rules, json_pack("{s:b, s:s}", "allow", 0, "access", "rwm"));
		/* A node is not yet the device: opening it is another matter. */
		json_array_append_new(rules, rule("c", -1, -1, "m"));
		json_array_append_new(rules, rule("b", -1, -1, "m"));
	}
	for (size_t i = 0; i < facts->device_count; i++) {
		const struct assemble_device *d = &facts->devices[i];
		const char type[2] = {d->type, '\0'};

		json_array_append_new(
			devices, json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "path", d->path,
					 "type", type, "major", (json_int_t)d->major, "minor",
					 (json_int_t)d->minor, "fileMode", (json_int_t)d->mode,
					 "uid", (json_int_t)d->uid, "gid", (json_int_t)d->gid));
		if (!o->privileged)
			json_array_append_new(rules, rule(type, d->major, d->minor, d->access));
	}
	for (size_t i = 0; i < o->device_rules.count && r == 0; i++)
		r = add_written_rule(rules, o->device_rules.items[i], err);
	json_object_set_new(linux_, "devices", devices);
	json_object_set_new(resources, "devices", rules);
	return r;
}

static int add_disks(const struct run_options *o, const struct assemble_facts *facts,
	json_t *resources, struct err *err)
{
	autojson json_t *block = json_object();

	if (o->blkio_weight.set && (o->blkio_weight.value < 10 || o->blkio_weight.value > 1000))
		return err_set(err, -EINVAL, "--blkio-weight: is 10 to 1000");
	if (o->blkio_weight.set)
		json_object_set_new(
			block, "weight", json_integer((json_int_t)o->blkio_weight.value));
	for (size_t i = 0; i < facts->throttle_count; i++) {
		const struct assemble_throttle *t = &facts->throttles[i];

		if (!json_object_get(block, t->key))
			json_object_set_new(block, t->key, json_array());
		json_array_append_new(json_object_get(block, t->key),
			json_pack("{s:I, s:I, s:o}", "major", (json_int_t)t->major, "minor",
				(json_int_t)t->minor, "rate", json_u64(t->rate)));
	}
	if (json_object_size(block))
		json_object_set(resources, "blockIO", block);
	return 0;
}

int assemble_limits(const struct record *record, const struct assemble_facts *facts, json_t *config,
	struct err *err)
{
	const struct run_options *o = &record->options;
	json_t *linux_ = json_object_get(config, "linux"), *resources = json_object();
	int r;

	if (!resources || json_object_set_new(linux_, "resources", resources) < 0)
		return err_sys(err, -ENOMEM, "limits");
	r = add_memory(o, resources, err);
	if (r == 0)
		r = add_cpu(o, resources, err);
	if (r == 0)
		r = add_devices(record, facts, linux_, resources, err);
	if (o->pids_limit.set && o->pids_limit.value)
		json_object_set_new(resources, "pids",
			json_pack("{s:I}", "limit", (json_int_t)o->pids_limit.value));
	return r < 0 ? r : add_disks(o, facts, resources, err);
}
