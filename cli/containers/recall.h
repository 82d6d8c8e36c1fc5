/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts of containers' files, kept in RUN/records for the next who lists all of them: reading a
 * thousand folders takes ten times as long as asking when each was last changed.
 *
 * A text is valid as long as its folder has the same number and time of change, because these files
 * are only ever replaced by rename(2), which every version of brig does and which changes the
 * folder's ctime. File systems count that time in steps of up to a second: a folder that was
 * changed in the last two is not kept, so that a later change always has a later time. What is here
 * is never needed: without the file, or with a damaged one, everything is read anew. Readers and
 * writers take no lock, since the file is replaced as a whole.
 *
 * In order: recall_open(); for each container recall_find(), and recall_keep() with what it gave or
 * with what was read after the folder was looked at; recall_close() writes the file when enough is
 * new, or one is gone. recall_find() once for each. The process of a command.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct recall;

struct recall_texts {
	const char *record, *status; /* .status NULL: the container has none */
	size_t record_len, status_len;
};

/* RUN is borrowed. NULL without memory, which the other functions take. */
struct recall *recall_open(int run);
/* What the folder of ID had, which has the status FOLDER: borrowed until recall_close(). */
bool recall_find(
	struct recall *recall, const char *id, const struct stat *folder, struct recall_texts *ret);
void recall_keep(struct recall *recall, const char *id, const struct stat *folder,
	const struct recall_texts *texts);
/* ALL: every container was seen. */
void recall_close(struct recall *recall, bool all);
