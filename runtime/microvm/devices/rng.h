/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-rng (virtio 1.2, section 5.4): random bytes of the host's kernel. */
#pragma once

#include "runtime/microvm/devices/device.h"

enum { RNG_CHAIN_MAX = 4096 }; /* bytes for one request, so that a large one cannot stall others */

struct rng {
	struct device device;
};

void rng_init(struct rng *rng, const struct guest_memory *memory);
