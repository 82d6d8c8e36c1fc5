/* SPDX-License-Identifier: Apache-2.0 */
/* The features with any names: written and read again they are the same document. */
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
	struct spec_features_given given = {};
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
	given.systemd = data[1] & 1;
	given.seccomp_flags = given.seccomp_archs = given.unsafe_annotations =
		(struct strings){lines, cut(copy, lines, 32)};
	for (size_t i = 0; i + 1 < given.unsafe_annotations.count; i += 2)
		pairs[given.annotations.count++] = (struct pair){lines[i], lines[i + 1]};
	given.annotations.items = pairs;
	if (spec_features_build(&given, &json, &err) == 0) {
		REQUIRE(json_write(json, JSON_INDENT(2), &text) == 0);
		REQUIRE(json_parse("f", text.data, text.len, &again, &err) == 0);
		REQUIRE(json_equal(json, again));
	}
	free(copy);
	return 0;
}
