/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/options.h"

#include "cli/containers/options_rows.h"

#include <string.h>

const struct json_name run_systemd_names[] = {
	{"true", RUN_SYSTEMD_AUTO},
	{"false", RUN_SYSTEMD_NEVER},
	{"always", RUN_SYSTEMD_ALWAYS},
	{NULL, 0},
};

const struct option run_options[] = {RUN_OPTION_ROWS, {NULL}};

int strings_add(struct strings *list, const char *item, struct arena *arena)
{
	const char **items = arena_array(arena, list->count + 1, const char *);

	if (!items || !item)
		return -ENOMEM;
	if (list->count)
		memcpy(items, list->items, list->count * sizeof(*items));
	items[list->count] = item;
	*list = (struct strings){.items = items, .count = list->count + 1};
	return 0;
}

bool strings_have(const struct strings *list, const char *item)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], item) == 0)
			return true;
	return false;
}

int run_options_read_lines(const char *name, const char *text, struct arena *arena,
	struct strings *ret, struct err *err)
{
	char *copy = arena_strdup(arena, text), *save = NULL;
	size_t number = 0;

	if (!copy)
		return err_sys(err, -ENOMEM, "%s", name);
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		size_t len = strlen(line);

		number++;
		if (len && line[len - 1] == '\r')
			line[--len] = '\0';
		line += strspn(line, " \t");
		if (!*line || *line == '#')
			continue;
		if (*line == '=' || strcspn(line, " \t") < strcspn(line, "="))
			return err_set(err, -EINVAL, "%s: line %zu: \"%.100s\" is not NAME=VALUE",
				name, number, line);
		if (strings_add(ret, line, arena) < 0)
			return err_sys(err, -ENOMEM, "%s", name);
	}
	return 0;
}
