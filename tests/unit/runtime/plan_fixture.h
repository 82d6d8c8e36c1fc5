/* SPDX-License-Identifier: Apache-2.0 */
/* A plan made from the members of a configuration, for the tests of the plan. */
#pragma once

#include "base/buf.h"
#include "runtime/plan.h"
#include "tests/unit/unit.h"

#include <sched.h>

struct plan_fixture {
	struct spec_config *config;
	struct arena arena;
	struct plan plan;
	struct plan_host host;
	struct err err;
};

static inline int plan_set_up(void **state)
{
	struct plan_fixture *f = calloc(1, sizeof(*f));

	f->host.privileged = true;
	*state = f;
	return 0;
}

static inline void plan_reset(struct plan_fixture *f)
{
	spec_config_free(f->config);
	arena_free(&f->arena);
	f->config = NULL;
	f->plan = (struct plan){};
	f->err = (struct err){};
}

static inline int plan_tear_down(void **state)
{
	plan_reset(*state);
	free(*state);
	return 0;
}

/* MEMBERS stand behind what every configuration has: "" or ", \"mounts\": …". NAMESPACES: what
 * linux.namespaces has besides a mount namespace, LINUX: further members of linux. */
static inline int plan_try(
	struct plan_fixture *f, const char *members, const char *namespaces, const char *linux_)
{
	const struct plan_request request = {.id = "box", .bundle = "/bundle"};
	autobuf struct buf text = {};

	plan_reset(f);
	buf_printf(&text,
		"{\"ociVersion\": \"1.3.0\", \"root\": {\"path\": \"rootfs\"},"
		"\"process\": {\"cwd\": \"/\", \"args\": [\"a\"], \"user\": {\"uid\": 0, \"gid\": "
		"0}}"
		"%s, \"linux\": {\"namespaces\": [{\"type\": \"mount\"}%s]%s}}",
		members, namespaces, linux_);
	if (spec_config_parse("config.json", text.data, text.len, &f->config, &f->err) < 0)
		fail_msg("%s", f->err.text);
	return plan_make(f->config, &request, &f->host, &f->arena, &f->plan, &f->err);
}

static inline void plan_ok(
	struct plan_fixture *f, const char *members, const char *namespaces, const char *linux_)
{
	if (plan_try(f, members, namespaces, linux_) < 0)
		fail_msg("%s", f->err.text);
}

static inline void plan_refused(struct plan_fixture *f, const char *members, const char *namespaces,
	const char *linux_, const char *words)
{
	assert_int_equal(plan_try(f, members, namespaces, linux_), -EINVAL);
	if (!strstr(f->err.text, words))
		fail_msg("no \"%s\" in \"%s\"", words, f->err.text);
}

#define PLAN_TEST(function) cmocka_unit_test_setup_teardown(function, plan_set_up, plan_tear_down)
