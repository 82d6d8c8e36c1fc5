/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/plan.h"

#include "base/buf.h"
#include "base/sys.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mount.h>

/* PROC_USER_INIT_INO: the kernel gives the initial namespaces fixed numbers. */
static const ino_t INITIAL_USER_NAMESPACE = 0xEFFFFFFD;

int plan_probe_host(struct plan_host *ret, struct err *err)
{
	static const char userns[] = "/proc/self/ns/user";
	struct stat st;
	int r;

	/* What the kernel told this program when it began, which costs no call. */
	ret->uid = (uid_t)getauxval(AT_EUID);
	ret->gid = (gid_t)getauxval(AT_EGID);
	ret->privileged = false;
	if (ret->uid != 0)
		return 0;
	r = sys_fstatat(AT_FDCWD, userns, &st, 0);
	if (r < 0)
		return err_sys(err, r, "look at %s", userns);
	ret->privileged = st.st_ino == INITIAL_USER_NAMESPACE;
	return 0;
}

const char *plan_bundle_path(const struct plan *plan, struct arena *arena, const char *path)
{
	return path[0] == '/' ? path : arena_printf(arena, "%s/%s", plan->request.bundle, path);
}

const char *plan_map_text(const struct spec_id_mappings *map, struct arena *arena)
{
	autobuf struct buf text = {};

	for (size_t i = 0; i < map->count; i++)
		buf_printf(&text, "%u %u %u\n", map->items[i].container_id, map->items[i].host_id,
			map->items[i].size);
	return text.failed ? NULL : arena_strdup(arena, buf_str(&text));
}

bool plan_host_id(const struct spec_id_mappings *map, uint32_t container_id, uint32_t *ret)
{
	for (size_t i = 0; i < map->count; i++) {
		const struct spec_id_mapping *m = &map->items[i];

		if (container_id >= m->container_id && container_id - m->container_id < m->size) {
			*ret = m->host_id + (container_id - m->container_id);
			return true;
		}
	}
	return false;
}

/* ---- namespaces ---- */

/* A network namespace before the mounts that show it, a user namespace where plan_joins() puts it;
 * the mount namespace last, because the paths of the others are looked up in the present one. */
static const int join_order[] = {
	CLONE_NEWNET,
	CLONE_NEWIPC,
	CLONE_NEWUTS,
	CLONE_NEWCGROUP,
	CLONE_NEWTIME,
	CLONE_NEWPID,
	CLONE_NEWNS,
	CLONE_NEWUSER,
};

_Static_assert(ARRAY_LEN(join_order) <= PLAN_JOINS_MAX, "PLAN_JOINS_MAX");

static int plan_namespaces(struct plan *plan, struct arena *arena, struct err *err)
{
	const struct spec_config *config = plan->config;
	bool user_by_path = false;

	plan->joins = arena_array(arena, PLAN_JOINS_MAX, struct plan_join);
	if (!plan->joins)
		return err_sys(err, -ENOMEM, "planning namespaces");
	for (size_t i = 0; i < ARRAY_LEN(join_order); i++) {
		const struct spec_namespace *ns = spec_find_namespace(config, join_order[i]);

		if (!ns)
			continue;
		if (ns->path) {
			plan->joins[plan->njoins++] = (struct plan_join){ns->type, ns->path};
			user_by_path |= ns->type == CLONE_NEWUSER;
		} else if (ns->type == CLONE_NEWCGROUP) {
			plan->new_cgroup_namespace = true;
		} else {
			plan->new_namespaces |= (unsigned int)ns->type;
		}
	}
	for (size_t i = 0; i < plan->njoins; i++)
		if (plan->joins[i].type == CLONE_NEWNS)
			plan->mount_namespace = plan->joins[i].path;
	if (!(plan->new_namespaces & CLONE_NEWNS) && !plan->mount_namespace)
		return err_set(err, -EINVAL,
			"linux.namespaces: a \"mount\" namespace is needed: the runtime's own is "
			"the "
			"host's");
	/* Mounts are for root of the user namespace that the mount namespace belongs to. */
	if (plan->mount_namespace && (plan->new_namespaces & CLONE_NEWUSER))
		return err_set(err, -EINVAL,
			"linux.namespaces: a new user namespace can mount nothing in the \"mount\" "
			"namespace %s; join its user namespace as well, or none",
			plan->mount_namespace);
	/*
	 * The init process is cloned straight into new namespaces, and can join the others itself
	 * but for: a pid or time namespace, which only children enter; any namespace when it begins
	 * in a user namespace of its own, where it may no longer join what belongs to the host; and
	 * new ones that must belong to a joined user namespace.
	 */
	for (size_t i = 0; i < plan->njoins; i++)
		plan->relay |= (plan->joins[i].type & (CLONE_NEWPID | CLONE_NEWTIME)) != 0;
	plan->relay |= user_by_path;
	plan->relay |= plan->njoins > 0 && (plan->new_namespaces & CLONE_NEWUSER);
	return 0;
}

