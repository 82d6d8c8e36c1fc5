/* SPDX-License-Identifier: Apache-2.0 */
/* Machines of this architecture are paused and not saved: the interrupt controller's state is
 * another interface of KVM's, which nobody could try yet. */
#include "runtime/microvm/vmm/arch.h"

#include <errno.h>
#include <stddef.h>

void arch_vcpu_rested(int vcpu_fd)
{
	(void)vcpu_fd; /* the guest's clock has no word for it */
}

int arch_state_open(int kvm_fd, struct arch_state **ret, struct err *err)
{
	(void)kvm_fd;
	(void)err;
	*ret = NULL;
	return 0;
}

int arch_vm_save(struct arch_state *state, int vm_fd, struct snapshot_writer *w)
{
	(void)state;
	(void)vm_fd;
	(void)w;
	return -EOPNOTSUPP;
}

int arch_vcpu_save(struct arch_state *state, int vcpu_fd, uint32_t index, struct snapshot_writer *w)
{
	(void)index;
	return arch_vm_save(state, vcpu_fd, w);
}

int arch_vm_restore(
	struct arch_state *state, int vm_fd, struct snapshot_reader *reader, struct err *err)
{
	(void)state;
	(void)vm_fd;
	(void)reader;
	return err_set(err, -EOPNOTSUPP, "a machine of this architecture cannot be restored");
}

int arch_vcpu_restore(struct arch_state *state, int kvm_fd, int vcpu_fd, uint32_t index,
	struct snapshot_reader *reader, struct err *err)
{
	(void)kvm_fd;
	(void)index;
	return arch_vm_restore(state, vcpu_fd, reader, err);
}
