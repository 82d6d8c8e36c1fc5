/* SPDX-License-Identifier: Apache-2.0 */
/* create, start, run. */
#include "cli/foreground.h"
#include "cli/oci/oci.h"
#include "cli/self.h"

#include "base/log.h"
#include "base/sys.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>

const struct oci_create_values oci_create_defaults = {.create.bundle = "."};

#define CREATE_AT(member) OPTION_AT(oci_create_values, create.member)
#define CREATE_OPTIONS                                                                            \
	{"bundle", 'b', OPTION_TEXT, CREATE_AT(bundle), .argument = "DIR",                        \
		.help = "take the container's files from DIR [.]"},                               \
		{"config", 'f', OPTION_TEXT, CREATE_AT(config), .argument = "FILE",               \
			.help = "read FILE in place of config.json in the bundle"},               \
		{"console-socket", 0, OPTION_TEXT, CREATE_AT(console_socket), .argument = "PATH", \
			.help = "send the terminal's master to the socket PATH"},                 \
		{"pid-file", 0, OPTION_TEXT, CREATE_AT(pid_file), .argument = "FILE",             \
			.help = "write the pid of the container's first process to FILE"},        \
		{"pidfd-socket", 0, OPTION_TEXT, CREATE_AT(pidfd_socket), .argument = "PATH",     \
			.help = "send a pidfd of the first process to the socket PATH"},          \
		{"no-pivot", 0, OPTION_FLAG, CREATE_AT(no_pivot),                                 \
			.help = "move the root instead of pivot_root(2), for a host that runs "   \
				"from a ramdisk"},                                                \
		{"no-new-keyring", 0, OPTION_FLAG, CREATE_AT(no_new_keyring),                     \
			.help = "keep the caller's session keyring"},                             \
	{                                                                                         \
		"preserve-fds", 0, OPTION_U32, CREATE_AT(preserve_fds),                           \
			.argument = "N",                                                          \
			.help = "leave N descriptors after standard error open in the container"  \
	}

const struct option oci_create_options[] = {
	CREATE_OPTIONS,
	{NULL},
};

const struct option oci_run_options[] = {
	CREATE_OPTIONS,
	{"detach", 'd', OPTION_FLAG, OPTION_AT(oci_create_values, detach),
		.help = "return as soon as the container runs"},
	{"keep", 0, OPTION_FLAG, OPTION_AT(oci_create_values, keep),
		.help = "do not delete the container when it has ended"},
	{"no-subreaper", 0, OPTION_FLAG, OPTION_AT(oci_create_values, no_subreaper),
		.help = "do not take over processes that the container leaves behind"},
	{NULL},
};

int oci_check_preserved(uint32_t count, struct err *err)
{
	for (uint32_t i = 0; i < count; i++) {
		int flags = fcntl(3 + (int)i, F_GETFD);

		if (flags < 0 || (flags & FD_CLOEXEC))
			return err_set(err, -EBADF,
				"--preserve-fds: there is no descriptor %u to be left open", 3 + i);
	}
	return 0;
}

static int creation_of(const struct invocation *inv, struct create_options *ret, struct err *err)
{
	const struct oci_create_values *values = inv->options;
	int r;

	*ret = values->create;
	ret->id = inv->args[0];
	r = activation_read(&ret->activation, err);
	if (r < 0)
		return r;
	if (ret->preserve_fds > INT32_MAX - ret->activation.fds)
		return err_set(err, -ERANGE, "--preserve-fds: out of range");
	ret->preserve_fds += ret->activation.fds;
	return oci_check_preserved(ret->preserve_fds, err);
}

int oci_create(const struct invocation *inv, struct err *err)
{
	autoruntime struct runtime rt = {.rootfd = -1, .procfd = -1};
	struct create_options create;
	autocancel struct cancel cancel = {-1};
	int r = self_protect(inv->argv, err);

	if (r == 0)
		r = creation_of(inv, &create, err);
	if (r == 0)
		r = oci_open_runtime(inv, &rt, err);
	if (r == 0)
		r = cancel_open(&cancel, err);
	rt.cancel = &cancel;
	return r < 0 ? r : container_create(&rt, &create, err);
}

int oci_start(const struct invocation *inv, struct err *err)
{
	autoruntime struct runtime rt = {.rootfd = -1, .procfd = -1};
	autocancel struct cancel cancel = {-1};
	int r = oci_open_runtime(inv, &rt, err);

	rt.cancel = &cancel;
	return r < 0 ? r : container_start(&rt, inv->args[0], err);
}

/* Before its state goes: the exit code alone does not say that it was not the program's own. */
static void tell_reason(const struct container *container)
{
	char reason[CONTAINER_REASON_MAX];

	if (container_reason(container, reason, sizeof(reason)) > 0)
		log_line(LOG_ERROR, "container \"%s\": %s", container->id, reason);
}

int oci_attend(struct created *created, bool keep, struct err *err)
{
	struct foreground fg = {
		.pid = created->container.pid,
		.pidfd = created->pidfd,
		.master = created->master,
	};
	int code = foreground_wait(&fg, err);
	struct err deleting = {};

	tell_reason(&created->container);
	if (!keep && container_finish(created, &deleting) < 0) {
		if (code >= 0) {
			*err = deleting;
			return deleting.code;
		}
	}
	return code;
}

int oci_run(const struct invocation *inv, struct err *err)
{
	autoruntime struct runtime rt = {.rootfd = -1, .procfd = -1};
	const struct oci_create_values *values = inv->options;
	struct create_options create;
	autocancel struct cancel cancel = {-1};
	struct created created;
	int r = self_protect(inv->argv, err);

	if (r == 0)
		r = creation_of(inv, &create, err);
	if (r == 0)
		r = oci_open_runtime(inv, &rt, err);
	if (r == 0)
		r = cancel_open(&cancel, err);
	rt.cancel = &cancel;
	create.detach = values->detach;
	if (r == 0)
		r = foreground_begin(err);
	if (r == 0 && !values->detach && !values->no_subreaper)
		r = sys_prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	if (r == 0)
		r = container_create_for_run(&rt, &create, &created, err);
	if (r < 0)
		return r;
	r = container_go(&created, err);
	if (r == 0 && !values->detach)
		r = oci_attend(&created, values->keep, err);
	/* What is open ends with the process, without a call for each. */
	if (r >= 0)
		exit(r);
	created_close(&created);
	return r;
}
