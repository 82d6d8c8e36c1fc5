/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/mount_options.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <sys/mount.h>

struct result {
	struct arena arena;
	struct spec_mount_options options;
	struct err err;
	int r;
	char *text;
};

/* Parses words joined by commas; free_result() ends it. */
static struct result parse(const char *words)
{
	struct result result = {.text = strdup(words)};
	const char *items[64];
	struct strings list = {items, 0};
	char *saved = NULL;

	for (char *word = strtok_r(result.text, ",", &saved); word;
		word = strtok_r(NULL, ",", &saved))
		items[list.count++] = word;
	result.r = spec_mount_options_parse(&list, &result.arena, &result.options, &result.err);
	return result;
}

static void free_result(struct result *result)
{
	arena_free(&result->arena);
	free(result->text);
}

static void test_table_is_sorted(void **state)
{
	(void)state;
	for (size_t i = 1; spec_mount_words[i].name; i++)
		assert_true(strcmp(spec_mount_words[i - 1].name, spec_mount_words[i].name) < 0);
}

/* Every word that the specification and mount(8) have is known, and goes where it belongs. */
static void test_every_word(void **state)
{
	static const char words[] =
		"acl,async,atime,bind,copy-symlink,defaults,dest-nofollow,dev,diratime,dirsync,"
		"exec,"
		"idmap,iversion,lazytime,loud,mand,noacl,noatime,nodev,nodiratime,noexec,"
		"noiversion,"
		"nolazytime,nomand,norelatime,nostrictatime,nosuid,nosymfollow,private,ratime,"
		"rbind,"
		"rdev,rdiratime,relatime,remount,rexec,ridmap,rnoatime,rnodev,rnodiratime,rnoexec,"
		"rnorelatime,rnostrictatime,rnosuid,rnosymfollow,ro,rprivate,rrelatime,rro,rrw,"
		"rshared,rslave,rstrictatime,rsuid,rsymfollow,runbindable,rw,shared,silent,slave,"
		"src-nofollow,strictatime,suid,symfollow,sync,tmpcopyup,unbindable";
	char *copy = strdup(words), *saved = NULL;
	size_t count = 0, known = 0;
	(void)state;

	for (char *word = strtok_r(copy, ",", &saved); word; word = strtok_r(NULL, ",", &saved)) {
		size_t i = 0;

		while (spec_mount_words[i].name && strcmp(spec_mount_words[i].name, word) != 0)
			i++;
		if (!spec_mount_words[i].name)
			fail_msg("%s is not known", word);
		count++;
	}
	while (spec_mount_words[known].name)
		known++;
	assert_int_equal(known, count);
	free(copy);
}

static void check_attrs(
	const char *words, uint64_t set, uint64_t clear, uint64_t rec_set, uint64_t rec_clear)
{
	struct result got = parse(words);

	assert_int_equal(got.r, 0);
	if (got.options.attr_set != set || got.options.attr_clear != clear ||
		got.options.rec_attr_set != rec_set || got.options.rec_attr_clear != rec_clear)
		fail_msg("%s: %lx %lx %lx %lx", words, got.options.attr_set, got.options.attr_clear,
			got.options.rec_attr_set, got.options.rec_attr_clear);
	free_result(&got);
}

