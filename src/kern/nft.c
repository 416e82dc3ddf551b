/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Images of tables in memory, and their way into the kernel. Tables, chains, rules and sets are
 * built by libnftnl; elements, of which there may be a hundred thousand, by libmnl alone.
 *
 * Invariants: only the last message of a batch asks for an ack, so that answers cannot overflow the
 * receive buffer; a batch that met an error while it was built is never sent.
 */
#include "kern/nft.h"

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
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "base/table.h"

#define MESSAGE_MAX  (64u << 10)
#define ELEMS_A_TURN 400 /* of one message: a nested attribute holds 64 KiB */

/* nft's own numbers for data types, so that nft prints the keys as what they are. */
static const struct {
	uint32_t type, len, byteorder;
} keys[_NFT_KEY_MAX] = {
    [NFT_KEY_NFPROTO] = {2, 1, 1},
    [NFT_KEY_IFINDEX] = {20, 4, 1},
    [NFT_KEY_IP4] = {7, 4, 2},
    [NFT_KEY_IP6] = {8, 16, 2},
};

size_t nft_key_len(enum nft_key key)
{
	return key < _NFT_KEY_MAX ? keys[key].len : 0;
}

const char *nft_family_str(uint8_t family)
{
	switch (family) {
	case NFPROTO_INET:
		return "inet";
	case NFPROTO_NETDEV:
		return "netdev";
	case NFPROTO_BRIDGE:
		return "bridge";
	default:
		return "unknown";
	}
}

void nft_table_free(struct nft_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n_chains; i++)
		free(t->chains[i].rules);
	for (size_t i = 0; i < t->n_sets; i++)
		free(t->sets[i].elems);
	free(t->chains);
	free(t->sets);
	memset(t, 0, sizeof *t);
}

/* Room for one more of n elements, in powers of two; the new one zeroed. */
static void *grow(void *array, size_t n, size_t size)
{
	if (n == 0 || !(n & (n - 1))) {
		void *bigger = realloc(array, (n ? n * 2 : 1) * size);
		if (!bigger)
			return NULL;
		array = bigger;
	}
	memset((char *)array + n * size, 0, size);
	return array;
}

static void copy_name(char *dst, size_t n, const char *src)
{
	size_t len = src ? strnlen(src, n - 1) : 0;
	if (len)
		memcpy(dst, src, len);
	dst[len] = 0;
}

struct nft_chain *nft_add_chain(struct nft_table *t, const char *name)
{
	struct nft_chain *v = grow(t->chains, t->n_chains, sizeof *v);
	if (!v)
		return NULL;
	t->chains = v;
	v += t->n_chains++;
	copy_name(v->name, sizeof v->name, name);
	v->policy = NF_ACCEPT;
	return v;
}

struct nft_set *nft_add_set(struct nft_table *t, const char *name, enum nft_key key, uint32_t flags)
{
	struct nft_set *v = grow(t->sets, t->n_sets, sizeof *v);
	if (!v)
		return NULL;
	t->sets = v;
	v += t->n_sets++;
	copy_name(v->name, sizeof v->name, name);
	v->key = key;
	v->flags = flags;
	return v;
}

struct nft_rule *nft_add_rule(struct nft_chain *c)
{
	struct nft_rule *v = grow(c->rules, c->n_rules, sizeof *v);
	if (!v) {
		c->error = -ENOMEM;
		return NULL;
	}
	c->rules = v;
	return &v[c->n_rules++];
}

struct nft_elem *nft_add_elem(struct nft_set *s)
{
	struct nft_elem *v = grow(s->elems, s->n_elems, sizeof *v);
	if (!v)
		return NULL;
	s->elems = v;
	return &v[s->n_elems++];
}

struct nft_chain *nft_find_chain(const struct nft_table *t, const char *name)
{
	for (size_t i = 0; i < t->n_chains; i++)
		if (!strcmp(t->chains[i].name, name))
			return &t->chains[i];
	return NULL;
}

struct nft_set *nft_find_set(const struct nft_table *t, const char *name)
{
	for (size_t i = 0; i < t->n_sets; i++)
		if (!strcmp(t->sets[i].name, name))
			return &t->sets[i];
	return NULL;
}

