/* SPDX-License-Identifier: Apache-2.0 */
/* Process: the attendant. */
#include "runtime/microvm/host/machine.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/sys.h"
#include "runtime/backend.h"
#include "runtime/microvm/boot/initramfs.h"
#include "runtime/microvm/boot/unpack.h"
#include "runtime/microvm/host/kernel.h"
#include "runtime/microvm/host/launch.h"
#include "runtime/microvm/host/nested.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FDS_MAX = 48, READY_S = 300, END_MS = 5000, LOG_MAX = 4096 };

void machine_init(struct vm_machine *m)
{
	*m = (struct vm_machine){.control = -1, .log = -1, .ready = {.fd = -1}};
}

/* ---- what the VMM gets ---- */

/* Descriptors that the plan names, and the plan. */
struct launching {
	const struct machine_options *o;
	json_t *plan;
	const char *nested; /* the driver for guests of the guest, or NULL */
	int fds[FDS_MAX];
	size_t fd_count;
};

/* Takes FD over, also when it is an error. */
static int keep(struct launching *l, int fd, const char *what, struct err *err)
{
	if (fd < 0)
		return err_sys(err, fd, "%s", what);
	if (l->fd_count == FDS_MAX) {
		close(fd);
		return err_sys(err, -EMFILE, "%s", what);
	}
	l->fds[l->fd_count++] = fd;
	return fd;
}

static int set_fd(struct launching *l, const char *key, int fd, const char *what, struct err *err)
{
	int r = keep(l, fd, what, err);

	if (r >= 0 && json_object_set_new(l->plan, key, json_integer(fd)) < 0)
		r = err_sys(err, -ENOMEM, "%s", what);
	return r < 0 ? r : 0;
}

/* One line for a host that cannot. */
static int open_kvm(struct err *err)
{
	autoclose int kvm = sys_openat(AT_FDCWD, "/dev/kvm", O_RDWR, 0);

	if (kvm < 0)
		return err_set(err, kvm,
			"isolation \"vm\" needs /dev/kvm, and this host has none that can be used: "
			"%s",
			strerror(-kvm));
	if (sys_ioctl(kvm, KVM_GET_API_VERSION, NULL) != KVM_API_VERSION)
		return err_set(err, -ENODEV, "isolation \"vm\": /dev/kvm is not KVM");
	return take_fd(&kvm);
}

const char *machine_helper(const char *name, char *ret, size_t size)
{
	const char *dir = getenv("BRIG_LIBEXEC");

	snprintf(ret, size, "%s/%s", dir && dir[0] == '/' ? dir : BRIG_LIBEXECDIR, name);
	return ret;
}

static size_t vfio_count(const struct machine_options *o)
{
	return o->vfio ? o->vfio->count : 0;
}

/* The agent, and the drivers of the host's devices that the machine gets. */
static int open_initramfs(
	const struct launching *l, const struct kernel *kernel, int cache, struct err *err)
{
	const char *aliases[VFIO_DEVICES_MAX + 1];
	char path[PATH_MAX];
	autoclose int agent = -1;
	struct initramfs_options options = {
		.modules = kernel->modules, .aliases = aliases, .alias_count = vfio_count(l->o)};

	machine_helper("brig-guest", path, sizeof(path));
	agent = sys_openat(AT_FDCWD, path, O_RDONLY, 0);
	if (agent < 0)
		return err_sys(err, agent, "%s", path);
	options.agent = agent;
	for (size_t i = 0; i < options.alias_count; i++)
		aliases[i] = l->o->vfio->items[i].modalias;
	if (l->nested)
		aliases[options.alias_count++] = l->nested;
	return initramfs_open(&options, cache, err);
}

