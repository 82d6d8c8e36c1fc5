/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brig-systemd: asks systemd for one thing and says how it went.
 *
 * A program of its own because libsystemd is only there as a shared library and brig-oci is linked
 * statically. Its standard input is a SOCK_SEQPACKET socket. One request comes in, a message of
 * lines:
 *
 *	start|set|stop  user|system  UNIT
 *	property NAME TYPE VALUE          (any number; see cgroups/property.h)
 *
 * or "attach user|system UNIT", "PID SUBGROUP",
 *
 * and one answer goes out: "ok PATH" (PATH only for start) or "error ERRNO SENTENCE". After start
 *it waits for the end of the socket: it is the process that the scope is started with, and leaves
 *when the container is inside.
 *
 * The manager's own socket is used where there is one, so that the message bus has no part in it;
 * the bus otherwise. What it calls: org.freedesktop.systemd1(5).
 */
#include "base/cleanup.h"
#include "cgroups/systemd/values.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { REQUEST_MAX = 256 * 1024, ANSWER_MAX = 4096, JOB_TIMEOUT_US = 45 * 1000 * 1000 };

#define DESTINATION "org.freedesktop.systemd1", "/org/freedesktop/systemd1"
#define MANAGER     "org.freedesktop.systemd1.Manager"

struct request {
	const char *verb, *unit;
	bool user;
	char *properties; /* the lines that are left */
};

struct manager {
	sd_bus *bus;
	bool is_private; /* not the message bus: signals come unasked */
	char job[256];   /* whose end is waited for */
	char result[64]; /* how it ended; "" before */
};

static void answer(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void answer(const char *fmt, ...)
{
	char text[ANSWER_MAX];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (n >= (int)sizeof(text))
		n = sizeof(text) - 1;
	(void)send(STDIN_FILENO, text, (size_t)n, MSG_NOSIGNAL);
}

/* Says what went wrong with WHAT; returns the negative errno. */
static int refuse(const char *what, int r, const sd_bus_error *error)
{
	int code = error && sd_bus_error_is_set(error) ? sd_bus_error_get_errno(error) : -r;

	if (code <= 0)
		code = EIO;
	answer("error %d systemd: %s: %s", code, what,
		error && error->message ? error->message : strerror(code));
	return -code;
}

static int parse_request(char *text, struct request *ret)
{
	char *end = strchr(text, '\n'), *save = NULL, *whose;

	if (!end)
		return -EINVAL;
	*end = '\0';
	ret->properties = end + 1;
	ret->verb = strtok_r(text, " ", &save);
	whose = strtok_r(NULL, " ", &save);
	ret->unit = strtok_r(NULL, " ", &save);
	if (!ret->unit || (strcmp(whose, "user") && strcmp(whose, "system")))
		return -EINVAL;
	ret->user = whose[0] == 'u';
	return 0;
}

/* ---- the connection ---- */

/* The socket that systemd keeps for its own tools. */
static int open_private(bool user, sd_bus **ret)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char address[4096];
	sd_bus *bus = NULL;
	int r;

	if (user && !runtime)
		return -ENOENT;
	if (snprintf(address, sizeof(address), "unix:path=%s/systemd/private",
		    user ? runtime : "/run") >= (int)sizeof(address))
		return -ENAMETOOLONG;
	if (access(address + strlen("unix:path="), F_OK) < 0)
		return -errno;
	r = sd_bus_new(&bus);
	if (r >= 0)
		r = sd_bus_set_address(bus, address);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r < 0) {
		sd_bus_unref(bus);
		return r;
	}
	*ret = bus;
	return 0;
}

static int connect_manager(struct manager *m, bool user)
{
	int r = open_private(user, &m->bus);

	m->is_private = r >= 0;
	if (r < 0)
		r = user ? sd_bus_open_user(&m->bus) : sd_bus_open_system(&m->bus);
	if (r >= 0)
		return 0;
	answer("error %d the %s systemd cannot be reached: %s", ENOTCONN,
		user ? "user's" : "system's", strerror(-r));
	return -ENOTCONN;
}

/* ---- calls ---- */

static int new_call(struct manager *m, const char *method, sd_bus_message **ret)
{
	return sd_bus_message_new_method_call(m->bus, ret, DESTINATION, MANAGER, method);
}

