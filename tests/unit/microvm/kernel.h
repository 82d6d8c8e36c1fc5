/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel of a few bytes: code for 32-bit flat mode as an ELF file with the PVH note. */
#pragma once

#include "base/fd.h"
#include "base/sys.h"

#include <elf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A descriptor; LEN is at most 4096. */
static inline int kernel_of(const uint8_t *code, size_t len)
{
	uint8_t file[0x1100] = {};
	Elf64_Ehdr *eh = (void *)file;
	Elf64_Phdr *ph = (void *)(file + sizeof(*eh));
	Elf64_Nhdr *note = (void *)(file + 0x200);
	int fd = sys_memfd_create("kernel", 0);

	memcpy(eh->e_ident, ELFMAG, SELFMAG);
	eh->e_ident[EI_CLASS] = ELFCLASS64;
	eh->e_ident[EI_DATA] = ELFDATA2LSB;
	eh->e_machine = EM_X86_64;
	eh->e_phoff = sizeof(*eh);
	eh->e_phentsize = sizeof(*ph);
	eh->e_phnum = 2;
	ph[0] = (Elf64_Phdr){.p_type = PT_LOAD,
		.p_offset = 0x1000,
		.p_paddr = 0x100000,
		.p_filesz = len,
		.p_memsz = 0x1000};
	ph[1] = (Elf64_Phdr){.p_type = PT_NOTE, .p_offset = 0x200, .p_filesz = 20, .p_memsz = 20};
	*note = (Elf64_Nhdr){.n_namesz = 4, .n_descsz = 4, .n_type = 18};
	memcpy(note + 1, "Xen", 4);
	memcpy((uint8_t *)(note + 1) + 4, &(uint32_t){0x100000}, 4);
	memcpy(file + 0x1000, code, len);
	if (fd < 0 || fd_write_all(fd, file, sizeof(file)) < 0)
		abort();
	return fd;
}
