/* SPDX-License-Identifier: Apache-2.0 */
#include "images/registries.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char conf[] =
	"unqualified-search-registries = [\n  'one.example', # first\n  \"two.example\",\n]\n"
	"short-name-mode = \"permissive\"\n"
	"[[registry]]\nprefix = \"docker.io\"\nlocation = \"hub.example/proxy\"\n"
	"[[registry.mirror]]\nlocation = \"m1.example/hub\"\ninsecure = true\n"
	"[[registry.mirror]]\nlocation = \"m2.example\"\npull-from-mirror = \"digest-only\"\n"
	"[[registry]]\nlocation = \"bad.example\"\nblocked = true\n"
	"[[registry]]\nprefix = \"*.corp.example\"\ninsecure = true\n"
	"[[registry]]\nprefix = \"docker.io/library/special\"\nlocation = 'else.example/s'\n"
	"[aliases]\n\"tool\" = \"quay.example/team/tool\"\n";

static struct registries *load(const char *text)
{
	struct registries *g = registries_new();
	struct err err = {};

	if (registries_parse("test.conf", text, strlen(text), g, &err) < 0)
		fail_msg("%s", err.text);
	return g;
}

/* The endpoints of NAME, one a line. */
static void endpoints(const struct registries *g, const char *name, struct buf *ret, int *ret_code)
{
	struct registries_endpoints e = {};
	struct reference ref;
	struct err err = {};

	assert_int_equal(reference_parse(name, &ref, &err), 0);
	*ret_code = registries_endpoints(g, &ref, &e, &err);
	for (size_t i = 0; i < e.count; i++) {
		reference_format(&e.items[i].reference, ret);
		buf_puts(ret, e.items[i].insecure ? " insecure\n" : "\n");
	}
	free(e.items);
}

static void finds_endpoints(void **state)
{
	static const char *const want[][2] = {
		{"docker.io/library/alpine:3", "m1.example/hub/library/alpine:3 "
					       "insecure\nhub.example/proxy/library/alpine:3\n"},
		{"docker.io/library/special:1", "else.example/s:1\n"},
		{"docker.io/library/specialist:1", "m1.example/hub/library/specialist:1 insecure\n"
						   "hub.example/proxy/library/specialist:1\n"},
		{"a.corp.example/x:1", "a.corp.example/x:1 insecure\n"},
		{"a.b.corp.example:5000/x:1", "a.b.corp.example:5000/x:1 insecure\n"},
		{"corp.example/x:1", "corp.example/x:1\n"},
		{"plain.example/x:1", "plain.example/x:1\n"},
	};
	autoregistries struct registries *g = load(conf);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		autobuf struct buf text = {};
		int r;

		endpoints(g, want[i][0], &text, &r);
		assert_int_equal(r, 0);
		assert_string_equal(buf_str(&text), want[i][1]);
	}
}

static void blocks(void **state)
{
	autoregistries struct registries *g = load(conf);
	autobuf struct buf text = {};
	int r;

	(void)state;
	endpoints(g, "bad.example/x:1", &text, &r);
	assert_int_equal(r, -EACCES);
	endpoints(g, "bad.example:5000/x:1", &text, &r);
	assert_int_equal(r, -EACCES);
	endpoints(g, "bad.example.org/x:1", &text, &r);
	assert_int_equal(r, 0);
}

static void resolves_short_names(void **state)
{
	autoregistries struct registries *g = load(conf);
	autoregistries struct registries *strict =
		load("unqualified-search-registries=['a.x','b.x']\n"
		     "short-name-mode='enforcing'\n");
	autoregistries struct registries *none = load("");
	struct registries_candidates c;
	struct reference ref;
	struct err err = {};

	(void)state;
	assert_int_equal(reference_parse("tool:7", &ref, &err), 0);
	assert_int_equal(registries_candidates(g, &ref, &c, &err), 0);
	assert_int_equal(c.count, 1);
	assert_string_equal(c.items[0].registry, "quay.example");
	assert_string_equal(c.items[0].tag, "7");
	free(c.items);
	assert_int_equal(reference_parse("x", &ref, &err), 0);
	assert_int_equal(registries_candidates(g, &ref, &c, &err), 0);
	assert_int_equal(c.count, 2);
	assert_string_equal(c.items[1].registry, "two.example");
	free(c.items);
	assert_int_equal(registries_candidates(strict, &ref, &c, &err), -EINVAL);
	assert_non_null(strstr(err.text, "a.x/x"));
	assert_int_equal(registries_candidates(none, &ref, &c, &err), 0);
	assert_string_equal(c.items[0].registry, "docker.io");
	assert_string_equal(c.items[0].repository, "library/x");
	free(c.items);
}

static void refuses(void **state)
{
	static const char *const bad[] = {"x", "a = ", "a = 1 2", "[a", "a = \"x", "a = 'x\n'",
		"unknown = 1", "[[registry]]\nblocked = true", "[[registry]]\nlocation = 1",
		"[[registry]]\nlocation = 'x'\nblocekd = true",
		"[registries.search]\nregistries=[]", "short-name-mode = 'off'",
		"[aliases]\nx = 'y'", "a = 1979-05-27", "a = \"\\q\"",
		"short-name-mode='disabled'\nshort-name-mode='enforcing'"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		autoregistries struct registries *g = registries_new();
		struct err err = {};

		if (registries_parse("test.conf", bad[i], strlen(bad[i]), g, &err) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
		assert_non_null(strstr(err.text, "test.conf"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_endpoints),
		cmocka_unit_test(blocks),
		cmocka_unit_test(resolves_short_names),
		cmocka_unit_test(refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
