/* SPDX-License-Identifier: Apache-2.0 */
/* A state.json from anybody: what is accepted names no other process or driver than it says. */
#include "runtime/container.h"
#include "tests/fuzz/fuzz.h"

static void check(const struct container *c)
{
	REQUIRE(c->bundle && c->rootfs && c->created && c->owner);
	REQUIRE(c->pid >= 0);
	REQUIRE(c->cgroup.driver >= CGROUP_CGROUPFS && c->cgroup.driver <= CGROUP_DISABLED);
	REQUIRE(json_is_object(c->json));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1, .id = strdup("box")};
	autocontainer struct container again = {.dirfd = -1, .pidfd = -1, .id = strdup("box")};
	autobuf struct buf text = {};
	struct err err = {};

	REQUIRE(c.id && again.id);
	if (container_parse_record(&c, (const char *)data, size, &err) < 0) {
		REQUIRE(err.code < 0 && err.text[0]);
		return 0;
	}
	check(&c);
	REQUIRE(json_write(c.json, JSON_COMPACT, &text) == 0);
	REQUIRE(container_parse_record(&again, text.data, text.len, &err) == 0);
	REQUIRE(again.pid == c.pid && again.start_time == c.start_time &&
		again.cgroup.inode == c.cgroup.inode);
	return 0;
}
