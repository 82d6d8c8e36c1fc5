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

/*
 * Attaches the detached mount SOURCE in TREE as NAME, a directory or a file as it is one. WRITABLE
 * is the same folder, where that may be made. WHAT stands in errors, which are those of
 * files_build(). Leaves nothing on failure but an empty place.
 */
int files_add(
	int writable, int tree, int source, const char *name, const char *what, struct err *err);
