/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The features document: what a runtime understands, for engines (features.md and
 * features-linux.md of the OCI runtime specification).
 *
 * The names come from the same tables that the parser uses, so that what is announced is what is
 * accepted. What only the runtime or the host can tell is given in.
 */
#pragma once

#include "spec/config.h"

struct spec_features_host {
	int last_cap; /* the kernel's highest capability; see /proc/sys/kernel/cap_last_cap */
	struct {
		bool v1, v2, systemd, systemd_user, rdma;
	} cgroup;
	bool seccomp;
	/* What the seccomp library can compile for and the kernel can do: names of the parser's
	 * tables; others are left out. No architectures: all that are known. */
	struct strings seccomp_archs, seccomp_flags;
	bool apparmor, selinux;
	struct {
		bool enabled, schemata, monitoring;
	} intel_rdt;
	bool memory_policy, net_devices, idmap;
	/* About the runtime itself: "org.example.version" → "1.0". */
	struct pairs annotations;
	/* Annotations of a config.json that change how the container is confined, a trailing "."
	 * meaning all that begin with it. */
	struct strings unsafe_annotations;
};

/* The caller owns *RET (json_decref()). −ENOMEM. Any process; a pure function. */
int spec_features_build(const struct spec_features_host *host, json_t **ret, struct err *err);
