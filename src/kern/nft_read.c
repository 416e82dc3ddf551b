/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tables as the kernel has them. What is read is bracketed by the ruleset's generation: when it
 * moved in between, everything is read again, so that an image is of one moment.
 */
#include <endian.h>
#include <errno.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "base/table.h"
#include "kern/nft.h"

#define TRIES       5
#define REQUEST_MAX 4096

struct reading {
	struct nft_table *t;
	struct nft_set *set;
};

static void copy_name(char *dst, size_t n, const char *src)
{
	size_t len = src ? strnlen(src, n - 1) : 0;
	memset(dst, 0, n);
	if (len)
		memcpy(dst, src, len);
}

static int oom(void)
{
	errno = ENOMEM;
	return MNL_CB_ERROR;
}

static int malformed(void)
{
	errno = EBADMSG;
	return MNL_CB_ERROR;
}

/* ---- table ---- */

static void take_comment(const uint8_t *p, uint32_t n, char comment[static NFT_COMMENT_MAX])
{
	while (n >= 2 && n - 2 >= p[1]) {
		if (p[0] == NFTNL_UDATA_TABLE_COMMENT && p[1])
			copy_name(comment, p[1] < NFT_COMMENT_MAX ? (size_t)p[1] : NFT_COMMENT_MAX,
			          (const char *)p + 2);
		n -= 2u + p[1];
		p += 2 + p[1];
	}
}

/* By hand and not by libnftnl, which says nothing when it has no memory for the comment: a table of
 * ours would read as somebody else's. */
static int on_table(const struct nlmsghdr *h, void *arg)
{
	struct nft_table *head = arg;
	const struct nlattr *a;
	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
	{
		uint16_t n = mnl_attr_get_payload_len(a);
		if (mnl_attr_get_type(a) == NFTA_TABLE_FLAGS && n == sizeof(uint32_t))
			head->flags = be32toh(mnl_attr_get_u32(a));
		if (mnl_attr_get_type(a) == NFTA_TABLE_OWNER && n == sizeof(uint32_t))
			head->owner = be32toh(mnl_attr_get_u32(a));
		if (mnl_attr_get_type(a) == NFTA_TABLE_USERDATA)
			take_comment(mnl_attr_get_payload(a), n, head->comment);
	}
	return MNL_CB_OK;
}

int nft_read_head(struct nl *nl, uint8_t family, const char *name, struct nft_table *ret,
                  struct err *e)
{
	char request[REQUEST_MAX] __attribute__((aligned(16)));
	struct nft_table t = {.family = family};
	copy_name(t.name, sizeof t.name, name);
	struct nlmsghdr *h = nftnl_nlmsg_build_hdr(request, NFT_MSG_GETTABLE, family, 0, 0);
	mnl_attr_put_strz(h, NFTA_TABLE_NAME, t.name);
	struct err why = {0};
	int r = nl_talk(nl, h, on_table, &t, &why);
	if (r < 0)
		return err_set(e, r, "nftables table %s %s: %s", nft_family_str(family), name,
		               r == -ENOENT ? "there is none" : why.text);
	*ret = t;
	return 0;
}

/* ---- chains ---- */

static void take_device(const struct nftnl_chain *n, struct nft_chain *c)
{
	if (nftnl_chain_is_set(n, NFTNL_CHAIN_DEV)) {
		copy_name(c->dev, sizeof c->dev, nftnl_chain_get_str(n, NFTNL_CHAIN_DEV));
	} else if (nftnl_chain_is_set(n, NFTNL_CHAIN_DEVICES)) {
		const char *const *v = nftnl_chain_get_array(n, NFTNL_CHAIN_DEVICES);
		if (v && v[0])
			copy_name(c->dev, sizeof c->dev, v[1] ? "*" : v[0]);
	}
}

static int take_chain(const struct nftnl_chain *n, struct nft_table *t)
{
	const char *table = nftnl_chain_get_str(n, NFTNL_CHAIN_TABLE);
	if (!table || strcmp(table, t->name))
		return MNL_CB_OK; /* the kernel lists the chains of every table of the family */
	struct nft_chain *c = nft_add_chain(t, nftnl_chain_get_str(n, NFTNL_CHAIN_NAME));
	if (!c)
		return oom();
	c->base = nftnl_chain_is_set(n, NFTNL_CHAIN_HOOKNUM);
	if (c->base) {
		c->hook = nftnl_chain_get_u32(n, NFTNL_CHAIN_HOOKNUM);
		c->prio = nftnl_chain_get_s32(n, NFTNL_CHAIN_PRIO);
		c->policy = nftnl_chain_get_u32(n, NFTNL_CHAIN_POLICY);
		take_device(n, c);
	}
	return MNL_CB_OK;
}

