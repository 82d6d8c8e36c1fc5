/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/default.h"

#include "base/json.h"
#include "spec/names.h"

#include <string.h>

#define CAPABILITIES "[\"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\"]"

/* clang-format off */
static const char head[] =
"{\n"
"  \"ociVersion\": \"" SPEC_VERSION_MAX "\",\n"
"  \"process\": {\n"
"    \"terminal\": true,\n"
"    \"user\": {\"uid\": 0, \"gid\": 0},\n"
"    \"args\": [\"sh\"],\n"
"    \"env\": [\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",\n"
"      \"TERM=xterm\"],\n"
"    \"cwd\": \"/\",\n"
"    \"capabilities\": {\n"
"      \"bounding\": " CAPABILITIES ",\n"
"      \"effective\": " CAPABILITIES ",\n"
"      \"permitted\": " CAPABILITIES "\n"
"    },\n"
"    \"rlimits\": [{\"type\": \"RLIMIT_NOFILE\", \"hard\": 1024, \"soft\": 1024}],\n"
"    \"noNewPrivileges\": true\n"
"  },\n"
"  \"root\": {\"path\": \"rootfs\", \"readonly\": true},\n"
"  \"hostname\": \"brig\",\n"
"  \"mounts\": [\n"
"    {\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\",\n"
"      \"options\": [\"nosuid\", \"noexec\", \"nodev\"]},\n"
"    {\"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\",\n"
"      \"options\": [\"nosuid\", \"noexec\", \"strictatime\", \"mode=755\", \"size=65536k\"]},\n";

static const char network_own[] =
"    {\"destination\": \"/dev/pts\", \"type\": \"devpts\", \"source\": \"devpts\",\n"
"      \"options\": [\"nosuid\", \"noexec\", \"newinstance\", \"ptmxmode=0666\", \"mode=0620\",\n"
"        \"gid=5\"]},\n"
"    {\"destination\": \"/sys\", \"type\": \"sysfs\", \"source\": \"sysfs\",\n"
"      \"options\": [\"nosuid\", \"noexec\", \"nodev\", \"ro\"]},\n";

/* A sysfs of its own is only allowed with the network namespace's owner, and the group 5 has no
 * mapping. */
static const char network_host[] =
"    {\"destination\": \"/dev/pts\", \"type\": \"devpts\", \"source\": \"devpts\",\n"
"      \"options\": [\"nosuid\", \"noexec\", \"newinstance\", \"ptmxmode=0666\", \"mode=0620\"]},\n"
"    {\"destination\": \"/sys\", \"type\": \"none\", \"source\": \"/sys\",\n"
"      \"options\": [\"rbind\", \"nosuid\", \"noexec\", \"nodev\", \"rro\"]},\n";

static const char middle[] =
"    {\"destination\": \"/dev/shm\", \"type\": \"tmpfs\", \"source\": \"shm\",\n"
"      \"options\": [\"nosuid\", \"noexec\", \"nodev\", \"mode=1777\", \"size=65536k\"]},\n"
"    {\"destination\": \"/dev/mqueue\", \"type\": \"mqueue\", \"source\": \"mqueue\",\n"
"      \"options\": [\"nosuid\", \"noexec\", \"nodev\"]},\n"
"    {\"destination\": \"/sys/fs/cgroup\", \"type\": \"cgroup\", \"source\": \"cgroup\",\n"
"      \"options\": [\"nosuid\", \"noexec\", \"nodev\", \"relatime\", \"ro\"]}\n"
"  ],\n"
"  \"linux\": {\n"
"    \"maskedPaths\": [\"/proc/acpi\", \"/proc/kcore\", \"/proc/keys\", \"/proc/latency_stats\",\n"
"      \"/proc/sched_debug\", \"/proc/scsi\", \"/proc/timer_list\", \"/proc/timer_stats\",\n"
"      \"/proc/interrupts\", \"/sys/firmware\", \"/sys/fs/selinux\",\n"
"      \"/sys/devices/virtual/powercap\"],\n"
"    \"readonlyPaths\": [\"/proc/asound\", \"/proc/bus\", \"/proc/fs\", \"/proc/irq\", \"/proc/sys\",\n"
"      \"/proc/sysrq-trigger\"],\n";

static const char tail_root[] =
"    \"resources\": {\"devices\": [{\"allow\": false, \"access\": \"rwm\"}]},\n"
"    \"namespaces\": [{\"type\": \"pid\"}, {\"type\": \"ipc\"}, {\"type\": \"uts\"},\n"
"      {\"type\": \"mount\"}, {\"type\": \"cgroup\"}, {\"type\": \"network\"}]\n"
"  }\n"
"}\n";

static const char tail_rootless[] =
"    \"uidMappings\": [{\"containerID\": 0, \"hostID\": %u, \"size\": 1}],\n"
"    \"gidMappings\": [{\"containerID\": 0, \"hostID\": %u, \"size\": 1}],\n"
"    \"namespaces\": [{\"type\": \"pid\"}, {\"type\": \"ipc\"}, {\"type\": \"uts\"},\n"
"      {\"type\": \"mount\"}, {\"type\": \"cgroup\"}, {\"type\": \"user\"}]\n"
"  }\n"
"}\n";
/* clang-format on */

int spec_default_build(const struct spec_default_options *options, json_t **ret, struct err *err)
{
	autobuf struct buf text = {};

	buf_puts(&text, head);
	buf_puts(&text, options->rootless ? network_host : network_own);
	buf_puts(&text, middle);
	if (options->rootless)
		buf_printf(&text, tail_rootless, options->uid, options->gid);
	else
		buf_puts(&text, tail_root);
	if (text.failed)
		return err_sys(err, -ENOMEM, "the default configuration");
	return json_parse("the default configuration", text.data, text.len, ret, err);
}
