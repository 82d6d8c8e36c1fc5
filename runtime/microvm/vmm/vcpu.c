/* SPDX-License-Identifier: Apache-2.0 */
/* One vCPU's thread: KVM_RUN and what it comes back with. */
#include "base/sys.h"
#include "runtime/microvm/vmm/vm.h"

#include <signal.h>
#include <string.h>

static void on_signal(int sig)
{
	(void)sig; /* only there to end KVM_RUN with EINTR */
}

int vcpu_signals(struct err *err)
{
	struct sigaction action = {.sa_handler = on_signal};

	return sigaction(SIGUSR1, &action, NULL) < 0 ? err_sys(err, -errno, "sigaction") : 0;
}

/* Also works just before KVM_RUN: then it returns at once. #syscalls:io,vcpu tgkill getpid gettid
 * rt_sigprocmask
 */
void vcpu_interrupt(struct vcpu *vcpu)
{
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(vcpu->thread, SIGUSR1);
}

static struct mmio *find_mmio(struct vm *vm, uint64_t gpa, uint32_t *ret_offset)
{
	for (unsigned int i = 0; i < vm->mmio_count; i++) {
		uint64_t offset = gpa - vm->layout.devices[i].gpa;

		if (offset < MMIO_SIZE) {
			*ret_offset = (uint32_t)offset;
			return vm->mmios + i;
		}
	}
	return NULL;
}

static const struct vm_range *find_range(const struct vm *vm, uint64_t gpa)
{
	for (unsigned int i = 0; i < vm->range_count; i++)
		if (gpa - vm->ranges[i].gpa < vm->ranges[i].size)
			return vm->ranges + i;
	return NULL;
}

/* What is not there reads as ones, as on a bus without anybody. */
static void handle_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint32_t offset = 0, len = run->mmio.len;
	struct mmio *mmio = find_mmio(vcpu->vm, run->mmio.phys_addr, &offset);
	const struct vm_range *range = mmio ? NULL : find_range(vcpu->vm, run->mmio.phys_addr);

	if (len > sizeof(run->mmio.data))
		len = sizeof(run->mmio.data);
	if (!mmio && !range && arch_mmio(run, &vcpu->vm->serial))
		return;
	if (range)
		range->access(range->context, run->mmio.phys_addr - range->gpa, run->mmio.data, len,
			run->mmio.is_write);
	else if (!mmio)
		memset(run->mmio.data, 0xff, len);
	else if (run->mmio.is_write)
		mmio_write(mmio, offset, run->mmio.data, len);
	else
		mmio_read(mmio, offset, run->mmio.data, len);
}

static void fail(struct vcpu *vcpu, const char *what, uint64_t detail)
{
	struct vm *vm = vcpu->vm;

	pthread_mutex_lock(&vm->lock);
	if (vm->outcome == VM_RUNNING)
		err_set(&vm->err, -EIO, "vCPU %u: %s (%#llx)", vcpu->index, what,
			(unsigned long long)detail);
	pthread_mutex_unlock(&vm->lock);
	vm_end(vm, VM_FAILED);
}

static void handle_arch(struct vcpu *vcpu)
{
	switch (arch_exit(vcpu->run, &vcpu->vm->serial)) {
	case ARCH_CONTINUE:
		break;
	case ARCH_POWER_OFF:
		vm_end(vcpu->vm, VM_POWER_OFF);
		break;
	case ARCH_RESET:
		vm_end(vcpu->vm, VM_RESET);
		break;
	case ARCH_UNKNOWN:
		fail(vcpu, "KVM gave up with exit reason", vcpu->run->exit_reason);
		break;
	}
}

static void handle_exit(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	if (run->exit_reason < VM_EXITS_MAX)
		__atomic_fetch_add(vcpu->exits + run->exit_reason, 1, __ATOMIC_RELAXED);
	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		handle_mmio(vcpu);
		break;
	case KVM_EXIT_INTR:
		break;
	case KVM_EXIT_SHUTDOWN: /* a triple fault: how some kernels reset */
		vm_end(vcpu->vm, VM_RESET);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		vm_end(vcpu->vm, run->system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN ? VM_POWER_OFF
										     : VM_RESET);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		fail(vcpu, "the processor refused to enter the guest",
			run->fail_entry.hardware_entry_failure_reason);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		fail(vcpu, "KVM could not emulate the guest", run->internal.suberror);
		break;
	default:
		handle_arch(vcpu);
	}
}

/* Waits while the machine is paused; false when it has ended. #syscalls:io,vcpu futex */
static bool may_run(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	bool run;

	pthread_mutex_lock(&vm->lock);
	if (vm_rests(vm)) {
		vm->resting++;
		pthread_cond_broadcast(&vm->changed);
		while (vm_rests(vm))
			pthread_cond_wait(&vm->changed, &vm->lock);
		vm->resting--;
	}
	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	run = vm->outcome == VM_RUNNING;
	pthread_mutex_unlock(&vm->lock);
	return run;
}

/* #syscalls:vcpu ioctl=KVM_RUN rt_sigreturn exit madvise munmap rt_sigprocmask */
void *vcpu_main(void *arg)
{
	struct vcpu *vcpu = arg;

	while (may_run(vcpu)) {
		int r;

		do {
			r = sys_ioctl(vcpu->fd, KVM_RUN, NULL);
			if (r == 0)
				handle_exit(vcpu);
			/* Coming back with immediate_exit set also finishes the last access. */
		} while (r == 0 || r == -EAGAIN);
		if (r != -EINTR) {
			fail(vcpu, "KVM_RUN", (uint64_t)-r);
			break;
		}
	}
	return NULL;
}
