/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Invariants
 *  1. A term of ours carries the step's tag, a filter of ours its place; nothing else is ever
 * changed or deleted, but for the binding of our filter.
 *  2. Terms are derived by one function; rendering, describing and comparing walk the same terms.
 */
#include "enforce/junos/cut.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "enforce/point_payload.h"
#include "model/field.h"

#define VERSION         1
#define PAYLOAD_MAX     (4u << 20)
#define OURS            "stanch-"
#define TERM_REST       OURS "rest"
#define DELETE          " nc:operation=\"delete\""
#define FILTER_NAME_MAX 64 /* Junos */

static const char *const way_table[] = {[JUNOS_INPUT] = "input", [JUNOS_OUTPUT] = "output"};
STRING_TABLE_DEFINE(junos_way, enum junos_way, way_table)
static const char *const mode_table[] = {
    [JUNOS_TERMS] = "terms", [JUNOS_LIST] = "list", [JUNOS_OWN] = "own"};
STRING_TABLE_DEFINE(junos_mode, enum junos_mode, mode_table)

void junos_cut_free(struct junos_cut *c)
{
	if (!c)
		return;
	free(c->prefixes);
	free(c->permits);
	memset(c, 0, sizeof *c);
}

void junos_tag(const char *token, junos_tag_t dst)
{
	snprintf(dst, sizeof(junos_tag_t), OURS "%.12s", token);
}

/* --- terms --- */

struct term {
	char name[JUNOS_NAME_MAX];
	const struct permit *permit; /* accepts it; NULL: the cut itself */
};

static const char *way_short(const struct junos_place *p)
{
	return p->way == JUNOS_INPUT ? "in" : "out";
}

static size_t n_of_family(const struct junos_cut *c, enum addr_family f)
{
	size_t n = 0;
	for (size_t i = 0; i < c->n_prefixes; i++)
		n += c->prefixes[i].addr.family == f;
	return n;
}

/* The i-th term of a place, in the order in which they must stand; false behind the last. */
static bool term_at(const struct junos_cut *c, const struct junos_place *p, size_t i,
                    struct term *ret)
{
	size_t k = 0;
	*ret = (struct term){0};
	for (size_t n = 0; n < c->n_permits; n++) {
		if (c->permits[n].peer.addr.family != p->family || k++ != i)
			continue;
		snprintf(ret->name, sizeof ret->name, "%s-%s-keep%zu", c->tag, way_short(p), i + 1);
		ret->permit = &c->permits[n];
		return true;
	}
	if (i > k)
		return false;
	snprintf(ret->name, sizeof ret->name, "%s-%s-cut", c->tag, way_short(p));
	return true;
}

static size_t n_terms(const struct junos_cut *c, const struct junos_place *p)
{
	struct term t;
	size_t n = 0;
	while (term_at(c, p, n, &t))
		n++;
	return n;
}

/* One condition of a term: an element of <from> and its value. */
typedef void (*condition_fn)(void *arg, const char *element, const char *value);

static const char *near_address(const struct junos_place *p)
{
	return p->way == JUNOS_INPUT ? "source-address" : "destination-address";
}

static const char *far_address(const struct junos_place *p)
{
	return p->way == JUNOS_INPUT ? "destination-address" : "source-address";
}

static const char *prefix_long(const struct prefix *x, char dst[static PREFIX_STR_MAX + 4])
{
	char a[ADDR_STR_MAX];
	snprintf(dst, PREFIX_STR_MAX + 4, "%s/%u", addr_str(&x->addr, a), x->len);
	return dst;
}

static void permit_conditions(const struct junos_place *p, const struct permit *m, condition_fn f,
                              void *arg)
{
	static const struct {
		uint8_t proto;
		const char *name;
	} protos[] = {{IPPROTO_TCP, "tcp"}, {IPPROTO_UDP, "udp"}};
	bool in = p->way == JUNOS_INPUT, ports = m->local_port || m->peer_port;
	char text[PREFIX_STR_MAX + 4];
	f(arg, far_address(p), prefix_long(&m->peer, text));
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++)
		if (m->proto == protos[i].proto || (!m->proto && ports))
			f(arg, p->family == ADDR_V4 ? "protocol" : "next-header", protos[i].name);
	if (m->proto && m->proto != IPPROTO_TCP && m->proto != IPPROTO_UDP) {
		snprintf(text, sizeof text, "%u", m->proto);
		f(arg, p->family == ADDR_V4 ? "protocol" : "next-header", text);
	}
	snprintf(text, sizeof text, "%u", m->local_port);
	if (m->local_port)
		f(arg, in ? "source-port" : "destination-port", text);
	snprintf(text, sizeof text, "%u", m->peer_port);
	if (m->peer_port)
		f(arg, in ? "destination-port" : "source-port", text);
}

