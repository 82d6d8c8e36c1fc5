/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that attacks its VMM: a kernel of a few KiB that knows the registers and keeps to no
 * rule. "attack=NAME" on the command line says which attack; the rest of it means nothing here.
 * What it finds out it prints to the serial port; then it switches off.
 */
#include <stddef.h>
#include <stdint.h>

enum {
	DEVICES = 16,
	QUEUES = 4,
	SIZE = 64,
	READ = 2048, /* bytes of a request for the disk */
	COM1 = 0x3f8,
	POWER = 0x600,
	TRAMPOLINE = 0x10000,
	/* registers */
	MAGIC = 0x0,
	ID = 0x8,
	FEATURES = 0x10,
	FEATURES_SEL = 0x14,
	DRIVER_FEATURES = 0x20,
	DRIVER_FEATURES_SEL = 0x24,
	QUEUE_SEL = 0x30,
	QUEUE_MAX = 0x34,
	QUEUE_NUM = 0x38,
	QUEUE_READY = 0x44,
	NOTIFY = 0x50,
	STATUS = 0x70,
	DESC = 0x80,
	AVAIL = 0x90,
	USED = 0xa0,
	CONFIG = 0x100,
	NEEDS_RESET = 0x40,
	/* devices */
	ID_NET = 1,
	ID_BLOCK = 2,
	ID_RNG = 4,
	ID_FS = 26,
	ID_PMEM = 27,
	/* descriptors */
	NEXT = 1,
	WRITE = 2,
	INDIRECT = 4,
};

#define MMIO   0xd0000000UL
#define MEMORY 0x2000000UL /* 32 MiB: what the test gives */

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct rings {
	struct desc desc[256];
	struct {
		uint16_t flags, idx, ring[257];
	} avail __attribute__((aligned(4096)));
	struct {
		uint16_t flags, idx;
		struct {
			uint32_t id, len;
		} ring[256];
		uint16_t event;
	} used __attribute__((aligned(4096)));
} __attribute__((aligned(4096)));

static struct rings rings[QUEUES];
static uint8_t data[65536] __attribute__((aligned(4096)));
static volatile uint32_t racing, raced;
static volatile struct rings *target;
static uint64_t seed = 1;

void guest_main(const uint8_t *zero_page);
void guest_second(void);
extern const uint8_t trampoline[], trampoline_end[];

/* --- the machine --- */

static void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void write8(uint64_t at, uint8_t value)
{
	__asm__ volatile("movb %0, (%1)" : : "q"(value), "r"(at) : "memory");
}

static void write16(uint64_t at, uint16_t value)
{
	__asm__ volatile("movw %0, (%1)" : : "r"(value), "r"(at) : "memory");
}

static void write32(uint64_t at, uint32_t value)
{
	__asm__ volatile("movl %0, (%1)" : : "r"(value), "r"(at) : "memory");
}

static void write64(uint64_t at, uint64_t value)
{
	__asm__ volatile("movq %0, (%1)" : : "r"(value), "r"(at) : "memory");
}

static uint32_t read32(uint64_t at)
{
	uint32_t value;

	__asm__ volatile("movl (%1), %0" : "=r"(value) : "r"(at) : "memory");
	return value;
}

static uint32_t next_random(void)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33);
}

static void print(const char *text)
{
	while (*text)
		out8(COM1, (uint8_t)*text++);
}

static void print_number(uint64_t n)
{
	char digits[24];
	int at = sizeof(digits);

	digits[--at] = 0;
	do
		digits[--at] = (char)('0' + n % 10);
	while (n /= 10);
	print(digits + at);
}

static void report(const char *what, uint64_t n)
{
	print(what);
	print(" ");
	print_number(n);
	print("\n");
}

static void spin(unsigned int n)
{
	for (volatile unsigned int i = 0; i < n; i++)
		;
}

/* The compiler makes calls of these. */
void *memset(void *s, int c, size_t n);
void *memcpy(void *to, const void *from, size_t n);

void *memset(void *s, int c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((volatile uint8_t *)s)[i] = (uint8_t)c;
	return s;
}

void *memcpy(void *to, const void *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((volatile uint8_t *)to)[i] = ((const uint8_t *)from)[i];
	return to;
}

/* --- a driver, up to where the attack begins --- */

