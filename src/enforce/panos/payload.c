/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Payloads as JSON; what comes back from a journal may have been written by an enemy. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "enforce/panos/parts.h"
#include "enforce/point_payload.h"
#include "model/field.h"

#define VERSION     1
#define PAYLOAD_MAX (1u << 20)

static const char *const kind_table[] = {
    [PANOS_QUARANTINE] = "quarantine", [PANOS_BLOCK] = "block"};
STRING_TABLE_DEFINE(panos_kind, enum panos_kind, kind_table)

const char *const panos_tags[_PANOS_KIND_MAX][_PANOS_TAG_MAX] = {
    [PANOS_QUARANTINE] = {"stanch-q-armed", "stanch-q-held"},
    [PANOS_BLOCK] = {"stanch-b-armed", "stanch-b-held"},
};

void panos_cut_free(struct panos_cut *c)
{
	if (!c)
		return;
	free(c->addrs);
	free(c->permits);
	memset(c, 0, sizeof *c);
}

int panos_cut_to_json(const struct panos_cut *c, char **ret, struct err *e)
{
	_cleanup_json_ json_t *addrs = json_array();
	_cleanup_json_ json_t *permits = point_permits_json(c->permits, c->n_permits);
	char text[ADDR_STR_MAX];
	bool bad = !permits;
	for (size_t i = 0; i < c->n_addrs; i++)
		bad |= json_array_append_new(addrs, json_string(addr_str(&c->addrs[i], text))) < 0;
	_cleanup_json_ json_t *all =
	    bad ? NULL
	        : json_pack("{s:i, s:s, s:s, s:O, s:O}", "version", VERSION, "kind",
	                    panos_kind_str(c->kind), "name", c->name, "addresses", addrs, "permits",
	                    permits);
	char *out = all ? field_dump(all) : NULL;
	if (!out)
		return err_set(e, -ENOMEM, "out of memory for a step's payload");
	*ret = out;
	return 0;
}

static int take_lists(json_t *addrs, json_t *permits, struct panos_cut *c, struct err *e)
{
	size_t n = json_array_size(addrs);
	c->addrs = calloc(n + 1, sizeof *c->addrs);
	int r = c->addrs ? 0 : err_set(e, -ENOMEM, "out of memory for a step's payload");
	for (size_t i = 0; r == 0 && i < n; i++) {
		const char *text = json_string_value(json_array_get(addrs, i));
		if (!text || addr_parse(text, &c->addrs[c->n_addrs++]) < 0)
			r = err_set(e, -EBADMSG, "panos: no address stands where one should");
	}
	if (r == 0)
		r = point_take_permits(permits, &c->permits, &c->n_permits, e);
	for (size_t i = 0; r == 0 && i < c->n_permits; i++) {
		uint8_t proto = c->permits[i].proto;
		if (proto && proto != IPPROTO_TCP && proto != IPPROTO_UDP)
			r = err_set(e, -EBADMSG, "panos: a permit that stanch does not make");
	}
	return r;
}

int panos_cut_from_json(const char *json, struct panos_cut *ret, struct err *e)
{
	_cleanup_json_ json_t *all = NULL;
	json_t *addrs, *permits;
	struct panos_cut c = {0};
	const char *kind, *name;
	int version;
	int r = field_load(json, PAYLOAD_MAX, "panos: payload", &all, e);
	if (r == 0)
		r = field_unpack(all, "panos: payload", e, "{s:i, s:s, s:s, s:o, s:o!}", "version",
		                 &version, "kind", &kind, "name", &name, "addresses", &addrs,
		                 "permits", &permits);
	if (r == 0)
		r = field_copy(c.name, sizeof c.name, name, "panos: name", e);
	if (r < 0)
		return r;
	c.kind = (enum panos_kind)panos_kind_parse(kind);
	if (version != VERSION || (int)c.kind < 0 || !point_tag_is_ours(name) ||
	    json_array_size(addrs) == 0 || json_array_size(addrs) > PANOS_ADDRS_MAX)
		return err_set(e, -EBADMSG, "panos: a payload that stanch does not make");
	r = take_lists(addrs, permits, &c, e);
	if (r < 0)
		panos_cut_free(&c);
	else
		*ret = c;
	return r;
}
