/* SPDX-License-Identifier: Apache-2.0 */
#include "images/unpack/deflate.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "images/unpack/jail.h"

#include <isa-l.h>

JAIL_NEEDS(UNPACK_DEFLATE, SYS_read);
JAIL_NEEDS(UNPACK_DEFLATE, SYS_write);

enum { IN_SIZE = 1 << 20, OUT_SIZE = 256 << 10 };

struct deflater {
	struct isal_zstream stream;
	uint8_t level[ISAL_DEF_LVL1_DEFAULT];
	uint8_t in[IN_SIZE], out[OUT_SIZE];
};

static int deflate_some(struct deflater *d, int out, struct err *err)
{
	do {
		int r;

		d->stream.next_out = d->out;
		d->stream.avail_out = OUT_SIZE;
		if (isal_deflate(&d->stream) != COMP_OK)
			return err_set(err, -EIO, "deflate: the library fails");
		r = fd_write_all(out, d->out, OUT_SIZE - d->stream.avail_out);
		if (r < 0)
			return err_sys(err, r, "deflate: write");
	} while (d->stream.avail_out == 0);
	return 0;
}

int deflate_run(int in, int out, struct err *err)
{
	autofree struct deflater *d = calloc(1, sizeof(*d));
	ssize_t n;
	int r;

	if (!d)
		return err_sys(err, -ENOMEM, "deflate");
	isal_deflate_init(&d->stream);
	d->stream.level = 1;
	d->stream.level_buf = d->level;
	d->stream.level_buf_size = sizeof(d->level);
	d->stream.gzip_flag = IGZIP_GZIP;
	do {
		n = sys_read(in, d->in, IN_SIZE);
		if (n < 0)
			return err_sys(err, (int)n, "deflate: read");
		d->stream.next_in = d->in;
		d->stream.avail_in = (uint32_t)n;
		d->stream.end_of_stream = n == 0;
		r = deflate_some(d, out, err);
	} while (r == 0 && n > 0);
	return r;
}
