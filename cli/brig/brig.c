/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/brig/brig.h"
#include "cli/containers/userns.h"

#include "cli/brig/images.h"
#ifdef BRIG_MICROVM
#include "runtime/microvm/host/backend.h"
#endif

#include "base/path.h"
#include "base/sys.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* RET is FMT, when that fits. */
static int put(char ret[PATH_MAX], struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int put(char ret[PATH_MAX], struct err *err, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(ret, PATH_MAX, fmt, ap);
	va_end(ap);
	return n < 0 || n >= PATH_MAX ? err_sys(err, -ENAMETOOLONG, "%.100s…", ret) : 0;
}

/* A directory of the user's: in the one that the environment names, else below the home. */
static int user_dir(
	char ret[PATH_MAX], const char *variable, const char *below_home, struct err *err)
{
	const char *dir = getenv(variable), *home = getenv("HOME");

	if (dir && *dir == '/')
		return put(ret, err, "%s/brig", dir);
	if (home && *home == '/')
		return put(ret, err, "%s/%s/brig", home, below_home);
	return err_set(err, -ENOENT, "neither $%s nor $HOME is set: say --root DIR", variable);
}

static int user_run_dir(char ret[PATH_MAX], struct err *err)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");

	if (dir && *dir == '/')
		return put(ret, err, "%s/brig", dir);
	return put(ret, err, "/tmp/brig-run-%u", geteuid());
}

/* PATH, which may be relative to where we are, as an absolute one. */
static int absolute(char ret[PATH_MAX], const char *path, struct err *err)
{
	char cwd[PATH_MAX];
	int r;

	if (*path == '/')
		return put(ret, err, "%s", path);
	r = sys_getcwd(cwd, sizeof(cwd));
	return r < 0 ? err_sys(err, r, "find the current directory")
		     : put(ret, err, "%s/%s", cwd, path);
}

static int find_dirs(struct brig *b, struct err *err)
{
	const char *libexec = getenv("BRIG_LIBEXEC"), *share = getenv("BRIG_SHARE");
	struct brig_dirs *d = &b->dirs;
	int r;

	if (b->global->root)
		r = absolute(d->data, b->global->root, err);
	else
		r = b->rootless ? user_dir(d->data, "XDG_DATA_HOME", ".local/share", err)
				: put(d->data, err, "/var/lib/brig");
	if (r == 0 && b->global->runroot)
		r = absolute(d->run, b->global->runroot, err);
	else if (r == 0)
		r = b->rootless ? user_run_dir(d->run, err) : put(d->run, err, "/run/brig");
	if (r == 0)
		r = b->rootless ? user_dir(d->config, "XDG_CONFIG_HOME", ".config", err)
				: put(d->config, err, "/etc/brig");
	/* From a build folder the programs are elsewhere. */
	if (r == 0)
		r = absolute(d->libexec, libexec && *libexec ? libexec : BRIG_LIBEXECDIR, err);
	if (r == 0)
		r = absolute(d->share, share && *share ? share : BRIG_DATADIR, err);
	return r;
}

/* Makes DIR, for us alone. One that somebody else owns or may write to is refused: /tmp is
 * everybody's. */
static int open_dir(const char *dir, int *ret, struct err *err)
{
	autoclose int top = sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0), fd = -1, own = -1;
	struct stat st;
	int r;

	r = fd = path_mkdir(top, dir, 0700, (uid_t)-1, (gid_t)-1);
	if (r >= 0)
		r = own = sys_openat(fd, ".", O_RDONLY | O_DIRECTORY, 0);
	if (r >= 0)
		r = sys_fstat(own, &st);
	if (r < 0)
		return err_sys(err, r, "%s", dir);
	if (st.st_uid != geteuid() || (st.st_mode & 0022))
		return err_set(err, -EPERM,
			"%s belongs to uid %u with mode %04o; it must be yours, and writable by "
			"you "
			"alone",
			dir, st.st_uid, st.st_mode & 07777);
	*ret = take_fd(&own);
	return 0;
}

int brig_find(const struct invocation *inv, struct brig *ret, struct err *err)
{
	struct brig b = {
		.inv = inv,
		.global = inv->global,
		.arena = inv->arena,
		.rootless = geteuid() != 0,
		.datafd = -1,
		.runfd = -1,
		.runtime = {.rootfd = -1, .procfd = -1},
	};
	int r = find_dirs(&b, err);

	if (r == 0)
		*ret = b;
	return r;
}

