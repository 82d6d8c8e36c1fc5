/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the hostile guest under brig-vmm with every device, and watches the VMM meanwhile.
 *
 * usage: hostile-run -v VMM -F FSD -k KERNEL -d DISK -p PMEM -s FOLDER [-C VCPUS] [-t SECONDS]
 * ATTACK
 *
 * What the guest prints goes to standard output, at most 64 KiB of it. The last line on standard
 * error: how the VMM ended, the slowest answer of its control socket, the most memory that it had
 * besides the guest's. After SECONDS it is told to stop; status 124 when it does not.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/sys.h"
#include "runtime/microvm/host/launch.h"
#include "runtime/microvm/vmm/control.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/times.h>
#include <time.h>

enum { FDS_MAX = 16, OUTPUT_MAX = 65536, TICK_MS = 50, STOP_MS = 20000, STATUS_STUCK = 124 };

struct options {
	const char *vmm, *fsd, *kernel, *disk, *pmem, *folder;
	char attack[64];
	int vcpus, seconds;
};

struct watched {
	pid_t pid;
	int control, serial;
	long most_kib, kib_at_start;
	int64_t slowest_ms;
	uint64_t exits;
	size_t printed;
};

static int fds[FDS_MAX];
static size_t fd_count;

static _Noreturn void give_up(const char *what)
{
	fprintf(stderr, "hostile-run: %s: %m\n", what);
	exit(125);
}

static int pass(int fd)
{
	if (fd < 0) {
		errno = -fd;
		give_up("a descriptor");
	}
	fds[fd_count++] = fd;
	return fd;
}

static int open_file(const char *path, int flags)
{
	return pass(sys_openat(AT_FDCWD, path, flags, 0));
}

