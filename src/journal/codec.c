/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "journal/codec.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "journal/db.h"
#include "model/field.h"

/* The owned texts of a step: name in JSON and column, and where it stands. */
static const struct {
	const char *name;
	size_t offset;
	int column;
} texts[] = {
    {"forward", offsetof(struct step, forward), 6},
    {"inverse", offsetof(struct step, inverse), 7},
    {"effect", offsetof(struct step, effect), 8},
    {"undo_effect", offsetof(struct step, undo_effect), 9},
    {"no_inverse", offsetof(struct step, no_inverse), 10},
    {"evidence", offsetof(struct step, evidence), 11},
    {"result", offsetof(struct step, result), 12},
    {"problem", offsetof(struct step, problem), 13},
};

static const char *text_of(const struct step *s, size_t i)
{
	return *(char *const *)(const void *)((const char *)s + texts[i].offset);
}

static char **text_slot(struct step *s, size_t i)
{
	return (char **)(void *)((char *)s + texts[i].offset);
}

/* Text from the world need not be UTF-8; JSON must be. */
static json_t *json_text(const char *s)
{
	if (!s)
		return json_null();
	json_t *v = json_string(s);
	if (v)
		return v;
	char *copy = strdup(s);
	for (char *p = copy; p && *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	v = copy ? json_string(copy) : NULL;
	free(copy);
	return v;
}

static char *dump(json_t *o, bool ok)
{
	char *text = o && ok ? field_dump(o) : NULL;
	json_decref(o);
	return text;
}

static bool set(json_t *o, const char *name, json_t *v)
{
	return v && json_object_set_new(o, name, v) == 0;
}

char *codec_step(const struct step *s)
{
	json_t *o = json_object();
	bool ok = o && set(o, "token", json_string(s->token)) &&
	          set(o, "point", json_text(s->point)) && set(o, "kind", json_text(s->kind)) &&
	          set(o, "required", json_boolean(s->required)) &&
	          set(o, "state", json_string(step_state_str(s->state)));
	for (size_t i = 0; ok && i < ARRAY_SIZE(texts); i++)
		ok = set(o, texts[i].name, json_text(text_of(s, i)));
	return dump(o, ok);
}

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

char *codec_step_change(const struct step *was, const struct step *now)
{
	json_t *o = json_object();
	bool ok = o;
	if (ok && was->state != now->state)
		ok = set(o, "state", json_string(step_state_str(now->state)));
	for (size_t i = 0; ok && i < ARRAY_SIZE(texts); i++)
		if (!same(text_of(was, i), text_of(now, i)))
			ok = set(o, texts[i].name, json_text(text_of(now, i)));
	return dump(o, ok);
}

static json_t *notes_json(const struct plan *p)
{
	json_t *notes = json_array();
	for (size_t i = 0; notes && i < p->n_notes; i++) {
		if (json_array_append_new(notes, json_text(p->notes[i])) == 0)
			continue;
		json_decref(notes);
		return NULL;
	}
	return notes;
}

char *codec_plan(const struct plan *p)
{
	json_t *dims = json_object(), *why = json_object(), *o = json_object();
	bool ok = dims && why && o && set(o, "notes", notes_json(p));
	for (size_t d = 0; ok && d < _DIM_MAX; d++) {
		const char *name = dimension_str((enum dimension)d);
		ok = set(dims, name, json_string(dim_state_str(p->dims[d])));
		if (ok && p->dim_reasons[d])
			ok = set(why, name, json_text(p->dim_reasons[d]));
	}
	ok = ok && json_object_set(o, "dims", dims) == 0 &&
	     json_object_set(o, "dim_reasons", why) == 0;
	json_decref(dims);
	json_decref(why);
	return dump(o, ok);
}

/* NULL when out of memory. */
static json_t *text_list(const char lines[][FINDING_REASON_MAX], size_t n)
{
	json_t *list = json_array();
	for (size_t i = 0; list && i < n; i++)
		if (json_array_append_new(list, json_text(lines[i]))) {
			json_decref(list);
			return NULL;
		}
	return list;
}

/* As ADDR:PORT; where there is no one address, as "*" or "*:PORT". */
static const char *end_text(const struct endpoint *e, char dst[static ENDPOINT_STR_MAX])
{
	if (e->addr.family)
		return endpoint_str(e, dst);
	snprintf(dst, ENDPOINT_STR_MAX, e->port ? "*:%u" : "*", e->port);
	return dst;
}

char *codec_finding(const struct finding *f)
{
	char src[ENDPOINT_STR_MAX], dest[ENDPOINT_STR_MAX];
	json_t *reasons = text_list(f->reasons, f->n_reasons);
	json_t *orders = text_list(f->orders, f->n_orders);
	bool ok = reasons && orders;
	json_t *o = json_pack(
	    "{s:s, s:f, s:s, s:s, s:i, s:I, s:I, s:I, s:I}", "kind", finding_kind_str(f->kind),
	    "score", f->score, "src", end_text(&f->src, src), "dest", end_text(&f->dest, dest),
	    "proto", (int)f->proto, "bytes_out", (json_int_t)f->bytes_out, "bytes_in",
	    (json_int_t)f->bytes_in, "first", (json_int_t)f->first, "last", (json_int_t)f->last);
	ok = ok && o && set(o, "benign", json_text(f->benign)) &&
	     set(o, "selector", json_text(f->selector)) && set(o, "domain", json_text(f->domain)) &&
	     (!finding_of_host(f) ||
	      (set(o, "rule", json_text(f->rule)) && set(o, "technique", json_text(f->technique)) &&
	       set(o, "subject", json_text(f->subject)))) &&
	     json_object_set(o, "reasons", reasons) == 0 &&
	     json_object_set(o, "orders", orders) == 0;
	json_decref(reasons);
	json_decref(orders);
	return dump(o, ok);
}

char *codec_texts(const char *name, const char *value, ...)
{
	json_t *o = json_object();
	bool ok = o;
	va_list ap;
	va_start(ap, value);
	while (ok && name) {
		ok = set(o, name, json_text(value));
		name = va_arg(ap, const char *);
		value = name ? va_arg(ap, const char *) : NULL;
	}
	va_end(ap);
	return dump(o, ok);
}

static int read_texts(sqlite3_stmt *row, struct step *s, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const char *t = (const char *)sqlite3_column_text(row, texts[i].column);
		size_t n = (size_t)sqlite3_column_bytes(row, texts[i].column);
		if (!t && sqlite3_column_type(row, texts[i].column) == SQLITE_NULL)
			continue;
		if (t && (n > STEP_PAYLOAD_MAX || strlen(t) != n))
			return err_set(e, -EBADMSG, "step %u of o%u: its %s is not a text we wrote",
			               s->seq, s->order_id, texts[i].name);
		char *copy = t ? strdup(t) : NULL;
		if (!copy)
			return err_set(e, -ENOMEM, "out of memory while reading o%u", s->order_id);
		*text_slot(s, i) = copy;
	}
	return 0;
}

