/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/attrs/lsm.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A context or profile name with its mode; the kernel's attr files take at most a page. */
enum { LABEL_MAX = 4096 };

/* Opens PATH in procfs: never through a mount, a magic link or a link in the last component. The
 * magic number is checked on what was opened, which is what will be written to. */
static int open_proc(int procfd, const char *path, int flags)
{
	autoclose int fd = -1;
	struct statfs fs;
	int r;

	fd = sys_openat2(procfd, path, (uint64_t)flags | O_NOFOLLOW, 0,
		RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS);
	if (fd < 0)
		return fd;
	r = sys_fstatfs(fd, &fs);
	if (r < 0)
		return r;
	if (fs.f_type != PROC_SUPER_MAGIC)
		return -EXDEV;
	return take_fd(&fd);
}

/* What FILE holds, without the NUL or newline that some modules end it with. */
static ssize_t read_label(int fd, char *ret, size_t size)
{
	ssize_t n = sys_pread(fd, ret, size - 1, 0);

	if (n < 0)
		return n;
	while (n > 0 && (ret[n - 1] == '\n' || ret[n - 1] == 0))
		n--;
	ret[n] = 0;
	return n;
}

/* SELinux has no attr directory of its own, but is the only one that registers this type. */
static int selinux_enabled(int procfd, struct err *err)
{
	autoclose int fd = open_proc(procfd, "filesystems", O_RDONLY);
	autobuf struct buf types = {};
	int r;

	if (fd < 0)
		return err_sys(err, fd, "opening the file filesystems of procfs");
	r = fd_read_all(fd, 1 << 20, &types);
	if (r < 0)
		return err_sys(err, r, "reading the file filesystems of procfs");
	return strstr(buf_str(&types), "\tselinuxfs\n") != NULL;
}

/* AppArmor's own directory since Linux 5.8, so that another module cannot be meant. When AppArmor
 * is built in but off, its files are there and refuse to be read. */
static int apparmor_enabled(int procfd)
{
	autoclose int fd = open_proc(procfd, "self/attr/apparmor/current", O_RDONLY);
	char label[LABEL_MAX];

	return fd >= 0 && read_label(fd, label, sizeof(label)) > 0;
}

/* "NAME (MODE)" names the profile NAME. */
static bool same_profile(const char *found, const char *profile)
{
	size_t len = strlen(profile);

	return strncmp(found, profile, len) == 0 &&
	       (found[len] == 0 || strncmp(found + len, " (", 2) == 0);
}

static int check_label(const char *field, const char *label, struct err *err)
{
	if (strlen(label) > LABEL_MAX - sizeof("exec "))
		return err_set(err, -EINVAL, "%s: the label is too long", field);
	for (const char *c = label; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return err_set(
				err, -EINVAL, "%s: control characters in \"%s\"", field, label);
	return 0;
}

int lsm_set_apparmor(int procfd, const char *profile, struct err *err)
{
	static const char field[] = "process.apparmorProfile";
	char text[LABEL_MAX], found[LABEL_MAX];
	autoclose int fd = -1;
	ssize_t n;
	int r;

	if (!profile || !*profile)
		return 0;
	r = check_label(field, profile, err);
	if (r < 0)
		return r;
	if (!apparmor_enabled(procfd)) {
		if (strcmp(profile, "unconfined") == 0)
			return 0;
		return err_set(err, -EOPNOTSUPP,
			"%s: \"%s\" is asked for, but AppArmor is not enabled on this machine",
			field, profile);
	}
	fd = open_proc(procfd, "self/attr/apparmor/exec", O_RDWR);
	if (fd < 0)
		return err_sys(err, fd, "%s: opening attr/apparmor/exec", field);
	n = snprintf(text, sizeof(text), "exec %s", profile);
	n = sys_write(fd, text, (size_t)n);
	if (n == -ENOENT)
		return err_set(err, (int)n,
			"%s: the profile \"%s\" is not loaded (apparmor_parser -r)", field,
			profile);
	if (n < 0)
		return err_sys(err, (int)n, "%s: changing to \"%s\" at exec", field, profile);
	n = read_label(fd, found, sizeof(found));
	if (n < 0)
		return err_sys(err, (int)n, "%s: reading the profile back", field);
	if (!same_profile(found, profile))
		return err_set(err, -EINVAL, "%s: the kernel took \"%s\" for \"%s\"", field, found,
			profile);
	return 0;
}

/* Writes LABEL to the attribute FILE and reads it back. */
static int set_selinux(
	int procfd, const char *field, const char *file, const char *label, struct err *err)
{
	char found[LABEL_MAX];
	autoclose int fd = -1;
	ssize_t n;
	int r;

	if (!label || !*label)
		return 0;
	r = check_label(field, label, err);
	if (r < 0)
		return r;
	r = selinux_enabled(procfd, err);
	if (r < 0)
		return err_add(err, "%s", field);
	if (r == 0)
		return err_set(err, -EOPNOTSUPP,
			"%s: \"%s\" is asked for, but SELinux is not enabled on this machine",
			field, label);
	fd = open_proc(procfd, file, O_RDWR);
	if (fd < 0)
		return err_sys(err, fd, "%s: opening %s", field, file);
	n = sys_write(fd, label, strlen(label));
	if (n == -EINVAL)
		return err_set(
			err, (int)n, "%s: the loaded policy does not know \"%s\"", field, label);
	if (n < 0)
		return err_sys(err, (int)n, "%s: setting \"%s\"", field, label);
	n = read_label(fd, found, sizeof(found));
	if (n < 0)
		return err_sys(err, (int)n, "%s: reading the label back", field);
	if (strcmp(found, label) != 0)
		return err_set(
			err, -EINVAL, "%s: the kernel took \"%s\" for \"%s\"", field, found, label);
	return 0;
}

int lsm_set_selinux(int procfd, const char *label, struct err *err)
{
	return set_selinux(procfd, "process.selinuxLabel", "self/attr/exec", label, err);
}

int lsm_set_selinux_keyring(int procfd, const char *label, struct err *err)
{
	return set_selinux(
		procfd, "process.selinuxLabel (keyring)", "self/attr/keycreate", label, err);
}

int lsm_check_mount_label(const char *label, struct err *err)
{
	int r = check_label("linux.mountLabel", label, err);

	/* A quote would end the option's value, and what follows would be options. */
	if (r == 0 && strchr(label, '"'))
		return err_set(err, -EINVAL, "linux.mountLabel: a quote in \"%s\"", label);
	return r;
}

int lsm_mount_data(const char *label, struct buf *data, struct err *err)
{
	int r;

	if (!label || !*label)
		return 0;
	r = lsm_check_mount_label(label, err);
	if (r < 0)
		return r;
	buf_printf(data, "%scontext=\"%s\"", data->len ? "," : "", label);
	return data->failed ? err_sys(err, -ENOMEM, "linux.mountLabel") : 0;
}
