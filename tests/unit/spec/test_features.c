/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/features.h"

#include "tests/unit/spec/mutate.h"

#include <linux/capability.h>

static const char *flags[] = {"SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_UNKNOWN"};
static const char *archs[] = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X32", "SCMP_ARCH_PDP11"};
static const char *unsafe_names[] = {"org.systemd.property."};
static struct pair annotations[] = {{"org.example.version", "0.1.0"}};

static const struct spec_features_given given = {
	.systemd = true,
	.seccomp_flags = {flags, 2},
	.annotations = {annotations, 1},
	.unsafe_annotations = {unsafe_names, 1},
};

static json_t *build(const struct spec_features_given *with)
{
	json_t *json = NULL;
	struct err err = {};

	assert_int_equal(spec_features_build(with, &json, &err), 0);
	return json;
}

/* The value at the keys, which end with NULL. */
static const json_t *at(const json_t *json, const char *key, ...)
{
	va_list ap;

	va_start(ap, key);
	for (; key; key = va_arg(ap, const char *)) {
		json = json_object_get(json, key);
		if (!json)
			fail_msg("no %s", key);
	}
	va_end(ap);
	return json;
}

static void test_document(void **state)
{
	autojson json_t *json = build(&given);
	(void)state;

	assert_string_equal(json_string_value(at(json, "ociVersionMin", NULL)), "1.0.0");
	assert_string_equal(json_string_value(at(json, "ociVersionMax", NULL)), "1.3.0");
	assert_int_equal(json_array_size(at(json, "hooks", NULL)), 6);
	assert_int_equal(
		json_array_size(at(json, "linux", "capabilities", NULL)), CAP_LAST_CAP + 1);
	assert_int_equal(json_array_size(at(json, "linux", "namespaces", NULL)), 8);
	assert_true(json_is_true(at(json, "linux", "cgroup", "v2", NULL)));
	assert_true(json_is_false(at(json, "linux", "cgroup", "v1", NULL)));
	assert_true(json_is_true(at(json, "linux", "cgroup", "systemdUser", NULL)));
	assert_true(json_is_true(at(json, "linux", "intelRdt", "schemata", NULL)));
	assert_true(json_is_true(at(json, "linux", "intelRdt", "monitoring", NULL)));
	assert_true(json_is_true(at(json, "linux", "mountExtensions", "idmap", "enabled", NULL)));
	assert_true(json_is_true(at(json, "linux", "netDevices", "enabled", NULL)));
	assert_true(json_is_true(at(json, "linux", "apparmor", "enabled", NULL)));
	assert_int_equal(json_array_size(at(json, "linux", "memoryPolicy", "modes", NULL)), 7);
	assert_int_equal(json_array_size(at(json, "linux", "memoryPolicy", "flags", NULL)), 3);
	assert_int_equal(json_array_size(at(json, "linux", "seccomp", "archs", NULL)), 23);
	assert_int_equal(json_array_size(at(json, "linux", "seccomp", "knownFlags", NULL)), 4);
	assert_int_equal(json_array_size(at(json, "linux", "seccomp", "supportedFlags", NULL)), 1);
	assert_string_equal(
		json_string_value(at(json, "annotations", "org.example.version", NULL)), "0.1.0");
	assert_string_equal(json_string_value(at(json, "annotations", "org.brig.isolation", NULL)),
		"container,vm");
	assert_non_null(
		strstr(json_string_value(at(json, "annotations", "org.brig.annotations", NULL)),
			"org.brig.landlock.,"));
	assert_int_equal(json_array_size(at(json, "potentiallyUnsafeConfigAnnotations", NULL)), 1);
}

static void test_what_is_not_installed(void **state)
{
	const struct spec_features_given poor = {.seccomp_archs = {archs, 3}};
	autojson json_t *json = build(&poor);
	(void)state;

	assert_true(json_is_false(at(json, "linux", "cgroup", "systemd", NULL)));
	assert_int_equal(json_array_size(at(json, "linux", "seccomp", "archs", NULL)), 2);
	assert_int_equal(json_array_size(at(json, "linux", "seccomp", "supportedFlags", NULL)), 0);
}

