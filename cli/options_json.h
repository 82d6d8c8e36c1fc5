/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the options of a table were, as a JSON object and back: so that what a person asked for can
 * be kept and asked for again. The keys are the options' names; what has its zero value is left
 * out. Pure functions.
 */
#pragma once

#include "cli/options.h"

/* The values that TABLE describes in the struct at SOURCE. OPTION_CUSTOM members are left out.
 * −ENOMEM; the caller owns *RET. */
int options_to_json(const struct option *table, const void *source, json_t **ret, struct err *err);

/* Fills the zeroed struct at DEST. Strings are borrowed from VALUE, lists are from ARENA. −EINVAL
 * names the key that has another type than its option; unknown keys are ignored. */
int options_from_json(const struct option *table, const json_t *value, struct arena *arena,
	void *dest, struct err *err);