static void test_attributes(void **state)
{
	const uint64_t atime = MOUNT_ATTR__ATIME;
	(void)state;

	check_attrs("ro", MOUNT_ATTR_RDONLY, 0, 0, 0);
	check_attrs("rw", 0, MOUNT_ATTR_RDONLY, 0, 0);
	check_attrs("ro,rw", 0, MOUNT_ATTR_RDONLY, 0, 0);
	check_attrs("rw,ro", MOUNT_ATTR_RDONLY, 0, 0, 0);
	check_attrs("nosuid,nodev,noexec", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
		0, 0, 0);
	check_attrs("nosuid,suid", 0, MOUNT_ATTR_NOSUID, 0, 0);
	check_attrs("noatime", MOUNT_ATTR_NOATIME, atime, 0, 0);
	check_attrs("noatime,strictatime", MOUNT_ATTR_STRICTATIME, atime, 0, 0);
	check_attrs("strictatime,relatime", 0, atime, 0, 0);
	check_attrs("noatime,nodiratime", MOUNT_ATTR_NOATIME | MOUNT_ATTR_NODIRATIME, atime, 0, 0);
	check_attrs("nodiratime,noatime", MOUNT_ATTR_NOATIME | MOUNT_ATTR_NODIRATIME, atime, 0, 0);
	check_attrs("nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0, 0, 0);
	check_attrs("rro,rnosuid", 0, 0, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0);
	check_attrs("rro,rrw", 0, 0, 0, MOUNT_ATTR_RDONLY);
	check_attrs("ro,rrw", MOUNT_ATTR_RDONLY, 0, 0, MOUNT_ATTR_RDONLY);
	check_attrs("rnoatime", 0, 0, MOUNT_ATTR_NOATIME, atime);
	check_attrs("defaults,silent,loud", 0, 0, 0, 0);
}

static void test_superblock_and_data(void **state)
{
	struct result got = parse("ro,sync,size=1m,dirsync,x-own,lazytime,acl,noiversion");
	(void)state;

	assert_int_equal(got.r, 0);
	assert_int_equal(got.options.sb_flags.count, 4);
	assert_string_equal(got.options.sb_flags.items[0], "ro");
	assert_string_equal(got.options.sb_flags.items[3], "lazytime");
	assert_int_equal(got.options.data.count, 4);
	assert_string_equal(got.options.data.items[0], "size=1m");
	assert_string_equal(got.options.data.items[3], "noiversion");
	free_result(&got);
}

static void test_propagation(void **state)
{
	struct result got = parse("rshared,private");
	(void)state;

	assert_int_equal(got.options.propagation, MS_PRIVATE);
	assert_false(got.options.rec_propagation);
	free_result(&got);
	got = parse("runbindable");
	assert_int_equal(got.options.propagation, MS_UNBINDABLE);
	assert_true(got.options.rec_propagation);
	free_result(&got);
}

static void test_bind_takes_no_data(void **state)
{
	struct result got = parse("noexce,bind");
	(void)state;

	assert_int_equal(got.r, -EINVAL);
	assert_string_equal(got.err.text, "\"noexce\" is not an option of a bind mount");
	assert_null(got.options.data.items); /* untouched */
	free_result(&got);
}

static void test_idmap(void **state)
{
	struct result got = parse("idmap=uids=0-1-10#10-11-10;gids=@0-100-10");
	const struct spec_mount_options *o = &got.options;
	(void)state;

	assert_int_equal(got.r, 0);
	assert_int_equal(o->extra, SPEC_MOUNT_IDMAP);
	assert_int_equal(o->uid_mappings.count, 2);
	assert_int_equal(o->uid_mappings.items[1].container_id, 10);
	assert_int_equal(o->uid_mappings.items[1].host_id, 11);
	assert_int_equal(o->uid_mappings.items[1].size, 10);
	assert_false(o->uid_mappings.items[0].relative);
	assert_int_equal(o->gid_mappings.count, 1);
	assert_true(o->gid_mappings.items[0].relative);
	assert_true(o->mappings_relative);
	free_result(&got);
	got = parse("ridmap=uids=0-1-1;gids=0-1-1");
	assert_int_equal(got.options.extra, SPEC_MOUNT_IDMAP | SPEC_MOUNT_RIDMAP);
	assert_false(got.options.mappings_relative);
	free_result(&got);
	got = parse("ridmap");
	assert_int_equal(got.options.extra, SPEC_MOUNT_IDMAP | SPEC_MOUNT_RIDMAP);
	assert_int_equal(got.options.uid_mappings.count, 0);
	free_result(&got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_is_sorted),
		cmocka_unit_test(test_every_word),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_superblock_and_data),
		cmocka_unit_test(test_propagation),
		cmocka_unit_test(test_bind_takes_no_data),
		cmocka_unit_test(test_idmap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