static uint64_t device(int i)
{
	return MMIO + (uint64_t)i * 0x1000;
}

static uint32_t id_of(int i)
{
	return read32(device(i) + MAGIC) == 0x74726976 ? read32(device(i) + ID) : 0;
}

static void negotiate(uint64_t d)
{
	write32(d + STATUS, 0);
	write32(d + STATUS, 1);
	write32(d + STATUS, 3);
	for (uint32_t i = 0; i < 2; i++) {
		write32(d + FEATURES_SEL, i);
		write32(d + DRIVER_FEATURES_SEL, i);
		write32(d + DRIVER_FEATURES, read32(d + FEATURES));
	}
	write32(d + STATUS, 0xb);
}

static uint32_t set_queue(uint64_t d, uint32_t queue)
{
	struct rings *r = rings + queue;
	uint32_t size;

	write32(d + QUEUE_SEL, queue);
	size = read32(d + QUEUE_MAX);
	if (size > SIZE)
		size = SIZE;
	write32(d + QUEUE_NUM, size);
	write32(d + DESC, (uint32_t)(uintptr_t)r->desc);
	write32(d + AVAIL, (uint32_t)(uintptr_t)&r->avail);
	write32(d + USED, (uint32_t)(uintptr_t)&r->used);
	write32(d + QUEUE_READY, 1);
	r->avail.idx = r->avail.flags = r->used.idx = 0;
	return size;
}

static void begin(uint64_t d)
{
	negotiate(d);
	for (uint32_t queue = 0; queue < QUEUES; queue++)
		set_queue(d, queue);
	write32(d + STATUS, 0xf);
}

static void post(uint32_t queue, uint16_t head)
{
	struct rings *r = rings + queue;

	r->avail.ring[r->avail.idx % SIZE] = head;
	__atomic_store_n(&r->avail.idx, r->avail.idx + 1, __ATOMIC_RELEASE);
}

static int wait_used(uint32_t queue, uint16_t from)
{
	for (int i = 0; i < 400000; i++) {
		if (*(volatile uint16_t *)&rings[queue].used.idx != from)
			return 1;
		spin(1000);
	}
	return 0;
}

static void for_each_device(void (*attack)(uint64_t d, uint32_t id))
{
	unsigned int found = 0;

	for (int i = 0; i < DEVICES; i++) {
		uint32_t id = id_of(i);

		if (!id)
			continue;
		found++;
		attack(device(i), id);
		write32(device(i) + STATUS, 0);
		if (read32(device(i) + STATUS) != 0)
			report("does not reset: device", id);
	}
	report("devices", found);
}

/* --- H2: registers --- */

static void enter_state(uint64_t d, uint32_t status)
{
	if (status & 0xc)
		negotiate(d);
	else
		write32(d + STATUS, 0);
	if (status & 4)
		for (uint32_t queue = 0; queue < QUEUES; queue++)
			set_queue(d, queue);
	write32(d + STATUS, status);
}

static void attack_registers(uint64_t d, uint32_t id)
{
	static const uint32_t values[] = {0, 0xffffffff, 0x10001, 0xd0000000};
	static const uint8_t states[] = {0, 3, 0xb, 0xf, 0x8f};

	(void)id;
	for (unsigned int s = 0; s < sizeof(states); s++) {
		enter_state(d, states[s]);
		for (uint32_t reg = 0; reg < 0x140; reg += 4) {
			for (unsigned int v = 0; v < 4; v++)
				write32(d + reg, values[v]);
			write8(d + reg + 1, 0xff);
			write16(d + reg + 2, 0xffff);
			write64(d + reg, ~0ULL);
			read32(d + reg);
			if (reg == STATUS)
				enter_state(d, states[s]);
		}
	}
	write64(d + 0xffc, 1); /* over the end of the page */
}

/* The queue's size after activation: the device goes on with what it started with. */
static void attack_frozen(uint64_t d, uint32_t id)
{
	if (id != ID_RNG)
		return;
	begin(d);
	write32(d + QUEUE_SEL, 0);
	write32(d + QUEUE_READY, 0);
	write32(d + QUEUE_NUM, 256);
	write32(d + DESC, 0xd0000000);
	write32(d + AVAIL, (uint32_t)MEMORY - 4);
	write32(d + USED, 0x1000);
	write32(d + QUEUE_READY, 1);
	rings[0].desc[0] = (struct desc){(uintptr_t)data, 64, WRITE, 0};
	post(0, 0);
	write32(d + NOTIFY, 0);
	report("still served", (uint64_t)wait_used(0, 0));
}

