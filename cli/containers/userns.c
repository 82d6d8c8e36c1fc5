/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/userns.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "images/userns.h"
#include "runtime/stage.h"

int box_enter_userns(struct store *store, struct err *err)
{
	const struct store_ids *ids = store_ids(store);
	autoclose int userns = userns_create(ids, err);
	int r;

	if (userns < 0)
		return err_add(err, "make a user namespace");
	r = sys_setns(userns, CLONE_NEWUSER);
	if (r < 0)
		return err_sys(err, r, "enter a user namespace");
	/* Who maps only himself has had to give setgroups(2) up. */
	r = stage_become_root(ids->single, err);
	if (r < 0)
		return r;
	store_entered(store);
	r = sys_unshare(CLONE_NEWNS);
	return r < 0 ? err_sys(err, r, "make a mount namespace") : store_reopen(store, err);
}
