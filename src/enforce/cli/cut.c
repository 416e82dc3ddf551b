/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enforce/cli/cut.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "enforce/point_payload.h"
#include "model/field.h"

#define VERSION      1
#define PAYLOAD_MAX  (1u << 20)
#define ENTRY_MAX    1024
#define BINDINGS_MAX 1024
#define ROWS_MAX     100000

void cli_cut_free(struct cli_cut *c)
{
	if (!c)
		return;
	free(c->prefixes);
	free(c->permits);
	memset(c, 0, sizeof *c);
}

/* --- texts --- */

void cli_texts_free(struct cli_texts *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->v[i]);
	free(t->v);
	*t = (struct cli_texts){0};
}

int cli_texts_add(struct cli_texts *t, const char *text, struct err *e)
{
	char **v = reallocarray(t->v, t->n + 1, sizeof *v);
	char *copy = v ? strdup(text) : NULL;
	if (v)
		t->v = v;
	if (!copy)
		return err_set(e, -ENOMEM, "out of memory");
	v[t->n++] = copy;
	return 0;
}

bool cli_texts_has(const struct cli_texts *t, const char *text)
{
	for (size_t i = 0; t && i < t->n; i++)
		if (!strcmp(t->v[i], text))
			return true;
	return false;
}

/* --- entries --- */

bool cli_family_known(const struct device *d, enum addr_family f)
{
	const char *families = device_get(d, "entry.families", 0);
	return strchr(families, f == ADDR_V4 ? '4' : '6') != NULL;
}

const char *cli_mask(const struct prefix *p, bool inverted, char dst[static ADDR_STR_MAX])
{
	uint32_t mask = p->len ? ~0u << (32 - p->len) : 0;
	if (inverted)
		mask = ~mask;
	uint8_t bytes[4] = {(uint8_t)(mask >> 24), (uint8_t)(mask >> 16), (uint8_t)(mask >> 8),
	                    (uint8_t)mask};
	struct addr a = addr_v4(bytes);
	return addr_str(&a, dst);
}

void cli_object(const struct cli_cut *c, size_t i, char dst[static 64])
{
	snprintf(dst, 64, "\"%s-a%zu\"", c->tag, i + 1);
}

struct writing {
	const struct device *d;
	const struct cli_cut *c;
	struct cli_texts *out;
};

/* One side of an entry. object: "" where the side is no object of ours. */
static int side(const struct writing *w, const struct prefix *p, const char *object,
                struct buf *out, struct err *e)
{
	char address[ADDR_STR_MAX], mask[ADDR_STR_MAX], wildcard[ADDR_STR_MAX], length[8];
	bool whole = p->len == addr_bits(&p->addr), v4 = p->addr.family == ADDR_V4;
	struct device_vars v = {.address = addr_str(&p->addr, address),
	                        .mask = v4 ? cli_mask(p, false, mask) : NULL,
	                        .wildcard = v4 ? cli_mask(p, true, wildcard) : NULL,
	                        .length = length,
	                        .object = *object ? object : NULL};
	snprintf(length, sizeof length, "%u", p->len);
	const char *template = device_get(w->d,
	                                  whole ? "entry.host"
	                                  : v4  ? "entry.net4"
	                                        : "entry.net6",
	                                  0);
	return template ? device_expand(template, &v, out, e)
	                : err_set(e, -EOPNOTSUPP, "the device cannot name the prefix %s/%u",
	                          address, p->len);
}

static int port(const struct writing *w, uint16_t number, struct buf *out, struct err *e)
{
	char text[8];
	const char *template = device_get(w->d, "entry.port", 0);
	if (!number)
		return 0;
	snprintf(text, sizeof text, "%u", number);
	return template ? device_expand(template, &(struct device_vars){.port = text}, out, e)
	                : err_set(e, -EOPNOTSUPP, "the device cannot name ports");
}

static int write_entry(const struct writing *w, const char *key, const struct device_vars *of,
                       struct err *e)
{
	struct buf text = BUF_INIT(ENTRY_MAX);
	struct device_vars v = *of;
	char n[16];
	snprintf(n, sizeof n, "%zu", w->out->n + 1);
	v.n = n;
	v.tag = w->c->tag;
	int r = w->out->n < CLI_ENTRIES_MAX
	            ? device_expand(device_get(w->d, key, 0), &v, &text, e)
	            : err_set(e, -E2BIG, "the order comes to more than %d entries in one list",
	                      CLI_ENTRIES_MAX);
	if (r == 0)
		r = cli_texts_add(w->out, buf_str(&text), e);
	buf_free(&text);
	return r;
}