static void term_conditions(const struct junos_cut *c, const struct junos_place *p,
                            const struct term *t, condition_fn f, void *arg)
{
	char text[PREFIX_STR_MAX + 4];
	for (size_t i = 0; i < c->n_prefixes; i++)
		if (c->prefixes[i].addr.family == p->family)
			f(arg, near_address(p), prefix_long(&c->prefixes[i], text));
	if (t->permit)
		permit_conditions(p, t->permit, f, arg);
}

/* --- reading the configuration --- */

static const char *family_name(const struct junos_place *p)
{
	return p->family == ADDR_V4 ? "inet" : "inet6";
}

static const struct xml_node *by_name(const struct xml_node *parent, const char *element,
                                      const char *name)
{
	const struct xml_node *n = xml_child(parent, element);
	while (n && strcmp(xml_text_at(n, "name"), name) != 0)
		n = xml_next(n, element);
	return n;
}

static const struct xml_node *find_filter(const struct xml_node *config,
                                          const struct junos_place *p)
{
	char path[32];
	snprintf(path, sizeof path, "firewall/family/%s", family_name(p));
	return by_name(xml_at(config, p->bare ? "firewall" : path), "filter", p->filter);
}

static const struct xml_node *find_bindings(const struct xml_node *unit, enum addr_family f)
{
	return xml_at(unit, f == ADDR_V4 ? "family/inet/filter" : "family/inet6/filter");
}

static const struct xml_node *find_unit(const struct xml_node *config, const char *interface,
                                        const char *unit)
{
	return by_name(by_name(xml_at(config, "interfaces"), "interface", interface), "unit", unit);
}

static const char *bound_filter(const struct xml_node *bindings, enum junos_way way)
{
	const struct xml_node *n = xml_child(bindings, junos_way_str(way));
	const char *name = xml_text_at(n, "filter-name");
	return *name ? name : xml_text(n);
}

static bool in_list(const struct xml_node *bindings, enum junos_way way, const char *name,
                    bool first)
{
	char element[16];
	snprintf(element, sizeof element, "%s-list", junos_way_str(way));
	const struct xml_node *n = xml_child(bindings, element);
	while (n && !first && strcmp(xml_text(n), name) != 0)
		n = xml_next(n, element);
	return n && (!name || !strcmp(xml_text(n), name));
}

static bool has_list(const struct xml_node *bindings, enum junos_way way)
{
	char element[16];
	snprintf(element, sizeof element, "%s-list", junos_way_str(way));
	return xml_child(bindings, element) != NULL;
}

/* --- rendering --- */

static void add_element(void *arg, const char *element, const char *value)
{
	struct buf *out = arg;
	bool list = strstr(element, "address") != NULL;
	buf_addf(out, "<%s>%s", element, list ? "<name>" : "");
	xml_add(out, value);
	buf_addf(out, "%s</%s>", list ? "</name>" : "", element);
}

static const char *first_attr(enum junos_dialect d)
{
	return d == JUNOS_YANG ? " yang:insert=\"first\"" : " insert=\"first\"";
}

static void render_term(const struct junos_cut *c, const struct junos_place *p,
                        const struct term *t, const char *attr, struct buf *out)
{
	buf_addf(out, "<term%s><name>%s</name><from>", attr, t->name);
	term_conditions(c, p, t, add_element, out);
	if (t->permit)
		buf_addf(out, "</from><then><accept/></then></term>");
	else
		buf_addf(out, "</from><then><count>%s</count><discard/></then></term>", c->tag);
}

/*
 * A container or an entry of a list may stand only once in what is sent, so places are grouped:
 * firewall by family and filter, interfaces by name, unit and family.
 */

static bool same_filter(const struct junos_place *a, const struct junos_place *b)
{
	return a->family == b->family && a->bare == b->bare && !strcmp(a->filter, b->filter);
}

static bool same_interface(const struct junos_place *a, const struct junos_place *b)
{
	return !strcmp(a->interface, b->interface);
}

static bool same_unit(const struct junos_place *a, const struct junos_place *b)
{
	return same_interface(a, b) && !strcmp(a->unit, b->unit);
}

static bool same_unit_family(const struct junos_place *a, const struct junos_place *b)
{
	return same_unit(a, b) && a->family == b->family;
}

typedef bool (*same_fn)(const struct junos_place *a, const struct junos_place *b);

struct rendering {
	const struct junos_cut *c;
	enum junos_dialect dialect;
	const struct xml_node *config; /* what is there */
	bool remove;
	bool want[JUNOS_PLACES_MAX]; /* places that are to be rendered */
	unsigned n;                  /* what was rendered */
	struct buf *out;
	void (*filter)(struct rendering *r, size_t i);
};

/* Place i is the first wanted one of its group. */
static bool first_of(const struct rendering *r, size_t i, same_fn same)
{
	if (!r->want[i])
		return false;
	for (size_t k = 0; k < i; k++)
		if (r->want[k] && same(&r->c->places[k], &r->c->places[i]))
			return false;
	return true;
}

