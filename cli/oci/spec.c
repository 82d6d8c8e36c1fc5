/* SPDX-License-Identifier: Apache-2.0 */
/* spec, features. */
#include "base/fd.h"
#include "base/sys.h"
#include "cli/oci/oci.h"
#include "spec/default.h"

#include <fcntl.h>
#include <unistd.h>

const struct option oci_spec_options[] = {
	{"bundle", 'b', OPTION_TEXT, OPTION_AT(oci_spec_values, bundle), .argument = "DIR",
		.help = "write DIR/config.json [.]"},
	{"file", 'f', OPTION_TEXT, OPTION_AT(oci_spec_values, file), .argument = "FILE",
		.help = "write FILE in DIR [config.json]"},
	{"rootless", 0, OPTION_FLAG, OPTION_AT(oci_spec_values, rootless),
		.help = "a configuration for somebody who is not root"},
	{NULL},
};

int oci_spec(const struct invocation *inv, struct err *err)
{
	const struct oci_spec_values *values = inv->options;
	const char *dir = values->bundle ? values->bundle : ".";
	const char *file = values->file ? values->file : "config.json";
	const struct spec_default_options options = {
		.rootless = values->rootless || geteuid() != 0,
		.uid = geteuid(),
		.gid = getegid(),
	};
	autoclose int dirfd = sys_openat(AT_FDCWD, dir, O_PATH | O_DIRECTORY, 0);
	autoclose int fd = -1;
	autojson json_t *config = NULL;
	autobuf struct buf text = {};
	int r = dirfd;

	if (r < 0)
		return err_sys(err, r, "open %s", dir);
	r = spec_default_build(&options, &config, err);
	if (r < 0)
		return r;
	if (json_write(config, JSON_INDENT(2), &text) < 0)
		return err_sys(err, -ENOMEM, "write %s", file);
	buf_puts(&text, "\n");
	fd = sys_openat(dirfd, file, O_WRONLY | O_CREAT | O_EXCL, 0644);
	if (fd == -EEXIST)
		return err_set(err, fd, "%s exists already in %s; move it away first", file, dir);
	r = fd < 0 ? fd : fd_write_all(fd, text.data, text.len);
	return r < 0 ? err_sys(err, r, "write %s in %s", file, dir) : 0;
}
