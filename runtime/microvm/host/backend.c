/* SPDX-License-Identifier: Apache-2.0 */
/* Process: a command's own. */
#include "runtime/microvm/host/backend.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/sys.h"
#include "runtime/microvm/host/ask.h"
#include "runtime/microvm/host/attendant.h"
#include "runtime/microvm/host/live.h"
#include "runtime/microvm/host/machine.h"
#include "runtime/microvm/host/monitor.h"
#include "runtime/microvm/host/resize.h"
#include "runtime/microvm/host/root.h"
#include "runtime/microvm/host/saved.h"
#include "runtime/microvm/host/vmplan.h"

#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int plan(const struct spec_config *config, const struct create_options *options,
	struct arena *arena, struct spec_config *ret, struct err *err)
{
	struct vm_plan plan;
	int r;

	if (geteuid() != 0)
		return err_set(err, -EPERM, "isolation \"vm\" needs root");
	if (options->preserve_fds)
		return err_set(err, -ENOTSUP,
			"--preserve-fds, LISTEN_FDS: a virtual machine cannot have descriptors of "
			"the host");
	if (options->activation.notify_socket)
		return err_set(err, -ENOTSUP,
			"NOTIFY_SOCKET: a virtual machine cannot reach a socket of the host");
	if (options->layer_count > PROTO_LAYERS_MAX)
		return err_set(err, -E2BIG, "a virtual machine has at most %d layers as disks",
			PROTO_LAYERS_MAX);
	r = attendant_plan(config, arena, &plan, err);
	return r < 0 ? r : vm_plan_host(config, &plan, arena, ret, err);
}

static int prepare(const struct spec_config *config, struct arena *arena, struct err *err)
{
	struct vm_plan plan;
	int r = attendant_plan(config, arena, &plan, err);

	return r < 0 ? r : machine_prepare(&plan, err);
}

static int signal_all(const struct container *c, int sig, struct err *err)
{
	const struct proto_signal request = {.id = PROTO_SIGNAL_ALL, .signal = sig};
	struct link link = {.fd = -1};
	struct link_message answer;
	int r = ask_agent(c, PROTO_SIGNAL, &request, sizeof(request), &link, &answer, err);

	link_close(&link);
	return r;
}

static int ask_update(
	const struct container *c, const struct spec_resources *change, struct err *err)
{
	autojson json_t *json = vm_plan_guest_resources(change);
	autobuf struct buf text = {};
	struct link link = {.fd = -1};
	struct link_message answer;
	int r;

	if (!json || json_write(json, JSON_COMPACT, &text) < 0)
		return err_sys(err, -ENOMEM, "update");
	r = ask_agent(c, PROTO_UPDATE, text.data, text.len, &link, &answer, err);
	link_close(&link);
	return r;
}

/* The new limit, 0 when there is none in CHANGE. */
static int plan_memory(const struct spec_resources *change, struct vm_plan *plan,
	uint64_t *ret_limit, struct err *err)
{
	uint64_t needed;

	*ret_limit = 0;
	if (!change->memory || !change->memory->limit.set)
		return 0;
	if (change->memory->limit.value > 0)
		*ret_limit = (uint64_t)change->memory->limit.value;
	needed = *ret_limit ? vm_plan_needed(*ret_limit) : UINT64_MAX;
	/* A limit that fits in the machine needs no room beside it. */
	if (needed > plan->memory_mib && *ret_limit &&
		*ret_limit <= (uint64_t)plan->memory_mib << 20)
		needed = plan->memory_mib;
	if (needed > plan->memory_mib)
		return err_set(err, -EINVAL,
			"memory.limit: the virtual machine was made with %u MiB and cannot have "
			"more (annotation org.brig.vm.memory_max gives it room to grow)",
			plan->memory_mib);
	plan->needed_mib = (uint32_t)needed;
	return 0;
}

/* A guest that does not give its memory back keeps the host's limit: its own holds all the same. */
static int resize(const struct container *c, const struct vm_plan *plan,
	struct spec_resources *hosts, struct err *err)
{
	bool done;
	int r = resize_machine(c->dirfd, plan->memory_mib, plan->needed_mib, &done, err);

	if (r == 0 && !done) {
		log_warning("container \"%s\": its guest has not given back all of its memory yet",
			c->id);
		hosts->memory = NULL;
	}
	return r;
}

static int update(const struct container *c, const struct spec_resources *change,
	struct arena *arena, struct spec_resources *ret_host, struct err *err)
{
	autospec struct spec_config *config = NULL;
	struct spec_resources hosts = {};
	struct vm_plan plan;
	uint64_t limit = 0;
	int r = container_config(c, &config, err);

	if (r == 0)
		r = attendant_plan(config, arena, &plan, err);
	if (r == 0)
		r = plan_memory(change, &plan, &limit, err);
	if (r == 0)
		r = vm_plan_resources(change, &plan, arena, &hosts, err);
	if (r == 0)
		r = ask_update(c, change, err);
	if (r == 0 && limit)
		r = resize(c, &plan, &hosts, err);
	if (r == 0)
		*ret_host = hosts;
	return r;
}

static uint64_t no_more_than(uint64_t value, uint64_t limit)
{
	return value < limit ? value : limit;
}

/*
 * Time and I/O are what the host measured, the machine's own share included: that is what the
 * container costs. Memory, processes and their limits are the container's, as its guest counts.
 */
