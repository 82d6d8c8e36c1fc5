/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/vmm/control.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "runtime/microvm/vmm/machine.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* #syscalls:io pread64 */
static uint64_t kvm_exits(const struct machine *m)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < m->vm.vcpu_count; i++) {
		const struct vcpu *vcpu = m->vm.vcpus + i;
		uint64_t value = 0;

		if (vcpu->stats_fd >= 0 && sys_pread(vcpu->stats_fd, &value, sizeof(value),
						   vcpu->exits_offset) == sizeof(value))
			sum += value;
	}
	return sum;
}

static void read_balloon(struct machine *m, struct control_stats *ret)
{
	uint64_t stats[BALLOON_STATS];

	ret->memory_total = ret->memory_free = ret->memory_available = UINT64_MAX;
	if (!m->balloon.device.ops)
		return;
	balloon_read_stats(&m->balloon, stats);
	ret->balloon_pages = m->balloon.config.actual;
	ret->given_back = m->balloon.given_back;
	ret->memory_total = stats[VIRTIO_BALLOON_S_MEMTOT];
	ret->memory_free = stats[VIRTIO_BALLOON_S_MEMFREE];
	ret->memory_available = stats[VIRTIO_BALLOON_S_AVAIL];
}

static void read_stats(struct machine *m, struct control_stats *ret)
{
	for (unsigned int i = 0; i < m->vm.vcpu_count; i++) {
		const uint64_t *exits = m->vm.vcpus[i].exits;

		for (unsigned int reason = 0; reason < VM_EXITS_MAX; reason++)
			ret->exits += __atomic_load_n(exits + reason, __ATOMIC_RELAXED);
		ret->exits_io += __atomic_load_n(exits + KVM_EXIT_IO, __ATOMIC_RELAXED);
		ret->exits_mmio += __atomic_load_n(exits + KVM_EXIT_MMIO, __ATOMIC_RELAXED);
	}
	ret->exits_all = kvm_exits(m);
	read_balloon(m, ret);
}

/* CLIENT is NULL for the runtime's own socket. */
static int wake(struct machine *m, struct control_client *client)
{
	if (!client)
		return -EOPNOTSUPP;
	if (!client->wakes)
		vm_wake(&m->vm);
	client->wakes = true;
	return 0;
}

static int handle(struct machine *m, struct control_client *client, const struct control_request *q,
	const int *files, size_t file_count, struct control_reply *ret)
{
	switch (q->op) {
	case CONTROL_STATS:
		read_stats(m, &ret->stats);
		return 0;
	case CONTROL_PAUSE:
		vm_pause(&m->vm);
		return 0;
	case CONTROL_RESUME:
		vm_resume(&m->vm);
		return 0;
	case CONTROL_STATUS:
		return 0;
	case CONTROL_SAVE:
		return file_count == CONTROL_FILES ? machine_save(m, files[0], files[1]) : -EBADMSG;
	case CONTROL_WAKE:
		return wake(m, client);
	case CONTROL_BALLOON:
		if (!m->balloon.device.ops)
			return -ENODEV;
		balloon_set(&m->balloon, q->value);
		return 0;
	case CONTROL_STOP:
		vm_end(&m->vm, VM_STOPPED);
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

/* Answers one request. False: the connection has ended. #syscalls:io recvmsg sendto */
static bool serve(struct machine *m, int sock, struct control_client *client)
{
	struct control_request request;
	struct control_reply reply = {};
	int files[CONTROL_FILES];
	size_t count = CONTROL_FILES;
	ssize_t n = fd_recv(sock, &request, sizeof(request), files, &count);

	if (n == -EAGAIN || n == -EINTR)
		return true;
	if (n <= 0 && n != -EMSGSIZE)
		return false;
	if (n < 0)
		count = 0;
	reply.result =
		n == sizeof(request) ? handle(m, client, &request, files, count, &reply) : -EBADMSG;
	for (size_t i = 0; i < count; i++)
		close(files[i]);
	reply.paused = m->vm.paused;
	(void)!send(sock, &reply, sizeof(reply), MSG_NOSIGNAL | MSG_DONTWAIT);
	return true;
}

static void on_request(struct loop_source *source, uint32_t events)
{
	struct machine *m =
		(struct machine *)((uint8_t *)source - offsetof(struct machine, control));

	(void)events;
	if (!serve(m, source->fd, NULL))
		vm_end(&m->vm, VM_STOPPED);
}

/* --- commands --- */

static void on_client(struct loop_source *source, uint32_t events)
{
	struct control_client *client = (struct control_client *)source;
	struct machine *m = client->machine;

	(void)events;
	if (source->fd < 0 || serve(m, source->fd, client))
		return;
	loop_remove(&m->vm.loop, source);
	cleanup_close(&source->fd);
	if (client->wakes)
		vm_rest(&m->vm);
	client->wakes = false;
}

/* Who finds no place is turned away. */
static void on_listener(struct loop_source *source, uint32_t events)
{
	struct machine *m =
		(struct machine *)((uint8_t *)source - offsetof(struct machine, control_listener));
	autoclose int fd = sys_accept(source->fd);
	struct control_client *client = m->clients;

	(void)events;
	while (client < m->clients + CONTROL_CLIENTS_MAX && client->source.fd >= 0)
		client++;
	if (fd < 0 || client == m->clients + CONTROL_CLIENTS_MAX)
		return;
	client->source.fd = fd;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
		loop_add(&m->vm.loop, &client->source, EPOLLIN) < 0)
		client->source.fd = -1;
	else
		fd = -1;
}

int control_open(struct machine *m, int sock, int listener, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		m->clients[i] = (struct control_client){
			.source = {.fd = -1, .ready = on_client}, .machine = m};
	m->control = (struct loop_source){.fd = sock, .ready = on_request};
	m->control_listener = (struct loop_source){.fd = listener, .ready = on_listener};
	if (sock >= 0)
		r = fcntl(sock, F_SETFL, O_NONBLOCK) < 0
			    ? -errno
			    : loop_add(&m->vm.loop, &m->control, EPOLLIN);
	if (r == 0 && listener >= 0)
		r = loop_add(&m->vm.loop, &m->control_listener, EPOLLIN);
	return r < 0 ? err_sys(err, r, "the control socket") : 0;
}