/* Runs f for each group (by `group`) within the group of place `in` (by `within`; NULL: all). */
static void each_of(struct rendering *r, size_t in, same_fn within, same_fn group,
                    void (*f)(struct rendering *r, size_t i))
{
	for (size_t i = 0; i < r->c->n_places; i++)
		if (first_of(r, i, group) &&
		    (!within || within(&r->c->places[in], &r->c->places[i])))
			f(r, i);
}

/* In a filter that is there each term goes to the front, so the last goes first. */
static void add_terms(struct rendering *r, size_t i)
{
	const struct junos_place *p = &r->c->places[i];
	bool there = find_filter(r->config, p) != NULL;
	const char *attr = there ? first_attr(r->dialect) : "";
	struct term t;
	size_t n = n_terms(r->c, p);
	for (size_t k = 0; k < n; k++)
		if (term_at(r->c, p, there ? n - 1 - k : k, &t))
			render_term(r->c, p, &t, attr, r->out);
}

static bool same_place(const struct junos_place *a, const struct junos_place *b)
{
	return a == b;
}

static void add_filter(struct rendering *r, size_t i)
{
	const struct junos_place *p = &r->c->places[i];
	buf_addf(r->out, "<filter><name>");
	xml_add(r->out, p->filter);
	buf_addf(r->out, "</name>");
	each_of(r, i, same_filter, same_place, add_terms);
	if (p->mode == JUNOS_OWN)
		buf_addf(r->out, "<term><name>" TERM_REST "</name><then><accept/></then></term>");
	buf_addf(r->out, "</filter>");
	r->n++;
}

static bool same_bare(const struct junos_place *a, const struct junos_place *b)
{
	return a->bare && b->bare;
}

static bool same_family(const struct junos_place *a, const struct junos_place *b)
{
	return !a->bare && !b->bare && a->family == b->family;
}

static bool same_home(const struct junos_place *a, const struct junos_place *b)
{
	return a->bare == b->bare;
}

static void render_family(struct rendering *r, size_t i)
{
	const char *family = family_name(&r->c->places[i]);
	buf_addf(r->out, "<%s>", family);
	each_of(r, i, same_family, same_filter, r->filter);
	buf_addf(r->out, "</%s>", family);
}

static void render_home(struct rendering *r, size_t i)
{
	if (r->c->places[i].bare) {
		each_of(r, i, same_bare, same_filter, r->filter);
		return;
	}
	buf_addf(r->out, "<family>");
	each_of(r, i, same_home, same_family, render_family);
	buf_addf(r->out, "</family>");
}

static const char *binding_attr(const struct rendering *r, const struct junos_place *p)
{
	if (r->remove)
		return DELETE;
	return p->mode == JUNOS_LIST ? first_attr(r->dialect) : "";
}

static void render_binding(struct rendering *r, size_t i)
{
	const struct junos_place *p = &r->c->places[i];
	const char *way = junos_way_str(p->way), *attr = binding_attr(r, p);
	if (p->mode == JUNOS_LIST)
		buf_addf(r->out, "<%s-list%s>%s</%s-list>", way, attr, p->filter, way);
	else
		buf_addf(r->out, "<%s%s><filter-name>%s</filter-name></%s>", way, attr, p->filter,
		         way);
	r->n++;
}

static void render_unit_family(struct rendering *r, size_t i)
{
	const char *family = family_name(&r->c->places[i]);
	buf_addf(r->out, "<%s><filter>", family);
	each_of(r, i, same_unit_family, same_place, render_binding);
	buf_addf(r->out, "</filter></%s>", family);
}

static void render_unit(struct rendering *r, size_t i)
{
	buf_addf(r->out, "<unit><name>");
	xml_add(r->out, r->c->places[i].unit);
	buf_addf(r->out, "</name><family>");
	each_of(r, i, same_unit, same_unit_family, render_unit_family);
	buf_addf(r->out, "</family></unit>");
}

static void render_interface(struct rendering *r, size_t i)
{
	buf_addf(r->out, "<interface><name>");
	xml_add(r->out, r->c->places[i].interface);
	buf_addf(r->out, "</name>");
	each_of(r, i, same_interface, same_unit, render_unit);
	buf_addf(r->out, "</interface>");
}

static void open_config(bool yang, struct buf *out)
{
	buf_addf(out,
	         "<config xmlns:nc=\"urn:ietf:params:xml:ns:netconf:base:1.0\"%s>"
	         "<configuration xmlns=\"" JUNOS_NS "\">",
	         yang ? " xmlns:yang=\"urn:ietf:params:xml:ns:yang:1\"" : "");
}

