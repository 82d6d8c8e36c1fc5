/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/host/nested.h"

#include "base/cleanup.h"
#include "base/sys.h"

#include <linux/kvm.h>
#include <stdlib.h>

#ifdef __x86_64__

enum { CPUID_MAX = 256, VMX = 1 << 5, SVM = 1 << 2 };

/* Only where the module's parameter "nested" is set KVM has these among what guests can be shown.
 */
static const char *driver_of(const struct kvm_cpuid2 *cpuid)
{
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		const struct kvm_cpuid_entry2 *e = cpuid->entries + i;

		if (e->function == 1 && e->ecx & VMX)
			return "kvm_intel";
		if (e->function == 0x80000001 && e->ecx & SVM)
			return "kvm_amd";
	}
	return NULL;
}

int nested_driver(int kvm, const char **ret, struct err *err)
{
	autofree struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + CPUID_MAX * sizeof(cpuid->entries[0]));
	const char *driver;
	int r;

	if (!cpuid)
		return err_sys(err, -ENOMEM, "nested virtualisation");
	cpuid->nent = CPUID_MAX;
	r = sys_ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
	if (r < 0)
		return err_sys(err, r, "KVM_GET_SUPPORTED_CPUID");
	driver = driver_of(cpuid);
	if (!driver)
		return err_set(err, -ENOTSUP,
			"org.brig.vm.nested: this host's KVM gives guests no virtualisation of "
			"their own: the parameter \"nested\" of kvm_intel or kvm_amd is off, or "
			"the processor cannot");
	*ret = driver;
	return 0;
}

#else

int nested_driver(int kvm, const char **ret, struct err *err)
{
	(void)kvm;
	(void)ret;
	return err_set(err, -ENOTSUP, "org.brig.vm.nested: not on this kind of processor");
}

#endif
