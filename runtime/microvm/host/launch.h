/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting brig-vmm: a plan as JSON, and the descriptors that it names.
 */
#pragma once

#include "base/err.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * What the guest's kernel is told in any machine without a serial console: not to write but for
 * emergencies, to end the machine where it would start again, and to leave out what nobody has or
 * asks for: serial ports, a bounce buffer, and the tests of its own ciphers, which take a tenth of
 * the boot.
 *
 * A panic it writes in full, whatever the level, by the port of devices/serial.h, whose last lines
 * the monitor keeps. That is a console for the early boot, which looks for no hardware (two exits),
 * kept for good. The level comes before it: it would write what is there already.
 */
#define LAUNCH_COMMAND_LINE                                                       \
	"quiet loglevel=1" LAUNCH_EMERGENCIES                                     \
	" reboot=k panic=-1 random.trust_cpu=on 8250.nr_uarts=0 swiotlb=noforce " \
	"cryptomgr.notests"
#ifdef __x86_64__
#define LAUNCH_EMERGENCIES " earlycon=uart8250,io,0x3f8 keep_bootcon"
#else
#define LAUNCH_EMERGENCIES "" /* there is no such port */
#endif

struct launch_options {
	const char *vmm; /* the path of brig-vmm */
	json_t *plan;    /* runtime/microvm/plan.h; descriptors by their number here */
	const int *fds;  /* all that the plan names: they stay open in the VMM, nothing else does */
	size_t fd_count;
	int log; /* its standard error */
};

/* Starts the VMM in a PID namespace of its own and returns its pid here; RET_PIDFD gets a
 * descriptor of it. Needs CAP_SYS_ADMIN in the caller's user namespace. */
pid_t launch_vmm(const struct launch_options *options, int *ret_pidfd, struct err *err);

/* Starts the file server PROGRAM (brig-fsd) for the folder ROOT, a descriptor above 2. SOCKET, one
 * end of a SEQPACKET pair, above 2, is the server's; SAVED (−1: none) has the files that the guest
 * knows already. All stay the caller's to close. */
pid_t launch_fsd(const char *program, int root, int socket, int saved, bool read_only, int log,
	int *ret_pidfd, struct err *err);
