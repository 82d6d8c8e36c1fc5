/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of TOML 1.0 that configuration files are written in, as JSON values: tables, arrays of
 * tables, dotted and quoted keys, basic and literal strings (also multi-line), integers, booleans,
 * arrays and inline tables. Dates and floats are refused. Pure function; any process.
 */
#pragma once

#include "base/err.h"

#include <jansson.h>
#include <stddef.h>

/* NAME stands in front of errors, with the line. The caller ends *RET with json_decref(). */
int toml_parse(const char *name, const char *text, size_t len, json_t **ret, struct err *err);
