/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test includes last: cmocka, which wants these three in front. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
