/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What brig and brig-unpack say to each other over a SOCK_SEQPACKET socket. Both come from one
 * build, so these are plain structs.
 *
 *   message         from         descriptors
 *   unpack_request  brig         the directory (extract, pack, erofs, remove), once, first
 *   unpack_need     brig-unpack  –; only extract, when directories were implied
 *   unpack_lowers   brig         the directory of all layers
 *   unpack_reply    brig-unpack  –; once, last
 *
 * brig trusts no number or text in a reply beyond showing it.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* The descriptors of brig-unpack. */
enum { UNPACK_INPUT = 0, UNPACK_OUTPUT = 1, UNPACK_STDERR = 2, UNPACK_CONTROL = 3 };

enum unpack_role {
	UNPACK_INFLATE = 1 << 0, /* compressed bytes → bytes */
	UNPACK_EXTRACT = 1 << 1, /* tar → directory */
	UNPACK_PACK = 1 << 2,    /* directory → tar */
	UNPACK_REMOVE = 1 << 3,  /* empties the directory */
	UNPACK_DEFLATE = 1 << 4, /* bytes → gzip */
	UNPACK_EROFS = 1 << 5,   /* directory → file system image */
};

struct unpack_limits {
	uint64_t bytes;   /* of file content, or of inflated output */
	uint64_t ratio;   /* inflated bytes for each compressed one */
	uint64_t entries; /* of a tar */
	uint32_t depth;   /* components of a path */
	uint32_t seconds; /* of processor time */
};

enum unpack_format {
	UNPACK_LAYER = 1, /* overlay's whiteouts in the directory, .wh. names in the tar */
	/* Names are only names. The directory may have something in it already, and others may
	 * change it meanwhile: no folder is removed, and the directory itself stays as it is. */
	UNPACK_PLAIN,
};

enum { UNPACK_NAME_SIZE = 256 };

struct unpack_request {
	uint32_t role;
	uint32_t format;
	bool devices;    /* make device nodes; otherwise they are counted and skipped */
	bool owned;      /* extract: all belongs to who is root, whatever the archive says */
	bool single_uid; /* ownership into user.containers.override_stat */
	bool isolated;   /* brig made the namespaces: a failure to enter the empty root is fatal */
	struct unpack_limits limits;
	/* pack, UNPACK_PLAIN: only this entry of the directory ("." is itself), under this name;
	 * "": all that is in it. */
	char name[UNPACK_NAME_SIZE], as[UNPACK_NAME_SIZE];
};

enum unpack_message { UNPACK_NEED_LOWERS = 1, UNPACK_REPLY };

struct unpack_need {
	uint32_t message;
};

enum { UNPACK_CHAINS_MAX = 500 };

struct unpack_lowers {
	uint32_t count;
	char chains[UNPACK_CHAINS_MAX][68]; /* hexadecimal, topmost first */
};

struct unpack_reply {
	uint32_t message;
	uint64_t entries, bytes, skipped_devices;
	struct err error;
};
