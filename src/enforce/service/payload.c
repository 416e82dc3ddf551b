/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The payload of service.mask: which units. It comes back from a journal that an enemy may have
 * written: a name is never a path. */
#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/service/service.h"
#include "model/field.h"

#define VERSION     1
#define PAYLOAD_MAX (1u << 20)

static void json_unrefp(json_t **j)
{
	json_decref(*j);
}
#define _cleanup_json_ _cleanup_(json_unrefp)

bool service_name_ok(const char *name)
{
	static const char *const ends[] = {".service", ".socket", ".timer",  ".path",
	                                   ".mount",   ".swap",   ".target", ".automount"};
	size_t n = strlen(name);
	bool end = false;
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		size_t m = strlen(ends[i]);
		end = end || (n > m && !strcmp(name + n - m, ends[i]));
	}
	for (size_t i = 0; end && i < n; i++)
		end = isalnum((unsigned char)name[i]) || strchr(":-_.\\@", name[i]);
	return end && n < SERVICE_NAME_MAX && name[0] != '.';
}

int service_to_json(const struct service_units *u, char **ret, struct err *e)
{
	json_t *list = json_array();
	for (size_t i = 0; list && i < u->n; i++)
		json_array_append_new(list, json_pack("{s:s,s:b,s:b}", "name", u->v[i].name,
		                                      "trigger", (int)u->v[i].trigger, "active",
		                                      (int)u->v[i].active));
	_cleanup_json_ json_t *j =
	    json_pack("{s:i,s:b,s:o}", "version", VERSION, "stop", (int)u->stop, "units", list);
	char *text = j && json_array_size(list) == u->n ? field_dump(j) : NULL;
	if (!text)
		return err_set(e, -ENOMEM, "out of memory for a step's payload");
	*ret = text;
	return 0;
}

static int take_unit(json_t *row, struct service_unit *v, struct err *e)
{
	const char *name;
	int trigger, active;
	int r = field_unpack(row, "service: unit", e, "{s:s,s:b,s:b!}", "name", &name, "trigger",
	                     &trigger, "active", &active);
	if (r == 0 && !service_name_ok(name))
		r = err_set(e, -EBADMSG, "service: \"%.60s\" is no name of a unit", name);
	if (r < 0)
		return r;
	v->trigger = trigger;
	v->active = active;
	return field_copy(v->name, sizeof v->name, name, "service: unit", e);
}

int service_from_json(const char *json, struct service_units *ret, struct err *e)
{
	_cleanup_json_ json_t *j = NULL;
	json_t *list = NULL;
	int version = 0, stop = 0;
	memset(ret, 0, sizeof *ret);
	int r = field_load(json ? json : "", PAYLOAD_MAX, "service", &j, e);
	if (r == 0)
		r = field_unpack(j, "service", e, "{s:i,s:b,s:o!}", "version", &version, "stop",
		                 &stop, "units", &list);
	if (r == 0 && (version != VERSION || !json_is_array(list) || !json_array_size(list) ||
	               json_array_size(list) > SERVICE_UNITS_MAX))
		r = err_set(e, -EBADMSG, "service: units are not a list of 1 to %d",
		            SERVICE_UNITS_MAX);
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		r = take_unit(json_array_get(list, i), &ret->v[i], e);
		ret->n = i + 1;
	}
	ret->stop = stop;
	return r;
}
