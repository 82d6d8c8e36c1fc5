/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include "tests/unit/unit.h"

struct inner {
	const char *key;
	int32_t n;
};

struct outer {
	bool flag;
	struct opt_bool maybe;
	int32_t i32;
	int64_t i64;
	uint32_t u32;
	uint64_t u64;
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
	} inners, map;
	int name;
	struct {
		int *items;
		size_t count;
	} names;
	uint64_t flags;
	struct {
		uint32_t *items;
		size_t count;
	} u32s;
	struct inner part;
	int32_t deep;
	char letter;
	int finished;
};

static const struct json_name colours[] = {{"red", 1}, {"green", 2}, {"blue", 4}, {}};

static int finish_inner(void *out, const struct json_context *ctx)
{
	const struct inner *inner = out;

	if (inner->n == 13)
		return json_fail(ctx, "n", "%d is unlucky", inner->n);
	if (inner->n == 14)
		return json_fail(ctx, NULL, "no");
	return 0;
}

static const struct json_rule inner_rules[] = {{"n", JSON_I32, JSON_AT(inner, n)}, {}};
static const struct inner inner_defaults = {.n = 5};
static const struct json_table inner_table = {
	.size = sizeof(struct inner),
	.rules = inner_rules,
	.defaults = &inner_defaults,
	.finish = finish_inner,
};

static const struct json_rule deep_rules[] = {
	{"deep", JSON_I32, .required = true, JSON_AT(outer, deep)}, {}};
static const struct json_table deep_table = {.rules = deep_rules};

static int parse_letter(const json_t *value, void *out, const struct json_context *ctx)
{
	const char *text = json_string_value(value);

	if (!text || strlen(text) != 1)
		return json_fail(ctx, NULL, "must be one letter");
	*(char *)out = *text;
	return 0;
}

static int finish_outer(void *out, const struct json_context *ctx)
{
	(void)ctx;
	((struct outer *)out)->finished++;
	return 0;
}

static const struct json_rule outer_rules[] = {
	{"flag", JSON_BOOL, JSON_AT(outer, flag)},
	{"maybe", JSON_OPT_BOOL, JSON_AT(outer, maybe)},
	{"i32", JSON_I32, JSON_AT(outer, i32)},
	{"i64", JSON_I64, JSON_AT(outer, i64)},
	{"u32", JSON_U32, JSON_AT(outer, u32)},
	{"u64", JSON_U64, JSON_AT(outer, u64)},
	{"optI64", JSON_OPT_I64, JSON_AT(outer, opt_i64)},
	{"optU64", JSON_OPT_U64, JSON_AT(outer, opt_u64)},
	{"optU32", JSON_OPT_U32, JSON_AT(outer, opt_u32)},
	{"text", JSON_TEXT, JSON_AT(outer, text)},
	{"texts", JSON_TEXTS, JSON_AT(outer, texts)},
	{"pairs", JSON_PAIRS, JSON_AT(outer, pairs)},
	{"inner", JSON_STRUCT, JSON_AT(outer, inner), .table = &inner_table},
	{"inners", JSON_STRUCTS, JSON_AT(outer, inners), .table = &inner_table},
	{"map", JSON_STRUCT_MAP, JSON_AT(outer, map), .table = &inner_table},
	{"name", JSON_NAME, JSON_AT(outer, name), .names = colours, .what = "a colour"},
	{"names", JSON_NAMES, JSON_AT(outer, names), .names = colours, .what = "a colour"},
	{"flags", JSON_FLAGS, JSON_AT(outer, flags), .names = colours},
	{"u32s", JSON_U32S, JSON_AT(outer, u32s)},
	{"part", JSON_PART, JSON_AT(outer, part), .table = &inner_table},
	{"nest", JSON_PART, .table = &deep_table},
	{"letter", JSON_PARSE, JSON_AT(outer, letter), .parse = parse_letter},
	{},
};

static const struct json_table outer_table = {
	.size = sizeof(struct outer),
	.rules = outer_rules,
	.finish = finish_outer,
};

struct fixture {
	struct arena arena;
	json_t *json;
	struct outer out;
	struct err err;
};

static int read_text(struct fixture *f, const char *text)
{
	int r;

	arena_free(&f->arena);
	json_release(&f->json);
	f->out = (struct outer){};
	err_clear(&f->err);
	r = json_parse("t", text, strlen(text), &f->json, &f->err);
	return r < 0 ? r : json_decode(f->json, &outer_table, &f->arena, &f->out, &f->err);
}

static int setup(void **state)
{
	static struct fixture fixture;

	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_free(&f->arena);
	json_release(&f->json);
	return 0;
}

