/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/tables.h"

#include <linux/mempolicy.h>
#include <string.h>

static bool skip_number(const char **text, unsigned long *ret)
{
	size_t digits = strspn(*text, "0123456789");

	*ret = 0;
	if (!digits || digits > 6) /* far above any CPU or node */
		return false;
	for (; digits; digits--)
		*ret = *ret * 10 + (unsigned long)(*(*text)++ - '0');
	return true;
}

/* "N", "N-M" or "N-M:USED/GROUP", with white space around. */
static bool skip_range(const char **text)
{
	unsigned long first, last, used, group;

	*text += strspn(*text, " ");
	if (!skip_number(text, &first))
		return false;
	if (**text == '-') {
		++*text;
		if (!skip_number(text, &last) || last < first)
			return false;
		if (**text == ':') {
			++*text;
			if (!skip_number(text, &used) || *(*text)++ != '/' ||
				!skip_number(text, &group) || used > group || !used)
				return false;
		}
	}
	*text += strspn(*text, " ");
	return true;
}

bool spec_is_list(const char *text)
{
	if (!skip_range(&text))
		return false;
	while (*text == ',') {
		text++;
		if (!skip_range(&text))
			return false;
	}
	return *text == '\0';
}

/* The kernel's conditions; see set_mempolicy(2). */
int spec_check_memory_policy(void *out, const struct json_context *ctx)
{
	struct spec_memory_policy *policy = out;
	uint64_t placement = MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES;
	bool no_nodes = policy->mode == MPOL_DEFAULT || policy->mode == MPOL_LOCAL;

	if (policy->nodes && !*policy->nodes)
		policy->nodes = NULL;
	if (policy->nodes && !spec_is_list(policy->nodes))
		return json_fail(ctx, "nodes", "\"%s\" is no list of memory nodes such as \"0-1\"",
			policy->nodes);
	if (no_nodes && policy->nodes)
		return json_fail(ctx, "nodes", "MPOL_DEFAULT and MPOL_LOCAL take none: remove it");
	if (!no_nodes && policy->mode != MPOL_PREFERRED && !policy->nodes)
		return json_fail(ctx, "nodes", "is missing: this mode needs memory nodes");
	if ((policy->flags & placement) == placement)
		return json_fail(ctx, "flags",
			"MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other");
	if (policy->flags & placement && !policy->nodes)
		return json_fail(
			ctx, "flags", "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES need nodes");
	if (policy->flags & MPOL_F_NUMA_BALANCING && policy->mode != MPOL_BIND &&
		policy->mode != MPOL_PREFERRED_MANY)
		return json_fail(ctx, "flags",
			"MPOL_F_NUMA_BALANCING goes with MPOL_BIND and MPOL_PREFERRED_MANY only");
	return 0;
}
