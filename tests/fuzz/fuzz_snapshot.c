/* SPDX-License-Identifier: Apache-2.0 */
/* A saved machine that anybody wrote: its devices take it or refuse it, and what they take stays
 * within the guest's memory when they go on. */
#include "base/sys.h"
#include "runtime/microvm/vmm/machine.h"
#include "runtime/microvm/vmm/snapshot.h"
#include "tests/fuzz/fuzz.h"

enum { MEMORY = 0x40000 };

static const struct snapshot_shape shape = {.memory_size = MEMORY, .vcpus = 1, .devices = 4};

struct parts {
	struct vsock vsock;
	struct rng rng;
	struct balloon balloon;
	struct console console;
};

static void run(
	struct parts *p, struct mmio *mmios, struct loop *loop, const uint8_t *data, size_t size)
{
	struct device *devices[] = {
		&p->vsock.device, &p->rng.device, &p->balloon.device, &p->console.device};
	static _Alignas(8) uint8_t pages[4][MMIO_SIZE];
	struct snapshot_reader reader;
	struct err err = {};
	int r = snapshot_open(&reader, data, size, &shape, &err);

	for (uint32_t i = 0; i < 4; i++) {
		REQUIRE(mmio_init(mmios + i, devices[i], pages[i], loop, &err) == 0);
		if (r == 0)
			r = machine_restore_device(mmios + i, i, &reader, &err);
	}
	REQUIRE(r == 0 || (r < 0 && err.text[0]));
	for (int i = 0; i < 32 && loop_turn(loop, 0) > 0; i++)
		;
	for (int i = 0; i < 4; i++)
		mmio_close(mmios + i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct parts p;
	static struct mmio mmios[4];
	struct vsock_options options = {.cid = 3, .listener = -1};
	struct guest_memory memory = {};
	uint8_t *ram = calloc(1, MEMORY);
	struct loop loop;
	struct err err = {};

	REQUIRE(ram && guest_memory_add(&memory, 0, MEMORY, ram) == 0);
	REQUIRE(loop_open(&loop, &err) == 0);
	REQUIRE(vsock_open(&p.vsock, &options, &memory, &loop, &err) == 0);
	rng_init(&p.rng, &memory);
	balloon_init(&p.balloon, &memory);
	REQUIRE(console_device_open(&p.console, -1, -1, &memory, &loop, &err) == 0);
	run(&p, mmios, &loop, data, size);
	vsock_close(&p.vsock);
	console_close(&p.console);
	loop_close(&loop);
	free(ram);
	return 0;
}
