/* SPDX-License-Identifier: Apache-2.0 */
/* What of a configuration is the host's, the guest's, or refused. */
#include "runtime/microvm/host/vmplan.h"
#include "runtime/microvm/proto.h"

#include "base/cleanup.h"

#include "tests/unit/unit.h"
#include <errno.h>
#include <sched.h>
#include <stdio.h>

#define BASE                                                                                  \
	"\"ociVersion\":\"1.3.0\",\"root\":{\"path\":\"rootfs\"},\"process\":{\"cwd\":\"/\"," \
	"\"args\":[\"sh\"]%s},\"linux\":{\"namespaces\":[%s]%s}%s"
#define NAMESPACES                                                                       \
	"{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"mount\"},{\"type\":\"uts\"}," \
	"{\"type\":\"network\",\"path\":\"/run/netns/x\"}"

static struct spec_config *parse(
	const char *process, const char *namespaces, const char *linux_, const char *more)
{
	struct spec_config *config = NULL;
	struct err err = {};
	char text[4096];

	snprintf(text, sizeof(text), "{" BASE "}", process, namespaces, linux_, more);
	if (spec_config_parse("config.json", text, strlen(text), &config, &err) < 0)
		fail_msg("%s", err.text);
	return config;
}

struct planned {
	struct arena arena;
	struct spec_config *config;
	struct vm_plan plan;
	struct err err;
	int result;
};

static void plan(struct planned *p, const char *namespaces, const char *linux_, const char *more)
{
	*p = (struct planned){.config = parse("", namespaces, linux_, more)};
	p->result = vm_plan_make(p->config, 4, &p->arena, &p->plan, &p->err);
}

static void end(struct planned *p)
{
	spec_config_free(p->config);
	arena_free(&p->arena);
}

static void test_size(void **state)
{
	static const struct {
		const char *linux_, *more;
		uint32_t vcpus, memory_mib;
	} cases[] = {
		{"", "", 4, VM_MEMORY_DEFAULT_MIB},
		{",\"resources\":{\"memory\":{\"limit\":-1}}", "", 4, VM_MEMORY_DEFAULT_MIB},
		{",\"resources\":{\"memory\":{\"limit\":1048576}}", "", 4, VM_MEMORY_MIN_MIB},
		{",\"resources\":{\"memory\":{\"limit\":268435456}}", "", 4, 256 + 64 + 8},
		{",\"resources\":{\"unified\":{\"memory.max\":\"268435456\"}}", "", 4,
			256 + 64 + 8},
		{",\"resources\":{\"cpu\":{\"quota\":150000,\"period\":100000}}", "", 2, 512},
		{",\"resources\":{\"cpu\":{\"quota\":1000}}", "", 1, 512},
		{",\"resources\":{\"cpu\":{\"quota\":900000}}", "", 4, 512},
		{",\"resources\":{\"memory\":{\"limit\":268435456}}",
			",\"vm\":{\"kernel\":{\"path\":\"/k\"},\"hwConfig\":{\"vcpus\":3,"
			"\"memory\":134217728}}",
			3, 128},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct planned p;

		plan(&p, NAMESPACES, cases[i].linux_, cases[i].more);
		if (p.result < 0)
			fail_msg("%zu: %s", i, p.err.text);
		assert_int_equal(p.plan.vcpus, cases[i].vcpus);
		assert_int_equal(p.plan.memory_mib, cases[i].memory_mib);
		end(&p);
	}
}

