/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlay mounts by mount(2). Whatever is given to overlay as a path must be mounted in the
 * caller's own mount namespace, and all of it must fit in a page: so a child attaches clones of
 * everything under numbers in an empty tmpfs of a namespace that ends with it.
 */
#include "images/overlay.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { OPTIONS_MAX = 4096 };

/* Where the tmpfs is put: every system has it, and the child needs nothing that is in it. */
static const char place[] = "/proc";

static int make_options(const struct overlay *o, char options[OPTIONS_MAX], struct err *err)
{
	int n = snprintf(options, OPTIONS_MAX,
		"userxattr%s%s,lowerdir=", o->volatile_ && o->top >= 0 ? ",volatile" : "",
		o->top >= 0 ? ",upperdir=top/upper,workdir=top/work" : "");

	for (size_t i = 0; i < o->count && n < OPTIONS_MAX; i++)
		n += snprintf(options + n, (size_t)(OPTIONS_MAX - n), "%s%zu", i ? ":" : "", i);
	if (n >= OPTIONS_MAX)
		return err_set(err, -E2BIG, "%zu layers are more than this kernel takes (6.7 does)",
			o->count);
	return 0;
}

/* Clones have to be made where the originals are mounted, so before the new namespace. */
static int clone_all(const struct overlay *o, int *trees, int *ret_top, struct err *err)
{
	*ret_top = -1;
	for (size_t i = 0; i < o->count; i++) {
		trees[i] = overlay_clone(o->lowers[i], o->userns, err);
		if (trees[i] < 0)
			return trees[i];
	}
	if (o->top >= 0)
		*ret_top = overlay_clone(o->top, -1, err);
	return o->top >= 0 && *ret_top < 0 ? *ret_top : 0;
}

static int attach(int tree, const char *name)
{
	int r = sys_mkdirat(AT_FDCWD, name, 0700);

	return r < 0 ? r : sys_move_mount(tree, "", AT_FDCWD, name, MOVE_MOUNT_F_EMPTY_PATH);
}

/* In the child: the empty tmpfs becomes the working directory. */
static int make_place(void)
{
	int r = sys_unshare(CLONE_NEWNS);

	if (r == 0)
		r = sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	if (r == 0)
		r = sys_mount("tmpfs", place, "tmpfs", 0, "mode=700");
	if (r == 0)
		r = sys_chdir(place);
	return r == 0 ? sys_mkdirat(AT_FDCWD, "mount", 0700) : r;
}

static int mount_here(const struct overlay *o, int *trees, struct err *err)
{
	char options[OPTIONS_MAX], name[24];
	int r = make_options(o, options, err), top = -1;

	if (r == 0)
		r = clone_all(o, trees, &top, err);
	if (r < 0)
		return r;
	r = make_place();
	for (size_t i = 0; r == 0 && i < o->count; i++) {
		snprintf(name, sizeof(name), "%zu", i);
		r = attach(trees[i], name);
	}
	if (r == 0 && top >= 0)
		r = attach(top, "top");
	if (r < 0)
		return err_sys(err, r, "overlay: lay out %zu layers", o->count);
	r = sys_mount("overlay", "mount", "overlay", o->top < 0 ? MS_RDONLY : 0, options);
	if (r == 0)
		r = sys_open_tree(AT_FDCWD, "mount", OPEN_TREE_CLONE);
	return r < 0 ? err_sys(err, r, "overlay: mount") : r;
}

/*
 * Answers with an error, of code 0 when the mount comes with it. TREES was allocated by the parent:
 * other threads may have had malloc's lock at the clone.
 */
static _Noreturn void child(const struct overlay *o, int *trees, int sock)
{
	struct err err = {};
	int fs = mount_here(o, trees, &err);

	fd_send(sock, &err, sizeof(err), &fs, fs >= 0);
	_exit(0);
}

static int take_answer(int sock, pid_t pid, struct err *err)
{
	struct err answer = {};
	autoclose int fs = -1;
	size_t nfds = 1;
	ssize_t n = fd_recv(sock, &answer, sizeof(answer), &fs, &nfds);
	int status;

	sys_waitpid(pid, &status, 0);
	if (n != sizeof(answer))
		return err_sys(err, n < 0 ? (int)n : -EPIPE, "overlay: the mounting process");
	if (answer.code < 0)
		*err = answer;
	return answer.code < 0 ? answer.code : take_fd(&fs);
}

int overlay_mount_by_text(const struct overlay *o, struct err *err)
{
	struct clone_args args = {.flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
	autofree int *trees = calloc(o->count + 1, sizeof(*trees));
	autoclose int ours = -1, theirs = -1;
	int pair[2], r = trees ? sys_socketpair(SOCK_SEQPACKET, pair) : -ENOMEM;
	pid_t pid;

	if (r < 0)
		return err_sys(err, r, "overlay");
	ours = pair[0], theirs = pair[1];
	pid = sys_clone3(&args);
	if (pid < 0)
		return err_sys(err, pid, "overlay");
	if (pid == 0)
		child(o, trees, theirs);
	cleanup_close(&theirs);
	return take_answer(ours, pid, err);
}
