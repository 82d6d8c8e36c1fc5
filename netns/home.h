/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network namespace that has the bridges.
 *
 * Root's is the one that he is in. A user without privilege has one of his own, made when his first
 * container is on a network, with a user namespace that maps him alone. It forwards nothing, so
 * that its networks are apart without any rule; containers get outside, and are reached from there,
 * by a pasta each. No process is in it: it is kept by descriptors, of the process that starts a
 * container and then of its monitor, and the kernel ends it with the last of them, whatever is
 * killed. RUN/networks/home/ID says where to look for one.
 *
 * The caller stays outside: his is every namespace that he made, and the sockets that were opened
 * in them obey him (netns/visit.h).
 *
 * The process of a command, single-threaded, with the networks' lock.
 */
#pragma once

#include "netns/attach.h"
#include "netns/visit.h"

/* 1: it is there; 0: there is none. Always there for root. */
int home_find(struct network_store *store, struct err *err);
/* Makes it when there is none. */
int home_ensure(struct network_store *store, struct err *err);
void home_close(struct network_store *store);

/* ID's monitor, the process HOLDER, will have what is added to HELD; until then it is this
 * process's. */
int home_hold(struct network_store *store, const char *id, pid_t holder, struct attach_held *held,
	struct err *err);
int home_forget(struct network_store *store, const char *id, struct err *err);

/* Calls WORK there. Of a user: −ESRCH when there is none. */
int home_visit(struct network_store *store, visit_work work, void *arg, struct visit_fds *ret,
	struct err *err);
/* A socket of route netlink of there. */
int home_netlink(struct network_store *store, struct err *err);
/* The namespace's descriptor. */
int home_open(struct network_store *store, struct err *err);
