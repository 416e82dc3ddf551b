/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * STIX 2.1 bundles: the indicators in them, as far as their patterns name addresses or domains.
 *
 * A pattern is taken only when each of its comparisons says by itself that something is bad: joined
 * by OR, or by AND with nothing but the type of the very reference. `[ipv4-addr:value = 'A' AND
 * network-traffic:dst_port = 443]` blames the two together, not the address; such are counted as
 * not for us. Observables in a bundle are what was seen, perhaps the victim's: never taken.
 */
#include "wire/blocklist_json.h"

#include <errno.h>
#include <string.h>

#include "base/table.h"
#include "wire/fwlog_text.h"

#define VALUES_MAX 4096 /* of one pattern */
#define VALUE_MAX  256

int blocklist_json(struct cursor text, json_t **ret, struct err *e)
{
	json_error_t je;
	json_t *j =
	    json_loadb((const char *)text.p, cursor_left(&text), JSON_REJECT_DUPLICATES, &je);
	if (!j)
		return err_set(e, -EBADMSG, "line %d: %.160s", je.line, je.text);
	*ret = j;
	return 0;
}

struct cursor blocklist_member(const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);
	return cursor_of(json_string_value(v), json_string_length(v));
}

void blocklist_note(struct cursor id, struct cursor words, char dst[static BLOCKLIST_NOTE_MAX])
{
	blocklist_copy(id, dst, BLOCKLIST_NOTE_MAX - 1);
	size_t n = strlen(dst);
	if (n && words.p < words.end)
		dst[n++] = ' ';
	blocklist_copy(words, dst + n, BLOCKLIST_NOTE_MAX - n);
}

/* ---- patterns ---- */

enum kind { PART_END, PART_WORD, PART_TEXT, PART_MARK, PART_BAD };

struct part {
	enum kind kind;
	struct cursor c; /* of a text: between its quotes, escapes and all */
};

static bool is_word(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("-_:.*", c));
}

/* A path may have quoted parts: file:hashes.'SHA-256'. */
static const uint8_t *word_end(const uint8_t *p, const uint8_t *end)
{
	for (; p < end && (is_word(*p) || (*p == '\'' && p[-1] == '.')); p++)
		if (*p == '\'') {
			const uint8_t *q = memchr(p + 1, '\'', (size_t)(end - p - 1));
			p = q ? q : end - 1;
		}
	return p;
}

static struct part quoted(struct cursor *c)
{
	const uint8_t *p = c->p + 1;
	while (p < c->end && *p != '\'')
		p += *p == '\\' && p + 1 < c->end ? 2 : 1;
	struct part t = {p < c->end ? PART_TEXT : PART_BAD, {c->p + 1, p < c->end ? p : c->end}};
	c->p = p < c->end ? p + 1 : c->end;
	return t;
}

static struct part next(struct cursor *c)
{
	while (c->p < c->end && *c->p <= ' ')
		c->p++;
	if (c->p == c->end)
		return (struct part){PART_END, *c};
	if (*c->p == '\'')
		return quoted(c);
	const uint8_t *p = c->p;
	if (is_word(*p)) {
		p = word_end(p, c->end);
		struct part t = {PART_WORD, {c->p, p}};
		c->p = p;
		return t;
	}
	p += *p == '!' || *p == '<' || *p == '>' ? 1 : 0;
	p += p < c->end ? 1 : 0;
	struct part t = {PART_MARK, {c->p, p}};
	c->p = p;
	return t;
}

struct pattern {
	struct cursor c;
	char values[VALUES_MAX][VALUE_MAX];
	size_t n;
	unsigned ands, others; /* comparisons that say nothing about addresses */
	bool alone;            /* so far every comparison stands for itself */
	bool bad;
};

static bool among(struct cursor w, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (text_is(w, names[i]))
			return true;
	return false;
}

static void add_value(struct pattern *p, struct cursor v)
{
	size_t n = 0;
	if (p->n == VALUES_MAX || cursor_left(&v) >= VALUE_MAX) {
		p->bad = true;
		return;
	}
	while (v.p < v.end) {
		v.p += *v.p == '\\' && v.p + 1 < v.end;
		p->values[p->n][n++] = (char)*v.p++;
	}
	p->values[p->n++][n] = 0;
}

/* Behind IN: "( 'a', 'b' )". */
static void value_list(struct pattern *p, bool take)
{
	struct part t = next(&p->c);
	if (t.kind != PART_MARK || !text_is(t.c, "(")) {
		p->bad = true;
		return;
	}
	for (;;) {
		t = next(&p->c);
		if (t.kind == PART_TEXT && take)
			add_value(p, t.c);
		else if (t.kind == PART_MARK && text_is(t.c, ")"))
			return;
		else if (t.kind == PART_END || t.kind == PART_BAD)
			break;
	}
	p->bad = true;
}

static bool is_type_of_reference(struct cursor path)
{
	struct cursor before, after;
	return text_split_last(path, '.', &before, &after) && text_is(after, "type") &&
	       text_find(&before, "_ref");
}

