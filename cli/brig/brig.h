/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brig: the command for people. One file for each verb or family of verbs, each with its option
 * tables; main.c has the table of verbs.
 *
 * A verb begins with brig_open() and gets from it what it needs, opened on first use: the store of
 * images, the runtime, the containers. It prints its result on standard output and nothing else
 * there; progress and warnings are for standard error. It returns its exit code or an error.
 */
#pragma once

#include "cli/command.h"
#include "images/store.h"
#include "runtime/lifecycle.h"

#include <limits.h>

struct brig_global {
	const char *root, *runroot;
	int log_level;      /* enum log_level */
	int cgroup_manager; /* enum cgroup_driver */
	bool debug;
};

/* What brig keeps where. Absolute paths. */
struct brig_dirs {
	char data[PATH_MAX];    /* /var/lib/brig, or $XDG_DATA_HOME/brig: what outlives a boot */
	char run[PATH_MAX];     /* /run/brig, or $XDG_RUNTIME_DIR/brig: what does not */
	char libexec[PATH_MAX]; /* the programs that brig executes: brig-unpack, brig-registry … */
	char share[PATH_MAX];   /* files that come with brig */
	char config[PATH_MAX];  /* /etc/brig, or $XDG_CONFIG_HOME/brig */
};

struct brig {
	const struct invocation *inv;
	const struct brig_global *global;
	struct arena *arena; /* lives as long as the command */
	struct brig_dirs dirs;
	bool rootless;
	int datafd, runfd; /* of dirs.data and dirs.run, which are there */

	/* Use the functions below. */
	struct store *store;
	struct runtime runtime;
	bool has_runtime;
};

/* Finds and makes the directories. End with brig_close(). */
int brig_open(const struct invocation *inv, struct brig *ret, struct err *err);
void brig_close(struct brig *brig);

/* The store of images, borrowed. */
int brig_store(struct brig *brig, struct store **ret, struct err *err);
/* The runtime with brig's containers, borrowed. */
int brig_runtime(struct brig *brig, struct runtime **ret, struct err *err);

CLEANUP_DEFINE(brig, struct brig, brig_close)
#define autobrig __attribute__((cleanup(cleanup_brig)))

/* ---- system.c ---- */
struct brig_format_values { /* any verb that has --format and nothing else */
	const char *format;
};
extern const struct option brig_format_options[];
int brig_version(const struct invocation *inv, struct err *err);
int brig_info(const struct invocation *inv, struct err *err);
