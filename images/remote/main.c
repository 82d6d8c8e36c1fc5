/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brig-registry: talks to registries for brig, which itself has neither TLS nor HTTP.
 *
 * Two processes. The first one opens the store and then only starts brig-unpack for the second one
 * (images/starter.h), which gives up its privilege (remote_sandbox_enter()) before it opens its
 * first connection.
 */
#include "base/fd.h"
#include "base/sys.h"
#include "images/helper.h"
#include "images/remote/remote.h"
#include "images/starter.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

enum { REQUEST_MAX = 4 << 20, CERT_FILES_MAX = 192 };

static int read_request(struct remote_request *ret, struct err *err)
{
	autobuf struct buf text = {};
	int r = fd_read_all(STDIN_FILENO, REQUEST_MAX, &text);

	if (r < 0)
		return err_sys(err, r, "standard input");
	r = remote_request_parse(buf_str(&text), text.len, ret, err);
	if (text.len)
		explicit_bzero(text.data, text.len);
	return r;
}

/* The second process. */
static _Noreturn void talk(const struct remote_request *q, struct store *store, int sock)
{
	const char *cert_files[CERT_FILES_MAX + 1] = {};
	struct err err = {};
	size_t count = 0;
	int r;

	sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	for (size_t i = 0; i < q->endpoint_count && count + 3 <= CERT_FILES_MAX; i++) {
		const struct http_files *f = &q->endpoints[i].files;
		const char *all[] = {f->ca, f->cert, f->key};

		for (size_t k = 0; k < ARRAY_LEN(all); k++)
			if (all[k])
				cert_files[count++] = all[k];
	}
	r = remote_sandbox_enter(
		store ? store_root(store) : -1, q->op == REMOTE_PULL, cert_files, &err);
	if (r == 0) {
		if (store)
			starter_use(store, sock);
		r = remote_perform(q, store);
	} else {
		remote_print_error(&err);
	}
	_exit(r < 0);
}

static int run(const struct remote_request *q, struct err *err)
{
	autostore struct store *store = NULL;
	int pair[2] = {-1, -1}, status = 0, r = 0;
	pid_t pid;

	if (q->store.root)
		r = store_open(&q->store, &store, err);
	if (r == 0 && q->op == REMOTE_PULL)
		r = helper_prepare(store, err);
	if (r == 0)
		r = sys_socketpair(SOCK_SEQPACKET, pair);
	if (r < 0)
		return err->code ? r : err_sys(err, r, "brig-registry");
	pid = sys_fork();
	if (pid == 0) {
		close(pair[0]);
		talk(q, store, pair[1]);
	}
	close(pair[1]);
	if (pid > 0) {
		r = store ? starter_run(store, pair[0], err) : 0;
		sys_waitpid(pid, &status, 0);
		if (store && q->op == REMOTE_PULL)
			store_flush_later(store);
	}
	close(pair[0]);
	if (pid < 0)
		return err_sys(err, pid, "brig-registry");
	if (r == 0 && WIFSIGNALED(status))
		r = err_set(err, -EPIPE, "brig-registry was ended by signal %d", WTERMSIG(status));
	return r;
}

int main(void)
{
	struct remote_request request = {};
	struct err err = {};
	int r;

	signal(SIGPIPE, SIG_IGN);
	r = read_request(&request, &err);
	if (r == 0)
		r = run(&request, &err);
	if (r < 0)
		remote_print_error(&err);
	remote_request_free(&request);
	return r < 0;
}