static int on_chain(const struct nlmsghdr *h, void *arg)
{
	struct reading *x = arg;
	struct nftnl_chain *n = nftnl_chain_alloc();
	if (!n)
		return oom();
	int r = nftnl_chain_nlmsg_parse(h, n) < 0 ? malformed() : take_chain(n, x->t);
	nftnl_chain_free(n);
	return r;
}

/* ---- rules ---- */

static bool same_reg(const struct nftnl_expr *n, uint16_t attr)
{
	uint32_t reg = nftnl_expr_get_u32(n, attr);
	return reg == NFT_REG_1 || reg == NFT_REG32_00; /* two names of the same place */
}

static bool take_data(const struct nftnl_expr *n, uint16_t attr, struct nft_expr *x)
{
	uint32_t len = 0;
	const void *p = nftnl_expr_is_set(n, attr) ? nftnl_expr_get(n, attr, &len) : NULL;
	if (!p || len > NFT_KEY_MAX)
		return false;
	x->len = (uint8_t)len;
	memcpy(x->data, p, len);
	return true;
}

static bool take_meta(const struct nftnl_expr *n, struct nft_expr *x)
{
	x->key = nftnl_expr_get_u32(n, NFTNL_EXPR_META_KEY);
	return nftnl_expr_is_set(n, NFTNL_EXPR_META_DREG) && same_reg(n, NFTNL_EXPR_META_DREG);
}

static bool take_payload(const struct nftnl_expr *n, struct nft_expr *x)
{
	if (!nftnl_expr_is_set(n, NFTNL_EXPR_PAYLOAD_DREG))
		return false;
	x->base = (uint8_t)nftnl_expr_get_u32(n, NFTNL_EXPR_PAYLOAD_BASE);
	x->off = (uint16_t)nftnl_expr_get_u32(n, NFTNL_EXPR_PAYLOAD_OFFSET);
	x->len = (uint8_t)nftnl_expr_get_u32(n, NFTNL_EXPR_PAYLOAD_LEN);
	return same_reg(n, NFTNL_EXPR_PAYLOAD_DREG);
}

static bool take_mask(const struct nftnl_expr *n, struct nft_expr *x)
{
	struct nft_expr xor = {0};
	if (!take_data(n, NFTNL_EXPR_BITWISE_MASK, x) ||
	    !take_data(n, NFTNL_EXPR_BITWISE_XOR, &xor))
		return false;
	for (size_t i = 0; i < xor.len; i++)
		if (xor.data[i])
			return false;
	return same_reg(n, NFTNL_EXPR_BITWISE_SREG) && same_reg(n, NFTNL_EXPR_BITWISE_DREG);
}

static bool take_cmp(const struct nftnl_expr *n, struct nft_expr *x)
{
	x->key = nftnl_expr_get_u32(n, NFTNL_EXPR_CMP_OP);
	return take_data(n, NFTNL_EXPR_CMP_DATA, x) && same_reg(n, NFTNL_EXPR_CMP_SREG);
}

static bool take_lookup(const struct nftnl_expr *n, struct nft_expr *x)
{
	x->key = nftnl_expr_is_set(n, NFTNL_EXPR_LOOKUP_FLAGS)
	             ? nftnl_expr_get_u32(n, NFTNL_EXPR_LOOKUP_FLAGS)
	             : 0;
	copy_name(x->name, sizeof x->name, nftnl_expr_get_str(n, NFTNL_EXPR_LOOKUP_SET));
	return same_reg(n, NFTNL_EXPR_LOOKUP_SREG) && !nftnl_expr_is_set(n, NFTNL_EXPR_LOOKUP_DREG);
}

static bool take_verdict(const struct nftnl_expr *n, struct nft_expr *x)
{
	x->key = nftnl_expr_get_u32(n, NFTNL_EXPR_IMM_VERDICT);
	if (nftnl_expr_is_set(n, NFTNL_EXPR_IMM_CHAIN))
		copy_name(x->name, sizeof x->name, nftnl_expr_get_str(n, NFTNL_EXPR_IMM_CHAIN));
	return nftnl_expr_is_set(n, NFTNL_EXPR_IMM_VERDICT) &&
	       nftnl_expr_get_u32(n, NFTNL_EXPR_IMM_DREG) == NFT_REG_VERDICT;
}

