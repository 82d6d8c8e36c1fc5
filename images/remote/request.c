/* SPDX-License-Identifier: Apache-2.0 */
#include "images/remote/remote.h"

#include "base/json.h"

#include <string.h>

struct endpoint {
	const char *reference, *username, *secret, *ca, *cert, *key;
	bool insecure, strict, by_digest_only, identity_token;
};

struct range {
	uint32_t inside, outside, count;
};

struct ranges {
	struct range *items;
	size_t count;
};

struct store_part {
	const char *root, *helper;
	bool single;
	struct ranges uids, gids;
};

struct document {
	int op;
	const char *reference, *image, *platform;
	struct {
		struct endpoint *items;
		size_t count;
	} endpoints;
	struct store_part *store;
	bool all;
	uint64_t max_bytes;
	uint32_t connections, connect_seconds, stall_seconds;
};

static const struct json_name ops[] = {
	{"pull", REMOTE_PULL},
	{"push", REMOTE_PUSH},
	{"login", REMOTE_LOGIN},
	{"tags", REMOTE_TAGS},
	{"catalog", REMOTE_CATALOG},
	{},
};

static const struct json_rule endpoint_rules[] = {
	{"reference", JSON_TEXT, true, JSON_AT(endpoint, reference)},
	{"insecure", JSON_BOOL, false, JSON_AT(endpoint, insecure)},
	{"strict", JSON_BOOL, false, JSON_AT(endpoint, strict)},
	{"byDigestOnly", JSON_BOOL, false, JSON_AT(endpoint, by_digest_only)},
	{"username", JSON_TEXT, false, JSON_AT(endpoint, username)},
	{"secret", JSON_TEXT, false, JSON_AT(endpoint, secret)},
	{"identityToken", JSON_BOOL, false, JSON_AT(endpoint, identity_token)},
	{"ca", JSON_TEXT, false, JSON_AT(endpoint, ca)},
	{"cert", JSON_TEXT, false, JSON_AT(endpoint, cert)},
	{"key", JSON_TEXT, false, JSON_AT(endpoint, key)},
	{},
};
static const struct json_table endpoint_table = {sizeof(struct endpoint), endpoint_rules};

static const struct json_rule range_rules[] = {
	{"inside", JSON_U32, true, JSON_AT(range, inside)},
	{"outside", JSON_U32, true, JSON_AT(range, outside)},
	{"count", JSON_U32, true, JSON_AT(range, count)},
	{},
};
static const struct json_table range_table = {sizeof(struct range), range_rules};

static const struct json_rule store_rules[] = {
	{"root", JSON_TEXT, true, JSON_AT(store_part, root)},
	{"helper", JSON_TEXT, true, JSON_AT(store_part, helper)},
	{"single", JSON_BOOL, false, JSON_AT(store_part, single)},
	{"uids", JSON_STRUCTS, false, JSON_AT(store_part, uids), .table = &range_table},
	{"gids", JSON_STRUCTS, false, JSON_AT(store_part, gids), .table = &range_table},
	{},
};
static const struct json_table store_table = {sizeof(struct store_part), store_rules};

static const struct json_rule document_rules[] = {
	{"op", JSON_NAME, true, JSON_AT(document, op), .names = ops, .what = "an operation"},
	{"reference", JSON_TEXT, true, JSON_AT(document, reference)},
	{"image", JSON_TEXT, false, JSON_AT(document, image)},
	{"all", JSON_BOOL, false, JSON_AT(document, all)},
	{"platform", JSON_TEXT, false, JSON_AT(document, platform)},
	{"endpoints", JSON_STRUCTS, true, JSON_AT(document, endpoints), .table = &endpoint_table},
	{"store", JSON_STRUCT, false, JSON_AT(document, store), .table = &store_table},
	{"maxBytes", JSON_U64, false, JSON_AT(document, max_bytes)},
	{"connections", JSON_U32, false, JSON_AT(document, connections)},
	{"connectSeconds", JSON_U32, false, JSON_AT(document, connect_seconds)},
	{"stallSeconds", JSON_U32, false, JSON_AT(document, stall_seconds)},
	{},
};
static const struct json_table document_table = {sizeof(struct document), document_rules};

