/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The reader. Names, values and texts are copied, decoded, into one arena of the input's size, one
 * behind the other, each ended by a NUL: what stood between them in the input (<, =, ", >) leaves
 * room for that.
 */
#include "wire/xml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/table.h"

#define XML_NS "http://www.w3.org/XML/1998/namespace"

struct xml_attr {
	const char *name, *value;
};

struct xml_doc {
	char *arena; /* wiped at the end: an answer may hold keys */
	size_t n_arena;
	struct xml_node *nodes; /* [0] is nobody, [1] the root */
	uint32_t n_nodes, cap_nodes;
	struct xml_attr *attrs;
	uint32_t n_attrs, cap_attrs;
};

struct reader {
	struct cursor c;
	const uint8_t *begin;
	struct xml_doc *d;
	char *at;                         /* the next free byte of the arena */
	uint32_t open;                    /* node; 0: none */
	uint32_t last[XML_DEPTH_MAX + 1]; /* the youngest child at each depth */
	unsigned depth;
	bool in_text; /* of the open element, nothing was put behind it in the arena */
	struct err *e;
};

/* --- errors --- */

static int bad(struct reader *r, const char *what)
{
	size_t line = 1;
	for (const uint8_t *p = r->begin; p < r->c.p; p++)
		line += *p == '\n';
	return err_set(r->e, -EBADMSG, "line %zu of the answer is no XML: %s", line, what);
}

static int no_memory(struct reader *r)
{
	return err_set(r->e, -ENOMEM, "out of memory while reading an answer");
}

/* --- characters --- */

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_name_start(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

static bool is_name(uint8_t c)
{
	return is_name_start(c) || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

/* The production Char of XML 1.0; C1 controls are left out as well: terminals obey them. */
static bool is_char(uint32_t c)
{
	if (c < 0x20)
		return c == '\t' || c == '\n' || c == '\r';
	return (c < 0x7f || c > 0x9f) && (c < 0xd800 || c > 0xdfff) && c != 0xfffe && c != 0xffff &&
	       c <= 0x10ffff;
}

/* The character at p; its length, or 0 where it is none. */
static size_t utf8_take(const uint8_t *p, const uint8_t *end, uint32_t *ret)
{
	static const struct {
		uint8_t mask, lead;
		uint32_t least;
	} forms[] = {{0x80, 0, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
	size_t n = 0;
	while (n < ARRAY_SIZE(forms) && (*p & forms[n].mask) != forms[n].lead)
		n++;
	if (n == ARRAY_SIZE(forms) || (size_t)(end - p) <= n)
		return 0;
	uint32_t c = *p & (uint8_t)~forms[n].mask;
	for (size_t i = 1; i <= n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	*ret = c;
	return c >= forms[n].least && is_char(c) ? n + 1 : 0;
}

static void utf8_put(struct reader *r, uint32_t c)
{
	static const struct {
		uint32_t below;
		uint8_t lead, more;
	} forms[] = {{0x80, 0, 0}, {0x800, 0xc0, 1}, {0x10000, 0xe0, 2}, {0x110000, 0xf0, 3}};
	size_t i = 0;
	while (c >= forms[i].below)
		i++;
	*r->at++ = (char)(forms[i].lead | c >> 6 * forms[i].more);
	for (unsigned k = forms[i].more; k-- > 0;)
		*r->at++ = (char)(0x80 | (c >> 6 * k & 0x3f));
}

static bool looking_at(const struct reader *r, const char *s)
{
	size_t n = strlen(s);
	return cursor_left(&r->c) >= n && !memcmp(r->c.p, s, n);
}

static bool take(struct reader *r, const char *s)
{
	return looking_at(r, s) && cursor_skip(&r->c, strlen(s));
}

static bool skip_space(struct reader *r)
{
	const uint8_t *from = r->c.p;
	while (r->c.p < r->c.end && is_space(*r->c.p))
		r->c.p++;
	return r->c.p > from;
}

/* --- references --- */

static int digit_of(uint8_t c, unsigned base)
{
	int v = c >= '0' && c <= '9'   ? c - '0'
	        : c >= 'a' && c <= 'f' ? c - 'a' + 10
	        : c >= 'A' && c <= 'F' ? c - 'A' + 10
	                               : 99;
	return v < (int)base ? v : -1;
}

static int take_number(struct reader *r, unsigned base)
{
	uint32_t v = 0;
	const uint8_t *from = r->c.p;
	int d;
	for (; r->c.p < r->c.end && (d = digit_of(*r->c.p, base)) >= 0; r->c.p++)
		v = v > 0x10ffff ? v : v * base + (uint32_t)d;
	if (r->c.p == from || !take(r, ";") || !is_char(v))
		return bad(r, "a character reference names no character");
	utf8_put(r, v);
	return 0;
}

/* Behind "&". */
static int take_reference(struct reader *r)
{
	static const struct {
		const char *name;
		char is;
	} entities[] = {{"amp;", '&'}, {"lt;", '<'}, {"gt;", '>'}, {"quot;", '"'}, {"apos;", '\''}};
	if (take(r, "#x"))
		return take_number(r, 16);
	if (take(r, "#"))
		return take_number(r, 10);
	for (size_t i = 0; i < ARRAY_SIZE(entities); i++)
		if (take(r, entities[i].name)) {
			*r->at++ = entities[i].is;
			return 0;
		}
	return bad(r, "an entity that is none of the five, or \"&\" by itself");
}

/* One character as it stands; "\r\n" and "\r" are "\n". */
static int copy_char(struct reader *r)
{
	uint32_t c = 0;
	size_t n = utf8_take(r->c.p, r->c.end, &c);
	if (!n)
		return bad(r, "a byte that is no UTF-8, or a control character");
	if (c == '\r') {
		cursor_skip(&r->c, 1);
		if (!looking_at(r, "\n"))
			*r->at++ = '\n';
		return 0;
	}
	memcpy(r->at, r->c.p, n);
	r->at += n;
	cursor_skip(&r->c, n);
	return 0;
}

/* --- nodes --- */

static int grow(struct reader *r, void *list, uint32_t n, uint32_t *cap, size_t size)
{
	void **v = list;
	if (n < *cap)
		return 0;
	if (n >= XML_NODES_MAX)
		return err_set(r->e, -E2BIG, "an answer has more than %u elements", XML_NODES_MAX);
	uint32_t more = *cap ? *cap * 2 : 64;
	void *p = reallocarray(*v, more, size);
	if (!p)
		return no_memory(r);
	*v = p;
	*cap = more;
	return 0;
}

static int open_node(struct reader *r)
{
	struct xml_doc *d = r->d;
	if (r->depth >= XML_DEPTH_MAX)
		return err_set(r->e, -E2BIG, "an answer is nested deeper than %d elements",
		               XML_DEPTH_MAX);
	int x = grow(r, &d->nodes, d->n_nodes, &d->cap_nodes, sizeof *d->nodes);
	if (x < 0)
		return x;
	uint32_t id = d->n_nodes++, *last = &r->last[r->depth];
	d->nodes[id] = (struct xml_node){
	    .doc = d, .text = "", .prefix = "", .parent = r->open, .attr = d->n_attrs};
	if (*last)
		d->nodes[*last].next = id;
	else if (r->open)
		d->nodes[r->open].child = id;
	*last = id;
	r->open = id;
	r->last[++r->depth] = 0;
	r->in_text = false;
	return 0;
}

static struct xml_node *node(struct reader *r)
{
	return &r->d->nodes[r->open];
}

/* A name without a colon, into the arena, ended. */
static int take_part(struct reader *r, const char **ret)
{
	*ret = r->at;
	if (r->c.p == r->c.end || !is_name_start(*r->c.p))
		return bad(r, "a name was to come");
	while (r->c.p < r->c.end && is_name(*r->c.p)) {
		int x = copy_char(r);
		if (x < 0)
			return x;
	}
	*r->at++ = 0;
	return 0;
}

static int take_name(struct reader *r, const char **ret_prefix, const char **ret)
{
	const char *first;
	*ret_prefix = "";
	int x = take_part(r, &first);
	if (x < 0 || !take(r, ":")) {
		*ret = first;
		return x;
	}
	*ret_prefix = first;
	return take_part(r, ret);
}

/* --- attributes --- */

static int take_value(struct reader *r, const char **ret)
{
	int x = 0;
	char quote[2] = {looking_at(r, "'") ? '\'' : '"', 0};
	if (!take(r, quote))
		return bad(r, "an attribute without quotes");
	*ret = r->at;
	while (x == 0 && !take(r, quote)) {
		if (r->c.p == r->c.end || *r->c.p == '<')
			return bad(r, "a value that does not end");
		char *from = r->at;
		if (take(r, "&"))
			x = take_reference(r);
		else if ((x = copy_char(r)) == 0 && r->at > from && is_space((uint8_t)*from))
			*from = ' ';
	}
	*r->at++ = 0;
	return x;
}

static int take_attr(struct reader *r)
{
	struct xml_doc *d = r->d;
	const char *prefix = "", *local = "";
	struct xml_attr a = {0};
	int x = grow(r, &d->attrs, d->n_attrs, &d->cap_attrs, sizeof *d->attrs);
	if (x == 0)
		x = take_name(r, &prefix, &local);
	if (x < 0)
		return x;
	/* Attributes are looked for as they are written, so the two parts are joined again. */
	a.name = *prefix ? prefix : local;
	if (*prefix)
		r->at[-(ptrdiff_t)(strlen(local) + 2)] = ':';
	skip_space(r);
	if (!take(r, "="))
		return bad(r, "an attribute without a value");
	skip_space(r);
	x = take_value(r, &a.value);
	for (uint32_t i = node(r)->attr; x == 0 && i < d->n_attrs; i++)
		if (!strcmp(d->attrs[i].name, a.name))
			return bad(r, "an attribute twice");
	if (x < 0)
		return x;
	if (node(r)->n_attrs++ >= XML_ATTRS_MAX)
		return bad(r, "an element with more attributes than it may have");
	d->attrs[d->n_attrs++] = a;
	return 0;
}

static const char *ns_of(const struct xml_node *n, const char *prefix)
{
	char want[80];
	if (!strcmp(prefix, "xml"))
		return XML_NS;
	if (strlen(prefix) > sizeof want - 8)
		return NULL;
	strcpy(want, *prefix ? "xmlns:" : "xmlns");
	strcat(want, prefix);
	for (;; n = &n->doc->nodes[n->parent]) {
		const char *v = xml_attr(n, want);
		if (v)
			return v;
		if (!n->parent)
			return *prefix ? NULL : "";
	}
}

static int check_prefixes(struct reader *r)
{
	const struct xml_node *n = node(r);
	const char *ns = *n->prefix ? ns_of(n, n->prefix) : "is none";
	return ns && *ns ? 0 : bad(r, "a prefix that nothing declares");
}

/* --- elements --- */

static void close_node(struct reader *r)
{
	if (r->in_text)
		*r->at++ = 0;
	r->in_text = false;
	r->open = node(r)->parent;
	r->depth--;
}

/* Behind "<". */
static int take_open(struct reader *r)
{
	const char *prefix = "", *name = "";
	if (r->in_text)
		*r->at++ = 0;
	if (!r->open && r->d->n_nodes > 1)
		return bad(r, "something behind the end");
	int x = open_node(r);
	if (x == 0)
		x = take_name(r, &prefix, &name);
	if (x < 0)
		return x;
	node(r)->prefix = prefix;
	node(r)->name = name;
	bool spaced = skip_space(r), empty = false;
	while (!(empty = take(r, "/>")) && !take(r, ">")) {
		if (!spaced)
			return bad(r, "a tag that does not end");
		if ((x = take_attr(r)) < 0)
			return x;
		spaced = skip_space(r);
	}
	x = check_prefixes(r);
	if (x == 0 && empty)
		close_node(r);
	return x;
}

/* Behind "</". */
static int take_close(struct reader *r)
{
	if (!r->open)
		return bad(r, "an end without its beginning");
	const struct xml_node *n = node(r);
	if ((*n->prefix && (!take(r, n->prefix) || !take(r, ":"))) || !take(r, n->name))
		return bad(r, "an end tag that is not the open one's");
	skip_space(r);
	if (!take(r, ">"))
		return bad(r, "an end tag that does not end");
	close_node(r);
	return 0;
}

/* Text behind a child is checked and dropped. */
static int take_text(struct reader *r, bool cdata)
{
	struct xml_node *n = node(r);
	char *from = r->at;
	bool keep = !n->child;
	int x = 0;
	if (keep && !r->in_text)
		n->text = r->at;
	r->in_text |= keep;
	for (;;) {
		if (r->c.p == r->c.end)
			return bad(r, cdata ? "CDATA that does not end" : "it ends too early");
		if (cdata ? looking_at(r, "]]>") : *r->c.p == '<')
			break;
		if (!cdata && looking_at(r, "]]>"))
			return bad(r, "\"]]>\" in a text");
		x = !cdata && take(r, "&") ? take_reference(r) : copy_char(r);
		if (x < 0)
			return x;
	}
	if (cdata)
		take(r, "]]>");
	if (!keep)
		r->at = from;
	return 0;
}

/* --- what is skipped --- */

static int skip_until(struct reader *r, const char *end, const char *never)
{
	char *from = r->at;
	int x = 0;
	while (x == 0 && !take(r, end)) {
		if (r->c.p == r->c.end || (never && looking_at(r, never)))
			return bad(r, "a comment or an instruction that does not end");
		x = copy_char(r);
		r->at = from;
	}
	return x;
}

/* Behind "<?": only where it is the very first may it be the declaration. */
static int take_instruction(struct reader *r, bool first)
{
	const uint8_t *from = r->c.p;
	int x = skip_until(r, "?>", NULL);
	size_t n = (size_t)(r->c.p - from);
	if (x < 0 || n < 5 || memcmp(from, "xml", 3) || !is_space(from[3]))
		return x < 0 || (n > 2 && is_name_start(*from))
		           ? x
		           : bad(r, "an instruction to nobody");
	if (!first)
		return bad(r, "an XML declaration that is not at the beginning");
	const char *enc = memmem(from, n, "encoding", 8);
	if (!enc)
		return 0;
	size_t left = n - (size_t)(enc - (const char *)from);
	static const char *const known[] = {"UTF-8", "utf-8", "US-ASCII", "us-ascii"};
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (memmem(enc, left, known[i], strlen(known[i])))
			return 0;
	return bad(r, "an encoding that is not UTF-8");
}

static int take_outside(struct reader *r)
{
	return skip_space(r) ? 0 : bad(r, "text outside of the element");
}

static int take_markup(struct reader *r, bool first)
{
	if (take(r, "</"))
		return take_close(r);
	if (take(r, "<?"))
		return take_instruction(r, first);
	if (take(r, "<!--"))
		return skip_until(r, "-->", "--");
	if (r->open && take(r, "<![CDATA["))
		return take_text(r, true);
	if (take(r, "<!"))
		return bad(r, "a document type, which is not read");
	take(r, "<");
	return take_open(r);
}

static int read_all(struct reader *r)
{
	bool first = true;
	int x = 0;
	take(r, "\xef\xbb\xbf");
	while (x == 0 && r->c.p < r->c.end) {
		if (*r->c.p == '<')
			x = take_markup(r, first);
		else
			x = r->open ? take_text(r, false) : take_outside(r);
		first = false;
	}
	if (x == 0 && (r->open || r->d->n_nodes < 2))
		x = bad(r, "it ends too early");
	return x;
}

int xml_parse(const void *bytes, size_t n, struct xml_doc **ret, struct err *e)
{
	struct reader r = {.c = cursor_of(bytes, n), .begin = bytes, .e = e};
	if (n > XML_SIZE_MAX)
		return err_set(e, -E2BIG, "an answer of %zu bytes is more than is read (%u)", n,
		               XML_SIZE_MAX);
	r.d = calloc(1, sizeof *r.d);
	if (!r.d)
		return no_memory(&r);
	r.d->arena = r.at = malloc(n + 1);
	r.d->n_arena = r.at ? n + 1 : 0;
	r.d->n_nodes = 1;
	int x =
	    r.at ? grow(&r, &r.d->nodes, 0, &r.d->cap_nodes, sizeof *r.d->nodes) : no_memory(&r);
	if (x == 0) {
		r.d->nodes[0] = (struct xml_node){.doc = r.d, .name = "", .text = "", .prefix = ""};
		x = read_all(&r);
	}
	if (x < 0)
		xml_free(r.d);
	else
		*ret = r.d;
	return x;
}

void xml_free(struct xml_doc *d)
{
	if (!d)
		return;
	if (d->arena)
		explicit_bzero(d->arena, d->n_arena);
	free(d->arena);
	free(d->nodes);
	free(d->attrs);
	free(d);
}

/* --- walking --- */

static const struct xml_node *named(const struct xml_doc *d, uint32_t id, const char *name,
                                    size_t n)
{
	for (; id; id = d->nodes[id].next)
		if (!name ||
		    (strlen(d->nodes[id].name) == n && !memcmp(d->nodes[id].name, name, n)))
			return &d->nodes[id];
	return NULL;
}

const struct xml_node *xml_root(const struct xml_doc *d)
{
	return &d->nodes[1];
}

const struct xml_node *xml_child(const struct xml_node *n, const char *name)
{
	return n ? named(n->doc, n->child, name, name ? strlen(name) : 0) : NULL;
}

const struct xml_node *xml_next(const struct xml_node *n, const char *name)
{
	return n ? named(n->doc, n->next, name, name ? strlen(name) : 0) : NULL;
}

const struct xml_node *xml_at(const struct xml_node *n, const char *path)
{
	while (n && *path) {
		size_t len = strcspn(path, "/");
		n = named(n->doc, n->child, path, len);
		path += len + (path[len] == '/');
	}
	return n;
}

const char *xml_text(const struct xml_node *n)
{
	return n ? n->text : "";
}

const char *xml_text_at(const struct xml_node *n, const char *path)
{
	return xml_text(xml_at(n, path));
}

const char *xml_attr(const struct xml_node *n, const char *name)
{
	for (uint32_t i = 0; n && i < n->n_attrs; i++)
		if (!strcmp(n->doc->attrs[n->attr + i].name, name))
			return n->doc->attrs[n->attr + i].value;
	return NULL;
}

const char *xml_ns(const struct xml_node *n)
{
	const char *ns = n ? ns_of(n, n->prefix) : NULL;
	return ns ? ns : "";
}

/* --- writing --- */

int xml_add(struct buf *out, const char *text)
{
	const uint8_t *p = (const uint8_t *)text, *end = p + strlen(text);
	while (p < end) {
		uint32_t c;
		size_t n = utf8_take(p, end, &c);
		if (!n) {
			out->error = out->error ? out->error : -EINVAL;
			return -EINVAL;
		}
		if (c < 0x20 || strchr("&<>\"'", (int)c < 0x80 ? (int)c : ' '))
			buf_addf(out, "&#%u;", (unsigned)c);
		else
			buf_add(out, p, n);
		p += n;
	}
	return out->error;
}
