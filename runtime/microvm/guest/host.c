/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/microvm/guest/guest.h"

#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HOST_WINDOW = 1 << 20 }; /* what the monitor takes of a connection: VSOCK_BUFFER */

static int vsock(void)
{
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

/*
 * For what is accepted too. A driver that caps its credit to its own buffer's size has no more on
 * its way than this, however much the host takes. One that says no does with its default.
 */
static void widen(int fd)
{
	const uint64_t size = HOST_WINDOW;

	(void)!setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &size, sizeof(size));
	(void)!setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &size, sizeof(size));
}

int host_listen(struct err *err)
{
	struct sockaddr_vm any = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = PROTO_PORT};
	autoclose int fd = vsock();

	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(fd, 64) < 0)
		return err_sys(err, fd < 0 ? fd : -errno, "vsock port %d", PROTO_PORT);
	widen(fd);
	return take_fd(&fd);
}

int host_dial(struct err *err)
{
	struct sockaddr_vm host = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = PROTO_READY_PORT};
	autoclose int fd = vsock();

	if (fd < 0 || connect(fd, (struct sockaddr *)&host, sizeof(host)) < 0)
		return err_sys(
			err, fd < 0 ? fd : -errno, "the host's vsock port %d", PROTO_READY_PORT);
	return take_fd(&fd);
}

int host_files(void)
{
	int r = sys_mkdirat(AT_FDCWD, GUEST_FILES, 0755);

	if (r == 0 || r == -EEXIST)
		r = sys_mount(GUEST_TAG, GUEST_FILES, "virtiofs", 0, NULL);
	return r < 0 ? r : sys_openat(AT_FDCWD, GUEST_FILES, O_RDONLY | O_DIRECTORY, 0);
}
