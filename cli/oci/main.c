/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/complete.h"
#include "cli/dump.h"
#include "cli/oci/oci.h"
#include "cli/self.h"

#include "base/log.h"
#include "base/process.h"
#include "spec/names.h"
#ifdef BRIG_MICROVM
#include "runtime/microvm/host/backend.h"
#endif
#include "version.h"

#include <limits.h>
#include <malloc.h>
#include <string.h>

static const struct json_name log_formats[] = {
	{"text", OCI_LOG_TEXT},
	{"json", OCI_LOG_JSON},
	{NULL, 0},
};

static const struct oci_global global_defaults = {.log_level = LOG_WARNING};

static const struct option global_options[] = {
	{"root", 0, OPTION_TEXT, OPTION_AT(oci_global, root), .argument = "DIR",
		.help = "keep the containers' state in DIR [/run/brig-oci]"},
	{"log", 0, OPTION_TEXT, OPTION_AT(oci_global, log), .argument = "FILE",
		.help = "append messages to FILE instead of standard error"},
	{"log-format", 0, OPTION_NAME, OPTION_AT(oci_global, log_format), .names = log_formats,
		.help = "format of the log"},
	{"log-level", 0, OPTION_NAME, OPTION_AT(oci_global, log_level), .names = log_level_names,
		.help = "log errors, and warnings, information or debugging output too"},
	{"debug", 0, OPTION_FLAG, OPTION_AT(oci_global, debug),
		.help = "the same as --log-level=debug"},
	{"systemd-cgroup", 0, OPTION_FLAG, OPTION_AT(oci_global, systemd_cgroup),
		.help = "the same as --cgroup-manager=systemd"},
	{"cgroup-manager", 0, OPTION_NAME, OPTION_AT(oci_global, cgroup_manager),
		.names = cgroup_driver_names,
		.help = "make cgroups in the file system, through systemd, or not at all"},
	{"isolation", 0, OPTION_NAME, OPTION_AT(oci_global, isolation),
		.names = spec_isolation_names,
		.help = "make containers in namespaces of this kernel, or each in a virtual "
			"machine "
			"of its own [what config.json asks for; vm when called brig-oci-vm]"},
	{"template", 0, OPTION_FLAG, OPTION_AT(oci_global, template_),
		.help = "make virtual machines from one that was saved when it was ready, which "
			"the first start does, instead of booting each"},
	{"rootless", 0, OPTION_TEXT, .hidden = true, OPTION_AT(oci_global, rootless)},
	{"criu", 0, OPTION_TEXT, .hidden = true, OPTION_AT(oci_global, criu)},
	{NULL},
};

/* The option table of a verb, and the struct that it fills in. */
#define TAKES(table, values) \
	.options = oci_##table##_options, .options_size = sizeof(struct oci_##values##_values)

static const struct command mounts_commands[] = {
	{"add", "ID FILE", "Add mounts to a container",
		.details = "FILE, or standard input when it is -, is a JSON array of mounts as in "
			   "config.json. Sources are looked up on the host.",
		.min_args = 2, .max_args = 2, .run = oci_mounts_add},
	{"remove", "ID FILE", "Take mounts of a container away",
		.details = "FILE, or standard input when it is -, is a JSON array of mounts as in "
			   "config.json, of which only the destinations count.",
		.min_args = 2, .max_args = 2, .run = oci_mounts_remove},
	{NULL},
};
static const char checkpoint_details[] =
	"The processes end, unless --leave-running or --pre-dump says otherwise; the container is "
	"then stopped. Their memory, open files and namespaces go into the directory of "
	"--image-path, the root file system and what is mounted from the host do not. When it "
	"fails, the container goes on.\n\n"
	"It needs root and criu(8); criu's log is dump.log in the directory of --work-path. The "
	"annotation org.criu.config names a configuration file for criu. A container in a virtual "
	"machine needs no criu, and what is said for criu has no meaning for it: the machine is "
	"saved as it is, with its connections.";

static const char restore_details[] =
	"The bundle needs the same root file system and bind mounts for the same places as the "
	"one that the checkpoint was taken from; they may come from elsewhere on the host. The "
	"standard streams are those of this command; one that was a regular file must be one of "
	"the same length. The cgroup and its limits are those of the bundle's config.json. Of the "
	"hooks, prestart, createRuntime and poststart run. When it or one of them fails, nothing "
	"is left behind.\n\n"
	"It needs root and criu(8); criu's log is restore.log in the directory of --work-path. A "
	"container that was in a virtual machine needs a bundle that asks for one of the same "
	"size, and the same processor; its files may be restored more than once.";

