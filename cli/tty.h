/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal that a command was started from, and the signals that come from there. For the
 * process of a command that stands for a container's.
 */
#pragma once

#include "base/err.h"

#include <signal.h>
#include <stdbool.h>
#include <termios.h>

/* Every signal but those that mean that this program itself is broken. */
void tty_signals(sigset_t *ret);

/* Blocks SET, for a signalfd(2) to read from. */
int tty_block_signals(const sigset_t *set, struct err *err);

/*
 * Standard input, if it is a terminal, passes every byte on as it is (cfmakeraw(3)). True when
 * RET_BEFORE has to be given to tty_restore().
 */
bool tty_raw(struct termios *ret_before);
void tty_restore(const struct termios *before);
