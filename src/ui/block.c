/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ctype.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "ui/cut.h"
#include "ui/feeds.h"
#include "ui/show.h"
#include "ui/verbs.h"
#include "ui/via.h"

const struct opt block_opts[] = {
    {"feed", 0, OPT_LIST, "FILE|URL", "block what this list names; - is standard input"},
    {"feed-format", 0, OPT_TEXT, "F",
     "list, netset, csv, nft, stix or misp (default: found out by looking)"},
    {"feed-ca", 0, OPT_TEXT, "FILE", "authorities (PEM) for a URL, in place of the system's"},
    {"allow", 0, OPT_LIST, "PREFIX|FILE",
     "never block these because of a feed; a list in any of the formats, or a MISP warning list"},
    {"via", 0, OPT_LIST, "POINT,…", "enforcement points that do it (default: self)"},
    {NULL},
};

static bool looks_like_domain(const char *s)
{
	bool letter = false, dot = false;
	if (strlen(s) >= TARGET_NAME_MAX)
		return false;
	for (; *s; s++) {
		unsigned char ch = (unsigned char)*s;
		if (!isalnum(ch) && ch != '-' && ch != '.' && ch != '_')
			return false;
		letter |= isalpha(ch) != 0;
		dot |= ch == '.';
	}
	return letter && dot;
}

static bool has_target(const struct order *o, const struct prefix *p)
{
	for (size_t i = 0; i < o->n_targets; i++)
		if (o->targets[i].prefix.len == p->len &&
		    addr_equal(&o->targets[i].prefix.addr, &p->addr))
			return true;
	return false;
}

static int add_prefix(struct cut *k, const char *name, const struct prefix *p, const char *domain)
{
	struct err e = {0};
	struct target t = {.kind = TARGET_PREFIX, .prefix = *p};
	if (has_target(&k->order, p))
		return EXIT_DONE;
	snprintf(t.name, sizeof t.name, "%s", name);
	snprintf(t.domain, sizeof t.domain, "%s", domain);
	return order_add_target(&k->order, &t, &e) < 0 ? ctx_fail(k->c, EXIT_USAGE, &e) : EXIT_DONE;
}

/* Every address that the name has now is pinned; what it has tomorrow is not followed. */
static int add_domain(struct cut *k, const char *name)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	struct buf shown = BUF_INIT(8192);
	int x = getaddrinfo(name, NULL, &hints, &list), r = EXIT_DONE;
	if (x != 0) {
		out_error(&k->c->out, "%s cannot be resolved now (%s); give its addresses instead",
		          name, gai_strerror(x));
		return EXIT_REFUSED;
	}
	for (struct addrinfo *ai = list; ai && r == EXIT_DONE; ai = ai->ai_next) {
		struct addr a;
		char text[ADDR_STR_MAX];
		if (addr_from_sockaddr(ai->ai_addr, &a, NULL) < 0)
			continue;
		struct prefix p = prefix_of(&a, addr_bits(&a));
		r = add_prefix(k, addr_str(&a, text), &p, name);
		buf_addf(&shown, "%s%s", shown.len ? ", " : "", text);
	}
	freeaddrinfo(list);
	buf_addf(&k->notes, "%s was resolved once, to %s; later answers are not followed\n", name,
	         buf_str(&shown));
	buf_free(&shown);
	return r;
}

static int add_target(struct cut *k, const char *text)
{
	struct err e = {0};
	struct prefix p;
	int r = prefix_parse(text, &p, &e);
	if (r == 0)
		return add_prefix(k, text, &p, "");
	if (looks_like_domain(text))
		return add_domain(k, text);
	if (strspn(text, "0123456789abcdefABCDEF:./") != strlen(text))
		out_error(&k->c->out, "\"%.60s\" is no address, prefix or domain", text);
	else
		ctx_fail(k->c, EXIT_USAGE, &e);
	return EXIT_USAGE;
}

static int check_guards(struct cut *k)
{
	struct prefix *v = calloc(k->order.n_targets + 1, sizeof *v);
	if (!v) {
		out_error(&k->c->out, "out of memory; nothing was changed");
		return EXIT_FAILED;
	}
	for (size_t i = 0; i < k->order.n_targets; i++)
		v[i] = k->order.targets[i].prefix;
	int r = cut_check_prefixes(k, v, k->order.n_targets);
	free(v);
	return r;
}

int verb_block(struct ctx *c, const struct args *a)
{
	struct cut k;
	struct buf question = BUF_INIT(4096);
	int r = cut_begin(&k, c, a, NULL);
	k.order.verb = VERB_BLOCK;
	for (size_t i = 0; i < a->n_pos && r == EXIT_DONE; i++)
		r = add_target(&k, a->pos[i]);
	if (r == EXIT_DONE)
		r = check_guards(&k);
	if (r == EXIT_DONE)
		r = feeds_collect(&k);
	if (r == EXIT_DONE && !k.order.n_targets && !k.order.n_feeds) {
		out_error(&c->out, "there is nothing to block: give TARGET or --feed");
		r = EXIT_USAGE;
	}
	if (r == EXIT_DONE && !feeds_hold(&k)) {
		buf_addf(&question, "Block ");
		targets_text(&k.order, &question);
		if (args_has(a, "via")) {
			buf_addf(&question, " at ");
			via_text(&k.at, &question);
		}
		buf_addf(&question, "?");
		r = cut_carry_out(&k, buf_str(&question));
		if (k.order.n_feeds && k.order.id && (r == EXIT_DONE || r == EXIT_PARTIAL))
			feeds_replace(&k);
	}
	buf_free(&question);
	cut_end(&k);
	return r;
}
