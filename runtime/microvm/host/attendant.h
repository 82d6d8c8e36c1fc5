/* SPDX-License-Identifier: Apache-2.0 */
/* The two processes of the host that stand for one of the guest; see runtime/backend.h. */
#pragma once

#include "runtime/backend.h"

_Noreturn void attendant_main(const struct launch *launch);
_Noreturn void attendant_exec_main(const struct backend_exec *exec);

/* The plan of CONFIG with this host's number of processors. */
struct vm_plan;
int attendant_plan(const struct spec_config *config, struct arena *arena, struct vm_plan *ret,
	struct err *err);
