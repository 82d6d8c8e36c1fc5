/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/spec/mutate.h"

/* Indices of the namespaces in full.json. */
#define UTS  "linux namespaces 3"
#define USER "linux namespaces 5"
#define TIME "linux namespaces 7"

static const struct mutation mutations[] = {
	{"ociVersion", NULL, "ociVersion: is missing"},
	{"ociVersion", "1", "ociVersion: must be a string"},
	{"ociVersion", "\"\"", "ociVersion: \"\" is no version"},
	{"ociVersion", "\"1.0\"", "ociVersion: \"1.0\" is no version"},
	{"ociVersion", "\"1.0.0.0\"", "ociVersion: \"1.0.0.0\" is no version"},
	{"ociVersion", "\"1.0.0-\"", "ociVersion: \"1.0.0-\" is no version"},
	{"ociVersion", "\"v1.0.0\"", "ociVersion: \"v1.0.0\" is no version"},
	{"ociVersion", "\"1.99999999999999999999.0\"", "is no version"},
	{"ociVersion", "\"0.5.0-dev\"", "\"0.5.0-dev\" is not supported: convert the file"},
	{"ociVersion", "\"2.0.0\"", "ociVersion: \"2.0.0\" is not supported"},
	{"ociVersion", "\"1.0.2-dev\"", NULL},
	{"ociVersion", "\"1.0.0-rc5\"", NULL},
	{"ociVersion", "\"1.2.1+dev\"", NULL},
	{"ociVersion", "\"1.99.0\"", NULL},
	{"root", NULL, NULL}, /* the VM has an image */
	{"root", "{}", "root.path: is missing"},
	{"root path", "\"\"", "root.path: must not be empty"},
	{"root readonly", "\"yes\"", "root.readonly: must be true or false"},
	{"process", NULL, NULL},
	{"process", "[]", "process: must be an object"},
	{"linux namespaces 8", "{\"type\": \"pid\"}", "linux.namespaces: \"pid\" is there twice"},
	{"linux namespaces 8", "{\"type\": \"network\"}", "\"network\" is there twice"},
	{USER " path", "\"/proc/1/ns/user\"", NULL},
	{"linux gidMappings", NULL, "linux.gidMappings: is missing: give mappings of both kinds"},
	{"linux uidMappings", "[]", "linux.uidMappings: is missing: give mappings of both kinds"},
	{UTS " path", "\"/proc/1/ns/uts\"", NULL},
	{"hostname", "\"\"", NULL},
	{"hostname", "[]", "hostname: must be a string"},
	{"hostname", "\"01234567890123456789012345678901234567890123456789012345678901234\"",
		"hostname: must be at most 64 bytes"},
	{"domainname", "\"01234567890123456789012345678901234567890123456789012345678901234\"",
		"domainname: must be at most 64 bytes"},
	{TIME " path", "\"/proc/1/ns/time\"", "linux.timeOffsets: need a new time namespace"},
	{"linux sysctl kernel.hostname", "\"x\"", "use the member \"hostname\" instead"},
	{"linux sysctl kernel/hostname", "\"x\"", "use the member \"hostname\" instead"},
	{"linux sysctl vm.swappiness", "\"1\"", "\"vm.swappiness\" is not separate for each"},
	{"linux sysctl kernel.core_pattern", "\"|/x\"", "is not separate for each container"},
	{"linux sysctl kernel/core_pattern", "\"|/x\"", "is not separate for each container"},
	{"linux sysctl kernel.semaphore", "\"1\"", "is not separate for each container"},
	{"linux sysctl kernel.shm_rmid_forced", "\"1\"", NULL},
	{"linux sysctl kernel.sem", "\"1 2 3 4\"", NULL},
	{"linux sysctl fs.file-max", "\"1\"", "is not separate for each container"},
	{"linux sysctl fs.mqueue", "\"1\"", "is not separate for each container"},
	{"linux sysctl net", "\"1\"", "is not separate for each container"},
	{"linux sysctl net/../kernel/core_pattern", "\"1\"", "is no name of a sysctl"},
	{"linux sysctl net.//.kernel", "\"1\"", "is no name of a sysctl"},
	{"linux sysctl net..ipv4", "\"1\"", "is no name of a sysctl"},
	{"linux sysctl /net/ipv4/ip_forward", "\"1\"", "is no name of a sysctl"},
	{"linux sysctl net.ipv4.ip_forward.", "\"1\"", "is no name of a sysctl"},
	{"linux sysctl .", "\"1\"", "is no name of a sysctl"},
	{"annotations org.brig.landlok.ro", "\"/\"", "is not known"},
	{"annotations org.brig.core_sched", "\"new\"", NULL},
	{"annotations org.brig.core_sched", "\"old\"", "must be new"},
	{"annotations org.brig.core_sched.", "\"new\"", "is not known"},
	{"annotations org.brig.isolation", "\"container\"", NULL},
	{"annotations org.brig.isolation", "\"vn\"",
		"an isolation that this program does not have"},
	{"annotations org.brig.landlock.ro", "\"/\"", NULL},
	{"annotations org.brigade.other", "\"\"", NULL},
	{"annotations run.oci.systemd.subgroup", "\"a/b\"", "must be one name without \"/\""},
	{"annotations run.oci.systemd.subgroup", "\"..\"", "must be one name without \"/\""},
	{"annotations run.oci.systemd.subgroup", "\"\"", NULL},
	{"annotations run.oci.hooks.stdout", "\"log\"",
		"run.oci.hooks.stdout\" must be an absolute"},
	{"annotations run.oci.hooks.stderr", "\"log\"",
		"run.oci.hooks.stderr\" must be an absolute"},
	{"annotations run.oci.seccomp.receiver", "\"s\"", "must be an absolute path"},
	{"annotations run.oci.mount_context_type", "\"x\"", "must be context, fscontext"},
	{"annotations run.oci.mount_context_type", "\"rootcontext\"", NULL},
	{"annotations org.systemd.property.", "\"x\"", "must end with the name of a property"},
	{"annotations org.systemd.property.A_B", "\"x\"", "which has letters only"},
	{"annotations org.systemd.property.CPUWeight", "\"\"", "must have a value"},
	{"annotations org.example.number", "7", "annotations.org.example.number: must be a string"},
	{"annotations", "{\"\": \"x\"}", "annotations: a key must not be empty"},
	{"annotations", "[]", "annotations: must be an object"},
};

