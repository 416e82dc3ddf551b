/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Payloads of the steps as JSON. They come back from a journal that an enemy may have written:
 * every field is checked, and none can name anything but what the driver itself would do.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/host/parts.h"
#include "model/field.h"

#define VERSION     1
#define PAYLOAD_MAX (1u << 20)

static void json_unrefp(json_t **j)
{
	json_decref(*j);
}
#define _cleanup_json_ _cleanup_(json_unrefp)

static int dump(json_t *j, char **ret, struct err *e)
{
	char *text = j ? field_dump(j) : NULL;
	if (!text)
		return err_set(e, -ENOMEM, "out of memory for a step's payload");
	*ret = text;
	return 0;
}

static int check_version(int version, const char *what, struct err *e)
{
	if (version != VERSION)
		return err_set(e, -EBADMSG, "%s: version %d is not known here", what, version);
	return 0;
}

/* Kernel names may hold any byte; JSON and terminals may not. */
static void clean_name(const char *name, char out[static IFNAMSIZ])
{
	size_t i = 0;
	for (; i < IFNAMSIZ - 1 && name[i]; i++)
		out[i] = name[i] > 0x20 && name[i] < 0x7f ? name[i] : '?';
	out[i] = 0;
}

void layers_free(struct layers *l)
{
	if (!l)
		return;
	free(l->devices);
	memset(l, 0, sizeof *l);
}

int layers_to_json(const struct layers *l, char **ret, struct err *e)
{
	_cleanup_json_ json_t *devices = json_array();
	for (size_t i = 0; devices && i < l->n_devices && i < LAYERS_DEVICES_MAX; i++) {
		char name[IFNAMSIZ];
		clean_name(l->devices[i].name, name);
		if (json_array_append_new(devices, json_pack("{s:s,s:i}", "name", name, "ifindex",
		                                             l->devices[i].ifindex)) < 0)
			return err_set(e, -ENOMEM, "out of memory for a step's payload");
	}
	_cleanup_json_ json_t *j =
	    json_pack("{s:i,s:b,s:b,s:b,s:O}", "version", VERSION, "egress", l->egress, "ingress",
	              l->ingress, "bridge", l->bridge, "devices", devices);
	return dump(j, ret, e);
}

static int take_device(json_t *row, struct layer_device *d, struct err *e)
{
	const char *name;
	int r = field_unpack(row, "layers: device", e, "{s:s,s:i!}", "name", &name, "ifindex",
	                     &d->ifindex);
	if (r == 0)
		r = field_copy(d->name, sizeof d->name, name, "layers: device", e);
	if (r == 0 && (!*name || strchr(name, '/') || d->ifindex <= 0))
		r = err_set(e, -EBADMSG, "layers: \"%s\" with index %d is no device", d->name,
		            d->ifindex);
	return r;
}

static int take_devices(json_t *list, struct layers *l, struct err *e)
{
	size_t n = json_array_size(list);
	if (!json_is_array(list) || n > LAYERS_DEVICES_MAX)
		return err_set(e, -EBADMSG, "layers: devices are not a list of at most %d",
		               LAYERS_DEVICES_MAX);
	l->devices = calloc(n ? n : 1, sizeof *l->devices);
	if (!l->devices)
		return err_set(e, -ENOMEM, "out of memory for a step's payload");
	l->n_devices = n;
	int r = 0;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = take_device(json_array_get(list, i), &l->devices[i], e);
	return r;
}

int layers_from_json(const char *json, struct layers *ret, struct err *e)
{
	_cleanup_json_ json_t *j = NULL;
	int r = field_load(json ? json : "", PAYLOAD_MAX, "layers", &j, e);
	if (r < 0)
		return r;
	int version, egress, ingress, bridge;
	json_t *devices;
	r = field_unpack(j, "layers", e, "{s:i,s:b,s:b,s:b,s:o!}", "version", &version, "egress",
	                 &egress, "ingress", &ingress, "bridge", &bridge, "devices", &devices);
	if (r == 0)
		r = check_version(version, "layers", e);
	if (r < 0)
		return r;
	struct layers l = {.egress = egress, .ingress = ingress, .bridge = bridge};
	r = take_devices(devices, &l, e);
	if (r < 0)
		layers_free(&l);
	else
		*ret = l;
	return r;
}

int inverse_to_json(const char *kind, char **ret, struct err *e)
{
	_cleanup_json_ json_t *j = json_pack("{s:i,s:s}", "version", VERSION, "delete", kind);
	return dump(j, ret, e);
}

int inverse_check(const char *kind, const char *json, struct err *e)
{
	_cleanup_json_ json_t *j = NULL;
	int r = field_load(json ? json : "", PAYLOAD_MAX, "inverse", &j, e), version;
	const char *what;
	if (r == 0)
		r = field_unpack(j, "inverse", e, "{s:i,s:s!}", "version", &version, "delete",
		                 &what);
	if (r == 0)
		r = check_version(version, "inverse", e);
	if (r == 0 && strcmp(what, kind))
		r = err_set(e, -EBADMSG, "inverse: it would delete \"%.32s\", not %s", what, kind);
	return r;
}

int sessions_to_json(char **ret, struct err *e)
{
	_cleanup_json_ json_t *j = json_pack("{s:i}", "version", VERSION);
	return dump(j, ret, e);
}

int sessions_check(const char *json, struct err *e)
{
	_cleanup_json_ json_t *j = NULL;
	int r = field_load(json ? json : "", PAYLOAD_MAX, "sessions", &j, e), version = 0;
	if (r == 0)
		r = field_unpack(j, "sessions", e, "{s:i!}", "version", &version);
	return r < 0 ? r : check_version(version, "sessions", e);
}

