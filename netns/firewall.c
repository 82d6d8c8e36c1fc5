/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/firewall.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/process.h"
#include "base/sys.h"
#include "netns/dns/server.h"
#include "netns/netlink.h"
#include "netns/network_private.h"
#include "netns/rules.h"

#include <arpa/inet.h>
#include <endian.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>

#define APPLIED "rules.applied"

enum { NFT_TIMEOUT_MS = 30000, APPLIED_MAX = 64 << 20 };

/* ---- what is recorded ---- */

static const struct json_rule published_rules[] = {
	RECORD_OF("ip", record_address, rules_published, ip),
	RECORD_OF("ip6", record_address, rules_published, ip6),
	{"ports", JSON_PART, JSON_AT(rules_published, ports), .table = &attach_ports_table},
	{NULL},
};
static const struct json_table published_table = {
	.size = sizeof(struct rules_published),
	.rules = published_rules,
};

int firewall_publish(
	struct network_store *store, const struct rules_published *published, struct err *err)
{
	autoclose int dir = -1;
	char path[PATH_MAX];

	dir = path_mkdir(store->state, "published", 0700, (uid_t)-1, (gid_t)-1);
	if (dir < 0)
		return err_sys(err, dir, "published ports");
	snprintf(path, sizeof(path), "%s.json", published->id);
	return record_write(dir, path, &published_table, published, err);
}

int firewall_unpublish(struct network_store *store, const char *id, struct err *err)
{
	char path[PATH_MAX];
	int r;

	snprintf(path, sizeof(path), "published/%s.json", id);
	r = sys_unlinkat(store->state, path, 0);
	return r < 0 && r != -ENOENT ? err_sys(err, r, "published ports of %s", id) : 0;
}

int firewall_published(struct network_store *store, struct arena *arena,
	struct rules_published **ret, size_t *ret_count, struct err *err)
{
	struct rules_published *list;
	struct strings ids;
	autoclose int dir = -1;
	char path[PATH_MAX];
	int r = network_names(store->state, "published", ".json", arena, &ids, err);

	if (r < 0)
		return r;
	*ret_count = 0;
	*ret = list = arena_array(arena, ids.count + 1, struct rules_published);
	if (!list)
		return err_sys(err, -ENOMEM, "published ports");
	dir = sys_openat(store->state, "published", O_PATH | O_DIRECTORY, 0);
	for (size_t i = 0; i < ids.count; i++) {
		struct rules_published *p = &list[*ret_count];

		snprintf(path, sizeof(path), "%s.json", ids.items[i]);
		r = record_read(dir, path, &published_table, arena, p, err);
		if (r < 0 && r != -ENOENT)
			return r;
		p->id = ids.items[i];
		*ret_count += r == 0;
	}
	return 0;
}

static int write_text(struct network_store *store, struct buf *ret, struct err *err)
{
	autoarena struct arena arena = {};
	struct rules_published *published;
	struct networks networks;
	struct rules rules;
	uint16_t *dns_ports;
	int r = network_records(store, &arena, &networks, err);

	if (r == 0)
		r = firewall_published(store, &arena, &published, &rules.published_count, err);
	if (r < 0)
		return r;
	dns_ports = arena_array(&arena, networks.count + 1, uint16_t);
	if (!dns_ports)
		return err_sys(err, -ENOMEM, "rules");
	for (size_t i = 0; i < networks.count; i++)
		dns_ports[i] = dns_server_port(store, networks.items[i].name);
	rules.networks = networks.items;
	rules.network_count = networks.count;
	rules.published = published;
	rules.dns_ports = dns_ports;
	rules_write(&rules, ret);
	return ret->failed ? err_sys(err, -ENOMEM, "rules") : 0;
}

/* ---- what the kernel has ---- */

static void begin(struct netlink_request *request, uint16_t type, uint16_t flags, uint8_t family)
{
	const struct nfgenmsg body = {.nfgen_family = family, .version = NFNETLINK_V0};

	netlink_begin(
		request, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, &body, sizeof(body));
}

static int take_handle(const struct nlmsghdr *message, void *arg)
{
	const struct rtattr *a =
		netlink_find(message, sizeof(struct nfgenmsg), NFTA_TABLE_HANDLE, 8);
	uint64_t handle;

	if (a) {
		memcpy(&handle, RTA_DATA(a), sizeof(handle));
		*(uint64_t *)arg = be64toh(handle);
	}
	return 0;
}

/* A number that our table has as long as it lives, 0 when there is none. */
static int find_table(uint64_t *ret, struct err *err)
{
	autoclose int sock = netlink_open_protocol(NETLINK_NETFILTER, err);
	struct netlink_request request;
	int r;

	*ret = 0;
	if (sock < 0)
		return sock;
	begin(&request, NFT_MSG_GETTABLE, 0, NFPROTO_INET);
	netlink_put_text(&request, NFTA_TABLE_NAME, RULES_TABLE);
	r = netlink_talk(sock, &request, take_handle, ret, err);
	if (r == -ENOENT) {
		err_clear(err);
		r = 0;
	}
	return r;
}

/* ---- bringing both together ---- */

