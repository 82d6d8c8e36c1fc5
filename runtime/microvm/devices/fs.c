/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/devices/fs.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"

#include <linux/virtio_ids.h>
#include <string.h>
#include <sys/socket.h>

static struct fs *fs_of(struct device *device)
{
	return (struct fs *)device;
}

static void describe_memory(const struct guest_memory *memory, struct fs_message *message)
{
	uint64_t offset = 0;

	message->region_count = (uint32_t)memory->count;
	for (size_t i = 0; i < memory->count; i++) {
		message->regions[i].gpa = memory->regions[i].gpa;
		message->regions[i].size = memory->regions[i].size;
		message->regions[i].offset = offset;
		offset += memory->regions[i].size;
	}
}

/* #syscalls:io,vcpu sendmsg recvfrom */
static int ask(struct fs *fs, struct fs_message *message, const int *fds, size_t count)
{
	struct fs_message reply;
	ssize_t n;
	int r = fd_send(fs->socket, message, sizeof(*message), fds, count);

	if (r < 0)
		return r;
	do
		n = recv(fs->socket, &reply, sizeof(reply), 0);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(reply) || reply.type != message->type)
		return -EPROTO;
	*message = reply;
	return reply.result;
}

/* On the vCPU's thread that starts the device: it waits until the server is there. */
static int fs_activate(struct device *device)
{
	struct fs *fs = fs_of(device);
	struct fs_message message = {.type = FS_ATTACH};
	struct device_wires wires;
	int fds[FS_WIRES] = {fs->memory_fd};

	device->transport->wires(device->transport, &wires);
	fds[1] = wires.irq;
	memcpy(fds + 2, wires.kicks, FS_QUEUES * sizeof(int));
	describe_memory(device->memory, &message);
	for (unsigned int i = 0; i < FS_QUEUES; i++)
		message.queues[i] = device->queues[i].state;
	return ask(fs, &message, fds, FS_WIRES);
}

/* A server that is gone serves no request any more; one that only does not answer must not go on.
 */
static void fs_reset(struct device *device)
{
	struct fs_message message = {.type = FS_DETACH};
	struct fs *fs = fs_of(device);

	if (ask(fs, &message, NULL, 0) < 0)
		cleanup_close(&fs->socket);
	for (unsigned int i = 0; i < FS_QUEUES && fs->socket >= 0; i++)
		device->queues[i].state = message.queues[i];
}

static int fs_hold(struct device *device)
{
	fs_reset(device);
	return fs_of(device)->socket < 0 ? -EPIPE : 0;
}

static const struct device_ops fs_ops = {
	.name = "fs",
	.id = VIRTIO_ID_FS,
	.queues = FS_QUEUES,
	.queue_size = FS_QUEUE_SIZE,
	.remote = true,
	.activate = fs_activate,
	.reset = fs_reset,
	.hold = fs_hold,
	.release = fs_activate,
};

int fs_open(struct fs *fs, const char *tag, int socket, int memory_fd,
	const struct guest_memory *memory, struct err *err)
{
	size_t len = strlen(tag);

	if (!len || len > sizeof(fs->config.tag))
		return err_set(err, -EINVAL, "a file system's tag has 1 to %zu bytes",
			sizeof(fs->config.tag));
	*fs = (struct fs){
		.config = {.num_request_queues = 1}, .socket = socket, .memory_fd = memory_fd};
	memcpy(fs->config.tag, tag, len);
	device_init(&fs->device, &fs_ops, memory, 0, &fs->config, sizeof(fs->config));
	return 0;
}

void fs_close(struct fs *fs)
{
	cleanup_close(&fs->socket);
}