int codec_read_step(sqlite3_stmt *row, unsigned order_id, struct step *ret, struct err *e)
{
	struct step s = {.order_id = order_id, .seq = (unsigned)sqlite3_column_int64(row, 0)};
	const char *token = db_text(row, 1);
	int state = step_state_parse(db_text(row, 5));
	if (strlen(token) != STEP_TOKEN_MAX - 1 ||
	    strspn(token, "0123456789abcdef") != STEP_TOKEN_MAX - 1)
		return err_set(e, -EBADMSG, "step %u of o%u has no valid token", s.seq, order_id);
	if (state < 0)
		return err_set(e, -EBADMSG, "step %u of o%u: state \"%.30s\" is unknown", s.seq,
		               order_id, db_text(row, 5));
	strcpy(s.token, token);
	s.state = (enum step_state)state;
	s.required = sqlite3_column_int(row, 4) != 0;
	int r = field_copy(s.point, sizeof s.point, db_text(row, 2), "point of a step", e);
	if (!r)
		r = field_copy(s.kind, sizeof s.kind, db_text(row, 3), "kind of a step", e);
	if (!r)
		r = read_texts(row, &s, e);
	if (!r && !s.forward)
		r = err_set(e, -EBADMSG, "step %u of o%u says nothing to do", s.seq, order_id);
	if (!r && !s.inverse == !s.no_inverse)
		r = err_set(e, -EBADMSG,
		            "step %u of o%u must have either an inverse or the reason why not",
		            s.seq, order_id);
	if (r)
		step_free(&s);
	else
		*ret = s;
	return r;
}

static int read_dims(json_t *dims, json_t *why, struct plan *p, struct err *e)
{
	const char *key;
	json_t *v;
	json_object_foreach(dims, key, v)
	{
		int d = dimension_parse(key);
		int s = json_is_string(v) ? dim_state_parse(json_string_value(v)) : -EINVAL;
		if (d < 0 || s < 0)
			return err_set(e, -EBADMSG, "plan: dimension \"%.30s\" is unknown", key);
		p->dims[d] = (enum dim_state)s;
	}
	json_object_foreach(why, key, v)
	{
		int d = dimension_parse(key);
		if (d < 0 || !json_is_string(v))
			return err_set(e, -EBADMSG, "plan: dimension \"%.30s\" is unknown", key);
		int r = plan_set_dim(p, (enum dimension)d, p->dims[d], json_string_value(v));
		if (r)
			return err_set(e, r, "out of memory while reading a plan");
	}
	return 0;
}

