/* SPDX-License-Identifier: Apache-2.0 */
/* A vCPU's and the interrupt controllers' state, saved and restored: what KVM gives out it takes
 * back, in its own structs, and it checks what it takes. */
#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/microvm/vmm/arch.h"
#include "runtime/microvm/vmm/snapshot.h"
#include "runtime/microvm/vmm/x86/x86.h"

#include <stdlib.h>
#include <string.h>

enum { MSRS_MAX = 1024, IRQCHIPS = 3 };

/* Section types beneath SNAPSHOT_ARCH. */
enum { IRQCHIP = SNAPSHOT_ARCH, CLOCK, TSC_KHZ, MSRS, PARTS };

struct msrs {
	struct kvm_msrs head;
	struct kvm_msr_entry entries[MSRS_MAX];
};

struct arch_state {
	uint32_t msr_count;
	uint32_t indexes[MSRS_MAX]; /* that KVM can save */
	struct msrs scratch;
	size_t cpuid_len;
	struct kvm_cpuid2 *cpuid;
};

/* In the order in which they can be restored: the local APIC's mode is in the special registers,
 * and the MSRs, which come behind it, need its mode.
 * #syscalls:io ioctl=KVM_GET_MP_STATE ioctl=KVM_GET_REGS ioctl=KVM_GET_SREGS2 ioctl=KVM_GET_XSAVE
 * ioctl=KVM_GET_XCRS ioctl=KVM_GET_DEBUGREGS ioctl=KVM_GET_LAPIC ioctl=KVM_GET_VCPU_EVENTS
 * ioctl=KVM_GET_MSRS ioctl=KVM_GET_TSC_KHZ ioctl=KVM_GET_IRQCHIP ioctl=KVM_GET_CLOCK
 */
#define PART(name, type)                                                   \
	{                                                                  \
#name, KVM_GET_##name, KVM_SET_##name, sizeof(struct type) \
	}

static const struct part {
	const char *name;
	unsigned long get, set;
	size_t size;
} parts[] = {
	PART(MP_STATE, kvm_mp_state),
	PART(REGS, kvm_regs),
	PART(SREGS2, kvm_sregs2),
	PART(XSAVE, kvm_xsave),
	PART(XCRS, kvm_xcrs),
	PART(DEBUGREGS, kvm_debugregs),
	PART(LAPIC, kvm_lapic_state),
	PART(VCPU_EVENTS, kvm_vcpu_events),
};

enum { EVENTS = ARRAY_LEN(parts) - 1 }; /* behind the MSRS */

union part_data {
	struct kvm_xsave xsave; /* the largest */
	struct kvm_lapic_state lapic;
};

/* --- what can be saved --- */

static int list_msrs(int kvm_fd, struct arch_state *s)
{
	autofree struct kvm_msr_list *list = calloc(1, sizeof(*list) + sizeof(s->indexes));
	int r;

	if (!list)
		return -ENOMEM;
	list->nmsrs = MSRS_MAX;
	r = sys_ioctl(kvm_fd, KVM_GET_MSR_INDEX_LIST, list);
	if (r < 0)
		return r;
	s->msr_count = list->nmsrs;
	memcpy(s->indexes, list->indices, list->nmsrs * sizeof(*s->indexes));
	return 0;
}

int arch_state_open(int kvm_fd, struct arch_state **ret, struct err *err)
{
	struct arch_state *s = calloc(1, sizeof(*s));
	int r = s ? x86_supported_cpuid(kvm_fd, &s->cpuid) : -ENOMEM;

	if (r == 0) {
		x86_generalise_cpuid(s->cpuid);
		s->cpuid_len = sizeof(*s->cpuid) + s->cpuid->nent * sizeof(*s->cpuid->entries);
		r = list_msrs(kvm_fd, s);
	}
	if (r < 0)
		return err_sys(err, r, "what a vCPU's state is made of");
	*ret = s;
	return 0;
}

/* --- save --- */

/* KVM stops at the first that this guest does not have. */
static int save_msrs(struct arch_state *s, int vcpu_fd, uint32_t index, struct snapshot_writer *w)
{
	struct kvm_msr_entry *have = s->scratch.entries;
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} one = {.head = {.nmsrs = 1}};
	uint32_t count = 0;

	for (uint32_t i = 0; i < s->msr_count; i++) {
		one.entry = (struct kvm_msr_entry){.index = s->indexes[i]};
		if (sys_ioctl(vcpu_fd, KVM_GET_MSRS, &one) == 1)
			have[count++] = one.entry;
	}
	snapshot_put(w, MSRS, index, have, count * sizeof(*have));
	return 0;
}

static int save_part(const struct part *p, int vcpu_fd, uint32_t index, struct snapshot_writer *w)
{
	union part_data data = {};
	int r = sys_ioctl(vcpu_fd, p->get, &data);

	if (r >= 0)
		snapshot_put(w, PARTS + (uint32_t)(p - parts), index, &data, p->size);
	return r < 0 ? r : 0;
}

int arch_vcpu_save(struct arch_state *s, int vcpu_fd, uint32_t index, struct snapshot_writer *w)
{
	int khz = sys_ioctl(vcpu_fd, KVM_GET_TSC_KHZ, NULL), r = khz < 0 ? khz : 0;

	snapshot_put(w, TSC_KHZ, index, &khz, sizeof(khz));
	for (size_t i = 0; i < EVENTS && r == 0; i++)
		r = save_part(parts + i, vcpu_fd, index, w);
	if (r == 0)
		r = save_msrs(s, vcpu_fd, index, w);
	return r == 0 ? save_part(parts + EVENTS, vcpu_fd, index, w) : r;
}

