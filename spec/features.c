/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/features.h"

#include "spec/mount_options.h"
#include "spec/names.h"
#include "spec/tables.h"

#include <string.h>

/* Every function here returns NULL when memory ran out; jansson's …_new() functions take NULL and
 * fail, so that one look at the end is enough. */

static bool has_text(const struct strings *list, const char *text)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], text) == 0)
			return true;
	return false;
}

static json_t *set(json_t *object, const char *key, json_t *value)
{
	if (object && json_object_set_new(object, key, value) == 0)
		return object;
	if (!object)
		json_decref(value);
	json_decref(object);
	return NULL;
}

static json_t *append(json_t *array, const char *text)
{
	if (array && json_array_append_new(array, json_string(text)) == 0)
		return array;
	json_decref(array);
	return NULL;
}

/* The names of a table in its order; ONLY (may be NULL) picks some. */
static json_t *names(const struct json_name *table, const struct strings *only)
{
	json_t *array = json_array();

	for (; table->name; table++)
		if (!only || has_text(only, table->name))
			array = append(array, table->name);
	return array;
}

static json_t *texts(const struct strings *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->count; i++)
		array = append(array, list->items[i]);
	return array;
}

static json_t *enabled(bool value)
{
	return set(json_object(), "enabled", json_boolean(value));
}

static json_t *hook_names(void)
{
	json_t *array = json_array();

	for (const struct json_rule *rule = spec_hooks_table.rules; rule->key; rule++)
		array = append(array, rule->key);
	return array;
}

static json_t *mount_words(void)
{
	json_t *array = json_array();

	for (const struct spec_mount_word *word = spec_mount_words; word->name; word++)
		array = append(array, word->name);
	return array;
}

static json_t *cgroup(const struct spec_features_given *given)
{
	json_t *object = set(json_object(), "v1", json_false());

	object = set(object, "v2", json_true());
	object = set(object, "systemd", json_boolean(given->systemd));
	object = set(object, "systemdUser", json_boolean(given->systemd));
	return set(object, "rdma", json_true());
}

static json_t *seccomp(const struct spec_features_given *given)
{
	const struct strings *archs = given->seccomp_archs.count ? &given->seccomp_archs : NULL;
	json_t *object = enabled(true);

	object = set(object, "actions", names(spec_seccomp_action_names, NULL));
	object = set(object, "operators", names(spec_seccomp_op_names, NULL));
	object = set(object, "archs", names(spec_seccomp_arch_names, archs));
	object = set(object, "knownFlags", names(spec_seccomp_flag_names, NULL));
	return set(object, "supportedFlags", names(spec_seccomp_flag_names, &given->seccomp_flags));
}

static json_t *intel_rdt(void)
{
	json_t *object = enabled(true);

	object = set(object, "schemata", json_true());
	return set(object, "monitoring", json_true());
}

static json_t *memory_policy(void)
{
	json_t *object = set(json_object(), "modes", names(spec_mpol_mode_names, NULL));

	return set(object, "flags", names(spec_mpol_flag_names, NULL));
}

static json_t *linux_features(const struct spec_features_given *given)
{
	json_t *object = set(json_object(), "namespaces", names(spec_namespace_names, NULL));

	object = set(object, "capabilities", names(spec_capability_names, NULL));
	object = set(object, "cgroup", cgroup(given));
	object = set(object, "seccomp", seccomp(given));
	object = set(object, "apparmor", enabled(true));
	object = set(object, "selinux", enabled(true));
	object = set(object, "intelRdt", intel_rdt());
	object = set(object, "memoryPolicy", memory_policy());
	object = set(object, "mountExtensions", set(json_object(), "idmap", enabled(true)));
	return set(object, "netDevices", enabled(true));
}

/* The words of a table, as one text. */
static json_t *joined(const struct json_name *table)
{
	autobuf struct buf text = {};

	for (; table->name; table++)
		buf_printf(&text, "%s%s", text.len ? "," : "", table->name);
	return text.failed ? NULL : json_string(buf_str(&text));
}

static json_t *known_annotations(void)
{
	autobuf struct buf text = {};
	const char *name;

	for (size_t i = 0; (name = spec_known_annotation(i)); i++)
		buf_printf(&text, "%s%s", text.len ? "," : "", name);
	return text.failed ? NULL : json_string(buf_str(&text));
}

static json_t *annotations(const struct pairs *pairs)
{
	json_t *object = set(json_object(), "org.brig.annotations", known_annotations());

	object = set(object, "org.brig.isolation", joined(spec_isolation_names));

	for (size_t i = 0; i < pairs->count; i++)
		object = set(object, pairs->items[i].key, json_string(pairs->items[i].value));
	return object;
}

int spec_features_build(const struct spec_features_given *given, json_t **ret, struct err *err)
{
	json_t *object = set(json_object(), "ociVersionMin", json_string(SPEC_VERSION_MIN));

	object = set(object, "ociVersionMax", json_string(SPEC_VERSION_MAX));
	object = set(object, "hooks", hook_names());
	object = set(object, "mountOptions", mount_words());
	object = set(object, "linux", linux_features(given));
	object = set(object, "annotations", annotations(&given->annotations));
	object = set(
		object, "potentiallyUnsafeConfigAnnotations", texts(&given->unsafe_annotations));
	if (!object)
		return err_sys(err, -ENOMEM, "features");
	*ret = object;
	return 0;
}
