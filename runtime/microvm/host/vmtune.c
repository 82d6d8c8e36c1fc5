/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/host/vmtune.h"

#include "base/parse.h"

#include <string.h>

enum { MIB_SHIFT = 20, RATE_MIN = 1024 };

static int wrong(const char *name, const char *value, const char *wanted, struct err *err)
{
	return err_set(err, -EINVAL, "annotations: %s: \"%.40s\" is not %s", name, value, wanted);
}

static int take_number(
	const struct spec_config *config, const char *name, uint64_t *ret, struct err *err)
{
	const char *value = spec_annotation(config, name);

	if (!value)
		return 0;
	return parse_u64(value, ret) == 0 && *ret ? 0
						  : wrong(name, value, "a number of bytes", err);
}

static int take_rate(
	const struct spec_config *config, const char *name, uint64_t *ret, struct err *err)
{
	int r = take_number(config, name, ret, err);

	if (r == 0 && *ret && *ret < RATE_MIN)
		return err_set(err, -EINVAL, "annotations: %s: at least %d bytes per second", name,
			RATE_MIN);
	return r;
}

static int take_memory(const struct spec_config *config, uint32_t *ret, struct err *err)
{
	static const char name[] = "org.brig.vm.memory_max";
	uint64_t bytes = 0;
	int r = take_number(config, name, &bytes, err);

	if (r == 0 && bytes >> MIB_SHIFT > UINT32_MAX)
		return wrong(name, spec_annotation(config, name), "a machine's memory", err);
	if (r == 0)
		*ret = (uint32_t)(bytes >> MIB_SHIFT);
	return r;
}

static int take_flag(const struct spec_config *config, const char *name, bool *ret, struct err *err)
{
	const char *value = spec_annotation(config, name);

	if (!value)
		return 0;
	*ret = strcmp(value, "true") == 0;
	return *ret || strcmp(value, "false") == 0 ? 0 : wrong(name, value, "true or false", err);
}

int vm_tune(const struct spec_config *config, struct vm_tuning *ret, struct err *err)
{
	struct vm_tuning tuning = {.kernel = spec_annotation(config, "org.brig.vm.kernel")};
	int r = take_memory(config, &tuning.memory_mib, err);

	if (r == 0)
		r = take_flag(config, "org.brig.vm.huge_pages", &tuning.huge_pages, err);
	if (r == 0)
		r = take_flag(config, "org.brig.vm.nested", &tuning.nested, err);
	if (r == 0)
		r = take_rate(config, "org.brig.vm.net.receive", &tuning.receive, err);
	if (r == 0)
		r = take_rate(config, "org.brig.vm.net.send", &tuning.send, err);
	if (r == 0)
		*ret = tuning;
	return r;
}
