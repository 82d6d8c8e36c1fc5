/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define LIST(...)                                                 \
	((struct strings){.items = (const char *[]){__VA_ARGS__}, \
		.count = sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *)})

static void test_round_trip(void **state)
{
	struct record_mount mounts[] = {
		{.type = RECORD_MOUNT_VOLUME,
			.source = "/s",
			.target = "/t",
			.volume = "v",
			.options = LIST("rbind", "rro"),
			.copy_up = true,
			.chown = true},
		{.type = RECORD_MOUNT_TMPFS, .target = "/m"},
	};
	struct record_health health = {
		.test = LIST("CMD", "x"), .interval = 1, .timeout = 2, .retries = 3};
	struct pair labels[] = {{"a", "b"}};
	const struct record before = {.id = "1",
		.name = "n",
		.created = "c",
		.image = "i",
		.image_id = "d",
		.manifest = "m",
		.options = {.env = LIST("A=b"),
			.tty = true,
			.memory = {true, -1},
			.cpus = "1.5",
			.stop_signal = 9,
			.shm_size = {true, 5},
			.health_retries = {true, 7}},
		.command = LIST("x"),
		.args = LIST("y", "x"),
		.env = LIST("A=b"),
		.cwd = "/w",
		.user = "u",
		.labels = {labels, 1},
		.exposed = LIST("80/tcp"),
		.mounts = {mounts, 2},
		.stop_signal = 15,
		.stop_timeout = 10,
		.health = &health};
	autorecord struct record after = {};
	autobuf struct buf text = {}, again = {};
	struct err err = {};

	(void)state;
	assert_int_equal(box_record_write(&before, &text, &err), 0);
	if (box_record_parse("r", buf_str(&text), text.len, &after, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(box_record_write(&after, &again, &err), 0);
	assert_string_equal(buf_str(&text), buf_str(&again));
	assert_true(after.options.tty);
	assert_int_equal(after.options.memory.value, -1);
	assert_int_equal(after.options.health_retries.value, 7);
	assert_string_equal(after.mounts.items[0].volume, "v");
	assert_int_equal(after.mounts.items[1].type, RECORD_MOUNT_TMPFS);
	assert_int_equal(after.health->retries, 3);
}

static void test_damaged(void **state)
{
	static const char *const texts[] = {"", "{}", "[]", "{\"id\":1}",
		"{\"id\":\"1\",\"name\":\"n\",\"created\":\"\",\"image\":\"\",\"imageId\":\"\","
		"\"manifest\":\"\",\"options\":{\"tty\":5},\"args\":[],\"cwd\":\"/\","
		"\"stopSignal\":1,\"stopTimeout\":1}"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		autorecord struct record record = {};
		struct err err = {};

		assert_int_equal(
			box_record_parse("r", texts[i], strlen(texts[i]), &record, &err), -EINVAL);
	}
}

static void test_names(void **state)
{
	char id[RECORD_ID_SIZE], other[RECORD_ID_SIZE], name[RECORD_NAME_MAX];

	(void)state;
	assert_int_equal(record_make_id(id), 0);
	assert_int_equal(record_make_id(other), 0);
	assert_string_not_equal(id, other);
	assert_int_equal(strspn(id, "0123456789abcdef"), RECORD_ID_SIZE - 1);
	for (uint32_t seed = 0; seed < 10000; seed++) {
		record_make_name(seed, name);
		assert_true(record_name_is_valid(name));
	}
	assert_true(record_name_is_valid("A1_.-"));
	assert_false(record_name_is_valid(""));
	assert_false(record_name_is_valid(".a"));
	assert_false(record_name_is_valid("a/b"));
	assert_false(record_name_is_valid("a b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
