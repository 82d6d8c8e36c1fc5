/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/quadlet.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

/* The files beside the one that is translated. */
static const char *const beside[][2] = {
	{"data.volume", "[Volume]\n"},
	{"named.volume", "[Volume]\nVolumeName=first\nVolumeName=mine\n"},
	{"each@.volume", "[Volume]\n"},
	{"bad.volume", "no section"},
	{"ours.network", "[Network]\nNetworkName=ours\n"},
};

static int sibling(void *context, const char *name, struct arena *arena, char **ret)
{
	(void)context;
	for (size_t i = 0; i < ARRAY_LEN(beside); i++) {
		if (strcmp(beside[i][0], name) != 0)
			continue;
		*ret = arena_strdup(arena, beside[i][1]);
		return *ret ? 0 : -ENOMEM;
	}
	return -ENOENT;
}

struct result {
	struct arena arena;
	struct buf out;
	struct quadlet quadlet;
	struct err err;
};

static void end(struct result *r)
{
	buf_free(&r->out);
	arena_free(&r->arena);
}
#define autoresult __attribute__((cleanup(end)))

static int translate(const char *path, const char *text, struct result *ret)
{
	struct quadlet_request request = {
		.path = path, .brig = "/usr/bin/brig", .sibling = sibling};

	*ret = (struct result){};
	request.text = arena_strdup(&ret->arena, text);
	assert_non_null(request.text);
	return quadlet_translate(&request, &ret->arena, &ret->out, &ret->quadlet, &ret->err);
}

/* What stands behind KEY= of the unit that TEXT becomes, as the file PATH. */
static void expect(const char *path, const char *text, const char *key, const char *value)
{
	autoresult struct result r;
	char line[64];
	const char *at;

	if (translate(path, text, &r) != 0)
		fail_msg("%s", r.err.text);
	snprintf(line, sizeof(line), "\n%s=", key);
	at = strstr(buf_str(&r.out), line);
	if (!at)
		fail_msg("no %s in %s", key, buf_str(&r.out));
	at += strlen(line);
	if (strncmp(at, value, strlen(value)) != 0 || at[strlen(value)] != '\n')
		fail_msg("%s=%.*s, expected %s", key, (int)strcspn(at, "\n"), at, value);
}

#define RUN "/usr/bin/brig run --rm --replace --sig-proxy=false"

static void runs(const char *keys, const char *command)
{
	char text[1024], value[1024];

	snprintf(text, sizeof(text), "[Container]\nImage=i\n%s", keys);
	snprintf(value, sizeof(value), RUN " %s", command);
	expect("/q/web.container", text, "ExecStart", value);
}

