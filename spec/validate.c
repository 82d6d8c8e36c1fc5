/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parse.h"
#include "spec/names.h"
#include "spec/tables.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

static bool has_namespace(const struct spec_config *config, int type)
{
	return spec_find_namespace(config, type) != NULL;
}

static bool has_new_namespace(const struct spec_config *config, int type)
{
	const struct spec_namespace *ns = spec_find_namespace(config, type);

	return ns && !ns->path;
}

/* Semantic versioning: MAJOR.MINOR.PATCH with an optional "-pre-release" or "+build". */
static bool parse_version(const char *text, uint32_t *ret_major, uint32_t *ret_minor)
{
	uint64_t numbers[3];

	for (int i = 0; i < 3; i++) {
		char digits[10];
		size_t n = strspn(text, "0123456789");

		if (!n || n >= sizeof(digits))
			return false;
		memcpy(digits, text, n);
		digits[n] = '\0';
		if (parse_u64(digits, &numbers[i]) < 0)
			return false;
		text += n;
		if (i < 2 && *text++ != '.')
			return false;
	}
	*ret_major = (uint32_t)numbers[0];
	*ret_minor = (uint32_t)numbers[1];
	return !*text || ((*text == '-' || *text == '+') && text[1]);
}

static int check_version(const struct spec_config *config, struct err *err)
{
	uint32_t major, minor;

	if (!parse_version(config->oci_version, &major, &minor))
		return err_set(err, -EINVAL, "ociVersion: \"%s\" is no version such as \"%s\"",
			config->oci_version, SPEC_VERSION_MAX);
	if (major != 1)
		return err_set(err, -EINVAL,
			"ociVersion: \"%s\" is not supported: convert the file to a version from "
			"%s to %s",
			config->oci_version, SPEC_VERSION_MIN, SPEC_VERSION_MAX);
	return 0;
}

bool spec_is_since(const struct spec_config *config, uint32_t minor)
{
	uint32_t major, its;

	return parse_version(config->oci_version, &major, &its) && its >= minor;
}

static int check_root(const struct spec_config *config, struct err *err)
{
	if (!config->root && !(config->vm && config->vm->image.path))
		return err_set(err, -EINVAL,
			"root: is missing: add {\"path\": \"rootfs\"}, the root file system");
	return 0;
}

static int check_namespaces(const struct spec_config *config, struct err *err)
{
	int seen = 0;

	for (size_t i = 0; i < config->linux_.namespaces.count; i++) {
		int type = config->linux_.namespaces.items[i].type;

		if (seen & type)
			return err_set(err, -EINVAL,
				"linux.namespaces: \"%s\" is there twice: keep one of the entries",
				json_name_of(spec_namespace_names, type));
		seen |= type;
	}
	return 0;
}

/*
 * A new user namespace without any mapping is valid: the specification leaves the mapping to the
 * runtime then. Mappings next to a path are ignored, since that namespace has its own; engines
 * write them for the sake of older runtimes.
 */
static int check_mappings(const struct spec_config *config, struct err *err)
{
	const struct spec_linux *l = &config->linux_;
	bool uids = l->uid_mappings.count, gids = l->gid_mappings.count;

	if ((uids || gids) && !has_namespace(config, CLONE_NEWUSER))
		return err_set(err, -EINVAL,
			"linux.%s: need a user namespace: add {\"type\": \"user\"} to "
			"linux.namespaces",
			uids ? "uidMappings" : "gidMappings");
	if (uids != gids && has_new_namespace(config, CLONE_NEWUSER))
		return err_set(err, -EINVAL,
			"linux.%s: is missing: give mappings of both kinds, or none",
			uids ? "gidMappings" : "uidMappings");
	return 0;
}

static int check_names(const struct spec_config *config, struct err *err)
{
	const struct {
		const char *key, *value;
	} names[] = {
		{"hostname", config->hostname},
		{"domainname", config->domainname},
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!names[i].value)
			continue;
		if (!has_namespace(config, CLONE_NEWUTS))
			return err_set(err, -EINVAL,
				"%s: would change the host's: add {\"type\": \"uts\"} to "
				"linux.namespaces, or remove it",
				names[i].key);
		if (strlen(names[i].value) > 64)
			return err_set(err, -EINVAL,
				"%s: must be at most 64 bytes long; see uts_namespaces(7)",
				names[i].key);
	}
	return 0;
}

static int check_time(const struct spec_config *config, struct err *err)
{
	if ((config->linux_.time_boottime || config->linux_.time_monotonic) &&
		!has_new_namespace(config, CLONE_NEWTIME))
		return err_set(err, -EINVAL,
			"linux.timeOffsets: need a new time namespace: add {\"type\": \"time\"} to "
			"linux.namespaces");
	return 0;
}

