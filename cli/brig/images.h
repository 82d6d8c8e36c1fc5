/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs about images, volumes, secrets and the machine, and what they share.
 *
 * Registries are talked to by brig-registry (images/remote/remote.h): remote_request() gathers what
 * it has to know (where to ask, with which credentials, trusting which authority), remote_call()
 * runs it and shows its progress. images_pull() is the whole of a pull, for `run` and `create` too.
 */
#pragma once

#include "cli/brig/brig.h"
#include "cli/output/list.h"
#include "images/image.h"

#include <unistd.h>

/* ---- remote.c ---- */

struct remote_flags {
	struct opt_bool tls_verify;
	const char *authfile, *cert_dir, *creds;
};
/* The rows of an option table for a member .remote of STRUCT_. */
#define REMOTE_OPTIONS(struct_)                                                               \
	{"tls-verify", 0, OPTION_OPT_FLAG, OPTION_AT(struct_, remote.tls_verify),             \
		.help = "require https and a trusted certificate; =false for neither"},       \
		{"authfile", 0, OPTION_TEXT, OPTION_AT(struct_, remote.authfile),             \
			.argument = "FILE", .help = "take credentials from FILE"},            \
		{"creds", 0, OPTION_TEXT, OPTION_AT(struct_, remote.creds),                   \
			.argument = "USER[:PASSWORD]", .help = "use these credentials"},      \
	{                                                                                     \
		"cert-dir", 0, OPTION_TEXT, OPTION_AT(struct_, remote.cert_dir),              \
			.argument = "DIR",                                                    \
			.help = "trust the authorities in DIR (*.crt), show its certificate " \
				"(*.cert, *.key)"                                             \
	}

/* The request OP about REFERENCE (with a registry). ALL: its mirrors too, in order; else only the
 * registry itself. The caller owns *RET. */
int remote_request(struct brig *b, const char *op, const struct reference *reference,
	const struct remote_flags *flags, bool all, json_t **ret, struct err *err);
/* Lets the request have the store. */
int remote_add_store(struct brig *b, json_t *request, struct err *err);

struct remote_events {
	const char *what; /* for the line of progress; NULL: none is shown */
	int (*item)(void *context, const char *item, struct err *err); /* NULL: there are none */
	void *context;
};
/* Runs brig-registry. *RET is its result, the caller's; may be NULL. */
int remote_call(struct brig *b, json_t *request, const struct remote_events *events, json_t **ret,
	struct err *err);

/* ---- ids.c ---- */

/* The name of UID in /etc/passwd, from ARENA, or NULL. */
char *ids_user_name(uid_t uid, struct arena *arena);
/* How ids in images are ids of this host, for a user without privilege: the own id as root and the
 * subordinate ones after it (subuid(5)), or the own one alone when there are none or newuidmap(1)
 * is missing. Strings and ranges are from ARENA. */
int ids_of_user(struct arena *arena, struct store_ids *ret, struct err *err);

/* ---- pull.c ---- */

struct pull_flags {
	struct remote_flags remote;
	const char *platform, *os, *arch, *variant, *policy;
	bool quiet, all_tags;
};
struct pulled {
	struct store_name name;
	bool changed;
};
/* Pulls NAME as a person wrote it: short names, mirrors, credentials and policy as configured.
 * Progress on standard error, when that is a terminal, unless FLAGS->quiet. FLAGS may be NULL. */
int images_pull(struct brig *b, const char *name, const struct pull_flags *flags,
	struct pulled *ret, struct err *err);

struct pushing {
	const char *digest; /* of a manifest or an index */
	bool all;           /* of an index: what it lists, too */
	const struct reference *target;
	const struct remote_flags *remote;
	bool quiet;
	const char *note;        /* said behind the digest, "" or " …" */
	const char *digest_file; /* gets the digest, or NULL */
};

/* Sends what the store has to a registry, shows progress, and prints how it is called there. */
int images_push(struct brig *b, const struct pushing *pushing, struct err *err);
/* Where TEXT, as a person wrote it, is pushed to. −EINVAL for this machine's own store. */
int images_push_target(struct brig *b, const char *text, struct reference *ret, struct err *err);

/* ---- names and output ---- */

/* REFERENCE as docker shows it: without "docker.io/" and "library/". */
void images_short_name(const struct reference *reference, bool tag, struct buf *ret);
/* The 12 digits of an id, or all of it with "sha256:". */
void images_id_text(const char *digest, bool whole, char ret[DIGEST_TEXT_MAX + 1]);
/* Bytes of the files beneath the directory FD, whose descriptor is not changed; what may not be
 * looked at counts nothing. Each file counts once, however many links it has. */
uint64_t images_tree_size(int fd);
/* Bytes of a layer's files; 0 for one that is not there. */
uint64_t images_layer_size(struct store *store, const char *chain);
/* Bytes of an image's unpacked layers. */
uint64_t images_disk_size(struct store *store, const struct image *image);
/* BUF to standard output. */
int print_buf(const struct buf *buf, struct err *err);
/* "name (y/N)" on the terminal; true without one or with FORCE. */
bool images_confirm(bool force, const char *question);
/* Prints what was freed, as docker does. */
void images_print_reclaimed(uint64_t bytes);

