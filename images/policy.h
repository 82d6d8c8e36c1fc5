/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.json: which images may come onto this machine; see containers-policy.json(5).
 *
 * brig knows "insecureAcceptAnything" and "reject". What asks for a signature is refused with a
 * sentence that says so, never taken unchecked. Any process; policy_check() reads a file,
 * policy_parse_check() is pure.
 */
#pragma once

#include "base/err.h"
#include "images/reference.h"

/*
 * Whether REFERENCE may come by TRANSPORT ("docker", "docker-archive", "oci-archive", …). FILE
 * NULL:
 * ~/.config/containers/policy.json, else /etc/containers/policy.json; without a file everything
 * may. REFERENCE may be NULL for what has no name yet. −EACCES rejected, −EOPNOTSUPP signatures
 * wanted, −EINVAL a policy that is not understood.
 */
int policy_check(const char *file, const char *transport, const struct reference *reference,
	struct err *err);
/* The same with the LEN bytes of TEXT as the policy; NAME stands in front of errors. */
int policy_parse_check(const char *name, const char *text, size_t len, const char *transport,
	const struct reference *reference, struct err *err);
