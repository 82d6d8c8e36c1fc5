/* SPDX-License-Identifier: Apache-2.0 */
/* What brig-vmm is told: a plan that is taken keeps what plan.h promises. */
#include "base/arena.h"
#include "runtime/microvm/plan.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autojson json_t *value = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	struct arena arena = {};
	struct plan plan;
	struct err err = {};

	if (!value)
		return 0;
	if (plan_decode(value, &arena, &plan, &err) == 0) {
		REQUIRE(plan.vcpus && plan.memory_mib && plan.command_line);
		REQUIRE(plan.blocks.count + plan.nets.count + plan.pmems.count +
				plan.filesystems.count <=
			PLAN_DEVICES_MAX);
		for (size_t i = 0; i < plan.nets.count; i++)
			REQUIRE(plan.nets.items[i].mac);
		for (size_t i = 0; i < plan.filesystems.count; i++)
			REQUIRE(plan.filesystems.items[i].tag);
	} else {
		REQUIRE(err.code < 0 && *err.text);
	}
	arena_free(&arena);
	return 0;
}
