/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/address.h"

#include "base/parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

int address_parse(const char *text, struct address *ret)
{
	struct address a = {};

	if (inet_pton(AF_INET, text, a.bytes) == 1)
		a.family = AF_INET;
	else if (inet_pton(AF_INET6, text, a.bytes) == 1)
		a.family = AF_INET6;
	else
		return -EINVAL;
	a.prefix = address_bits(&a);
	*ret = a;
	return 0;
}

int address_parse_prefix(const char *text, struct address *ret)
{
	const char *slash = strchr(text, '/');
	char alone[ADDRESS_TEXT_MAX];
	struct address a;
	uint32_t prefix;
	int r;

	if (!slash || slash - text >= (ptrdiff_t)sizeof(alone))
		return -EINVAL;
	memcpy(alone, text, (size_t)(slash - text));
	alone[slash - text] = '\0';
	r = address_parse(alone, &a);
	if (r < 0 || parse_u32(slash + 1, &prefix) < 0 || prefix > address_bits(&a))
		return -EINVAL;
	a.prefix = (uint8_t)prefix;
	*ret = a;
	return 0;
}

const char *address_format(const struct address *address, char *ret)
{
	*ret = '\0';
	if (address->family)
		inet_ntop(address->family, address->bytes, ret, ADDRESS_TEXT_MAX);
	return ret;
}

const char *address_format_prefix(const struct address *address, char *ret)
{
	size_t len;

	address_format(address, ret);
	len = strlen(ret);
	if (len)
		snprintf(ret + len, ADDRESS_TEXT_MAX - len, "/%u", address->prefix);
	return ret;
}

size_t address_len(const struct address *address)
{
	return address->family == AF_INET6 ? 16 : 4;
}

uint8_t address_bits(const struct address *address)
{
	return address->family == AF_INET6 ? 128 : 32;
}

bool address_equal(const struct address *a, const struct address *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, address_len(a)) == 0;
}

int address_compare(const struct address *a, const struct address *b)
{
	if (a->family != b->family)
		return a->family == AF_INET ? -1 : 1;
	return memcmp(a->bytes, b->bytes, address_len(a));
}

/* Bit I, counted from the front, belongs to the prefix of LEN bits: its byte's mask. */
static uint8_t mask_of(size_t byte, uint8_t prefix)
{
	size_t bits = prefix > byte * 8 ? prefix - byte * 8 : 0;

	return bits >= 8 ? 0xff : (uint8_t)(0xff00 >> bits);
}

struct address address_first(const struct address *network)
{
	struct address a = *network;

	for (size_t i = 0; i < address_len(&a); i++)
		a.bytes[i] &= mask_of(i, a.prefix);
	return a;
}

struct address address_last(const struct address *network)
{
	struct address a = *network;

	for (size_t i = 0; i < address_len(&a); i++)
		a.bytes[i] |= (uint8_t)~mask_of(i, a.prefix);
	return a;
}

bool address_in(const struct address *address, const struct address *network)
{
	struct address a = *address, n = address_first(network);

	if (!a.family || a.family != n.family)
		return false;
	a.prefix = n.prefix;
	a = address_first(&a);
	return address_equal(&a, &n);
}

bool address_overlap(const struct address *a, const struct address *b)
{
	return a->prefix <= b->prefix ? address_in(b, a) : address_in(a, b);
}

bool address_add(struct address *address, uint64_t n)
{
	uint8_t bytes[16];
	size_t len = address_len(address);

	memcpy(bytes, address->bytes, sizeof(bytes));
	for (size_t i = len; i-- > 0 && n > 0;) {
		uint64_t sum = bytes[i] + (n & 0xff);

		bytes[i] = (uint8_t)sum;
		n = (n >> 8) + (sum >> 8);
	}
	if (n > 0)
		return false;
	memcpy(address->bytes, bytes, sizeof(bytes));
	return true;
}

bool address_is_loopback(const struct address *address)
{
	static const uint8_t one[16] = {[15] = 1};

	if (address->family == AF_INET)
		return address->bytes[0] == 127;
	return address->family == AF_INET6 && memcmp(address->bytes, one, sizeof(one)) == 0;
}

bool address_is_any(const struct address *address)
{
	static const uint8_t zero[16];

	return memcmp(address->bytes, zero, address_len(address)) == 0;
}

int mac_parse(const char *text, uint8_t ret[MAC_LEN])
{
	static const uint8_t zero[MAC_LEN];
	uint8_t mac[MAC_LEN];

	if (strlen(text) != MAC_TEXT_MAX - 1)
		return -EINVAL;
	for (size_t i = 0; i < MAC_LEN; i++) {
		static const char digits[] = "0123456789abcdef";
		unsigned int value = 0;

		for (size_t k = 0; k < 2; k++) {
			char c = text[3 * i + k];
			const char *digit =
				strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);

			if (!c || !digit)
				return -EINVAL;
			value = value * 16 + (unsigned int)(digit - digits);
		}
		if (i + 1 < MAC_LEN && text[3 * i + 2] != ':' && text[3 * i + 2] != '-')
			return -EINVAL;
		mac[i] = (uint8_t)value;
	}
	if ((mac[0] & 1) || memcmp(mac, zero, sizeof(zero)) == 0)
		return -EINVAL;
	memcpy(ret, mac, sizeof(mac));
	return 0;
}

const char *mac_format(const uint8_t mac[MAC_LEN], char ret[MAC_TEXT_MAX])
{
	snprintf(ret, MAC_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
		mac[4], mac[5]);
	return ret;
}
