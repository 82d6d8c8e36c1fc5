/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of the OCI runtime specification and the kernel's numbers for them.
 *
 * The parse tables and the features document are both made from these, so that what is announced
 * is what is understood. Each table ends with a NULL name. Constant data; any process.
 */
#pragma once

#include "base/json.h"

#include <stddef.h>

#define SPEC_VERSION_MIN "1.0.0"
#define SPEC_VERSION_MAX "1.3.0"

extern const struct json_name spec_capability_names[];   /* "CAP_CHOWN" → 1 << CAP_CHOWN */
extern const struct json_name spec_namespace_names[];    /* → CLONE_NEW… */
extern const struct json_name spec_rlimit_names[];       /* → RLIMIT_… */
extern const struct json_name spec_sched_policy_names[]; /* → SCHED_… */
extern const struct json_name spec_sched_flag_names[];   /* → SCHED_FLAG_… */
extern const struct json_name spec_ioprio_class_names[]; /* → IOPRIO_CLASS_… */
extern const struct json_name spec_propagation_names[];  /* → MS_…, MS_REC for the r… words */
extern const struct json_name spec_mpol_mode_names[];    /* → MPOL_… */
extern const struct json_name spec_mpol_flag_names[];    /* → MPOL_F_… */
extern const struct json_name spec_personality_names[];  /* → PER_… */
extern const struct json_name spec_seccomp_action_names[]; /* → enum spec_seccomp_action */
extern const struct json_name spec_seccomp_op_names[];     /* → enum spec_seccomp_op */
extern const struct json_name spec_seccomp_arch_names[]; /* → SCMP_ARCH_…, as audit(7) has it */
extern const struct json_name spec_seccomp_flag_names[]; /* → SECCOMP_FILTER_FLAG_… */
extern const struct json_name spec_isolation_names[];    /* → enum spec_isolation */
extern const struct json_name spec_vm_format_names[];    /* → enum spec_vm_format */

/* The name of the annotation number INDEX that is understood, or NULL behind the last one. One that
 * ends with a dot is a prefix. */
const char *spec_known_annotation(size_t index);
