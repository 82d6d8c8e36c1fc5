/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/attrs/seccomp/cache.h"

#include "base/cleanup.h"
#include "tests/unit/runtime/attrs/profile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct cache {
	char dir[40], entry[300];
	int fd;
};

static int set_up(void **state)
{
	struct cache *c = calloc(1, sizeof(*c));

	strcpy(c->dir, "/tmp/brig-seccomp-XXXXXX");
	if (!mkdtemp(c->dir))
		return -1;
	c->fd = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = c;
	return 0;
}

/* The entries, counted; the last one's name stays in the cache's .entry. */
static int entries(struct cache *c)
{
	DIR *dir = opendir(c->dir);
	int count = 0;

	for (struct dirent *e; (e = readdir(dir));)
		if (e->d_name[0] != '.') {
			snprintf(c->entry, sizeof(c->entry), "%s", e->d_name);
			count++;
		}
	closedir(dir);
	return count;
}

static int tear_down(void **state)
{
	struct cache *c = *state;

	fchmod(c->fd, 0700);
	while (entries(c) > 0)
		if (unlinkat(c->fd, c->entry, 0) < 0 && unlinkat(c->fd, c->entry, AT_REMOVEDIR) < 0)
			return -1;
	close(c->fd);
	rmdir(c->dir);
	free(c);
	return 0;
}

static struct seccomp_program get(const struct cache *c, const struct profile *p, bool want_hit)
{
	struct seccomp_program program = {};
	struct err err = {};
	bool hit = !want_hit;

