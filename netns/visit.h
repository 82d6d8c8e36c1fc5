/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work in other namespaces by a process of its own, which ends with it. Whoever made a user
 * namespace may enter it, but could not come back, and inside has no say over the others that he
 * made: so the caller stays outside, where he has a say over all of them, and gets descriptors.
 *
 * A single-threaded process.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>

enum { VISIT_FDS_MAX = 16 };

/* What the work brings back. */
struct visit_fds {
	int items[VISIT_FDS_MAX];
	size_t count;
};

typedef int (*visit_work)(void *arg, struct visit_fds *ret, struct err *err);

/* Calls WORK in the namespaces of the two descriptors and passes on what it returns. What it
 * writes to ARG stays there; the descriptors are the caller's. */
int visit(
	int userns, int netns, visit_work work, void *arg, struct visit_fds *ret, struct err *err);
void visit_close(struct visit_fds *fds);
/* Work: a netlink socket of the namespace. ARG is not looked at. */
int visit_netlink(void *arg, struct visit_fds *ret, struct err *err);