static void names_units(void **state)
{
	static const struct {
		const char *path, *text, *unit, *name;
	} rows[] = {
		{"/q/web.container", "[Container]\nImage=i\n", "web.service",
			"--name=systemd-web "},
		{"web.container", "[Container]\nImage=i\nContainerName=a\n", "web.service",
			"--name=a "},
		{"/q/web@.container", "[Container]\nImage=i\n", "web@.service",
			"\"--name=systemd-web_%i\" "},
		{"/q/web@one.container", "[Container]\nImage=i\n", "web@one.service",
			"--name=systemd-web@one "},
		{"/q/data.volume", "", "data-volume.service",
			" volume create --ignore systemd-data\n"},
		{"/q/data.volume", "[Volume]\nVolumeName=x\n", "data-volume.service",
			" volume create --ignore x\n"},
		{"/q/a.network", "[Network]\nInternal=on\nIPv6=No\n", "a-network.service",
			" network create --ignore --internal systemd-a\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		autoresult struct result r;

		assert_int_equal(translate(rows[i].path, rows[i].text, &r), 0);
		assert_string_equal(r.quadlet.unit, rows[i].unit);
		if (!strstr(buf_str(&r.out), rows[i].name))
			fail_msg("row %zu: %s", i, buf_str(&r.out));
	}
}

static void takes_values(void **state)
{
	(void)state;
	runs("", "--name=systemd-web i");
	/* The last one, each, each word; an empty one takes back what was before it. */
	runs("HostName=a\nHostName=b\n", "--name=systemd-web --hostname=b i");
	runs("DNS=1.1.1.1\nDNS=2.2.2.2\n", "--name=systemd-web --dns=1.1.1.1 --dns=2.2.2.2 i");
	runs("Environment=A=1 \"B=x y\"\nEnvironment=C=3\n",
		"--name=systemd-web --env=A=1 \"--env=B=x y\" --env=C=3 i");
	runs("AddCapability=A B\nAddCapability=\nAddCapability=C\n",
		"--name=systemd-web --cap-add=C i");
	runs("HostName=a\nHostName=\n", "--name=systemd-web i");
	runs("ReadOnly=TRUE\nRunInit=0\n", "--name=systemd-web --read-only i");
	runs("PodmanArgs=--memory 5m\n", "--name=systemd-web --memory 5m i");
	runs("User=3\nGroup=4\n", "--name=systemd-web --user=3:4 i");
	runs("User=3\n", "--name=systemd-web --user=3 i");
	runs("Exec=a 'b c' \"d\\\"e\"\n", "--name=systemd-web i a \"b c\" \"d\\\"e\"");
	/* systemd's own: its specifiers stay, a word cannot become two */
	runs("EnvironmentFile=%h/a b\n", "--name=systemd-web \"--env-file=%h/a b\" i");
}

static void stops(void **state)
{
	(void)state;
	expect("/q/w.container", "[Container]\nImage=i\n", "ExecStop",
		"/usr/bin/brig stop --ignore --time 10 systemd-w");
	expect("/q/w.container", "[Container]\nImage=i\nStopTimeout=7\n", "ExecStop",
		"/usr/bin/brig stop --ignore --time 7 systemd-w");
	expect("/q/w.container", "[Container]\nImage=i\nStopTimeout=7\n", "TimeoutStopSec", "67");
	expect("/q/w.container", "[Container]\nImage=i\n", "ExecStopPost",
		"/usr/bin/brig rm --force --ignore systemd-w");
}

static void needs_what_it_names(void **state)
{
	autoresult struct result r;

	(void)state;
	runs("Volume=data.volume:/d:ro\nVolume=named.volume:/e\nVolume=each@.volume:/f\n"
	     "Volume=/x.volume:/g\nVolume=a:/h\nNetwork=ours.network:alias=b\nNetwork=host\n",
		"--name=systemd-web --volume=systemd-data:/d:ro --volume=mine:/e "
		"\"--volume=systemd-each_%i:/f\" --volume=/x.volume:/g --volume=a:/h "
		"--network=ours:alias=b --network=host i");
	assert_int_equal(translate("/q/web.container",
				 "[Container]\nImage=i\nVolume=named.volume:/e\n"
				 "Network=ours.network\n",
				 &r),
		0);
	assert_non_null(strstr(buf_str(&r.out),
		"Requires=named-volume.service\nAfter=named-volume.service\n"
		"Requires=ours-network.service\nAfter=ours-network.service\n"));
}

static void hands_sections_on(void **state)
{
	autoresult struct result r;

	(void)state;
	assert_int_equal(
		translate("/q/web.container",
			"[Unit]\nDescription=d\n[Container]\nImage=i\n[X-Mine]\nAny=thing\n"
			"[Service]\nRestart=always\n[Install]\nWantedBy=a.target b.target\n"
			"RequiredBy=c.target\nAlias=x.service\nWantedBy=d.target\n",
			&r),
		0);
	assert_ptr_equal(
		strstr(buf_str(&r.out), "[Unit]\nDescription=d\nSourcePath=/q/web.container\n"),
		buf_str(&r.out));
	assert_non_null(strstr(buf_str(&r.out), "\nRestart=always\n"));
	assert_non_null(strstr(buf_str(&r.out), "[Install]\nWantedBy=a.target b.target\n"));
	assert_null(strstr(buf_str(&r.out), "Any"));
	assert_int_equal(r.quadlet.wanted_by.count, 3);
	assert_string_equal(r.quadlet.wanted_by.items[2], "d.target");
	assert_int_equal(r.quadlet.required_by.count, 1);
	assert_string_equal(r.quadlet.aliases.items[0], "x.service");
}

static void says_what_is_wrong(void **state)
{
	static const struct {
		const char *path, *text;
		int code;
		const char *words;
	} rows[] = {
		{"/q/a.pod", "", -EINVAL, "is no .container, .volume or .network file"},
		{"/q/.container", "", -EINVAL, "is no .container"},
		{"/q/a.container", "[Container]\n", -EINVAL, "has no Image"},
		{"/q/a.container", "[Container]\nImage=i\nImage=\n", -EINVAL, "has no Image"},
		{"/q/a.container", "[Container]\nImage=i\nEnviroment=A=b\n", -EINVAL,
			"/q/a.container:3: [Container] has no key \"Enviroment\": did you mean "
			"Environment?"},
		{"/q/a.container", "[Container]\nImage=i\n[Volume]\n", 0, ""},
		{"/q/a.container", "[Container]\nImage=i\n[Volume]\nLabel=a\n", -EINVAL,
			":4: a .container file has no section [Volume]"},
		{"/q/a.container", "[Container]\nImage=i\nReadOnly=maybe\n", -EINVAL,
			":3: ReadOnly: is neither yes nor no"},
		{"/q/a.container", "[Container]\nImage=i\nExec=a 'b\n", -EINVAL,
			":3: Exec: has a quote"},
		{"/q/a.container", "[Container]\nImage=i\nGroup=1\n", -EINVAL, "needs User"},
		{"/q/a.container", "[Container]\nImage=i\nStopTimeout=soon\n", -EINVAL,
			"is no number of seconds"},
		{"/q/a.container", "[Container]\nImage=i\nVolume=none.volume:/d\n", -ENOENT,
			":3: Volume: there is no none.volume beside it"},
		{"/q/a.container", "[Container]\nImage=i\nVolume=bad.volume:/d\n", -EINVAL,
			"bad.volume:1:"},
		{"/q/a.container", "Image=i\n", -EINVAL, ":1: stands in no section"},
		{"/q/a.container", "[Container]\nImage=i\n[Install]\nWantedBy='x\n", -EINVAL,
			":4: WantedBy: has a quote"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		autoresult struct result r;

		assert_int_equal(translate(rows[i].path, rows[i].text, &r), rows[i].code);
		if (!strstr(r.err.text, rows[i].words))
			fail_msg("row %zu: %s", i, r.err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_units),
		cmocka_unit_test(takes_values),
		cmocka_unit_test(stops),
		cmocka_unit_test(needs_what_it_names),
		cmocka_unit_test(hands_sections_on),
		cmocka_unit_test(says_what_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
