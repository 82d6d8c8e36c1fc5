/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The features document: what a runtime understands, for engines (features.md and
 * features-linux.md of the OCI runtime specification).
 *
 * It says what the runtime implements, whatever this host has, as the specification wants it; only
 * the list of supported seccomp flags is the kernel's. The names come from the same tables that the
 * parser uses, so that what is announced is what is accepted.
 */
#pragma once

#include "spec/config.h"

struct spec_features_given {
	bool systemd; /* the program of the systemd driver is installed */
	/* What the seccomp library can compile for and the kernel can do: names of the parser's
	 * tables; others are left out. No architectures: all that are known. */
	struct strings seccomp_archs, seccomp_flags;
	/* About the runtime itself: "org.example.version" → "1.0". */
	struct pairs annotations;
	/* Annotations of a config.json that change how the container is confined, a trailing "."
	 * meaning all that begin with it. */
	struct strings unsafe_annotations;
};

/* The caller owns *RET (json_decref()). −ENOMEM. Any process; a pure function. */
int spec_features_build(const struct spec_features_given *given, json_t **ret, struct err *err);
