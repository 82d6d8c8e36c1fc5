/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/attrs/seccomp/verdict.h"

#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>

/* How far the jump IN goes, −1 when it is no jump that we know. */
static int64_t jump(const struct sock_filter *in, uint32_t a)
{
	switch (in->code) {
	case BPF_JMP | BPF_JA:
		return in->k;
	case BPF_JMP | BPF_JEQ | BPF_K:
		return a == in->k ? in->jt : in->jf;
	case BPF_JMP | BPF_JGT | BPF_K:
		return a > in->k ? in->jt : in->jf;
	case BPF_JMP | BPF_JGE | BPF_K:
		return a >= in->k ? in->jt : in->jf;
	case BPF_JMP | BPF_JSET | BPF_K:
		return a & in->k ? in->jt : in->jf;
	default:
		return -1;
	}
}

static uint32_t run(const struct seccomp_program *program, const struct seccomp_data *data)
{
	uint32_t a = 0;

	for (size_t i = 0; i < program->count; i++) {
		const struct sock_filter *in = &program->insns[i];
		int64_t distance;

		if (in->code == (BPF_RET | BPF_K))
			return in->k;
		if (in->code == (BPF_ALU | BPF_AND | BPF_K)) {
			a &= in->k;
			continue;
		}
		if (in->code == (BPF_LD | BPF_W | BPF_ABS)) {
			if (in->k > sizeof(*data) - sizeof(a))
				break;
			memcpy(&a, (const char *)data + in->k, sizeof(a));
			continue;
		}
		distance = jump(in, a);
		if (distance < 0)
			break;
		i += (size_t)distance;
	}
	return SECCOMP_RET_KILL_PROCESS;
}

bool seccomp_allows(const struct seccomp_program *program, int nr, const uint64_t args[6])
{
	struct seccomp_data data = {.nr = nr, .arch = seccomp_arch_native()};
	uint32_t action;

	memcpy(data.args, args, sizeof(data.args));
	action = run(program, &data) & SECCOMP_RET_ACTION_FULL;
	return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
}