/* want: the places whose filters are rendered, then those whose bindings are. */
static int render(struct rendering *r, bool (*binding)(const struct rendering *, size_t))
{
	open_config(r->dialect == JUNOS_YANG && !r->remove, r->out);
	buf_addf(r->out, "<firewall>");
	each_of(r, 0, NULL, same_home, render_home);
	buf_addf(r->out, "</firewall>");
	bool any = false;
	for (size_t i = 0; i < r->c->n_places; i++)
		any |= r->want[i] = binding(r, i);
	if (any) {
		buf_addf(r->out, "<interfaces>");
		each_of(r, 0, NULL, same_interface, render_interface);
		buf_addf(r->out, "</interfaces>");
	}
	buf_addf(r->out, "</configuration></config>");
	return r->out->error;
}

static bool binds(const struct rendering *r, size_t i)
{
	return r->c->places[i].mode != JUNOS_TERMS;
}

int junos_render(const struct junos_cut *c, enum junos_dialect d, const struct xml_node *config,
                 struct buf *out)
{
	struct rendering r = {
	    .c = c, .dialect = d, .config = config, .out = out, .filter = add_filter};
	for (size_t i = 0; i < c->n_places; i++)
		r.want[i] = true;
	return render(&r, binds);
}

/* --- as it would be typed --- */

struct typed {
	struct buf *out;
	const char *path;
};

static void type_condition(void *arg, const char *element, const char *value)
{
	const struct typed *t = arg;
	buf_addf(t->out, "set %s from %s %s\n", t->path, element, value);
}

static void type_term(const struct junos_cut *c, const struct junos_place *p, const struct term *t,
                      bool remove, struct buf *out)
{
	char path[3 * JUNOS_NAME_MAX];
	struct typed typed = {out, path};
	snprintf(path, sizeof path, "firewall %s%s%sfilter %s term %s", p->bare ? "" : "family ",
	         p->bare ? "" : family_name(p), p->bare ? "" : " ", p->filter, t->name);
	if (remove) {
		buf_addf(out, "delete %s\n", path);
		return;
	}
	term_conditions(c, p, t, type_condition, &typed);
	if (!t->permit)
		buf_addf(out, "set %s then count %s\nset %s then discard\n", path, c->tag, path);
	else
		buf_addf(out, "set %s then accept\n", path);
}

static void type_place(const struct junos_cut *c, const struct junos_place *p, bool remove,
                       struct buf *out)
{
	struct term t;
	const char *verb = remove ? "delete" : "set", *family = family_name(p);
	for (size_t i = 0; term_at(c, p, i, &t); i++)
		type_term(c, p, &t, remove, out);
	if (!remove)
		buf_addf(out, "# these terms are inserted before the first of the filter\n");
	if (p->mode == JUNOS_TERMS)
		return;
	if (remove)
		buf_addf(out,
		         "# and when no order has terms in it any more:\n"
		         "delete firewall family %s filter %s\n",
		         family, p->filter);
	else if (p->mode == JUNOS_OWN)
		buf_addf(out, "set firewall family %s filter %s term " TERM_REST " then accept\n",
		         family, p->filter);
	buf_addf(out, "%s interfaces %s unit %s family %s filter %s%s %s\n", verb, p->interface,
	         p->unit, family, junos_way_str(p->way), p->mode == JUNOS_LIST ? "-list" : "",
	         p->filter);
}

int junos_describe(const struct junos_cut *c, bool remove, struct buf *out)
{
	for (size_t i = 0; i < c->n_places; i++)
		type_place(c, &c->places[i], remove, out);
	return out->error;
}

/* --- places --- */

static int name_copy(char *dst, size_t n, const char *src, struct err *e)
{
	if (!*src || strlen(src) >= n)
		return err_set(e, -E2BIG, "the name \"%.60s\" has more than %zu bytes", src, n - 1);
	strcpy(dst, src);
	return 0;
}

/* Ours is named by its place, so that every order finds the same. */
static int own_name(struct junos_place *p, struct err *e)
{
	char name[2 * JUNOS_NAME_MAX];
	int n = snprintf(name, sizeof name, OURS "%s%s-%s.%s", way_short(p),
	                 p->family == ADDR_V4 ? "4" : "6", p->interface, p->unit);
	if (n > FILTER_NAME_MAX)
		return err_set(e, -E2BIG, "the name of %s is too long for a filter's",
		               p->interface);
	for (char *c = name; *c; c++)
		if (*c == '/' || *c == ':')
			*c = '_';
	memcpy(p->filter, name, (size_t)n + 1);
	return 0;
}

static int bind_place(struct junos_place *p, const struct xml_node *config,
                      const struct xml_node *bindings, struct err *e)
{
	const char *bound = bound_filter(bindings, p->way);
	int r = own_name(p, e);
	bool theirs = r == 0 && *bound && strcmp(bound, p->filter) != 0;
	p->mode = theirs ? JUNOS_TERMS : has_list(bindings, p->way) ? JUNOS_LIST : JUNOS_OWN;
	if (!theirs)
		return r;
	r = name_copy(p->filter, sizeof p->filter, bound, e);
	if (r < 0)
		return r;
	p->bare = !find_filter(config, p);
	if (!find_filter(config, p))
		return err_set(
		    e, -ENOENT,
		    "%s.%s binds the filter \"%s\", which the configuration does not hold",
		    p->interface, p->unit, p->filter);
	return 0;
}

