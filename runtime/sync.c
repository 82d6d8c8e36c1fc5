/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sync.h"

#include "base/fd.h"

#include <stddef.h>
#include <string.h>

static const char *const names[] = {
	[SYNC_RELAYED] = "relayed",
	[SYNC_INIT_PID] = "init-pid",
	[SYNC_MAPPED] = "mapped",
	[SYNC_HOOKS] = "hooks",
	[SYNC_HOOKS_DONE] = "hooks-done",
	[SYNC_CREATED] = "created",
	[SYNC_START] = "start",
	[SYNC_FAILED] = "failed",
};

static const size_t head_size = offsetof(struct sync_message, err.text);

int sync_send(int sock, enum sync_type type, pid_t pid, struct err *err)
{
	struct sync_message message = {.type = type, .pid = pid};
	int r = fd_send(sock, &message, head_size, NULL, 0);

	return r < 0 ? err_sys(err, r, "send \"%s\" to the other stage", names[type]) : 0;
}

void sync_send_failure(int sock, const struct err *err)
{
	struct sync_message message = {.type = SYNC_FAILED, .err = *err};

	(void)!fd_send(sock, &message, head_size + strlen(message.err.text) + 1, NULL, 0);
}

int sync_recv(int sock, struct sync_message *ret)
{
	ssize_t n = fd_recv(sock, ret, sizeof(*ret), NULL, NULL);

	/* It ended without reading what we sent; its last words come behind that error. */
	if (n == -ECONNRESET)
		n = fd_recv(sock, ret, sizeof(*ret), NULL, NULL);
	if (n == 0)
		return -EPIPE;
	if (n < 0)
		return (int)n;
	if ((size_t)n < head_size || ret->type < SYNC_RELAYED || ret->type > SYNC_FAILED)
		return -EPROTO;
	ret->err.text[(size_t)n > head_size ? (size_t)n - head_size - 1 : 0] = '\0';
	if (ret->type == SYNC_FAILED && ret->err.code >= 0)
		return -EPROTO;
	return 0;
}

int sync_expect(int sock, enum sync_type type, struct sync_message *ret, struct err *err)
{
	struct sync_message message = {};
	int r = sync_recv(sock, &message);

	if (r == -EPIPE)
		return err_set(err, r, "the container's process ended before \"%s\"", names[type]);
	if (r < 0)
		return err_sys(err, r, "wait for \"%s\"", names[type]);
	if (message.type == SYNC_FAILED) {
		*err = message.err;
		return err->code;
	}
	if (message.type != type)
		return err_set(err, -EPROTO,
			"got \"%s\" from the container's process, expected \"%s\"",
			names[message.type], names[type]);
	if (ret)
		*ret = message;
	return 0;
}

int sync_expect_end(int sock, struct err *err)
{
	struct sync_message message = {};
	int r = sync_recv(sock, &message);

	if (r == -EPIPE)
		return 0;
	if (r < 0)
		return err_sys(err, r, "wait for the container's process");
	if (message.type != SYNC_FAILED)
		return err_set(err, -EPROTO, "unexpected \"%s\" from the container's process",
			names[message.type]);
	*err = message.err;
	return err->code;
}
