/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parse tables of the configuration, by area, for the files of this folder only.
 *
 * What concerns one object alone is checked where the object is decoded (the table's finish
 * function, which knows the place); what concerns several is in spec/validate.c.
 */
#pragma once

#include "base/json.h"
#include "spec/config.h"

extern const struct json_table spec_process_table;   /* struct spec_process */
extern const struct json_table spec_mount_table;     /* struct spec_mount */
extern const struct json_table spec_mapping_table;   /* struct spec_id_mapping */
extern const struct json_table spec_hooks_table;     /* struct spec_hooks */
extern const struct json_table spec_linux_table;     /* struct spec_linux */
extern const struct json_table spec_resources_table; /* struct spec_resources */
extern const struct json_table spec_seccomp_table;   /* struct spec_seccomp */
extern const struct json_table spec_vm_table;        /* struct spec_vm */

/* Rules across objects. −EINVAL with a sentence that names the member. */
int spec_validate(const struct spec_config *config, struct err *err);

/* Whether the configuration, a valid one, is of version 1.MINOR of the specification or later. */
bool spec_is_since(const struct spec_config *config, uint32_t minor);

/* The values of the annotations whose meaning runtimes share. */
int spec_check_annotations(const struct pairs *annotations, struct err *err);

/* Ranges of MAPPINGS: sizes, limits and overlaps, as user_namespaces(7) wants them; KEY is what
 * the list is called in the object at CTX. */
int spec_check_mappings(
	const struct spec_id_mappings *mappings, const char *key, const struct json_context *ctx);
/* A list of CPUs or nodes, "0-3,7": cpuset(7), list format. */
bool spec_is_list(const char *text);
/* The finish function of a struct spec_memory_policy. */
int spec_check_memory_policy(void *out, const struct json_context *ctx);