static int add_place(struct junos_cut *c, const struct xml_node *config,
                     const struct xml_node *unit, const struct junos_place *like, struct err *e)
{
	if (c->n_places >= JUNOS_PLACES_MAX)
		return err_set(e, -E2BIG, "an order reaches at most %d filters at one device",
		               JUNOS_PLACES_MAX);
	struct junos_place *p = &c->places[c->n_places];
	*p = *like;
	int r = bind_place(p, config, find_bindings(unit, p->family), e);
	/* Two units with one filter: its terms are put there once. */
	for (size_t i = 0; r == 0 && i < c->n_places; i++)
		if (p->mode == JUNOS_TERMS && c->places[i].mode == JUNOS_TERMS &&
		    p->family == c->places[i].family && p->way == c->places[i].way &&
		    !strcmp(p->filter, c->places[i].filter))
			return 0;
	if (r == 0)
		c->n_places++;
	return r;
}

int junos_find_places(struct junos_cut *c, const struct xml_node *config, const char *interface,
                      struct err *e)
{
	static const enum addr_family families[] = {ADDR_V4, ADDR_V6};
	struct junos_place p = {0};
	const char *dot = strrchr(interface, '.');
	size_t n = dot ? (size_t)(dot - interface) : 0;
	if (!n || n >= sizeof p.interface || !dot[1] || strlen(dot + 1) >= sizeof p.unit)
		return err_set(e, -EINVAL, "\"%.60s\" is no interface with a unit, as ge-0/0/1.0",
		               interface);
	memcpy(p.interface, interface, n);
	strcpy(p.unit, dot + 1);
	const struct xml_node *unit = find_unit(config, p.interface, p.unit);
	if (!unit)
		return err_set(e, -ENOENT, "the device has no interface %.60s configured",
		               interface);
	int r = 0;
	for (size_t f = 0; r == 0 && f < ARRAY_SIZE(families); f++) {
		p.family = families[f];
		for (int way = 0; r == 0 && way < _JUNOS_WAY_MAX && n_of_family(c, p.family);
		     way++) {
			p.way = (enum junos_way)way;
			r = add_place(c, config, unit, &p, e);
		}
	}
	return r;
}

void junos_sharers(const struct junos_place *p, const struct xml_node *config, struct buf *out)
{
	const struct xml_node *i = xml_child(xml_at(config, "interfaces"), "interface");
	size_t n = 0;
	if (p->mode != JUNOS_TERMS)
		return;
	for (; i; i = xml_next(i, "interface"))
		for (const struct xml_node *u = xml_child(i, "unit"); u; u = xml_next(u, "unit")) {
			const char *name = xml_text_at(i, "name"), *unit = xml_text_at(u, "name");
			if (strcmp(bound_filter(find_bindings(u, p->family), p->way), p->filter) !=
			        0 ||
			    (!strcmp(name, p->interface) && !strcmp(unit, p->unit)))
				continue;
			buf_addf(out, "%s%s.%s", n++ ? ", " : "", name, unit);
		}
}

/* --- comparing --- */

/* The conditions of a term as it stands, ticked off one by one. */
struct ticking {
	const struct xml_node *from;
	unsigned wanted;
	bool missing;
};

static const char *condition_value(const struct xml_node *n)
{
	const char *name = xml_text_at(n, "name");
	return *name ? name : xml_text(n);
}

static void tick(void *arg, const char *element, const char *value)
{
	struct ticking *t = arg;
	const struct xml_node *n = xml_child(t->from, element);
	while (n && strcmp(condition_value(n), value) != 0)
		n = xml_next(n, element);
	t->wanted++;
	t->missing |= !n;
}

static unsigned n_children(const struct xml_node *n)
{
	unsigned count = 0;
	for (n = xml_child(n, NULL); n; n = xml_next(n, NULL))
		count++;
	return count;
}

static bool term_same(const struct junos_cut *c, const struct junos_place *p, const struct term *t,
                      const struct xml_node *n)
{
	struct ticking ticking = {.from = xml_child(n, "from")};
	const struct xml_node *then = xml_child(n, "then");
	term_conditions(c, p, t, tick, &ticking);
	if (ticking.missing || n_children(ticking.from) != ticking.wanted)
		return false;
	if (t->permit)
		return n_children(then) == 1 && xml_child(then, "accept");
	return n_children(then) == 2 && xml_child(then, "discard") &&
	       !strcmp(xml_text_at(then, "count"), c->tag);
}

