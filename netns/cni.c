/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/cni.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/process.h"
#include "base/sys.h"
#include "netns/network_private.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { FILE_MAX = 1 << 20, ANSWER_MAX = 1 << 20, TIMEOUT_MS = 120000 };

/* ---- lists ---- */

/* A list that could be executed: a name, and plugins with a type each. */
static bool is_list(const json_t *list)
{
	const char *name = json_string_value(json_object_get(list, "name"));
	const json_t *plugins = json_object_get(list, "plugins");

	if (!name || !network_name_valid(name) || !json_array_size(plugins))
		return false;
	for (size_t i = 0; i < json_array_size(plugins); i++) {
		const char *type =
			json_string_value(json_object_get(json_array_get(plugins, i), "type"));

		if (!type || !path_is_component(type))
			return false;
	}
	return true;
}

static int read_list(int dirfd, const char *file, json_t **ret, struct err *err)
{
	autobuf struct buf text = {};
	autojson json_t *list = NULL;
	int r = fd_read_file(dirfd, file, FILE_MAX, &text);

	if (r < 0)
		return err_sys(err, r, "%s", file);
	r = json_parse(file, buf_str(&text), text.len, &list, err);
	if (r < 0)
		return r;
	if (!is_list(list))
		return err_set(err, -EINVAL, "%s: is no list of CNI plugins", file);
	*ret = take_ptr(list);
	return 0;
}

static int describe(const json_t *list, const char *dir, const char *file, struct arena *arena,
	struct network *ret, struct err *err)
{
	*ret = (struct network){
		.name = arena_strdup(arena, json_string_value(json_object_get(list, "name"))),
		.driver = NETWORK_CNI,
		.interface = "",
		.created = "",
		.cni = arena_printf(arena, "%s/%s", dir, file),
	};
	ret->id = ret->name;
	return ret->name && ret->cni ? 0 : err_sys(err, -ENOMEM, "CNI");
}

int cni_list(const char *dir, struct arena *arena, struct networks *ret, struct err *err)
{
	autoclose int dirfd = dir ? sys_openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0) : -ENOENT;
	struct strings files;
	int r;

	*ret = (struct networks){};
	if (dirfd < 0)
		return 0;
	r = network_names(dirfd, NULL, ".conflist", arena, &files, err);
	if (r < 0)
		return r;
	ret->items = arena_array(arena, files.count + 1, struct network);
	if (!ret->items)
		return err_sys(err, -ENOMEM, "CNI");
	for (size_t i = 0; i < files.count && r == 0; i++) {
		autojson json_t *list = NULL;
		struct err ignored = {};
		char file[NAME_MAX + 1];

		snprintf(file, sizeof(file), "%s.conflist", files.items[i]);
		if (read_list(dirfd, file, &list, &ignored) < 0)
			continue;
		r = describe(list, dir, file, arena, &ret->items[ret->count], err);
		ret->count += r == 0;
	}
	return r;
}

int cni_load(const char *dir, const char *name, struct arena *arena, struct network *ret,
	struct err *err)
{
	struct networks all;
	int r = cni_list(dir, arena, &all, err);

	for (size_t i = 0; i < all.count && r == 0; i++)
		if (strcmp(all.items[i].name, name) == 0) {
			*ret = all.items[i];
			return 0;
		}
	return r < 0 ? r : -ENOENT;
}

/* ---- one plugin ---- */

struct call {
	const char *command; /* ADD, DEL, CHECK */
	const struct network_places *places;
	const struct attachment *a;
	const struct attach_link *link;
	int netns;
	const json_t *list;
};

enum { NETNS_PATH_MAX = 64 };

/* By our descriptor, since the plugin has none of it. */
static void netns_path(const struct call *c, char ret[NETNS_PATH_MAX])
{
	snprintf(ret, NETNS_PATH_MAX, "/proc/%d/fd/%d", getpid(), c->netns);
}

/* What a plugin says that it understands, it gets: the specification's "capabilities". */
static bool has_capability(const json_t *plugin, const char *name)
{
	return json_is_true(json_object_get(json_object_get(plugin, "capabilities"), name));
}

