/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/user.h"

#include "base/fd.h"
#include "base/json.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/sys.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 4 << 20, FIELDS = 7 };

/* One line "a:b:c…" taken apart in place. */
struct entry {
	char *fields[FIELDS];
	size_t count;
};

static void split(char *line, struct entry *ret)
{
	*ret = (struct entry){};
	while (line && ret->count < FIELDS)
		ret->fields[ret->count++] = strsep(&line, ":");
}

static bool entry_id(const struct entry *e, size_t field, uint32_t *ret)
{
	return e->count > field && parse_u32(e->fields[field], ret) == 0 && *ret != UINT32_MAX;
}

/* The first entry of TEXT whose name is NAME, or whose id (third field) is ID when NAME is NULL. */
static bool find_entry(
	const char *text, const char *name, uint32_t id, struct arena *arena, struct entry *ret)
{
	char *copy = arena_strdup(arena, text), *save = NULL;

	for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; line;
		line = strtok_r(NULL, "\n", &save)) {
		uint32_t own;

		split(line, ret);
		if (!entry_id(ret, 2, &own))
			continue;
		if (name ? strcmp(ret->fields[0], name) == 0 : own == id)
			return true;
	}
	return false;
}

static int add_group(struct user *user, uint32_t gid, struct arena *arena)
{
	uint32_t *groups;

	for (size_t i = 0; i < user->group_count; i++)
		if (user->groups[i] == gid)
			return 0;
	groups = arena_array(arena, user->group_count + 1, uint32_t);
	if (!groups)
		return -ENOMEM;
	if (user->group_count)
		memcpy(groups, user->groups, user->group_count * sizeof(*groups));
	groups[user->group_count++] = gid;
	user->groups = groups;
	return 0;
}

/* The groups that list the user NAME among their members. */
static int member_groups(const char *text, const char *name, struct arena *arena, struct user *user)
{
	char *copy = arena_strdup(arena, text), *save = NULL;
	int r = copy ? 0 : -ENOMEM;

	for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; line && r == 0;
		line = strtok_r(NULL, "\n", &save)) {
		struct entry e;
		uint32_t gid;
		char *inner;

		split(line, &e);
		if (!entry_id(&e, 2, &gid) || e.count < 4)
			continue;
		for (char *m = strtok_r(e.fields[3], ",", &inner); m && r == 0;
			m = strtok_r(NULL, ",", &inner))
			if (strcmp(m, name) == 0)
				r = add_group(user, gid, arena);
	}
	return r;
}

static int resolve_group(
	const char *text, const char *group, struct arena *arena, uint32_t *ret, struct err *err)
{
	struct entry e;

	if (find_entry(group, text, 0, arena, &e)) {
		entry_id(&e, 2, ret);
		return 0;
	}
	if (parse_u32(text, ret) == 0 && *ret != UINT32_MAX)
		return 0;
	return err_set(err, -ENOENT,
		"unable to find group %.100s: no matching entries in the image's group file", text);
}

static int resolve_user(const char *text, const char *passwd, const char *group, bool want_groups,
	struct arena *arena, struct user *user, struct err *err)
{
	bool number = parse_u32(text, &user->uid) == 0 && user->uid != UINT32_MAX;
	struct entry e;
	bool found = find_entry(passwd, text, 0, arena, &e);

	if (!found && number)
		found = find_entry(passwd, NULL, user->uid, arena, &e);
	if (!found && !number)
		return err_set(err, -ENOENT,
			"unable to find user %.100s: no matching entries in the image's passwd "
			"file",
			text);
	if (!found)
		return 0;
	entry_id(&e, 2, &user->uid);
	if (!entry_id(&e, 3, &user->gid))
		user->gid = 0;
	if (e.count > 5 && *e.fields[5] == '/')
		user->home = e.fields[5];
	if (want_groups && member_groups(group, e.fields[0], arena, user) < 0)
		return err_sys(err, -ENOMEM, "--user");
	return 0;
}

