/* SPDX-License-Identifier: Apache-2.0 */
#include "images/auth.h"

#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"
#include "base/process.h"
#include "base/sys.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { FILE_MAX = 4 << 20, HELPER_TIMEOUT_MS = 60000, HELPER_OUTPUT_MAX = 1 << 20 };

/* ---- base64, RFC 4648 ---- */

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void encode(const char *data, size_t len, struct buf *ret)
{
	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t bits = 0;
		char four[4];

		for (size_t k = 0; k < 3; k++)
			bits = bits << 8 | (k < n ? (unsigned char)data[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			four[k] = k <= n ? base64_digits[bits >> (18 - 6 * k) & 63] : '=';
		buf_add(ret, four, 4);
	}
}

/* RET has room for 3/4 of TEXT and a NUL. Returns the length, or −EINVAL. */
static int decode(const char *text, char *ret)
{
	size_t n = strlen(text), out = 0;

	if (n % 4)
		return -EINVAL;
	for (size_t i = 0; i < n; i += 4) {
		size_t digits = text[i + 3] != '=' ? 4 : text[i + 2] != '=' ? 3 : 2;
		uint32_t bits = 0;

		if (digits < 4 && (i + 4 != n || text[i + 3] != '='))
			return -EINVAL;
		for (size_t k = 0; k < 4; k++) {
			const char *at =
				k < digits ? strchr(base64_digits, text[i + k]) : base64_digits;

			if (!at || !*at)
				return -EINVAL;
			bits = bits << 6 | (uint32_t)(at - base64_digits);
		}
		for (size_t k = 0; k + 1 < digits; k++)
			ret[out++] = (char)(bits >> (16 - 8 * k));
	}
	ret[out] = '\0';
	return (int)out;
}

int auth_basic(const struct auth_credentials *c, struct buf *ret)
{
	autobuf struct buf pair = {};

	buf_printf(&pair, "%s:%s", c->username, c->secret);
	buf_puts(ret, "Basic ");
	if (pair.failed)
		return -ENOMEM;
	encode(pair.data, pair.len, ret);
	explicit_bzero(pair.data, pair.len);
	return ret->failed ? -ENOMEM : 0;
}

int auth_decode_basic(const char *base64, struct auth_credentials *ret)
{
	char text[sizeof(ret->username) + sizeof(ret->secret) + 3];
	struct auth_credentials c = {.set = true};
	char *colon;
	int len;

	if (strlen(base64) / 4 * 3 >= sizeof(text))
		return -EINVAL;
	len = decode(base64, text);
	colon = len < 0 ? NULL : strchr(text, ':');
	if (!colon || strlen(text) != (size_t)len)
		return -EINVAL;
	*colon++ = '\0';
	if (strlen(text) >= sizeof(c.username) || strlen(colon) >= sizeof(c.secret))
		return -EINVAL;
	strcpy(c.username, text);
	strcpy(c.secret, colon);
	*ret = c;
	explicit_bzero(text, sizeof(text));
	return 0;
}

/* ---- files ---- */

static int read_json(const char *path, json_t **ret, struct err *err)
{
	autobuf struct buf text = {};
	autoclose int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0);
	int r = fd < 0 ? fd : fd_read_all(fd, FILE_MAX, &text);

	if (r == -ENOENT || r == -ENOTDIR)
		return -ENOENT;
	if (r < 0)
		return err_sys(err, r, "%s", path);
	if (!text.len) /* what an interrupted login of other tools leaves */
		return -ENOENT;
	return json_parse(path, text.data, text.len, ret, err);
}

/* Docker keeps its own registry under a URL, and others sometimes too. */
static void key_of(const char *entry, char *ret, size_t size)
{
	const char *host = strstr(entry, "://");
	bool url = host != NULL;
	size_t n;

	host = url ? host + 3 : entry;
	n = url ? strcspn(host, "/") : strlen(host);
	while (n && host[n - 1] == '/')
		n--;
	snprintf(ret, size, "%.*s", (int)n, host);
	if (strcmp(ret, "index.docker.io") == 0 || strcmp(ret, "registry-1.docker.io") == 0)
		snprintf(ret, size, "docker.io");
}

/* The value in OBJECT whose key is the longest prefix of NAME at a "/". */
static const json_t *longest_match(
	const json_t *object, const char *name, char *ret_key, size_t size)
{
	const json_t *best = NULL;
	size_t best_len = 0;
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)object, key, value) {
		char entry[512];
		size_t n;

		key_of(key, entry, sizeof(entry));
		n = strlen(entry);
		if (n <= best_len || strncmp(name, entry, n) != 0 ||
			(name[n] != '\0' && name[n] != '/'))
			continue;
		best = value;
		best_len = n;
		snprintf(ret_key, size, "%s", key);
	}
	return best;
}

