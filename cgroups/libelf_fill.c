/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Debian 13's libelf.a refers to and does not contain: functions of elfutils' own libeu, for
 * object files that are opened by elf_begin(3). libbpf refers to that, and opens none for us.
 */
#include <stdlib.h>

void eu_search_tree_init(void *tree);
void eu_search_tree_fini(void *tree, void (*free_node)(void *node));

void eu_search_tree_init(void *tree)
{
	(void)tree;
	abort();
}

void eu_search_tree_fini(void *tree, void (*free_node)(void *node))
{
	(void)tree;
	(void)free_node;
	abort();
}
