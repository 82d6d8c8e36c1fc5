/* SPDX-License-Identifier: Apache-2.0 */
/* The features of any host: written and read again they are the same document. */
#include "spec/features.h"
#include "tests/fuzz/fuzz.h"

/* Cuts lines out of TEXT; annotations and flags are strings that anybody chose. */
static size_t cut(char *text, const char **items, size_t max)
{
	char *saved = NULL;
	size_t count = 0;

	for (char *line = strtok_r(text, "\n", &saved); line && count < max;
		line = strtok_r(NULL, "\n", &saved))
		items[count++] = line;
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spec_features_host host = {};
	const char *lines[32];
	struct pair pairs[16];
	autojson json_t *json = NULL, *again = NULL;
	autobuf struct buf text = {};
	struct err err = {};
	char *copy;

	if (size < 3)
		return 0;
	copy = malloc(size - 1);
	REQUIRE(copy);
	memcpy(copy, data + 2, size - 2);
	copy[size - 2] = '\0';
	host.last_cap = (int8_t)data[0];
	host.seccomp = data[1] & 1;
	host.cgroup.v2 = data[1] & 2;
	host.memory_policy = data[1] & 4;
	host.intel_rdt.enabled = data[1] & 8;
	host.seccomp_flags = host.seccomp_archs = host.unsafe_annotations =
		(struct strings){lines, cut(copy, lines, 32)};
	for (size_t i = 0; i + 1 < host.unsafe_annotations.count; i += 2)
		pairs[host.annotations.count++] = (struct pair){lines[i], lines[i + 1]};
	host.annotations.items = pairs;
	if (spec_features_build(&host, &json, &err) == 0) {
		REQUIRE(json_write(json, JSON_INDENT(2), &text) == 0);
		REQUIRE(json_parse("f", text.data, text.len, &again, &err) == 0);
		REQUIRE(json_equal(json, again));
	}
	free(copy);
	return 0;
}
