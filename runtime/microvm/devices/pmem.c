/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/devices/pmem.h"

#include "base/cleanup.h"
#include "base/sys.h"

#include <linux/virtio_ids.h>
#include <sys/mman.h>

/* #syscalls:io fsync */
static int64_t flush(struct device *device, struct virtq_chain *chain)
{
	struct pmem *p = (struct pmem *)device;
	struct virtio_pmem_req request;
	struct virtio_pmem_resp response;

	if (virtq_read(chain, 0, &request, sizeof(request)) != sizeof(request) ||
		chain->write_len < sizeof(response))
		return -EBADMSG;
	response.ret =
		request.type == VIRTIO_PMEM_REQ_TYPE_FLUSH && (p->read_only || fsync(p->file) == 0)
			? 0
			: 1;
	return (int64_t)virtq_write(chain, 0, &response, sizeof(response));
}

static int pmem_kick(struct device *device, unsigned int queue)
{
	return device_drain(device, queue, flush);
}

static const struct device_ops pmem_ops = {
	.name = "pmem",
	.id = VIRTIO_ID_PMEM,
	.queues = 1,
	.queue_size = 32,
	.kick = pmem_kick,
};

int pmem_open(struct pmem *p, int file, bool read_only, uint64_t gpa,
	const struct guest_memory *memory, struct err *err)
{
	struct stat st;
	int r = sys_fstat(file, &st);

	if (r < 0 || !S_ISREG(st.st_mode) || !st.st_size || st.st_size % PMEM_ALIGN)
		return err_set(err, r < 0 ? r : -EINVAL,
			"persistent memory: a regular file of a multiple of 2 MiB");
	*p = (struct pmem){.config = {.start = gpa, .size = (uint64_t)st.st_size},
		.file = file,
		.read_only = read_only};
	/* Without PROT_WRITE not even a bug of KVM's could write to it. */
	p->hva = mmap(NULL, (size_t)st.st_size, PROT_READ | (read_only ? 0 : PROT_WRITE),
		MAP_SHARED, file, 0);
	if (p->hva == MAP_FAILED)
		return p->hva = NULL, err_sys(err, -errno, "persistent memory");
	device_init(&p->device, &pmem_ops, memory, 0, &p->config, sizeof(p->config));
	return 0;
}

void pmem_close(struct pmem *p)
{
	if (p->hva)
		munmap(p->hva, p->config.size);
	cleanup_close(&p->file);
}
