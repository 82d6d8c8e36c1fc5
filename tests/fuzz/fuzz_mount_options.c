/* SPDX-License-Identifier: Apache-2.0 */
/* The option words of one mount, one a line. */
#include "spec/config.h"
#include "tests/fuzz/fuzz.h"

#include <sys/mount.h>

enum { WORDS_MAX = 256 };

static void check(const struct spec_mount_options *o, size_t words)
{
	const uint64_t known = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			       MOUNT_ATTR_NOEXEC | MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME |
			       MOUNT_ATTR_NOSYMFOLLOW;

	REQUIRE(!((o->attr_set | o->attr_clear | o->rec_attr_set | o->rec_attr_clear) & ~known));
	/* Nothing is both set and cleared, but for the access time, which is a number. */
	REQUIRE(!(o->attr_set & o->attr_clear & ~MOUNT_ATTR__ATIME));
	REQUIRE(!(o->rec_attr_set & o->rec_attr_clear & ~MOUNT_ATTR__ATIME));
	if (o->attr_set & MOUNT_ATTR__ATIME)
		REQUIRE((o->attr_clear & MOUNT_ATTR__ATIME) == MOUNT_ATTR__ATIME);
	REQUIRE(o->sb_flags.count + o->data.count <= words);
	REQUIRE(!o->uid_mappings.count == !o->gid_mappings.count);
	for (size_t i = 0; i < o->uid_mappings.count; i++)
		REQUIRE(o->uid_mappings.items[i].size > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *saved = NULL;
	struct spec_mount_options options = {};
	const char *items[WORDS_MAX];
	struct strings words = {items, 0};
	autoarena struct arena arena = {};
	struct err err = {};

	REQUIRE(text);
	memcpy(text, data, size);
	text[size] = '\0';
	for (char *word = strtok_r(text, "\n", &saved); word && words.count < WORDS_MAX;
		word = strtok_r(NULL, "\n", &saved))
		items[words.count++] = word;
	if (spec_mount_options_parse(&words, &arena, &options, &err) < 0)
		REQUIRE(err.text[0] && !options.data.items);
	else
		check(&options, words.count);
	free(text);
	return 0;
}
