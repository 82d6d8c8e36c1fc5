/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/brig/brig.h"
#include "cli/brig/images.h"
#ifdef BRIG_MICROVM
#include "cli/brig/kernel.h"
#endif
#include "cli/brig/network.h"
#include "cli/complete.h"
#include "cli/dump.h"

#include "base/log.h"
#include "base/process.h"
#include "version.h"

#include <string.h>

static const struct brig_global global_defaults = {.log_level = LOG_WARNING};

static const struct option global_options[] = {
	{"root", 0, OPTION_TEXT, OPTION_AT(brig_global, root), .argument = "DIR",
		.help = "keep images, containers and volumes in DIR"},
	{"runroot", 0, OPTION_TEXT, OPTION_AT(brig_global, runroot), .argument = "DIR",
		.help = "keep what does not outlive a boot in DIR"},
	{"cgroup-manager", 0, OPTION_NAME, OPTION_AT(brig_global, cgroup_manager),
		.names = cgroup_driver_names,
		.help = "make cgroups in the file system, through systemd, or not at all"},
	{"log-level", 0, OPTION_NAME, OPTION_AT(brig_global, log_level), .names = log_level_names,
		.help = "show errors, and warnings, information or debugging output too"},
	{"debug", 'D', OPTION_FLAG, OPTION_AT(brig_global, debug),
		.help = "the same as --log-level=debug"},
	{NULL},
};

/* The option table of a verb, and the struct that it fills in. */
#define TAKES(table, values) \
	.options = brig_##table##_options, .options_size = sizeof(struct brig_##values##_values)
#define ONE_OR_MORE .min_args = 1, .max_args = COMMAND_ANY_ARGS
#define ANY         .max_args = COMMAND_ANY_ARGS

/* ---- containers ---- */

/* Each of them is there alone and as "container VERB". */
#define VERB_RUN                                                                                   \
	"[OPTIONS] IMAGE [COMMAND [ARG...]]", "Run a command in a new container", TAKES(run, run), \
		ONE_OR_MORE, .flags = OPTIONS_STOP_AT_OPERAND, .run = brig_run
#define VERB_CREATE                                                                    \
	"[OPTIONS] IMAGE [COMMAND [ARG...]]", "Make a container, to be started later", \
		TAKES(create, run), ONE_OR_MORE, .flags = OPTIONS_STOP_AT_OPERAND,     \
						 .run = brig_create
#define VERB_START                                                                              \
	"[OPTIONS] CONTAINER...", "Start containers that do not run", TAKES(start, start), ANY, \
		.run = brig_start
#define VERB_STOP                                                                    \
	"[OPTIONS] CONTAINER...", "Stop running containers", TAKES(stop, stop), ANY, \
		.run = brig_stop
#define VERB_RESTART                                                                              \
	"[OPTIONS] CONTAINER...", "Stop containers and start them again", TAKES(stop, stop), ANY, \
		.run = brig_restart
#define VERB_KILL                                                                        \
	"[OPTIONS] CONTAINER...", "Send a signal to containers", TAKES(kill, kill), ANY, \
		.run = brig_kill
#define VERB_RM "[OPTIONS] CONTAINER...", "Remove containers", TAKES(rm, rm), ANY, .run = brig_rm
#define VERB_EXEC                                                                      \
	"[OPTIONS] CONTAINER COMMAND [ARG...]", "Run one more command in a container", \
		TAKES(exec, exec), .min_args = 2, .max_args = COMMAND_ANY_ARGS,        \
				   .flags = OPTIONS_STOP_AT_OPERAND, .run = brig_exec
#define VERB_PS \
	"[OPTIONS]", "List containers", TAKES(ps, ps), .defaults = &brig_ps_defaults, .run = brig_ps
#define VERB_LOGS                                                              \
	"[OPTIONS] CONTAINER", "Show a container's output", TAKES(logs, logs), \
		.min_args = 1, .max_args = 1, .run = brig_logs
#define VERB_INSPECT                                                                          \
	"[OPTIONS] CONTAINER...", "Show all that is known, as JSON", TAKES(inspect, inspect), \
		ONE_OR_MORE, .run = brig_inspect
#define VERB_PORT                                                                 \
	"CONTAINER [PORT[/PROTO]]", "Show where a container's ports are reached", \
		.min_args = 1, .max_args = 2, .run = brig_port