static int copy_text(const json_t *value, char *ret, size_t size)
{
	const char *text = json_string_value(value);

	if (!text || strlen(text) >= size)
		return -EINVAL;
	strcpy(ret, text);
	return 0;
}

/* ---- helpers ---- */

static int find_program(const char *dirs, const char *name, struct buf *ret)
{
	if (!path_is_component(name))
		return -EINVAL;
	for (const char *p = dirs; *p;) {
		size_t n = strcspn(p, ":");

		ret->len = 0;
		buf_printf(ret, "%.*s/docker-credential-%s", (int)n, p, name);
		if (ret->failed)
			return -ENOMEM;
		if (n && *p == '/' && sys_faccessat(AT_FDCWD, ret->data, X_OK, 0) == 0)
			return 0;
		p += n + (p[n] == ':');
	}
	return -ENOENT;
}

static int parse_helper_output(
	const char *program, const struct buf *out, struct auth_credentials *ret, struct err *err)
{
	struct auth_credentials c = {.set = true};
	autojson json_t *json = NULL;
	int r = json_parse(program, buf_str(out), out->len, &json, err);

	if (r < 0)
		return r;
	if (copy_text(json_object_get(json, "Username"), c.username, sizeof(c.username)) < 0 ||
		copy_text(json_object_get(json, "Secret"), c.secret, sizeof(c.secret)) < 0)
		return err_set(err, -EINVAL, "%s: says no Username and Secret", program);
	c.identity_token = strcmp(c.username, "<token>") == 0;
	*ret = c;
	return 0;
}

static int ask_helper(const struct auth_options *o, const char *name, const char *server,
	struct auth_credentials *ret, struct err *err)
{
	const char *dirs = o->helper_path ? o->helper_path : getenv("PATH");
	autobuf struct buf program = {}, out = {}, home = {}, path = {};
	autoclose int file = sys_memfd_create("credentials", 0);
	const char *argv[] = {NULL, "get", NULL};
	const char *envp[] = {NULL, NULL, NULL};
	struct process_options p = {
		.argv = argv,
		.envp = envp,
		.input = server,
		.input_len = strlen(server),
		.stdout_fd = file,
		.stderr_fd = -1,
		.timeout_ms = HELPER_TIMEOUT_MS,
	};
	int status, r = find_program(dirs ? dirs : "/usr/bin:/bin", name, &program);

	if (r < 0)
		return err_sys(err, r, "credential helper docker-credential-%s", name);
	buf_printf(&home, "HOME=%s", getenv("HOME") ? getenv("HOME") : "/");
	buf_printf(&path, "PATH=%s", dirs ? dirs : "/usr/bin:/bin");
	if (file < 0 || home.failed || path.failed)
		return err_sys(err, file < 0 ? file : -ENOMEM, "%s", program.data);
	p.path = argv[0] = program.data;
	envp[0] = home.data;
	envp[1] = path.data;
	r = process_run(&p, &status, err);
	if (r < 0)
		return r;
	lseek(file, 0, SEEK_SET);
	r = fd_read_all(file, HELPER_OUTPUT_MAX, &out);
	if (r < 0)
		return err_sys(err, r, "%s", program.data);
	/* How helpers say that they have nothing; docker-credential-helpers' protocol. */
	if (status != 0 && strstr(buf_str(&out), "credentials not found"))
		return 0;
	if (status != 0)
		return err_set(err, -EIO, "%s failed: %.200s", program.data, buf_str(&out));
	return parse_helper_output(program.data, &out, ret, err);
}

/* ---- looking up ---- */

static int read_entry(const json_t *entry, struct auth_credentials *ret)
{
	const char *basic = json_string_value(json_object_get(entry, "auth"));
	const json_t *token = json_object_get(entry, "identitytoken");
	struct auth_credentials c = {.set = true};

	if (json_string_length(token)) {
		c.identity_token = true;
		if (basic && *basic)
			auth_decode_basic(basic, &c);
		c.set = c.identity_token = true;
		if (copy_text(token, c.secret, sizeof(c.secret)) < 0)
			return -EINVAL;
		*ret = c;
		return 0;
	}
	if (basic && *basic)
		return auth_decode_basic(basic, ret);
	if (json_object_get(entry, "username")) {
		if (copy_text(json_object_get(entry, "username"), c.username, sizeof(c.username)) <
				0 ||
			copy_text(json_object_get(entry, "password"), c.secret, sizeof(c.secret)) <
				0)
			return -EINVAL;
		*ret = c;
	}
	return 0;
}