/* --- H1, H6: descriptors --- */

/* 1: refused; 0: taken; 2: no answer, however long a busy host's device may take for one. */
static int offends(uint64_t d, uint32_t queue, uint64_t addr, uint32_t len, uint16_t flags)
{
	begin(d);
	rings[queue].desc[0] = (struct desc){addr, len, flags, 0};
	post(queue, 0);
	write32(d + NOTIFY, queue);
	for (int i = 0; i < 20000; i++) {
		if (read32(d + STATUS) & NEEDS_RESET)
			return 1;
		if (*(volatile uint16_t *)&rings[queue].used.idx)
			return 0;
		spin(2000);
	}
	return 2;
}

static void attack_ends(uint64_t d, uint32_t id)
{
	if (id != ID_RNG)
		return;
	report("inside taken", !offends(d, 0, MEMORY - 64, 64, WRITE));
	report("end + 1 refused", offends(d, 0, MEMORY - 63, 64, WRITE));
	report("behind refused", offends(d, 0, MEMORY, 1, WRITE));
	report("wrap refused", offends(d, 0, ~0ULL - 3, 64, WRITE));
	report("registers refused", offends(d, 0, 0xd0000000, 64, WRITE));
	report("interrupt controller refused", offends(d, 0, 0xfee00000, 64, WRITE));
	report("persistent memory refused", offends(d, 0, 1ULL << 32, 64, WRITE));
}

/* --- rings of any content --- */

static struct desc any_desc(void)
{
	static const uint64_t where[] = {
		0, MEMORY - 16, MEMORY, 0xd0000000, 0xfee00000, 1ULL << 32, ~0ULL - 8};
	uint32_t r = next_random();

	return (struct desc){
		.addr = r & 1 ? (uintptr_t)data + (r >> 8) % 1024 : where[(r >> 4) % 7],
		.len = r & 2 ? next_random() : r >> 20,
		.flags = (uint16_t)((r >> 13) & 7),
		.next = (uint16_t)(r & 64 ? r >> 16 : (r >> 16) % SIZE),
	};
}

static void attack_rings(uint64_t d, uint32_t id)
{
	(void)id;
	for (int round = 0; round < 24; round++) {
		begin(d);
		for (uint32_t queue = 0; queue < QUEUES; queue++) {
			for (int i = 0; i < SIZE; i++)
				rings[queue].desc[i] = any_desc();
			for (int i = 0; i < 64; i++)
				((struct desc *)data)[i] = any_desc();
			for (int i = 0; i < SIZE; i++)
				rings[queue].avail.ring[i] =
					(uint16_t)(i & 8 ? next_random() : next_random() % SIZE);
			rings[queue].avail.idx =
				(uint16_t)(next_random() % (round & 1 ? 65536 : SIZE));
			write32(d + NOTIFY, queue);
		}
		if (round & 2)
			spin(2000);
	}
}

/* --- H5 --- */

static void attack_reset(uint64_t d, uint32_t id)
{
	unsigned int touched = 0;

	if (id != ID_BLOCK)
		return;
	for (int round = 0; round < 24; round++) {
		static struct {
			uint32_t type, reserved;
			uint64_t sector;
		} header;

		begin(d);
		for (uint16_t i = 0; i < 16; i++) {
			struct desc *t = rings[0].desc + i * 3;

			t[0] = (struct desc){(uintptr_t)&header, 16, NEXT, (uint16_t)(i * 3 + 1)};
			t[1] = (struct desc){
				(uintptr_t)data, READ, NEXT | WRITE, (uint16_t)(i * 3 + 2)};
			t[2] = (struct desc){(uintptr_t)data + 32768 + i, 1, WRITE, 0};
			post(0, (uint16_t)(i * 3));
		}
		write32(d + NOTIFY, 0);
		spin((unsigned int)round * 100);
		write32(d + STATUS, 0);
		memset(data, 0xff, READ);
		spin(2000);
		for (int i = 0; i < READ; i++)
			touched += data[i] != 0xff;
	}
	report("touched after reset", touched);
}

