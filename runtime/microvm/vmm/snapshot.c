/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/vmm/snapshot.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

#ifdef __x86_64__
#define SNAPSHOT_ARCHITECTURE EM_X86_64
#else
#define SNAPSHOT_ARCHITECTURE EM_AARCH64
#endif

struct header {
	char magic[8];
	uint32_t version, architecture;
	uint64_t size; /* of all, in bytes */
	char build[SNAPSHOT_BUILD];
	struct snapshot_shape shape;
};

struct section {
	uint32_t type, index;
	uint64_t len;
};

static const char magic[8] = {'b', 'r', 'i', 'g', '-', 'v', 'm', '\n'};

static void add(struct snapshot_writer *w, const void *data, size_t len)
{
	w->full |= len > w->size - w->len;
	if (w->full)
		return;
	memcpy(w->data + w->len, data, len);
	w->len += len;
}

void snapshot_begin(
	struct snapshot_writer *w, uint8_t *data, size_t size, const struct snapshot_shape *shape)
{
	struct header h = {.version = SNAPSHOT_VERSION,
		.architecture = SNAPSHOT_ARCHITECTURE,
		.build = BRIG_VERSION,
		.shape = *shape};

	*w = (struct snapshot_writer){.data = data, .size = size};
	memcpy(h.magic, magic, sizeof(magic));
	add(w, &h, sizeof(h));
}

void snapshot_put(
	struct snapshot_writer *w, uint32_t type, uint32_t index, const void *data, size_t len)
{
	const struct section s = {.type = type, .index = index, .len = len};

	add(w, &s, sizeof(s));
	if (len)
		add(w, data, len);
}

int snapshot_finish(struct snapshot_writer *w)
{
	uint64_t size = w->len;

	if (w->full)
		return -EFBIG;
	memcpy(w->data + offsetof(struct header, size), &size, sizeof(size));
	return 0;
}

static int check(
	const struct header *h, size_t len, const struct snapshot_shape *shape, struct err *err)
{
	const char build[SNAPSHOT_BUILD] = BRIG_VERSION;

	if (memcmp(h->magic, magic, sizeof(magic)) != 0 || h->size != len)
		return err_set(
			err, -EINVAL, "not the state of a virtual machine, or not all of it");
	if (h->version != SNAPSHOT_VERSION || memcmp(h->build, build, sizeof(build)) != 0)
		return err_set(err, -EINVAL, "the state was saved by another version of brig");
	if (h->architecture != SNAPSHOT_ARCHITECTURE)
		return err_set(err, -EINVAL, "the state is of another kind of processor");
	if (h->shape.memory_size != shape->memory_size)
		return err_set(err, -EINVAL, "the saved machine has another memory size");
	if (h->shape.vcpus != shape->vcpus || h->shape.devices != shape->devices)
		return err_set(err, -EINVAL,
			"the saved machine has %u vCPUs and %u devices, not %u and %u",
			h->shape.vcpus, h->shape.devices, shape->vcpus, shape->devices);
	return 0;
}

int snapshot_open(struct snapshot_reader *r, const void *data, size_t len,
	const struct snapshot_shape *shape, struct err *err)
{
	struct header h = {};

	if (len >= sizeof(h))
		memcpy(&h, data, sizeof(h));
	*r = (struct snapshot_reader){.data = data, .len = len, .at = sizeof(h)};
	return check(&h, len, shape, err);
}

int snapshot_get_some(struct snapshot_reader *r, uint32_t type, uint32_t index, const void **ret,
	size_t *ret_len, struct err *err)
{
	struct section s;

	if (r->len - r->at < sizeof(s))
		return err_set(err, -EINVAL, "the state ends too early");
	memcpy(&s, r->data + r->at, sizeof(s));
	if (s.type != type || s.index != index || s.len > r->len - r->at - sizeof(s))
		return err_set(err, -EINVAL, "the state has no section %u.%u where it belongs",
			type, index);
	*ret = r->data + r->at + sizeof(s);
	*ret_len = s.len;
	r->at += sizeof(s) + s.len;
	return 0;
}

int snapshot_get(struct snapshot_reader *r, uint32_t type, uint32_t index, void *ret, size_t len,
	struct err *err)
{
	const void *data;
	size_t found;
	int n = snapshot_get_some(r, type, index, &data, &found, err);

	if (n < 0)
		return n;
	if (found != len)
		return err_set(err, -EINVAL, "section %u.%u of the state has %zu bytes, not %zu",
			type, index, found, len);
	if (len)
		memcpy(ret, data, len);
	return 0;
}

int snapshot_end(const struct snapshot_reader *r, struct err *err)
{
	return r->at == r->len ? 0 : err_set(err, -EINVAL, "the state has more than a machine has");
}
