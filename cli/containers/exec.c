/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/exec.h"

#include "base/sys.h"
#include "cli/containers/settle.h"
#include "cli/containers/user.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

static int set_user(const struct container *c, const char *text, struct arena *arena,
	struct spec_process *process, const char **ret_home, struct err *err)
{
	static const struct strings no_groups = {};
	bool bare;
	autoclose int root = container_open_root(c, &bare, err);
	struct statfs fs;
	struct user user;
	int r = root < 0 ? root : sys_fstatfs(root, &fs);

	if (r == 0 && fs.f_type == FUSE_SUPER_MAGIC && geteuid() != 0)
		r = user_find_inside(c->pidfd, root, text, &no_groups, arena, &user, err);
	else if (r == 0)
		r = user_find(root, text, &no_groups, arena, &user, err);
	if (r < 0)
		return r;
	process->user.uid = user.uid;
	process->user.gid = user.gid;
	process->user.additional_gids.items = user.groups;
	process->user.additional_gids.count = user.group_count;
	*ret_home = user.home;
	return 0;
}

/* D2: who is root has what the container may have, anybody else nothing. */
static int set_capabilities(const struct exec_request *request, struct arena *arena,
	struct spec_process *process, struct err *err)
{
	struct spec_capabilities *caps;
	uint64_t bounding = process->capabilities ? process->capabilities->bounding : 0;

	if (request->privileged)
		for (int cap = 0; spec_capability_name(cap); cap++)
			bounding |= 1ULL << cap;
	else if (!request->user)
		return 0;
	caps = arena_new(arena, struct spec_capabilities);
	if (!caps)
		return err_sys(err, -ENOMEM, "capabilities");
	caps->bounding = bounding;
	if (process->user.uid == 0)
		caps->effective = caps->permitted = bounding;
	process->capabilities = caps;
	return 0;
}

static int set_env(const struct exec_request *request, const char *home, struct arena *arena,
	struct spec_process *process, struct err *err)
{
	struct strings env = {};
	int r = 0;

	for (size_t i = 0; i < process->env.count && r == 0; i++)
		r = strings_add(&env, process->env.items[i], arena);
	if (r == 0 && request->tty)
		r = settle_env(&env, "TERM=xterm", arena);
	if (r == 0 && home)
		r = settle_env(&env, arena_printf(arena, "HOME=%s", home), arena);
	for (size_t i = 0; i < request->env.count && r == 0; i++)
		r = settle_env(&env, request->env.items[i], arena);
	process->env = env;
	return r < 0 ? err_sys(err, r, "environment") : 0;
}

int exec_build(const struct container *c, const struct spec_config *config,
	const struct exec_request *request, struct arena *arena, struct spec_process *ret,
	struct err *err)
{
	struct spec_process process = *config->process;
	const char *home = NULL;
	int r = 0;

	process.args = request->args;
	process.terminal = request->tty;
	process.console_size = NULL;
	if (request->cwd)
		process.cwd = request->cwd;
	if (request->user)
		r = set_user(c, request->user, arena, &process, &home, err);
	if (r == 0)
		r = set_capabilities(request, arena, &process, err);
	if (r == 0)
		r = set_env(request, home, arena, &process, err);
	if (r == 0)
		*ret = process;
	return r;
}
