/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/checkpoint.h"

#include "tests/unit/unit.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

static const char config_text[] =
	"{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"rootfs\"},"
	"\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"},\"mounts\":["
	"{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
	"{\"destination\":\"/var/run/data\",\"type\":\"bind\",\"source\":\"/src\",\"options\":["
	"\"rbind\"]},"
	"{\"destination\":\"/sys/fs/cgroup\",\"type\":\"cgroup\",\"source\":\"cgroup\"},"
	"{\"destination\":\"/data\",\"type\":\"tmpfs\",\"source\":\"tmpfs\"},"
	"{\"destination\":\"/data/in\",\"type\":\"bind\",\"source\":\"in\",\"options\":[\"bind\"]}"
	"],\"linux\":{\"maskedPaths\":[\"/proc/kcore\",\"/proc/dir\"],\"namespaces\":["
	"{\"type\":\"mount\"},{\"type\":\"pid\"},{\"type\":\"network\",\"path\":\"/n\"}%s]}}";

static const char mountinfo[] = "20 1 8:1 /r / rw,relatime - ext4 /dev/sda rw\n"
				"21 20 0:5 / /proc rw shared:3 master:4 - proc proc rw\n"
				"22 21 0:6 /null /proc/kcore rw - devtmpfs dev rw\n"
				"23 21 0:7 / /proc/dir ro - tmpfs tmpfs ro\n"
				"24 20 8:1 /src /run/data rw - ext4 /dev/sda rw\n"
				"25 24 0:9 / /run/data/a\\040b rw - ext4 /dev/sdb rw\n"
				"26 20 0:8 /c /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
				"27 20 0:10 / /data rw - tmpfs tmpfs rw\n"
				"28 27 8:1 /in /data/in rw - ext4 /dev/sda rw\n"
				"29 27 0:11 / /data/inner rw - tmpfs tmpfs rw\n";

static const char *const resolved[] = {"/proc", "/run/data", "/sys/fs/cgroup", "/data", "/data/in"};

struct fixture {
	struct spec_config *config;
	struct arena arena;
	struct plan plan;
	struct mountinfo_list mounts;
	struct checkpoint_images images;
	struct err err;
};

static void begin(struct fixture *f, const char *namespaces)
{
	const struct plan_request request = {.id = "id", .bundle = "/bundle"};
	const struct plan_host host = {.privileged = true};
	char text[4096];

	*f = (struct fixture){};
	snprintf(text, sizeof(text), config_text, namespaces);
	if (spec_config_parse("config.json", text, strlen(text), &f->config, &f->err) < 0 ||
		plan_make(f->config, &request, &host, &f->arena, &f->plan, &f->err) < 0 ||
		checkpoint_parse_mountinfo(mountinfo, &f->arena, &f->mounts, &f->err) < 0)
		fail_msg("%s", f->err.text);
}

static void end(struct fixture *f)
{
	spec_config_free(f->config);
	arena_free(&f->arena);
}

static void test_mountinfo(void **state)
{
	struct fixture f;
	static const char *const bad[] = {
		"x\n", "1 2 0:1 / /a rw - \n", "1 2 0:1 / /a rw shared:1\n"};

	(void)state;
	begin(&f, "");
	assert_int_equal(f.mounts.count, 10);
	assert_int_equal(f.mounts.items[1].id, 21);
	assert_string_equal(f.mounts.items[1].type, "proc");
	assert_string_equal(f.mounts.items[2].root, "/null");
	assert_string_equal(f.mounts.items[5].mountpoint, "/run/data/a b");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(
			checkpoint_parse_mountinfo(bad[i], &f.arena, &f.mounts, &f.err), -EINVAL);
	end(&f);
}

static void expect(const struct external_mount *m, int kind, const char *mountpoint,
	const char *destination, const char *below)
{
	assert_int_equal(m->kind, kind);
	assert_string_equal(m->mountpoint, mountpoint);
	if (destination) {
		assert_string_equal(m->destination, destination);
		assert_string_equal(m->below, below);
	}
}

static void test_mounts(void **state)
{
	struct fixture f;
	const struct external_mount *m;

	(void)state;
	begin(&f, "");
	assert_int_equal(
		checkpoint_plan_mounts(&f.plan, resolved, &f.mounts, &f.arena, &f.images, &f.err),
		0);
	assert_int_equal(f.images.mounts.count, 5);
	m = f.images.mounts.items;
	expect(&m[0], EXTERNAL_MASK, "/proc/kcore", NULL, NULL);
	expect(&m[1], EXTERNAL_BIND, "/run/data", "/var/run/data", "");
	expect(&m[2], EXTERNAL_BIND, "/run/data/a b", "/var/run/data", "/a b");
	expect(&m[3], EXTERNAL_CGROUP, "/sys/fs/cgroup", NULL, NULL);
	expect(&m[4], EXTERNAL_BIND, "/data/in", "/data/in", "");
	end(&f);

	/* With a cgroup namespace, it is a mount of the container's own. */
	begin(&f, ",{\"type\":\"cgroup\"}");
	assert_int_equal(
		checkpoint_plan_mounts(&f.plan, resolved, &f.mounts, &f.arena, &f.images, &f.err),
		0);
	assert_int_equal(f.images.mounts.count, 4);
	end(&f);

	/* Which one of a user namespace may not mount again. */
	begin(&f, ",{\"type\":\"cgroup\"},{\"type\":\"user\"}],"
		  "\"uidMappings\":[{\"containerID\":0,\"hostID\":1,\"size\":9}],"
		  "\"gidMappings\":[{\"containerID\":0,\"hostID\":1,\"size\":9}");
	assert_int_equal(
		checkpoint_plan_mounts(&f.plan, resolved, &f.mounts, &f.arena, &f.images, &f.err),
		0);
	expect(&f.images.mounts.items[3], EXTERNAL_CGROUP, "/sys/fs/cgroup", NULL, NULL);
	end(&f);
}

