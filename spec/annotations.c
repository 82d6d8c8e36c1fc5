/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parse.h"
#include "base/path.h"
#include "spec/names.h"
#include "spec/tables.h"

#include <ctype.h>
#include <string.h>

static const char *check_absolute(const char *name, const char *value)
{
	(void)name;
	return value[0] == '/' ? NULL : "must be an absolute path";
}

static const char *check_subgroup(const char *name, const char *value)
{
	(void)name;
	return path_is_component(value) || !*value ? NULL : "must be one name without \"/\"";
}

static const char *check_context(const char *name, const char *value)
{
	static const char *const kinds[] = {"context", "fscontext", "defcontext", "rootcontext"};

	(void)name;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strcmp(value, kinds[i]) == 0)
			return NULL;
	return "must be context, fscontext, defcontext or rootcontext";
}

/* The rest of the name is a property of a systemd unit, the value a GVariant in text. */
static const char *check_property(const char *name, const char *value)
{
	if (!*name)
		return "must end with the name of a property";
	for (; *name; name++)
		if (!isalpha((unsigned char)*name))
			return "must end with the name of a property, which has letters only";
	return *value ? NULL : "must have a value";
}

static const char *check_isolation(const char *name, const char *value)
{
	(void)name;
	for (const struct json_name *word = spec_isolation_names; word->name; word++)
		if (strcmp(value, word->name) == 0)
			return NULL;
	return "asks for an isolation that this program does not have (see brig-oci features)";
}

static const char *check_truth(const char *name, const char *value)
{
	(void)name;
	return strcmp(value, "true") == 0 || strcmp(value, "false") == 0 ? NULL
									 : "must be true or false";
}

static const char *check_core_sched(const char *name, const char *value)
{
	(void)name;
	return strcmp(value, "new") == 0 ? NULL : "must be new";
}

/* Every annotation that is read; whoever reads it checks what .check leaves. A name that ends with
 * a dot is a prefix. */
static const struct {
	const char *name;
	const char *(*check)(const char *name, const char *value);
} known[] = {
	{"org.brig.core_sched", check_core_sched},
	{"org.brig.isolation", check_isolation},
	{"org.brig.landlock.", NULL},
	{"org.brig.template", check_truth},
	{"org.brig.vm.huge_pages", NULL},
	{"org.brig.vm.kernel", NULL},
	{"org.brig.vm.memory_max", NULL},
	{"org.brig.vm.nested", NULL},
	{"org.brig.vm.net.receive", NULL},
	{"org.brig.vm.net.send", NULL},
	{"org.criu.config", NULL},
	{"org.systemd.property.", check_property},
	{"run.oci.delegate-cgroup", NULL},
	{"run.oci.hooks.stderr", check_absolute},
	{"run.oci.hooks.stdout", check_absolute},
	{"run.oci.keep_original_groups", NULL},
	{"run.oci.mount_context_type", check_context},
	{"run.oci.pidfd_receiver", check_absolute},
	{"run.oci.seccomp.receiver", check_absolute},
	{"run.oci.systemd.subgroup", check_subgroup},
};

const char *spec_known_annotation(size_t index)
{
	return index < ARRAY_LEN(known) ? known[index].name : NULL;
}

static const char *check(const char *key, const char *value)
{
	const char *rest;

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (!parse_has_prefix(key, known[i].name, &rest))
			continue;
		if (!*rest || rest[-1] == '.')
			return known[i].check ? known[i].check(rest, value) : NULL;
	}
	/* A word that is misspelt must not leave a protection out. */
	return parse_has_prefix(key, "org.brig.", &rest) ? "is not known (see brig-oci features)"
							 : NULL;
}

int spec_check_annotations(const struct pairs *annotations, struct err *err)
{
	for (size_t i = 0; i < annotations->count; i++) {
		const char *key = annotations->items[i].key;
		const char *wrong = check(key, annotations->items[i].value);

		if (!*key)
			return err_set(err, -EINVAL, "annotations: a key must not be empty");
		if (wrong)
			return err_set(err, -EINVAL, "annotations: \"%s\" %s", key, wrong);
	}
	return 0;
}
