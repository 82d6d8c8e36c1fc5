/* SPDX-License-Identifier: Apache-2.0 */
#include "images/auth.h"

#include "base/fd.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64], file[96];

static int make_folder(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/test_auth.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/auth.json", dir);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(file);
	return rmdir(dir);
}

static void write_file(const char *text)
{
	assert_int_equal(fd_replace_path(file, text, strlen(text), 0600), 0);
}

static int find(const char *name, struct auth_credentials *ret, struct err *err)
{
	const char *files[] = {file, NULL};
	const struct auth_options options = {.files = files};
	struct reference reference;

	assert_int_equal(reference_parse(name, &reference, err), 0);
	return auth_find(&options, &reference, ret, err);
}

static void basic(void **state)
{
	static const struct {
		const char *user, *secret, *base64;
	} pairs[] = {{"user", "pass", "dXNlcjpwYXNz"}, {"a", "", "YTo="}, {"a", "b", "YTpi"},
		{"ab", "c", "YWI6Yw=="}, {"u", "\xff\xfe", "dTr//g=="}};
	static const char *const bad[] = {
		"x", "YQ==", "====", "dX=lcjpwYXNz", "YTpi\n", "YT pi", "Y===", "YToAYg=="};
	struct auth_credentials c;

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		autobuf struct buf text = {};

		assert_int_equal(auth_decode_basic(pairs[i].base64, &c), 0);
		assert_string_equal(c.username, pairs[i].user);
		assert_string_equal(c.secret, pairs[i].secret);
		assert_int_equal(auth_basic(&c, &text), 0);
		assert_string_equal(buf_str(&text) + strlen("Basic "), pairs[i].base64);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(auth_decode_basic(bad[i], &c), -EINVAL);
}

static void longest_entry_counts(void **state)
{
	struct auth_credentials c;
	struct err err = {};

	(void)state;
	write_file("{\"auths\":{\"example.com\":{\"auth\":\"YTpi\"},"
		   "\"example.com/team\":{\"auth\":\"dXNlcjpwYXNz\"},"
		   "\"https://index.docker.io/v1/\":{\"auth\":\"YTo=\"},"
		   "\"token.example\":{\"identitytoken\":\"secret\"},"
		   "\"broken.example\":{\"auth\":\"!\"}}}");
	assert_int_equal(find("example.com/other/x", &c, &err), 0);
	assert_string_equal(c.username, "a");
	assert_int_equal(find("example.com/team/x", &c, &err), 0);
	assert_string_equal(c.username, "user");
	assert_int_equal(find("example.com/teams/x", &c, &err), 0);
	assert_string_equal(c.username, "a");
	assert_int_equal(find("docker.io/library/x", &c, &err), 0);
	assert_true(c.set);
	assert_int_equal(find("token.example/x", &c, &err), 0);
	assert_true(c.identity_token);
	assert_string_equal(c.secret, "secret");
	assert_int_equal(find("nobody.example/x", &c, &err), 0);
	assert_false(c.set);
	assert_int_equal(find("broken.example/x", &c, &err), -EINVAL);
}

static void stored_and_forgotten(void **state)
{
	struct reference server = {.registry = "example.com"};
	struct auth_credentials c = {.set = true, .username = "u", .secret = "p"}, found;
	struct err err = {};
	struct stat st;

	(void)state;
	unlink(file);
	assert_int_equal(auth_store(file, &server, &c, &err), 0);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(find("example.com/x", &found, &err), 0);
	assert_string_equal(found.secret, "p");
	assert_int_equal(auth_store(file, &server, NULL, &err), 0);
	assert_int_equal(auth_store(file, &server, NULL, &err), -ENOENT);
	assert_int_equal(find("example.com/x", &found, &err), 0);
	assert_false(found.set);
}

static void broken_files(void **state)
{
	struct auth_credentials c;
	struct err err = {};

	(void)state;
	write_file("{\"auths\":");
	assert_int_equal(find("example.com/x", &c, &err), -EINVAL);
	write_file("");
	assert_int_equal(find("example.com/x", &c, &err), 0);
	write_file("{\"credHelpers\":{\"example.com\":\"../../bin/sh\"}}");
	assert_int_equal(find("example.com/x", &c, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(basic),
		cmocka_unit_test(longest_entry_counts),
		cmocka_unit_test(stored_and_forgotten),
		cmocka_unit_test(broken_files),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
