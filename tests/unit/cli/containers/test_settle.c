/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/settle.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char image_text[] =
	"{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":"
	"[]},"
	"\"config\":{\"Entrypoint\":[\"/entry\"],\"Cmd\":[\"a\",\"b\"],\"Env\":[\"PATH=/"
	"bin\",\"A=image\"],"
	"\"WorkingDir\":\"work\",\"User\":\"web\",\"StopSignal\":\"SIGQUIT\","
	"\"Labels\":{\"l\":\"image\",\"m\":\"image\"},\"ExposedPorts\":{\"80/tcp\":{},\"53/"
	"udp\":{}},"
	"\"Volumes\":{\"/data/\":{}},"
	"\"Healthcheck\":{\"Test\":[\"CMD\",\"true\"],\"Interval\":5000000000}}}";

/* One settling, with texts as options. */
struct fixture {
	struct run_options options;
	struct strings command;
	struct spec_image_config *image;
	struct record record;
	struct err err;
	int result;
};

static void settle_it(struct fixture *f)
{
	static char *environment[] = {(char *)"OUTER=here", NULL};
	struct settle_input input = {
		.options = &f->options,
		.command = &f->command,
		.environment = environment,
		.cwd = "/here",
	};

	assert_int_equal(spec_image_config_parse(
				 "image", image_text, strlen(image_text), &f->image, &f->err),
		0);
	input.image = f->image;
	f->result = settle(&input, &f->record, &f->err);
}

static void end(struct fixture *f)
{
	box_record_free(&f->record);
	spec_image_config_free(f->image);
}

#define LIST(...)                                                 \
	((struct strings){.items = (const char *[]){__VA_ARGS__}, \
		.count = sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *)})

static void assert_texts(const struct strings *have, const struct strings want)
{
	assert_int_equal(have->count, want.count);
	for (size_t i = 0; i < want.count; i++)
		assert_string_equal(have->items[i], want.items[i]);
}

static void test_image_alone(void **state)
{
	struct fixture f = {};

	(void)state;
	settle_it(&f);
	assert_int_equal(f.result, 0);
	assert_texts(&f.record.args, LIST("/entry", "a", "b"));
	assert_texts(&f.record.env, LIST("PATH=/bin", "A=image"));
	assert_string_equal(f.record.cwd, "/work");
	assert_string_equal(f.record.user, "web");
	assert_int_equal(f.record.stop_signal, SIGQUIT);
	assert_int_equal(f.record.stop_timeout, 10);
	assert_texts(&f.record.exposed, LIST("80/tcp", "53/udp"));
	assert_int_equal(f.record.mounts.count, 1);
	assert_string_equal(f.record.mounts.items[0].target, "/data");
	assert_true(f.record.mounts.items[0].anonymous);
	assert_non_null(f.record.health);
	assert_int_equal(f.record.health->interval, 5000000000);
	assert_int_equal(f.record.health->retries, 3);
	end(&f);
}

static void test_options_win(void **state)
{
	struct fixture f = {
		.options =
			{
				.entrypoint = "",
				.workdir = "/w",
				.user = "0",
				.stop_signal = SIGUSR1,
				.env = LIST("A=mine", "OUTER", "ABSENT", "B="),
				.labels = LIST("l=mine", "n"),
				.expose = LIST("8000-8001", "80"),
				.no_healthcheck = true,
				.volumes = LIST("vol:/data"),
			},
		.command = LIST("run", "me"),
	};

	(void)state;
	settle_it(&f);
	assert_int_equal(f.result, 0);
	assert_texts(&f.record.args, LIST("run", "me"));
	assert_texts(&f.record.env, LIST("PATH=/bin", "A=mine", "OUTER=here", "B="));
	assert_string_equal(f.record.cwd, "/w");
	assert_int_equal(f.record.stop_signal, SIGUSR1);
	assert_texts(&f.record.exposed, LIST("80/tcp", "53/udp", "8000/tcp", "8001/tcp"));
	assert_int_equal(f.record.labels.count, 3);
	assert_string_equal(f.record.labels.items[0].value, "mine");
	assert_int_equal(f.record.mounts.count, 1);
	assert_string_equal(f.record.mounts.items[0].volume, "vol");
	assert_false(f.record.mounts.items[0].anonymous);
	assert_null(f.record.health);
	end(&f);
}

