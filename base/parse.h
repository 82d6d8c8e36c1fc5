/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict numbers and signals from text: no white space, no sign where none belongs, no trailing
 * bytes, no overflow. −EINVAL or −ERANGE; outputs are untouched on failure. Any process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int parse_u32(const char *text, uint32_t *ret); /* decimal */
int parse_u64(const char *text, uint64_t *ret); /* decimal */
int parse_i64(const char *text, int64_t *ret);  /* decimal, a leading '-' allowed */
/* Bytes with an optional binary suffix k, m, g, t (any case, then optional b or ib): "64m". */
int parse_size(const char *text, uint64_t *ret);
/* "9", "KILL", "SIGKILL", "rtmin+3", any case; 1…64. */
int parse_signal(const char *text, int *ret);
/* "KILL" for 9, or NULL; see signal(7). */
const char *parse_signal_name(int sig);
bool parse_has_prefix(const char *text, const char *prefix, const char **ret_rest);