static int check_mount(const struct spec_config *config, size_t i, struct err *err)
{
	const struct spec_mount *mount = &config->mounts.items[i];
	bool own = mount->uid_mappings.count || mount->options.uid_mappings.count;

	if (mount->options.extra & SPEC_MOUNT_IDMAP && !own &&
		!has_namespace(config, CLONE_NEWUSER))
		return err_set(err, -EINVAL,
			"mounts[%zu].options: \"idmap\" needs uidMappings and gidMappings here, or "
			"a user namespace of the container",
			i);
	if (mount->options.mappings_relative && !has_namespace(config, CLONE_NEWUSER))
		return err_set(err, -EINVAL,
			"mounts[%zu].options: relative mappings (\"@\") need a user namespace of "
			"the container",
			i);
	return 0;
}

/* What a sysctl's name begins with, and the namespace that then holds the value. */
static const struct {
	const char *name;
	bool prefix;
	int type;
} sysctls[] = {
	{"net/", true, CLONE_NEWNET},
	{"fs/mqueue/", true, CLONE_NEWIPC},
	{"kernel/msgmax", false, CLONE_NEWIPC},
	{"kernel/msgmnb", false, CLONE_NEWIPC},
	{"kernel/msgmni", false, CLONE_NEWIPC},
	{"kernel/auto_msgmni", false, CLONE_NEWIPC},
	{"kernel/msg_next_id", false, CLONE_NEWIPC},
	{"kernel/sem", false, CLONE_NEWIPC},
	{"kernel/sem_next_id", false, CLONE_NEWIPC},
	{"kernel/shmall", false, CLONE_NEWIPC},
	{"kernel/shmmax", false, CLONE_NEWIPC},
	{"kernel/shmmni", false, CLONE_NEWIPC},
	{"kernel/shm_next_id", false, CLONE_NEWIPC},
	{"kernel/shm_rmid_forced", false, CLONE_NEWIPC},
	{"kernel/domainname", false, CLONE_NEWUTS},
};

static int sysctl_namespace(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(sysctls); i++) {
		size_t n = strlen(sysctls[i].name);

		if (strncmp(path, sysctls[i].name, n) == 0 && (sysctls[i].prefix || !path[n]))
			return sysctls[i].type;
	}
	return 0;
}

static int check_sysctl(
	const struct spec_config *config, const char *key, struct arena *scratch, struct err *err)
{
	const char *path;
	int type, r = spec_sysctl_path(key, scratch, &path);

	if (r == -ENOMEM)
		return err_sys(err, r, "reading linux.sysctl");
	if (r < 0)
		return err_set(err, r, "linux.sysctl: \"%s\" is no name of a sysctl", key);
	if (strcmp(path, "kernel/hostname") == 0)
		return err_set(err, -EINVAL,
			"linux.sysctl: \"%s\": use the member \"hostname\" instead", key);
	type = sysctl_namespace(path);
	if (!type)
		return err_set(err, -EINVAL,
			"linux.sysctl: \"%s\" is not separate for each container, so that setting "
			"it would change the host: remove it",
			key);
	if (!has_namespace(config, type))
		return err_set(err, -EINVAL,
			"linux.sysctl: \"%s\" would change the host: add {\"type\": \"%s\"} to "
			"linux.namespaces, or remove it",
			key, json_name_of(spec_namespace_names, type));
	return 0;
}

static int check_sysctls(const struct spec_config *config, struct err *err)
{
	autoarena struct arena scratch = {};

	for (size_t i = 0; i < config->linux_.sysctl.count; i++) {
		int r = check_sysctl(config, config->linux_.sysctl.items[i].key, &scratch, err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* A configuration without a process is never started, so that nothing is moved. */
static int check_net_devices(const struct spec_config *config, struct err *err)
{
	if (config->process && config->linux_.net_devices.count &&
		!has_namespace(config, CLONE_NEWNET))
		return err_set(err, -EINVAL,
			"linux.netDevices: need a network namespace to be moved to: add "
			"{\"type\": \"network\"} to linux.namespaces");
	return 0;
}

int spec_validate(const struct spec_config *config, struct err *err)
{
	static int (*const checks[])(const struct spec_config *config, struct err *err) = {
		check_version,
		check_root,
		check_namespaces,
		check_mappings,
		check_names,
		check_time,
		check_sysctls,
		check_net_devices,
	};

	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		int r = checks[i](config, err);

		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < config->mounts.count; i++) {
		int r = check_mount(config, i, err);

		if (r < 0)
			return r;
	}
	return spec_check_annotations(&config->annotations, err);
}
