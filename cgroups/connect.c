/* SPDX-License-Identifier: Apache-2.0 */
/* The egress policy as rules and as programs. */
#include "cgroups/connect.h"

#include "base/parse.h"
#include "cgroups/connect_private.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* ---- rules ---- */

static int parse_ports(const char *text, struct connect_rule *rule)
{
	const char *dash = strchr(text, '-');
	char first[8] = "";
	uint32_t a, b;

	if (dash && dash - text >= (ptrdiff_t)sizeof(first))
		return -EINVAL;
	memcpy(first, text, dash ? (size_t)(dash - text) : strnlen(text, sizeof(first) - 1));
	if (parse_u32(first, &a) < 0 || parse_u32(dash ? dash + 1 : text, &b) < 0)
		return -EINVAL;
	if (!a || b > UINT16_MAX || a > b)
		return -EINVAL;
	rule->first = (uint16_t)a;
	rule->last = (uint16_t)b;
	return 0;
}

/* An address with or without a prefix; false: it is a name. */
static bool take_address(char *text, struct connect_rule *rule, bool *ret_bad)
{
	char *slash = strchr(text, '/');
	uint32_t prefix, bits;

	if (slash)
		*slash = '\0';
	if (inet_pton(AF_INET, text, rule->bytes) == 1)
		rule->family = AF_INET;
	else if (inet_pton(AF_INET6, text, rule->bytes) == 1)
		rule->family = AF_INET6;
	bits = rule->family == AF_INET ? 32 : 128;
	prefix = bits;
	if (slash && (!rule->family || parse_u32(slash + 1, &prefix) < 0 || prefix > bits))
		*ret_bad = true;
	rule->prefix = (uint8_t)prefix;
	return rule->family != 0;
}

static bool is_name(const char *text)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

	return *text && *text != '.' && *text != '-' && strspn(text, allowed) == strlen(text);
}

/* Cuts the port off TEXT: what stands behind the bracket's or the only colon. */
static char *cut_port(char *text, bool *ret_bracket)
{
	char *end, *colon;

	*ret_bracket = *text == '[';
	if (*ret_bracket) {
		end = strchr(text, ']');
		if (!end)
			return NULL;
		memmove(text, text + 1, (size_t)(end - text - 1));
		text[end - text - 1] = '\0';
		/* "[::]/8:80", "[::]:80": the prefix may stand behind the bracket. */
		if (end[1] == '/') {
			colon = strchr(end, ':');
			if (colon)
				*colon++ = '\0';
			memmove(text + strlen(text), end + 1, strlen(end + 1) + 1);
			return colon;
		}
		if (end[1] && end[1] != ':')
			*text = '\0'; /* no host at all */
		return end[1] == ':' ? end + 2 : NULL;
	}
	colon = strchr(text, ':');
	if (!colon || strchr(colon + 1, ':')) /* none, or IPv6 without brackets */
		return NULL;
	*colon++ = '\0';
	return colon;
}

int connect_rule_parse(
	const char *text, bool allow, struct connect_rule *ret, char *ret_host, struct err *err)
{
	struct connect_rule rule = {.allow = allow, .last = UINT16_MAX};
	char copy[CONNECT_HOST_MAX + 16], *port;
	bool bracket, bad = false;

	*ret_host = '\0';
	if (strlen(text) >= CONNECT_HOST_MAX)
		return err_set(err, -EINVAL, "\"%.64s…\" is too long", text);
	strcpy(copy, text);
	port = cut_port(copy, &bracket);
	if (port && strcmp(port, "*") != 0 && parse_ports(port, &rule) < 0)
		return err_set(
			err, -EINVAL, "\"%s\": \"%s\" is no port or range of ports", text, port);
	if (strcmp(copy, "*") != 0 && !take_address(copy, &rule, &bad)) {
		if (bad || bracket || !is_name(copy))
			return err_set(err, -EINVAL, "\"%s\" names no host", text);
		strcpy(ret_host, copy);
		rule.prefix = 0;
	}
	if (bad)
		return err_set(err, -EINVAL, "\"%s\": the prefix is wrong", text);
	*ret = rule;
	return 0;
}

