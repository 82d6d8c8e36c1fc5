/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan of a container that is a virtual machine: every decision, taken before anything is done.
 *
 * Pure: from the configuration and a few facts of the host it decides the size of the machine, what
 * the host's cgroup gets, which part of the configuration is the host's and which the guest's, and
 * refuses what a virtual machine cannot honour, naming the field.
 */
#pragma once

#include "runtime/microvm/host/vmtune.h"

enum {
	VM_MEMORY_DEFAULT_MIB = 512, /* without a limit */
	VM_MEMORY_MIN_MIB = 96,
	VM_VCPUS_MAX = 8, /* without a number that is asked for */
};

enum { VM_GROUPS_MAX = 8 };

/* A group of the host's IOMMU: /dev/vfio/N among linux.devices. */
struct vm_group {
	const char *path;
	int64_t major, minor;
};

struct vm_plan {
	uint32_t vcpus, memory_mib;
	uint32_t needed_mib; /* of .memory_mib; the rest is there to grow into */
	struct vm_tuning tuning;
	const char *kernel;       /* a path or an imported one's name; NULL: kernel_find()'s */
	const char *command_line; /* what is added to it, "" or " word word" */
	struct {
		struct vm_group items[VM_GROUPS_MAX];
		size_t count;
	} groups; /* whose devices the machine gets */
	/* Bytes for VMM, file server, attendant, and what describes the pages to grow into. */
	uint64_t overhead;
};

/* CPUS: how many the host has. Memory from ARENA. −EINVAL, −ENOTSUP with the field's name. */
int vm_plan_make(const struct spec_config *config, unsigned int cpus, struct arena *arena,
	struct vm_plan *ret, struct err *err);

/* Bytes that RESOURCES (may be NULL) allow of memory; 0 without a limit. */
uint64_t vm_plan_memory_limit(const struct spec_resources *resources);
/* MiB of a machine whose container has LIMIT bytes. */
uint64_t vm_plan_needed(uint64_t limit);

/* What stays with the host: see struct backend. */
int vm_plan_host(const struct spec_config *config, const struct vm_plan *plan, struct arena *arena,
	struct spec_config *ret, struct err *err);

/* The host's part of RESOURCES (of a configuration or of an update): with the overhead on top, and
 * nothing that only the guest can count. MEMORY_MIB: the machine's. */
int vm_plan_resources(const struct spec_resources *resources, const struct vm_plan *plan,
	struct arena *arena, struct spec_resources *ret, struct err *err);

/* "/dev/vfio/3", a GROUP, or the node that all groups share. */
bool vm_plan_is_vfio(const struct spec_device *device, bool *ret_group);
/* Whether the host makes MOUNT, and shares it. */
bool vm_plan_is_hosts(const struct spec_mount *mount);

/* The guest's configuration; the caller owns it. The host's file N of the plan's mounts is at
 * GUEST_FILES/N there; the root at GUEST_FILES/rootfs, or made of LAYERS disks. NULL without
 * memory. */
json_t *vm_plan_guest(const struct spec_config *config, size_t layers);
/* The same for MOUNTS ({"mounts": […]}) of a container that runs, which are CONFIG's mounts; their
 * first file of the host is number FIRST. */
json_t *vm_plan_guest_mounts(const struct spec_config *config, const json_t *mounts, size_t first);
/* The guest's part of PROCESS, as an engine gives it to exec. The caller owns it. NULL without
 * memory. */
json_t *vm_plan_guest_process(const json_t *process);
/* The guest's part of an update. */
json_t *vm_plan_guest_resources(const struct spec_resources *resources);
