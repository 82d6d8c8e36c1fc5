/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/spec/mutate.h"

#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/personality.h>

static const struct mutation mutations[] = {
	{"linux", "[]", "linux: must be an object"},
	{"linux namespaces", "{}", "linux.namespaces: must be an array"},
	{"linux namespaces 0 type", NULL, "linux.namespaces[0].type: is missing"},
	{"linux namespaces 0 type", "\"net\"",
		"linux.namespaces[0].type: \"net\" is not a namespace"},
	{"linux namespaces 1 path", "\"run/netns/n\"",
		"namespaces[1].path: \"run/netns/n\" must be"},
	{"linux namespaces 1 path", "\"\"", NULL},
	{"linux uidMappings 0 size", NULL, "linux.uidMappings[0].size: is missing"},
	{"linux uidMappings 0 size", "0", "linux.uidMappings: range 0 has size 0"},
	{"linux uidMappings 0 size", "2", "ranges 0 and 1 overlap in the container"},
	{"linux uidMappings 1 hostID", "1000", "ranges 0 and 1 overlap on the host"},
	{"linux uidMappings 1 size", "4294967295", "range 1 goes beyond the highest id"},
	{"linux gidMappings 0", "{\"containerID\": 4294967295, \"hostID\": 0, \"size\": 1}",
		"linux.gidMappings: range 0 goes beyond"},
	{"linux gidMappings 0", "{\"containerID\": 0, \"hostID\": 0, \"size\": 4294967295}", NULL},
	{"linux gidMappings 0 containerID", "-1",
		"gidMappings[0].containerID: must not be negative"},
	{"linux timeOffsets monotonic nanosecs", "1000000000", "monotonic.nanosecs: must be below"},
	{"linux timeOffsets boottime secs", "\"1\"", "timeOffsets.boottime.secs: must be a number"},
	{"linux devices 0 path", NULL, "linux.devices[0].path: is missing"},
	{"linux devices 0 path", "\"fuse\"",
		"linux.devices[0].path: \"fuse\" must be the absolute"},
	{"linux devices 0 path", "\"/\"", "linux.devices[0].path: \"/\" must be the absolute"},
	{"linux devices 0 type", NULL, "linux.devices[0].type: is missing"},
	{"linux devices 0 type", "\"x\"", "linux.devices[0].type: \"x\" must be b"},
	{"linux devices 0 type", "\"\"", "linux.devices[0].type: \"\" must be b"},
	{"linux devices 0 type", "\"cb\"", "linux.devices[0].type: \"cb\" must be b"},
	{"linux devices 0 type", "7", "linux.devices[0].type: must be a string"},
	{"linux devices 0 major", NULL, "linux.devices[0].major: must be the device's number"},
	{"linux devices 1 minor", NULL, "linux.devices[1].minor: must be the device's number"},
	{"linux devices 1 minor", "-1", "linux.devices[1].minor: must be the device's number"},
	{"linux devices 1 minor", "4294967296", "linux.devices[1].minor: must be the device's"},
	{"linux devices 0 fileMode", "65536", "linux.devices[0].fileMode: has bits beyond"},
	{"linux devices 0 uid", "-1", "linux.devices[0].uid: must not be negative"},
	{"linux netDevices", "[]", "linux.netDevices: must be an object"},
	{"linux netDevices eth1 name", "23", "linux.netDevices.eth1.name: must be a string"},
	{"linux netDevices eth1 name", "\"a/b\"", "netDevices.eth1.name: \"a/b\" is no name"},
	{"linux netDevices eth1 name", "\"eth%d\"", NULL},
	{"linux netDevices eth1 name", "\"eth%s\"", "\"eth%s\" is no name of a network device"},
	{"linux netDevices eth1 name", "\"e%d%d\"", "\"e%d%d\" is no name of a network device"},
	{"linux netDevices eth1 name", "\"eth%\"", "\"eth%\" is no name of a network device"},
	{"linux netDevices eth1 name", "\"a b\"", "\"a b\" is no name of a network device"},
	{"linux netDevices eth1 name", "\"..\"", "\"..\" is no name of a network device"},
	{"linux netDevices eth1 name", "\"abcdefghijklmnop\"", "is no name of a network device"},
	{"linux netDevices eth1 name", "\"abcdefghijklmno\"", NULL},
	{"linux netDevices eth1 name", "\"eth2\"", "two devices would be named \"eth2\""},
	{"linux cgroupsPath", "\"/a/../b\"", "linux.cgroupsPath: \"/a/../b\" must not have \"..\""},
	{"linux cgroupsPath", "\"..\"", "linux.cgroupsPath: \"..\" must not have"},
	{"linux cgroupsPath", "\"a/..\"", "linux.cgroupsPath: \"a/..\" must not have"},
	{"linux cgroupsPath", "\"/a..b/...\"", NULL},
	{"linux cgroupsPath", "\"\"", NULL},
	{"linux rootfsPropagation", "\"public\"", "rootfsPropagation: \"public\" must be private"},
	{"linux rootfsPropagation", "[]", "linux.rootfsPropagation: must be a string"},
	{"linux rootfsPropagation", "\"\"", NULL},
	{"linux maskedPaths 0", "\"proc/kcore\"", "linux.maskedPaths: \"proc/kcore\" must be an"},
	{"linux maskedPaths 0", "\"\"", "linux.maskedPaths: \"\" must be an absolute path"},
	{"linux readonlyPaths 0", "\"proc\"", "linux.readonlyPaths: \"proc\" must be an absolute"},
	{"linux sysctl", "[]", "linux.sysctl: must be an object"},
	{"linux sysctl kernel.shmmax", "1", "linux.sysctl.kernel.shmmax: must be a string"},
	{"linux intelRdt closID", "\"a/b\"", "linux.intelRdt.closID: \"a/b\" is no name"},
	{"linux intelRdt closID", "\"..\"", "linux.intelRdt.closID: \"..\" is no name"},
	{"linux intelRdt closID", "\"info\"", "linux.intelRdt.closID: \"info\" is no name"},
	{"linux intelRdt closID", "\"/\"", NULL},
	{"linux intelRdt memBwSchema", "\"L3:0=1\"", "memBwSchema: must be one line that begins"},
	{"linux intelRdt memBwSchema", "\"MB:0=1\\nL3:0=1\"", "memBwSchema: must be one line"},
	{"linux intelRdt schemata 0", "\"L3:0=1\\nMB:0=1\"", "linux.intelRdt.schemata: "},
	{"linux intelRdt schemata 0", "\"everything\"", "\"everything\" must be one line such as"},
	{"linux intelRdt enableMonitoring", "1", "enableMonitoring: must be true or false"},
	{"linux memoryPolicy mode", NULL, "linux.memoryPolicy.mode: is missing"},
	{"linux memoryPolicy mode", "\"MPOL_X\"", "mode: \"MPOL_X\" is not a memory policy"},
	{"linux memoryPolicy mode", "\"MPOL_DEFAULT\"", "nodes: MPOL_DEFAULT and MPOL_LOCAL take"},
	{"linux memoryPolicy mode", "\"MPOL_INTERLEAVE\"",
		"flags: MPOL_F_NUMA_BALANCING goes with"},
	{"linux memoryPolicy nodes", "\"0-\"", "linux.memoryPolicy.nodes: \"0-\" is no list"},
	{"linux memoryPolicy nodes", "\"\"", "linux.memoryPolicy.nodes: is missing"},
	{"linux memoryPolicy flags 2", "\"MPOL_F_RELATIVE_NODES\"", "exclude each other"},
	{"linux memoryPolicy flags 0", "\"MPOL_F_X\"", "\"MPOL_F_X\" is not a flag of memory"},
	{"linux memoryPolicy", "{\"mode\": \"MPOL_LOCAL\"}", NULL},
	{"linux memoryPolicy", "{\"mode\": \"MPOL_PREFERRED\"}", NULL},
	{"linux memoryPolicy",
		"{\"mode\": \"MPOL_PREFERRED\", \"flags\": [\"MPOL_F_STATIC_NODES\"]}",
		"MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES need nodes"},
	{"linux memoryPolicy", "{\"mode\": \"MPOL_WEIGHTED_INTERLEAVE\", \"nodes\": \"0\"}", NULL},
	{"linux personality domain", NULL, "linux.personality.domain: is missing"},
	{"linux personality domain", "\"BSD\"", "\"BSD\" is not an execution domain"},
	{"linux personality flags", "[\"ADDR_NO_RANDOMIZE\"]", "\"ADDR_NO_RANDOMIZE\" is unknown"},
	{"linux personality flags", "[]", NULL},
};

