/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/loopback.h"

#include "base/cleanup.h"
#include "base/sys.h"

#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int netns_raise_loopback(struct err *err)
{
	autolate int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int r = sock < 0 ? -errno : sys_ioctl(sock, SIOCSIFFLAGS, &request);

	return r < 0 ? err_sys(err, r, "set the loopback link up") : 0;
}
