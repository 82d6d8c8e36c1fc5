/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages, RFC 1035 and 6891: queries read, answers written. Pure; every byte that comes in is
 * hostile. Any process.
 */
#pragma once

#include "netns/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PACKET_HEADER_LEN = 12,
	PACKET_UDP_MAX = 512, /* without EDNS */
	PACKET_MAX = 65535,
	PACKET_NAME_MAX = 255, /* as text, with its NUL */
};

enum packet_type { PACKET_A = 1, PACKET_PTR = 12, PACKET_AAAA = 28, PACKET_ANY = 255 };
enum packet_code {
	PACKET_NO_ERROR = 0,
	PACKET_FORMAT_ERROR = 1,
	PACKET_SERVER_FAILURE = 2,
	PACKET_NO_SUCH_NAME = 3,
	PACKET_NOT_IMPLEMENTED = 4,
	PACKET_REFUSED = 5,
};

struct packet_query {
	uint16_t id;
	uint16_t flags; /* of the header, as they came */
	/* The labels with dots between; "" is the root. What is no letter of a host name is kept. A
	 * label with a dot or a NUL in it makes PLAIN false: the text is not the name then. */
	char name[PACKET_NAME_MAX + 1];
	bool plain;
	uint16_t type, class;
	size_t question_len; /* bytes behind the header */
	uint16_t udp_size;   /* how much the client takes */
};

/* 0, or what is to be answered: PACKET_FORMAT_ERROR, PACKET_NOT_IMPLEMENTED; −EINVAL: nothing at
 * all (too short, or an answer itself). On an error RET has id and flags. */
int packet_parse(const uint8_t *data, size_t len, struct packet_query *ret);

/* Whether DATA is an answer to QUERY with that id: the same question. */
bool packet_is_answer(
	const uint8_t *data, size_t len, uint16_t id, const uint8_t *query, size_t query_len);

struct packet_answer {
	uint8_t code;                    /* enum packet_code */
	const struct address *addresses; /* of the question's type */
	size_t count;
	const char *pointer; /* of a PTR question; NULL: none */
	uint32_t ttl;        /* seconds */
	bool authoritative;
};

/*
 * The answer to QUERY, whose bytes are DATA, into RET of SIZE bytes; what does not fit in is left
 * out, and the answer marked as cut. Returns its length. SIZE is at least PACKET_UDP_MAX.
 */
size_t packet_write(const struct packet_query *query, const uint8_t *data,
	const struct packet_answer *answer, uint8_t *ret, size_t size);

/* A question for NAME, a normal one (netns/dns/names.h), into RET of PACKET_UDP_MAX bytes. Returns its
 * length. */
size_t packet_write_query(const char *name, uint16_t type, uint16_t id, uint8_t *ret);
/* The addresses in an answer that packet_is_answer(): up to MAX, whichever name of a chain they belong
 * to. Returns their number. */
size_t packet_read_addresses(
	const uint8_t *data, size_t len, struct address *ret, size_t max);

/* The address that a name below in-addr.arpa or ip6.arpa stands for. */
bool packet_reverse(const char *name, struct address *ret);
