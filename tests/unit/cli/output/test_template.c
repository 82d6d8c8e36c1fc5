/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output/template.h"

#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char data[] =
	"{\"ID\":\"abc\",\"Names\":[\"/one\",\"/"
	"two\"],\"Size\":42,\"Half\":0.5,\"Big\":18446744073709551615,"
	"\"State\":{\"Running\":true,\"Pid\":7,\"Health\":null},\"Labels\":{\"b\":\"2\",\"a\":"
	"\"1\"},"
	"\"Empty\":[],\"Ports\":{\"80/tcp\":[{\"HostPort\":\"8080\"}]},\"Label\":{\"x\":\"y\"},"
	"\"Umlaut\":\"äöü\"}";

struct result {
	int r;
	struct buf text;
	struct err err;
};

static struct result run(const char *text)
{
	autotemplate struct template *template = NULL;
	autojson json_t *value = NULL;
	struct result result = {};

	assert_int_equal(json_parse("data", data, sizeof(data) - 1, &value, &result.err), 0);
	result.r = template_parse(text, &template, &result.err);
	if (result.r == 0)
		result.r = template_execute(template, value, &result.text, &result.err);
	return result;
}

static void gives(const char *template, const char *wanted)
{
	struct result result = run(template);

	if (result.r < 0 || strcmp(buf_str(&result.text), wanted) != 0)
		print_error("%s: '%s' (%s), not '%s'\n", template, buf_str(&result.text),
			result.err.text, wanted);
	assert_int_equal(result.r, 0);
	assert_string_equal(buf_str(&result.text), wanted);
	buf_free(&result.text);
}

static void refuses(const char *template, const char *why)
{
	struct result result = run(template);

	if (result.r == 0 || !strstr(result.err.text, why))
		print_error("%s: '%s', not '%s'\n", template, result.err.text, why);
	assert_int_equal(result.r, -EINVAL);
	assert_non_null(strstr(result.err.text, why));
	buf_free(&result.text);
}

static void fields_and_text(void **state)
{
	(void)state;
	gives("", "");
	gives("plain } text", "plain } text");
	gives("{{.ID}}", "abc");
	gives("{{ .ID }} {{.State.Pid}}", "abc 7");
	gives("{{.State.Running}} {{.State.Health}}", "true <no value>");
	gives("{{.Size}} {{.Half}} {{.Big}}", "42 0.5 18446744073709551615");
	gives("{{.Names}} {{.Labels}}", "[/one /two] map[a:1 b:2]");
	gives("{{$.ID}} {{(.State).Pid}}", "abc 7");
	gives("{{.Label \"x\"}}|{{.Label \"none\"}}", "y|");
	gives("{{.Umlaut}}", "äöü");
}

static void trims_and_comments(void **state)
{
	(void)state;
	gives("a  {{- .ID -}}  b", "aabcb");
	gives("a{{/* nothing */}}b", "ab");
	gives("a {{- /* nothing */ -}} b", "ab");
	gives("{{-3}}", "-3");
	gives("{{.ID -}} \n x", "abcx");
}

static void literals(void **state)
{
	(void)state;
	gives("{{\"a\\t\\\"b\\\"\"}}", "a\t\"b\"");
	gives("{{`raw\\n`}}", "raw\\n");
	gives("{{'a'}} {{0x10}} {{-5}} {{1.5}} {{1e3}}", "97 16 -5 1.5 1000");
	gives("{{true}} {{false}}", "true false");
}

