/* SPDX-License-Identifier: Apache-2.0 */
/* Process: init. New file systems that one mount(2) can make. */
#include "base/sys.h"
#include "runtime/mounts.h"

#include <string.h>
#include <sys/mount.h>

/* What both interfaces know; MOUNT_ATTR_RDONLY is left out, because mount(2) would ask it of the
 * superblock too, which may be shared with the host. */
static const struct {
	uint64_t attr;
	unsigned long flag;
} attributes[] = {
	{MOUNT_ATTR_NOSUID, MS_NOSUID},
	{MOUNT_ATTR_NODEV, MS_NODEV},
	{MOUNT_ATTR_NOEXEC, MS_NOEXEC},
	{MOUNT_ATTR_NOATIME, MS_NOATIME},
	{MOUNT_ATTR_STRICTATIME, MS_STRICTATIME},
	{MOUNT_ATTR_NODIRATIME, MS_NODIRATIME},
};

static bool plain_flags(uint64_t attrs, unsigned long *ret)
{
	*ret = 0;
	for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
		if (attrs & attributes[i].attr) {
			*ret |= attributes[i].flag;
			attrs &= ~attributes[i].attr;
		}
	return !attrs;
}

bool mounts_is_plain(const struct plan_mount *mount, unsigned long *ret_flags, struct buf *ret_data)
{
	const struct spec_mount_options *options = &mount->spec->options;
	bool has_mode = false;

	if (mount->is_dev || mount->context || options->sb_flags.count || options->extra ||
		options->rec_attr_set ||
		(options->propagation && options->propagation != MS_PRIVATE) ||
		!plain_flags(options->attr_set, ret_flags))
		return false;
	for (size_t i = 0; i < options->data.count; i++) {
		const char *item = options->data.items[i];

		/* As one text, where a comma separates. */
		if (strchr(item, ','))
			return false;
		has_mode |= strncmp(item, "mode=", 5) == 0;
		buf_printf(ret_data, "%s%s", i ? "," : "", item);
	}
	/* A tmpfs without a mode gets that of what it covers. */
	return !ret_data->failed && ret_data->len < 4096 &&
	       (mount->kind != PLAN_MOUNT_TMPFS || has_mode);
}

int mounts_make_plain(const struct plan_mount *mount, int dest)
{
	autobuf struct buf data = {};
	unsigned long flags;
	int r;

	if (!mounts_is_plain(mount, &flags, &data))
		return -EOPNOTSUPP;
	r = sys_fchdir(dest);
	return r < 0 ? r
		     : sys_mount(mount->source ? mount->source : "none", ".", mount->type, flags,
			       buf_str(&data));
}
