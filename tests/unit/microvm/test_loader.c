/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/vmm/x86/kernel.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "tests/unit/microvm/guest.h"

#include <elf.h>
#include <errno.h>
#include <sys/mman.h>

enum { MEMORY = 4 << 20, FILE_LEN = 0x3000 };

static struct guest_memory memory;

static int make_file(const void *data, size_t len)
{
	int fd = sys_memfd_create("kernel", 0);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, data, len), 0);
	return fd;
}

static int load(const void *data, size_t len, struct x86_kernel *ret)
{
	autoclose int fd = make_file(data, len);
	struct err err = {};

	return x86_kernel_load(fd, &memory, ret, &err);
}

/* A small ELF kernel: one segment of code, one note with the PVH entry. */
static void make_elf(uint8_t file[FILE_LEN])
{
	Elf64_Ehdr *eh = (void *)file;
	Elf64_Phdr *ph = (void *)(file + sizeof(*eh));
	Elf64_Nhdr *note = (void *)(file + 0x200);

	memset(file, 0, FILE_LEN);
	memcpy(eh->e_ident, ELFMAG, SELFMAG);
	eh->e_ident[EI_CLASS] = ELFCLASS64;
	eh->e_ident[EI_DATA] = ELFDATA2LSB;
	eh->e_machine = EM_X86_64;
	eh->e_entry = 0x100000;
	eh->e_phoff = sizeof(*eh);
	eh->e_phentsize = sizeof(*ph);
	eh->e_phnum = 2;
	ph[0] = (Elf64_Phdr){.p_type = PT_LOAD,
		.p_offset = 0x1000,
		.p_paddr = 0x100000,
		.p_filesz = 0x100,
		.p_memsz = 0x2000};
	ph[1] = (Elf64_Phdr){.p_type = PT_NOTE, .p_offset = 0x200, .p_filesz = 20, .p_memsz = 20};
	*note = (Elf64_Nhdr){.n_namesz = 4, .n_descsz = 4, .n_type = 18};
	memcpy(note + 1, "Xen", 4);
	memcpy((uint8_t *)(note + 1) + 4, &(uint32_t){0x100040}, 4);
	memset(file + 0x1000, 0xf4, 0x100);
}

static void make_bzimage(uint8_t file[FILE_LEN])
{
	struct setup_header *h = (void *)(file + 0x1f1);

	memset(file, 0, FILE_LEN);
	h->setup_sects = 1;
	h->header = 0x53726448;
	h->version = 0x20f;
	h->loadflags = LOADED_HIGH;
	h->xloadflags = XLF_KERNEL_64;
	h->pref_address = 0x200000;
	h->init_size = 0x10000;
	h->initrd_addr_max = 0x7fffffff;
	memset(file + 1024, 0xf4, FILE_LEN - 1024);
}

static void test_elf(void **state)
{
	static uint8_t file[FILE_LEN];
	struct x86_kernel image;

	(void)state;
	make_elf(file);
	assert_int_equal(load(file, sizeof(file), &image), 0);
	assert_int_equal(image.protocol, KERNEL_PVH);
	assert_int_equal(image.image.entry, 0x100040);
	assert_int_equal(image.image.end, 0x102000);
	assert_int_equal(*(uint8_t *)gpa_to_hva(&memory, 0x1000ff, 1), 0xf4);
	assert_int_equal(*(uint8_t *)gpa_to_hva(&memory, 0x100100, 1), 0);
	((Elf64_Nhdr *)(file + 0x200))->n_type = 17;
	assert_int_equal(load(file, sizeof(file), &image), 0);
	assert_int_equal(image.protocol, KERNEL_LINUX64);
	assert_int_equal(image.image.entry, 0x100000);
}

