/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/sys.h"
#include "cgroups/connect.h"
#include "cgroups/connect_private.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/unit.h"

/* ---- texts ---- */

static void parse(const char *text, struct connect_rule *rule, char *host)
{
	struct err err = {};

	if (connect_rule_parse(text, true, rule, host, &err) < 0)
		fail_msg("%s: %s", text, err.text);
}

static void test_texts(void **state)
{
	char host[CONNECT_HOST_MAX];
	struct connect_rule r;

	(void)state;
	parse("192.0.2.1:80", &r, host);
	assert_int_equal(r.family, AF_INET);
	assert_int_equal(r.prefix, 32);
	assert_int_equal(r.first, 80);
	assert_int_equal(r.last, 80);
	assert_string_equal(host, "");
	parse("10.0.0.0/8:8000-8010", &r, host);
	assert_int_equal(r.prefix, 8);
	assert_int_equal(r.first, 8000);
	assert_int_equal(r.last, 8010);
	parse("[2001:db8::1]:443", &r, host);
	assert_int_equal(r.family, AF_INET6);
	assert_int_equal(r.prefix, 128);
	assert_int_equal(r.first, 443);
	parse("[2001:db8::]/32:443", &r, host);
	assert_int_equal(r.prefix, 32);
	assert_int_equal(r.first, 443);
	parse("2001:db8::/32", &r, host);
	assert_int_equal(r.prefix, 32);
	assert_int_equal(r.last, UINT16_MAX);
	parse("*:53", &r, host);
	assert_int_equal(r.family, 0);
	assert_int_equal(r.first, 53);
	parse("*", &r, host);
	assert_int_equal(r.first, 0);
	parse("deb.example.org:443", &r, host);
	assert_string_equal(host, "deb.example.org");
	assert_int_equal(r.family, 0);
	assert_int_equal(r.first, 443);
}

static void test_wrong_texts(void **state)
{
	static const char *const wrong[] = {"", ":80", "a:0", "a:65536", "a:80-70", "a:x",
		"10.0.0.0/33", "10.0.0.0/8x", "a/8", "[::1", "[::1]x", "[a]:80", "a b", "-a",
		"1.2.3.4:80:90", "::1/129"};
	char host[CONNECT_HOST_MAX];
	struct connect_rule r;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct err err = {};

		if (connect_rule_parse(wrong[i], true, &r, host, &err) != -EINVAL)
			fail_msg("\"%s\" was taken", wrong[i]);
	}
}

/* ---- programs, run by an interpreter of what they use ---- */

struct machine {
	uint64_t r[11];
	uint8_t stack[512];
	struct bpf_sock_addr context;
	bool reported;
	struct connect_report report;
};

static uint64_t load_word(const struct machine *m, uint64_t at)
{
	uint32_t value;

	memcpy(&value, (const uint8_t *)&m->context + at, sizeof(value));
	return value;
}

static bool jumps(uint8_t op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_JA:
		return true;
	case BPF_JNE:
		return a != b;
	case BPF_JLT:
		return a < b;
	case BPF_JGT:
		return a > b;
	default:
		fail_msg("jump %x", op);
		return false;
	}
}

static void call_helper(struct machine *m, int32_t helper)
{
	switch (helper) {
	case 14:
		m->r[0] = 77ULL << 32 | 78;
		break;
	case 16:
		memcpy(m->stack + m->r[1], "curl", 5);
		break;
	case 130:
		assert_int_equal(m->r[3], sizeof(m->report));
		memcpy(&m->report, m->stack + m->r[2], sizeof(m->report));
		m->reported = true;
		break;
	default:
		fail_msg("helper %d", helper);
	}
}

static void calculate(struct machine *m, const struct bpf_insn *i)
{
	uint64_t value = BPF_SRC(i->code) == BPF_X ? m->r[i->src_reg] : (uint64_t)(int64_t)i->imm;
	uint64_t *dst = &m->r[i->dst_reg];

	switch (BPF_OP(i->code)) {
	case BPF_MOV:
		*dst = value;
		break;
	case BPF_ADD:
		*dst += value;
		break;
	case BPF_AND:
		*dst &= value;
		break;
	case BPF_RSH:
		*dst >>= value;
		break;
	case BPF_END:
		*dst = ntohs((uint16_t)*dst);
		break;
	default:
		fail_msg("calculation %x", i->code);
	}
	if (BPF_CLASS(i->code) == BPF_ALU)
		*dst = (uint32_t)*dst;
}

