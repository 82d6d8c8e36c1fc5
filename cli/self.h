/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping our own program out of the container's reach (C1).
 *
 * A process that enters a container is, until it executes the user's program, an image of ours:
 * /proc/PID/exe leads to it, and "#!/proc/self/exe" executes it. Were that the file on the host, a
 * container running as the host's root could write to it. So the commands that enter one first
 * execute themselves again from a read-only mount of their own, which nobody can make writable:
 * it is attached nowhere. Where that is not allowed (a rootless user), from a sealed copy in
 * memory.
 */
#pragma once

#include "base/err.h"

/* Returns 0 in the safe image; executes it otherwise. First thing in a command, in main's process,
 * before anything is opened. ARGV is the program's own. */
int self_protect(char *const argv[], struct err *err);