int codec_read_plan(const char *json, struct plan *ret, struct err *e)
{
	json_t *root, *notes, *dims, *why, *v;
	size_t i;
	struct plan p = {0};
	int r = field_load(json, CODEC_MAX, "plan", &root, e);
	if (r)
		return r;
	r = field_unpack(root, "plan", e, "{s:o, s:o, s:o !}", "notes", &notes, "dims", &dims,
	                 "dim_reasons", &why);
	if (!r && !json_is_array(notes))
		r = err_set(e, -EBADMSG, "plan: notes are not a list");
	if (!r)
		json_array_foreach(notes, i, v)
		{
			const char *t = json_string_value(v);
			if (!r && !t)
				r = err_set(e, -EBADMSG, "plan: a note is not text");
			if (!r && plan_note(&p, "%s", t))
				r = err_set(e, -ENOMEM, "out of memory while reading a plan");
		}
	if (!r)
		r = read_dims(dims, why, &p, e);
	json_decref(root);
	if (r)
		plan_free(&p);
	else
		*ret = p;
	return r;
}

/* list may be NULL: none. */
static int read_lines(json_t *list, const char *what, char lines[][FINDING_REASON_MAX], size_t max,
                      size_t *ret_n, struct err *e)
{
	size_t i;
	json_t *v;
	if (list && (!json_is_array(list) || json_array_size(list) > max))
		return err_set(e, -EBADMSG, "finding: its %s are not a list of at most %zu", what,
		               max);
	*ret_n = json_array_size(list);
	json_array_foreach(list, i, v)
	{
		const char *t = json_string_value(v);
		int r = t ? field_copy(lines[i], FINDING_REASON_MAX, t, what, e) : -EBADMSG;
		if (r)
			return t ? r : err_set(e, r, "finding: one of its %s is not text", what);
	}
	return 0;
}

static int read_end(const char *s, struct endpoint *ret, struct err *e)
{
	char as_any[ENDPOINT_STR_MAX];
	int r;
	if (s[0] != '*')
		return endpoint_parse(s, ret, e);
	*ret = (struct endpoint){0};
	if (!s[1])
		return 0;
	snprintf(as_any, sizeof as_any, "0.0.0.0%.8s", s + 1);
	if ((r = endpoint_parse(as_any, ret, e)) == 0)
		ret->addr = (struct addr){0};
	return r;
}

static int read_ends(const char *src, const char *dest, struct finding *f, struct err *e)
{
	if (read_end(src, &f->src, e) || read_end(dest, &f->dest, e))
		return err_prefix(e, -EBADMSG, "finding");
	return 0;
}

static int read_finding(json_t *root, struct finding *f, struct err *e)
{
	json_t *reasons, *orders = NULL; /* older journals have no orders and no domain */
	const char *kind, *src, *dest, *benign, *selector, *domain = "";
	const char *rule = "", *technique = "", *subject = "";
	json_int_t out, in, first, last;
	int proto;
	int r = field_unpack(root, "finding", e,
	                     "{s:s, s:F, s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:s, s:s, s:o, s?s, "
	                     "s?o, s?s, s?s, s?s !}",
	                     "kind", &kind, "score", &f->score, "src", &src, "dest", &dest, "proto",
	                     &proto, "bytes_out", &out, "bytes_in", &in, "first", &first, "last",
	                     &last, "benign", &benign, "selector", &selector, "reasons", &reasons,
	                     "domain", &domain, "orders", &orders, "rule", &rule, "technique",
	                     &technique, "subject", &subject);
	if (r)
		return r;
	int k = finding_kind_parse(kind);
	if (k < 0 || proto < 0 || proto > 255 || f->score < 0 || f->score > 1)
		return err_set(e, -EBADMSG, "finding: kind, protocol or score is out of range");
	f->kind = (enum finding_kind)k;
	f->proto = (uint8_t)proto;
	f->bytes_out = (uint64_t)out;
	f->bytes_in = (uint64_t)in;
	f->first = (usec_t)first;
	f->last = (usec_t)last;
	r = read_ends(src, dest, f, e);
	const struct {
		char *dst;
		size_t n;
		const char *text, *what;
	} words[] = {
	    {f->benign, sizeof f->benign, benign, "benign"},
	    {f->selector, sizeof f->selector, selector, "selector"},
	    {f->domain, sizeof f->domain, domain, "domain"},
	    {f->rule, sizeof f->rule, rule, "rule"},
	    {f->technique, sizeof f->technique, technique, "technique"},
	    {f->subject, sizeof f->subject, subject, "subject"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(words) && !r; i++)
		r = field_copy(words[i].dst, words[i].n, words[i].text, words[i].what, e);
	if (!r)
		r = read_lines(reasons, "reasons", f->reasons, FINDING_REASONS_MAX, &f->n_reasons,
		               e);
	return r ? r : read_lines(orders, "orders", f->orders, FINDING_ORDERS_MAX, &f->n_orders, e);
}

int codec_read_finding(const char *json, struct finding *ret, struct err *e)
{
	json_t *root;
	struct finding f = {0};
	int r = field_load(json, CODEC_MAX, "finding", &root, e);
	if (r)
		return r;
	r = read_finding(root, &f, e);
	json_decref(root);
	if (!r)
		*ret = f;
	return r;
}
