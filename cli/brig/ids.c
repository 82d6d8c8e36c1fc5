/* SPDX-License-Identifier: Apache-2.0 */
/* Which ids a user without privilege may give to files. */
#include "base/fd.h"
#include "base/sys.h"
#include "cli/brig/images.h"
#include "images/userns.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { PASSWD_MAX = 4 << 20 };

/* libc's own look-up wants shared libraries, which a static program has no business with. */
char *ids_user_name(uid_t uid, struct arena *arena)
{
	autoclose int fd = sys_openat(AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
	autobuf struct buf text = {};
	char wanted[16];

	if (fd < 0 || fd_read_all(fd, PASSWD_MAX, &text) < 0)
		return NULL;
	snprintf(wanted, sizeof(wanted), "%u", uid);
	for (char *line = text.data, *next; line && *line; line = next) {
		char *password = strchr(line, ':'), *id, *end;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		id = password ? strchr(password + 1, ':') : NULL;
		end = id ? strchr(id + 1, ':') : NULL;
		if (!end)
			continue;
		*end = *password = '\0';
		if (strcmp(id + 1, wanted) == 0)
			return arena_strdup(arena, line);
	}
	return NULL;
}

static int make_ranges(struct arena *arena, const char *file, const char *user, uint32_t own,
	const struct store_id_range **ret, size_t *ret_count, struct err *err)
{
	struct store_id_range *ranges = arena_array(arena, 2, struct store_id_range);
	int r;

	if (!ranges)
		return err_sys(err, -ENOMEM, "%s", file);
	ranges[0] = (struct store_id_range){.inside = 0, .outside = own, .count = 1};
	r = userns_find_subids(file, user, geteuid(), &ranges[1], err);
	*ret = ranges;
	*ret_count = 2;
	return r;
}

int ids_of_user(struct arena *arena, struct store_ids *ret, struct err *err)
{
	const char *user = ids_user_name(geteuid(), arena);
	struct store_ids ids = {};
	struct err missing = {};
	int r = sys_faccessat(AT_FDCWD, "/usr/bin/newuidmap", X_OK, 0);

	if (r == 0)
		r = make_ranges(
			arena, "/etc/subuid", user, geteuid(), &ids.uids, &ids.uid_count, &missing);
	if (r == 0)
		r = make_ranges(
			arena, "/etc/subgid", user, getegid(), &ids.gids, &ids.gid_count, &missing);
	if (r == -ENOMEM)
		return err_sys(err, r, "ids");
	*ret = r == 0 ? ids : (struct store_ids){.single = true};
	return 0;
}
