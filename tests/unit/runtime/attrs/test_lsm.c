/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/attrs/lsm.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "tests/unit/runtime/attrs/child.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

static int proc_fd(void)
{
	return open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static void no_label_does_nothing(void **state)
{
	struct err err = {};

	(void)state;
	/* −1 would fail if anything were opened. */
	assert_int_equal(lsm_set_apparmor(-1, NULL, &err), 0);
	assert_int_equal(lsm_set_apparmor(-1, "", &err), 0);
	assert_int_equal(lsm_set_selinux(-1, NULL, &err), 0);
	assert_int_equal(lsm_set_selinux(-1, "", &err), 0);
	assert_int_equal(lsm_set_selinux_keyring(-1, NULL, &err), 0);
}

static void module_that_is_off(void **state)
{
	autoclose int procfd = proc_fd();
	struct err err = {};

	(void)state;
	if (exists("/sys/module/apparmor") || exists("/sys/fs/selinux/enforce")) {
		print_message("skip: a security module is enabled\n");
		skip();
	}
	assert_int_equal(lsm_set_apparmor(procfd, "some-profile", &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "some-profile"));
	assert_non_null(strstr(err.text, "AppArmor is not enabled"));
	err_clear(&err);
	assert_int_equal(lsm_set_apparmor(procfd, "unconfined", &err), 0);
	assert_int_equal(lsm_set_selinux(procfd, "system_u:object_r:t:s0", &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "SELinux is not enabled"));
	err_clear(&err);
	assert_int_equal(
		lsm_set_selinux_keyring(procfd, "system_u:object_r:t:s0", &err), -EOPNOTSUPP);
}

static void labels_are_checked(void **state)
{
	autoclose int procfd = proc_fd();
	char label[5000];
	struct err err = {};

	(void)state;
	memset(label, 'x', sizeof(label) - 1);
	label[sizeof(label) - 1] = 0;
	assert_int_equal(lsm_set_apparmor(procfd, label, &err), -EINVAL);
	assert_int_equal(lsm_set_apparmor(procfd, "a\nb", &err), -EINVAL);
	assert_int_equal(lsm_set_selinux(procfd, "a\nb", &err), -EINVAL);
}

/* A directory that looks like a procfs with both modules enabled. */
static void make_fake(const char *dir)
{
	static const char *const dirs[] = {"self", "self/attr", "self/attr/apparmor"};
	static const char *const files[][2] = {{"filesystems", "nodev\tselinuxfs\n"},
		{"self/attr/exec", ""}, {"self/attr/apparmor/current", "unconfined\n"},
		{"self/attr/apparmor/exec", ""}};
	char path[200];

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, dirs[i]);
		assert_true(mkdir(path, 0700) == 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		int fd;

		snprintf(path, sizeof(path), "%s/%s", dir, files[i][0]);
		fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		assert_true(fd >= 0);
		assert_true(write(fd, files[i][1], strlen(files[i][1])) >= 0);
		close(fd);
	}
}

static void remove_fake(const char *dir)
{
	static const char *const paths[] = {"/self/attr/apparmor/exec",
		"/self/attr/apparmor/current", "/self/attr/apparmor", "/self/attr/exec",
		"/self/attr", "/self", "/filesystems", ""};
	char path[200];

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		snprintf(path, sizeof(path), "%s%s", dir, paths[i]);
		assert_int_equal(remove(path), 0);
	}
}

/* B1: files that only look like procfs are never written to. */
static void fake_procfs_is_refused(void **state)
{
	char dir[] = "/tmp/brig-lsm-XXXXXX", path[200];
	autoclose int fd = -1;
	struct stat st;
	struct err err = {};

	(void)state;
	assert_non_null(mkdtemp(dir));
	make_fake(dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(lsm_set_selinux(fd, "a:b:c:s0", &err), -EXDEV);
	err_clear(&err);
	assert_int_equal(lsm_set_apparmor(fd, "profile", &err), -EOPNOTSUPP);
	snprintf(path, sizeof(path), "%s/self/attr/exec", dir);
	assert_true(stat(path, &st) == 0 && st.st_size == 0);
	snprintf(path, sizeof(path), "%s/self/attr/apparmor/exec", dir);
	assert_true(stat(path, &st) == 0 && st.st_size == 0);
	remove_fake(dir);
}

/* B1: something is mounted over a file of the procfs that is used. */
static void mounted_over(void *arg)
{
	char label[] = "/tmp/brig-lsm-XXXXXX";
	struct err err = {};
	struct stat st;
	int fd, procfd;

	(void)arg;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		_exit(77);
	procfd = proc_fd(); /* of the new mount namespace */
	fd = mkostemp(label, O_CLOEXEC);
	child_check(fd >= 0);
	child_check(write(fd, "nodev\tselinuxfs\n", 16) == 16);
	child_check(mount(label, "/proc/filesystems", NULL, MS_BIND, NULL) == 0);
	unlink(label);
	child_check(lsm_set_selinux(procfd, "a:b:c:s0", &err) == -EXDEV);
	child_check(fstat(fd, &st) == 0 && st.st_size == 16);
}

static void mount_over_procfs_is_refused(void **state)
{
	int status = child_run(mounted_over, NULL);

	(void)state;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("skip: mounting needs root\n");
		skip();
	}
	assert_int_equal(status, 0);
}

static void mount_labels(void **state)
{
	autobuf struct buf data = {};
	struct err err = {};

	(void)state;
	assert_int_equal(lsm_mount_data(NULL, &data, &err), 0);
	assert_string_equal(buf_str(&data), "");
	assert_int_equal(lsm_mount_data("system_u:object_r:t:s0:c1,c2", &data, &err), 0);
	assert_string_equal(buf_str(&data), "context=\"system_u:object_r:t:s0:c1,c2\"");
	assert_int_equal(lsm_mount_data("l", &data, &err), 0);
	assert_string_equal(
		buf_str(&data), "context=\"system_u:object_r:t:s0:c1,c2\",context=\"l\"");
	assert_int_equal(lsm_mount_data("a\",suid,x=\"", &data, &err), -EINVAL);
	assert_int_equal(lsm_check_mount_label("a\"", &err), -EINVAL);
	assert_int_equal(lsm_check_mount_label("a\tb", &err), -EINVAL);
	assert_int_equal(lsm_check_mount_label("a:b:c:s0", &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_label_does_nothing),
		cmocka_unit_test(module_that_is_off),
		cmocka_unit_test(labels_are_checked),
		cmocka_unit_test(fake_procfs_is_refused),
		cmocka_unit_test(mount_over_procfs_is_refused),
		cmocka_unit_test(mount_labels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