static int merge(const struct proto_stats *guest, struct arena *arena, struct cgroup_stats *stats)
{
	const struct {
		const char *key;
		uint64_t value;
	} members[] = {
		{"anon", guest->memory_anon},
		{"file", guest->memory_file},
		{"kernel", guest->memory_kernel},
		{"sock", guest->memory_sock},
		{"inactive_file", guest->memory_inactive_file},
	};
	struct cgroup_stats_memory *memory = &stats->memory;
	struct pair_u64 *items = arena_array(arena, ARRAY_LEN(members), struct pair_u64);

	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		items[i] = (struct pair_u64){members[i].key, members[i].value};
	memory->stat.items = items;
	memory->stat.count = ARRAY_LEN(members);
	memory->usage = guest->memory_usage;
	memory->peak = guest->memory_peak;
	memory->limit = guest->memory_limit;
	memory->swap_usage = guest->memory_swap;
	memory->swap_limit = guest->swap_limit;
	memory->events_max = guest->events_max;
	/* A machine that the host had to kill within counts too. */
	memory->oom += no_more_than(guest->oom, UINT64_MAX - memory->oom);
	memory->oom_kill += no_more_than(guest->oom_kill, UINT64_MAX - memory->oom_kill);
	stats->pids = guest->pids;
	stats->pids_limit = guest->pids_limit;
	return 0;
}

static int stats(
	const struct container *c, struct arena *arena, struct cgroup_stats *stats, struct err *err)
{
	struct link link = {.fd = -1};
	struct link_message answer;
	struct proto_stats guest;
	int r;

	r = ask_agent(c, PROTO_STATS, NULL, 0, &link, &answer, err);
	if (r == 0 && answer.len != sizeof(guest))
		r = err_set(err, -EPROTO, "the guest agent says what makes no sense");
	if (r == 0) {
		memcpy(&guest, answer.data, sizeof(guest));
		if (merge(&guest, arena, stats) < 0)
			r = err_sys(err, -ENOMEM, "events");
	}
	link_close(&link);
	return r;
}

/* The guest's words go to terminals. */
static void copy_command(char *ret, size_t size, const char *from, size_t len)
{
	size_t n = 0;

	for (; n + 1 < size && n < len && from[n]; n++)
		ret[n] = from[n] >= 0x20 && from[n] < 0x7f ? from[n] : '?';
	ret[n] = 0;
}

/* Those that the host knows by a pid have that one, the others theirs in the guest. */
static int take_processes(
	const struct link_message *answer, struct container_processes *ret, struct err *err)
{
	size_t count = answer->len / sizeof(struct proto_process);

	if (answer->len % sizeof(struct proto_process))
		return err_set(err, -EPROTO, "the guest agent says what makes no sense");
	ret->items = calloc(count + 1, sizeof(*ret->items));
	if (!ret->items)
		return err_sys(err, -ENOMEM, "ps");
	for (size_t i = 0; i < count; i++) {
		struct container_process *p = ret->items + ret->count++;
		struct proto_process one;

		memcpy(&one, answer->data + i * sizeof(one), sizeof(one));
		p->pid = (pid_t)(one.id ? one.id : one.pid);
		p->ppid = (pid_t)one.ppid;
		p->uid = one.uid;
		copy_command(p->command, sizeof(p->command), one.command, sizeof(one.command));
	}
	return 0;
}

static int processes(const struct container *c, struct container_processes *ret, struct err *err)
{
	struct link link = {.fd = -1};
	struct link_message answer;
	int r = ask_agent(c, PROTO_PROCESSES, NULL, 0, &link, &answer, err);

	if (r == 0)
		r = take_processes(&answer, ret, err);
	link_close(&link);
	return r;
}

/* ---- pause and resume ---- */

/*
 * A pause holds twice: the guest's kernel stops the container's processes, so that they stay as
 * they are while the agent answers a command, and the monitor stops the processors, whatever that
 * kernel is up to. The attendant goes on: what it passes on waits in the guest's queues.
 */
static int tell(const struct container *c, enum proto_type type, struct err *err)
{
	struct link link = {.fd = -1};
	struct link_message answer;
	int r = ask_agent(c, type, NULL, 0, &link, &answer, err);

	link_close(&link);
	return r;
}

static int ask_monitor(
	const struct container *c, enum control_op op, struct control_reply *ret, struct err *err)
{
	autoclose int monitor = monitor_connect(c->dirfd, err);
	int r = monitor < 0 ? monitor : monitor_ask(monitor, op, ret, err);

	return r < 0 ? err_add(err, "container \"%s\"", c->id) : 0;
}

static bool frozen(const struct container *c)
{
	struct control_reply reply;
	struct err ignored = {};

	return ask_monitor(c, CONTROL_STATUS, &reply, &ignored) == 0 && reply.paused;
}

static int freeze(const struct container *c, struct err *err)
{
	struct err ignored = {};
	int r = tell(c, PROTO_FREEZE, err);

	if (r == 0)
		r = ask_monitor(c, CONTROL_PAUSE, NULL, err);
	if (r < 0) /* nothing when it was not that far */
		tell(c, PROTO_THAW, &ignored);
	return r;
}

static int thaw(const struct container *c, struct err *err)
{
	int r = tell(c, PROTO_THAW, err);

	return r < 0 ? r : ask_monitor(c, CONTROL_RESUME, NULL, err);
}

const struct backend microvm_backend = {
	.name = "vm",
	.plan = plan,
	.prepare = prepare,
	.init_main = attendant_main,
	.exec_main = attendant_exec_main,
	.signal_all = signal_all,
	.update = update,
	.stats = stats,
	.processes = processes,
	.frozen = frozen,
	.freeze = freeze,
	.thaw = thaw,
	.open_root = root_open_shared,
	.mounts_add = live_add,
	.mounts_remove = live_remove,
	.checkpoint = saved_write,
};
