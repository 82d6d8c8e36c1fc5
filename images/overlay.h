/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlay mounts from descriptors, on every kernel from 6.1 on.
 *
 * A kernel of 6.7 takes the layers one by one, as many as there are ("lowerdir+", fsconfig(2)), and
 * one of 6.13 takes them as descriptors. What is older knows only mount(2) and its one page of
 * text: there a child in a mount namespace of its own attaches every layer under a number
 * ("0:1:2:…"), mounts, and hands the mount over. Kernels are asked, not compared by their version.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct overlay {
	const int *lowers; /* O_PATH descriptors, topmost first; borrowed */
	size_t count;
	int userns;     /* the lower layers' ids are shifted into this user namespace; −1: not */
	int top;        /* directory that has "upper" and "work"; −1: mounted read-only */
	bool volatile_; /* "volatile": no syncing */
};

/*
 * A detached mount for move_mount(2), the caller's. Needs CAP_SYS_ADMIN over the mount namespace
 * that all descriptors were opened in. May start a process and wait for it.
 */
int overlay_mount(const struct overlay *overlay, struct err *err);

/* ---- for images/overlay.c alone ---- */

/* A detached clone of the mount and directory of FD, its ids shifted into USERNS unless −1. */
int overlay_clone(int fd, int userns, struct err *err);
/* overlay_mount() by mount(2), in a child. */
int overlay_mount_by_text(const struct overlay *overlay, struct err *err);
