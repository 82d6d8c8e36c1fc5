/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/vmm/loader.h"

#include "base/sys.h"

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
	PAGE = 4096,
};

static int read_exactly(int fd, void *buf, size_t len, uint64_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n =
			sys_pread(fd, (uint8_t *)buf + done, len - done, (off_t)(offset + done));

		if (n < 0)
			return (int)n;
		if (n == 0)
			return -ENOEXEC;
		done += (size_t)n;
	}
	return 0;
}

static int file_size(int fd, uint64_t *ret)
{
	struct stat st;
	int r = sys_fstat(fd, &st);

	if (r < 0)
		return r;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	*ret = (uint64_t)st.st_size;
	return 0;
}

/* Places FILE_LEN bytes of FD at GPA, with memory for MEM_LEN bytes. */
static int place(int fd, const struct guest_memory *memory, uint64_t offset, uint64_t gpa,
	uint64_t file_len, uint64_t mem_len)
{
	void *hva;

	if (file_len > mem_len || gpa < LOADER_FLOOR || offset > INT64_MAX - file_len)
		return -ENOEXEC;
	hva = gpa_to_hva(memory, gpa, mem_len);
	if (!hva)
		return -ENOMEM;
	return read_exactly(fd, hva, file_len, offset); /* the rest is zero: memory is fresh */
}

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

static int elf_notes(int fd, const Elf64_Phdr *ph, struct kernel_image *image)
{
	uint8_t notes[NOTES_MAX];
	size_t len = ph->p_filesz < NOTES_MAX ? ph->p_filesz : NOTES_MAX;
	uint64_t entry;
	int r = read_exactly(fd, notes, len, ph->p_offset);

	if (r < 0)
		return r;
	entry = pvh_entry(notes, len);
	if (entry) {
		image->entry = entry;
		image->protocol = KERNEL_PVH;
	}
	return 0;
}

static int elf_load(
	int fd, const struct guest_memory *memory, const Elf64_Ehdr *eh, struct kernel_image *image)
{
	int r = 0, loaded = 0;

	if (eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_ident[EI_DATA] != ELFDATA2LSB ||
		eh->e_machine != EM_X86_64 || eh->e_phentsize != sizeof(Elf64_Phdr) ||
		eh->e_phnum > SEGMENTS_MAX || eh->e_phoff > INT64_MAX / 2)
		return -ENOEXEC;
	image->protocol = KERNEL_LINUX64;
	image->entry = eh->e_entry;
	for (unsigned int i = 0; i < eh->e_phnum && r == 0; i++) {
		Elf64_Phdr ph;

		r = read_exactly(fd, &ph, sizeof(ph), eh->e_phoff + i * sizeof(ph));
		if (r < 0)
			return r;
		if (ph.p_type == PT_NOTE && ph.p_offset <= INT64_MAX / 2)
			r = elf_notes(fd, &ph, image);
		if (ph.p_type != PT_LOAD || !ph.p_memsz)
			continue;
		r = place(fd, memory, ph.p_offset, ph.p_paddr, ph.p_filesz, ph.p_memsz);
		if (r == 0 && ph.p_paddr + ph.p_memsz > image->end)
			image->end = ph.p_paddr + ph.p_memsz;
		loaded++;
	}
	return r < 0 ? r : loaded ? 0 : -ENOEXEC;
}

static int bzimage_load(int fd, const struct guest_memory *memory, struct kernel_image *image)
{
	struct setup_header *h = &image->header;
	uint64_t size, payload;
	int r;

	if (h->version < BOOT_PROTOCOL_MIN || !(h->xloadflags & XLF_KERNEL_64) ||
		!(h->loadflags & LOADED_HIGH))
		return -ENOEXEC;
	r = file_size(fd, &size);
	if (r < 0)
		return r;
	payload = ((h->setup_sects ? h->setup_sects : 4) + 1ULL) * 512;
	if (size <= payload + ENTRY_64)
		return -ENOEXEC;
	r = place(fd, memory, payload, LOADER_FLOOR, size - payload, size - payload);
	if (r < 0)
		return r;
	image->protocol = KERNEL_LINUX64;
	image->entry = LOADER_FLOOR + ENTRY_64;
	/* It moves itself to its preferred address and unpacks there. */
	image->end = h->pref_address + h->init_size;
	if (image->end < h->pref_address || image->end < LOADER_FLOOR + size - payload)
		return -ENOEXEC;
	if (!gpa_to_hva(memory, LOADER_FLOOR, image->end - LOADER_FLOOR))
		return -ENOMEM;
	if (h->initrd_addr_max)
		image->initrd_max = h->initrd_addr_max;
	return 0;
}

int kernel_load(
	int fd, const struct guest_memory *memory, struct kernel_image *ret, struct err *err)
{
	struct kernel_image image = {.initrd_max = 0x7fffffff};
	uint8_t head[SETUP_HEADER + sizeof(struct setup_header)];
	Elf64_Ehdr eh;
	int r = read_exactly(fd, head, sizeof(head), 0);

	if (r < 0)
		return err_set(err, r, "kernel: too short, or cannot be read");
	memcpy(&eh, head, sizeof(eh));
	memcpy(&image.header, head + SETUP_HEADER, sizeof(image.header));
	if (!memcmp(eh.e_ident, ELFMAG, SELFMAG)) {
		image.header = (struct setup_header){};
		r = elf_load(fd, memory, &eh, &image);
	} else if (image.header.header == 0x53726448 /* "HdrS" */) {
		r = bzimage_load(fd, memory, &image);
	} else {
		r = -ENOEXEC;
	}
	if (r == -ENOMEM)
		return err_set(err, r, "kernel: does not fit into the guest's memory");
	if (r < 0)
		return err_set(err, r, "kernel: neither a 64-bit ELF file nor a 64-bit bzImage");
	if (!gpa_to_hva(memory, image.entry, 1))
		return err_set(err, -ENOEXEC, "kernel: its entry is outside of the guest's memory");
	*ret = image;
	return 0;
}

int initramfs_load(int fd, const struct guest_memory *memory, const struct kernel_image *image,
	uint64_t *ret_gpa, uint64_t *ret_size, struct err *err)
{
	uint64_t end = memory->regions[0].gpa + memory->regions[0].size, size, gpa;
	void *hva = NULL;
	int r = file_size(fd, &size);

	if (r < 0 || !size)
		return err_set(
			err, r < 0 ? r : -EINVAL, "initramfs: not a regular file with content");
	if (end > image->initrd_max)
		end = image->initrd_max + 1;
	gpa = size < end ? (end - size) & ~(uint64_t)(PAGE - 1) : 0;
	if (gpa >= image->end)
		hva = gpa_to_hva(memory, gpa, size);
	if (!hva)
		return err_set(err, -ENOMEM,
			"initramfs: %llu bytes do not fit beside the kernel, give the guest more "
			"memory",
			(unsigned long long)size);
	r = read_exactly(fd, hva, size, 0);
	if (r < 0)
		return err_sys(err, r, "initramfs");
	*ret_gpa = gpa;
	*ret_size = size;
	return 0;
}