static int append_properties(sd_bus_message *message, char *lines)
{
	char *save = NULL;
	int r = 0;

	for (char *line = strtok_r(lines, "\n", &save); line && r >= 0;
		line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "property ", 9) != 0)
			return -EINVAL;
		r = values_append(message, line + 9);
	}
	return r;
}

static int call_with_unit(struct manager *m, const char *method, const char *unit, const char *mode,
	sd_bus_error *error, sd_bus_message **ret_reply)
{
	sd_bus_message *message = NULL;
	int r = new_call(m, method, &message);

	if (r >= 0)
		r = sd_bus_message_append_basic(message, 's', unit);
	if (r >= 0 && mode)
		r = sd_bus_message_append_basic(message, 's', mode);
	if (r >= 0)
		r = sd_bus_call(m->bus, message, 0, error, ret_reply);
	sd_bus_message_unref(message);
	return r;
}

/* ---- jobs ---- */

static int on_job_removed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;
	const char *job, *unit, *result;
	uint32_t id;

	(void)error;
	if (sd_bus_message_read(message, "uoss", &id, &job, &unit, &result) >= 0 &&
		strcmp(job, m->job) == 0)
		snprintf(m->result, sizeof(m->result), "%s", result);
	return 0;
}

/* Before the call that starts the job, as the job may be over before its answer is here. */
static int watch_jobs(struct manager *m)
{
	int r = sd_bus_match_signal(m->bus, NULL, m->is_private ? NULL : "org.freedesktop.systemd1",
		"/org/freedesktop/systemd1", MANAGER, "JobRemoved", on_job_removed, m);

	if (r >= 0 && !m->is_private)
		r = sd_bus_call_method(m->bus, DESTINATION, MANAGER, "Subscribe", NULL, NULL, NULL);
	return r;
}

static int wait_job(struct manager *m, sd_bus_message *reply, const char *what)
{
	const char *job;
	int r = sd_bus_message_read_basic(reply, 'o', &job);

	if (r < 0)
		return refuse(what, r, NULL);
	snprintf(m->job, sizeof(m->job), "%s", job);
	while (!m->result[0]) {
		r = sd_bus_process(m->bus, NULL);
		if (r == 0)
			r = sd_bus_wait(m->bus, JOB_TIMEOUT_US) ?: -ETIMEDOUT;
		if (r < 0 && r != -EINTR)
			return refuse(what, r, NULL);
	}
	if (strcmp(m->result, "done") == 0 || strcmp(m->result, "skipped") == 0)
		return 0;
	answer("error %d systemd: %s: the job ended as \"%s\"", EIO, what, m->result);
	return -EIO;
}

/* ---- verbs ---- */

/* a(sv) with the scope's first process, and no further units. */
static int start_message(
	struct manager *m, const struct request *request, char *properties, sd_bus_message **ret)
{
	uint32_t pid = (uint32_t)getpid();
	int r = new_call(m, "StartTransientUnit", ret);

	if (r >= 0)
		r = sd_bus_message_append(*ret, "ss", request->unit, "fail");
	if (r >= 0)
		r = sd_bus_message_open_container(*ret, 'a', "(sv)");
	if (r >= 0)
		r = sd_bus_message_append(*ret, "(sv)", "PIDs", "au", 1, pid);
	if (r >= 0)
		r = append_properties(*ret, properties);
	if (r >= 0)
		r = sd_bus_message_close_container(*ret);
	return r < 0 ? r : sd_bus_message_append(*ret, "a(sa(sv))", 0);
}

/* The v2 path of this process, by now the scope's. */
static int own_cgroup(char *path, size_t size)
{
	char line[4096];
	FILE *file = fopen("/proc/self/cgroup", "re");
	int r = -ENOENT;

	if (!file)
		return -errno;
	while (r < 0 && fgets(line, sizeof(line), file))
		if (strncmp(line, "0::", 3) == 0) {
			line[strcspn(line, "\n")] = '\0';
			r = snprintf(path, size, "%s", line + 3) < (int)size ? 0 : -ENAMETOOLONG;
		}
	fclose(file);
	return r;
}

static int call_start(struct manager *m, const struct request *request, sd_bus_error *error,
	sd_bus_message **ret_reply)
{
	autofree char *properties = strdup(request->properties);
	sd_bus_message *message = NULL;
	int r = properties ? start_message(m, request, properties, &message) : -ENOMEM;

	if (r >= 0)
		r = sd_bus_call(m->bus, message, 0, error, ret_reply);
	sd_bus_message_unref(message);
	return r;
}

