/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the name server gives up before it reads the first packet: identity, capabilities, files but
 * for its names and the host's resolv.conf, and every system call that it does not need.
 */
#pragma once

#include "base/err.h"

/* DIR (−1: none) may be read, and /etc and /run as far as anybody may. Every step is fatal. */
int dns_jail_enter(int dir, struct err *err);
/* The last step, in the process that serves: the parent, which starts it anew, needs other calls.
 */
int dns_jail_filter(struct err *err);