static int write_deny(const struct writing *w, size_t i, bool from, struct err *e)
{
	struct buf here = BUF_INIT(ENTRY_MAX);
	char object[64] = "";
	if (device_get(w->d, "object.create", 0))
		cli_object(w->c, i, object);
	int r = side(w, &w->c->prefixes[i], object, &here, e);
	const char *any = device_get(w->d, "entry.any", 0);
	struct device_vars v = {.source = from ? buf_str(&here) : any,
	                        .destination = from ? any : buf_str(&here)};
	if (r == 0)
		r = write_entry(w, "entry.deny", &v, e);
	buf_free(&here);
	return r;
}

/* out: the prefix sends. */
static int write_permit(const struct writing *w, const struct prefix *near, const struct permit *m,
                        const char *proto, bool out, struct err *e)
{
	struct buf a = BUF_INIT(ENTRY_MAX), b = BUF_INIT(ENTRY_MAX), pa = BUF_INIT(64),
	           pb = BUF_INIT(64);
	int r = side(w, near, "", &a, e);
	if (r == 0)
		r = side(w, &m->peer, "", &b, e);
	if (r == 0)
		r = port(w, m->local_port, &pa, e);
	if (r == 0)
		r = port(w, m->peer_port, &pb, e);
	struct buf *s = out ? &a : &b, *d = out ? &b : &a, *sp = out ? &pa : &pb,
	           *dp = out ? &pb : &pa;
	struct device_vars v = {.protocol = proto,
	                        .source = buf_str(s),
	                        .destination = buf_str(d),
	                        .source_port = buf_str(sp),
	                        .destination_port = buf_str(dp)};
	if (r == 0)
		r = write_entry(w, "entry.permit", &v, e);
	buf_free(&a);
	buf_free(&b);
	buf_free(&pa);
	buf_free(&pb);
	return r;
}

/* Protocols of a permit, as devices call them; the number of them. */
static size_t protocols(const struct permit *m, const char *names[2])
{
	if (m->proto == IPPROTO_TCP || m->proto == IPPROTO_UDP) {
		names[0] = m->proto == IPPROTO_TCP ? "tcp" : "udp";
		return 1;
	}
	names[0] = m->local_port || m->peer_port ? "tcp" : "ip";
	names[1] = "udp";
	return m->local_port || m->peer_port ? 2 : 1;
}

static int write_permits(const struct writing *w, const struct prefix *near, struct err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < w->c->n_permits; i++) {
		const struct permit *m = &w->c->permits[i];
		const char *names[2];
		size_t n = protocols(m, names);
		for (size_t k = 0; m->peer.addr.family == near->addr.family && k < 2 * n && r == 0;
		     k++)
			r = write_permit(w, near, m, names[k / 2], k % 2 == 0, e);
	}
	return r;
}

int cli_entries(const struct device *d, const struct cli_cut *c, struct cli_texts *ret,
                struct err *e)
{
	struct writing w = {d, c, ret};
	int r = 0;
	if (c->n_permits && !device_get(d, "entry.permit", 0))
		return err_set(
		    e, -EOPNOTSUPP,
		    "this kind of device has no description of permits: --keep cannot be "
		    "honoured here");
	for (size_t i = 0; r == 0 && i < c->n_prefixes; i++)
		if (cli_family_known(d, c->prefixes[i].addr.family))
			r = write_permits(&w, &c->prefixes[i], e);
	ret->n_permits = ret->n;
	for (size_t i = 0; r == 0 && i < 2 * c->n_prefixes; i++)
		if (cli_family_known(d, c->prefixes[i / 2].addr.family))
			r = write_deny(&w, i / 2, i % 2 == 0, e);
	if (r < 0)
		cli_texts_free(ret);
	return r;
}

/* --- what a device shows --- */

void cli_rows_free(struct cli_rows *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->v[i].text);
	free(r->v);
	*r = (struct cli_rows){0};
}

static int add_row(struct cli_rows *rows, long number, const char *text, struct err *e)
{
	if (rows->n >= ROWS_MAX)
		return err_set(e, -E2BIG, "the list has more than %d entries", ROWS_MAX);
	struct cli_row *v = reallocarray(rows->v, rows->n + 1, sizeof *v);
	char *copy = v ? strdup(text) : NULL;
	if (v)
		rows->v = v;
	if (!copy)
		return err_set(e, -ENOMEM, "out of memory");
	v[rows->n++] = (struct cli_row){number, copy};
	return 0;
}

