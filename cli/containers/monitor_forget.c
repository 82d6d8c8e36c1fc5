/* SPDX-License-Identifier: Apache-2.0 */
/* Process: the monitor, which lives as long as its container and is to be small. */
#include "cli/containers/monitor_private.h"

#include "base/parse.h"
#include "base/process.h"

#include <link.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The whole pages between FROM and TO; what was never there is no failure. */
static void forget(uintptr_t from, uintptr_t to)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	from = (from + page - 1) & ~(page - 1);
	to &= ~(page - 1);
	if (from < to)
		madvise((void *)from, to - from, MADV_DONTNEED);
}

/* The program's pages are the file's, and come back one by one when they are needed. */
static int forget_program(struct dl_phdr_info *info, size_t size, void *arg)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size, (void)arg;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t from = info->dlpi_addr + p->p_vaddr;

		if (p->p_type == PT_LOAD && !(p->p_flags & PF_W))
			forget(from & ~(page - 1), from + p->p_memsz + page - 1);
	}
	return 0;
}

/* Below who calls. */
static void __attribute__((noinline)) forget_stack(void)
{
	enum { DEEPEST = 1 << 20 };
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t end = (uintptr_t)__builtin_frame_address(0) - page;

	forget(end - DEEPEST, end);
}

/* What the monitor, and the helpers that it starts, look up when a container is started again. */
static bool is_read(const char *variable)
{
	static const char *const names[] = {
		"BRIG_", "DBUS_", "HOME=", "LISTEN_", "NOTIFY_SOCKET=", "PATH=", "TMPDIR=", "XDG_"};
	const char *rest;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (parse_has_prefix(variable, names[i], &rest))
			return true;
	return false;
}

/* process_own_arguments() has put the strings one behind the other. What is read stays where it is:
 * somebody may have kept a pointer to it. */
static void forget_environment(void)
{
	char **kept = environ, *from = NULL, *to = NULL;

	for (char **e = environ; *e; e++) {
		size_t size = strlen(*e) + 1;

		if (is_read(*e)) {
			*kept++ = *e;
			continue;
		}
		if (*e != to) {
			forget((uintptr_t)from, (uintptr_t)to);
			from = *e;
		}
		memset(*e, 0, size);
		to = *e + size;
	}
	forget((uintptr_t)from, (uintptr_t)to);
	*kept = NULL;
}

void monitor_forget(const char *id)
{
	char title[32];

	snprintf(title, sizeof(title), "brig-monitor %.12s", id);
	process_hide(title);
	malloc_trim(0);
	forget_environment();
	forget_stack();
	dl_iterate_phdr(forget_program, NULL);
}
