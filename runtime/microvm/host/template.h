/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates: machines that were saved when their agent was ready and before they had a container,
 * so that the next ones need not boot.
 *
 * One belongs to everything that a boot depends on: kernel, agent, monitor, command line, size,
 * number of interfaces, the host's processor and kernel. It is made by the first start that wants
 * it, while the others wait, and kept in the cache (host/kernel.h) until it is removed.
 */
#pragma once

#include "runtime/microvm/host/machine.h"

/* On whose account a template is made: it is not the container's. */
struct template_maker {
	int procfd;
	pid_t creator;
};

/* Opens the template for a machine of OPTIONS, having it made when there is none; the descriptors
 * of RET are the caller's to close. The attendant, as root. */
int template_open(const struct machine_options *options, const struct template_maker *maker,
	struct machine_files *ret, struct err *err);
/* The guest of a template knows its interfaces by these addresses. */
void template_setup(struct proto_setup *setup);
