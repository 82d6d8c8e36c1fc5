/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tty.h"

#include <errno.h>
#include <unistd.h>

void tty_signals(sigset_t *ret)
{
	sigfillset(ret);
	sigdelset(ret, SIGSEGV);
	sigdelset(ret, SIGBUS);
	sigdelset(ret, SIGILL);
	sigdelset(ret, SIGFPE);
	sigdelset(ret, SIGABRT);
}

int tty_block_signals(const sigset_t *set, struct err *err)
{
	return sigprocmask(SIG_BLOCK, set, NULL) < 0 ? err_sys(err, -errno, "block signals") : 0;
}

bool tty_raw(struct termios *ret_before)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, ret_before) < 0)
		return false;
	raw = *ret_before;
	cfmakeraw(&raw);
	return tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

void tty_restore(const struct termios *before)
{
	tcsetattr(STDIN_FILENO, TCSADRAIN, before);
}
