/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one VM is made of: the whole input of brig-vmm, as a JSON text on its standard input.
 *
 * Every file, socket and tap is a descriptor that brig-vmm inherits under the number that the plan
 * names, so the VMM opens nothing but /dev/kvm, and that only where no descriptor of it was given.
 * The plan comes from the runtime, never from the guest or an image.
 */
#pragma once

#include "base/json.h"

enum { PLAN_DEVICES_MAX = 16, PLAN_VFIO_MAX = 8 };

/* At most so much per second; 0: no limit. */
struct plan_limit {
	uint64_t bytes, operations;
};

struct plan_vsock_port {
	uint32_t port;
	int32_t fd; /* a connected stream socket */
};

struct plan_vsock {
	uint32_t cid;
	struct opt_u32 listener; /* a listening unix stream socket */
	struct {
		struct plan_vsock_port *items;
		size_t count;
	} ports;
};

struct plan_block {
	int32_t fd; /* a regular file or block device, raw */
	bool read_only;
	const char *serial; /* at most 20 bytes */
	struct plan_limit *limit;
};

struct plan_net {
	int32_t tap; /* IFF_TAP | IFF_NO_PI | IFF_VNET_HDR */
	const char *mac;
	uint32_t mtu;
	struct plan_limit *receive, *send;
};

struct plan_pmem {
	int32_t fd; /* a regular file, whole pages of 2 MiB */
	bool read_only;
};

struct plan_filesystem {
	const char *tag;
	int32_t socket; /* to the file server */
};

struct plan_console {
	int32_t in, out;
};

struct plan_vfio_device {
	const char *address; /* "0000:03:00.0" */
	int32_t group;       /* of its IOMMU group */
};

struct plan_vfio {
	int32_t container; /* /dev/vfio/vfio, fresh */
	struct {
		struct plan_vfio_device *items;
		size_t count;
	} devices;
};

/* The jail is always there; without this the VMM keeps its user and group in it. */
struct plan_jail {
	uint32_t uid, gid;
};

/* Of a machine with the same parts as the plan's; instead of a kernel. */
struct plan_restore {
	int32_t state, memory; /* regular files, as CONTROL_SAVE made them */
};

struct plan {
	uint32_t vcpus;      /* 0: 1 */
	uint32_t memory_mib; /* 0: 256 */
	bool nested;         /* the guest sees the processor's virtualisation, where KVM has it */
	bool huge_pages;     /* from the host's pool of 2 MiB pages */
	const char *command_line;
	int32_t kernel; /* only without .restore */
	struct plan_restore *restore;
	struct opt_u32 kvm, initramfs, serial;
	struct opt_u32 control, control_listener; /* SEQPACKET; see vmm/control.h */
	bool rng, balloon;
	struct plan_vsock *vsock;
	struct plan_console *console;
	struct plan_jail *jail;
	struct plan_vfio *vfio;
	struct {
		struct plan_block *items;
		size_t count;
	} blocks;
	struct {
		struct plan_net *items;
		size_t count;
	} nets;
	struct {
		struct plan_pmem *items;
		size_t count;
	} pmems;
	struct {
		struct plan_filesystem *items;
		size_t count;
	} filesystems;
};

/* Decodes and checks VALUE. Strings are borrowed from it, arrays are in ARENA. */
int plan_decode(const json_t *value, struct arena *arena, struct plan *ret, struct err *err);
