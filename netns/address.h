/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Internet addresses and prefixes as values: read, written, compared and counted. Pure; any
 * process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* An address with the length of its network's prefix, in the order of the network. */
struct address {
	uint8_t family; /* AF_INET, AF_INET6, or 0: none */
	uint8_t prefix; /* bits; of an address alone 32 or 128 */
	uint8_t bytes[16];
};

enum { ADDRESS_TEXT_MAX = 64, MAC_LEN = 6, MAC_TEXT_MAX = 18 };

/* "192.0.2.1", "2001:db8::1": no prefix, no zone. −EINVAL. */
int address_parse(const char *text, struct address *ret);
/* "192.0.2.1/24": the host's bits are kept. A prefix is asked for. −EINVAL. */
int address_parse_prefix(const char *text, struct address *ret);
/* To RET, ADDRESS_TEXT_MAX bytes, without or with "/PREFIX"; "" for none. Returns RET. */
const char *address_format(const struct address *address, char *ret);
const char *address_format_prefix(const struct address *address, char *ret);

size_t address_len(const struct address *address);   /* 4 or 16 bytes */
uint8_t address_bits(const struct address *address); /* 32 or 128 */

/* The same address, whatever the prefixes. */
bool address_equal(const struct address *a, const struct address *b);
/* In the order of their numbers, IPv4 first: below, at or above 0. */
int address_compare(const struct address *a, const struct address *b);
/* Whether ADDRESS is one of NETWORK's. */
bool address_in(const struct address *address, const struct address *network);
bool address_overlap(const struct address *a, const struct address *b);

/* NETWORK's first address, with its prefix: the bits of the host are zero. */
struct address address_first(const struct address *network);
/* NETWORK's last address: in IPv4 that of a broadcast. */
struct address address_last(const struct address *network);
/* ADDRESS plus N; false when that is more than there is. The prefix is kept. */
bool address_add(struct address *address, uint64_t n);
bool address_is_loopback(const struct address *address);
bool address_is_any(const struct address *address);

/* "02:42:ac:11:00:02". −EINVAL, also for a multicast address and for zero. */
int mac_parse(const char *text, uint8_t ret[MAC_LEN]);
const char *mac_format(const uint8_t mac[MAC_LEN], char ret[MAC_TEXT_MAX]);
