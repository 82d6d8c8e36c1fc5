/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/pasta.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/process.h"
#include "base/sys.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { TIMEOUT_MS = 30000, ARGUMENTS_MAX = 64, SAID_MAX = 1 << 16 };

struct arguments {
	const char *items[ARGUMENTS_MAX + 1];
	size_t count;
};

static int add(struct arguments *list, const char *text)
{
	if (!text)
		return -ENOMEM;
	if (list->count == ARGUMENTS_MAX)
		return -E2BIG;
	list->items[list->count++] = text;
	return 0;
}

/* "8080:80,8443-8445:443-445", at one address "127.0.0.1/8080:80". */
static const char *port_list(
	const struct ports *ports, int protocol, struct arena *arena, bool *ret_bad)
{
	autobuf struct buf text = {};
	char ip[ADDRESS_TEXT_MAX];

	for (size_t i = 0; i < ports->count; i++) {
		const struct port *p = &ports->items[i];

		*ret_bad |= p->protocol == PORT_SCTP;
		if (p->protocol != protocol)
			continue;
		if (text.len)
			buf_puts(&text, ",");
		if (p->host_ip.family && !address_is_any(&p->host_ip))
			buf_printf(&text, "%s/", address_format(&p->host_ip, ip));
		if (p->count > 1)
			buf_printf(&text, "%u-%u:%u-%u", p->host, p->host + p->count - 1,
				p->container, p->container + p->count - 1);
		else
			buf_printf(&text, "%u:%u", p->host, p->container);
	}
	return text.failed ? NULL : arena_strdup(arena, text.len ? buf_str(&text) : "none");
}

/* Nothing of the host is reached by its gateway's address, and no port but those asked for. */
static int fill(struct arguments *list, const struct attachment *a, int userns,
	const char *pid_file, struct arena *arena, struct err *err)
{
	static const char *const fixed[] = {"pasta", "--config-net", "-T", "none", "-U", "none",
		"--no-map-gw", "--quiet", "--stderr"};
	static const char *const beside[] = {"-I", "pasta0"};
	char *options = a->pasta ? arena_strdup(arena, a->pasta) : NULL;
	bool bad = false;
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(fixed) && r == 0; i++)
		r = add(list, fixed[i]);
	/* Beside links of networks, whose names are eth0 and so on, it may not be called as the
	 * host's. */
	for (size_t i = 0; a->mode == NETWORK_MODE_NETWORKS && i < ARRAY_LEN(beside) && r == 0; i++)
		r = add(list, beside[i]);
	if (r == 0)
		r = add(list, "-t");
	if (r == 0)
		r = add(list, port_list(&a->ports, PORT_TCP, arena, &bad));
	if (r == 0)
		r = add(list, "-u");
	if (r == 0)
		r = add(list, port_list(&a->ports, PORT_UDP, arena, &bad));
	if (bad)
		return err_set(err, -EINVAL, "pasta cannot publish ports of SCTP");
	if (r == 0)
		r = add(list, "--pid");
	if (r == 0)
		r = add(list, pid_file);
	if (r == 0 && userns >= 0) {
		r = add(list, "--userns");
		if (r == 0)
			r = add(list, arena_printf(arena, "/proc/%d/fd/%d", getpid(), userns));
	}
	for (char *option; options && r == 0 && (option = strsep(&options, ","));)
		if (*option)
			r = add(list, option);
	/* Opened after it has entered the user namespace, from which it may not look at us: so it
	 * is one of its own descriptors, the standard output. */
	if (r == 0)
		r = add(list, "--netns");
	if (r == 0)
		r = add(list, "/proc/self/fd/1");
	return r < 0 ? err_sys(err, r, "pasta's arguments") : 0;
}

/* The last line says what went wrong, but for its complaints that there is no syslog. */
static const char *last_words(char *said)
{
	const char *last = "no reason was given";
	char *line;

	while (said && (line = strsep(&said, "\n")))
		if (*line && strncmp(line, "Failed to send", 14) != 0)
			last = line;
	return last;
}

static int run(const struct arguments *arguments, int netns, struct err *err)
{
	static const char *const paths[] = {
		"/usr/bin/pasta", "/bin/pasta", "/usr/local/bin/pasta", NULL};
	autoclose int output = sys_memfd_create("pasta", 0);
	const struct process_options options = {
		.argv = arguments->items,
		.stdout_fd = netns,
		.stderr_fd = output,
		.timeout_ms = TIMEOUT_MS,
	};
	autobuf struct buf said = {};
	int status = 0, r;

	if (output < 0)
		return err_sys(err, output, "memfd_create");
	r = process_run_first(paths, &options, &status, err);
	if (r == -ENOENT)
		return err_set(err, r,
			"a network without privilege needs pasta, of the package passt: install "
			"it, or "
			"use --network=host or --network=none");
	if (r < 0)
		return err_add(err, "pasta");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (lseek(output, 0, SEEK_SET) < 0 || fd_read_all(output, SAID_MAX, &said) < 0)
		return err_set(err, -EIO, "pasta failed");
	return err_set(err, -EIO, "pasta: %s", last_words(said.data));
}

static int open_dir(struct network_store *store, struct err *err)
{
	int fd = path_mkdir(store->state, "pasta", 0700, (uid_t)-1, (gid_t)-1);

	return fd < 0 ? err_sys(err, fd, "networks: pasta") : fd;
}

int pasta_start(struct network_store *store, const struct attachment *a, int netns, int userns,
	struct err *err)
{
	autoarena struct arena arena = {};
	autoclose int dir = open_dir(store, err);
	struct arguments arguments = {};
	char link[32], place[PATH_MAX];
	ssize_t n;
	int r;

	if (dir < 0)
		return dir;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	n = sys_readlinkat(AT_FDCWD, link, place, sizeof(place) - 1);
	if (n < 0)
		return err_sys(err, (int)n, "networks: pasta");
	place[n] = '\0';
	r = fill(&arguments, a, userns, arena_printf(&arena, "%s/%s", place, a->id), &arena, err);
	return r < 0 ? r : run(&arguments, netns, err);
}

/* The number may be another process's by now: that it is pasta, and the caller's, is looked at
 * through a descriptor that keeps it what it is. */
static bool is_pasta(pid_t pid)
{
	char path[64], name[32];
	autoclose int proc = sys_openat(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY, 0);

	snprintf(path, sizeof(path), "%d/comm", pid);
	return proc >= 0 && fd_read_line(proc, path, name, sizeof(name)) > 0 &&
	       (strncmp(name, "pasta", 5) == 0 || strncmp(name, "passt", 5) == 0);
}

int pasta_stop(struct network_store *store, const char *id, struct err *err)
{
	autoclose int dir = open_dir(store, err), pidfd = -1;
	char text[32];
	uint32_t pid;
	int r = 0;

	if (dir < 0)
		return dir;
	if (fd_read_line(dir, id, text, sizeof(text)) < 0 || parse_u32(text, &pid) < 0)
		return 0;
	pidfd = sys_pidfd_open((pid_t)pid, 0);
	if (pidfd >= 0 && is_pasta((pid_t)pid))
		r = sys_pidfd_send_signal(pidfd, SIGTERM);
	if (r == 0 || r == -ESRCH)
		r = sys_unlinkat(dir, id, 0);
	return r < 0 && r != -ENOENT ? err_sys(err, r, "end pasta") : 0;
}
