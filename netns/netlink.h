/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Route netlink messages, netlink(7) and rtnetlink(7): a builder that cannot overflow and a reader
 * that never looks behind what came.
 *
 *	netlink_begin()                    header and the family's own struct
 *	netlink_put()…                     attributes
 *	netlink_talk()                     sends, hands every answer to a function
 *
 * A message that grows beyond its buffer is marked as failed and netlink_talk() refuses it, so only
 * that result needs a check: no length is ever cut to the 16 bits of an attribute's. Any process.
 */
#pragma once

#include "base/err.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NETLINK_REQUEST_MAX = 4096 };

struct netlink_request {
	_Alignas(struct nlmsghdr) uint8_t data[NETLINK_REQUEST_MAX];
	size_t len;
	bool failed; /* something did not fit */
};

/* A message of TYPE (RTM_…) with FLAGS (NLM_F_…; NLM_F_REQUEST and NLM_F_ACK are implied, the
 * latter not with NLM_F_DUMP) and the struct BODY behind the header. */
void netlink_begin(struct netlink_request *request, uint16_t type, uint16_t flags, const void *body,
	size_t body_len);
void netlink_put(struct netlink_request *request, uint16_t type, const void *data, size_t len);
void netlink_put_u32(struct netlink_request *request, uint16_t type, uint32_t value);
/* With its NUL. */
void netlink_put_text(struct netlink_request *request, uint16_t type, const char *text);

void netlink_put_u8(struct netlink_request *request, uint16_t type, uint8_t value);
/* An attribute that holds attributes: those that are put between the two. */
size_t netlink_nest_begin(struct netlink_request *request, uint16_t type);
void netlink_nest_end(struct netlink_request *request, size_t begin);
/* DATA without a header, as some attributes hold a struct in front of others. */
void netlink_put_raw(struct netlink_request *request, const void *data, size_t len);

/* A route netlink socket in the caller's network namespace. */
int netlink_open(struct err *err);
/* The same of another PROTOCOL, NETLINK_NETFILTER. */
int netlink_open_protocol(int protocol, struct err *err);

/*
 * Sends REQUEST and reads the answers up to the acknowledgement or the end of the dump; ON_MESSAGE
 * (may be NULL) gets each, and what it returns below 0 is returned, once all have been read. The
 * kernel's own error otherwise, with its words where it has any. −EINTR: a dump met changes, ask
 * again.
 */
int netlink_talk(int sock, struct netlink_request *request,
	int (*on_message)(const struct nlmsghdr *message, void *arg), void *arg, struct err *err);

/* What stands behind the struct of BODY_LEN bytes in MESSAGE, or NULL when it is too short. */
const void *netlink_body(const struct nlmsghdr *message, size_t body_len);
/* The attribute TYPE of MESSAGE with at least MIN bytes, or NULL. The last one counts. */
const struct rtattr *netlink_find(
	const struct nlmsghdr *message, size_t body_len, uint16_t type, size_t min);
/* The same among the attributes that OUTER holds. */
const struct rtattr *netlink_find_in(const struct rtattr *outer, uint16_t type, size_t min);
/* How many bytes of data ATTRIBUTE has. */
size_t netlink_attribute_len(const struct rtattr *attribute);
