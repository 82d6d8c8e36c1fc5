/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/rules.h"

#include <string.h>

static const int families[] = {AF_INET, AF_INET6};

static const char *family_word(int family)
{
	return family == AF_INET ? "ip" : "ip6";
}

static int family_digit(int family)
{
	return family == AF_INET ? 4 : 6;
}

/* Networks of CNI, and those whose links are the host's neighbours, have no rules of ours. */
static bool has_rules(const struct network *n)
{
	return n->driver == NETWORK_BRIDGE;
}

/* ---- sets ---- */

/* Elements with commas between: nothing is written for a set that has none. */
struct elements {
	struct buf *out;
	size_t count;
};

static void add(struct elements *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct elements *e, const char *fmt, ...)
{
	va_list ap;

	buf_puts(e->out, e->count++ ? ", " : "\t\telements = { ");
	va_start(ap, fmt);
	buf_vprintf(e->out, fmt, ap);
	va_end(ap);
}

static void end_set(struct elements *e)
{
	buf_puts(e->out, e->count ? " }\n\t}\n" : "\t}\n");
}

enum which { ALL, INTERNAL, ISOLATED };

static void write_link_set(
	const struct rules *rules, const char *name, enum which which, struct buf *ret)
{
	struct elements e = {.out = ret};

	buf_printf(ret, "\tset %s {\n\t\ttype ifname\n", name);
	for (size_t i = 0; i < rules->network_count; i++) {
		const struct network *n = &rules->networks[i];

		if (has_rules(n) && (which == ALL || (which == INTERNAL && n->internal) ||
					    (which == ISOLATED && n->isolate)))
			add(&e, "\"%s\"", n->interface);
	}
	end_set(&e);
}

static void write_pairs(const struct rules *rules, struct buf *ret)
{
	struct elements e = {.out = ret};

	buf_puts(ret, "\tset same {\n\t\ttype ifname . ifname\n");
	for (size_t i = 0; i < rules->network_count; i++)
		if (has_rules(&rules->networks[i]))
			add(&e, "\"%s\" . \"%s\"", rules->networks[i].interface,
				rules->networks[i].interface);
	end_set(&e);
}

/* The subnets whose packets get the host's address when they leave. */
static void write_subnets(const struct rules *rules, int family, struct buf *ret)
{
	struct elements e = {.out = ret};
	char text[ADDRESS_TEXT_MAX];

	buf_printf(ret, "\tset own%d {\n\t\ttype ipv%d_addr\n\t\tflags interval\n",
		family_digit(family), family_digit(family));
	for (size_t i = 0; i < rules->network_count; i++) {
		const struct network *n = &rules->networks[i];

		for (size_t k = 0; k < n->subnets.count && has_rules(n) && !n->internal; k++)
			if (n->subnets.items[k].subnet.family == family)
				add(&e, "%s",
					address_format_prefix(&n->subnets.items[k].subnet, text));
	}
	end_set(&e);
}

/* ---- published ports ---- */

/* Where PORT leads in FAMILY, or NULL. */
static const struct address *target(
	const struct rules_published *p, const struct port *port, int family)
{
	const struct address *to = family == AF_INET ? &p->ip : &p->ip6;

	if (port->host_ip.family && port->host_ip.family != family)
		return NULL;
	return to->family ? to : NULL;
}

static bool at_one_address(const struct port *port)
{
	return port->host_ip.family && !address_is_any(&port->host_ip);
}

/* A long row with the same numbers inside is one rule; everything else is a map's element. */
static bool is_row(const struct port *port)
{
	return port->count > 1 && port->host == port->container;
}

/* An address in front of a port: IPv6's goes in no brackets where they are two fields. */
static void write_map(const struct rules *rules, int family, int protocol, bool at, struct buf *ret)
{
	struct elements e = {.out = ret};
	char from[ADDRESS_TEXT_MAX], to[ADDRESS_TEXT_MAX];
	int digit = family_digit(family);

	buf_printf(ret, "\tmap %s%s%d {\n\t\ttype ", port_protocol_name(protocol),
		at ? "_at" : "_any", digit);
	if (at)
		buf_printf(ret, "ipv%d_addr . ", digit);
	buf_printf(ret, "inet_service : ipv%d_addr . inet_service\n", digit);
	for (size_t i = 0; i < rules->published_count; i++) {
		const struct rules_published *p = &rules->published[i];

		for (size_t k = 0; k < p->ports.count; k++) {
			const struct port *port = &p->ports.items[k];
			const struct address *there = target(p, port, family);

			if (!there || port->protocol != protocol || is_row(port) ||
				at_one_address(port) != at)
				continue;
			address_format(&port->host_ip, from);
			address_format(there, to);
			for (uint32_t n = 0; n < port->count; n++)
				add(&e, "%s%s%u : %s . %u", at ? from : "", at ? " . " : "",
					port->host + n, to, port->container + n);
		}
	}
	end_set(&e);
}

static void write_rows(const struct rules *rules, int family, bool at, struct buf *ret)
{
	char from[ADDRESS_TEXT_MAX], to[ADDRESS_TEXT_MAX];
	const char *word = family_word(family);

	for (size_t i = 0; i < rules->published_count; i++) {
		const struct rules_published *p = &rules->published[i];

		for (size_t k = 0; k < p->ports.count; k++) {
			const struct port *port = &p->ports.items[k];
			const struct address *there = target(p, port, family);

			if (!there || !is_row(port) || at_one_address(port) != at)
				continue;
			buf_printf(ret, "\t\tmeta nfproto ipv%d ", family_digit(family));
			if (at)
				buf_printf(ret, "%s daddr %s ", word,
					address_format(&port->host_ip, from));
			buf_printf(ret, "%s dport %u-%u dnat %s to %s\n",
				port_protocol_name(port->protocol), port->host,
				port->host + port->count - 1, word, address_format(there, to));
		}
	}
}

