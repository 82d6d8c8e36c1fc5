/* SPDX-License-Identifier: Apache-2.0 */
/* A reference: what is taken has one canonical spelling, which means the same again. */
#include "images/reference.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = strndup((const char *)data, size);
	autobuf struct buf first = {}, second = {};
	struct reference ref, again;
	struct err err = {};

	if (reference_parse(text, &ref, &err) < 0 || reference_normalise(&ref, &err) < 0)
		return 0;
	reference_format(&ref, &first);
	REQUIRE(reference_parse(buf_str(&first), &again, &err) == 0);
	REQUIRE(reference_normalise(&again, &err) == 0);
	reference_format(&again, &second);
	REQUIRE(strcmp(buf_str(&first), buf_str(&second)) == 0);
	/* A tag may have dots in a row, but nothing begins with one. */
	REQUIRE(!strstr(buf_str(&first), "/.") && !strstr(buf_str(&first), ":."));
	return 0;
}