static void comparison(struct pattern *p, struct cursor path)
{
	static const char *const usable[] = {"ipv4-addr:value", "ipv6-addr:value",
	                                     "domain-name:value", "network-traffic:dst_ref.value",
	                                     "network-traffic:src_ref.value"};
	bool take = among(path, usable, ARRAY_SIZE(usable));
	struct part op = next(&p->c), v;
	if (op.kind == PART_WORD && text_is(op.c, "NOT")) {
		p->alone = false;
		op = next(&p->c);
	}
	if (!take && !is_type_of_reference(path))
		p->others++;
	if (op.kind == PART_WORD && text_is(op.c, "IN")) {
		value_list(p, take);
		return;
	}
	v = next(&p->c);
	if (take && v.kind == PART_TEXT &&
	    ((op.kind == PART_MARK && text_is(op.c, "=")) ||
	     (op.kind == PART_WORD && text_is(op.c, "ISSUBSET"))))
		add_value(p, v.c);
	else if (take)
		p->alone = false; /* !=, LIKE, MATCHES, …: no address is named */
	p->bad |= v.kind == PART_END || v.kind == PART_BAD;
}

static void read_pattern(struct pattern *p)
{
	p->n = 0;
	p->ands = p->others = 0;
	p->alone = true;
	p->bad = false;
	for (struct part t; (t = next(&p->c)).kind != PART_END;) {
		if (t.kind == PART_BAD || t.kind == PART_TEXT) {
			p->bad = true;
			return;
		}
		if (t.kind != PART_WORD || text_is(t.c, "OR"))
			continue;
		if (text_is(t.c, "AND"))
			p->ands++;
		else if (memchr(t.c.p, ':', cursor_left(&t.c)))
			comparison(p, t.c);
		else
			p->alone = false; /* FOLLOWEDBY, NOT, EXISTS, REPEATS 5 TIMES, WITHIN … */
	}
	if (p->ands && (p->others || p->n > 1))
		p->alone = false;
}

/* ---- indicators ---- */

static bool is_benign(const json_t *indicator)
{
	size_t i;
	json_t *v;
	json_array_foreach(json_object_get(indicator, "indicator_types"), i, v)
	{
		const char *s = json_string_value(v);
		if (s && !strcmp(s, "benign"))
			return true;
	}
	return false;
}

static bool is_over(const struct blocklist_work *w, const json_t *indicator, uint32_t *ret_until)
{
	struct cursor until = blocklist_member(indicator, "valid_until");
	uint32_t from = 0;
	*ret_until = 0;
	if (json_is_true(json_object_get(indicator, "revoked")))
		return true;
	if (blocklist_time(blocklist_member(indicator, "valid_from"), &from) && from > w->now)
		return true;
	return until.p < until.end && blocklist_time(until, ret_until) && *ret_until <= w->now;
}

static void indicator(struct blocklist_work *w, const json_t *v, struct pattern *p)
{
	char note[BLOCKLIST_NOTE_MAX];
	uint32_t until;
	w->stats->rows++;
	struct cursor type = blocklist_member(v, "pattern_type");
	p->c = blocklist_member(v, "pattern");
	if (is_over(w, v, &until)) {
		w->stats->ended++;
		return;
	}
	if (is_benign(v) || (type.p < type.end && !text_is(type, "stix"))) {
		w->stats->not_for_us++;
		return;
	}
	struct cursor whole = p->c;
	read_pattern(p);
	if (p->bad) {
		blocklist_bad(w, whole, "its pattern cannot be read");
		return;
	}
	if (!p->alone || !p->n) {
		w->stats->not_for_us++;
		return;
	}
	blocklist_note(blocklist_member(v, "id"), blocklist_member(v, "name"), note);
	for (size_t i = 0; i < p->n; i++)
		blocklist_put(w, cursor_of(p->values[i], strlen(p->values[i])), until, note);
}

static int walk(struct blocklist_work *w, const json_t *root, struct pattern *p, struct err *e)
{
	const json_t *objects = json_is_array(root) ? root : json_object_get(root, "objects");
	size_t i;
	json_t *v;
	if (!json_is_array(objects))
		return err_set(e, -EBADMSG, "it is no STIX bundle: there are no objects in it");
	blocklist_copy(blocklist_member(root, "id"), w->stats->title, sizeof w->stats->title);
	json_array_foreach(objects, i, v)
	{
		if (text_is(blocklist_member(v, "type"), "indicator"))
			indicator(w, v, p);
	}
	return 0;
}

int blocklist_stix(struct blocklist_work *w, struct cursor text, struct err *e)
{
	json_t *root = NULL;
	struct pattern *p = malloc(sizeof *p);
	int r = p ? blocklist_json(text, &root, e) : err_set(e, -ENOMEM, "out of memory");
	if (r == 0) {
		r = walk(w, root, p, e);
		json_decref(root);
	}
	free(p);
	return r;
}
