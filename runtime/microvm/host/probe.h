/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether this host runs virtual machines: found out by running one of a few instructions, since a
 * /dev/kvm may be there that does not, or that only emulates, as nested hosts have.
 */
#pragma once

#include "base/err.h"

/* 0, or an error of one line that says why not. Takes some milliseconds. Any process. */
int kvm_probe(struct err *err);
