/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brig-unpack: does one thing with foreign bytes in a jail and says how it went.
 *
 * Started by images/helper.c with the descriptors of protocol.h and nothing else. Not for people:
 * called by hand it has no socket and says so.
 */
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "images/unpack/deflate.h"
#include "images/unpack/erofs.h"
#include "images/unpack/extract.h"
#include "images/unpack/inflate.h"
#include "images/unpack/jail.h"
#include "images/unpack/pack.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>

JAIL_NEEDS(
	UNPACK_INFLATE | UNPACK_DEFLATE | UNPACK_PACK | UNPACK_REMOVE | UNPACK_EROFS, SYS_sendmsg);
JAIL_NEEDS(UNPACK_REMOVE, SYS_openat);
JAIL_NEEDS(UNPACK_REMOVE, SYS_close);
JAIL_NEEDS(UNPACK_REMOVE, SYS_newfstatat);
JAIL_NEEDS(UNPACK_REMOVE, SYS_fstat);
JAIL_NEEDS(UNPACK_REMOVE, SYS_unlinkat);

static ssize_t read_input(void *context, void *buf, size_t len)
{
	(void)context;
	return sys_read(UNPACK_INPUT, buf, len);
}

static int extract(
	const struct unpack_request *request, int dir, struct unpack_reply *reply, struct err *err)
{
	autotar struct tar *tar = NULL;
	int r = tar_open(read_input, NULL, &tar);

	if (r < 0)
		return err_sys(err, r, "extract");
	return extract_run(tar, dir, UNPACK_CONTROL, request, reply, err);
}

/* The directory's content; it stays itself, since its parent is not ours to change. */
static int empty(int dir, struct err *err)
{
	int r = path_remove_tree(dir, ".");

	/* Removing "." itself is what no file system does: all that is in it is gone then. */
	return r == -EINVAL || r == 0 ? 0 : err_sys(err, r, "remove files");
}

static int run(
	const struct unpack_request *request, int dir, struct unpack_reply *reply, struct err *err)
{
	switch (request->role) {
	case UNPACK_INFLATE:
		return inflate_run(UNPACK_INPUT, UNPACK_OUTPUT, &request->limits, err);
	case UNPACK_DEFLATE:
		return deflate_run(UNPACK_INPUT, UNPACK_OUTPUT, err);
	case UNPACK_EXTRACT:
		return extract(request, dir, reply, err);
	case UNPACK_PACK:
		return pack_run(dir, UNPACK_OUTPUT, request, reply, err);
	case UNPACK_EROFS:
		return erofs_run(dir, UNPACK_OUTPUT, request, reply, err);
	case UNPACK_REMOVE:
		return empty(dir, err);
	default:
		return err_set(err, -EPROTO, "no such role");
	}
}

int main(void)
{
	struct unpack_request request;
	struct unpack_reply reply = {.message = UNPACK_REPLY};
	struct err err = {};
	int dir = -1, r;
	size_t nfds = 1;
	ssize_t n;

	n = fd_recv(UNPACK_CONTROL, &request, sizeof(request), &dir, &nfds);
	if (n != sizeof(request)) {
		fprintf(stderr, "brig-unpack is a part of brig and not for running by hand\n");
		return 1;
	}
	request.name[sizeof(request.name) - 1] = request.as[sizeof(request.as) - 1] = '\0';
	r = unpack_jail_enter(&request, nfds ? dir : -1, &err);
	if (r == 0)
		r = run(&request, dir, &reply, &err);
	if (r < 0) {
		reply.error = err;
		reply.error.code = r;
	}
	fd_send(UNPACK_CONTROL, &reply, sizeof(reply), NULL, 0);
	_exit(r < 0);
}