#define VERB_TOP                                                               \
	"CONTAINER [PS OPTIONS]", "List a container's processes", ONE_OR_MORE, \
		.flags = OPTIONS_STOP_AT_OPERAND, .run = brig_top
#define VERB_STATS                                                               \
	"[OPTIONS] [CONTAINER...]", "Show what containers use, again and again", \
		TAKES(stats, stats), ANY, .run = brig_stats
#define VERB_UPDATE                                                                         \
	"[OPTIONS] CONTAINER...", "Change the limits of containers",                        \
		.options = brig_update_options, .options_size = sizeof(struct run_options), \
		ONE_OR_MORE, .run = brig_update
#define VERB_CP                                                                       \
	"[OPTIONS] CONTAINER:PATH PATH|- or PATH|- CONTAINER:PATH",                   \
		"Copy files between a container and here (-: as tar)", TAKES(cp, cp), \
		.min_args = 2, .max_args = 2, .run = brig_cp
#define VERB_COMMIT                                                                     \
	"[OPTIONS] CONTAINER [IMAGE]", "Make an image of what a container has changed", \
		TAKES(commit, commit), .min_args = 1, .max_args = 2, .run = brig_commit
#define VERB_EXPORT                                                          \
	"[OPTIONS] CONTAINER", "Write a container's files as a tar archive", \
		TAKES(export, export), .min_args = 1, .max_args = 1, .run = brig_export
#define VERB_DIFF                                                                \
	"[OPTIONS] CONTAINER", "Show what a container has changed in its files", \
		TAKES(diff, diff), .min_args = 1, .max_args = 1, .run = brig_diff
#define VERB_PAUSE                                                                                \
	"[OPTIONS] CONTAINER...", "Freeze all processes of containers", TAKES(pause, pause), ANY, \
		.run = brig_pause
#define VERB_UNPAUSE                                                                       \
	"[OPTIONS] CONTAINER...", "Let paused containers go on", TAKES(pause, pause), ANY, \
		.run = brig_unpause
#define VERB_ATTACH                                                                 \
	"[OPTIONS] CONTAINER", "Connect to a running container's input and output", \
		TAKES(attach, attach), .min_args = 1, .max_args = 1, .run = brig_attach
#define VERB_WAIT                                                                                 \
	"CONTAINER...", "Wait for the end of containers and print their exit codes", ONE_OR_MORE, \
		.run = brig_wait
#define VERB_RENAME                                                                      \
	"CONTAINER NAME", "Give a container another name", .min_args = 2, .max_args = 2, \
							   .run = brig_rename

static const struct command container_commands[] = {
	{"attach", VERB_ATTACH},
	{"commit", VERB_COMMIT},
	{"cp", VERB_CP},
	{"create", VERB_CREATE},
	{"diff", VERB_DIFF},
	{"exec", VERB_EXEC},
	{"exists", "CONTAINER", "Tell by the exit status whether there is a container",
		.min_args = 1, .max_args = 1, .run = brig_container_exists},
	{"export", VERB_EXPORT},
	{"inspect", VERB_INSPECT},
	{"kill", VERB_KILL},
	{"list", VERB_PS, .hidden = true},
	{"logs", VERB_LOGS},
	{"ls", VERB_PS},
	{"pause", VERB_PAUSE},
	{"port", VERB_PORT},
	{"prune", "[OPTIONS]", "Remove all containers that do not run", TAKES(prune, prune),
		.run = brig_container_prune},
	{"ps", VERB_PS, .hidden = true},
	{"remove", VERB_RM, .hidden = true},
	{"rename", VERB_RENAME},
	{"restart", VERB_RESTART},
	{"rm", VERB_RM},
	{"run", VERB_RUN},
	{"start", VERB_START},
	{"stats", VERB_STATS},
	{"stop", VERB_STOP},
	{"top", VERB_TOP},
	{"unpause", VERB_UNPAUSE},
	{"update", VERB_UPDATE},
	{"wait", VERB_WAIT},
	{NULL},
};

/* ---- images ---- */

/* ---- volumes ---- */

/* ---- networks ---- */