/* ---- programs ---- */

enum {
	HELPER_PID = 14,   /* bpf_get_current_pid_tgid */
	HELPER_COMM = 16,  /* bpf_get_current_comm */
	HELPER_RING = 130, /* bpf_ringbuf_output */
	RULE_INSNS = 4 * 3 + 3,
	FRAME_INSNS = 96,
	INSNS_MAX = 32000, /* jumps have 16 bits with a sign */
	REG_PORT = BPF_REG_7,
	REG_CONTEXT = BPF_REG_6,
	REG_WORD = BPF_REG_4,
};

enum target { TARGET_NONE, TARGET_NEXT, TARGET_ALLOW, TARGET_DENY, TARGET_MAPPED };

struct assembly {
	struct bpf_insn *insns;
	uint8_t *targets; /* enum target of each, to be resolved */
	size_t count;
};

static void emit(struct assembly *a, uint8_t code, uint8_t dst, uint8_t src, size_t offset,
	int32_t value, enum target target)
{
	a->insns[a->count] = (struct bpf_insn){
		.code = code, .dst_reg = dst, .src_reg = src, .off = (int16_t)offset, .imm = value};
	a->targets[a->count++] = (uint8_t)target;
}

static void load(struct assembly *a, uint8_t dst, size_t offset)
{
	emit(a, BPF_LDX | BPF_MEM | BPF_W, dst, REG_CONTEXT, offset, 0, TARGET_NONE);
}

static void jump(struct assembly *a, uint8_t op, uint8_t reg, uint32_t value, enum target target)
{
	emit(a, BPF_JMP32 | BPF_K | op, reg, 0, 0, (int32_t)value, target);
}

/* Jumps to TARGET from FROM on lead to here. */
static void land(struct assembly *a, size_t from, enum target target)
{
	for (size_t i = from; i < a->count; i++)
		if (a->targets[i] == target) {
			a->insns[i].off = (int16_t)(a->count - i - 1);
			a->targets[i] = TARGET_NONE;
		}
}

static void emit_ports(struct assembly *a, const struct connect_rule *rule)
{
	if (rule->first > 0)
		jump(a, BPF_JLT, REG_PORT, rule->first, TARGET_NEXT);
	if (rule->last < UINT16_MAX)
		jump(a, BPF_JGT, REG_PORT, rule->last, TARGET_NEXT);
}

/* The context's words from OFFSET on have RULE's first bits. Both are in the network's order. */
static void emit_prefix(struct assembly *a, const struct connect_rule *rule, size_t offset)
{
	for (size_t word = 0; word * 32 < rule->prefix; word++) {
		size_t bits = rule->prefix - word * 32;
		uint32_t mask = htonl(bits >= 32 ? ~0U : ~0U << (32 - bits)), value;

		memcpy(&value, rule->bytes + 4 * word, sizeof(value));
		load(a, REG_WORD, offset + 4 * word);
		if (bits < 32)
			emit(a, BPF_ALU | BPF_K | BPF_AND, REG_WORD, 0, 0, (int32_t)mask,
				TARGET_NONE);
		jump(a, BPF_JNE, REG_WORD, value & mask, TARGET_NEXT);
	}
}

static void emit_rule(struct assembly *a, const struct connect_rule *rule, size_t offset)
{
	size_t start = a->count;

	if (rule->family)
		emit_prefix(a, rule, offset);
	emit_ports(a, rule);
	emit(a, BPF_JMP | BPF_JA, 0, 0, 0, 0, rule->allow ? TARGET_ALLOW : TARGET_DENY);
	land(a, start, TARGET_NEXT);
}

