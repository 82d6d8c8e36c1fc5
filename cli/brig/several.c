/* SPDX-License-Identifier: Apache-2.0 */
/* Process: a command's own. */
#include "cli/brig/several.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/brig/images.h"
#include "cli/output/list.h"

void several_failed(int *code, const struct err *why)
{
	log_failure("brig", why);
	*code = 1;
}

int several_inspect(struct brig *b, const char *format, several_find find, struct err *err)
{
	const struct invocation *inv = b->inv;
	autojson json_t *values = json_array();
	autobuf struct buf text = {};
	int code = 0, r;

	for (size_t i = 0; i < inv->arg_count; i++) {
		json_t *json = NULL;
		struct err why = {};

		if (find(b, inv->args[i], &json, &why) < 0)
			several_failed(&code, &why);
		else if (json_array_append_new(values, json) < 0)
			return err_sys(err, -ENOMEM, "inspect");
	}
	r = list_print_values(format, values, &text, err);
	if (r == 0)
		r = print_buf(&text, err);
	return r < 0 ? r : code;
}
