/* SPDX-License-Identifier: Apache-2.0 */
/* The archive, its modules' order, and the cache. */
#include "runtime/microvm/boot/initramfs.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "runtime/microvm/boot/cpio.h"
#include "runtime/microvm/boot/modules.h"
#include "tests/unit/microvm/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

static const char dep[] = "kernel/a/one.ko: kernel/b/two.ko kernel/c/three-x.ko\n"
			  "kernel/b/two.ko: kernel/c/three-x.ko\n"
			  "kernel/c/three-x.ko:\n"
			  "kernel/d/onemore.ko.xz:\n"
			  "kernel/e/loop.ko: kernel/e/pool.ko\n"
			  "kernel/e/pool.ko: kernel/e/loop.ko\n"
			  "kernel/f/lost.ko: kernel/f/nowhere.ko\n";

static void test_resolve(void **state)
{
	autoarena struct arena arena = {};
	struct modules m = {};
	struct err err = {};

	(void)state;
	assert_int_equal(modules_resolve(dep, "", "one", &arena, &m, &err), 0);
	assert_int_equal(m.count, 3);
	assert_string_equal(m.paths[0], "kernel/c/three-x.ko");
	assert_string_equal(m.paths[1], "kernel/b/two.ko");
	assert_string_equal(m.paths[2], "kernel/a/one.ko");
	assert_int_equal(modules_resolve(dep, "", "three_x", &arena, &m, &err), 0);
	assert_int_equal(m.count, 3); /* it is there already */
	assert_int_equal(modules_resolve(dep, "", "onemore", &arena, &m, &err), 0);
	assert_string_equal(m.paths[3], "kernel/d/onemore.ko.xz");
	assert_int_equal(
		modules_resolve(dep, "kernel/z/in-side.ko\n", "in_side", &arena, &m, &err), 0);
	assert_int_equal(m.count, 4); /* built in */
	assert_int_equal(modules_resolve(dep, "", "on", &arena, &m, &err), -ENOENT);
	assert_int_equal(modules_resolve(dep, "", "loop", &arena, &m, &err), -ELOOP);
	assert_int_equal(modules_resolve(dep, "", "lost", &arena, &m, &err), -ENOENT);
}

static unsigned long field(const char *header, int index)
{
	char text[9] = {};

	memcpy(text, header + 6 + index * 8, 8);
	return strtoul(text, NULL, 16);
}

/* Finds NAME in the archive; its data and length. */
static const char *find(const struct buf *b, const char *name, size_t *ret_len)
{
	size_t at = 0;

	while (at + 110 <= b->len) {
		const char *h = b->data + at;
		size_t len = field(h, 6), name_len = field(h, 11);
		size_t data = (at + 110 + name_len + 3) & ~3UL;

		assert_memory_equal(h, "070701", 6);
		assert_true(data + len <= b->len);
		*ret_len = len;
		if (!strcmp(h + 110, name))
			return b->data + data;
		at = (data + len + 3) & ~3UL;
	}
	assert_int_equal(at, b->len);
	return NULL;
}

static void test_cpio(void **state)
{
	autobuf struct buf b = {};
	struct cpio cpio = {.out = &b};
	const char *data;
	size_t len;

	(void)state;
	cpio_add(&cpio, "dir", S_IFDIR | 0755, NULL, 0);
	cpio_add(&cpio, "dir/file", S_IFREG | 0400, "12345", 5);
	assert_int_equal(cpio_end(&cpio), 0);
	data = find(&b, "dir/file", &len);
	assert_int_equal(len, 5);
	assert_memory_equal(data, "12345", 5);
	assert_non_null(find(&b, "TRAILER!!!", &len));
	assert_int_equal(b.len % 4, 0);
}

