/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/egress.h"

#include "base/fd.h"
#include "base/process.h"
#include "base/sys.h"
#include "cgroups/connect.h"
#include "cli/containers/assemble.h"
#include "netns/address.h"

#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

enum { ANSWER_MAX = 1 << 16, RESOLVE_MS = 30000, DNS_PORT = 53 };

/* Whoever can make packets by hand is not asked. */
static int check_privilege(const struct run_options *o, struct err *err)
{
	uint64_t caps;
	int r = assemble_capabilities(o, &caps, err);

	if (r < 0)
		return r;
	return caps & 1ULL << CAP_NET_RAW
		       ? err_set(err, -EINVAL,
				 "a container with CAP_NET_RAW goes round --allow-connect and "
				 "--deny-connect: give it less, or leave them out")
		       : 0;
}

static int check_texts(const struct strings *texts, bool allow, struct err *err)
{
	char host[CONNECT_HOST_MAX];
	struct connect_rule rule;
	int r = 0;

	for (size_t i = 0; i < texts->count && r == 0; i++)
		r = connect_rule_parse(texts->items[i], allow, &rule, host, err);
	return r < 0 ? err_add(err, "--%s-connect", allow ? "allow" : "deny") : 0;
}

int egress_check(const struct run_options *options, struct err *err)
{
	int r;

	if (!options->allow_connect.count && !options->deny_connect.count)
		return 0;
	r = check_privilege(options, err);
	if (r == 0)
		r = check_texts(&options->deny_connect, false, err);
	return r < 0 ? r : check_texts(&options->allow_connect, true, err);
}

/* ---- names ---- */

/* The jailed helper asks: what comes back from the network is not for this process. */
static int ask(const char *libexec, const char *host, struct buf *ret, struct err *err)
{
	char path[PATH_MAX];
	const char *argv[] = {"brig-dns", "resolve", host, NULL};
	int socks[2] = {-1, -1}, status = 0, r = sys_socketpair(SOCK_STREAM, socks);
	struct process_options options = {
		.path = path,
		.argv = argv,
		.stdout_fd = socks[1],
		.stderr_fd = -1,
		.timeout_ms = RESOLVE_MS,
	};

	if (r < 0)
		return err_sys(err, r, "socketpair");
	snprintf(path, sizeof(path), "%s/brig-dns", libexec);
	r = process_run(&options, &status, err);
	cleanup_close(&socks[1]);
	if (r == 0 && fd_read_all(socks[0], ANSWER_MAX, ret) < 0)
		r = err_set(err, -EIO, "too long an answer about %s", host);
	cleanup_close(&socks[0]);
	if (r == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
		r = err_set(err, -ENOENT, "%s",
			ret->len ? buf_str(ret) : "the name cannot be looked up");
	return r;
}

static int append(struct connect_rules *rules, const struct connect_rule *rule, struct arena *arena,
	struct err *err)
{
	if (!rules->items)
		rules->items = arena_array(arena, CONNECT_RULES_MAX, struct connect_rule);
	if (!rules->items)
		return err_sys(err, -ENOMEM, "the egress policy");
	if (rules->count == CONNECT_RULES_MAX)
		return err_set(err, -E2BIG, "more than %d addresses", CONNECT_RULES_MAX);
	rules->items[rules->count++] = *rule;
	return 0;
}

static void set_address(struct connect_rule *rule, const struct address *a)
{
	rule->family = a->family;
	rule->prefix = a->prefix;
	memcpy(rule->bytes, a->bytes, sizeof(rule->bytes));
}

/* A rule like RULE for each address of HOST. */
static int append_host(const struct start_context *ctx, const char *host,
	const struct connect_rule *rule, struct connect_rules *rules, struct arena *arena,
	struct err *err)
{
	autobuf struct buf answer = {};
	char *rest, *line;
	int r = ask(ctx->libexec, host, &answer, err);

	rest = answer.data;
	while (r == 0 && (line = strsep(&rest, "\n"))) {
		struct connect_rule one = *rule;
		struct address a;

		if (!*line)
			continue;
		if (address_parse(line, &a) < 0)
			return err_set(err, -EPROTO, "a strange answer about %s", host);
		set_address(&one, &a);
		r = append(rules, &one, arena, err);
	}
	return r;
}

static int append_texts(const struct start_context *ctx, const struct strings *texts, bool allow,
	struct connect_rules *rules, struct arena *arena, struct err *err)
{
	char host[CONNECT_HOST_MAX];
	int r = 0;

	for (size_t i = 0; i < texts->count && r == 0; i++) {
		struct connect_rule rule;

		r = connect_rule_parse(texts->items[i], allow, &rule, host, err);
		if (r == 0 && *host)
			r = append_host(ctx, host, &rule, rules, arena, err);
		else if (r == 0)
			r = append(rules, &rule, arena, err);
	}
	return r < 0 ? err_add(err, "--%s-connect", allow ? "allow" : "deny") : 0;
}

static int append_servers(const struct strings *servers, struct connect_rules *rules,
	struct arena *arena, struct err *err)
{
	struct connect_rule rule = {.allow = true, .first = DNS_PORT, .last = DNS_PORT};
	int r = 0;

	for (size_t i = 0; servers && i < servers->count && r == 0; i++) {
		struct address a;

		if (address_parse(servers->items[i], &a) < 0)
			continue;
		set_address(&rule, &a);
		r = append(rules, &rule, arena, err);
	}
	return r;
}

int egress_apply(const struct start_context *ctx, const struct run_options *options,
	const struct container *container, const struct strings *servers, int *ret_denied,
	struct err *err)
{
	autoarena struct arena arena = {};
	autocgroup struct cgroup *cgroup = NULL;
	struct connect_rules rules = {};
	int r = egress_check(options, err);

	*ret_denied = -1;
	if (r < 0 || (!options->allow_connect.count && !options->deny_connect.count))
		return r;
	if (container->cgroup.driver == CGROUP_DISABLED)
		return err_set(err, -EOPNOTSUPP,
			"--allow-connect and --deny-connect need a cgroup: this container has "
			"none");
	/* What is denied is denied, whatever else is allowed. */
	r = append_texts(ctx, &options->deny_connect, false, &rules, &arena, err);
	if (r == 0)
		r = append_texts(ctx, &options->allow_connect, true, &rules, &arena, err);
	if (r == 0 && options->allow_connect.count)
		r = append_servers(servers, &rules, &arena, err);
	if (r == 0)
		r = container_cgroup(container, &cgroup, err);
	if (r == 0)
		r = connect_policy_attach(cgroup->dirfd, &rules, ret_denied, err);
	return r;
}
