/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/attrs/seccomp/names.h"

#include "base/cleanup.h"

#include <seccomp.h>
#include <stdio.h>
#include <string.h>

enum {
	X32_BIT = 0x40000000,
};

/*
 * From the kernel's tables up to Linux 6.18 (arch/.../syscall*.tbl): what libseccomp 2.5 may not
 * have yet. .arch is 0 where the number is the same on all.
 */
static const struct newer {
	const char *name;
	uint32_t number, arch;
} newer[] = {
	{"quotactl_fd", 443, 0},
	{"landlock_create_ruleset", 444, 0},
	{"landlock_add_rule", 445, 0},
	{"landlock_restrict_self", 446, 0},
	{"memfd_secret", 447, 0},
	{"process_mrelease", 448, 0},
	{"futex_waitv", 449, 0},
	{"set_mempolicy_home_node", 450, 0},
	{"cachestat", 451, 0},
	{"fchmodat2", 452, 0},
	{"map_shadow_stack", 453, 0},
	{"futex_wake", 454, 0},
	{"futex_wait", 455, 0},
	{"futex_requeue", 456, 0},
	{"statmount", 457, 0},
	{"listmount", 458, 0},
	{"lsm_get_self_attr", 459, 0},
	{"lsm_set_self_attr", 460, 0},
	{"lsm_list_modules", 461, 0},
	{"mseal", 462, 0},
	{"setxattrat", 463, 0},
	{"getxattrat", 464, 0},
	{"listxattrat", 465, 0},
	{"removexattrat", 466, 0},
	{"open_tree_attr", 467, 0},
	{"file_getattr", 468, 0},
	{"file_setattr", 469, 0},
	{"uretprobe", 335, SCMP_ARCH_X86_64},
	{"uprobe", 336, SCMP_ARCH_X86_64},
	{"riscv_hwprobe", 258, SCMP_ARCH_RISCV64},
	{"riscv_flush_icache", 259, SCMP_ARCH_RISCV64},
};

static const struct newer *find_newer(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(newer); i++)
		if (strcmp(newer[i].name, name) == 0)
			return &newer[i];
	return NULL;
}

enum seccomp_name_kind seccomp_name_resolve(const char *name, int *ret_number)
{
	int number = seccomp_syscall_resolve_name(name);
	const struct newer *n;

	if (number != __NR_SCMP_ERROR) {
		*ret_number = number;
		return SECCOMP_NAME_LIBRARY;
	}
	n = find_newer(name);
	if (!n)
		return SECCOMP_NAME_UNKNOWN;
	*ret_number = (int)n->number;
	return SECCOMP_NAME_NEWER;
}

uint32_t seccomp_arch_offset(uint32_t arch)
{
	switch (arch) {
	case SCMP_ARCH_X32:
		return X32_BIT;
	case SCMP_ARCH_MIPS:
	case SCMP_ARCH_MIPSEL:
		return 4000;
	case SCMP_ARCH_MIPS64:
	case SCMP_ARCH_MIPSEL64:
		return 5000;
	case SCMP_ARCH_MIPS64N32:
	case SCMP_ARCH_MIPSEL64N32:
		return 6000;
	default:
		return 0;
	}
}

bool seccomp_newer_number(const char *name, uint32_t arch, uint32_t *ret)
{
	const struct newer *n = find_newer(name);

	if (!n || (n->arch && n->arch != arch))
		return false;
	*ret = seccomp_arch_offset(arch) + n->number;
	return true;
}

bool seccomp_name_of(uint32_t arch, uint32_t number, char ret[SECCOMP_NAME_SIZE])
{
	uint32_t offset = seccomp_arch_offset(arch);
	autofree char *name = seccomp_syscall_resolve_num_arch(arch, (int)(offset + number));

	if (name) {
		snprintf(ret, SECCOMP_NAME_SIZE, "%s", name);
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(newer); i++)
		if (newer[i].number == number && (!newer[i].arch || newer[i].arch == arch)) {
			snprintf(ret, SECCOMP_NAME_SIZE, "%s", newer[i].name);
			return true;
		}
	return false;
}
