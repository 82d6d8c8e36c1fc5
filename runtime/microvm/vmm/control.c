/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/vmm/control.h"

#include "base/sys.h"
#include "runtime/microvm/vmm/machine.h"

#include <string.h>
#include <sys/socket.h>

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

static int handle(struct machine *m, const struct control_request *q, struct control_reply *ret)
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

/* #syscalls:io recvfrom sendto */
static void on_request(struct loop_source *source, uint32_t events)
{
	struct machine *m =
		(struct machine *)((uint8_t *)source - offsetof(struct machine, control));
	struct control_request request;
	struct control_reply reply = {};
	/* MSG_TRUNC: a longer message tells its length, and is none of ours. */
	ssize_t n = recv(source->fd, &request, sizeof(request), MSG_DONTWAIT | MSG_TRUNC);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		vm_end(&m->vm, VM_STOPPED);
		return;
	}
	reply.result = n == sizeof(request) ? handle(m, &request, &reply) : -EBADMSG;
	(void)!send(source->fd, &reply, sizeof(reply), MSG_NOSIGNAL | MSG_DONTWAIT);
}

int control_open(struct machine *m, int sock, struct err *err)
{
	int r;

	m->control = (struct loop_source){.fd = sock, .ready = on_request};
	r = loop_add(&m->vm.loop, &m->control, EPOLLIN);
	return r < 0 ? err_sys(err, r, "the control socket") : 0;
}
