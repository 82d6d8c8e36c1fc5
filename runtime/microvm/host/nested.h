/* SPDX-License-Identifier: Apache-2.0 */
/* Guests that may have guests. */
#pragma once

#include "base/err.h"

/*
 * The kernel module that the guest needs for it, by what KVM lets guests see of this processor.
 * KVM is /dev/kvm. −ENOTSUP, with what to do, when that is nothing. The attendant.
 */
int nested_driver(int kvm, const char **ret, struct err *err);
