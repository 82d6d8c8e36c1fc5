/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/brig/show.h"
#include "cli/containers/isolation.h"
#include "cli/containers/start_network.h"
#include "cli/output/human.h"

#include "base/parse.h"
#include "base/path.h"
#include "base/sys.h"
#include "images/snapshot.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* ---- size ---- */

/* Adds the bytes of NAME to CONTEXT; what may not be looked at has none. */
static int add_size(void *context, int dirfd, const char *name)
{
	autoclose int sub = -1;
	uint64_t *size = context;
	struct stat st;

	if (sys_fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (!S_ISDIR(st.st_mode)) {
		*size += S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
		return 0;
	}
	sub = sys_openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (sub >= 0)
		path_each(sub, add_size, size);
	return 0;
}

static uint64_t written_bytes(struct brig *b, const struct box *box)
{
	struct err ignored = {};
	autoclose int upper = -1;
	struct store *store;
	uint64_t size = 0;

	if (brig_store(b, &store, &ignored) < 0)
		return 0;
	upper = snapshot_open_upper(store, box->id);
	if (upper >= 0)
		path_each(upper, add_size, &size);
	return size;
}

void show_size(struct brig *b, const struct box *box, char *ret, size_t size)
{
	char text[HUMAN_TEXT_MAX];

	human_size(written_bytes(b, box), 3, text);
	snprintf(ret, size, "%s", text);
}

/* ---- network ---- */

int show_attachment(struct brig *b, const struct box *box, struct attachment *ret)
{
	autonetworkstore struct network_store store = {.records = -1, .state = -1, .lock = -1};
	struct err ignored = {};
	int r = box_network_store(box->boxes, b->dirs.libexec, b->rootless, &store, &ignored);

	return r < 0 ? r : attach_load(&store, box->id, b->arena, ret, &ignored);
}

const char *show_protocol(const struct port *port)
{
	static const char *const names[] = {"tcp", "udp", "sctp"};

	return names[port->protocol];
}

const char *show_host_ip(const struct port *port, char *ret)
{
	address_format(&port->host_ip, ret);
	if (!*ret)
		strcpy(ret, "0.0.0.0");
	return ret;
}

json_t *show_ports(struct brig *b, const struct box *box)
{
	autobuf struct buf text = {};
	struct attachment a;
	char ip[ADDRESS_TEXT_MAX];

	if (!box->record.options.publish.count && !box->record.options.publish_all)
		return json_string("");
	if (show_attachment(b, box, &a) < 0)
		return json_string("");
	for (size_t i = 0; i < a.ports.count; i++) {
		const struct port *p = &a.ports.items[i];

		buf_printf(&text, "%s%s:%u", i ? ", " : "", show_host_ip(p, ip), p->host);
		if (p->count > 1)
			buf_printf(&text, "-%u", p->host + p->count - 1);
		buf_printf(&text, "->%u", p->container);
		if (p->count > 1)
			buf_printf(&text, "-%u", p->container + p->count - 1);
		buf_printf(&text, "/%s", show_protocol(p));
	}
	return json_string(buf_str(&text));
}

json_t *show_networks(const struct record *record)
{
	autobuf struct buf text = {};

	for (size_t i = 0; i < record->options.network.count; i++)
		buf_printf(&text, "%s%.*s", i ? "," : "",
			(int)strcspn(record->options.network.items[i], ":"),
			record->options.network.items[i]);
	return json_string(text.len ? buf_str(&text) : "bridge");
}

/* ---- inspect ---- */

static json_t *texts_json(const struct strings *texts)
{
	json_t *array = json_array();

	for (size_t i = 0; i < texts->count; i++)
		json_array_append_new(array, json_string(texts->items[i]));
	return array;
}

static json_t *keys_json(const struct strings *texts)
{
	json_t *object = json_object();

	for (size_t i = 0; i < texts->count; i++)
		json_object_set_new(object, texts->items[i], json_object());
	return object;
}

static const char *text_or(const char *text, const char *other)
{
	return text ? text : other;
}

static json_t *state_json(const struct box *box, enum box_state state)
{
	const struct box_status *s = &box->status;
	bool running = state == BOX_RUNNING || state == BOX_PAUSED;
	json_t *json = json_pack("{s:s, s:b, s:b, s:b, s:b, s:b, s:i, s:i, s:s, s:s, s:s}",
		"Status", box_state_name(state), "Running", running, "Paused", state == BOX_PAUSED,
		"Restarting", state == BOX_RESTARTING, "OOMKilled", s->oom_killed, "Dead", 0, "Pid",
		running ? s->pid : 0, "ExitCode", s->exit_code, "Error", text_or(s->error, ""),
		"StartedAt", text_or(s->started, "0001-01-01T00:00:00Z"), "FinishedAt",
		text_or(s->finished, "0001-01-01T00:00:00Z"));

	if (s->health && *s->health)
		json_object_set_new(json, "Health",
			json_pack("{s:s, s:I, s:o}", "Status", s->health, "FailingStreak",
				(json_int_t)s->failing, "Log",
				s->health_log ? json_incref(s->health_log) : json_array()));
	return json;
}

static json_t *mount_json(const struct record_mount *m)
{
	static const char *const types[] = {"bind", "volume", "tmpfs"};
	bool rw = !strings_have(&m->options, "ro") && !strings_have(&m->options, "rro");
	autobuf struct buf mode = {};
	const char *propagation = "";

	for (size_t i = 0; i < m->options.count; i++) {
		buf_printf(&mode, "%s%s", i ? "," : "", m->options.items[i]);
		if (strstr(m->options.items[i], "private") ||
			strstr(m->options.items[i], "shared") ||
			strstr(m->options.items[i], "slave"))
			propagation = m->options.items[i];
	}
	return json_pack("{s:s, s:s*, s:s, s:s, s:s*, s:s, s:b, s:s}", "Type", types[m->type],
		"Name", m->volume, "Source", text_or(m->source, ""), "Destination", m->target,
		"Driver", m->volume ? "local" : NULL, "Mode", buf_str(&mode), "RW", rw,
		"Propagation", propagation);
}

static json_t *mounts_json(const struct record *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->mounts.count; i++)
		json_array_append_new(list, mount_json(&r->mounts.items[i]));
	return list;
}

