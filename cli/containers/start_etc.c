/* SPDX-License-Identifier: Apache-2.0 */
/* The files of /etc that tell a container who and where it is. */
#include "cli/containers/assemble.h"
#include "cli/containers/start.h"

#include "base/fd.h"
#include "base/sys.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { ETC_MAX = 1 << 20 };

/*
 * Written in place: the container has the file bound, and a new one of the same name would not be
 * seen there. It sees the old text, or the new.
 */
static int write_file(
	const struct box *box, const char *name, const struct buf *text, struct err *err)
{
	autoclose int dir = box_run_dir(box->boxes, box->id, err), fd = -1;
	int r;

	if (dir < 0)
		return dir;
	if (text->failed)
		return err_sys(err, -ENOMEM, "%s", name);
	r = fd = sys_openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0644);
	if (r >= 0)
		r = sys_fchmod(fd, 0644); /* whatever the umask */
	if (r == 0)
		r = fd_write_all(fd, buf_str(text), text->len);
	return r < 0 ? err_sys(err, r, "container %s: write %s", box->record.name, name) : 0;
}

static const char *path_of(const struct box *box, struct arena *arena, const char *name)
{
	return arena_printf(arena, "%s/containers/%s/%s", box->boxes->run_path, box->id, name);
}

static void read_host_file(const char *path, struct buf *ret)
{
	autoclose int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_NOCTTY, 0);

	if (fd >= 0)
		fd_read_all(fd, ETC_MAX, ret);
}

/* ---- hosts ---- */

static int add_host_line(
	const char *item, const struct start_names *names, struct buf *text, struct err *err)
{
	/* An IPv6 address has colons itself: the name ends at the first, or at "=". */
	size_t n = strcspn(item, "=:");
	const char *address = item + n + 1;

	if (!n || !item[n] || !*address)
		return err_set(err, -EINVAL, "--add-host: \"%s\" is not NAME:IP", item);
	if (strcmp(address, "host-gateway") == 0) {
		if (!names->host_gateway)
			return err_set(err, -EINVAL,
				"--add-host: %s: the container has no network that leads to this "
				"machine",
				item);
		address = names->host_gateway;
	}
	buf_printf(text, "%s\t%.*s\n", address, (int)n, item);
	return 0;
}

static int write_hosts(const struct box *box, const struct start_names *names, const char *hostname,
	bool host_net, struct err *err)
{
	const struct run_options *o = &box->record.options;
	autobuf struct buf text = {};
	int r = 0;

	if (host_net)
		read_host_file("/etc/hosts", &text);
	else
		buf_puts(&text, "127.0.0.1\tlocalhost\n"
				"::1\tlocalhost ip6-localhost ip6-loopback\n");
	if (text.len && text.data[text.len - 1] != '\n')
		buf_puts(&text, "\n");
	for (size_t i = 0; i < o->add_host.count && r == 0; i++)
		r = add_host_line(o->add_host.items[i], names, &text, err);
	if (r < 0)
		return r;
	if (!host_net && names->host_gateway)
		buf_printf(&text, "%s\thost.containers.internal host.docker.internal\n",
			names->host_gateway);
	if (!host_net && hostname)
		buf_printf(&text, "%s\t%s %s\n", names->address ? names->address : "127.0.1.1",
			hostname, box->record.name);
	return write_file(box, "hosts", &text, err);
}

/* ---- resolv.conf ---- */

static bool is_loopback(const char *server)
{
	return strncmp(server, "127.", 4) == 0 || strcmp(server, "::1") == 0;
}

/* The host's, without servers that a network of its own cannot reach. */
static void add_host_resolv(bool host_net, bool servers, bool search, struct buf *text)
{
	autobuf struct buf host = {};
	char *save;

	read_host_file("/etc/resolv.conf", &host);
	for (char *line = host.data ? strtok_r(host.data, "\n", &save) : NULL; line;
		line = strtok_r(NULL, "\n", &save)) {
		char server[64];

		if (sscanf(line, " nameserver %63s", server) == 1) {
			if (servers && (host_net || !is_loopback(server)))
				buf_printf(text, "nameserver %s\n", server);
		} else if (search && strncmp(line, "search", 6) == 0) {
			buf_printf(text, "%s\n", line);
		}
	}
}

static int write_resolv(
	const struct box *box, const struct start_names *names, bool host_net, struct err *err)
{
	const struct run_options *o = &box->record.options;
	const struct strings *servers = o->dns.count ? &o->dns : names->servers;
	bool search = !o->dns_search.count;
	autobuf struct buf text = {};

	/* The network's own server knows the containers' names and asks those of --dns itself. */
	if (names->servers && names->servers->count)
		servers = names->servers;
	if (host_net && !o->dns.count && !o->dns_search.count && !o->dns_option.count)
		read_host_file("/etc/resolv.conf", &text);
	else {
		for (size_t i = 0; servers && i < servers->count; i++)
			buf_printf(&text, "nameserver %s\n", servers->items[i]);
		add_host_resolv(host_net, !servers || !servers->count, search, &text);
		if (!search && strcmp(o->dns_search.items[0], ".") != 0) {
			buf_puts(&text, "search");
			for (size_t i = 0; i < o->dns_search.count; i++)
				buf_printf(&text, " %s", o->dns_search.items[i]);
			buf_puts(&text, "\n");
		}
		for (size_t i = 0; i < o->dns_option.count; i++)
			buf_printf(&text, "%s%s%s", i ? " " : "options ", o->dns_option.items[i],
				i + 1 == o->dns_option.count ? "\n" : "");
	}
	return write_file(box, "resolv.conf", &text, err);
}

void start_forget_etc(const struct box *box)
{
	static const char *const names[] = {"hosts", "hostname", "resolv.conf"};
	struct err ignored = {};
	autoclose int dir = box_run_dir(box->boxes, box->id, &ignored);

	for (size_t i = 0; i < ARRAY_LEN(names) && dir >= 0; i++)
		sys_unlinkat(dir, names[i], 0);
}

int start_write_etc(const struct box *box, const struct start_names *names, struct arena *arena,
	struct assemble_facts *facts, struct err *err)
{
	autobuf struct buf hostname = {};
	int r = write_hosts(box, names, facts->hostname, facts->net.host, err);

	if (r == 0)
		r = write_resolv(box, names, facts->net.host, err);
	if (r == 0 && facts->hostname) {
		buf_printf(&hostname, "%s\n", facts->hostname);
		r = write_file(box, "hostname", &hostname, err);
	}
	if (r < 0)
		return r;
	facts->hosts_file = path_of(box, arena, "hosts");
	facts->resolv_file = path_of(box, arena, "resolv.conf");
	facts->hostname_file = facts->hostname ? path_of(box, arena, "hostname") : NULL;
	return facts->hosts_file && facts->resolv_file ? 0 : err_sys(err, -ENOMEM, "/etc");
}
