/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that says anything: a message that is taken keeps what link.h promises. */
#include "runtime/microvm/host/link.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct link link;
	struct link_message m;
	int r;

	if (size > sizeof(link.buffer))
		return 0;
	link = (struct link){.fd = -1, .len = size};
	memcpy(link.buffer, data, size);
	while ((r = link_next(&link, &m)) > 0) {
		if (m.type == PROTO_FAILED) {
			REQUIRE(m.failed.error < 0);
			for (const char *p = m.failed.text; *p; p++)
				REQUIRE(*p >= 0x20 && *p < 0x7f);
		}
		if (m.type == PROTO_DONE)
			REQUIRE(m.data >= link.buffer && m.data + m.len <= link.buffer + link.len);
	}
	REQUIRE(r == 0 || r == -EPROTO);
	return 0;
}
