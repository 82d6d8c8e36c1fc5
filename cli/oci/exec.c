/* SPDX-License-Identifier: Apache-2.0 */
/* exec. */
#include "cli/foreground.h"
#include "cli/oci/oci.h"
#include "cli/self.h"

#include "base/fd.h"
#include "base/parse.h"
#include "base/sys.h"

#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>

#define EXEC_AT(member) OPTION_AT(oci_exec_values, member)

const struct option oci_exec_options[] = {
	{"process", 'p', OPTION_TEXT, EXEC_AT(process), .argument = "FILE",
		.help = "read the process, as in config.json, from FILE"},
	{"cwd", 0, OPTION_TEXT, EXEC_AT(cwd), .argument = "DIR", .help = "start in DIR"},
	{"env", 'e', OPTION_TEXTS, EXEC_AT(env), .argument = "NAME=VALUE",
		.help = "add a variable to the container's environment"},
	{"tty", 't', OPTION_FLAG, EXEC_AT(tty), .help = "give it a terminal"},
	{"user", 'u', OPTION_TEXT, EXEC_AT(user), .argument = "UID[:GID]", .help = "run as UID"},
	{"additional-gids", 'g', OPTION_TEXTS, EXEC_AT(additional_gids), .argument = "GID",
		.help = "add a supplementary group"},
	{"cap", 'c', OPTION_TEXTS, EXEC_AT(caps), .argument = "CAP", .help = "add a capability"},
	{"no-new-privs", 0, OPTION_OPT_FLAG, EXEC_AT(no_new_privs),
		.help = "forbid gaining privileges by executing a file"},
	{"apparmor", 0, OPTION_TEXT, EXEC_AT(apparmor), .argument = "PROFILE",
		.help = "confine it by an AppArmor profile"},
	{"process-label", 0, OPTION_TEXT, EXEC_AT(process_label), .argument = "LABEL",
		.help = "give it an SELinux label"},
	{"cgroup", 0, OPTION_TEXT, EXEC_AT(cgroup), .argument = "PATH",
		.help = "start it in PATH below the container's cgroup"},
	{"ignore-paused", 0, OPTION_FLAG, EXEC_AT(ignore_paused),
		.help = "do not refuse a paused container"},
	{"detach", 'd', OPTION_FLAG, EXEC_AT(detach), .help = "return as soon as it runs"},
	{"console-socket", 0, OPTION_TEXT, EXEC_AT(console_socket), .argument = "PATH",
		.help = "send the terminal's master to the socket PATH"},
	{"pid-file", 0, OPTION_TEXT, EXEC_AT(pid_file), .argument = "FILE",
		.help = "write its pid to FILE"},
	{"pidfd-socket", 0, OPTION_TEXT, EXEC_AT(pidfd_socket), .argument = "PATH",
		.help = "send a pidfd of it to the socket PATH"},
	{"preserve-fds", 0, OPTION_U32, EXEC_AT(preserve_fds), .argument = "N",
		.help = "leave N descriptors after standard error open for it"},
	{"no-subreaper", 0, OPTION_FLAG, .hidden = true, EXEC_AT(no_subreaper)},
	{NULL},
};

/* D3: "UID" or "UID:GID", strictly. */
static int parse_user(const char *text, struct spec_user *ret, struct err *err)
{
	const char *colon = strchr(text, ':');
	autofree char *uid = colon ? strndup(text, (size_t)(colon - text)) : strdup(text);

	if (!uid)
		return err_sys(err, -ENOMEM, "--user");
	if (parse_u32(uid, &ret->uid) < 0 || (colon && parse_u32(colon + 1, &ret->gid) < 0) ||
		ret->uid == UINT32_MAX || ret->gid == UINT32_MAX)
		return err_set(
			err, -EINVAL, "--user: \"%s\" is not UID or UID:GID, in numbers", text);
	return 0;
}

static int parse_gids(
	const struct strings *texts, struct arena *arena, struct spec_user *ret, struct err *err)
{
	if (!texts->count)
		return 0;
	ret->additional_gids.items = arena_array(arena, texts->count, uint32_t);
	if (!ret->additional_gids.items)
		return err_sys(err, -ENOMEM, "--additional-gids");
	ret->additional_gids.count = texts->count;
	for (size_t i = 0; i < texts->count; i++)
		if (parse_u32(texts->items[i], &ret->additional_gids.items[i]) < 0)
			return err_set(err, -EINVAL, "--additional-gids: \"%s\" is not a number",
				texts->items[i]);
	return 0;
}

/* Added where a process of root's has them; D1: never inheritable, so never by surprise. */
static int add_caps(const struct strings *names, struct arena *arena, struct spec_process *process,
	struct err *err)
{
	struct spec_capabilities *caps;

	if (!names->count)
		return 0;
	caps = arena_new(arena, struct spec_capabilities);
	if (!caps)
		return err_sys(err, -ENOMEM, "--cap");
	if (process->capabilities)
		*caps = *process->capabilities;
	for (size_t i = 0; i < names->count; i++) {
		int cap;

		if (spec_capability_parse(names->items[i], &cap) < 0)
			return err_set(err, -EINVAL, "--cap: there is no capability \"%s\"",
				names->items[i]);
		caps->bounding |= 1ULL << cap;
		caps->permitted |= 1ULL << cap;
		caps->effective |= 1ULL << cap;
	}
	process->capabilities = caps;
	return 0;
}