static int add_kernel(struct launching *l, struct err *err)
{
	autoclose int cache = kernel_open_cache(err);
	struct kernel kernel;
	int r = cache < 0 ? cache : kernel_open(l->o->plan->kernel, &kernel, err);

	if (r < 0)
		return r;
	r = open_initramfs(l, &kernel, cache, err);
	if (r >= 0)
		r = set_fd(l, "initramfs", r, "initramfs", err);
	if (r == 0)
		r = unpack_open(kernel.image, cache, err);
	if (r >= 0)
		r = set_fd(l, "kernel", r, "kernel", err);
	kernel_close(&kernel);
	return r;
}

int machine_prepare(const struct vm_plan *plan, struct err *err)
{
	autoclose int kvm = open_kvm(err), cache = kvm < 0 ? kvm : kernel_open_cache(err);
	autoclose int image = -1;
	struct kernel kernel;
	int r = cache < 0 ? cache : kernel_open(plan->kernel, &kernel, err);

	if (r < 0)
		return r;
	r = image = unpack_open(kernel.image, cache, err);
	kernel_close(&kernel);
	return r < 0 ? r : 0;
}

static int add_restore(struct launching *l, struct err *err)
{
	const struct machine_files *files = l->o->restore;
	int state = keep(l, sys_dup(files->state), "the saved machine", err);
	int memory = state < 0 ? state : keep(l, sys_dup(files->memory), "the saved machine", err);

	if (memory < 0)
		return memory;
	return json_object_set_new(l->plan, "restore",
		       json_pack("{s:i,s:i}", "state", state, "memory", memory)) < 0
		       ? err_sys(err, -ENOMEM, "the saved machine")
		       : 0;
}

static int listen_at(int state, int type, const char *name)
{
	autoclose int fd = sys_socket_unix(type);
	int r = fd < 0 ? fd : sys_bind_unix(fd, state, name);

	if (r == 0)
		r = sys_listen(fd, 64);
	return r < 0 ? r : take_fd(&fd);
}

static int add_vsock(struct vm_machine *m, struct launching *l, struct err *err)
{
	int agent[2],
		listener =
			keep(l, listen_at(l->o->state, SOCK_STREAM, MACHINE_SOCKET), "vsock", err),
		r = listener;

	if (r >= 0)
		r = sys_socketpair(SOCK_STREAM, agent);
	if (r < 0)
		return err->code ? err->code : err_sys(err, r, "vsock");
	m->ready.fd = agent[0];
	r = keep(l, agent[1], "vsock", err);
	if (r < 0)
		return r;
	r = json_object_set_new(l->plan, "vsock",
		json_pack("{s:i,s:i,s:[{s:i,s:i}]}", "cid", (int)l->o->uid, "listener", listener,
			"ports", "port", PROTO_READY_PORT, "fd", agent[1]));
	return r < 0 ? err_sys(err, -ENOMEM, "vsock") : 0;
}

static int add_control(struct vm_machine *m, struct launching *l, struct err *err)
{
	int sockets[2], r = sys_socketpair(SOCK_SEQPACKET, sockets);

	if (r < 0)
		return err_sys(err, r, "control");
	m->control = sockets[0];
	r = set_fd(l, "control", sockets[1], "control", err);
	return r < 0 ? r
		     : set_fd(l, "controlListener",
			       listen_at(l->o->state, SOCK_SEQPACKET, MONITOR_SOCKET), "control",
			       err);
}

static int add_files(struct vm_machine *m, struct launching *l, struct err *err)
{
	autoclose int ours = -1;
	int sockets[2], pidfd = -1, r = sys_socketpair(SOCK_SEQPACKET, sockets);
	char path[PATH_MAX];

	if (r < 0)
		return err_sys(err, r, "file server");
	ours = sockets[1];
	r = keep(l, sockets[0], "file server", err);
	if (r >= 0)
		r = launch_fsd(machine_helper("brig-fsd", path, sizeof(path)), l->o->files, ours,
			l->o->restore ? l->o->restore->files : -1, false, m->log, &pidfd, err);
	if (r < 0)
		return r;
	m->fsd = r;
	cleanup_close(&pidfd);
	r = json_object_set_new(l->plan, "filesystems",
		json_pack("[{s:s,s:i}]", "tag", GUEST_TAG, "socket", sockets[0]));
	return r < 0 ? err_sys(err, -ENOMEM, "file server") : 0;
}

