/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The two groups and four rules that every order needs, made once by `stanch points setup`, and the
 * permit rules of one order. All of it is configuration, so it takes a commit; partial, of this
 * administrator's changes alone.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/table.h"
#include "enforce/panos/parts.h"

#define XPATH_MAX   512
#define ELEMENT_MAX (256u << 10)
#define RULES       "/rulebase/security/rules"

static const struct {
	const char *name, *filter;
} groups[] = {
    {"stanch-q", "'stanch-q-armed' or 'stanch-q-held'"},
    {"stanch-b", "'stanch-b-armed' or 'stanch-b-held'"},
};

/* In the order in which they must stand at the top. */
static const struct {
	const char *name, *source, *destination;
} drops[] = {
    {"stanch-q-out", "stanch-q", "any"},
    {"stanch-q-in", "any", "stanch-q"},
    {"stanch-b-out", "any", "stanch-b"},
    {"stanch-b-in", "stanch-b", "any"},
};

/* --- one rule as XML --- */

struct rule {
	const char *name, *service, *action;
	const struct addr *sources, *destinations; /* NULL: `source`, `destination` */
	size_t n_addrs;
	const char *source, *destination;
};

static void members(struct buf *out, const char *element, const struct addr *v, size_t n,
                    const char *one)
{
	char text[ADDR_STR_MAX];
	buf_addf(out, "<%s>", element);
	for (size_t i = 0; v && i < n; i++)
		buf_addf(out, "<member>%s</member>", addr_str(&v[i], text));
	if (!v)
		buf_addf(out, "<member>%s</member>", one);
	buf_addf(out, "</%s>", element);
}

static int set_rule(struct panos *p, const struct rule *r, struct err *e)
{
	struct buf element = BUF_INIT(ELEMENT_MAX);
	char below[128], xpath[XPATH_MAX];
	snprintf(below, sizeof below, RULES "/entry[@name='%s']", r->name);
	buf_addf(&element, "<from><member>any</member></from><to><member>any</member></to>");
	members(&element, "source", r->sources, r->n_addrs, r->source);
	members(&element, "destination", r->destinations, r->n_addrs, r->destination);
	buf_addf(&element,
	         "<application><member>any</member></application><service><member>%s</member>"
	         "</service><action>%s</action><log-end>yes</log-end>",
	         r->service, r->action);
	panos_xpath(p, below, xpath, sizeof xpath);
	int x = element.error
	            ? err_set(e, element.error, "out of memory for a rule")
	            : panos_call(p, "config",
	                         (const char *const[]){"action", "set", "xpath", xpath, "element",
	                                               buf_str(&element), NULL},
	                         NULL, e);
	if (x == 0)
		x = panos_call(
		    p, "config",
		    (const char *const[]){"action", "move", "xpath", xpath, "where", "top", NULL},
		    NULL, e);
	buf_free(&element);
	return x;
}

/* --- what is prepared once --- */

static int set_group(struct panos *p, size_t i, struct err *e)
{
	char below[96], xpath[XPATH_MAX], element[160];
	snprintf(below, sizeof below, "/address-group/entry[@name='%s']", groups[i].name);
	snprintf(element, sizeof element, "<dynamic><filter>%s</filter></dynamic>",
	         groups[i].filter);
	panos_xpath(p, below, xpath, sizeof xpath);
	return panos_call(
	    p, "config",
	    (const char *const[]){"action", "set", "xpath", xpath, "element", element, NULL}, NULL,
	    e);
}

int panos_make_setup(struct panos *p, struct err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(groups); i++)
		r = set_group(p, i, e);
	/* Each goes to the top, so the last goes first. */
	for (size_t k = 0; r == 0 && k < ARRAY_SIZE(drops); k++) {
		size_t i = ARRAY_SIZE(drops) - 1 - k;
		struct rule rule = {.name = drops[i].name,
		                    .service = "any",
		                    .action = "drop",
		                    .source = drops[i].source,
		                    .destination = drops[i].destination};
		r = set_rule(p, &rule, e);
	}
	return r < 0 ? r : panos_commit(p, e);
}

static bool only_member(const struct xml_node *n, const char *element, const char *value)
{
	const struct xml_node *m = xml_child(xml_child(n, element), "member");
	return m && !strcmp(xml_text(m), value) && !xml_next(m, "member");
}

