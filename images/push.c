/* SPDX-License-Identifier: Apache-2.0 */
#include "images/push.h"

#include "images/image.h"
#include "images/registry.h"

#include <stdio.h>
#include <string.h>

struct push {
	struct store *store;
	const struct push_options *options;
	struct registry *registry;
	struct http_client *client;
	struct store_names names;
	struct push_result *result;
};

/* Whether the image NAME has the blob, by its manifest. */
static bool has_blob(struct store *store, const struct store_name *name, const char *digest)
{
	autoimage struct image image = {};
	struct err ignored = {};

	if (image_open_digest(store, name->digest, &image, &ignored) < 0)
		return false;
	for (size_t i = 0; i < image.manifest->layers.count; i++)
		if (strcmp(image.manifest->layers.items[i].digest, digest) == 0)
			return true;
	return strcmp(image_id(&image), digest) == 0;
}

/* Another repository of this registry that has the blob, as far as the store knows. */
static const char *find_source(struct push *p, const char *digest)
{
	const struct reference *target = &p->options->target.reference;

	for (size_t i = 0; i < p->names.count; i++) {
		const struct reference *ref = &p->names.items[i].reference;

		if (strcmp(ref->registry, target->registry) == 0 &&
			strcmp(ref->repository, target->repository) != 0 &&
			has_blob(p->store, &p->names.items[i], digest))
			return ref->repository;
	}
	return NULL;
}

static int push_blob(struct push *p, const char *digest, struct err *err)
{
	const char *source;
	autoclose int fd = -1;
	uint64_t size;
	int r = registry_head_blob(p->registry, p->client, digest, err);

	if (r == 0) {
		p->result->present++;
		return 0;
	}
	if (r != -ENOENT)
		return r;
	err_clear(err);
	source = find_source(p, digest);
	if (source) {
		r = registry_mount_blob(p->registry, p->client, digest, source, err);
		if (r == 0) {
			p->result->mounted++;
			return 0;
		}
		if (r != -EAGAIN)
			return r;
		err_clear(err);
	}
	fd = store_blob_open(p->store, digest, &size);
	if (fd < 0)
		return err_sys(err, fd, "blob %.19s… is not here: pull the image again", digest);
	r = registry_push_blob(p->registry, p->client, digest, fd, size, err);
	if (r == 0) {
		p->result->sent++;
		p->result->bytes += size;
	}
	return r;
}

static int put_document(struct push *p, const char *digest, const char *media_type, const char *tag,
	struct err *err)
{
	autobuf struct buf text = {};
	int r = store_blob_read(p->store, digest, SPEC_DOCUMENT_MAX, &text, err);

	return r < 0 ? r
		     : registry_put_document(p->registry, p->client, *tag ? tag : digest,
			       media_type, text.data, text.len, err);
}

static int push_one(struct push *p, const struct image *image, const char *tag, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < image->manifest->layers.count && r == 0; i++)
		r = push_blob(p, image->manifest->layers.items[i].digest, err);
	if (r == 0)
		r = push_blob(p, image_id(image), err);
	return r < 0 ? r
		     : put_document(
			       p, image->manifest_digest, image->manifest->media_type, tag, err);
}

/* What the registry has already it need not be sent: an image of a list may be only there. */
static int push_member(struct push *p, const struct spec_descriptor *member, struct err *err)
{
	autoimage struct image image = {};
	struct digest ignored;
	int r;

	if (!store_blob_exists(p->store, member->digest)) {
		r = registry_head_document(p->registry, p->client, member->digest, &ignored, err);
		if (r == -ENODATA)
			err_clear(err);
		return r == -ENODATA ? 0
		       : r < 0       ? err_add(err, "image %.19s… of the list is not here",
					       member->digest)
				     : 0;
	}
	r = image_open_digest(p->store, member->digest, &image, err);
	return r < 0 ? r : push_one(p, &image, "", err);
}

static int push_list(
	struct push *p, const char *digest, const struct spec_image_document *list, struct err *err)
{
	int r = 0;

	for (size_t i = 0; p->options->all && i < list->manifests.count && r == 0; i++)
		r = push_member(p, &list->manifests.items[i], err);
	return r < 0 ? r
		     : put_document(
			       p, digest, list->media_type, p->options->target.reference.tag, err);
}

static int connect_target(struct push *p, struct err *err)
{
	static const struct auth_options default_auth;
	const struct push_options *o = p->options;
	struct auth_credentials credentials;
	struct registry_options options = {
		.host = o->target.reference.registry,
		.repository = o->target.reference.repository,
		.insecure = o->target.insecure,
		.strict = o->target.strict,
		.push = true,
		.credentials = &credentials,
		.http = o->http,
	};
	int r = 0;

	if (o->target.files.ca || o->target.files.cert)
		options.http.files = o->target.files;
	if (o->target.credentials)
		credentials = *o->target.credentials;
	else
		r = auth_find(
			o->auth ? o->auth : &default_auth, &o->target.reference, &credentials, err);
	if (r == 0)
		r = registry_open(&options, &p->registry, err);
	if (r == 0)
		r = registry_client(p->registry, &p->client, err);
	explicit_bzero(&credentials, sizeof(credentials));
	return r;
}

static int open_what(struct push *p, struct image *ret_image, struct spec_image_document **ret_list,
	struct err *err)
{
	const char *what = p->options->image;
	int r;

	if (!spec_digest_is_valid(what))
		return image_open(p->store, what, ret_image, err);
	r = image_open_list(p->store, what, ret_list, err);
	if (r != -EINVAL)
		return r;
	err_clear(err);
	return image_open_digest(p->store, what, ret_image, err);
}

int push_image(
	struct store *store, const struct push_options *o, struct push_result *ret, struct err *err)
{
	struct push_result result = {};
	struct push p = {.store = store, .options = o, .result = &result};
	autodocument struct spec_image_document *list = NULL;
	autoimage struct image image = {};
	autoclose int hold = store_hold(store, err);
	int r;

	if (hold < 0)
		return hold;
	r = open_what(&p, &image, &list, err);
	if (r == 0)
		r = store_names_list(store, &p.names, err);
	if (r == 0)
		r = connect_target(&p, err);
	if (r == 0)
		r = list ? push_list(&p, o->image, list, err)
			 : push_one(&p, &image, o->target.reference.tag, err);
	http_close(p.client);
	registry_close(p.registry);
	store_names_free(&p.names);
	if (r == 0) {
		snprintf(result.digest, sizeof(result.digest), "%s",
			list ? o->image : image.manifest_digest);
		*ret = result;
	}
	return r;
}