static void test_sources(void **state)
{
	struct fixture f;
	struct external_mount m = {
		.kind = EXTERNAL_BIND, .destination = "/var/run/data", .below = "/x"};
	const char *source;

	(void)state;
	begin(&f, "");
	assert_int_equal(checkpoint_mount_source(&f.plan, &m, NULL, &f.arena, &source, &f.err), 0);
	assert_string_equal(source, "/src/x");
	m.destination = "/data/in", m.below = "";
	assert_int_equal(checkpoint_mount_source(&f.plan, &m, NULL, &f.arena, &source, &f.err), 0);
	assert_string_equal(source, "/bundle/in");
	m.destination = "/data"; /* there, but no bind mount */
	assert_int_equal(
		checkpoint_mount_source(&f.plan, &m, NULL, &f.arena, &source, &f.err), -EINVAL);
	assert_non_null(strstr(f.err.text, "/data"));
	m.kind = EXTERNAL_MASK;
	assert_int_equal(checkpoint_mount_source(&f.plan, &m, NULL, &f.arena, &source, &f.err), 0);
	assert_string_equal(source, "/dev/null");
	m.kind = EXTERNAL_CGROUP;
	m.mountpoint = "/sys/fs/cgroup";
	assert_int_equal(checkpoint_mount_source(&f.plan, &m, "/c", &f.arena, &source, &f.err), 0);
	assert_string_equal(source, "/c");
	assert_int_equal(
		checkpoint_mount_source(&f.plan, &m, NULL, &f.arena, &source, &f.err), -EINVAL);
	end(&f);
}

static void test_namespaces(void **state)
{
	struct fixture f;
	const char *join;

	(void)state;
	begin(&f, "");
	assert_int_equal(checkpoint_check_namespaces(&f.plan, &f.err), 0);
	end(&f);
	begin(&f, ",{\"type\":\"cgroup\",\"path\":\"/c\"}");
	assert_int_equal(checkpoint_check_namespaces(&f.plan, &f.err), -ENOTSUP);
	assert_non_null(strstr(f.err.text, "cgroup"));
	end(&f);
	assert_string_equal(checkpoint_namespace_label(CLONE_NEWNET, &join), "extRootNetNS");
	assert_null(join);
	assert_null(checkpoint_namespace_label(CLONE_NEWIPC, &join));
	assert_string_equal(join, "ipc");
}

static void test_images(void **state)
{
	struct external_mount mounts[] = {
		{.kind = EXTERNAL_BIND, .mountpoint = "/a", .destination = "/b", .below = "/c"},
		{.kind = EXTERNAL_MASK, .mountpoint = "/m", .below = ""},
	};
	const char *streams[] = {"pipe:[1]", "", "file[1:2]"};
	struct stream_file files[] = {{.stream = 2, .size = 70}};
	const struct checkpoint_images images = {
		.mounts = {mounts, 2},
		.streams = {streams, 3},
		.stream_files = {files, 1},
		.pid = 7,
	};
	autojson json_t *json = checkpoint_images_json(&images);
	autojson json_t *two = json_pack("{s:[], s:[s,s]}", "mounts", "streams", "", "");
	autojson json_t *incomplete = json_pack(
		"{s:[{s:s,s:s}], s:[]}", "mounts", "kind", "bind", "mountpoint", "/", "streams");
	const struct stat same = {.st_mode = S_IFREG, .st_size = 70};
	const struct stat longer = {.st_mode = S_IFREG, .st_size = 71};
	const struct stat pipe = {.st_mode = S_IFIFO, .st_size = 70};
	struct checkpoint_images read = {};
	autoarena struct arena arena = {};
	struct err err = {};

	(void)state;
	assert_non_null(json);
	assert_int_equal(checkpoint_images_read(json, &arena, &read, &err), 0);
	assert_int_equal(read.mounts.count, 2);
	expect(&read.mounts.items[0], EXTERNAL_BIND, "/a", "/b", "/c");
	expect(&read.mounts.items[1], EXTERNAL_MASK, "/m", NULL, NULL);
	assert_int_equal(read.streams.count, 3);
	assert_string_equal(read.streams.items[2], "file[1:2]");
	assert_int_equal(read.pid, 7);
	assert_int_equal(checkpoint_check_stream(&read, 2, &same, &err), 0);
	assert_int_equal(checkpoint_check_stream(&read, 1, &longer, &err), 0);
	assert_int_equal(checkpoint_check_stream(&read, 2, &longer, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "standard error was a file of 70 bytes"));
	assert_int_equal(checkpoint_check_stream(&read, 2, &pipe, &err), -ENOTSUP);
	assert_int_equal(checkpoint_images_read(two, &arena, &read, &err), -EINVAL);
	assert_int_equal(checkpoint_images_read(incomplete, &arena, &read, &err), -EINVAL);
	assert_non_null(strstr(err.text, "destination"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mountinfo),
		cmocka_unit_test(test_mounts),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_images),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