static int take_credentials(const struct endpoint *e, struct arena *arena,
	const struct auth_credentials **ret, struct err *err)
{
	struct auth_credentials *c = arena_new(arena, struct auth_credentials);

	if (!c)
		return err_sys(err, -ENOMEM, "request");
	if (e->secret) {
		const char *user = e->username ? e->username : "";

		if (strlen(user) >= sizeof(c->username) || strlen(e->secret) >= sizeof(c->secret))
			return err_set(err, -EINVAL, "the user name or the password is too long");
		c->set = true;
		c->identity_token = e->identity_token;
		strcpy(c->username, user);
		strcpy(c->secret, e->secret);
	}
	*ret = c;
	return 0;
}

static int take_endpoints(const struct document *d, struct remote_request *ret, struct err *err)
{
	ret->endpoints = arena_array(&ret->arena, d->endpoints.count + 1, struct pull_endpoint);
	if (!ret->endpoints)
		return err_sys(err, -ENOMEM, "request");
	if (!d->endpoints.count)
		return err_set(err, -EINVAL, "no registry to ask");
	for (size_t i = 0; i < d->endpoints.count; i++) {
		const struct endpoint *e = &d->endpoints.items[i];
		struct pull_endpoint *to = &ret->endpoints[i];
		int r = reference_parse(e->reference, &to->reference, err);

		if (r == 0 && !*to->reference.registry)
			r = err_set(err, -EINVAL, "%s: has no registry", e->reference);
		if (r == 0)
			r = take_credentials(e, &ret->arena, &to->credentials, err);
		if (r < 0)
			return r;
		to->insecure = e->insecure;
		to->strict = e->strict;
		to->by_digest_only = e->by_digest_only;
		if (!e->cert != !e->key)
			return err_set(err, -EINVAL, "a certificate needs its key");
		to->files = (struct http_files){.ca = e->ca, .cert = e->cert, .key = e->key};
		ret->endpoint_count++;
	}
	return 0;
}

static void take_store(const struct document *d, struct remote_request *ret)
{
	/* Of one layout, in order and size. */
	_Static_assert(sizeof(struct range) == sizeof(struct store_id_range), "");
	if (!d->store)
		return;
	ret->store = (struct store_options){
		.root = d->store->root,
		.helper = d->store->helper,
		.ids = {.single = d->store->single,
			.uids = (const struct store_id_range *)d->store->uids.items,
			.uid_count = d->store->uids.count,
			.gids = (const struct store_id_range *)d->store->gids.items,
			.gid_count = d->store->gids.count},
	};
}

int remote_request_parse(const char *text, size_t len, struct remote_request *ret, struct err *err)
{
	struct remote_request request = {};
	struct document d = {};
	int r = json_parse("request", text, len, &request.json, err);

	if (r == 0)
		r = json_decode(request.json, &document_table, &request.arena, &d, err);
	if (r == 0)
		r = reference_parse(d.reference, &request.reference, err);
	if (r == 0)
		r = take_endpoints(&d, &request, err);
	if (r == 0 && (d.op == REMOTE_PULL || d.op == REMOTE_PUSH) && !d.store)
		r = err_set(err, -EINVAL, "request: store is missing");
	if (r == 0 && d.op == REMOTE_PUSH && !d.image)
		r = err_set(err, -EINVAL, "request: image is missing");
	if (r < 0) {
		remote_request_free(&request);
		return r;
	}
	request.op = d.op;
	request.image = d.image;
	request.platform = d.platform;
	request.all = d.all;
	request.max_bytes = d.max_bytes;
	request.connections = (int)d.connections;
	request.http.connect_seconds = (int)d.connect_seconds;
	request.http.stall_seconds = (int)d.stall_seconds;
	take_store(&d, &request);
	*ret = request;
	return 0;
}

void remote_request_free(struct remote_request *request)
{
	for (size_t i = 0; i < request->endpoint_count; i++)
		explicit_bzero(
			(void *)request->endpoints[i].credentials, sizeof(struct auth_credentials));
	arena_free(&request->arena);
	json_release(&request->json);
	*request = (struct remote_request){};
}
