/* SPDX-License-Identifier: Apache-2.0 */
/* The resources of an update, as a file. */
#include "spec/config.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spec_resources *resources = NULL;
	autoarena struct arena arena = {};
	autojson json_t *json = NULL;
	struct err err = {};

	if (spec_resources_parse("f", (const char *)data, size, &arena, &json, &resources, &err) <
		0) {
		REQUIRE(!resources && !json && err.text[0]);
		return 0;
	}
	for (size_t i = 0; i < resources->devices.count; i++) {
		const struct spec_device_rule *rule = &resources->devices.items[i];

		REQUIRE(strchr("abc", rule->type) && rule->access && rule->access <= 7);
		REQUIRE(rule->major >= -1 && rule->minor >= -1);
	}
	for (size_t i = 0; i < resources->unified.count; i++)
		REQUIRE(!strchr(resources->unified.items[i].key, '/'));
	return 0;
}