static bool is_rest(const struct xml_node *n)
{
	const struct xml_node *then = xml_child(n, "then");
	return n && !strcmp(xml_text_at(n, "name"), TERM_REST) && !xml_child(n, "from") &&
	       n_children(then) == 1 && xml_child(then, "accept");
}

static bool tagged(const char *name, const junos_tag_t tag)
{
	size_t n = strlen(tag);
	return !strncmp(name, tag, n) && name[n] == '-';
}

static bool tagged_by_any(const char *name, const struct junos_others *o)
{
	for (size_t i = 0; o && i < o->n; i++)
		if (tagged(name, o->v[i]))
			return true;
	return false;
}

/* A filter of ours that holds nothing but this order's terms. */
static bool ours_alone(const struct junos_cut *c, const struct junos_place *p,
                       const struct xml_node *filter)
{
	const struct xml_node *n = xml_child(filter, "term");
	while (n && (tagged(xml_text_at(n, "name"), c->tag) || is_rest(n)))
		n = xml_next(n, "term");
	return p->mode != JUNOS_TERMS && filter && !n;
}

static bool is_bound(const struct junos_place *p, const struct xml_node *config)
{
	const struct xml_node *b =
	    find_bindings(find_unit(config, p->interface, p->unit), p->family);
	return p->mode == JUNOS_LIST ? in_list(b, p->way, p->filter, false)
	                             : !strcmp(bound_filter(b, p->way), p->filter);
}

static unsigned remove_terms(const struct rendering *r, const struct xml_node *filter)
{
	unsigned n = 0;
	for (const struct xml_node *t = xml_child(filter, "term"); t; t = xml_next(t, "term")) {
		const char *name = xml_text_at(t, "name");
		if (!tagged(name, r->c->tag))
			continue;
		buf_addf(r->out, "<term" DELETE "><name>");
		xml_add(r->out, name);
		buf_addf(r->out, "</name></term>");
		n++;
	}
	return n;
}

static void remove_filter(struct rendering *r, size_t i)
{
	const struct junos_place *p = &r->c->places[i];
	const struct xml_node *filter = find_filter(r->config, p);
	bool alone = ours_alone(r->c, p, filter);
	buf_addf(r->out, "<filter%s><name>", alone ? DELETE : "");
	xml_add(r->out, p->filter);
	buf_addf(r->out, "</name>");
	r->n += alone ? 1 : remove_terms(r, filter);
	buf_addf(r->out, "</filter>");
}

static bool unbinds(const struct rendering *r, size_t i)
{
	const struct junos_place *p = &r->c->places[i];
	return ours_alone(r->c, p, find_filter(r->config, p)) && is_bound(p, r->config);
}

int junos_render_removal(const struct junos_cut *c, const struct xml_node *config, struct buf *out,
                         unsigned *ret_n)
{
	struct rendering r = {
	    .c = c, .config = config, .remove = true, .out = out, .filter = remove_filter};
	for (size_t i = 0; config && i < c->n_places; i++)
		r.want[i] = find_filter(config, &c->places[i]) != NULL;
	int x = render(&r, unbinds);
	*ret_n = r.n;
	return x;
}

/* Junos marks what is switched off. */
static bool inactive(const struct xml_node *n)
{
	const char *a = n ? xml_attr(n, "inactive") : NULL;
	return a && !strcmp(a, "inactive");
}

static void note(struct junos_reading *r, bool missing, struct buf *drift, const char *where,
                 const char *what, const char *how)
{
	if (missing)
		r->missing++;
	else
		r->changed++;
	buf_addf(drift, "%s: %s %s\n", where, what, how);
}

/* Terms of other orders, and ours of the other way, may stand between. */
static const struct xml_node *behind_others(const struct junos_cut *c, const struct junos_place *p,
                                            const struct xml_node *n,
                                            const struct junos_others *others)
{
	char mine[48];
	snprintf(mine, sizeof mine, "%s-%s-", c->tag, way_short(p));
	for (; n; n = xml_next(n, "term")) {
		const char *name = xml_text_at(n, "name");
		bool other_way = tagged(name, c->tag) && strncmp(name, mine, strlen(mine)) != 0;
		if (!other_way && !tagged_by_any(name, others))
			break;
	}
	return n;
}

static void compare_terms(const struct junos_cut *c, const struct junos_place *p,
                          const struct xml_node *filter, const struct junos_others *others,
                          const char *where, struct junos_reading *r, struct buf *drift)
{
	struct term t;
	const struct xml_node *at = behind_others(c, p, xml_child(filter, "term"), others);
	for (size_t i = 0; term_at(c, p, i, &t); i++) {
		const struct xml_node *n = by_name(filter, "term", t.name);
		if (!n)
			note(r, true, drift, where, t.name, "is not there");
		else if (!term_same(c, p, &t, n) || inactive(n))
			note(r, false, drift, where, t.name, "was changed");
		else if (n != at)
			note(r, false, drift, where, t.name,
			     "does not stand where it was put: other terms come before it");
		else
			r->there++;
		at = at ? xml_next(at, "term") : NULL;
	}
	at = behind_others(c, p, at, others);
	if (p->mode == JUNOS_OWN && filter && !is_rest(at))
		note(r, false, drift, where, TERM_REST, "does not come next");
}