static void conditions(void **state)
{
	(void)state;
	gives("{{if .State.Running}}yes{{else}}no{{end}}", "yes");
	gives("{{if .Empty}}yes{{else}}no{{end}}", "no");
	gives("{{if eq .Size 1}}1{{else if eq .Size 42}}42{{else}}other{{end}}", "42");
	gives("{{if eq .Size 1}}1{{else if eq .Size 2}}2{{else}}other{{end}}", "other");
	gives("{{with .State}}{{.Pid}}{{end}}", "7");
	gives("{{with .State.Health}}x{{else}}{{.ID}}{{end}}", "abc");
	gives("{{with $x := .State}}{{$x.Pid}}{{.Pid}}{{end}}", "77");
	gives("{{if and .State.Health .State.Health.Status}}x{{else}}none{{end}}", "none");
	gives("{{if or .State.Running .Nothing}}x{{end}}", "x");
	gives("{{and 1 0 2}} {{or 0 3}} {{not 1}}", "0 3 false");
}

static void ranges(void **state)
{
	(void)state;
	gives("{{range .Names}}{{.}},{{end}}", "/one,/two,");
	gives("{{range $i, $e := .Names}}{{$i}}={{$e}} {{end}}", "0=/one 1=/two ");
	gives("{{range $k, $v := .Labels}}{{$k}}={{$v}} {{end}}", "a=1 b=2 ");
	gives("{{range $n := .Names}}{{$n}}{{$.ID}}{{end}}", "/oneabc/twoabc");
	gives("{{range .Empty}}x{{else}}empty{{end}}", "empty");
	gives("{{range .Names}}{{if eq . \"/two\"}}{{break}}{{end}}{{.}}{{end}}", "/one");
	gives("{{range .Names}}{{if eq . \"/one\"}}{{continue}}{{end}}{{.}}{{end}}", "/two");
	gives("{{$n := 0}}{{range .Names}}{{$n = len .}}{{end}}{{$n}}", "4");
	gives("{{range $p, $c := .Ports}}{{$p}}->{{(index $c 0).HostPort}}{{end}}", "80/tcp->8080");
}

static void functions(void **state)
{
	(void)state;
	gives("{{json .Names}} {{json .State}}",
		"[\"/one\",\"/two\"] {\"Running\":true,\"Pid\":7,\"Health\":null}");
	gives("{{.Names | json}} {{json .Big}}", "[\"/one\",\"/two\"] 18446744073709551615");
	gives("{{join .Names \", \"}} {{split \"a,b\" \",\"}}", "/one, /two [a b]");
	gives("{{upper .ID}} {{.ID | upper | lower}} {{title \"one two\"}}", "ABC abc One Two");
	gives("{{index .Names 1}} {{index .Labels \"a\"}}{{index .Labels \"none\"}}", "/two 1");
	gives("{{index .Ports \"80/tcp\" 0}}", "map[HostPort:8080]");
	gives("{{len .Names}} {{len .ID}} {{len .Labels}}", "2 3 2");
	gives("{{slice .ID 1}} {{slice .ID 0 2}} {{slice .Names 1}}", "bc ab [/two]");
	gives("{{pad .ID 1 2}}|{{truncate .Umlaut 2}}|{{truncate .ID 9}}", " abc  |äö|abc");
	gives("{{print 1 2 \"x\" 3}}|{{println .ID 1}}", "1 2x3|abc 1\n");
	gives("{{html \"<a>\"}} {{urlquery \"a b&\"}}", "&lt;a&gt; a+b%26");
	gives("{{ne 1 2}}{{lt 1 2}}{{le 2 2}}{{gt 1 2}}{{ge 1.5 2}}", "truetruetruefalsefalse");
	gives("{{eq .ID \"x\" \"abc\"}} {{eq .State.Health nil}}", "true true");
}

static void formatted(void **state)
{
	(void)state;
	gives("{{printf \"%s-%d-%v\" .ID .Size .Names}}", "abc-42-[/one /two]");
	gives("{{printf \"%5d|%-5d|%05d|%x|%X|%o|%b\" 42 42 42 255 255 8 5}}",
		"   42|42   |00042|ff|FF|10|101");
	gives("{{printf \"%5s|%-5s|%.2s|%q\" .ID .ID .ID .ID}}", "  abc|abc  |ab|\"abc\"");
	gives("{{printf \"%.1f%% %t %c\" .Half true 65}}", "0.5% true A");
	gives("{{printf \"%+d % d %05d\" 1 1 -3}}", "+1  1 -0003");
	gives("{{printf \"%4s|%x\" \"ä\" \"az\"}}", "   ä|617a");
	refuses("{{printf \"%d\" .ID}}", "%d does not fit a string");
	refuses("{{printf \"%d\"}}", "not enough arguments");
	refuses("{{printf \"x\" 1}}", "too many arguments");
	refuses("{{printf \"%y\" 1}}", "bad directive");
	refuses("{{printf \"%99999d\" 1}}", "characters wide");
}

