/* SPDX-License-Identifier: Apache-2.0 */
/* update. */
#include "base/fd.h"
#include "base/log.h"
#include "base/sys.h"
#include "cli/oci/oci.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { RESOURCES_MAX = 16 << 20 };

#define UPDATE_AT(member) OPTION_AT(oci_update_values, member)

const struct option oci_update_options[] = {
	{"resources", 'r', OPTION_TEXT, UPDATE_AT(resources), .argument = "FILE",
		.help = "read the limits, as linux.resources of config.json, from FILE, or from "
			"standard input when it is -"},
	{"memory", 0, OPTION_LIMIT, UPDATE_AT(memory.limit), .help = "limit memory"},
	{"memory-reservation", 0, OPTION_LIMIT, UPDATE_AT(memory.reservation),
		.help = "protect this much memory when others need it"},
	{"memory-swap", 0, OPTION_LIMIT, UPDATE_AT(memory.swap),
		.help = "limit memory and swap together"},
	{"kernel-memory", 0, OPTION_LIMIT, UPDATE_AT(memory.kernel),
		.help = "changes nothing: kernel memory counts towards --memory"},
	{"kernel-memory-tcp", 0, OPTION_LIMIT, UPDATE_AT(memory.kernel_tcp),
		.help = "changes nothing: socket buffers count towards --memory"},
	{"cpu-period", 0, OPTION_OPT_U64, UPDATE_AT(cpu.period), .argument = "MICROSECONDS",
		.help = "length of a period of --cpu-quota"},
	{"cpu-quota", 0, OPTION_OPT_I64, UPDATE_AT(cpu.quota), .argument = "MICROSECONDS",
		.help = "processor time in each period, -1 for no limit"},
	{"cpu-burst", 0, OPTION_OPT_U64, UPDATE_AT(cpu.burst), .argument = "MICROSECONDS",
		.help = "unused quota that may be saved up"},
	{"cpu-share", 0, OPTION_OPT_U64, UPDATE_AT(cpu.shares), .argument = "SHARES",
		.help = "share of processor time against others, from 2 to 262144"},
	{"cpu-shares", 0, OPTION_OPT_U64, .hidden = true, UPDATE_AT(cpu.shares)},
	{"cpu-idle", 0, OPTION_OPT_I64, UPDATE_AT(cpu.idle), .argument = "0|1",
		.help = "run only when nobody else wants to"},
	{"cpu-rt-period", 0, OPTION_OPT_U64, UPDATE_AT(cpu.realtime_period),
		.argument = "MICROSECONDS",
		.help = "refused but for 0: cgroup v2 has no realtime limits"},
	{"cpu-rt-runtime", 0, OPTION_OPT_I64, UPDATE_AT(cpu.realtime_runtime),
		.argument = "MICROSECONDS",
		.help = "refused but for 0: cgroup v2 has no realtime limits"},
	{"cpuset-cpus", 0, OPTION_TEXT, UPDATE_AT(cpu.cpus), .argument = "LIST",
		.help = "processors that may be used, such as 0-3,7"},
	{"cpuset-mems", 0, OPTION_TEXT, UPDATE_AT(cpu.mems), .argument = "LIST",
		.help = "memory nodes that may be used"},
	{"pids-limit", 0, OPTION_OPT_I64, UPDATE_AT(pids_limit), .argument = "N",
		.help = "limit the number of processes, -1 for no limit; 0 is as good as 1"},
	{"blkio-weight", 0, OPTION_OPT_U32, UPDATE_AT(blkio_weight), .argument = "WEIGHT",
		.help = "share of block devices' time, from 10 to 1000"},
	{"l3-cache-schema", 0, OPTION_TEXT, UPDATE_AT(l3_cache_schema), .argument = "SCHEMA",
		.help = "part of the level 3 cache that may be filled, such as L3:0=ff"},
	{"mem-bw-schema", 0, OPTION_TEXT, UPDATE_AT(mem_bw_schema), .argument = "SCHEMA",
		.help = "share of the memory's bandwidth, such as MB:0=50"},
	{NULL},
};

static int read_resources(const char *path, struct arena *arena, json_t **ret_json,
	struct spec_resources **ret, struct err *err)
{
	bool from_stdin = strcmp(path, "-") == 0;
	autoclose int fd = from_stdin ? sys_dup(STDIN_FILENO)
				      : sys_openat(AT_FDCWD, path, O_RDONLY | O_NOCTTY, 0);
	const char *name = from_stdin ? "standard input" : path;
	autobuf struct buf text = {};
	int r = fd < 0 ? fd : fd_read_all(fd, RESOURCES_MAX, &text);

	if (r < 0)
		return err_sys(err, r, "--resources: read %s", name);
	return spec_resources_parse(name, buf_str(&text), text.len, arena, ret_json, ret, err);
}

static bool has_memory(const struct spec_memory *m)
{
	return m->limit.set || m->reservation.set || m->swap.set;
}

static bool has_cpu(const struct spec_cpu *c)
{
	return c->shares.set || c->period.set || c->burst.set || c->realtime_period.set ||
	       c->quota.set || c->realtime_runtime.set || c->idle.set || c->cpus || c->mems;
}

/* What the single options ask for, in terms of the specification. */
static bool from_options(
	struct oci_update_values *values, struct spec_block_io *io, struct spec_resources *ret)
{
	if (values->memory.kernel.set || values->memory.kernel_tcp.set)
		log_line(LOG_INFO, "update: kernel memory has no limit of its own on cgroup v2; it "
				   "counts towards --memory");
	values->memory.kernel = values->memory.kernel_tcp = (struct opt_i64){};
	*ret = (struct spec_resources){
		.memory = has_memory(&values->memory) ? &values->memory : NULL,
		.cpu = has_cpu(&values->cpu) ? &values->cpu : NULL,
		.pids_limit = values->pids_limit,
	};
	io->weight = values->blkio_weight;
	if (io->weight.set)
		ret->block_io = io;
	return ret->memory || ret->cpu || ret->pids_limit.set || ret->block_io;
}

int oci_update(const struct invocation *inv, struct err *err)
{
	struct oci_update_values values = *(const struct oci_update_values *)inv->options;
	autoruntime struct runtime rt = {.rootfd = -1, .procfd = -1};
	autojson json_t *json = NULL;
	struct spec_block_io io = {};
	struct spec_resources own, *read = NULL;
	struct update_options options = {
		.resources = &own,
		.l3_cache_schema = values.l3_cache_schema,
		.mem_bw_schema = values.mem_bw_schema,
	};
	bool single = from_options(&values, &io, &own);
	int r = 0;

	if (values.resources && single)
		return err_set(err, -EINVAL,
			"update: give the limits in --resources or by an option for each, not "
			"both");
	if (values.resources)
		r = read_resources(values.resources, inv->arena, &json, &read, err);
	if (read)
		options.resources = read;
	if (r == 0)
		r = oci_open_runtime(inv, &rt, err);
	return r < 0 ? r : container_update(&rt, inv->args[0], &options, err);
}
