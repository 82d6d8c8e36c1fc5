/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's memory before its first instruction: a device tree, the kernel, the initramfs. */
#include "runtime/microvm/vmm/aarch64/aarch64.h"
#include "runtime/microvm/vmm/aarch64/image.h"
#include "runtime/microvm/vmm/aarch64/tree.h"
#include "runtime/microvm/vmm/arch.h"

#include <string.h>

enum { FIRST_DEVICE_IRQ = 16 };

#define RAM_MIN (16ULL << 20)
#define RAM_MAX (1ULL << 38) /* processors with 40 bits of physical addresses are common */

int arch_layout(uint64_t size, struct arch_layout *ret, struct err *err)
{
	struct arch_layout layout = {.ram_count = 1};

	if (size < RAM_MIN || size > RAM_MAX || size % AARCH64_PAGE)
		return err_set(err, -EINVAL, "memory: 16 MiB to 256 GiB, in pages of 4 KiB");
	layout.ram[0].gpa = AARCH64_RAM;
	layout.ram[0].size = size;
	layout.high_gpa = AARCH64_RAM + size;
	for (unsigned int i = 0; i < ARCH_DEVICES_MAX; i++) {
		layout.devices[i].gpa = AARCH64_DEVICES + (uint64_t)i * AARCH64_PAGE;
		layout.devices[i].irq = FIRST_DEVICE_IRQ + i;
	}
	*ret = layout;
	return 0;
}

static int write_tree(
	const struct tree_machine *m, const struct guest_memory *memory, struct err *err)
{
	autobuf struct buf tree = {};
	int r = tree_write(m, &tree);

	if (r == 0 && tree.len > AARCH64_TREE_MAX)
		r = -E2BIG;
	if (r < 0)
		return err_sys(err, r, "device tree");
	memcpy(gpa_to_hva(memory, AARCH64_TREE, tree.len), tree.data, tree.len);
	return 0;
}

int arch_load(const struct arch_boot *boot, const struct arch_layout *layout,
	const struct guest_memory *memory, struct arch_start *ret, struct err *err)
{
	struct tree_machine m = {
		.vcpus = boot->vcpus,
		.memory_size = layout->ram[0].size,
		.command_line = boot->command_line,
		.devices = layout->devices,
		.device_count = boot->devices,
	};
	struct kernel_image image;
	int r = image_load(boot->kernel, memory, AARCH64_KERNEL_BASE, &image, err);

	if (r == 0 && boot->initramfs >= 0)
		r = initramfs_load(
			boot->initramfs, memory, &image, &m.initramfs, &m.initramfs_size, err);
	if (r == 0)
		r = write_tree(&m, memory, err);
	if (r < 0)
		return r;
	*ret = (struct arch_start){.entry = image.entry, .argument = AARCH64_TREE};
	return 0;
}
