/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one tree that a container's guest sees of the host: the rootfs and every bind mount, side by
 * side as "rootfs", "0", "1", … on a file system of their own, so that one file server has them
 * all.
 */
#pragma once

#include "runtime/backend.h"

/*
 * Builds it from the detached mounts SOURCES of PLAN and attaches it over the directory PLACE, in
 * the caller's own mount namespace. Returns its descriptor. −EINVAL names a mount that cannot be
 * shared: a device or socket of the host. The attendant.
 */
int files_build(
	const struct plan *plan, const struct mount_sources *sources, int place, struct err *err);
