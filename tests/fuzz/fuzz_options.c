/* SPDX-License-Identifier: Apache-2.0 */
/* A command line, one argument a line, against a table with an option of every kind. */
#include "cli/options.h"
#include "tests/fuzz/fuzz.h"

enum { ARGS_MAX = 64 };

struct values {
	bool flag;
	struct opt_bool opt_flag;
	const char *text;
	struct strings texts;
	uint32_t u32;
	struct opt_u64 size;
	struct opt_i64 limit;
	int signal, name;
	size_t custom_calls;
};

static const struct json_name names[] = {{"one", 1}, {"two", 2}, {NULL, 0}};

static int count_call(const char *value, struct arena *arena, void *dest, struct err *err)
{
	(void)arena;
	if (*value == '!')
		return err_set(err, -EINVAL, "begins with an exclamation mark");
	++*(size_t *)dest;
	return 0;
}

static const struct option table[] = {
	{"flag", 'f', OPTION_FLAG, OPTION_AT(values, flag)},
	{"opt-flag", 0, OPTION_OPT_FLAG, OPTION_AT(values, opt_flag)},
	{"text", 't', OPTION_TEXT, OPTION_AT(values, text)},
	{"texts", 'x', OPTION_TEXTS, OPTION_AT(values, texts)},
	{"number", 'n', OPTION_U32, OPTION_AT(values, u32)},
	{"size", 's', OPTION_SIZE, OPTION_AT(values, size)},
	{"limit", 0, OPTION_LIMIT, OPTION_AT(values, limit)},
	{"signal", 0, OPTION_SIGNAL, OPTION_AT(values, signal)},
	{"name", 0, OPTION_NAME, OPTION_AT(values, name), .names = names},
	{"custom", 'c', OPTION_CUSTOM, OPTION_AT(values, custom_calls), .parse = count_call},
	{"implied", 0, OPTION_TEXT, OPTION_AT(values, text), .implied = "yes"},
	{NULL},
};

static void run(int argc, char *const *argv, unsigned int flags)
{
	autoarena struct arena arena = {};
	struct values values = {};
	struct options_result result = {};
	struct err err = {};
	int r = options_parse(table, argc, argv, flags, &arena, &values, &result, &err);

	if (r < 0) {
		REQUIRE(r == err.code && err.text[0]);
		return;
	}
	REQUIRE(result.arg_count <= (size_t)argc && result.used <= (size_t)argc);
	REQUIRE(values.texts.count <= (size_t)argc && values.custom_calls <= (size_t)argc);
	REQUIRE(values.signal >= 0 && values.signal <= 64);
	REQUIRE(values.name >= 0 && values.name <= 2);
	REQUIRE(!values.limit.set || values.limit.value >= -1);
	/* Operands are argv's own, in its order. */
	for (size_t i = 0, at = 0; i < result.arg_count; i++, at++) {
		while (at < (size_t)argc && argv[at] != result.args[i])
			at++;
		REQUIRE(at < (size_t)argc);
	}
	REQUIRE(!result.args || !result.args[result.arg_count]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *saved = NULL;
	char *argv[ARGS_MAX + 1] = {};
	int argc = 0;

	REQUIRE(text);
	memcpy(text, data, size);
	text[size] = '\0';
	for (char *arg = strtok_r(text, "\n", &saved); arg && argc < ARGS_MAX;
		arg = strtok_r(NULL, "\n", &saved))
		argv[argc++] = arg;
	run(argc, argv, 0);
	run(argc, argv, OPTIONS_STOP_AT_OPERAND | OPTIONS_SINGLE_DASH | OPTIONS_VERSION);
	free(text);
	return 0;
}