static int plan_time(struct plan *plan, struct arena *arena, struct err *err)
{
	const struct spec_linux *linux_ = &plan->config->linux_;
	autobuf struct buf text = {};

	if (linux_->time_monotonic)
		buf_printf(&text, "monotonic %lld %u\n", (long long)linux_->time_monotonic->secs,
			linux_->time_monotonic->nanosecs);
	if (linux_->time_boottime)
		buf_printf(&text, "boottime %lld %u\n", (long long)linux_->time_boottime->secs,
			linux_->time_boottime->nanosecs);
	if (!text.len)
		return 0;
	plan->time_offsets = arena_strdup(arena, buf_str(&text));
	/* Offsets can be set only while nobody is in the namespace, so before the clone. */
	plan->relay = true;
	return plan->time_offsets ? 0 : err_sys(err, -ENOMEM, "planning time offsets");
}

static bool maps_only(const struct spec_id_mappings *map, uint32_t id)
{
	return map->count == 1 && map->items[0].size == 1 && map->items[0].host_id == id;
}

static int plan_ids(
	struct plan *plan, const struct plan_host *host, struct arena *arena, struct err *err)
{
	const struct spec_linux *linux_ = &plan->config->linux_;
	const struct spec_process *process = plan->config->process;

	if (host->uid != 0 && !spec_find_namespace(plan->config, CLONE_NEWUSER))
		return err_set(err, -EPERM,
			"linux.namespaces: somebody who is not root needs a user namespace for the "
			"container; see brig-oci spec --rootless");
	if (plan->mount_namespace && !host->privileged)
		return err_set(err, -EPERM,
			"linux.namespaces: only root may join the \"mount\" namespace %s",
			plan->mount_namespace);
	if (!(plan->new_namespaces & CLONE_NEWUSER))
		return 0;
	if (!linux_->uid_mappings.count || !linux_->gid_mappings.count)
		return err_set(err, -EINVAL,
			"linux.%s: a new user namespace needs them, or nobody can be root in it",
			linux_->uid_mappings.count ? "gidMappings" : "uidMappings");
	if (!plan_host_id(&linux_->uid_mappings, 0, &plan->root_uid) ||
		!plan_host_id(&linux_->gid_mappings, 0, &plan->root_gid))
		return err_set(err, -EINVAL, "linux.%s: must map the container's id 0",
			plan->root_uid ? "gidMappings" : "uidMappings");
	plan->uid_map = plan_map_text(&linux_->uid_mappings, arena);
	plan->gid_map = plan_map_text(&linux_->gid_mappings, arena);
	if (!plan->uid_map || !plan->gid_map)
		return err_sys(err, -ENOMEM, "planning id maps");
	if (host->uid == 0) {
		plan->id_map = PLAN_ID_MAP_DIRECT;
	} else if (maps_only(&linux_->uid_mappings, host->uid) &&
		   maps_only(&linux_->gid_mappings, host->gid)) {
		/* The kernel lets anyone map just themselves, once setgroups(2) is given up. */
		plan->id_map = PLAN_ID_MAP_DIRECT;
		plan->deny_setgroups = true;
		if (process && process->user.additional_gids.count &&
			!spec_annotation(plan->config, "run.oci.keep_original_groups"))
			return err_set(err, -EPERM,
				"process.user.additionalGids: a user who maps only himself may "
				"set no groups; leave them out, or map a range of /etc/subgid");
	} else {
		plan->id_map = PLAN_ID_MAP_HELPER;
	}
	return 0;
}

/* ---- the rest ---- */

static int plan_sysctls(struct plan *plan, struct arena *arena, struct err *err)
{
	const struct pairs *list = &plan->config->linux_.sysctl;

	plan->sysctls = arena_array(arena, list->count, struct plan_sysctl);
	if (!plan->sysctls)
		return err_sys(err, -ENOMEM, "planning sysctls");
	for (size_t i = 0; i < list->count; i++) {
		char *path = arena_strdup(arena, list->items[i].key);

		if (!path)
			return err_sys(err, -ENOMEM, "planning sysctls");
		/* As sysctl(8): whichever of "." and "/" comes first separates, the other is part
		 * of a name (net.ipv4.conf.eth0/1.forwarding). */
		if (path[strcspn(path, "./")] == '.')
			for (char *p = path; *p; p++)
				*p = *p == '.' ? '/' : *p == '/' ? '.' : *p;
		plan->sysctls[plan->nsysctls++] =
			(struct plan_sysctl){.path = path, .value = list->items[i].value};
	}
	return 0;
}

int plan_make(const struct spec_config *config, const struct plan_request *request,
	const struct plan_host *host, struct arena *arena, struct plan *ret, struct err *err)
{
	struct plan plan = {.config = config, .request = *request};
	int r;

	if (!config->root)
		return err_set(err, -EINVAL, "config.json: root: is missing");
	plan.rootfs = plan_bundle_path(&plan, arena, config->root->path);
	if (!plan.rootfs)
		return err_sys(err, -ENOMEM, "planning the rootfs");
	plan.context_key = spec_annotation(config, "run.oci.mount_context_type") ?: "context";
	r = plan_namespaces(&plan, arena, err);
	if (r == 0)
		r = plan_time(&plan, arena, err);
	if (r == 0)
		r = plan_ids(&plan, host, arena, err);
	if (r == 0)
		r = plan_mounts(&plan, host, arena, err);
	if (r == 0)
		r = plan_devices(&plan, host, arena, err);
	if (r == 0)
		r = plan_sysctls(&plan, arena, err);
	if (r == 0)
		*ret = plan;
	return r;
}