/* What is a hole of the file is not touched: memory is zero before. */
static void test_holes(void **state)
{
	enum { LEN = 0x9000, AT = 0x200000 };
	autoclose int fd = sys_memfd_create("kernel", 0);
	uint8_t *ram = gpa_to_hva(&memory, AT, LEN);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(sys_ftruncate(fd, LEN), 0);
	assert_int_equal(sys_pwrite(fd, "head", 4, 0x800), 4);
	assert_int_equal(sys_pwrite(fd, "tail", 4, LEN - 4), 4);
	memset(ram, 0xaa, LEN);
	assert_int_equal(loader_place(fd, &memory, AT, 0x800, AT, LEN - 0x800, LEN), 0);
	assert_memory_equal(ram, "head", 4);
	assert_int_equal(ram[4], 0);
	assert_int_equal(ram[0x1000 - 0x800], 0xaa);
	assert_int_equal(ram[0x7fff - 0x800], 0xaa);
	assert_int_equal(ram[0x8000 - 0x800], 0);
	assert_memory_equal(ram + LEN - 0x800 - 4, "tail", 4);
	assert_int_equal(ram[LEN - 0x800], 0xaa);
	assert_int_equal(loader_place(fd, &memory, AT, 0x800, AT, LEN - 0x7ff, LEN), -ENOEXEC);
	memset(ram, 0, LEN);
}

static void test_bad_elf(void **state)
{
	static uint8_t file[FILE_LEN];
	struct x86_kernel image;
	Elf64_Ehdr *eh = (void *)file;
	Elf64_Phdr *ph = (void *)(file + sizeof(*eh));

	(void)state;
#define REFUSED(change, error)                                               \
	do {                                                                 \
		make_elf(file);                                              \
		change;                                                      \
		assert_int_equal(load(file, sizeof(file), &image), (error)); \
	} while (0)
	REFUSED(eh->e_machine = EM_AARCH64, -ENOEXEC);
	REFUSED(eh->e_phnum = 65, -ENOEXEC);
	REFUSED(eh->e_phnum = 0, -ENOEXEC);
	REFUSED(eh->e_phentsize = 1, -ENOEXEC);
	REFUSED(eh->e_phoff = UINT64_MAX - 8, -ENOEXEC);
	REFUSED(eh->e_phoff = FILE_LEN - 8, -ENOEXEC);
	REFUSED(ph->p_paddr = 0x1000, -ENOEXEC); /* over the boot data */
	REFUSED(ph->p_paddr = MEMORY - 0x1000, -ENOMEM);
	REFUSED(ph->p_paddr = UINT64_MAX - 0xfff, -ENOMEM);
	REFUSED(ph->p_memsz = UINT64_MAX, -ENOMEM);
	REFUSED(ph->p_filesz = 0x2001, -ENOEXEC);
	REFUSED(ph->p_offset = FILE_LEN, -ENOEXEC);
	REFUSED(ph->p_offset = UINT64_MAX, -ENOEXEC);
	REFUSED(ph[1].p_offset = FILE_LEN, -ENOEXEC);
	REFUSED(memcpy(file + 0x200 + 16, &(uint32_t){0x80000000}, 4), -ENOEXEC); /* entry */
	REFUSED((ph[1].p_type = PT_NULL, eh->e_entry = MEMORY), -ENOEXEC);
}

static void test_bzimage(void **state)
{
	static uint8_t file[FILE_LEN];
	struct x86_kernel image;
	struct setup_header *h = (void *)(file + 0x1f1);

	(void)state;
	make_bzimage(file);
	assert_int_equal(load(file, sizeof(file), &image), 0);
	assert_int_equal(image.protocol, KERNEL_LINUX64);
	assert_int_equal(image.image.entry, 0x100200);
	assert_int_equal(image.image.end, 0x210000);
	assert_int_equal(image.header.pref_address, 0x200000);
	REFUSED((make_bzimage(file), h->version = 0x20b), -ENOEXEC);
	REFUSED((make_bzimage(file), h->xloadflags = 0), -ENOEXEC);
	REFUSED((make_bzimage(file), h->loadflags = 0), -ENOEXEC);
	REFUSED((make_bzimage(file), h->setup_sects = 200), -ENOEXEC);
	REFUSED((make_bzimage(file), h->pref_address = UINT64_MAX), -ENOEXEC);
	REFUSED((make_bzimage(file), h->pref_address = 0), -ENOEXEC); /* below where it lies */
	REFUSED((make_bzimage(file), h->init_size = UINT32_MAX), -ENOMEM);
	REFUSED((make_bzimage(file), h->header = 0), -ENOEXEC);
	assert_int_equal(load(file, 100, &image), -ENOEXEC);
}

