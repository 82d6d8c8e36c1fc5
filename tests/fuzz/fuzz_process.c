/* SPDX-License-Identifier: Apache-2.0 */
/* The process of an exec, as a file. */
#include "spec/config.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spec_process *process = NULL;
	autoarena struct arena arena = {};
	autojson json_t *json = NULL;
	struct err err = {};

	if (spec_process_parse("f", (const char *)data, size, &arena, &json, &process, &err) < 0) {
		REQUIRE(!process && !json && err.text[0]);
		return 0;
	}
	REQUIRE(process->cwd[0] == '/' && process->args.count && process->args.items[0][0]);
	if (process->capabilities)
		REQUIRE(!(process->capabilities->ambient & ~process->capabilities->permitted));
	for (size_t i = 0; i < process->rlimits.count; i++)
		REQUIRE(process->rlimits.items[i].soft <= process->rlimits.items[i].hard);
	return 0;
}
