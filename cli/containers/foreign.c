/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/foreign.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"

#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define ENTRIES "/proc/sys/fs/binfmt_misc"

enum { ENTRY_MAX = 4096, MACHINE_AT = 18 };

static const struct machine {
	const char *architecture;
	uint16_t machine; /* of ELF's header */
	bool big_endian, native;
} machines[] = {
#ifdef __aarch64__
	{"arm64", EM_AARCH64, false, true},
	{"arm", EM_ARM, false, true},
	{"amd64", EM_X86_64, false, false},
	{"386", EM_386, false, false},
#else
	{"amd64", EM_X86_64, false, true},
	{"386", EM_386, false, true},
	{"arm64", EM_AARCH64, false, false},
	{"arm", EM_ARM, false, false},
#endif
	{"riscv64", EM_RISCV, false, false},
	{"ppc64le", EM_PPC64, false, false},
	{"s390x", EM_S390, true, false},
	{"loong64", 258, false, false},
	{"mips64le", EM_MIPS, false, false},
};

static const struct machine *find_machine(const char *architecture)
{
	for (size_t i = 0; i < ARRAY_LEN(machines); i++)
		if (strcmp(machines[i].architecture, architecture) == 0)
			return &machines[i];
	return NULL;
}

/* The value of the line that begins with KEY. */
static const char *find_line(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (; text && *text; text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL)
		if (strncmp(text, key, n) == 0)
			return text + n;
	return NULL;
}

bool foreign_entry_fits(const char *text, const char *architecture, bool *ret_fixed)
{
	const struct machine *m = find_machine(architecture);
	const char *magic = find_line(text, "magic "), *flags = find_line(text, "flags: ");
	unsigned int first, second;

	if (!m || strncmp(text, "enabled\n", 8) != 0 || !magic ||
		strncmp(magic, "7f454c46", 8) != 0 || strcspn(magic, "\n") < 2 * (MACHINE_AT + 2) ||
		sscanf(magic + 2 * MACHINE_AT, "%2x%2x", &first, &second) != 2)
		return false;
	if ((m->big_endian ? first << 8 | second : second << 8 | first) != m->machine)
		return false;
	*ret_fixed = flags && memchr(flags, 'F', strcspn(flags, "\n"));
	return true;
}

/* Looks for an entry: 1, or 0 when there is none. */
static int look_for(const char *architecture, bool *ret_fixed)
{
	int fd = sys_openat(AT_FDCWD, ENTRIES, O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int found = 0;

	if (!dir) {
		cleanup_close(&fd);
		return 0;
	}
	while (!found && (entry = readdir(dir))) {
		autobuf struct buf text = {};

		if (path_is_component(entry->d_name) && strcmp(entry->d_name, "register") != 0 &&
			fd_read_file(fd, entry->d_name, ENTRY_MAX, &text) == 0)
			found = foreign_entry_fits(buf_str(&text), architecture, ret_fixed);
	}
	closedir(dir);
	return found;
}

int foreign_check(const char *architecture, struct err *err)
{
	const struct machine *m = architecture ? find_machine(architecture) : NULL;
	bool fixed = false;

	if (!architecture || !*architecture || (m && m->native))
		return 0;
	if (!m || !look_for(architecture, &fixed))
		return err_set(err, -ENOEXEC,
			"the image is for %s, and this machine runs %s: programs of other "
			"processors "
			"need an emulator (apt-get install qemu-user-static)",
			architecture, machines[0].architecture);
	return fixed ? 0
		     : err_set(err, -ENOEXEC,
			       "the emulator for %s is not there for containers: its entry "
			       "in " ENTRIES " needs the flag F",
			       architecture);
}
