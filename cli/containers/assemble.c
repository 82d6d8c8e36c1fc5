/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/assemble.h"

#include "base/parse.h"
#include "spec/names.h"

#include <stdio.h>
#include <string.h>

static json_t *texts_json(const struct strings *texts)
{
	json_t *array = json_array();

	for (size_t i = 0; i < texts->count; i++)
		json_array_append_new(array, json_string(texts->items[i]));
	return array;
}

/* ---- process ---- */

static bool has_env(const struct strings *env, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < env->count; i++)
		if (strncmp(env->items[i], name, n) == 0 && env->items[i][n] == '=')
			return true;
	return false;
}

static json_t *env_json(const struct record *record, const struct assemble_facts *facts)
{
	json_t *env = texts_json(&record->env);

	if (!has_env(&record->env, "HOSTNAME") && facts->hostname)
		json_array_append_new(env, json_sprintf("HOSTNAME=%s", facts->hostname));
	if (!has_env(&record->env, "HOME"))
		json_array_append_new(env, json_sprintf("HOME=%s", facts->user.home));
	if (record->systemd && !has_env(&record->env, "container"))
		json_array_append_new(env, json_string("container=oci"));
	return env;
}

static json_t *user_json(const struct user *user)
{
	json_t *gids = json_array();

	for (size_t i = 0; i < user->group_count; i++)
		json_array_append_new(gids, json_integer(user->groups[i]));
	return json_pack("{s:I, s:I, s:o}", "uid", (json_int_t)user->uid, "gid",
		(json_int_t)user->gid, "additionalGids", gids);
}

static json_t *args_json(const struct record *record, const struct assemble_facts *facts)
{
	json_t *args;

	if (!facts->init_program)
		return texts_json(&record->args);
	args = json_pack("[s, s]", "/dev/init", "--");
	for (size_t i = 0; i < record->args.count; i++)
		json_array_append_new(args, json_string(record->args.items[i]));
	return args;
}

/* "nofile=1024[:2048]" */
static int add_rlimit(json_t *list, const char *text, struct err *err)
{
	char name[32], *p;
	const char *equal = strchr(text, '='), *colon;
	char soft_text[32] = "";
	uint64_t soft, hard;
	size_t n;
	int r;

	if (!equal || (size_t)(equal - text) >= sizeof(name) - 8)
		return err_set(err, -EINVAL, "--ulimit: \"%s\" is not NAME=SOFT[:HARD]", text);
	p = stpcpy(name, "RLIMIT_");
	for (const char *c = text; c < equal; c++)
		*p++ = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
	*p = '\0';
	colon = strchr(equal + 1, ':');
	n = colon ? (size_t)(colon - equal - 1) : strlen(equal + 1);
	if (n >= sizeof(soft_text))
		return err_set(err, -EINVAL, "--ulimit: %s: out of range", text);
	memcpy(soft_text, equal + 1, n);
	if (strcmp(soft_text, "-1") == 0 || strcmp(soft_text, "unlimited") == 0)
		soft = UINT64_MAX, r = 0;
	else
		r = parse_u64(soft_text, &soft);
	hard = soft;
	if (r == 0 && colon) {
		if (strcmp(colon + 1, "-1") == 0 || strcmp(colon + 1, "unlimited") == 0)
			hard = UINT64_MAX;
		else
			r = parse_u64(colon + 1, &hard);
	}
	if (r < 0 || soft > hard)
		return err_set(err, -EINVAL, "--ulimit: \"%s\" is not NAME=SOFT[:HARD]", text);
	json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "type", name, "soft",
					    json_u64(soft), "hard", json_u64(hard)));
	return 0;
}

static int add_process(const struct record *record, const struct assemble_facts *facts,
	json_t *config, struct err *err)
{
	json_t *rlimits = json_array();
	json_t *process =
		json_pack("{s:b, s:o, s:o, s:o, s:s, s:o}", "terminal", record->options.tty, "user",
			user_json(&facts->user), "args", args_json(record, facts), "env",
			env_json(record, facts), "cwd", record->cwd, "rlimits", rlimits);
	int r = 0;

	if (!process || json_object_set_new(config, "process", process) < 0)
		return err_sys(err, -ENOMEM, "process");
	for (size_t i = 0; i < record->options.ulimits.count && r == 0; i++)
		r = add_rlimit(rlimits, record->options.ulimits.items[i], err);
	if (record->options.oom_score_adj.set)
		json_object_set_new(
			process, "oomScoreAdj", json_integer(record->options.oom_score_adj.value));
	return r;
}

/* ---- namespaces ---- */

static void add_namespace(json_t *list, const char *type, const struct assemble_namespace *ns)
{
	if (ns->host)
		return;
	json_array_append_new(list, json_pack("{s:s, s:s*}", "type", type, "path", ns->path));
}

