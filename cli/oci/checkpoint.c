/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint, restore. */
#include "cli/foreground.h"
#include "cli/oci/oci.h"

#include "base/sys.h"

#include <sched.h>
#include <string.h>
#include <sys/prctl.h>

const struct oci_restore_values oci_restore_defaults = {.restore.create.bundle = "."};

static const struct json_name cgroups_modes[] = {
	{"ignore", CRIU_CGROUPS_IGNORE},
	{"none", CRIU_CGROUPS_NONE},
	{"props", CRIU_CGROUPS_PROPS},
	{"soft", CRIU_CGROUPS_SOFT},
	{"full", CRIU_CGROUPS_FULL},
	{"strict", CRIU_CGROUPS_STRICT},
	{NULL, 0},
};

static int parse_empty_namespace(
	const char *value, struct arena *arena, void *dest, struct err *err)
{
	uint32_t *flags = dest;

	(void)arena;
	if (strcmp(value, "network") != 0 && strcmp(value, "net") != 0)
		return err_set(err, -EINVAL,
			"criu can leave only the network namespace empty, not \"%s\"", value);
	*flags |= CLONE_NEWNET;
	return 0;
}

#define CHECKPOINT_AT(member) OPTION_AT(oci_checkpoint_values, checkpoint.member)
#define RESTORE_AT(member)    OPTION_AT(oci_restore_values, restore.member)

/* What both verbs pass on to criu; AT says where it goes. */
#define CRIU_OPTIONS(AT)                                                                           \
	{"image-path", 0, OPTION_TEXT, AT(image_path), .argument = "DIR",                          \
		.help = "the directory of the images"},                                            \
		{"work-path", 0, OPTION_TEXT, AT(work_path), .argument = "DIR",                    \
			.help = "write criu's log to DIR [the images' directory]"},                \
		{"tcp-established", 0, OPTION_FLAG, AT(flags.tcp_established),                     \
			.help = "keep open TCP connections"},                                      \
		{"tcp-skip-in-flight", 0, OPTION_FLAG, AT(flags.tcp_skip_in_flight),               \
			.help = "leave out TCP connections that are not established yet"},         \
		{"tcp-close", 0, OPTION_FLAG, AT(flags.tcp_close),                                 \
			.help = "restore TCP connections as closed ones"},                         \
		{"ext-unix-sk", 0, OPTION_FLAG, AT(flags.ext_unix_sk),                             \
			.help = "keep Unix sockets that lead out of the container"},               \
		{"shell-job", 0, OPTION_FLAG, AT(flags.shell_job),                                 \
			.help = "the container's processes are jobs of the shell's terminal"},     \
		{"file-locks", 0, OPTION_FLAG, AT(flags.file_locks), .help = "keep file locks"},   \
		{"link-remap", 0, OPTION_FLAG, AT(flags.link_remap),                               \
			.help = "keep open files that were removed by linking them anew"},         \
		{"manage-cgroups-mode", 0, OPTION_NAME, AT(flags.cgroups), .names = cgroups_modes, \
			.help = "how criu keeps cgroups; with ignore the container gets its "      \
				"cgroup from its configuration alone"},                            \
		{"empty-ns", 0, OPTION_CUSTOM, AT(empty_namespaces), .argument = "network",        \
			.parse = parse_empty_namespace,                                            \
			.help = "make the network namespace, but leave it to hooks to fill it"},   \
		{"auto-dedup", 0, OPTION_FLAG, AT(flags.auto_dedup),                               \
			.help = "drop pages from earlier images that this one replaces"},          \
		{"lsm-profile", 0, OPTION_TEXT, AT(flags.lsm_profile), .argument = "TYPE:NAME",    \
			.help = "restore with this apparmor or selinux profile"},                  \
	{                                                                                          \
		"lsm-mount-context", 0, OPTION_TEXT, AT(flags.lsm_mount_context),                  \
			.argument = "LABEL",                                                       \
			.help = "restore mounts that have a context= with this one"                \
	}

/* Pages over the network need a second criu that answers for them as long as it takes. */
#define LAZY_OPTIONS(STRUCT)                                                                       \
	{"lazy-pages", 0, OPTION_FLAG, .hidden = true, OPTION_AT(STRUCT, lazy.lazy_pages)},        \
		{"status-fd", 0, OPTION_TEXT, .hidden = true, OPTION_AT(STRUCT, lazy.status_fd)},  \
	{                                                                                          \
		"page-server", 0, OPTION_TEXT, .hidden = true, OPTION_AT(STRUCT, lazy.page_server) \
	}

