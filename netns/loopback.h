/* SPDX-License-Identifier: Apache-2.0 */
/* The one link that every new network namespace has. */
#pragma once

#include "base/err.h"

/* Sets "lo" up in the caller's network namespace; netdevice(7). Needs CAP_NET_ADMIN there.
 * Its socket is left to exec. */
int netns_raise_loopback(struct err *err);
