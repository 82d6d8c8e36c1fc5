/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/spec/mutate.h"

#include <sys/mount.h>

static const struct mutation mutations[] = {
	{"mounts", "{}", "mounts: must be an array"},
	{"mounts 0 destination", NULL, "mounts[0].destination: is missing"},
	{"mounts 0 destination", "\"\"", "mounts[0].destination: must not be empty"},
	{"mounts 0 destination", "\"proc\"", NULL}, /* deprecated: relative to the root */
	{"mounts 0 type", NULL, "mounts[0].type: is missing: name a file system, or add \"bind\""},
	{"mounts 0 type", "\"none\"", "mounts[0].type: is missing"},
	{"mounts 0 type", "\"\"", "mounts[0].type: is missing"},
	{"mounts 0 type", "\"a/b\"", "mounts[0].type: \"a/b\" is no name of a file system"},
	{"mounts 0 options", "\"ro\"", "mounts[0].options: must be an array"},
	{"mounts 0 options", "[3]", "mounts[0].options[0]: must be a string"},
	{"mounts 0 options", "[\"\"]", "mounts[0].options: \"\" has no name"},
	{"mounts 0 options", "[\"=x\"]", "mounts[0].options: \"=x\" has no name"},
	{"mounts 0 options", "[\"hidepid=2\", \"whatever\"]", NULL}, /* the file system's own */
	{"mounts 0 options", "[\"tmpcopyup\"]", "\"tmpcopyup\" is for the type tmpfs only"},
	{"mounts 0 options", "[\"copy-symlink\"]", "\"copy-symlink\" is for bind mounts only"},
	{"mounts 0 options", "[\"src-nofollow\"]", "\"src-nofollow\" is for bind mounts only"},
	{"mounts 0 options", "[\"dest-nofollow\"]", NULL},
	{"mounts 0", "{\"destination\": \"/\", \"options\": [\"remount\", \"ro\"]}", NULL},
	{"mounts 0", "{\"destination\": \"/x\", \"options\": [\"rshared\"]}", NULL},
	{"mounts 1 source", NULL, "mounts[1].source: is missing: a bind mount needs one"},
	{"mounts 1 source", "\"\"", "mounts[1].source: is missing"},
	{"mounts 1 source", "7", "mounts[1].source: must be a string"},
	{"mounts 1 options 0", "\"size=3\"", "\"size=3\" is not an option of a bind mount"},
	{"mounts 1 options", "[\"rnosiud\"]", "\"rnosiud\" is not an option of a bind mount"},
	{"mounts 1 options 6", "\"Z\"",
		"mounts[1].options: \"Z\" is not an option of a bind mount"},
	{"mounts 1 options 6", "\"acl\"", "\"acl\" is not an option of a bind mount"},
	{"mounts 1 options 6", "\"copy-symlink\"", NULL},
	{"mounts 2 options 0", "\"idmap=uids=0-1\"", "\"idmap=uids=0-1\" must be \"idmap=uids="},
	{"mounts 2 options 0", "\"idmap=uids=0-1-1\"",
		"must be \"idmap=uids=BACKING-HOST-SIZE;gids="},
	{"mounts 2 options 0", "\"idmap=uids=0-1-1;gids=0-1-1\"", NULL},
	{"mounts 2 options 0", "\"idmap=gids=0-1-1;uids=0-1-1\"", NULL},
	{"mounts 2 options 0", "\"ridmap=uids=@0-1-1;gids=0-1-1\"", NULL},
	{"mounts 2 options 0", "\"idmap=uids=0-1-0;gids=0-1-1\"",
		"idmap: uids: range 0 has size 0"},
	{"mounts 2 options 0", "\"idmap=uids=0-1-5#3-9-1;gids=0-1-1\"", "ranges 0 and 1 overlap"},
	{"mounts 2 options 0", "\"idmap=uids=0-1-4294967296;gids=0-1-1\"", "must be \"idmap="},
	{"mounts 2 options 0", "\"idmap=uids=0-1-1;uids=0-1-1\"", "must be \"idmap="},
	{"mounts 2 options 0", "\"idmap=uids=0-1-1;gids=0-1-1x\"", "must be \"idmap="},
	{"mounts 2 options 0", "\"idmap=uids=0-1-1#;gids=0-1-1\"", "must be \"idmap="},
	{"mounts 2 options 0", "\"idmap=\"", "must be \"idmap="},
	{"mounts 3 gidMappings", NULL, "mounts[3].gidMappings: is missing"},
	{"mounts 3 uidMappings", NULL, "mounts[3].uidMappings: is missing"},
	{"mounts 3 uidMappings 0 size", "0", "mounts[3].uidMappings: range 0 has size 0"},
	{"mounts 3 gidMappings 0 size", "4294967295", "gidMappings: range 0 goes beyond"},
	{"mounts 3 options 1", "\"idmap=uids=0-1-1;gids=0-1-1\"", "keep one of them"},
};

