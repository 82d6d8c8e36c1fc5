/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/port.h"

#include "base/json.h"
#include "base/parse.h"
#include "base/sys.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum { PORTS_MAX = 4096, CHOICE_TRIES = 64 };

static const struct json_name protocol_names[] = {
	{"tcp", PORT_TCP},
	{"udp", PORT_UDP},
	{"sctp", PORT_SCTP},
	{NULL, 0},
};

const char *port_protocol_name(int protocol)
{
	return json_name_of(protocol_names, protocol);
}

/* "80", "8000-8010". Zero is no port. */
static int parse_range(char *text, uint16_t *ret_first, uint16_t *ret_count)
{
	char *dash = strchr(text, '-');
	uint32_t first, last;
	int r;

	if (dash)
		*dash = '\0';
	r = parse_u32(text, &first);
	if (dash)
		*dash = '-'; /* whole again, for who tells of it */
	if (r < 0 || parse_u32(dash ? dash + 1 : text, &last) < 0)
		return -EINVAL;
	if (first == 0 || last > UINT16_MAX || last < first)
		return -EINVAL;
	*ret_first = (uint16_t)first;
	*ret_count = (uint16_t)(last - first + 1);
	return 0;
}

/* Cuts what stands behind SEPARATOR off TEXT, from the end; NULL when there is none. */
static char *cut_last(char *text, char separator)
{
	char *at = strrchr(text, separator);

	if (at)
		*at++ = '\0';
	return at;
}

static int take_protocol(char *text, struct port *port, struct err *err)
{
	const char *name = cut_last(text, '/');
	int64_t value = PORT_TCP;

	if (name && !json_name_find(protocol_names, name, &value))
		return err_set(err, -EINVAL, "\"%s\" is none of tcp, udp and sctp", name);
	port->protocol = (int)value;
	return 0;
}

static int take_host_ip(char *text, struct port *port, struct err *err)
{
	size_t len = strlen(text);
	struct address a;

	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text[len - 1] = '\0';
		text++;
	}
	if (!*text)
		return 0;
	if (address_parse(text, &a) < 0)
		return err_set(err, -EINVAL, "\"%s\" is no address", text);
	port->host_ip = a; /* "0.0.0.0" and "[::]": every address of this family */
	return 0;
}

static int take_host_port(char *text, struct port *port, struct err *err)
{
	uint16_t count;

	if (!*text || strcmp(text, "0") == 0)
		return 0;
	if (parse_range(text, &port->host, &count) < 0)
		return err_set(err, -EINVAL, "\"%s\" is no port or range of ports", text);
	if (count != port->count && port->count != 1)
		return err_set(
			err, -EINVAL, "the two ranges have %u and %u ports", count, port->count);
	if (count != port->count)
		port->host_choices = count;
	return 0;
}

static int parse(char *text, struct port *port, struct err *err)
{
	char *container, *host;
	int r = take_protocol(text, port, err);

	if (r < 0)
		return r;
	container = cut_last(text, ':');
	if (parse_range(container ? container : text, &port->container, &port->count) < 0)
		return err_set(err, -EINVAL, "\"%s\" is no port or range of ports",
			container ? container : text);
	if (!container)
		return 0;
	/* What is left is HOST-PORT, or HOST-IP:HOST-PORT. */
	if (*text == '[' && text[strlen(text) - 1] == ']')
		return take_host_ip(text, port, err);
	host = cut_last(text, ':');
	if (!host)
		return strchr(text, '.') ? take_host_ip(text, port, err)
					 : take_host_port(text, port, err);
	if (*text != '[' && strchr(text, ':'))
		return err_set(err, -EINVAL, "an IPv6 address goes in brackets");
	r = take_host_port(host, port, err);
	return r < 0 ? r : take_host_ip(text, port, err);
}

static int append(struct ports *list, const struct port *port, struct arena *arena, struct err *err)
{
	struct port *items;

	if (list->count >= PORTS_MAX)
		return err_set(err, -E2BIG, "more than %d published ports or ranges", PORTS_MAX);
	items = arena_array(arena, list->count + 1, struct port);
	if (!items)
		return err_sys(err, -ENOMEM, "published ports");
	if (list->count)
		memcpy(items, list->items, list->count * sizeof(*items));
	items[list->count] = *port;
	*list = (struct ports){items, list->count + 1};
	return 0;
}

