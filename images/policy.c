/* SPDX-License-Identifier: Apache-2.0 */
#include "images/policy.h"

#include "base/fd.h"
#include "base/json.h"
#include "base/sys.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { FILE_MAX = 1 << 20 };

/* The requirements for NAME ("registry/repository:tag") in SCOPES: the longest scope counts. */
static const json_t *find_scope(
	const json_t *scopes, const char *name, const char *repository, const char *registry)
{
	const json_t *found = json_object_get(scopes, name);
	char scope[REFERENCE_NAME_MAX + 1];

	if (found)
		return found;
	/* The repository, its parents, the registry. */
	snprintf(scope, sizeof(scope), "%s", repository);
	for (char *slash; !found; *slash = '\0') {
		found = json_object_get(scopes, scope);
		slash = strrchr(scope, '/');
		if (!slash)
			break;
	}
	/* "*.example.com" */
	for (const char *dot = strchr(registry, '.'); dot && !found; dot = strchr(dot + 1, '.')) {
		snprintf(scope, sizeof(scope), "*%s", dot);
		found = json_object_get(scopes, scope);
	}
	return found ? found : json_object_get(scopes, "");
}

static const json_t *find_requirements(
	const json_t *policy, const char *transport, const struct reference *reference)
{
	const json_t *scopes = json_object_get(json_object_get(policy, "transports"), transport);
	autobuf struct buf name = {}, repository = {};
	const json_t *found = NULL;

	if (scopes && reference) {
		reference_format(reference, &name);
		reference_format_name(reference, &repository);
		found = find_scope(
			scopes, buf_str(&name), buf_str(&repository), reference->registry);
	} else if (scopes) {
		found = json_object_get(scopes, "");
	}
	return found ? found : json_object_get(policy, "default");
}

static int check_one(const char *name, const json_t *requirement, struct err *err)
{
	const char *type = json_string_value(json_object_get(requirement, "type"));

	if (!type)
		return err_set(err, -EINVAL, "%s: a requirement has no type", name);
	if (strcmp(type, "insecureAcceptAnything") == 0)
		return 0;
	if (strcmp(type, "reject") == 0)
		return err_set(err, -EACCES, "the policy in %s rejects it", name);
	if (strcmp(type, "signedBy") == 0 || strcmp(type, "sigstoreSigned") == 0 ||
		strcmp(type, "signedBaseLayer") == 0)
		return err_set(err, -EOPNOTSUPP,
			"the policy in %s wants a signature (%s), which brig cannot check: refused",
			name, type);
	return err_set(err, -EINVAL, "%s: unknown requirement \"%.50s\"", name, type);
}

int policy_parse_check(const char *name, const char *text, size_t len, const char *transport,
	const struct reference *reference, struct err *err)
{
	autojson json_t *policy = NULL;
	const json_t *requirements;
	int r = json_parse(name, text, len, &policy, err);

	if (r < 0)
		return r;
	if (!json_array_size(json_object_get(policy, "default")))
		return err_set(err, -EINVAL, "%s: \"default\" is missing", name);
	requirements = find_requirements(policy, transport, reference);
	if (!json_array_size(requirements))
		return err_set(err, -EINVAL, "%s: a scope has no requirement", name);
	for (size_t i = 0; r == 0 && i < json_array_size(requirements); i++)
		r = check_one(name, json_array_get(requirements, i), err);
	return r;
}

static int read_policy(const char *path, struct buf *ret, struct err *err)
{
	autoclose int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	int r = fd < 0 ? fd : fd_read_all(fd, FILE_MAX, ret);

	return r == -ENOENT || r == -ENOTDIR ? -ENOENT : r < 0 ? err_sys(err, r, "%s", path) : 0;
}

int policy_check(
	const char *file, const char *transport, const struct reference *reference, struct err *err)
{
	const char *home = getenv("HOME");
	autobuf struct buf text = {}, name = {};
	char path[PATH_MAX];
	int r = -ENOENT;

	if (file)
		snprintf(path, sizeof(path), "%s", file);
	else
		snprintf(path, sizeof(path), "%s/.config/containers/policy.json", home ? home : "");
	r = read_policy(path, &text, err);
	if (r == -ENOENT && file)
		return err_sys(err, r, "%s", file);
	if (r == -ENOENT) {
		snprintf(path, sizeof(path), "/etc/containers/policy.json");
		r = read_policy(path, &text, err);
	}
	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = policy_parse_check(path, buf_str(&text), text.len, transport, reference, err);
	if (r < 0 && reference) {
		reference_format(reference, &name);
		return err_add(err, "%s", buf_str(&name));
	}
	return r;
}
