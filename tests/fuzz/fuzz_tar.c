/* SPDX-License-Identifier: Apache-2.0 */
/* A tar: read in small pieces, it is what it is when read in large ones, and bounded. */
#include "base/cleanup.h"
#include "images/unpack/tar.h"
#include "tests/fuzz/fuzz.h"

struct input {
	const uint8_t *data;
	size_t len, at, step;
};

static ssize_t read_input(void *context, void *buf, size_t len)
{
	struct input *in = context;
	size_t n = in->len - in->at;

	n = n < len ? n : len;
	n = n < in->step ? n : in->step;
	memcpy(buf, in->data + in->at, n);
	in->at += n;
	return (ssize_t)n;
}

/* How many entries and bytes there are, and how it ends. */
static int count(const uint8_t *data, size_t size, size_t step, uint64_t *ret)
{
	struct input in = {data, size, 0, step};
	autotar struct tar *tar = NULL;
	struct tar_entry e;
	struct err err = {};
	int r;

	if (tar_open(read_input, &in, &tar) < 0)
		return 0;
	while ((r = tar_next(tar, &e, &err)) > 0) {
		const void *bytes;
		uint64_t sum = 0;
		ssize_t n;

		REQUIRE(strlen(e.path) <= TAR_PATH_MAX && strlen(e.target) <= TAR_PATH_MAX);
		*ret += 1 + strlen(e.path) + e.mode + e.uid + e.xattr_count;
		while ((n = tar_read(tar, 333, &bytes, &err)) > 0)
			sum += (uint64_t)n;
		if (n < 0)
			return (int)n;
		REQUIRE(e.pieces || sum == e.size);
		*ret += sum;
	}
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t small = 0, large = 0;
	int a = count(data, size, 13, &small), b = count(data, size, 1 << 20, &large);

	REQUIRE(a == b && small == large);
	return 0;
}
