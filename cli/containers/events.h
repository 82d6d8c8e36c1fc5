/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to containers and other things, for `events`: one line of JSON for each in
 * RUN/events, written by whoever does it. Two files of bounded size; readers need no lock.
 */
#pragma once

#include "base/err.h"
#include "base/json.h"

/*
 * Notes that ACTION ("start", "die", "pull" …) happened to the TYPE ("container", "image", …) ID.
 * ATTRIBUTES, pairs of strings that end with NULL, tell more. What cannot be written is lost: it is
 * never a reason to fail. RUN is the directory of what does not outlive a boot.
 */
void events_note(int run, const char *type, const char *action, const char *id, ...)
	__attribute__((sentinel));

struct events_reader {
	int (*event)(const json_t *event, void *arg); /* not 0: stop */
	bool (*wait)(void *arg); /* no more for now: false ends; NULL: do not wait */
	void *arg;
};
int events_read(int run, const struct events_reader *reader, struct err *err);
