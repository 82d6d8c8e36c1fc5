/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/spec/mutate.h"

#include <sched.h>

static const struct mutation mutations[] = {
	{"hooks", "[]", "hooks: must be an object"},
	{"hooks prestart", "{}", "hooks.prestart: must be an array"},
	{"hooks prestart 0 path", NULL, "hooks.prestart[0].path: is missing"},
	{"hooks prestart 0 path", "\"bin/x\"", "hooks.prestart[0].path: \"bin/x\" must be"},
	{"hooks createRuntime 0 path", "\"\"", "hooks.createRuntime[0].path: \"\" must be"},
	{"hooks createRuntime 0 timeout", "0", "hooks.createRuntime[0].timeout: must be a number"},
	{"hooks createContainer 0 timeout", "-1", "hooks.createContainer[0].timeout: must be"},
	{"hooks startContainer 0 args", "\"x\"", "hooks.startContainer[0].args: must be an array"},
	{"hooks poststart 0 env", "[1]", "hooks.poststart[0].env[0]: must be a string"},
	{"hooks poststop 1 path", "\"x\"", "hooks.poststop[1].path: \"x\" must be an absolute"},
	{"vm kernel", NULL, "vm.kernel: is missing"},
	{"vm kernel path", NULL, "vm.kernel.path: is missing"},
	{"vm kernel path", "\"vmlinuz\"", "vm.kernel.path: \"vmlinuz\" must be an absolute path"},
	{"vm kernel initrd", "\"initrd\"", "vm.kernel.initrd: \"initrd\" must be an absolute path"},
	{"vm kernel parameters", "\"quiet\"", "vm.kernel.parameters: must be an array"},
	{"vm hypervisor path", NULL, "vm.hypervisor.path: is missing"},
	{"vm image format", NULL, "vm.image.format: is missing"},
	{"vm image format", "\"iso\"", "vm.image.format: \"iso\" is not an image format"},
	{"vm image path", "\"disk\"", "vm.image.path: \"disk\" must be an absolute path"},
	{"vm hwConfig vcpus", "0", "vm.hwConfig.vcpus: must be at least 1"},
	{"vm hwConfig vcpus", "-2", "vm.hwConfig.vcpus: must not be negative"},
	{"vm hwConfig memory", "0", "vm.hwConfig.memory: must be above 0"},
	{"vm hwConfig iomems 0 firstMFN", NULL, "vm.hwConfig.iomems[0].firstMFN: is missing"},
	{"vm hwConfig irqs 0", "-1", "vm.hwConfig.irqs[0]: must not be negative"},
	{"vm hwConfig", NULL, NULL},
	{"anything", "{\"new\": 1}", NULL},
	{"linux anything", "[]", NULL},
};

static void test_mutations(void **state)
{
	(void)state;
	check_mutations(mutations, ARRAY_LEN(mutations));
}

static void test_values(void **state)
{
	struct spec_config *config = parse_data("spec/full.json");
	const struct spec_vm *vm = config->vm;
	(void)state;

	assert_string_equal(config->oci_version, "1.3.0");
	assert_string_equal(config->hostname, "full");
	assert_string_equal(config->domainname, "example.test");
	assert_string_equal(config->root->path, "rootfs");
	assert_true(config->root->readonly);
	assert_int_equal(config->hooks.prestart.count, 1);
	assert_string_equal(config->hooks.create_runtime.items[0].args.items[1], "x");
	assert_string_equal(config->hooks.create_runtime.items[0].env.items[0], "A=b");
	assert_int_equal(config->hooks.create_runtime.items[0].timeout.value, 3);
	assert_string_equal(config->hooks.create_container.items[0].path, "/bin/three");
	assert_string_equal(config->hooks.start_container.items[0].path, "/bin/four");
	assert_string_equal(config->hooks.poststart.items[0].path, "/bin/five");
	assert_string_equal(config->hooks.poststop.items[1].path, "/bin/seven");
	assert_int_equal(config->annotations.count, 3);
	assert_string_equal(spec_annotation(config, "org.example.key"), "value");
	assert_null(spec_annotation(config, "org.example.ke"));
	assert_null(spec_find_namespace(config, 0));
	assert_string_equal(vm->hypervisor.path, "/usr/bin/vmm");
	assert_string_equal(vm->hypervisor.parameters.items[0], "-a");
	assert_string_equal(vm->kernel.path, "/boot/vmlinuz");
	assert_string_equal(vm->kernel.initrd, "/boot/initrd");
	assert_int_equal(vm->image.format, SPEC_VM_RAW);
	assert_int_equal(vm->vcpus.value, 2);
	assert_int_equal(vm->memory.value, 4294967296);
	assert_string_equal(vm->device_tree, "/dt.dtb");
	assert_int_equal(vm->iomems.count, 2);
	assert_true(vm->iomems.items[0].first_gfn.set && !vm->iomems.items[1].first_gfn.set);
	assert_int_equal(vm->irqs.items[0], 37);
	spec_config_free(config);
}

