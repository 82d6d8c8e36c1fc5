/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/tune.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define SYSCTL_DIR "/proc/sys/net"

/* PATH below SYSCTL_DIR. −ENOENT without a sentence. */
static int set(const char *path, const char *value, struct err *err)
{
	autoclose int dir = sys_openat(AT_FDCWD, SYSCTL_DIR, O_PATH | O_DIRECTORY, 0);
	char now[32];
	ssize_t r = dir < 0 ? dir : fd_read_line(dir, path, now, sizeof(now));

	if (r >= 0 && strcmp(now, value) == 0)
		return 0;
	if (r >= 0)
		r = fd_write_file(dir, path, value);
	if (r == -ENOENT)
		return -ENOENT;
	return r < 0 ? err_sys(err, (int)r, "set net/%s to %s", path, value) : 0;
}

int tune_link(
	const char *family, const char *link, const char *key, const char *value, struct err *err)
{
	char path[128];
	int r;

	snprintf(path, sizeof(path), "%s/conf/%s/%s", family, link, key);
	r = set(path, value, err);
	return r == -ENOENT ? 0 : r;
}

/* LINK listens to routers only as long as it does not forward. */
static int keep_listening(void *context, int dir, const char *link)
{
	char path[288], accept[32], forwarding[32];

	if (strcmp(link, "all") == 0)
		return 0;
	snprintf(path, sizeof(path), "%s/forwarding", link);
	if (fd_read_line(dir, path, forwarding, sizeof(forwarding)) < 0)
		return 0;
	snprintf(path, sizeof(path), "%s/accept_ra", link);
	if (fd_read_line(dir, path, accept, sizeof(accept)) < 0)
		return 0;
	if (strcmp(accept, "1") != 0 || strcmp(forwarding, "0") != 0)
		return 0;
	return tune_link("ipv6", link, "accept_ra", "2", context);
}

static int keep_all_listening(struct err *err)
{
	autoclose int fd = sys_openat(AT_FDCWD, SYSCTL_DIR "/ipv6/conf", O_RDONLY | O_DIRECTORY, 0);
	int r;

	if (fd == -ENOENT)
		return 0;
	r = fd < 0 ? fd : path_each(fd, keep_listening, err);
	return r < 0 && !err->code ? err_sys(err, r, "%s/ipv6/conf", SYSCTL_DIR) : r;
}

int tune_forwarding(bool ipv4, bool ipv6, struct err *err)
{
	int r = ipv4 ? set("ipv4/ip_forward", "1", err) : 0;
	char now[32];
	autoclose int dir = sys_openat(AT_FDCWD, SYSCTL_DIR, O_PATH | O_DIRECTORY, 0);

	if (r < 0 || !ipv6)
		return r == -ENOENT ? err_set(err, r, "this kernel cannot forward packets") : r;
	if (dir >= 0 && fd_read_line(dir, "ipv6/conf/all/forwarding", now, sizeof(now)) >= 0 &&
		strcmp(now, "1") == 0)
		return 0;
	r = keep_all_listening(err);
	if (r == 0)
		r = set("ipv6/conf/all/forwarding", "1", err);
	return r == -ENOENT ? err_set(err, r, "this kernel has no IPv6") : r;
}

int tune_no_forwarding(struct err *err)
{
	int r = set("ipv4/ip_forward", "0", err);

	if (r == 0 || r == -ENOENT)
		r = set("ipv6/conf/all/forwarding", "0", err);
	return r == -ENOENT ? 0 : r;
}
