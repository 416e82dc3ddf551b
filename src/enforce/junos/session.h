/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One NETCONF session (RFC 6241) over SSH (RFC 6242): hello, requests, the locks it holds. A
 * session that is closed gives its locks back and, while a commit waits to be confirmed, rolls it
 * back or leaves that to the device's timer.
 */
#ifndef STANCH_ENFORCE_JUNOS_SESSION_H
#define STANCH_ENFORCE_JUNOS_SESSION_H

#include "io/ssh.h"
#include "wire/xml.h"

struct netconf;

int netconf_open(const struct ssh_target *t, struct netconf **ret, struct err *e);
void netconf_close(struct netconf *n); /* takes NULL; says close-session where it still can */

/* What the server's hello offers: ":candidate", ":confirmed-commit", ":validate" of any version. */
bool netconf_can(const struct netconf *n, const char *capability);
/* It says that it is a Junos device. */
bool netconf_is_junos(const struct netconf *n);

/* One request: body is what stands in <rpc>. *ret (may be NULL) is the <rpc-reply>, freed by
 * xml_free. Errors of the device: -EBUSY lock denied (by whom), -EACCES, -EOPNOTSUPP
 * what it does not know, -EIO, each with its own words;
 * warnings are none. -ETIMEDOUT, -EPIPE, -EBADMSG. */
int netconf_rpc(struct netconf *n, const char *body, struct xml_doc **ret, struct err *e);

#endif
