/* SPDX-License-Identifier: Apache-2.0 */
/* The devices of one page: random numbers, console, balloon, persistent memory, serial port. */
#include "runtime/microvm/devices/balloon.h"
#include "runtime/microvm/devices/console.h"
#include "runtime/microvm/devices/pmem.h"
#include "runtime/microvm/devices/rng.h"
#include "runtime/microvm/devices/serial.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "tests/unit/microvm/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/serial_reg.h>
#include <sys/mman.h>
#include <unistd.h>

static void test_rng(void **state)
{
	const struct buffer some = {DATA_GPA, 64, true}, much = {DATA_GPA, 0x8000, true};
	const struct buffer wrong = {DATA_GPA, 64, false};
	static const uint8_t zeros[64];
	struct rng rng;
	struct guest g;

	(void)state;
	guest_init(&g);
	rng_init(&rng, &g.memory);
	guest_attach(&g, &rng.device);
	guest_start(&g, 0);
	guest_send(&g, 0, &some, 1);
	assert_int_equal(guest_used(&g, 0), 64);
	assert_memory_not_equal(guest_at(&g, DATA_GPA), zeros, 64);
	assert_memory_equal(guest_at(&g, DATA_GPA + 64), zeros, 64);
	guest_send(&g, 0, &much, 1);
	assert_int_equal(guest_used(&g, 0), RNG_CHAIN_MAX);
	guest_send(&g, 0, &wrong, 1);
	assert_true(guest_needs_reset(&g));
	guest_free(&g);
}

static void test_console(void **state)
{
	const struct buffer out = {DATA_GPA, 0x8000, false}, in = {DATA_GPA + 0x8000, 16, true};
	int host_out[2], host_in[2], full = 0;
	struct console console;
	struct err err = {};
	struct guest g;
	char data[0x8000];

	(void)state;
	guest_init(&g);
	assert_int_equal(sys_pipe(host_out), 0);
	assert_int_equal(sys_pipe(host_in), 0);
	assert_int_equal(
		console_device_open(&console, host_in[0], host_out[1], &g.memory, &g.loop, &err),
		0);
	guest_attach(&g, &console.device);
	guest_start(&g, 0);
	assert_int_equal(write(host_in[1], "input", 5), 5);
	guest_settle(&g); /* nobody listens yet */
	guest_send(&g, 0, &in, 1);
	assert_int_equal(guest_used(&g, 0), 5);
	assert_memory_equal(guest_at(&g, DATA_GPA + 0x8000), "input", 5);

	/* The host does not read: chains wait in the guest, one of them half sent. */
	for (int i = 0; i < 3; i++) {
		memset(guest_at(&g, DATA_GPA), 'a', 0x8000);
		guest_send(&g, 1, &out, 1);
		full += guest_used(&g, 1) < 0;
	}
	assert_int_equal(full, 1);
	for (int i = 0; i < 3; i++) {
		for (size_t done = 0; done < sizeof(data);)
			done += (size_t)read(host_out[0], data + done, sizeof(data) - done);
		guest_settle(&g);
	}
	assert_int_equal(guest_used(&g, 1), 0);
	assert_false(guest_needs_reset(&g));

	close(host_in[1]); /* the end of input is not an error, nor a busy loop */
	guest_send(&g, 0, &in, 1);
	assert_int_equal(guest_used(&g, 0), -1);
	console_close(&console);
	guest_free(&g);
	close(host_out[0]);
}

