/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/microvm/zoo.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

const char *const zoo_names[ZOO_KINDS] = {
	"block", "net", "vsock", "fs", "console", "rng", "balloon", "pmem"};

#define MUST(condition)                                                              \
	do {                                                                         \
		if (!(condition)) {                                                  \
			fprintf(stderr, "zoo.c:%d: %s: %m\n", __LINE__, #condition); \
			abort();                                                     \
		}                                                                    \
	} while (0)

enum { GUARD = 4096, AREA = ZOO_LOW_SIZE + ZOO_HIGH_SIZE + 3 * GUARD };

static void open_memory(struct zoo *z)
{
	uint8_t *low, *high;

	z->memory_fd = sys_memfd_create("guest", 0);
	MUST(sys_ftruncate(z->memory_fd, ZOO_LOW_SIZE + ZOO_HIGH_SIZE) == 0);
	z->area = mmap(NULL, AREA, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(z->area != MAP_FAILED);
	low = mmap(z->area + GUARD, ZOO_LOW_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		z->memory_fd, 0);
	high = mmap(z->area + 2 * GUARD + ZOO_LOW_SIZE, ZOO_HIGH_SIZE, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_FIXED, z->memory_fd, ZOO_LOW_SIZE);
	MUST(low != MAP_FAILED && high != MAP_FAILED);
	MUST(guest_memory_add(&z->memory, 0, ZOO_LOW_SIZE, low) == 0);
	MUST(guest_memory_add(&z->memory, ZOO_HIGH_GPA, ZOO_HIGH_SIZE, high) == 0);
}

/* --- each with its host's side --- */

static int sized_file(struct zoo *z, off_t size)
{
	z->file = sys_memfd_create("file", 0);
	MUST(sys_ftruncate(z->file, size) == 0);
	return sys_dup(z->file);
}

static const char *open_block(struct zoo *z, struct err *err)
{
	const struct block_options o = {.file = sized_file(z, ZOO_DISK_SIZE), .serial = "zoo"};

	MUST(block_open(&z->block, &o, &z->memory, &z->loop, err) == 0);
	z->device = &z->block.device;
	return NULL;
}

/* In a network namespace of this process's own. One tap for all: making one takes the kernel long.
 */
static int tap_of_process(void)
{
	static int tap = -1;
	struct ifreq r = {.ifr_name = "zoo0", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int sock;

	if (tap >= 0)
		return tap;
	if (sys_unshare(CLONE_NEWNET) < 0)
		return -1;
	tap = sys_openat(AT_FDCWD, "/dev/net/tun", O_RDWR, 0);
	if (tap < 0 || ioctl(tap, TUNSETIFF, &r) < 0)
		return tap = -1;
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	r.ifr_flags = IFF_UP;
	MUST(sock >= 0 && ioctl(sock, SIOCSIFFLAGS, &r) == 0);
	close(sock);
	return tap;
}

static const char *open_net(struct zoo *z, struct err *err)
{
	struct net_options o = {.tap = tap_of_process(), .mac = {2, 0, 0, 0, 0, 1}, .mtu = 1400};

	if (o.tap < 0)
		return "no tap here";
	o.tap = sys_dup(o.tap);
	MUST(net_open(&z->net, &o, &z->memory, &z->loop, err) == 0);
	z->device = &z->net.device;
	return NULL;
}

static const char *open_vsock(struct zoo *z, struct err *err)
{
	struct vsock_port port = {.port = ZOO_PORT};
	struct vsock_options o = {.cid = ZOO_CID, .ports = &port, .port_count = 1};
	struct sockaddr_un any = {.sun_family = AF_UNIX};
	int pair[2];

	MUST(sys_socketpair(SOCK_STREAM, pair) == 0);
	port.fd = pair[0];
	z->host = pair[1];
	MUST(fcntl(z->host, F_SETFL, O_NONBLOCK) == 0);
	o.listener = sys_socket_unix(SOCK_STREAM);
	/* An abstract name that the kernel makes up. */
	MUST(bind(o.listener, (struct sockaddr *)&any, sizeof(any.sun_family)) == 0);
	MUST(sys_listen(o.listener, 16) == 0);
	MUST(vsock_open(&z->vsock, &o, &z->memory, &z->loop, err) == 0);
	z->listener = o.listener;
	z->device = &z->vsock.device;
	return NULL;
}

static void *serve(void *arg)
{
	struct zoo *z = arg;
	struct err err = {};

	MUST(session_run(&z->session, &err) == 0);
	return NULL;
}

static const char *open_fs(struct zoo *z, struct err *err)
{
	int pair[2], above, shared;

	strcpy(z->path, "/tmp/zoo-fs.XXXXXX");
	MUST(mkdtemp(z->path));
	above = sys_openat(AT_FDCWD, z->path, O_PATH | O_DIRECTORY, 0);
	MUST(sys_mkdirat(above, "shared", 0755) == 0);
	shared = sys_openat(above, "shared", O_PATH | O_DIRECTORY, 0);
	MUST(fd_create_file(above, "secret", "secret", 6, 0600) == 0);
	MUST(fd_create_file(shared, "file", "content", 7, 0644) == 0);
	close(above);
	MUST(sys_socketpair(SOCK_SEQPACKET, pair) == 0);
	z->host = pair[1];
	MUST(fsd_open(&z->fsd, shared,
		     sys_openat(AT_FDCWD, "/proc/self/fd", O_PATH | O_DIRECTORY, 0), false,
		     err) == 0);
	MUST(session_open(&z->session, &z->fsd, z->host, err) == 0);
	MUST(pthread_create(&z->server, NULL, serve, z) == 0);
	MUST(fs_open(&z->fs, "zoo", pair[0], z->memory_fd, &z->memory, err) == 0);
	z->device = &z->fs.device;
	return NULL;
}

static void close_fs(struct zoo *z)
{
	fs_close(&z->fs); /* the server's end of file */
	pthread_join(z->server, NULL);
	session_close(&z->session);
	cleanup_close(&z->fsd.proc);
	fsd_close(&z->fsd);
	MUST(path_remove_tree(AT_FDCWD, z->path) == 0);
}

static const char *open_console(struct zoo *z, struct err *err)
{
	int in[2], out[2];

	MUST(sys_pipe(in) == 0 && sys_pipe(out) == 0);
	z->host = in[1];
	z->host_out = out[0];
	MUST(fcntl(z->host_out, F_SETFL, O_NONBLOCK) == 0);
	MUST(console_device_open(&z->console, in[0], out[1], &z->memory, &z->loop, err) == 0);
	z->device = &z->console.device;
	return NULL;
}

static const char *open_rng(struct zoo *z, struct err *err)
{
	(void)err;
	rng_init(&z->rng, &z->memory);
	z->device = &z->rng.device;
	return NULL;
}

static const char *open_balloon(struct zoo *z, struct err *err)
{
	(void)err;
	balloon_init(&z->balloon, &z->memory);
	z->device = &z->balloon.device;
	return NULL;
}

static const char *open_pmem(struct zoo *z, struct err *err)
{
	MUST(pmem_open(&z->pmem, sized_file(z, PMEM_ALIGN), true, 1ULL << 32, &z->memory, err) ==
		0);
	z->device = &z->pmem.device;
	return NULL;
}

struct zoo *zoo_open(enum zoo_kind kind, const char **ret_why)
{
	static const char *(*const open[ZOO_KINDS])(struct zoo *, struct err *) = {open_block,
		open_net, open_vsock, open_fs, open_console, open_rng, open_balloon, open_pmem};
	struct zoo *z = calloc(1, sizeof(*z));
	struct err err = {};

	MUST(z);
	z->kind = kind;
	z->host = z->host_out = z->listener = z->file = -1;
	open_memory(z);
	MUST(loop_open(&z->loop, &err) == 0);
	*ret_why = open[kind](z, &err);
	if (*ret_why) {
		zoo_close(z);
		return NULL;
	}
	MUST(mmio_init(&z->mmio, z->device, z->page, &z->loop, &err) == 0);
	return z;
}

static void close_device(struct zoo *z)
{
	device_set_status(z->device, 0);
	switch (z->kind) {
	case ZOO_BLOCK:
		block_close(&z->block);
		break;
	case ZOO_NET:
		net_close(&z->net);
		break;
	case ZOO_VSOCK:
		vsock_close(&z->vsock);
		break;
	case ZOO_FS:
		close_fs(z);
		break;
	case ZOO_CONSOLE:
		console_close(&z->console);
		break;
	case ZOO_PMEM:
		pmem_close(&z->pmem);
		break;
	case ZOO_RNG:
	case ZOO_BALLOON:
	case ZOO_KINDS:
		break;
	}
	mmio_close(&z->mmio);
}

void zoo_close(struct zoo *z)
{
	if (z->device)
		close_device(z);
	loop_close(&z->loop);
	cleanup_close(&z->host);
	cleanup_close(&z->host_out);
	cleanup_close(&z->file);
	cleanup_close(&z->memory_fd);
	munmap(z->area, AREA);
	free(z);
}

/* --- the guest --- */

void zoo_write(struct zoo *z, uint32_t reg, uint32_t value)
{
	mmio_write(&z->mmio, reg, &value, sizeof(value));
}

uint32_t zoo_read(struct zoo *z, uint32_t reg)
{
	uint32_t value;

	mmio_read(&z->mmio, reg, &value, sizeof(value));
	if (!z->shared)
		MUST(zoo_shown(z, reg) == value);
	return value;
}

uint32_t zoo_shown(struct zoo *z, uint32_t reg)
{
	return __atomic_load_n(z->mmio.page + reg / 4, __ATOMIC_ACQUIRE);
}

void *zoo_at(struct zoo *z, uint64_t gpa)
{
	void *hva = gpa_to_hva(&z->memory, gpa, 1);

	MUST(hva);
	return hva;
}

void zoo_negotiate(struct zoo *z, uint64_t mask)
{
	static const uint32_t steps[] = {0, 1, 3};

	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		zoo_write(z, VIRTIO_MMIO_STATUS, steps[i]);
	mask |= 1ULL << VIRTIO_F_VERSION_1;
	for (uint32_t i = 0; i < 2; i++) {
		zoo_write(z, VIRTIO_MMIO_DEVICE_FEATURES_SEL, i);
		zoo_write(z, VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
		zoo_write(z, VIRTIO_MMIO_DRIVER_FEATURES,
			zoo_read(z, VIRTIO_MMIO_DEVICE_FEATURES) & (uint32_t)(mask >> (32 * i)));
	}
	zoo_write(z, VIRTIO_MMIO_STATUS, 0xb);
}

static uint64_t ring_gpa(unsigned int queue)
{
	return ZOO_RING_GPA + (uint64_t)queue * ZOO_RING_STRIDE;
}

void zoo_set_queue(struct zoo *z, unsigned int queue, uint32_t size)
{
	uint32_t gpa = (uint32_t)ring_gpa(queue);

	zoo_write(z, VIRTIO_MMIO_QUEUE_SEL, queue);
	zoo_write(z, VIRTIO_MMIO_QUEUE_NUM, size);
	zoo_write(z, VIRTIO_MMIO_QUEUE_DESC_LOW, gpa);
	zoo_write(z, VIRTIO_MMIO_QUEUE_AVAIL_LOW, gpa + 0x1000);
	zoo_write(z, VIRTIO_MMIO_QUEUE_USED_LOW, gpa + 0x2000);
	zoo_write(z, VIRTIO_MMIO_QUEUE_READY, 1);
}

void zoo_start(struct zoo *z, uint64_t mask, uint32_t size)
{
	zoo_negotiate(z, mask);
	for (unsigned int i = 0; i < z->device->ops->queues; i++)
		zoo_set_queue(z, i, size);
	zoo_write(z, VIRTIO_MMIO_STATUS, 0xf);
}

struct vring_desc *zoo_desc(struct zoo *z, unsigned int queue)
{
	return zoo_at(z, ring_gpa(queue));
}

struct vring_avail *zoo_avail(struct zoo *z, unsigned int queue)
{
	return zoo_at(z, ring_gpa(queue) + 0x1000);
}

struct vring_used *zoo_used(struct zoo *z, unsigned int queue)
{
	return zoo_at(z, ring_gpa(queue) + 0x2000);
}

void zoo_post(struct zoo *z, unsigned int queue, uint16_t head, uint32_t size)
{
	struct vring_avail *avail = zoo_avail(z, queue);

	avail->ring[avail->idx & (size - 1)] = head;
	__atomic_store_n(&avail->idx, (uint16_t)(avail->idx + 1), __ATOMIC_RELEASE);
}

int zoo_settle(struct zoo *z, int most)
{
	int turns = 0;

	while (turns < most && loop_turn(&z->loop, 0) > 0)
		turns++;
	return turns;
}

int zoo_kick(struct zoo *z, unsigned int queue, int most)
{
	zoo_write(z, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
	return zoo_settle(z, most);
}