static int interpret(struct machine *m, const struct bpf_insn *insns, size_t count)
{
	m->r[10] = sizeof(m->stack);
	for (size_t pc = 0; pc < count; pc++) {
		const struct bpf_insn *i = &insns[pc];
		uint32_t value = (uint32_t)m->r[i->src_reg];

		switch (BPF_CLASS(i->code)) {
		case BPF_LDX:
			m->r[i->dst_reg] = load_word(m, m->r[i->src_reg] + (uint64_t)i->off);
			break;
		case BPF_STX:
			memcpy(m->stack + m->r[10] + i->off, &value, sizeof(value));
			break;
		case BPF_LD:
			pc++;
			break;
		case BPF_ALU:
		case BPF_ALU64:
			calculate(m, i);
			break;
		default:
			if (i->code == (BPF_JMP | BPF_EXIT))
				return (int)m->r[0];
			if (i->code == (BPF_JMP | BPF_CALL))
				call_helper(m, i->imm);
			else if (jumps(BPF_OP(i->code), (uint32_t)m->r[i->dst_reg],
					 (uint32_t)i->imm))
				pc += (size_t)i->off;
		}
	}
	fail_msg("the program has no end");
	return -1;
}

static bool allows(const struct connect_rules *rules, const char *address, uint16_t port)
{
	bool is6 = strchr(address, ':');
	autofree struct bpf_insn *insns = NULL;
	struct machine m = {};
	size_t count;
	int verdict;

	m.context.user_port = htons(port);
	assert_int_equal(inet_pton(is6 ? AF_INET6 : AF_INET, address,
				 is6 ? (void *)m.context.user_ip6 : (void *)&m.context.user_ip4),
		1);
	assert_int_equal(connect_compile(rules, is6 ? AF_INET6 : AF_INET, 3, &insns, &count), 0);
	verdict = interpret(&m, insns, count);
	assert_int_equal(m.reported, verdict == 0);
	if (m.reported) {
		assert_int_equal(m.report.pid, 77);
		assert_int_equal(m.report.port, port);
		assert_string_equal(m.report.command, "curl");
		assert_memory_equal(m.report.ip,
			is6 ? (void *)m.context.user_ip6 : (void *)&m.context.user_ip4,
			is6 ? 16 : 4);
	}
	return verdict == 1;
}

/* "+" allows, "-" denies. */
static void rules_of(
	const char *const *texts, struct connect_rule *items, struct connect_rules *ret)
{
	char host[CONNECT_HOST_MAX];

	*ret = (struct connect_rules){items, 0};
	for (; *texts; texts++) {
		struct err err = {};

		assert_int_equal(connect_rule_parse(*texts + 1, **texts == '+',
					 &items[ret->count++], host, &err),
			0);
	}
}

static void test_allowing(void **state)
{
	static const char *const texts[] = {
		"+192.0.2.1:443", "+10.0.0.0/9:8000-8010", "+[2001:db8::]/33:80", "+*:53", NULL};
	struct connect_rule items[8];
	struct connect_rules rules;

	(void)state;
	rules_of(texts, items, &rules);
	assert_true(allows(&rules, "192.0.2.1", 443));
	assert_false(allows(&rules, "192.0.2.1", 442));
	assert_false(allows(&rules, "192.0.2.2", 443));
	assert_true(allows(&rules, "10.127.255.255", 8000));
	assert_true(allows(&rules, "10.0.0.1", 8010));
	assert_false(allows(&rules, "10.128.0.0", 8000));
	assert_false(allows(&rules, "10.0.0.1", 8011));
	assert_false(allows(&rules, "10.0.0.1", 7999));
	assert_true(allows(&rules, "8.8.8.8", 53));
	assert_true(allows(&rules, "2001:db8:7fff::1", 80));
	assert_false(allows(&rules, "2001:db8:8000::1", 80));
	assert_true(allows(&rules, "2001:4860::8888", 53));
	/* IPv4 by the other family is the same address. */
	assert_true(allows(&rules, "::ffff:192.0.2.1", 443));
	assert_false(allows(&rules, "::ffff:192.0.2.2", 443));
	/* Loopback always is. */
	assert_true(allows(&rules, "127.1.2.3", 1));
	assert_true(allows(&rules, "0.0.0.0", 1));
	assert_true(allows(&rules, "::1", 1));
	assert_true(allows(&rules, "::ffff:127.0.0.1", 1));
	assert_false(allows(&rules, "::2", 1));
}

static void test_denying(void **state)
{
	static const char *const texts[] = {"-169.254.169.254", "-10.0.0.0/8", NULL};
	struct connect_rule items[8];
	struct connect_rules rules;

	(void)state;
	rules_of(texts, items, &rules);
	assert_false(allows(&rules, "169.254.169.254", 80));
	assert_false(allows(&rules, "::ffff:169.254.169.254", 80));
	assert_false(allows(&rules, "10.1.1.1", 80));
	assert_true(allows(&rules, "192.0.2.1", 80));
	assert_true(allows(&rules, "2001:db8::1", 80));
}

