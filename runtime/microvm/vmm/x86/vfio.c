/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/vmm/vfio.h"

#include "base/cleanup.h"
#include "base/sys.h"

#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- the device behind a function ---- */

static int transfer(int r, uint32_t len)
{
	return r < 0 ? -errno : (uint32_t)r == len ? 0 : -EIO;
}

/* #syscalls:vcpu pread64 pwrite64 */
static int config_read(struct pci_function *f, uint32_t offset, void *ret, uint32_t len)
{
	const struct vfio_device *d = (const struct vfio_device *)f;

	return transfer((int)pread(d->fd, ret, len, (off_t)(d->config.offset + offset)), len);
}

static int config_write(struct pci_function *f, uint32_t offset, const void *data, uint32_t len)
{
	const struct vfio_device *d = (const struct vfio_device *)f;

	return transfer((int)pwrite(d->fd, data, len, (off_t)(d->config.offset + offset)), len);
}

static bool in_region(const struct vfio_region *region, uint64_t offset, uint32_t len)
{
	return offset < region->size && len <= region->size - offset;
}

static int bar_read(
	struct pci_function *f, unsigned int bar, uint64_t offset, void *ret, uint32_t len)
{
	const struct vfio_device *d = (const struct vfio_device *)f;
	const struct vfio_region *region = d->regions + bar;

	if (!in_region(region, offset, len))
		return -ERANGE;
	return transfer((int)pread(d->fd, ret, len, (off_t)(region->offset + offset)), len);
}

static int bar_write(
	struct pci_function *f, unsigned int bar, uint64_t offset, const void *data, uint32_t len)
{
	const struct vfio_device *d = (const struct vfio_device *)f;
	const struct vfio_region *region = d->regions + bar;

	if (!in_region(region, offset, len))
		return -ERANGE;
	return transfer((int)pwrite(d->fd, data, len, (off_t)(region->offset + offset)), len);
}

/* ---- interrupts ---- */

/* Every vector has its event; which of them reach the guest is decided behind it (route()).
 * #syscalls:vcpu ioctl=VFIO_DEVICE_SET_IRQS */
static int set_irqs(const struct vfio_device *d, unsigned int vectors)
{
	struct {
		struct vfio_irq_set set;
		int32_t fds[PCI_VECTORS_MAX];
	} q = {
		.set =
			{
				.argsz = (uint32_t)(sizeof(q.set) + vectors * sizeof(q.fds[0])),
				.flags = VFIO_IRQ_SET_ACTION_TRIGGER |
					 (vectors ? VFIO_IRQ_SET_DATA_EVENTFD
						  : VFIO_IRQ_SET_DATA_NONE),
				.index = d->pci.msix ? VFIO_PCI_MSIX_IRQ_INDEX
						     : VFIO_PCI_MSI_IRQ_INDEX,
				.count = vectors,
			},
	};

	memcpy(q.fds, d->events, vectors * sizeof(q.fds[0]));
	return sys_ioctl(d->fd, VFIO_DEVICE_SET_IRQS, &q);
}

/* The host may have fewer vectors left, and says how many. */
static int enable(struct pci_function *f, unsigned int vectors)
{
	const struct vfio_device *d = (const struct vfio_device *)f;
	int r = set_irqs(d, vectors);

	return r > 0 && (unsigned int)r < vectors ? set_irqs(d, (unsigned int)r) : r;
}

/* #syscalls:vcpu ioctl=KVM_IRQFD */
static int connect_event(struct vfio_device *d, unsigned int vector, bool on)
{
	struct kvm_irqfd irqfd = {
		.fd = (uint32_t)d->events[vector],
		.gsi = d->first_gsi + vector,
		.flags = on ? 0 : KVM_IRQFD_FLAG_DEASSIGN,
	};

	if (d->routed[vector] == on)
		return 0;
	d->routed[vector] = on;
	return sys_ioctl(d->vfio->vm->fd, KVM_IRQFD, &irqfd);
}

