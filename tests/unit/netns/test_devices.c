/* SPDX-License-Identifier: Apache-2.0 */
/* Links between two network namespaces of the test's own. Needs root and iproute2. */
#include "netns/devices.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>

struct fixture {
	int host, inside;
	bool usable;
	struct err err;
	struct netns_devices *devices;
};

static int own_netns(void)
{
	return sys_openat(AT_FDCWD, "/proc/self/ns/net", O_RDONLY, 0);
}

/* Runs COMMAND by the shell in the namespace NETNS; its exit status. */
static int shell(struct fixture *f, int netns, const char *command)
{
	int r;

	assert_int_equal(sys_setns(netns, CLONE_NEWNET), 0);
	r = system(command);
	assert_int_equal(sys_setns(f->host, CLONE_NEWNET), 0);
	return r;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	f->host = f->inside = -1;
	if (getuid() != 0 || sys_unshare(CLONE_NEWNET) < 0)
		return 0;
	f->inside = own_netns();
	if (sys_unshare(CLONE_NEWNET) < 0)
		return 0;
	f->host = own_netns();
	f->usable = shell(f, f->host,
			    "ip link add a0 mtu 1400 type veth peer name b0 2>/dev/null &&"
			    "ip addr add 192.0.2.7/24 brd 192.0.2.255 dev a0 &&"
			    "ip addr add 2001:db8::7/64 nodad dev a0 && ip link set a0 up && "
			    "ip link set b0 up") == 0;
	if (!f->usable)
		print_message("skip: needs root, network namespaces and veth links\n");
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	netns_devices_free(f->devices);
	cleanup_close(&f->host);
	cleanup_close(&f->inside);
	free(f);
	return 0;
}

#define NEED_LINKS(f)           \
	do {                    \
		if (!f->usable) \
			skip(); \
	} while (0)

static int move(struct fixture *f, const struct spec_net_device *list, size_t count)
{
	return netns_devices_move(list, count, f->inside, &f->devices, &f->err);
}

/* The link NAME is in NETNS, with its addresses, up. */
static void assert_link(struct fixture *f, int netns, const char *name)
{
	char command[256];

	snprintf(command, sizeof(command),
		"t=$(ip addr show %s) && for w in 'mtu 1400' UP '192.0.2.7/24 brd 192.0.2.255 "
		"scope "
		"global' '2001:db8::7/64 scope global'; do case $t in *\"$w\"*) ;; *) echo \"$w: "
		"$t\"; "
		"exit 1 ;; esac; done",
		name);
	assert_int_equal(shell(f, netns, command), 0);
}

static void test_move_and_rename(void **state)
{
	struct fixture *f = *state;
	const struct spec_net_device list[] = {{"a0", "eth0"}};

	NEED_LINKS(f);
	if (move(f, list, 1) < 0)
		fail_msg("%s", f->err.text);
	assert_link(f, f->inside, "eth0");
	assert_int_not_equal(shell(f, f->host, "ip link show a0 2>/dev/null"), 0);
	netns_devices_return(f->devices);
	assert_link(f, f->host, "a0");
	assert_int_not_equal(shell(f, f->inside, "ip link show eth0 2>/dev/null"), 0);
}

static void test_same_name_and_template(void **state)
{
	struct fixture *f = *state;
	const struct spec_net_device list[] = {{"a0", NULL}, {"b0", "net%d"}};

	NEED_LINKS(f);
	assert_int_equal(shell(f, f->inside, "ip link add net0 type veth peer name other"), 0);
	if (move(f, list, 2) < 0)
		fail_msg("%s", f->err.text);
	assert_link(f, f->inside, "a0");
	assert_int_equal(shell(f, f->inside, "ip link show net1 >/dev/null"), 0);
}

/* The host's name may be taken in the container when the new one is free. */
static void test_taken_names(void **state)
{
	struct fixture *f = *state;
	const struct spec_net_device renamed[] = {{"a0", "eth0"}}, same[] = {{"b0", NULL}};

	NEED_LINKS(f);
	assert_int_equal(shell(f, f->inside, "ip link add a0 type veth peer name b0"), 0);
	assert_int_equal(move(f, same, 1), -EEXIST);
	assert_non_null(strstr(f->err.text, "linux.netDevices: b0: "));
	if (move(f, renamed, 1) < 0)
		fail_msg("%s", f->err.text);
	assert_link(f, f->inside, "eth0");
}

/* All go back when one cannot be moved. */
static void test_all_or_none(void **state)
{
	struct fixture *f = *state;
	const struct spec_net_device missing[] = {{"a0", "eth0"}, {"nodevice", NULL}};
	const struct spec_net_device stuck[] = {{"a0", "eth0"}, {"lo", "lo1"}};

	NEED_LINKS(f);
	assert_int_equal(move(f, missing, 2), -ENODEV);
	assert_non_null(strstr(f->err.text, "linux.netDevices: nodevice: "));
	assert_link(f, f->host, "a0");
	assert_int_equal(shell(f, f->host, "ip link set lo up"), 0);
	f->err = (struct err){};
	assert_true(move(f, stuck, 2) < 0); /* the kernel does not let go of it */
	assert_non_null(strstr(f->err.text, "linux.netDevices: lo: "));
	assert_link(f, f->host, "a0");
	assert_int_equal(
		shell(f, f->host,
			"ip addr show lo | grep -q '127.0.0.1/8' && ip link show lo | grep -q UP"),
		0);
	assert_null(f->devices);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_move_and_rename),
		TEST(test_same_name_and_template),
		TEST(test_taken_names),
		TEST(test_all_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
