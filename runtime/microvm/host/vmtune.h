/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What annotations say about the virtual machine of a container, beyond what the configuration has
 * fields for: org.brig.vm.…, see docs/annotations.md. Pure.
 */
#pragma once

#include "runtime/backend.h"

struct vm_tuning {
	const char *kernel;     /* an imported kernel's name, or a path; NULL: not said */
	uint32_t memory_mib;    /* the machine is made with so much, to grow into; 0: not said */
	bool huge_pages;        /* guest memory is of the host's pool of huge pages */
	bool nested;            /* it may have virtual machines of its own */
	uint64_t receive, send; /* bytes per second of each network interface; 0: no limit */
};

/* −EINVAL with the annotation's name. Texts are borrowed from CONFIG. */
int vm_tune(const struct spec_config *config, struct vm_tuning *ret, struct err *err);
