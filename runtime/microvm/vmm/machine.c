/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/vmm/machine.h"

#include "runtime/microvm/vmm/filter.h"
#include "runtime/microvm/vmm/jail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PMEM_GAP (1ULL << 30) /* Linux maps persistent memory in large pieces */

static int add_vsock(struct machine *m, const struct plan_vsock *p, struct err *err)
{
	struct vsock_port ports[VSOCK_PORTS_MAX] = {};
	struct vsock_options options = {
		.cid = p->cid,
		.listener = p->listener.set ? (int)p->listener.value : -1,
		.ports = ports,
		.port_count = p->ports.count,
	};
	int r;

	for (size_t i = 0; i < p->ports.count && i < VSOCK_PORTS_MAX; i++)
		ports[i] = (struct vsock_port){
			.port = p->ports.items[i].port, .fd = p->ports.items[i].fd};
	r = vsock_open(&m->vsock, &options, &m->vm.memory, &m->vm.loop, err);
	return r < 0 ? r : vm_add(&m->vm, &m->vsock.device, err);
}

static struct limit_rate rate_of(const struct plan_limit *limit)
{
	return limit ? (struct limit_rate){limit->bytes, limit->operations} : (struct limit_rate){};
}

static int add_block(
	struct machine *m, const struct plan_block *p, struct block *b, struct err *err)
{
	const struct limit_rate limit = rate_of(p->limit);
	const struct block_options options = {
		.file = p->fd, .read_only = p->read_only, .serial = p->serial, .limit = &limit};
	int r = block_open(b, &options, &m->vm.memory, &m->vm.loop, err);

	return r < 0 ? r : vm_add(&m->vm, &b->device, err);
}

/* "02:00:00:00:00:01", not a group address. */
static int parse_mac(const char *text, uint8_t ret[6], struct err *err)
{
	unsigned int b[6];
	char end;

	if (strlen(text) != 17 ||
		sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", b, b + 1, b + 2, b + 3, b + 4, b + 5,
			&end) != 6 ||
		b[0] & 1)
		return err_set(err, -EINVAL, "%s: not a network device's address", text);
	for (int i = 0; i < 6; i++)
		ret[i] = (uint8_t)b[i];
	return 0;
}

static int add_net(struct machine *m, const struct plan_net *p, struct net *n, struct err *err)
{
	const struct limit_rate receive = rate_of(p->receive), send = rate_of(p->send);
	struct net_options options = {.tap = p->tap, .receive = &receive, .send = &send};
	int r = parse_mac(p->mac, options.mac, err);

	if (r == 0 && (p->mtu > UINT16_MAX || (p->mtu && p->mtu < 68)))
		r = err_set(err, -EINVAL, "a network device's MTU is 68 to 65535");
	options.mtu = (uint16_t)p->mtu;
	if (r == 0)
		r = net_open(n, &options, &m->vm.memory, &m->vm.loop, err);
	return r < 0 ? r : vm_add(&m->vm, &n->device, err);
}

/* Above all RAM, one behind the other; the slot is the number of it. */
static int add_pmem(
	struct machine *m, const struct plan_pmem *p, unsigned int index, struct err *err)
{
	struct pmem *pmem = m->pmems + index;
	uint64_t gpa = index ? pmem[-1].config.start + pmem[-1].config.size
			     : (m->vm.layout.high_gpa + PMEM_GAP - 1) & -PMEM_GAP;
	int r = pmem_open(pmem, p->fd, p->read_only, gpa, &m->vm.memory, err);

	if (r == 0)
		r = vm_map(&m->vm, index, gpa, pmem->config.size, pmem->hva, p->read_only, err);
	return r < 0 ? r : vm_add(&m->vm, &pmem->device, err);
}

static int add_filesystem(
	struct machine *m, const struct plan_filesystem *p, struct fs *fs, struct err *err)
{
	int r = fs_open(fs, p->tag, p->socket, m->vm.memory_fd, &m->vm.memory, err);

	return r < 0 ? r : vm_add(&m->vm, &fs->device, err);
}

/* Behind everything else that needs addresses. */
static int add_vfio(struct machine *m, const struct plan *plan, struct err *err)
{
#ifdef ARCH_HAS_PCI
	const struct pmem *last = m->pmems + plan->pmems.count - 1;
	uint64_t high =
		plan->pmems.count ? last->config.start + last->config.size : m->vm.layout.high_gpa;

	return vfio_open(&m->vfio, plan->vfio, &m->vm, (unsigned int)plan->pmems.count,
		(high + PMEM_GAP - 1) & -PMEM_GAP, err);
#else
	(void)m;
	(void)plan;
	return err_set(err, -ENOTSUP, "vfio: there is no PCI in machines of this architecture");
#endif
}

