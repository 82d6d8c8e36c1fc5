/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/devices.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "netns/netlink.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum { ADDRESSES_MAX = 256, DUMP_TRIES = 5 };

/* One address, as it is made again. */
struct address {
	uint8_t family, prefix;
	uint32_t flags;
	uint8_t local[16], peer[16], broadcast[16];
	uint8_t local_len, peer_len, broadcast_len;
};

struct device {
	const struct spec_net_device *spec;
	char passing[IFNAMSIZ]; /* the name under which it passes from one to the other */
	uint32_t index;         /* where it is now */
	bool was_up, touched, moved;
	struct address *addresses;
	size_t naddresses;
};

struct netns_devices {
	int host, inside; /* netlink sockets */
	int host_netns, inside_netns;
	struct device *items;
	size_t count;
};

/* ---- links ---- */

struct link {
	uint32_t index;
	unsigned int flags; /* IFF_… */
};

static int take_link(const struct nlmsghdr *message, void *arg)
{
	const struct ifinfomsg *info = netlink_body(message, sizeof(*info));
	struct link *link = arg;

	if (message->nlmsg_type == RTM_NEWLINK && info)
		*link = (struct link){(uint32_t)info->ifi_index, info->ifi_flags};
	return 0;
}

/* −ENODEV when there is none of that name. */
static int find_link(int sock, const char *name, struct link *ret, struct err *err)
{
	struct netlink_request request;
	struct ifinfomsg info = {};
	struct link link = {};
	int r;

	netlink_begin(&request, RTM_GETLINK, 0, &info, sizeof(info));
	netlink_put_text(&request, IFLA_IFNAME, name);
	r = netlink_talk(sock, &request, take_link, &link, err);
	if (r == 0 && !link.index)
		r = err_sys(err, -ENODEV, "netlink");
	if (r == 0)
		*ret = link;
	return r;
}

static void begin_change(struct netlink_request *request, uint32_t index, unsigned int up)
{
	struct ifinfomsg info = {
		.ifi_index = (int)index,
		.ifi_flags = up,
		.ifi_change = IFF_UP,
	};

	netlink_begin(request, RTM_NEWLINK, 0, &info, sizeof(info));
}

static int set_state(int sock, uint32_t index, bool up, struct err *err)
{
	struct netlink_request request;

	begin_change(&request, index, up ? IFF_UP : 0);
	return netlink_talk(sock, &request, NULL, NULL, err);
}

static int set_name(int sock, uint32_t index, const char *name, struct err *err)
{
	struct netlink_request request;

	begin_change(&request, index, 0);
	netlink_put_text(&request, IFLA_IFNAME, name);
	return netlink_talk(sock, &request, NULL, NULL, err);
}

static int send_to(int sock, uint32_t index, int netns, struct err *err)
{
	struct netlink_request request;

	begin_change(&request, index, 0);
	netlink_put_u32(&request, IFLA_NET_NS_FD, (uint32_t)netns);
	return netlink_talk(sock, &request, NULL, NULL, err);
}

/* ---- addresses ---- */

static uint8_t copy_address(const struct nlmsghdr *message, uint16_t type, uint8_t ret[16])
{
	const struct rtattr *a = netlink_find(message, sizeof(struct ifaddrmsg), type, 4);
	size_t n = a ? netlink_attribute_len(a) : 0;

	if (n > 16)
		return 0;
	if (n)
		memcpy(ret, RTA_DATA(a), n);
	return (uint8_t)n;
}

