/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/attrs/landlock.h"

#include "tests/unit/runtime/attrs/child.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { RO = 1 << 2 | 1 << 3, EXEC = RO | 1, RW = 0xffff & ~1 };

static int parse(struct arena *arena, const char *name, const char *value,
	struct landlock_plan *plan, struct err *err)
{
	char key[100];
	struct pair pair = {key, value};
	const struct pairs pairs = {&pair, 1};

	snprintf(key, sizeof(key), "org.brig.landlock.%s", name);
	return landlock_parse(&pairs, arena, plan, err);
}

static void nothing(void **state)
{
	struct pair pair = {"org.brig.other", "x"};
	const struct pairs pairs = {&pair, 1};
	autoarena struct arena arena = {};
	struct landlock_plan plan = {.fs = 1};
	struct err err = {};

	(void)state;
	assert_int_equal(landlock_parse(&pairs, &arena, &plan, &err), 0);
	assert_false(landlock_wanted(&plan));
	assert_int_equal(landlock_check(&plan, 0, &err), 0);
	assert_int_equal(landlock_apply(&plan, &err), 0);
}

static void paths(void **state)
{
	struct pair items[] = {{"org.brig.landlock.ro", "/usr:/etc"},
		{"org.brig.landlock.rw", "/with\\:colon\\\\x"}, {"org.brig.landlock.exec", ""}};
	const struct pairs pairs = {items, 3};
	autoarena struct arena arena = {};
	struct landlock_plan plan;
	struct err err = {};

	(void)state;
	assert_int_equal(landlock_parse(&pairs, &arena, &plan, &err), 0);
	assert_int_equal(plan.fs, 0xffff);
	assert_int_equal(plan.net | plan.scoped, 0);
	assert_int_equal(plan.path_count, 3);
	assert_string_equal(plan.paths[0].path, "/usr");
	assert_int_equal(plan.paths[0].access, RO);
	assert_string_equal(plan.paths[1].path, "/etc");
	assert_string_equal(plan.paths[2].path, "/with:colon\\x");
	assert_int_equal(plan.paths[2].access, RW);
}

static void ports(void **state)
{
	struct pair items[] = {{"org.brig.landlock.tcp_bind", "80,8000-8002"},
		{"org.brig.landlock.tcp_connect", "80"},
		{"org.brig.landlock.scope", "signal,abstract-unix"}};
	const struct pairs pairs = {items, 3};
	autoarena struct arena arena = {};
	struct landlock_plan plan;
	struct err err = {};

	(void)state;
	assert_int_equal(landlock_parse(&pairs, &arena, &plan, &err), 0);
	assert_int_equal(plan.fs, 0);
	assert_int_equal(plan.net, 3);
	assert_int_equal(plan.scoped, 3);
	assert_int_equal(plan.port_count, 4);
	assert_int_equal(plan.ports[0].port, 80);
	assert_int_equal(plan.ports[0].access, 3);
	assert_int_equal(plan.ports[3].port, 8002);
	assert_int_equal(plan.ports[3].access, 1);
}

static void empty_values_forbid(void **state)
{
	autoarena struct arena arena = {};
	struct landlock_plan plan;
	struct err err = {};

	(void)state;
	assert_int_equal(parse(&arena, "tcp_bind", "", &plan, &err), 0);
	assert_int_equal(plan.net, 1);
	assert_int_equal(plan.port_count, 0);
	assert_int_equal(parse(&arena, "ro", "", &plan, &err), 0);
	assert_int_equal(plan.fs, 0xffff);
	assert_int_equal(plan.path_count, 0);
}

static void bad_values(void **state)
{
	static const char *const bad[][2] = {{"ro", "usr"}, {"ro", "/usr:"}, {"ro", ":/usr"},
		{"rw", "/a::/b"}, {"tcp_bind", "x"}, {"tcp_bind", "65536"}, {"tcp_bind", "80,"},
		{"tcp_bind", "9-8"}, {"tcp_bind", "-8"}, {"tcp_bind", "8-"}, {"tcp_bind", " 8"},
		{"tcp_connect", "1,,2"}, {"scope", ""}, {"scope", "signals"}, {"scope", "signal,"},
		{"wr", "/"}, {"", "/"}};
	autoarena struct arena arena = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct landlock_plan plan;
		struct err err = {};

		if (parse(&arena, bad[i][0], bad[i][1], &plan, &err) != -EINVAL)
			fail_msg("%s=\"%s\" is taken", bad[i][0], bad[i][1]);
		assert_non_null(strstr(err.text, "org.brig.landlock."));
	}
}