/* What helpers know Docker's registry as. */
static const char *server_name(const char *registry)
{
	return strcmp(registry, "docker.io") == 0 ? "https://index.docker.io/v1/" : registry;
}

static int find_in_file(const struct auth_options *o, const char *path,
	const struct reference *reference, struct auth_credentials *ret, struct err *err)
{
	autobuf struct buf name = {};
	autojson json_t *json = NULL;
	const json_t *auths, *helpers, *entry;
	const char *helper, *store;
	char key[512];
	int r = read_json(path, &json, err);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	reference_format_name(reference, &name);
	if (name.failed)
		return err_sys(err, -ENOMEM, "%s", path);
	helpers = json_object_get(json, "credHelpers");
	helper = json_string_value(longest_match(helpers, reference->registry, key, sizeof(key)));
	if (helper)
		return ask_helper(o, helper, server_name(reference->registry), ret, err);
	auths = json_object_get(json, "auths");
	entry = longest_match(auths, name.data, key, sizeof(key));
	store = json_string_value(json_object_get(json, "credsStore"));
	if (store && *store)
		r = ask_helper(o, store, server_name(reference->registry), ret, err);
	if (r == 0 && !ret->set && entry) {
		r = read_entry(entry, ret);
		if (r < 0)
			return err_set(
				err, r, "%s: auths.%s: is not a user and a secret", path, key);
	}
	return r;
}

static void add_file(struct buf *files, const char *dir, const char *rest)
{
	if (dir && *dir == '/')
		buf_printf(files, "%s%s\n", dir, rest);
}

int auth_find(const struct auth_options *o, const struct reference *reference,
	struct auth_credentials *ret, struct err *err)
{
	const char *only = getenv("REGISTRY_AUTH_FILE"), *config = getenv("XDG_CONFIG_HOME");
	autobuf struct buf files = {};
	char *line, *rest;
	int r = 0;

	*ret = (struct auth_credentials){};
	for (size_t i = 0; o->files && o->files[i] && r == 0 && !ret->set; i++)
		r = find_in_file(o, o->files[i], reference, ret, err);
	if (o->files)
		return r;
	if (only && *only)
		return find_in_file(o, only, reference, ret, err);
	add_file(&files, getenv("XDG_RUNTIME_DIR"), "/containers/auth.json");
	if (config && *config)
		add_file(&files, config, "/containers/auth.json");
	else
		add_file(&files, getenv("HOME"), "/.config/containers/auth.json");
	add_file(&files, getenv("HOME"), "/.docker/config.json");
	for (line = files.data; line && *line && r == 0 && !ret->set; line = rest) {
		rest = strchr(line, '\n');
		*rest++ = '\0';
		r = find_in_file(o, line, reference, ret, err);
	}
	return r;
}

int auth_store(const char *file, const struct reference *reference,
	const struct auth_credentials *c, struct err *err)
{
	autobuf struct buf text = {}, value = {}, name = {};
	autojson json_t *json = NULL;
	autoclose int top = sys_openat(AT_FDCWD, *file == '/' ? "/" : ".", O_PATH, 0), dir = -1;
	const char *base;
	json_t *auths;
	int r = read_json(file, &json, err);

	if (r == -ENOENT)
		json = json_object();
	else if (r < 0)
		return r;
	if (!json_object_get(json, "auths"))
		json_object_set_new(json, "auths", json_object());
	auths = json_object_get(json, "auths");
	reference_format_name(reference, &name);
	if (!*reference->repository) /* "host/": the whole registry */
		name.len--, name.data[name.len] = '\0';
	if (c) {
		r = auth_basic(c, &value);
		if (r == 0)
			r = json_object_set_new(auths, name.data,
				    json_pack("{s:s}", "auth", value.data + strlen("Basic ")))
				    ? -ENOMEM
				    : 0;
		if (r < 0)
			return err_sys(err, r, "%s", file);
	} else if (json_object_del(auths, name.data) < 0) {
		return err_set(err, -ENOENT, "not logged in to %s", name.data);
	}
	dir = path_open_parent(top, file, true, &base);
	r = dir < 0 ? dir : json_write(json, JSON_INDENT(4), &text);
	if (r == 0)
		r = fd_replace_file(dir, base, text.data, text.len, 0600);
	return r < 0 ? err_sys(err, r, "%s", file) : 0;
}