static void test_mutations(void **state)
{
	(void)state;
	check_mutations(mutations, ARRAY_LEN(mutations));
}

static void test_values(void **state)
{
	struct spec_config *config = parse_data("spec/full.json");
	const struct spec_linux *l = &config->linux_;
	(void)state;

	assert_int_equal(l->namespaces.count, 8);
	assert_int_equal(l->namespaces.items[1].type, CLONE_NEWNET);
	assert_string_equal(l->namespaces.items[1].path, "/run/netns/n");
	assert_null(l->namespaces.items[0].path);
	assert_int_equal(l->uid_mappings.count, 2);
	assert_int_equal(l->uid_mappings.items[1].host_id, 100000);
	assert_true(l->time_boottime->set && l->time_boottime->secs == -100);
	assert_int_equal(l->time_monotonic->nanosecs, 999999999);
	assert_int_equal(l->devices.count, 4);
	assert_int_equal(l->devices.items[0].type, 'c');
	assert_true(l->devices.items[0].gid.set && l->devices.items[0].gid.value == 5);
	assert_false(l->devices.items[1].file_mode.set);
	assert_int_equal(l->devices.items[2].type, 'p');
	assert_int_equal(l->devices.items[2].major, 0);
	assert_int_equal(l->devices.items[3].type, 'c');
	assert_int_equal(l->devices.items[3].file_mode.value, 0666); /* the type was in it */
	assert_int_equal(l->net_devices.count, 2);
	assert_string_equal(l->net_devices.items[0].host_name, "eth1");
	assert_string_equal(l->net_devices.items[0].name, "inside");
	assert_null(l->net_devices.items[1].name);
	assert_string_equal(l->cgroups_path, "machine.slice:brig:full");
	assert_true(l->rootfs_propagation == (MS_SLAVE | MS_REC));
	assert_int_equal(l->sysctl.count, 6);
	assert_string_equal(l->masked_paths.items[0], "/proc/kcore");
	assert_string_equal(l->readonly_paths.items[0], "/proc/sys");
	assert_string_equal(l->mount_label, "system_u:object_r:container_file_t:s0");
	assert_string_equal(l->intel_rdt->clos_id, "guaranteed");
	assert_int_equal(l->intel_rdt->schemata.count, 2);
	assert_string_equal(l->intel_rdt->l3_cache_schema, "L3:0=f");
	assert_string_equal(l->intel_rdt->mem_bw_schema, "MB:0=20");
	assert_true(l->intel_rdt->enable_monitoring);
	assert_int_equal(l->memory_policy->mode, MPOL_BIND);
	assert_int_equal(l->memory_policy->flags, MPOL_F_STATIC_NODES | MPOL_F_NUMA_BALANCING);
	assert_string_equal(l->memory_policy->nodes, "0-1");
	assert_int_equal(l->personality->domain, PER_LINUX32);
	assert_ptr_equal(spec_find_namespace(config, CLONE_NEWNET), &l->namespaces.items[1]);
	spec_config_free(config);
}

/* More ranges than the kernel takes, and as many as it takes. */
static void test_many_mappings(void **state)
{
	json_t *good = load_data("spec/full.json");
	json_t *list = json_array();
	struct spec_config *config = NULL;
	struct err err = {};
	(void)state;

	for (int i = 0; i < 340; i++)
		json_array_append_new(
			list, json_pack("{sisisi}", "containerID", i, "hostID", i, "size", 1));
	json_object_set(json_object_get(good, "linux"), "gidMappings", list);
	assert_int_equal(parse_json(good, &config, &err), 0);
	spec_config_free(config);
	json_array_append_new(
		list, json_pack("{sisisi}", "containerID", 900, "hostID", 900, "size", 1));
	config = NULL;
	assert_int_equal(parse_json(good, &config, &err), -EINVAL);
	assert_non_null(strstr(err.text, "at most 340 ranges"));
	json_decref(list);
	json_decref(good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_many_mappings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
