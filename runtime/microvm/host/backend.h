/* SPDX-License-Identifier: Apache-2.0 */
/* Containers that are virtual machines; see runtime/backend.h. For cli/, which composes. */
#pragma once

struct backend;
extern const struct backend microvm_backend;