int counts_to_json(const struct session_counts *c, char **ret, struct err *e)
{
	_cleanup_json_ json_t *j =
	    json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:i}", "sockets_seen", (int)c->sockets_seen,
	              "sockets_destroyed", (int)c->sockets_destroyed, "sockets_failed",
	              (int)c->sockets_failed, "flows_seen", (int)c->flows_seen, "flows_deleted",
	              (int)c->flows_deleted, "flows_failed", (int)c->flows_failed, "packet_sockets",
	              (int)c->packet_sockets);
	return dump(j, ret, e);
}

int raw_result_to_json(const struct raw_device *v, size_t n, char **ret, struct err *e)
{
	_cleanup_json_ json_t *list = json_array();
	for (size_t i = 0; list && i < n; i++) {
		char name[IFNAMSIZ];
		clean_name(v[i].name, name);
		json_t *row = json_pack("{s:s,s:i,s:b}", "name", name, "ifindex", v[i].ifindex,
		                        "made_clsact", v[i].made_clsact);
		if (json_array_append_new(list, row) < 0)
			return err_set(e, -ENOMEM, "out of memory for a step's result");
	}
	_cleanup_json_ json_t *j = json_pack("{s:i,s:O}", "version", VERSION, "devices", list);
	return dump(j, ret, e);
}

static int take_raw_device(json_t *row, struct raw_device *d, struct err *e)
{
	const char *name;
	int made;
	int r = field_unpack(row, "raw result", e, "{s:s,s:i,s:b!}", "name", &name, "ifindex",
	                     &d->ifindex, "made_clsact", &made);
	if (r == 0)
		r = field_copy(d->name, sizeof d->name, name, "raw result: device", e);
	if (r == 0 && d->ifindex <= 0)
		r = err_set(e, -EBADMSG, "raw result: %d is no ifindex", d->ifindex);
	d->made_clsact = r == 0 && made;
	return r;
}

int raw_result_from_json(const char *json, struct raw_device **ret, size_t *ret_n, struct err *e)
{
	*ret = NULL;
	*ret_n = 0;
	if (!json)
		return 0;
	_cleanup_json_ json_t *j = NULL;
	int r = field_load(json, PAYLOAD_MAX, "raw result", &j, e), version;
	json_t *list = NULL;
	if (r == 0)
		r = field_unpack(j, "raw result", e, "{s:i,s:o!}", "version", &version, "devices",
		                 &list);
	if (r == 0)
		r = check_version(version, "raw result", e);
	if (r < 0)
		return r;
	size_t n = json_array_size(list);
	if (!json_is_array(list) || n > LAYERS_DEVICES_MAX)
		return err_set(e, -EBADMSG, "raw result: devices are no list");
	struct raw_device *v = calloc(n ? n : 1, sizeof *v);
	if (!v)
		return err_set(e, -ENOMEM, "out of memory for a step's result");
	for (size_t i = 0; i < n; i++)
		if ((r = take_raw_device(json_array_get(list, i), &v[i], e)) < 0) {
			free(v);
			return r;
		}
	*ret = v;
	*ret_n = n;
	return 0;
}

int kept_to_json(const struct kept_list *l, char **ret, struct err *e)
{
	_cleanup_json_ json_t *list = json_array();
	for (size_t i = 0; list && i < l->n; i++) {
		json_t *row = json_pack("{s:i,s:I}", "ifindex", l->v[i].ifindex, "prog_id",
		                        (json_int_t)l->v[i].prog_id);
		if (json_array_append_new(list, row) < 0)
			return err_set(e, -ENOMEM, "out of memory for a step's result");
	}
	_cleanup_json_ json_t *j =
	    json_pack("{s:i,s:s,s:O}", "version", VERSION, "boot", l->boot, "kept", list);
	return dump(j, ret, e);
}

static int take_kept(json_t *row, struct kept_program *k, struct err *e)
{
	json_int_t id;
	int r = field_unpack(row, "inbound result", e, "{s:i,s:I!}", "ifindex", &k->ifindex,
	                     "prog_id", &id);
	if (r == 0 && (k->ifindex <= 0 || id <= 0 || id >= UINT32_MAX))
		r = err_set(e, -EBADMSG, "inbound result: %d has no program", k->ifindex);
	if (r == 0)
		k->prog_id = (uint32_t)id;
	return r;
}

int kept_from_json(const char *json, struct kept_list *ret, struct err *e)
{
	struct kept_list l = {0};
	_cleanup_json_ json_t *j = NULL;
	int r = json ? field_load(json, PAYLOAD_MAX, "inbound result", &j, e) : 0, version;
	const char *boot;
	json_t *list;
	if (r == 0 && !json) {
		*ret = l;
		return 0;
	}
	if (r == 0)
		r = field_unpack(j, "inbound result", e, "{s:i,s:s,s:o!}", "version", &version,
		                 "boot", &boot, "kept", &list);
	if (r == 0)
		r = check_version(version, "inbound result", e);
	if (r == 0)
		r = field_copy(l.boot, sizeof l.boot, boot, "inbound result: boot", e);
	if (r == 0 && (!json_is_array(list) || json_array_size(list) > KEPT_MAX))
		r = err_set(e, -EBADMSG, "inbound result: programs are no list of at most %d",
		            KEPT_MAX);
	if (r < 0)
		return r;
	l.n = json_array_size(list);
	l.v = calloc(l.n + 1, sizeof *l.v);
	if (!l.v)
		return err_set(e, -ENOMEM, "out of memory for a step's result");
	for (size_t i = 0; r == 0 && i < l.n; i++)
		r = take_kept(json_array_get(list, i), &l.v[i], e);
	if (r < 0)
		free(l.v);
	else
		*ret = l;
	return r;
}
