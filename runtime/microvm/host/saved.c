/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/host/saved.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/sys.h"
#include "runtime/microvm/host/live.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DESCRIPTION_MAX = 65536, FILES = 3 };

static const char description[] = "machine.json";
static const char *const names[FILES] = {"state", "memory", "files"};
/* Beside their places, until all are whole. */
static const char *const new_names[FILES] = {"state.new", "memory.new", "files.new"};

/* ---- what the attendant knows ---- */

static json_t *describe(bool terminal, const struct proto_setup *setup)
{
	autojson json_t *macs = json_array();

	for (uint32_t i = 0; i < setup->net_count; i++) {
		const uint8_t *mac = setup->nets[i].mac;
		char text[18];

		snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
			mac[2], mac[3], mac[4], mac[5]);
		if (json_array_append_new(macs, json_string(text)) < 0)
			return NULL;
	}
	return json_pack(
		"{s:s,s:b,s:O}", "version", BRIG_VERSION, "terminal", terminal, "macs", macs);
}

int saved_describe(int state, bool terminal, const struct proto_setup *setup, struct err *err)
{
	autojson json_t *json = describe(terminal, setup);
	autobuf struct buf text = {};
	int r = json ? json_write(json, JSON_COMPACT, &text) : -ENOMEM;

	if (r == 0)
		r = fd_replace_file(state, description, text.data, text.len, 0600);
	return r < 0 ? err_sys(err, r, "%s", description) : 0;
}

static int parse_macs(const struct strings *texts, struct saved *ret, struct err *err)
{
	if (texts->count > PROTO_NETS_MAX)
		return err_set(err, -EINVAL, "%s: macs: too many", description);
	for (size_t i = 0; i < texts->count; i++) {
		unsigned int b[6];
		char end;

		if (strlen(texts->items[i]) != 17 ||
			sscanf(texts->items[i], "%2x:%2x:%2x:%2x:%2x:%2x%c", b, b + 1, b + 2, b + 3,
				b + 4, b + 5, &end) != 6)
			return err_set(err, -EINVAL, "%s: macs: not an address", description);
		for (int j = 0; j < 6; j++)
			ret->macs[i][j] = (uint8_t)b[j];
	}
	ret->net_count = texts->count;
	return 0;
}

static int parse(const char *text, size_t len, struct saved *ret, struct err *err)
{
	struct parsed {
		const char *version;
		bool terminal;
		struct strings macs;
	} parsed = {};
	static const struct json_rule rules[] = {
		{"version", JSON_TEXT, .required = true, JSON_AT(parsed, version)},
		{"terminal", JSON_BOOL, .required = true, JSON_AT(parsed, terminal)},
		{"macs", JSON_TEXTS, .required = true, JSON_AT(parsed, macs)},
		{},
	};
	static const struct json_table table = {sizeof(struct parsed), rules};
	autoarena struct arena arena = {};
	autojson json_t *json = NULL;
	int r = json_parse(description, text, len, &json, err);

	if (r == 0)
		r = json_decode(json, &table, &arena, &parsed, err);
	if (r == 0 && strcmp(parsed.version, BRIG_VERSION) != 0)
		r = err_set(err, -EINVAL, "it was saved by brig %s, and this is %s", parsed.version,
			BRIG_VERSION);
	ret->terminal = parsed.terminal;
	return r == 0 ? parse_macs(&parsed.macs, ret, err) : r;
}

/* ---- written ---- */

static void close_all(int fds[FILES])
{
	for (int i = 0; i < FILES; i++)
		cleanup_close(fds + i);
}

static void unlink_all(int dir, const char *const *list)
{
	for (int i = 0; i < FILES; i++)
		sys_unlinkat(dir, list[i], 0);
}

static int write_files(const struct container *c, int dir, struct err *err)
{
	autoclose int monitor = monitor_connect(c->dirfd, err);
	int fds[FILES] = {-1, -1, -1}, r = monitor;

	for (int i = 0; i < FILES && r >= 0; i++) {
		sys_unlinkat(dir, new_names[i], 0); /* of one that was interrupted */
		r = fds[i] =
			sys_openat(dir, new_names[i], O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
		if (r < 0)
			err_sys(err, r, "--image-path: %s", new_names[i]);
	}
	if (r >= 0)
		r = monitor_save(monitor, fds[0], fds[1], fds[2], err);
	close_all(fds);
	return r < 0 ? r : 0;
}

static int publish(const struct container *c, int dir, struct err *err)
{
	autobuf struct buf text = {};
	int r = fd_read_file(c->dirfd, description, DESCRIPTION_MAX, &text);

	/* Of an earlier one: with other files it would be wrong. */
	if (r == 0 && (r = sys_unlinkat(dir, description, 0)) == -ENOENT)
		r = 0;
	for (int i = 0; i < FILES && r == 0; i++)
		r = sys_renameat2(dir, new_names[i], dir, names[i], 0);
	if (r == 0)
		r = fd_replace_file(dir, description, text.data, text.len, 0600);
	if (r == 0 && fsync(dir) < 0)
		r = -errno;
	return r < 0 ? err_sys(err, r, "--image-path") : 0;
}

int saved_write(const struct container *c, int dir, struct err *err)
{
	int r = live_refuse(c, err);

	if (r < 0)
		return r;
	r = write_files(c, dir, err);

	if (r == 0) {
		r = publish(c, dir, err);
		if (r < 0)
			unlink_all(dir, names);
	}
	if (r < 0)
		unlink_all(dir, new_names);
	return r;
}

/* ---- read ---- */

int saved_open(const char *path, struct saved *ret, struct err *err)
{
	autoclose int dir = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	autobuf struct buf text = {};
	int fds[FILES] = {-1, -1, -1}, r = dir;

	*ret = (struct saved){.files = {-1, -1, -1}};
	if (r >= 0)
		r = fd_read_file(dir, description, DESCRIPTION_MAX, &text);
	if (r == -ENOENT)
		return err_set(
			err, r, "--image-path: %s holds no virtual machine of brig-oci", path);
	for (int i = 0; i < FILES && r >= 0; i++)
		r = fds[i] = sys_openat(dir, names[i], O_RDONLY | O_NOFOLLOW, 0);
	if (r < 0) {
		close_all(fds);
		return err_sys(err, r, "--image-path: %s", path);
	}
	ret->files = (struct machine_files){fds[0], fds[1], fds[2]};
	r = parse(text.data, text.len, ret, err);
	if (r < 0)
		saved_close(ret);
	return r < 0 ? err_add(err, "--image-path: %s", path) : 0;
}

void saved_close(struct saved *saved)
{
	cleanup_close(&saved->files.state);
	cleanup_close(&saved->files.memory);
	cleanup_close(&saved->files.files);
}

int saved_apply(
	const struct saved *saved, bool terminal, struct proto_setup *setup, struct err *err)
{
	if (saved->terminal != terminal)
		return err_set(err, -EINVAL, "process.terminal: the saved container has %s",
			saved->terminal ? "one" : "none");
	if (saved->net_count != setup->net_count)
		return err_set(err, -EINVAL,
			"the saved container has %zu network interfaces, and this one's network "
			"namespace %u",
			saved->net_count, setup->net_count);
	for (uint32_t i = 0; i < setup->net_count; i++)
		memcpy(setup->nets[i].hardware, saved->macs[i], sizeof(saved->macs[i]));
	return 0;
}
