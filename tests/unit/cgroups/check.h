/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of this folder share. */
#pragma once

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Calls FUNCTION with a struct err behind its arguments; it must succeed. */
#define ok(function, ...)                                           \
	({                                                          \
		struct err ok_err = {};                             \
		int ok_result = function(__VA_ARGS__, &ok_err);     \
		if (ok_result < 0)                                  \
			fail_msg("%s: %s", #function, ok_err.text); \
		ok_result;                                          \
	})

/* FUNCTION must fail with CODE and a sentence that has TEXT in it. */
#define refused(code, words, function, ...)                                       \
	do {                                                                      \
		struct err refused_err = {};                                      \
		int refused_result = function(__VA_ARGS__, &refused_err);         \
		assert_int_equal(refused_result, code);                           \
		if (!strstr(refused_err.text, words))                             \
			fail_msg("no \"%s\" in \"%s\"", words, refused_err.text); \
	} while (0)
