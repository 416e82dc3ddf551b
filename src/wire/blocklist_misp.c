/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * MISP in JSON. Events and feeds: attributes that are meant for detection (to_ids) and not deleted,
 * of events, their objects, and answers of its search. Warning lists: what is not to be blocked.
 */
#include "wire/blocklist_json.h"

#include <errno.h>
#include <string.h>

#include "base/table.h"
#include "wire/fwlog_text.h"

#define DEPTH_MAX 8

/* How an attribute's value is made up. */
static const struct {
	const char *type;
	bool first, second; /* which sides of '|' name something to block */
} types[] = {
    {"ip-dst", true, false},      {"ip-src", true, false},        {"ip-dst|port", true, false},
    {"ip-src|port", true, false}, {"domain", true, false},        {"hostname", true, false},
    {"domain|ip", true, true},    {"hostname|port", true, false},
};

static void attribute(struct blocklist_work *w, const json_t *v)
{
	struct cursor type = blocklist_member(v, "type"), first, rest;
	char note[BLOCKLIST_NOTE_MAX];
	size_t i = 0;
	w->stats->rows++;
	if (json_is_true(json_object_get(v, "deleted"))) {
		w->stats->ended++;
		return;
	}
	while (i < ARRAY_SIZE(types) && !text_is(type, types[i].type))
		i++;
	if (i == ARRAY_SIZE(types) || !json_is_true(json_object_get(v, "to_ids"))) {
		w->stats->not_for_us++;
		return;
	}
	blocklist_note(blocklist_member(v, "uuid"), blocklist_member(v, "comment"), note);
	rest = blocklist_member(v, "value");
	if (!text_until(&rest, '|', &first)) {
		first = rest;
		rest = cursor_of(NULL, 0);
	}
	blocklist_put(w, blocklist_trim(first), 0, note);
	if (types[i].second)
		blocklist_put(w, blocklist_trim(rest), 0, note);
}

/* Only into what belongs to the event itself: related events and galaxies say other things. */
static void walk(struct blocklist_work *w, const json_t *v, unsigned depth)
{
	static const char *const inside[] = {"Event", "response", "Attribute", "Object"};
	const json_t *x;
	size_t i;
	if (depth == DEPTH_MAX)
		return;
	if (json_is_array(v)) {
		for (i = 0; i < json_array_size(v); i++)
			walk(w, json_array_get(v, i), depth + 1);
	} else if (json_is_string(json_object_get(v, "type")) &&
	           json_is_string(json_object_get(v, "value"))) {
		attribute(w, v);
	} else {
		for (i = 0; i < ARRAY_SIZE(inside); i++)
			if ((x = json_object_get(v, inside[i])))
				walk(w, x, depth + 1);
		if (json_is_string(json_object_get(v, "info")) && !w->stats->title[0])
			blocklist_copy(blocklist_member(v, "info"), w->stats->title,
			               sizeof w->stats->title);
	}
}

int blocklist_misp(struct blocklist_work *w, struct cursor text, struct err *e)
{
	json_t *root;
	int r = blocklist_json(text, &root, e);
	if (r < 0)
		return r;
	walk(w, root, 0);
	json_decref(root);
	return w->stats->rows ? 0
	                      : err_set(e, -EBADMSG, "there is no attribute of a MISP event in it");
}

int blocklist_warninglist(struct blocklist_work *w, struct cursor text, struct err *e)
{
	json_t *root;
	int r = blocklist_json(text, &root, e);
	if (r < 0)
		return r;
	struct cursor type = blocklist_member(root, "type");
	const json_t *list = json_object_get(root, "list");
	bool addresses = type.p == type.end || text_is(type, "cidr") || text_is(type, "string");
	if (!json_is_array(list))
		r = err_set(e, -EBADMSG, "it is no MISP warning list: there is no list in it");
	blocklist_copy(blocklist_member(root, "name"), w->stats->title, sizeof w->stats->title);
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		const json_t *v = json_array_get(list, i);
		w->stats->rows++;
		if (addresses && json_is_string(v))
			blocklist_put(w, cursor_of(json_string_value(v), json_string_length(v)), 0,
			              w->stats->title);
		else
			w->stats->not_for_us++;
	}
	json_decref(root);
	return r;
}
