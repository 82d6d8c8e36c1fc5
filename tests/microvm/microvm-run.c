/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boots a VM and runs one command in it: the microVM's parts put together for tests, without
 * anything of containers.
 *
 * usage: microvm-run [OPTION...] -- COMMAND [ARG...]
 *   -k FILE  kernel        -m DIR  its modules (with modules.dep)   -g FILE  brig-guest
 *   -v FILE  brig-vmm      -c DIR  cache for the initramfs          -b FILE  a program, to /bin
 *   -M MIB   memory        -C N    vCPUs                            -j JSON  merged into the plan
 *   -f N     a descriptor that the JSON names                       -s      serial console on
 * stderr -r N     run the command N times                                -t      with a terminal -F
 * FILE  brig-fsd      -d DIR  a folder to share, as dir0       -u      unpack the kernel first
 * exit: the command's status, 128 + signal; 125 when something else failed
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/sys.h"
#include "runtime/microvm/boot/initramfs.h"
#include "runtime/microvm/boot/unpack.h"
#include "runtime/microvm/host/launch.h"
#include "runtime/microvm/host/link.h"
#include "runtime/microvm/vmm/control.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

enum { FDS_MAX = 32, FILES_MAX = 8, READY_TIMEOUT_MS = 280000 };

struct options {
	const char *kernel, *modules, *guest, *vmm, *cache, *merge, *fsd, *folder;
	struct initramfs_file files[FILES_MAX];
	size_t file_count;
	int memory, vcpus, repeat;
	bool serial, terminal, unpack;
	int fds[FDS_MAX];
	size_t fd_count;
	char **command;
};

struct vm {
	struct link ready;
	int dirfd, control, pidfd;
	pid_t pid;
	char folder[64];
};

static int keep(struct options *o, int fd)
{
	if (o->fd_count == FDS_MAX)
		return -EMFILE;
	o->fds[o->fd_count++] = fd;
	return fd;
}

static int open_initramfs(const struct options *o, struct err *err)
{
	struct initramfs_options options = {
		.modules = sys_openat(AT_FDCWD, o->modules, O_RDONLY | O_DIRECTORY, 0),
		.agent = sys_openat(AT_FDCWD, o->guest, O_RDONLY, 0),
		.files = o->files,
		.file_count = o->file_count,
	};
	int cache = sys_openat(AT_FDCWD, o->cache, O_RDONLY | O_DIRECTORY, 0);

	return initramfs_open(&options, cache, err);
}

/* As it stands, or as brig-oci boots it: an ELF file in the cache. */
static int open_kernel(const struct options *o, struct err *err)
{
	autoclose int kernel = sys_openat(AT_FDCWD, o->kernel, O_RDONLY, 0), cache = -1;

	if (kernel < 0)
		return err_sys(err, kernel, "%s", o->kernel);
	if (!o->unpack)
		return take_fd(&kernel);
	cache = sys_openat(AT_FDCWD, o->cache, O_RDONLY | O_DIRECTORY, 0);
	return cache < 0 ? err_sys(err, cache, "%s", o->cache) : unpack_open(kernel, cache, err);
}

static const char listener_name[] = "vsock";

static int listen_at(struct vm *vm)
{
	int fd = sys_socket_unix(SOCK_STREAM), r;

	strcpy(vm->folder, "/tmp/microvm-run.XXXXXX");
	if (!mkdtemp(vm->folder))
		return -errno;
	vm->dirfd = sys_openat(AT_FDCWD, vm->folder, O_RDONLY | O_DIRECTORY, 0);
	r = sys_bind_unix(fd, vm->dirfd, listener_name);
	if (r == 0)
		r = sys_listen(fd, 64);
	return r < 0 ? r : fd;
}