static const struct {
	const char *name;
	enum nft_op op;
	bool (*take)(const struct nftnl_expr *n, struct nft_expr *x);
} takers[] = {
    {"meta", NFT_OP_META, take_meta},       {"payload", NFT_OP_PAYLOAD, take_payload},
    {"bitwise", NFT_OP_MASK, take_mask},    {"cmp", NFT_OP_CMP, take_cmp},
    {"lookup", NFT_OP_LOOKUP, take_lookup}, {"immediate", NFT_OP_VERDICT, take_verdict},
};

static int on_expr(struct nftnl_expr *n, void *arg)
{
	struct nft_rule *r = arg;
	if (r->n >= NFT_EXPRS_MAX) {
		r->n = NFT_EXPRS_MAX + 1;
		return 0;
	}
	struct nft_expr *x = &r->v[r->n++];
	const char *name = nftnl_expr_get_str(n, NFTNL_EXPR_NAME);
	for (size_t i = 0; i < ARRAY_SIZE(takers); i++) {
		if (strcmp(takers[i].name, name))
			continue;
		x->op = (uint8_t)takers[i].op;
		if (takers[i].take(n, x))
			return 0;
	}
	memset(x, 0, sizeof *x);
	x->op = NFT_OP_OTHER;
	copy_name(x->name, sizeof x->name, name);
	return 0;
}

static int take_rule(struct nftnl_rule *n, struct nft_table *t)
{
	const char *table = nftnl_rule_get_str(n, NFTNL_RULE_TABLE);
	const char *chain = nftnl_rule_get_str(n, NFTNL_RULE_CHAIN);
	if (!table || !chain || strcmp(table, t->name))
		return MNL_CB_OK;
	struct nft_chain *c = nft_find_chain(t, chain);
	if (!c)
		return MNL_CB_OK; /* a chain that came after the chains were read: read again */
	struct nft_rule *r = nft_add_rule(c);
	if (!r)
		return oom();
	r->handle = nftnl_rule_get_u64(n, NFTNL_RULE_HANDLE);
	nftnl_expr_foreach(n, on_expr, r);
	return MNL_CB_OK;
}

static int on_rule(const struct nlmsghdr *h, void *arg)
{
	struct reading *x = arg;
	struct nftnl_rule *n = nftnl_rule_alloc();
	if (!n)
		return oom();
	int r = nftnl_rule_nlmsg_parse(h, n) < 0 ? malformed() : take_rule(n, x->t);
	nftnl_rule_free(n);
	return r;
}

/* ---- sets ---- */

static enum nft_key key_of(const struct nftnl_set *n)
{
	static const struct {
		uint32_t type;
		enum nft_key key;
	} types[] = {
	    {2, NFT_KEY_NFPROTO}, {20, NFT_KEY_IFINDEX}, {7, NFT_KEY_IP4}, {8, NFT_KEY_IP6}};
	uint32_t type = nftnl_set_get_u32(n, NFTNL_SET_KEY_TYPE);
	uint32_t len = nftnl_set_get_u32(n, NFTNL_SET_KEY_LEN);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].type == type && nft_key_len(types[i].key) == len)
			return types[i].key;
	return _NFT_KEY_MAX;
}

static int on_set(const struct nlmsghdr *h, void *arg)
{
	struct reading *x = arg;
	struct nftnl_set *n = nftnl_set_alloc();
	if (!n)
		return oom();
	int r = MNL_CB_OK;
	if (nftnl_set_nlmsg_parse(h, n) < 0) {
		r = malformed();
	} else {
		const char *table = nftnl_set_get_str(n, NFTNL_SET_TABLE);
		if (table && !strcmp(table, x->t->name) &&
		    !nft_add_set(x->t, nftnl_set_get_str(n, NFTNL_SET_NAME), key_of(n),
		                 nftnl_set_is_set(n, NFTNL_SET_FLAGS)
		                     ? nftnl_set_get_u32(n, NFTNL_SET_FLAGS)
		                     : 0))
			r = oom();
	}
	nftnl_set_free(n);
	return r;
}

/* ---- elements ---- */

