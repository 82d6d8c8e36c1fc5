/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include "base/parse.h"

#include <string.h>
#include <strings.h>

/* One parse: where it stands and where results go. */
struct parser {
	const struct option *table;
	char *const *argv;
	int argc, next;
	unsigned int flags;
	struct arena *arena;
	char *dest;
	struct options_result *result;
	struct err *err;
};

const struct option *options_find(const struct option *table, const char *name, size_t len)
{
	for (const struct option *o = table; o && o->name; o++)
		if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
			return o;
	return NULL;
}

static const struct option *find_letter(const struct option *table, char letter)
{
	for (const struct option *o = table; o && o->name; o++)
		if (o->letter == letter)
			return o;
	return NULL;
}

bool option_has_argument(const struct option *option)
{
	return option->kind != OPTION_FLAG && option->kind != OPTION_OPT_FLAG;
}

const char *option_argument(const struct option *option)
{
	if (option->argument)
		return option->argument;
	switch (option->kind) {
	case OPTION_SIZE:
	case OPTION_LIMIT:
		return "SIZE";
	case OPTION_SIGNAL:
		return "SIGNAL";
	case OPTION_U32:
	case OPTION_OPT_U32:
	case OPTION_OPT_U64:
	case OPTION_OPT_I64:
		return "N";
	case OPTION_FLAG:
	case OPTION_OPT_FLAG:
	case OPTION_TEXT:
	case OPTION_TEXTS:
	case OPTION_NAME:
	case OPTION_CUSTOM:
		break;
	}
	return "VALUE";
}

/* ---- nearest names ---- */

enum { NEAREST_MAX = 48 };

/* How many letters are wrong, missing, too many, or exchanged with their neighbour ("rnu"). Words
 * that are too long are far from everything. */
static unsigned int edit_distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	unsigned int rows[3][NEAREST_MAX + 1]; /* of the last two letters and this one, in turns */

	if (n > NEAREST_MAX || m > NEAREST_MAX)
		return NEAREST_MAX;
	for (size_t j = 0; j <= m; j++)
		rows[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned int *row = rows[i % 3], *above = rows[(i - 1) % 3];
		const unsigned int *two_above = rows[(i + 1) % 3];

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= m; j++) {
			row[j] = above[j - 1] + (a[i - 1] != b[j - 1]);
			if (above[j] + 1 < row[j])
				row[j] = above[j] + 1;
			if (row[j - 1] + 1 < row[j])
				row[j] = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				two_above[j - 2] + 1 < row[j])
				row[j] = two_above[j - 2] + 1;
		}
	}
	return rows[n % 3][m];
}

void options_consider(struct options_nearest *best, const char *word, const char *candidate)
{
	unsigned int distance = edit_distance(word, candidate);

	/* A third of the word may be wrong, but never all of a short one. */
	if (distance > 3 || distance * 3 > strlen(word) + 1)
		return;
	if (!best->name || distance < best->distance)
		*best = (struct options_nearest){candidate, distance};
}

static int unknown_option(struct parser *p, const char *dashes, const char *name, size_t len)
{
	struct options_nearest best = {};
	char word[NEAREST_MAX + 1];

	p->result->unknown = p->argv[p->next - 1];
	if (len > 1 && len <= NEAREST_MAX) {
		memcpy(word, name, len);
		word[len] = '\0';
		for (const struct option *o = p->table; o && o->name; o++)
			if (!o->hidden)
				options_consider(&best, word, o->name);
	}
	if (best.name)
		return err_set(p->err, -EINVAL, "unknown option %s%.*s: did you mean --%s?", dashes,
			(int)len, name, best.name);
	return err_set(p->err, -EINVAL, "unknown option %s%.*s", dashes, (int)len, name);
}

/* ---- values ---- */

static int parse_bool(const char *text, bool *ret)
{
	static const char *const words[] = {"false", "true", "f", "t", "0", "1"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcasecmp(text, words[i]) == 0) {
			*ret = i % 2;
			return 0;
		}
	}
	return -EINVAL;
}

static int append_text(struct strings *list, const char *value, struct arena *arena)
{
	/* Grown at powers of two: the arena frees all of them together. */
	if ((list->count & (list->count - 1)) == 0) {
		size_t room = list->count ? list->count * 2 : 1;
		const char **items = arena_array(arena, room, const char *);

		if (!items)
			return -ENOMEM;
		if (list->count)
			memcpy(items, list->items, list->count * sizeof(*items));
		list->items = items;
	}
	list->items[list->count++] = value;
	return 0;
}

