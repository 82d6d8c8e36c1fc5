/* SPDX-License-Identifier: Apache-2.0 */
/* What of a configuration is the guest's. Pure. */
#include "runtime/microvm/host/vmplan.h"

#include "base/parse.h"
#include "runtime/microvm/proto.h"

#include <stdio.h>
#include <string.h>

static void drop_keys(json_t *object, const char *const *keys)
{
	for (; *keys; keys++)
		json_object_del(object, *keys);
}

/* What the host has done for the clone that it shares. */
static int share_mount(json_t *mount, const struct spec_mount *spec, size_t index)
{
	static const char *const done[] = {"uidMappings", "gidMappings", NULL};
	bool bind = spec->options.extra & SPEC_MOUNT_BIND;
	autojson json_t *options = json_array();
	char path[64];
	int r = 0;

	snprintf(path, sizeof(path), GUEST_FILES "/%zu", index);
	drop_keys(mount, done);
	for (size_t i = 0; bind && i < spec->option_names.count && r == 0; i++) {
		const char *word = spec->option_names.items[i], *rest;

		if (!parse_has_prefix(word, "idmap", &rest) &&
			!parse_has_prefix(word, "ridmap", &rest))
			r = json_array_append_new(options, json_string(word));
	}
	if (r == 0 && !bind)
		r = json_array_append_new(options, json_string("bind"));
	if (r == 0)
		r = json_object_set_new(mount, "source", json_string(path));
	if (r == 0)
		r = json_object_set_new(mount, "type", json_string("bind"));
	return r < 0 ? r : json_object_set(mount, "options", options);
}

/* FIRST: the number of the first of the host's. */
static int guest_mounts(json_t *guest, const struct spec_config *config, size_t first)
{
	json_t *mounts = json_object_get(guest, "mounts");
	size_t shared = first;
	int r = 0;

	for (size_t i = 0; i < config->mounts.count && r == 0; i++)
		if (vm_plan_is_hosts(&config->mounts.items[i]))
			r = share_mount(
				json_array_get(mounts, i), &config->mounts.items[i], shared++);
	return r;
}

/* What the machine gets has other names there; the agent finds them. */
static void guest_devices(json_t *devices, const struct spec_linux *l)
{
	bool group;

	for (size_t i = l->devices.count; i-- > 0;)
		if (vm_plan_is_vfio(&l->devices.items[i], &group))
			json_array_remove(devices, i);
}

/* The container's network is the machine's own. */
static int guest_namespaces(json_t *linux_)
{
	json_t *list = json_object_get(linux_, "namespaces"), *ns;
	size_t i;
	int r = 0;

	json_array_foreach (list, i, ns) {
		const char *type = json_string_value(json_object_get(ns, "type"));

		if (type && !strcmp(type, "network"))
			r = json_object_set_new(ns, "path", json_string("/proc/self/ns/net"));
	}
	return r;
}

static void guest_resources(json_t *resources)
{
	static const char *const hosts[] = {"blockIO", "hugepageLimits", "rdma", "network", NULL};
	static const char *const hosts_cpu[] = {
		"cpus", "mems", "realtimePeriod", "realtimeRuntime", NULL};
	json_t *unified = json_object_get(resources, "unified"), *value;
	const char *key, *rest;
	void *next;

	drop_keys(resources, hosts);
	drop_keys(json_object_get(resources, "cpu"), hosts_cpu);
	json_object_foreach_safe(unified, next, key,
		value) if (!parse_has_prefix(key, "memory.", &rest) &&
			   !parse_has_prefix(key, "pids.", &rest)) json_object_del(unified, key);
}

/* Names of the host in annotations say nothing in the guest. */
static void guest_annotations(json_t *annotations)
{
	static const char *const hosts[] = {"org.brig.isolation", "org.brig.template",
		"org.brig.vm.", "org.systemd.", "run.oci.hooks.", "run.oci.pidfd_receiver",
		"run.oci.seccomp.receiver", "run.oci.systemd.", NULL};
	const char *key, *rest;
	json_t *value;
	void *next;

	json_object_foreach_safe(
		annotations, next, key, value) for (const char *const *host = hosts; *host;
						    host++) if (parse_has_prefix(key, *host, &rest))
	{
		json_object_del(annotations, key);
		break;
	}
}

static void guest_hooks(json_t *hooks)
{
	static const char *const hosts[] = {
		"prestart", "createRuntime", "createContainer", "poststart", "poststop", NULL};

	drop_keys(hooks, hosts);
}

/* Labels are of the host's policy, and of its kernel. */
static void guest_process(json_t *process)
{
	static const char *const hosts[] = {"apparmorProfile", "selinuxLabel", NULL};

	drop_keys(process, hosts);
}

json_t *vm_plan_guest(const struct spec_config *config, size_t layers)
{
	static const char *const hosts[] = {"vm", NULL};
	static const char *const hosts_linux[] = {
		"cgroupsPath", "intelRdt", "netDevices", "mountLabel", NULL};
	autojson json_t *guest = json_deep_copy(config->json);
	json_t *linux_ = json_object_get(guest, "linux");
	int r = guest ? guest_mounts(guest, config, 0) : -ENOMEM;

	if (r == 0)
		r = guest_namespaces(linux_);
	if (r == 0)
		r = json_object_set_new(json_object_get(guest, "root"), "path",
			json_string(layers ? GUEST_ROOT : GUEST_FILES "/rootfs"));
	if (r < 0)
		return NULL;
	guest_devices(json_object_get(linux_, "devices"), &config->linux_);
	drop_keys(guest, hosts);
	drop_keys(linux_, hosts_linux);
	guest_process(json_object_get(guest, "process"));
	guest_resources(json_object_get(linux_, "resources"));
	guest_annotations(json_object_get(guest, "annotations"));
	guest_hooks(json_object_get(guest, "hooks"));
	return json_incref(guest);
}

json_t *vm_plan_guest_process(const json_t *process)
{
	json_t *guest = json_deep_copy(process);

	guest_process(guest);
	return guest;
}

json_t *vm_plan_guest_mounts(const struct spec_config *config, const json_t *mounts, size_t first)
{
	autojson json_t *guest = json_deep_copy(mounts);

	if (!guest || guest_mounts(guest, config, first) < 0)
		return NULL;
	return json_incref(json_object_get(guest, "mounts"));
}

json_t *vm_plan_guest_resources(const struct spec_resources *resources)
{
	json_t *json = spec_resources_json(resources);

	guest_resources(json);
	return json;
}