/* A machine that may grow has the host's limit of what it needs now. */
static void test_room_to_grow(void **state)
{
	static const char limit[] = ",\"resources\":{\"memory\":{\"limit\":67108864}}";
	struct spec_config host;
	struct planned p;

	(void)state;
	plan(&p, NAMESPACES, limit,
		",\"annotations\":{\"org.brig.vm.memory_max\":\"1073741824\","
		"\"org.brig.vm.kernel\":\"mine\"}");
	assert_int_equal(p.result, 0);
	assert_int_equal(p.plan.needed_mib, vm_plan_needed(67108864));
	assert_int_equal(p.plan.memory_mib, vm_plan_needed(1073741824));
	assert_string_equal(p.plan.kernel, "mine");
	assert_int_equal(vm_plan_host(p.config, &p.plan, &p.arena, &host, &p.err), 0);
	assert_true(host.linux_.resources->memory->limit.value < (int64_t)512 << 20);
	end(&p);
	plan(&p, NAMESPACES, limit, ",\"annotations\":{\"org.brig.vm.memory_max\":\"1048576\"}");
	assert_int_equal(p.result, -EINVAL);
	assert_non_null(strstr(p.err.text, "org.brig.vm.memory_max"));
	end(&p);
	plan(&p, NAMESPACES, ",\"resources\":{\"memory\":{\"limit\":33554432}}",
		",\"annotations\":{\"org.brig.vm.huge_pages\":\"true\"}");
	assert_int_equal(p.plan.memory_mib % 2, 0);
	end(&p);
}

#define HARDWARE(fields) ",\"vm\":{\"kernel\":{\"path\":\"/k\"},\"hwConfig\":{" fields "}}"