/* Bytes per second; 0: no limit. */
static json_t *rate_json(uint64_t bytes)
{
	return bytes ? json_pack("{s:o}", "bytes", json_u64(bytes)) : NULL;
}

static int add_nets(struct launching *l, struct err *err)
{
	const struct vm_tuning *tuning = &l->o->plan->tuning;
	const struct nets *nets = l->o->nets;
	autojson json_t *list = json_array();
	int r = 0;

	for (size_t i = 0; i < nets->count && r >= 0; i++) {
		const uint8_t *mac = nets->items[i].mac;
		char text[18];

		snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
			mac[2], mac[3], mac[4], mac[5]);
		r = keep(l, sys_dup(nets->items[i].tap), "network", err);
		if (r >= 0 && json_array_append_new(
				      list, json_pack("{s:i,s:s,s:i,s:o*,s:o*}", "tap", r, "mac",
						    text, "mtu", (int)nets->items[i].mtu, "receive",
						    rate_json(tuning->receive), "send",
						    rate_json(tuning->send))) < 0)
			r = err_sys(err, -ENOMEM, "network");
	}
	if (r >= 0 && nets->count && json_object_set(l->plan, "nets", list) < 0)
		r = err_sys(err, -ENOMEM, "network");
	return r < 0 ? r : 0;
}

/* The machine keeps them; this process does not. */
static int add_vfio(struct launching *l, struct err *err)
{
	const struct vfio_devices *v = l->o->vfio;
	autojson json_t *list = json_array();
	int container, r = 0;

	if (!vfio_count(l->o))
		return 0;
	r = container = keep(l, sys_dup(v->container), "VFIO", err);
	for (size_t i = 0; i < v->count && r >= 0; i++) {
		int group = i && v->items[i].group == v->items[i - 1].group
				    ? l->fds[l->fd_count - 1]
				    : keep(l, sys_dup(v->items[i].group), "VFIO", err);

		r = group < 0 ? group
			      : json_array_append_new(
					list, json_pack("{s:s,s:i}", "address", v->items[i].address,
						      "group", group));
	}
	if (r >= 0)
		r = json_object_set_new(l->plan, "vfio",
			json_pack("{s:i,s:O}", "container", container, "devices", list));
	return r < 0 ? (err->code ? err->code : err_sys(err, -ENOMEM, "VFIO")) : 0;
}

static int add_layers(struct launching *l, struct err *err)
{
	autojson json_t *list = json_array();
	int r = 0;

	for (size_t i = 0; i < l->o->layer_count && r >= 0; i++) {
		char serial[32];

		snprintf(serial, sizeof(serial), PROTO_LAYER_SERIAL, (unsigned int)i);
		r = keep(l, sys_dup(l->o->layers[i]), "layer", err);
		if (r >= 0 &&
			json_array_append_new(list, json_pack("{s:i,s:s,s:b}", "fd", r, "serial",
							    serial, "readOnly", 1)) < 0)
			r = err_sys(err, -ENOMEM, "layer");
	}
	if (r >= 0 && l->o->layer_count && json_object_set(l->plan, "blocks", list) < 0)
		r = err_sys(err, -ENOMEM, "layer");
	return r < 0 ? r : 0;
}

