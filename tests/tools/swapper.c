/* SPDX-License-Identifier: Apache-2.0 */
/*
 * swapper PATH OTHER [ROUNDS]: exchanges the two names with renameat2(RENAME_EXCHANGE), ROUNDS
 * times or for ever, and prints how often it did. An attacker who owns a directory that somebody
 * else resolves paths in.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 3 ? strtoul(argv[3], NULL, 10) : 0, done = 0;

	if (argc < 3) {
		fprintf(stderr, "usage: swapper PATH OTHER [ROUNDS]\n");
		return 2;
	}
	signal(SIGTERM, on_signal);
	while (!stop && (!rounds || done < rounds)) {
		if (renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE) < 0) {
			perror("renameat2");
			return 1;
		}
		done++;
	}
	/* Both end where they began. */
	if (done % 2 && renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE) < 0) {
		perror("renameat2");
		return 1;
	}
	printf("%lu\n", done);
	return 0;
}