/* --- H12 --- */

/* The second processor: swaps what the first one posts. */
void guest_second(void)
{
	raced = 1;
	for (unsigned int i = 0;; i++) {
		volatile struct rings *r = target;

		if (!r)
			continue;
		r->desc[i % 4] = any_desc();
		((volatile struct desc *)data)[i % 4] = any_desc();
		if (i % 16 == 0)
			r->avail.idx++;
		if (i % 256 == 0)
			r->avail.ring[i / 256 % SIZE] = (uint16_t)i;
		racing++;
	}
}

static void start_second(void)
{
	memcpy((void *)(uintptr_t)TRAMPOLINE, trampoline, (size_t)(trampoline_end - trampoline));
	write32(0xfee000f0, 0x1ff); /* the local APIC is on */
	write32(0xfee00310, 1u << 24);
	write32(0xfee00300, 0x4500); /* INIT */
	spin(100000);
	write32(0xfee00310, 1u << 24);
	write32(0xfee00300, 0x4600 | TRAMPOLINE >> 12); /* start-up */
	for (int i = 0; i < 100000 && !raced; i++)
		spin(1000);
	report("second processor", raced);
}

static void attack_race(uint64_t d, uint32_t id)
{
	(void)id;
	for (uint32_t queue = 0; queue < 3; queue++) {
		for (int round = 0; round < 20; round++) {
			begin(d);
			target = rings + queue;
			for (int i = 0; i < 10; i++)
				write32(d + NOTIFY, queue);
			target = NULL;
		}
	}
}

/* --- H9 --- */

static void attack_pmem(uint64_t d, uint32_t id)
{
	unsigned int changed = 0;
	uint64_t start;

	if (id != ID_PMEM)
		return;
	start = read32(d + CONFIG) | (uint64_t)read32(d + CONFIG + 4) << 32;
	report("first byte", *(volatile uint8_t *)start);
	for (uint64_t at = start; at < start + 0x200000; at += 0x10007) {
		uint32_t before = read32(at);

		write32(at, ~before);
		changed += read32(at) != before;
	}
	report("changed", changed);
}

/* --- H8 --- */

struct fuse_in {
	uint32_t len, opcode;
	uint64_t unique, node;
	uint32_t uid, gid, pid, padding;
};

static int32_t fuse(uint64_t d, uint32_t op, uint64_t node, const char *name, uint32_t fixed)
{
	struct fuse_in *in = (struct fuse_in *)data;
	uint16_t before = rings[1].used.idx;
	uint32_t len = 0;

	memset(data, 0, 4096);
	while (name[len])
		len++;
	in->opcode = op;
	in->node = node;
	data[sizeof(*in)] = 1;
	memcpy(data + sizeof(*in) + fixed, name, len);
	memcpy(data + sizeof(*in) + fixed + len + 1, name, len);
	rings[1].desc[0] = (struct desc){
		(uintptr_t)data, (uint32_t)sizeof(*in) + fixed + 2 * (len + 1), NEXT, 1};
	rings[1].desc[1] = (struct desc){(uintptr_t)data + 4096, 4096, WRITE, 0};
	post(1, 0);
	write32(d + NOTIFY, 1);
	return wait_used(1, before) ? *(volatile int32_t *)(data + 4100) : -9999;
}

static void attack_fuse(uint64_t d, uint32_t id)
{
	static const char *const names[] = {
		"..", "../secret", "/etc/passwd", "a/../../secret", "."};
	static const struct {
		uint32_t op, fixed;
	} ops[] = {{1, 0}, {10, 0}, {11, 0}, {9, 8}, {8, 16}, {35, 16}, {12, 8}, {45, 16}, {6, 0}};
	unsigned int taken = 0;

	if (id != ID_FS)
		return;
	begin(d);
	report("file is there", fuse(d, 1, 1, "file", 0) == 0);
	for (unsigned int op = 0; op < sizeof(ops) / sizeof(*ops); op++)
		for (unsigned int i = 0; i < 5; i++)
			taken += fuse(d, ops[op].op, 1, names[i], ops[op].fixed) != -22;
	report("taken", taken);
	for (uint64_t node = 5; node; node <<= 1) /* never given */
		taken += fuse(d, 3, node, "", 16) == 0;
	report("strange nodes taken", taken);
}

