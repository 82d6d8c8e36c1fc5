/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layers-run STATE BUNDLE ID IMAGE…: runs the bundle in a virtual machine whose root is made of the
 * EROFS images, topmost first, over the folders "upper" and "work" of its rootfs. Ends as it does.
 */
#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/lifecycle.h"
#include "runtime/microvm/host/backend.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static int run(char **argv, const int *layers, size_t count, struct err *err)
{
	const struct runtime_options options = {
		.root = argv[1], .vm = &microvm_backend, .isolation = SPEC_ISOLATION_VM};
	const struct create_options create = {
		.bundle = argv[2], .id = argv[3], .layers = layers, .layer_count = count};
	struct runtime rt = {.rootfd = -1, .procfd = -1};
	struct created created;
	int status = 0, r = runtime_open(&options, &rt, err);

	if (r == 0)
		r = sys_prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	if (r == 0)
		r = container_create_for_run(&rt, &create, &created, err);
	if (r < 0)
		return r;
	r = container_go(&created, err);
	if (r == 0 && sys_waitpid(created.container.pid, &status, 0) > 0)
		r = container_finish(&created, err);
	created_close(&created);
	return r < 0 ? r : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	int layers[16];
	size_t count = 0;
	struct err err = {};
	int r;

	for (int i = 4; i < argc && count < ARRAY_LEN(layers); i++) {
		layers[count] = sys_openat(AT_FDCWD, argv[i], O_RDONLY, 0);
		if (layers[count++] < 0)
			return perror(argv[i]), 125;
	}
	if (argc < 5)
		return 125;
	r = run(argv, layers, count, &err);
	if (r < 0)
		fprintf(stderr, "layers-run: %s\n", err.text);
	return r < 0 ? 125 : r;
}
