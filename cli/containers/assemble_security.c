/* SPDX-License-Identifier: Apache-2.0 */
/* Capabilities, masked files, seccomp, labels. */
#include "cli/containers/assemble.h"
#include "cli/containers/recorder.h"

#include "spec/config.h"

#include <linux/capability.h>
#include <string.h>
#include <strings.h>

#define BIT(cap) (1ULL << (cap))

/* What nearly every image needs: those of the big engines. */
static const uint64_t default_caps = BIT(CAP_AUDIT_WRITE) | BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) |
				     BIT(CAP_FOWNER) | BIT(CAP_FSETID) | BIT(CAP_KILL) |
				     BIT(CAP_MKNOD) | BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_NET_RAW) |
				     BIT(CAP_SETFCAP) | BIT(CAP_SETGID) | BIT(CAP_SETPCAP) |
				     BIT(CAP_SETUID) | BIT(CAP_SYS_CHROOT);

static const char *const masked[] = {"/proc/acpi", "/proc/asound", "/proc/interrupts",
	"/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
	"/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
	"/sys/fs/selinux"};

static const char *const read_only[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

static uint64_t all_caps(void)
{
	uint64_t all = 0;

	for (int cap = 0; spec_capability_name(cap); cap++)
		all |= BIT(cap);
	return all;
}

static int parse_caps(
	const char *option, const struct strings *names, uint64_t *ret, struct err *err)
{
	*ret = 0;
	for (size_t i = 0; i < names->count; i++) {
		char name[64];
		size_t n = strlen(names->items[i]);
		int cap;

		if (strcasecmp(names->items[i], "all") == 0) {
			*ret |= all_caps();
			continue;
		}
		if (n < sizeof(name))
			for (size_t c = 0; c <= n; c++)
				name[c] = names->items[i][c] >= 'a' && names->items[i][c] <= 'z'
						  ? (char)(names->items[i][c] - 'a' + 'A')
						  : names->items[i][c];
		if (n >= sizeof(name) || spec_capability_parse(name, &cap) < 0)
			return err_set(err, -EINVAL, "--%s: there is no capability \"%s\"", option,
				names->items[i]);
		*ret |= BIT(cap);
	}
	return 0;
}

int assemble_capabilities(const struct run_options *o, uint64_t *ret, struct err *err)
{
	bool policy = o->allow_connect.count || o->deny_connect.count;
	uint64_t caps = o->privileged ? all_caps() : default_caps, add, drop;
	int r = parse_caps("cap-add", &o->cap_add, &add, err);

	if (r == 0)
		r = parse_caps("cap-drop", &o->cap_drop, &drop, err);
	if (r < 0)
		return r;
	/* Packets made by hand pass the egress policy (cli/containers/egress.h). */
	if (policy && !o->privileged)
		caps &= ~BIT(CAP_NET_RAW);
	/* "All but these" and "none but these" both work: what is named counts more than "all". */
	if (drop == all_caps())
		caps = add;
	else
		caps = (caps | add) & ~drop;
	*ret = caps;
	return 0;
}

static json_t *caps_json(uint64_t caps)
{
	json_t *list = json_array();

	for (int cap = 0; spec_capability_name(cap); cap++)
		if (caps & BIT(cap))
			json_array_append_new(list, json_string(spec_capability_name(cap)));
	return list;
}

static int add_capabilities(const struct record *record, const struct assemble_facts *facts,
	json_t *process, uint64_t *ret, struct err *err)
{
	uint64_t caps, kept, add;
	int r = assemble_capabilities(&record->options, &caps, err);

	if (r == 0)
		r = parse_caps("cap-add", &record->options.cap_add, &add, err);
	if (r < 0)
		return r;
	/* Who is not root gets what was asked for by name, and keeps it across execve(2). */
	kept = facts->user.uid == 0 ? caps : caps & add;
	if (record->options.privileged && facts->user.uid != 0)
		kept = 0;
	json_object_set_new(process, "capabilities",
		json_pack("{s:o, s:o, s:o, s:o, s:o}", "bounding", caps_json(caps), "effective",
			caps_json(kept), "permitted", caps_json(kept), "inheritable",
			caps_json(facts->user.uid == 0 ? 0 : kept), "ambient",
			caps_json(facts->user.uid == 0 ? 0 : kept)));
	*ret = caps;
	return 0;
}

/* ---- --security-opt ---- */

const char *assemble_security_option(const struct strings *security, const char *key)
{
	size_t n = strlen(key);

	for (size_t i = security->count; i-- > 0;)
		if (strncmp(security->items[i], key, n) == 0 &&
			(security->items[i][n] == '=' || security->items[i][n] == ':'))
			return security->items[i] + n + 1;
	return NULL;
}

bool assemble_security_flag(const struct strings *security, const char *key)
{
	const char *value = assemble_security_option(security, key);

	return strings_have(security, key) || (value && strcmp(value, "true") == 0);
}

static int check_security(const struct strings *security, struct err *err)
{
	static const char *const known[] = {"seccomp", "apparmor", "label", "no-new-privileges",
		"mask", "unmask", "systempaths", "proc-opts"};

	for (size_t i = 0; i < security->count; i++) {
		const char *item = security->items[i];
		size_t n = strcspn(item, "=:"), k = 0;

		while (k < ARRAY_LEN(known) &&
			(strlen(known[k]) != n || memcmp(known[k], item, n) != 0))
			k++;
		if (k == ARRAY_LEN(known))
			return err_set(err, -EINVAL, "--security-opt: \"%s\" is not known", item);
	}
	return 0;
}

/* Whether PATH is in the colon-separated LIST. */
static bool in_list(const char *list, const char *path)
{
	while (list && *list) {
		size_t n = strcspn(list, ":");

		if (strlen(path) == n && memcmp(path, list, n) == 0)
			return true;
		list += n + (list[n] == ':');
	}
	return false;
}

static void add_paths(const struct record *record, json_t *linux_)
{
	const struct strings *security = &record->options.security;
	const char *unmask = assemble_security_option(security, "unmask");
	const char *mask = assemble_security_option(security, "mask");
	const char *system = assemble_security_option(security, "systempaths");
	json_t *masks = json_array(), *reads = json_array();

	if ((unmask && strcasecmp(unmask, "all") == 0) ||
		(system && strcmp(system, "unconfined") == 0) || record->options.privileged)
		unmask = NULL;
	else {
		for (size_t i = 0; i < ARRAY_LEN(masked); i++)
			if (!in_list(unmask, masked[i]))
				json_array_append_new(masks, json_string(masked[i]));
		for (size_t i = 0; i < ARRAY_LEN(read_only); i++)
			if (!in_list(unmask, read_only[i]))
				json_array_append_new(reads, json_string(read_only[i]));
	}
	while (mask && *mask) {
		size_t n = strcspn(mask, ":");

		json_array_append_new(masks, json_stringn(mask, n));
		mask += n + (mask[n] == ':');
	}
	json_object_set_new(linux_, "maskedPaths", masks);
	json_object_set_new(linux_, "readonlyPaths", reads);
}

static int add_seccomp(const struct record *record, const struct assemble_facts *facts,
	uint64_t caps, json_t *linux_, struct err *err)
{
	const char *option = assemble_security_option(&record->options.security, "seccomp");
	json_t *profile = NULL;
	int r;

	if (record->options.record_seccomp && option)
		return err_set(err, -EINVAL,
			"--record-seccomp and --security-opt seccomp are not possible together");
	if (record->options.record_seccomp && facts->seccomp_socket) {
		profile = recorder_profile(facts->seccomp_socket);
	} else if (option ? strcmp(option, "unconfined") == 0 : record->options.privileged) {
		return 0;
	} else if (facts->seccomp_profile) {
		r = json_parse(option ? option : "seccomp", facts->seccomp_profile,
			strlen(facts->seccomp_profile), &profile, err);
		if (r < 0)
			return err_add(err, "--security-opt seccomp");
	} else {
		profile = seccomp_default_profile(caps);
	}
	if (!profile || json_object_set_new(linux_, "seccomp", profile) < 0)
		return err_sys(err, -ENOMEM, "seccomp");
	return 0;
}

int assemble_security(const struct record *record, const struct assemble_facts *facts,
	json_t *config, struct err *err)
{
	const struct strings *security = &record->options.security;
	json_t *process = json_object_get(config, "process");
	json_t *linux_ = json_object_get(config, "linux");
	const char *apparmor = assemble_security_option(security, "apparmor");
	uint64_t caps = 0;
	int r = check_security(security, err);

	if (r == 0)
		r = add_capabilities(record, facts, process, &caps, err);
	if (r < 0)
		return r;
	if (assemble_security_flag(security, "no-new-privileges"))
		json_object_set_new(process, "noNewPrivileges", json_true());
	if (apparmor && strcmp(apparmor, "unconfined") != 0)
		json_object_set_new(process, "apparmorProfile", json_string(apparmor));
	add_paths(record, linux_);
	return add_seccomp(record, facts, caps, linux_, err);
}
