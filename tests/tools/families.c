/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which families of sockets a filter lets through, by every way into the kernel: one line for each
 * way, "WAY: NUMBER…". The type of socket that is asked for does not exist, and the kernel looks at
 * that first: what reaches it ends with EINVAL, whatever it was built with.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FAMILIES = 46, NO_TYPE = 15 };

static long by_socket(long family)
{
	return syscall(SYS_socket, family, NO_TYPE, 0) < 0 ? -errno : 0;
}

/* The kernel takes 32 bits of it. */
static long by_high_bits(long family)
{
	return by_socket(family | 1L << 32);
}

static long by_socketpair(long family)
{
	int fds[2];

	return syscall(SYS_socketpair, family, NO_TYPE, 0, fds) < 0 ? -errno : 0;
}

#ifdef __x86_64__
static long int80(long number, long a, long b, long c)
{
	long r;

	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "a"(number), "b"(a), "c"(b), "d"(c)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)r;
}

static long by_32_bit_socket(long family)
{
	return int80(359, family, NO_TYPE, 0);
}

static long by_32_bit_socketcall(long family)
{
	static uint32_t *low;

	if (!low)
		low = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (low == MAP_FAILED)
		return -ENOMEM;
	low[0] = (uint32_t)family;
	low[1] = NO_TYPE;
	low[2] = 0;
	return int80(102, 1, (long)low, 0);
}

static long by_x32(long family)
{
	return syscall(0x40000000 | SYS_socket, family, NO_TYPE, 0) < 0 ? -errno : 0;
}
#endif

static const struct {
	const char *name;
	long (*call)(long family);
} ways[] = {
	{"socket", by_socket},
	{"high", by_high_bits},
	{"socketpair", by_socketpair},
#ifdef __x86_64__
	{"socket32", by_32_bit_socket},
	{"socketcall32", by_32_bit_socketcall},
	{"x32", by_x32},
#endif
};

int main(void)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		printf("%s:", ways[i].name);
		for (long family = 0; family < FAMILIES; family++) {
			long r = ways[i].call(family);

			if (r != -EAFNOSUPPORT && r != -ENOSYS && r != -EPERM)
				printf(" %ld", family);
		}
		printf("\n");
	}
	return 0;
}
