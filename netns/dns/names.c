/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/dns/names.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { LABEL_MAX = 63, DIR_MODE = 0755, FILE_MODE = 0644 };

bool names_normalize(const char *name, char *ret)
{
	size_t len = strlen(name), label = 0;

	if (len && name[len - 1] == '.')
		len--;
	if (!len || len > NAMES_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] - 'A' + 'a') : name[i];

		if (c == '.') {
			if (!label || i + 1 == len)
				return false;
			label = 0;
		} else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
			   c == '_') {
			if (++label > LABEL_MAX)
				return false;
		} else {
			return false;
		}
		ret[i] = c;
	}
	ret[len] = '\0';
	return true;
}

static int write_below(int dirfd, const char *dir, const char *file, const struct buf *text)
{
	/* Only the last of several gets its mode whatever the umask. */
	autoclose int top = path_mkdir(dirfd, "names", DIR_MODE, (uid_t)-1, (gid_t)-1);
	autoclose int place = path_mkdir(dirfd, dir, DIR_MODE, (uid_t)-1, (gid_t)-1);
	int r = top < 0 ? top : place < 0 ? place : text->failed ? -ENOMEM : 0;

	return r < 0 ? r : fd_replace_file(place, file, buf_str(text), text->len, FILE_MODE);
}

int names_put(int dirfd, const char *name, const char *id, const struct address *ip,
	const struct address *ip6, struct err *err)
{
	char plain[NAMES_NAME_MAX + 1], dir[NAMES_NAME_MAX + 16], a[ADDRESS_TEXT_MAX],
		b[ADDRESS_TEXT_MAX];
	autobuf struct buf text = {};
	int r;

	if (!names_normalize(name, plain))
		return 0;
	snprintf(dir, sizeof(dir), "names/%s", plain);
	buf_printf(&text, "%s %s\n", address_format(ip, a), address_format(ip6, b));
	r = write_below(dirfd, dir, id, &text);
	return r < 0 ? err_sys(err, r, "name %s", name) : 0;
}

int names_remove(int dirfd, const char *name, const char *id, struct err *err)
{
	char plain[NAMES_NAME_MAX + 1], path[PATH_MAX];
	int r;

	if (!names_normalize(name, plain))
		return 0;
	snprintf(path, sizeof(path), "names/%s/%s", plain, id);
	r = sys_unlinkat(dirfd, path, 0);
	if (r < 0 && r != -ENOENT)
		return err_sys(err, r, "name %s", name);
	snprintf(path, sizeof(path), "names/%s", plain);
	(void)sys_unlinkat(dirfd, path, AT_REMOVEDIR); /* when nobody else has it */
	return 0;
}

int names_put_pointer(int dirfd, const struct address *address, const char *name, struct err *err)
{
	char plain[NAMES_NAME_MAX + 1], file[ADDRESS_TEXT_MAX];
	autobuf struct buf text = {};
	int r;

	if (!names_normalize(name, plain) || !address->family)
		return 0;
	buf_printf(&text, "%s\n", plain);
	r = write_below(dirfd, "ptr", address_format(address, file), &text);
	return r < 0 ? err_sys(err, r, "name of %s", file) : 0;
}

static void add_servers(const struct strings *servers, struct buf *text)
{
	for (size_t i = 0; i < servers->count; i++)
		buf_printf(text, "%s\n", servers->items[i]);
}

int names_put_upstream(
	int dirfd, const struct address *client, const struct strings *servers, struct err *err)
{
	autobuf struct buf text = {};
	char file[ADDRESS_TEXT_MAX];
	int r;

	if (!servers->count || !client->family)
		return 0;
	add_servers(servers, &text);
	r = write_below(dirfd, "upstream", address_format(client, file), &text);
	return r < 0 ? err_sys(err, r, "name servers of %s", file) : 0;
}

int names_forget_address(int dirfd, const struct address *address, struct err *err)
{
	static const char *const dirs[] = {"ptr", "upstream"};
	char path[ADDRESS_TEXT_MAX + 16], text[ADDRESS_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(dirs) && address->family; i++) {
		int r;

		snprintf(path, sizeof(path), "%s/%s", dirs[i], address_format(address, text));
		r = sys_unlinkat(dirfd, path, 0);
		if (r < 0 && r != -ENOENT)
			return err_sys(err, r, "%s", path);
	}
	return 0;
}

int names_put_servers(int dirfd, const struct strings *servers, struct err *err)
{
	autobuf struct buf text = {}, old = {};
	int r;

	if (servers)
		add_servers(servers, &text);
	else
		buf_puts(&text, "-\n");
	if (text.failed)
		return err_sys(err, -ENOMEM, "dns.conf");
	if (fd_read_file(dirfd, "dns.conf", 1 << 20, &old) == 0 &&
		strcmp(buf_str(&old), buf_str(&text)) == 0)
		return 0;
	r = fd_replace_file(dirfd, "dns.conf", buf_str(&text), text.len, FILE_MODE);
	return r < 0 ? err_sys(err, r, "dns.conf") : 0;
}

/* ---- looking up ---- */

/* The address of FAMILY in a file's line. */
static bool read_address(int dir, const char *file, int family, struct address *ret)
{
	char line[2 * ADDRESS_TEXT_MAX + 2], *space;

	if (fd_read_line(dir, file, line, sizeof(line)) < 0)
		return false;
	space = strchr(line, ' ');
	if (!space)
		return false;
	*space++ = '\0';
	return address_parse(family == AF_INET ? line : space, ret) == 0 && ret->family == family;
}

int names_find(int dirfd, const char *name, int family, struct address *ret, size_t max,
	size_t *ret_count, bool *ret_known)
{
	char plain[NAMES_NAME_MAX + 1], path[NAMES_NAME_MAX + 16];
	struct dirent *entry;
	size_t count = 0;
	DIR *dir;
	int fd;

	*ret_count = 0;
	*ret_known = false;
	if (!names_normalize(name, plain))
		return 0;
	snprintf(path, sizeof(path), "names/%s", plain);
	fd = sys_openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	dir = fdopendir(fd);
	if (!dir) {
		cleanup_close(&fd);
		return -ENOMEM;
	}
	while ((entry = readdir(dir)) && count < max) {
		if (*entry->d_name == '.')
			continue;
		*ret_known = true;
		count += read_address(fd, entry->d_name, family, &ret[count]);
	}
	closedir(dir);
	*ret_count = count;
	return 0;
}

int names_find_pointer(int dirfd, const struct address *address, char *ret)
{
	char path[ADDRESS_TEXT_MAX + 8], text[ADDRESS_TEXT_MAX], line[NAMES_NAME_MAX + 2];
	ssize_t r;

	snprintf(path, sizeof(path), "ptr/%s", address_format(address, text));
	r = fd_read_line(dirfd, path, line, sizeof(line));
	if (r < 0)
		return (int)r;
	return names_normalize(line, ret) ? 0 : -ENOENT;
}
