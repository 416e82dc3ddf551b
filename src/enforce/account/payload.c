/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Payloads as JSON. Names and values may hold any byte: they stand there in hexadecimal. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/account/parts.h"
#include "model/field.h"

#define VERSION     1
#define PAYLOAD_MAX (2u << 20)

static void json_unrefp(json_t **j)
{
	json_decref(*j);
}
#define _cleanup_json_ __attribute__((cleanup(json_unrefp)))

static json_t *hex(const char *s)
{
	size_t n = strlen(s);
	char *text = malloc(2 * n + 1);
	json_t *j = text ? json_string(hex_encode((const uint8_t *)s, n, text)) : NULL;
	free(text);
	return j;
}

static int unhex(const char *from, char *dst, size_t n, struct err *e)
{
	const size_t digits = strlen(from), len = digits / 2;
	if (len >= n || hex_decode(from, (uint8_t *)dst, len) < 0 || memchr(dst, 0, len))
		return err_set(e, -EBADMSG, "account: a value that stanch does not make");
	dst[len] = '\0';
	return 0;
}

static int dump(json_t *all, char **ret, struct err *e)
{
	char *out = all ? field_dump(all) : NULL;
	if (!out)
		return err_set(e, -ENOMEM, "out of memory for a step's payload");
	*ret = out;
	return 0;
}

static json_t *rows_json(const char *key, json_t *rows, json_t *more, int bad)
{
	json_t *all = bad ? NULL : json_pack("{s:i, s:O}", "version", VERSION, key, rows);
	if (all && more && json_object_set(all, "before", more) < 0) {
		json_decref(all);
		all = NULL;
	}
	return all;
}

/* --- fields --- */

int fields_to_json(const struct fields *f, char **ret, struct err *e)
{
	_cleanup_json_ json_t *rows = json_array();
	_cleanup_json_ json_t *before = json_array();
	int bad = 0;
	for (size_t i = 0; i < f->edits.n; i++) {
		const struct edit *x = &f->edits.v[i];
		bad |= json_array_append_new(rows, json_pack("{s:s, s:i, s:o, s:o, s:o}", "file",
		                                             passwd_file_str(x->file), "column",
		                                             x->column, "name", hex(x->name), "was",
		                                             hex(x->was), "now", hex(x->now)));
	}
	for (size_t i = 0; i < FIELD_FILES; i++)
		bad |= json_array_append_new(before, json_pack("{s:s, s:I, s:I}", "sha256",
		                                               f->before[i].sha256, "sec",
		                                               (json_int_t)f->before[i].sec, "nsec",
		                                               (json_int_t)f->before[i].nsec));
	_cleanup_json_ json_t *all = rows_json("edits", rows, before, bad);
	return dump(all, ret, e);
}

static int take_edit(json_t *row, struct edits *s, struct err *e)
{
	const char *file, *name, *was, *now;
	char v[3][EDIT_VALUE_MAX];
	int column;
	int r = field_unpack(row, "account: field", e, "{s:s, s:i, s:s, s:s, s:s!}", "file", &file,
	                     "column", &column, "name", &name, "was", &was, "now", &now);
	if (r == 0)
		r = unhex(name, v[0], sizeof v[0], e);
	if (r == 0)
		r = unhex(was, v[1], sizeof v[1], e);
	if (r == 0)
		r = unhex(now, v[2], sizeof v[2], e);
	int kind = r == 0 ? passwd_file_parse(file) : -1;
	if (r == 0 && (kind < 0 || kind >= FIELD_FILES || column < EDIT_LINE ||
	               column >= PASSWD_FIELDS_MAX || column == PASSWD_NAME))
		r = err_set(e, -EBADMSG, "account: a field that stanch does not change");
	return r < 0 ? r : edits_add(s, (enum passwd_file)kind, column, v[0], v[1], v[2], e);
}

static int take_before(json_t *row, struct file_before *ret, struct err *e)
{
	const char *sha;
	json_int_t sec, nsec;
	int r = field_unpack(row, "account: before", e, "{s:s, s:I, s:I!}", "sha256", &sha, "sec",
	                     &sec, "nsec", &nsec);
	if (r == 0)
		r = field_copy(ret->sha256, sizeof ret->sha256, sha, "account: hash", e);
	if (r == 0 && (nsec < 0 || nsec > 999999999))
		r = err_set(e, -EBADMSG, "account: a time that is none");
	if (r == 0) {
		ret->sec = sec;
		ret->nsec = nsec;
	}
	return r;
}

