/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/attrs/landlock.h"

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/sys.h"
#include "base/sys_self.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>

/* Landlock's numbers up to ABI 6 (Linux 6.12); the build's headers may be older. */
enum {
	FS_EXECUTE = 1 << 0,
	FS_WRITE_FILE = 1 << 1,
	FS_READ_FILE = 1 << 2,
	FS_READ_DIR = 1 << 3,
	FS_TRUNCATE = 1 << 14,
	FS_IOCTL_DEV = 1 << 15,
	FS_ALL = (1 << 16) - 1,
	FS_OF_FILES = FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV,
	FS_RO = FS_READ_FILE | FS_READ_DIR,
	FS_EXEC = FS_RO | FS_EXECUTE,
	FS_RW = FS_ALL & ~FS_EXECUTE,

	NET_BIND_TCP = 1 << 0,
	NET_CONNECT_TCP = 1 << 1,

	SCOPE_ABSTRACT_UNIX = 1 << 0,
	SCOPE_SIGNAL = 1 << 1,

	RULE_PATH = 1,
	RULE_PORT = 2,
	CREATE_VERSION = 1,
};

struct path_rule {
	uint64_t access;
	int32_t fd;
} __attribute__((packed));

struct port_rule {
	uint64_t access, port;
};

enum value_kind { VALUE_PATHS, VALUE_PORTS, VALUE_SCOPE };

static const struct annotation {
	const char *name;
	enum value_kind kind;
	uint64_t access;
} annotations_known[] = {
	{"ro", VALUE_PATHS, FS_RO},
	{"rw", VALUE_PATHS, FS_RW},
	{"exec", VALUE_PATHS, FS_EXEC},
	{"tcp_bind", VALUE_PORTS, NET_BIND_TCP},
	{"tcp_connect", VALUE_PORTS, NET_CONNECT_TCP},
	{"scope", VALUE_SCOPE, 0},
};

static int value_error(
	const struct annotation *a, const char *why, const char *value, struct err *err)
{
	return err_set(err, -EINVAL, "annotation " LANDLOCK_ANNOTATION_PREFIX "%s: %s in \"%s\"",
		a->name, why, value);
}

static size_t count_char(const char *text, char c)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == c;
	return n;
}

/* Copies the component at AT up to ":" without its backslashes; returns where it ended. */
static const char *copy_path(const char *at, char *out)
{
	for (; *at && *at != ':'; at++) {
		if (*at == '\\' && at[1])
			at++;
		*out++ = *at;
	}
	*out = 0;
	return at;
}

static int parse_paths(const struct annotation *a, const char *value, struct arena *arena,
	struct landlock_plan *plan, struct err *err)
{
	const char *at = value;

	plan->fs = FS_ALL;
	while (*value) {
		struct landlock_path *path = &plan->paths[plan->path_count++];
		char *text = arena_array(arena, strlen(at) + 1, char);

		if (!text)
			return err_sys(err, -ENOMEM, "reading the annotations");
		at = copy_path(at, text);
		if (*text != '/')
			return value_error(a, "a path that does not begin with \"/\"", value, err);
		path->path = text;
		path->access = a->access;
		if (*at == 0)
			break;
		at++;
	}
	return 0;
}

/* "N" or "N-M", LEN bytes long. */
static int parse_port_range(const char *at, size_t len, uint32_t *ret_first, uint32_t *ret_last)
{
	char text[16];
	char *dash;

	if (len >= sizeof(text))
		return -EINVAL;
	memcpy(text, at, len);
	text[len] = 0;
	dash = strchr(text, '-');
	if (dash)
		*dash = 0;
	if (parse_u32(text, ret_first) < 0 || parse_u32(dash ? dash + 1 : text, ret_last) < 0)
		return -EINVAL;
	return *ret_first > *ret_last || *ret_last > UINT16_MAX ? -EINVAL : 0;
}

/* Adds the rights of one range to PORTS, an array by port number. */
static int parse_ports(const struct annotation *a, const char *value, uint8_t *ports,
	struct landlock_plan *plan, struct err *err)
{
	const char *at = value;

	plan->net |= a->access;
	while (*value) {
		size_t len = strcspn(at, ",");
		uint32_t first, last;

		if (parse_port_range(at, len, &first, &last) < 0)
			return value_error(
				a, "a port that is no number or range up to 65535", value, err);
		for (uint32_t port = first; port <= last; port++)
			ports[port] |= (uint8_t)a->access;
		at += len;
		if (*at == 0)
			break;
		at++;
	}
	return 0;
}