/* In a network namespace of our own, where it leads nowhere. */
static json_t *plan_net(void)
{
	struct ifreq r = {.ifr_name = "tap0", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int tap;

	if (sys_unshare(CLONE_NEWNET) < 0)
		return json_array();
	tap = sys_openat(AT_FDCWD, "/dev/net/tun", O_RDWR, 0);
	if (tap < 0 || ioctl(tap, TUNSETIFF, &r) < 0) {
		fprintf(stderr, "hostile-run: without a network device: %m\n");
		return json_array();
	}
	return json_pack("[{s:i,s:s}]", "tap", pass(tap), "mac", "02:00:00:00:00:01");
}

static json_t *plan_filesystem(const struct options *o)
{
	int root = sys_openat(AT_FDCWD, o->folder, O_PATH | O_DIRECTORY, 0), pair[2], pidfd;
	struct err err = {};

	if (root < 0 || sys_socketpair(SOCK_SEQPACKET, pair) < 0)
		give_up(o->folder);
	if (launch_fsd(o->fsd, root, pair[1], -1, false, 2, &pidfd, &err) < 0) {
		fprintf(stderr, "hostile-run: %s\n", err.text);
		exit(125);
	}
	close(root);
	close(pair[1]);
	return json_pack("[{s:s,s:i}]", "tag", "shared", "socket", pass(pair[0]));
}

static json_t *make_plan(const struct options *o, struct watched *w)
{
	int control[2], serial[2], port[2], kernel = open_file(o->kernel, O_RDONLY);
	json_t *plan, *more;

	if (sys_socketpair(SOCK_SEQPACKET, control) < 0 || sys_pipe(serial) < 0 ||
		sys_socketpair(SOCK_STREAM, port) < 0)
		give_up("sockets");
	w->control = control[0];
	w->serial = serial[0];
	plan = json_pack("{s:i,s:i,s:i,s:s,s:i,s:i,s:b,s:b,s:{s:i,s:i}}", "vcpus", o->vcpus,
		"memoryMiB", 32, "kernel", kernel, "commandLine", o->attack, "control",
		pass(control[1]), "serial", pass(serial[1]), "rng", 1, "balloon", 1, "jail", "uid",
		64000, "gid", 64000);
	more = json_pack("{s:{s:i,s:[{s:i,s:i}]},s:{s:i,s:i},s:[{s:i,s:s}],s:[{s:i,s:b}],s:o,s:o}",
		"vsock", "cid", 3, "ports", "port", 1024, "fd", pass(port[1]), "console", "in", -1,
		"out", open_file("/dev/null", O_WRONLY), "blocks", "fd", open_file(o->disk, O_RDWR),
		"serial", "disk", "pmems", "fd", open_file(o->pmem, O_RDONLY), "readOnly", 1,
		"nets", plan_net(), "filesystems", plan_filesystem(o));
	if (!plan || !more || json_object_update(plan, more) < 0)
		give_up("the plan");
	json_decref(more);
	return plan;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What the VMM has besides the guest's memory and the files that the guest maps. */
static long own_kib(pid_t pid)
{
	char path[64], line[256];
	bool guest = false;
	long sum = 0, n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (strchr(line, '-') && !strstr(line, "kB"))
			guest = strstr(line, "memfd:guest") || strstr(line, "pmem");
		if (!guest && sscanf(line, "Rss: %ld kB", &n) == 1)
			sum += n;
	}
	if (f)
		fclose(f);
	return sum;
}

/* Copies what the guest has printed; what is too much is read and dropped. */
static void read_serial(struct watched *w, int timeout_ms)
{
	struct pollfd p = {w->serial, POLLIN, 0};
	char buf[65536];

	while (sys_poll(&p, 1, timeout_ms) > 0) {
		ssize_t n = sys_read(w->serial, buf, sizeof(buf));
		size_t room = OUTPUT_MAX - w->printed;

		if (n <= 0)
			return;
		fwrite(buf, 1, (size_t)n < room ? (size_t)n : room, stdout);
		w->printed += (size_t)n < room ? (size_t)n : room;
		timeout_ms = 0;
		if (w->printed == OUTPUT_MAX)
			return; /* a flood: others' turn */
	}
}

static bool ask(struct watched *w, uint32_t op)
{
	struct control_request q = {.op = op};
	struct control_reply reply;
	int64_t before = now_ms();

	if (sys_write(w->control, &q, sizeof(q)) != sizeof(q) ||
		sys_read(w->control, &reply, sizeof(reply)) != sizeof(reply))
		return false;
	if (now_ms() - before > w->slowest_ms)
		w->slowest_ms = now_ms() - before;
	w->exits = reply.stats.exits;
	return true;
}

static void look(struct watched *w)
{
	long kib = own_kib(w->pid);

	if (!w->kib_at_start)
		w->kib_at_start = kib;
	if (kib > w->most_kib)
		w->most_kib = kib;
	ask(w, CONTROL_STATS);
}

static bool has_ended(struct watched *w, int *ret)
{
	return sys_waitpid(w->pid, ret, WNOHANG) == w->pid;
}

static int watch(struct watched *w, int seconds)
{
	int64_t end = now_ms() + seconds * 1000LL;
	bool told = false;
	int status;

	while (!has_ended(w, &status)) {
		read_serial(w, TICK_MS);
		if (now_ms() > end + STOP_MS) {
			sys_kill(w->pid, SIGKILL);
			sys_waitpid(w->pid, &status, 0);
			return STATUS_STUCK;
		}
		if (!told && now_ms() > end) {
			ask(w, CONTROL_STOP);
			told = true;
		} else if (!told) {
			look(w);
		}
	}
	read_serial(w, 0);
	if (WIFSIGNALED(status))
		fprintf(stderr, "hostile-run: the VMM was killed by %s\n",
			strsignal(WTERMSIG(status)));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static long cpu_ms(void)
{
	struct tms t;

	times(&t);
	return (t.tms_cutime + t.tms_cstime) * 1000 / sysconf(_SC_CLK_TCK);
}

static void parse(int argc, char **argv, struct options *o)
{
	int option;

	while ((option = getopt(argc, argv, "v:F:k:d:p:s:C:t:")) != -1) {
		switch (option) {
		case 'v':
			o->vmm = optarg;
			break;
		case 'F':
			o->fsd = optarg;
			break;
		case 'k':
			o->kernel = optarg;
			break;
		case 'd':
			o->disk = optarg;
			break;
		case 'p':
			o->pmem = optarg;
			break;
		case 's':
			o->folder = optarg;
			break;
		case 'C':
			o->vcpus = atoi(optarg);
			break;
		case 't':
			o->seconds = atoi(optarg);
			break;
		default:
			exit(125);
		}
	}
	snprintf(o->attack, sizeof(o->attack), "attack=%s", argv[optind] ?: "nothing");
}

int main(int argc, char **argv)
{
	struct options o = {.vcpus = 1, .seconds = 300};
	struct launch_options launch = {.fds = fds, .log = 2};
	struct watched w = {};
	struct err err = {};
	int status, pidfd;

	parse(argc, argv, &o);
	signal(SIGPIPE, SIG_IGN);
	launch.vmm = o.vmm;
	launch.plan = make_plan(&o, &w);
	launch.fd_count = fd_count;
	w.pid = launch_vmm(&launch, &pidfd, &err);
	if (w.pid < 0) {
		fprintf(stderr, "hostile-run: %s\n", err.text);
		return 125;
	}
	for (size_t i = 0; i < fd_count; i++)
		close(fds[i]);
	status = watch(&w, o.seconds);
	fflush(stdout);
	fprintf(stderr,
		"hostile-run: status %d slowest-ms %lld grown-kib %ld own-kib %ld exits %llu "
		"cpu-ms %ld\n",
		status, (long long)w.slowest_ms, w.most_kib - w.kib_at_start, w.most_kib,
		(unsigned long long)w.exits, cpu_ms());
	return status;
}
