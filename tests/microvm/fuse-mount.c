/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuse-mount FOLDER PLACE: the file server without a virtual machine. This host's kernel is its
 * guest, and /dev/fuse stands for the queue. Says "mounted" and serves until it is unmounted.
 */
#include "base/sys.h"
#include "runtime/microvm/fsd/fsd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

enum { REQUEST_MAX = FSD_WRITE_MAX + 65536 };

static int serve(struct fsd *fsd, int fuse)
{
	static uint8_t in[REQUEST_MAX], out[REQUEST_MAX];
	static struct virtq_chain chain;
	ssize_t n;

	while ((n = read(fuse, in, sizeof(in))) > 0 || errno == EINTR || errno == ENOENT) {
		if (n <= 0)
			continue;
		chain.readable = chain.writable = 1;
		chain.iov[0] = (struct iovec){in, (size_t)n};
		chain.iov[1] = (struct iovec){out, sizeof(out)};
		chain.read_len = (uint32_t)n;
		chain.write_len = sizeof(out);
		n = fsd_handle(fsd, &chain);
		if (n < 0 || (n > 0 && write(fuse, out, (size_t)n) < 0 && errno != ENOENT))
			return 1;
	}
	return errno != ENODEV;
}

int main(int argc, char **argv)
{
	static struct fsd fsd;
	struct err err = {};
	char options[128];
	int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC), root = -1, proc = -1;

	if (argc == 3)
		root = open(argv[1], O_PATH | O_DIRECTORY);
	proc = open("/proc/self/fd", O_PATH | O_DIRECTORY);
	if (fuse < 0 || root < 0 || proc < 0 || fchdir(proc) < 0 ||
		fsd_open(&fsd, root, proc, false, &err) < 0)
		return perror("fuse-mount"), 2;
	snprintf(options, sizeof(options),
		"fd=%d,rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other", fuse);
	if (mount("fsd", argv[2], "fuse", MS_NODEV, options) < 0)
		return perror("mount"), 2;
	puts("mounted");
	fflush(stdout);
	return serve(&fsd, fuse);
}