/* #syscalls:vcpu ioctl=KVM_SET_GSI_ROUTING */
static int set_route(struct vfio *v, uint32_t gsi, const struct pci_vector *to)
{
	struct kvm_irq_routing_entry *entry = NULL;
	int r;

	pthread_mutex_lock(&v->lock);
	for (uint32_t i = 0; i < v->routes->nr && !entry; i++)
		if (v->routes->entries[i].gsi == gsi &&
			v->routes->entries[i].type == KVM_IRQ_ROUTING_MSI)
			entry = v->routes->entries + i;
	entry->u.msi.address_lo = (uint32_t)to->address;
	entry->u.msi.address_hi = (uint32_t)(to->address >> 32);
	entry->u.msi.data = to->data;
	r = sys_ioctl(v->vm->fd, KVM_SET_GSI_ROUTING, v->routes);
	pthread_mutex_unlock(&v->lock);
	return r;
}

/* What comes while a vector is not connected stays in its event, and KVM looks there first. */
static int route(struct pci_function *f, unsigned int vector, const struct pci_vector *to)
{
	struct vfio_device *d = (struct vfio_device *)f;
	int r = to ? set_route(d->vfio, d->first_gsi + vector, to) : 0;

	return r < 0 ? r : connect_event(d, vector, to);
}

static const struct pci_ops ops = {
	.config_read = config_read,
	.config_write = config_write,
	.bar_read = bar_read,
	.bar_write = bar_write,
	.enable = enable,
	.route = route,
};

/* KVM's own routes stay, and each vector gets a number behind them. */
static int make_routes(struct vfio *v, struct err *err)
{
	uint32_t gsi, count = 0;

	v->routes = calloc(1, sizeof(*v->routes) + (ARCH_ROUTES_MAX + v->count * PCI_VECTORS_MAX) *
							   sizeof(v->routes->entries[0]));
	if (!v->routes)
		return err_sys(err, -ENOMEM, "VFIO");
	count = arch_routes(v->routes->entries, &gsi);
	for (size_t i = 0; i < v->count; i++) {
		v->devices[i].first_gsi = gsi;
		for (unsigned int n = 0; n < v->devices[i].pci.vectors; n++)
			v->routes->entries[count++] = (struct kvm_irq_routing_entry){
				.gsi = gsi++, .type = KVM_IRQ_ROUTING_MSI};
	}
	v->routes->nr = count;
	return 0;
}

static int open_events(struct vfio_device *d)
{
	for (unsigned int i = 0; i < d->pci.vectors; i++) {
		d->events[i] = event_open();
		if (d->events[i] < 0)
			return d->events[i];
	}
	return 0;
}

/* ---- opening ---- */

static int get_region(
	const struct vfio_device *d, uint32_t index, struct vfio_region *ret, uint32_t *ret_flags)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = index};
	int r = sys_ioctl(d->fd, VFIO_DEVICE_GET_REGION_INFO, &info);

	*ret = (struct vfio_region){.offset = info.offset, .size = r < 0 ? 0 : info.size};
	*ret_flags = info.flags;
	return r;
}

static int look_at(struct vfio_device *d, uint32_t flags[PCI_BARS], struct err *err)
{
	struct vfio_device_info info = {.argsz = sizeof(info)};
	uint32_t ignored;
	int r = sys_ioctl(d->fd, VFIO_DEVICE_GET_INFO, &info);

	if (r == 0 && !(info.flags & VFIO_DEVICE_FLAGS_PCI))
		r = -ENODEV;
	if (r == 0)
		r = get_region(d, VFIO_PCI_CONFIG_REGION_INDEX, &d->config, &ignored);
	for (unsigned int i = 0; i < PCI_BARS && r == 0; i++) {
		r = get_region(d, VFIO_PCI_BAR0_REGION_INDEX + i, d->regions + i, flags + i);
		d->pci.bars[i].size = d->regions[i].size;
	}
	if (r < 0)
		return err_sys(err, r, "look at it");
	/* Whatever its last user left in it goes. */
	if (info.flags & VFIO_DEVICE_FLAGS_RESET)
		r = sys_ioctl(d->fd, VFIO_DEVICE_RESET, NULL);
	if (r < 0)
		return err_sys(err, r, "reset it");
	d->pci.ops = &ops;
	return pci_init(&d->pci, err);
}

static uint64_t align_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) & -to;
}

struct space {
	uint64_t next, end;
};

