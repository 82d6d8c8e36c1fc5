/* SPDX-License-Identifier: Apache-2.0 */
/* Challenges of registries, and the tokens that answer them. */
#include "images/registry_private.h"

#include "base/json.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { TOKEN_RESPONSE_MAX = 1 << 20 };

static const char *skip_space(const char *p)
{
	return p + strspn(p, " \t,");
}

/* One value: a token or a quoted string, RFC 9110 5.6. Returns what follows it. */
static const char *read_value(const char *p, char *ret, size_t size)
{
	size_t n = 0;
	bool quoted = *p == '"';

	for (p += quoted; *p && (quoted ? *p != '"' : !strchr(", \t", *p)); p++) {
		if (quoted && *p == '\\' && p[1])
			p++;
		if (n + 1 < size)
			ret[n++] = *p;
	}
	ret[n] = '\0';
	return p + (quoted && *p == '"');
}

static const char *read_parameter(const char *p, struct challenge *c)
{
	size_t n = strcspn(p, "= \t,");
	char ignored[8], *value = ignored;
	size_t size = sizeof(ignored);

	if (p[n] != '=')
		return p + n;
	if (n == 5 && strncasecmp(p, "realm", n) == 0)
		value = c->realm, size = sizeof(c->realm);
	else if (n == 7 && strncasecmp(p, "service", n) == 0)
		value = c->service, size = sizeof(c->service);
	else if (n == 5 && strncasecmp(p, "scope", n) == 0)
		value = c->scope, size = sizeof(c->scope);
	return read_value(p + n + 1, value, size);
}

/* Several challenges may stand in one header; parameters count for the scheme before them. */
void challenge_parse(const char *header, struct challenge *ret)
{
	struct challenge c = {}, other = {};
	struct challenge *into = &other;

	for (const char *p = skip_space(header); *p; p = skip_space(p)) {
		size_t n = strcspn(p, "= \t,");
		const char *after = p + n + strspn(p + n, " \t");

		if (p[n] != '=' && *after != '=') { /* a scheme */
			into = &other;
			if (n == 6 && strncasecmp(p, "bearer", n) == 0 && !c.bearer) {
				c.bearer = true;
				into = &c;
			} else if (n == 5 && strncasecmp(p, "basic", n) == 0) {
				c.basic = true;
			}
			p += n;
			continue;
		}
		p = read_parameter(p, into);
	}
	*ret = c;
}

/* Where credentials may go: a token server of an https registry must be https itself. */
static int check_realm(const struct registry *g, const char *realm, struct err *err)
{
	if (strncasecmp(realm, "https://", 8) == 0)
		return 0;
	if (strncasecmp(realm, "http://", 7) == 0 && g->plain)
		return 0;
	return err_set(err, -EACCES,
		"%s: wants credentials to be sent to \"%.200s\", which is not https", g->name,
		realm);
}

static void add_query(struct buf *url, const char *key, const char *value, char *separator)
{
	if (!*value)
		return;
	buf_printf(url, "%c%s=", *separator, key);
	http_encode(value, url);
	*separator = '&';
}

static int read_token(
	const struct registry *g, const struct http_response *r, char **ret, struct err *err)
{
	autojson json_t *json = NULL;
	const char *token;
	autobuf struct buf value = {};
	int e = json_parse("token", buf_str(&r->body), r->body.len, &json, err);

	if (e < 0)
		return err_add(err, "%s", g->name);
	token = json_string_value(json_object_get(json, "token"));
	if (!token || !*token)
		token = json_string_value(json_object_get(json, "access_token"));
	if (!token || !*token || strpbrk(token, "\r\n"))
		return err_set(err, -EPROTO, "%s: the token server sent no token", g->name);
	buf_printf(&value, "Bearer %s", token);
	if (value.failed)
		return err_sys(err, -ENOMEM, "%s", g->name);
	*ret = take_ptr(value.data);
	value = (struct buf){};
	return 0;
}

/* The scopes that are needed, and not only those that the registry thought of. */
static void scope_of(const struct registry *g, const struct challenge *c, struct buf *ret)
{
	if (*c->scope && !g->push)
		buf_puts(ret, c->scope);
	else
		buf_printf(ret, "repository:%s:pull%s", g->repository, g->push ? ",push" : "");
}

/* A refresh token by POST (OAuth2), everything else by GET. */
static int fetch_token(const struct registry *g, struct http_client *client,
	const struct challenge *c, char **ret, struct err *err)
{
	autobuf struct buf url = {}, basic = {}, scope = {}, form = {};
	autoresponse struct http_response response = {};
	struct http_request q = {.method = "GET",
		.body_fd = -1,
		.accept = "application/json",
		.max_body = TOKEN_RESPONSE_MAX};
	char separator = strchr(c->realm, '?') ? '&' : '?';
	int r = check_realm(g, c->realm, err);

	if (r < 0)
		return r;
	scope_of(g, c, &scope);
	buf_puts(&url, c->realm);
	if (g->credentials.set && g->credentials.identity_token) {
		separator = '&';
		buf_puts(&form, "grant_type=refresh_token&client_id=brig");
		add_query(&form, "service", c->service, &separator);
		add_query(&form, "scope", buf_str(&scope), &separator);
		add_query(&form, "refresh_token", g->credentials.secret, &separator);
		q.method = "POST";
		q.form = buf_str(&form);
	} else {
		add_query(&url, "service", c->service, &separator);
		add_query(&url, "scope", buf_str(&scope), &separator);
		if (g->credentials.set && auth_basic(&g->credentials, &basic) == 0)
			q.authorization = buf_str(&basic);
	}
	if (url.failed || form.failed || scope.failed || basic.failed)
		return err_sys(err, -ENOMEM, "%s", g->name);
	q.url = buf_str(&url);
	r = http_do(client, &q, &response, err);
	if (r < 0)
		return r;
	if (response.status == 401 || response.status == 403)
		return err_set(err, -EACCES, "%s: the token server refuses %s", g->name,
			g->credentials.set ? "these credentials (log in again)"
					   : "without credentials (log in first)");
	if (response.status != 200)
		return err_set(
			err, -EPROTO, "%s: the token server answers %ld", g->name, response.status);
	return read_token(g, &response, ret, err);
}

static int answer(const struct registry *g, struct http_client *client, const struct challenge *c,
	char **ret, struct err *err)
{
	autobuf struct buf value = {};

	if (c->bearer && *c->realm)
		return fetch_token(g, client, c, ret, err);
	if (!c->basic)
		return err_set(err, -EACCES, "%s: wants an authentication that brig does not know",
			g->name);
	if (!g->credentials.set || g->credentials.identity_token)
		return err_set(
			err, -EACCES, "%s: wants a user and a password: log in first", g->name);
	if (auth_basic(&g->credentials, &value) < 0)
		return err_sys(err, -ENOMEM, "%s", g->name);
	*ret = take_ptr(value.data);
	value = (struct buf){};
	return 0;
}

int registry_authorize(struct registry *g, struct http_client *client, const struct challenge *c,
	const char *failed, struct err *err)
{
	char *fresh = NULL;
	int r = 0;

	/* Held over the request: one thread fetches, the others wait and find it. */
	pthread_mutex_lock(&g->mutex);
	if (!g->authorization || (failed && strcmp(failed, g->authorization) == 0)) {
		r = answer(g, client, c, &fresh, err);
		if (r == 0) {
			free(g->authorization);
			g->authorization = fresh;
		}
	}
	pthread_mutex_unlock(&g->mutex);
	return r;
}