static void test_every_kind(void **state)
{
	struct fixture *f = *state;
	const struct outer *o = &f->out;

	assert_int_equal(
		read_text(f, "{\"flag\": true, \"maybe\": false, \"i32\": -5, \"i64\": -6,"
			     "\"u32\": 4294967295, \"u64\": 18446744073709551615,"
			     "\"optI64\": -1, \"optU64\": 9223372036854775808, \"optU32\": 0,"
			     "\"text\": \"t\", \"texts\": [\"a\", \"\"],"
			     "\"pairs\": {\"z\": \"1\", \"a\": \"2\"},"
			     "\"inner\": {}, \"inners\": [{\"n\": 1}, {}],"
			     "\"map\": {\"k2\": {}, \"k1\": {\"n\": 9}}, \"name\": \"blue\","
			     "\"names\": [\"green\", \"red\"], \"flags\": [\"red\", \"blue\"],"
			     "\"u32s\": [0, 7], \"part\": {\"n\": 3}, \"nest\": {\"deep\": 8},"
			     "\"letter\": \"x\", \"unknown\": [{}]}"),
		0);
	assert_true(o->flag && o->maybe.set && !o->maybe.value);
	assert_int_equal(o->i32, -5);
	assert_int_equal(o->i64, -6);
	assert_true(o->u32 == UINT32_MAX && o->u64 == UINT64_MAX);
	assert_true(o->opt_i64.set && o->opt_i64.value == -1);
	assert_true(o->opt_u64.set && o->opt_u64.value == 1ULL << 63);
	assert_true(o->opt_u32.set && o->opt_u32.value == 0);
	assert_string_equal(o->text, "t");
	assert_int_equal(o->texts.count, 2);
	assert_string_equal(o->texts.items[1], "");
	assert_int_equal(o->pairs.count, 2);
	assert_string_equal(o->pairs.items[0].key, "z");
	assert_string_equal(o->pairs.items[1].value, "2");
	assert_int_equal(o->inner->n, 5);
	assert_int_equal(o->inners.count, 2);
	assert_int_equal(o->inners.items[0].n, 1);
	assert_int_equal(o->inners.items[1].n, 5);
	assert_string_equal(o->map.items[0].key, "k2");
	assert_int_equal(o->map.items[1].n, 9);
	assert_string_equal(o->map.items[1].key, "k1");
	assert_int_equal(o->name, 4);
	assert_int_equal(o->names.items[0], 2);
	assert_int_equal(o->flags, 5);
	assert_int_equal(o->u32s.items[1], 7);
	assert_int_equal(o->part.n, 3);
	assert_int_equal(o->deep, 8);
	assert_int_equal(o->letter, 'x');
	assert_int_equal(o->finished, 1);
}

static void test_absent_and_null(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(read_text(f, "{\"text\": null, \"nest\": null, \"inners\": null}"), 0);
	assert_null(f->out.text);
	assert_false(f->out.opt_i64.set);
	assert_int_equal(f->out.inners.count, 0);
	assert_int_equal(f->out.part.n, 0);
}

static void test_errors_name_the_place(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"[]", "must be an object"},
		{"{\"flag\": 1}", "flag: must be true or false"},
		{"{\"maybe\": \"true\"}", "maybe: must be true or false"},
		{"{\"i32\": 2147483648}", "i32: out of range"},
		{"{\"i32\": 1.0}", "i32: must be an integer"},
		{"{\"i32\": \"1\"}", "i32: must be a number, not a string"},
		{"{\"u32\": -1}", "u32: must not be negative"},
		{"{\"u32\": 4294967296}", "u32: out of range"},
		{"{\"u64\": -1}", "u64: must not be negative"},
		{"{\"u64\": 18446744073709551616}", "u64: out of range"},
		{"{\"i64\": 9223372036854775808}", "i64: out of range"},
		{"{\"optI64\": 18446744073709551615}", "optI64: out of range"},
		{"{\"text\": 18446744073709551615}", "text: must be a string"},
		{"{\"text\": 3}", "text: must be a string"},
		{"{\"texts\": \"a\"}", "texts: must be an array"},
		{"{\"texts\": [\"a\", null]}", "texts[1]: must be a string"},
		{"{\"texts\": [18446744073709551615]}", "texts[0]: must be a string"},
		{"{\"pairs\": [\"a\"]}", "pairs: must be an object"},
		{"{\"pairs\": {\"k\": 1}}", "pairs.k: must be a string"},
		{"{\"inner\": {\"n\": \"x\"}}", "inner.n: must be a number, not a string"},
		{"{\"inner\": {\"n\": 13}}", "inner.n: 13 is unlucky"},
		{"{\"inners\": [{}, {\"n\": 13}]}", "inners[1].n: 13 is unlucky"},
		{"{\"inners\": [{}, {\"n\": 14}]}", "inners[1]: no"},
		{"{\"inners\": [3]}", "inners[0]: must be an object"},
		{"{\"map\": {\"k\": {\"n\": 13}}}", "map.k.n: 13 is unlucky"},
		{"{\"map\": []}", "map: must be an object"},
		{"{\"name\": \"pink\"}", "name: \"pink\" is not a colour"},
		{"{\"names\": [\"red\", \"\"]}", "names[1]: \"\" is not a colour"},
		{"{\"flags\": [\"pink\"]}", "flags[0]: \"pink\" is not a value"},
		{"{\"flags\": {}}", "flags: must be an array"},
		{"{\"u32s\": [1, -1]}", "u32s[1]: must not be negative"},
		{"{\"nest\": {}}", "nest.deep: is missing"},
		{"{\"nest\": {\"deep\": null}}", "nest.deep: is missing"},
		{"{\"letter\": \"xy\"}", "letter: must be one letter"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fixture *f = *state;

		assert_int_equal(read_text(f, cases[i].text), -EINVAL);
		if (strncmp(f->err.text, cases[i].want, strlen(cases[i].want)) != 0)
			fail_msg("%s: \"%s\"", cases[i].text, f->err.text);
	}
}

