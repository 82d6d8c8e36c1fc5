/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program's first instructions, in place of libc's _start, on which they end.
 *
 * A command that enters a container runs from a protected image of the program (cli/self.h), which
 * is one more execve(2). Here that happens before libc has set itself up, in four system calls and
 * not seventeen. It is a short cut and no protection: whatever is in the way, the program goes on
 * as if this were not there, and self_protect() decides, in both images.
 *
 * Nothing is relocated yet and there is no thread: no libc, no table of pointers, no stack
 * protector. x86-64 alone; other machines begin at _start.
 */
#include <elf.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

__attribute__((visibility("hidden"))) void entry_main(char **stack);

__asm__(".pushsection .text.entry, \"ax\"\n"
	".globl brig_entry\n"
	".hidden brig_entry\n"
	".type brig_entry, @function\n"
	"brig_entry:\n"
	"	xor %ebp, %ebp\n"
	"	mov %rdx, %r12\n" /* for _start, as the stack is */
	"	mov %rsp, %rdi\n"
	"	call entry_main\n"
	"	mov %r12, %rdx\n"
	"	jmp _start\n"
	".popsection\n");

static long call(long number, long a, const void *b, long c, const void *d, long e)
{
	register const void *r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return r;
}

static bool begins(const char *text, const char *with)
{
	while (*with && *text == *with)
		text++, with++;
	return !*with;
}

/* Whether the command may be one that calls self_protect(). */
static bool enters_container(char **argv)
{
	static const char words[] = "create\0run\0exec\0mounts\0";

	for (; *argv; argv++)
		for (const char *word = words; *word; word++) {
			if (begins(*argv, word) && begins(word, *argv))
				return true;
			while (*word)
				word++;
		}
	return false;
}

/* A protected image was executed by descriptor, which the kernel tells it so. */
static bool is_by_descriptor(char **envp)
{
	const Elf64_auxv_t *aux;

	while (*envp)
		envp++;
	for (aux = (const Elf64_auxv_t *)(envp + 1); aux->a_type != AT_NULL; aux++)
		if (aux->a_type == AT_EXECFN)
			return begins((const char *)aux->a_un.a_val, "/dev/fd/");
	return false;
}

void entry_main(char **stack)
{
	static const char self[] = "/proc/self/exe";
	char **argv = stack + 1, **envp = argv + (long)stack[0] + 1;
	struct mount_attr attr;
	struct statfs fs;
	long fd;

	if (stack[0] == NULL || !enters_container(argv + 1) || is_by_descriptor(envp) ||
		call(SYS_statfs, (long)(uintptr_t)self, &fs, 0, NULL, 0) < 0 ||
		fs.f_flags & ST_RDONLY)
		return;
	fd = call(SYS_open_tree, AT_FDCWD, self, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC, NULL, 0);
	if (fd < 0)
		return;
	attr.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID;
	attr.attr_clr = attr.userns_fd = 0;
	attr.propagation = 1 << 18; /* MS_PRIVATE */
	if (call(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0)
		call(SYS_execveat, fd, "", (long)(uintptr_t)argv, envp, AT_EMPTY_PATH);
	call(SYS_close, fd, NULL, 0, NULL, 0);
}
