/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files-load FOLDER MIB FILES [DEVICE [TIMES]]: what file systems and disks are measured with. In
 * the FOLDER it writes and reads streams of MIB and works on FILES small files; of the DEVICE it
 * reads MIB. With TIMES only the DEVICE, so many times. Prints a line "load WHAT SECONDS" for each,
 * and "end".
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 1 << 20, SMALL = 4096 };

static char block[CHUNK] __attribute__((aligned(4096)));
static long mib, files;

static void fail(const char *what)
{
	perror(what);
	puts("load failed 0");
	exit(1);
}

static void drop_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

	sync();
	if (fd < 0 || write(fd, "3", 1) != 1)
		fail("drop_caches");
	close(fd);
}

static void stream_write(void)
{
	int fd = open("stream", O_WRONLY | O_CREAT | O_TRUNC, 0644);

	for (long i = 0; i < mib; i++)
		if (write(fd, block, CHUNK) != CHUNK)
			fail("stream");
	close(fd);
}

static void read_all(const char *name, int flags)
{
	int fd = open(name, O_RDONLY | flags);

	for (long i = 0; i < mib; i++)
		if (read(fd, block, CHUNK) != CHUNK)
			fail(name);
	close(fd);
}

static void stream_read(void)
{
	read_all("stream", 0);
}

static const char *device;

static void device_read(void)
{
	read_all(device, 0);
}

static void device_direct(void)
{
	read_all(device, O_DIRECT);
}

/* One request at a time: what one costs. */
static void device_random(void)
{
	int fd = open(device, O_RDONLY | O_DIRECT);
	unsigned int seed = 1;

	for (long i = 0; i < 2 * files; i++)
		if (pread(fd, block, SMALL, (off_t)(rand_r(&seed) % (mib * 256)) * SMALL) != SMALL)
			fail(device);
	close(fd);
}

static void name_of(char *ret, long i)
{
	sprintf(ret, "small/%ld", i);
}

static void small_create(void)
{
	char name[32];

	mkdir("small", 0755);
	for (long i = 0; i < files; i++) {
		int fd;

		name_of(name, i);
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
		if (fd < 0 || write(fd, block, SMALL) != SMALL)
			fail(name);
		close(fd);
	}
}

static void small_read(void)
{
	char name[32];

	for (long i = 0; i < files; i++) {
		int fd;

		name_of(name, i);
		fd = open(name, O_RDONLY);
		if (fd < 0 || read(fd, block, SMALL) != SMALL)
			fail(name);
		close(fd);
	}
}

static void small_list(void)
{
	struct dirent *entry;
	struct stat st;
	DIR *dir = opendir("small");

	while (dir && (entry = readdir(dir)))
		if (fstatat(dirfd(dir), entry->d_name, &st, 0) < 0)
			fail(entry->d_name);
	closedir(dir);
}

static void small_remove(void)
{
	char name[32];

	for (long i = 0; i < files; i++) {
		name_of(name, i);
		unlink(name);
	}
	rmdir("small");
}

static void measure(const char *what, void (*run)(void), int cold)
{
	struct timespec a, b;

	if (cold)
		drop_caches();
	clock_gettime(CLOCK_MONOTONIC, &a);
	run();
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("load %s %.4f\n", what,
		(double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9);
	fflush(stdout);
}

static void measure_folder(void)
{
	measure("stream-write", stream_write, 1);
	measure("stream-read", stream_read, 1);
	measure("small-create", small_create, 1);
	measure("small-read-cold", small_read, 1);
	sleep(2); /* what is known of files is too old to be believed */
	measure("small-read-again", small_read, 0);
	measure("small-list", small_list, 1);
	measure("small-remove", small_remove, 0);
}

static void measure_device(void)
{
	measure("disk-stream", device_read, 1);
	measure("disk-direct", device_direct, 0);
	measure("disk-random", device_random, 0);
}

int main(int argc, char **argv)
{
	long times = argc > 5 ? atol(argv[5]) : 0;

	if (argc < 4 || chdir(argv[1]) < 0)
		fail("files-load");
	mib = atol(argv[2]);
	files = atol(argv[3]);
	device = argc > 4 ? argv[4] : NULL;
	memset(block, 'x', sizeof(block));
	if (!times)
		measure_folder();
	for (long i = 0; device && (i < times || i < 1); i++)
		measure_device();
	puts("end");
	return 0;
}
