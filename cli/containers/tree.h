/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying files and folders by descriptor: nothing is looked up by more than one name at a time, no
 * symbolic link is followed, so a container that changes its files meanwhile cannot lead anywhere.
 */
#pragma once

#include "base/err.h"
#include "images/store.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct tree_options {
	bool keep_owner;
	uid_t uid; /* else everything is theirs */
	gid_t gid;
	/* Maps of containers where it comes from and where it goes (cli/containers/idmaps.h):
	 * owners are the container's ids. NULL: none. */
	const struct store_ids *from, *to;
};

/* Copies NAME of FROM, whatever it is, as TO_NAME into TO. A folder that is there already is
 * filled; anything else is replaced. */
int tree_copy(int from, const char *name, int to, const char *to_name,
	const struct tree_options *options, struct err *err);
/* Gives DIRFD/NAME (or DIRFD with "") the owner that a copy of ST has. */
int tree_set_owner(
	const struct tree_options *options, int dirfd, const char *name, const struct stat *st);
/* Copies what is in the folder FROM into the folder TO. */
int tree_copy_content(int from, int to, const struct tree_options *options, struct err *err);
