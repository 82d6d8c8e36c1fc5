/* SPDX-License-Identifier: Apache-2.0 */
/* kernel: what virtual machines boot. */
#include "cli/brig/kernel.h"

#include "base/path.h"
#include "base/process.h"
#include "base/sys.h"
#include "cli/brig/images.h"
#include "runtime/microvm/host/kernel_store.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OPENED(values, member) OPTION_AT(values, member)

struct kernel_ls_values {
	const char *format;
	bool quiet;
};
struct kernel_import_values {
	const char *modules, *name;
	bool use;
};
struct kernel_build_values {
	const char *source, *name;
	struct opt_u32 jobs;
	bool use;
};
VALUES_FIT(struct kernel_build_values);

static const struct option ls_options[] = {
	{"format", 0, OPTION_TEXT, OPENED(kernel_ls_values, format), .argument = "FORMAT",
		.help = "table, json, or a template"},
	{"quiet", 'q', OPTION_FLAG, OPENED(kernel_ls_values, quiet), .help = "print only names"},
	{NULL},
};

static const struct option import_options[] = {
	{"modules", 0, OPTION_TEXT, OPENED(kernel_import_values, modules), .argument = "DIR",
		.help = "the folder of its modules.dep or modules.builtin"},
	{"name", 0, OPTION_TEXT, OPENED(kernel_import_values, name), .argument = "NAME",
		.help = "call it NAME [its version]"},
	{"use", 0, OPTION_FLAG, OPENED(kernel_import_values, use),
		.help = "boot it from now on, where no kernel is named"},
	{NULL},
};

static const struct option build_options[] = {
	{"jobs", 'j', OPTION_OPT_U32, OPENED(kernel_build_values, jobs), .argument = "N",
		.help = "as many compilers beside each other [one for each processor]"},
	{"name", 0, OPTION_TEXT, OPENED(kernel_build_values, name), .argument = "NAME",
		.help = "call it NAME [its version]"},
	{"source", 0, OPTION_TEXT, OPENED(kernel_build_values, source), .argument = "PATH",
		.help = "Linux's source, a folder or an archive [/usr/src/linux-source-*]"},
	{"use", 0, OPTION_FLAG, OPENED(kernel_build_values, use),
		.help = "boot it from now on, where no kernel is named"},
	{NULL},
};

static int need_root(const char *verb, struct err *err)
{
	return geteuid() == 0 ? 0
			      : err_set(err, -EPERM,
					"kernel %s: only root can make virtual machines", verb);
}

/* ---- ls ---- */

static const struct list_field fields[] = {
	{"Name", "NAME"}, {"Path", "PATH"}, {"Status", "STATUS"}, {NULL}};

static int add_row(const struct kernel_entry *e, void *arg)
{
	const char *status = *e->problem ? e->problem : e->used ? "in use" : "can be used";

	return json_array_append_new(arg,
		json_pack("{s:s, s:s, s:s}", "Name", e->name, "Path", e->path, "Status", status));
}

static int kernel_ls(const struct invocation *inv, struct err *err)
{
	const struct kernel_ls_values *v = inv->options;
	autojson json_t *rows = json_array();
	const struct list_options list = {
		.fields = fields,
		.columns = "{{.Name}}\t{{.Path}}\t{{.Status}}",
		.quiet = "{{.Name}}",
		.format = v->format,
		.is_quiet = v->quiet,
	};
	autobuf struct buf text = {};
	int r = need_root("ls", err);

	if (r == 0)
		r = kernel_each(add_row, rows, err);
	if (r == 0)
		r = list_print(&list, rows, &text, err);
	return r < 0 ? r : print_buf(&text, err);
}

/* ---- import, use, rm ---- */

static int import(const struct kernel_import_options *options, struct err *err)
{
	char name[sizeof((struct kernel_entry){}.name)];
	int r = kernel_import(options, name, err);

	if (r == 0)
		printf("%s\n", name);
	return r;
}

static int kernel_import_run(const struct invocation *inv, struct err *err)
{
	const struct kernel_import_values *v = inv->options;
	const struct kernel_import_options options = {
		.image = inv->args[0], .modules = v->modules, .name = v->name, .use = v->use};
	int r = need_root("import", err);

	return r < 0 ? r : import(&options, err);
}

