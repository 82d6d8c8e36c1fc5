/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VMM's threads beside each other: vCPUs at the registers, the loop at the queues and at the
 * control socket. Made for ThreadSanitizer (./test.sh tsan), and run everywhere.
 */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "runtime/microvm/vmm/control.h"
#include "runtime/microvm/vmm/machine.h"
#include "tests/unit/microvm/kernel.h"
#include "tests/unit/microvm/zoo.h"

#include <fcntl.h>
#include <linux/virtio_mmio.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { VCPUS = 3, ROUNDS = 60, SIZE = 8 };

/* --- registers from three sides, queues from a fourth --- */

struct vcpu_thread {
	struct zoo *z;
	unsigned int index;
	unsigned int *running;
};

static void *use_registers(void *arg)
{
	struct vcpu_thread *t = arg;
	uint32_t mask = 0xffffffff >> t->index * 4;

	for (int i = 0; i < ROUNDS; i++) {
		zoo_start(t->z, mask | 1ULL << 32, SIZE);
		for (uint32_t queue = 0; queue < DEVICE_QUEUES_MAX; queue++)
			zoo_write(t->z, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
		for (uint32_t reg = 0; reg < 0x140; reg += 4)
			zoo_read(t->z, reg), zoo_shown(t->z, reg);
		zoo_write(t->z, VIRTIO_MMIO_INTERRUPT_ACK, 3);
		zoo_write(t->z, VIRTIO_MMIO_CONFIG + 4, (uint32_t)i);
		if (i % VCPUS == (int)t->index)
			zoo_write(t->z, VIRTIO_MMIO_STATUS, 0);
	}
	__atomic_sub_fetch(t->running, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* One chain for each queue, so that there is work: the device alone writes to its rings. */
static void fill_rings(struct zoo *z)
{
	for (unsigned int queue = 0; queue < z->device->ops->queues; queue++) {
		zoo_desc(z, queue)[0] = (struct vring_desc){.addr = ZOO_DATA_GPA + queue * 4096,
			.len = 64,
			.flags = queue == 0 && z->kind != ZOO_PMEM ? VRING_DESC_F_WRITE : 0};
		zoo_post(z, queue, 0, SIZE);
	}
}

/* However they met: when all is quiet, what is shown is what would be read. */
static void nothing_stale(struct zoo *z)
{
	for (uint32_t reg = 0; reg < VIRTIO_MMIO_CONFIG; reg += 4)
		zoo_read(z, reg);
}

static void from_all_sides(struct zoo *z)
{
	struct vcpu_thread threads[VCPUS];
	pthread_t ids[VCPUS];
	unsigned int running = VCPUS;

	fill_rings(z);
	z->shared = true;
	for (unsigned int i = 0; i < VCPUS; i++) {
		threads[i] = (struct vcpu_thread){z, i, &running};
		assert_int_equal(pthread_create(ids + i, NULL, use_registers, threads + i), 0);
	}
	while (__atomic_load_n(&running, __ATOMIC_SEQ_CST)) {
		loop_turn(&z->loop, 1);
		if (z->kind == ZOO_BALLOON) {
			balloon_set(&z->balloon, 1);
			balloon_read_stats(&z->balloon, (uint64_t[BALLOON_STATS]){});
		}
		if (z->kind == ZOO_CONSOLE)
			(void)!write(z->host, "x", 1);
	}
	for (unsigned int i = 0; i < VCPUS; i++)
		pthread_join(ids[i], NULL);
	zoo_settle(z, 1000);
	z->shared = false;
	nothing_stale(z);
}

static void test_registers_and_queues(void **state)
{
	(void)state;
	for (enum zoo_kind kind = 0; kind < ZOO_KINDS; kind++) {
		const char *why;
		struct zoo *z = zoo_open(kind, &why);

		if (!z) {
			print_message("%s is left out: %s\n", zoo_names[kind], why);
			continue;
		}
		from_all_sides(z);
		zoo_close(z);
	}
}

/* --- a guest that hears of changes by what it is shown --- */

enum { CHANGES = 3000, WAIT_MS = 10000 };

struct listener {
	struct zoo *z;
	uint32_t seen; /* the configuration that the driver last looked at */
	bool stop;
};

/* As the driver does: status, acknowledgement, then the configuration. Of used buffers alone KVM
 * takes it. */
static void *take_interrupts(void *arg)
{
	struct listener *l = arg;

	while (!__atomic_load_n(&l->stop, __ATOMIC_SEQ_CST)) {
		struct pollfd p = {l->z->mmio.irq, POLLIN, 0};
		uint32_t status;

		if (poll(&p, 1, 100) <= 0 || !event_take(l->z->mmio.irq))
			continue;
		status = zoo_shown(l->z, VIRTIO_MMIO_INTERRUPT_STATUS);
		if (status != DEVICE_INTERRUPT_QUEUE)
			zoo_write(l->z, VIRTIO_MMIO_INTERRUPT_ACK, status);
		if (status & DEVICE_INTERRUPT_CONFIG)
			__atomic_store_n(
				&l->seen, zoo_shown(l->z, VIRTIO_MMIO_CONFIG), __ATOMIC_SEQ_CST);
	}
	return NULL;
}

/* Another vCPU, whose writes have all registers shown again. */
static void *write_registers(void *arg)
{
	struct listener *l = arg;

	for (uint32_t i = 0; !__atomic_load_n(&l->stop, __ATOMIC_SEQ_CST); i++)
		zoo_write(l->z, VIRTIO_MMIO_QUEUE_SEL, i % 4);
	return NULL;
}

static bool has_seen(const struct listener *l, uint32_t value)
{
	for (int i = 0; i < WAIT_MS; i++) {
		if (__atomic_load_n(&l->seen, __ATOMIC_SEQ_CST) == value)
			return true;
		usleep(i < 100 ? 10 : 1000);
	}
	return false;
}

static void change(struct zoo *z, uint32_t value)
{
	pthread_mutex_lock(&z->device->lock);
	z->balloon.config.num_pages = value;
	device_config_changed(z->device);
	pthread_mutex_unlock(&z->device->lock);
}

static void test_no_change_is_lost(void **state)
{
	const char *why;
	struct zoo *z = zoo_open(ZOO_BALLOON, &why);
	struct listener l = {.z = z};
	pthread_t driver, other;
	uint32_t value = 0;
	bool seen = true;

	(void)state;
	z->shared = true;
	zoo_start(z, UINT64_MAX, SIZE);
	assert_int_equal(pthread_create(&driver, NULL, take_interrupts, &l), 0);
	assert_int_equal(pthread_create(&other, NULL, write_registers, &l), 0);
	for (uint32_t i = 0; i < CHANGES && seen; i++) {
		for (uint32_t more = 0; more <= i % 3; more++) /* some that follow at once */
			change(z, ++value);
		seen = has_seen(&l, value);
	}
	__atomic_store_n(&l.stop, true, __ATOMIC_SEQ_CST);
	pthread_join(driver, NULL);
	pthread_join(other, NULL);
	assert_true(seen);
	z->shared = false;
	nothing_stale(z);
	zoo_close(z);
}

static void *select_no_queue(void *arg)
{
	zoo_write(arg, VIRTIO_MMIO_QUEUE_SEL, DEVICE_QUEUES_MAX);
	return NULL;
}

/* Who is about to show what it read before a change would take the change back: nobody shows
 * anything while the device is somebody else's. */
static void test_shown_with_the_lock_held(void **state)
{
	const char *why;
	struct zoo *z = zoo_open(ZOO_BALLOON, &why);
	uint32_t most;
	pthread_t other;

	(void)state;
	zoo_start(z, UINT64_MAX, SIZE);
	most = zoo_shown(z, VIRTIO_MMIO_QUEUE_NUM_MAX);
	assert_int_not_equal(most, 0);
	pthread_mutex_lock(&z->device->lock);
	assert_int_equal(pthread_create(&other, NULL, select_no_queue, z), 0);
	usleep(200000);
	assert_int_equal(zoo_shown(z, VIRTIO_MMIO_QUEUE_NUM_MAX), most);
	pthread_mutex_unlock(&z->device->lock);
	pthread_join(other, NULL);
	assert_int_equal(zoo_shown(z, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	zoo_close(z);
}

/* --- a machine whose vCPU never leaves the registers alone --- */

/* 32-bit: read and write the first devices' registers for ever, and print. */
static const uint8_t busy[] = {
	0xbe, 0x00, 0x00, 0x00, 0xd0,             /* begin: mov esi, 0xd0000000 */
	0xb9, 0x80, 0x00, 0x00, 0x00,             /* mov ecx, 0x80 */
	0x8b, 0x06,                               /* again: mov eax, [esi] */
	0x89, 0x46, 0x14,                         /* mov [esi + 0x14], eax */
	0xc7, 0x46, 0x50, 0x00, 0x00, 0x00, 0x00, /* mov dword [esi + 0x50], 0 */
	0x83, 0xc6, 0x40,                         /* add esi, 0x40 */
	0x66, 0xba, 0xf8, 0x03,                   /* mov dx, 0x3f8 */
	0xb0, 0x0a, 0xee,                         /* mov al, 10; out dx, al */
	0xe2, 0xe8,                               /* loop again */
	0xeb, 0xdc,                               /* jmp begin */
};

static int no_filter(const char *role, struct err *err)
{
	(void)role;
	(void)err;
	return 0;
}

/* What the runtime asks, while the machine runs. */
static void *ask(void *arg)
{
	static const uint32_t ops[] = {CONTROL_STATS, CONTROL_PAUSE, CONTROL_STATS, CONTROL_RESUME,
		CONTROL_BALLOON, CONTROL_STATS};
	int sock = *(int *)arg;
	struct control_reply reply;

	for (int i = 0; i < 10 * (int)ARRAY_LEN(ops); i++) {
		struct control_request q = {.op = ops[(size_t)i % ARRAY_LEN(ops)], .value = 1};

		if (write(sock, &q, sizeof(q)) != sizeof(q) ||
			read(sock, &reply, sizeof(reply)) != sizeof(reply) || reply.result < 0)
			return "no answer";
	}
	return write(sock, &(struct control_request){.op = CONTROL_STOP},
		       sizeof(struct control_request)) > 0
		       ? NULL
		       : "no stop";
}

static void test_machine_and_control(void **state)
{
	static struct machine m;
	const struct plan plan = {.vcpus = 2,
		.memory_mib = 16,
		.command_line = "",
		.rng = true,
		.balloon = true,
		.serial = {true, (uint32_t)sys_openat(AT_FDCWD, "/dev/null", O_WRONLY, 0)},
		.kernel = kernel_of(busy, sizeof(busy))};
	int kvm = sys_openat(AT_FDCWD, "/dev/kvm", O_RDWR, 0), control[2];
	struct err err = {};
	pthread_t asker;
	void *complaint;

	(void)state;
	if (kvm < 0) {
		print_message("without /dev/kvm\n");
		skip();
	}
	assert_int_equal(machine_open(&m, &plan, kvm, &err), 0);
	assert_int_equal(sys_socketpair(SOCK_SEQPACKET, control), 0);
	assert_int_equal(control_open(&m, control[1], -1, &err), 0);
	assert_int_equal(pthread_create(&asker, NULL, ask, control), 0);
	assert_int_equal(vm_run(&m.vm, no_filter, &err), VM_STOPPED);
	pthread_join(asker, &complaint);
	assert_null(complaint);
	close(control[0]);
	close(control[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registers_and_queues),
		cmocka_unit_test(test_no_change_is_lost),
		cmocka_unit_test(test_shown_with_the_lock_held),
		cmocka_unit_test(test_machine_and_control),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
