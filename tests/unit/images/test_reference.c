/* SPDX-License-Identifier: Apache-2.0 */
#include "images/reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void normalises(void **state)
{
	static const char *const pairs[][2] = {
		{"alpine", "alpine:latest"},
		{"docker.io/alpine", "docker.io/library/alpine:latest"},
		{"index.docker.io/a/b:1", "docker.io/a/b:1"},
		{"localhost/x", "localhost/x:latest"},
		{"localhost:5000/x:T_.-1", "localhost:5000/x:T_.-1"},
		{"host.example:80/a__b/c-d.e", "host.example:80/a__b/c-d.e:latest"},
		{"[::1]:5000/x", "[::1]:5000/x:latest"},
		{"a/b/c", "a/b/c:latest"},
		{"HOST/x", "HOST/x:latest"},
		{"r.io/x@sha256:" HEX, "r.io/x@sha256:" HEX},
		{"r.io/x:1@sha256:" HEX, "r.io/x:1@sha256:" HEX},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		autobuf struct buf text = {};
		struct reference ref;
		struct err err = {};

		if (reference_parse(pairs[i][0], &ref, &err) < 0 ||
			reference_normalise(&ref, &err) < 0)
			fail_msg("%s", err.text);
		reference_format(&ref, &text);
		assert_string_equal(buf_str(&text), pairs[i][1]);
	}
}

static void refuses(void **state)
{
	static const char *const bad[] = {"", ":", "@", "a:", "a@", "A", "a/B", "a//b", "/a", "a/",
		"a:b:c", "a.:1/", "-a", "a..b", "a___b", "a/b@sha256:" HEX "0", "a@sha256:ABC",
		"a@md5:" HEX, "a@sha256:../../etc/passwd", "host.x:99999/a", "host.x:0/a",
		"ho st/a", "a\n", "a:-x", "r.io/../x", "r.io/a/../b", "[::1/x",
		"a@sha256:" HEX "/x"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct reference ref = {.tag = "kept"};
		struct err err = {};

		if (reference_parse(bad[i], &ref, &err) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_string_equal(ref.tag, "kept");
		assert_non_null(strstr(err.text, "reference"));
	}
}

static void bounds_lengths(void **state)
{
	char name[400];
	struct reference ref;
	struct err err = {};

	(void)state;
	memset(name, 'a', sizeof(name));
	name[255] = '\0';
	assert_int_equal(reference_parse(name, &ref, &err), 0);
	name[255] = 'a';
	name[256] = '\0';
	assert_int_equal(reference_parse(name, &ref, &err), -EINVAL);
	memset(name, 'a', sizeof(name));
	name[1] = ':';
	name[2 + 128] = '\0';
	assert_int_equal(reference_parse(name, &ref, &err), 0);
	name[2 + 128] = 'a';
	name[2 + 129] = '\0';
	assert_int_equal(reference_parse(name, &ref, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(normalises),
		cmocka_unit_test(refuses),
		cmocka_unit_test(bounds_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