static void test_initramfs(void **state)
{
	struct kernel_image image = {.end = 0x200000, .initrd_max = 0x7fffffff};
	static uint8_t data[0x1801] = {1};
	autoclose int fd = make_file(data, sizeof(data)), empty = make_file("", 0);
	uint64_t gpa, size;
	struct err err = {};

	(void)state;
	assert_int_equal(initramfs_load(fd, &memory, &image, &gpa, &size, &err), 0);
	assert_int_equal(size, sizeof(data));
	assert_int_equal(gpa, MEMORY - 0x2000);
	assert_int_equal(*(uint8_t *)gpa_to_hva(&memory, gpa, 1), 1);
	image.initrd_max = 0x2fffff;
	assert_int_equal(initramfs_load(fd, &memory, &image, &gpa, &size, &err), 0);
	assert_int_equal(gpa, 0x300000 - 0x2000);
	image.end = 0x300000 - 0x1fff; /* the kernel is in the way */
	assert_int_equal(initramfs_load(fd, &memory, &image, &gpa, &size, &err), -ENOMEM);
	assert_int_equal(initramfs_load(empty, &memory, &image, &gpa, &size, &err), -EINVAL);
}

/* Flips bytes of the headers: an error or a kernel inside of memory, never anything else. */
static void test_fuzz(void **state)
{
	static uint8_t file[FILE_LEN];
	uint64_t seed = 11;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct x86_kernel image;
		bool elf = i % 2;

		if (elf)
			make_elf(file);
		else
			make_bzimage(file);
		for (uint32_t n = random_next(&seed) % 4 + 1; n; n--) {
			uint32_t at = random_next(&seed) % 0x280;

			if (!elf && random_next(&seed) % 4)
				at = 0x1f1 + random_next(&seed) % sizeof(struct setup_header);
			file[at] = (uint8_t)random_next(&seed);
		}
		if (load(file, sizeof(file), &image) == 0)
			assert_non_null(gpa_to_hva(&memory, image.image.entry, 1));
	}
}

enum { HUGE = 2 << 20 };

static size_t resident(uint8_t *at, size_t len)
{
	unsigned char pages[3 * HUGE / 4096];
	size_t count = 0;

	assert_int_equal(mincore(at, len, pages), 0);
	for (size_t i = 0; i < len / 4096; i++)
		count += pages[i] & 1;
	return count;
}

/* Whole huge pages of what is expected and nothing else; where the host's kernel makes none, no
 * more than a page of each. Wild numbers do nothing. */
static void test_expect(void **state)
{
	const uint64_t base = 1ULL << 32;
	autoclose int fd = sys_memfd_create("guest", 0);
	struct guest_memory fresh = {};
	uint8_t *at = mmap(NULL, 4 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *hva;
	size_t count;

	(void)state;
	assert_true(fd >= 0 && at != MAP_FAILED);
	assert_int_equal(sys_ftruncate(fd, 3 * HUGE), 0);
	hva = at + -(uintptr_t)at % HUGE;
	assert_true(
		mmap(hva, 3 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == hva);
	assert_int_equal(guest_memory_add(&fresh, base, 3 * HUGE, hva), 0);
	loader_expect(&fresh, base + HUGE + 5, base + 3 * HUGE - 1);
	count = resident(hva + HUGE, HUGE);
	assert_true(count == 1 || count == HUGE / 4096);
	assert_int_equal(resident(hva, HUGE), 0);
	assert_int_equal(resident(hva + 2 * HUGE, HUGE), 0);
	for (size_t i = 0; i < HUGE; i++)
		assert_int_equal(hva[HUGE + i], 0);
	loader_expect(&fresh, base + 2 * HUGE, base + 4 * HUGE);
	loader_expect(&fresh, base + 2 * HUGE, base);
	loader_expect(&fresh, UINT64_MAX, 0);
	loader_expect(&fresh, 0, UINT64_MAX);
	assert_int_equal(resident(hva, HUGE) + resident(hva + 2 * HUGE, HUGE), 0);
	munmap(at, 4 * HUGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_elf),
		cmocka_unit_test(test_holes),
		cmocka_unit_test(test_bad_elf),
		cmocka_unit_test(test_bzimage),
		cmocka_unit_test(test_initramfs),
		cmocka_unit_test(test_expect),
		cmocka_unit_test(test_fuzz),
	};
	uint8_t *ram = calloc(1, MEMORY);
	int failed;

	guest_memory_add(&memory, 0, MEMORY, ram);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(ram);
	return failed;
}
