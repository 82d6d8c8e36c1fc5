/* SPDX-License-Identifier: Apache-2.0 */
/* completion. */
#include "cli/brig/images.h"
#include "cli/dump.h"

#include <string.h>

int completion_run(const struct invocation *inv, struct err *err)
{
	static const char *const shells[] = {"bash", "zsh", "fish"};

	for (size_t i = 0; i < ARRAY_LEN(shells); i++)
		if (strcmp(inv->args[0], shells[i]) == 0)
			return dump_tables(inv->program, shells[i], stdout, err);
	return err_set(
		err, -EINVAL, "there is no completion for \"%s\": bash, zsh or fish", inv->args[0]);
}