/* One integer beyond 2^63−1 must not change what the others mean. */
static void test_big_integers_beside_others(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
		read_text(f, "{\"u64\": 18446744073709551615, \"i64\": 9223372036854775807,"
			     "\"optI64\": -9223372036854775808,"
			     "\"text\": \"18446744073709551615 \\\" 5\","
			     "\"real\": 0.18446744073709551615, \"exp\": 1e5}"),
		0);
	assert_true(f->out.i64 == INT64_MAX && f->out.opt_i64.value == INT64_MIN);
	assert_string_equal(f->out.text, "18446744073709551615 \" 5");
	assert_true(json_is_real(json_object_get(f->json, "real")));
}

static void test_text_of_a_member(void **state)
{
	autojson json_t *json = NULL;
	struct err err = {};
	static const char text[] = "{\"a\": \"b\", \"n\": 1, \"big\": 18446744073709551615, \"m\": "
				   "\"\\u0001integer:5\"}";

	(void)state;
	assert_int_equal(json_parse("x", text, strlen(text), &json, &err), 0);
	assert_string_equal(json_text_of(json, "a"), "b");
	assert_null(json_text_of(json, "n"));
	assert_null(json_text_of(json, "big"));
	assert_null(json_text_of(json, "m"));
	assert_null(json_text_of(json, "none"));
	assert_null(json_text_of(NULL, "a"));
}

static void test_big_integers_are_written_as_such(void **state)
{
	autojson json_t *value = json_pack("{s:o, s:o, s:[o, s], s:s, s:s, s:i}", "max",
		json_u64(UINT64_MAX), "small", json_u64(7), "list",
		json_u64((uint64_t)INT64_MAX + 1), "s", "inside", "a\"\x01integer:12", "no number",
		"\x01integer:12x", "\x01integer:12", 1);
	autobuf struct buf text = {};

	(void)state;
	buf_puts(&text, "x=");
	assert_int_equal(json_write(value, JSON_COMPACT | JSON_SORT_KEYS, &text), 0);
	assert_string_equal(buf_str(&text),
		"x={\"\\u0001integer:12\":1,\"inside\":\"a\\\"\\u0001integer:12\","
		"\"list\":[9223372036854775808,\"s\"],\"max\":18446744073709551615,"
		"\"no number\":\"\\u0001integer:12x\",\"small\":7}");
	assert_int_equal(text.len, strlen(text.data));
}

static void test_text_errors(void **state)
{
	static const char *const bad[] = {"", "{", "{]", "{\"a\": 1,}", "{\"a\": 1} x",
		"{\"text\": \"a\", \"text\": \"b\"}", "{\"a\": -9223372036854775809}",
		"{\"a\": 1e999}", "{\"a\": 00}", "{\"a\": \"\\u0000\"}", "{'a': 1}",
		"{\"a\": 18446744073709551615, \"b\": }", "{18446744073709551615: 1}",
		"{18446744073709551615 : 1}", "18446744073709551615x", "{\"a\": \"\xff\"}", "nul"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct fixture *f = *state;

		assert_int_equal(read_text(f, bad[i]), -EINVAL);
		assert_non_null(strstr(f->err.text, "t:1:"));
		assert_non_null(strstr(f->err.text, "not valid JSON"));
		assert_null(f->json);
	}
}

static void test_deep_nesting_is_refused(void **state)
{
	static char text[200001];
	struct fixture *f = *state;

	memset(text, '[', sizeof(text) - 1);
	assert_int_equal(read_text(f, text), -EINVAL);
}

static void test_write(void **state)
{
	struct fixture *f = *state;
	autobuf struct buf buf = {};

	assert_int_equal(read_text(f, "{\"b\": [1, \"x\"], \"a\": null}"), 0);
	assert_int_equal(json_write(f->json, JSON_COMPACT, &buf), 0);
	assert_string_equal(buf_str(&buf), "{\"b\":[1,\"x\"],\"a\":null}");
}

static void test_names(void **state)
{
	int64_t value = 77;
	(void)state;

	assert_true(json_name_find(colours, "green", &value));
	assert_int_equal(value, 2);
	assert_false(json_name_find(colours, "greenish", &value));
	assert_int_equal(value, 2);
	assert_string_equal(json_name_of(colours, 4), "blue");
	assert_null(json_name_of(colours, 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kind),
		cmocka_unit_test(test_text_of_a_member),
		cmocka_unit_test(test_big_integers_are_written_as_such),
		cmocka_unit_test(test_absent_and_null),
		cmocka_unit_test(test_errors_name_the_place),
		cmocka_unit_test(test_big_integers_beside_others),
		cmocka_unit_test(test_text_errors),
		cmocka_unit_test(test_deep_nesting_is_refused),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
