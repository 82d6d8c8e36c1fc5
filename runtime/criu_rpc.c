/* SPDX-License-Identifier: Apache-2.0 */
/* The protobuf messages of criu's RPC: field numbers are those of rpc.proto. Pure. */
#include "runtime/criu.h"

#include <errno.h>
#include <string.h>

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

enum { REQ_TYPE = 1, REQ_OPTS = 2, REQ_NOTIFY_SUCCESS = 3 };

enum {
	OPT_IMAGES_DIR_FD = 1,
	OPT_PID = 2,
	OPT_LEAVE_RUNNING = 3,
	OPT_EXT_UNIX_SK = 4,
	OPT_TCP_ESTABLISHED = 5,
	OPT_SHELL_JOB = 7,
	OPT_FILE_LOCKS = 8,
	OPT_LOG_LEVEL = 9,
	OPT_LOG_FILE = 10,
	OPT_PAGE_SERVER = 11,
	OPT_NOTIFY_SCRIPTS = 12,
	OPT_ROOT = 13,
	OPT_PARENT_IMG = 14,
	OPT_TRACK_MEM = 15,
	OPT_AUTO_DEDUP = 16,
	OPT_WORK_DIR_FD = 17,
	OPT_LINK_REMAP = 18,
	OPT_MANAGE_CGROUPS = 24,
	OPT_CG_ROOT = 25,
	OPT_RST_SIBLING = 26,
	OPT_INHERIT_FD = 27,
	OPT_EXT_MASTERS = 30,
	OPT_MANAGE_CGROUPS_MODE = 34,
	OPT_EXTERNAL = 37,
	OPT_EMPTY_NS = 38,
	OPT_JOIN_NS = 39,
	OPT_FREEZE_CGROUP = 44,
	OPT_TCP_SKIP_IN_FLIGHT = 46,
	OPT_LAZY_PAGES = 48,
	OPT_ORPHAN_PTS_MASTER = 50,
	OPT_CONFIG_FILE = 51,
	OPT_TCP_CLOSE = 52,
	OPT_LSM_PROFILE = 53,
	OPT_LSM_MOUNT_CONTEXT = 63,
	OPT_NETWORK_LOCK = 64,
};

enum {
	RESP_TYPE = 1,
	RESP_SUCCESS = 2,
	RESP_RESTORE = 4,
	RESP_NOTIFY = 5,
	RESP_ERRNO = 7,
	RESP_ERRMSG = 9
};

enum { LOG_LEVEL_DEBUG = 4, NETWORK_LOCK_NFTABLES = 2, FIRST_INHERITED = 4 };

/* ---- writing ---- */

static void put_varint(struct buf *out, uint64_t value)
{
	unsigned char bytes[10];
	size_t n = 0;

	do {
		bytes[n] = (unsigned char)(value & 0x7f);
		value >>= 7;
		if (value)
			bytes[n] |= 0x80;
		n++;
	} while (value);
	buf_add(out, bytes, n);
}

static void put_number(struct buf *out, unsigned int field, uint64_t value)
{
	put_varint(out, (uint64_t)field << 3 | WIRE_VARINT);
	put_varint(out, value);
}

static void put_flag(struct buf *out, unsigned int field, bool value)
{
	if (value)
		put_number(out, field, 1);
}

static void put_bytes(struct buf *out, unsigned int field, const void *data, size_t len)
{
	put_varint(out, (uint64_t)field << 3 | WIRE_BYTES);
	put_varint(out, len);
	buf_add(out, data, len);
}

static void put_text(struct buf *out, unsigned int field, const char *text)
{
	if (text)
		put_bytes(out, field, text, strlen(text));
}

static void put_message(struct buf *out, unsigned int field, const struct buf *message)
{
	out->failed |= message->failed;
	put_bytes(out, field, buf_str(message), message->len);
}

static void put_lists(struct buf *out, const struct criu_request *r)
{
	for (size_t i = 0; i < r->external.count; i++)
		put_text(out, OPT_EXTERNAL, r->external.items[i]);
	for (size_t i = 0; i < r->ninherits; i++) {
		autobuf struct buf message = {};

		put_text(&message, 1, r->inherits[i].key);
		put_number(&message, 2, FIRST_INHERITED + i);
		put_message(out, OPT_INHERIT_FD, &message);
	}
	for (size_t i = 0; i < r->njoins; i++) {
		autobuf struct buf message = {};

		put_text(&message, 1, r->joins[i].type);
		put_text(&message, 2, r->joins[i].path);
		put_message(out, OPT_JOIN_NS, &message);
	}
	if (r->cgroup_root) {
		autobuf struct buf message = {};

		put_text(&message, 2, r->cgroup_root);
		put_message(out, OPT_CG_ROOT, &message);
	}
}

