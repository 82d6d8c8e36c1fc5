/* SPDX-License-Identifier: Apache-2.0 */
/* What is mounted in a container, in order. */
#include "cli/containers/assemble.h"

#include <stdio.h>
#include <string.h>

struct mount_list {
	json_t *json;
	const struct record *record;
	const struct assemble_facts *facts;
};

/* One mount with its options as one comma-separated text. */
static void add(struct mount_list *list, const char *destination, const char *type,
	const char *source, const char *options)
{
	json_t *words = json_array();

	while (*options) {
		size_t n = strcspn(options, ",");

		json_array_append_new(words, json_stringn(options, n));
		options += n + (options[n] == ',');
	}
	json_array_append_new(
		list->json, json_pack("{s:s, s:s, s:s, s:o}", "destination", destination, "type",
				    type, "source", source, "options", words));
}

/* Whether the person mounts something there: then ours is left out. */
static bool taken(const struct mount_list *list, const char *destination)
{
	const struct record *r = list->record;

	for (size_t i = 0; i < r->mounts.count; i++)
		if (strcmp(r->mounts.items[i].target, destination) == 0)
			return true;
	return false;
}

static void add_sys(struct mount_list *list)
{
	const struct assemble_facts *facts = list->facts;
	bool rw = list->record->options.privileged;

	/* Only who owns the network namespace may have a sysfs that shows it. */
	if (facts->uid_count && (facts->net.host || facts->net.path))
		add(list, "/sys", "none", "/sys", "rbind,nosuid,noexec,nodev,rro");
	else
		add(list, "/sys", "sysfs", "sysfs",
			rw ? "nosuid,noexec,nodev" : "nosuid,noexec,nodev,ro");
}

static void add_kernel(struct mount_list *list)
{
	const struct run_options *o = &list->record->options;
	const struct assemble_facts *facts = list->facts;
	char shm[64], devpts[96];
	bool cgroup_rw = o->privileged || list->record->systemd;

	snprintf(shm, sizeof(shm), "nosuid,noexec,nodev,mode=1777,size=%llu",
		o->shm_size.set ? (unsigned long long)o->shm_size.value : 64ULL << 20);
	/* Group 5 is tty everywhere; a map of one id has none. */
	snprintf(devpts, sizeof(devpts), "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620%s",
		facts->uid_count && facts->gid_count < 2 ? "" : ",gid=5");
	if (!taken(list, "/proc"))
		add(list, "/proc", "proc", "proc", "nosuid,noexec,nodev");
	if (!taken(list, "/dev")) {
		add(list, "/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k");
		add(list, "/dev/pts", "devpts", "devpts", devpts);
	}
	if (!taken(list, "/sys"))
		add_sys(list);
	if (!taken(list, "/sys/fs/cgroup"))
		add(list, "/sys/fs/cgroup", "cgroup", "cgroup",
			cgroup_rw ? "nosuid,noexec,nodev,relatime"
				  : "nosuid,noexec,nodev,relatime,ro");
	if (!taken(list, "/dev/mqueue") && !facts->ipc.host)
		add(list, "/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev");
	else if (!taken(list, "/dev/mqueue") && facts->mqueue)
		add(list, "/dev/mqueue", "bind", "/dev/mqueue", "rbind,nosuid,noexec,nodev");
	if (!taken(list, "/dev/shm") && !facts->ipc.host)
		add(list, "/dev/shm", "tmpfs", "shm", shm);
	else if (!taken(list, "/dev/shm"))
		add(list, "/dev/shm", "bind", "/dev/shm", "rbind,nosuid,noexec,nodev");
}

static void add_files(struct mount_list *list)
{
	const struct assemble_facts *facts = list->facts;
	const struct {
		const char *source, *destination;
	} files[] = {
		{facts->resolv_file, "/etc/resolv.conf"},
		{facts->hostname_file, "/etc/hostname"},
		{facts->hosts_file, "/etc/hosts"},
	};

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (files[i].source && !taken(list, files[i].destination))
			add(list, files[i].destination, "bind", files[i].source, "rbind,rprivate");
	for (size_t i = 0; i < facts->secret_count; i++)
		add(list, facts->secrets[i].target, "bind", facts->secrets[i].source,
			"bind,rprivate,ro,nosuid,nodev,noexec");
	if (facts->init_program)
		add(list, "/dev/init", "bind", facts->init_program,
			"bind,rprivate,ro,nosuid,nodev");
}

/* Parents before what is mounted in them: by the number of components, else as given. */
static size_t depth(const char *path)
{
	size_t n = 0;

	for (; *path; path++)
		n += *path == '/';
	return n;
}

static void add_own(struct mount_list *list, const struct record_mount *m)
{
	autobuf struct buf options = {};

	for (size_t i = 0; i < m->options.count; i++)
		buf_printf(&options, "%s%s", i ? "," : "", m->options.items[i]);
	if (m->type == RECORD_MOUNT_TMPFS)
		add(list, m->target, "tmpfs", "tmpfs", buf_str(&options));
	else
		add(list, m->target, "bind", m->source, buf_str(&options));
}

static void add_all_own(struct mount_list *list)
{
	const struct record *r = list->record;
	size_t deepest = 0;

	for (size_t i = 0; i < r->mounts.count; i++)
		if (depth(r->mounts.items[i].target) > deepest)
			deepest = depth(r->mounts.items[i].target);
	for (size_t d = 0; d <= deepest; d++)
		for (size_t i = 0; i < r->mounts.count; i++)
			if (depth(r->mounts.items[i].target) == d)
				add_own(list, &r->mounts.items[i]);
}

/* What systemd expects of a container: systemd's "Container Interface". */
static void add_systemd(struct mount_list *list)
{
	static const struct {
		const char *path, *mode;
	} places[] = {{"/run", "755"}, {"/run/lock", "755"}, {"/tmp", "1777"},
		{"/var/log/journal", "755"}};
	char options[64];

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		snprintf(
			options, sizeof(options), "nosuid,nodev,mode=%s,tmpcopyup", places[i].mode);
		if (!taken(list, places[i].path))
			add(list, places[i].path, "tmpfs", "tmpfs", options);
	}
}

int assemble_mounts(const struct record *record, const struct assemble_facts *facts, json_t *config,
	struct err *err)
{
	struct mount_list list = {.json = json_array(), .record = record, .facts = facts};

	if (!list.json || json_object_set_new(config, "mounts", list.json) < 0)
		return err_sys(err, -ENOMEM, "mounts");
	add_kernel(&list);
	if (record->systemd)
		add_systemd(&list);
	add_files(&list);
	add_all_own(&list);
	return 0;
}
