/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/vmm/vm.h"

#include "base/cleanup.h"
#include "base/sys.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <linux/virtio_mmio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

enum {
	VCPU_STACK = 128 << 10, /* a vCPU's thread only ever touches registers */
	HUGE_PAGE = 2 << 20,
	REGISTERS_SLOT = 256, /* of vm_map(): that of devices' registers, behind all others */
};

static int map_slot(struct vm *vm, unsigned int slot, uint64_t gpa, uint64_t size, void *hva,
	bool read_only, struct err *err)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = read_only ? KVM_MEM_READONLY : 0,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uint64_t)(uintptr_t)hva,
	};
	int r = sys_ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region);

	return r < 0 ? err_sys(err, r, "KVM_SET_USER_MEMORY_REGION") : 0;
}

int vm_map(struct vm *vm, unsigned int slot, uint64_t gpa, uint64_t size, void *hva, bool read_only,
	struct err *err)
{
	return map_slot(vm, GUEST_REGION_MAX + slot, gpa, size, hva, read_only, err);
}

/* Where guest addresses and ours agree about huge pages: only such ranges can be mapped by them. */
static void *map_memory(int fd, uint64_t size, int flags)
{
	uint8_t *at = mmap(NULL, size + HUGE_PAGE, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t skip;

	if (at == MAP_FAILED)
		return at;
	skip = -(uint64_t)(uintptr_t)at % HUGE_PAGE;
	return mmap(at + skip, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);
}

/* RAM is one memfd, so that a device in another process can map it too; its size is sealed, so
 * that nobody can take pages away under us. */
static int memory_open(struct vm *vm, const struct vm_options *o, struct err *err)
{
	unsigned int flags = MFD_ALLOW_SEALING | (o->huge_pages ? MFD_HUGETLB | MFD_HUGE_2MB : 0);
	uint8_t *hva;
	int r;

	r = vm->memory_fd = sys_memfd_create("guest", flags);
	if (r >= 0)
		r = sys_ftruncate(vm->memory_fd, (off_t)o->memory_size);
	if (r == 0 &&
		fcntl(vm->memory_fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		r = -errno;
	if (r < 0)
		return err_sys(err, r, "guest memory");
	/* Of the pool of huge pages there must be enough now: later that is a SIGBUS. */
	hva = map_memory(
		vm->memory_fd, o->memory_size, MAP_SHARED | (o->huge_pages ? 0 : MAP_NORESERVE));
	if (hva == MAP_FAILED)
		return err_sys(err, -errno, "guest memory: mmap of %llu MiB",
			(unsigned long long)(o->memory_size >> 20));
	madvise(hva, o->memory_size, MADV_DONTDUMP); /* a guest's secrets stay out of cores */
	madvise(hva, o->memory_size, MADV_HUGEPAGE); /* a wish: shmem_enabled decides */
	for (size_t i = 0; i < vm->layout.ram_count; i++) {
		uint64_t gpa = vm->layout.ram[i].gpa, size = vm->layout.ram[i].size;

		r = guest_memory_add(&vm->memory, gpa, size, hva);
		if (r < 0)
			return err_sys(err, r, "guest memory");
		r = map_slot(vm, (unsigned int)i, gpa, size, hva, false, err);
		if (r < 0)
			return r;
		hva += size;
	}
	return 0;
}

/* Next to each other, as they are for the guest. */
static int registers_open(struct vm *vm, struct err *err)
{
	void *at = mmap(NULL, ARCH_DEVICES_MAX * (size_t)MMIO_SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return err_sys(err, -errno, "devices' registers");
	vm->registers = at;
	return 0;
}

static void on_ended(struct loop_source *source, uint32_t events)
{
	struct vm *vm = (struct vm *)((uint8_t *)source - offsetof(struct vm, ended));

	(void)events;
	event_take(source->fd);
	vm->loop.stop = true;
}

static int add_irqfd(struct vm *vm, int fd, uint32_t gsi, struct err *err)
{
	struct kvm_irqfd irqfd = {.fd = (uint32_t)fd, .gsi = gsi};
	int r = sys_ioctl(vm->fd, KVM_IRQFD, &irqfd);

	return r < 0 ? err_sys(err, r, "KVM_IRQFD %u", gsi) : 0;
}

static int generation_open(struct vm *vm, struct err *err)
{
	vm->generation_irq = event_open();
	return vm->generation_irq < 0
		       ? err_sys(err, vm->generation_irq, "eventfd")
		       : add_irqfd(vm, vm->generation_irq, vm->layout.generation.irq, err);
}

/* The id is nobody else's: random. */
static int new_generation(struct vm *vm, struct err *err)
{
	uint8_t *at;

	if (!vm->layout.generation.gpa)
		return 0;
	at = gpa_to_hva(&vm->memory, vm->layout.generation.gpa, ARCH_GENERATION_SIZE);
	return at && getrandom(at, ARCH_GENERATION_SIZE, 0) == ARCH_GENERATION_SIZE
		       ? 0
		       : err_sys(err, -EIO, "the machine's generation id");
}

static int helpers_open(struct vm *vm, const struct vm_options *o, struct err *err)
{
	int r = loop_open(&vm->loop, err);

	if (r < 0)
		return r;
	vm->ended = (struct loop_source){.fd = event_open(), .ready = on_ended};
	r = vm->ended.fd < 0 ? vm->ended.fd : loop_add(&vm->loop, &vm->ended, EPOLLIN);
	if (r == 0)
		r = vm->serial_irq = event_open();
	if (r < 0)
		return err_sys(err, r, "eventfd");
	serial_init(&vm->serial, o->serial, vm->serial_irq);
	r = add_irqfd(vm, vm->serial_irq, ARCH_SERIAL_IRQ, err);
	return r < 0 || !vm->layout.generation.gpa ? r : generation_open(vm, err);
}

/* Finds KVM's counter of all exits (Documentation/virt/kvm/api.rst, 4.133). Older kernels have
 * none; then nothing is counted. */
static void find_exits(struct vcpu *vcpu)
{
	struct kvm_stats_header h;
	union {
		struct kvm_stats_desc desc;
		char bytes[sizeof(struct kvm_stats_desc) + 256];
	} u;

	vcpu->stats_fd = sys_ioctl(vcpu->fd, KVM_GET_STATS_FD, NULL);
	if (vcpu->stats_fd < 0 || sys_pread(vcpu->stats_fd, &h, sizeof(h), 0) != sizeof(h) ||
		h.name_size > 256)
		return;
	for (uint32_t i = 0; i < h.num_desc; i++) {
		size_t len = sizeof(u.desc) + h.name_size;

		if (sys_pread(vcpu->stats_fd, &u, len, h.desc_offset + (off_t)(i * len)) !=
			(ssize_t)len)
			break;
		if (!strncmp(u.desc.name, "exits", h.name_size)) {
			vcpu->exits_offset = h.data_offset + u.desc.offset;
			return;
		}
	}
	cleanup_close(&vcpu->stats_fd);
}

static int vcpu_open(struct vm *vm, unsigned int index, struct err *err)
{
	struct vcpu *vcpu = vm->vcpus + index;
	int r = sys_ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, NULL);

	*vcpu = (struct vcpu){.vm = vm, .index = index, .run_size = r > 0 ? (size_t)r : 0};
	if (r >= 0)
		r = vcpu->fd = sys_ioctl(vm->fd, KVM_CREATE_VCPU, (void *)(uintptr_t)index);
	if (r < 0)
		return err_sys(err, r, "KVM_CREATE_VCPU %u", index);
	r = arch_vcpu_made(vm->fd, vcpu->fd, index, err);
	if (r < 0)
		return r;
	find_exits(vcpu);
	vcpu->run = mmap(NULL, vcpu->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	return vcpu->run == MAP_FAILED ? err_sys(err, -errno, "vCPU %u: mmap", index) : 0;
}

static int vcpus_open(struct vm *vm, unsigned int count, struct err *err)
{
	int r = 0;

	if (!count || count > ARCH_VCPUS_MAX)
		return err_set(err, -EINVAL, "a VM has 1 to %d vCPUs", ARCH_VCPUS_MAX);
	vm->vcpus = calloc(count, sizeof(*vm->vcpus));
	if (!vm->vcpus)
		return err_sys(err, -ENOMEM, "vCPUs");
	vm->vcpu_count = count;
	for (unsigned int i = 0; i < count && r == 0; i++)
		r = vcpu_open(vm, i, err);
	return r;
}

int vm_open(struct vm *vm, const struct vm_options *o, struct err *err)
{
	int r;

	*vm = (struct vm){.kvm = o->kvm,
		.nested = o->nested,
		.fd = -1,
		.memory_fd = -1,
		.serial_irq = -1,
		.generation_irq = -1};
	pthread_mutex_init(&vm->lock, NULL);
	pthread_cond_init(&vm->changed, NULL);
	r = arch_layout(o->memory_size, &vm->layout, err);
	if (r < 0)
		return r;
	if (sys_ioctl(vm->kvm, KVM_GET_API_VERSION, NULL) != KVM_API_VERSION)
		return err_set(err, -ENODEV,
			"/dev/kvm: not KVM, or not version %d of its interface", KVM_API_VERSION);
	r = vm->fd = sys_ioctl(vm->kvm, KVM_CREATE_VM, NULL);
	if (r < 0)
		return err_sys(err, r, "KVM_CREATE_VM");
	r = registers_open(vm, err);
	if (r == 0)
		r = arch_vm_init(vm->fd, err);
	if (r == 0)
		r = memory_open(vm, o, err);
	if (r == 0)
		r = vcpus_open(vm, o->vcpus, err);
	if (r == 0)
		r = arch_vm_ready(vm->fd, o->vcpus, err);
	return r == 0 ? helpers_open(vm, o, err) : r;
}

/* A write of the queue's number to QueueNotify goes to the queue's eventfd, not to us. */
static int add_kicks(struct vm *vm, const struct mmio *mmio, uint64_t gpa, struct err *err)
{
	for (unsigned int i = 0; i < mmio->device->ops->queues; i++) {
		struct kvm_ioeventfd kick = {
			.datamatch = i,
			.addr = gpa + MMIO_QUEUE_NOTIFY,
			.len = 4,
			.fd = mmio->queues[i].source.fd,
			.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
		};
		int r = sys_ioctl(vm->fd, KVM_IOEVENTFD, &kick);

		if (r < 0)
			return err_sys(err, r, "virtio %s: KVM_IOEVENTFD", mmio->device->ops->name);
	}
	return 0;
}

int vm_add(struct vm *vm, struct device *device, struct err *err)
{
	const struct arch_device *at = vm->layout.devices + vm->mmio_count;
	struct mmio *mmio = vm->mmios + vm->mmio_count;
	int r;

	if (vm->mmio_count == ARCH_DEVICES_MAX)
		return err_set(err, -ENOSPC, "a VM has room for %d devices", ARCH_DEVICES_MAX);
	r = mmio_init(
		mmio, device, vm->registers + vm->mmio_count * (size_t)MMIO_SIZE, &vm->loop, err);
	if (r == 0)
		r = add_kicks(vm, mmio, at->gpa, err);
	if (r == 0)
		r = add_irqfd(vm, mmio->irq, at->irq, err);
	if (r == 0)
		vm->mmio_count++;
	return r;
}

/* One slot for all: each change of the slots waits for everybody who looks at them. */
static int show_pages(struct vm *vm, struct err *err)
{
#ifdef ARCH_READS_ARE_COHERENT
	return vm_map(vm, REGISTERS_SLOT, vm->layout.devices[0].gpa,
		vm->mmio_count * (uint64_t)MMIO_SIZE, vm->registers, true, err);
#else
	(void)vm;
	(void)err;
	return 0;
#endif
}

/* That interrupts for used buffers, and for nothing else, were taken is of no interest to us: KVM
 * counts it on an eventfd that nobody reads. */
int vm_show_registers(struct vm *vm, struct err *err)
{
	autoclose int nobody = event_open();
	struct kvm_ioeventfd taken = {
		.datamatch = DEVICE_INTERRUPT_QUEUE,
		.len = 4,
		.fd = nobody,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};
	int r = nobody < 0 ? nobody : 0;

	for (unsigned int i = 0; i < vm->mmio_count && r == 0; i++) {
		taken.addr = vm->layout.devices[i].gpa + VIRTIO_MMIO_INTERRUPT_ACK;
		r = sys_ioctl(vm->fd, KVM_IOEVENTFD, &taken);
	}
	if (r < 0)
		return err_sys(err, r, "KVM_IOEVENTFD");
	return vm->mmio_count ? show_pages(vm, err) : 0;
}

int vm_add_range(struct vm *vm, const struct vm_range *range, struct err *err)
{
	if (vm->range_count == VM_RANGES_MAX)
		return err_set(
			err, -ENOSPC, "a VM has room for %d ranges of registers", VM_RANGES_MAX);
	vm->ranges[vm->range_count++] = *range;
	return 0;
}

int vm_load(struct vm *vm, int kernel, int initramfs, const char *command_line, struct err *err)
{
	const struct arch_boot boot = {
		.kernel = kernel,
		.initramfs = initramfs,
		.command_line = command_line,
		.vcpus = vm->vcpu_count,
		.devices = vm->mmio_count,
	};
	struct arch_start start;
	int r = arch_load(&boot, &vm->layout, &vm->memory, &start, err);

	if (r == 0)
		r = new_generation(vm, err);
	for (unsigned int i = 0; i < vm->vcpu_count && r == 0; i++)
		r = arch_vcpu_init(vm->kvm, vm->vcpus[i].fd, i, vm->nested, i ? NULL : &start, err);
	return r;
}

int vm_renew(struct vm *vm, struct err *err)
{
	int r = new_generation(vm, err);

	if (r == 0 && vm->generation_irq >= 0)
		event_signal(vm->generation_irq);
	return r;
}

void vm_end(struct vm *vm, enum vm_outcome outcome)
{
	pthread_mutex_lock(&vm->lock);
	if (vm->outcome == VM_RUNNING)
		vm->outcome = outcome;
	for (unsigned int i = 0; i < vm->vcpu_count; i++) {
		if (vm->vcpus[i].started)
			vcpu_interrupt(vm->vcpus + i);
	}
	pthread_cond_broadcast(&vm->changed);
	pthread_mutex_unlock(&vm->lock);
	event_signal(vm->ended.fd);
}

/* Sends the vCPUs to rest or to work, as .paused and .wakers say by now; .lock is held. */
static void settle(struct vm *vm)
{
	if (!vm_rests(vm)) {
		pthread_cond_broadcast(&vm->changed);
		return;
	}
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		vcpu_interrupt(vm->vcpus + i);
	while (vm->resting < vm->vcpu_count && vm->outcome == VM_RUNNING)
		pthread_cond_wait(&vm->changed, &vm->lock);
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		arch_vcpu_rested(vm->vcpus[i].fd);
}

void vm_pause(struct vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	vm->paused = true;
	settle(vm);
	pthread_mutex_unlock(&vm->lock);
}

void vm_resume(struct vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	vm->paused = false;
	settle(vm);
	pthread_mutex_unlock(&vm->lock);
}

void vm_wake(struct vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	vm->wakers++;
	settle(vm);
	pthread_mutex_unlock(&vm->lock);
}

void vm_rest(struct vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	vm->wakers--;
	settle(vm);
	pthread_mutex_unlock(&vm->lock);
}

bool vm_is_resting(struct vm *vm)
{
	bool resting;

	pthread_mutex_lock(&vm->lock);
	resting = vm_rests(vm) && vm->resting == vm->vcpu_count;
	pthread_mutex_unlock(&vm->lock);
	return resting;
}

/* A vCPU's thread from its first instruction: its own filter first. */
struct entry {
	struct vcpu *vcpu;
	int (*enter)(const char *role, struct err *err);
};

static void *vcpu_enter(void *arg)
{
	struct entry entry = *(struct entry *)arg;
	struct vm *vm = entry.vcpu->vm;
	struct err err = {};

	if (entry.enter("vcpu", &err) == 0)
		return vcpu_main(entry.vcpu);
	pthread_mutex_lock(&vm->lock);
	vm->err = err;
	pthread_mutex_unlock(&vm->lock);
	vm_end(vm, VM_FAILED);
	return NULL;
}

static int start_vcpus(struct vm *vm, struct entry *entries, struct err *err)
{
	pthread_attr_t attr;
	int r = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, VCPU_STACK);
	pthread_mutex_lock(&vm->lock); /* none ends before all have started */
	for (unsigned int i = 0; i < vm->vcpu_count && r == 0; i++) {
		struct vcpu *vcpu = vm->vcpus + i;

		r = -pthread_create(&vcpu->thread, &attr, vcpu_enter, entries + i);
		vcpu->started = r == 0;
	}
	pthread_mutex_unlock(&vm->lock);
	pthread_attr_destroy(&attr);
	return r < 0 ? err_sys(err, r, "a thread for each vCPU") : 0;
}

enum vm_outcome vm_run(
	struct vm *vm, int (*enter)(const char *role, struct err *err), struct err *err)
{
	autofree struct entry *entries = calloc(vm->vcpu_count, sizeof(*entries));
	int r = entries ? vcpu_signals(err) : err_sys(err, -ENOMEM, "vCPUs");

	if (r < 0)
		return VM_FAILED;
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		entries[i] = (struct entry){.vcpu = vm->vcpus + i, .enter = enter};
	r = start_vcpus(vm, entries, err);
	if (r == 0)
		r = enter("io", err);
	if (r == 0) {
		r = loop_run(&vm->loop);
		if (r < 0)
			err_sys(err, r, "epoll_wait");
	}
	vm_end(vm, VM_FAILED); /* where no other reason came first */
	for (unsigned int i = 0; i < vm->vcpu_count; i++) {
		if (vm->vcpus[i].started)
			pthread_join(vm->vcpus[i].thread, NULL);
	}
	serial_flush(&vm->serial);
	if (vm->outcome == VM_FAILED && vm->err.code)
		*err = vm->err;
	return vm->outcome;
}
