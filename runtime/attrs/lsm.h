/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AppArmor profiles and SELinux labels.
 *
 * A label is written to a file of the process's own attr directory and takes effect at the next
 * execve(2). The files are reached only through PROCFD, a private procfs that the runtime made
 * with fsopen(2) and never attached anywhere: nothing inside a container can be mounted over it,
 * and every step checks that it is still procfs. What was written is read back.
 *
 * PROCFD must show the whole procfs (no subset=pid) and belong to the caller's PID namespace or an
 * outer one. Order: keyring label before the session keyring is made; exec label last before
 * credentials_apply(); both must be before no_new_privs, which can forbid the change.
 * A NULL or empty label does nothing and makes no system call. A label for a security module that
 * is not enabled is an error (config.md: apparmorProfile, selinuxLabel), except AppArmor's
 * "unconfined", which is then true anyway. Child stages only.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* AppArmor's PROFILE at the next exec; apparmor(7), aa_change_onexec(2). −EOPNOTSUPP: AppArmor is
 * off. −ENOENT: the profile is not loaded. */
int lsm_set_apparmor(int procfd, const char *profile, struct err *err);

/* SELinux's LABEL at the next exec; setexeccon(3). −EOPNOTSUPP: SELinux is off. */
int lsm_set_selinux(int procfd, const char *label, struct err *err);

/* SELinux's LABEL for the keyrings that the process makes; setkeycreatecon(3). */
int lsm_set_selinux_keyring(int procfd, const char *label, struct err *err);

/*
 * The value of a mount's "context" option for linux.mountLabel, for fsconfig(2): the label alone.
 * For mount(2)'s comma-separated data use lsm_mount_data(). −EINVAL for a label with a quote or a
 * control character in it. Any process; pure.
 */
int lsm_check_mount_label(const char *label, struct err *err);
/* Appends [,]context="LABEL" to DATA, which may be empty. −EINVAL as above, −ENOMEM. Pure. */
int lsm_mount_data(const char *label, struct buf *data, struct err *err);