int port_parse(const char *text, struct arena *arena, struct ports *ret, struct err *err)
{
	char *copy = arena_strdup(arena, text);
	struct port port = {};
	int r;

	if (!copy)
		return err_sys(err, -ENOMEM, "published ports");
	r = parse(copy, &port, err);
	/* A row without a start has none that is free as a whole: each is chosen for itself. */
	for (uint32_t i = 0; r == 0 && port.host == 0 && i + 1 < port.count; i++) {
		struct port one = port;

		one.container = (uint16_t)(port.container + i);
		one.count = 1;
		r = append(ret, &one, arena, err);
	}
	if (r == 0 && port.host == 0) {
		port.container = (uint16_t)(port.container + port.count - 1);
		port.count = 1;
	}
	if (r == 0)
		r = append(ret, &port, arena, err);
	return r < 0 ? err_add(err, "published port \"%s\"", text) : 0;
}

static bool has_container_port(const struct ports *ports, uint32_t number, int protocol)
{
	for (size_t i = 0; i < ports->count; i++) {
		const struct port *p = &ports->items[i];

		if (p->protocol == protocol && number >= p->container &&
			number < (uint32_t)p->container + p->count)
			return true;
	}
	return false;
}

int port_parse_exposed(const char *text, struct arena *arena, struct ports *ret, struct err *err)
{
	char *copy = arena_strdup(arena, text);
	struct port port = {};
	uint16_t first, count;
	int r;

	if (!copy)
		return err_sys(err, -ENOMEM, "exposed ports");
	r = take_protocol(copy, &port, err);
	if (r == 0 && parse_range(copy, &first, &count) < 0)
		r = err_set(err, -EINVAL, "\"%s\" is no port or range of ports", copy);
	for (uint32_t i = 0; r == 0 && i < count; i++) {
		port.container = (uint16_t)(first + i);
		port.count = 1;
		if (!has_container_port(ret, port.container, port.protocol))
			r = append(ret, &port, arena, err);
	}
	return r < 0 ? err_add(err, "exposed port \"%s\"", text) : 0;
}

/* ---- who has which ---- */

static bool same_place(const struct port *a, const struct port *b)
{
	const struct address *x = &a->host_ip, *y = &b->host_ip;

	if (a->protocol != b->protocol)
		return false;
	if (!x->family || !y->family)
		return true;
	if (x->family != y->family)
		return false;
	return address_is_any(x) || address_is_any(y) || address_equal(x, y);
}

/* The first port that both want, or 0. */
static uint16_t common_port(const struct port *a, const struct port *b)
{
	uint32_t first = a->host > b->host ? a->host : b->host;
	uint32_t a_end = (uint32_t)a->host + a->count, b_end = (uint32_t)b->host + b->count;

	if (!a->host || !b->host || a->host_choices || b->host_choices || !same_place(a, b))
		return 0;
	return first < a_end && first < b_end ? (uint16_t)first : 0;
}

int port_check_overlap(
	const struct ports *ports, const struct ports *others, const char *name, struct err *err)
{
	for (size_t i = 0; i < ports->count; i++) {
		const struct port *p = &ports->items[i];
		uint16_t common = 0;

		for (size_t k = 0; k < i && !common; k++)
			common = common_port(p, &ports->items[k]);
		if (common)
			return err_set(err, -EADDRINUSE, "port %u/%s is to be published twice",
				common, port_protocol_name(p->protocol));
		for (size_t k = 0; others && k < others->count && !common; k++)
			common = common_port(p, &others->items[k]);
		if (common)
			return err_set(err, -EADDRINUSE, "port %u/%s is published by container %s",
				common, port_protocol_name(p->protocol), name);
	}
	return 0;
}

/* ---- holding ---- */

struct hold {
	int *fds;
	size_t count;
};

static socklen_t socket_address(
	const struct address *ip, int family, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (void *)ret;
	struct sockaddr_in6 *v6 = (void *)ret;

	memset(ret, 0, sizeof(*ret));
	ret->ss_family = (sa_family_t)family;
	if (family == AF_INET) {
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, ip->bytes, 4);
		return sizeof(*v4);
	}
	v6->sin6_port = htons(port);
	memcpy(&v6->sin6_addr, ip->bytes, 16);
	return sizeof(*v6);
}

