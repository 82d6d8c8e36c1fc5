/* SPDX-License-Identifier: Apache-2.0 */
/* vsock-cid DEVICE: prints this machine's number on vsock, as the node DEVICE (/dev/vsock) tells
 * it. */
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <sys/ioctl.h>

int main(int argc, char **argv)
{
	unsigned int cid;
	int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0 || ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) < 0) {
		perror("vsock-cid");
		return 1;
	}
	printf("%u\n", cid);
	return 0;
}
