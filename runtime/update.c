/* SPDX-License-Identifier: Apache-2.0 */
/* Process: a command's own. Other limits for a container that exists. */
#include "base/log.h"
#include "runtime/backend.h"
#include "runtime/lifecycle.h"
#include "runtime/rdt.h"

static int check(const struct container *c, struct err *err)
{
	enum container_status status = container_status(c);

	if (status == CONTAINER_CREATING || status == CONTAINER_STOPPED)
		return err_set(err, -EINVAL, "container \"%s\" is %s: container not running", c->id,
			container_status_name(status));
	if (c->cgroup.driver == CGROUP_DISABLED)
		return err_set(err, -ENOTSUP,
			"container \"%s\": update needs a cgroup, and it runs without "
			"(--cgroup-manager)",
			c->id);
	return 0;
}

/* As at creation: somebody who is not root cannot load a filter, and needs none. */
static int apply_devices(const struct container *c, struct cgroup *cgroup,
	const struct spec_resources *resources, struct err *err)
{
	int r;

	if (!resources->devices.count)
		return 0;
	r = cgroup_apply_devices(cgroup, resources, true, err);
	if (r == -EPERM && (c->rt->rootless || c->cgroup.rootless)) {
		log_debug("%s", err->text);
		err_clear(err);
		r = 0;
	}
	return r;
}

static int apply_rdt(
	const struct container *c, const struct update_options *options, struct err *err)
{
	const struct spec_intel_rdt change = {
		.l3_cache_schema = options->l3_cache_schema,
		.mem_bw_schema = options->mem_bw_schema,
	};
	autospec struct spec_config *config = NULL;
	autoclose int top = -1;
	int r;

	if (!change.l3_cache_schema && !change.mem_bw_schema)
		return 0;
	r = container_config(c, &config, err);
	if (r < 0)
		return r;
	if (!config->linux_.intel_rdt)
		return err_set(err, -EINVAL,
			"--l3-cache-schema, --mem-bw-schema: the container was made without "
			"linux.intelRdt");
	top = rdt_open(err);
	return top < 0 ? top : rdt_update(top, c->id, config->linux_.intel_rdt, &change, err);
}

int container_update(const struct runtime *rt, const char *id, const struct update_options *options,
	struct err *err)
{
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1};
	autocgroup struct cgroup *cgroup = NULL;
	autoarena struct arena arena = {};
	const struct spec_resources *resources = options->resources;
	struct spec_resources hosts;
	int r = container_open(rt, id, true, &c, err);

	if (r == 0)
		r = check(&c, err);
	if (r == 0)
		r = container_cgroup(&c, &cgroup, err);
	if (r == 0 && container_backend(&c)) {
		r = container_backend(&c)->update(&c, resources, &arena, &hosts, err);
		resources = &hosts;
	}
	if (r < 0)
		return r;
	r = cgroup_apply(cgroup, resources, err);
	if (r == 0)
		r = apply_devices(&c, cgroup, resources, err);
	if (r == 0)
		r = apply_rdt(&c, options, err);
	return r < 0 ? err_add(err, "container \"%s\"", id) : 0;
}