int brig_open(const struct invocation *inv, struct brig *ret, struct err *err)
{
	autobrig struct brig b = BRIG_NONE;
	int r = brig_find(inv, &b, err);

	if (r == 0)
		r = open_dir(b.dirs.data, &b.datafd, err);
	if (r == 0)
		r = open_dir(b.dirs.run, &b.runfd, err);
	if (r < 0)
		return r;
	*ret = b;
	b = (struct brig)BRIG_NONE;
	return 0;
}

void brig_close(struct brig *b)
{
	store_release(&b->store);
	store_release(&b->shifted);
	if (b->has_boxes)
		boxes_close(&b->boxes);
	b->has_boxes = false;
	if (b->has_runtime)
		runtime_close(&b->runtime);
	b->has_runtime = false;
	cleanup_close(&b->datafd);
	cleanup_close(&b->runfd);
}

static int open_store(
	struct brig *b, const struct store_ids *ids, struct store **ret, struct err *err)
{
	char root[PATH_MAX], helper[PATH_MAX];
	struct store_options options = {.root = root, .helper = helper, .ids = *ids};
	int r = put(root, err, "%s/images", b->dirs.data);

	if (r == 0)
		r = put(helper, err, "%s/brig-unpack", b->dirs.libexec);
	return r < 0 ? r : store_open(&options, ret, err);
}

int brig_store(struct brig *b, struct store **ret, struct err *err)
{
	struct store_ids ids = {};
	int r = 0;

	if (!b->store) {
		if (b->rootless)
			r = ids_of_user(b->arena, &ids, err);
		if (r == 0)
			r = open_store(b, &ids, &b->store, err);
	}
	if (r == 0)
		*ret = b->store;
	return r;
}

int brig_store_for(struct brig *b, const struct record *record, struct store **ret, struct err *err)
{
	struct store_ids ids = {};
	int r = b->rootless ? 0 : box_read_ids(record, b->arena, &ids, err);

	if (r < 0 || !ids.uid_count)
		return r < 0 ? r : brig_store(b, ret, err);
	if (!b->shifted)
		r = open_store(b, &ids, &b->shifted, err);
	if (r == 0)
		*ret = b->shifted;
	return r;
}

int brig_runtime(struct brig *b, struct runtime **ret, struct err *err)
{
	char root[PATH_MAX];
	const struct runtime_options options = {
		.root = root,
#ifdef BRIG_MICROVM
		.vm = &microvm_backend,
#endif
		.cgroup_driver = (enum cgroup_driver)b->global->cgroup_manager,
	};
	int r = 0;

	if (!b->has_runtime) {
		r = put(root, err, "%s/runtime", b->dirs.run);
		if (r == 0)
			r = runtime_open(&options, &b->runtime, err);
		b->has_runtime = r == 0;
	}
	if (r == 0)
		*ret = &b->runtime;
	return r;
}

int brig_boxes(struct brig *b, const struct boxes **ret, struct err *err)
{
	struct runtime *rt;
	int r = brig_runtime(b, &rt, err);

	if (r == 0 && !b->has_boxes) {
		r = boxes_open(b->datafd, b->runfd, b->dirs.data, b->dirs.run, rt, &b->boxes, err);
		b->has_boxes = r == 0;
	}
	if (r == 0)
		*ret = &b->boxes;
	return r;
}

int brig_box(struct brig *b, const char *text, bool lock, struct box *ret, struct err *err)
{
	const struct boxes *boxes = NULL;
	int r = brig_boxes(b, &boxes, err);

	return r < 0 ? r : box_open(boxes, text, lock, ret, err);
}

int brig_box_id(struct brig *b, const char *text, char ret[RECORD_ID_SIZE], struct err *err)
{
	const struct boxes *boxes = NULL;
	int r = brig_boxes(b, &boxes, err);

	return r < 0 ? r : boxes_find(boxes, text, ret, err);
}

int brig_start_context(struct brig *b, const struct start_context **ret, struct err *err)
{
	const struct boxes *boxes;
	struct store *store;
	int r = brig_boxes(b, &boxes, err);

	if (r == 0)
		r = brig_store(b, &store, err);
	if (r < 0)
		return r;
	b->start = (struct start_context){
		.boxes = boxes,
		.rt = &b->runtime,
		.store = store,
		.libexec = b->dirs.libexec,
		.rootless = b->rootless,
	};
	*ret = &b->start;
	return 0;
}