	if (seccomp_cached(c->fd, &p->seccomp, &program, &hit, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(hit, want_hit);
	return program;
}

static void assert_same(const struct seccomp_program *a, const struct seccomp_program *b)
{
	assert_int_equal(a->count, b->count);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->notify, b->notify);
	assert_memory_equal(a->insns, b->insns, a->count * sizeof(*a->insns));
}

static void second_time_is_a_hit(void **state)
{
	struct cache *c = *state;
	autoprofile struct profile p = profile_like_an_engine();
	autoprogram struct seccomp_program first = {}, second = {}, compiled = {};
	struct err err = {};
	struct stat st;

	profile_flag(&p, "SECCOMP_FILTER_FLAG_LOG");
	profile_add(&p, SPEC_SECCOMP_NOTIFY, "mkdir");
	first = get(c, &p, false);
	assert_int_equal(entries(c), 1);
	assert_int_equal(fstatat(c->fd, c->entry, &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	second = get(c, &p, true);
	assert_same(&first, &second);
	assert_int_equal(seccomp_compile(&p.seccomp, &compiled, &err), 0);
	assert_same(&compiled, &second);
	assert_int_equal(entries(c), 1);
}

/* Every part of the input counts. */
static void any_difference_is_a_miss(void **state)
{
	struct cache *c = *state;

	for (int i = 0; i < 10; i++) {
		autoprofile struct profile p = profile_new(SPEC_SECCOMP_ERRNO);
		autoprogram struct seccomp_program program = {};
		struct spec_seccomp_rule *rule = profile_add(&p, SPEC_SECCOMP_ALLOW, "read");

		if (i == 1)
			rule_name(rule, "write");
		if (i == 2)
			rule->names.items[0] = "pread64";
		if (i == 3)
			rule->action = SPEC_SECCOMP_LOG;
		if (i == 4 || i == 5)
			rule_arg(rule, 0, SPEC_SECCOMP_EQ, (uint64_t)i, 0);
		if (i == 6)
			p.seccomp.default_errno_ret = (struct opt_u32){true, 38};
		if (i == 7)
			p.seccomp.default_errno_ret = (struct opt_u32){true, 0};
		if (i == 8)
			profile_arch(&p, SCMP_ARCH_X86);
		if (i == 9)
			profile_flag(&p, "SECCOMP_FILTER_FLAG_LOG");
		program = get(c, &p, false);
		assert_int_equal(entries(c), i + 1);
	}
}

static char *load(const struct cache *c, size_t *ret_len)
{
	struct stat st;
	int fd = openat(c->fd, c->entry, O_RDONLY | O_CLOEXEC);
	char *data;

	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	data = malloc((size_t)st.st_size);
	assert_int_equal(read(fd, data, (size_t)st.st_size), st.st_size);
	close(fd);
	*ret_len = (size_t)st.st_size;
	return data;
}

static void save(const struct cache *c, const void *data, size_t len)
{
	int fd = openat(c->fd, c->entry, O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

static void damage_means_compiling_again(void **state)
{
	struct cache *c = *state;
	autoprofile struct profile p = profile_new(SPEC_SECCOMP_ERRNO);
	autoprogram struct seccomp_program good = {};
	autofree char *data = NULL;
	size_t len;

	profile_add(&p, SPEC_SECCOMP_ALLOW, "read");
	good = get(c, &p, false);
	assert_int_equal(entries(c), 1);
	data = load(c, &len);
	for (size_t i = 0; i < len; i++) {
		autoprogram struct seccomp_program program = {};
		char before = data[i];

		data[i] ^= (char)(1 << i % 8);
		save(c, data, len);
		data[i] = before;
		program = get(c, &p, false);
		assert_same(&program, &good);
	}
	for (size_t cut = 0; cut < len; cut += 7) {
		autoprogram struct seccomp_program program = {};

		save(c, data, cut);
		program = get(c, &p, false);
		assert_same(&program, &good);
	}
}

/* A whole, valid entry of another profile under this one's name: a collision of the hash. */
static void collision_selects_nothing(void **state)
{
	struct cache *c = *state;
	autoprofile struct profile open_all = profile_new(SPEC_SECCOMP_ALLOW);
	autoprofile struct profile strict = profile_new(SPEC_SECCOMP_ERRNO);
	autoprogram struct seccomp_program a = {}, b = {}, again = {};
	autofree char *data = NULL;
	size_t len;

	a = get(c, &open_all, false);
	assert_int_equal(entries(c), 1);
	data = load(c, &len);
	unlinkat(c->fd, c->entry, 0);
	b = get(c, &strict, false);
	assert_int_equal(entries(c), 1);
	save(c, data, len);
	again = get(c, &strict, false);
	assert_same(&b, &again);
}

static void untrusted_entries(void **state)
{
	struct cache *c = *state;
	autoprofile struct profile p = profile_new(SPEC_SECCOMP_ERRNO);
	autoprogram struct seccomp_program a = {}, b = {}, d = {}, e = {}, f = {};

	a = get(c, &p, false);
	assert_int_equal(entries(c), 1);
	assert_int_equal(fchmodat(c->fd, c->entry, 0620, 0), 0);
	b = get(c, &p, false); /* replaced */
	d = get(c, &p, true);
	if (geteuid() == 0) {
		autoprogram struct seccomp_program g = {};

		assert_int_equal(fchownat(c->fd, c->entry, 1000, 1000, 0), 0);
		g = get(c, &p, false);
	}
	/* A link, even to a good entry. */
	assert_int_equal(renameat(c->fd, c->entry, c->fd, "good"), 0);
	assert_int_equal(symlinkat("good", c->fd, c->entry), 0);
	e = get(c, &p, false);
	/* A directory that others may write to. */
	assert_int_equal(fchmod(c->fd, 0777), 0);
	f = get(c, &p, false);
}

static void odd_entries_do_not_hang(void **state)
{
	struct cache *c = *state;
	autoprofile struct profile p = profile_new(SPEC_SECCOMP_ERRNO);
	autoprogram struct seccomp_program a = {}, b = {}, d = {};

	a = get(c, &p, false);
	assert_int_equal(entries(c), 1);
	assert_int_equal(unlinkat(c->fd, c->entry, 0), 0);
	assert_int_equal(mkfifoat(c->fd, c->entry, 0600), 0);
	b = get(c, &p, false);
	assert_int_equal(unlinkat(c->fd, c->entry, 0), 0);
	assert_int_equal(mkdirat(c->fd, c->entry, 0700), 0);
	d = get(c, &p, false);
}

static void no_cache_is_fine(void **state)
{
	const struct cache none = {.fd = -1};
	autoprofile struct profile p = profile_new(SPEC_SECCOMP_ERRNO);
	autoprogram struct seccomp_program a = get(&none, &p, false);

	(void)state;
	assert_true(a.count > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(second_time_is_a_hit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(any_difference_is_a_miss, set_up, tear_down),
		cmocka_unit_test_setup_teardown(damage_means_compiling_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(collision_selects_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(untrusted_entries, set_up, tear_down),
		cmocka_unit_test_setup_teardown(odd_entries_do_not_hang, set_up, tear_down),
		cmocka_unit_test(no_cache_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
