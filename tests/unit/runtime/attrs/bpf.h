/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classic BPF as the kernel runs it for seccomp(2), for tests: the verdict of a program for one
 * system call. Refuses what bpf_check_classic() and seccomp_check_filter() in the kernel refuse.
 */
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BPF_BROKEN 0xdeadbeefu /* no verdict that the kernel knows */

static inline bool bpf_valid(const struct sock_filter *p, size_t count)
{
	if (count == 0 || count > BPF_MAXINSNS || BPF_CLASS(p[count - 1].code) != BPF_RET)
		return false;
	for (size_t i = 0; i < count; i++) {
		const size_t left = count - i - 1;

		switch (p[i].code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (p[i].k % 4 || p[i].k >= sizeof(struct seccomp_data))
				return false;
			break;
		case BPF_JMP | BPF_JA:
			if (p[i].k >= left)
				return false;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
		case BPF_JMP | BPF_JGT | BPF_K:
		case BPF_JMP | BPF_JGE | BPF_K:
		case BPF_JMP | BPF_JSET | BPF_K:
			if (p[i].jt >= left || p[i].jf >= left)
				return false;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
		case BPF_RET | BPF_K:
		case BPF_RET | BPF_A:
		case BPF_ST:
		case BPF_LD | BPF_MEM:
			break;
		default:
			return false;
		}
	}
	return true;
}

static inline uint32_t bpf_run(
	const struct sock_filter *p, size_t count, const struct seccomp_data *data)
{
	uint32_t memory[BPF_MEMWORDS] = {}, a = 0;

	for (size_t i = 0; i < count; i++) {
		const struct sock_filter *in = &p[i];

		switch (in->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			memcpy(&a, (const char *)data + in->k, sizeof(a));
			break;
		case BPF_LD | BPF_MEM:
			a = memory[in->k % BPF_MEMWORDS];
			break;
		case BPF_ST:
			memory[in->k % BPF_MEMWORDS] = a;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= in->k;
			break;
		case BPF_JMP | BPF_JA:
			i += in->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			i += a == in->k ? in->jt : in->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			i += a > in->k ? in->jt : in->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			i += a >= in->k ? in->jt : in->jf;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			i += a & in->k ? in->jt : in->jf;
			break;
		case BPF_RET | BPF_K:
			return in->k;
		case BPF_RET | BPF_A:
			return a;
		default:
			return BPF_BROKEN;
		}
	}
	return BPF_BROKEN;
}
