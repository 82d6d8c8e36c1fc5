/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration that `spec` writes for a person to start from: few capabilities, no new
 * privileges, every namespace, masked kernel files.
 */
#pragma once

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

struct spec_default_options {
	/* For somebody who is not root: a user namespace in which UID and GID are root, the host's
	 * network (making links needs privilege) and therefore the host's /sys, no limits. */
	bool rootless;
	uid_t uid;
	gid_t gid;
};

/* The caller owns *RET (json_decref()). −ENOMEM. Any process; a pure function. */
int spec_default_build(const struct spec_default_options *options, json_t **ret, struct err *err);
