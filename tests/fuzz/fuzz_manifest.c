/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of a registry: manifest, index, config, and registries.conf's TOML by its first byte.
 */
#include "images/registries.h"
#include "spec/image.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autodocument struct spec_image_document *document = NULL;
	autoimageconfig struct spec_image_config *config = NULL;
	autoregistries struct registries *registries = registries_new();
	const char *text = (const char *)data;
	struct err err = {};

	if (spec_image_document_parse("input", NULL, text, size, &document, &err) == 0) {
		autoarena struct arena arena = {};
		struct spec_platform platform;
		const struct spec_descriptor *found;

		REQUIRE((document->kind == SPEC_DOCUMENT_MANIFEST) == (document->config != NULL));
		REQUIRE(spec_platform_parse("linux/arm/v7", &arena, &platform, &err) == 0);
		if (spec_image_select(document, &platform, &found, &err) == 0)
			REQUIRE(spec_digest_is_valid(found->digest));
	}
	spec_image_config_parse("input", text, size, &config, &err);
	registries_parse("input", text, size, registries, &err);
	return 0;
}
