/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing without waiting for the disk. A note says what is on its way: it is on the disk before
 * the first of it is in place, and goes when all of it is there. After a power cut the notes that
 * are left say what cannot be trusted; see images/store.h.
 *
 *   deferred/<random>    the boot id, then lines "layer DIGEST" and "blob DIGEST";
 *                        locked by the writer, then by the one who flushes
 */
#include "images/store_private.h"

#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "images/image.h"
#include "spec/image.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/random.h>

enum { NOTE_MAX = 4 << 20 };

static int open_notes(struct store *s)
{
	return sys_openat(s->root, "deferred", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
}

/* ---- the writer ---- */

/* Adds a line unless NOTED has it already. */
static void add_line(struct buf *noted, const char *kind, const char *what, struct buf *ret)
{
	char line[16 + DIGEST_TEXT_MAX];

	snprintf(line, sizeof(line), "%s %s\n", kind, what);
	if (!noted->len || !strstr(buf_str(noted), line))
		buf_puts(ret, line);
}

static void add_lines(struct buf *noted, const struct store_deferral *what, struct buf *ret)
{
	for (size_t i = 0; i < what->layer_count; i++)
		add_line(noted, "layer", what->layers[i], ret);
	for (size_t i = 0; i < what->blob_count; i++)
		add_line(noted, "blob", what->blobs[i], ret);
}

static int make_note(const struct store *s, const struct store_deferral *what, struct buf *ret)
{
	buf_printf(ret, "%s\n", s->boot);
	if (what)
		add_lines(&(struct buf){}, what, ret);
	return ret->failed ? -ENOMEM : 0;
}

/* Locked before it has its name: nobody may take it for one that was left. */
static int write_note(int dir, const struct buf *text)
{
	unsigned long long number;
	autoclose int fd = -1;
	char temp[32];
	int r;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return -EIO;
	snprintf(temp, sizeof(temp), ".%016llx", number);
	fd = sys_openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fd;
	r = sys_flock(fd, LOCK_EX);
	if (r == 0)
		r = fd_write_all(fd, text->data, text->len);
	if (r == 0)
		r = sys_fsync(fd);
	if (r == 0)
		r = sys_renameat2(dir, temp, dir, temp + 1, RENAME_NOREPLACE);
	if (r == 0)
		r = sys_fsync(dir);
	if (r < 0)
		sys_unlinkat(dir, temp, 0);
	return r < 0 ? r : take_fd(&fd);
}

int store_defer(struct store *s, const struct store_deferral *what, struct err *err)
{
	autoclose int dir = open_notes(s);
	autobuf struct buf text = {};
	int r = dir < 0 ? dir : make_note(s, what, &text);

	if (r == 0)
		r = write_note(dir, &text);
	if (r < 0)
		return err_sys(err, r, "store: note what is to be written");
	cleanup_close(&s->note);
	buf_free(&s->noted);
	s->noted = (struct buf){};
	s->note_grows = !what;
	s->note = r;
	return 0;
}

/* A line that a power cut leaves half written speaks of nothing that was put in place. */
static int grow(struct store *s, const struct store_deferral *what)
{
	autobuf struct buf lines = {};
	int r;

	if (s->note < 0 || !s->note_grows)
		return 0;
	add_lines(&s->noted, what, &lines);
	if (!lines.len && !lines.failed)
		return 0;
	buf_puts(&s->noted, buf_str(&lines));
	if (lines.failed || s->noted.failed)
		return -ENOMEM;
	r = fd_write_all(s->note, lines.data, lines.len);
	return r < 0 ? r : sys_fsync(s->note);
}

int store_defer_more(struct store *s, const struct store_deferral *what, struct err *err)
{
	int r = grow(s, what);

	return r < 0 ? err_sys(err, r, "store: note what is to be written") : 0;
}

int store_note_blob(struct store *s, const char *digest)
{
	return grow(s, &(struct store_deferral){.blobs = &digest, .blob_count = 1});
}

int store_note_layer(struct store *s, const char *chain)
{
	return grow(s, &(struct store_deferral){.layers = &chain, .layer_count = 1});
}

/* ---- flushing ---- */

struct notes {
	char (*names)[32];
	int *fds;
	size_t count;
};

static void free_notes(struct notes *n)
{
	while (n->count)
		close(n->fds[--n->count]);
	free(n->names);
	free(n->fds);
}
CLEANUP_DEFINE(notes, struct notes, free_notes)
#define autonotes __attribute__((cleanup(cleanup_notes)))

static int add_note(void *context, int dir, const char *name)
{
	struct notes *n = context;
	char(*names)[32] = NULL;
	autoclose int fd = -1;
	int *fds;

	if (*name == '.' || strlen(name) >= sizeof(*names))
		return 0;
	names = reallocarray(n->names, n->count + 1, sizeof(*names));
	fds = names ? reallocarray(n->fds, n->count + 1, sizeof(*fds)) : NULL;
	if (names)
		n->names = names;
	if (!fds)
		return -ENOMEM;
	n->fds = fds;
	fd = sys_openat(dir, name, O_RDONLY | O_NOFOLLOW, 0);
	/* Its writer is at work, or somebody else is flushing it. */
	if (fd < 0 || sys_flock(fd, LOCK_EX | LOCK_NB) < 0)
		return 0;
	snprintf(names[n->count], sizeof(*names), "%s", name);
	fds[n->count++] = take_fd(&fd);
	return 0;
}

/* All notes that nobody holds, locked. */
static int take_notes(struct store *s, struct notes *ret)
{
	autonotes struct notes notes = {};
	autoclose int dir = open_notes(s);
	int r = dir < 0 ? dir : path_each(dir, add_note, &notes);

	if (r < 0)
		return r;
	*ret = notes;
	notes = (struct notes){};
	return 0;
}

int store_flush(struct store *s, struct err *err)
{
	autoclose int dir = open_notes(s);
	autonotes struct notes notes = {};
	int r;

	cleanup_close(&s->note);
	r = dir < 0 ? dir : take_notes(s, &notes);
	if (r == 0 && notes.count && syncfs(s->root) < 0)
		r = -errno;
	for (size_t i = 0; r == 0 && i < notes.count; i++)
		r = sys_unlinkat(dir, notes.names[i], 0);
	return r < 0 ? err_sys(err, r, "store: write to the disk") : 0;
}

/* Nobody's child, in nobody's session, and holding nobody's output open. */
static _Noreturn void flush_alone(struct store *s)
{
	struct err ignored = {};
	sigset_t all;

	if (sys_fork() != 0)
		_exit(0);
	setsid();
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	sys_prctl(PR_SET_NAME, (unsigned long)"brig-flush", 0, 0, 0);
	fd_keep_only(0, &s->root, 1);
	s->note = -1;
	store_flush(s, &ignored);
	_exit(0);
}

static bool has_notes(struct store *s)
{
	autonotes struct notes notes = {};

	return take_notes(s, &notes) == 0 && notes.count > 0;
}

void store_flush_later(struct store *s)
{
	int status;
	pid_t pid;

	cleanup_close(&s->note);
	if (!has_notes(s))
		return;
	pid = sys_fork();
	if (pid == 0)
		flush_alone(s);
	if (pid > 0)
		sys_waitpid(pid, &status, 0);
}

/* ---- after a power cut ---- */

static void distrust(struct store *s, const char *kind, const char *what)
{
	char from[200], to[200];

	if (!spec_digest_is_valid(what))
		return;
	if (strcmp(kind, "blob") == 0) {
		store_blob_path(what, from);
		sys_unlinkat(s->root, from, 0);
	} else if (strcmp(kind, "layer") == 0) {
		snprintf(from, sizeof(from), "layers/%s", digest_hex(what));
		snprintf(to, sizeof(to), "trash/%s.lost", digest_hex(what));
		sys_renameat2(s->root, from, s->root, to, RENAME_NOREPLACE);
	}
}

static int distrust_note(struct store *s, int fd)
{
	autobuf struct buf text = {};
	char *line, *rest;
	int r = fd_read_all(fd, NOTE_MAX, &text);

	if (r < 0)
		return r;
	buf_str(&text);
	line = text.data;
	rest = line ? strchr(line, '\n') : NULL;
	if (!rest)
		return 0; /* cut off: then nothing of it was begun */
	*rest++ = '\0';
	if (strcmp(line, s->boot) == 0)
		return 0; /* of this boot: another command was faster */
	for (line = rest; (rest = strchr(line, '\n')); line = rest) {
		char *space = strchr(line, ' ');

		*rest++ = '\0';
		if (!space)
			continue;
		*space = '\0';
		distrust(s, line, space + 1);
	}
	return 0;
}

static int remove_if_empty(void *context, int dir, const char *name)
{
	struct stat st;

	(void)context;
	if (sys_fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
		st.st_size == 0)
		sys_unlinkat(dir, name, 0);
	return 0;
}

/* A name that came on the disk without its content says nothing. */
static int remove_empty_names(struct store *s, const char *folder)
{
	autoclose int fd = sys_openat(s->root, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);

	return fd < 0 ? (fd == -ENOENT ? 0 : fd) : path_each(fd, remove_if_empty, NULL);
}

static bool is_whole(struct store *s, const char *manifest)
{
	autoimage struct image image = {};
	struct err err = {};
	int r = image_open_digest(s, manifest, &image, &err);

	for (size_t i = 0; r == 0 && i < image.config->diff_ids.count; i++)
		if (!store_layer_exists(s, image.chains[i].text))
			return false;
	return r != -ENOENT && r != -EBADMSG;
}

/* Whose layers are gone is gone: the next who needs it pulls it. */
static void remove_broken_names(struct store *s)
{
	autonames struct store_names names = {};
	struct err ignored = {};

	if (store_names_list(s, &names, &ignored) < 0)
		return;
	for (size_t i = 0; i < names.count; i++)
		if (!is_whole(s, names.items[i].digest))
			store_name_remove(s, &names.items[i].reference, &ignored);
}

int store_recover(struct store *s)
{
	autoclose int dir = open_notes(s);
	autonotes struct notes notes = {};
	int r = dir < 0 ? dir : take_notes(s, &notes);

	if (r == 0)
		r = remove_empty_names(s, "names");
	if (r == 0)
		r = remove_empty_names(s, "lists");
	for (size_t i = 0; r == 0 && i < notes.count; i++)
		r = distrust_note(s, notes.fds[i]);
	if (r < 0)
		return r;
	if (notes.count)
		remove_broken_names(s);
	for (size_t i = 0; i < notes.count; i++)
		sys_unlinkat(dir, notes.names[i], 0);
	return 0;
}