static int share_folder(struct options *o, json_t *plan, struct err *err)
{
	int root = sys_openat(AT_FDCWD, o->folder, O_PATH | O_DIRECTORY, 0), sockets[2], pidfd, r;

	if (root < 0 || sys_socketpair(SOCK_SEQPACKET, sockets) < 0)
		return err_sys(err, -errno, "%s", o->folder);
	r = launch_fsd(o->fsd, root, sockets[1], -1, false, 2, &pidfd, err);
	close(root);
	close(sockets[1]);
	if (r < 0)
		return r;
	return json_object_set_new(plan, "filesystems",
		json_pack("[{s:s,s:i}]", "tag", "dir0", "socket", keep(o, sockets[0])));
}

static int start(struct options *o, struct vm *vm, struct err *err)
{
	int agent[2], control[2], kernel, initramfs, listener, r;
	autojson json_t *plan = NULL, *more = NULL;

	if (sys_socketpair(SOCK_STREAM, agent) < 0 || sys_socketpair(SOCK_SEQPACKET, control) < 0)
		return err_sys(err, -errno, "socketpair");
	kernel = open_kernel(o, err);
	initramfs = kernel < 0 ? kernel : open_initramfs(o, err);
	if (initramfs < 0)
		return initramfs;
	keep(o, kernel);
	keep(o, initramfs);
	listener = keep(o, listen_at(vm));
	keep(o, agent[1]);
	keep(o, control[1]);
	plan = json_pack("{s:i,s:i,s:i,s:i,s:i,s:s,s:b,s:{s:i,s:i,s:[{s:i,s:i}]}}", "vcpus",
		o->vcpus, "memoryMiB", o->memory, "kernel", kernel, "initramfs", initramfs,
		"control", control[1], "commandLine",
		o->serial ? "console=ttyS0 reboot=k panic=-1 random.trust_cpu=on"
			  : LAUNCH_COMMAND_LINE " pci=off",
		"rng", 1, "vsock", "cid", 3, "listener", listener, "ports", "port",
		PROTO_READY_PORT, "fd", agent[1]);
	if (o->serial)
		json_object_set_new(plan, "serial", json_integer(keep(o, sys_dup(2))));
	if (o->folder && share_folder(o, plan, err) < 0)
		return err->code;
	more = json_loads(o->merge, 0, NULL);
	if (!more || json_object_update(plan, more) < 0)
		return err_set(err, -EINVAL, "-j: not a JSON object");
	const struct launch_options launch = {
		.vmm = o->vmm, .plan = plan, .fds = o->fds, .fd_count = o->fd_count, .log = 2};
	r = launch_vmm(&launch, &vm->pidfd, err);
	vm->pid = r;
	vm->ready.fd = agent[0];
	vm->control = control[0];
	for (size_t i = 0; i < o->fd_count; i++)
		close(o->fds[i]);
	return r < 0 ? r : 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What the VMM's own memory comes to: everything that is not the guest's. */
static long overhead_kib(pid_t pid)
{
	char path[64], line[256];
	long sum = 0, n;
	bool guest = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (strstr(line, "-") && strstr(line, " ") && !strstr(line, "kB"))
			guest = strstr(line, "memfd:guest");
		if (!guest && sscanf(line, "Rss: %ld kB", &n) == 1)
			sum += n;
	}
	if (f)
		fclose(f);
	return sum;
}

static int ask(struct vm *vm, uint32_t op, uint64_t value, struct control_reply *ret)
{
	struct control_request request = {.op = op, .value = value};

	if (sys_write(vm->control, &request, sizeof(request)) != sizeof(request) ||
		sys_read(vm->control, ret, sizeof(*ret)) != sizeof(*ret))
		return -EIO;
	return ret->result;
}

/* Moves FROM to TO until its end; false then. */
static bool pass(int from, int to)
{
	char buf[65536];
	ssize_t n = sys_read(from, buf, sizeof(buf));

	return n > 0 && fd_write_all(to, buf, (size_t)n) == 0;
}