static int parse_scope(
	const struct annotation *a, const char *value, struct landlock_plan *plan, struct err *err)
{
	const char *at = value;

	for (;;) {
		size_t len = strcspn(at, ",");

		if (len == strlen("signal") && strncmp(at, "signal", len) == 0)
			plan->scoped |= SCOPE_SIGNAL;
		else if (len == strlen("abstract-unix") && strncmp(at, "abstract-unix", len) == 0)
			plan->scoped |= SCOPE_ABSTRACT_UNIX;
		else
			return value_error(a,
				"something else than \"signal\" and \"abstract-unix\"", value, err);
		at += len;
		if (*at == 0)
			return 0;
		at++;
	}
}

/* Turns the array by port number into the list of the plan. */
static int collect_ports(const uint8_t *ports, struct arena *arena, struct landlock_plan *plan)
{
	size_t count = 0;

	for (uint32_t port = 0; port <= UINT16_MAX; port++)
		count += ports[port] != 0;
	plan->ports = arena_array(arena, count ?: 1, struct landlock_port);
	if (!plan->ports)
		return -ENOMEM;
	for (uint32_t port = 0; port <= UINT16_MAX; port++)
		if (ports[port])
			plan->ports[plan->port_count++] = (struct landlock_port){
				.port = (uint16_t)port, .access = ports[port]};
	return 0;
}

static const struct annotation *find_annotation(const char *key, const char **ret_rest)
{
	if (!parse_has_prefix(key, LANDLOCK_ANNOTATION_PREFIX, ret_rest))
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(annotations_known); i++)
		if (strcmp(*ret_rest, annotations_known[i].name) == 0)
			return &annotations_known[i];
	return NULL;
}

/* The most paths that the annotations can hold, and whether any names ports. */
static size_t measure(const struct pairs *annotations, bool *ret_ports)
{
	size_t paths = 0;

	for (size_t i = 0; i < annotations->count; i++) {
		const char *rest;
		const struct annotation *a = find_annotation(annotations->items[i].key, &rest);

		if (a && a->kind == VALUE_PATHS)
			paths += count_char(annotations->items[i].value, ':') + 1;
		if (a && a->kind == VALUE_PORTS)
			*ret_ports = true;
	}
	return paths;
}

static int parse_one(const struct annotation *a, const char *value, struct arena *arena,
	uint8_t *ports, struct landlock_plan *plan, struct err *err)
{
	switch (a->kind) {
	case VALUE_PATHS:
		return parse_paths(a, value, arena, plan, err);
	case VALUE_PORTS:
		return parse_ports(a, value, ports, plan, err);
	case VALUE_SCOPE:
		return parse_scope(a, value, plan, err);
	}
	return -EINVAL;
}

int landlock_parse(const struct pairs *annotations, struct arena *arena, struct landlock_plan *ret,
	struct err *err)
{
	struct landlock_plan plan = {};
	autofree uint8_t *ports = NULL;
	bool any_ports = false;
	size_t paths = measure(annotations, &any_ports);

	plan.paths = paths ? arena_array(arena, paths, struct landlock_path) : NULL;
	ports = any_ports ? calloc(UINT16_MAX + 1, 1) : NULL;
	if ((paths && !plan.paths) || (any_ports && !ports))
		return err_sys(err, -ENOMEM, "reading the annotations");
	for (size_t i = 0; i < annotations->count; i++) {
		const char *rest = NULL;
		const struct annotation *a = find_annotation(annotations->items[i].key, &rest);
		int r;

		if (!a && rest)
			return err_set(err, -EINVAL,
				"annotation %s is not known; after " LANDLOCK_ANNOTATION_PREFIX
				" comes ro, rw, exec, tcp_bind, tcp_connect or scope",
				annotations->items[i].key);
		if (!a)
			continue;
		r = parse_one(a, annotations->items[i].value, arena, ports, &plan, err);
		if (r < 0)
			return r;
	}
	if (any_ports && collect_ports(ports, arena, &plan) < 0)
		return err_sys(err, -ENOMEM, "reading the annotations");
	*ret = plan;
	return 0;
}

int landlock_abi(void)
{
	int r = sys_landlock_create_ruleset(NULL, 0, CREATE_VERSION);

	return r < 0 ? 0 : r;
}

