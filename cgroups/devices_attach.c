/* SPDX-License-Identifier: Apache-2.0 */
/* The device filter of a cgroup: bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE. */
#include "base/cleanup.h"
#include "base/sys.h"
#include "cgroups/cgroup.h"
#include "cgroups/devices.h"

#include <bpf/bpf.h>
#include <string.h>

enum { ATTACHED_MAX = 64 }; /* the kernel's BPF_CGROUP_MAX_PROGS */

/* Not by libbpf, which would load another program first to see how the kernel counts memory. No
 * helper is called, so the kernel asks for no licence of its own. */
static int load(const struct devices_program *program)
{
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.expected_attach_type = BPF_CGROUP_DEVICE,
		.insns = (uint64_t)(uintptr_t)program->insns,
		.insn_cnt = (uint32_t)program->count,
		.license = (uint64_t)(uintptr_t) "Apache-2.0",
	};

	return sys_bpf(BPF_PROG_LOAD, &attr, sizeof(attr));
}

/* Removes the programs IDS. One that is gone meanwhile is what was wanted. */
static int detach(int dirfd, const __u32 *ids, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		autoclose int fd = bpf_prog_get_fd_by_id(ids[i]);
		int r = fd < 0 ? fd : bpf_prog_detach2(fd, dirfd, BPF_CGROUP_DEVICE);

		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

/*
 * One program is replaced in a single step. Where there are more, the new one is added before they
 * go: the kernel asks all of them, so that nothing is open in between.
 */
static int attach(int dirfd, int fd, const __u32 *ids, unsigned int count)
{
	LIBBPF_OPTS(bpf_prog_attach_opts, opts, .flags = BPF_F_ALLOW_MULTI);
	autoclose int old = -1;
	int r;

	if (count == 1) {
		old = bpf_prog_get_fd_by_id(ids[0]);
		if (old < 0)
			return old;
		opts.flags |= BPF_F_REPLACE;
		opts.replace_prog_fd = old;
	}
	r = bpf_prog_attach_opts(fd, dirfd, BPF_CGROUP_DEVICE, &opts);
	return r < 0 || count <= 1 ? r : detach(dirfd, ids, count);
}

/* NONE: nothing can be attached yet. */
static int install(int dirfd, bool none, const struct devices_program *program)
{
	__u32 ids[ATTACHED_MAX], count = none ? 0 : ATTACHED_MAX, flags = 0;
	autoclose int fd = -1;
	int r = none ? 0 : bpf_prog_query(dirfd, BPF_CGROUP_DEVICE, 0, &flags, ids, &count);

	if (r < 0)
		return r;
	if (!program->insns)
		return detach(dirfd, ids, count);
	fd = load(program);
	return fd < 0 ? fd : attach(dirfd, fd, ids, count);
}

int cgroup_apply_devices(struct cgroup *cgroup, const struct spec_resources *resources,
	bool defaults, struct err *err)
{
	autofree struct bpf_insn *insns = NULL;
	struct devices_program program = {};
	size_t bad = 0;
	int r;

	if (cgroup->driver == CGROUP_DISABLED)
		return 0;
	r = devices_compile(resources ? resources->devices.items : NULL,
		resources ? resources->devices.count : 0, defaults, &program, &bad);
	insns = program.insns;
	if (r == -EINVAL)
		return err_set(
			err, r, "linux.resources.devices[%zu]: no device has such numbers", bad);
	if (r >= 0)
		r = install(cgroup->dirfd, cgroup->no_filter, &program);
	cgroup->no_filter = false;
	return r < 0 ? err_sys(err, r, "set the device filter of cgroup %s", cgroup->path) : 0;
}