static int parse_sample(const char *name, const char *from, const char *to, struct err *err)
{
	struct spec_config *config = NULL;
	autobuf struct buf text = {};
	char *p;
	int r;

	read_data(name, &text);
	p = from ? strstr(text.data, from) : NULL;
	if (from) {
		assert_non_null(p);
		assert_int_equal(strlen(from), strlen(to));
		memcpy(p, to, strlen(to));
	}
	r = spec_config_parse(name, text.data, text.len, &config, err);
	spec_config_free(config);
	return r;
}

static void test_published_samples(void **state)
{
	static const struct {
		const char *name, *words;
	} samples[] = {
		{"oci/config/good/linux-netdevice.json", NULL},
		{"oci/config/good/linux-rdma.json", NULL},
		{"oci/config/good/minimal-for-start.json", NULL},
		{"oci/config/good/minimal.json", NULL},
		{"oci/config/good/freebsd-minimal.json", NULL},
		{"oci/config/good/zos-minimal.json", NULL},
		{"oci/config/bad/invalid-json.json", "invalid-json.json:1:2: not valid JSON"},
		{"oci/config/bad/linux-hugepage.json",
			"linux.resources.hugepageLimits[0].pageSize"},
		{"oci/config/bad/linux-netdevice.json", "linux.netDevices.eth0.name"},
		{"oci/config/bad/linux-rdma.json", "linux.resources.rdma.mlx5_1.hcaHandles"},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
		struct err err = {};
		int r = parse_sample(samples[i].name, NULL, NULL, &err);

		if (samples[i].words && (r != -EINVAL || !strstr(err.text, samples[i].words)))
			fail_msg("%s: %d \"%s\"", samples[i].name, r, err.text);
		if (!samples[i].words && r < 0)
			fail_msg("%s", err.text);
	}
}

/* The long example says version 0.5.0-dev, before the specification's first release; that alone
 * is refused. */
static void test_published_example(void **state)
{
	static const char name[] = "oci/config/good/spec-example.json";
	struct err err = {};
	(void)state;

	assert_int_equal(parse_sample(name, NULL, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "ociVersion"));
	assert_int_equal(parse_sample(name, "0.5.0-dev", "1.3.0-dev", &err), 0);
}

/* Any prefix of a valid file is refused, without a leak or a read beyond its end. */
static void test_truncation(void **state)
{
	autobuf struct buf text = {};
	(void)state;

	read_data("spec/full.json", &text);
	for (size_t len = 0; len < text.len - 2; len += 7) {
		struct spec_config *config = NULL;
		struct err err = {};
		char *cut = malloc(len + 1);

		memcpy(cut, text.data, len);
		assert_int_equal(spec_config_parse("c", cut, len, &config, &err), -EINVAL);
		assert_null(config);
		free(cut);
	}
}

/* What 0 means came with 1.3. */
static void test_a_limit_of_no_processes(void **state)
{
	static const struct {
		const char *version;
		int64_t limit;
	} cases[] = {{"1.0.2-dev", -1}, {"1.2.1+dev", -1}, {"1.3.0", 0}, {"1.10.0", 0}};
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct spec_config *config = NULL;
		struct err err = {};
		char text[256];
		int len = snprintf(text, sizeof(text),
			"{\"ociVersion\": \"%s\", \"root\": {\"path\": \"r\"}, "
			"\"linux\": {\"resources\": {\"pids\": {\"limit\": 0}}}}",
			cases[i].version);

		assert_int_equal(spec_config_parse("c", text, (size_t)len, &config, &err), 0);
		assert_true(config->linux_.resources->pids_limit.set);
		assert_int_equal(config->linux_.resources->pids_limit.value, cases[i].limit);
		spec_config_free(config);
	}
}

static void test_free_of_nothing(void **state)
{
	(void)state;
	spec_config_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_published_samples),
		cmocka_unit_test(test_published_example),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_a_limit_of_no_processes),
		cmocka_unit_test(test_free_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
