/* SPDX-License-Identifier: Apache-2.0 */
/* The records of attachments, and what is pending. */
#include "netns/attach.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/process.h"
#include "base/sys.h"
#include "netns/network_private.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static const struct json_name protocol_names[] = {
	{"tcp", PORT_TCP},
	{"udp", PORT_UDP},
	{"sctp", PORT_SCTP},
	{NULL, 0},
};

static const struct json_rule port_rules[] = {
	RECORD_OF("host_ip", record_address, port, host_ip),
	RECORD_OF("host", record_port, port, host),
	RECORD_OF("choices", record_port, port, host_choices),
	RECORD_OF("container", record_port, port, container),
	RECORD_OF("count", record_port, port, count),
	{"protocol", JSON_NAME, JSON_AT(port, protocol), .names = protocol_names,
		.what = "a protocol"},
	{NULL},
};
static const struct json_table port_table = {.size = sizeof(struct port), .rules = port_rules};

static const struct json_rule ports_rules[] = {
	{"list", JSON_STRUCTS, .offset = 0, .table = &port_table},
	{NULL},
};
const struct json_table attach_ports_table = {.size = sizeof(struct ports), .rules = ports_rules};

static const struct json_rule link_rules[] = {
	RECORD_TEXT("network", attach_link, network),
	RECORD_TEXT("network_id", attach_link, network_id),
	{"driver", JSON_NAME, JSON_AT(attach_link, driver), .names = network_driver_names,
		.what = "a driver"},
	RECORD_TEXT("interface", attach_link, interface),
	RECORD_TEXT("host_link", attach_link, host_link),
	RECORD_TEXT("mac", attach_link, mac),
	RECORD_OF("ip", record_address, attach_link, ip),
	RECORD_OF("ip6", record_address, attach_link, ip6),
	RECORD_OF("gateway", record_address, attach_link, gateway),
	RECORD_OF("gateway6", record_address, attach_link, gateway6),
	RECORD_OF("aliases", record_texts, attach_link, aliases),
	{"internal", JSON_BOOL, JSON_AT(attach_link, internal)},
	RECORD_TEXT("result", attach_link, result),
	{NULL},
};
static const struct json_table link_table = {
	.size = sizeof(struct attach_link),
	.rules = link_rules,
};

static const struct json_name mode_names[] = {
	{"networks", NETWORK_MODE_NETWORKS},
	{"pasta", NETWORK_MODE_PASTA},
	{NULL, 0},
};

static const struct json_rule attach_rules[] = {
	RECORD_TEXT("id", attachment, id),
	RECORD_TEXT("name", attachment, name),
	RECORD_TEXT("host_name", attachment, host_name),
	{"mode", JSON_NAME, JSON_AT(attachment, mode), .names = mode_names, .what = "a mode"},
	{"links", JSON_STRUCTS, JSON_AT(attachment, links), .table = &link_table},
	{"ports", JSON_PART, JSON_AT(attachment, ports), .table = &attach_ports_table},
	RECORD_OF("servers", record_texts, attachment, servers),
	RECORD_OF("asked", record_texts, attachment, asked),
	RECORD_OF("host_gateway", record_address, attachment, host_gateway),
	RECORD_TEXT("pasta", attachment, pasta),
	{"netns", JSON_U64, JSON_AT(attachment, netns)},
	{NULL},
};
const struct json_table attach_table = {.size = sizeof(struct attachment), .rules = attach_rules};

static int open_dir(struct network_store *store, const char *name, struct err *err)
{
	int fd = path_mkdir(store->state, name, 0700, (uid_t)-1, (gid_t)-1);

	return fd < 0 ? err_sys(err, fd, "networks: %s", name) : fd;
}

int attach_write(struct network_store *store, const struct attachment *attachment, struct err *err)
{
	autoclose int dir = open_dir(store, "containers", err);
	char file[NAME_MAX + 1];

	if (dir < 0)
		return dir;
	snprintf(file, sizeof(file), "%s.json", attachment->id);
	return record_write(dir, file, &attach_table, attachment, err);
}

int attach_load(struct network_store *store, const char *id, struct arena *arena,
	struct attachment *ret, struct err *err)
{
	struct attachment a = {};
	char path[PATH_MAX];
	int r;

	if (!path_is_component(id))
		return -ENOENT;
	snprintf(path, sizeof(path), "containers/%s.json", id);
	r = record_read(store->state, path, &attach_table, arena, &a, err);
	if (r == 0 && (!a.id || strcmp(a.id, id) != 0))
		r = err_set(err, -EINVAL, "the network record of container %s is damaged", id);
	if (r == 0)
		*ret = a;
	return r;
}

int attach_list(
	struct network_store *store, struct arena *arena, struct strings *ret, struct err *err)
{
	return network_names(store->state, "containers", ".json", arena, ret, err);
}

/* ---- pending ---- */

enum { PENDING_MAX = 256, PENDING_WORDS = 2 + ATTACH_REST_MAX };

static int start_time(pid_t pid, unsigned long long *ret)
{
	autoclose int proc = sys_openat(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY, 0);
	char state = '\0';
	int r = proc < 0 ? proc : process_start_time(proc, pid, ret, &state);

	return r == 0 && state == 'Z' ? -ESRCH : r;
}

static int write_pending(
	struct network_store *store, const char *id, const char *links, struct err *err)
{
	autoclose int dir = open_dir(store, "pending", err);
	unsigned long long start;
	char text[PENDING_MAX];
	int r = dir < 0 ? dir : start_time(getpid(), &start);

