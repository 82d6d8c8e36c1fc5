/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Properties of systemd units as text: "TYPE VALUE", TYPE being the bus's signature.
 *
 *	b true | i −5 | u 5 | x −5 | t 5 | y 5 | s TEXT | as TEXT TEXT … | ay HEX
 *
 * In TEXT a byte that is not printable ASCII, a space or a backslash is \xNN, so that a value is
 *one line of words; \e alone is an empty element of an array. Private to cgroups/.
 */
#pragma once

#include "base/arena.h"
#include "base/json.h"

#include <stdint.h>

/* Appends NAME → VALUE, replacing an earlier NAME. ROOM is the array's; −ENOMEM when VALUE is NULL
 * or memory runs out. */
int property_add(
	struct pairs *properties, const char *name, const char *value, struct arena *arena);

/* TEXT with its bytes escaped, NULL when memory runs out. Pure. */
char *property_escape(struct arena *arena, const char *text, size_t len);

/* A list like "0-3,7" as a bit mask in hexadecimal, least byte first ("8f"); −EINVAL. Pure. */
int property_cpu_mask(struct arena *arena, const char *list, char **ret);

/*
 * A value in GVariant's text format (an annotation's) as "TYPE VALUE": booleans, integers with or
 * without a type's name ("uint64 5", a bare one is an int32), strings in single or double quotes,
 * arrays of strings. −EINVAL for anything else. With SECONDS the value is a number of seconds,
 * fractions allowed, and becomes a "t" of microseconds. Pure.
 */
int property_parse(struct arena *arena, const char *text, bool seconds, const char **ret);