static int kernel_use_run(const struct invocation *inv, struct err *err)
{
	const char *name = inv->args[0];
	int r = need_root("use", err);

	return r < 0 ? r : kernel_use(strcmp(name, "host") == 0 ? NULL : name, err);
}

static int kernel_rm_run(const struct invocation *inv, struct err *err)
{
	int r = need_root("rm", err);

	for (size_t i = 0; r == 0 && i < inv->arg_count; i++)
		r = kernel_remove(inv->args[i], err);
	return r;
}

/* ---- build ---- */

static int run_build(
	const struct brig *b, const struct kernel_build_values *v, const char *out, struct err *err)
{
	static const char *const envp[] = {"PATH=/usr/bin:/bin", "LC_ALL=C", NULL};
	char path[PATH_MAX + 32], fragment[PATH_MAX + 32], jobs[16], cwd[PATH_MAX];
	const char *source = v->source ? v->source : "";
	const char *argv[] = {"brig-kernel-build", fragment, source, out, jobs, NULL};
	const struct process_options options = {
		.path = path,
		.argv = argv,
		.envp = envp,
		.stdout_fd = STDERR_FILENO,
		.stderr_fd = STDERR_FILENO,
	};
	int status, r;

	snprintf(path, sizeof(path), "%s/brig-kernel-build", b->dirs.libexec);
	snprintf(fragment, sizeof(fragment), "%s/kernel-fragment", b->dirs.share);
	snprintf(jobs, sizeof(jobs), "%ld",
		v->jobs.set ? (long)v->jobs.value : sysconf(_SC_NPROCESSORS_ONLN));
	if (sys_getcwd(cwd, sizeof(cwd)) < 0)
		return err_sys(err, -ENOENT, "find the current directory");
	if (*source && *source != '/')
		source = arena_printf(b->arena, "%s/%s", cwd, source);
	if (!source)
		return err_sys(err, -ENOMEM, "--source");
	argv[2] = source;
	r = process_run(&options, &status, err);
	if (r == 0 && status)
		r = err_set(err, -EIO, "kernel build: failed");
	return r;
}

static int kernel_build_run(const struct invocation *inv, struct err *err)
{
	const struct kernel_build_values *v = inv->options;
	autobrig struct brig b = BRIG_NONE;
	char out[64], image[sizeof(out) + 16];
	const struct kernel_import_options options = {
		.image = image, .name = v->name, .use = v->use};
	int r = need_root("build", err);

	if (r == 0)
		r = brig_open(inv, &b, err);
	snprintf(out, sizeof(out), "/var/tmp/brig-kernel-%d", getpid());
	if (r == 0 && (r = sys_mkdirat(AT_FDCWD, out, 0700)) < 0)
		err_sys(err, r, "%s", out);
	if (r < 0)
		return r;
	snprintf(image, sizeof(image), "%s/vmlinux", out);
	r = run_build(&b, v, out, err);
	if (r == 0)
		r = import(&options, err);
	path_remove_tree(AT_FDCWD, out);
	return r;
}

#define TAKES(table, values) .options = table##_options, .options_size = sizeof(struct values)

const struct command kernel_commands[] = {
	{"ls", "[OPTIONS]",
		"List the kernels that virtual machines can boot, and why others cannot",
		TAKES(ls, kernel_ls_values), .run = kernel_ls},
	{"list", "[OPTIONS]", "List kernels", TAKES(ls, kernel_ls_values), .hidden = true,
		.run = kernel_ls},
	{"import", "[OPTIONS] IMAGE", "Take a vmlinux or bzImage and those modules that guests use",
		TAKES(import, kernel_import_values), .min_args = 1, .max_args = 1,
		.run = kernel_import_run},
	{"build", "[OPTIONS]",
		"Build the fast kernel, with everything built in, from Linux's source",
		TAKES(build, kernel_build_values),
		.details = "It needs a compiler, some minutes and 2 GB in /var/tmp; Debian has the "
			   "source as linux-source.",
		.run = kernel_build_run},
	{"use", "NAME|host", "Boot an imported kernel from now on, or this machine's own again",
		.min_args = 1, .max_args = 1, .run = kernel_use_run},
	{"rm", "NAME...", "Remove imported kernels", .min_args = 1, .max_args = COMMAND_ANY_ARGS,
		.run = kernel_rm_run},
	{NULL},
};