static int take_elem(const struct nlattr *nest, struct nft_set *s)
{
	struct nft_elem *el = nft_add_elem(s);
	if (!el)
		return oom();
	bool key = false;
	const struct nlattr *a;
	mnl_attr_for_each_nested(a, nest)
	{
		uint16_t len = mnl_attr_get_payload_len(a);
		switch (mnl_attr_get_type(a)) {
		case NFTA_SET_ELEM_KEY: {
			const struct nlattr *v = mnl_attr_get_payload(a);
			if (len < sizeof *v || !mnl_attr_ok(v, len) ||
			    mnl_attr_get_payload_len(v) != nft_key_len(s->key))
				return malformed();
			memcpy(el->key, mnl_attr_get_payload(v), nft_key_len(s->key));
			key = true;
			break;
		}
		case NFTA_SET_ELEM_FLAGS:
			if (len == 4)
				el->interval_end =
				    be32toh(mnl_attr_get_u32(a)) & NFT_SET_ELEM_INTERVAL_END;
			break;
		case NFTA_SET_ELEM_TIMEOUT:
			if (len == 8)
				el->timeout = be64toh(mnl_attr_get_u64(a));
			break;
		case NFTA_SET_ELEM_EXPIRATION:
			if (len == 8)
				el->left = be64toh(mnl_attr_get_u64(a));
			break;
		}
	}
	return key ? MNL_CB_OK : malformed();
}

static int on_elems(const struct nlmsghdr *h, void *arg)
{
	struct reading *x = arg;
	const struct nlattr *a, *el;
	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) != NFTA_SET_ELEM_LIST_ELEMENTS)
			continue;
		mnl_attr_for_each_nested(el, a)
		{
			int r = take_elem(el, x->set);
			if (r != MNL_CB_OK)
				return r;
		}
	}
	return MNL_CB_OK;
}

static int by_key(const void *a, const void *b)
{
	const struct nft_elem *x = a, *y = b;
	int d = memcmp(x->key, y->key, sizeof x->key);
	/* [a,b) and [b,c): the end of the first stands before the start of the second */
	return d ? d : (int)y->interval_end - (int)x->interval_end;
}

static int read_elems(struct nl *nl, struct reading *x, struct err *e)
{
	for (size_t i = 0; i < x->t->n_sets; i++) {
		x->set = &x->t->sets[i];
		if (x->set->key == _NFT_KEY_MAX)
			continue;
		char request[REQUEST_MAX] __attribute__((aligned(16)));
		struct nlmsghdr *h =
		    nftnl_nlmsg_build_hdr(request, NFT_MSG_GETSETELEM, x->t->family, NLM_F_DUMP, 0);
		mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, x->t->name);
		mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, x->set->name);
		int r = nl_talk(nl, h, on_elems, x, e);
		if (r < 0)
			return r;
		if (x->set->n_elems)
			qsort(x->set->elems, x->set->n_elems, sizeof *x->set->elems, by_key);
	}
	return 0;
}

/* ---- the whole ---- */

static int on_generation(const struct nlmsghdr *h, void *arg)
{
	uint32_t *ret = arg;
	const struct nlattr *a;
	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == NFTA_GEN_ID && mnl_attr_get_payload_len(a) == 4)
			*ret = be32toh(mnl_attr_get_u32(a));
	}
	return MNL_CB_OK;
}

static int generation(struct nl *nl, uint32_t *ret, struct err *e)
{
	char request[REQUEST_MAX] __attribute__((aligned(16)));
	struct nlmsghdr *h = nftnl_nlmsg_build_hdr(request, NFT_MSG_GETGEN, NFPROTO_UNSPEC, 0, 0);
	return nl_talk(nl, h, on_generation, ret, e);
}

static int dump(struct nl *nl, uint16_t type, uint16_t table_attr, struct reading *x, mnl_cb_t cb,
                struct err *e)
{
	char request[REQUEST_MAX] __attribute__((aligned(16)));
	struct nlmsghdr *h = nftnl_nlmsg_build_hdr(request, type, x->t->family, NLM_F_DUMP, 0);
	if (table_attr)
		mnl_attr_put_strz(h, table_attr, x->t->name);
	return nl_talk(nl, h, cb, x, e);
}

static int read_once(struct nl *nl, bool elements, struct nft_table *t, struct err *e)
{
	struct reading x = {.t = t};
	int r = nft_read_head(nl, t->family, t->name, t, e);
	if (r == 0)
		r = dump(nl, NFT_MSG_GETCHAIN, 0, &x, on_chain, e);
	if (r == 0)
		r = dump(nl, NFT_MSG_GETRULE, NFTA_RULE_TABLE, &x, on_rule, e);
	if (r == 0)
		r = dump(nl, NFT_MSG_GETSET, NFTA_SET_TABLE, &x, on_set, e);
	if (r == 0 && elements)
		r = read_elems(nl, &x, e);
	return r;
}