/* Blanks are one blank, and none at the ends; a count of matches at the end is none of the entry.
 */
static void squeeze(const struct device *d, char *s)
{
	struct device_match m;
	char *to = s;
	if (device_fits(d, "entries.matches", s, &m))
		s[strlen(s) - strlen(m.group[0])] = 0;
	for (const char *p = s; *p; p++)
		if (*p != ' ' || (to > s && p[1] && p[1] != ' '))
			*to++ = *p;
	while (to > s && to[-1] == ' ')
		to--;
	*to = 0;
}

struct rows_parsing {
	const struct device *d;
	struct cli_rows *rows;
	bool in_block;
	long number;
	struct buf block;
};

static int row_line(struct rows_parsing *p, const char *line, struct err *e)
{
	struct device_match m;
	long number_at = device_number(p->d, "entries.number"),
	     text_at = device_number(p->d, "entries.text");
	if (!device_fits(p->d, "entries.entry", line, &m))
		return 0;
	char *text = m.group[text_at ? text_at : 1];
	squeeze(p->d, text);
	return add_row(p->rows, number_at ? strtol(m.group[number_at], NULL, 10) : 0, text, e);
}

static int block_line(struct rows_parsing *p, const char *line, struct err *e)
{
	struct device_match m;
	char text[512];
	if (device_fits(p->d, "entries.begin", line, &m)) {
		buf_reset(&p->block);
		p->in_block = true;
		p->number = strtol(m.group[1], NULL, 10);
	} else if (p->in_block && device_fits(p->d, "entries.end", line, NULL)) {
		p->in_block = false;
		return add_row(p->rows, p->number, buf_str(&p->block), e);
	} else if (p->in_block && !device_fits(p->d, "entries.ignore", line, NULL)) {
		snprintf(text, sizeof text, "%s", line);
		squeeze(p->d, text);
		buf_addf(&p->block, "%s%s", p->block.len ? "; " : "", text);
	}
	return 0;
}

/* Calls f for each line. */
static int each_line(const char *shown, int (*f)(void *, const char *, struct err *), void *arg,
                     struct err *e)
{
	char line[4096];
	int r = 0;
	while (r == 0 && *shown) {
		size_t n = strcspn(shown, "\n");
		snprintf(line, sizeof line, "%.*s", (int)(n < sizeof line ? n : sizeof line - 1),
		         shown);
		r = f(arg, line, e);
		shown += n + (shown[n] == '\n');
	}
	return r;
}

static int take_row(void *arg, const char *line, struct err *e)
{
	struct rows_parsing *p = arg;
	return device_get(p->d, "entries.begin", 0) ? block_line(p, line, e) : row_line(p, line, e);
}

int cli_rows_parse(const struct device *d, const char *shown, struct cli_rows *ret, struct err *e)
{
	struct rows_parsing p = {.d = d, .rows = ret, .block = BUF_INIT(64u << 10)};
	int r = each_line(shown, take_row, &p, e);
	buf_free(&p.block);
	if (r < 0)
		cli_rows_free(ret);
	return r;
}

struct binding_parsing {
	const struct device *d;
	char at[CLI_NAME_MAX];
	struct cli_binding *v;
	size_t n;
};

static int take_binding(void *arg, const char *line, struct err *e)
{
	struct binding_parsing *p = arg;
	struct device_match m;
	const char *unset = device_get(p->d, "lists.unset", 0);
	long list = device_number(p->d, "lists.list"), at = device_number(p->d, "lists.interface");
	if (device_fits(p->d, "lists.at", line, &m))
		snprintf(p->at, sizeof p->at, "%.*s", CLI_NAME_MAX - 1, m.group[1]);
	if (!device_fits(p->d, "lists.bound", line, &m))
		return 0;
	const char *name = m.group[list ? list : 1];
	if (unset && !strcmp(name, unset))
		return 0;
	if (!point_name_is_plain(name, "") || strlen(name) >= CLI_NAME_MAX || p->n >= BINDINGS_MAX)
		return err_set(e, -EBADMSG,
		               "the device shows a list with a name that is none: \"%.40s\"", name);
	struct cli_binding *v = reallocarray(p->v, p->n + 1, sizeof *v);
	if (!v)
		return err_set(e, -ENOMEM, "out of memory");
	p->v = v;
	snprintf(v[p->n].list, CLI_NAME_MAX, "%.*s", CLI_NAME_MAX - 1, name);
	snprintf(v[p->n].interface, CLI_NAME_MAX, "%.*s", CLI_NAME_MAX - 1,
	         at ? m.group[at] : p->at);
	p->n++;
	return 0;
}

