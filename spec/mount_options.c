/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/mount_options.h"

#include "base/parse.h"
#include "spec/tables.h"

#include <string.h>
#include <sys/mount.h>

/*
 * Clearing MOUNT_ATTR__ATIME leaves relatime, the kernel's default, which is 0.
 * acl and iversion have no flag in the mount API: the file systems that know them parse the words.
 * silent and loud were about messages in the kernel's log, which the mount API returns instead.
 */
const struct spec_mount_word spec_mount_words[] = {
	{"acl", SPEC_WORD_DATA},
	{"async", SPEC_WORD_SUPERBLOCK},
	{"atime", SPEC_WORD_ATTR, .clear = MOUNT_ATTR__ATIME},
	{"bind", SPEC_WORD_EXTRA, .set = SPEC_MOUNT_BIND},
	{"copy-symlink", SPEC_WORD_EXTRA, .set = SPEC_MOUNT_COPY_SYMLINK},
	{"defaults", SPEC_WORD_NOTHING},
	{"dest-nofollow", SPEC_WORD_EXTRA, .set = SPEC_MOUNT_DEST_NOFOLLOW},
	{"dev", SPEC_WORD_ATTR, .clear = MOUNT_ATTR_NODEV},
	{"diratime", SPEC_WORD_ATTR, .clear = MOUNT_ATTR_NODIRATIME},
	{"dirsync", SPEC_WORD_SUPERBLOCK},
	{"exec", SPEC_WORD_ATTR, .clear = MOUNT_ATTR_NOEXEC},
	{"idmap", SPEC_WORD_EXTRA, .set = SPEC_MOUNT_IDMAP},
	{"iversion", SPEC_WORD_DATA},
	{"lazytime", SPEC_WORD_SUPERBLOCK},
	{"loud", SPEC_WORD_NOTHING},
	{"mand", SPEC_WORD_SUPERBLOCK},
	{"noacl", SPEC_WORD_DATA},
	{"noatime", SPEC_WORD_ATTR, .set = MOUNT_ATTR_NOATIME, .clear = MOUNT_ATTR__ATIME},
	{"nodev", SPEC_WORD_ATTR, .set = MOUNT_ATTR_NODEV},
	{"nodiratime", SPEC_WORD_ATTR, .set = MOUNT_ATTR_NODIRATIME},
	{"noexec", SPEC_WORD_ATTR, .set = MOUNT_ATTR_NOEXEC},
	{"noiversion", SPEC_WORD_DATA},
	{"nolazytime", SPEC_WORD_SUPERBLOCK},
	{"nomand", SPEC_WORD_SUPERBLOCK},
	{"norelatime", SPEC_WORD_ATTR, .clear = MOUNT_ATTR__ATIME},
	{"nostrictatime", SPEC_WORD_ATTR, .clear = MOUNT_ATTR__ATIME},
	{"nosuid", SPEC_WORD_ATTR, .set = MOUNT_ATTR_NOSUID},
	{"nosymfollow", SPEC_WORD_ATTR, .set = MOUNT_ATTR_NOSYMFOLLOW},
	{"private", SPEC_WORD_PROPAGATION, .set = MS_PRIVATE},
	{"ratime", SPEC_WORD_ATTR, .recursive = true, .clear = MOUNT_ATTR__ATIME},
	{"rbind", SPEC_WORD_EXTRA, .set = SPEC_MOUNT_BIND | SPEC_MOUNT_RBIND},
	{"rdev", SPEC_WORD_ATTR, .recursive = true, .clear = MOUNT_ATTR_NODEV},
	{"rdiratime", SPEC_WORD_ATTR, .recursive = true, .clear = MOUNT_ATTR_NODIRATIME},
	{"relatime", SPEC_WORD_ATTR, .clear = MOUNT_ATTR__ATIME},
	{"remount", SPEC_WORD_EXTRA, .set = SPEC_MOUNT_REMOUNT},
	{"rexec", SPEC_WORD_ATTR, .recursive = true, .clear = MOUNT_ATTR_NOEXEC},
	{"ridmap", SPEC_WORD_EXTRA, .set = SPEC_MOUNT_IDMAP | SPEC_MOUNT_RIDMAP},
	{"rnoatime", SPEC_WORD_ATTR, .recursive = true, .set = MOUNT_ATTR_NOATIME,
		.clear = MOUNT_ATTR__ATIME},
	{"rnodev", SPEC_WORD_ATTR, .recursive = true, .set = MOUNT_ATTR_NODEV},
	{"rnodiratime", SPEC_WORD_ATTR, .recursive = true, .set = MOUNT_ATTR_NODIRATIME},
	{"rnoexec", SPEC_WORD_ATTR, .recursive = true, .set = MOUNT_ATTR_NOEXEC},
	{"rnorelatime", SPEC_WORD_ATTR, .recursive = true, .clear = MOUNT_ATTR__ATIME},
	{"rnostrictatime", SPEC_WORD_ATTR, .recursive = true, .clear = MOUNT_ATTR__ATIME},
	{"rnosuid", SPEC_WORD_ATTR, .recursive = true, .set = MOUNT_ATTR_NOSUID},
	{"rnosymfollow", SPEC_WORD_ATTR, .recursive = true, .set = MOUNT_ATTR_NOSYMFOLLOW},
	{"ro", SPEC_WORD_SUPERBLOCK, .set = MOUNT_ATTR_RDONLY},
	{"rprivate", SPEC_WORD_PROPAGATION, .recursive = true, .set = MS_PRIVATE},
	{"rrelatime", SPEC_WORD_ATTR, .recursive = true, .clear = MOUNT_ATTR__ATIME},
	{"rro", SPEC_WORD_ATTR, .recursive = true, .set = MOUNT_ATTR_RDONLY},
	{"rrw", SPEC_WORD_ATTR, .recursive = true, .clear = MOUNT_ATTR_RDONLY},
	{"rshared", SPEC_WORD_PROPAGATION, .recursive = true, .set = MS_SHARED},
	{"rslave", SPEC_WORD_PROPAGATION, .recursive = true, .set = MS_SLAVE},
	{"rstrictatime", SPEC_WORD_ATTR, .recursive = true, .set = MOUNT_ATTR_STRICTATIME,
		.clear = MOUNT_ATTR__ATIME},
	{"rsuid", SPEC_WORD_ATTR, .recursive = true, .clear = MOUNT_ATTR_NOSUID},
	{"rsymfollow", SPEC_WORD_ATTR, .recursive = true, .clear = MOUNT_ATTR_NOSYMFOLLOW},
	{"runbindable", SPEC_WORD_PROPAGATION, .recursive = true, .set = MS_UNBINDABLE},
	{"rw", SPEC_WORD_SUPERBLOCK, .clear = MOUNT_ATTR_RDONLY},
	{"shared", SPEC_WORD_PROPAGATION, .set = MS_SHARED},
	{"silent", SPEC_WORD_NOTHING},
	{"slave", SPEC_WORD_PROPAGATION, .set = MS_SLAVE},
	{"src-nofollow", SPEC_WORD_EXTRA, .set = SPEC_MOUNT_SRC_NOFOLLOW},
	{"strictatime", SPEC_WORD_ATTR, .set = MOUNT_ATTR_STRICTATIME, .clear = MOUNT_ATTR__ATIME},
	{"suid", SPEC_WORD_ATTR, .clear = MOUNT_ATTR_NOSUID},
	{"symfollow", SPEC_WORD_ATTR, .clear = MOUNT_ATTR_NOSYMFOLLOW},
	{"sync", SPEC_WORD_SUPERBLOCK},
	{"tmpcopyup", SPEC_WORD_EXTRA, .set = SPEC_MOUNT_TMPCOPYUP},
	{"unbindable", SPEC_WORD_PROPAGATION, .set = MS_UNBINDABLE},
	{},
};

