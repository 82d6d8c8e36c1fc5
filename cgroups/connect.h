/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the processes of a cgroup may connect to: --allow-connect and --deny-connect.
 *
 *	connect_rule_parse()    a text, with names resolved by the caller
 *	connect_policy_attach() programs for connect(2), sendto(2) and sendmsg(2) on the cgroup
 *	connect_denied_open()   what was denied, for the process that stays with the container
 *	connect_denied_read()   when its descriptor is readable
 *
 * The kernel asks the programs (BPF_CGROUP_INET{4,6}_CONNECT, BPF_CGROUP_UDP{4,6}_SENDMSG;
 * bpf(2)) in every network namespace and for every kind of image; a process cannot take them off,
 * nor leave them by a cgroup of its own. The policy is that of a firewall: the first rule that fits
 * decides; what none fits is denied if there is an allowing rule, else allowed. Loopback addresses
 * are always allowed. Sockets of IP that these hooks do not see (UDP-Lite, SCTP, ICMP, raw) cannot
 *be made (BPF_CGROUP_INET_SOCK_CREATE). Packet sockets can: with CAP_NET_RAW, which the caller
 *drops. An address of IPv4 within IPv6 (::ffff:0:0/96) counts as IPv4.
 */
#pragma once

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/err.h"

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connect_rule {
	bool allow;
	uint8_t family; /* AF_INET, AF_INET6, 0: any */
	uint8_t prefix;
	uint8_t bytes[16];
	uint16_t first, last; /* ports; 0…65535: any */
};

struct connect_rules {
	struct connect_rule *items;
	size_t count;
};

enum { CONNECT_RULES_MAX = 1000, CONNECT_HOST_MAX = 256 };

/*
 * TEXT is HOST[:PORT[-LAST]]: HOST an address, a prefix ("10.0.0.0/8", "[2001:db8::]/32"), "*" or a
 * name. Of a name RET_HOST gets it (CONNECT_HOST_MAX bytes), and the family is 0: the caller
 * appends one rule for each address that it resolves to. Else RET_HOST is "". −EINVAL. Pure.
 */
int connect_rule_parse(
	const char *text, bool allow, struct connect_rule *ret, char *ret_host, struct err *err);

/*
 * One program of RULES for each hook on the cgroup directory DIRFD; those of a call before are
 * replaced. Call it before the container's process starts. Without rules the programs are removed,
 * and *RET_DENIED is −1; else it is the map that connect_denied_open() wants. Needs CAP_BPF and
 * CAP_NET_ADMIN (or CAP_SYS_ADMIN).
 */
int connect_policy_attach(
	int dirfd, const struct connect_rules *rules, int *ret_denied, struct err *err);

/* One attempt that was denied. */
struct connect_denied {
	uint32_t pid;      /* as the host counts */
	uint32_t protocol; /* IPPROTO_… */
	uint8_t family;
	uint8_t bytes[16];
	uint16_t port;
	char command[16]; /* as in /proc/PID/comm, NUL-terminated */
};

struct connect_log;

/* MAP as connect_policy_attach() returned it, borrowed. */
int connect_denied_open(int map, struct connect_log **ret, struct err *err);
/* To be polled for input. */
int connect_denied_fd(const struct connect_log *log);
/* Hands what has come to ON_DENIED; what comes too fast is lost, oldest last. */
int connect_denied_read(struct connect_log *log,
	void (*on_denied)(const struct connect_denied *denied, void *arg), void *arg);
void connect_denied_close(struct connect_log *log);
