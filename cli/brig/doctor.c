/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor: what this machine supports, each thing found out by trying it, and what to do about the
 * rest.
 */
#include "base/fd.h"
#include "base/json.h"
#include "base/sys.h"
#include "cli/brig/images.h"
#include "cli/containers/userns.h"
#include "cli/output/human.h"
#include "cli/output/terminal.h"
#include "images/policy.h"
#include "images/registries.h"
#include "images/snapshot.h"
#include "images/userns.h"
#ifdef BRIG_MICROVM
#include "runtime/microvm/host/kernel.h"
#include "runtime/microvm/host/probe.h"
#endif

#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/magic.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

enum verdict { FINE, LACKING, BROKEN };

struct doctor {
	struct brig *b;
	json_t *rows;
	bool broken, failed;
};

struct doctor_values {
	const char *format;
};

const struct option doctor_options[] = {
	{"format", 0, OPTION_TEXT, OPTION_AT(doctor_values, format), .argument = "FORMAT",
		.help = "json, table TEMPLATE, or a template"},
	{NULL},
};
VALUES_FIT(struct doctor_values);

static const struct list_field fields[] = {
	{"Status", "STATUS"}, {"Check", "CHECK"}, {"Text", "TEXT"}, {NULL}};

static void say(struct doctor *d, enum verdict verdict, const char *check, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void say(struct doctor *d, enum verdict verdict, const char *check, const char *fmt, ...)
{
	static const char *const words[] = {"ok", "missing", "broken"};
	autobuf struct buf text = {};
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	d->broken |= verdict == BROKEN;
	d->failed |= json_array_append_new(
			     d->rows, json_pack("{s:s, s:s, s:s}", "Status", words[verdict],
					      "Check", check, "Text", buf_str(&text))) < 0;
}

/* Whether CALL succeeds in a process of its own. */
static int in_child(int (*call)(void))
{
	int status = 0;
	pid_t pid = sys_fork();

	if (pid == 0) {
		int r = call();

		_exit(r < 0 ? -r : 0);
	}
	if (pid < 0 || sys_waitpid(pid, &status, 0) < 0)
		return -ECHILD;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

static bool read_small(const char *path, char *ret, size_t size)
{
	autobuf struct buf text = {};
	autoclose int fd = sys_openat(AT_FDCWD, path, O_RDONLY, 0);

	if (fd < 0 || fd_read_all(fd, size - 1, &text) < 0)
		return false;
	snprintf(ret, size, "%.*s", (int)strcspn(buf_str(&text), "\n"), buf_str(&text));
	return true;
}

/* ---- the kernel ---- */

static int new_userns(void)
{
	return sys_unshare(CLONE_NEWUSER);
}

static void check_userns(struct doctor *d)
{
	int r = in_child(new_userns);
	char value[32];

	if (r == 0)
		say(d, FINE, "user namespaces", "may be made");
	else if (read_small("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", value,
			 sizeof(value)) &&
		 *value == '1')
		say(d, d->b->rootless ? BROKEN : LACKING, "user namespaces",
			"AppArmor forbids them: sysctl -w "
			"kernel.apparmor_restrict_unprivileged_userns=0");
	else
		say(d, d->b->rootless ? BROKEN : LACKING, "user namespaces",
			"refused (%s): sysctl -w user.max_user_namespaces=15000 "
			"kernel.unprivileged_userns_clone=1",
			strerror(-r));
}

static void check_cgroups(struct doctor *d)
{
	struct statfs fs;
	char controllers[256] = "";

	if (sys_statfs("/sys/fs/cgroup", &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC) {
		say(d, LACKING, "cgroup v2",
			"/sys/fs/cgroup is not a cgroup2 tree: containers run without limits; boot "
			"with systemd.unified_cgroup_hierarchy=1");
		return;
	}
	read_small("/sys/fs/cgroup/cgroup.controllers", controllers, sizeof(controllers));
	for (const char *const *c = (const char *const[]){"cpu", "memory", "pids", NULL}; *c; c++)
		if (!strstr(controllers, *c)) {
			say(d, LACKING, "cgroup v2",
				"the controller %s is missing: boot without cgroup_disable=%s", *c,
				*c);
			return;
		}
	say(d, FINE, "cgroup v2", "controllers: %s", controllers);
}

static void check_seccomp(struct doctor *d)
{
	uint32_t action = SECCOMP_RET_ERRNO;

	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0)
		say(d, FINE, "seccomp", "system calls are filtered");
	else
		say(d, BROKEN, "seccomp",
			"the kernel has no CONFIG_SECCOMP_FILTER: containers would run unfiltered");
}

static void check_landlock(struct doctor *d)
{
	long version =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (version > 0)
		say(d, FINE, "Landlock", "version %ld", version);
	else
		say(d, LACKING, "Landlock",
			"not in force: add \"landlock\" to lsm= on the kernel's command line for a "
			"second wall around unpacking");
}

/* What a process with the store's ids finds. */
struct overlay_finding {
	enum snapshot_driver driver;
	char text[ERR_TEXT_MAX]; /* of an error */
};

static void find_overlay(struct store *store, bool rootless, struct overlay_finding *ret)
{
	struct err err = {};
	int r = rootless ? box_enter_userns(store, &err) : 0;

	if (r == 0)
		r = snapshot_probe(store, &ret->driver, &err);
	snprintf(ret->text, sizeof(ret->text), "%s", r < 0 ? err.text : "");
}

static int find_in_child(struct store *store, bool rootless, struct overlay_finding *ret)
{
	autoclose int ours = -1, theirs = -1;
	int pair[2], r = sys_pipe(pair);
	pid_t pid;

	if (r < 0)
		return r;
	ours = pair[0], theirs = pair[1];
	pid = sys_fork();
	if (pid == 0) {
		find_overlay(store, rootless, ret);
		(void)!sys_write(theirs, ret, sizeof(*ret));
		_exit(0);
	}
	cleanup_close(&theirs);
	r = pid < 0 ? pid : sys_read(ours, ret, sizeof(*ret)) == sizeof(*ret) ? 0 : -ECHILD;
	if (pid > 0)
		sys_waitpid(pid, NULL, 0);
	return r;
}

static void check_overlay(struct doctor *d)
{
	struct overlay_finding found = {};
	struct store *store;
	struct err err = {};
	int r = brig_store(d->b, &store, &err);

	if (r < 0) {
		say(d, BROKEN, "store", "%s", err.text);
		return;
	}
	r = find_in_child(store, d->b->rootless, &found);
	if (r < 0)
		say(d, BROKEN, "overlay", "cannot be looked at: %s", strerror(-r));
	else if (*found.text)
		say(d, BROKEN, "overlay", "%s", found.text);
	else if (found.driver == SNAPSHOT_FUSE)
		say(d, LACKING, "overlay",
			"the kernel has none for this store: by fuse-overlayfs, which is slower");
	else
		say(d, FINE, "overlay", "the kernel's");
}

#ifdef BRIG_MICROVM
/* Whether guests have something to boot: root's, as machines are. */
static void check_guest_kernel(struct doctor *d)
{
	struct kernel kernel = {.image = -1, .modules = -1};
	struct err err = {};

	if (kernel_open(NULL, &kernel, &err) < 0)
		say(d, LACKING, "guest kernel", "%s", err.text);
	else
		say(d, FINE, "guest kernel", "%s", kernel.version);
	kernel_close(&kernel);
}

static void check_kvm(struct doctor *d)
{
	struct err err = {};

	if (kvm_probe(&err) < 0) {
		say(d, LACKING, "KVM", "%s", err.text);
		return;
	}
	say(d, FINE, "KVM", "runs virtual machines%s",
		d->b->rootless ? ", but only root can make containers of them" : "");
	check_guest_kernel(d);
}
#else
static void check_kvm(struct doctor *d)
{
	say(d, LACKING, "KVM", "this program makes no virtual machines on this processor");
}
#endif

static void check_foreign(struct doctor *d)
{
	autoclose int dir =
		sys_openat(AT_FDCWD, "/proc/sys/fs/binfmt_misc", O_RDONLY | O_DIRECTORY, 0);
	static const char *const names[] = {"qemu-aarch64", "qemu-x86_64"};

	for (size_t i = 0; dir >= 0 && i < ARRAY_LEN(names); i++)
		if (sys_faccessat(dir, names[i], F_OK, 0) == 0) {
			say(d, FINE, "foreign programs", "%s runs them", names[i]);
			return;
		}
	say(d, LACKING, "foreign programs",
		"images of other architectures do not run: install qemu-user-static and "
		"binfmt-support");
}

/* ---- programs and files ---- */

static void check_programs(struct doctor *d)
{
	static const char *const names[] = {"brig-unpack", "brig-registry"};
	char path[PATH_MAX + 32];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		int r;

		snprintf(path, sizeof(path), "%s/%s", d->b->dirs.libexec, names[i]);
		r = sys_faccessat(AT_FDCWD, path, X_OK, 0);
		if (r < 0)
			say(d, BROKEN, names[i], "%s: %s: install brig whole", path, strerror(-r));
		else
			say(d, FINE, names[i], "%s", path);
	}
}

static void check_room(struct doctor *d)
{
	char size[HUMAN_TEXT_MAX];
	struct statfs fs;
	uint64_t room;

	if (sys_fstatfs(d->b->datafd, &fs) < 0)
		return;
	room = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
	human_size(room, 3, size);
	if (room < 1 << 30)
		say(d, LACKING, "room", "%s left in %s: brig system prune -a, or --root elsewhere",
			size, d->b->dirs.data);
	else
		say(d, FINE, "room", "%s left in %s", size, d->b->dirs.data);
}

static void check_configuration(struct doctor *d)
{
	autoregistries struct registries *registries = NULL;
	struct err err = {};
	int r = registries_load(getenv("CONTAINERS_REGISTRIES_CONF"), NULL, &registries, &err);

	if (r < 0)
		say(d, BROKEN, "registries.conf", "%s", err.text);
	else
		say(d, FINE, "registries.conf", "understood");
	err_clear(&err);
	r = policy_check(NULL, "docker", NULL, &err);
	if (r == -EINVAL)
		say(d, BROKEN, "policy.json", "%s", err.text);
	else if (r < 0)
		say(d, LACKING, "policy.json", "nothing can be pulled by default: %s", err.text);
	else
		say(d, FINE, "policy.json", "understood");
}

static void check_nft(struct doctor *d)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (fd >= 0)
		say(d, FINE, "nftables", "the kernel has them");
	else
		say(d, d->b->rootless ? LACKING : BROKEN, "nftables",
			"no bridge networks (%s): modprobe nf_tables", strerror(errno));
	cleanup_close(&fd);
}

