/* SPDX-License-Identifier: Apache-2.0 */
/* What json_encode() writes, json_decode() reads back. */
#include "base/cleanup.h"
#include "base/json.h"

#include "tests/unit/unit.h"
#include <errno.h>

struct inner {
	const char *name;
	uint64_t value;
};

struct outer {
	bool flag;
	struct opt_bool maybe;
	int32_t i32;
	int64_t i64;
	uint32_t u32;
	uint64_t u64, flags;
	struct opt_i64 opt_i64;
	struct opt_u64 opt_u64;
	struct opt_u32 opt_u32;
	const char *text;
	struct strings texts;
	struct pairs pairs;
	struct inner *inner;
	struct {
		struct inner *items;
		size_t count;
	} list, map;
	int name;
	struct {
		uint32_t *items;
		size_t count;
	} numbers;
	struct inner part;
	char letter;
};

static const struct json_name names[] = {{"one", 1}, {"two", 2}, {"both", 3}, {"four", 4}, {}};

static int parse_letter(const json_t *value, void *out, const struct json_context *ctx)
{
	(void)ctx;
	*(char *)out = *json_string_value(value);
	return 0;
}

static json_t *encode_letter(const void *in)
{
	return json_stringn(in, 1);
}

static const struct json_rule inner_rules[] = {
	{"name", JSON_TEXT, JSON_AT(inner, name)},
	{"value", JSON_U64, JSON_AT(inner, value)},
	{},
};
static const struct json_table inner_table = {.size = sizeof(struct inner), .rules = inner_rules};
static const struct json_rule map_rules[] = {{"value", JSON_U64, JSON_AT(inner, value)}, {}};
static const struct json_table map_table = {.size = sizeof(struct inner), .rules = map_rules};

static const struct json_rule rules[] = {
	{"flag", JSON_BOOL, JSON_AT(outer, flag)},
	{"maybe", JSON_OPT_BOOL, JSON_AT(outer, maybe)},
	{"i32", JSON_I32, JSON_AT(outer, i32)},
	{"i64", JSON_I64, JSON_AT(outer, i64)},
	{"u32", JSON_U32, JSON_AT(outer, u32)},
	{"u64", JSON_U64, JSON_AT(outer, u64)},
	{"flags", JSON_FLAGS, JSON_AT(outer, flags), .names = names, .what = "a number"},
	{"optI64", JSON_OPT_I64, JSON_AT(outer, opt_i64)},
	{"optU64", JSON_OPT_U64, JSON_AT(outer, opt_u64)},
	{"optU32", JSON_OPT_U32, JSON_AT(outer, opt_u32)},
	{"text", JSON_TEXT, JSON_AT(outer, text)},
	{"texts", JSON_TEXTS, JSON_AT(outer, texts)},
	{"pairs", JSON_PAIRS, JSON_AT(outer, pairs)},
	{"inner", JSON_STRUCT, JSON_AT(outer, inner), .table = &inner_table},
	{"list", JSON_STRUCTS, JSON_AT(outer, list), .table = &inner_table},
	{"map", JSON_STRUCT_MAP, JSON_AT(outer, map), .table = &map_table},
	{"name", JSON_NAME, JSON_AT(outer, name), .names = names, .what = "a number"},
	{"numbers", JSON_U32S, JSON_AT(outer, numbers)},
	{"part", JSON_PART, JSON_AT(outer, part), .table = &inner_table},
	{"letter", JSON_PARSE, JSON_AT(outer, letter), .parse = parse_letter,
		.encode = encode_letter},
	{},
};
static const struct json_table table = {.size = sizeof(struct outer), .rules = rules};

static const char full[] =
	"{\"flag\":true,\"maybe\":false,\"i32\":-5,\"i64\":-6,\"u32\":7,"
	"\"u64\":18446744073709551615,\"flags\":[\"one\",\"four\"],\"optI64\":-1,"
	"\"optU64\":18446744073709551614,\"optU32\":0,\"text\":\"t\",\"texts\":[\"a\",\"b\"],"
	"\"pairs\":{\"k\":\"v\"},\"inner\":{\"name\":\"n\",\"value\":1},"
	"\"list\":[{\"name\":\"x\",\"value\":2},{\"value\":3}],\"map\":{\"m\":{\"value\":4}},"
	"\"name\":\"two\",\"numbers\":[8,9],\"part\":{\"name\":\"p\",\"value\":5},"
	"\"letter\":\"z\"}";

static void test_there_and_back(void **state)
{
	autoarena struct arena arena = {};
	autojson json_t *json = NULL, *again = NULL;
	struct outer outer = {};
	struct err err = {};

	(void)state;
	assert_int_equal(json_parse("t", full, strlen(full), &json, &err), 0);
	assert_int_equal(json_decode(json, &table, &arena, &outer, &err), 0);
	again = json_encode(&outer, &table);
	assert_non_null(again);
	assert_true(json_equal(json, again));
}

/* What was not there is not written, so that it stays "not set". */
static void test_absent(void **state)
{
	static const char *const written[] = {
		"flag", "i32", "i64", "u32", "u64", "flags", "part", "letter"};
	const struct outer outer = {.letter = 'a'};
	autojson json_t *json = json_encode(&outer, &table);

	(void)state;
	assert_int_equal(json_object_size(json), ARRAY_LEN(written));
	for (size_t i = 0; i < ARRAY_LEN(written); i++)
		assert_non_null(json_object_get(json, written[i]));
}

static const struct json_rule limit_rules[] = {
	{"limit", JSON_OPT_I64, .required = true, JSON_AT(outer, opt_i64)},
	{},
};
static const struct json_table limit_table = {.rules = limit_rules};
static const struct json_rule holder_rules[] = {{"pids", JSON_PART, .table = &limit_table}, {}};
static const struct json_table holder_table = {.size = sizeof(struct outer), .rules = holder_rules};

/* An object that needs a member is not written without it. */
static void test_part_that_is_not_there(void **state)
{
	struct outer outer = {};
	autojson json_t *none = json_encode(&outer, &holder_table), *some = NULL;

	(void)state;
	assert_int_equal(json_object_size(none), 0);
	outer.opt_i64 = (struct opt_i64){true, 5};
	some = json_encode(&outer, &holder_table);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(some, "pids"), "limit")), 5);
}

/* Rather nothing than something else. */
static void test_not_utf8(void **state)
{
	const char *text = "\xff";
	struct outer outer = {.letter = 'a', .texts = {&text, 1}};

	(void)state;
	assert_null(json_encode(&outer, &table));
	outer.texts.count = 0;
	outer.text = text;
	assert_null(json_encode(&outer, &table));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_part_that_is_not_there),
		cmocka_unit_test(test_not_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