static int take_address(const struct nlmsghdr *message, void *arg)
{
	const struct ifaddrmsg *info = netlink_body(message, sizeof(*info));
	const struct rtattr *wide = netlink_find(message, sizeof(*info), IFA_FLAGS, 4);
	struct device *device = arg;
	struct address a, *items;

	if (message->nlmsg_type != RTM_NEWADDR || !info || info->ifa_index != device->index)
		return 0;
	a = (struct address){info->ifa_family, info->ifa_prefixlen, info->ifa_flags};
	if (wide)
		memcpy(&a.flags, RTA_DATA(wide), sizeof(a.flags));
	if (!(a.flags & IFA_F_PERMANENT) || info->ifa_scope != RT_SCOPE_UNIVERSE)
		return 0;
	if (device->naddresses == ADDRESSES_MAX)
		return -E2BIG;
	a.local_len = copy_address(message, IFA_LOCAL, a.local);
	a.peer_len = copy_address(message, IFA_ADDRESS, a.peer);
	a.broadcast_len = copy_address(message, IFA_BROADCAST, a.broadcast);
	items = realloc(device->addresses, (device->naddresses + 1) * sizeof(*items));
	if (!items)
		return -ENOMEM;
	items[device->naddresses++] = a;
	device->addresses = items;
	return 0;
}

static int read_addresses(int sock, struct device *device, struct err *err)
{
	struct netlink_request request;
	struct ifaddrmsg info = {.ifa_index = device->index};
	int r = -EINTR;

	for (int i = 0; i < DUMP_TRIES && r == -EINTR; i++) {
		err_clear(err);
		device->naddresses = 0;
		netlink_begin(&request, RTM_GETADDR, NLM_F_DUMP, &info, sizeof(info));
		r = netlink_talk(sock, &request, take_address, device, err);
	}
	return r < 0 ? err_add(err, "read its addresses") : 0;
}

static int add_address(int sock, uint32_t index, const struct address *a, struct err *err)
{
	struct netlink_request request;
	struct ifaddrmsg info = {
		.ifa_family = a->family,
		.ifa_prefixlen = a->prefix,
		.ifa_index = index,
		.ifa_scope = RT_SCOPE_UNIVERSE,
	};
	int r;

	netlink_begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &info, sizeof(info));
	if (a->local_len)
		netlink_put(&request, IFA_LOCAL, a->local, a->local_len);
	if (a->peer_len)
		netlink_put(&request, IFA_ADDRESS, a->peer, a->peer_len);
	if (a->broadcast_len)
		netlink_put(&request, IFA_BROADCAST, a->broadcast, a->broadcast_len);
	/* The others tell what became of the address, not how it was asked for. */
	netlink_put_u32(&request, IFA_FLAGS,
		IFA_F_PERMANENT | (a->flags & (IFA_F_NOPREFIXROUTE | IFA_F_HOMEADDRESS)));
	r = netlink_talk(sock, &request, NULL, NULL, err);
	return r < 0 ? err_add(err, "give it its addresses again") : 0;
}

static int add_addresses(int sock, const struct device *device, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < device->naddresses && r == 0; i++)
		r = add_address(sock, device->index, &device->addresses[i], err);
	return r;
}

/* ---- moving ---- */

static const char *final_name(const struct device *device)
{
	return device->spec->name ? device->spec->name : device->spec->host_name;
}

/* Before anything is changed. */
static int check_name(const struct netns_devices *d, const struct device *device, struct err *err)
{
	const char *name = final_name(device);
	struct err ignored = {};
	struct link there;

	if (!strchr(name, '%') && find_link(d->inside, name, &there, &ignored) == 0)
		return err_set(err, -EEXIST,
			"the container's network namespace has a device \"%s\" already", name);
	return 0;
}

static int make_passing_name(struct device *device, struct err *err)
{
	uint32_t random[2];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return err_sys(err, -errno, "getrandom");
	snprintf(device->passing, sizeof(device->passing), "m%08x%05x", random[0],
		random[1] & 0xfffff);
	return 0;
}

static int send_device(struct netns_devices *d, struct device *device, struct err *err)
{
	struct link link;
	int r = find_link(d->host, device->spec->host_name, &link, err);

	if (r == -ENODEV)
		return err_set(err, r, "there is no such network device");
	if (r == 0)
		r = check_name(d, device, err);
	if (r < 0)
		return r;
	device->index = link.index;
	device->was_up = link.flags & IFF_UP;
	r = read_addresses(d->host, device, err);
	if (r == 0)
		r = make_passing_name(device, err);
	if (r == 0)
		r = set_state(d->host, device->index, false, err);
	device->touched = r == 0;
	if (r == 0)
		r = set_name(d->host, device->index, device->passing, err);
	if (r == 0)
		r = send_to(d->host, device->index, d->inside_netns, err);
	device->moved = r == 0;
	return r < 0 ? err_add(err, "move it") : 0;
}

