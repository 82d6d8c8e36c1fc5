/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's state (snapshot.h) saved to a file, and a machine made from that and its memory, a
 * file of the memory's size with holes where there are zeros. Who saves copies the memory. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "runtime/microvm/extents.h"
#include "runtime/microvm/vmm/loader.h"
#include "runtime/microvm/vmm/machine.h"
#include "runtime/microvm/vmm/snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { OWN_MAX = 256, BLOCK = 2 << 20 };

static struct snapshot_shape shape_of(const struct machine *m)
{
	return (struct snapshot_shape){
		.memory_size = guest_memory_size(&m->vm.memory),
		.vcpus = m->vm.vcpu_count,
		.devices = m->vm.mmio_count,
	};
}

/* Address space for the state, so that saving takes none. */
int machine_state_open(struct machine *m, struct err *err)
{
	void *at = mmap(NULL, SNAPSHOT_MAX, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return err_sys(err, -errno, "room for the machine's state");
	m->state = at;
	return arch_state_open(m->vm.kvm, &m->arch_state, err);
}

/* --- save; the loop's thread, while no vCPU runs --- */

void machine_save_device(struct mmio *mmio, uint32_t index, struct snapshot_writer *w)
{
	struct device *device = mmio->device;
	struct device_state state;
	uint8_t own[OWN_MAX] = {};

	device_save(device, &state);
	snapshot_put(w, SNAPSHOT_MMIO, index, &mmio->state, sizeof(mmio->state));
	snapshot_put(w, SNAPSHOT_DEVICE, index, &state, sizeof(state));
	snapshot_put(w, SNAPSHOT_CONFIG, index, device->config, device->config_len);
	if (device->ops->save)
		device->ops->save(device, own);
	snapshot_put(w, SNAPSHOT_OWN, index, own, device->ops->own_size);
}

static int save_state(struct machine *m, int file)
{
	const struct snapshot_shape shape = shape_of(m);
	struct snapshot_writer w;
	int r;

	snapshot_begin(&w, m->state, SNAPSHOT_MAX, &shape);
	r = arch_vm_save(m->arch_state, m->vm.fd, &w);
	for (uint32_t i = 0; i < m->vm.vcpu_count && r == 0; i++)
		r = arch_vcpu_save(m->arch_state, m->vm.vcpus[i].fd, i, &w);
	snapshot_put(&w, SNAPSHOT_SERIAL, 0, &m->vm.serial.state, sizeof(m->vm.serial.state));
	for (uint32_t i = 0; i < m->vm.mmio_count; i++)
		machine_save_device(m->vm.mmios + i, i, &w);
	if (r == 0)
		r = snapshot_finish(&w);
	if (r == 0)
		r = fd_write_all(file, w.data, w.len);
	/* It is a copy of registers: what was touched goes back. #syscalls:io madvise */
	madvise(m->state, SNAPSHOT_MAX, MADV_DONTNEED);
	return r;
}

/* Requests under way end, and queues that others have come back. */
static int hold_devices(struct machine *m)
{
	int r = 0;

	while (m->held < m->vm.mmio_count && r == 0) {
		r = device_hold(m->vm.mmios[m->held].device);
		m->held += r == 0;
	}
	return r;
}

int machine_save(struct machine *m, int state, int files)
{
	int r = m->vfio.count                       ? -EOPNOTSUPP
		: vm_is_resting(&m->vm) && !m->held ? hold_devices(m)
						    : -EBUSY;

	if (r == -EBUSY || r == -EOPNOTSUPP) /* what a device of the host's knows stays in it */
		return r;
	if (r == 0)
		r = save_state(m, state);
	if (r == 0 && files >= 0)
		r = m->filesystem_count == 1 ? fs_save(m->filesystems, files) : -EOPNOTSUPP;
	if (r == 0 && fsync(state) < 0) /* #syscalls:io fsync */
		r = -errno;
	if (r < 0)
		machine_saved(m);
	return r;
}

void machine_saved(struct machine *m)
{
	while (m->held > 0)
		device_release(m->vm.mmios[--m->held].device);
}

/* --- restore; main thread, not yet jailed --- */

/* Into the memory's own file: one copy, and no page that is zeroed first. */
static int load_extent(int memory_fd, const uint8_t *from, uint64_t at, uint64_t to)
{
	while (at < to) {
		ssize_t n = pwrite(memory_fd, from + at, to - at, (off_t)at);

		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? (uint64_t)n : 0;
	}
	return 0;
}

/* How much of each BLOCK the file has, in bytes. */
static void count_used(int file, uint64_t size, uint32_t *ret_used)
{
	uint64_t from = 0, to, end;

	while (extent_next(file, size, &from, &to)) {
		for (; from < to; from = end) {
			end = (from / BLOCK + 1) * BLOCK;
			end = end < to ? end : to;
			ret_used[from / BLOCK] += (uint32_t)(end - from);
		}
	}
}

/* Huge pages for what the guest had more than half of: fewer faults, and quicker filled. */
static void expect_memory(struct machine *m, int file, uint64_t size)
{
	autofree uint32_t *used = calloc(size / BLOCK + 1, sizeof(*used));
	uint64_t offset = 0; /* of the region in the file */

	if (!used)
		return; /* it was only a wish */
	count_used(file, size, used);
	for (size_t i = 0; i < m->vm.memory.count; i++) {
		const struct guest_region *region = m->vm.memory.regions + i;
		uint64_t end = region->size - region->size % BLOCK, from = 0, to;

		for (; from < end; from = to) {
			bool dense = used[(offset + from) / BLOCK] > BLOCK / 2;

			to = from + BLOCK;
			while (to < end && dense == (used[(offset + to) / BLOCK] > BLOCK / 2))
				to += BLOCK;
			if (dense)
				loader_expect(&m->vm.memory, region->gpa + from, region->gpa + to);
		}
		offset += region->size;
	}
}

/* A file that shrinks meanwhile ends the process (SIGBUS), which is all that could be done. */
static int load_memory(struct machine *m, int file, struct err *err)
{
	uint64_t size = guest_memory_size(&m->vm.memory), from = 0, to;
	struct stat st;
	uint8_t *data;
	int r = sys_fstat(file, &st);

	if (r == 0 && (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != size))
		return err_set(err, -EINVAL, "the saved memory is not of the machine's size");
	if (r < 0)
		return err_sys(err, r, "the saved memory");
	data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
	if (data == MAP_FAILED)
		return err_sys(err, -errno, "the saved memory");
	expect_memory(m, file, size);
	while (r == 0 && extent_next(file, size, &from, &to)) {
		r = load_extent(m->vm.memory_fd, data, from, to);
		from = to;
	}
	munmap(data, size);
	return r < 0 ? err_sys(err, r, "the saved memory") : 0;
}

static int check_config(struct device *device, const void *config, size_t len, struct err *err)
{
	if (len == device->config_len &&
		(device->ops->config_moves || !len || memcmp(config, device->config, len) == 0))
		return 0;
	return err_set(err, -EINVAL, "the saved machine's virtio %s is not as this one's",
		device->ops->name);
}

int machine_restore_device(
	struct mmio *mmio, uint32_t index, struct snapshot_reader *reader, struct err *err)
{
	struct device *device = mmio->device;
	struct device_state state;
	uint8_t own[OWN_MAX];
	const void *config;
	size_t len;
	int r = snapshot_get(reader, SNAPSHOT_MMIO, index, &mmio->state, sizeof(mmio->state), err);

	if (r == 0)
		r = snapshot_get(reader, SNAPSHOT_DEVICE, index, &state, sizeof(state), err);
	if (r == 0)
		r = snapshot_get_some(reader, SNAPSHOT_CONFIG, index, &config, &len, err);
	if (r == 0)
		r = check_config(device, config, len, err);
	if (r == 0)
		r = snapshot_get(reader, SNAPSHOT_OWN, index, own, device->ops->own_size, err);
	if (r < 0)
		return r;
	r = device_restore(device, &state);
	if (r == 0 && device->ops->restore)
		r = device->ops->restore(device, own);
	if (r == 0)
		r = device_release(device);
	if (r == 0)
		mmio_restored(mmio);
	return r < 0 ? err_sys(err, r, "virtio %s of the state", device->ops->name) : 0;
}

static int restore_state(struct machine *m, struct snapshot_reader *reader, struct err *err)
{
	int r = arch_vm_restore(m->arch_state, m->vm.fd, reader, err);

	for (uint32_t i = 0; i < m->vm.vcpu_count && r == 0; i++)
		r = arch_vcpu_restore(m->arch_state, m->vm.kvm, m->vm.vcpus[i].fd, i, reader, err);
	if (r == 0)
		r = snapshot_get(reader, SNAPSHOT_SERIAL, 0, &m->vm.serial.state,
			sizeof(m->vm.serial.state), err);
	for (uint32_t i = 0; i < m->vm.mmio_count && r == 0; i++)
		r = machine_restore_device(m->vm.mmios + i, i, reader, err);
	return r == 0 ? snapshot_end(reader, err) : r;
}

int machine_restore(struct machine *m, int state, int memory, struct err *err)
{
	const struct snapshot_shape shape = shape_of(m);
	struct snapshot_reader reader;
	autobuf struct buf text = {};
	int r = lseek(state, 0, SEEK_SET) < 0 ? -errno : fd_read_all(state, SNAPSHOT_MAX, &text);

	if (r < 0)
		return err_sys(err, r, "the saved state");
	r = snapshot_open(&reader, text.data, text.len, &shape, err);
	if (r == 0)
		r = load_memory(m, memory, err);
	return r == 0 ? restore_state(m, &reader, err) : r;
}
