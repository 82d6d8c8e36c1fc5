/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "base/json_read.h"

#include "tests/unit/unit.h"

#include <string.h>

static const char sample[] =
	"{\"name\": \"a b\", \"list\": [1, -20, 0, true, false, null, [], {}],\n"
	"\t\"inner\": {\"\": \"\", \"big\": 999999999999999999}}\r\n ";

static json_t *by_jansson(const char *text, size_t len)
{
	return json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
}

static void test_plain_texts_are_read(void **state)
{
	static const char *const texts[] = {
		sample, "{}", "[]", " [ 1 , 2 ] ", "[-0]", "{\"a\":{\"b\":{\"c\":[[[\"~!\"]]]}}}"};
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		autojson json_t *value = json_read_plain(texts[i], strlen(texts[i]));
		autojson json_t *other = by_jansson(texts[i], strlen(texts[i]));

		assert_non_null(value);
		assert_true(json_equal(value, other));
	}
}

static void test_the_rest_is_left(void **state)
{
	static const char *const texts[] = {"", " ", "1", "\"text\"", "[", "[1", "[1,", "[1,]",
		"[,1]", "[1 2]", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}",
		"{a:1}", "{\"a\" 1}", "{1:2}", "[1]x", "[1]]", "[00]", "[01]", "[-]", "[+1]",
		"[1.5]", "[1e3]", "[1000000000000000000]", "[tru]", "[truex]", "[nul", "[\"a]",
		"[\"a\\n\"]", "[\"\t\"]", "[\"\xc3\xa4\"]", "{\"a\":1,\"a\":2}", "\xef\xbb\xbf[]"};
	char deep[200];
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_null(json_read_plain(texts[i], strlen(texts[i])));
	assert_null(json_read_plain("[\0]", 3));
	assert_null(json_read_plain("[\"\0\"]", 5));
	memset(deep, '[', 100);
	memset(deep + 100, ']', 100);
	assert_null(json_read_plain(deep, sizeof(deep)));
}

/* Whatever one byte is turned into, or where the text ends: never another value than jansson's. */
static void test_it_agrees_with_jansson(void **state)
{
	size_t accepted = 0;
	(void)state;

	for (size_t at = 0; at < sizeof(sample) - 1; at++)
		for (int byte = -1; byte < 256; byte++) {
			size_t len = byte < 0 ? at : sizeof(sample) - 1;
			char text[sizeof(sample)];
			autojson json_t *value = NULL, *other = NULL;

			memcpy(text, sample, sizeof(text));
			if (byte >= 0)
				text[at] = (char)byte;
			value = json_read_plain(text, len);
			if (!value)
				continue;
			accepted++;
			other = by_jansson(text, len);
			assert_non_null(other);
			assert_true(json_equal(value, other));
		}
	assert_true(accepted > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_texts_are_read),
		cmocka_unit_test(test_the_rest_is_left),
		cmocka_unit_test(test_it_agrees_with_jansson),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