/* A condition that nobody set narrows the rule: then it does not drop all that it must. */
static bool drop_is_whole(const struct xml_node *n, size_t i)
{
	static const char *const any[] = {"from", "to", "application", "service"};
	bool whole = only_member(n, "source", drops[i].source) &&
	             only_member(n, "destination", drops[i].destination) &&
	             !strcmp(xml_text_at(n, "action"), "drop") &&
	             strcmp(xml_text_at(n, "disabled"), "yes") != 0 &&
	             strcmp(xml_text_at(n, "negate-source"), "yes") != 0 &&
	             strcmp(xml_text_at(n, "negate-destination"), "yes") != 0 &&
	             !xml_child(n, "schedule") && !xml_child(n, "source-user");
	for (size_t k = 0; whole && k < ARRAY_SIZE(any); k++)
		whole = only_member(n, any[k], "any");
	return whole;
}

/* Permits of orders may stand in front of the drops, nothing else. */
static const struct xml_node *behind_permits(const struct xml_node *n)
{
	while (n && xml_attr(n, "name") && !strncmp(xml_attr(n, "name"), "stanch-", 7) &&
	       strstr(xml_attr(n, "name"), "-keep"))
		n = xml_next(n, "entry");
	return n;
}

static void check_drops(const struct xml_node *rules, struct buf *missing)
{
	const struct xml_node *at = behind_permits(xml_child(rules, "entry"));
	for (size_t i = 0; i < ARRAY_SIZE(drops); i++) {
		const struct xml_node *n = xml_child(rules, "entry");
		while (n &&
		       strcmp(xml_attr(n, "name") ? xml_attr(n, "name") : "", drops[i].name) != 0)
			n = xml_next(n, "entry");
		if (!n)
			buf_addf(missing, "rule %s is not there\n", drops[i].name);
		else if (!drop_is_whole(n, i))
			buf_addf(missing, "rule %s was changed or is disabled\n", drops[i].name);
		else if (n != at)
			buf_addf(missing, "rule %s does not stand at the top\n", drops[i].name);
		at = at ? xml_next(at, "entry") : NULL;
	}
}

int panos_check_setup(struct panos *p, struct buf *missing, struct err *e)
{
	char below[96], xpath[XPATH_MAX];
	struct xml_doc *d = NULL;
	const struct xml_node *at;
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(groups); i++) {
		snprintf(below, sizeof below, "/address-group/entry[@name='%s']", groups[i].name);
		r = panos_read(p, "show", panos_xpath(p, below, xpath, sizeof xpath), &d, &at, e);
		if (r == 0 && !at)
			buf_addf(missing, "address group %s is not there\n", groups[i].name);
		else if (r == 0 && strcmp(xml_text_at(at, "dynamic/filter"), groups[i].filter) != 0)
			buf_addf(missing, "address group %s was changed\n", groups[i].name);
		xml_free(d);
		d = NULL;
	}
	if (r == 0)
		r = panos_read(p, "show", panos_xpath(p, RULES, xpath, sizeof xpath), &d, &at, e);
	if (r == 0)
		check_drops(at, missing);
	xml_free(d);
	return r;
}

/* --- the permits of one order --- */

/* A session is opened by one side: two rules where both may. Which: `in`, the peer opens it. */
struct way {
	const struct permit *permit;
	bool in;
	uint16_t port;
	uint8_t proto; /* 0: any service */
};

/* The i-th rule that the permits come to; false behind the last. */
static bool way_at(const struct panos_cut *c, size_t i, struct way *ret)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP};
	for (size_t k = 0; k < c->n_permits; k++) {
		const struct permit *m = &c->permits[k];
		uint16_t port = m->local_port ? m->local_port : m->peer_port;
		for (int in = 0; in < 2; in++) {
			if (port && in != (m->local_port != 0))
				continue;
			for (size_t t = 0; t < ARRAY_SIZE(protos); t++) {
				bool any = !m->proto && !port;
				if ((any && t) || (m->proto && m->proto != protos[t]) || i--)
					continue;
				*ret = (struct way){m, in, port, any ? 0 : protos[t]};
				return true;
			}
		}
	}
	return false;
}

static void way_names(const struct panos_cut *c, const struct way *w, size_t i, char rule[64],
                      char service[64])
{
	snprintf(rule, 64, "%s-keep%zu", c->name, i + 1);
	snprintf(service, 64, "any");
	if (w->proto && w->port)
		snprintf(service, 64, "%s-%s-%u", c->name, w->proto == IPPROTO_TCP ? "tcp" : "udp",
		         w->port);
	else if (w->proto)
		snprintf(service, 64, "%s-%s", c->name, w->proto == IPPROTO_TCP ? "tcp" : "udp");
}