static int add_rest(struct launching *l, struct err *err)
{
	autofree char *line = NULL;

	/* Without PCI nobody looks for it, port by port. */
	if (asprintf(&line, LAUNCH_COMMAND_LINE "%s%s", vfio_count(l->o) ? "" : " pci=off",
		    l->o->plan->command_line) < 0) {
		line = NULL;
		return err_sys(err, -ENOMEM, "vm.kernel.parameters");
	}
	return json_object_update_new(l->plan,
		       json_pack("{s:i,s:i,s:b,s:b,s:b,s:s,s:b,s:{s:i,s:i}}", "vcpus",
			       (int)l->o->plan->vcpus, "memoryMiB", (int)l->o->plan->memory_mib,
			       "hugePages", (int)l->o->plan->tuning.huge_pages, "nested",
			       l->nested != NULL, "balloon", !vfio_count(l->o), "commandLine", line,
			       "rng", 1, "jail", "uid", (int)l->o->uid, "gid", (int)l->o->uid)) < 0
		       ? err_sys(err, -ENOMEM, "the virtual machine")
		       : 0;
}

static int start(struct vm_machine *m, struct launching *l, struct err *err)
{
	char path[PATH_MAX];
	struct launch_options launch;
	int pidfd = -1, r = set_fd(l, "kvm", open_kvm(err), "/dev/kvm", err);

	if (r == 0 && l->o->plan->tuning.nested)
		r = nested_driver(l->fds[l->fd_count - 1], &l->nested, err);
	if (r == 0)
		r = l->o->restore ? add_restore(l, err) : add_kernel(l, err);
	if (r == 0)
		r = add_vsock(m, l, err);
	if (r == 0)
		r = add_control(m, l, err);
	if (r == 0)
		r = add_nets(l, err);
	if (r == 0)
		r = add_vfio(l, err);
	if (r == 0)
		r = add_layers(l, err);
	if (r == 0)
		r = add_rest(l, err);
	if (r == 0)
		r = add_files(m, l, err);
	if (r < 0)
		return r;
	launch = (struct launch_options){.vmm = machine_helper("brig-vmm", path, sizeof(path)),
		.plan = l->plan,
		.fds = l->fds,
		.fd_count = l->fd_count,
		.log = m->log};
	r = launch_vmm(&launch, &pidfd, err);
	cleanup_close(&pidfd);
	if (r < 0)
		return r;
	m->vmm = r;
	return 0;
}

int machine_start(struct vm_machine *m, const struct machine_options *options, struct err *err)
{
	struct launching l = {.o = options, .plan = json_object()};
	int r = m->log = sys_openat(options->state, MACHINE_LOG,
		O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW, 0600);

	if (r >= 0 && !l.plan)
		r = -ENOMEM;
	r = r < 0 ? err_sys(err, r, "the virtual machine") : start(m, &l, err);
	for (size_t i = 0; i < l.fd_count; i++)
		close(l.fds[i]);
	json_decref(l.plan);
	return r;
}

/* ---- its end ---- */

static void reap_one(pid_t *pid, int *status)
{
	int found;

	if (*pid > 0 && sys_waitpid(*pid, &found, WNOHANG) == *pid) {
		*pid = 0;
		*status = found;
	}
}

bool machine_reap(struct vm_machine *m)
{
	reap_one(&m->vmm, &m->vmm_status);
	reap_one(&m->fsd, &m->fsd_status);
	return !m->vmm || !m->fsd;
}

/* The last line of the log: what a program said before it ended. */
static void last_line(int log, char *ret, size_t size)
{
	char text[LOG_MAX + 1];
	struct stat st;
	char *line;
	ssize_t n;

	ret[0] = 0;
	if (sys_fstat(log, &st) < 0 || !st.st_size)
		return;
	n = sys_pread(log, text, LOG_MAX, st.st_size > LOG_MAX ? st.st_size - LOG_MAX : 0);
	while (n > 0 && text[n - 1] == '\n')
		n--;
	if (n <= 0)
		return;
	text[n] = 0;
	for (char *p = text; *p; p++)
		if ((*p < 0x20 && *p != '\n') || *p >= 0x7f)
			*p = '?';
	line = strrchr(text, '\n');
	snprintf(ret, size, "%.*s", (int)size - 1, line ? line + 1 : text);
}

