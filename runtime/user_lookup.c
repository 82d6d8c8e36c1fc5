/* SPDX-License-Identifier: Apache-2.0 */
/* Process: init, exec's entrant and joiner. What is looked up in the container's own files before
 * the user's process is executed. */
#include "runtime/user_lookup.h"

#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const char *user_find_env(const struct spec_process *process, const char *name)
{
	size_t n = strlen(name);

	/* The last one counts, as for a shell that sets them in turn. */
	for (size_t i = process->env.count; i-- > 0;)
		if (strncmp(process->env.items[i], name, n) == 0 && process->env.items[i][n] == '=')
			return process->env.items[i] + n + 1;
	return NULL;
}

/* ---- the executable ---- */

static int check_file(const char *path)
{
	struct stat st;
	int r = sys_fstatat(AT_FDCWD, path, &st, 0);

	if (r < 0)
		return r;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return st.st_mode & 0111 ? 0 : -EACCES;
}

/* execvp(3)'s search: the first that may be executed; otherwise what was wrong with the best. */
static int search_path(const char *name, const char *path, char *ret, size_t size)
{
	int result = -ENOENT;

	for (;;) {
		size_t n = strcspn(path, ":");
		int r = snprintf(ret, size, "%.*s/%s", (int)n, n ? path : ".", name) < (int)size
				? check_file(ret)
				: -ENAMETOOLONG;

		if (r == 0)
			return 0;
		if (r == -EACCES || r == -EISDIR)
			result = -EACCES;
		if (!path[n])
			return result;
		path += n + 1;
	}
}

/* The words are those that engines look for to tell 127 from 126. */
int user_exec_error(const char *name, int r, struct err *err)
{
	static const struct {
		int code;
		const char *words;
	} words[] = {
		{-ENOENT, "no such file or directory"},
		{-EACCES, "permission denied"},
		{-EPERM, "operation not permitted"},
		{-EISDIR, "is a directory: permission denied"}, /* dockerd knows only the second */
		{-ENOTDIR, "not a directory"},
		{-ENOEXEC, "exec format error"},
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (words[i].code == r)
			return err_set(err, r, "exec: \"%s\": %s", name, words[i].words);
	return err_sys(err, r, "exec: \"%s\"", name);
}

int user_find_executable(
	const struct spec_process *process, char *ret, size_t size, struct err *err)
{
	const char *name = process->args.items[0];
	const char *path = user_find_env(process, "PATH");
	int r;

	if (strchr(name, '/')) {
		r = snprintf(ret, size, "%s", name) < (int)size ? check_file(ret) : -ENAMETOOLONG;
		return r < 0 ? user_exec_error(name, r, err) : 0;
	}
	r = search_path(name, path ? path : default_path, ret, size);
	if (r == -ENOENT)
		return err_set(err, r, "exec: \"%s\": executable file not found in $PATH", name);
	return r < 0 ? user_exec_error(name, r, err) : 0;
}

/* ---- directory, environment ---- */

/* C2: a directory outside the root shows as one whose path does not begin with "/". */
int user_check_cwd(const char *cwd, struct err *err)
{
	char path[PATH_MAX];
	int r = sys_getcwd(path, sizeof(path));

	if (r < 0)
		return err_sys(err, r, "process.cwd: %s", cwd);
	return path[0] == '/'
		       ? 0
		       : err_set(err, -EPERM, "process.cwd: %s is outside of the container", cwd);
}

/* Makes a missing one, as engines expect; through the container's own root, so that no link leads
 * out (A6). *RET_LATER: only the user may enter it, so try again as the user. */
int user_enter_cwd(const char *cwd, bool *ret_later, struct err *err)
{
	autoclose int root = -1, dir = -1;
	int r = sys_chdir(cwd);

	*ret_later = r == -EACCES;
	if (r == -ENOENT) {
		root = sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0);
		dir = root < 0 ? root : path_mkdir(root, cwd, 0755, (uid_t)-1, (gid_t)-1);
		r = dir < 0 ? dir : sys_fchdir(dir);
	}
	if (r < 0 && !*ret_later)
		return err_sys(err, r, "process.cwd: %s", cwd);
	return *ret_later ? 0 : user_check_cwd(cwd, err);
}

/* The sixth field of UID's line in the container's own /etc/passwd. F9: whatever is there instead
 * of a small regular file counts as no answer. */
void user_find_home(uint32_t uid, char *ret, size_t size)
{
	autobuf struct buf text = {};
	char *line, *next;

	snprintf(ret, size, "HOME=/");
	if (fd_read_file(AT_FDCWD, "/etc/passwd", 1 << 20, &text) < 0)
		return;
	for (line = text.data; line && *line; line = next) {
		char *field[7];
		size_t n = 0;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		for (char *p = line; n < 7 && p; n++) {
			field[n] = p;
			p = strchr(p, ':');
			if (p)
				*p++ = '\0';
		}
		if (n == 7 && *field[2] && strtoul(field[2], NULL, 10) == uid && *field[5] == '/') {
			snprintf(ret, size, "HOME=%s", field[5]);
			return;
		}
	}
}