int nft_read_table(struct nl *nl, uint8_t family, const char *name, bool elements,
                   struct nft_table *ret, struct err *e)
{
	for (int i = 0; i < TRIES; i++) {
		struct nft_table t = {.family = family};
		uint32_t before = 0, after = 0;
		copy_name(t.name, sizeof t.name, name);
		struct err why = {0};
		int r = generation(nl, &before, &why);
		if (r == 0)
			r = read_once(nl, elements, &t, &why);
		int r2 = generation(nl, &after, r == 0 ? &why : NULL);
		if (r == 0 && r2 < 0)
			r = r2;
		bool moved = r2 == 0 && before != after;
		if (r == 0 && !moved) {
			*ret = t;
			return 0;
		}
		nft_table_free(&t);
		if (!moved && r != -EAGAIN)
			return err_set(e, r, "%s", why.text);
	}
	return err_set(e, -EAGAIN, "the nftables ruleset changed during each of %d readings",
	               TRIES);
}

/* ---- comparing ---- */

struct differences {
	const struct nft_table *want;
	struct buf *out;
	unsigned n;
};

static void __attribute__((format(printf, 2, 3))) tell(struct differences *d, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	buf_addf(d->out, "table %s %s: %s\n", nft_family_str(d->want->family), d->want->name, text);
	d->n++;
}

static void tell_rule(struct differences *d, const char *chain, const char *what,
                      const struct nft_rule *r)
{
	struct buf text = BUF_INIT(4096);
	nft_print_rule(r, &text);
	tell(d, "chain %s: %s: %s", chain, what, buf_str(&text));
	buf_free(&text);
}

/* The first place where two chains part tells what is missing or new; order matters. */
static void compare_rules(struct differences *d, const struct nft_chain *want,
                          const struct nft_chain *have)
{
	size_t i = 0, k = 0;
	while (i < want->n_rules && k < have->n_rules) {
		if (nft_rule_equal(&want->rules[i], &have->rules[k])) {
			i++, k++;
			continue;
		}
		size_t ahead = k + 1;
		while (ahead < have->n_rules &&
		       !nft_rule_equal(&want->rules[i], &have->rules[ahead]))
			ahead++;
		if (ahead < have->n_rules)
			for (; k < ahead; k++)
				tell_rule(d, want->name, "a rule is not ours", &have->rules[k]);
		else
			tell_rule(d, want->name, "a rule is gone", &want->rules[i++]);
	}
	for (; i < want->n_rules; i++)
		tell_rule(d, want->name, "a rule is gone", &want->rules[i]);
	for (; k < have->n_rules; k++)
		tell_rule(d, want->name, "a rule is not ours", &have->rules[k]);
}

static void compare_chains(struct differences *d, const struct nft_table *have)
{
	for (size_t i = 0; i < d->want->n_chains; i++) {
		const struct nft_chain *w = &d->want->chains[i], *h = nft_find_chain(have, w->name);
		if (!h) {
			tell(d, "chain %s is gone", w->name);
			continue;
		}
		if (w->base != h->base || w->hook != h->hook || w->prio != h->prio ||
		    w->policy != h->policy || strcmp(w->dev, h->dev))
			tell(d, "chain %s hangs on another hook, device, priority or policy",
			     w->name);
		compare_rules(d, w, h);
	}
	for (size_t i = 0; i < have->n_chains; i++)
		if (!nft_find_chain(d->want, have->chains[i].name))
			tell(d, "chain %s is not ours", have->chains[i].name);
}

static void compare_sets(struct differences *d, const struct nft_table *have)
{
	for (size_t i = 0; i < d->want->n_sets; i++) {
		const struct nft_set *w = &d->want->sets[i], *h = nft_find_set(have, w->name);
		if (!h)
			tell(d, "set %s is gone", w->name);
		else if (w->key != h->key || w->flags != h->flags)
			tell(d, "set %s has another type", w->name);
	}
	for (size_t i = 0; i < have->n_sets; i++)
		if (!nft_find_set(d->want, have->sets[i].name))
			tell(d, "set %s is not ours", have->sets[i].name);
}

unsigned nft_compare(const struct nft_table *want, const struct nft_table *have, struct buf *drift)
{
	struct differences d = {.want = want, .out = drift};
	if (strcmp(want->comment, have->comment))
		tell(&d, "its comment is \"%s\", not \"%s\": it is another order's or a forgery",
		     have->comment, want->comment);
	if ((have->flags ^ want->flags) & ~NFT_TABLE_HELD)
		tell(&d, "its flags are 0x%x%s", have->flags,
		     have->flags & NFT_TABLE_F_DORMANT ? ": it is dormant, nothing of it acts"
		                                       : "");
	compare_chains(&d, have);
	compare_sets(&d, have);
	return d.n;
}
