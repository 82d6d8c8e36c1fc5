/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parse.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <strings.h>

/* Reads digits up to the first byte that is none; *END points there. */
static int read_digits(const char *text, uint64_t *ret, const char **end)
{
	uint64_t n = 0;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	for (; isdigit((unsigned char)*text); text++)
		if (__builtin_mul_overflow(n, 10, &n) ||
			__builtin_add_overflow(n, (uint64_t)(*text - '0'), &n))
			return -ERANGE;
	*ret = n;
	*end = text;
	return 0;
}

int parse_u64(const char *text, uint64_t *ret)
{
	const char *end;
	uint64_t n;
	int r = read_digits(text, &n, &end);

	if (r == 0 && *end)
		r = -EINVAL;
	if (r == 0)
		*ret = n;
	return r;
}

int parse_u32(const char *text, uint32_t *ret)
{
	uint64_t n;
	int r = parse_u64(text, &n);

	if (r == 0 && n > UINT32_MAX)
		r = -ERANGE;
	if (r == 0)
		*ret = (uint32_t)n;
	return r;
}

int parse_i64(const char *text, int64_t *ret)
{
	bool negative = *text == '-';
	uint64_t n;
	int r = parse_u64(text + negative, &n);

	if (r == 0 && n > (uint64_t)INT64_MAX + negative)
		r = -ERANGE;
	if (r == 0)
		*ret = negative ? (int64_t)(0 - n) : (int64_t)n;
	return r;
}

int parse_size(const char *text, uint64_t *ret)
{
	static const char suffixes[] = "bkmgt";
	const char *end, *suffix;
	unsigned int shift = 0;
	uint64_t n;
	int r = read_digits(text, &n, &end);

	if (r < 0)
		return r;
	if (*end) {
		suffix = strchr(suffixes, tolower((unsigned char)*end));
		if (!suffix)
			return -EINVAL;
		shift = 10 * (unsigned int)(suffix - suffixes);
		end++;
		if (shift && *end && strcasecmp(end, "b") != 0 && strcasecmp(end, "ib") != 0)
			return -EINVAL;
		if (!shift && *end)
			return -EINVAL;
	}
	if (shift && n > UINT64_MAX >> shift)
		return -ERANGE;
	*ret = n << shift;
	return 0;
}

static const struct {
	const char *name;
	int sig;
} signals[] = {
	{"HUP", SIGHUP},
	{"INT", SIGINT},
	{"QUIT", SIGQUIT},
	{"ILL", SIGILL},
	{"TRAP", SIGTRAP},
	{"ABRT", SIGABRT},
	{"IOT", SIGABRT},
	{"BUS", SIGBUS},
	{"FPE", SIGFPE},
	{"KILL", SIGKILL},
	{"USR1", SIGUSR1},
	{"SEGV", SIGSEGV},
	{"USR2", SIGUSR2},
	{"PIPE", SIGPIPE},
	{"ALRM", SIGALRM},
	{"TERM", SIGTERM},
	{"STKFLT", SIGSTKFLT},
	{"CHLD", SIGCHLD},
	{"CLD", SIGCHLD},
	{"CONT", SIGCONT},
	{"STOP", SIGSTOP},
	{"TSTP", SIGTSTP},
	{"TTIN", SIGTTIN},
	{"TTOU", SIGTTOU},
	{"URG", SIGURG},
	{"XCPU", SIGXCPU},
	{"XFSZ", SIGXFSZ},
	{"VTALRM", SIGVTALRM},
	{"PROF", SIGPROF},
	{"WINCH", SIGWINCH},
	{"IO", SIGIO},
	{"POLL", SIGIO},
	{"PWR", SIGPWR},
	{"SYS", SIGSYS},
};

/* The kernel's numbers: glibc keeps two real-time signals of the 31 for itself. */
enum { RTMIN = 34, RTMAX = 64 };

static int real_time_signal(const char *name, int *ret)
{
	uint32_t n = 0;
	int sign;

	if (strncasecmp(name, "RTMIN", 5) != 0 && strncasecmp(name, "RTMAX", 5) != 0)
		return -EINVAL;
	sign = tolower((unsigned char)name[3]) == 'i' ? 1 : -1;
	if (name[5] && (name[5] != (sign > 0 ? '+' : '-') || parse_u32(name + 6, &n) < 0))
		return -EINVAL;
	if (n > RTMAX - RTMIN)
		return -ERANGE;
	*ret = sign > 0 ? RTMIN + (int)n : RTMAX - (int)n;
	return 0;
}

int parse_signal(const char *text, int *ret)
{
	const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
	uint32_t n;
	int r = parse_u32(text, &n);

	if (r == 0) {
		if (n < 1 || n > RTMAX)
			return -ERANGE;
		*ret = (int)n;
		return 0;
	}
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (strcasecmp(signals[i].name, name) == 0) {
			*ret = signals[i].sig;
			return 0;
		}
	}
	return real_time_signal(name, ret);
}

const char *parse_signal_name(int sig)
{
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (signals[i].sig == sig)
			return signals[i].name;
	return NULL;
}

bool parse_has_prefix(const char *text, const char *prefix, const char **ret_rest)
{
	size_t n = strlen(prefix);

	if (strncmp(text, prefix, n) != 0)
		return false;
	*ret_rest = text + n;
	return true;
}