/* What was asked for at one address comes before what is for all. */
static void write_publish(const struct rules *rules, struct buf *ret)
{
	buf_puts(ret, "\tchain publish {\n");
	for (int at = 1; at >= 0; at--)
		for (size_t f = 0; f < 2; f++) {
			const char *word = family_word(families[f]);

			for (int p = 0; p < PORT_PROTOCOLS; p++) {
				const char *name = port_protocol_name(p);

				buf_printf(ret, "\t\tmeta nfproto ipv%d dnat %s to ",
					family_digit(families[f]), word);
				if (at)
					buf_printf(ret, "%s daddr . ", word);
				buf_printf(ret, "%s dport map @%s%s%d\n", name, name,
					at ? "_at" : "_any", family_digit(families[f]));
			}
			write_rows(rules, families[f], at, ret);
		}
	buf_puts(ret, "\t}\n");
}

/* ---- chains ---- */

static void write_dns_redirects(const struct rules *rules, struct buf *ret)
{
	char text[ADDRESS_TEXT_MAX];

	for (size_t i = 0; i < rules->network_count; i++) {
		const struct network *n = &rules->networks[i];

		for (size_t k = 0; k < n->subnets.count && has_rules(n); k++) {
			const struct address *gateway = &n->subnets.items[k].gateway;

			if (!rules->dns_ports[i] || !gateway->family)
				continue;
			buf_printf(ret,
				"\t\tiifname \"%s\" %s daddr %s meta l4proto { tcp, udp } th dport "
				"53 "
				"redirect to :%u\n",
				n->interface, family_word(gateway->family),
				address_format(gateway, text), rules->dns_ports[i]);
		}
	}
}

/* A container that reaches its own network by the host's address would be answered directly. */
static void write_hairpins(const struct rules *rules, struct buf *ret)
{
	char text[ADDRESS_TEXT_MAX];

	for (size_t i = 0; i < rules->network_count; i++) {
		const struct network *n = &rules->networks[i];

		for (size_t k = 0; k < n->subnets.count && has_rules(n); k++) {
			const struct address *subnet = &n->subnets.items[k].subnet;
			const char *word = family_word(subnet->family);

			address_format_prefix(subnet, text);
			buf_printf(ret, "\t\tct status dnat %s saddr %s %s daddr %s masquerade\n",
				word, text, word, text);
		}
	}
}

static void write_chains(const struct rules *rules, struct buf *ret)
{
	buf_puts(ret, "\tchain raw_prerouting {\n"
		      "\t\ttype filter hook prerouting priority raw; policy accept;\n"
		      "\t\tiifname @bridges ip daddr 127.0.0.0/8 drop\n"
		      "\t}\n"
		      "\tchain prerouting {\n"
		      "\t\ttype nat hook prerouting priority dstnat; policy accept;\n");
	write_dns_redirects(rules, ret);
	buf_puts(ret, "\t\tip daddr 127.0.0.0/8 return\n"
		      "\t\tfib daddr type local jump publish\n"
		      "\t}\n"
		      "\tchain output {\n"
		      "\t\ttype nat hook output priority -100; policy accept;\n"
		      "\t\tfib daddr type local jump publish\n"
		      "\t}\n"
		      "\tchain postrouting {\n"
		      "\t\ttype nat hook postrouting priority srcnat; policy accept;\n"
		      "\t\toifname @bridges ip saddr 127.0.0.0/8 masquerade\n");
	write_hairpins(rules, ret);
	buf_puts(ret, "\t\tip saddr @own4 ip daddr != 224.0.0.0/4 oifname != @bridges masquerade\n"
		      "\t\tip6 saddr @own6 ip6 daddr != ff00::/8 oifname != @bridges masquerade\n"
		      "\t}\n"
		      "\tchain forward {\n"
		      "\t\ttype filter hook forward priority filter; policy accept;\n"
		      "\t\tiifname != @bridges oifname != @bridges accept\n"
		      "\t\tct state established,related accept\n"
		      "\t\tiifname . oifname @same accept\n"
		      "\t\tiifname @internal drop\n"
		      "\t\toifname @internal drop\n"
		      "\t\toifname != @bridges accept\n"
		      "\t\tct status dnat accept\n"
		      "\t\tiifname != @bridges drop\n"
		      "\t\tiifname @isolated drop\n"
		      "\t\toifname @isolated drop\n"
		      "\t}\n");
}

void rules_write(const struct rules *rules, struct buf *ret)
{
	size_t count = 0;

	for (size_t i = 0; i < rules->network_count; i++)
		count += has_rules(&rules->networks[i]);
	/* Declared first, so that deleting it is no error. */
	buf_puts(ret, "table inet " RULES_TABLE "\ndelete table inet " RULES_TABLE "\n");
	if (!count)
		return;
	buf_puts(ret, "table inet " RULES_TABLE " {\n");
	write_link_set(rules, "bridges", ALL, ret);
	write_link_set(rules, "internal", INTERNAL, ret);
	write_link_set(rules, "isolated", ISOLATED, ret);
	write_pairs(rules, ret);
	for (size_t f = 0; f < 2; f++) {
		write_subnets(rules, families[f], ret);
		for (int p = 0; p < PORT_PROTOCOLS; p++) {
			write_map(rules, families[f], p, false, ret);
			write_map(rules, families[f], p, true, ret);
		}
	}
	write_publish(rules, ret);
	write_chains(rules, ret);
	buf_puts(ret, "}\n");
}