/* The next expression of r; a rule that is too long gets n beyond the maximum. */
static struct nft_expr *next(struct nft_rule *r, enum nft_op op)
{
	static _Thread_local struct nft_expr spill;
	struct nft_expr *x = r->n < NFT_EXPRS_MAX ? &r->v[r->n++] : &spill;
	if (x == &spill)
		r->n = NFT_EXPRS_MAX + 1;
	memset(x, 0, sizeof *x);
	x->op = (uint8_t)op;
	return x;
}

void nft_meta(struct nft_rule *r, uint32_t key)
{
	next(r, NFT_OP_META)->key = key;
}

void nft_payload(struct nft_rule *r, uint8_t base, uint16_t off, uint8_t len)
{
	struct nft_expr *x = next(r, NFT_OP_PAYLOAD);
	x->base = base;
	x->off = off;
	x->len = len;
}

static void put_data(struct nft_expr *x, const void *data, uint8_t len)
{
	x->len = len <= NFT_KEY_MAX ? len : NFT_KEY_MAX;
	memcpy(x->data, data, x->len);
}

void nft_mask(struct nft_rule *r, const void *mask, uint8_t len)
{
	put_data(next(r, NFT_OP_MASK), mask, len);
}

void nft_cmp(struct nft_rule *r, uint32_t op, const void *data, uint8_t len)
{
	struct nft_expr *x = next(r, NFT_OP_CMP);
	x->key = op;
	put_data(x, data, len);
}

void nft_lookup(struct nft_rule *r, const char *set, bool inverted)
{
	struct nft_expr *x = next(r, NFT_OP_LOOKUP);
	x->key = inverted ? NFT_LOOKUP_F_INV : 0;
	copy_name(x->name, sizeof x->name, set);
}

void nft_verdict(struct nft_rule *r, uint32_t verdict, const char *chain)
{
	struct nft_expr *x = next(r, NFT_OP_VERDICT);
	x->key = verdict;
	copy_name(x->name, sizeof x->name, chain);
}

bool nft_rule_equal(const struct nft_rule *a, const struct nft_rule *b)
{
	if (a->n != b->n || a->n > NFT_EXPRS_MAX)
		return false;
	for (size_t i = 0; i < a->n; i++)
		/* From zeros, with their padding. NOLINTNEXTLINE(*-memory-comparison,cert-*) */
		if (a->v[i].op == NFT_OP_OTHER || memcmp(&a->v[i], &b->v[i], sizeof a->v[i]))
			return false;
	return true;
}

/* ---- batch ---- */

void nft_batch_begin(struct nft_batch *b)
{
	*b = (struct nft_batch){.bytes = BUF_INIT(NFT_BATCH_BYTES_MAX)};
}

void nft_batch_free(struct nft_batch *b)
{
	if (b)
		buf_free(&b->bytes);
}

static void fail(struct nft_batch *b, int code)
{
	if (!b->error)
		b->error = code;
}

/* A message of its own is built in scratch space and then copied, since libnftnl checks no bound.
 */
static _Thread_local char scratch[MESSAGE_MAX] __attribute__((aligned(16)));

static struct nlmsghdr *start(uint16_t type, uint8_t family, uint16_t flags)
{
	return nftnl_nlmsg_build_hdr(scratch, type, family, flags, 0);
}

static void finish(struct nft_batch *b, const struct nlmsghdr *h)
{
	b->last = b->bytes.len;
	b->messages++;
	int r = buf_add(&b->bytes, h, MNL_ALIGN(h->nlmsg_len));
	if (r < 0)
		fail(b, r);
}

static void put_udata_text(struct nlmsghdr *h, uint16_t attr, uint8_t type, const char *text)
{
	uint8_t bytes[2 + NFT_COMMENT_MAX];
	size_t n = strlen(text) + 1;
	bytes[0] = type;
	bytes[1] = (uint8_t)n;
	memcpy(bytes + 2, text, n);
	mnl_attr_put(h, attr, 2 + n, bytes);
}

static void put_table_head(struct nft_batch *b, const struct nft_table *t)
{
	struct nlmsghdr *h = start(NFT_MSG_NEWTABLE, t->family, NLM_F_CREATE | NLM_F_EXCL);
	mnl_attr_put_strz(h, NFTA_TABLE_NAME, t->name);
	mnl_attr_put_u32(h, NFTA_TABLE_FLAGS, htobe32(t->flags));
	if (t->comment[0])
		put_udata_text(h, NFTA_TABLE_USERDATA, NFTNL_UDATA_TABLE_COMMENT, t->comment);
	finish(b, h);
}