static void compare_binding(const struct junos_place *p, const struct xml_node *config,
                            const char *where, struct junos_reading *r, struct buf *drift)
{
	const struct xml_node *unit = find_unit(config, p->interface, p->unit);
	const struct xml_node *b = find_bindings(unit, p->family);
	const char *bound = bound_filter(b, p->way);
	bool own = p->mode != JUNOS_LIST;
	if (own ? !strcmp(bound, p->filter) : in_list(b, p->way, p->filter, true))
		r->there++;
	else if (own && *bound)
		note(r, false, drift, where, bound,
		     p->mode == JUNOS_TERMS ? "is bound instead"
		                            : "is bound instead of the filter of ours");
	else if (!own && in_list(b, p->way, p->filter, false))
		note(r, false, drift, where, p->filter, "is no longer first in the list");
	else
		note(r, p->mode != JUNOS_TERMS, drift, where, p->filter, "is not bound");
}

static void compare_place(const struct junos_cut *c, const struct junos_place *p,
                          const struct xml_node *config, const struct junos_others *others,
                          struct junos_reading *r, struct buf *drift)
{
	char where[3 * JUNOS_NAME_MAX];
	const struct xml_node *filter = find_filter(config, p);
	snprintf(where, sizeof where, "%s.%s %s %s filter %s", p->interface, p->unit,
	         family_name(p), junos_way_str(p->way), p->filter);
	if (inactive(filter))
		note(r, false, drift, where, "the filter", "is inactive");
	compare_terms(c, p, filter, others, where, r, drift);
	compare_binding(p, config, where, r, drift);
}

/* What stands by somebody else's hand, or for another order, is not counted as there. */
void junos_compare(const struct junos_cut *c, const struct xml_node *config,
                   const struct junos_others *others, struct junos_reading *ret, struct buf *drift)
{
	struct junos_reading r = {0};
	unsigned terms = 0;
	for (size_t i = 0; i < c->n_places; i++) {
		struct term t;
		const struct xml_node *f = find_filter(config, &c->places[i]);
		for (size_t k = 0; term_at(c, &c->places[i], k, &t); k++)
			terms += by_name(f, "term", t.name) != NULL;
		compare_place(c, &c->places[i], config, others, &r, drift);
	}
	r.verdict = !r.missing && !r.changed ? VERDICT_HOLDS
	            : !terms                 ? VERDICT_ABSENT
	                                     : VERDICT_DRIFTED;
	*ret = r;
}

/* --- strays --- */

static bool is_stray(const struct xml_node *term, const struct junos_others *claims)
{
	const char *name = xml_text_at(term, "name");
	return !strncmp(name, OURS, strlen(OURS)) && !is_rest(term) && !tagged_by_any(name, claims);
}

/* Those of one filter; family NULL: it stands under none. */
static size_t strays_in(const struct xml_node *filter, const char *family,
                        const struct junos_others *claims, struct buf *text, struct buf *config)
{
	const char *name = xml_text_at(filter, "name");
	size_t n = 0;
	for (const struct xml_node *t = xml_child(filter, "term"); t; t = xml_next(t, "term")) {
		const char *term = xml_text_at(t, "name");
		if (!is_stray(t, claims))
			continue;
		buf_addf(text, "firewall %s%s%sfilter %s term %s\n", family ? "family " : "",
		         family ? family : "", family ? " " : "", name, term);
		if (!n++) {
			buf_addf(config, "<filter><name>");
			xml_add(config, name);
			buf_addf(config, "</name>");
		}
		buf_addf(config, "<term" DELETE "><name>");
		xml_add(config, term);
		buf_addf(config, "</name></term>");
	}
	if (n)
		buf_addf(config, "</filter>");
	return n;
}

static size_t strays_below(const struct xml_node *parent, const char *family,
                           const struct junos_others *claims, struct buf *text, struct buf *config)
{
	size_t n = 0;
	if (family)
		buf_addf(config, "<%s>", family);
	for (const struct xml_node *f = xml_child(parent, "filter"); f; f = xml_next(f, "filter"))
		n += strays_in(f, family, claims, text, config);
	if (family)
		buf_addf(config, "</%s>", family);
	return n;
}

size_t junos_strays(const struct xml_node *config, const struct junos_others *claims,
                    struct buf *text, struct buf *config_out)
{
	const struct xml_node *firewall = xml_child(config, "firewall");
	const struct xml_node *families = xml_child(firewall, "family");
	open_config(false, config_out);
	buf_addf(config_out, "<firewall>");
	size_t n = strays_below(firewall, NULL, claims, text, config_out);
	buf_addf(config_out, "<family>");
	n += strays_below(xml_child(families, "inet"), "inet", claims, text, config_out);
	n += strays_below(xml_child(families, "inet6"), "inet6", claims, text, config_out);
	buf_addf(config_out, "</family></firewall></configuration></config>");
	return n;
}

