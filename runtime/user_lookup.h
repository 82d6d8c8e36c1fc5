/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is looked up in the container's own files before the user's process is executed. They are
 * hostile: nothing here follows them out of the root, or waits for them.
 *
 * Init, exec's entrant and joiner, in the container's root.
 */
#pragma once

#include "base/err.h"
#include "spec/config.h"

/* The value of the variable NAME in PROCESS's environment, or NULL. */
const char *user_find_env(const struct spec_process *process, const char *name);
/* Looks up what execvp(3) would execute: its path in RET (SIZE bytes). The errors are worded as
 * engines look for them. */
int user_find_executable(
	const struct spec_process *process, char *ret, size_t size, struct err *err);
/* Sets ERR for the errno -R of executing NAME, in those words, and returns R. */
int user_exec_error(const char *name, int r, struct err *err);
/* Changes to CWD, and makes it when it is missing. *RET_LATER: only the user may enter it. */
int user_enter_cwd(const char *cwd, bool *ret_later, struct err *err);
/* Refuses a current directory, named CWD, that is outside of the root. */
int user_check_cwd(const char *cwd, struct err *err);
/* "HOME=…" of UID in RET (SIZE bytes): "HOME=/" when the container knows none. */
void user_find_home(uint32_t uid, char *ret, size_t size);