static const struct command network_commands[] = {
	{"connect", "[OPTIONS] NETWORK CONTAINER", "Connect a container to a network",
		TAKES(network_connect, network_connect), .min_args = 2, .max_args = 2,
		.run = brig_network_connect},
	{"create", "[OPTIONS] NAME", "Make a network", TAKES(network_create, network_create),
		.min_args = 1, .max_args = 1, .run = brig_network_create},
	{"disconnect", "[OPTIONS] NETWORK CONTAINER", "Take a container off a network",
		TAKES(network_disconnect, network_rm), .min_args = 2, .max_args = 2,
		.run = brig_network_disconnect},
	{"exists", "NETWORK", "Tell by the exit status whether there is a network", .min_args = 1,
		.max_args = 1, .run = brig_network_exists},
	{"inspect", "[OPTIONS] NETWORK...", "Show all that is known, as JSON",
		TAKES(network_inspect, network_inspect), ONE_OR_MORE, .run = brig_network_inspect},
	{"ls", "[OPTIONS]", "List networks", TAKES(network_ls, network_ls), .run = brig_network_ls},
	{"list", "[OPTIONS]", "List networks", TAKES(network_ls, network_ls), .hidden = true,
		.run = brig_network_ls},
	{"prune", "[OPTIONS]", "Remove all networks that no container uses", TAKES(prune, prune),
		.run = brig_network_prune},
	{"reload", "", "Write rules, bridges and name servers anew, after a change of the firewall",
		.run = brig_network_reload},
	{"rm", "[OPTIONS] NETWORK...", "Remove networks", TAKES(network_rm, network_rm),
		ONE_OR_MORE, .run = brig_network_rm},
	{"remove", "[OPTIONS] NETWORK...", "Remove networks", TAKES(network_rm, network_rm),
		ONE_OR_MORE, .hidden = true, .run = brig_network_rm},
	{NULL},
};

/* ---- all verbs; those with a group are shown by name only in the first help ---- */