static const struct command commands[] = {
	{"create", "[OPTIONS] ID", "Make a container, ready to be started", TAKES(create, create),
		.defaults = &oci_create_defaults, .min_args = 1, .max_args = 1, .run = oci_create},
	{"start", "ID", "Start the program of a created container", .min_args = 1, .max_args = 1,
		.run = oci_start},
	{"run", "[OPTIONS] ID", "Create and start a container, and wait for it", TAKES(run, create),
		.defaults = &oci_create_defaults, .min_args = 1, .max_args = 1, .run = oci_run},
	{"exec", "[OPTIONS] ID [COMMAND [ARG...]]", "Run one more program in a container",
		TAKES(exec, exec), .min_args = 1, .max_args = COMMAND_ANY_ARGS,
		.flags = OPTIONS_STOP_AT_OPERAND, .run = oci_exec},
	{"state", "ID", "Show a container's state as JSON", .min_args = 1, .max_args = 1,
		.run = oci_state},
	{"list", "[OPTIONS]", "List the containers", TAKES(list, list), .run = oci_list},
	{"ps", "[OPTIONS] ID [PS OPTIONS]", "List a container's processes", TAKES(ps, list),
		.min_args = 1, .max_args = COMMAND_ANY_ARGS, .flags = OPTIONS_STOP_AT_OPERAND,
		.run = oci_ps},
	{"kill", "[OPTIONS] ID [SIGNAL]",
		"Send a signal to a container [TERM]; 0 only asks whether it runs",
		TAKES(kill, kill), .min_args = 1, .max_args = 2, .run = oci_kill},
	{"delete", "[OPTIONS] ID", "Remove a stopped container", TAKES(delete, delete),
		.min_args = 1, .max_args = 1, .run = oci_delete},
	{"pause", "ID", "Freeze all processes of a container", .min_args = 1, .max_args = 1,
		.run = oci_pause},
	{"resume", "ID", "Let a paused container go on", .min_args = 1, .max_args = 1,
		.run = oci_resume},
	{"update", "[OPTIONS] ID", "Change the limits of a container", TAKES(update, update),
		.min_args = 1, .max_args = 1, .run = oci_update},
	{"events", "[OPTIONS] ID", "Show statistics and what happens to a container as JSON lines",
		TAKES(events, events), .defaults = &oci_events_defaults, .min_args = 1,
		.max_args = 1, .run = oci_events},
	{"mounts", NULL, "Change the mounts of a running container", .commands = mounts_commands},
	{"checkpoint", "[OPTIONS] ID", "Write a running container to files, with criu",
		TAKES(checkpoint, checkpoint), .defaults = &oci_checkpoint_defaults, .min_args = 1,
		.max_args = 1, .details = checkpoint_details, .run = oci_checkpoint},
	{"restore", "[OPTIONS] ID", "Make a container from the files of a checkpoint",
		TAKES(restore, restore), .defaults = &oci_restore_defaults, .min_args = 1,
		.max_args = 1, .details = restore_details, .run = oci_restore},
	{"spec", "[OPTIONS]", "Write a config.json to begin with", TAKES(spec, spec),
		.run = oci_spec},
	{"features", "", "Show what this runtime supports as JSON", .run = oci_features},
	{NULL},
};

static int setup(const struct invocation *inv, struct err *err)
{
	const struct oci_global *global = inv->global;
	const struct log_options options = {
		.path = global->log,
		.json = global->log_format == OCI_LOG_JSON,
		.level = global->debug ? LOG_DEBUG : (enum log_level)global->log_level,
	};

	return log_open(&options, err);
}

/* What runc and crun return: engines read the message, shells the code. */
static int fail(const struct invocation *inv, const struct err *err)
{
	log_failure(inv->program->name, err);
	if (strstr(err->text, "exec: \"") && !inv->usage)
		return err->code == -ENOENT || err->code == -ENOTDIR ? 127 : 126;
	return 1;
}

static void version(FILE *out)
{
	fprintf(out, "brig-oci version %s\ncommit: %s\nspec: 1.3.0\n%s\n", BRIG_VERSION,
		BRIG_COMMIT, "+SECCOMP +APPARMOR +SELINUX +CAP +EBPF +CGROUPV2 +LANDLOCK +CRIU");
}

static const struct complete_names names[] = {
	{"ID", {"list", "-q"}},
	{},
};

static const struct program program = {
	.name = "brig-oci",
	.summary = "run OCI containers, for engines and by hand",
	.options = global_options,
	.options_size = sizeof(struct oci_global),
	.defaults = &global_defaults,
	.commands = commands,
	.flags = OPTIONS_SINGLE_DASH,
	.setup = setup,
	.fail = fail,
	.version = version,
	.dump = dump_tables,
	.complete = names,
};

/* An engine that can give no option calls us by another name. */
static enum spec_isolation isolation_of(const struct invocation *inv)
{
	const struct oci_global *global = inv->global;
	const char *slash = strrchr(inv->argv[0], '/');

	if (!global->isolation && strcmp(slash ? slash + 1 : inv->argv[0], "brig-oci-vm") == 0)
		return SPEC_ISOLATION_VM;
	return (enum spec_isolation)global->isolation;
}

int oci_open_runtime(const struct invocation *inv, struct runtime *ret, struct err *err)
{
	const struct oci_global *global = inv->global;
	const struct runtime_options options = {
		.root = global->root,
		.isolation = isolation_of(inv),
		.vm_template = global->template_,
#ifdef BRIG_MICROVM
		.vm = &microvm_backend,
#endif
		.cgroup_driver = global->systemd_cgroup
					 ? CGROUP_SYSTEMD
					 : (enum cgroup_driver)global->cgroup_manager,
	};

	return runtime_open(&options, ret, err);
}

int main(int argc, char **argv)
{
	/* Memory that was free for a moment is soon asked for again. */
	mallopt(M_TRIM_THRESHOLD, INT_MAX);
	mallopt(M_TOP_PAD, 256 << 10);
	argv = process_own_arguments(argc, argv);
	return argv ? command_main(&program, argc, argv) : 1;
}