int arch_vm_save(struct arch_state *s, int vm_fd, struct snapshot_writer *w)
{
	struct kvm_clock_data clock = {};
	int r = 0;

	snapshot_put(w, SNAPSHOT_CPU, 0, s->cpuid, s->cpuid_len);
	for (uint32_t i = 0; i < IRQCHIPS && r == 0; i++) {
		struct kvm_irqchip chip = {.chip_id = i};

		r = sys_ioctl(vm_fd, KVM_GET_IRQCHIP, &chip);
		snapshot_put(w, IRQCHIP, i, &chip, sizeof(chip));
	}
	if (r == 0)
		r = sys_ioctl(vm_fd, KVM_GET_CLOCK, &clock);
	snapshot_put(w, CLOCK, 0, &clock.clock, sizeof(clock.clock));
	return r < 0 ? r : 0;
}

/* --- restore; main thread, not yet jailed --- */

static bool is_known(const struct arch_state *s, uint32_t index)
{
	for (uint32_t i = 0; i < s->msr_count; i++)
		if (s->indexes[i] == index)
			return true;
	return false;
}

/* One that has its value already may be one that cannot be written. */
static int restore_msr(int vcpu_fd, const struct kvm_msr_entry *entry, struct err *err)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} one = {.head = {.nmsrs = 1}, .entry = {.index = entry->index}};

	if (sys_ioctl(vcpu_fd, KVM_GET_MSRS, &one) == 1 && one.entry.data == entry->data)
		return 0;
	one.entry = *entry;
	if (sys_ioctl(vcpu_fd, KVM_SET_MSRS, &one) == 1)
		return 0;
	return err_set(err, -EINVAL, "the processor does not take register %#x of the state",
		entry->index);
}

static int restore_msrs(const struct arch_state *s, int vcpu_fd, uint32_t index,
	struct snapshot_reader *reader, struct err *err)
{
	struct kvm_msr_entry entry;
	const uint8_t *data;
	size_t len;
	int r = snapshot_get_some(reader, MSRS, index, (const void **)&data, &len, err);

	if (r == 0 && len % sizeof(entry))
		r = err_set(err, -EINVAL, "the state's registers are not whole");
	for (size_t at = 0; at < len && r == 0; at += sizeof(entry)) {
		memcpy(&entry, data + at, sizeof(entry));
		r = is_known(s, entry.index)
			    ? restore_msr(vcpu_fd, &entry, err)
			    : err_set(err, -EINVAL, "the state has an unknown register %#x",
				      entry.index);
	}
	return r;
}

static int restore_part(const struct part *p, int vcpu_fd, uint32_t index,
	struct snapshot_reader *reader, struct err *err)
{
	union part_data data;
	int r = snapshot_get(reader, PARTS + (uint32_t)(p - parts), index, &data, p->size, err);

	if (r < 0)
		return r;
	r = sys_ioctl(vcpu_fd, p->set, &data);
	return r < 0 ? err_sys(err, r, "vCPU %u: KVM_SET_%s", index, p->name) : 0;
}

static int restore_tsc(int vcpu_fd, uint32_t index, struct snapshot_reader *reader, struct err *err)
{
	int khz, now = sys_ioctl(vcpu_fd, KVM_GET_TSC_KHZ, NULL);
	int r = snapshot_get(reader, TSC_KHZ, index, &khz, sizeof(khz), err);

	if (r < 0 || khz == now)
		return r;
	r = sys_ioctl(vcpu_fd, KVM_SET_TSC_KHZ, (void *)(uintptr_t)(unsigned int)khz);
	return r < 0 ? err_sys(err, r, "vCPU %u: a clock of %d kHz, as the state's", index, khz)
		     : 0;
}

int arch_vcpu_restore(struct arch_state *s, int kvm_fd, int vcpu_fd, uint32_t index,
	struct snapshot_reader *reader, struct err *err)
{
	int r = arch_vcpu_init(
		kvm_fd, vcpu_fd, index, false, NULL, err); /* what the processor can */

	if (r == 0)
		r = restore_tsc(vcpu_fd, index, reader, err);
	for (size_t i = 0; i < EVENTS && r == 0; i++)
		r = restore_part(parts + i, vcpu_fd, index, reader, err);
	if (r == 0)
		r = restore_msrs(s, vcpu_fd, index, reader, err);
	if (r == 0)
		r = restore_part(parts + EVENTS, vcpu_fd, index, reader, err);
	if (r == 0)
		arch_vcpu_rested(vcpu_fd);
	return r;
}

int arch_vm_restore(
	struct arch_state *s, int vm_fd, struct snapshot_reader *reader, struct err *err)
{
	struct kvm_clock_data clock = {};
	const void *cpuid;
	size_t len;
	int r = snapshot_get_some(reader, SNAPSHOT_CPU, 0, &cpuid, &len, err);

	if (r == 0 && (len != s->cpuid_len || memcmp(cpuid, s->cpuid, len) != 0))
		r = err_set(err, -EINVAL, "the state is of another processor than this one");
	for (uint32_t i = 0; i < IRQCHIPS && r == 0; i++) {
		struct kvm_irqchip chip;

		r = snapshot_get(reader, IRQCHIP, i, &chip, sizeof(chip), err);
		if (r < 0)
			return r;
		chip.chip_id = i;
		r = sys_ioctl(vm_fd, KVM_SET_IRQCHIP, &chip);
		if (r < 0)
			err_sys(err, r, "KVM_SET_IRQCHIP");
	}
	if (r == 0)
		r = snapshot_get(reader, CLOCK, 0, &clock.clock, sizeof(clock.clock), err);
	if (r < 0)
		return r;
	r = sys_ioctl(vm_fd, KVM_SET_CLOCK, &clock);
	return r < 0 ? err_sys(err, r, "KVM_SET_CLOCK") : 0;
}