static int load(const char *json, const char *key, json_t **ret_all, json_t **ret_rows, size_t max,
                json_t **ret_before, struct err *e)
{
	int version = 0;
	int r = field_load(json, PAYLOAD_MAX, "account: payload", ret_all, e);
	if (r == 0 && ret_before)
		r = field_unpack(*ret_all, "account: payload", e, "{s:i, s:o, s:o!}", "version",
		                 &version, key, ret_rows, "before", ret_before);
	else if (r == 0)
		r = field_unpack(*ret_all, "account: payload", e, "{s:i, s:o!}", "version",
		                 &version, key, ret_rows);
	if (r == 0 && (version != VERSION || json_array_size(*ret_rows) > max ||
	               (ret_before && json_array_size(*ret_before) != FIELD_FILES)))
		r = err_set(e, -EBADMSG, "account: a payload that stanch does not make");
	return r;
}

int fields_from_json(const char *json, struct fields *ret, struct err *e)
{
	_cleanup_json_ json_t *all = NULL;
	json_t *rows = NULL, *before = NULL;
	int r = load(json, "edits", &all, &rows, EDITS_MAX, &before, e);
	for (size_t i = 0; r == 0 && i < json_array_size(rows); i++)
		r = take_edit(json_array_get(rows, i), &ret->edits, e);
	for (size_t i = 0; r == 0 && i < FIELD_FILES; i++)
		r = take_before(json_array_get(before, i), &ret->before[i], e);
	return r;
}

/* --- places --- */

void places_free(struct places *p)
{
	free(p->v);
	*p = (struct places){0};
}

int places_to_json(const struct places *p, char **ret, struct err *e)
{
	_cleanup_json_ json_t *rows = json_array();
	int bad = 0;
	for (size_t i = 0; i < p->n; i++) {
		const struct place *x = &p->v[i];
		bad |= json_array_append_new(
		    rows, json_pack("{s:o, s:o, s:s, s:s, s:i, s:i, s:i}", "path", hex(x->path),
		                    "to", hex(x->to), "what", x->what, "sha256", x->sha256, "uid",
		                    (int)x->uid, "gid", (int)x->gid, "mode", (int)x->mode));
	}
	_cleanup_json_ json_t *all = rows_json("places", rows, NULL, bad);
	return dump(all, ret, e);
}

static int take_place(json_t *row, struct place *x, struct err *e)
{
	const char *path, *to, *what, *sha;
	int uid, gid, mode;
	int r = field_unpack(row, "account: place", e, "{s:s, s:s, s:s, s:s, s:i, s:i, s:i!}",
	                     "path", &path, "to", &to, "what", &what, "sha256", &sha, "uid", &uid,
	                     "gid", &gid, "mode", &mode);
	if (r == 0)
		r = unhex(path, x->path, sizeof x->path, e);
	if (r == 0)
		r = unhex(to, x->to, sizeof x->to, e);
	if (r == 0)
		r = field_copy(x->what, sizeof x->what, what, "account: what", e);
	if (r == 0)
		r = field_copy(x->sha256, sizeof x->sha256, sha, "account: hash", e);
	if (r == 0 && (!path_ok(x->path) || !path_ok(x->to)))
		r = err_set(e, -EBADMSG, "account: a path that stanch does not make");
	x->uid = r == 0 ? (unsigned)uid : 0;
	x->gid = r == 0 ? (unsigned)gid : 0;
	x->mode = r == 0 ? (unsigned)mode : 0;
	return r;
}

int places_from_json(const char *json, struct places *ret, struct err *e)
{
	_cleanup_json_ json_t *all = NULL;
	json_t *rows = NULL;
	int r = load(json, "places", &all, &rows, PLACES_MAX, NULL, e);
	if (r == 0 && !(ret->v = calloc(json_array_size(rows) + 1, sizeof *ret->v)))
		r = err_set(e, -ENOMEM, "out of memory for a step's payload");
	for (size_t i = 0; r == 0 && i < json_array_size(rows); i++)
		r = take_place(json_array_get(rows, i), &ret->v[ret->n++], e);
	return r;
}
