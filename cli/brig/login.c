/* SPDX-License-Identifier: Apache-2.0 */
/* login, logout. */
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/sys.h"
#include "cli/brig/images.h"
#include "images/auth.h"

#include <stdio.h>
#include <string.h>
#include <termios.h>

struct login_values {
	struct remote_flags remote;
	const char *username, *password;
	bool password_stdin, get_login, all;
};

const struct option image_login_options[] = {
	{"username", 'u', OPTION_TEXT, OPTION_AT(login_values, username), .argument = "NAME",
		.help = "log in as NAME"},
	{"password", 'p', OPTION_TEXT, OPTION_AT(login_values, password), .argument = "PASSWORD",
		.help = "with PASSWORD, which others on this machine may see"},
	{"password-stdin", 0, OPTION_FLAG, OPTION_AT(login_values, password_stdin),
		.help = "take the password from standard input"},
	{"get-login", 0, OPTION_FLAG, OPTION_AT(login_values, get_login),
		.help = "print who is logged in"},
	{"authfile", 0, OPTION_TEXT, OPTION_AT(login_values, remote.authfile), .argument = "FILE",
		.help = "keep the credentials in FILE"},
	{"cert-dir", 0, OPTION_TEXT, OPTION_AT(login_values, remote.cert_dir), .argument = "DIR",
		.help = "trust the authorities in DIR (*.crt), show its certificate (*.cert, "
			"*.key)"},
	{"tls-verify", 0, OPTION_OPT_FLAG, OPTION_AT(login_values, remote.tls_verify),
		.help = "require https and a trusted certificate; =false for neither"},
	{NULL},
};
VALUES_FIT(struct login_values);

const struct option image_logout_options[] = {
	{"all", 'a', OPTION_FLAG, OPTION_AT(login_values, all),
		.help = "log out of every registry"},
	{"authfile", 0, OPTION_TEXT, OPTION_AT(login_values, remote.authfile), .argument = "FILE",
		.help = "the credentials are in FILE"},
	{NULL},
};
VALUES_FIT(struct login_values);

/* "registry", "https://registry/v2/", "registry/repository" */
static int parse_server(const char *text, struct reference *ret, struct err *err)
{
	const char *host = strstr(text, "://");
	char name[REFERENCE_NAME_MAX + 1];
	struct reference reference = {};
	size_t len;
	bool url = host != NULL;

	host = url ? host + 3 : text;
	len = url ? strcspn(host, "/") : strlen(host);
	while (len && host[len - 1] == '/')
		len--;
	if (len == 0 || len >= sizeof(name))
		return err_set(err, -EINVAL, "%s: is no registry", text);
	snprintf(name, sizeof(name), "%.*s", (int)len, host);
	if (strchr(name, '/')) {
		int r = reference_parse(name, &reference, err);

		if (r < 0 || !*reference.registry)
			return r < 0 ? r : err_set(err, -EINVAL, "%s: is no registry", text);
	} else {
		if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:"
				 "[]") != strlen(name))
			return err_set(err, -EINVAL, "%s: is no registry", text);
		snprintf(reference.registry, sizeof(reference.registry), "%s",
			strcmp(name, "index.docker.io") == 0 ? "docker.io" : name);
	}
	*ret = reference;
	return 0;
}

/* Where credentials are kept: the first place that is looked at (images/auth.h). */
static const char *credentials_file(const struct remote_flags *flags, struct arena *arena)
{
	const char *file = getenv("REGISTRY_AUTH_FILE"), *run = getenv("XDG_RUNTIME_DIR");
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (flags->authfile)
		return flags->authfile;
	if (file && *file)
		return file;
	if (run && *run == '/')
		return arena_printf(arena, "%s/containers/auth.json", run);
	if (config && *config == '/')
		return arena_printf(arena, "%s/containers/auth.json", config);
	return home ? arena_printf(arena, "%s/.config/containers/auth.json", home) : NULL;
}

/* A line from the terminal, without showing it when SECRET. */
static int ask(const char *question, bool secret, char *ret, size_t size, struct err *err)
{
	struct termios before, silent;
	bool changed = false;

	fprintf(stderr, "%s: ", question);
	if (secret && tcgetattr(STDIN_FILENO, &before) == 0) {
		silent = before;
		silent.c_lflag &= ~(tcflag_t)ECHO;
		changed = tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0;
	}
	if (!fgets(ret, (int)size, stdin))
		*ret = '\0';
	if (changed) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
		fputc('\n', stderr);
	}
	ret[strcspn(ret, "\r\n")] = '\0';
	return *ret ? 0 : err_set(err, -EINVAL, "%s: nothing was entered", question);
}

static int read_password(struct auth_credentials *c, struct err *err)
{
	autobuf struct buf text = {};
	int r = fd_read_all(STDIN_FILENO, sizeof(c->secret) - 1, &text);

	if (r < 0)
		return err_sys(err, r, "the password");
	snprintf(c->secret, sizeof(c->secret), "%s", buf_str(&text));
	c->secret[strcspn(c->secret, "\r\n")] = '\0';
	if (text.data)
		explicit_bzero(text.data, text.len);
	return *c->secret ? 0 : err_set(err, -EINVAL, "standard input has no password");
}

