/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/dns/packet.h"

#include "base/parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	LABEL_MAX = 63,
	FLAG_ANSWER = 0x8000,
	FLAG_OPCODE = 0x7800,
	FLAG_AUTHORITATIVE = 0x0400,
	FLAG_CUT = 0x0200,
	FLAG_RECURSE = 0x0100,
	FLAG_CAN_RECURSE = 0x0080,
	CLASS_IN = 1,
	TYPE_OPT = 41,
	POINTER_TO_QUESTION = 0xc000 | PACKET_HEADER_LEN,
	RECORD_FIXED = 12, /* pointer, type, class, ttl, length */
	OPT_LEN = 11,
	UDP_SIZE_OURS = 1232, /* RFC 9715 */
};

static uint16_t get16(const uint8_t *data)
{
	return (uint16_t)(data[0] << 8 | data[1]);
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* ---- reading ---- */

/* The name at *POS, which has no compression in a query. Moves *POS behind it. */
static bool take_name(const uint8_t *data, size_t len, size_t *pos, struct packet_query *ret)
{
	size_t at = *pos, out = 0, begin = at;

	ret->plain = true;
	for (;;) {
		size_t label;

		if (at >= len)
			return false;
		label = data[at++];
		if (label == 0)
			break;
		if (label > LABEL_MAX || label > len - at || at + label - begin >= PACKET_NAME_MAX)
			return false;
		if (out)
			ret->name[out++] = '.';
		for (size_t i = 0; i < label; i++) {
			char c = (char)data[at + i];

			ret->plain &= c != '.' && c != '\0';
			ret->name[out++] = c;
		}
		at += label;
	}
	ret->name[out] = '\0';
	*pos = at;
	return true;
}

/* EDNS: the one additional record of a query that matters. Others are passed over. */
static bool take_additional(const uint8_t *data, size_t len, size_t pos, struct packet_query *ret)
{
	if (len - pos < OPT_LEN || data[pos] != 0 || get16(data + pos + 1) != TYPE_OPT)
		return false;
	ret->udp_size = get16(data + pos + 3);
	if (ret->udp_size < PACKET_UDP_MAX)
		ret->udp_size = PACKET_UDP_MAX;
	return true;
}

int packet_parse(const uint8_t *data, size_t len, struct packet_query *ret)
{
	size_t pos = PACKET_HEADER_LEN;

	if (len < PACKET_HEADER_LEN || (data[2] & 0x80))
		return -EINVAL;
	*ret = (struct packet_query){
		.id = get16(data),
		.flags = get16(data + 2),
		.udp_size = PACKET_UDP_MAX,
	};
	if (ret->flags & FLAG_OPCODE)
		return PACKET_NOT_IMPLEMENTED;
	if (get16(data + 4) != 1 || get16(data + 6) != 0 || get16(data + 8) != 0)
		return PACKET_FORMAT_ERROR;
	if (!take_name(data, len, &pos, ret) || len - pos < 4)
		return PACKET_FORMAT_ERROR;
	ret->type = get16(data + pos);
	ret->class = get16(data + pos + 2);
	pos += 4;
	ret->question_len = pos - PACKET_HEADER_LEN;
	if (get16(data + 10) > 0)
		take_additional(data, len, pos, ret);
	return 0;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

bool packet_is_answer(
	const uint8_t *data, size_t len, uint16_t id, const uint8_t *query, size_t query_len)
{
	struct packet_query q;

	if (packet_parse(query, query_len, &q) != 0)
		return false;
	if (len < PACKET_HEADER_LEN || get16(data) != id || !(data[2] & 0x80))
		return false;
	/* A server that could not read the question may leave it out. */
	if (get16(data + 4) == 0)
		return (data[3] & 0x0f) != PACKET_NO_ERROR;
	if (get16(data + 4) != 1 || len - PACKET_HEADER_LEN < q.question_len)
		return false;
	for (size_t i = PACKET_HEADER_LEN; i < PACKET_HEADER_LEN + q.question_len; i++)
		if (lower(data[i]) != lower(query[i]))
			return false;
	return true;
}

/* ---- writing ---- */

struct writing {
	uint8_t *data;
	size_t len, size;
	uint16_t answers;
	bool cut;
};

static uint8_t *begin_record(struct writing *w, uint16_t type, uint32_t ttl, size_t len)
{
	uint8_t *at = w->data + w->len;

	if (w->size - w->len < RECORD_FIXED + len) {
		w->cut = true;
		return NULL;
	}
	put16(at, POINTER_TO_QUESTION);
	put16(at + 2, type);
	put16(at + 4, CLASS_IN);
	put16(at + 6, ttl >> 16);
	put16(at + 8, ttl & 0xffff);
	put16(at + 10, (uint32_t)len);
	w->len += RECORD_FIXED + len;
	w->answers++;
	return at + RECORD_FIXED;
}

static void add_address(struct writing *w, const struct address *a, uint32_t ttl)
{
	uint8_t *at =
		begin_record(w, a->family == AF_INET ? PACKET_A : PACKET_AAAA, ttl, address_len(a));

	if (at)
		memcpy(at, a->bytes, address_len(a));
}

/* NAME is a normal one: netns/dns/names.h. Takes its length and two bytes. */
static void put_name(uint8_t *at, const char *name)
{
	for (;;) {
		size_t label = strcspn(name, ".");

		*at++ = (uint8_t)label;
		memcpy(at, name, label);
		at += label;
		name += label;
		if (!*name++)
			break;
	}
	*at = 0;
}

static void add_pointer(struct writing *w, const char *name, uint32_t ttl)
{
	uint8_t *at = begin_record(w, PACKET_PTR, ttl, strlen(name) + 2);

	if (at)
		put_name(at, name);
}

size_t packet_write(const struct packet_query *query, const uint8_t *data,
	const struct packet_answer *answer, uint8_t *ret, size_t size)
{
	bool edns = query->udp_size > PACKET_UDP_MAX;
	struct writing w = {
		.data = ret,
		.len = PACKET_HEADER_LEN + query->question_len,
		.size = size - (edns ? OPT_LEN : 0),
	};
	uint16_t flags = FLAG_ANSWER | FLAG_CAN_RECURSE | answer->code;

	memset(ret, 0, PACKET_HEADER_LEN);
	memcpy(ret + PACKET_HEADER_LEN, data + PACKET_HEADER_LEN, query->question_len);
	for (size_t i = 0; i < answer->count && !w.cut; i++)
		add_address(&w, &answer->addresses[i], answer->ttl);
	if (answer->pointer)
		add_pointer(&w, answer->pointer, answer->ttl);
	flags |= query->flags & (FLAG_RECURSE | FLAG_OPCODE);
	flags |= answer->authoritative ? FLAG_AUTHORITATIVE : 0;
	flags |= w.cut ? FLAG_CUT : 0;
	put16(ret, query->id);
	put16(ret + 2, flags);
	put16(ret + 4, query->question_len > 0);
	put16(ret + 6, w.answers);
	if (edns) {
		static const uint8_t opt[OPT_LEN] = {
			0, 0, TYPE_OPT, UDP_SIZE_OURS >> 8, UDP_SIZE_OURS & 0xff};

		memcpy(ret + w.len, opt, sizeof(opt));
		put16(ret + 10, 1);
		w.len += OPT_LEN;
	}
	return w.len;
}

size_t packet_write_query(const char *name, uint16_t type, uint16_t id, uint8_t *ret)
{
	size_t len = PACKET_HEADER_LEN + strlen(name) + 2;

	memset(ret, 0, PACKET_HEADER_LEN);
	put16(ret, id);
	put16(ret + 2, FLAG_RECURSE);
	put16(ret + 4, 1);
	put_name(ret + PACKET_HEADER_LEN, name);
	put16(ret + len, type);
	put16(ret + len + 2, CLASS_IN);
	return len + 4;
}

/* Behind the name at POS, which may end in a pointer; LEN when there is no end. */
static size_t skip_name(const uint8_t *data, size_t len, size_t pos)
{
	while (pos < len) {
		uint8_t label = data[pos];

		if (label == 0)
			return pos + 1;
		if ((label & 0xc0) == 0xc0)
			return len - pos < 2 ? len : pos + 2;
		if (label > LABEL_MAX || len - pos <= label)
			break;
		pos += 1 + (size_t)label;
	}
	return len;
}

size_t packet_read_addresses(const uint8_t *data, size_t len, struct address *ret, size_t max)
{
	enum { FIXED = 10 }; /* type, class, ttl, length */
	size_t pos = PACKET_HEADER_LEN, count = 0;
	unsigned int questions, answers;

	if (len < PACKET_HEADER_LEN)
		return 0;
	questions = get16(data + 4);
	answers = get16(data + 6);
	for (; questions > 0 && pos < len; questions--)
		pos = skip_name(data, len, pos) + 4;
	for (; answers > 0 && pos < len && count < max; answers--) {
		struct address a = {};
		size_t size;

		pos = skip_name(data, len, pos);
		if (pos > len || len - pos < FIXED)
			break;
		size = get16(data + pos + 8);
		if (size > len - pos - FIXED)
			break;
		if (get16(data + pos) == PACKET_A && size == 4)
			a.family = AF_INET;
		else if (get16(data + pos) == PACKET_AAAA && size == 16)
			a.family = AF_INET6;
		if (a.family) {
			memcpy(a.bytes, data + pos + FIXED, size);
			a.prefix = address_bits(&a);
			ret[count++] = a;
		}
		pos += FIXED + size;
	}
	return count;
}

/* ---- reverse names ---- */

/* Four numbers, the last first. */
static bool reverse4(const char *name, struct address *ret)
{
	unsigned int n[4];
	int end = 0;
	char text[ADDRESS_TEXT_MAX];

	if (strspn(name, "0123456789.") != strlen(name) ||
		sscanf(name, "%3u.%3u.%3u.%3u%n", &n[3], &n[2], &n[1], &n[0], &end) != 4 ||
		name[end])
		return false;
	snprintf(text, sizeof(text), "%u.%u.%u.%u", n[0], n[1], n[2], n[3]);
	return address_parse(text, ret) == 0;
}

/* 32 digits, the last first. */
static bool reverse6(const char *name, struct address *ret)
{
	static const char digits[] = "0123456789abcdef";
	struct address a = {.family = AF_INET6, .prefix = 128};

	if (strlen(name) != 63)
		return false;
	for (size_t i = 0; i < 32; i++) {
		char c = (char)lower((uint8_t)name[2 * i]);
		const char *digit = c ? strchr(digits, c) : NULL;

		if (!digit || (i < 31 && name[2 * i + 1] != '.'))
			return false;
		a.bytes[15 - i / 2] |= (uint8_t)((digit - digits) << (i % 2 ? 4 : 0));
	}
	*ret = a;
	return true;
}

bool packet_reverse(const char *name, struct address *ret)
{
	static const char v4[] = ".in-addr.arpa", v6[] = ".ip6.arpa";
	size_t len = strlen(name);
	char front[PACKET_NAME_MAX + 1], tail[sizeof(v4)];
	bool is4 = len > sizeof(v4) - 1, is6 = len > sizeof(v6) - 1;

	for (int i = 0; i < 2; i++) {
		const char *suffix = i ? v6 : v4;
		size_t n = strlen(suffix);

		if (!(i ? is6 : is4) || len > PACKET_NAME_MAX)
			continue;
		for (size_t k = 0; k <= n; k++)
			tail[k] = (char)lower((uint8_t)name[len - n + k]);
		if (strcmp(tail, suffix) != 0)
			continue;
		memcpy(front, name, len - n);
		front[len - n] = '\0';
		return i ? reverse6(front, ret) : reverse4(front, ret);
	}
	return false;
}