static json_t *port_mappings(const struct ports *ports)
{
	json_t *array = json_array();
	char ip[ADDRESS_TEXT_MAX];

	for (size_t i = 0; i < ports->count; i++) {
		const struct port *p = &ports->items[i];

		for (int n = 0; n < p->count; n++)
			json_array_append_new(
				array, json_pack("{s:i, s:i, s:s, s:s}", "hostPort", p->host + n,
					       "containerPort", p->container + n, "protocol",
					       port_protocol_name(p->protocol), "hostIP",
					       address_format(&p->host_ip, ip)));
	}
	return array;
}

static json_t *runtime_config(const struct call *c, const json_t *plugin)
{
	json_t *config = json_object(), *aliases;

	if (has_capability(plugin, "portMappings") && c->a->ports.count)
		json_object_set_new(config, "portMappings", port_mappings(&c->a->ports));
	if (has_capability(plugin, "mac") && c->link->mac)
		json_object_set_new(config, "mac", json_string(c->link->mac));
	if (has_capability(plugin, "aliases") && c->link->aliases.count) {
		aliases = json_array();
		for (size_t i = 0; i < c->link->aliases.count; i++)
			json_array_append_new(aliases, json_string(c->link->aliases.items[i]));
		json_object_set_new(
			config, "aliases", json_pack("{s:o}", c->link->network, aliases));
	}
	return config;
}

/* The plugin's own object with what the list and the run add. */
static json_t *make_input(const struct call *c, const json_t *plugin, json_t *previous)
{
	json_t *input = json_deep_copy(plugin), *config = runtime_config(c, plugin);
	json_t *version = json_object_get(c->list, "cniVersion");

	json_object_set(input, "name", json_object_get(c->list, "name"));
	if (version)
		json_object_set(input, "cniVersion", version);
	else
		json_object_set_new(input, "cniVersion", json_string("0.4.0"));
	if (json_object_size(config))
		json_object_set(input, "runtimeConfig", config);
	if (previous)
		json_object_set(input, "prevResult", previous);
	json_decref(config);
	return input;
}

/* The program TYPE in one of CNI_PATH's directories, to RET. */
static int find_program(const char *dirs, const char *type, char *ret, size_t size)
{
	const char *at = dirs ? dirs : "";

	while (*at) {
		size_t n = strcspn(at, ":");

		if (n && (size_t)snprintf(ret, size, "%.*s/%s", (int)n, at, type) < size &&
			sys_faccessat(AT_FDCWD, ret, X_OK, 0) == 0)
			return 0;
		at += n + (at[n] == ':');
	}
	return -ENOENT;
}

/* What the plugin printed: the specification's error object, else its last words. */
static int plugin_error(const char *type, const char *command, const struct buf *out,
	const struct buf *said, struct err *err)
{
	autojson json_t *answer = json_loadb(buf_str(out), out->len, 0, NULL);
	const char *msg = json_string_value(json_object_get(answer, "msg"));
	const char *details = json_string_value(json_object_get(answer, "details"));

	if (msg)
		return err_set(err, -EIO, "CNI plugin %s, %s: %s%s%s", type, command, msg,
			details && *details ? ": " : "", details ? details : "");
	return err_set(err, -EIO, "CNI plugin %s, %s, failed: %.*s", type, command,
		(int)strcspn(buf_str(said), "\n"), buf_str(said));
}

static int run(const struct call *c, const char *type, const char *program, const struct buf *input,
	struct buf *ret, struct err *err)
{
	char netns[NETNS_PATH_MAX] = "", env[8][PATH_MAX];
	const char *envp[ARRAY_LEN(env) + 1] = {};
	const char *argv[] = {program, NULL};
	autoclose int out = sys_memfd_create("cni", 0), errors = sys_memfd_create("cni", 0);
	autobuf struct buf said = {};
	struct process_options options = {
		.path = program,
		.argv = argv,
		.envp = envp,
		.input = input->data,
		.input_len = input->len,
		.stdout_fd = out,
		.stderr_fd = errors,
		.timeout_ms = TIMEOUT_MS,
	};
	int status = 0, r;

