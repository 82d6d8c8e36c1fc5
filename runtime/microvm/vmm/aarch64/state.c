/* SPDX-License-Identifier: Apache-2.0 */
/* A machine of aarch64 cannot be saved: the registers of KVM_GET_REG_LIST and the GIC's are not
 * read here. Asking for it is refused; nothing else of the machine suffers. */
#include "runtime/microvm/vmm/arch.h"
#include "runtime/microvm/vmm/snapshot.h"

#include <errno.h>

void arch_vcpu_rested(int vcpu_fd)
{
	(void)vcpu_fd; /* the guest's clock goes on, and it knows */
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
	(void)state;
	(void)vcpu_fd;
	(void)index;
	(void)w;
	return -EOPNOTSUPP;
}

static int refuse(struct err *err)
{
	return err_set(err, -EOPNOTSUPP, "a saved machine cannot be restored on aarch64 yet");
}

int arch_vm_restore(
	struct arch_state *state, int vm_fd, struct snapshot_reader *reader, struct err *err)
{
	(void)state;
	(void)vm_fd;
	(void)reader;
	return refuse(err);
}

int arch_vcpu_restore(struct arch_state *state, int kvm_fd, int vcpu_fd, uint32_t index,
	struct snapshot_reader *reader, struct err *err)
{
	(void)state;
	(void)kvm_fd;
	(void)vcpu_fd;
	(void)index;
	(void)reader;
	return refuse(err);
}
