/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the registry client share; not for anyone else. */
#pragma once

#include "images/registry.h"

#include <pthread.h>

struct registry {
	char *host, *repository, *name;
	char *base;              /* "https://host:port" */
	struct http_files files; /* copies */
	bool plain;              /* http */
	bool insecure, push;
	struct auth_credentials credentials;
	struct http_options http;
	pthread_mutex_t mutex; /* of what follows */
	char *authorization;   /* "Bearer …" or "Basic …" as the registry asked for it */
};

/* What a 401 asks for; images/token.c. */
struct challenge {
	bool basic, bearer;
	char realm[2048], service[512], scope[1024];
};

void challenge_parse(const char *header, struct challenge *ret);

/* Answers CHALLENGE: the new authorization, shared by all threads from now on. FAILED is the one
 * that the registry refused, or NULL: when another thread has got a newer one, that is it. */
int registry_authorize(struct registry *registry, struct http_client *client,
	const struct challenge *challenge, const char *failed, struct err *err);

/* Does REQUEST with authorization, fetching a token when that is asked for. Statuses from 400 on
 * are errors but for those in the list PASS, which ends with 0; NULL: none. */
int registry_do(struct registry *registry, struct http_client *client, struct http_request *request,
	const int *pass, struct http_response *ret, struct err *err);
/* "BASE/v2/REPOSITORY/" and the rest. */
void registry_url(const struct registry *registry, struct buf *ret, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