static int add_env(
	const struct strings *add, struct arena *arena, struct strings *env, struct err *err)
{
	const char **items;

	if (!add->count)
		return 0;
	items = arena_array(arena, env->count + add->count, const char *);
	if (!items)
		return err_sys(err, -ENOMEM, "--env");
	for (size_t i = 0; i < env->count; i++)
		items[i] = env->items[i];
	for (size_t i = 0; i < add->count; i++) {
		if (!strchr(add->items[i], '='))
			return err_set(
				err, -EINVAL, "--env: \"%s\" is not NAME=VALUE", add->items[i]);
		items[env->count + i] = add->items[i];
	}
	*env = (struct strings){.items = items, .count = env->count + add->count};
	return 0;
}

/* The container's own process, changed as the options say. */
static int build_process(const struct invocation *inv, const struct spec_config *config,
	struct spec_process *ret, struct err *err)
{
	const struct oci_exec_values *values = inv->options;
	struct arena *arena = inv->arena;
	int r;

	if (inv->arg_count < 2)
		return err_set(err, -EINVAL, "exec: say what to run, or give --process FILE");
	*ret = *config->process;
	ret->args = (struct strings){
		.items = (const char **)(inv->args + 1),
		.count = inv->arg_count - 1,
	};
	ret->terminal = values->tty;
	ret->cwd = values->cwd ? values->cwd : ret->cwd;
	ret->apparmor_profile = values->apparmor ? values->apparmor : ret->apparmor_profile;
	ret->selinux_label = values->process_label ? values->process_label : ret->selinux_label;
	if (values->no_new_privs.set)
		ret->no_new_privileges = values->no_new_privs.value;
	r = values->user ? parse_user(values->user, &ret->user, err) : 0;
	if (r == 0)
		r = parse_gids(&values->additional_gids, arena, &ret->user, err);
	if (r == 0)
		r = add_caps(&values->caps, arena, ret, err);
	return r < 0 ? r : add_env(&values->env, arena, &ret->env, err);
}

static int read_process(const char *path, struct arena *arena, json_t **ret_json,
	struct spec_process **ret, struct err *err)
{
	autobuf struct buf text = {};
	autoclose int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_NOCTTY, 0);
	int r = fd < 0 ? fd : fd_read_all(fd, 16 << 20, &text);

	if (r < 0)
		return err_sys(err, r, "--process: read %s", path);
	return spec_process_parse(path, buf_str(&text), text.len, arena, ret_json, ret, err);
}

static int run(const struct invocation *inv, struct runtime *rt, const struct exec_options *options,
	struct err *err)
{
	const struct oci_exec_values *values = inv->options;
	autocancel struct cancel cancel = {-1};
	struct foreground fg = {.pidfd = -1, .master = -1};
	int r = cancel_open(&cancel, err);

	rt->cancel = &cancel;
	if (r == 0)
		r = foreground_begin(err);
	if (r == 0)
		r = container_exec(rt, options, &fg.pid, &fg.pidfd, &fg.master, err);
	if (r == 0 && !values->detach)
		r = foreground_wait(&fg, err);
	cleanup_close(&fg.pidfd);
	cleanup_close(&fg.master);
	return r;
}

int oci_exec(const struct invocation *inv, struct err *err)
{
	const struct oci_exec_values *values = inv->options;
	autoruntime struct runtime rt = {.rootfd = -1, .procfd = -1};
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1};
	autospec struct spec_config *config = NULL;
	autojson json_t *json = NULL;
	struct spec_process *process = NULL, own;
	struct exec_options options = {
		.id = inv->args[0],
		.console_socket = values->console_socket,
		.pid_file = values->pid_file,
		.pidfd_socket = values->pidfd_socket,
		.cgroup = values->cgroup,
		.ignore_paused = values->ignore_paused,
		.preserve_fds = values->preserve_fds,
	};
	int r = self_protect(inv->argv, err);

	if (r == 0)
		r = oci_check_preserved(values->preserve_fds, err);
	if (r == 0)
		r = oci_open_runtime(inv, &rt, err);
	if (r == 0)
		r = container_open(&rt, options.id, false, &c, err);
	if (r == 0 && values->process) {
		r = read_process(values->process, inv->arena, &json, &process, err);
	} else if (r == 0) {
		r = container_config(&c, &config, err);
		if (r == 0)
			r = build_process(inv, config, &own, err);
		process = &own;
	}
	if (r < 0)
		return r;
	if (values->process && values->tty)
		process->terminal = true;
	if (process->terminal && values->detach && !values->console_socket)
		return err_set(
			err, -EINVAL, "exec --detach: the terminal needs a --console-socket");
	options.process = process;
	options.container = &c;
	options.config = config;
	return run(inv, &rt, &options, err);
}
