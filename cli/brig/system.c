/* SPDX-License-Identifier: Apache-2.0 */
/* version, info. */
#include "cli/brig/brig.h"
#include "version.h"

#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

int brig_version(const struct invocation *inv, struct err *err)
{
	(void)inv, (void)err;
	printf("brig version %s\ncommit: %s\n", BRIG_VERSION, BRIG_COMMIT);
	return 0;
}

int brig_info(const struct invocation *inv, struct err *err)
{
	autobrig struct brig b = {.datafd = -1, .runfd = -1};
	struct utsname host;
	int r = brig_open(inv, &b, err);

	if (r < 0)
		return r;
	uname(&host);
	printf("version:    %s\n", BRIG_VERSION);
	printf("rootless:   %s\n", b.rootless ? "yes" : "no");
	printf("kernel:     %s %s\n", host.release, host.machine);
	printf("processors: %ld\n", sysconf(_SC_NPROCESSORS_ONLN));
	printf("data:       %s\n", b.dirs.data);
	printf("state:      %s\n", b.dirs.run);
	printf("programs:   %s\n", b.dirs.libexec);
	return 0;
}