static int add_storage(struct machine *m, const struct plan *plan, struct err *err)
{
	int r = 0;

	m->blocks = calloc(plan->blocks.count, sizeof(*m->blocks));
	m->nets = calloc(plan->nets.count, sizeof(*m->nets));
	m->pmems = calloc(plan->pmems.count, sizeof(*m->pmems));
	m->filesystems = calloc(plan->filesystems.count, sizeof(*m->filesystems));
	m->filesystem_count = plan->filesystems.count;
	if ((plan->filesystems.count && !m->filesystems) || (plan->blocks.count && !m->blocks) ||
		(plan->nets.count && !m->nets) || (plan->pmems.count && !m->pmems))
		return err_sys(err, -ENOMEM, "devices");
	for (size_t i = 0; i < plan->blocks.count && r == 0; i++)
		r = add_block(m, plan->blocks.items + i, m->blocks + i, err);
	for (size_t i = 0; i < plan->nets.count && r == 0; i++)
		r = add_net(m, plan->nets.items + i, m->nets + i, err);
	for (size_t i = 0; i < plan->pmems.count && r == 0; i++)
		r = add_pmem(m, plan->pmems.items + i, (unsigned int)i, err);
	for (size_t i = 0; i < plan->filesystems.count && r == 0; i++)
		r = add_filesystem(m, plan->filesystems.items + i, m->filesystems + i, err);
	return r;
}

static int add_small(struct machine *m, const struct plan *plan, struct err *err)
{
	int r = 0;

	if (plan->rng) {
		rng_init(&m->rng, &m->vm.memory);
		r = vm_add(&m->vm, &m->rng.device, err);
	}
	if (r == 0 && plan->balloon) {
		balloon_init(&m->balloon, &m->vm.memory);
		r = vm_add(&m->vm, &m->balloon.device, err);
	}
	if (r == 0 && plan->console) {
		r = console_device_open(&m->console, plan->console->in, plan->console->out,
			&m->vm.memory, &m->vm.loop, err);
		if (r == 0)
			r = vm_add(&m->vm, &m->console.device, err);
	}
	return r;
}

int machine_open(struct machine *m, const struct plan *plan, int kvm, struct err *err)
{
	const struct vm_options options = {
		.kvm = kvm,
		.memory_size = (uint64_t)plan->memory_mib << 20,
		.huge_pages = plan->huge_pages,
		.nested = plan->nested,
		.vcpus = plan->vcpus,
		.serial = plan->serial.set ? (int)plan->serial.value : -1,
	};
	int r = vm_open(&m->vm, &options, err);

	if (r == 0 && plan->vsock)
		r = add_vsock(m, plan->vsock, err);
	if (r == 0)
		r = add_small(m, plan, err);
	if (r == 0)
		r = add_storage(m, plan, err);
	if (r == 0 && plan->vfio)
		r = add_vfio(m, plan, err);
	if (r == 0)
		r = vm_show_registers(&m->vm, err);
	if (r == 0)
		r = control_open(m, plan->control.set ? (int)plan->control.value : -1,
			plan->control_listener.set ? (int)plan->control_listener.value : -1, err);
	if (r == 0)
		r = machine_state_open(m, err);
	if (r < 0)
		return r;
	if (plan->restore) {
		r = machine_restore(m, plan->restore->state, plan->restore->memory, err);
		return r < 0 ? r : vm_renew(&m->vm, err);
	}
	return vm_load(&m->vm, plan->kernel, plan->initramfs.set ? (int)plan->initramfs.value : -1,
		plan->command_line, err);
}

/* What was only needed to get here. */
static void close_boot_files(struct machine *m, const struct plan *plan)
{
	close(m->vm.kvm);
	if (plan->restore) {
		close(plan->restore->state);
		close(plan->restore->memory);
	} else {
		close(plan->kernel);
	}
	if (plan->initramfs.set)
		close((int)plan->initramfs.value);
	close(STDIN_FILENO);
	m->vm.kvm = -1;
}

/* The highest that is open, and room for connections and those that are accepted to be refused. */
static unsigned int descriptor_limit(void)
{
	int next = dup(STDERR_FILENO); /* the lowest free one: all below are taken */

	close(next);
	return (unsigned int)next + PLAN_DEVICES_MAX + VSOCK_DESCRIPTORS_MAX + CONTROL_CLIENTS_MAX +
	       8;
}

enum vm_outcome machine_run(struct machine *m, const struct plan *plan, struct err *err)
{
	struct jail_options jail = {};

	close_boot_files(m, plan);
	jail.descriptors = descriptor_limit();
	if (plan->jail) {
		jail.change_user = true;
		jail.uid = plan->jail->uid;
		jail.gid = plan->jail->gid;
	}
	if (jail_enter(&jail, err) < 0)
		return VM_FAILED;
	return vm_run(&m->vm, filter_load, err);
}
