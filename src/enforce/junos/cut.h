/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What one order is at one Junos device, as plain data: which packets, at which places. Everything
 * that is sent and everything that is expected to be read back is derived from it, here, without a
 * device.
 */
#ifndef STANCH_ENFORCE_JUNOS_CUT_H
#define STANCH_ENFORCE_JUNOS_CUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "model/order.h"
#include "model/step.h"
#include "wire/xml.h"

#define JUNOS_NAME_MAX     128 /* of an interface, unit, filter or term */
#define JUNOS_PLACES_MAX   64
#define JUNOS_PREFIXES_MAX 1024
#define JUNOS_NS           "http://xml.juniper.net/xnm/1.1/xnm"

enum junos_way { JUNOS_INPUT, JUNOS_OUTPUT, _JUNOS_WAY_MAX, _JUNOS_WAY_INVALID = -EINVAL };
STRING_TABLE_DECLARE(junos_way, enum junos_way);

/* How a place is reached without disturbing what is bound there. */
enum junos_mode {
	JUNOS_TERMS, /* terms first in the filter that is bound */
	JUNOS_LIST,  /* in a filter of ours, first in the list that is bound */
	JUNOS_OWN,   /* nothing is bound: in a filter of ours that ends by accepting the rest */
	_JUNOS_MODE_MAX,
	_JUNOS_MODE_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(junos_mode, enum junos_mode);

struct junos_place {
	enum addr_family family;
	enum junos_way way;
	enum junos_mode mode;
	char interface[JUNOS_NAME_MAX], unit[16];
	/* JUNOS_TERMS: whose; else ours, named by the place: orders share it, and the last one to
	 * be taken back takes it away. */
	char filter[JUNOS_NAME_MAX];
	bool bare; /* JUNOS_TERMS: it stands at [firewall filter], not under a family */
};

typedef char junos_tag_t[24]; /* "stanch-" and the start of a step's token */

struct junos_cut {
	junos_tag_t tag; /* in the name of every term of ours */
	struct prefix
	    *prefixes; /* owned: what is cut; on input as source, on output as destination */
	size_t n_prefixes;
	struct permit *permits; /* owned: PERMIT_FLOW only, seen from the prefixes */
	size_t n_permits;
	struct junos_place places[JUNOS_PLACES_MAX];
	size_t n_places;
};

void junos_cut_free(struct junos_cut *c);
void junos_tag(const char *token, junos_tag_t dst);
/* The payload of a step, and back; whatever comes from a journal is checked. -EBADMSG. */
int junos_cut_to_json(const struct junos_cut *c, char **ret, struct err *e);
int junos_cut_from_json(const char *json, struct junos_cut *ret, struct err *e);

/* Places of an interface ("ge-0/0/1.0") for every family that the prefixes have, by what the
 * running configuration binds there. config: the <configuration> element, may be NULL (empty).
 * -ENOENT: no such unit; -E2BIG. */
int junos_find_places(struct junos_cut *c, const struct xml_node *config, const char *interface,
                      struct err *e);
/* Other units that a place's filter is bound to, as text ("ge-0/0/2.0, ge-0/0/3.0"). */
void junos_sharers(const struct junos_place *p, const struct xml_node *config, struct buf *out);

/* Two ways to say "in front of the rest". */
enum junos_dialect {
	JUNOS_DIALECT, /* insert="first" */
	JUNOS_YANG,    /* yang:insert="first", RFC 7950 */
};

/* The <config> of an edit-config that brings the cut about in a configuration as it is. */
int junos_render(const struct junos_cut *c, enum junos_dialect d, const struct xml_node *config,
                 struct buf *out);
/* The same to take away what is there: by name our terms, and a filter of ours that nobody else has
 * terms in, with its binding. Only what exists is named, so that "delete" will do. *ret_n: how much
 * that is. */
int junos_render_removal(const struct junos_cut *c, const struct xml_node *config, struct buf *out,
                         unsigned *ret_n);
/* As a person would type it: set and insert commands, or delete commands. */
int junos_describe(const struct junos_cut *c, bool remove, struct buf *out);

/* The tags of the other orders at the device: their terms may stand in front of ours. */
struct junos_others {
	const junos_tag_t *v;
	size_t n;
};

/* Reads it back: every difference is a line in *drift. */
struct junos_reading {
	enum verdict verdict;
	unsigned there, missing, changed;
};
void junos_compare(const struct junos_cut *c, const struct xml_node *config,
                   const struct junos_others *others, struct junos_reading *ret, struct buf *drift);
/* Terms that carry our name but no tag of `claims`: their paths as `delete` takes them, one a line;
 * and the <config> that removes them in *config_out. The number of them. */
size_t junos_strays(const struct xml_node *config, const struct junos_others *claims,
                    struct buf *text, struct buf *config_out);

#endif
