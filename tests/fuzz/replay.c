/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over the files of the directories that are given: its corpus, in every test
 * run and with every compiler. */
#include "tests/fuzz/fuzz.h"

#include "base/fd.h"
#include "base/sys.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

static int replay(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int count = 0;

	if (!dir) {
		fprintf(stderr, "cannot read %s\n", path);
		exit(1);
	}
	while ((entry = readdir(dir))) {
		autobuf struct buf input = {};

		if (entry->d_type != DT_REG)
			continue;
		if (fd_read_file(dirfd(dir), entry->d_name, 1 << 20, &input) < 0) {
			fprintf(stderr, "cannot read %s/%s\n", path, entry->d_name);
			exit(1);
		}
		/* A copy of just that size, so that a sanitizer sees a read beyond it. */
		uint8_t *exact = malloc(input.len ? input.len : 1);

		if (!exact)
			abort();
		memcpy(exact, buf_str(&input), input.len);
		LLVMFuzzerTestOneInput(exact, input.len);
		free(exact);
		count++;
	}
	closedir(dir);
	return count;
}

int main(int argc, char **argv)
{
	int count = 0;

	for (int i = 1; i < argc; i++)
		count += replay(argv[i]);
	printf("%d inputs\n", count);
	return count ? 0 : 1;
}
