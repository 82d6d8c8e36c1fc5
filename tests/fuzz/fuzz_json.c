/* SPDX-License-Identifier: Apache-2.0 */
/* What the quick reader of JSON accepts is what jansson reads, and the same value. */
#include "base/json.h"
#include "base/json_read.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autojson json_t *quick = json_read_plain((const char *)data, size), *value = NULL;

	if (!quick)
		return 0;
	value = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	REQUIRE(value);
	REQUIRE(json_equal(quick, value));
	return 0;
}