/* ---- without root ---- */

static bool in_path(const char *name)
{
	static const char *const dirs[] = {"/usr/bin", "/usr/local/bin", "/bin"};
	char path[128];

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		snprintf(path, sizeof(path), "%s/%s", dirs[i], name);
		if (sys_faccessat(AT_FDCWD, path, X_OK, 0) == 0)
			return true;
	}
	return false;
}

static void check_subids(struct doctor *d, const char *file, const char *program)
{
	const char *user = ids_user_name(geteuid(), d->b->arena);
	struct store_id_range range;
	struct err err = {};

	if (!in_path(program))
		say(d, LACKING, file,
			"%s is missing, so every file belongs to you: install the package uidmap",
			program);
	else if (userns_find_subids(file, user, geteuid(), &range, &err) < 0)
		say(d, LACKING, file,
			"no range for this user: usermod --add-sub%cids "
			"100000-165535 %s",
			strstr(file, "uid") ? 'u' : 'g', user ? user : "USER");
	else
		say(d, FINE, file, "%u ids from %u on", range.count, range.outside);
}

static void check_rootless(struct doctor *d)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	char value[64];

	check_subids(d, "/etc/subuid", "newuidmap");
	check_subids(d, "/etc/subgid", "newgidmap");
	if (in_path("pasta"))
		say(d, FINE, "pasta", "containers reach the network");
	else
		say(d, LACKING, "pasta", "containers have no network: install the package passt");
	if (run && *run)
		say(d, FINE, "XDG_RUNTIME_DIR", "%s", run);
	else
		say(d, LACKING, "XDG_RUNTIME_DIR",
			"not set, so /tmp is used: log in by PAM, or loginctl enable-linger");
	if (read_small("/proc/sys/net/ipv4/ip_unprivileged_port_start", value, sizeof(value)) &&
		strcmp(value, "0") != 0)
		say(d, LACKING, "low ports",
			"ports below %s cannot be published: sysctl -w "
			"net.ipv4.ip_unprivileged_port_start=0",
			value);
}

