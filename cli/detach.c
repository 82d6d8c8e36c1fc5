/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/detach.h"

#include <errno.h>
#include <string.h>

int detach_parse(const char *text, struct detach_keys *ret, struct err *err)
{
	const char *at = text ? text : "ctrl-p,ctrl-q";
	struct detach_keys keys = {};

	while (*at) {
		size_t n = strcspn(at, ",");
		unsigned char key = (unsigned char)*at;

		if (n == 6 && strncmp(at, "ctrl-", 5) == 0) {
			key = (unsigned char)at[5];
			if (key >= 'a' && key <= 'z')
				key = (unsigned char)(key - 'a' + 1);
			else if (key >= '@' && key <= '_')
				key = (unsigned char)(key - '@');
			else
				n = 0;
		}
		if ((n != 1 && n != 6) || keys.count == DETACH_KEYS_MAX)
			return err_set(err, -EINVAL,
				"--detach-keys: \"%s\" is not like ctrl-p,ctrl-q or a,b", text);
		keys.keys[keys.count++] = key;
		at += n + (at[n] == ',');
	}
	*ret = keys;
	return 0;
}

bool detach_filter(struct detach_keys *k, const char *data, size_t len, char *out, size_t *ret_len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (k->count && (unsigned char)data[i] == k->keys[k->matched]) {
			if (++k->matched == k->count) {
				*ret_len = n;
				return true;
			}
			continue;
		}
		for (size_t m = 0; m < k->matched; m++)
			out[n++] = (char)k->keys[m];
		k->matched = 0;
		if (k->count && (unsigned char)data[i] == k->keys[0])
			k->matched = 1;
		else
			out[n++] = data[i];
	}
	*ret_len = n;
	return false;
}