/* Binds PORT (0: any) of FAMILY. Returns the socket; RET_PORT is the one that it got. */
static int bind_one(const struct port *p, int family, uint16_t number, uint16_t *ret_port)
{
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
	static const int protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
	struct sockaddr_storage at;
	socklen_t len = socket_address(&p->host_ip, family, number, &at);
	autoclose int sock =
		socket(family, types[p->protocol] | SOCK_CLOEXEC, protocols[p->protocol]);
	const int on = 1;

	if (sock < 0)
		return -errno;
	if (family == AF_INET6)
		(void)setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(sock, (void *)&at, len) < 0 || getsockname(sock, (void *)&at, &len) < 0)
		return -errno;
	*ret_port = ntohs(family == AF_INET ? ((struct sockaddr_in *)&at)->sin_port
					    : ((struct sockaddr_in6 *)&at)->sin6_port);
	return take_fd(&sock);
}

/* A kernel without the protocol or the family has nobody who could be in the way. */
static bool cannot_be_taken(int r)
{
	return r == -EAFNOSUPPORT || r == -EPROTONOSUPPORT || r == -ESOCKTNOSUPPORT;
}

/* NUMBER (0: any) on both families, or the one of the address. */
static int hold_number(const struct port *p, uint16_t number, struct hold *hold, uint16_t *ret_port)
{
	static const int families[] = {AF_INET, AF_INET6};
	int fds[2] = {-1, -1}, r = 0;

	for (size_t i = 0; i < 2 && r >= 0; i++) {
		if (p->host_ip.family && p->host_ip.family != families[i])
			continue;
		r = fds[i] = bind_one(p, families[i], number, &number);
		if (cannot_be_taken(r))
			r = 0;
		/* Not yet there, or only there later: its traffic cannot be mistaken. */
		if (r == -EADDRNOTAVAIL && p->host_ip.family)
			r = 0;
	}
	for (size_t i = 0; i < 2; i++) {
		if (r >= 0 && fds[i] >= 0 && hold->count < PORT_HELD_MAX)
			hold->fds[hold->count++] = take_fd(&fds[i]);
		cleanup_close(&fds[i]);
	}
	if (r < 0)
		return r;
	*ret_port = number;
	return 0;
}

static int fail(int code, const struct port *p, uint32_t number, struct err *err)
{
	char ip[ADDRESS_TEXT_MAX];
	const char *colon = *address_format(&p->host_ip, ip) ? ":" : "";

	if (code == -EADDRINUSE)
		return err_set(err, code, "port %s%s%u/%s is in use on this host", ip, colon,
			number, port_protocol_name(p->protocol));
	if (code == -EACCES)
		return err_set(err, code,
			"port %u/%s needs privilege: choose one from "
			"net.ipv4.ip_unprivileged_port_start on",
			number, port_protocol_name(p->protocol));
	return err_sys(err, code, "take port %s%s%u/%s", ip, colon, number,
		port_protocol_name(p->protocol));
}

/* One port, chosen freely or from a range. */
static int choose(struct port *p, struct hold *hold, struct err *err)
{
	uint32_t tries = p->host_choices ? p->host_choices : CHOICE_TRIES;
	int r = -EADDRINUSE;

	for (uint32_t i = 0; i < tries && r == -EADDRINUSE; i++) {
		uint16_t number = p->host ? (uint16_t)(p->host + i) : 0, got;

		r = hold_number(p, number, hold, &got);
		if (r == 0 && got == 0) /* nothing was bound */
			return err_set(err, -EADDRNOTAVAIL,
				"no port of %s can be chosen here: say which",
				port_protocol_name(p->protocol));
		if (r == 0) {
			p->host = got;
			p->host_choices = 0;
		}
	}
	return r < 0 ? fail(r, p, p->host, err) : 0;
}

int port_hold(struct ports *ports, int *ret_fds, size_t *ret_count, struct err *err)
{
	struct hold hold = {.fds = ret_fds};
	int r = 0;

	for (size_t i = 0; i < ports->count && r == 0; i++) {
		struct port *p = &ports->items[i];

		if (p->host == 0 || p->host_choices) {
			r = choose(p, &hold, err);
			continue;
		}
		for (uint32_t k = 0; k < p->count && r == 0; k++) {
			uint16_t got;

			r = hold_number(p, (uint16_t)(p->host + k), &hold, &got);
			if (r < 0)
				fail(r, p, p->host + k, err);
		}
	}
	if (r < 0) {
		for (size_t i = 0; i < hold.count; i++)
			cleanup_close(&ret_fds[i]);
		return r;
	}
	*ret_count = hold.count;
	return 0;
}
