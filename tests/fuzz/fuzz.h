/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fuzz target is one file with this function. With -Dfuzz=true (clang) it is linked with
 * libFuzzer, which makes up inputs; otherwise with replay.c, which reads the stored ones.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A broken promise: ends the process, as the sanitizers do. */
#define REQUIRE(condition)        \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)