static void test_mutations(void **state)
{
	(void)state;
	check_mutations(mutations, ARRAY_LEN(mutations));
}

static void test_values(void **state)
{
	struct spec_config *config = parse_data("spec/full.json");
	const struct spec_mount *bind = &config->mounts.items[1], *tmp = &config->mounts.items[2];
	const struct spec_mount *mapped = &config->mounts.items[3];
	(void)state;

	assert_int_equal(config->mounts.count, 4);
	assert_string_equal(bind->destination, "/data");
	assert_string_equal(bind->source, "/srv/data");
	assert_int_equal(bind->options.extra, SPEC_MOUNT_BIND | SPEC_MOUNT_RBIND);
	assert_int_equal(bind->options.propagation, MS_SLAVE);
	assert_true(bind->options.rec_propagation);
	assert_int_equal(
		bind->options.attr_set, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOATIME);
	assert_int_equal(bind->options.rec_attr_set, MOUNT_ATTR_NODEV);
	assert_int_equal(bind->option_names.count, 6);
	assert_int_equal(tmp->options.extra, SPEC_MOUNT_TMPCOPYUP);
	assert_int_equal(tmp->options.data.count, 2);
	assert_string_equal(tmp->options.data.items[0], "mode=1777");
	assert_string_equal(tmp->options.data.items[1], "size=1m");
	assert_int_equal(mapped->options.extra, SPEC_MOUNT_BIND | SPEC_MOUNT_IDMAP);
	assert_int_equal(mapped->uid_mappings.items[0].host_id, 5000);
	assert_int_equal(mapped->gid_mappings.items[0].host_id, 6000);
	spec_config_free(config);
}

static void test_resolve(void **state)
{
	struct spec_id_mapping ranges[] = {{0, 0, 1}, {1, 2, 1000}, {2000, 70000, 10}};
	const struct spec_id_mappings container = {ranges, 3};
	struct spec_id_mapping got = {.size = 77};
	(void)state;

	assert_int_equal(
		spec_mapping_resolve(&(struct spec_id_mapping){1, 3, 10, true}, &container, &got),
		0);
	assert_int_equal(got.container_id, 1);
	assert_int_equal(got.host_id, 4);
	assert_int_equal(got.size, 10);
	assert_false(got.relative);
	assert_int_equal(
		spec_mapping_resolve(&(struct spec_id_mapping){5, 2009, 1, true}, &container, &got),
		0);
	assert_int_equal(got.host_id, 70009);
	assert_int_equal(
		spec_mapping_resolve(&(struct spec_id_mapping){5, 2009, 2, true}, &container, &got),
		-ERANGE);
	assert_int_equal(
		spec_mapping_resolve(&(struct spec_id_mapping){0, 0, 2, true}, &container, &got),
		-ERANGE); /* over two ranges */
	assert_int_equal(
		spec_mapping_resolve(&(struct spec_id_mapping){0, UINT32_MAX, UINT32_MAX, true},
			&container, &got),
		-ERANGE);
	assert_int_equal(got.host_id, 70009);
	assert_int_equal(
		spec_mapping_resolve(&(struct spec_id_mapping){9, 9, 9}, &container, &got), 0);
	assert_int_equal(got.host_id, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_resolve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