static void test_mutations(void **state)
{
	(void)state;
	check_mutations(mutations, ARRAY_LEN(mutations));
}

/* A configuration with nothing but what the case gives. */
static void test_small_configurations(void **state)
{
#define START    "{\"ociVersion\": \"1.0.0\", "
#define ROOT     START "\"root\": {\"path\": \"rootfs\"}, "
#define NS(type) "\"namespaces\": [{\"type\": \"" type "\"}]"
#define RUN      "\"process\": {\"cwd\": \"/\", \"args\": [\"a\"]}, "
	static const struct {
		const char *text, *words;
	} cases[] = {
		{START "\"hooks\": {}}", "root: is missing: add"},
		{START "\"vm\": {\"kernel\": {\"path\": \"/k\"}}}", "root: is missing: add"},
		{ROOT "\"hostname\": \"x\"}",
			"hostname: would change the host's: add {\"type\": \"uts\"}"},
		{ROOT "\"domainname\": \"x\"}", "domainname: would change the host's"},
		{ROOT "\"hostname\": \"x\", \"linux\": {" NS("uts") "}}", NULL},
		{ROOT "\"linux\": {\"uidMappings\": [{\"containerID\": 0, \"hostID\": 0, \"size\": "
		      "1}]}}",
			"linux.uidMappings: need a user namespace: add {\"type\": \"user\"}"},
		{ROOT "\"linux\": {\"gidMappings\": [{\"containerID\": 0, \"hostID\": 0, \"size\": "
		      "1}]}}",
			"linux.gidMappings: need a user namespace"},
		{ROOT "\"linux\": {" NS("user") "}}", NULL},
		{ROOT "\"linux\": {\"timeOffsets\": {\"boottime\": {\"secs\": 1}}}}",
			"linux.timeOffsets: need a new time namespace"},
		{ROOT "\"linux\": {\"timeOffsets\": {}}}", NULL},
		{ROOT "\"linux\": {\"sysctl\": {\"net.core.somaxconn\": \"1\"}}}",
			"would change the host: add {\"type\": \"network\"}"},
		{ROOT "\"linux\": {\"sysctl\": {\"net/core/somaxconn\": \"1\"}}}",
			"would change the host: add {\"type\": \"network\"}"},
		{ROOT "\"linux\": {\"sysctl\": {\"fs.mqueue.msg_max\": \"1\"}}}",
			"would change the host: add {\"type\": \"ipc\"}"},
		{ROOT "\"linux\": {\"sysctl\": {\"kernel.msgmax\": \"1\"}}}",
			"would change the host: add {\"type\": \"ipc\"}"},
		{ROOT "\"linux\": {\"sysctl\": {\"kernel.domainname\": \"x\"}}}",
			"would change the host: add {\"type\": \"uts\"}"},
		{ROOT "\"linux\": {" NS("network") ", \"sysctl\": {\"kernel.sem\": \"1\"}}}",
			"add {\"type\": \"ipc\"}"},
		{ROOT RUN "\"linux\": {\"netDevices\": {\"eth0\": {}}}}",
			"linux.netDevices: need a network namespace"},
		{ROOT RUN "\"linux\": {" NS("network") ", \"netDevices\": {\"eth0\": {}}}}", NULL},
		{ROOT "\"mounts\": [{\"destination\": \"/x\", \"type\": \"tmpfs\", "
		      "\"options\": [\"idmap\"]}]}",
			"mounts[0].options: \"idmap\" needs uidMappings"},
		{ROOT "\"mounts\": [{\"destination\": \"/x\", \"type\": \"tmpfs\", "
		      "\"options\": [\"idmap=uids=0-1-1;gids=0-1-1\"]}]}",
			NULL},
		{ROOT "\"mounts\": [{\"destination\": \"/x\", \"type\": \"tmpfs\", "
		      "\"options\": [\"idmap=uids=@0-1-1;gids=0-1-1\"]}]}",
			"mounts[0].options: relative mappings (\"@\") need a user namespace"},
		{ROOT "\"hostname\": \"a\\u0000b\"}", "not valid JSON"},
		{ROOT "\"mounts\": [{\"destination\": \"/x\\u0000\", \"type\": \"tmpfs\"}]}",
			"not valid JSON"},
		{"[]", "c: must be an object"},
		{"", "c:1:"},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct spec_config *config = NULL;
		struct err err = {};
		int r = spec_config_parse("c", cases[i].text, strlen(cases[i].text), &config, &err);

		if (cases[i].words && (r != -EINVAL || !strstr(err.text, cases[i].words)))
			fail_msg("%s: %d \"%s\"", cases[i].text, r, err.text);
		if (!cases[i].words && r < 0)
			fail_msg("%s: %s", cases[i].text, err.text);
		spec_config_free(config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_small_configurations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