static int gather(const struct login_values *v, struct auth_credentials *ret, struct err *err)
{
	bool terminal = isatty(STDIN_FILENO);
	int r = 0;

	ret->set = true;
	if (v->password_stdin && v->password)
		return err_set(err, -EINVAL, "--password and --password-stdin exclude each other");
	if (v->password_stdin && !v->username)
		return err_set(err, -EINVAL, "--password-stdin needs --username");
	if ((!v->username || (!v->password && !v->password_stdin)) && !terminal)
		return err_set(err, -EINVAL,
			"cannot ask without a terminal: say --username and --password-stdin");
	if (v->username && strlen(v->username) >= sizeof(ret->username))
		return err_set(err, -EINVAL, "--username: too long");
	if (v->password && strlen(v->password) >= sizeof(ret->secret))
		return err_set(err, -EINVAL, "--password: too long");
	if (v->username)
		strcpy(ret->username, v->username);
	else
		r = ask("Username", false, ret->username, sizeof(ret->username), err);
	if (r == 0 && strchr(ret->username, ':'))
		r = err_set(err, -EINVAL, "a user name has no colon");
	if (r == 0 && v->password)
		strcpy(ret->secret, v->password);
	else if (r == 0 && v->password_stdin)
		r = read_password(ret, err);
	else if (r == 0)
		r = ask("Password", true, ret->secret, sizeof(ret->secret), err);
	return r;
}

/* Whether the registry takes them. */
static int check(struct brig *b, const struct reference *server, const struct login_values *v,
	const struct auth_credentials *c, struct err *err)
{
	static const struct remote_events events;
	autojson json_t *request = NULL;
	struct reference reference = *server;
	struct remote_flags flags = v->remote;
	json_t *endpoint;
	int r;

	/* The login itself needs no repository, the request's grammar does. */
	if (!*reference.repository)
		strcpy(reference.repository, "login");
	flags.creds = "-:-";
	r = remote_request(b, "login", &reference, &flags, false, &request, err);
	if (r < 0)
		return r;
	endpoint = json_array_get(json_object_get(request, "endpoints"), 0);
	if (json_object_set_new(endpoint, "username", json_string(c->username)) ||
		json_object_set_new(endpoint, "secret", json_string(c->secret)))
		return err_set(err, -EINVAL, "the user name or the password is no text");
	return remote_call(b, request, &events, NULL, err);
}

static int show_login(const struct login_values *v, const struct reference *server, struct err *err)
{
	const char *files[] = {v->remote.authfile, NULL};
	const struct auth_options options = {.files = v->remote.authfile ? files : NULL};
	struct auth_credentials c;
	int r = auth_find(&options, server, &c, err);

	if (r == 0 && !c.set)
		r = err_set(err, -ENOENT, "not logged in to %s", server->registry);
	if (r == 0)
		printf("%s\n", c.username);
	explicit_bzero(&c, sizeof(c));
	return r;
}

int image_login_run(const struct invocation *inv, struct err *err)
{
	const struct login_values *v = inv->options;
	const char *file = credentials_file(&v->remote, inv->arena);
	struct auth_credentials c = {};
	autobrig struct brig b = BRIG_NONE;
	struct reference server;
	int r = parse_server(inv->arg_count ? inv->args[0] : "docker.io", &server, err);

	if (r == 0 && v->get_login)
		return show_login(v, &server, err);
	if (r == 0 && !file)
		r = err_set(err, -ENOENT, "$HOME is not set: say --authfile FILE");
	if (r == 0)
		r = brig_open(inv, &b, err);
	if (r == 0)
		r = gather(v, &c, err);
	if (r == 0)
		r = check(&b, &server, v, &c, err);
	if (r == 0)
		r = auth_store(file, &server, &c, err);
	explicit_bzero(&c, sizeof(c));
	if (r < 0)
		return r;
	if (v->password)
		log_warning("--password shows the password to everybody who sees your processes: "
			    "--password-stdin does not");
	printf("Login Succeeded\n");
	return 0;
}

int image_logout_run(const struct invocation *inv, struct err *err)
{
	const struct login_values *v = inv->options;
	const char *file = credentials_file(&v->remote, inv->arena);
	struct reference server;
	int r;

	if (!file)
		return err_set(err, -ENOENT, "$HOME is not set: say --authfile FILE");
	if (v->all) {
		r = fd_replace_path(file, "{\"auths\":{}}\n", 13, 0600);
		if (r < 0 && r != -ENOENT)
			return err_sys(err, r, "%s", file);
		printf("Removed all login credentials\n");
		return 0;
	}
	r = parse_server(inv->arg_count ? inv->args[0] : "docker.io", &server, err);
	if (r == 0)
		r = auth_store(file, &server, NULL, err);
	if (r == 0)
		printf("Removed login credentials for %s\n", server.registry);
	return r;
}
