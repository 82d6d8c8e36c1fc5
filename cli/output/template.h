/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The templates of --format: the part of Go's text/template that people use with docker and
 * podman, over JSON values.
 *
 *   {{.A.B}} {{.}} {{$}} {{$x := …}} {{$x = …}} {{(…).A}} {{.Label "key"}} {{a | b | c}}
 *   {{if …}} {{else if …}} {{else}} {{range …}} {{range $i, $e := …}} {{with …}} {{break}}
 *   {{continue}} {{end}} {{- trims -}} and comments; strings, characters, numbers, true, false, nil
 *   and or not eq ne lt le gt ge len index slice print printf println html urlquery
 *   json join split lower upper title pad truncate
 *
 * template_parse() once, template_execute() for each row. A field that the data does not have is an
 * error, never an empty text. Templates come from the command line and data from anywhere; neither
 * can make this run for ever: nesting, steps and output are bounded. Pure functions; any process.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>

struct template;

/* −EINVAL with what is wrong and where ("template: 12: …"), −ENOMEM. */
int template_parse(const char *text, struct template **ret, struct err *err);
void template_free(struct template *template);

/* Appends what the template makes of DATA (which is not changed) to RET. −EINVAL; RET then has what
 * came before the error. */
int template_execute(
	const struct template *template, json_t *data, struct buf *ret, struct err *err);

static inline void template_release(struct template **template)
{
	template_free(*template);
	*template = NULL;
}
CLEANUP_DEFINE(template, struct template *, template_release)
#define autotemplate __attribute__((cleanup(cleanup_template)))