	if (dir < 0)
		return r;
	if (r == 0) {
		snprintf(text, sizeof(text), "%d %llu%s", getpid(), start, links);
		r = fd_replace_file(dir, id, text, strlen(text), 0600);
	}
	return r < 0 ? err_sys(err, r, "networks: pending/%s", id) : 0;
}

int attach_mark_pending(struct network_store *store, const char *id, struct err *err)
{
	return write_pending(store, id, "", err);
}

int attach_mark_rest(struct network_store *store, const struct attach_rest *rest, struct err *err)
{
	char links[ATTACH_REST_MAX * (ATTACH_LINK_MAX + 1)] = "";

	for (size_t i = 0; i < rest->count; i++) {
		size_t len = strlen(links);

		snprintf(links + len, sizeof(links) - len, " %s", rest->links[i]);
	}
	return write_pending(store, rest->id, links, err);
}

/* The words of the note of ID; those that are not there are NULL. */
static bool read_pending(struct network_store *store, const char *id, char text[PENDING_MAX],
	const char *words[PENDING_WORDS])
{
	char path[PATH_MAX], *rest = text;

	snprintf(path, sizeof(path), "pending/%s", id);
	if (fd_read_line(store->state, path, text, PENDING_MAX) < 0)
		return false;
	for (size_t i = 0; i < PENDING_WORDS; i++)
		words[i] = strsep(&rest, " ");
	return true;
}

void attach_read_rest(struct network_store *store, const char *id, struct attach_rest *ret)
{
	const char *words[PENDING_WORDS];
	char text[PENDING_MAX];

	ret->count = 0;
	snprintf(ret->id, sizeof(ret->id), "%s", id);
	if (!read_pending(store, id, text, words))
		return;
	for (size_t i = 2; i < PENDING_WORDS && words[i]; i++)
		snprintf(ret->links[ret->count++], ATTACH_LINK_MAX, "%s", words[i]);
}

int attach_unmark_pending(struct network_store *store, const char *id)
{
	char path[PATH_MAX];
	int r;

	snprintf(path, sizeof(path), "pending/%s", id);
	r = sys_unlinkat(store->state, path, 0);
	return r == -ENOENT ? 0 : r;
}

/* What cannot be read was written by nobody who lives. */
static bool is_alive(struct network_store *store, const char *id)
{
	const char *words[PENDING_WORDS];
	char text[PENDING_MAX];
	unsigned long long now;
	uint64_t start;
	uint32_t pid;

	return read_pending(store, id, text, words) && words[1] && parse_u32(words[0], &pid) == 0 &&
	       parse_u64(words[1], &start) == 0 && start_time((pid_t)pid, &now) == 0 &&
	       now == start;
}

static int remove_if_unfinished(void *context, int dirfd, const char *name)
{
	size_t n = strlen(name);

	(void)context;
	if (*name == '.' && n > 4 && strcmp(name + n - 4, ".new") == 0)
		(void)sys_unlinkat(dirfd, name, 0);
	return 0;
}

/* Files that were to replace others (fd_replace_file()), of writers who died: with the lock held
 * there is no other writer. SUB NULL: of DIRFD itself. */
static void remove_unfinished(int dirfd, const char *sub)
{
	autoclose int fd =
		sys_openat(dirfd, sub ? sub : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);

	if (fd >= 0)
		(void)path_each(fd, remove_if_unfinished, NULL);
}

static void remove_all_unfinished(struct network_store *store)
{
	static const char *const below[] = {"", "/users", "/ip", "/ptr", "/upstream"};
	autoarena struct arena arena = {};
	struct strings networks, names;
	struct err ignored = {};
	char path[PATH_MAX];

	remove_unfinished(store->records, NULL);
	remove_unfinished(store->state, "containers");
	remove_unfinished(store->state, "published");
	if (network_names(store->state, "nets", "", &arena, &networks, &ignored) < 0)
		return;
	for (size_t i = 0; i < networks.count; i++) {
		for (size_t k = 0; k < ARRAY_LEN(below); k++) {
			snprintf(path, sizeof(path), "nets/%s%s", networks.items[i], below[k]);
			remove_unfinished(store->state, path);
		}
		snprintf(path, sizeof(path), "nets/%s/names", networks.items[i]);
		if (network_names(store->state, path, "", &arena, &names, &ignored) < 0)
			continue;
		for (size_t k = 0; k < names.count; k++) {
			snprintf(path, sizeof(path), "nets/%s/names/%s", networks.items[i],
				names.items[k]);
			remove_unfinished(store->state, path);
			(void)sys_unlinkat(store->state, path, AT_REMOVEDIR);
		}
	}
}

int attach_undo_pending(struct network_store *store, struct err *err)
{
	autoarena struct arena arena = {};
	struct strings ids;
	bool undone = false;
	int r = network_names(store->state, "pending", "", &arena, &ids, err);

	for (size_t i = 0; i < ids.count && r == 0; i++) {
		if (is_alive(store, ids.items[i]))
			continue;
		r = attach_remove_locked(store, ids.items[i], -1, NULL, err);
		undone = true;
	}
	remove_unfinished(store->state, "pending");
	remove_unfinished(store->state, NULL);
	if (undone)
		remove_all_unfinished(store);
	return r < 0 ? err_add(err, "undo what a process left that died") : 0;
}