/* --- H3: as much as it can, for ever; the test looks at the VMM meanwhile --- */

static void attack_greedy(uint64_t d, uint32_t id)
{
	struct desc *table = (struct desc *)data;

	(void)id;
	begin(d);
	for (uint32_t queue = 0; queue < QUEUES; queue++) {
		for (int i = 0; i < 255; i++)
			table[i] = (struct desc){queue & 1 ? 0x200000 : 0, MEMORY - 0x200000,
				(uint16_t)((queue & 1 ? 0 : WRITE) | (i < 100 ? NEXT : 0)),
				(uint16_t)(i + 1)};
		rings[queue].desc[0] =
			(struct desc){(uintptr_t)table, 255 * sizeof(*table), INDIRECT, 0};
		for (int i = 0; i < SIZE; i++)
			post(queue, 0);
		write32(d + NOTIFY, queue);
	}
	spin(1000);
}

static void kick_for_ever(void)
{
	for (int i = 0; i < DEVICES; i++)
		if (id_of(i) && id_of(i) != ID_FS)
			begin(device(i));
	for (;;)
		for (int i = 0; i < DEVICES; i++)
			write32(device(i) + NOTIFY, next_random() % QUEUES);
}

static void print_for_ever(void)
{
	for (;;)
		print("flood flood flood flood flood flood flood flood flood flood flood flood\n");
}

/* Every port but those that end the machine. */
static void attack_ports(void)
{
	for (uint32_t port = 0; port < 0x10000; port += port < 0x400 ? 1 : 0x101) {
		uint16_t p = (uint16_t)port;
		uint32_t value;

		if (p >= COM1 && p < COM1 + 8)
			continue;
		__asm__ volatile("outb %b0, %1\n\toutw %w0, %1\n\toutl %0, %1"
				 :
				 : "a"(0x11223344), "Nd"(p));
		__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(p));
	}
	for (int i = 0; i < 2; i++) { /* string operations: many at once */
		const void *from = data;
		uint64_t count = 4096;

		__asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(0x3ff) : "memory");
	}
	report("ports", 1);
}

/* --- which --- */

static int is(const char *text, const char *word)
{
	while (*word && *text == *word)
		text++, word++;
	return !*word && (*text == 0 || *text == ' ');
}

static void power_off(void)
{
	for (;;)
		out8(POWER, 0x34);
}

static void run(const char *attack)
{
	static const struct {
		const char *name;
		void (*run)(uint64_t d, uint32_t id);
	} attacks[] = {{"registers", attack_registers}, {"frozen", attack_frozen},
		{"ends", attack_ends}, {"rings", attack_rings}, {"reset", attack_reset},
		{"race", attack_race}, {"pmem", attack_pmem}, {"fuse", attack_fuse},
		{"greedy", attack_greedy}};

	for (unsigned int i = 0; i < sizeof(attacks) / sizeof(*attacks); i++)
		if (is(attack, attacks[i].name)) {
			if (is(attack, "race"))
				start_second();
			for_each_device(attacks[i].run);
			return;
		}
	if (is(attack, "ports"))
		attack_ports();
	else if (is(attack, "kicks"))
		kick_for_ever();
	else if (is(attack, "flood"))
		print_for_ever();
	else if (is(attack, "halt"))
		for (;;)
			__asm__ volatile("cli\n\thlt");
	else if (is(attack, "spin"))
		for (;;)
			;
	else if (is(attack, "triple"))
		__asm__ volatile("ud2");
	else if (!is(attack, "nothing"))
		print("there is no such attack\n");
}

/* What follows "attack=" on the command line. */
static const char *wanted(const char *line)
{
	static const char key[] = "attack=";

	for (; *line; line++) {
		unsigned int n = 0;

		while (key[n] && line[n] == key[n])
			n++;
		if (!key[n])
			return line + n;
	}
	return "nothing";
}

void guest_main(const uint8_t *zero_page)
{
	uint32_t command_line;

	memcpy(&command_line, zero_page + 0x228, sizeof(command_line));
	run(wanted((const char *)(uintptr_t)command_line));
	print("end\n");
	power_off();
}