static json_t *map_json(const struct assemble_id_map *map, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(
			list, json_pack("{s:I, s:I, s:I}", "containerID", (json_int_t)map[i].inside,
				      "hostID", (json_int_t)map[i].outside, "size",
				      (json_int_t)map[i].count));
	return list;
}

static void add_namespaces(const struct assemble_facts *facts, json_t *linux_)
{
	static const struct assemble_namespace own = {};
	json_t *list = json_array();

	add_namespace(list, "mount", &own);
	add_namespace(list, "pid", &facts->pid);
	add_namespace(list, "ipc", &facts->ipc);
	add_namespace(list, "uts", &facts->uts);
	add_namespace(list, "network", &facts->net);
	add_namespace(list, "cgroup", &facts->cgroup);
	if (facts->userns) {
		add_namespace(list, "user", &(struct assemble_namespace){.path = facts->userns});
	} else if (facts->uid_count) {
		add_namespace(list, "user", &own);
		json_object_set_new(linux_, "uidMappings", map_json(facts->uids, facts->uid_count));
		json_object_set_new(linux_, "gidMappings", map_json(facts->gids, facts->gid_count));
	}
	json_object_set_new(linux_, "namespaces", list);
}

/* ---- the rest ---- */

static int add_sysctls(const struct record *record, const struct assemble_facts *facts,
	json_t *linux_, struct err *err)
{
	autojson json_t *sysctl = json_object();
	bool own_net = !facts->net.host && !facts->net.path;

	/* As everywhere: ping(1) and low ports need no privilege in a network of one's own. */
	if (own_net && !facts->uid_count) {
		json_object_set_new(
			sysctl, "net.ipv4.ping_group_range", json_sprintf("0 %u", facts->last_gid));
		json_object_set_new(
			sysctl, "net.ipv4.ip_unprivileged_port_start", json_string("0"));
	}
	for (size_t i = 0; i < record->options.sysctls.count; i++) {
		const char *item = record->options.sysctls.items[i], *equal = strchr(item, '=');

		if (!equal || equal == item)
			return err_set(err, -EINVAL, "--sysctl: \"%s\" is not NAME=VALUE", item);
		json_object_setn_new(sysctl, item, (size_t)(equal - item), json_string(equal + 1));
	}
	json_object_set(linux_, "sysctl", sysctl);
	return 0;
}

static int add_annotations(const struct record *record, json_t *config, struct err *err)
{
	autojson json_t *annotations = json_object();

	json_object_set_new(
		annotations, "org.opencontainers.image.ref.name", json_string(record->image));
	for (size_t i = 0; i < record->options.annotations.count; i++) {
		const char *item = record->options.annotations.items[i], *equal = strchr(item, '=');

		if (!equal || equal == item)
			return err_set(err, -EINVAL, "--annotation: \"%s\" is not KEY=VALUE", item);
		json_object_setn_new(
			annotations, item, (size_t)(equal - item), json_string(equal + 1));
	}
	if (record->options.isolation)
		json_object_set_new(annotations, "org.brig.isolation",
			json_string(json_name_of(spec_isolation_names, record->options.isolation)));
	if (record->options.template_)
		json_object_set_new(annotations, "org.brig.template", json_string("true"));
	if (record->options.nested)
		json_object_set_new(annotations, "org.brig.vm.nested", json_string("true"));
	return json_object_set(config, "annotations", annotations) < 0
		       ? err_sys(err, -ENOMEM, "annotations")
		       : 0;
}

int assemble(const struct record *record, const struct assemble_facts *facts, json_t **ret,
	struct err *err)
{
	autojson json_t *config = json_pack("{s:s, s:{s:s, s:b}, s:{}}", "ociVersion", "1.2.0",
		"root", "path", facts->rootfs, "readonly", record->options.read_only, "linux");
	json_t *linux_ = json_object_get(config, "linux");
	int r;

	if (!linux_)
		return err_sys(err, -ENOMEM, "configuration");
	r = add_process(record, facts, config, err);
	if (r == 0 && !facts->uts.host && !facts->uts.path) {
		if (facts->hostname)
			json_object_set_new(config, "hostname", json_string(facts->hostname));
		if (record->options.domainname)
			json_object_set_new(
				config, "domainname", json_string(record->options.domainname));
	}
	add_namespaces(facts, linux_);
	if (facts->cgroups_path)
		json_object_set_new(linux_, "cgroupsPath", json_string(facts->cgroups_path));
	if (r == 0)
		r = add_sysctls(record, facts, linux_, err);
	if (r == 0)
		r = add_annotations(record, config, err);
	if (r == 0)
		r = assemble_mounts(record, facts, config, err);
	if (r == 0)
		r = assemble_limits(record, facts, config, err);
	if (r == 0)
		r = assemble_security(record, facts, config, err);
	if (r == 0)
		*ret = take_ptr(config);
	return r;
}
