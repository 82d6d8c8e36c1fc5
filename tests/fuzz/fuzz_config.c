/* SPDX-License-Identifier: Apache-2.0 */
/* A config.json from anybody: what is accepted holds what later stages rely on. */
#include "spec/config.h"
#include "tests/fuzz/fuzz.h"

static void check_mount(const struct spec_mount *mount)
{
	const struct spec_mount_options *options = &mount->options;

	REQUIRE(mount->destination && mount->destination[0]);
	if (options->extra & SPEC_MOUNT_BIND)
		REQUIRE(options->data.count == 0);
	if (options->extra & SPEC_MOUNT_RBIND)
		REQUIRE(options->extra & SPEC_MOUNT_BIND);
	if (options->extra & SPEC_MOUNT_RIDMAP)
		REQUIRE(options->extra & SPEC_MOUNT_IDMAP);
	REQUIRE(!mount->uid_mappings.count == !mount->gid_mappings.count);
}

static void check(const struct spec_config *config, struct arena *arena)
{
	const struct spec_linux *l = &config->linux_;
	int seen = 0;

	REQUIRE(config->root || config->vm);
	if (config->process)
		REQUIRE(config->process->cwd[0] == '/' && config->process->args.count);
	for (size_t i = 0; i < config->mounts.count; i++)
		check_mount(&config->mounts.items[i]);
	for (size_t i = 0; i < l->namespaces.count; i++) {
		REQUIRE(!(seen & l->namespaces.items[i].type));
		seen |= l->namespaces.items[i].type;
	}
	for (size_t i = 0; i < l->sysctl.count; i++) {
		const char *path;

		REQUIRE(spec_sysctl_path(l->sysctl.items[i].key, arena, &path) == 0);
		REQUIRE(path[0] != '/' && !strstr(path, "/../") && strncmp(path, "../", 3) != 0);
	}
	if (l->cgroups_path)
		REQUIRE(!strstr(l->cgroups_path, "/../"));
	for (size_t i = 0; i < l->masked_paths.count; i++)
		REQUIRE(l->masked_paths.items[i][0] == '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spec_config *config = NULL, *again = NULL;
	autoarena struct arena arena = {};
	autobuf struct buf text = {};
	struct err err = {};

	if (spec_config_parse("f", (const char *)data, size, &config, &err) < 0) {
		REQUIRE(!config && err.code < 0 && err.text[0]);
		return 0;
	}
	check(config, &arena);
	REQUIRE(json_write(config->json, JSON_COMPACT, &text) == 0);
	REQUIRE(spec_config_parse("f", text.data, text.len, &again, &err) == 0);
	spec_config_free(again);
	spec_config_free(config);
	return 0;
}