static void test_balloon(void **state)
{
	enum { SIZE = 1 << 20, PFN = 16 };
	const uint32_t pfns[] = {PFN, PFN + 1, PFN + 2, SIZE >> 12, UINT32_MAX, PFN + 8};
	const struct virtio_balloon_stat stats[] = {
		{VIRTIO_BALLOON_S_MEMFREE, 1234}, {999, 5}, {VIRTIO_BALLOON_S_MEMTOT, 5678}};
	struct buffer list = {DATA_GPA, sizeof(pfns), false};
	struct buffer said = {DATA_GPA + 0x100, sizeof(stats), false};
	const struct buffer page = {0x20800, 0x1800, true};
	uint64_t read_back[BALLOON_STATS];
	struct balloon b;
	struct guest g;
	int fd;

	(void)state;
	guest_init(&g);
	free(g.low); /* holes are a memfd's */
	fd = sys_memfd_create("guest", 0);
	assert_int_equal(sys_ftruncate(fd, SIZE), 0);
	g.low = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	g.memory = (struct guest_memory){};
	assert_int_equal(guest_memory_add(&g.memory, 0, SIZE, g.low), 0);
	balloon_init(&b, &g.memory);
	guest_attach(&g, &b.device);
	guest_start(&g, 1ULL << VIRTIO_BALLOON_F_STATS_VQ | 1ULL << VIRTIO_BALLOON_F_REPORTING);
	memset(g.low + 0x10000, 'x', 0x20000 - 0x10000 + 0x3000);
	memcpy(guest_at(&g, DATA_GPA), pfns, sizeof(pfns));
	memcpy(guest_at(&g, DATA_GPA + 0x100), stats, sizeof(stats));
	list.gpa = said.gpa = 0x3a000; /* not in what is given away */
	memcpy(guest_at(&g, list.gpa), pfns, sizeof(pfns));
	guest_send(&g, 0, &list, 1);
	assert_int_equal(b.given_back, 4 * 4096); /* pages that are not there are left out */
	assert_int_equal(g.low[PFN << 12], 0);
	assert_int_equal(g.low[(PFN + 3) << 12], 'x');
	assert_int_equal(g.low[(PFN + 8) << 12], 0);

	guest_send(&g, 3, &page, 1); /* one whole page is inside */
	assert_int_equal(b.given_back, 5 * 4096);
	assert_int_equal(g.low[0x20fff], 'x');
	assert_int_equal(g.low[0x21000], 0);

	memcpy(guest_at(&g, said.gpa), stats, sizeof(stats));
	guest_send(&g, 2, &said, 1);
	assert_int_equal(guest_used(&g, 2), -1); /* it stays here until we want news */
	balloon_read_stats(&b, read_back);
	assert_int_equal(read_back[VIRTIO_BALLOON_S_MEMFREE], 1234);
	assert_int_equal(read_back[VIRTIO_BALLOON_S_MEMTOT], 5678);
	assert_int_equal(read_back[VIRTIO_BALLOON_S_AVAIL], UINT64_MAX);
	assert_int_equal(guest_used(&g, 2), 0);

	balloon_set(&b, 1);
	assert_int_equal(reg_read(&g, VIRTIO_MMIO_CONFIG), 256);
	assert_int_equal(reg_read(&g, VIRTIO_MMIO_INTERRUPT_STATUS) & 2, 2);
	balloon_set(&b, UINT64_MAX);
	assert_int_equal(reg_read(&g, VIRTIO_MMIO_CONFIG), SIZE >> 12);
	reg_write(&g, VIRTIO_MMIO_CONFIG + 4, 77);
	assert_int_equal(b.config.actual, 77);
	reg_write(&g, VIRTIO_MMIO_CONFIG, 5); /* ours */
	assert_int_equal(b.config.num_pages, SIZE >> 12);
	munmap(g.low, SIZE);
	g.low = NULL;
	close(fd);
	guest_free(&g);
}

static void test_pmem(void **state)
{
	const struct buffer good[] = {{DATA_GPA, 4, false}, {DATA_GPA + 4, 4, true}};
	struct err err = {};
	struct pmem p;
	struct guest g;
	int fd = sys_memfd_create("pmem", 0);

	(void)state;
	guest_init(&g);
	assert_int_equal(sys_ftruncate(fd, PMEM_ALIGN + 4096), 0);
	assert_int_equal(pmem_open(&p, fd, false, 1ULL << 32, &g.memory, &err), -EINVAL);
	assert_int_equal(sys_ftruncate(fd, PMEM_ALIGN), 0);
	assert_int_equal(pmem_open(&p, fd, false, 1ULL << 32, &g.memory, &err), 0);
	guest_attach(&g, &p.device);
	guest_start(&g, 0);
	memset(guest_at(&g, DATA_GPA), 0xff, 8);
	guest_send(&g, 0, good, 2);
	assert_int_equal(guest_used(&g, 0), 4);
	assert_int_equal(*(uint32_t *)guest_at(&g, DATA_GPA + 4), 1); /* an unknown request */
	*(uint32_t *)guest_at(&g, DATA_GPA) = 0;
	guest_send(&g, 0, good, 2);
	assert_int_equal(guest_used(&g, 0), 4);
	assert_int_equal(*(uint32_t *)guest_at(&g, DATA_GPA + 4), 0);
	guest_send(&g, 0, good, 1);
	assert_true(guest_needs_reset(&g));
	pmem_close(&p);
	guest_free(&g);
}

