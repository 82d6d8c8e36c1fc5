/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/mounts.h"
#include "tests/unit/runtime/plan_fixture.h"

#include <sys/mount.h>

/* Whether the mount with these MEMBERS is plain; then its flags and text are as wanted. */
static void check(struct plan_fixture *f, const char *destination, const char *members, bool plain,
	unsigned long flags, const char *data)
{
	autobuf struct buf text = {}, config = {};
	unsigned long found = 0;

	buf_printf(&config, ", \"mounts\": [{\"destination\": \"%s\"%s}]", destination, members);
	plan_ok(f, buf_str(&config), "", "");
	assert_int_equal(mounts_is_plain(&f->plan.mounts[0], &found, &text), plain);
	if (plain) {
		assert_int_equal(found, flags);
		assert_string_equal(buf_str(&text), data);
	}
	plan_reset(f);
}

static void test_what_one_call_can_say(void **state)
{
	check(*state, "/proc",
		", \"type\": \"proc\", \"options\": [\"nosuid\", \"noexec\", \"nodev\"]", true,
		MS_NOSUID | MS_NOEXEC | MS_NODEV, "");
	check(*state, "/dev/shm",
		", \"type\": \"tmpfs\", \"options\": [\"strictatime\", \"mode=1777\", "
		"\"size=64k\"]",
		true, MS_STRICTATIME, "mode=1777,size=64k");
	check(*state, "/dev/mqueue", ", \"type\": \"mqueue\", \"options\": [\"private\"]", true, 0,
		"");
	check(*state, "/x",
		", \"type\": \"tmpfs\", \"options\": [\"mode=700\", \"noatime\", \"nodiratime\"]",
		true, MS_NOATIME | MS_NODIRATIME, "mode=700");
}

static void test_what_it_cannot(void **state)
{
	static const char *const options[] = {
		"\"ro\"",                   /* would be the superblock's too */
		"\"sync\"",                 /* likewise */
		"\"rro\"",                  /* of a tree */
		"\"shared\"", "\"rslave\"", /* a call of its own */
		"\"nosymfollow\"",          /* the short way knows no word for it */
		"\"size=1k,uid=1000\"",     /* a comma separates there */
		"\"tmpcopyup\"",            /* needs a descriptor */
	};

	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		autobuf struct buf members = {};

		buf_printf(&members, ", \"type\": \"tmpfs\", \"options\": [\"mode=755\", %s]",
			options[i]);
		check(*state, "/x", buf_str(&members), false, 0, NULL);
	}
	/* It gets the mode of what it covers; /dev gets devices. */
	check(*state, "/x", ", \"type\": \"tmpfs\"", false, 0, NULL);
	check(*state, "/dev", ", \"type\": \"tmpfs\", \"options\": [\"mode=755\"]", false, 0, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAN_TEST(test_what_one_call_can_say),
		PLAN_TEST(test_what_it_cannot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
