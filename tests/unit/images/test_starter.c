/* SPDX-License-Identifier: Apache-2.0 */
/* What a talker that was taken over could ask of the starter. */
#include "images/starter.h"

#include "base/path.h"
#include "base/sys.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];
static struct store *store;
static int sock = -1;
static pid_t starter;

static int begin(void **state)
{
	struct store_options options = {.root = dir, .helper = "/bin/true"};
	struct err err = {};
	int pair[2];

	(void)state;
	strcpy(dir, "/tmp/test_starter.XXXXXX");
	if (!mkdtemp(dir) || store_open(&options, &store, &err) < 0 ||
		helper_prepare(store, &err) < 0 || sys_socketpair(SOCK_SEQPACKET, pair) < 0)
		return -1;
	starter = fork();
	if (starter == 0) {
		close(pair[0]);
		_exit(starter_run(store, pair[1], &err) < 0);
	}
	close(pair[1]);
	sock = pair[0];
	starter_use(store, sock);
	return 0;
}

/* It ends when nobody can ask any more. */
static int end(void **state)
{
	int status = -1;

	(void)state;
	close(sock);
	store_close(store);
	waitpid(starter, &status, 0);
	return status || path_remove_tree(AT_FDCWD, dir);
}

static int ask(struct unpack_request request, const char *path)
{
	autohelper struct helper helper = HELPER_NONE;
	autoclose int fd = path ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	struct unpack_reply reply;
	struct err err = {};
	int r;

	if (!request.limits.bytes)
		request.limits = helper_default_limits;
	r = helper_start(store, &request, fd, -1, -1, &helper, &err);
	if (r < 0)
		return r;
	/* true(1) says nothing, and leaves its request unread. */
	r = helper_wait(&helper, &reply, &err);
	return r == -EPIPE || r == -ECONNRESET ? 0 : -EIO;
}

static void what_a_pull_needs(void **state)
{
	char path[96];

	(void)state;
	assert_int_equal(ask((struct unpack_request){.role = UNPACK_INFLATE}, NULL), 0);
	snprintf(path, sizeof(path), "%s/staging/x", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(ask((struct unpack_request){.role = UNPACK_EXTRACT}, path), 0);
	strcat(path, "/diff");
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(ask((struct unpack_request){.role = UNPACK_EXTRACT}, path), 0);
	assert_int_equal(ask((struct unpack_request){.role = UNPACK_REMOVE}, path), 0);
}

static void what_it_does_not(void **state)
{
	struct unpack_request wide = {.role = UNPACK_INFLATE, .limits = helper_default_limits};
	char path[96];

	(void)state;
	assert_int_equal(ask((struct unpack_request){.role = UNPACK_EXTRACT}, "/etc"), -EPERM);
	assert_int_equal(ask((struct unpack_request){.role = UNPACK_REMOVE}, "/tmp"), -EPERM);
	assert_int_equal(ask((struct unpack_request){.role = UNPACK_REMOVE}, dir), -EPERM);
	snprintf(path, sizeof(path), "%s/layers", dir);
	assert_int_equal(ask((struct unpack_request){.role = UNPACK_EXTRACT}, path), -EPERM);
	snprintf(path, sizeof(path), "%s/staging", dir);
	assert_int_equal(ask((struct unpack_request){.role = UNPACK_EXTRACT}, path), -EPERM);
	assert_int_equal(ask((struct unpack_request){.role = UNPACK_PACK}, path), -EPERM);
	assert_int_equal(ask((struct unpack_request){.role = UNPACK_INFLATE}, path), -EPERM);
	assert_int_equal(ask((struct unpack_request){.role = UNPACK_EXTRACT}, NULL), -EPERM);
	assert_int_equal(ask((struct unpack_request){.role = 77}, NULL), -EPERM);
	wide.limits.bytes++;
	assert_int_equal(ask(wide, NULL), -EPERM);
	wide.limits.bytes--;
	wide.devices = true;
	assert_int_equal(ask(wide, NULL), -EPERM);
}

/* Bytes that are no request, and one that promises other descriptors than come. */
static void nonsense(void **state)
{
	char bytes[32] = "nonsense";

	(void)state;
	assert_int_equal(send(sock, bytes, sizeof(bytes), 0), sizeof(bytes));
	assert_int_equal(ask((struct unpack_request){.role = UNPACK_INFLATE}, NULL), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(what_a_pull_needs),
		TEST(what_it_does_not),
		TEST(nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