static int do_start(struct manager *m, const struct request *request)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	char path[4096];
	int r = watch_jobs(m);

	if (r >= 0)
		r = call_start(m, request, &error, &reply);
	if (sd_bus_error_has_name(&error, "org.freedesktop.systemd1.UnitExists")) {
		/* One of that name may have failed and be remembered for that only. */
		sd_bus_error_free(&error);
		(void)call_with_unit(m, "ResetFailedUnit", request->unit, NULL, NULL, NULL);
		r = call_start(m, request, &error, &reply);
	}
	r = r < 0 ? refuse("start a transient unit", r, &error)
		  : wait_job(m, reply, "start a transient unit");
	sd_bus_error_free(&error);
	sd_bus_message_unref(reply);
	if (r < 0)
		return r;
	r = own_cgroup(path, sizeof(path));
	if (r < 0)
		return refuse("find the unit's cgroup", r, NULL);
	answer("ok %s", path);
	return 0;
}

static int do_set(struct manager *m, const struct request *request)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *message = NULL;
	int r = new_call(m, "SetUnitProperties", &message);

	if (r >= 0)
		r = sd_bus_message_append(message, "sb", request->unit, 1);
	if (r >= 0)
		r = sd_bus_message_open_container(message, 'a', "(sv)");
	if (r >= 0)
		r = append_properties(message, request->properties);
	if (r >= 0)
		r = sd_bus_message_close_container(message);
	if (r >= 0)
		r = sd_bus_call(m->bus, message, 0, &error, NULL);
	if (r < 0)
		r = refuse("set unit properties", r, &error);
	else
		answer("ok ");
	sd_bus_error_free(&error);
	sd_bus_message_unref(message);
	return r;
}

static int do_attach(struct manager *m, const struct request *request)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	char *subgroup;
	unsigned long pid = strtoul(request->properties, &subgroup, 10);
	int r;

	if (!pid || *subgroup != ' ')
		return refuse("attach a process", -EINVAL, NULL);
	r = sd_bus_call_method(m->bus, DESTINATION, MANAGER, "AttachProcessesToUnit", &error, NULL,
		"ssau", request->unit, subgroup + 1, 1, (uint32_t)pid);
	if (r < 0)
		r = refuse("attach a process", r, &error);
	else
		answer("ok ");
	sd_bus_error_free(&error);
	return r;
}

static int do_stop(struct manager *m, const struct request *request)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	int r = watch_jobs(m);

	if (r >= 0)
		r = call_with_unit(m, "StopUnit", request->unit, "replace", &error, &reply);
	if (sd_bus_error_has_name(&error, "org.freedesktop.systemd1.NoSuchUnit"))
		r = 0;
	else if (r < 0)
		r = refuse("stop a unit", r, &error);
	else
		r = wait_job(m, reply, "stop a unit");
	sd_bus_error_free(&error);
	sd_bus_message_unref(reply);
	if (r < 0)
		return r;
	/* Forgotten already unless an annotation changed CollectMode. */
	(void)call_with_unit(m, "ResetFailedUnit", request->unit, NULL, NULL, NULL);
	answer("ok ");
	return 0;
}

int main(void)
{
	static const struct {
		const char *name;
		int (*run)(struct manager *, const struct request *);
	} verbs[] = {
		{"start", do_start}, {"set", do_set}, {"attach", do_attach}, {"stop", do_stop}};
	autofree char *text = malloc(REQUEST_MAX + 1);
	struct manager manager = {};
	struct request request = {};
	ssize_t n = text ? recv(STDIN_FILENO, text, REQUEST_MAX, 0) : -1;
	int r = -EINVAL;
	char byte;

	if (n <= 0) {
		fprintf(stderr, "brig-systemd: runs on behalf of brig only\n");
		return 2;
	}
	text[n] = '\0';
	if (parse_request(text, &request) < 0) {
		answer("error %d brig-systemd: not a request", EINVAL);
		return 1;
	}
	r = connect_manager(&manager, request.user);
	for (size_t i = 0; i < ARRAY_LEN(verbs) && r >= 0; i++)
		if (strcmp(verbs[i].name, request.verb) == 0)
			r = verbs[i].run(&manager, &request);
	sd_bus_flush_close_unref(manager.bus);
	/* The scope's only process until the container is in it. */
	while (r >= 0 && recv(STDIN_FILENO, &byte, 1, 0) < 0 && errno == EINTR)
		;
	return r < 0;
}