/* All rules for addresses of FAMILY whose first word is at OFFSET, then what none of them fits. */
static void emit_rules(
	struct assembly *a, const struct connect_rules *rules, int family, size_t offset)
{
	/* This machine of the container's: itself, also by the address that stands for it. */
	static const struct connect_rule always[] = {
		{true, AF_INET, 8, {127}, 0, UINT16_MAX},
		{true, AF_INET, 32, {0}, 0, UINT16_MAX},
		{true, AF_INET6, 128, {[15] = 1}, 0, UINT16_MAX},
		{true, AF_INET6, 128, {0}, 0, UINT16_MAX},
	};
	bool allows = false;

	for (size_t i = 0; i < ARRAY_LEN(always); i++)
		if (always[i].family == family)
			emit_rule(a, &always[i], offset);
	for (size_t i = 0; i < rules->count; i++) {
		const struct connect_rule *rule = &rules->items[i];

		allows |= rule->allow;
		if (!rule->family || rule->family == family)
			emit_rule(a, rule, offset);
	}
	emit(a, BPF_JMP | BPF_JA, 0, 0, 0, 0, allows ? TARGET_DENY : TARGET_ALLOW);
}

static void store(struct assembly *a, uint8_t src, size_t offset)
{
	emit(a, BPF_STX | BPF_MEM | BPF_W, BPF_REG_10, src, offset - sizeof(struct connect_report),
		0, TARGET_NONE);
}

static void copy_word(struct assembly *a, size_t from, size_t to)
{
	load(a, BPF_REG_2, from);
	store(a, BPF_REG_2, to);
}

static void set(struct assembly *a, uint8_t reg, int32_t value)
{
	emit(a, BPF_ALU64 | BPF_K | BPF_MOV, reg, 0, 0, value, TARGET_NONE);
}

static void call(struct assembly *a, int helper)
{
	emit(a, BPF_JMP | BPF_CALL, 0, 0, 0, helper, TARGET_NONE);
}

/* REG points OFFSET bytes into the report on the stack. */
static void point(struct assembly *a, uint8_t reg, size_t offset)
{
	emit(a, BPF_ALU64 | BPF_X | BPF_MOV, reg, BPF_REG_10, 0, 0, TARGET_NONE);
	emit(a, BPF_ALU64 | BPF_K | BPF_ADD, reg, 0, 0,
		(int32_t)offset - (int32_t)sizeof(struct connect_report), TARGET_NONE);
}

#define REPORT(member)  offsetof(struct connect_report, member)
#define CONTEXT(member) offsetof(struct bpf_sock_addr, member)

static void emit_report(struct assembly *a, int family, int map)
{
	call(a, HELPER_PID);
	emit(a, BPF_ALU64 | BPF_K | BPF_RSH, BPF_REG_0, 0, 0, 32, TARGET_NONE);
	store(a, BPF_REG_0, REPORT(pid));
	copy_word(a, CONTEXT(protocol), REPORT(protocol));
	set(a, BPF_REG_2, family);
	store(a, BPF_REG_2, REPORT(family));
	store(a, REG_PORT, REPORT(port));
	for (size_t i = 0; i < 4; i++) {
		if (family == AF_INET6)
			copy_word(a, CONTEXT(user_ip6) + 4 * i, REPORT(ip) + 4 * i);
		else if (i == 0)
			copy_word(a, CONTEXT(user_ip4), REPORT(ip));
		else {
			set(a, BPF_REG_2, 0);
			store(a, BPF_REG_2, REPORT(ip) + 4 * i);
		}
	}
	point(a, BPF_REG_1, REPORT(command));
	set(a, BPF_REG_2, sizeof(((struct connect_report *)0)->command));
	call(a, HELPER_COMM);
	emit(a, BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map, TARGET_NONE);
	emit(a, 0, 0, 0, 0, 0, TARGET_NONE);
	point(a, BPF_REG_2, 0);
	set(a, BPF_REG_3, sizeof(struct connect_report));
	set(a, BPF_REG_4, 0);
	call(a, HELPER_RING);
}

