/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/attrs/seccomp/cache.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/utsname.h>

enum {
	COMPILER_VERSION = 1, /* raised with every change of what is compiled from an input */
	ENTRY_MAX = 4 << 20,
	NAME_SIZE = sizeof("0123456789abcdef.bpf"),
};

static const char magic[8] = {'b', 'r', 'i', 'g', 'b', 'p', 'f', '1'};

/* An entry: this, then the input, then the instructions. */
struct entry {
	char magic[8];
	uint32_t input_len, count, flags, notify;
	uint64_t checksum; /* of all of the entry, with 0 in this place */
};

/* Eight bytes a step; for names and damage, not against an adversary: the input decides. */
static uint64_t hash_add(uint64_t hash, const void *data, size_t len)
{
	const unsigned char *at = data;

	for (; len > 0;) {
		const size_t step = len < 8 ? len : 8;
		uint64_t word = 0;

		memcpy(&word, at, step);
		hash = (hash ^ word ^ (uint64_t)step << 56) * 0x9e3779b97f4a7c15u;
		hash ^= hash >> 29;
		at += step;
		len -= step;
	}
	return hash;
}

static void put_number(struct buf *buf, uint64_t number)
{
	buf_add(buf, &number, sizeof(number));
}

static void put_text(struct buf *buf, const char *text)
{
	const size_t len = strlen(text);

	put_number(buf, len);
	buf_add(buf, text, len);
}

static void put_texts(struct buf *buf, const struct strings *texts)
{
	put_number(buf, texts->count);
	for (size_t i = 0; i < texts->count; i++)
		put_text(buf, texts->items[i]);
}

static void put_optional(struct buf *buf, struct opt_u32 value)
{
	put_number(buf, value.set ? value.value : UINT64_MAX);
}

static void put_rule(struct buf *buf, const struct spec_seccomp_rule *rule)
{
	put_texts(buf, &rule->names);
	put_number(buf, (uint64_t)rule->action);
	put_optional(buf, rule->errno_ret);
	put_number(buf, rule->args.count);
	for (size_t i = 0; i < rule->args.count; i++) {
		put_number(buf, rule->args.items[i].index);
		put_number(buf, rule->args.items[i].value);
		put_number(buf, rule->args.items[i].value_two);
		put_number(buf, (uint64_t)rule->args.items[i].op);
	}
}

int seccomp_canonical(const struct spec_seccomp *seccomp, struct buf *ret)
{
	const struct scmp_version *version = seccomp_version();
	struct utsname kernel;

	if (uname(&kernel) < 0)
		return -errno;
	put_number(ret, COMPILER_VERSION);
	put_number(ret, version->major);
	put_number(ret, version->minor);
	put_number(ret, version->micro);
	put_number(ret, seccomp_arch_native());
	put_text(ret, kernel.release);
	put_number(ret, (uint64_t)seccomp->default_action);
	put_optional(ret, seccomp->default_errno_ret);
	put_number(ret, seccomp->architectures.count);
	for (size_t i = 0; i < seccomp->architectures.count; i++)
		put_number(ret, (uint32_t)seccomp->architectures.items[i]);
	put_texts(ret, &seccomp->flags);
	put_number(ret, seccomp->syscalls.count);
	for (size_t i = 0; i < seccomp->syscalls.count; i++)
		put_rule(ret, &seccomp->syscalls.items[i]);
	return ret->failed ? -ENOMEM : 0;
}

/* Whether nobody but the caller's user and root can have written what ST describes. */
static bool trusted(const struct stat *st, mode_t type, uid_t user)
{
	return (st->st_mode & S_IFMT) == type && (st->st_uid == user || st->st_uid == 0) &&
	       !(st->st_mode & (S_IWGRP | S_IWOTH));
}

static uint64_t entry_checksum(const char *data, size_t len)
{
	struct entry head;

	memcpy(&head, data, sizeof(head));
	head.checksum = 0;
	return hash_add(hash_add(0, &head, sizeof(head)), data + sizeof(head), len - sizeof(head));
}