int landlock_check(struct landlock_plan *plan, int abi, struct err *err)
{
	if (!landlock_wanted(plan))
		return 0;
	if (abi < 1)
		return err_set(err, -EOPNOTSUPP,
			"annotations " LANDLOCK_ANNOTATION_PREFIX
			"*: Landlock is not in this kernel or not enabled (lsm= on its command "
			"line)");
	if (plan->fs && abi < 3)
		return err_set(err, -EOPNOTSUPP,
			"annotations " LANDLOCK_ANNOTATION_PREFIX
			"ro, rw, exec: need Landlock ABI 3 (Linux 6.2), which controls truncation; "
			"this "
			"kernel has ABI %d",
			abi);
	if (plan->net && abi < 4)
		return err_set(err, -EOPNOTSUPP,
			"annotations " LANDLOCK_ANNOTATION_PREFIX
			"tcp_bind, tcp_connect: need Landlock ABI 4 (Linux 6.7); this kernel has "
			"ABI %d",
			abi);
	if (plan->scoped && abi < 6)
		return err_set(err, -EOPNOTSUPP,
			"annotation " LANDLOCK_ANNOTATION_PREFIX
			"scope: needs Landlock ABI 6 (Linux 6.12); this kernel has ABI %d",
			abi);
	if (abi < 5)
		plan->fs &= ~(uint64_t)FS_IOCTL_DEV;
	return 0;
}

static int add_path(
	int ruleset, const struct landlock_path *path, uint64_t handled, struct err *err)
{
	struct path_rule rule = {.access = path->access & handled};
	autoclose int fd = -1;
	struct stat st;
	int r;

	fd = sys_openat2(AT_FDCWD, path->path, O_PATH, 0, RESOLVE_NO_SYMLINKS);
	if (fd == -ELOOP)
		return err_set(err, fd,
			"Landlock: a symbolic link in %s; name the place that it leads to",
			path->path);
	if (fd < 0)
		return err_sys(err, fd, "Landlock: opening %s in the container", path->path);
	r = sys_fstat(fd, &st);
	if (r < 0)
		return err_sys(err, r, "Landlock: looking at %s", path->path);
	if (!S_ISDIR(st.st_mode))
		rule.access &= FS_OF_FILES;
	rule.fd = fd;
	r = sys_landlock_add_rule(ruleset, RULE_PATH, &rule, 0);
	return r < 0 ? err_sys(err, r, "Landlock: adding %s", path->path) : 0;
}

static int add_port(int ruleset, const struct landlock_port *port, struct err *err)
{
	const struct port_rule rule = {.access = port->access, .port = port->port};
	int r = sys_landlock_add_rule(ruleset, RULE_PORT, &rule, 0);

	return r < 0 ? err_sys(err, r, "Landlock: adding port %u", port->port) : 0;
}

/* How much of the structure the kernel of ABI knows; beyond, it wants zeroes anyway. */
static size_t ruleset_size(int abi)
{
	const size_t words = abi >= 6 ? 3 : abi >= 4 ? 2 : 1;

	return words * sizeof(uint64_t);
}

int landlock_apply(const struct landlock_plan *plan, struct err *err)
{
	struct landlock_plan able = *plan;
	struct sys_landlock_ruleset set;
	autoclose int ruleset = -1;
	int abi, r;

	if (!landlock_wanted(plan))
		return 0;
	abi = landlock_abi();
	r = landlock_check(&able, abi, err);
	if (r < 0)
		return r;
	set = (struct sys_landlock_ruleset){able.fs, able.net, able.scoped};
	ruleset = sys_landlock_create_ruleset(&set, ruleset_size(abi), 0);
	if (ruleset < 0)
		return err_sys(err, ruleset, "Landlock: making the rule set");
	for (size_t i = 0; r == 0 && i < able.path_count; i++)
		r = add_path(ruleset, &able.paths[i], able.fs, err);
	for (size_t i = 0; r == 0 && i < able.port_count; i++)
		r = add_port(ruleset, &able.ports[i], err);
	if (r < 0)
		return r;
	r = sys_landlock_restrict_self(ruleset, 0);
	if (r == -EPERM)
		return err_set(err, r,
			"Landlock: needs process.noNewPrivileges, or CAP_SYS_ADMIN in the user "
			"namespace");
	return r < 0 ? err_sys(err, r, "Landlock: restricting the process") : 0;
}