int cli_bindings_parse(const struct device *d, const char *shown, struct cli_binding **ret,
                       size_t *ret_n, struct err *e)
{
	struct binding_parsing p = {.d = d};
	int r = each_line(shown, take_binding, &p, e);
	if (r < 0) {
		free(p.v);
		return r;
	}
	*ret = p.v;
	*ret_n = p.n;
	return 0;
}

/* The index of text; t->n: it is none of them. */
static size_t index_of(const struct cli_texts *t, const char *text)
{
	size_t i = 0;
	while (i < t->n && strcmp(t->v[i], text) != 0)
		i++;
	return i;
}

void cli_compare(const struct cli_rows *rows, const struct cli_texts *want,
                 const struct cli_texts *others, struct cli_reading *ret)
{
	bool front = true, denied = false;
	*ret = (struct cli_reading){0};
	for (size_t k = 0; k < rows->n; k++) {
		size_t i = index_of(want, rows->v[k].text);
		bool ours = i < want->n;
		front &= ours || cli_texts_has(others, rows->v[k].text);
		ret->there += ours;
		ret->in_place += ours && front && !(denied && i < want->n_permits);
		denied |= ours && i >= want->n_permits;
	}
}

/* --- payload --- */

int cli_cut_to_json(const struct cli_cut *c, char **ret, struct err *e)
{
	_cleanup_json_ json_t *prefixes = point_prefixes_json(c->prefixes, c->n_prefixes);
	_cleanup_json_ json_t *permits = point_permits_json(c->permits, c->n_permits);
	_cleanup_json_ json_t *lists = json_array();
	bool bad = !prefixes || !permits;
	for (size_t i = 0; i < c->n_lists; i++)
		bad |= json_array_append_new(lists, json_string(c->lists[i])) < 0;
	_cleanup_json_ json_t *all =
	    bad ? NULL
	        : json_pack("{s:i, s:s, s:O, s:O, s:O}", "version", VERSION, "tag", c->tag,
	                    "prefixes", prefixes, "permits", permits, "lists", lists);
	char *out = all ? field_dump(all) : NULL;
	if (!out)
		return err_set(e, -ENOMEM, "out of memory for a step's payload");
	*ret = out;
	return 0;
}

static int take_lists(json_t *lists, struct cli_cut *c, struct err *e)
{
	int r = json_array_size(lists) == 0 || json_array_size(lists) > CLI_LISTS_MAX
	            ? err_set(e, -EBADMSG, "cli: a payload has no lists, or too many")
	            : 0;
	for (size_t i = 0; r == 0 && i < json_array_size(lists); i++) {
		const char *text = json_string_value(json_array_get(lists, i));
		if (!text || !point_name_is_plain(text, "") || strlen(text) >= CLI_NAME_MAX)
			r = err_set(e, -EBADMSG, "cli: a list's name is none");
		else
			strcpy(c->lists[c->n_lists++], text);
	}
	return r;
}

int cli_cut_from_json(const char *json, struct cli_cut *ret, struct err *e)
{
	_cleanup_json_ json_t *all = NULL;
	json_t *prefixes, *permits, *lists;
	struct cli_cut c = {0};
	const char *tag;
	int version;
	int r = field_load(json, PAYLOAD_MAX, "cli: payload", &all, e);
	if (r == 0)
		r = field_unpack(all, "cli: payload", e, "{s:i, s:s, s:o, s:o, s:o!}", "version",
		                 &version, "tag", &tag, "prefixes", &prefixes, "permits", &permits,
		                 "lists", &lists);
	if (r == 0)
		r = field_copy(c.tag, sizeof c.tag, tag, "cli: tag", e);
	if (r < 0)
		return r;
	if (version != VERSION || !point_tag_is_ours(tag))
		return err_set(e, -EBADMSG, "cli: a payload that stanch does not make");
	r = point_take_prefixes(prefixes, CLI_PREFIXES_MAX, &c.prefixes, &c.n_prefixes, e);
	if (r == 0)
		r = point_take_permits(permits, &c.permits, &c.n_permits, e);
	if (r == 0)
		r = take_lists(lists, &c, e);
	if (r < 0)
		cli_cut_free(&c);
	else
		*ret = c;
	return r;
}
