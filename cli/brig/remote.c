/* SPDX-License-Identifier: Apache-2.0 */
/* Asking brig-registry. */
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/sys.h"
#include "cli/brig/images.h"
#include "cli/output/human.h"
#include "cli/output/terminal.h"
#include "images/auth.h"
#include "images/registries.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

enum { LINE_MAX_BYTES = 1 << 20 };

/* ---- the request ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct names {
	const char *items[64]; /* sorted */
	size_t count;
};

static int list_names(const char *path, struct arena *arena, struct names *ret)
{
	int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d) {
		if (fd >= 0)
			close(fd);
		return -ENOENT;
	}
	for (struct dirent *e; (e = readdir(d)) && ret->count < ARRAY_LEN(ret->items);) {
		ret->items[ret->count] = arena_strdup(arena, e->d_name);
		ret->count += ret->items[ret->count] != NULL;
	}
	closedir(d);
	qsort(ret->items, ret->count, sizeof(ret->items[0]), by_name);
	return 0;
}

static bool ends_in(const char *name, const char *end)
{
	size_t len = strlen(name), n = strlen(end);

	return len > n && strcmp(name + len - n, end) == 0;
}

/* containers-certs.d(5): the first *.crt, and the first *.cert with its *.key. */
static bool find_files(
	const char *path, struct arena *arena, struct http_files *ret, struct err *err)
{
	struct names names = {};

	if (!path || list_names(path, arena, &names) < 0)
		return false;
	for (size_t i = 0; i < names.count; i++) {
		const char *name = names.items[i];

		if (!ret->ca && ends_in(name, ".crt"))
			ret->ca = arena_printf(arena, "%s/%s", path, name);
		if (ret->cert || !ends_in(name, ".cert"))
			continue;
		ret->cert = arena_printf(arena, "%s/%s", path, name);
		ret->key = arena_printf(
			arena, "%s/%.*s.key", path, (int)(strlen(name) - strlen(".cert")), name);
		if (ret->key && sys_faccessat(AT_FDCWD, ret->key, R_OK, 0) < 0)
			err_set(err, -ENOENT, "%s: its key %s is missing", ret->cert, ret->key);
	}
	return ret->ca || ret->cert;
}

static int registry_files(struct brig *b, const struct remote_flags *flags, const char *host,
	struct http_files *ret, struct err *err)
{
	static const char *const dirs[] = {"/etc/containers/certs.d", "/etc/docker/certs.d"};
	const char *home = getenv("HOME");
	bool found = flags->cert_dir != NULL;

	if (found)
		find_files(flags->cert_dir, b->arena, ret, err);
	else if (home)
		found = find_files(
			arena_printf(b->arena, "%s/.config/containers/certs.d/%s", home, host),
			b->arena, ret, err);
	for (size_t i = 0; i < ARRAY_LEN(dirs) && !found; i++)
		found = find_files(
			arena_printf(b->arena, "%s/%s", dirs[i], host), b->arena, ret, err);
	return err->code;
}

static int find_credentials(const struct remote_flags *flags, const struct reference *reference,
	struct auth_credentials *ret, struct err *err)
{
	const char *files[] = {flags->authfile, NULL};
	const struct auth_options options = {.files = flags->authfile ? files : NULL};
	const char *colon = flags->creds ? strchr(flags->creds, ':') : NULL;

	if (!flags->creds)
		return auth_find(&options, reference, ret, err);
	if (!colon)
		return err_set(err, -EINVAL, "--creds: write USER:PASSWORD");
	if ((size_t)(colon - flags->creds) >= sizeof(ret->username) ||
		strlen(colon + 1) >= sizeof(ret->secret))
		return err_set(err, -EINVAL, "--creds: too long");
	*ret = (struct auth_credentials){.set = true};
	memcpy(ret->username, flags->creds, (size_t)(colon - flags->creds));
	strcpy(ret->secret, colon + 1);
	return 0;
}

static int add_endpoint(struct brig *b, const struct pull_endpoint *e,
	const struct remote_flags *flags, json_t *list, struct err *err)
{
	struct auth_credentials credentials = {};
	autobuf struct buf name = {};
	bool insecure = flags->tls_verify.set ? !flags->tls_verify.value : e->insecure;
	struct http_files files = {};
	json_t *item;
	int r = registry_files(b, flags, e->reference.registry, &files, err);

	if (r == 0)
		r = find_credentials(flags, &e->reference, &credentials, err);
	if (r < 0)
		return r;
	reference_format(&e->reference, &name);
	item = json_pack("{s:s, s:b, s:b, s:b, s:s*, s:s*, s:s*}", "reference", buf_str(&name),
		"insecure", insecure, "strict", flags->tls_verify.set && flags->tls_verify.value,
		"byDigestOnly", e->by_digest_only, "ca", files.ca, "cert", files.cert, "key",
		files.key);
	if (item && credentials.set &&
		(json_object_set_new(item, "username", json_string(credentials.username)) ||
			json_object_set_new(item, "secret", json_string(credentials.secret)) ||
			json_object_set_new(
				item, "identityToken", json_boolean(credentials.identity_token)))) {
		r = err_set(
			err, -EINVAL, "the credentials for %s are no text", e->reference.registry);
		json_decref(item);
	} else if (json_array_append_new(list, item) < 0) {
		r = err_sys(err, -ENOMEM, "request");
	}
	explicit_bzero(&credentials, sizeof(credentials));
	return r;
}

