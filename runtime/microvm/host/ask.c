/* SPDX-License-Identifier: Apache-2.0 */
/* Process: a command's own. */
#include "runtime/microvm/host/ask.h"

#include "base/cleanup.h"
#include "runtime/microvm/host/machine.h"

#include <sys/uio.h>

enum { ANSWER_MS = 30000 };

/* A connection to the monitor, with which the machine's processors run even when it is paused. */
static int keep_awake(const struct container *c, struct err *err)
{
	autoclose int monitor = monitor_connect(c->dirfd, err);
	int r = monitor < 0 ? monitor : monitor_ask(monitor, CONTROL_WAKE, NULL, err);

	return r < 0 ? r : take_fd(&monitor);
}

int ask_agent(const struct container *c, enum proto_type type, const void *payload, size_t len,
	struct link *link, struct link_message *ret, struct err *err)
{
	autoclose int monitor = keep_awake(c, err);
	int r = monitor;

	if (r >= 0)
		r = link->fd = link_connect(c->dirfd, MACHINE_SOCKET, err);
	if (r >= 0)
		r = link_greet(link->fd, PROTO_SESSION, 0, -1, err);
	if (r == 0)
		r = link_send(link, type, &(struct iovec){(void *)(uintptr_t)payload, len}, 1, err);
	if (r == 0)
		r = link_wait(link, ANSWER_MS, ret, err);
	if (r == 0 && ret->type == PROTO_FAILED)
		r = link_failure(&ret->failed, err);
	else if (r == 0 && ret->type != PROTO_DONE)
		r = err_set(err, -EPROTO, "the guest agent says what makes no sense");
	return r < 0 ? err_add(err, "container \"%s\"", c->id) : 0;
}
