/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/isolation.h"

#include "base/parse.h"
#include "base/sys.h"
#include "cli/containers/assemble.h"
#include "spec/config.h"
#include "spec/names.h"

#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

static const char annotation[] = "org.brig.isolation=";

int isolation_settle(struct record *record, struct err *err)
{
	struct run_options *o = &record->options;
	const char *word = NULL;
	int64_t asked;

	for (size_t i = 0; i < o->annotations.count; i++)
		if (strncmp(o->annotations.items[i], annotation, sizeof(annotation) - 1) == 0)
			word = o->annotations.items[i] + sizeof(annotation) - 1;
	if (!word)
		return 0;
	if (!json_name_find(spec_isolation_names, word, &asked))
		return err_set(err, -EINVAL, "--annotation: %s\"%s\" is neither container nor vm",
			annotation, word);
	if (o->isolation && o->isolation != asked)
		return err_set(
			err, -EINVAL, "--isolation and --annotation %s%s differ", annotation, word);
	o->isolation = (int)asked;
	return 0;
}

bool isolation_is_vm(const struct record *record)
{
	return record->options.isolation == SPEC_ISOLATION_VM;
}

const char *isolation_name(const struct record *record)
{
	return isolation_is_vm(record) ? "vm" : "container";
}

static int refuse(const char *option, const char *why, struct err *err)
{
	return err_set(err, -EINVAL, "--%s: not with --isolation vm: %s", option, why);
}

/* Another's, or the host's. */
static bool is_shared(const char *namespace)
{
	return namespace && *namespace && strcmp(namespace, "private") != 0 &&
	       strcmp(namespace, "shareable") != 0;
}

static int refuse_namespaces(const struct run_options *o, struct err *err)
{
	static const char why[] = "a virtual machine shares no namespace with others";
	const char *network = o->network.count ? o->network.items[o->network.count - 1] : "";
	const struct {
		const char *option, *value;
	} all[] = {{"pid", o->pid}, {"ipc", o->ipc}, {"cgroupns", o->cgroupns}};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (is_shared(all[i].value))
			return refuse(all[i].option, why, err);
	/* The host's name can be given to a machine, another container's cannot. */
	if (is_shared(o->uts) && strcmp(o->uts, "host") != 0)
		return refuse("uts", why, err);
	if (strcmp(network, "host") == 0 || strncmp(network, "container:", 10) == 0)
		return refuse("network", why, err);
	return 0;
}

/* A device that the machine itself can have: of PCI, behind an IOMMU. */
static bool is_vfio(const char *device)
{
	const char *rest;

	return parse_has_prefix(device, "vfio:", &rest) ||
	       parse_has_prefix(device, "/dev/vfio/", &rest);
}

static bool has_others(const struct strings *devices)
{
	for (size_t i = 0; i < devices->count; i++)
		if (!is_vfio(devices->items[i]))
			return true;
	return false;
}

static int refuse_rest(const struct run_options *o, struct err *err)
{
	static const char devices[] = "the devices of this machine are not the virtual one's";
	static const char connections[] = "connections are made by a kernel of its own, which the "
					  "policy does not reach";
	static const char label[] = "labels are of this machine's kernel";
	const char *apparmor = assemble_security_option(&o->security, "apparmor");
	const struct {
		const char *option, *why;
		bool set;
	} all[] = {
		{"device", devices, has_others(&o->devices)},
		{"device-cgroup-rule", devices, o->device_rules.count},
		{"gpus", devices, o->gpus},
		{"userns", "a virtual machine has users of its own",
			(o->userns && strcmp(o->userns, "host") != 0) || o->uidmap.count ||
				o->gidmap.count || o->subuidname || o->subgidname},
		{"record-seccomp", "only this machine's kernel can be watched", o->record_seccomp},
		{"allow-connect", connections, o->allow_connect.count},
		{"deny-connect", connections, o->deny_connect.count},
		{"security-opt apparmor", label, apparmor && strcmp(apparmor, "unconfined") != 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (all[i].set)
			return refuse(all[i].option, all[i].why, err);
	return 0;
}

/* Null, zero, full, random, urandom: the guest has its own. */
static bool is_common_device(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && major(st->st_rdev) == 1 && minor(st->st_rdev) >= 3 &&
	       minor(st->st_rdev) <= 9;
}

/* One that is not there yet becomes a folder. */
static int refuse_mounts(const struct record *record, struct err *err)
{
	struct stat st;

	for (size_t i = 0; i < record->mounts.count; i++) {
		const struct record_mount *m = &record->mounts.items[i];

		if (m->type != RECORD_MOUNT_BIND || sys_fstatat(AT_FDCWD, m->source, &st, 0) < 0 ||
			S_ISDIR(st.st_mode) || S_ISREG(st.st_mode) || is_common_device(&st))
			continue;
		return err_set(err, -EINVAL,
			"--volume: %s: not with --isolation vm: only files and folders can be "
			"shared with a virtual machine",
			m->source);
	}
	return 0;
}

/* What only a machine can have. */
static int refuse_for_container(const struct run_options *o, struct err *err)
{
	const struct strings *devices = &o->devices;
	const char *rest;

	for (size_t i = 0; i < devices->count; i++)
		if (parse_has_prefix(devices->items[i], "vfio:", &rest))
			return err_set(err, -EINVAL,
				"--device %s: only a virtual machine can have it: --isolation vm",
				devices->items[i]);
	if (o->nested)
		return err_set(err, -EINVAL,
			"--nested: only virtual machines have machines within: --isolation vm");
	if (o->template_)
		return err_set(err, -EINVAL,
			"--template: only virtual machines have templates: --isolation vm");
	return 0;
}

int isolation_check(const struct record *record, bool rootless, struct err *err)
{
	int r;

	if (!isolation_is_vm(record))
		return refuse_for_container(&record->options, err);
	if (rootless)
		return err_set(err, -EPERM, "--isolation vm: only root can make virtual machines");
	r = refuse_namespaces(&record->options, err);
	if (r == 0)
		r = refuse_rest(&record->options, err);
	return r < 0 ? r : refuse_mounts(record, err);
}