/* --- payload --- */

static json_t *place_json(const struct junos_place *p)
{
	return json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:b}", "family", (int)p->family, "way",
	                 junos_way_str(p->way), "mode", junos_mode_str(p->mode), "interface",
	                 p->interface, "unit", p->unit, "filter", p->filter, "bare", p->bare);
}

int junos_cut_to_json(const struct junos_cut *c, char **ret, struct err *e)
{
	_cleanup_json_ json_t *prefixes = point_prefixes_json(c->prefixes, c->n_prefixes);
	_cleanup_json_ json_t *permits = point_permits_json(c->permits, c->n_permits);
	_cleanup_json_ json_t *places = json_array();
	bool bad = !prefixes || !permits;
	for (size_t i = 0; i < c->n_places; i++)
		bad |= json_array_append_new(places, place_json(&c->places[i])) < 0;
	_cleanup_json_ json_t *all =
	    bad ? NULL
	        : json_pack("{s:i, s:s, s:O, s:O, s:O}", "version", VERSION, "tag", c->tag,
	                    "prefixes", prefixes, "permits", permits, "places", places);
	char *out = all ? field_dump(all) : NULL;
	if (!out)
		return err_set(e, -ENOMEM, "out of memory for a step's payload");
	*ret = out;
	return 0;
}

static int take_place(json_t *row, struct junos_place *p, struct err *e)
{
	int family, bare;
	const char *way, *mode, *interface, *unit, *filter;
	int r = field_unpack(row, "junos: place", e, "{s:i, s:s, s:s, s:s, s:s, s:s, s:b!}",
	                     "family", &family, "way", &way, "mode", &mode, "interface", &interface,
	                     "unit", &unit, "filter", &filter, "bare", &bare);
	if (r == 0)
		r = field_copy(p->interface, sizeof p->interface, interface, "junos: place", e);
	if (r == 0)
		r = field_copy(p->unit, sizeof p->unit, unit, "junos: place", e);
	if (r == 0)
		r = field_copy(p->filter, sizeof p->filter, filter, "junos: place", e);
	if (r < 0)
		return r;
	p->family = family == 4 ? ADDR_V4 : ADDR_V6;
	p->way = (enum junos_way)junos_way_parse(way);
	p->mode = (enum junos_mode)junos_mode_parse(mode);
	p->bare = bare;
	bool ours = !strncmp(filter, OURS, strlen(OURS));
	if ((family != 4 && family != 6) || (int)p->way < 0 || (int)p->mode < 0 ||
	    !point_name_is_plain(interface, "*") || !point_name_is_plain(unit, "*") || !*filter ||
	    (p->mode != JUNOS_TERMS && !ours))
		return err_set(e, -EBADMSG, "junos: a place that stanch does not make");
	return 0;
}

static int take_places(json_t *places, struct junos_cut *c, struct err *e)
{
	int r = json_array_size(places) == 0 || json_array_size(places) > JUNOS_PLACES_MAX
	            ? err_set(e, -EBADMSG, "junos: a payload has no places, or too many")
	            : 0;
	for (size_t i = 0; r == 0 && i < json_array_size(places); i++)
		r = take_place(json_array_get(places, i), &c->places[c->n_places++], e);
	return r;
}

int junos_cut_from_json(const char *json, struct junos_cut *ret, struct err *e)
{
	_cleanup_json_ json_t *all = NULL;
	json_t *prefixes, *permits, *places;
	struct junos_cut c = {0};
	const char *tag;
	int version;
	int r = field_load(json, PAYLOAD_MAX, "junos: payload", &all, e);
	if (r == 0)
		r = field_unpack(all, "junos: payload", e, "{s:i, s:s, s:o, s:o, s:o!}", "version",
		                 &version, "tag", &tag, "prefixes", &prefixes, "permits", &permits,
		                 "places", &places);
	if (r == 0)
		r = field_copy(c.tag, sizeof c.tag, tag, "junos: tag", e);
	if (r == 0 && (version != VERSION || !point_tag_is_ours(tag)))
		r = err_set(e, -EBADMSG, "junos: a payload that stanch does not make");
	if (r == 0)
		r = point_take_prefixes(prefixes, JUNOS_PREFIXES_MAX, &c.prefixes, &c.n_prefixes,
		                        e);
	if (r == 0)
		r = point_take_permits(permits, &c.permits, &c.n_permits, e);
	if (r == 0)
		r = take_places(places, &c, e);
	if (r < 0)
		junos_cut_free(&c);
	else
		*ret = c;
	return r;
}