static void put(int dir, const char *name, const char *text)
{
	const char *last;
	autoclose int parent = path_open_parent(dir, name, true, &last);

	assert_true(parent >= 0);
	parent = (close(parent), path_mkdir(dir, strchr(name, '/') ? "kernel" : "/", 0755, -1, -1));
	close(parent);
	parent = sys_openat(dir, strchr(name, '/') ? "kernel" : ".", O_RDONLY | O_DIRECTORY, 0);
	assert_int_equal(fd_replace_file(parent, last, text, strlen(text), 0600), 0);
}

static void test_archive(void **state)
{
	char folder[] = "/tmp/test-initramfs.XXXXXX", expected[64];
	const char *list;
	autobuf struct buf b = {};
	struct err err = {};
	size_t len;

	(void)state;
	assert_non_null(mkdtemp(folder));
	autoclose int dir = sys_openat(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0);
	autoclose int agent = sys_memfd_create("agent", 0);
	struct initramfs_options options = {.modules = dir, .agent = agent};

	assert_int_equal(fd_write_all(agent, "agent", 5), 0);
	put(dir, "modules.builtin", "");
	put(dir, "modules.dep", "kernel/virtio_mmio.ko: kernel/virtio.ko\nkernel/virtio.ko:\n");
	put(dir, "kernel/virtio.ko", "v");
	put(dir, "kernel/virtio_mmio.ko", "m");
	assert_int_equal(initramfs_write(&options, &b, &err), -ENOENT); /* no vsock: no agent */
	assert_non_null(strstr(err.text, "lacks the drivers vmw_vsock_virtio_transport, virtiofs"));
	b.len = 0;
	put(dir, "modules.dep",
		"kernel/virtio_mmio.ko: kernel/virtio.ko\nkernel/virtio.ko:\n"
		"kernel/vmw_vsock_virtio_transport.ko: kernel/virtio.ko\n"
		"kernel/virtiofs.ko:\n");
	put(dir, "kernel/vmw_vsock_virtio_transport.ko", "t");
	put(dir, "kernel/virtiofs.ko", "f");
	assert_int_equal(initramfs_write(&options, &b, &err), 0);
	list = find(&b, "brig/modules", &len);
	snprintf(expected, sizeof(expected), "boot 0.ko\nboot 1.ko\n19 2.ko\n26 3.ko\n");
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(list, expected, len);
	assert_memory_equal(find(&b, "brig/1.ko", &len), "m", 1);
	assert_memory_equal(find(&b, "init", &len), "agent", 5);
	/* A module by name, which has to be there. */
	options.aliases = (const char *const[]){"kvm_amd"};
	options.alias_count = 1;
	b.len = 0;
	assert_int_equal(initramfs_write(&options, &b, &err), -ENOENT);
	assert_non_null(strstr(err.text, "lacks the drivers kvm_amd"));
	put(dir, "modules.builtin", "kernel/kvm-amd.ko\n");
	assert_int_equal(initramfs_write(&options, &b, &err), 0);
	options.alias_count = 0;
	put(dir, "modules.builtin", "");

	autoclose int one = initramfs_open(&options, dir, &err);
	autoclose int two = initramfs_open(&options, dir, &err);
	struct stat a, c;

	assert_true(one >= 0 && two >= 0);
	assert_int_equal(sys_fstat(one, &a), 0);
	assert_int_equal(sys_fstat(two, &c), 0);
	assert_int_equal(a.st_ino, c.st_ino); /* made once */
	assert_int_equal(a.st_size, b.len);
	put(dir, "modules.dep",
		"kernel/virtio_mmio.ko:\nkernel/vmw_vsock_virtio_transport.ko:\n"
		"kernel/virtiofs.ko:\n");
	autoclose int three = initramfs_open(&options, dir, &err);
	assert_int_equal(sys_fstat(three, &c), 0);
	assert_int_not_equal(a.st_ino, c.st_ino); /* another kernel, another archive */
	assert_int_equal(path_remove_tree(AT_FDCWD, folder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resolve),
		cmocka_unit_test(test_cpio),
		cmocka_unit_test(test_archive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