/* A connection into the guest: a session, or a stream of the process ID. */
static int dial(const struct vm *vm, uint32_t what, uint32_t id, struct err *err)
{
	int fd = link_connect(vm->dirfd, listener_name, err), r = fd;

	if (fd >= 0)
		r = link_greet(fd, what, id, -1, err);
	return r < 0 ? r : fd;
}

static int request_start(struct vm *vm, const struct options *o, struct link *session, uint32_t id,
	int streams[4], struct err *err)
{
	const uint32_t wanted =
		o->terminal ? PROTO_TERMINAL : PROTO_STDIN | PROTO_STDOUT | PROTO_STDERR;
	struct proto_start start = {.id = id, .streams = wanted, .rows = 24, .columns = 80};
	autojson json_t *process = json_pack("{s:[], s:[s,s,s], s:s, s:b}", "args", "env",
		"PATH=/bin", "HOME=/", "TERM=dumb", "cwd", "/", "terminal", (int)o->terminal);
	autobuf struct buf text = {};
	struct link_message answer;
	int r = session->fd = dial(vm, PROTO_SESSION, 0, err);

	for (int i = 0; i < 4 && r >= 0; i++)
		r = wanted & 1U << i ? streams[i] = dial(vm, 1U << i, id, err) : 0;
	for (char **arg = o->command; *arg; arg++)
		json_array_append_new(json_object_get(process, "args"), json_string(*arg));
	if (r < 0 || json_write(process, JSON_COMPACT, &text) < 0)
		return err->code ? err->code : -ENOMEM;
	const struct iovec parts[] = {{&start, sizeof(start)}, {text.data, text.len}};

	r = link_send(session, PROTO_RUN, parts, 2, err);
	return r < 0 ? r : link_answer(session, &answer, err);
}

static int run_command(
	struct vm *vm, const struct options *o, uint32_t id, int *ret, struct err *err)
{
	struct link session = {.fd = -1};
	struct link_message message = {};
	int fds[4] = {-1, -1, -1, -1}, r = request_start(vm, o, &session, id, fds, err);
	bool exited = false, reading = true;

	if (r < 0)
		return r;
	int out = o->terminal ? fds[3] : fds[1], in = o->terminal ? fds[3] : fds[0],
	    errors = fds[2];

	while (!exited || out >= 0 || errors >= 0) {
		struct pollfd p[4] = {{exited ? -1 : session.fd, POLLIN, 0}, {out, POLLIN, 0},
			{errors, POLLIN, 0}, {reading ? 0 : -1, POLLIN, 0}};

		r = link_next(&session, &message);
		if (r < 0)
			return err_sys(err, r, "guest agent");
		exited |= r > 0 && message.type == PROTO_EXITED;
		if (r > 0)
			continue;
		sys_poll(p, 4, -1);
		if (p[1].revents && !pass(out, 1))
			out = -1;
		if (p[2].revents && !pass(errors, 2))
			errors = -1;
		if (p[3].revents && !pass(0, in)) {
			reading = false;
			if (!o->terminal)
				shutdown(in, SHUT_WR);
		}
		if (p[0].revents && (r = link_read(&session)) < 0)
			return err_sys(err, r, "guest agent");
	}
	for (int i = 0; i < 4; i++)
		cleanup_close(fds + i);
	link_close(&session);
	*ret = WIFEXITED(message.exited.status) ? WEXITSTATUS(message.exited.status)
						: 128 + WTERMSIG(message.exited.status);
	return 0;
}

