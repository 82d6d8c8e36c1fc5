/* SPDX-License-Identifier: Apache-2.0 */
/* The words among a mount's options that do not belong to a file system; see mount(8). */
#pragma once

#include "spec/config.h"

enum spec_word_kind {
	SPEC_WORD_ATTR, /* sets .set, after clearing .clear, on the mount or (r…) its tree */
	SPEC_WORD_SUPERBLOCK,  /* for the superblock, by the same name; .set and .clear as above */
	SPEC_WORD_PROPAGATION, /* .set is MS_…, with MS_REC for the r… words */
	SPEC_WORD_EXTRA,       /* .set is enum spec_mount_extra */
	SPEC_WORD_DATA,        /* of mount(8), and yet handed to the file system as it is */
	SPEC_WORD_NOTHING,     /* the default, or meaningless with the kernel's mount API */
};

struct spec_mount_word {
	const char *name;
	enum spec_word_kind kind;
	bool recursive;
	uint64_t set, clear;
};

/* Sorted by name, ends with a NULL name. */
extern const struct spec_mount_word spec_mount_words[];
