/* SPDX-License-Identifier: Apache-2.0 */
/* The egress policy in the kernel: bpf(2), BPF_PROG_TYPE_CGROUP_SOCK_ADDR, and a ring buffer. */
#include "cgroups/connect.h"

#include "cgroups/connect_private.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>
#include <sys/socket.h>

enum { ATTACHED_MAX = 64 /* the kernel's BPF_CGROUP_MAX_PROGS */, RING_SIZE = 16384 };

static const struct {
	enum bpf_attach_type type;
	int family;
} hooks[] = {
	{BPF_CGROUP_INET4_CONNECT, AF_INET},
	{BPF_CGROUP_INET6_CONNECT, AF_INET6},
	{BPF_CGROUP_UDP4_SENDMSG, AF_INET},
	{BPF_CGROUP_UDP6_SENDMSG, AF_INET6},
};

struct attached {
	__u32 ids[ATTACHED_MAX], count;
};

static int query(int dirfd, enum bpf_attach_type type, struct attached *ret)
{
	__u32 flags = 0;

	ret->count = ATTACHED_MAX;
	return bpf_prog_query(dirfd, type, 0, &flags, ret->ids, &ret->count);
}

/* One that is gone meanwhile is what was wanted. */
static int detach(int dirfd, enum bpf_attach_type type, const struct attached *old)
{
	for (__u32 i = 0; i < old->count; i++) {
		autoclose int fd = bpf_prog_get_fd_by_id(old->ids[i]);
		int r = fd < 0 ? fd : bpf_prog_detach2(fd, dirfd, type);

		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

/* The new program is there before the old ones go: every one is asked, so nothing is open between.
 */
static int install(int dirfd, size_t hook, const struct connect_rules *rules, int map)
{
	LIBBPF_OPTS(bpf_prog_load_opts, load, .expected_attach_type = hooks[hook].type);
	LIBBPF_OPTS(bpf_prog_attach_opts, attach, .flags = BPF_F_ALLOW_MULTI);
	autofree struct bpf_insn *insns = NULL;
	autoclose int fd = -1;
	struct attached old;
	size_t count;
	int r = query(dirfd, hooks[hook].type, &old);

	if (r < 0 || !rules->count)
		return r < 0 ? r : detach(dirfd, hooks[hook].type, &old);
	r = connect_compile(rules, hooks[hook].family, map, &insns, &count);
	if (r < 0)
		return r;
	r = fd = bpf_prog_load(
		BPF_PROG_TYPE_CGROUP_SOCK_ADDR, NULL, "Apache-2.0", insns, count, &load);
	if (r >= 0)
		r = bpf_prog_attach_opts(fd, dirfd, hooks[hook].type, &attach);
	return r < 0 ? r : detach(dirfd, hooks[hook].type, &old);
}

/* Processes that are there have their sockets: so before the container's. */
static int install_sockets(int dirfd, bool wanted)
{
	LIBBPF_OPTS(bpf_prog_load_opts, load, .expected_attach_type = BPF_CGROUP_INET_SOCK_CREATE);
	LIBBPF_OPTS(bpf_prog_attach_opts, attach, .flags = BPF_F_ALLOW_MULTI);
	struct bpf_insn insns[CONNECT_SOCKETS_INSNS];
	autoclose int fd = -1;
	struct attached old;
	int r = query(dirfd, BPF_CGROUP_INET_SOCK_CREATE, &old);

	if (r == 0 && wanted)
		r = fd = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK, NULL, "Apache-2.0", insns,
			connect_compile_sockets(insns), &load);
	if (r >= 0 && wanted)
		r = bpf_prog_attach_opts(fd, dirfd, BPF_CGROUP_INET_SOCK_CREATE, &attach);
	return r < 0 ? r : detach(dirfd, BPF_CGROUP_INET_SOCK_CREATE, &old);
}

int connect_policy_attach(
	int dirfd, const struct connect_rules *rules, int *ret_denied, struct err *err)
{
	autoclose int map = -1;
	int r = 0;

	if (rules->count) {
		r = map = bpf_map_create(BPF_MAP_TYPE_RINGBUF, NULL, 0, 0, RING_SIZE, NULL);
		if (r < 0)
			return err_sys(err, r, "the egress policy's log");
	}
	for (size_t i = 0; i < ARRAY_LEN(hooks) && r >= 0; i++)
		r = install(dirfd, i, rules, map);
	if (r >= 0)
		r = install_sockets(dirfd, rules->count > 0);
	if (r == -E2BIG)
		return err_set(
			err, r, "the egress policy has more than %d rules", CONNECT_RULES_MAX);
	if (r < 0)
		return err_sys(err, r, "the egress policy");
	*ret_denied = take_fd(&map);
	return 0;
}

/* ---- what was denied ---- */

struct connect_log {
	struct ring_buffer *ring;
	void (*on_denied)(const struct connect_denied *denied, void *arg);
	void *arg;
};

static int take_report(void *context, void *data, size_t size)
{
	const struct connect_log *log = context;
	const struct connect_report *report = data;
	struct connect_denied denied;

	if (size < sizeof(*report) || !log->on_denied)
		return 0;
	denied = (struct connect_denied){
		.pid = report->pid,
		.protocol = report->protocol,
		.family = (uint8_t)report->family,
		.port = (uint16_t)report->port,
	};
	memcpy(denied.bytes, report->ip, sizeof(denied.bytes));
	memcpy(denied.command, report->command, sizeof(denied.command));
	denied.command[sizeof(denied.command) - 1] = '\0';
	log->on_denied(&denied, log->arg);
	return 0;
}

int connect_denied_open(int map, struct connect_log **ret, struct err *err)
{
	struct connect_log *log = calloc(1, sizeof(*log));

	if (!log)
		return err_sys(err, -ENOMEM, "the egress policy's log");
	log->ring = ring_buffer__new(map, take_report, log, NULL);
	if (!log->ring) {
		int r = -errno;

		free(log);
		return err_sys(err, r, "the egress policy's log");
	}
	*ret = log;
	return 0;
}

int connect_denied_fd(const struct connect_log *log)
{
	return ring_buffer__epoll_fd(log->ring);
}

int connect_denied_read(struct connect_log *log,
	void (*on_denied)(const struct connect_denied *denied, void *arg), void *arg)
{
	int r;

	log->on_denied = on_denied;
	log->arg = arg;
	r = ring_buffer__consume(log->ring);
	return r < 0 ? r : 0;
}

void connect_denied_close(struct connect_log *log)
{
	if (!log)
		return;
	ring_buffer__free(log->ring);
	free(log);
}
