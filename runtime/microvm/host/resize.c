/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/host/resize.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/microvm/host/monitor.h"

enum { TRIES = 200, PAUSE_MS = 50, PAGES_PER_MIB = 256 };

int resize_machine(int dirfd, uint32_t size_mib, uint32_t mib, bool *ret_done, struct err *err)
{
	const uint64_t balloon = size_mib > mib ? size_mib - mib : 0;
	autoclose int monitor = monitor_connect(dirfd, err);
	struct control_reply reply = {};
	int r = monitor < 0 ? monitor : monitor_set(monitor, CONTROL_BALLOON, balloon, err);
	bool done = false;

	for (int i = 0; i < TRIES && r == 0 && !done; i++) {
		if (i)
			sys_poll(NULL, 0, PAUSE_MS);
		r = monitor_ask(monitor, CONTROL_STATS, &reply, err);
		done = reply.stats.balloon_pages >= balloon * PAGES_PER_MIB;
	}
	if (r == 0)
		*ret_done = done;
	return r;
}
