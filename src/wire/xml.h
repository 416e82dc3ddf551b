/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * XML as devices and clouds answer it (NETCONF, PAN-OS, EC2): a document becomes a small tree.
 * Sources: Extensible Markup Language 1.0 (5th edition), Namespaces in XML 1.0.
 *
 * What is taken: UTF-8, elements, attributes, character data, CDATA, the five entities, character
 * references; comments and processing instructions are skipped. What is not: document types (so no
 * entity can be defined, and none expands), other encodings, undeclared prefixes.
 *
 * Invariants
 *  1. One pass, no recursion. Memory is at most the input once more and the nodes and attributes
 *     that the limits below allow.
 *  2. A name or a text is never longer than what it was read from.
 *  3. Every name that is handed out is UTF-8 without control characters; a text may hold tab and
 *     newline, too.
 */
#ifndef STANCH_WIRE_XML_H
#define STANCH_WIRE_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define XML_SIZE_MAX  (16u << 20)
#define XML_DEPTH_MAX 64
#define XML_NODES_MAX (1u << 20) /* elements, and attributes */
#define XML_ATTRS_MAX 32         /* of one element */

struct xml_doc;

/* One element. Pointers are the document's. */
struct xml_node {
	const struct xml_doc *doc;
	const char *name;             /* without its prefix */
	const char *text;             /* in front of the first child; "" */
	const char *prefix;           /* "" */
	uint32_t parent, child, next; /* of the document's nodes; 0: none */
	uint32_t attr, n_attrs;
};

/* bytes may be anything. -EBADMSG with what is wrong and in which line, -E2BIG (over one of the
 * limits), -ENOMEM. *ret is freed by xml_free. */
int xml_parse(const void *bytes, size_t n, struct xml_doc **ret, struct err *e);
void xml_free(struct xml_doc *d); /* takes NULL */
const struct xml_node *xml_root(const struct xml_doc *d);

/* The first child of that name, or the next one behind n with the same parent; name NULL: of any
 * name. NULL: none; and n may be NULL, so that calls can be nested. Namespaces are not looked at.
 */
const struct xml_node *xml_child(const struct xml_node *n, const char *name);
const struct xml_node *xml_next(const struct xml_node *n, const char *name);
/* Down a path of names, the first child each: "reservation/instance"; NULL: none. */
const struct xml_node *xml_at(const struct xml_node *n, const char *path);
/* Its text; "" for NULL. xml_text_at: that of xml_at. */
const char *xml_text(const struct xml_node *n);
const char *xml_text_at(const struct xml_node *n, const char *path);
/* By its name as written (with the prefix, if any); NULL: none. */
const char *xml_attr(const struct xml_node *n, const char *name);
/* The namespace that the element is in; "": none. */
const char *xml_ns(const struct xml_node *n);

/* Text or the value of an attribute, with what XML would read otherwise written as references.
 * -EINVAL: bytes that XML cannot carry; out is in error then. */
int xml_add(struct buf *out, const char *text);

#endif
