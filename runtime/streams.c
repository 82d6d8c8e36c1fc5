/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/streams.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/sys.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statfs.h>

enum { MEMORY_DEVICES = 1 }; /* the major number of /dev/null and its like */

/* Whether a FIFO is one of pipe(2), which has no name in any file system. */
static bool is_nameless(int fd)
{
	struct statfs fs;

	return sys_fstatfs(fd, &fs) == 0 && fs.f_type == PIPEFS_MAGIC;
}

int stream_name(int fd, char ret[STREAM_NAME_MAX], int64_t *ret_size)
{
	struct statx st;
	int r = sys_statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &st);

	if (r < 0)
		return r;
	if (ret_size)
		*ret_size = S_ISREG(st.stx_mode) ? (int64_t)st.stx_size : -1;
	if (S_ISSOCK(st.stx_mode))
		snprintf(ret, STREAM_NAME_MAX, "socket:[%" PRIu64 "]", (uint64_t)st.stx_ino);
	else if (S_ISFIFO(st.stx_mode) && is_nameless(fd))
		snprintf(ret, STREAM_NAME_MAX, "pipe:[%" PRIu64 "]", (uint64_t)st.stx_ino);
	else if (S_ISREG(st.stx_mode) || S_ISFIFO(st.stx_mode) || S_ISDIR(st.stx_mode) ||
		 (S_ISCHR(st.stx_mode) && st.stx_rdev_major == MEMORY_DEVICES))
		snprintf(ret, STREAM_NAME_MAX, "file[%" PRIx64 ":%" PRIx64 "]",
			(uint64_t)st.stx_mnt_id, (uint64_t)st.stx_ino);
	else
		*ret = '\0';
	return 0;
}

int streams_describe(json_t **ret, struct err *err)
{
	autojson json_t *names = json_array();

	for (int fd = 0; fd < STREAMS_COUNT; fd++) {
		char name[STREAM_NAME_MAX];
		int r = stream_name(fd, name, NULL);

		if (r < 0)
			return err_sys(err, r, "look at descriptor %d", fd);
		if (json_array_append_new(names, json_string(name)) < 0)
			return err_sys(err, -ENOMEM, "describe the standard streams");
	}
	*ret = json_incref(names);
	return 0;
}