static void put_flags(struct buf *out, const struct criu_flags *f)
{
	put_flag(out, OPT_EXT_UNIX_SK, f->ext_unix_sk);
	put_flag(out, OPT_TCP_ESTABLISHED, f->tcp_established);
	put_flag(out, OPT_TCP_CLOSE, f->tcp_close);
	put_flag(out, OPT_TCP_SKIP_IN_FLIGHT, f->tcp_skip_in_flight);
	put_flag(out, OPT_SHELL_JOB, f->shell_job);
	put_flag(out, OPT_FILE_LOCKS, f->file_locks);
	put_flag(out, OPT_AUTO_DEDUP, f->auto_dedup);
	put_flag(out, OPT_LINK_REMAP, f->link_remap);
	put_flag(out, OPT_MANAGE_CGROUPS, f->cgroups != CRIU_CGROUPS_IGNORE);
	put_number(out, OPT_MANAGE_CGROUPS_MODE, (uint64_t)f->cgroups);
	put_text(out, OPT_LSM_PROFILE, f->lsm_profile);
	put_text(out, OPT_LSM_MOUNT_CONTEXT, f->lsm_mount_context);
	put_flag(out, OPT_LAZY_PAGES, f->lazy_pages);
	if (f->page_server.address) {
		autobuf struct buf message = {};

		put_text(&message, 1, f->page_server.address);
		put_number(&message, 2, f->page_server.port);
		put_message(out, OPT_PAGE_SERVER, &message);
	}
}

void criu_encode(const struct criu_request *r, struct buf *ret)
{
	autobuf struct buf opts = {};
	bool restore = r->type == CRIU_RESTORE;

	put_number(&opts, OPT_IMAGES_DIR_FD, (uint64_t)r->images_fd);
	put_number(&opts, OPT_WORK_DIR_FD, (uint64_t)r->work_fd);
	if (r->pid)
		put_number(&opts, OPT_PID, (uint64_t)r->pid);
	put_number(&opts, OPT_LOG_LEVEL, LOG_LEVEL_DEBUG);
	put_text(&opts, OPT_LOG_FILE, r->log_file);
	put_flag(&opts, OPT_LEAVE_RUNNING, r->leave_running);
	put_flag(&opts, OPT_TRACK_MEM, r->type == CRIU_PRE_DUMP);
	put_flag(&opts, OPT_NOTIFY_SCRIPTS, restore || r->notify);
	/* The restored root becomes our child and not criu's. */
	put_flag(&opts, OPT_RST_SIBLING, restore);
	/* The master of the container's terminal is with the engine, outside of the tree. */
	put_flag(&opts, OPT_ORPHAN_PTS_MASTER, true);
	/* Binds of the host's mounts may be slaves of them. */
	put_flag(&opts, OPT_EXT_MASTERS, !restore);
	put_text(&opts, OPT_ROOT, r->root);
	put_text(&opts, OPT_PARENT_IMG, r->parent_image);
	put_text(&opts, OPT_FREEZE_CGROUP, r->freeze_cgroup);
	put_text(&opts, OPT_CONFIG_FILE, r->config_file);
	if (r->empty_namespaces)
		put_number(&opts, OPT_EMPTY_NS, r->empty_namespaces);
	/* nft is in the kernel wherever cgroup v2 is; iptables is a program that may be missing. */
	put_number(&opts, OPT_NETWORK_LOCK, NETWORK_LOCK_NFTABLES);
	put_flags(&opts, r->flags);
	put_lists(&opts, r);

	put_number(ret, REQ_TYPE, (uint64_t)r->type);
	put_message(ret, REQ_OPTS, &opts);
}

void criu_encode_answer(bool success, struct buf *ret)
{
	put_number(ret, REQ_TYPE, CRIU_NOTIFY);
	put_number(ret, REQ_NOTIFY_SUCCESS, success);
}

/* ---- reading ---- */

struct reader {
	const unsigned char *at, *end;
};

