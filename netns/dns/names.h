/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names that a network's server answers, as files below the network's state, so that a command
 * changes one name without reading the others, and the server looks one up without reading any
 * other:
 *
 *   names/NAME/ID     "10.77.1.2 fd00::2": one line, of the container ID
 *   ptr/ADDRESS       the container's name
 *   upstream/ADDRESS  the servers that are asked for this client (--dns), one a line
 *   dns.conf          the servers of the network, one a line; "-": none, nothing is forwarded;
 * empty: those of the host
 *
 * All of this may be read by everybody who gets into the directory: the server has no privilege.
 */
#pragma once

#include "base/err.h"
#include "base/json.h"
#include "netns/address.h"

enum { NAMES_NAME_MAX = 253 };

/* NAME in lower case to RET, NAMES_NAME_MAX + 1 bytes: labels of [a-z0-9_-], with dots between.
 * False when it is none, and so for everything that could lead elsewhere as a file's name. Pure. */
bool names_normalize(const char *name, char *ret);

/* These are a command's, with the networks' lock. DIRFD is the network's state. What is not a name
 * is left out: a container may be called anything. */
int names_put(int dirfd, const char *name, const char *id, const struct address *ip,
	const struct address *ip6, struct err *err);
int names_remove(int dirfd, const char *name, const char *id, struct err *err);
int names_put_pointer(int dirfd, const struct address *address, const char *name, struct err *err);
int names_put_upstream(
	int dirfd, const struct address *client, const struct strings *servers, struct err *err);
/* Pointer and servers of ADDRESS. */
int names_forget_address(int dirfd, const struct address *address, struct err *err);
/* NULL: nothing is forwarded. */
int names_put_servers(int dirfd, const struct strings *servers, struct err *err);

/* These are the server's. Up to MAX addresses of FAMILY; RET_COUNT gets their number, RET_KNOWN
 * whether the name has any address at all. */
int names_find(int dirfd, const char *name, int family, struct address *ret, size_t max,
	size_t *ret_count, bool *ret_known);
/* To RET, NAMES_NAME_MAX + 1 bytes. −ENOENT. */
int names_find_pointer(int dirfd, const struct address *address, char *ret);
