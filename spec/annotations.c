/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parse.h"
#include "base/path.h"
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

/* Annotations that runtimes share, whose values have a syntax of their own. */
static const struct {
	const char *name;
	bool prefix;
	const char *(*check)(const char *name, const char *value);
} known[] = {
	{"org.systemd.property.", true, check_property},
	{"run.oci.hooks.stdout", false, check_absolute},
	{"run.oci.hooks.stderr", false, check_absolute},
	{"run.oci.pidfd_receiver", false, check_absolute},
	{"run.oci.seccomp.receiver", false, check_absolute},
	{"run.oci.systemd.subgroup", false, check_subgroup},
	{"run.oci.mount_context_type", false, check_context},
};

static const char *check(const char *key, const char *value)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		const char *rest;

		if (parse_has_prefix(key, known[i].name, &rest) && (known[i].prefix || !*rest))
			return known[i].check(rest, value);
	}
	return NULL;
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