static void emit_return(struct assembly *a, int32_t verdict)
{
	set(a, BPF_REG_0, verdict);
	emit(a, BPF_JMP | BPF_EXIT, 0, 0, 0, 0, TARGET_NONE);
}

static void assemble(struct assembly *a, const struct connect_rules *rules, int family, int map)
{
	emit(a, BPF_ALU64 | BPF_X | BPF_MOV, REG_CONTEXT, BPF_REG_1, 0, 0, TARGET_NONE);
	load(a, REG_PORT, CONTEXT(user_port));
	emit(a, BPF_ALU | BPF_END | BPF_TO_BE, REG_PORT, 0, 0, 16, TARGET_NONE);
	if (family == AF_INET) {
		emit_rules(a, rules, AF_INET, CONTEXT(user_ip4));
	} else {
		/* ::ffff:0:0/96 is IPv4. */
		size_t start = a->count;

		for (size_t word = 0; word < 3; word++) {
			load(a, REG_WORD, CONTEXT(user_ip6) + 4 * word);
			jump(a, BPF_JNE, REG_WORD, word < 2 ? 0 : htonl(0xffff), TARGET_MAPPED);
		}
		emit_rules(a, rules, AF_INET, CONTEXT(user_ip6) + 12);
		land(a, start, TARGET_MAPPED);
		emit_rules(a, rules, AF_INET6, CONTEXT(user_ip6));
	}
	land(a, 0, TARGET_DENY);
	emit_report(a, family, map);
	emit_return(a, 0);
	land(a, 0, TARGET_ALLOW);
	emit_return(a, 1);
}

int connect_compile(const struct connect_rules *rules, int family, int map, struct bpf_insn **ret,
	size_t *ret_count)
{
	size_t room = 2 * (rules->count + 4) * RULE_INSNS + FRAME_INSNS;
	autofree struct bpf_insn *insns = NULL;
	autofree uint8_t *targets = NULL;
	struct assembly a = {};

	if (rules->count > CONNECT_RULES_MAX || room > INSNS_MAX)
		return -E2BIG;
	insns = calloc(room, sizeof(*insns));
	targets = calloc(room, 1);
	if (!insns || !targets)
		return -ENOMEM;
	a.insns = insns;
	a.targets = targets;
	assemble(&a, rules, family, map);
	*ret = take_ptr(insns);
	*ret_count = a.count;
	return 0;
}

/*
 * Streams of TCP and MPTCP, datagrams of UDP. UDP-Lite, when it is connected, SCTP, ICMP and raw
 * sockets pass the hooks for connections.
 */
size_t connect_compile_sockets(struct bpf_insn *ret)
{
	static const struct {
		uint32_t type, protocol;
	} allowed[] = {
		{SOCK_STREAM, IPPROTO_TCP},
		{SOCK_STREAM, IPPROTO_MPTCP},
		{SOCK_DGRAM, IPPROTO_UDP},
	};
	uint8_t targets[CONNECT_SOCKETS_INSNS] = {};
	struct assembly a = {.insns = ret, .targets = targets};

	emit(&a, BPF_ALU64 | BPF_X | BPF_MOV, REG_CONTEXT, BPF_REG_1, 0, 0, TARGET_NONE);
	load(&a, BPF_REG_2, offsetof(struct bpf_sock, type));
	load(&a, BPF_REG_3, offsetof(struct bpf_sock, protocol));
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
		size_t from = a.count;

		jump(&a, BPF_JNE, BPF_REG_2, allowed[i].type, TARGET_NEXT);
		jump(&a, BPF_JEQ, BPF_REG_3, allowed[i].protocol, TARGET_ALLOW);
		land(&a, from, TARGET_NEXT);
	}
	emit_return(&a, 0);
	land(&a, 0, TARGET_ALLOW);
	emit_return(&a, 1);
	return a.count;
}
