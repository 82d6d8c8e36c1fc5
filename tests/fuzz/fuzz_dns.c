/* SPDX-License-Identifier: Apache-2.0 */
/* A packet as a query and as an answer: nothing is read beyond it, and what is written is an answer
 * to it. */
#include "base/cleanup.h"
#include "netns/dns/names.h"
#include "netns/dns/packet.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree uint8_t *copy = malloc(size + 1), *out = malloc(PACKET_UDP_MAX);
	struct address list[8] = {}, reverse;
	struct packet_answer answer = {
		.addresses = list, .count = 8, .pointer = "a.name.of-some.length"};
	char name[NAMES_NAME_MAX + 1];
	struct packet_query q;
	size_t len;

	if (!copy || !out)
		return 0;
	for (size_t i = 0; i < 8; i++)
		list[i].family = i % 2 ? AF_INET : AF_INET6;
	memcpy(copy, data, size);
	REQUIRE(packet_read_addresses(copy, size, list, 8) <= 8);
	if (packet_parse(copy, size, &q) != 0)
		return 0;
	packet_reverse(q.name, &reverse);
	if (q.plain && names_normalize(q.name, name))
		REQUIRE(!strchr(name, '/') && *name != '.' && !strstr(name, ".."));
	len = packet_write(&q, copy, &answer, out, PACKET_UDP_MAX);
	REQUIRE(len <= PACKET_UDP_MAX);
	REQUIRE(packet_is_answer(out, len, q.id, copy, size));
	return 0;
}
