/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/netlink.h"

#include "base/cleanup.h"
#include "base/sys.h"

#include <string.h>
#include <sys/socket.h>

enum { ANSWER_MAX = 65536 };

/* ---- building ---- */

static void *reserve(struct netlink_request *request, size_t len)
{
	size_t room = NETLINK_REQUEST_MAX - request->len;
	uint8_t *at = request->data + request->len;

	/* LEN is compared before it is rounded up: rounding could wrap around. */
	if (request->failed || len > room || NLMSG_ALIGN(len) > room) {
		request->failed = true;
		return NULL;
	}
	memset(at, 0, NLMSG_ALIGN(len));
	request->len += NLMSG_ALIGN(len);
	return at;
}

void netlink_begin(struct netlink_request *request, uint16_t type, uint16_t flags, const void *body,
	size_t body_len)
{
	struct nlmsghdr *header;
	void *at;

	request->len = 0;
	request->failed = false;
	header = reserve(request, sizeof(*header));
	header->nlmsg_type = type;
	header->nlmsg_flags = (uint16_t)(flags | NLM_F_REQUEST);
	if ((flags & NLM_F_DUMP) != NLM_F_DUMP)
		header->nlmsg_flags |= NLM_F_ACK;
	header->nlmsg_seq = 1;
	at = reserve(request, body_len);
	if (at && body_len)
		memcpy(at, body, body_len);
}

void netlink_put(struct netlink_request *request, uint16_t type, const void *data, size_t len)
{
	struct rtattr *attribute;

	if (len > UINT16_MAX - sizeof(*attribute)) {
		request->failed = true;
		return;
	}
	attribute = reserve(request, sizeof(*attribute) + len);
	if (!attribute)
		return;
	attribute->rta_type = type;
	attribute->rta_len = (uint16_t)(sizeof(*attribute) + len);
	if (len)
		memcpy(RTA_DATA(attribute), data, len);
}

void netlink_put_u32(struct netlink_request *request, uint16_t type, uint32_t value)
{
	netlink_put(request, type, &value, sizeof(value));
}

void netlink_put_text(struct netlink_request *request, uint16_t type, const char *text)
{
	netlink_put(request, type, text, strlen(text) + 1);
}

void netlink_put_u8(struct netlink_request *request, uint16_t type, uint8_t value)
{
	netlink_put(request, type, &value, sizeof(value));
}

void netlink_put_raw(struct netlink_request *request, const void *data, size_t len)
{
	void *at = reserve(request, len);

	if (at && len)
		memcpy(at, data, len);
}

size_t netlink_nest_begin(struct netlink_request *request, uint16_t type)
{
	size_t begin = request->len;

	netlink_put(request, type, NULL, 0);
	return begin;
}

/* The whole message is far below the 16 bits of a length. */
void netlink_nest_end(struct netlink_request *request, size_t begin)
{
	struct rtattr *attribute = (void *)(request->data + begin);

	_Static_assert(NETLINK_REQUEST_MAX <= UINT16_MAX, "a nested length has 16 bits");
	if (!request->failed)
		attribute->rta_len = (uint16_t)(request->len - begin);
}

/* ---- reading ---- */

const void *netlink_body(const struct nlmsghdr *message, size_t body_len)
{
	return message->nlmsg_len >= NLMSG_LENGTH(body_len) ? NLMSG_DATA(message) : NULL;
}

size_t netlink_attribute_len(const struct rtattr *attribute)
{
	return attribute->rta_len - sizeof(*attribute);
}

/* The attribute TYPE among LEN bytes at DATA. */
static const struct rtattr *find(const uint8_t *data, size_t len, uint16_t type, size_t min)
{
	const struct rtattr *found = NULL;

	while (len >= sizeof(struct rtattr)) {
		const struct rtattr *a = (const void *)data;
		size_t step = RTA_ALIGN(a->rta_len);

		if (a->rta_len < sizeof(*a) || a->rta_len > len)
			break;
		if ((a->rta_type & NLA_TYPE_MASK) == type && netlink_attribute_len(a) >= min)
			found = a;
		if (step >= len)
			break;
		data += step;
		len -= step;
	}
	return found;
}

const struct rtattr *netlink_find(
	const struct nlmsghdr *message, size_t body_len, uint16_t type, size_t min)
{
	size_t start = NLMSG_SPACE(body_len);

	if (message->nlmsg_len < start)
		return NULL;
	return find((const uint8_t *)message + start, message->nlmsg_len - start, type, min);
}