	if (out < 0 || errors < 0)
		return err_sys(err, out < 0 ? out : errors, "memfd_create");
	if (c->netns >= 0)
		netns_path(c, netns);
	snprintf(env[0], PATH_MAX, "CNI_COMMAND=%s", c->command);
	snprintf(env[1], PATH_MAX, "CNI_CONTAINERID=%s", c->a->id);
	snprintf(env[2], PATH_MAX, "CNI_NETNS=%s", netns);
	snprintf(env[3], PATH_MAX, "CNI_IFNAME=%s", c->link->interface);
	snprintf(env[4], PATH_MAX, "CNI_ARGS=IgnoreUnknown=1");
	snprintf(env[5], PATH_MAX, "CNI_PATH=%s", c->places->cni_bin ? c->places->cni_bin : "");
	snprintf(env[6], PATH_MAX, "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
	snprintf(env[7], PATH_MAX, "LC_ALL=C.UTF-8");
	for (size_t i = 0; i < ARRAY_LEN(env); i++)
		envp[i] = env[i];
	r = process_run(&options, &status, err);
	if (r < 0)
		return err_add(err, "CNI plugin %s", type);
	if (lseek(out, 0, SEEK_SET) < 0 || lseek(errors, 0, SEEK_SET) < 0 ||
		fd_read_all(out, ANSWER_MAX, ret) < 0 || fd_read_all(errors, ANSWER_MAX, &said) < 0)
		return err_set(err, -EIO, "CNI plugin %s: too long an answer", type);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return plugin_error(type, c->command, ret, &said, err);
	return 0;
}

/* PREVIOUS may be NULL. RET (may be NULL) gets the result of an ADD; the caller's. */
static int call_plugin(
	const struct call *c, const json_t *plugin, json_t *previous, json_t **ret, struct err *err)
{
	const char *type = json_string_value(json_object_get(plugin, "type"));
	autojson json_t *input = make_input(c, plugin, previous);
	autobuf struct buf text = {}, answer = {};
	char program[PATH_MAX];
	int r = find_program(c->places->cni_bin, type, program, sizeof(program));

	if (r < 0)
		return err_set(err, r, "there is no CNI plugin %s in %s", type,
			c->places->cni_bin ? c->places->cni_bin : "the system");
	r = json_write(input, JSON_COMPACT, &text);
	if (r < 0 || text.failed)
		return err_sys(err, -ENOMEM, "CNI");
	r = run(c, type, program, &text, &answer, err);
	if (r < 0 || !ret)
		return r;
	r = json_parse("its result", buf_str(&answer), answer.len, ret, err);
	return r < 0 ? err_add(err, "CNI plugin %s", type) : 0;
}

/* ---- all of them ---- */

static int call_add(const struct call *c, json_t **ret, struct err *err)
{
	const json_t *plugins = json_object_get(c->list, "plugins");
	autojson json_t *result = NULL;

	for (size_t i = 0; i < json_array_size(plugins); i++) {
		json_t *next = NULL;
		int r = call_plugin(c, json_array_get(plugins, i), result, &next, err);

		if (r < 0)
			return r;
		json_decref(result);
		result = next;
	}
	*ret = take_ptr(result);
	return 0;
}

/* In reverse; every one is asked, whatever the one before said. */
static int call_delete(const struct call *c, json_t *result, struct err *err)
{
	const json_t *plugins = json_object_get(c->list, "plugins");
	struct err first = {};

	for (size_t i = json_array_size(plugins); i-- > 0;) {
		struct err now = {};

		if (call_plugin(c, json_array_get(plugins, i), result, NULL, &now) < 0 &&
			!first.code)
			first = now;
	}
	if (first.code)
		*err = first;
	return first.code;
}

/* The first address of each family of the container's link. */
static void take_ips(const json_t *result, struct attach_link *link)
{
	const json_t *ips = json_object_get(result, "ips");

	for (size_t i = 0; i < json_array_size(ips); i++) {
		const json_t *ip = json_array_get(ips, i);
		const char *text = json_string_value(json_object_get(ip, "address"));
		const char *gateway = json_string_value(json_object_get(ip, "gateway"));
		struct address a, by = {};

		if (!text || address_parse_prefix(text, &a) < 0)
			continue;
		if (gateway && address_parse(gateway, &by) < 0)
			by = (struct address){};
		if (a.family == AF_INET && !link->ip.family) {
			link->ip = a;
			link->gateway = by;
		} else if (a.family == AF_INET6 && !link->ip6.family) {
			link->ip6 = a;
			link->gateway6 = by;
		}
	}
}

static int keep(const json_t *list, json_t *result, struct arena *arena, struct attach_link *link,
	struct err *err)
{
	autojson json_t *both = json_pack("{s:O, s:O?}", "list", list, "result", result);
	autobuf struct buf text = {};

