/* SPDX-License-Identifier: Apache-2.0 */
/* Between connect.c, which is pure, and connect_attach.c. */
#pragma once

#include "cgroups/connect.h"

/* What a program writes into the ring for each attempt that it denies. */
struct connect_report {
	uint32_t pid, protocol, family, port;
	uint32_t ip[4]; /* of IPv4 the first, in the order of the network */
	char command[16];
};

/*
 * The program of RULES for addresses of FAMILY (AF_INET, AF_INET6); denied attempts go to the ring
 * buffer MAP. *RET is the caller's to free. −E2BIG, −ENOMEM.
 */
int connect_compile(const struct connect_rules *rules, int family, int map, struct bpf_insn **ret,
	size_t *ret_count);

/* The program for new sockets: what the hooks above do not see cannot be had. RET holds
 * CONNECT_SOCKETS_INSNS; returns their number. */
enum { CONNECT_SOCKETS_INSNS = 16 };
size_t connect_compile_sockets(struct bpf_insn *ret);