static json_t *health_json(const struct record_health *h)
{
	if (!h)
		return NULL;
	return json_pack("{s:o, s:I, s:I, s:I, s:I}", "Test", texts_json(&h->test), "Interval",
		(json_int_t)h->interval, "Timeout", (json_int_t)h->timeout, "StartPeriod",
		(json_int_t)h->start_period, "Retries", (json_int_t)h->retries);
}

static json_t *config_json(const struct record *r)
{
	const struct run_options *o = &r->options;
	char signal[16];
	json_t *labels = json_object();

	for (size_t i = 0; i < r->labels.count; i++)
		json_object_set_new(
			labels, r->labels.items[i].key, json_string(r->labels.items[i].value));
	snprintf(signal, sizeof(signal), "SIG%s", text_or(parse_signal_name(r->stop_signal), "?"));
	return json_pack("{s:o, s:s, s:s, s:b, s:b, s:o, s:o, s:s, s:s, s:s*, s:o, s:s, s:I, s:o, "
			 "s:o*}",
		"Hostname",
		o->hostname ? json_string(o->hostname) : json_stringn(r->id, RECORD_SHORT),
		"Domainname", text_or(o->domainname, ""), "User", text_or(r->user, ""), "Tty",
		o->tty, "OpenStdin", o->interactive, "Env", texts_json(&r->env), "Cmd",
		texts_json(&r->command), "Image", r->image, "WorkingDir", r->cwd, "Entrypoint",
		o->entrypoint, "Labels", labels, "StopSignal", signal, "StopTimeout",
		(json_int_t)r->stop_timeout, "ExposedPorts", keys_json(&r->exposed), "Healthcheck",
		health_json(r->health));
}

static json_t *restart_json(const struct run_options *o)
{
	const char *policy = text_or(o->restart, "no"), *colon = strchr(policy, ':');
	uint32_t max = 0;

	if (colon)
		parse_u32(colon + 1, &max);
	return json_pack("{s:o, s:I}", "Name",
		json_stringn(policy, colon ? (size_t)(colon - policy) : strlen(policy)),
		"MaximumRetryCount", (json_int_t)max);
}

static json_int_t cpus_nano(const char *text)
{
	double value = 0, place = 1;
	bool fraction = false;

	for (; text && *text; text++) {
		if (*text == '.') {
			fraction = true;
			continue;
		}
		value = value * 10 + (*text - '0');
		place = fraction ? place * 10 : 1;
	}
	return (json_int_t)(value / place * 1e9 + 0.5);
}

static json_t *host_json(const struct record *r)
{
	const struct run_options *o = &r->options;
	json_t *network = show_networks(r);
	json_t *json = json_pack(
		"{s:o, s:s, s:o, s:b, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, "
		"s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:b, s:s}",
		"Binds", texts_json(&o->volumes), "LogDriver", text_or(o->log_driver, "json-file"),
		"RestartPolicy", restart_json(o), "AutoRemove", o->remove, "Privileged",
		o->privileged, "ReadonlyRootfs", o->read_only, "CapAdd", texts_json(&o->cap_add),
		"CapDrop", texts_json(&o->cap_drop), "Dns", texts_json(&o->dns), "ExtraHosts",
		texts_json(&o->add_host), "SecurityOpt", texts_json(&o->security), "PortBindings",
		texts_json(&o->publish), "Devices", texts_json(&o->devices), "Memory",
		(json_int_t)(o->memory.set ? o->memory.value : 0), "MemorySwap",
		(json_int_t)(o->memory_swap.set ? o->memory_swap.value : 0), "MemoryReservation",
		(json_int_t)(o->memory_reservation.set ? o->memory_reservation.value : 0),
		"NanoCpus", cpus_nano(o->cpus), "CpuShares",
		(json_int_t)(o->cpu_shares.set ? o->cpu_shares.value : 0), "CpuQuota",
		(json_int_t)(o->cpu_quota.set ? o->cpu_quota.value : 0), "PidsLimit",
		(json_int_t)(o->pids_limit.set ? o->pids_limit.value : 0), "ShmSize",
		(json_int_t)(o->shm_size.set ? o->shm_size.value : 64 << 20), "CpusetCpus",
		text_or(o->cpuset_cpus, ""), "UsernsMode", text_or(o->userns, ""), "PidMode",
		text_or(o->pid, ""), "IpcMode", text_or(o->ipc, "private"), "UTSMode",
		text_or(o->uts, ""), "OomScoreAdj",
		(json_int_t)(o->oom_score_adj.set ? o->oom_score_adj.value : 0), "Init", o->init,
		"PublishAllPorts", o->publish_all, "Isolation", isolation_name(r));

	json_object_set_new(json, "NetworkMode", network);
	return json;
}