static void abi(void **state)
{
	struct landlock_plan fs = {.fs = 0xffff}, net = {.net = 1}, scope = {.scoped = 1};
	struct err err = {};

	(void)state;
	assert_int_equal(landlock_check(&fs, 0, &err), -EOPNOTSUPP);
	assert_int_equal(landlock_check(&fs, 2, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "6.2"));
	assert_int_equal(landlock_check(&net, 3, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "6.7"));
	assert_int_equal(landlock_check(&scope, 5, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "6.12"));
	assert_int_equal(landlock_check(&net, 4, &err), 0);
	assert_int_equal(landlock_check(&scope, 6, &err), 0);
	assert_int_equal(landlock_check(&fs, 5, &err), 0);
	assert_int_equal(fs.fs, 0xffff);
	assert_int_equal(landlock_check(&fs, 3, &err), 0);
	assert_int_equal(fs.fs, 0x7fff);
}

struct place {
	char dir[40], ro[60], rw[60], link[60];
};

static void restrict_files(void *arg)
{
	const struct place *p = arg;
	struct landlock_path allowed[] = {{p->ro, RO}, {p->rw, RW}};
	struct landlock_path linked = {p->link, RW};
	const struct landlock_plan through = {.fs = 0xffff, .paths = &linked, .path_count = 1};
	const struct landlock_plan plan = {.fs = 0xffff, .paths = allowed, .path_count = 2};
	char path[100];
	struct err err = {};

	child_check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	child_check(landlock_apply(&through, &err) == -ELOOP);
	child_check(strstr(err.text, "symbolic link"));
	err_clear(&err);
	child_check(landlock_apply(&plan, &err) == 0);
	child_check(open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
	child_check(open(p->ro, O_RDONLY | O_CLOEXEC) >= 0);
	snprintf(path, sizeof(path), "%s/new", p->ro);
	child_check(mkdir(path, 0700) < 0 && errno == EACCES);
	snprintf(path, sizeof(path), "%s/new", p->rw);
	child_check(mkdir(path, 0700) == 0);
	child_check(rmdir(path) == 0);
}

static void files_are_restricted(void **state)
{
	struct place p = {.dir = "/tmp/brig-landlock-XXXXXX"};

	(void)state;
	if (landlock_abi() < 3) {
		print_message("skip: Landlock ABI %d\n", landlock_abi());
		skip();
	}
	assert_non_null(mkdtemp(p.dir));
	snprintf(p.ro, sizeof(p.ro), "%s/ro", p.dir);
	snprintf(p.rw, sizeof(p.rw), "%s/rw", p.dir);
	snprintf(p.link, sizeof(p.link), "%s/link", p.dir);
	assert_int_equal(mkdir(p.ro, 0700) | mkdir(p.rw, 0700) | symlink("/", p.link), 0);
	assert_int_equal(child_run(restrict_files, &p), 0);
	assert_int_equal(rmdir(p.ro) | rmdir(p.rw) | unlink(p.link) | rmdir(p.dir), 0);
}

static int bind_port(uint16_t port)
{
	const struct sockaddr_in at = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int r, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	r = bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static void restrict_rest(void *arg)
{
	struct landlock_port port = {0, 1};
	const struct landlock_plan plan = {.net = 1, .scoped = 2, .ports = &port, .port_count = 1};
	struct err err = {};

	(void)arg;
	child_check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	child_check(kill(getppid(), 0) == 0);
	child_check(landlock_apply(&plan, &err) == 0);
	child_check(bind_port(0) == 0);
	child_check(bind_port(34567) == -EACCES);
	child_check(kill(getppid(), 0) < 0 && errno == EPERM);
}

static void ports_and_signals_are_restricted(void **state)
{
	(void)state;
	if (landlock_abi() < 6) {
		print_message("skip: Landlock ABI %d\n", landlock_abi());
		skip();
	}
	assert_int_equal(child_run(restrict_rest, NULL), 0);
}

static void without_privilege(void *arg)
{
	const struct landlock_plan plan = {.net = 1};
	struct err err = {};

	(void)arg;
	if (geteuid() == 0 && setresuid(1000, 1000, 1000) < 0)
		_exit(2);
	child_check(landlock_apply(&plan, &err) == -EPERM);
	child_check(strstr(err.text, "noNewPrivileges"));
}

static void needs_no_new_privs(void **state)
{
	(void)state;
	if (landlock_abi() < 4 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
		print_message(
			"skip: Landlock ABI %d, or no_new_privs is set already\n", landlock_abi());
		skip();
	}
	assert_int_equal(child_run(without_privilege, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing),
		cmocka_unit_test(paths),
		cmocka_unit_test(ports),
		cmocka_unit_test(empty_values_forbid),
		cmocka_unit_test(bad_values),
		cmocka_unit_test(abi),
		cmocka_unit_test(files_are_restricted),
		cmocka_unit_test(ports_and_signals_are_restricted),
		cmocka_unit_test(needs_no_new_privs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
