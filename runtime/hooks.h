/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hooks: runtime-spec, config.md "POSIX-platform Hooks".
 *
 * Each hook of a list runs in turn with the state on its standard input, its own arguments and
 * environment and nothing of the container's (E5), "/" as directory, and its timeout. What it
 * prints goes to the files of the annotations run.oci.hooks.stdout and .stderr, else to /dev/null
 * and our standard error.
 */
#pragma once

#include "runtime/container.h"
#include "spec/config.h"

struct hooks_output {
	int stdout_fd, stderr_fd; /* −1: /dev/null */
};

/* Opens the files that the annotations name; the caller closes what is not −1 or 2. */
int hooks_open_output(const struct spec_config *config, struct hooks_output *ret, struct err *err);

/*
 * Runs LIST (NAME stands in errors) with STATE, JSON text. Stops at the first that fails: one that
 * cannot be started, ends with anything but 0, or is still running at its timeout or when CANCEL
 * says so. Parent, and the init process for those that run in the container.
 */
int hooks_run(const struct spec_hook_list *list, const char *name, const char *state,
	const struct hooks_output *output, const struct cancel *cancel, struct err *err);

/* The same, going on after a failure, which is only a warning: poststop. */
void hooks_run_all(const struct spec_hook_list *list, const char *name, const char *state,
	const struct hooks_output *output, const struct cancel *cancel);