/* ---- the verbs, with their option tables ---- */

/* What the options of these verbs fill in is known to each verb's file alone; the tables of verbs
 * give every one of them as much room as this. */
enum { VALUES_MAX = 256 };
#define VALUES_FIT(type) _Static_assert(sizeof(type) <= VALUES_MAX, "more room for " #type)
/* Of the row of a table of verbs. */
#define VERB(name) .options = name##_options, .options_size = VALUES_MAX, .run = name##_run

#define IMAGES_VERB(name)                            \
	extern const struct option name##_options[]; \
	int name##_run(const struct invocation *inv, struct err *err)

IMAGES_VERB(image_pull);
IMAGES_VERB(image_push);
IMAGES_VERB(image_login);
IMAGES_VERB(image_logout);
IMAGES_VERB(image_search);
IMAGES_VERB(image_list);
IMAGES_VERB(image_history);
IMAGES_VERB(image_inspect);
IMAGES_VERB(image_remove);
IMAGES_VERB(image_prune);
IMAGES_VERB(image_save);
IMAGES_VERB(image_load);
IMAGES_VERB(image_import);
IMAGES_VERB(image_mount);
IMAGES_VERB(image_unmount);
int image_tag_run(const struct invocation *inv, struct err *err);
int image_untag_run(const struct invocation *inv, struct err *err);
int image_exists_run(const struct invocation *inv, struct err *err);

IMAGES_VERB(manifest_create);
IMAGES_VERB(manifest_add);
IMAGES_VERB(manifest_annotate);
IMAGES_VERB(manifest_push);
int manifest_exists_run(const struct invocation *inv, struct err *err);
int manifest_inspect_run(const struct invocation *inv, struct err *err);
int manifest_ls_run(const struct invocation *inv, struct err *err);
int manifest_remove_run(const struct invocation *inv, struct err *err);
int manifest_rm_run(const struct invocation *inv, struct err *err);

IMAGES_VERB(volume_create);
IMAGES_VERB(volume_list);
IMAGES_VERB(volume_inspect);
IMAGES_VERB(volume_remove);
IMAGES_VERB(volume_prune);
int volume_exists_run(const struct invocation *inv, struct err *err);

IMAGES_VERB(secret_create);
IMAGES_VERB(secret_list);
IMAGES_VERB(secret_inspect);
IMAGES_VERB(secret_remove);
int secret_exists_run(const struct invocation *inv, struct err *err);

IMAGES_VERB(system_df);
IMAGES_VERB(system_prune);
IMAGES_VERB(doctor);
IMAGES_VERB(generate_systemd);
IMAGES_VERB(generate_unit);
/* What starts us as we were started, as the first words of ExecStart=: systemd wants an absolute
 * path, our options come before the verb. */
int generate_brig(const struct brig *b, struct buf *out, struct err *err);
int generate_boot_run(const struct invocation *inv, struct err *err);
int completion_run(const struct invocation *inv, struct err *err);

/* --change of import and commit: instructions of a Dockerfile as members of an image's "config". */
int images_parse_changes(
	const struct strings *changes, struct arena *arena, json_t **ret, struct err *err);
/* A name to give: a local one when TEXT names no registry. */
int images_local_reference(const char *text, struct reference *ret, struct err *err);

/* `volume prune`, likewise; without ALL only volumes that nobody named. */
int volumes_prune(struct brig *b, bool all, const struct strings *filters, uint64_t *ret_bytes,
	struct err *err);
/* Texts "NAME=VALUE" as pairs from ARENA; a missing value is "". −EINVAL. */
int pairs_from_texts(
	const struct strings *texts, struct arena *arena, struct pairs *ret, struct err *err);
/* The objects of the array *ROWS in the order of their "Name". −ENOMEM. */
int json_sort_by_name(json_t **rows);

/* `image prune`: FILTERS as given; adds what was freed to *RET_BYTES. */
int images_prune(struct brig *b, bool all, const struct strings *filters, uint64_t *ret_bytes,
	struct err *err);

/* The JSON of `image inspect` for IMAGE. NULL without memory. */
json_t *image_inspect_json(struct store *store, const struct image *image, struct err *err);

/* groups.c: the verbs beneath "image", "manifest", "volume", "secret", "system" and "generate". */
extern const struct command image_commands[], manifest_commands[], volume_commands[],
	secret_commands[], system_commands[], generate_commands[];

/* `inspect --type`; ALL: whichever has the name, in this order. */
enum inspect_type { INSPECT_ALL, INSPECT_CONTAINER, INSPECT_IMAGE, INSPECT_VOLUME, INSPECT_SECRET };
/* The JSON of an image, a volume or a secret. −ENOENT, "no such object", when there is none. */
int inspect_other(struct brig *b, const char *name, int type, json_t **ret, struct err *err);
int volume_inspect_json(struct brig *b, const char *name, json_t **ret, struct err *err);
int secret_inspect_json(struct brig *b, const char *name, json_t **ret, struct err *err);
