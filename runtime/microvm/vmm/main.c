/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brig-vmm: one virtual machine, from a plan on standard input to its end.
 *
 * Exit status: 0 the guest switched itself off or was stopped, 1 it failed (a sentence is on
 * standard error), 2 the guest asked for a reset (what its kernel said last is there, if anything).
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/sys.h"
#include "runtime/microvm/plan.h"
#include "runtime/microvm/vmm/machine.h"
#include "runtime/microvm/vmm/vm.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

enum { PLAN_MAX = 1 << 20 };

static int read_plan(struct arena *arena, json_t **ret_json, struct plan *ret, struct err *err)
{
	autobuf struct buf text = {};
	int r = fd_read_all(STDIN_FILENO, PLAN_MAX, &text);

	if (r < 0)
		return err_sys(err, r, "the plan on standard input");
	r = json_parse("plan", buf_str(&text), text.len, ret_json, err);
	return r < 0 ? r : plan_decode(*ret_json, arena, ret, err);
}

static int open_kvm(const struct plan *plan, struct err *err)
{
	int r = plan->kvm.set ? (int)plan->kvm.value : sys_openat(AT_FDCWD, "/dev/kvm", O_RDWR, 0);

	if (r < 0)
		return err_sys(err, r, "/dev/kvm: hardware virtualisation is not available here");
	return r;
}

static void tell_words(struct machine *machine)
{
	struct err err = {};
	char words[SERIAL_WORDS];

	serial_words(&machine->vm.serial, words);
	err_set(&err, -EIO, "%s", words);
	if (words[0])
		log_failure("guest", &err);
}

static int run(enum vm_outcome *ret, struct err *err)
{
	static struct machine machine; /* large, and lives as long as the process */
	autoarena struct arena arena = {};
	autojson json_t *json = NULL;
	struct plan plan;
	int r = read_plan(&arena, &json, &plan, err);

	if (r >= 0)
		r = open_kvm(&plan, err);
	if (r >= 0)
		r = machine_open(&machine, &plan, r, err);
	if (r >= 0)
		*ret = machine_run(&machine, &plan, err);
	if (r >= 0 && *ret == VM_RESET)
		tell_words(&machine);
	return r < 0 ? r : err->code;
}

int main(void)
{
	enum vm_outcome outcome = VM_FAILED;
	struct err err = {};
	int r;

	signal(SIGPIPE, SIG_IGN); /* pipes that nobody reads are no reason to end */
	r = run(&outcome, &err);

	if (r < 0 || outcome == VM_FAILED) {
		log_failure("brig-vmm", &err);
		return 1;
	}
	return outcome == VM_RESET ? 2 : 0;
}