static int parse_limit(const char *value, int64_t *ret)
{
	uint64_t bytes;
	int r;

	if (strcmp(value, "-1") == 0) {
		*ret = -1;
		return 0;
	}
	r = parse_size(value, &bytes);
	if (r == 0 && bytes > INT64_MAX)
		r = -ERANGE;
	if (r == 0)
		*ret = (int64_t)bytes;
	return r;
}

static int wrong_name(const struct option *o, const char *value, struct err *err)
{
	autobuf struct buf list = {};

	for (const struct json_name *n = o->names; n->name; n++)
		buf_printf(&list, "%s%s", list.len ? ", " : "", n->name);
	return err_set(err, -EINVAL, "\"%s\" is not one of %s", value, buf_str(&list));
}

/* What a value of KIND should have been, for an error. */
static const char *expected(enum option_kind kind)
{
	switch (kind) {
	case OPTION_FLAG:
	case OPTION_OPT_FLAG:
		return "true or false";
	case OPTION_SIZE:
		return "a size: bytes, or a number with k, m, g or t";
	case OPTION_LIMIT:
		return "a size: bytes, a number with k, m, g or t, or -1 for no limit";
	case OPTION_SIGNAL:
		return "a signal: a name such as TERM, or a number from 1 to 64";
	case OPTION_OPT_I64:
		return "a whole number";
	case OPTION_U32:
	case OPTION_OPT_U32:
	case OPTION_OPT_U64:
	case OPTION_TEXT:
	case OPTION_TEXTS:
	case OPTION_NAME:
	case OPTION_CUSTOM:
		break;
	}
	return "a whole number that is not negative";
}

/* Stores into one of the structs that say whether they were set. */
static int store_optional(enum option_kind kind, const char *value, void *dest)
{
	struct opt_bool b = {.set = true};
	struct opt_u32 u32 = {.set = true};
	struct opt_u64 u64 = {.set = true};
	struct opt_i64 i64 = {.set = true};
	int r;

	if (kind == OPTION_OPT_FLAG) {
		if ((r = parse_bool(value, &b.value)) == 0)
			memcpy(dest, &b, sizeof(b));
	} else if (kind == OPTION_OPT_U32) {
		if ((r = parse_u32(value, &u32.value)) == 0)
			memcpy(dest, &u32, sizeof(u32));
	} else if (kind == OPTION_OPT_U64 || kind == OPTION_SIZE) {
		r = kind == OPTION_SIZE ? parse_size(value, &u64.value)
					: parse_u64(value, &u64.value);
		if (r == 0)
			memcpy(dest, &u64, sizeof(u64));
	} else {
		r = kind == OPTION_LIMIT ? parse_limit(value, &i64.value)
					 : parse_i64(value, &i64.value);
		if (r == 0)
			memcpy(dest, &i64, sizeof(i64));
	}
	return r;
}

static int store_value(struct parser *p, const struct option *o, const char *value)
{
	void *dest = p->dest + o->offset;
	int64_t number;
	int r;

	switch (o->kind) {
	case OPTION_FLAG:
		r = parse_bool(value, dest);
		break;
	case OPTION_TEXT:
		*(const char **)dest = value;
		return 0;
	case OPTION_TEXTS:
		r = append_text(dest, value, p->arena);
		return r < 0 ? err_sys(p->err, r, "--%s", o->name) : 0;
	case OPTION_U32:
		r = parse_u32(value, dest);
		break;
	case OPTION_SIGNAL:
		r = parse_signal(value, dest);
		break;
	case OPTION_NAME:
		if (!json_name_find(o->names, value, &number)) {
			wrong_name(o, value, p->err);
			return err_add(p->err, "--%s", o->name);
		}
		*(int *)dest = (int)number;
		return 0;
	case OPTION_CUSTOM:
		r = o->parse(value, p->arena, dest, p->err);
		return r < 0 ? err_add(p->err, "--%s", o->name) : 0;
	case OPTION_OPT_FLAG:
	case OPTION_OPT_U32:
	case OPTION_OPT_U64:
	case OPTION_OPT_I64:
	case OPTION_SIZE:
	case OPTION_LIMIT:
	default:
		r = store_optional(o->kind, value, dest);
		break;
	}
	if (r == -ERANGE)
		return err_set(p->err, r, "--%s: \"%s\" is out of range", o->name, value);
	if (r < 0)
		return err_set(
			p->err, r, "--%s: \"%s\" is not %s", o->name, value, expected(o->kind));
	return 0;
}

