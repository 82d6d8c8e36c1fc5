/* SPDX-License-Identifier: Apache-2.0 */
#include "base/path.h"
#include "spec/config.h"

#include <limits.h>
#include <string.h>

static void exchange_separators(char *key)
{
	for (; *key; key++) {
		if (*key == '.')
			*key = '/';
		else if (*key == '/')
			*key = '.';
	}
}

int spec_sysctl_path(const char *key, struct arena *arena, const char **ret)
{
	char *path = arena_strdup(arena, key);
	char name[NAME_MAX + 1];

	if (!path)
		return -ENOMEM;
	/* What separates is decided by which comes first; the other one is then part of a name,
	 * as in net/ipv4/conf/eth0.7 or net.ipv4.conf.eth0/7; see sysctl(8). */
	if (key[strcspn(key, "./")] == '.')
		exchange_separators(path);
	for (const char *p = path;; p++) {
		size_t n = strcspn(p, "/");

		if (n > NAME_MAX)
			return -EINVAL;
		memcpy(name, p, n);
		name[n] = '\0';
		if (!path_is_component(name))
			return -EINVAL;
		p += n;
		if (!*p)
			break;
	}
	*ret = path;
	return 0;
}