struct field {
	unsigned int number;
	uint64_t value;        /* of a number */
	struct reader content; /* of bytes */
};

static bool get_varint(struct reader *in, uint64_t *ret)
{
	uint64_t value = 0;

	for (unsigned int shift = 0; shift < 64 && in->at < in->end; shift += 7) {
		unsigned char byte = *in->at++;

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret = value;
			return true;
		}
	}
	return false;
}

static bool skip(struct reader *in, uint64_t len, struct reader *ret)
{
	if (len > (size_t)(in->end - in->at))
		return false;
	*ret = (struct reader){in->at, in->at + len};
	in->at += len;
	return true;
}

/* 1: *RET is the next field; 0: the end. */
static int get_field(struct reader *in, struct field *ret)
{
	uint64_t tag, len;

	*ret = (struct field){};
	if (in->at == in->end)
		return 0;
	if (!get_varint(in, &tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX)
		return -EPROTO;
	ret->number = (unsigned int)(tag >> 3);
	switch (tag & 7) {
	case WIRE_VARINT:
		return get_varint(in, &ret->value) ? 1 : -EPROTO;
	case WIRE_BYTES:
		return get_varint(in, &len) && skip(in, len, &ret->content) ? 1 : -EPROTO;
	case WIRE_64:
		return skip(in, 8, &ret->content) ? 1 : -EPROTO;
	case WIRE_32:
		return skip(in, 4, &ret->content) ? 1 : -EPROTO;
	default:
		return -EPROTO;
	}
}

static void copy_text(const struct field *field, char *ret, size_t size)
{
	size_t len = (size_t)(field->content.end - field->content.at);

	if (len >= size)
		len = size - 1;
	if (len)
		memcpy(ret, field->content.at, len);
	ret[len] = '\0';
}

static int decode_notify(struct reader in, struct criu_response *ret)
{
	struct field field;
	int r;

	while ((r = get_field(&in, &field)) > 0) {
		if (field.number == 1)
			copy_text(&field, ret->script, sizeof(ret->script));
		else if (field.number == 2)
			ret->pid = (pid_t)field.value;
	}
	return r;
}

static int decode_restore(struct reader in, struct criu_response *ret)
{
	struct field field;
	int r;

	while ((r = get_field(&in, &field)) > 0)
		if (field.number == 1)
			ret->pid = (pid_t)field.value;
	return r;
}

int criu_decode(const void *data, size_t len, struct criu_response *ret)
{
	struct reader in = {data, (const unsigned char *)data + len};
	struct criu_response response = {};
	struct field field;
	int r;

	while ((r = get_field(&in, &field)) > 0) {
		if (field.number == RESP_TYPE)
			response.type = (int)field.value;
		else if (field.number == RESP_SUCCESS)
			response.success = field.value != 0;
		else if (field.number == RESP_ERRNO)
			response.error = (int)field.value;
		else if (field.number == RESP_ERRMSG)
			copy_text(&field, response.message, sizeof(response.message));
		else if (field.number == RESP_NOTIFY)
			r = decode_notify(field.content, &response);
		else if (field.number == RESP_RESTORE)
			r = decode_restore(field.content, &response);
		if (r < 0)
			return r;
	}
	if (r < 0 || !response.type)
		return -EPROTO;
	*ret = response;
	return 0;
}

/* ---- criu's log ---- */

/* "(00.012345)      7: Error (criu/x.c:1): text" → the part from "Error" on, or NULL. */
static const char *error_in(const char *line, size_t len)
{
	const char *found = memmem(line, len, "Error (", 7);

	return found && found - line < 40 ? found : NULL;
}

void criu_log_errors(const char *text, struct buf *ret)
{
	enum { LINES = 3 };
	struct {
		const char *at;
		size_t len;
	} last[LINES];
	size_t count = 0;

	while (*text) {
		size_t len = strcspn(text, "\n");
		const char *error = error_in(text, len);

		if (error) {
			last[count % LINES].at = error;
			last[count++ % LINES].len = len - (size_t)(error - text);
		}
		text += len + (text[len] == '\n');
	}
	for (size_t i = count > LINES ? count - LINES : 0; i < count; i++) {
		if (ret->len)
			buf_puts(ret, "; ");
		buf_add(ret, last[i % LINES].at, last[i % LINES].len);
	}
}
