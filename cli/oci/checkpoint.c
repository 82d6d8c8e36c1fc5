/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint, restore. */
#include "cli/foreground.h"
#include "cli/oci/oci.h"

#include "base/parse.h"
#include "base/sys.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>

const struct oci_checkpoint_values oci_checkpoint_defaults = {.checkpoint.status_fd = -1};
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

/* "192.0.2.1:8080" or "[2001:db8::1]:8080" */
static int parse_page_server(const char *value, struct arena *arena, void *dest, struct err *err)
{
	struct criu_page_server *ret = dest;
	const char *colon = strrchr(value, ':');
	size_t len = colon ? (size_t)(colon - value) : 0;
	uint32_t port;

	if (!len || parse_u32(colon + 1, &port) < 0 || !port || port > UINT16_MAX)
		return err_set(err, -EINVAL, "\"%s\" is not ADDRESS:PORT", value);
	if (value[0] == '[' && value[len - 1] == ']')
		value++, len -= 2;
	*ret = (struct criu_page_server){
		.address = arena_printf(arena, "%.*s", (int)len, value), .port = port};
	return ret->address ? 0 : -ENOMEM;
}

static int parse_status_fd(const char *value, struct arena *arena, void *dest, struct err *err)
{
	uint32_t number;
	int flags;

	(void)arena;
	if (parse_u32(value, &number) < 0 || number > INT_MAX)
		return err_set(err, -EINVAL, "\"%s\" is no descriptor", value);
	flags = fcntl((int)number, F_GETFL);
	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
		return err_set(err, -EBADF, "descriptor %s is not open for writing", value);
	*(int *)dest = (int)number;
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
		{"lazy-pages", 0, OPTION_FLAG, AT(flags.lazy_pages),                               \
			.help = "leave memory behind, to be asked for page by page"},              \
		{"auto-dedup", 0, OPTION_FLAG, AT(flags.auto_dedup),                               \
			.help = "drop pages from earlier images that this one replaces"},          \
		{"lsm-profile", 0, OPTION_TEXT, AT(flags.lsm_profile), .argument = "TYPE:NAME",    \
			.help = "restore with this apparmor or selinux profile"},                  \
	{                                                                                          \
		"lsm-mount-context", 0, OPTION_TEXT, AT(flags.lsm_mount_context),                  \
			.argument = "LABEL",                                                       \
			.help = "restore mounts that have a context= with this one"                \
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
	{"page-server", 0, OPTION_CUSTOM, CHECKPOINT_AT(flags.page_server),
		.argument = "ADDRESS:PORT", .parse = parse_page_server,
		.help = "send memory to a \"criu page-server\" there; with --lazy-pages, wait "
			"there for a \"criu lazy-pages\" that asks for it"},
	{"status-fd", 0, OPTION_CUSTOM, CHECKPOINT_AT(status_fd), .argument = "FD",
		.parse = parse_status_fd,
		.help = "write a NUL byte to the descriptor FD when pages can be asked for"},
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
	{NULL},
};

int oci_checkpoint(const struct invocation *inv, struct err *err)
{
	autoruntime struct runtime rt = {.rootfd = -1, .procfd = -1};
	const struct oci_checkpoint_values *values = inv->options;
	struct checkpoint_options checkpoint = values->checkpoint;
	int r = oci_open_runtime(inv, &rt, err);

	checkpoint.id = inv->args[0];
	return r < 0 ? r : container_checkpoint(&rt, &checkpoint, err);
}

int oci_restore(const struct invocation *inv, struct err *err)
{
	autoruntime struct runtime rt = {.rootfd = -1, .procfd = -1};
	const struct oci_restore_values *values = inv->options;
	struct restore_options restore = values->restore;
	struct created created;
	int r = oci_open_runtime(inv, &rt, err);

	restore.create.id = inv->args[0];
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