static void test_refused(void **state)
{
	static const struct {
		const char *namespaces, *linux_, *more, *word;
	} cases[] = {
		{"{\"type\":\"ipc\"},{\"type\":\"network\"}", "", "", "\"pid\""},
		{"{\"type\":\"pid\"},{\"type\":\"network\"}", "", "", "\"ipc\""},
		{"{\"type\":\"pid\"},{\"type\":\"ipc\"}", "", "", "\"network\""},
		{"{\"type\":\"pid\",\"path\":\"/proc/1/ns/pid\"},{\"type\":\"ipc\"},"
		 "{\"type\":\"network\"}",
			"", "", "/proc/1/ns/pid"},
		{NAMESPACES ",{\"type\":\"cgroup\",\"path\":\"/x\"}", "", "", "\"cgroup\""},
		{NAMESPACES ",{\"type\":\"user\",\"path\":\"/x\"}", "", "", "\"user\""},
		{NAMESPACES,
			",\"devices\":[{\"path\":\"/dev/null\",\"type\":\"c\",\"major\":1,"
			"\"minor\":3},{\"path\":\"/dev/fuse\",\"type\":\"c\",\"major\":10,"
			"\"minor\":229}]",
			"", "linux.devices[1]: /dev/fuse"},
		{NAMESPACES, "", ",\"vm\":{\"kernel\":{\"path\":\"/k\",\"initrd\":\"/i\"}}",
			"vm.kernel.initrd"},
		{NAMESPACES, "",
			",\"vm\":{\"kernel\":{\"path\":\"/k\"},\"hypervisor\":{\"path\":\"/q\"}}",
			"vm.hypervisor"},
		{NAMESPACES, "",
			",\"vm\":{\"kernel\":{\"path\":\"/k\"},\"hwConfig\":{\"memory\":1048576}}",
			"vm.hwConfig.memory"},
		{NAMESPACES, "",
			",\"vm\":{\"kernel\":{\"path\":\"/k\"},\"hwConfig\":{\"vcpus\":65}}",
			"vm.hwConfig.vcpus"},
		{NAMESPACES, "", HARDWARE("\"deviceTree\":\"/dt\""), "vm.hwConfig.deviceTree"},
		{NAMESPACES, "", HARDWARE("\"dtdevs\":[\"/d\"]"), "vm.hwConfig.dtdevs"},
		{NAMESPACES, "", HARDWARE("\"irqs\":[5]"), "vm.hwConfig.irqs"},
		{NAMESPACES, "", HARDWARE("\"iomems\":[{\"firstMFN\":1,\"nrMFNs\":1}]"),
			"vm.hwConfig.iomems"},
		{NAMESPACES, ",\"memoryPolicy\":{\"mode\":\"MPOL_BIND\",\"nodes\":\"0\"}", "",
			"linux.memoryPolicy"},
		{NAMESPACES, "", ",\"annotations\":{\"run.oci.keep_original_groups\":\"1\"}",
			"run.oci.keep_original_groups"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct planned p;

		plan(&p, cases[i].namespaces, cases[i].linux_, cases[i].more);
		assert_true(p.result < 0);
		if (!strstr(p.err.text, cases[i].word))
			fail_msg("\"%s\" does not name %s", p.err.text, cases[i].word);
		end(&p);
	}
}

#define MOUNTS                                                                            \
	",\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"}," \
	"{\"destination\":\"/data\",\"type\":\"bind\",\"source\":\"/srv\",\"options\":"   \
	"[\"rbind\",\"ro\",\"idmap=uids=0-1-1;gids=0-1-1\"]},{\"destination\":\"/disk\"," \
	"\"type\":\"ext4\",\"source\":\"/dev/sdb\",\"options\":[\"noatime\"]}]"

static void test_host_part(void **state)
{
	struct spec_config host;
	struct planned p;

	(void)state;
	plan(&p, NAMESPACES,
		",\"cgroupsPath\":\"/a\",\"resources\":{\"memory\":{\"limit\":268435456,\"swap\":"
		"536870912},\"cpu\":{\"shares\":512},\"pids\":{\"limit\":7},\"unified\":"
		"{\"memory.high\":\"1\",\"cpu.weight\":\"5\"}}",
		MOUNTS);
	assert_int_equal(vm_plan_host(p.config, &p.plan, &p.arena, &host, &p.err), 0);
	assert_int_equal(host.linux_.namespaces.count, 2);
	assert_string_equal(spec_find_namespace(&host, CLONE_NEWNET)->path, "/run/netns/x");
	assert_non_null(spec_find_namespace(&host, CLONE_NEWNS));
	assert_int_equal(host.mounts.count, 2);
	assert_string_equal(host.mounts.items[0].source, "/srv");
	assert_string_equal(host.mounts.items[1].source, "/dev/sdb");
	assert_string_equal(host.linux_.cgroups_path, "/a");
	/* The machine is bigger than the limit, and what runs it needs some too. */
	assert_int_equal(host.linux_.resources->memory->limit.value,
		((int64_t)p.plan.memory_mib << 20) + (int64_t)p.plan.overhead);
	assert_true(host.linux_.resources->memory->swap.value >
		    host.linux_.resources->memory->limit.value);
	assert_int_equal(host.linux_.resources->cpu->shares.value, 512);
	assert_false(host.linux_.resources->pids_limit.set);
	assert_int_equal(host.linux_.resources->unified.count, 1);
	assert_false(host.linux_.resources->devices.items[0].allow);
	assert_null(host.linux_.seccomp);
	end(&p);
}

static const char *text_at(const json_t *array, size_t i, const char *key)
{
	return json_string_value(json_object_get(json_array_get(array, i), key));
}

static void test_guest_part(void **state)
{
	struct planned p;
	autojson json_t *guest = NULL;
	const json_t *mounts, *options, *linux_;

	(void)state;
	plan(&p, NAMESPACES,
		",\"cgroupsPath\":\"/a\",\"resources\":{\"cpu\":{\"cpus\":\"3\",\"shares\":512},"
		"\"pids\":{\"limit\":7},\"unified\":{\"memory.high\":\"1\",\"cpu.weight\":\"5\"}}",
		MOUNTS ",\"annotations\":{\"org.brig.isolation\":\"vm\",\"a\":\"b\"},\"hooks\":"
		       "{\"prestart\":[{\"path\":\"/h\"}],\"startContainer\":[{\"path\":\"/s\"}]}");
	guest = vm_plan_guest(p.config, 0);
	assert_non_null(guest);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(guest, "root"), "path")),
		GUEST_FILES "/rootfs");
	mounts = json_object_get(guest, "mounts");
	assert_string_equal(text_at(mounts, 0, "source"), "proc");
	assert_string_equal(text_at(mounts, 1, "source"), GUEST_FILES "/0");
	assert_string_equal(text_at(mounts, 2, "source"), GUEST_FILES "/1");
	assert_string_equal(text_at(mounts, 2, "type"), "bind");
	options = json_object_get(json_array_get(mounts, 1), "options");
	assert_int_equal(json_array_size(options), 2);
	assert_string_equal(json_string_value(json_array_get(options, 1)), "ro");
	linux_ = json_object_get(guest, "linux");
	assert_null(json_object_get(linux_, "cgroupsPath"));
	assert_string_equal(
		text_at(json_object_get(linux_, "namespaces"), 4, "path"), "/proc/self/ns/net");
	linux_ = json_object_get(linux_, "resources");
	assert_null(json_object_get(json_object_get(linux_, "cpu"), "cpus"));
	assert_non_null(json_object_get(json_object_get(linux_, "cpu"), "shares"));
	assert_non_null(json_object_get(json_object_get(linux_, "unified"), "memory.high"));
	assert_null(json_object_get(json_object_get(linux_, "unified"), "cpu.weight"));
	assert_int_equal(json_object_size(json_object_get(guest, "annotations")), 1);
	assert_int_equal(json_object_size(json_object_get(guest, "hooks")), 1);
	end(&p);
}