/* Engines look words up in the list; it is also sorted. */
static void test_mount_options_are_understood(void **state)
{
	autojson json_t *json = build(&given);
	const json_t *list = at(json, "mountOptions", NULL);
	(void)state;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *word = json_string_value(json_array_get(list, i));
		const char *words[] = {"bind", word};
		struct spec_mount_options options = {};
		autoarena struct arena arena = {};
		struct err err = {};
		int r = spec_mount_options_parse(
			&(struct strings){words, 2}, &arena, &options, &err);

		/* Only the four that are a file system's are refused on a bind mount. */
		assert_int_equal(r < 0, strcmp(word, "acl") == 0 || strcmp(word, "noacl") == 0 ||
						strcmp(word, "iversion") == 0 ||
						strcmp(word, "noiversion") == 0);
		if (i)
			assert_true(
				strcmp(json_string_value(json_array_get(list, i - 1)), word) < 0);
	}
}

/* Whatever is announced is accepted in a configuration. */
static void test_names_are_accepted(void **state)
{
	static const struct {
		const char *list[4], *where;
	} lists[] = {
		{{"linux", "namespaces"}, "linux namespaces 0 type"},
		{{"linux", "capabilities"}, "process capabilities bounding 3"},
		{{"linux", "seccomp", "actions"}, "linux seccomp syscalls 0 action"},
		{{"linux", "seccomp", "operators"}, "linux seccomp syscalls 1 args 0 op"},
		{{"linux", "seccomp", "archs"}, "linux seccomp architectures 0"},
		{{"linux", "seccomp", "knownFlags"}, "linux seccomp flags 0"},
	};
	json_t *good = load_data("spec/full.json");
	autojson json_t *json = build(&given);
	(void)state;

	/* Room for any first namespace, and for any action. */
	change(good, "linux namespaces", "[{\"type\": \"pid\"}]");
	for (const char *const *key = (const char *const[]){"hostname", "domainname", NULL}; *key;
		key++)
		json_object_del(good, *key);
	for (const char *const *key = (const char *const[]){"uidMappings", "gidMappings",
		     "timeOffsets", "sysctl", "netDevices", NULL};
		*key; key++)
		json_object_del(json_object_get(good, "linux"), *key);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		const json_t *list = json;

		for (size_t k = 0; lists[i].list[k]; k++)
			list = json_object_get(list, lists[i].list[k]);
		assert_true(json_array_size(list) > 0);
		for (size_t k = 0; k < json_array_size(list); k++) {
			char value[80];

			snprintf(value, sizeof(value), "\"%s\"",
				json_string_value(json_array_get(list, k)));
			check_mutation(good, &(struct mutation){lists[i].where, value, NULL});
		}
	}
	json_decref(good);
}

/* The members that the published example of the document has are there, of the same type. */
static void check_shape(const json_t *sample, const json_t *mine, const char *name)
{
	const char *key;
	json_t *value;

	if (json_typeof(sample) != json_typeof(mine) &&
		!(json_is_boolean(sample) && json_is_boolean(mine)))
		fail_msg("%s has another type", name);
	if (strcmp(name, "annotations") == 0)
		return;
	json_object_foreach ((json_t *)sample, key, value) {
		if (!json_object_get(mine, key))
			fail_msg("no %s", key);
		check_shape(value, json_object_get(mine, key), key);
	}
	for (size_t i = 0; i < json_array_size(sample); i++) {
		bool found = false;

		for (size_t j = 0; j < json_array_size(mine); j++)
			found |= json_equal(json_array_get(sample, i), json_array_get(mine, j));
		if (!found)
			fail_msg("%s lacks %s", name, json_string_value(json_array_get(sample, i)));
	}
}

static void test_published_sample(void **state)
{
	autojson json_t *json = build(&given);
	json_t *sample = load_data("oci/features/good/runc.json");
	(void)state;

	check_shape(sample, json, "features");
	json_decref(sample);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_document),
		cmocka_unit_test(test_what_is_not_installed),
		cmocka_unit_test(test_mount_options_are_understood),
		cmocka_unit_test(test_names_are_accepted),
		cmocka_unit_test(test_published_sample),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
