/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Calls of the XML API: one HTTPS request each, the key in a header, the answer a small tree. */
#ifndef STANCH_ENFORCE_PANOS_API_H
#define STANCH_ENFORCE_PANOS_API_H

#include "io/https.h"
#include "io/secret.h"
#include "model/driver_ops.h"
#include "wire/xml.h"

struct panos {
	const struct point *point;
	struct https *https;  /* opened with the first call */
	struct secret header; /* "X-PAN-KEY: …" */
	char url[320];
	usec_t timeout;
};

void panos_api_close(struct panos *p);

/* type: "op", "config", "commit", "user-id"; fields: name, value, …, NULL. *ret (may be NULL) is
 * the <response>, freed by xml_free. -EACCES (key or its rights), -ENOENT (no such object), -EIO
 * with the device's words, and what io/https.h says. */
int panos_call(struct panos *p, const char *type, const char *const *fields, struct xml_doc **ret,
               struct err *e);
int panos_op(struct panos *p, const char *cmd, struct xml_doc **ret, struct err *e);
/* Commits what this administrator has changed, and waits for the job. */
int panos_commit(struct panos *p, struct err *e);

/* "/config/devices/entry…/vsys/entry[@name='vsys1']" and what follows it, in dst. */
const char *panos_xpath(const struct panos *p, const char *below, char *dst, size_t n);
/* action "show" reads what runs, "get" the candidate. *ret_entries: the element at xpath, NULL: it
 * is not there. */
int panos_read(struct panos *p, const char *action, const char *xpath, struct xml_doc **ret,
               const struct xml_node **ret_at, struct err *e);

#endif