static const struct command commands[] = {
	{"container", NULL, "Verbs about containers", .group = "Containers",
		.commands = container_commands},
	/* containers */
	{"run", VERB_RUN},
	{"create", VERB_CREATE, .group = "Containers"},
	{"start", VERB_START},
	{"stop", VERB_STOP},
	{"restart", VERB_RESTART, .group = "Containers"},
	{"kill", VERB_KILL, .group = "Containers"},
	{"rm", VERB_RM},
	{"exec", VERB_EXEC},
	{"ps", VERB_PS},
	{"logs", VERB_LOGS},
	{"inspect", VERB_INSPECT},
	{"port", VERB_PORT, .group = "Containers"},
	{"top", VERB_TOP, .group = "Containers"},
	{"stats", VERB_STATS, .group = "Containers"},
	{"update", VERB_UPDATE, .group = "Containers"},
	{"cp", VERB_CP},
	{"commit", VERB_COMMIT, .group = "Containers"},
	{"export", VERB_EXPORT, .group = "Containers"},
	{"diff", VERB_DIFF, .group = "Containers"},
	{"events", "[OPTIONS]", "Show what happens", .group = "System", TAKES(events, events),
		.run = brig_events},
	{"pause", VERB_PAUSE, .group = "Containers"},
	{"unpause", VERB_UNPAUSE, .group = "Containers"},
	{"attach", VERB_ATTACH, .group = "Containers"},
	{"wait", VERB_WAIT, .group = "Containers"},
	{"rename", VERB_RENAME, .group = "Containers"},

	/* images */
	{"pull", "[OPTIONS] NAME...", "Fetch images from registries", VERB(image_pull),
		ONE_OR_MORE},
	{"push", "[OPTIONS] IMAGE [NAME]", "Send an image to a registry", VERB(image_push),
		.min_args = 1, .max_args = 2},
	{"images", "[OPTIONS] [NAME]", "List images", VERB(image_list), .max_args = 1},
	{"rmi", "[OPTIONS] IMAGE...", "Remove images", VERB(image_remove), ANY},
	{"login", "[OPTIONS] [REGISTRY]", "Log in to a registry", .group = "Images",
		VERB(image_login), .max_args = 1},
	{"logout", "[OPTIONS] [REGISTRY]", "Forget the credentials for a registry",
		.group = "Images", VERB(image_logout), .max_args = 1},
	{"tag", "IMAGE NAME...", "Give an image further names", .group = "Images", .min_args = 2,
		.max_args = COMMAND_ANY_ARGS, .run = image_tag_run},
	{"untag", "IMAGE [NAME...]", "Take names of an image away", .group = "Images", ONE_OR_MORE,
		.run = image_untag_run},
	{"history", "[OPTIONS] IMAGE", "Show what an image was made of", .group = "Images",
		VERB(image_history), .min_args = 1, .max_args = 1},
	{"save", "[OPTIONS] IMAGE...", "Write images to an archive", .group = "Images",
		VERB(image_save), ONE_OR_MORE},
	{"load", "[OPTIONS]", "Read images from an archive", .group = "Images", VERB(image_load)},
	{"import", "[OPTIONS] FILE|- [NAME]", "Make an image from a root file system as tar",
		.group = "Images", VERB(image_import), .min_args = 1, .max_args = 2},
	{"search", "[OPTIONS] [REGISTRY/]TERM", "Look for repositories at a registry",
		.group = "Images", VERB(image_search), .min_args = 1, .max_args = 1},
	{"image", NULL, "All about images", .group = "Images", .commands = image_commands},

	{"manifest", NULL, "Lists of images of several platforms", .group = "Images",
		.commands = manifest_commands},

	/* volumes */
	{"volume", NULL, "All about volumes", .group = "Volumes", .commands = volume_commands},
	{"secret", NULL, "All about secrets", .group = "Volumes", .commands = secret_commands},

	/* networks */
	{"network", NULL, "Verbs about networks", .group = "Networks",
		.commands = network_commands},

	/* the system */
	{"system", NULL, "Look after the machine", .group = "System", .commands = system_commands},
	{"doctor", "[OPTIONS]", "Show what this machine supports and what to do about the rest",
		.group = "System", VERB(doctor)},
#ifdef BRIG_MICROVM
	{"kernel", NULL, "All about what virtual machines boot", .group = "System",
		.commands = kernel_commands},
#endif
	{"generate", NULL, "Write units for systemd", .group = "System",
		.commands = generate_commands},
	{"completion", "bash|zsh|fish", "Write the completions for a shell", .group = "System",
		.min_args = 1, .max_args = 1, .run = completion_run},
	{"version", "", "Show the version of brig", .group = "System", .run = brig_version},
	{"info", "", "Show what brig found on this machine", .group = "System", .run = brig_info},
	{NULL},
};

static int setup(const struct invocation *inv, struct err *err)
{
	const struct brig_global *global = inv->global;
	const struct log_options options = {
		.level = global->debug ? LOG_DEBUG : (enum log_level)global->log_level,
	};

	return log_open(&options, err);
}

/* As people know it: 125 is brig's own failure where a container's exit status could be meant. */
static int fail(const struct invocation *inv, const struct err *err)
{
	static const char *const own[] = {"run", "create", "start", "exec", "attach", "wait"};

	log_failure(inv->program->name, err);
	for (size_t i = 0; inv->command && i < ARRAY_LEN(own); i++)
		if (strcmp(inv->command->name, own[i]) == 0)
			return 125;
	return inv->usage ? 125 : 1;
}

static void version(FILE *out)
{
	fprintf(out, "brig version %s\n", BRIG_VERSION);
}

static const struct complete_names names[] = {
	{"CONTAINER", {"ps", "--all", "--format", "{{.Names}}"}},
	{"IMAGE", {"images", "--format", "{{.Repository}}:{{.Tag}}"}},
	{"LIST", {"manifest", "ls"}},
	{"NETWORK", {"network", "ls", "--format", "{{.Name}}"}},
	{"VOLUME", {"volume", "ls", "--format", "{{.Name}}"}},
	{"SECRET", {"secret", "ls", "--format", "{{.Name}}"}},
	{},
};

static const struct program program = {
	.name = "brig",
	.summary = "run containers",
	.options = global_options,
	.options_size = sizeof(struct brig_global),
	.defaults = &global_defaults,
	.commands = commands,
	.setup = setup,
	.fail = fail,
	.version = version,
	.dump = dump_tables,
	.complete = names,
};

int main(int argc, char **argv)
{
	argv = process_own_arguments(argc, argv);
	return argv ? command_main(&program, argc, argv) : 125;
}