static void test_serial(void **state)
{
	int out[2], irq = event_open();
	struct serial s;
	char text[300] = {};

	(void)state;
	assert_int_equal(sys_pipe(out), 0);
	serial_init(&s, out[1], irq);
	serial_write(&s, UART_LCR, UART_LCR_DLAB); /* the divisor is not output */
	serial_write(&s, UART_TX, 'x');
	assert_int_equal(serial_read(&s, UART_TX), 'x');
	serial_write(&s, UART_LCR, UART_LCR_WLEN8);
	for (const char *p = "hello\nrest"; *p; p++)
		serial_write(&s, UART_TX, (uint8_t)*p);
	assert_int_equal(read(out[0], text, sizeof(text)), 6);
	assert_string_equal(text, "hello\n");
	serial_flush(&s);
	assert_int_equal(read(out[0], text, sizeof(text)), 4);
	for (int i = 0; i < 257; i++) /* a line longer than the buffer */
		serial_write(&s, UART_TX, 'y');
	assert_int_equal(read(out[0], text, sizeof(text)), 256);

	assert_false(event_take(irq)); /* nobody asked for interrupts */
	serial_write(&s, UART_IER, UART_IER_THRI);
	assert_true(event_take(irq));
	assert_int_equal(serial_read(&s, UART_IIR) & 0xf, UART_IIR_THRI);
	assert_int_equal(serial_read(&s, UART_IIR) & 0xf, UART_IIR_NO_INT);
	serial_write(&s, UART_MCR, UART_MCR_LOOP | UART_MCR_RTS | UART_MCR_OUT2);
	assert_int_equal(serial_read(&s, UART_MSR) & 0xf0, UART_MSR_CTS | UART_MSR_DCD);
	assert_int_equal(serial_read(&s, UART_LSR), UART_LSR_TEMT | UART_LSR_THRE);
	close(out[0]);
	close(out[1]);
	close(irq);
}

static void say(struct serial *s, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		serial_write(s, UART_TX, (uint8_t)text[i]);
}

/* What S says is one line, of which the first bytes are EXPECTED; of no more when WHOLE. */
static void assert_words(const char *text, size_t len, const char *expected, bool whole)
{
	struct serial *s = malloc(sizeof(*s));
	char words[SERIAL_WORDS];

	assert_non_null(s);
	serial_init(s, -1, -1);
	say(s, text, len);
	serial_words(s, words);
	assert_memory_equal(words, expected, strlen(expected));
	if (whole)
		assert_string_equal(words, expected);
	for (const char *c = words; *c; c++)
		assert_true(*c >= 0x20 && *c < 0x7f);
	free(s);
}

#define ASSERT_WORDS(text, expected) assert_words(text, sizeof(text) - 1, expected, true)

/* A guest says what it likes. */
static void test_last_words(void **state)
{
	static char much[3 * SERIAL_KEPT];

	(void)state;
	ASSERT_WORDS("", "");
	ASSERT_WORDS("\n\r\n\n", "");
	ASSERT_WORDS("one\r\ntwo\n\nthree", "one; two; three");
	ASSERT_WORDS(
		"[    1.000000] one\n[no time] two\n[ 2] three\n[", "one; [no time] two; three; [");
	ASSERT_WORDS("\033[2J\0\x80\\\n\t\x7f", "\\x1b[2J\\x00\\x80\\x5c; \\x09\\x7f");
	/* Of a panic what tells why. */
	ASSERT_WORDS("[    0.5] something\r\n[    1.5] Kernel panic - not syncing: why\r\n"
		     "[    1.5] CPU: 1 PID: 7 Comm: sh Not tainted\r\n[    1.5] Call Trace:\r\n"
		     "[    1.5]  <TASK>\r\n[    1.5] RIP: 0033:0x1\r\n",
		"Kernel panic - not syncing: why; CPU: 1 PID: 7 Comm: sh Not tainted");

	/* However much it was: the last lines, or the beginning of one that is too long. */
	for (size_t i = 0; i < sizeof(much); i++)
		much[i] = (char)(i % 10 == 9 ? '\n' : 'a' + i % 10);
	assert_words(much, sizeof(much), "abcdefghi; abcdefghi; ", false);
	memcpy(much + sizeof(much) - 11, "\nthe end!\n", 10);
	much[sizeof(much) - 1] = '\n';
	for (size_t offset = 0; offset < 20; offset++) {
		struct serial *s = malloc(sizeof(*s));
		char words[SERIAL_WORDS];

		assert_non_null(s);
		serial_init(s, -1, -1);
		say(s, much + offset, sizeof(much) - offset);
		serial_words(s, words);
		assert_string_equal(words + strlen(words) - 10, "; the end!");
		assert_in_range(strlen(words), SERIAL_WORDS - 20, SERIAL_WORDS - 1);
		free(s);
	}
	memset(much, 'x', sizeof(much));
	assert_words(much, sizeof(much), "xxxxxxxxxxxxxxxx", false);
	memset(much, '\n', sizeof(much));
	assert_words(much, sizeof(much), "", true);
	memset(much, 1, sizeof(much));
	assert_words(much, sizeof(much), "\\x01\\x01", false);
	for (size_t i = 0; i < sizeof(much); i++)
		much[i] = "BUG:\n"[i % 5];
	assert_words(much, sizeof(much), "BUG:; BUG:; ", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rng),
		cmocka_unit_test(test_console),
		cmocka_unit_test(test_balloon),
		cmocka_unit_test(test_pmem),
		cmocka_unit_test(test_serial),
		cmocka_unit_test(test_last_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