enum { WORDS = ARRAY_LEN(spec_mount_words) - 1 };

static const struct spec_mount_word *find_word(const char *name)
{
	size_t low = 0, high = WORDS;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(name, spec_mount_words[middle].name);

		if (order == 0)
			return &spec_mount_words[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static void change_attr(const struct spec_mount_word *word, struct spec_mount_options *ret)
{
	uint64_t *set = word->recursive ? &ret->rec_attr_set : &ret->attr_set;
	uint64_t *clear = word->recursive ? &ret->rec_attr_clear : &ret->attr_clear;

	/* The bits of a set word are not to be cleared too, but for the access time, which is a
	 * number: mount_setattr(2) wants all its bits cleared whenever it is set. */
	*set = (*set & ~word->clear) | word->set;
	*clear = (*clear & ~word->set) | word->clear;
}

static void apply_word(const struct spec_mount_word *word, struct spec_mount_options *ret)
{
	switch (word->kind) {
	case SPEC_WORD_SUPERBLOCK:
		ret->sb_flags.items[ret->sb_flags.count++] = word->name;
		change_attr(word, ret);
		break;
	case SPEC_WORD_ATTR:
		change_attr(word, ret);
		break;
	case SPEC_WORD_PROPAGATION:
		ret->propagation = word->set;
		ret->rec_propagation = word->recursive;
		break;
	case SPEC_WORD_EXTRA:
		ret->extra |= (unsigned int)word->set;
		break;
	case SPEC_WORD_DATA:
		ret->data.items[ret->data.count++] = word->name;
		break;
	case SPEC_WORD_NOTHING:
		break;
	}
}

/* Reads a decimal number that ends at END; the text moves behind END. */
static int take_number(const char **text, char end, uint32_t *ret)
{
	uint64_t n = 0;
	const char *p = *text;

	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++) {
		n = n * 10 + (uint64_t)(*p - '0');
		if (n > UINT32_MAX)
			return -ERANGE;
	}
	if (end) {
		if (*p != end)
			return -EINVAL;
		p++;
	}
	*text = p;
	*ret = (uint32_t)n;
	return 0;
}

/* "[@]BACKING-HOST-SIZE" */
static int take_mapping(const char **text, struct spec_id_mapping *ret)
{
	int r;

	*ret = (struct spec_id_mapping){.relative = **text == '@'};
	*text += ret->relative;
	r = take_number(text, '-', &ret->container_id);
	if (r == 0)
		r = take_number(text, '-', &ret->host_id);
	return r < 0 ? r : take_number(text, '\0', &ret->size);
}

/* Mappings joined by '#', up to a ';' or the end. */
static int take_mappings(const char **text, struct arena *arena, struct spec_id_mappings *ret)
{
	size_t count = 1;
	int r;

	for (size_t i = 0; (*text)[i] && (*text)[i] != ';'; i++)
		count += (*text)[i] == '#';
	ret->items = arena_array(arena, count, struct spec_id_mapping);
	if (!ret->items)
		return -ENOMEM;
	for (ret->count = 0; ret->count < count; ret->count++) {
		if (ret->count && *(*text)++ != '#')
			return -EINVAL;
		r = take_mapping(text, &ret->items[ret->count]);
		if (r < 0)
			return r;
	}
	return **text && **text != ';' ? -EINVAL : 0;
}

/* "uids=…;gids=…", in either order. */
static int take_both(const char *text, struct arena *arena, struct spec_mount_options *ret)
{
	struct spec_id_mappings uids = {}, gids = {};

	while (*text) {
		bool users = parse_has_prefix(text, "uids=", &text);
		struct spec_id_mappings *list = users ? &uids : &gids;
		int r;

		if ((!users && !parse_has_prefix(text, "gids=", &text)) || list->count)
			return -EINVAL;
		r = take_mappings(&text, arena, list);
		if (r < 0)
			return r;
		text += *text == ';';
	}
	if (!uids.count || !gids.count)
		return -EINVAL;
	ret->uid_mappings = uids;
	ret->gid_mappings = gids;
	return 0;
}

static int parse_idmap(const char *option, const char *text, struct arena *arena,
	struct spec_mount_options *ret, struct err *err)
{
	struct json_context ctx = {.arena = arena, .err = err};
	int r = take_both(text, arena, ret);

	if (r == -ENOMEM)
		return err_sys(err, r, "reading mount options");
	if (r < 0)
		return err_set(err, -EINVAL,
			"\"%s\" must be \"idmap=uids=BACKING-HOST-SIZE;gids=BACKING-HOST-SIZE\", "
			"ranges joined by \"#\", \"@\" in front of relative ones",
			option);
	for (size_t i = 0; i < ret->uid_mappings.count; i++)
		ret->mappings_relative |= ret->uid_mappings.items[i].relative;
	for (size_t i = 0; i < ret->gid_mappings.count; i++)
		ret->mappings_relative |= ret->gid_mappings.items[i].relative;
	ret->extra |= SPEC_MOUNT_IDMAP;
	r = spec_check_mappings(&ret->uid_mappings, "idmap: uids", &ctx);
	return r < 0 ? r : spec_check_mappings(&ret->gid_mappings, "idmap: gids", &ctx);
}

static int parse_option(
	const char *option, struct arena *arena, struct spec_mount_options *ret, struct err *err)
{
	const struct spec_mount_word *word = find_word(option);
	const char *rest;

	if (word) {
		apply_word(word, ret);
		return 0;
	}
	if (parse_has_prefix(option, "idmap=", &rest))
		return parse_idmap(option, rest, arena, ret, err);
	if (parse_has_prefix(option, "ridmap=", &rest)) {
		ret->extra |= SPEC_MOUNT_RIDMAP;
		return parse_idmap(option, rest, arena, ret, err);
	}
	if (!*option || *option == '=')
		return err_set(err, -EINVAL, "\"%s\" has no name", option);
	ret->data.items[ret->data.count++] = option;
	return 0;
}

int spec_mount_options_parse(const struct strings *words, struct arena *arena,
	struct spec_mount_options *ret, struct err *err)
{
	struct spec_mount_options options = {
		.sb_flags.items = arena_array(arena, words->count, const char *),
		.data.items = arena_array(arena, words->count, const char *),
	};

	if (!options.sb_flags.items || !options.data.items)
		return err_sys(err, -ENOMEM, "reading mount options");
	for (size_t i = 0; i < words->count; i++) {
		int r = parse_option(words->items[i], arena, &options, err);

		if (r < 0)
			return r;
	}
	if (options.extra & SPEC_MOUNT_BIND && options.data.count)
		return err_set(err, -EINVAL, "\"%s\" is not an option of a bind mount",
			options.data.items[0]);
	*ret = options;
	return 0;
}
