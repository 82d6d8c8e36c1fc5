/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device rules as a program for the kernel's BPF_PROG_TYPE_CGROUP_DEVICE. Private to cgroups/.
 *
 * What a rule means: each kind of access that is asked for (read, write, mknod) is decided by the
 * last rule that matches type, numbers and that kind; without one it is denied. A request passes
 * when all its kinds do.
 */
#pragma once

#include "spec/config.h"

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

struct devices_program {
	struct bpf_insn *insns; /* NULL: everything is allowed, so no program is needed */
	size_t count;
};

/* The rules of devices that every container may use, and how many there are. */
extern const struct spec_device_rule devices_default_rules[];
extern const size_t devices_default_count;

/*
 * Compiles COUNT rules, then the default ones when DEFAULTS. RET->insns is for free(). −EINVAL for
 * a number that no device can have (RET_BAD gets the rule's index), −E2BIG, −ENOMEM. Pure.
 */
int devices_compile(const struct spec_device_rule *rules, size_t count, bool defaults,
	struct devices_program *ret, size_t *ret_bad);
