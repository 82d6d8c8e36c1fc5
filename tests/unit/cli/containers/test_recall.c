/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/recall.h"

#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MANY = 40, ID_SIZE = 65 };

static int folder;
static char folder_path[] = "/tmp/test-recall.XXXXXX";

static void make_id(unsigned int number, char ret[ID_SIZE])
{
	snprintf(ret, ID_SIZE, "%064x", number * 2654435761u);
}

/* As a folder that was changed AGE seconds ago. */
static struct stat folder_of(unsigned int number, int age)
{
	return (struct stat){
		.st_dev = 5,
		.st_ino = 100 + number,
		.st_ctim = {.tv_sec = time(NULL) - age, .tv_nsec = 7},
	};
}

static void keep(struct recall *r, unsigned int number, const struct stat *st)
{
	char id[ID_SIZE], record[32];
	struct recall_texts texts = {.record = record};

	make_id(number, id);
	texts.record_len = (size_t)snprintf(record, sizeof(record), "record %u", number);
	if (number % 2) {
		texts.status = "status";
		texts.status_len = strlen("status");
	}
	recall_keep(r, id, st, &texts);
}

/* Whether NUMBER is recalled, and then as it was kept. */
static bool is_there(struct recall *r, unsigned int number, const struct stat *st)
{
	char id[ID_SIZE], record[32];
	struct recall_texts texts = {};
	int n = snprintf(record, sizeof(record), "record %u", number);

	make_id(number, id);
	if (!recall_find(r, id, st, &texts))
		return false;
	assert_int_equal(texts.record_len, n);
	assert_memory_equal(texts.record, record, (size_t)n);
	if (number % 2)
		assert_memory_equal(texts.status, "status", texts.status_len);
	else
		assert_null(texts.status);
	return true;
}

static void fill(const struct stat *st, bool all)
{
	struct recall *r = recall_open(folder);

	for (unsigned int i = 0; i < MANY; i++)
		keep(r, i, &st[i]);
	recall_close(r, all);
}

static bool has_file(void)
{
	return sys_faccessat(folder, "records", F_OK, 0) == 0;
}

static void test_kept(void **state)
{
	struct stat st[MANY], other;
	struct recall *r;
	(void)state;

	for (unsigned int i = 0; i < MANY; i++)
		st[i] = folder_of(i, 10);
	fill(st, false);
	assert_false(has_file()); /* not all were seen: the others would be lost */
	fill(st, true);
	r = recall_open(folder);
	for (unsigned int i = 0; i < MANY; i++)
		assert_true(is_there(r, i, &st[i]));
	assert_false(is_there(r, MANY, &st[0]));
	for (int i = 0; i < 4; i++) {
		other = st[3];
		other.st_dev += i == 0;
		other.st_ino += i == 1;
		other.st_ctim.tv_sec += i == 2;
		other.st_ctim.tv_nsec += i == 3;
		assert_false(is_there(r, 3, &other));
	}
	/* What it found and what is new, together in the next. */
	for (unsigned int i = 0; i < MANY; i++) {
		struct recall_texts texts;
		char id[ID_SIZE];

		make_id(i, id);
		assert_true(recall_find(r, id, &st[i], &texts));
		recall_keep(r, id, &st[i], &texts);
		other = folder_of(MANY + i, 10);
		keep(r, MANY + i, &other);
	}
	recall_close(r, true);
	r = recall_open(folder);
	for (unsigned int i = 0; i < MANY; i++) {
		other = folder_of(MANY + i, 10);
		assert_true(is_there(r, i, &st[i]));
	}
	recall_close(r, true);
	/* All are gone: so is what they had. */
	recall_close(recall_open(folder), true);
	assert_false(has_file());
}

/* The clock of files may not tell a second change from the first. */
static void test_fresh_are_not_kept(void **state)
{
	struct stat st[MANY];
	struct recall *r;
	(void)state;

	sys_unlinkat(folder, "records", 0);
	for (unsigned int i = 0; i < MANY; i++)
		st[i] = folder_of(i, i < MANY / 2 ? 10 : i % 2 ? 1 : -100);
	fill(st, true);
	r = recall_open(folder);
	for (unsigned int i = 0; i < MANY; i++)
		assert_int_equal(is_there(r, i, &st[i]), i < MANY / 2);
	recall_close(r, true);
}

/* Whatever is in the file, what is found lies within it. */
static void test_damaged(void **state)
{
	autobuf struct buf text = {};
	struct stat st[MANY];
	(void)state;

	for (unsigned int i = 0; i < MANY; i++)
		st[i] = folder_of(i, 10);
	fill(st, true);
	assert_int_equal(fd_read_file(folder, "records", 1 << 20, &text), 0);
	srand(1);
	for (int turn = 0; turn < 2000; turn++) {
		autobuf struct buf bad = {};
		struct recall_texts texts;
		struct recall *r;
		char id[ID_SIZE];

		buf_add(&bad, text.data, text.len);
		for (int i = 0; i < 4; i++)
			bad.data[8 + (size_t)rand() % (bad.len - 8)] = (char)rand();
		if (turn % 3 == 0)
			bad.len = (size_t)rand() % bad.len;
		assert_int_equal(fd_replace_file(folder, "records", bad.data, bad.len, 0600), 0);
		r = recall_open(folder);
		for (unsigned int i = 0; i < MANY; i++) {
			autobuf struct buf copy = {};

			make_id(i, id);
			if (!recall_find(r, id, &st[i], &texts))
				continue;
			buf_add(&copy, texts.record, texts.record_len);
			if (texts.status)
				buf_add(&copy, texts.status, texts.status_len);
		}
		recall_close(r, true);
	}
}

static int make_folder(void **state)
{
	(void)state;
	if (!mkdtemp(folder_path))
		return -1;
	folder = open(folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return folder < 0 ? -1 : 0;
}

static int remove_folder(void **state)
{
	(void)state;
	close(folder);
	return path_remove_tree(AT_FDCWD, folder_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_fresh_are_not_kept),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