/* A file server that ends well has only lost its VMM, whose end is still to come. */
static void wait_end(struct vm_machine *m)
{
	for (int i = 0; i < END_MS / 10; i++) {
		machine_reap(m);
		if (!m->vmm || (!m->fsd && m->fsd_status))
			return;
		sys_poll(NULL, 0, 10);
	}
}

/* The monitor tells what the guest's kernel said last, if it said something. */
static void reset_reason(const char *line, struct err *ret)
{
	const char *words = "";
	bool said = parse_has_prefix(line, "guest: ", &words);

	err_set(ret, -EIO, "the virtual machine's kernel panicked, or started anew%s%s",
		said ? ": " : "", words);
}

void machine_reason(struct vm_machine *m, struct err *ret)
{
	char line[CONTAINER_REASON_MAX - 64]; /* with what is put in front of it */

	wait_end(m);
	last_line(m->log, line, sizeof(line));
	if (!m->fsd && m->fsd_status)
		err_set(ret, -EIO, "the virtual machine's file server ended: %s",
			WIFSIGNALED(m->fsd_status) ? strsignal(WTERMSIG(m->fsd_status)) : line);
	else if (m->vmm)
		err_set(ret, -EIO, "the virtual machine's agent ended");
	else if (WIFSIGNALED(m->vmm_status))
		err_set(ret, -EIO, "the virtual machine was killed: %s",
			strsignal(WTERMSIG(m->vmm_status)));
	else if (WEXITSTATUS(m->vmm_status) == 2)
		reset_reason(line, ret);
	else if (WEXITSTATUS(m->vmm_status))
		err_set(ret, -EIO, "the virtual machine failed: %s", line);
	else
		err_set(ret, -EIO, "the virtual machine switched itself off");
}

static int say_reason(struct vm_machine *m, struct err *err)
{
	struct err why = {};

	machine_reason(m, &why);
	err_clear(err);
	return err_set(err, -EIO, "%s", why.text);
}

/* For a host that is quicker, or slower, than most: BRIG_VM_BOOT_SECONDS. */
static uint32_t ready_seconds(void)
{
	const char *text = getenv("BRIG_VM_BOOT_SECONDS");
	uint32_t seconds;

	return text && parse_u32(text, &seconds) == 0 && seconds && seconds <= INT_MAX / 1000
		       ? seconds
		       : READY_S;
}

int machine_ready(struct vm_machine *m, struct err *err)
{
	const uint32_t seconds = ready_seconds();
	struct proto_ready ready;
	int r = link_wait_ready(&m->ready, (int)seconds * 1000, &ready, err);

	if (r == -EPIPE)
		return say_reason(m, err);
	if (r == -ETIMEDOUT) {
		err_clear(err);
		return err_set(err, r, "the virtual machine did not come up within %u s", seconds);
	}
	return r;
}

void machine_inflate(struct vm_machine *m, uint32_t mib)
{
	const struct control_request request = {.op = CONTROL_BALLOON, .value = mib};

	if (mib)
		(void)!sys_write(m->control, &request, sizeof(request));
}

int machine_save(struct vm_machine *m, const struct machine_files *files, struct err *err)
{
	int r = monitor_ask(m->control, CONTROL_PAUSE, NULL, err);

	if (r == 0)
		r = monitor_save(m->control, files->state, files->memory, files->files, err);
	return r == -EPIPE ? say_reason(m, err) : r;
}

void machine_stop(struct vm_machine *m)
{
	const struct control_request stop = {.op = CONTROL_STOP};

	if (m->control >= 0)
		(void)!sys_write(m->control, &stop, sizeof(stop));
	cleanup_close(&m->control);
	link_close(&m->ready);
	for (int i = 0; i < END_MS / 5 && (m->vmm || m->fsd); i++) {
		if (i)
			sys_poll(NULL, 0, i < 20 ? 1 : 5);
		machine_reap(m);
	}
}

size_t machine_descriptors(const struct vm_machine *m, int ret[3])
{
	ret[0] = m->control;
	ret[1] = m->log;
	ret[2] = m->ready.fd;
	return 3;
}