json_t *show_inspect(struct brig *b, const struct box *box, bool size)
{
	const struct record *r = &box->record;
	enum box_state state = box_state(box);
	const char *data = b->dirs.data, *run = b->dirs.run;
	struct strings args = {
		.items = r->args.items + 1, .count = r->args.count ? r->args.count - 1 : 0};
	json_t *json = json_pack(
		"{s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:s, "
		"s:I, s:s, s:s, s:o, s:o, s:o, s:o}",
		"Id", r->id, "Created", r->created, "Path", r->args.count ? r->args.items[0] : "",
		"Args", texts_json(&args), "State", state_json(box, state), "Image", r->image_id,
		"ImageName", r->image, "ImageDigest", r->manifest, "ResolvConfPath",
		json_sprintf("%s/containers/%s/resolv.conf", run, r->id), "HostnamePath",
		json_sprintf("%s/containers/%s/hostname", run, r->id), "HostsPath",
		json_sprintf("%s/containers/%s/hosts", run, r->id), "LogPath",
		json_sprintf("%s/containers/%s/log", data, r->id), "Name", r->name, "RestartCount",
		(json_int_t)box->status.restarts, "Driver", "overlay", "Platform", "linux",
		"HostConfig", host_json(r), "Mounts", mounts_json(r), "Config", config_json(r),
		"NetworkSettings", show_network_settings(b, box));

	if (json && size)
		json_object_set_new(
			json, "SizeRw", json_integer((json_int_t)written_bytes(b, box)));
	return json;
}

static json_t *link_json(const struct attach_link *link)
{
	char ip[ADDRESS_TEXT_MAX], gateway[ADDRESS_TEXT_MAX], ip6[ADDRESS_TEXT_MAX];
	char gateway6[ADDRESS_TEXT_MAX];

	return json_pack("{s:s, s:s, s:i, s:s, s:s, s:i, s:s, s:s, s:o}", "IPAddress",
		address_format(&link->ip, ip), "Gateway", address_format(&link->gateway, gateway),
		"IPPrefixLen", link->ip.family ? link->ip.prefix : 0, "GlobalIPv6Address",
		address_format(&link->ip6, ip6), "IPv6Gateway",
		address_format(&link->gateway6, gateway6), "GlobalIPv6PrefixLen",
		link->ip6.family ? link->ip6.prefix : 0, "MacAddress", text_or(link->mac, ""),
		"NetworkID", text_or(link->network_id, ""), "Aliases", texts_json(&link->aliases));
}

static json_t *ports_json(const struct ports *ports)
{
	json_t *object = json_object();
	char ip[ADDRESS_TEXT_MAX], key[32];

	for (size_t i = 0; i < ports->count; i++)
		for (uint16_t n = 0; n < ports->items[i].count; n++) {
			const struct port *p = &ports->items[i];
			json_t *list;

			snprintf(key, sizeof(key), "%u/%s", p->container + n, show_protocol(p));
			list = json_object_get(object, key);
			if (!list) {
				list = json_array();
				json_object_set_new(object, key, list);
			}
			json_array_append_new(
				list, json_pack("{s:s, s:o}", "HostIp", show_host_ip(p, ip),
					      "HostPort", json_sprintf("%u", p->host + n)));
		}
	return object;
}

json_t *show_network_settings(struct brig *b, const struct box *box)
{
	struct attachment a = {};
	json_t *networks = json_object(), *settings;
	struct attach_link none = {};

	if (show_attachment(b, box, &a) < 0)
		a = (struct attachment){};
	for (size_t i = 0; i < a.links.count; i++)
		json_object_set_new(
			networks, a.links.items[i].network, link_json(&a.links.items[i]));
	settings = link_json(a.links.count ? &a.links.items[0] : &none);
	json_object_del(settings, "NetworkID");
	json_object_del(settings, "Aliases");
	json_object_set_new(settings, "Networks", networks);
	json_object_set_new(settings, "Ports", ports_json(&a.ports));
	return settings;
}