void nft_adopt_table(struct nft_batch *b, uint8_t family, const char *name)
{
	struct nlmsghdr *h = start(NFT_MSG_NEWTABLE, family, 0);
	mnl_attr_put_strz(h, NFTA_TABLE_NAME, name);
	mnl_attr_put_u32(h, NFTA_TABLE_FLAGS, htobe32(NFT_TABLE_HELD));
	finish(b, h);
}

void nft_del_table(struct nft_batch *b, uint8_t family, const char *name)
{
	struct nlmsghdr *h = start(NFT_MSG_DELTABLE, family, 0);
	mnl_attr_put_strz(h, NFTA_TABLE_NAME, name);
	finish(b, h);
}

static void put_set(struct nft_batch *b, const struct nft_table *t, const struct nft_set *s)
{
	struct nftnl_set *set = nftnl_set_alloc();
	if (!set) {
		fail(b, -ENOMEM);
		return;
	}
	/* nft prints a key swapped when it does not know its byte order. */
	uint8_t order[6] = {NFTNL_UDATA_SET_KEYBYTEORDER, 4};
	memcpy(order + 2, &keys[s->key].byteorder, 4);
	nftnl_set_set_str(set, NFTNL_SET_TABLE, t->name);
	nftnl_set_set_str(set, NFTNL_SET_NAME, s->name);
	nftnl_set_set_u32(set, NFTNL_SET_FAMILY, t->family);
	nftnl_set_set_u32(set, NFTNL_SET_FLAGS, s->flags);
	nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE, keys[s->key].type);
	nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, keys[s->key].len);
	nftnl_set_set_u32(set, NFTNL_SET_ID, (uint32_t)b->messages + 1);
	nftnl_set_set_data(set, NFTNL_SET_USERDATA, order, sizeof order);
	struct nlmsghdr *h = start(NFT_MSG_NEWSET, t->family, NLM_F_CREATE | NLM_F_EXCL);
	nftnl_set_nlmsg_build_payload(h, set);
	finish(b, h);
	nftnl_set_free(set);
}

void nft_put_chain(struct nft_batch *b, const struct nft_table *t, const struct nft_chain *c)
{
	struct nftnl_chain *chain = c->error ? NULL : nftnl_chain_alloc();
	if (!chain) {
		fail(b, -ENOMEM);
		return;
	}
	nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, t->name);
	nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, c->name);
	nftnl_chain_set_u32(chain, NFTNL_CHAIN_FAMILY, t->family);
	if (c->base) {
		nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, "filter");
		nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, c->hook);
		nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, c->prio);
		nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, c->policy);
		if (c->dev[0])
			nftnl_chain_set_str(chain, NFTNL_CHAIN_DEV, c->dev);
	}
	struct nlmsghdr *h = start(NFT_MSG_NEWCHAIN, t->family, NLM_F_CREATE | NLM_F_EXCL);
	nftnl_chain_nlmsg_build_payload(h, chain);
	finish(b, h);
	nftnl_chain_free(chain);
}

void nft_del_chain(struct nft_batch *b, const struct nft_table *t, const char *chain)
{
	struct nlmsghdr *h = start(NFT_MSG_DELRULE, t->family, 0);
	mnl_attr_put_strz(h, NFTA_RULE_TABLE, t->name);
	mnl_attr_put_strz(h, NFTA_RULE_CHAIN, chain);
	finish(b, h);
	h = start(NFT_MSG_DELCHAIN, t->family, 0);
	mnl_attr_put_strz(h, NFTA_CHAIN_TABLE, t->name);
	mnl_attr_put_strz(h, NFTA_CHAIN_NAME, chain);
	finish(b, h);
}

static void fill_meta(struct nftnl_expr *n, const struct nft_expr *x)
{
	nftnl_expr_set_u32(n, NFTNL_EXPR_META_KEY, x->key);
	nftnl_expr_set_u32(n, NFTNL_EXPR_META_DREG, NFT_REG_1);
}