static void syntax_errors(void **state)
{
	(void)state;
	refuses("{{.ID", "expected \"}}\"");
	refuses("{{}}", "missing value");
	refuses("{{if .ID}}x", "\"end\" is missing");
	refuses("{{end}}", "without a block");
	refuses("{{else}}", "without a block");
	refuses("{{if 1}}{{else}}{{else}}{{end}}", "second \"else\"");
	refuses("{{nothing .ID}}", "template: 3: there is no function \"nothing\"");
	refuses("{{\"abc}}", "unterminated string");
	refuses("{{/* x}}", "unterminated comment");
	refuses("{{(.ID}}", "expected \")\"");
	refuses("{{.ID | }}", "missing value");
	refuses("{{.ID | \"x\"}}", "cannot follow");
	refuses("{{break}}", "not inside of a range");
	refuses("{{12ab}}", "bad number");
	refuses("{{99999999999999999999}}", "out of range");
	refuses("{{.A..B}}", "name of a field");
	refuses("{{if $a, $b := .ID}}{{end}}", "only range");
	refuses("{{\"\\q\"}}", "unknown escape");
}

static void run_errors(void **state)
{
	(void)state;
	refuses("{{.Nothing}}", "has no field \"Nothing\"");
	refuses("{{.ID.X}}", "a string has no field \"X\"");
	refuses("{{$x}}", "there is no variable $x");
	refuses("{{range .ID}}{{end}}", "cannot range over a string");
	refuses("{{index .Names 2}}", "out of range");
	refuses("{{index .ID 0}}", "has no index");
	refuses("{{eq 1 \"1\"}}", "cannot compare");
	refuses("{{lt true false}}", "cannot compare");
	refuses("{{len 1}}", "has no length");
	refuses("{{slice .ID 2 1}}", "out of range");
	refuses("{{slice .Umlaut 1}}", "cuts a character");
	refuses("{{join .ID \",\"}}", "wants a list");
	refuses("{{upper 1}}", "wants a string");
	refuses("{{json}}", "wrong number of arguments");
	refuses("{{.ID 1}}", "takes no argument");
	refuses("{{with $x := 1}}{{end}}{{$x}}", "there is no variable $x");
}

/* No template runs for ever or takes all memory. */
static void bounded(void **state)
{
	autobuf struct buf text = {};

	(void)state;
	for (int i = 0; i < 100; i++)
		buf_puts(&text, "{{if 1}}");
	refuses(buf_str(&text), "nested too deeply");
	text.len = 0;
	for (int i = 0; i < 30; i++)
		buf_puts(&text, "{{range $.Names}}{{range $.Names}}");
	for (int i = 0; i < 60; i++)
		buf_puts(&text, "{{end}}");
	refuses(buf_str(&text), "does too much");
	text.len = 0;
	buf_puts(&text, "{{$x := \"0123456789\"}}");
	for (int i = 0; i < 40; i++)
		buf_puts(&text, "{{$x = print $x $x}}");
	refuses(buf_str(&text), "does too much");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_and_text),
		cmocka_unit_test(trims_and_comments),
		cmocka_unit_test(literals),
		cmocka_unit_test(conditions),
		cmocka_unit_test(ranges),
		cmocka_unit_test(functions),
		cmocka_unit_test(formatted),
		cmocka_unit_test(syntax_errors),
		cmocka_unit_test(run_errors),
		cmocka_unit_test(bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