int remote_request(struct brig *b, const char *op, const struct reference *reference,
	const struct remote_flags *flags, bool all, json_t **ret, struct err *err)
{
	static const struct remote_flags none;
	autoregistries struct registries *registries = NULL;
	struct registries_endpoints endpoints = {};
	autojson json_t *list = json_array(), *request = NULL;
	autobuf struct buf name = {};
	int r = registries_load(getenv("CONTAINERS_REGISTRIES_CONF"), NULL, &registries, err);

	if (r == 0)
		r = registries_endpoints(registries, reference, &endpoints, err);
	for (size_t i = all || !endpoints.count ? 0 : endpoints.count - 1;
		r == 0 && i < endpoints.count; i++)
		r = add_endpoint(b, &endpoints.items[i], flags ? flags : &none, list, err);
	free(endpoints.items);
	if (r < 0)
		return r;
	reference_format(reference, &name);
	request = json_pack(
		"{s:s, s:s, s:O}", "op", op, "reference", buf_str(&name), "endpoints", list);
	if (!request)
		return err_sys(err, -ENOMEM, "request");
	*ret = take_ptr(request);
	return 0;
}

static json_t *ranges_json(const struct store_id_range *ranges, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(
			list, json_pack("{s:I, s:I, s:I}", "inside", (json_int_t)ranges[i].inside,
				      "outside", (json_int_t)ranges[i].outside, "count",
				      (json_int_t)ranges[i].count));
	return list;
}

int remote_add_store(struct brig *b, json_t *request, struct err *err)
{
	struct store *store = NULL;
	const struct store_ids *ids;
	json_t *part;
	int r = brig_store(b, &store, err);

	if (r < 0)
		return r;
	ids = store_ids(store);
	part = json_pack("{s:s, s:s, s:b, s:o, s:o}", "root",
		arena_printf(b->arena, "%s/images", b->dirs.data), "helper",
		arena_printf(b->arena, "%s/brig-unpack", b->dirs.libexec), "single", ids->single,
		"uids", ranges_json(ids->uids, ids->uid_count), "gids",
		ranges_json(ids->gids, ids->gid_count));
	return json_object_set_new(request, "store", part) < 0 ? err_sys(err, -ENOMEM, "request")
							       : 0;
}

/* ---- the program ---- */

struct conversation {
	const struct remote_events *events;
	struct progress progress;
	json_t *result;
	bool ended;
};

/* Only what a proxy needs comes from our environment. */
static char **make_environment(struct arena *arena)
{
	static const char *const names[] = {"http_proxy", "https_proxy", "no_proxy", "all_proxy",
		"HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"};
	char **env = arena_array(arena, ARRAY_LEN(names) + 1, char *);
	size_t count = 0;

	for (size_t i = 0; env && i < ARRAY_LEN(names); i++)
		if (getenv(names[i])) {
			env[count] = arena_printf(arena, "%s=%s", names[i], getenv(names[i]));
			count += env[count] != NULL;
		}
	return env;
}

static _Noreturn void become(const char *path, char **env, int in, int out)
{
	static char *const argv[] = {(char *)"brig-registry", NULL};

	sys_prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
		sys_close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
		sys_execveat(AT_FDCWD, path, argv, env, 0);
	_exit(127);
}

/* Its standard input is a file in memory: the whole request, before it begins. */
static int request_file(const json_t *request, struct err *err)
{
	autoclose int fd = sys_memfd_create("request", 0);
	autobuf struct buf text = {};
	int r = fd < 0 ? fd : json_write(request, JSON_COMPACT, &text);

	if (r == 0)
		r = fd_write_all(fd, text.data, text.len);
	if (text.data)
		explicit_bzero(text.data, text.len);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	return r < 0 ? err_sys(err, r, "request") : take_fd(&fd);
}

static int start(
	struct brig *b, const json_t *request, pid_t *ret_pid, int *ret_out, struct err *err)
{
	const char *path = arena_printf(b->arena, "%s/brig-registry", b->dirs.libexec);
	char **env = make_environment(b->arena);
	autoclose int in = request_file(request, err);
	autoclose int read_end = -1, write_end = -1;
	int fds[2], r = in;
	pid_t pid;