int user_resolve(const char *text, const struct strings *extra, const char *passwd,
	const char *group, struct arena *arena, struct user *ret, struct err *err)
{
	char *name = arena_strdup(arena, text && *text ? text : "0"), *colon;
	struct user user = {.home = "/"};
	int r;

	if (!name)
		return err_sys(err, -ENOMEM, "--user");
	colon = strchr(name, ':');
	if (colon)
		*colon++ = '\0';
	/* With a group of its own choice it has that one and no other. */
	r = resolve_user(*name ? name : "0", passwd, group, !colon, arena, &user, err);
	if (r == 0 && colon && *colon)
		r = resolve_group(colon, group, arena, &user.gid, err);
	for (size_t i = 0; i < extra->count && r == 0; i++) {
		uint32_t gid;

		r = resolve_group(extra->items[i], group, arena, &gid, err);
		if (r == 0 && add_group(&user, gid, arena) < 0)
			r = err_sys(err, -ENOMEM, "--group-add");
	}
	if (r == 0)
		*ret = user;
	return r;
}

/* Only a regular file is read: an image may have a fifo or a device there. */
static int read_text(int rootfd, const char *path, struct buf *ret)
{
	autoclose int fd = path_open(rootfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int r = fd < 0 ? fd : sys_fstat(fd, &st);

	if (r == -ENOENT || r == -ENOTDIR || (r == 0 && !S_ISREG(st.st_mode)))
		return 0;
	return r < 0 ? r : fd_read_all(fd, FILE_MAX, ret);
}

typedef int text_reader(void *context, const char *path, struct buf *ret);

static int find_by(text_reader *read, void *context, const char *text, const struct strings *extra,
	struct arena *arena, struct user *ret, struct err *err)
{
	autobuf struct buf passwd = {}, group = {};
	int r = read(context, "/etc/passwd", &passwd);

	if (r < 0)
		return err_sys(err, r, "the image's /etc/passwd");
	r = read(context, "/etc/group", &group);
	if (r < 0)
		return err_sys(err, r, "the image's /etc/group");
	return user_resolve(text, extra, buf_str(&passwd), buf_str(&group), arena, ret, err);
}

static int read_here(void *context, const char *path, struct buf *ret)
{
	return read_text(*(const int *)context, path, ret);
}

int user_find(int rootfd, const char *text, const struct strings *extra, struct arena *arena,
	struct user *ret, struct err *err)
{
	return find_by(read_here, &rootfd, text, extra, arena, ret, err);
}

/* ---- in somebody's user namespace ---- */

struct inside {
	int pidfd, rootfd;
};

static int copy_inside(const struct inside *in, const char *path, int out)
{
	autobuf struct buf text = {};
	int r = sys_setns(in->pidfd, CLONE_NEWUSER);

	if (r == 0)
		r = sys_setresgid(0, 0, 0);
	if (r == 0)
		r = sys_setresuid(0, 0, 0);
	if (r == 0)
		r = read_text(in->rootfd, path, &text);
	return r < 0 ? r : fd_write_all(out, text.data, text.len);
}

static int read_inside(void *context, const char *path, struct buf *ret)
{
	autoclose int out = sys_memfd_create("passwd", 0);
	int status = 0;
	pid_t pid = out < 0 ? out : sys_fork();

	if (pid < 0)
		return pid;
	if (pid == 0)
		_exit(-copy_inside(context, path, out));
	if (sys_waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return -ECHILD;
	if (WEXITSTATUS(status))
		return -WEXITSTATUS(status);
	return lseek(out, 0, SEEK_SET) < 0 ? -errno : fd_read_all(out, FILE_MAX, ret);
}

int user_find_inside(int pidfd, int rootfd, const char *text, const struct strings *extra,
	struct arena *arena, struct user *ret, struct err *err)
{
	struct inside in = {pidfd, rootfd};

	return find_by(read_inside, &in, text, extra, arena, ret, err);
}