/* The first that fits. */
static void test_order(void **state)
{
	static const char *const texts[] = {"-10.0.0.1:80", "+10.0.0.0/8", NULL};
	struct connect_rule items[8];
	struct connect_rules rules;

	(void)state;
	rules_of(texts, items, &rules);
	assert_false(allows(&rules, "10.0.0.1", 80));
	assert_true(allows(&rules, "10.0.0.1", 81));
	assert_false(allows(&rules, "11.0.0.1", 81));
}

static void test_too_many(void **state)
{
	struct connect_rules rules = {NULL, CONNECT_RULES_MAX + 1};
	struct bpf_insn *insns = NULL;
	size_t count;

	(void)state;
	assert_int_equal(connect_compile(&rules, AF_INET, 3, &insns, &count), -E2BIG);
	rules.count = CONNECT_RULES_MAX;
	rules.items = calloc(rules.count, sizeof(*rules.items));
	for (size_t i = 0; i < rules.count; i++)
		rules.items[i] = (struct connect_rule){true, AF_INET6, 127, {1}, 1, 2};
	assert_int_equal(connect_compile(&rules, AF_INET6, 3, &insns, &count), 0);
	free(insns);
	free(rules.items);
}

/* ---- the kernel's verdict ---- */

struct seen {
	size_t count;
	struct connect_denied last;
};

static void on_denied(const struct connect_denied *denied, void *arg)
{
	struct seen *seen = arg;

	seen->count++;
	seen->last = *denied;
}

static int try_connect(int type, const char *address, uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	autoclose int sock = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, address, &to.sin_addr);
	if (type == SOCK_DGRAM)
		return sendto(sock, "x", 1, 0, (void *)&to, sizeof(to)) < 0 ? errno : 0;
	return connect(sock, (void *)&to, sizeof(to)) < 0 ? errno : 0;
}

/* In a cgroup of its own: the first child that is in it tries, and tells by its status. */
static int try_within(const char *cgroup, int type, const char *address, uint16_t port)
{
	char path[256];
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		FILE *procs;

		snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
		procs = fopen(path, "w");
		if (!procs || fputs("0", procs) < 0 || fclose(procs) != 0)
			_exit(255);
		_exit(try_connect(type, address, port));
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void test_in_the_kernel(void **state)
{
	static const char *const texts[] = {"+192.0.2.1:443", NULL};
	static const char *const roots[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};
	struct connect_rule items[8];
	struct connect_rules rules, none = {};
	struct connect_log *log = NULL;
	struct seen seen = {};
	struct err err = {};
	char cgroup[128], probe[160];
	int dirfd, map = -1, r, root = 0;

	(void)state;
	if (geteuid() != 0)
		skip();
	snprintf(probe, sizeof(probe), "%s/cgroup.procs", roots[0]);
	if (access(probe, W_OK) < 0)
		root = 1;
	snprintf(cgroup, sizeof(cgroup), "%s/brig-test-connect-%d", roots[root], getpid());
	if (sys_mkdirat(AT_FDCWD, cgroup, 0700) < 0)
		skip();
	dirfd = sys_openat(AT_FDCWD, cgroup, O_RDONLY | O_DIRECTORY, 0);
	rules_of(texts, items, &rules);
	r = connect_policy_attach(dirfd, &rules, &map, &err);
	if (r == 0)
		r = connect_denied_open(map, &log, &err);
	if (r == 0) {
		assert_int_equal(try_within(cgroup, SOCK_STREAM, "192.0.2.2", 443), EPERM);
		assert_int_equal(try_within(cgroup, SOCK_DGRAM, "192.0.2.2", 53), EPERM);
		assert_int_not_equal(try_within(cgroup, SOCK_STREAM, "192.0.2.1", 443), EPERM);
		assert_int_not_equal(try_connect(SOCK_STREAM, "192.0.2.2", 443), EPERM);
		assert_int_equal(connect_denied_read(log, on_denied, &seen), 0);
		assert_int_equal(seen.count, 2);
		assert_int_equal(seen.last.port, 53);
		assert_int_equal(seen.last.protocol, IPPROTO_UDP);
		assert_int_equal(seen.last.family, AF_INET);
		assert_int_equal(seen.last.bytes[3], 2);
		/* Anew, then none: what was there before is gone. */
		close(map);
		assert_int_equal(connect_policy_attach(dirfd, &rules, &map, &err), 0);
		close(map);
		assert_int_equal(connect_policy_attach(dirfd, &none, &map, &err), 0);
		assert_int_equal(map, -1);
		assert_int_not_equal(try_within(cgroup, SOCK_STREAM, "192.0.2.2", 443), EPERM);
	}
	connect_denied_close(log);
	close(dirfd);
	sys_unlinkat(AT_FDCWD, cgroup, AT_REMOVEDIR);
	if (r < 0)
		fail_msg("%s", err.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_wrong_texts),
		cmocka_unit_test(test_allowing),
		cmocka_unit_test(test_denying),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_in_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