	if (r < 0)
		return r;
	if (!path || !env)
		return err_sys(err, -ENOMEM, "brig-registry");
	r = sys_faccessat(AT_FDCWD, path, X_OK, 0);
	if (r < 0)
		return err_sys(err, r, "%s, which talks to registries", path);
	r = sys_pipe(fds);
	if (r < 0)
		return err_sys(err, r, "brig-registry");
	read_end = fds[0], write_end = fds[1];
	pid = sys_fork();
	if (pid == 0)
		become(path, env, in, write_end);
	if (pid < 0)
		return err_sys(err, pid, "start brig-registry");
	*ret_pid = pid;
	*ret_out = take_fd(&read_end);
	return 0;
}

/* ---- what it says ---- */

static void show_progress(struct conversation *c, const json_t *p)
{
	char note[64];
	struct progress_state state = {
		.what = c->events->what,
		.done = (uint64_t)json_integer_value(json_object_get(p, "bytes")),
		.total = (uint64_t)json_integer_value(json_object_get(p, "total")),
		.note = note,
	};

	snprintf(note, sizeof(note), "%d/%d layers",
		(int)json_integer_value(json_object_get(p, "layersDone")),
		(int)json_integer_value(json_object_get(p, "layers")));
	if (c->events->what)
		progress_show(&c->progress, &state);
}

static int take_error(const json_t *error, struct err *err)
{
	int code = (int)json_integer_value(json_object_get(error, "code"));
	const char *text = json_string_value(json_object_get(error, "text"));
	autobuf struct buf harmless = {};

	text = text ? text : "failed without a word";
	human_text(text, strlen(text), &harmless);
	return err_set(err, code < 0 && code > -4096 ? code : -EIO, "%s", buf_str(&harmless));
}

static int take_line(struct conversation *c, const char *line, size_t len, struct err *err)
{
	autojson json_t *json = NULL;
	autobuf struct buf harmless = {};
	const char *text;
	json_t *value;
	int r = json_parse("brig-registry", line, len, &json, err);

	if (r < 0)
		return r;
	if ((value = json_object_get(json, "progress"))) {
		show_progress(c, value);
	} else if ((text = json_string_value(json_object_get(json, "warning")))) {
		progress_end(&c->progress);
		human_text(text, strlen(text), &harmless);
		log_warning("%s", buf_str(&harmless));
		progress_begin(&c->progress, STDERR_FILENO);
	} else if ((text = json_string_value(json_object_get(json, "item")))) {
		return c->events->item ? c->events->item(c->events->context, text, err) : 0;
	} else if ((value = json_object_get(json, "error"))) {
		c->ended = true;
		return take_error(value, err);
	} else if ((value = json_object_get(json, "result"))) {
		c->ended = true;
		json_decref(c->result);
		c->result = json_incref(value);
	}
	return 0;
}

static int listen_to(struct conversation *c, int fd, struct err *err)
{
	autobuf struct buf text = {};

	for (;;) {
		char *room = buf_reserve(&text, 64 << 10), *newline;
		ssize_t n = room ? sys_read(fd, room, 64 << 10) : -ENOMEM;
		size_t used = 0;

		if (n <= 0)
			return n < 0 ? err_sys(err, (int)n, "brig-registry") : 0;
		text.len += (size_t)n;
		while ((newline = memchr(text.data + used, '\n', text.len - used))) {
			size_t len = (size_t)(newline - text.data) - used;
			int r = take_line(c, text.data + used, len, err);

			if (r < 0)
				return r;
			used += len + 1;
		}
		memmove(text.data, text.data + used, text.len - used);
		text.len -= used;
		if (text.len > LINE_MAX_BYTES)
			return err_set(err, -EPROTO, "brig-registry: a line without end");
	}
}

int remote_call(struct brig *b, json_t *request, const struct remote_events *events, json_t **ret,
	struct err *err)
{
	struct conversation c = {.events = events};
	autoclose int out = -1;
	int status = 0, r;
	pid_t pid = -1;

	r = start(b, request, &pid, &out, err);
	if (r < 0)
		return r;
	progress_begin(&c.progress, events->what ? STDERR_FILENO : -1);
	r = listen_to(&c, out, err);
	progress_end(&c.progress);
	cleanup_close(&out);
	sys_waitpid(pid, &status, 0);
	if (r == 0 && !c.ended)
		r = err_set(err, -EPIPE, "brig-registry ended without a result (%s %d)",
			WIFSIGNALED(status) ? "signal" : "status",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	if (r == 0 && ret)
		*ret = c.result;
	else
		json_decref(c.result);
	return r;
}