/* Mounts for one that runs: the host's have the numbers from there on. */
static void test_guest_mounts(void **state)
{
	struct planned p;
	autojson json_t *asked = NULL, *guest = NULL;

	(void)state;
	plan(&p, NAMESPACES, "", MOUNTS);
	asked = json_pack("{s:O}", "mounts", json_object_get(p.config->json, "mounts"));
	guest = vm_plan_guest_mounts(p.config, asked, 7);
	assert_non_null(guest);
	assert_string_equal(text_at(guest, 0, "source"), "proc");
	assert_string_equal(text_at(guest, 1, "source"), GUEST_FILES "/7");
	assert_string_equal(text_at(guest, 2, "source"), GUEST_FILES "/8");
	assert_false(vm_plan_is_hosts(&p.config->mounts.items[0]));
	assert_true(vm_plan_is_hosts(&p.config->mounts.items[1]));
	assert_string_not_equal(text_at(json_object_get(asked, "mounts"), 1, "source"),
		GUEST_FILES "/7"); /* untouched */
	end(&p);
}

/* What is left for the guest is a valid configuration. */
static void test_guest_part_is_valid(void **state)
{
	autospec struct spec_config *config = NULL;
	autobuf struct buf text = {};
	autojson json_t *guest = NULL;
	struct planned p;

	(void)state;
	plan(&p, NAMESPACES, ",\"sysctl\":{\"net.ipv4.ip_forward\":\"1\"}", MOUNTS);
	guest = vm_plan_guest(p.config, 0);
	assert_int_equal(json_write(guest, JSON_COMPACT, &text), 0);
	if (spec_config_parse("guest", text.data, text.len, &config, &p.err) < 0)
		fail_msg("%s", p.err.text);
	json_decref(guest);
	guest = vm_plan_guest(p.config, 2); /* the root is made of disks */
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(guest, "root"), "path")),
		GUEST_ROOT);
	end(&p);
}

static void test_guest_process(void **state)
{
	autojson json_t *process = json_pack("{s:s, s:s, s:s}", "cwd", "/", "apparmorProfile",
		"containers-default", "selinuxLabel", "a:b:c:s0");
	autojson json_t *guest = vm_plan_guest_process(process);

	(void)state;
	assert_int_equal(json_object_size(guest), 1);
	assert_string_equal(json_string_value(json_object_get(guest, "cwd")), "/");
	assert_int_equal(json_object_size(process), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_room_to_grow),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_host_part),
		cmocka_unit_test(test_guest_part),
		cmocka_unit_test(test_guest_mounts),
		cmocka_unit_test(test_guest_part_is_valid),
		cmocka_unit_test(test_guest_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
