/* SPDX-License-Identifier: Apache-2.0 */
#include "images/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void origins(void **state)
{
	(void)state;
	assert_true(http_same_origin("https://a.example/x", "https://A.example:443/y?z"));
	assert_true(http_same_origin("http://a.example:80", "http://a.example/"));
	assert_false(http_same_origin("https://a.example", "http://a.example"));
	assert_false(http_same_origin("https://a.example", "https://a.example:444"));
	assert_false(http_same_origin("https://a.example", "https://a.example.evil"));
	assert_false(http_same_origin("https://a.example", "https://a.example@evil.example/"));
	assert_false(http_same_origin("", ""));
}

static void resolved(void **state)
{
	static const struct {
		const char *base, *reference, *wanted;
	} cases[] = {
		{"https://a.example/v2/x", "/y", "https://a.example/y"},
		{"https://a.example/v2/x", "z?q=1", "https://a.example/v2/z?q=1"},
		{"https://a.example/v2/x", "https://b.example/", "https://b.example/"},
		{"https://a.example/v2/x", "//b.example/y", "https://b.example/y"},
		{"https://a.example/v2/x", "/y#fragment", "https://a.example/y"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		autobuf struct buf out = {};

		assert_int_equal(http_resolve(cases[i].base, cases[i].reference, &out), 0);
		assert_string_equal(buf_str(&out), cases[i].wanted);
	}
}

static void encoded(void **state)
{
	autobuf struct buf out = {};

	(void)state;
	http_encode("a/b c&d=\xc3\xa4-._~", &out);
	assert_string_equal(buf_str(&out), "a%2Fb%20c%26d%3D%C3%A4-._~");
}

static void transient(void **state)
{
	(void)state;
	assert_true(http_is_transient(-ETIMEDOUT, 0) && http_is_transient(0, 503) &&
		    http_is_transient(0, 429));
	assert_false(http_is_transient(-EKEYREJECTED, 0) || http_is_transient(0, 404) ||
		     http_is_transient(0, 200));
}

/* Nobody listens there; and what is no URL that we take. */
static void failures(void **state)
{
	static const struct {
		const char *url;
		bool insecure;
		int code;
	} cases[] = {
		{"http://127.0.0.1:1/", true, -ECONNREFUSED},
		{"http://127.0.0.1:1/", false, -EPROTONOSUPPORT},
		{"file:///etc/passwd", true, -EPROTONOSUPPORT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct http_options options = {.insecure = cases[i].insecure};
		const struct http_request request = {
			.method = "GET", .url = cases[i].url, .body_fd = -1, .max_body = 100};
		autoresponse struct http_response response = {};
		autohttp struct http_client *client = NULL;
		struct err err = {};

		assert_int_equal(http_open(&options, &client, &err), 0);
		assert_int_equal(http_do(client, &request, &response, &err), cases[i].code);
		assert_non_null(strstr(err.text, cases[i].url));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(origins),
		cmocka_unit_test(resolved),
		cmocka_unit_test(encoded),
		cmocka_unit_test(transient),
		cmocka_unit_test(failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
