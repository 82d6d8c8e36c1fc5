/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define HEX       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define BLOB(t)   "{\"mediaType\":\"" t "\",\"digest\":\"sha256:" HEX "\",\"size\":3}"
#define CONFIG    "\"config\":" BLOB(SPEC_MEDIA_OCI_CONFIG)
#define LAYERS    "\"layers\":[" BLOB(SPEC_MEDIA_OCI_LAYER "+gzip") "]"
#define TYPE(t)   "\"mediaType\":\"" t "\""
#define MANIFESTS "\"manifests\":[" BLOB(SPEC_MEDIA_OCI_MANIFEST) "]"

static int parse(const char *type, const char *text, struct spec_image_document **ret)
{
	struct err err = {};

	return spec_image_document_parse("test", type, text, strlen(text), ret, &err);
}

static void takes_documents(void **state)
{
	autodocument struct spec_image_document *m = NULL, *i = NULL;

	(void)state;
	assert_int_equal(parse(NULL, "{\"schemaVersion\":2," CONFIG "," LAYERS "}", &m), 0);
	assert_int_equal(m->kind, SPEC_DOCUMENT_MANIFEST);
	assert_string_equal(m->media_type, SPEC_MEDIA_OCI_MANIFEST);
	assert_int_equal(m->layers.count, 1);
	assert_int_equal(parse(SPEC_MEDIA_OCI_INDEX "; charset=utf-8",
				 "{\"schemaVersion\":2," MANIFESTS "}", &i),
		0);
	assert_int_equal(i->kind, SPEC_DOCUMENT_INDEX);
}

/* What one reader takes for a manifest and another for an index (CVE-2021-41190). */
static void refuses_ambiguous(void **state)
{
	static const char *const bad[][2] = {
		{NULL, "{\"schemaVersion\":2," CONFIG "," LAYERS "," MANIFESTS "}"},
		{NULL, "{\"schemaVersion\":2,\"layers\":[]," MANIFESTS "}"},
		{NULL, "{\"schemaVersion\":2," TYPE(SPEC_MEDIA_OCI_INDEX) "," CONFIG "," LAYERS
									  "}"},
		{SPEC_MEDIA_OCI_INDEX, "{\"schemaVersion\":2," CONFIG "," LAYERS "}"},
		{SPEC_MEDIA_OCI_INDEX, "{\"schemaVersion\":2," TYPE(
					       SPEC_MEDIA_OCI_MANIFEST) "," CONFIG "," LAYERS "}"},
		{NULL, "{\"schemaVersion\":2}"},
		{NULL, "{\"schemaVersion\":3," CONFIG "," LAYERS "}"},
		{NULL, "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x\",\"digest\":\"sha256:"
		       "../x\",\"size\":1},\"layers\":[]}"},
		{NULL, "{\"schemaVersion\":2," CONFIG ",\"layers\":[{\"mediaType\":\"x\","
		       "\"digest\":\"sha256:" HEX "\",\"size\":-1}]}"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct spec_image_document *d = NULL;

		if (parse(bad[i][0], bad[i][1], &d) != -EINVAL)
			fail_msg("taken: %s", bad[i][1]);
	}
}

static void bounds_layers(void **state)
{
	autobuf struct buf text = {};
	struct spec_image_document *d = NULL;

	(void)state;
	buf_puts(&text, "{\"schemaVersion\":2," CONFIG ",\"layers\":[");
	for (int i = 0; i < 501; i++)
		buf_printf(&text, "%s%s", i ? "," : "", BLOB(SPEC_MEDIA_OCI_LAYER));
	buf_puts(&text, "]}");
	assert_int_equal(parse(NULL, text.data, &d), -EINVAL);
}

static void chooses_platforms(void **state)
{
#define ENTRY(arch, variant, hex)                                                                 \
	"{\"mediaType\":\"" SPEC_MEDIA_OCI_MANIFEST "\",\"size\":1,\"digest\":\"sha256:" hex      \
	"bcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789\",\"platform\":{\"os\":" \
	"\"linux\",\"architecture\":\"" arch "\"" variant "}}"
	static const char text[] =
		"{\"schemaVersion\":2,\"manifests\":[" ENTRY("arm", ",\"variant\":\"v6\"",
			"1") "," ENTRY("arm", ",\"variant\":\"v7\"", "2") "," ENTRY("amd64", "",
			"3") "," ENTRY("arm64", "", "4") "," ENTRY("amd64", "", "5") "]}";
	static const char *const want[][2] = {{"linux/amd64", "3"}, {"x86_64", "3"},
		{"linux/arm/v7", "2"}, {"linux/arm/v6", "1"}, {"arm64", "4"}, {"linux/s390x", NULL},
		{"windows/amd64", NULL}};
	autodocument struct spec_image_document *d = NULL;

	(void)state;
	/* 63 hexadecimal digits follow the first. */
	assert_int_equal(parse(NULL, text, &d), 0);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		autoarena struct arena arena = {};
		const struct spec_descriptor *found;
		struct spec_platform platform;
		struct err err = {};
		int r;

		assert_int_equal(spec_platform_parse(want[i][0], &arena, &platform, &err), 0);
		r = spec_image_select(d, &platform, &found, &err);
		assert_int_equal(r, want[i][1] ? 0 : -ENOENT);
		if (r == 0)
			assert_int_equal(found->digest[7], *want[i][1]);
	}
}

static void takes_configs(void **state)
{
	static const char text[] =
		"{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Env\":[\"A=b\"],"
		"\"Cmd\":null,\"ExposedPorts\":{\"80/tcp\":{}},\"Labels\":null},\"rootfs\":{"
		"\"type\":\"layers\",\"diff_ids\":[\"sha256:" HEX "\"]},\"history\":[{"
		"\"empty_layer\":true}]}";
	autoimageconfig struct spec_image_config *c = NULL;
	struct err err = {};

	(void)state;
	assert_int_equal(spec_image_config_parse("config", text, strlen(text), &c, &err), 0);
	assert_int_equal(c->diff_ids.count, 1);
	assert_string_equal(c->config.exposed_ports.items[0], "80/tcp");
	assert_string_equal(c->config.env.items[0], "A=b");
	assert_true(c->history.items[0].empty_layer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_documents),
		cmocka_unit_test(refuses_ambiguous),
		cmocka_unit_test(bounds_layers),
		cmocka_unit_test(chooses_platforms),
		cmocka_unit_test(takes_configs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