static int run(struct options *o, struct vm *vm, int *ret, struct err *err)
{
	struct control_reply reply = {}, before;
	struct proto_ready ready;
	int64_t begin = now_ms(), runs = begin;
	int status, r = start(o, vm, err);

	if (r == 0) { /* the monitor answers once its guest runs */
		ask(vm, CONTROL_STATS, 0, &reply);
		runs = now_ms();
	}
	if (r == 0)
		r = link_wait_ready(&vm->ready, READY_TIMEOUT_MS, &ready, err);
	if (r < 0)
		return r;
	ask(vm, CONTROL_STATS, 0, &reply);
	fprintf(stderr,
		"microvm-run: ready after %lld ms (monitor %lld ms, guest %llu ms), %u modules, "
		"exits %llu "
		"(port %llu, mmio %llu, all %llu), VMM overhead %ld KiB\n",
		(long long)(now_ms() - begin), (long long)(runs - begin),
		(unsigned long long)ready.boot_ns / 1000000, ready.modules,
		(unsigned long long)reply.stats.exits, (unsigned long long)reply.stats.exits_io,
		(unsigned long long)reply.stats.exits_mmio,
		(unsigned long long)reply.stats.exits_all, overhead_kib(vm->pid));
	before = reply;
	for (int i = 0; i < o->repeat && r == 0; i++)
		r = run_command(vm, o, (uint32_t)i + 1, ret, err);
	if (r < 0)
		return r;
	ask(vm, CONTROL_STATS, 0, &reply);
	fprintf(stderr, "microvm-run: %llu exits to registers since then, %llu of all\n",
		(unsigned long long)(reply.stats.exits_mmio - before.stats.exits_mmio),
		(unsigned long long)(reply.stats.exits_all - before.stats.exits_all));
	cleanup_close(&vm->ready.fd); /* the agent switches off when its host has gone */
	sys_waitpid(vm->pid, &status, 0);
	if (status != 0)
		return err_set(err, -EIO, "brig-vmm ended with status %#x", status);
	vm->pid = 0;
	return r;
}

static void clean_up(struct vm *vm)
{
	if (vm->pid > 0) {
		sys_kill(vm->pid, SIGKILL);
		sys_waitpid(vm->pid, NULL, 0);
	}
	if (vm->folder[0]) {
		sys_unlinkat(vm->dirfd, listener_name, 0);
		rmdir(vm->folder);
	}
}

static int add_file(struct options *o, const char *path)
{
	char *name;

	if (o->file_count == FILES_MAX || asprintf(&name, "bin/%s", strrchr(path, '/') + 1) < 0)
		return -ENOMEM;
	o->files[o->file_count++] = (struct initramfs_file){
		.path = name, .fd = sys_openat(AT_FDCWD, path, O_RDONLY, 0), .mode = 0755};
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = {.memory = 256, .vcpus = 1, .repeat = 1, .merge = "{}", .cache = "/tmp"};
	struct vm vm = {.ready = {.fd = -1}, .control = -1, .pidfd = -1};
	struct err err = {};
	int option, r, status = 125;

	while ((option = getopt(argc, argv, "k:m:g:v:c:b:M:C:j:f:str:F:d:u")) != -1) {
		switch (option) {
		case 'k':
			o.kernel = optarg;
			break;
		case 'm':
			o.modules = optarg;
			break;
		case 'g':
			o.guest = optarg;
			break;
		case 'v':
			o.vmm = optarg;
			break;
		case 'c':
			o.cache = optarg;
			break;
		case 'b':
			add_file(&o, optarg);
			break;
		case 'M':
			o.memory = atoi(optarg);
			break;
		case 'C':
			o.vcpus = atoi(optarg);
			break;
		case 'j':
			o.merge = optarg;
			break;
		case 'f':
			keep(&o, atoi(optarg));
			break;
		case 'F':
			o.fsd = optarg;
			break;
		case 'd':
			o.folder = optarg;
			break;
		case 's':
			o.serial = true;
			break;
		case 'u':
			o.unpack = true;
			break;
		case 't':
			o.terminal = true;
			break;
		case 'r':
			o.repeat = atoi(optarg);
			break;
		default:
			return 125;
		}
	}
	o.command = argv + optind;
	signal(SIGPIPE, SIG_IGN);
	r = run(&o, &vm, &status, &err);
	if (r < 0) {
		fprintf(stderr, "microvm-run: %s\n", err.text);
		status = 125;
	}
	clean_up(&vm);
	return status;
}