static void test_command_takes_the_place_of_cmd(void **state)
{
	struct fixture f = {.command = LIST("x")};

	(void)state;
	settle_it(&f);
	assert_texts(&f.record.args, LIST("/entry", "x"));
	end(&f);
}

static void test_mounts(void **state)
{
	struct fixture f = {
		.options =
			{
				.volumes = LIST("./src:/a//b/:ro,rshared", "/host:/c:U"),
				.mounts = LIST("type=bind,src=/x,dst=/d,readonly",
					"type=tmpfs,target=/e,tmpfs-size=1m", "src=vol,dst=/f"),
				.tmpfs = LIST("/g:size=2m,mode=700"),
			},
	};
	const struct record_mount *m;

	(void)state;
	settle_it(&f);
	assert_int_equal(f.result, 0);
	m = f.record.mounts.items;
	assert_string_equal(m[0].source, "/here/./src");
	assert_string_equal(m[0].target, "/a/b");
	assert_texts(&m[0].options, LIST("rshared", "rbind", "rro"));
	assert_true(m[1].chown);
	assert_texts(&m[1].options, LIST("rbind", "rprivate"));
	assert_texts(&m[2].options, LIST("rbind", "rprivate", "rro"));
	assert_int_equal(m[3].type, RECORD_MOUNT_TMPFS);
	assert_texts(&m[3].options, LIST("size=1m", "nosuid", "nodev"));
	assert_string_equal(m[4].volume, "vol");
	assert_true(m[4].copy_up);
	assert_texts(&m[5].options, LIST("nosuid", "nodev", "noexec", "size=2m", "mode=700"));
	end(&f);
}

static void refused(struct run_options options, const char *word)
{
	struct fixture f = {.options = options};

	settle_it(&f);
	assert_int_equal(f.result, -EINVAL);
	if (!strstr(f.err.text, word))
		fail_msg("\"%s\" is not in \"%s\"", word, f.err.text);
	end(&f);
}

static void test_refused(void **state)
{
	(void)state;
	refused((struct run_options){.volumes = LIST("a:b")}, "begin with /");
	refused((struct run_options){.volumes = LIST("a:/")}, "mounted over");
	refused((struct run_options){.volumes = LIST("a:/b:c:d")}, "is not");
	refused((struct run_options){.volumes = LIST("a:/b:odd")}, "odd");
	refused((struct run_options){.volumes = LIST("a/b:/c")}, "neither");
	refused((struct run_options){.volumes = LIST("a:/b", "c:/b/")}, "already");
	refused((struct run_options){.mounts = LIST("type=bind,dst=/a")}, "source");
	refused((struct run_options){.mounts = LIST("type=odd,src=a,dst=/a")}, "type=");
	refused((struct run_options){.mounts = LIST("src=a")}, "target");
	refused((struct run_options){.mounts = LIST("src=a,dst=/a,odd=1")}, "odd");
	refused((struct run_options){.expose = LIST("70000")}, "70000");
	refused((struct run_options){.expose = LIST("80/odd")}, "80/odd");
	refused((struct run_options){.workdir = "here"}, "--workdir");
	refused((struct run_options){.env = LIST("=x")}, "name");
	refused((struct run_options){.health_cmd = "x", .health_interval = "odd"},
		"--health-interval");
	refused((struct run_options){.health_cmd = "x", .no_healthcheck = true}, "together");
}

static void test_durations(void **state)
{
	uint64_t ns = 1;

	(void)state;
	assert_int_equal(settle_duration("1h2m3.5s", &ns), 0);
	assert_int_equal(ns, 3723500000000);
	assert_int_equal(settle_duration("500ms", &ns), 0);
	assert_int_equal(ns, 500000000);
	assert_int_equal(settle_duration("7", &ns), 0);
	assert_int_equal(ns, 7000000000);
	assert_int_equal(settle_duration("", &ns), -EINVAL);
	assert_int_equal(settle_duration("-1s", &ns), -EINVAL);
	assert_int_equal(settle_duration("1y", &ns), -EINVAL);
	assert_int_equal(settle_duration("1s2", &ns), -EINVAL);
	assert_int_equal(settle_duration("1.2.3s", &ns), -EINVAL);
	assert_int_equal(settle_duration("99999999999h", &ns), -ERANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image_alone),
		cmocka_unit_test(test_options_win),
		cmocka_unit_test(test_command_takes_the_place_of_cmd),
		cmocka_unit_test(test_mounts),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_durations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
