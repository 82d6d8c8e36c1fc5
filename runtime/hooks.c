/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/hooks.h"

#include "base/log.h"
#include "base/process.h"
#include "base/sys.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static int open_output(
	const struct spec_config *config, const char *key, int otherwise, int *ret, struct err *err)
{
	const char *path = spec_annotation(config, key);

	*ret = otherwise;
	if (!path)
		return 0;
	*ret = sys_openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY, 0600);
	return *ret < 0 ? err_sys(err, *ret, "annotations: %s: open %s", key, path) : 0;
}

int hooks_open_output(const struct spec_config *config, struct hooks_output *ret, struct err *err)
{
	struct hooks_output output = {-1, -1};
	int r = open_output(config, "run.oci.hooks.stdout", -1, &output.stdout_fd, err);

	if (r == 0)
		r = open_output(
			config, "run.oci.hooks.stderr", STDERR_FILENO, &output.stderr_fd, err);
	if (r < 0) {
		cleanup_close(&output.stdout_fd);
		return r;
	}
	*ret = output;
	return 0;
}

/* 24 days are as good as any longer time. */
static int timeout_ms(const struct spec_hook *hook)
{
	if (!hook->timeout.set)
		return 0;
	return hook->timeout.value > INT_MAX / 1000 ? INT_MAX : (int)hook->timeout.value * 1000;
}

static int run_hook(const struct spec_hook *hook, const char *state,
	const struct hooks_output *output, const struct cancel *cancel, struct err *err)
{
	const char *const just_path[] = {hook->path, NULL};
	autofree const char **argv = NULL, **envp = NULL;
	struct process_options options = {
		.path = hook->path,
		.argv = just_path,
		.input = state,
		.input_len = strlen(state),
		.stdout_fd = output->stdout_fd,
		.stderr_fd = output->stderr_fd,
		.timeout_ms = timeout_ms(hook),
		.cancel = cancel,
	};
	int status, r;

	argv = calloc(hook->args.count + 1, sizeof(*argv));
	envp = calloc(hook->env.count + 1, sizeof(*envp));
	if (!argv || !envp)
		return err_sys(err, -ENOMEM, "run %s", hook->path);
	if (hook->args.count) {
		memcpy(argv, hook->args.items, hook->args.count * sizeof(*argv));
		options.argv = argv;
	}
	if (hook->env.count)
		memcpy(envp, hook->env.items, hook->env.count * sizeof(*envp));
	options.envp = envp;
	r = process_run(&options, &status, err);
	if (r < 0)
		return r;
	if (WIFSIGNALED(status))
		return err_set(err, -EIO, "%s: killed by signal %d", hook->path, WTERMSIG(status));
	if (WEXITSTATUS(status))
		return err_set(err, -EIO, "%s: exit status %d", hook->path, WEXITSTATUS(status));
	return 0;
}

int hooks_run(const struct spec_hook_list *list, const char *name, const char *state,
	const struct hooks_output *output, const struct cancel *cancel, struct err *err)
{
	for (size_t i = 0; i < list->count; i++)
		if (run_hook(&list->items[i], state, output, cancel, err) < 0)
			return err_add(err, "%s hook %zu", name, i);
	return 0;
}

void hooks_run_all(const struct spec_hook_list *list, const char *name, const char *state,
	const struct hooks_output *output, const struct cancel *cancel)
{
	for (size_t i = 0; i < list->count; i++) {
		struct err err = {};

		int r = run_hook(&list->items[i], state, output, cancel, &err);

		if (r < 0)
			log_warning("%s hook %zu: %s", name, i, err.text);
		if (r == -EINTR) /* whoever wants an end wants no more of them */
			return;
	}
}