/* Stores ATTACHED (what followed '='), the implied value, or else the next argument. */
static int take_value(struct parser *p, const struct option *o, const char *attached)
{
	if (!attached) {
		if (!option_has_argument(o))
			attached = "true";
		else if (o->implied)
			attached = o->implied;
		else if (p->next < p->argc)
			attached = p->argv[p->next++];
		else
			/* podman asks so whether restore knows an option, by these words. */
			return err_set(p->err, -EINVAL, "--%s: the flag needs an argument: --%s %s",
				o->name, o->name, option_argument(o));
	}
	return store_value(p, o, attached);
}

/* What every program has without asking. */
static bool take_builtin(struct parser *p, const char *word)
{
	if (strcmp(word, "help") == 0 || strcmp(word, "h") == 0)
		p->result->help = true;
	else if ((p->flags & OPTIONS_VERSION) &&
		 (strcmp(word, "version") == 0 || strcmp(word, "v") == 0))
		p->result->version = true;
	else
		return false;
	return true;
}

static int parse_long(struct parser *p, const char *word, const char *dashes)
{
	size_t len = strcspn(word, "=");
	const struct option *o = options_find(p->table, word, len);

	if (o)
		return take_value(p, o, word[len] ? word + len + 1 : NULL);
	if (take_builtin(p, word))
		return 0;
	return unknown_option(p, dashes, word, len);
}

static int parse_cluster(struct parser *p, const char *word)
{
	const char *letter = word;

	while (*letter) {
		const struct option *o = find_letter(p->table, *letter);
		const char *rest = letter + 1;

		if (!o && letter == word && take_builtin(p, word))
			return 0;
		if (!o && letter == word)
			return unknown_option(p, "-", word, strcspn(word, "="));
		if (!o)
			return err_set(p->err, -EINVAL, "unknown option -%c in -%s", *letter, word);
		if (*rest == '=')
			return take_value(p, o, rest + 1);
		if (option_has_argument(o))
			return take_value(p, o, *rest ? rest : NULL);
		if (take_value(p, o, NULL) < 0)
			return p->err->code;
		letter = rest;
	}
	return 0;
}

static int parse_dashed(struct parser *p, const char *arg)
{
	if (arg[1] == '-')
		return parse_long(p, arg + 2, "--");
	/* Programs that take -name take it first: an engine never clusters. */
	if ((p->flags & OPTIONS_SINGLE_DASH) && arg[2] && arg[2] != '=' &&
		(options_find(p->table, arg + 1, strcspn(arg + 1, "=")) ||
			strcmp(arg, "-help") == 0 || strcmp(arg, "-version") == 0))
		return parse_long(p, arg + 1, "-");
	return parse_cluster(p, arg + 1);
}

int options_parse(const struct option *table, int argc, char *const *argv, unsigned int flags,
	struct arena *arena, void *dest, struct options_result *ret, struct err *err)
{
	struct options_result result = {};
	struct parser p = {
		.table = table,
		.argv = argv,
		.argc = argc,
		.flags = flags,
		.arena = arena,
		.dest = dest,
		.result = &result,
		.err = err,
	};

	result.args = arena_array(arena, (size_t)argc + 1, char *);
	if (!result.args)
		return err_sys(err, -ENOMEM, "command line");
	while (p.next < argc && !result.help && !result.version) {
		char *arg = argv[p.next];

		if (arg[0] != '-' || !arg[1]) {
			if (flags & OPTIONS_STOP_AT_OPERAND)
				break;
			result.args[result.arg_count++] = arg;
			p.next++;
			continue;
		}
		p.next++;
		if (strcmp(arg, "--") == 0)
			break;
		if (parse_dashed(&p, arg) < 0) {
			ret->unknown = result.unknown;
			return err->code;
		}
	}
	result.used = (size_t)p.next;
	while (p.next < argc)
		result.args[result.arg_count++] = argv[p.next++];
	*ret = result;
	return 0;
}
