/* SPDX-License-Identifier: Apache-2.0 */
/* What is bound, opened under another identity than init's. */
#pragma once

#include "runtime/mounts.h"

/* Parent, before the clone, when plan.request.sources.enter is set: what is bound, as init is going
 * to inherit it, opened in a child that has called it. RET has no rootfs. On error nothing stays
 * open. */
int parent_open_sources(
	const struct plan *plan, int procfd, struct mount_sources *ret, struct err *err);