const struct option oci_checkpoint_options[] = {
	CRIU_OPTIONS(CHECKPOINT_AT),
	{"leave-running", 0, OPTION_FLAG, CHECKPOINT_AT(leave_running),
		.help = "let the container go on afterwards"},
	{"pre-dump", 0, OPTION_FLAG, CHECKPOINT_AT(pre_dump),
		.help = "write only memory, and let the container go on; a checkpoint with "
			"--parent-path is then short"},
	{"parent-path", 0, OPTION_TEXT, CHECKPOINT_AT(parent_path), .argument = "DIR",
		.help = "build on the images of a pre-dump in DIR, relative to --image-path"},
	LAZY_OPTIONS(oci_checkpoint_values),
	{NULL},
};

const struct option oci_restore_options[] = {
	{"bundle", 'b', OPTION_TEXT, RESTORE_AT(create.bundle), .argument = "DIR",
		.help = "take the container's files from DIR [.]"},
	{"config", 'f', OPTION_TEXT, RESTORE_AT(create.config), .argument = "FILE",
		.help = "read FILE in place of config.json in the bundle"},
	{"console-socket", 0, OPTION_TEXT, RESTORE_AT(create.console_socket), .argument = "PATH",
		.help = "send the terminal's master to the socket PATH"},
	{"pid-file", 0, OPTION_TEXT, RESTORE_AT(create.pid_file), .argument = "FILE",
		.help = "write the pid of the container's first process to FILE"},
	{"pidfd-socket", 0, OPTION_TEXT, RESTORE_AT(create.pidfd_socket), .argument = "PATH",
		.help = "send a pidfd of the first process to the socket PATH"},
	{"detach", 'd', OPTION_FLAG, RESTORE_AT(detach),
		.help = "return as soon as the container runs"},
	{"keep", 0, OPTION_FLAG, OPTION_AT(oci_restore_values, keep),
		.help = "do not delete the container when it has ended"},
	{"no-subreaper", 0, OPTION_FLAG, OPTION_AT(oci_restore_values, no_subreaper),
		.help = "do not take over processes that the container leaves behind"},
	CRIU_OPTIONS(RESTORE_AT),
	/* criu changes the root in a way of its own. */
	{"no-pivot", 0, OPTION_FLAG, .hidden = true, RESTORE_AT(create.no_pivot)},
	LAZY_OPTIONS(oci_restore_values),
	{NULL},
};

static int refuse_lazy(const struct oci_lazy_values *lazy, struct err *err)
{
	const char *name = lazy->lazy_pages    ? "--lazy-pages"
			   : lazy->page_server ? "--page-server"
			   : lazy->status_fd   ? "--status-fd"
					       : NULL;

	return name ? err_set(err, -ENOTSUP,
			      "%s: is not supported; memory always goes into the images", name)
		    : 0;
}

int oci_checkpoint(const struct invocation *inv, struct err *err)
{
	autoruntime struct runtime rt = {.rootfd = -1, .procfd = -1};
	const struct oci_checkpoint_values *values = inv->options;
	struct checkpoint_options checkpoint = values->checkpoint;
	int r = refuse_lazy(&values->lazy, err);

	checkpoint.id = inv->args[0];
	if (r == 0)
		r = oci_open_runtime(inv, &rt, err);
	return r < 0 ? r : container_checkpoint(&rt, &checkpoint, err);
}

int oci_restore(const struct invocation *inv, struct err *err)
{
	autoruntime struct runtime rt = {.rootfd = -1, .procfd = -1};
	const struct oci_restore_values *values = inv->options;
	struct restore_options restore = values->restore;
	struct created created;
	int r = refuse_lazy(&values->lazy, err);

	restore.create.id = inv->args[0];
	if (r == 0)
		r = oci_open_runtime(inv, &rt, err);
	if (r == 0)
		r = foreground_begin(err);
	if (r == 0 && !restore.detach && !values->no_subreaper)
		r = sys_prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	if (r == 0)
		r = container_restore(&rt, &restore, &created, err);
	if (r < 0)
		return r;
	if (!restore.detach)
		r = oci_attend(&created, values->keep, err);
	created_close(&created);
	return r;
}
