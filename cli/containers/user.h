/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who a container's process is: USER[:GROUP] by name or number, looked up in the image's own
 * /etc/passwd and /etc/group, which are walked to beneath its root and read as hostile text.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct user {
	uint32_t uid, gid;
	uint32_t *groups; /* supplementary, from /etc/group and --group-add */
	size_t group_count;
	const char *home; /* of the passwd entry; "/" without one */
};

struct strings;

/*
 * Resolves TEXT (NULL or "": root) and the groups of EXTRA (names or numbers). PASSWD and GROUP are
 * the files' text. RET is from ARENA. −ENOENT "unable to find user …". Pure.
 */
int user_resolve(const char *text, const struct strings *extra, const char *passwd,
	const char *group, struct arena *arena, struct user *ret, struct err *err);

/* The same with the files of the root file system ROOTFD; missing ones are empty. */
int user_find(int rootfd, const char *text, const struct strings *extra, struct arena *arena,
	struct user *ret, struct err *err);
/* The same for the root file system ROOTFD of the process PIDFD, as root of its user namespace:
 * FUSE lets nobody else look. Single-threaded processes only. */
int user_find_inside(int pidfd, int rootfd, const char *text, const struct strings *extra,
	struct arena *arena, struct user *ret, struct err *err);