static int receive_device(struct netns_devices *d, struct device *device, struct err *err)
{
	struct link link;
	int r = find_link(d->inside, device->passing, &link, err);

	if (r < 0)
		return r;
	device->index = link.index; /* another one if that number was taken there */
	r = set_name(d->inside, device->index, final_name(device), err);
	if (r < 0)
		return err_add(err, "name it \"%s\"", final_name(device));
	r = add_addresses(d->inside, device, err);
	return r < 0 ? r : set_state(d->inside, device->index, true, err);
}

/* Every step is tried, whatever became of the one before. */
static void return_device(struct netns_devices *d, struct device *device)
{
	struct err ignored = {};
	struct link link;

	if (device->moved) {
		if (find_link(d->inside, device->passing, &link, &ignored) == 0)
			device->index = link.index;
		set_state(d->inside, device->index, false, &ignored);
		set_name(d->inside, device->index, device->passing, &ignored);
		if (send_to(d->inside, device->index, d->host_netns, &ignored) < 0)
			return;
		device->moved = false;
	}
	if (!device->touched)
		return;
	if (find_link(d->host, device->passing, &link, &ignored) == 0) {
		device->index = link.index;
		set_name(d->host, device->index, device->spec->host_name, &ignored);
	}
	add_addresses(d->host, device, &ignored);
	set_state(d->host, device->index, device->was_up, &ignored);
	device->touched = false;
}

/* A socket belongs to the namespace in which it was made. */
static int open_inside(struct netns_devices *d, struct err *err)
{
	int r = sys_setns(d->inside_netns, CLONE_NEWNET);

	if (r < 0)
		return err_sys(err, r, "enter the container's network namespace");
	d->inside = netlink_open(err);
	r = sys_setns(d->host_netns, CLONE_NEWNET);
	if (r < 0) /* nothing may be done to the host from here on: it would hit the container */
		return err_sys(err, r, "leave the container's network namespace");
	return d->inside < 0 ? err->code : 0;
}

static int open_sockets(struct netns_devices *d, int netns, struct err *err)
{
	int r = d->host_netns = sys_openat(AT_FDCWD, "/proc/self/ns/net", O_RDONLY, 0);

	if (r >= 0)
		r = d->inside_netns = sys_dup(netns);
	if (r < 0)
		return err_sys(err, r, "open the network namespace");
	r = d->host = netlink_open(err);
	return r < 0 ? r : open_inside(d, err);
}

int netns_devices_move(const struct spec_net_device *list, size_t count, int netns,
	struct netns_devices **ret, struct err *err)
{
	struct netns_devices *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return err_sys(err, -ENOMEM, "linux.netDevices");
	d->host = d->inside = d->host_netns = d->inside_netns = -1;
	d->items = calloc(count + 1, sizeof(*d->items));
	r = d->items ? open_sockets(d, netns, err) : err_sys(err, -ENOMEM, "network devices");
	for (size_t i = 0; i < count && r == 0; i++) {
		struct device *device = &d->items[d->count++];

		device->spec = &list[i];
		r = send_device(d, device, err);
		if (r == 0)
			r = receive_device(d, device, err);
		if (r < 0)
			err_add(err, "%s", list[i].host_name);
	}
	if (r < 0) {
		netns_devices_return(d);
		netns_devices_free(d);
		return err_add(err, "linux.netDevices");
	}
	*ret = d;
	return 0;
}

void netns_devices_return(struct netns_devices *devices)
{
	for (size_t i = devices->count; i-- > 0;)
		return_device(devices, &devices->items[i]);
}

void netns_devices_free(struct netns_devices *devices)
{
	if (!devices)
		return;
	for (size_t i = 0; i < devices->count; i++)
		free(devices->items[i].addresses);
	cleanup_close(&devices->host);
	cleanup_close(&devices->inside);
	cleanup_close(&devices->host_netns);
	cleanup_close(&devices->inside_netns);
	free(devices->items);
	free(devices);
}
