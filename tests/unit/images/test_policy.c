/* SPDX-License-Identifier: Apache-2.0 */
#include "images/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char policy[] =
	"{\"default\":[{\"type\":\"reject\"}],\"transports\":{\"docker\":{"
	"\"example.com/team\":[{\"type\":\"insecureAcceptAnything\"}],"
	"\"example.com/team/app:bad\":[{\"type\":\"reject\"}],"
	"\"example.com/team/"
	"signed\":[{\"type\":\"insecureAcceptAnything\"},{\"type\":\"signedBy\"}],"
	"\"*.example.org\":[{\"type\":\"insecureAcceptAnything\"}],"
	"\"strange.example\":[{\"type\":\"strange\"}],"
	"\"empty.example\":[]},"
	"\"oci-archive\":{\"\":[{\"type\":\"insecureAcceptAnything\"}]}}}";

static int check(const char *name, const char *transport)
{
	struct reference reference;
	struct err err = {};

	if (name)
		assert_int_equal(reference_parse(name, &reference, &err), 0);
	return policy_parse_check(
		"policy", policy, sizeof(policy) - 1, transport, name ? &reference : NULL, &err);
}

static void scopes(void **state)
{
	(void)state;
	assert_int_equal(check("other.example/x:1", "docker"), -EACCES);
	assert_int_equal(check("example.com/team:1", "docker"), 0);
	assert_int_equal(check("example.com/team/app:1", "docker"), 0);
	assert_int_equal(check("example.com/team/app:bad", "docker"), -EACCES);
	assert_int_equal(check("example.com/teams/app:1", "docker"), -EACCES);
	assert_int_equal(check("a.b.example.org/x:1", "docker"), 0);
	assert_int_equal(check("example.org/x:1", "docker"), -EACCES);
	assert_int_equal(check(NULL, "oci-archive"), 0);
	assert_int_equal(check(NULL, "docker-archive"), -EACCES);
}

/* What is not understood or cannot be checked is refused. */
static void refused(void **state)
{
	static const char *const bad[] = {"", "[]", "{}", "{\"default\":[]}", "{\"default\":[{}]}",
		"{\"default\":[{\"type\":1}]}"};
	struct reference reference = {.registry = "a.example", .repository = "b"};
	struct err err = {};

	(void)state;
	assert_int_equal(check("example.com/team/signed:1", "docker"), -EOPNOTSUPP);
	assert_int_equal(check("strange.example/x:1", "docker"), -EINVAL);
	assert_int_equal(check("empty.example/x:1", "docker"), -EINVAL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(policy_parse_check("policy", bad[i], strlen(bad[i]), "docker",
					 &reference, &err),
			-EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scopes),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