static int run_nft(const struct buf *text, struct err *err)
{
	static const char *const paths[] = {
		"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft", "/usr/local/sbin/nft", NULL};
	static const char *const argv[] = {"nft", "-f", "-", NULL};
	autoclose int output = sys_memfd_create("nft", 0);
	const struct process_options options = {
		.argv = argv,
		.input = text->data,
		.input_len = text->len,
		.stdout_fd = -1,
		.stderr_fd = output,
		.timeout_ms = NFT_TIMEOUT_MS,
	};
	char said[512];
	int status = 0, r;
	ssize_t n;

	if (output < 0)
		return err_sys(err, output, "memfd_create");
	r = process_run_first(paths, &options, &status, err);
	if (r == -ENOENT)
		return err_set(err, r, "nft is not installed: it is in the package nftables");
	if (r < 0)
		return err_add(err, "write the rules");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	n = sys_pread(output, said, sizeof(said) - 1, 0);
	said[n > 0 ? strcspn((said[n] = '\0', said), "\n") : 0] = '\0';
	return err_set(err, -EIO, "nft refuses the rules: %s", said);
}

static bool is_applied(struct network_store *store, const struct buf *text, uint64_t handle)
{
	autobuf struct buf old = {};
	char head[32];
	size_t n;

	if (!handle || fd_read_file(store->state, APPLIED, APPLIED_MAX, &old) < 0)
		return false;
	n = (size_t)snprintf(head, sizeof(head), "%llu\n", (unsigned long long)handle);
	return old.len == n + text->len && memcmp(old.data, head, n) == 0 &&
	       memcmp(old.data + n, text->data, text->len) == 0;
}

/* A failure to remember only means that the rules are written once more. */
static void remember(struct network_store *store, const struct buf *text)
{
	autobuf struct buf now = {};
	struct err ignored = {};
	uint64_t handle;

	if (find_table(&handle, &ignored) < 0)
		return;
	buf_printf(&now, "%llu\n", (unsigned long long)handle);
	buf_add(&now, text->data, text->len);
	if (!now.failed)
		(void)fd_replace_file(store->state, APPLIED, now.data, now.len, 0600);
}

int firewall_apply(struct network_store *store, bool force, struct err *err)
{
	autobuf struct buf text = {};
	uint64_t handle;
	int r;

	if (store->places.rootless) /* nothing is forwarded there: netns/home.h */
		return 0;
	r = write_text(store, &text, err);
	if (r == 0)
		r = find_table(&handle, err);
	if (r < 0)
		return r;
	if (!force && is_applied(store, &text, handle))
		return 0;
	r = run_nft(&text, err);
	if (r == 0)
		remember(store, &text);
	return r;
}

int firewall_refresh(struct network_store *store, struct err *err)
{
	uint64_t handle;
	int r;

	if (store->places.rootless)
		return 0;
	r = find_table(&handle, err);
	return r < 0 || !handle ? r : firewall_apply(store, false, err);
}

/* ---- other people's chains ---- */

struct search {
	uint32_t hook;
	char *ret;
	size_t size;
};

static int take_chain(const struct nlmsghdr *message, void *arg)
{
	const struct nfgenmsg *info = netlink_body(message, sizeof(*info));
	const struct search *s = arg;
	const struct rtattr *hook, *number, *policy, *table, *name;
	uint32_t value;

	if (!info || *s->ret)
		return 0;
	hook = netlink_find(message, sizeof(*info), NFTA_CHAIN_HOOK, sizeof(*hook));
	policy = netlink_find(message, sizeof(*info), NFTA_CHAIN_POLICY, 4);
	table = netlink_find(message, sizeof(*info), NFTA_CHAIN_TABLE, 1);
	name = netlink_find(message, sizeof(*info), NFTA_CHAIN_NAME, 1);
	number = hook ? netlink_find_in(hook, NFTA_HOOK_HOOKNUM, 4) : NULL;
	if (!number || !policy || !table || !name)
		return 0;
	memcpy(&value, RTA_DATA(policy), sizeof(value));
	if (ntohl(value) != NF_DROP)
		return 0;
	memcpy(&value, RTA_DATA(number), sizeof(value));
	if (ntohl(value) != s->hook)
		return 0;
	snprintf(s->ret, s->size, "%s %.*s %.*s",
		info->nfgen_family == NFPROTO_IPV4   ? "ip"
		: info->nfgen_family == NFPROTO_IPV6 ? "ip6"
						     : "inet",
		(int)netlink_attribute_len(table), (const char *)RTA_DATA(table),
		(int)netlink_attribute_len(name), (const char *)RTA_DATA(name));
	return 0;
}

int firewall_find_drop(enum firewall_hook hook, char *ret, size_t size, struct err *err)
{
	static const uint8_t tried[] = {NFPROTO_INET, NFPROTO_IPV4, NFPROTO_IPV6};
	autoclose int sock = netlink_open_protocol(NETLINK_NETFILTER, err);
	struct search search = {
		.hook = hook == FIREWALL_INPUT ? NF_INET_LOCAL_IN : NF_INET_FORWARD,
		.ret = ret,
		.size = size,
	};
	struct netlink_request request;
	int r = sock < 0 ? sock : 0;

	*ret = '\0';
	for (size_t i = 0; i < ARRAY_LEN(tried) && r == 0; i++) {
		begin(&request, NFT_MSG_GETCHAIN, NLM_F_DUMP, tried[i]);
		r = netlink_talk(sock, &request, take_chain, &search, err);
	}
	return r == -EINTR ? 0 : r; /* it is changing: whatever was seen */
}
