/* SPDX-License-Identifier: Apache-2.0 */
/* Process: init, exec's entrant and joiner. */
#include "base/fd.h"
#include "base/sys.h"
#include "runtime/stage.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

/* A3: the master really is /dev/ptmx's device on a devpts, whatever name led to it. */
static int check_master(int fd)
{
	struct statfs fs;
	struct stat st;
	int r = sys_fstatfs(fd, &fs);

	if (r == 0)
		r = sys_fstat(fd, &st);
	if (r < 0)
		return r;
	return fs.f_type == DEVPTS_SUPER_MAGIC && S_ISCHR(st.st_mode) && st.st_rdev == makedev(5, 2)
		       ? 0
		       : -ENODEV;
}

int console_open(int ptsfd, const struct spec_console_size *size, int *ret_master, int *ret_peer,
	struct err *err)
{
	autoclose int master = sys_openat(ptsfd, "ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW, 0);
	autoclose int peer = -1;
	int unlock = 0, r;

	r = master < 0 ? master : check_master(master);
	if (r == 0)
		r = sys_ioctl(master, TIOCSPTLCK, &unlock);
	if (r == 0)
		r = peer = sys_ioctl(master, TIOCGPTPEER, (void *)(uintptr_t)(O_RDWR | O_NOCTTY));
	if (r < 0)
		return err_sys(err, r, "open a terminal in the container's /dev/pts");
	sys_set_cloexec(peer, true);
	if (size && (size->height || size->width)) {
		struct winsize window = {
			.ws_row = (unsigned short)size->height,
			.ws_col = (unsigned short)size->width,
		};

		r = sys_ioctl(master, TIOCSWINSZ, &window);
		if (r < 0)
			return err_sys(err, r, "process.consoleSize");
	}
	*ret_master = take_fd(&master);
	*ret_peer = take_fd(&peer);
	return 0;
}

int console_send(int socket, int master, struct err *err)
{
	static const char name[] = "/dev/ptmx";
	int r = fd_send(socket, name, sizeof(name) - 1, &master, 1);

	return r < 0 ? err_sys(err, r, "--console-socket: send the terminal") : 0;
}

int console_attach(int peer, struct err *err)
{
	int r = 0;

	for (int fd = 0; fd < 3 && r >= 0; fd++) {
		r = sys_dup3(peer, fd);
		if (r >= 0)
			r = sys_set_cloexec(fd, false);
	}
	return r < 0 ? err_sys(err, r, "make the terminal standard input and output") : 0;
}

int console_control(struct err *err)
{
	int r = sys_ioctl(0, TIOCSCTTY, NULL);

	return r < 0 ? err_sys(err, r, "make the terminal the controlling one") : 0;
}