static int set_service(struct panos *p, const struct way *w, const char *name, struct err *e)
{
	char below[128], xpath[XPATH_MAX], element[160], ports[16] = "0-65535";
	const char *proto = w->proto == IPPROTO_TCP ? "tcp" : "udp";
	if (!w->proto)
		return 0;
	if (w->port)
		snprintf(ports, sizeof ports, "%u", w->port);
	snprintf(below, sizeof below, "/service/entry[@name='%s']", name);
	snprintf(element, sizeof element, "<protocol><%s><port>%s</port></%s></protocol>", proto,
	         ports, proto);
	panos_xpath(p, below, xpath, sizeof xpath);
	return panos_call(
	    p, "config",
	    (const char *const[]){"action", "set", "xpath", xpath, "element", element, NULL}, NULL,
	    e);
}

static int set_permit(struct panos *p, const struct panos_cut *c, const struct way *w, size_t i,
                      struct err *e)
{
	char name[64], service[64], peer[PREFIX_STR_MAX];
	struct rule rule = {.name = name, .service = service, .action = "allow"};
	way_names(c, w, i, name, service);
	prefix_str(&w->permit->peer, peer);
	rule.n_addrs = c->n_addrs;
	rule.sources = w->in ? NULL : c->addrs;
	rule.destinations = w->in ? c->addrs : NULL;
	rule.source = rule.destination = peer;
	int r = set_service(p, w, service, e);
	return r < 0 ? r : set_rule(p, &rule, e);
}

int panos_add_permits(struct panos *p, const struct panos_cut *c, struct err *e)
{
	struct way w;
	int r = 0;
	for (size_t i = 0; r == 0 && way_at(c, i, &w); i++)
		r = set_permit(p, c, &w, i, e);
	return r < 0 ? r : panos_commit(p, e);
}

static int delete_at(struct panos *p, const char *below, struct err *e)
{
	char xpath[XPATH_MAX];
	struct xml_doc *d = NULL;
	const struct xml_node *at;
	panos_xpath(p, below, xpath, sizeof xpath);
	int r = panos_read(p, "get", xpath, &d, &at, e);
	if (r == 0 && at)
		r = panos_call(p, "config",
		               (const char *const[]){"action", "delete", "xpath", xpath, NULL},
		               NULL, e);
	xml_free(d);
	return r;
}

/* Rules first: a service that a rule names cannot be deleted. */
int panos_remove_permits(struct panos *p, const struct panos_cut *c, struct err *e)
{
	struct way w;
	char name[64], service[64], below[128];
	int r = 0;
	for (size_t i = 0; r == 0 && way_at(c, i, &w); i++) {
		way_names(c, &w, i, name, service);
		snprintf(below, sizeof below, RULES "/entry[@name='%s']", name);
		r = delete_at(p, below, e);
	}
	for (size_t i = 0; r == 0 && way_at(c, i, &w); i++) {
		way_names(c, &w, i, name, service);
		snprintf(below, sizeof below, "/service/entry[@name='%s']", service);
		if (w.proto)
			r = delete_at(p, below, e);
	}
	return r < 0 ? r : panos_commit(p, e);
}

int panos_count_permits(struct panos *p, const struct panos_cut *c, size_t *ret, size_t *ret_of,
                        struct err *e)
{
	char xpath[XPATH_MAX], name[64], service[64];
	struct xml_doc *d = NULL;
	const struct xml_node *rules;
	struct way w;
	int r = panos_read(p, "show", panos_xpath(p, RULES, xpath, sizeof xpath), &d, &rules, e);
	if (r < 0)
		return r;
	*ret = *ret_of = 0;
	for (size_t i = 0; way_at(c, i, &w); i++) {
		const struct xml_node *n = xml_child(rules, "entry");
		const struct xml_node *end = behind_permits(n);
		way_names(c, &w, i, name, service);
		while (n != end && strcmp(xml_attr(n, "name"), name) != 0)
			n = xml_next(n, "entry");
		(*ret_of)++;
		*ret += n != end && !strcmp(xml_text_at(n, "action"), "allow") &&
		        only_member(n, "service", service) &&
		        strcmp(xml_text_at(n, "disabled"), "yes") != 0;
	}
	xml_free(d);
	return 0;
}
