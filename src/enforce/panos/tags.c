/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "enforce/panos/parts.h"

#define MESSAGE_MAX (512u << 10)
#define PAGE        500 /* the most that one answer shows */
#define PAGES_MAX   2000

/* --- what is registered --- */

static bool has_tag(const struct xml_node *entry, enum panos_kind kind)
{
	const struct xml_node *m = xml_child(xml_child(entry, "tag"), "member");
	for (; m; m = xml_next(m, "member"))
		for (size_t t = 0; t < _PANOS_TAG_MAX; t++)
			if (!strcmp(xml_text(m), panos_tags[kind][t]))
				return true;
	return false;
}

/* Called for each address that has a tag of `kind`; not 0 ends the walk. */
typedef int (*tagged_fn)(void *arg, const struct addr *a, struct err *e);

static int one_page(struct panos *p, enum panos_kind kind, unsigned start, tagged_fn f, void *arg,
                    size_t *ret_n, struct err *e)
{
	char cmd[192];
	struct xml_doc *d = NULL;
	snprintf(cmd, sizeof cmd,
	         "<show><object><registered-ip><limit>%d</limit><start-point>%u</start-point>"
	         "</registered-ip></object></show>",
	         PAGE, start);
	int r = panos_op(p, cmd, &d, e);
	const struct xml_node *n =
	    r == 0 ? xml_child(xml_child(xml_root(d), "result"), "entry") : NULL;
	for (*ret_n = 0; r == 0 && n; n = xml_next(n, "entry"), (*ret_n)++) {
		struct addr a;
		const char *ip = xml_attr(n, "ip");
		if (ip && addr_parse(ip, &a) == 0 && has_tag(n, kind))
			r = f(arg, &a, e);
	}
	xml_free(d);
	return r;
}

static int each_tagged(struct panos *p, enum panos_kind kind, tagged_fn f, void *arg, struct err *e)
{
	size_t got = PAGE;
	int r = 0;
	for (unsigned page = 0; r == 0 && got >= PAGE; page++)
		r = page < PAGES_MAX
		        ? one_page(p, kind, 1 + page * PAGE, f, arg, &got, e)
		        : err_set(e, -E2BIG,
		                  "%s has more registered addresses than can be looked at",
		                  p->point->name);
	return r;
}

static int collect(void *arg, const struct addr *a, struct err *e)
{
	struct panos_cut *c = arg;
	struct addr *v = reallocarray(c->addrs, c->n_addrs + 1, sizeof *v);
	if (!v)
		return err_set(e, -ENOMEM, "out of memory");
	c->addrs = v;
	v[c->n_addrs++] = *a;
	return 0;
}

int panos_tagged(struct panos *p, enum panos_kind kind, struct panos_cut *ret, struct err *e)
{
	return each_tagged(p, kind, collect, ret, e);
}

struct ticking {
	const struct panos_cut *c;
	bool *seen;
};

static int tick_off(void *arg, const struct addr *a, struct err *e)
{
	const struct ticking *t = arg;
	for (size_t i = 0; i < t->c->n_addrs; i++)
		t->seen[i] |= addr_equal(&t->c->addrs[i], a);
	return 0;
}

int panos_count(struct panos *p, const struct panos_cut *c, size_t *ret, struct addr *missing,
                struct err *e)
{
	struct ticking t = {c, calloc(c->n_addrs ? c->n_addrs : 1, sizeof *t.seen)};
	size_t n = 0;
	int r = t.seen ? each_tagged(p, c->kind, tick_off, &t, e)
	               : err_set(e, -ENOMEM, "out of memory");
	for (size_t i = c->n_addrs; r == 0 && i-- > 0;) {
		n += t.seen[i];
		if (!t.seen[i])
			*missing = c->addrs[i];
	}
	free(t.seen);
	if (r == 0)
		*ret = n;
	return r;
}

/* --- changing it --- */

static bool is_wanted(const struct addr *a, enum panos_kind kind, const struct panos_cut *wanted,
                      size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; wanted[i].kind == kind && k < wanted[i].n_addrs; k++)
			if (addr_equal(&wanted[i].addrs[k], a))
				return true;
	return false;
}

/* What is there already, or is gone already, is what was wanted: the device calls it an error. */
static bool harmless(const struct err *e)
{
	return e->code == -EIO && (strstr(e->text, "already exists, ignore") ||
	                           strstr(e->text, "does not exist, ignore unreg"));
}

static int change(struct panos *p, const char *verb, const struct panos_cut *c,
                  const struct panos_cut *wanted, size_t n_wanted, const char *tag,
                  unsigned seconds, struct err *e)
{
	struct buf m = BUF_INIT(MESSAGE_MAX);
	struct err why = {0};
	char text[ADDR_STR_MAX], timeout[40] = "";
	size_t n = 0;
	if (seconds)
		snprintf(timeout, sizeof timeout, " timeout=\"%u\"", seconds);
	buf_addf(&m, "<uid-message><version>1.0</version><type>update</type><payload><%s>", verb);
	for (size_t i = 0; i < c->n_addrs; i++) {
		if (is_wanted(&c->addrs[i], c->kind, wanted, n_wanted))
			continue;
		n++;
		buf_addf(&m, "<entry ip=\"%s\"><tag><member%s>%s</member></tag></entry>",
		         addr_str(&c->addrs[i], text), timeout, tag);
	}
	buf_addf(&m, "</%s></payload></uid-message>", verb);
	int r = m.error ? err_set(&why, m.error, "out of memory for the request") : 0;
	if (r == 0 && n)
		r = panos_call(p, "user-id", (const char *const[]){"cmd", buf_str(&m), NULL}, NULL,
		               &why);
	buf_free(&m);
	if (r < 0 && harmless(&why))
		r = 0;
	return r < 0 ? err_set(e, r, "%s", why.text) : 0;
}

/* An armed tag that is there keeps its old time-out, so it goes and comes while the held one holds.
 */
int panos_register(struct panos *p, const struct panos_cut *c, unsigned seconds, struct err *e)
{
	const char *armed = panos_tags[c->kind][PANOS_ARMED],
	           *held = panos_tags[c->kind][PANOS_HELD];
	size_t there = 0;
	struct addr missing;
	int r = panos_count(p, c, &there, &missing, e);
	if (r == 0 && (there || !seconds))
		r = change(p, "register", c, NULL, 0, held, 0, e);
	if (r == 0 && there)
		r = change(p, "unregister", c, NULL, 0, armed, 0, e);
	if (r == 0 && seconds)
		r = change(p, "register", c, NULL, 0, armed, seconds, e);
	if (r == 0 && there && seconds)
		r = change(p, "unregister", c, NULL, 0, held, 0, e);
	return r;
}

int panos_unregister(struct panos *p, const struct panos_cut *c, const struct panos_cut *wanted,
                     size_t n_wanted, struct err *e)
{
	int r = 0;
	for (size_t t = 0; r == 0 && t < _PANOS_TAG_MAX; t++)
		r = change(p, "unregister", c, wanted, n_wanted, panos_tags[c->kind][t], 0, e);
	return r;
}