static int take(struct space *space, struct pci_bar *bar, struct err *err)
{
	uint64_t size = bar->size < PCI_PAGE ? PCI_PAGE : bar->size;
	uint64_t gpa = align_up(space->next, size);

	if (gpa < space->next || gpa > space->end || size > space->end - gpa)
		return err_set(err, -ENOSPC, "a BAR of %llu bytes has no room below 4 GiB",
			(unsigned long long)bar->size);
	bar->gpa = gpa;
	space->next = gpa + size;
	return 0;
}

/* The guest reaches page-aligned parts itself; in the pages of the MSI-X table we are asked. */
static void choose_trapped(struct vfio_device *d, unsigned int bar, bool mappable)
{
	struct vfio_region *region = d->regions + bar;

	if (!mappable || region->size % PCI_PAGE) {
		region->trap_end = align_up(region->size, PCI_PAGE);
	} else if (d->pci.msix && d->pci.table_bar == bar) {
		region->trap_start = d->pci.table_offset & -(uint64_t)PCI_PAGE;
		region->trap_end = align_up(
			d->pci.table_offset + (uint64_t)PCI_MSIX_ENTRY_SIZE * d->pci.vectors,
			PCI_PAGE);
	}
}

static int map_part(struct vfio_device *d, unsigned int bar, uint64_t from, uint64_t to,
	unsigned int *slot, struct err *err)
{
	const struct vfio_region *region = d->regions + bar;
	void *hva;

	if (from >= to)
		return 0;
	hva = mmap(NULL, to - from, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd,
		(off_t)(region->offset + from));
	if (hva == MAP_FAILED)
		return err_sys(err, -errno, "map BAR %u", bar);
	return vm_map(
		d->vfio->vm, (*slot)++, d->pci.bars[bar].gpa + from, to - from, hva, false, err);
}

struct trapped_bar {
	struct vfio_device *device;
	unsigned int bar;
	uint64_t start;
};

static void trapped(void *context, uint64_t offset, void *data, uint32_t len, bool write)
{
	const struct trapped_bar *t = context;

	if (write)
		pci_bar_write(&t->device->pci, t->bar, t->start + offset, data, len);
	else
		pci_bar_read(&t->device->pci, t->bar, t->start + offset, data, len);
}

static int trap(struct vfio_device *d, unsigned int bar, struct err *err)
{
	const struct vfio_region *region = d->regions + bar;
	struct trapped_bar *t;

	if (region->trap_start == region->trap_end)
		return 0;
	t = calloc(1, sizeof(*t)); /* lives as long as the machine */
	if (!t)
		return err_sys(err, -ENOMEM, "BAR %u", bar);
	*t = (struct trapped_bar){d, bar, region->trap_start};
	return vm_add_range(d->vfio->vm,
		&(struct vm_range){d->pci.bars[bar].gpa + region->trap_start,
			region->trap_end - region->trap_start, trapped, t},
		err);
}

static int place_bar(struct vfio_device *d, unsigned int bar, uint32_t flags, struct space *low,
	struct space *high, unsigned int *slot, struct err *err)
{
	struct pci_bar *b = d->pci.bars + bar;
	const struct vfio_region *region = d->regions + bar;
	int r;

	if (!b->size)
		return 0;
	r = take(b->wide && b->prefetchable ? high : low, b, err);
	if (r < 0)
		return r;
	choose_trapped(d, bar, flags & VFIO_REGION_INFO_FLAG_MMAP);
	r = map_part(d, bar, 0, region->trap_start, slot, err);
	if (r == 0)
		r = map_part(d, bar, region->trap_end, region->size, slot, err);
	return r == 0 ? trap(d, bar, err) : r;
}

static int open_device(struct vfio_device *d, int group, struct space *low, struct space *high,
	unsigned int *slot, struct err *err)
{
	uint32_t flags[PCI_BARS] = {};
	int r = d->fd = sys_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, (void *)(uintptr_t)d->address);

	if (r < 0)
		return err_sys(err, r, "VFIO_GROUP_GET_DEVICE_FD");
	r = look_at(d, flags, err);
	for (unsigned int i = 0; i < PCI_BARS && r == 0; i++)
		r = place_bar(d, i, flags[i], low, high, slot, err);
	if (r == 0 && open_events(d) < 0)
		r = err_sys(err, -EMFILE, "an event for each interrupt");
	return r;
}

