/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: messages of any length and content are answered one by one, or end it. */
#include "runtime/microvm/vmm/control.h"

#include "base/sys.h"
#include "runtime/microvm/vmm/machine.h"
#include "tests/fuzz/fuzz.h"

#include <sys/socket.h>
#include <unistd.h>

/* A machine without a vCPU, so that a pause has nobody to wait for. */
static void machine_make(struct machine *m, uint8_t *memory, size_t size, int sock, bool balloon)
{
	struct err err = {};

	*m = (struct machine){.vm = {.fd = -1, .ended = {.fd = event_open()}}};
	pthread_mutex_init(&m->vm.lock, NULL);
	pthread_cond_init(&m->vm.changed, NULL);
	REQUIRE(guest_memory_add(&m->vm.memory, 0, size, memory) == 0);
	REQUIRE(loop_open(&m->vm.loop, &err) == 0);
	if (balloon)
		balloon_init(&m->balloon, &m->vm.memory);
	REQUIRE(control_open(m, sock, -1, &err) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct machine m;
	static uint8_t memory[1 << 16] __attribute__((aligned(4096)));
	struct control_reply reply;
	int pair[2];

	REQUIRE(sys_socketpair(SOCK_SEQPACKET, pair) == 0);
	machine_make(&m, memory, sizeof(memory), pair[1], size && data[0] & 1);
	while (size > 2 && m.vm.outcome == VM_RUNNING) {
		size_t len = 1 + data[1] % 40;

		if (len > size - 2)
			len = size - 2;
		REQUIRE(send(pair[0], data + 2, len, MSG_NOSIGNAL) == (ssize_t)len);
		while (loop_turn(&m.vm.loop, 0) > 0)
			;
		REQUIRE(recv(pair[0], &reply, sizeof(reply), MSG_DONTWAIT) == sizeof(reply));
		if (len != sizeof(struct control_request))
			REQUIRE(reply.result < 0);
		data += 2 + len;
		size -= 2 + len;
	}
	close(pair[0]);
	while (m.vm.outcome == VM_RUNNING) /* the end of file ends the machine */
		loop_turn(&m.vm.loop, -1);
	loop_close(&m.vm.loop);
	close(pair[1]);
	close(m.vm.ended.fd);
	return 0;
}
