/* SPDX-License-Identifier: Apache-2.0 */
#include "images/reference.h"

#include "base/parse.h"
#include "spec/image.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
	return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

bool reference_is_tag(const char *text)
{
	size_t n = strlen(text);

	if (n == 0 || n > REFERENCE_TAG_MAX || !(is_alnum(*text) || *text == '_'))
		return false;
	for (size_t i = 1; i < n; i++)
		if (!is_alnum(text[i]) && !strchr("._-", text[i]))
			return false;
	return true;
}

/* One component of a repository: alphanumerics, joined by one ".", one or two "_", or any "-". */
static bool is_component(const char *text, size_t len)
{
	size_t i = 0;

	for (;;) {
		size_t start = i;

		while (i < len && is_lower_alnum(text[i]))
			i++;
		if (i == start)
			return false;
		if (i == len)
			return true;
		if (text[i] == '.')
			i++;
		else if (text[i] == '_')
			i += i + 1 < len && text[i + 1] == '_' ? 2 : 1;
		else if (text[i] == '-')
			while (i < len && text[i] == '-')
				i++;
		else
			return false;
	}
}

static bool is_repository(const char *text)
{
	for (;;) {
		size_t n = strcspn(text, "/");

		if (!is_component(text, n))
			return false;
		if (!text[n])
			return true;
		text += n + 1;
	}
}

/* Dotted labels; RFC 1123 but for underscores, which internal hosts have. */
static bool is_host(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool edge = i == 0 || i == len - 1 || text[i - 1] == '.' || text[i + 1] == '.';

		if (text[i] == '.' && edge)
			return false;
		if (text[i] == '-' && edge)
			return false;
		if (!is_alnum(text[i]) && !strchr(".-_", text[i]))
			return false;
	}
	return len > 0;
}

static bool is_ipv6(const char *text, size_t len)
{
	return len > 4 && text[0] == '[' && text[len - 1] == ']' &&
	       strspn(text + 1, "0123456789abcdefABCDEF:") == len - 2;
}

static bool is_registry(const char *text)
{
	const char *end = *text == '[' ? strchr(text, ']') : NULL;
	const char *colon = strchr(end ? end : text, ':');
	size_t n = colon ? (size_t)(colon - text) : strlen(text);
	uint32_t port;

	if (!is_host(text, n) && !is_ipv6(text, n))
		return false;
	return !colon || (parse_u32(colon + 1, &port) == 0 && port > 0 && port < 65536);
}

/* The first component is a registry when it could not be a repository's, or is "localhost". */
static bool looks_like_registry(const char *first)
{
	if (strpbrk(first, ".:[") || strcmp(first, "localhost") == 0)
		return true;
	for (; *first; first++)
		if (isupper((unsigned char)*first))
			return true;
	return false;
}

static int split_registry(char *name, struct reference *ref, const char *text, struct err *err)
{
	char *slash = strchr(name, '/');

	if (slash) {
		*slash = '\0';
		if (looks_like_registry(name)) {
			if (!is_registry(name))
				return err_set(err, -EINVAL,
					"reference \"%.200s\": \"%.100s\" is not a registry's "
					"host[:port]",
					text, name);
			memcpy(ref->registry, name, strlen(name) + 1);
			name = slash + 1;
		} else {
			*slash = '/';
		}
	}
	if (!is_repository(name))
		return err_set(err, -EINVAL,
			"reference \"%.200s\": \"%.100s\" is not a repository's name (lower-case "
			"letters, digits and single . _ - / between them)",
			text, name);
	memcpy(ref->repository, name, strlen(name) + 1);
	return 0;
}

int reference_parse(const char *text, struct reference *ret, struct err *err)
{
	char name[REFERENCE_NAME_MAX + 1 + REFERENCE_TAG_MAX + 1];
	struct reference ref = {};
	const char *at = strchr(text, '@');
	size_t n = at ? (size_t)(at - text) : strlen(text);
	char *colon, *slash;
	int r;

	if (n == 0)
		return err_set(err, -EINVAL, "reference \"%.200s\": has no repository", text);
	if (n >= sizeof(name))
		return err_set(err, -EINVAL, "reference \"%.60s…\": is too long", text);
	memcpy(name, text, n);
	name[n] = '\0';
	if (at) {
		if (!spec_digest_is_valid(at + 1))
			return err_set(err, -EINVAL,
				"reference \"%.200s\": what follows @ is not a digest "
				"(sha256: and 64 lower-case hexadecimal digits)",
				text);
		memcpy(ref.digest, at + 1, strlen(at + 1) + 1);
	}
	slash = strrchr(name, '/');
	colon = strrchr(slash ? slash : name, ':');
	if (colon) {
		if (!reference_is_tag(colon + 1))
			return err_set(err, -EINVAL,
				"reference \"%.200s\": \"%.130s\" is not a tag (letters, digits, "
				". _ -, at most %d)",
				text, colon + 1, REFERENCE_TAG_MAX);
		memcpy(ref.tag, colon + 1, strlen(colon + 1) + 1);
		*colon = '\0';
	}
	if (strlen(name) > REFERENCE_NAME_MAX)
		return err_set(err, -EINVAL, "reference \"%.60s…\": the name is longer than %d",
			text, REFERENCE_NAME_MAX);
	r = split_registry(name, &ref, text, err);
	if (r == 0)
		*ret = ref;
	return r;
}

int reference_normalise(struct reference *ref, struct err *err)
{
	static const char library[] = "library/";

	if (strcmp(ref->registry, "index.docker.io") == 0 ||
		strcmp(ref->registry, "registry-1.docker.io") == 0)
		strcpy(ref->registry, "docker.io");
	if (strcmp(ref->registry, "docker.io") == 0 && !strchr(ref->repository, '/')) {
		size_t n = strlen(ref->repository);

		if (n + sizeof(library) > sizeof(ref->repository))
			return err_set(err, -ENAMETOOLONG, "reference \"%.60s…\": is too long",
				ref->repository);
		memmove(ref->repository + sizeof(library) - 1, ref->repository, n + 1);
		memcpy(ref->repository, library, sizeof(library) - 1);
	}
	if (!*ref->tag && !*ref->digest)
		strcpy(ref->tag, "latest");
	return 0;
}

void reference_format_name(const struct reference *ref, struct buf *ret)
{
	buf_printf(ret, "%s%s%s", ref->registry, *ref->registry ? "/" : "", ref->repository);
}

void reference_format(const struct reference *ref, struct buf *ret)
{
	reference_format_name(ref, ret);
	if (*ref->tag)
		buf_printf(ret, ":%s", ref->tag);
	if (*ref->digest)
		buf_printf(ret, "@%s", ref->digest);
}