/* ---- the whole ---- */

static void add_lines(const struct doctor *d, struct buf *out)
{
	bool colour = terminal_has_colour(STDOUT_FILENO);
	json_t *row;
	size_t i;

	json_array_foreach (d->rows, i, row) {
		const char *status = json_string_value(json_object_get(row, "Status"));
		enum terminal_style style = *status == 'o'   ? TERMINAL_GREEN
					    : *status == 'm' ? TERMINAL_YELLOW
							     : TERMINAL_RED;
		char padded[16];

		snprintf(padded, sizeof(padded), "%-8s", status);
		terminal_style(out, colour, style, padded);
		buf_printf(out, "%-17s ", json_string_value(json_object_get(row, "Check")));
		human_text(json_string_value(json_object_get(row, "Text")),
			json_string_length(json_object_get(row, "Text")), out);
		buf_puts(out, "\n");
	}
}

int doctor_run(const struct invocation *inv, struct err *err)
{
	const struct doctor_values *v = inv->options;
	autobrig struct brig b = BRIG_NONE;
	struct doctor d = {.b = &b, .rows = json_array()};
	const struct list_options options = {.fields = fields,
		.columns = "{{.Status}}\t{{.Check}}\t{{.Text}}",
		.format = v->format};
	autobuf struct buf out = {};
	int r = brig_open(inv, &b, err);

	if (r == 0) {
		check_userns(&d);
		check_cgroups(&d);
		check_seccomp(&d);
		check_landlock(&d);
		check_programs(&d);
		check_overlay(&d);
		check_room(&d);
		check_configuration(&d);
		check_nft(&d);
		check_kvm(&d);
		check_foreign(&d);
		if (b.rootless)
			check_rootless(&d);
		if (d.failed)
			r = err_sys(err, -ENOMEM, "doctor");
	}
	if (r == 0 && v->format)
		r = list_print(&options, d.rows, &out, err);
	else if (r == 0)
		add_lines(&d, &out);
	json_decref(d.rows);
	if (r == 0)
		r = print_buf(&out, err);
	return r < 0 ? r : d.broken;
}