static void fill_payload(struct nftnl_expr *n, const struct nft_expr *x)
{
	nftnl_expr_set_u32(n, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
	nftnl_expr_set_u32(n, NFTNL_EXPR_PAYLOAD_BASE, x->base);
	nftnl_expr_set_u32(n, NFTNL_EXPR_PAYLOAD_OFFSET, x->off);
	nftnl_expr_set_u32(n, NFTNL_EXPR_PAYLOAD_LEN, x->len);
}

static void fill_mask(struct nftnl_expr *n, const struct nft_expr *x)
{
	static const uint8_t zero[NFT_KEY_MAX];
	nftnl_expr_set_u32(n, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(n, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	nftnl_expr_set_u32(n, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
	nftnl_expr_set_u32(n, NFTNL_EXPR_BITWISE_LEN, x->len);
	nftnl_expr_set(n, NFTNL_EXPR_BITWISE_MASK, x->data, x->len);
	nftnl_expr_set(n, NFTNL_EXPR_BITWISE_XOR, zero, x->len);
}

static void fill_cmp(struct nftnl_expr *n, const struct nft_expr *x)
{
	nftnl_expr_set_u32(n, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(n, NFTNL_EXPR_CMP_OP, x->key);
	nftnl_expr_set(n, NFTNL_EXPR_CMP_DATA, x->data, x->len);
}

static void fill_lookup(struct nftnl_expr *n, const struct nft_expr *x)
{
	nftnl_expr_set_u32(n, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
	nftnl_expr_set_str(n, NFTNL_EXPR_LOOKUP_SET, x->name);
	if (x->key)
		nftnl_expr_set_u32(n, NFTNL_EXPR_LOOKUP_FLAGS, x->key);
}

static void fill_verdict(struct nftnl_expr *n, const struct nft_expr *x)
{
	nftnl_expr_set_u32(n, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(n, NFTNL_EXPR_IMM_VERDICT, x->key);
	if (x->name[0])
		nftnl_expr_set_str(n, NFTNL_EXPR_IMM_CHAIN, x->name);
}

static const struct {
	const char *name;
	void (*fill)(struct nftnl_expr *n, const struct nft_expr *x);
} ops[] = {
    [NFT_OP_META] = {"meta", fill_meta},       [NFT_OP_PAYLOAD] = {"payload", fill_payload},
    [NFT_OP_MASK] = {"bitwise", fill_mask},    [NFT_OP_CMP] = {"cmp", fill_cmp},
    [NFT_OP_LOOKUP] = {"lookup", fill_lookup}, [NFT_OP_VERDICT] = {"immediate", fill_verdict},
};

static int fill_rule(struct nftnl_rule *rule, const struct nft_rule *r)
{
	if (r->n > NFT_EXPRS_MAX)
		return -E2BIG;
	for (size_t i = 0; i < r->n; i++) {
		if (r->v[i].op >= ARRAY_SIZE(ops))
			return -EINVAL;
		struct nftnl_expr *n = nftnl_expr_alloc(ops[r->v[i].op].name);
		if (!n)
			return -ENOMEM;
		ops[r->v[i].op].fill(n, &r->v[i]);
		nftnl_rule_add_expr(rule, n);
	}
	return 0;
}

static void put_rule(struct nft_batch *b, const struct nft_table *t, const struct nft_chain *c,
                     const struct nft_rule *r)
{
	struct nftnl_rule *rule = nftnl_rule_alloc();
	if (!rule) {
		fail(b, -ENOMEM);
		return;
	}
	int err = fill_rule(rule, r);
	if (err == 0) {
		nftnl_rule_set_u32(rule, NFTNL_RULE_FAMILY, t->family);
		nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, t->name);
		nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, c->name);
		struct nlmsghdr *h = start(NFT_MSG_NEWRULE, t->family, NLM_F_CREATE | NLM_F_APPEND);
		nftnl_rule_nlmsg_build_payload(h, rule);
		finish(b, h);
	} else {
		fail(b, err);
	}
	nftnl_rule_free(rule);
}

static void put_elem(struct nlmsghdr *h, const struct nft_elem *el, size_t key_len, bool add)
{
	struct nlattr *nest = mnl_attr_nest_start(h, NFTA_LIST_ELEM);
	if (el->interval_end)
		mnl_attr_put_u32(h, NFTA_SET_ELEM_FLAGS, htobe32(NFT_SET_ELEM_INTERVAL_END));
	if (add && el->timeout)
		mnl_attr_put_u64(h, NFTA_SET_ELEM_TIMEOUT, htobe64(el->timeout));
	struct nlattr *key = mnl_attr_nest_start(h, NFTA_SET_ELEM_KEY);
	mnl_attr_put(h, NFTA_DATA_VALUE, key_len, el->key);
	mnl_attr_nest_end(h, key);
	mnl_attr_nest_end(h, nest);
}

static void elems(struct nft_batch *b, const struct nft_table *t, const struct nft_set *s,
                  const struct nft_elem *v, size_t n, bool add)
{
	for (size_t at = 0; at < n; at += ELEMS_A_TURN) {
		size_t turn = n - at < ELEMS_A_TURN ? n - at : ELEMS_A_TURN;
		struct nlmsghdr *h = start(add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, t->family,
		                           add ? NLM_F_CREATE | NLM_F_EXCL : 0);
		mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, t->name);
		mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, s->name);
		struct nlattr *nest = mnl_attr_nest_start(h, NFTA_SET_ELEM_LIST_ELEMENTS);
		for (size_t i = 0; i < turn; i++)
			put_elem(h, &v[at + i], keys[s->key].len, add);
		mnl_attr_nest_end(h, nest);
		finish(b, h);
	}
}

void nft_put_elems(struct nft_batch *b, const struct nft_table *t, const struct nft_set *s,
                   const struct nft_elem *v, size_t n)
{
	elems(b, t, s, v, n, true);
}

void nft_del_elems(struct nft_batch *b, const struct nft_table *t, const struct nft_set *s,
                   const struct nft_elem *v, size_t n)
{
	elems(b, t, s, v, n, false);
}

void nft_flush_set(struct nft_batch *b, const struct nft_table *t, const struct nft_set *s)
{
	struct nlmsghdr *h = start(NFT_MSG_DELSETELEM, t->family, 0);
	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, t->name);
	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, s->name);
	finish(b, h);
}

/* Sets before the rules that look into them, chains before the rules that jump to them. */
void nft_put_table(struct nft_batch *b, const struct nft_table *t)
{
	put_table_head(b, t);
	for (size_t i = 0; i < t->n_sets; i++)
		put_set(b, t, &t->sets[i]);
	for (size_t i = 0; i < t->n_chains; i++)
		nft_put_chain(b, t, &t->chains[i]);
	for (size_t i = 0; i < t->n_chains; i++)
		for (size_t k = 0; k < t->chains[i].n_rules; k++)
			put_rule(b, t, &t->chains[i], &t->chains[i].rules[k]);
	for (size_t i = 0; i < t->n_sets; i++)
		elems(b, t, &t->sets[i], t->sets[i].elems, t->sets[i].n_elems, true);
}

static int mark(struct buf *out, uint16_t type)
{
	struct nlmsghdr *h = type == NFNL_MSG_BATCH_BEGIN ? nftnl_batch_begin(scratch, 0)
	                                                  : nftnl_batch_end(scratch, 0);
	return buf_add(out, h, MNL_ALIGN(h->nlmsg_len));
}

static int send_batch(struct nl *nl, struct nft_batch *b, bool commit, struct err *e)
{
	if (b->error)
		return err_set(e, b->error, "building an nftables transaction: %s",
		               strerror(-b->error));
	if (b->messages == 0)
		return 0;
	((struct nlmsghdr *)(b->bytes.data + b->last))->nlmsg_flags |= NLM_F_ACK;
	struct buf all = BUF_INIT(NFT_BATCH_BYTES_MAX + 4096);
	size_t at = 0;
	int r = mark(&all, NFNL_MSG_BATCH_BEGIN);
	if (r == 0)
		r = buf_add(&all, b->bytes.data, b->bytes.len);
	if (r == 0 && commit) /* without an end the kernel checks everything and takes nothing */
		r = mark(&all, NFNL_MSG_BATCH_END);
	if (r < 0)
		err_set(e, r, "an nftables transaction of %zu bytes: %s", b->bytes.len,
		        strerror(-r));
	else if ((r = nl_batch(nl, all.data, all.len, 1, &at, e)) < 0)
		err_prefix(e, r, "nftables transaction (message %zu of %zu)", at, b->messages);
	buf_free(&all);
	return r;
}

int nft_commit(struct nl *nl, struct nft_batch *b, struct err *e)
{
	return send_batch(nl, b, true, e);
}

int nft_try(struct nl *nl, struct nft_batch *b, struct err *e)
{
	return send_batch(nl, b, false, e);
}
