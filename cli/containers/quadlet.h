/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of the Quadlet form (NAME.container, NAME.volume, NAME.network: what podman-systemd.unit(5)
 * describes) as units of systemd that call brig.
 *
 *   web.container   web.service           brig run in the foreground, made anew at each start
 *   data.volume     data-volume.service   makes the volume "systemd-data"
 *   ours.network    ours-network.service  makes the network "systemd-ours"
 *
 * A container that has a volume or network by its file ("Volume=data.volume:/data") gets it by its
 * name, and its unit needs that one's. Sections [Unit], [Service] and [Install] are handed on as
 * they are, those that begin with "X-" left out. A key that is not known is an error with its line.
 * Pure, but for the caller's lookup.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

struct quadlet_request {
	const char *path; /* of the file, absolute; its name says what it is */
	char *text;       /* of the file; is changed, and has to stay as long as RET */
	const char *brig; /* how ExecStart= calls brig: words, quoted */
	/* The text of the file NAME in the same folder, from ARENA: for what a container names.
	 * −ENOENT. */
	int (*sibling)(void *context, const char *name, struct arena *arena, char **ret);
	void *context;
};

struct quadlet {
	const char *unit;                               /* "web.service" */
	struct strings wanted_by, required_by, aliases; /* of [Install] */
};

/* The unit's text is appended to OUT, everything else of RET from ARENA. −EINVAL. */
int quadlet_translate(const struct quadlet_request *request, struct arena *arena, struct buf *out,
	struct quadlet *ret, struct err *err);
