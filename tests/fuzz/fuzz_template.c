/* SPDX-License-Identifier: Apache-2.0 */
/* A template over a value with every kind of member. */
#include "base/json.h"
#include "cli/output/template.h"
#include "tests/fuzz/fuzz.h"

static const char data[] = "{\"A\":{\"B\":[1,2.5,-3],\"C\":\"text\"},\"L\":{\"x\":\"1\",\"y\":"
			   "\"2\"},\"N\":null,\"T\":true,"
			   "\"S\":[\"b\",\"a\"],\"E\":[],\"U\":18446744073709551615}";

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	autobuf struct buf first = {}, second = {};
	autotemplate struct template *template = NULL;
	autojson json_t *value = NULL;
	struct err err = {};
	char *text = malloc(size + 1);
	int r;

	REQUIRE(text);
	memcpy(text, bytes, size);
	text[size] = '\0';
	REQUIRE(json_parse("data", data, sizeof(data) - 1, &value, &err) == 0);
	r = template_parse(text, &template, &err);
	free(text);
	REQUIRE(r == 0 || (r == err.code && err.text[0] && !template));
	if (r < 0)
		return 0;
	r = template_execute(template, value, &first, &err);
	REQUIRE(r == 0 || (r == err.code && err.text[0]));
	/* Nothing is left behind in the tree or the data. */
	REQUIRE(template_execute(template, value, &second, &err) == r);
	REQUIRE(first.len == second.len);
	REQUIRE(first.len == 0 || memcmp(first.data, second.data, first.len) == 0);
	return 0;
}
