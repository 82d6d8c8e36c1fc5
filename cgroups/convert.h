/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the specification's resources, which are named after cgroup v1, to the files of cgroup v2.
 * Pure: what depends on the present content of files is passed in. Private to cgroups/.
 *
 * Documentation: runtime-spec config-linux.md and the kernel's admin-guide/cgroup-v2.rst.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "spec/config.h"

#include <stdbool.h>
#include <stdint.h>

enum convert_flags {
	CONVERT_OPTIONAL = 1 << 0, /* a kernel without the file does not know the limit either */
	CONVERT_EITHER = 1 << 1, /* it and the next one: at least one of the files must be there */
};

/* One write(2) of VALUE to FILE. */
struct convert_write {
	unsigned int controller; /* enum cgroup_controller, 0 when the file's name tells of none */
	const char *field;       /* of the specification, "memory.limit" */
	const char *file, *value;
	unsigned int flags;
};

struct convert_writes {
	struct convert_write *items;
	size_t count;
	unsigned int controllers; /* of all of them */
};

/* What an update finds. All zero: a new cgroup. */
struct convert_now {
	struct opt_u64 memory_max; /* UINT64_MAX: "max" */
	struct opt_u64 swap_max;
	const char *cpu_max;      /* "max 100000", or NULL */
	struct opt_u64 cpu_burst; /* microseconds */
};

/*
 * Everything that RESOURCES sets but the devices, in the order in which to write it. RET's memory
 * is from ARENA. −EINVAL for values that contradict each other, −EOPNOTSUPP for what cgroup v2
 * cannot do; both name the field.
 */
int convert_resources(const struct spec_resources *resources, const struct convert_now *now,
	struct arena *arena, struct convert_writes *ret, struct err *err);

/*
 * The same as properties of a systemd unit ("MemoryMax" → "t 1024"), appended to PROPERTIES, as far
 * as systemd has one. Call after convert_resources() has accepted RESOURCES. −ENOMEM, −EINVAL.
 */
int convert_properties(const struct spec_resources *resources, const struct convert_now *now,
	struct arena *arena, struct pairs *properties, struct err *err);

/*
 * cpu.shares (2…262144, default 1024) to cpu.weight (1…10000, default 100) along a curve through
 * both ends and both defaults: a container with the default shares gets the default weight and so
 * as much as its neighbours that are no containers. The straight line used earlier gave it 39.
 */
uint64_t convert_shares(uint64_t shares);
/* blkio.weight (10…1000) to io.weight (1…10000), a straight line. */
uint64_t convert_io_weight(uint32_t weight);