	if (!both || json_write(both, JSON_COMPACT, &text) < 0 || text.failed)
		return err_sys(err, -ENOMEM, "CNI");
	link->result = arena_strdup(arena, buf_str(&text));
	return link->result ? 0 : err_sys(err, -ENOMEM, "CNI");
}

static int open_list(const char *path, json_t **ret, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];
	autoclose int dirfd = -1;

	if (!slash || snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path) >= PATH_MAX)
		return err_set(err, -EINVAL, "%s: no path of a CNI list", path);
	dirfd = sys_openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0);
	return dirfd < 0 ? err_sys(err, dirfd, "%s", dir) : read_list(dirfd, slash + 1, ret, err);
}

int cni_add(struct network_store *store, const struct network *n, const struct attachment *a,
	struct attach_link *link, int netns, struct arena *arena, struct err *err)
{
	autojson json_t *list = NULL, *result = NULL;
	struct call c = {"ADD", &store->places, a, link, netns, NULL};
	int r = open_list(n->cni, &list, err);

	if (r < 0)
		return r;
	c.list = list;
	/* Before the first plugin runs: whoever undoes this needs the list. */
	r = keep(list, NULL, arena, link, err);
	if (r == 0)
		r = attach_write(store, a, err);
	if (r == 0)
		r = call_add(&c, &result, err);
	if (r < 0) {
		struct err ignored = {};

		c.command = "DEL";
		call_delete(&c, NULL, &ignored);
		return err_add(err, "network %s", n->name);
	}
	take_ips(result, link);
	return keep(list, result, arena, link, err);
}

/* What was kept of the ADD: RET is the caller's. */
static int recall(const struct attach_link *link, json_t **ret, struct err *err)
{
	if (!link->result)
		return -ENOENT;
	return json_parse("the kept result of CNI", link->result, strlen(link->result), ret, err);
}

int cni_delete(struct network_store *store, const struct attachment *a,
	const struct attach_link *link, int netns, struct err *err)
{
	autojson json_t *kept = NULL;
	struct call c = {"DEL", &store->places, a, link, netns, NULL};
	int r = recall(link, &kept, err);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	c.list = json_object_get(kept, "list");
	return call_delete(&c, json_object_get(kept, "result"), err);
}

/* Plugins compare the path of the namespace with that of ADD, which was of another process. */
static void move_sandboxes(const struct call *c, json_t *result)
{
	json_t *interfaces = json_object_get(result, "interfaces");
	char path[NETNS_PATH_MAX];

	netns_path(c, path);
	for (size_t i = 0; i < json_array_size(interfaces); i++) {
		json_t *one = json_array_get(interfaces, i);
		const char *sandbox = json_string_value(json_object_get(one, "sandbox"));

		if (sandbox && *sandbox)
			json_object_set_new(one, "sandbox", json_string(path));
	}
}

int cni_check(struct network_store *store, const struct attachment *a,
	const struct attach_link *link, int netns, struct err *err)
{
	autojson json_t *kept = NULL;
	struct call c = {"CHECK", &store->places, a, link, netns, NULL};
	int r = recall(link, &kept, err);
	const json_t *plugins;

	if (r < 0)
		return r == -ENOENT ? err_set(err, r, "network %s was not added", link->network)
				    : r;
	c.list = json_object_get(kept, "list");
	if (json_is_true(json_object_get(c.list, "disableCheck")))
		return 0;
	move_sandboxes(&c, json_object_get(kept, "result"));
	plugins = json_object_get(c.list, "plugins");
	for (size_t i = 0; i < json_array_size(plugins) && r == 0; i++)
		r = call_plugin(
			&c, json_array_get(plugins, i), json_object_get(kept, "result"), NULL, err);
	return r;
}
