/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/vmm/x86/kernel.h"

#include <elf.h>
#include <string.h>

enum {
	SEGMENTS_MAX = 64,
	NOTES_MAX =
		4096, /* bytes of a note segment that are looked at; Linux has its own in front */
	NOTE_PVH_ENTRY = 18,
	BOOT_PROTOCOL_MIN = 0x20c, /* 2.12: xloadflags */
	SETUP_HEADER = 0x1f1,
	ENTRY_64 = 0x200,
};

/* Looks for the note that names the PVH entry; 0 when there is none. */
static uint64_t pvh_entry(const uint8_t *notes, size_t len)
{
	size_t at = 0;

	while (len - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		size_t name, desc, name_len, desc_len;

		memcpy(&note, notes + at, sizeof(note));
		name_len = ((size_t)note.n_namesz + 3) & ~3UL;
		desc_len = ((size_t)note.n_descsz + 3) & ~3UL;
		name = at + sizeof(note);
		if (name_len > len - name || desc_len > len - name - name_len)
			return 0;
		desc = name + name_len;
		if (note.n_type == NOTE_PVH_ENTRY && note.n_namesz == 4 && note.n_descsz >= 4 &&
			!memcmp(notes + name, "Xen", 4)) {
			uint64_t entry = 0;

			memcpy(&entry, notes + desc, note.n_descsz >= 8 ? 8 : 4);
			return entry;
		}
		at = desc + desc_len;
	}
	return 0;
}

static int elf_notes(int fd, const Elf64_Phdr *ph, struct x86_kernel *kernel)
{
	uint8_t notes[NOTES_MAX];
	size_t len = ph->p_filesz < NOTES_MAX ? ph->p_filesz : NOTES_MAX;
	uint64_t entry;
	int r = loader_read(fd, notes, len, ph->p_offset);

	if (r < 0)
		return r;
	entry = pvh_entry(notes, len);
	if (entry) {
		kernel->image.entry = entry;
		kernel->protocol = KERNEL_PVH;
	}
	return 0;
}

/* Numbers that are not checked yet: good enough for a wish. */
static void expect_segments(
	const struct guest_memory *memory, const Elf64_Phdr *table, unsigned int count)
{
	uint64_t begin = UINT64_MAX, end = 0;

	for (unsigned int i = 0; i < count; i++) {
		const Elf64_Phdr *ph = table + i;

		if (ph->p_type != PT_LOAD)
			continue;
		begin = ph->p_paddr < begin ? ph->p_paddr : begin;
		end = ph->p_paddr + ph->p_memsz > end ? ph->p_paddr + ph->p_memsz : end;
	}
	loader_expect(memory, begin, end);
}

static int elf_load(
	int fd, const struct guest_memory *memory, const Elf64_Ehdr *eh, struct x86_kernel *kernel)
{
	Elf64_Phdr table[SEGMENTS_MAX];
	int r = 0, loaded = 0;

	if (eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_ident[EI_DATA] != ELFDATA2LSB ||
		eh->e_machine != EM_X86_64 || eh->e_phentsize != sizeof(Elf64_Phdr) ||
		eh->e_phnum > SEGMENTS_MAX || eh->e_phoff > INT64_MAX / 2)
		return -ENOEXEC;
	kernel->protocol = KERNEL_LINUX64;
	kernel->image.entry = eh->e_entry;
	r = loader_read(fd, table, eh->e_phnum * sizeof(*table), eh->e_phoff);
	if (r < 0)
		return r;
	expect_segments(memory, table, eh->e_phnum);
	for (unsigned int i = 0; i < eh->e_phnum && r == 0; i++) {
		const Elf64_Phdr *ph = table + i;

		if (ph->p_type == PT_NOTE && ph->p_offset <= INT64_MAX / 2)
			r = elf_notes(fd, ph, kernel);
		if (r < 0 || ph->p_type != PT_LOAD || !ph->p_memsz)
			continue;
		r = loader_place(fd, memory, X86_KERNEL_FLOOR, ph->p_offset, ph->p_paddr,
			ph->p_filesz, ph->p_memsz);
		if (r == 0 && ph->p_paddr + ph->p_memsz > kernel->image.end)
			kernel->image.end = ph->p_paddr + ph->p_memsz;
		loaded++;
	}
	return r < 0 ? r : loaded ? 0 : -ENOEXEC;
}

static int bzimage_load(int fd, const struct guest_memory *memory, struct x86_kernel *kernel)
{
	struct setup_header *h = &kernel->header;
	uint64_t size, payload;
	int r;

	if (h->version < BOOT_PROTOCOL_MIN || !(h->xloadflags & XLF_KERNEL_64) ||
		!(h->loadflags & LOADED_HIGH))
		return -ENOEXEC;
	r = loader_size(fd, &size);
	if (r < 0)
		return r;
	payload = ((h->setup_sects ? h->setup_sects : 4) + 1ULL) * 512;
	if (size <= payload + ENTRY_64)
		return -ENOEXEC;
	r = loader_place(fd, memory, X86_KERNEL_FLOOR, payload, X86_KERNEL_FLOOR, size - payload,
		size - payload);
	if (r < 0)
		return r;
	kernel->protocol = KERNEL_LINUX64;
	kernel->image.entry = X86_KERNEL_FLOOR + ENTRY_64;
	/* It moves itself to its preferred address and unpacks there. */
	kernel->image.end = h->pref_address + h->init_size;
	if (kernel->image.end < h->pref_address ||
		kernel->image.end < X86_KERNEL_FLOOR + size - payload)
		return -ENOEXEC;
	if (!gpa_to_hva(memory, X86_KERNEL_FLOOR, kernel->image.end - X86_KERNEL_FLOOR))
		return -ENOMEM;
	if (h->initrd_addr_max)
		kernel->image.initrd_max = h->initrd_addr_max;
	return 0;
}

int x86_kernel_load(
	int fd, const struct guest_memory *memory, struct x86_kernel *ret, struct err *err)
{
	struct x86_kernel kernel = {.image.initrd_max = 0x7fffffff};
	uint8_t head[SETUP_HEADER + sizeof(struct setup_header)];
	Elf64_Ehdr eh;
	int r = loader_read(fd, head, sizeof(head), 0);

	if (r < 0)
		return err_set(err, r, "kernel: too short, or cannot be read");
	memcpy(&eh, head, sizeof(eh));
	memcpy(&kernel.header, head + SETUP_HEADER, sizeof(kernel.header));
	if (!memcmp(eh.e_ident, ELFMAG, SELFMAG)) {
		kernel.header = (struct setup_header){};
		r = elf_load(fd, memory, &eh, &kernel);
	} else if (kernel.header.header == 0x53726448 /* "HdrS" */) {
		r = bzimage_load(fd, memory, &kernel);
	} else {
		r = -ENOEXEC;
	}
	if (r == -ENOMEM)
		return err_set(err, r, "kernel: does not fit into the guest's memory");
	if (r < 0)
		return err_set(err, r, "kernel: neither a 64-bit ELF file nor a 64-bit bzImage");
	if (!gpa_to_hva(memory, kernel.image.entry, 1))
		return err_set(err, -ENOEXEC, "kernel: its entry is outside of the guest's memory");
	*ret = kernel;
	return 0;
}