/* Two devices may be of one group. */
static bool is_joined(const struct plan_vfio *plan, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (plan->devices.items[i].group == plan->devices.items[index].group)
			return true;
	return false;
}

static int join_groups(const struct plan_vfio *plan, struct err *err)
{
	int32_t container = plan->container;
	int r = 0;

	for (size_t i = 0; i < plan->devices.count && r == 0; i++) {
		struct plan_vfio_device *d = plan->devices.items + i;

		if (!is_joined(plan, i))
			r = sys_ioctl(d->group, VFIO_GROUP_SET_CONTAINER, &container);
		if (r < 0)
			return err_sys(err, r, "vfio:%s: its IOMMU group is not free", d->address);
	}
	r = sys_ioctl(plan->container, VFIO_SET_IOMMU, (void *)(uintptr_t)VFIO_TYPE1v2_IOMMU);
	return r == -EPERM ? err_set(err, r,
				     "vfio: the IOMMU does not remap interrupts, so a device could "
				     "forge those of the host")
	       : r < 0     ? err_sys(err, r, "vfio: VFIO_SET_IOMMU")
			   : 0;
}

/* A device's addresses are the guest's: all RAM, and nothing else. */
static int map_memory(int container, const struct guest_memory *memory, struct err *err)
{
	for (size_t i = 0; i < memory->count; i++) {
		const struct guest_region *region = memory->regions + i;
		struct vfio_iommu_type1_dma_map map = {
			.argsz = sizeof(map),
			.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
			.vaddr = (uint64_t)(uintptr_t)region->hva,
			.iova = region->gpa,
			.size = region->size,
		};
		int r = sys_ioctl(container, VFIO_IOMMU_MAP_DMA, &map);

		if (r < 0)
			return err_sys(err, r, "vfio: pin %llu MiB of guest memory",
				(unsigned long long)(region->size >> 20));
	}
	return 0;
}

/* ---- the root bus ---- */

/* Device 0 of the bus is not there; a function's number is not looked at by others than 0. */
static void bus_access(void *context, uint64_t offset, void *data, uint32_t len, bool write)
{
	struct vfio *v = context;
	uint64_t function = offset / PCI_CONFIG_SIZE, index = function / 8 - 1;
	uint32_t at = offset % PCI_CONFIG_SIZE;

	if (function % 8 || index >= v->count) {
		if (!write)
			memset(data, 0xff, len);
	} else if (write) {
		pci_config_write(&v->devices[index].pci, at, data, len);
	} else {
		pci_config_read(&v->devices[index].pci, at, data, len);
	}
}

int vfio_open(struct vfio *v, const struct plan_vfio *plan, struct vm *vm, unsigned int first_slot,
	uint64_t high_gpa, struct err *err)
{
	struct arch_pci *pci = &vm->layout.pci;
	struct space low = {pci->low.gpa, pci->low.gpa + pci->low.size};
	struct space high = {high_gpa, UINT64_MAX};
	int r;

	*v = (struct vfio){.vm = vm, .count = plan->devices.count};
	pthread_mutex_init(&v->lock, NULL);
	v->devices = calloc(v->count, sizeof(*v->devices));
	if (!v->devices)
		return err_sys(err, -ENOMEM, "VFIO");
	r = join_groups(plan, err);
	if (r == 0)
		r = map_memory(plan->container, &vm->memory, err);
	for (size_t i = 0; i < v->count && r == 0; i++) {
		v->devices[i].vfio = v;
		v->devices[i].address = plan->devices.items[i].address;
		r = open_device(v->devices + i, plan->devices.items[i].group, &low, &high,
			&first_slot, err);
		if (r < 0)
			return err_add(err, "vfio:%s", v->devices[i].address);
	}
	if (r == 0)
		r = make_routes(v, err);
	if (r < 0)
		return r;
	pci->present = true;
	pci->high.gpa = high_gpa;
	pci->high.size = align_up(high.next - high_gpa, PCI_PAGE);
	return vm_add_range(
		vm, &(struct vm_range){pci->ecam.gpa, pci->ecam.size, bus_access, v}, err);
}