/* Takes the program out of the entry DATA if it is whole and was made from INPUT. */
static int read_entry(
	const char *data, size_t len, const struct buf *input, struct seccomp_program *ret)
{
	struct entry head;
	size_t size;

	if (len < sizeof(head))
		return -EBADMSG;
	memcpy(&head, data, sizeof(head));
	if (memcmp(head.magic, magic, sizeof(magic)) != 0 || head.count == 0 ||
		head.count > BPF_MAXINSNS || head.notify > 1)
		return -EBADMSG;
	size = head.count * sizeof(struct sock_filter);
	if (len != sizeof(head) + (uint64_t)head.input_len + size)
		return -EBADMSG;
	if (head.input_len != input->len ||
		memcmp(data + sizeof(head), input->data, input->len) != 0)
		return -ENOENT;
	if (head.checksum != entry_checksum(data, len))
		return -EBADMSG;
	ret->insns = malloc(size);
	if (!ret->insns)
		return -ENOMEM;
	memcpy(ret->insns, data + sizeof(head) + head.input_len, size);
	ret->count = head.count;
	ret->flags = head.flags;
	ret->notify = head.notify;
	return 0;
}

static int look_up(int cachefd, const char *name, uid_t user, const struct buf *input,
	struct seccomp_program *ret)
{
	autofree char *data = NULL;
	autoclose int fd = -1;
	struct stat st;
	ssize_t n;
	int r;

	/* Not blocking, should somebody have put a FIFO there. */
	fd = sys_openat2(cachefd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0,
		RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	if (fd < 0)
		return fd;
	r = sys_fstat(fd, &st);
	if (r < 0)
		return r;
	if (!trusted(&st, S_IFREG, user) || st.st_size > ENTRY_MAX)
		return -EPERM;
	data = malloc((size_t)st.st_size + 1);
	if (!data)
		return -ENOMEM;
	n = sys_read(fd, data, (size_t)st.st_size + 1);
	if (n < 0)
		return (int)n;
	return read_entry(data, (size_t)n, input, ret);
}

static int store(int cachefd, const char *name, const struct buf *input,
	const struct seccomp_program *program)
{
	autobuf struct buf data = {};
	struct entry head = {
		.input_len = (uint32_t)input->len,
		.count = (uint32_t)program->count,
		.flags = program->flags,
		.notify = program->notify,
	};

	memcpy(head.magic, magic, sizeof(magic));
	buf_add(&data, &head, sizeof(head));
	buf_add(&data, input->data, input->len);
	buf_add(&data, program->insns, program->count * sizeof(*program->insns));
	if (data.failed)
		return -ENOMEM;
	if (data.len > ENTRY_MAX)
		return -EFBIG;
	head.checksum = entry_checksum(data.data, data.len);
	memcpy(data.data, &head, sizeof(head));
	return fd_replace_file(cachefd, name, data.data, data.len, 0600);
}

int seccomp_cached(int cachefd, const struct spec_seccomp *seccomp, struct seccomp_program *ret,
	bool *ret_hit, struct err *err)
{
	autobuf struct buf input = {};
	const uid_t user = (uid_t)getauxval(AT_EUID);
	char name[NAME_SIZE];
	bool usable, hit;
	struct stat st;
	int r;

	r = seccomp_canonical(seccomp, &input);
	if (r < 0)
		return err_sys(err, r, "linux.seccomp: making the name of the cached filter");
	snprintf(name, sizeof(name), "%016llx.bpf",
		(unsigned long long)hash_add(0, input.data, input.len));
	usable = cachefd >= 0 && sys_fstat(cachefd, &st) == 0 && trusted(&st, S_IFDIR, user);
	hit = usable && look_up(cachefd, name, user, &input, ret) == 0;
	if (!hit) {
		r = seccomp_compile(seccomp, ret, err);
		if (r < 0)
			return r;
		/* A cache that cannot be written costs time, never the container. */
		if (usable)
			store(cachefd, name, &input, ret);
	}
	if (ret_hit)
		*ret_hit = hit;
	return 0;
}
