/* SPDX-License-Identifier: Apache-2.0 */
/*
 * H8: the file server under a raw FUSE client. Whatever it asks, nothing above the shared folder is
 * read or changed, and no answer is longer than what the guest gave for it.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "runtime/microvm/fsd/fsd.h"
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

enum { REQUESTS_MAX = 64, FILE_MAX = 1 << 20, ANSWER = 8192 };

struct world {
	char path[64];
	int above, shared;
	struct fsd fsd;
};

/* Sizes that a guest may ask for would fill the disk of whoever runs this. */
static void bound_files(void)
{
	const struct rlimit limit = {FILE_MAX, FILE_MAX};

	setrlimit(RLIMIT_FSIZE, &limit);
	signal(SIGXFSZ, SIG_IGN);
}

static void world_make(struct world *w)
{
	struct err err = {};

	bound_files();
	strcpy(w->path, "/tmp/fuzz-fuse.XXXXXX");
	REQUIRE(mkdtemp(w->path));
	w->above = sys_openat(AT_FDCWD, w->path, O_RDONLY | O_DIRECTORY, 0);
	REQUIRE(sys_mkdirat(w->above, "shared", 0755) == 0);
	REQUIRE(fd_create_file(w->above, "secret", "secret", 6, 0600) == 0);
	w->shared = sys_openat(w->above, "shared", O_PATH | O_DIRECTORY, 0);
	REQUIRE(fd_create_file(w->shared, "file", "content", 7, 0644) == 0);
	REQUIRE(sys_mkdirat(w->shared, "sub", 0755) == 0);
	REQUIRE(sys_symlinkat("../secret", w->shared, "link") == 0);
	REQUIRE(fsd_open(&w->fsd, sys_dup(w->shared),
			sys_openat(AT_FDCWD, "/proc/self/fd", O_PATH | O_DIRECTORY, 0), false,
			&err) == 0);
}

static void world_check(const struct world *w)
{
	char text[16] = {};
	struct stat st;

	REQUIRE(fd_read_line(w->above, "secret", text, sizeof(text)) == 6);
	REQUIRE(!strcmp(text, "secret"));
	REQUIRE(sys_fstatat(w->above, "secret", &st, AT_SYMLINK_NOFOLLOW) == 0);
	REQUIRE(st.st_nlink == 1 && (st.st_mode & 07777) == 0600);
	REQUIRE(sys_fstatat(w->above, "shared", &st, AT_SYMLINK_NOFOLLOW) == 0);
	REQUIRE(S_ISDIR(st.st_mode));
}

static void world_end(struct world *w)
{
	cleanup_close(&w->fsd.proc);
	fsd_close(&w->fsd);
	/* Nothing was made beside it. */
	REQUIRE(sys_unlinkat(w->above, "secret", 0) == 0);
	close(w->shared);
	(void)sys_fchmodat(w->above, "shared", 0700);
	REQUIRE(path_remove_tree(w->above, "shared") == 0);
	close(w->above);
	REQUIRE(rmdir(w->path) == 0);
}

/*
 * A request is: opcode, node, length of the answer's room, length of the body, body; the rest of
 * the header is made. A body is where handles, offsets and names are.
 */
static size_t request(struct world *w, const uint8_t *data, size_t size)
{
	static uint8_t answer[ANSWER];
	uint8_t in[sizeof(struct fuse_in_header) + 256];
	struct virtq_chain chain = {.readable = 1, .writable = 1};
	size_t len, room;
	int64_t n;

	if (size < 4)
		return size;
	len = data[3] < size - 4 ? data[3] : size - 4;
	room = (size_t)data[2] * 32;
	const struct fuse_in_header head = {.len = (uint32_t)(sizeof(head) + len),
		.opcode = data[0] % 64,
		.unique = 7,
		.nodeid = data[1] == 255 ? UINT64_MAX : data[1] % 16,
		.uid = 1000,
		.gid = 1000};

	memcpy(in, &head, sizeof(head));
	memcpy(in + sizeof(head), data + 4, len);
	chain.read_len = (uint32_t)(sizeof(head) + len);
	chain.write_len = (uint32_t)room;
	chain.iov[0] = (struct iovec){in, chain.read_len};
	chain.iov[1] = (struct iovec){answer, room};
	n = fsd_handle(&w->fsd, &chain);
	REQUIRE(n == -EBADMSG || (n >= 0 && n <= (int64_t)room));
	return 4 + len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;

	world_make(&w);
	for (int i = 0; i < REQUESTS_MAX && size; i++) {
		size_t used = request(&w, data, size);

		data += used;
		size -= used;
	}
	world_check(&w);
	world_end(&w);
	return 0;
}