const struct rtattr *netlink_find_in(const struct rtattr *outer, uint16_t type, size_t min)
{
	return find(RTA_DATA(outer), netlink_attribute_len(outer), type, min);
}

/* 0 for an acknowledgement. */
static int read_error(const struct nlmsghdr *message, struct err *err)
{
	const struct nlmsgerr *e = netlink_body(message, sizeof(*e));
	const struct rtattr *words = NULL;
	size_t start = NLMSG_SPACE(sizeof(*e));

	if (!e)
		return err_sys(err, -EPROTO, "netlink");
	if (!e->error)
		return 0;
	if (!(message->nlmsg_flags & NLM_F_CAPPED) && e->msg.nlmsg_len > sizeof(e->msg))
		start += NLMSG_ALIGN(e->msg.nlmsg_len - sizeof(e->msg));
	if ((message->nlmsg_flags & NLM_F_ACK_TLVS) && start < message->nlmsg_len)
		words = find((const uint8_t *)message + start, message->nlmsg_len - start,
			NLMSGERR_ATTR_MSG, 1);
	if (words)
		return err_set(err, e->error < 0 ? e->error : -EPROTO, "%.*s",
			(int)netlink_attribute_len(words), (const char *)RTA_DATA(words));
	return err_sys(err, e->error < 0 ? e->error : -EPROTO, "the kernel refuses");
}

struct answers {
	int (*on_message)(const struct nlmsghdr *message, void *arg);
	void *arg;
	bool done, interrupted;
	int result;
};

static int read_messages(const uint8_t *data, size_t len, struct answers *a, struct err *err)
{
	while (len >= sizeof(struct nlmsghdr)) {
		const struct nlmsghdr *m = (const void *)data;
		size_t step = NLMSG_ALIGN(m->nlmsg_len);
		int r = 0;

		if (m->nlmsg_len < sizeof(*m) || m->nlmsg_len > len)
			return err_sys(err, -EPROTO, "netlink");
		a->interrupted |= m->nlmsg_flags & NLM_F_DUMP_INTR;
		if (m->nlmsg_type == NLMSG_ERROR || m->nlmsg_type == NLMSG_DONE) {
			a->done = true;
			return m->nlmsg_type == NLMSG_ERROR ? read_error(m, err) : 0;
		}
		if (m->nlmsg_type != NLMSG_NOOP && a->on_message)
			r = a->on_message(m, a->arg);
		if (r < 0 && a->result == 0)
			a->result = r;
		if (step >= len)
			break;
		data += step;
		len -= step;
	}
	return 0;
}

int netlink_open(struct err *err)
{
	return netlink_open_protocol(NETLINK_ROUTE, err);
}

int netlink_open_protocol(int protocol, struct err *err)
{
	autoclose int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	const int on = 1;

	if (sock < 0)
		return err_sys(err, -errno, "open a netlink socket");
	/* For better errors only: older kernels do without. */
	(void)setsockopt(sock, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	return take_fd(&sock);
}

int netlink_talk(int sock, struct netlink_request *request,
	int (*on_message)(const struct nlmsghdr *message, void *arg), void *arg, struct err *err)
{
	struct answers answers = {.on_message = on_message, .arg = arg};
	struct nlmsghdr *header = (void *)request->data;
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	autofree uint8_t *buffer = malloc(ANSWER_MAX);
	ssize_t n;
	int r = 0;

	if (request->failed)
		return err_sys(err, -EMSGSIZE, "netlink: build the message");
	if (!buffer)
		return err_sys(err, -ENOMEM, "netlink");
	header->nlmsg_len = (uint32_t)request->len;
	n = sendto(sock, request->data, request->len, 0, (void *)&kernel, sizeof(kernel));
	if (n < 0)
		return err_sys(err, -errno, "netlink: send");
	while (!answers.done && r == 0) {
		struct sockaddr_nl from = {};
		socklen_t from_len = sizeof(from);

		n = recvfrom(sock, buffer, ANSWER_MAX, MSG_TRUNC, (void *)&from, &from_len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, -errno, "netlink: receive");
		if (n > ANSWER_MAX)
			return err_sys(err, -EMSGSIZE, "netlink: receive");
		if (from.nl_pid == 0) /* others may write to the socket as well */
			r = read_messages(buffer, (size_t)n, &answers, err);
	}
	if (r == 0 && answers.interrupted)
		r = -EINTR;
	else if (r == 0)
		r = answers.result;
	return r < 0 && !err->code ? err_sys(err, r, "netlink") : r;
}
