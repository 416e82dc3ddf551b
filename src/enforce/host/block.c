/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Steps of kind host.block. All block orders share the tables; each change brings their sets to
 * what the orders in force want together, in one transaction, and reads it back. Nothing is
 * remembered: what is wanted comes from the orders, what is there from the kernel.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/host/parts.h"

#define BLOCK_TABLES 2
#define RACES_MAX    6
#define TOLD_MAX     20

static const uint8_t families[BLOCK_TABLES] = {NFPROTO_INET, NFPROTO_NETDEV};

static const struct {
	const char *name;
	enum nft_key key;
	uint32_t flags;
} sets[_BLOCK_SET_MAX] = {
    [BLOCK_HOT4] = {"hot4", NFT_KEY_IP4, NFT_SET_TIMEOUT},
    [BLOCK_HOT6] = {"hot6", NFT_KEY_IP6, NFT_SET_TIMEOUT},
    [BLOCK_NET4] = {"net4", NFT_KEY_IP4, NFT_SET_TIMEOUT | NFT_SET_INTERVAL},
    [BLOCK_NET6] = {"net6", NFT_KEY_IP6, NFT_SET_TIMEOUT | NFT_SET_INTERVAL},
};

/* ---- what is wanted ---- */

struct wants {
	struct block_want *v;
	size_t n, cap;
};

static int add_order(struct wants *w, const struct order *o, usec_t now, struct err *e)
{
	uint64_t left;
	if (o->verb != VERB_BLOCK || block_left(&o->deadlines, now, &left) < 0)
		return 0;
	if (w->cap - w->n < o->n_targets) {
		size_t cap = w->n + o->n_targets;
		struct block_want *v = realloc(w->v, cap * sizeof *v);
		if (!v)
			return err_set(e, -ENOMEM, "out of memory for %zu blocked prefixes", cap);
		w->v = v;
		w->cap = cap;
	}
	for (size_t i = 0; i < o->n_targets; i++)
		if (o->targets[i].prefix.addr.family != ADDR_NONE)
			w->v[w->n++] =
			    (struct block_want){.prefix = o->targets[i].prefix, .left = left};
	return 0;
}

static int desired(const struct order *o, const struct holds *others, struct block_sets *ret,
                   size_t *ret_wants, struct err *e)
{
	struct wants w = {0};
	usec_t now = boot_now();
	int r = o ? add_order(&w, o, now, e) : 0;
	for (size_t i = 0; r == 0 && others && i < others->n; i++)
		if (others->v[i].step && !strcmp(others->v[i].step->kind, kind_block.kind))
			r = add_order(&w, others->v[i].order, now, e);
	if (r == 0)
		r = block_desired(w.v, w.n, ret, e);
	*ret_wants = w.n;
	free(w.v);
	return r;
}

/* ---- images ---- */

static void judge_rule(struct nft_chain *c, uint8_t family, enum block_set which, bool source)
{
	bool v4 = sets[which].key == NFT_KEY_IP4;
	struct nft_rule *r = nft_add_rule(c);
	if (!r)
		return;
	rule_ip(r, family, v4 ? ADDR_V4 : ADDR_V6);
	nft_payload(r, NFT_PAYLOAD_NETWORK_HEADER,
	            (uint16_t)(v4 ? (source ? 12 : 16) : (source ? 8 : 24)), v4 ? 4 : 16);
	nft_lookup(r, sets[which].name, false);
	nft_verdict(r, NF_DROP, NULL);
}

static int add_devices(struct nft_table *t, const struct layers *l, const struct link *v, size_t n)
{
	int r = 0;
	char name[NFT_NAME_CAP];
	for (size_t i = 0; r == 0 && i < n; i++) {
		device_chain(&v[i], true, name);
		if (l->egress)
			r = base_chain(t, name, NF_NETDEV_EGRESS, v[i].name, "judge");
		device_chain(&v[i], false, name);
		if (r == 0 && l->ingress)
			r = base_chain(t, name, NF_NETDEV_INGRESS, v[i].name, "judge");
	}
	return r;
}

/* Both sides of a DNAT are seen: prerouting and output before it, forward and postrouting after. */
static int add_hooks(struct nft_table *t)
{
	static const char *const names[] = {"prerouting", "input", "forward", "output",
	                                    "postrouting"};
	int r = 0;
	for (uint32_t hook = 0; r == 0 && hook < ARRAY_SIZE(names); hook++)
		r = base_chain(t, names[hook], hook, NULL, "judge");
	return r;
}

static int image(uint8_t family, const struct layers *l, const struct link *v, size_t n,
                 struct nft_table *ret)
{
	struct nft_table t = {.family = family};
	strcpy(t.name, BLOCK_TABLE);
	strcpy(t.comment, BLOCK_COMMENT);
	int r = 0;
	for (size_t i = 0; r == 0 && i < _BLOCK_SET_MAX; i++)
		r = nft_add_set(&t, sets[i].name, sets[i].key, sets[i].flags) ? 0 : -ENOMEM;
	struct nft_chain *judge = r == 0 ? nft_add_chain(&t, "judge") : NULL;
	if (r == 0 && !judge)
		r = -ENOMEM;
	for (unsigned i = 0; r == 0 && i < _BLOCK_SET_MAX * 2; i++)
		judge_rule(judge, family, i / 2, i % 2);
	if (r == 0)
		r = judge->error;
	if (r == 0)
		r = family == NFPROTO_INET ? add_hooks(&t) : add_devices(&t, l, v, n);
	if (r < 0)
		nft_table_free(&t);
	else
		*ret = t;
	return r;
}

/* ---- comparing sets ---- */

static bool same_elem(const struct nft_elem *want, const struct nft_elem *have)
{
	return !memcmp(want->key, have->key, NFT_KEY_MAX) &&
	       want->interval_end == have->interval_end &&
	       (want->interval_end || left_agrees(want->timeout, have));
}

static bool same_set(const struct nft_elem *want, size_t n, const struct nft_set *have)
{
	if (have->n_elems != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!same_elem(&want[i], &have->elems[i]))
			return false;
	return true;
}

/* An interval set is small or rarely changed: it is written anew as a whole. */
static void change_nets(struct nft_batch *b, const struct nft_table *t, const struct nft_set *have,
                        const struct nft_elem *want, size_t n)
{
	if (same_set(want, n, have))
		return;
	nft_flush_set(b, t, have);
	nft_put_elems(b, t, have, want, n);
}

/* Both sides are sorted by key: one walk finds what to add, to delete, and to time anew. */
static int change_hot(struct nft_batch *b, const struct nft_table *t, const struct nft_set *have,
                      const struct nft_elem *want, size_t n)
{
	_cleanup_free_ struct nft_elem *add = malloc((n + 1) * sizeof *add);
	_cleanup_free_ struct nft_elem *del = malloc((have->n_elems + 1) * sizeof *del);
	size_t n_add = 0, n_del = 0, i = 0, k = 0;
	if (!add || !del)
		return -ENOMEM;
	while (i < n || k < have->n_elems) {
		int d = i == n               ? 1
		        : k == have->n_elems ? -1
		                             : memcmp(want[i].key, have->elems[k].key, NFT_KEY_MAX);
		if (d == 0 && same_elem(&want[i], &have->elems[k])) {
			i++, k++;
			continue;
		}
		if (d >= 0)
			del[n_del++] = have->elems[k++];
		if (d <= 0)
			add[n_add++] = want[i++];
	}
	nft_del_elems(b, t, have, del, n_del);
	nft_put_elems(b, t, have, add, n_add);
	return 0;
}

static int change_sets(struct nft_batch *b, const struct nft_table *have,
                       const struct block_sets *want)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < _BLOCK_SET_MAX; i++) {
		const struct nft_set *s = nft_find_set(have, sets[i].name);
		if (!s)
			return -ESTALE;
		if (sets[i].flags & NFT_SET_INTERVAL)
			change_nets(b, have, s, want->v[i], want->n[i]);
		else
			r = change_hot(b, have, s, want->v[i], want->n[i]);
	}
	return r;
}

/* ---- the world ---- */

struct world {
	struct nft_table want[BLOCK_TABLES], have[BLOCK_TABLES];
	bool wanted[BLOCK_TABLES], present[BLOCK_TABLES], loose[BLOCK_TABLES];
	struct link *devices;
	size_t n_devices;
};

static void world_free(struct world *w)
{
	for (size_t i = 0; i < BLOCK_TABLES; i++) {
		nft_table_free(&w->want[i]);
		nft_table_free(&w->have[i]);
	}
	free(w->devices);
}

/* When an interval runs out the kernel hides its start at once, and its end only later. */
static void drop_orphans(struct nft_table *t)
{
	for (size_t i = 0; i < t->n_sets; i++) {
		struct nft_set *s = &t->sets[i];
		size_t k = 0;
		for (size_t at = 0; at < s->n_elems; at++) {
			bool follows = k && !s->elems[k - 1].interval_end;
			if (!s->elems[at].interval_end || follows)
				s->elems[k++] = s->elems[at];
		}
		s->n_elems = k;
	}
}

static int read_world(struct host *h, const struct layers *l, struct world *ret, struct err *e)
{
	struct world w = {.wanted = {true, l->egress || l->ingress}};
	bool bridge;
	int r = host_devices(&w.devices, &w.n_devices, &bridge, e);
	for (size_t i = 0; r == 0 && i < BLOCK_TABLES; i++) {
		struct err why = {0};
		r = nft_read_table(&h->nl, families[i], BLOCK_TABLE, true, &w.have[i], &why);
		w.present[i] = r == 0;
		drop_orphans(&w.have[i]);
		if (r == -ENOENT || r == -EAFNOSUPPORT || r == -EOPNOTSUPP)
			r = 0;
		if (r < 0)
			err_set(e, r, "%s", why.text);
		if (r == 0 && w.wanted[i] &&
		    (r = image(families[i], l, w.devices, w.n_devices, &w.want[i])) < 0)
			err_set(e, r, "deriving the rules of the block: %s", strerror(-r));
		w.want[i].flags = host_table_flags(h);
		w.loose[i] = host_loose(h, &w.have[i]);
	}
	if (r < 0)
		world_free(&w);
	else
		*ret = w;
	return r;
}

/* A table that is there but not as wanted (a rule gone, a device new) is written anew as a whole.
 */
static int change_table(struct nft_batch *b, struct world *w, size_t i,
                        const struct block_sets *want)
{
	struct buf drift = BUF_INIT(1u << 20);
	bool same = w->present[i] && w->wanted[i] && !w->loose[i] &&
	            nft_compare(&w->want[i], &w->have[i], &drift) == 0;
	buf_free(&drift);
	if (same)
		return change_sets(b, &w->have[i], want);
	if (w->present[i])
		nft_del_table(b, families[i], BLOCK_TABLE);
	if (!w->wanted[i])
		return 0;
	nft_put_table(b, &w->want[i]);
	for (size_t k = 0; k < _BLOCK_SET_MAX; k++)
		nft_put_elems(b, &w->want[i], &w->want[i].sets[k], want->v[k], want->n[k]);
	return 0;
}

static int reconcile_once(struct host *h, const struct layers *l, const struct order *o,
                          const struct holds *others, struct err *e)
{
	struct block_sets want = {0};
	struct world w;
	struct nft_batch b;
	size_t n_wants;
	nft_batch_begin(&b);
	int r = read_world(h, l, &w, e);
	if (r < 0)
		return r;
	r = desired(o, others, &want, &n_wants, e);
	for (size_t i = 0; r == 0 && i < BLOCK_TABLES; i++) {
		if (n_wants)
			r = change_table(&b, &w, i, &want);
		else if (w.present[i] && !strcmp(w.have[i].comment, BLOCK_COMMENT))
			nft_del_table(&b, families[i], BLOCK_TABLE);
		if (r < 0)
			err_set(e, r, "changing the block sets: %s", strerror(-r));
	}
	if (r == 0)
		r = host_commit(h, &b, e);
	nft_batch_free(&b);
	block_sets_free(&want);
	world_free(&w);
	return r;
}

/* Elements run out and devices go while we look: then the transaction is refused and tried anew. */
static int reconcile(struct host *h, const struct layers *l, const struct order *o,
                     const struct holds *others, struct err *e)
{
	struct err why = {0};
	int r = 0;
	for (int i = 0; i < RACES_MAX; i++) {
		why.code = 0;
		r = reconcile_once(h, l, o, others, &why);
		if (r != -ENOENT && r != -EEXIST && r != -ENODEV && r != -EBUSY)
			break;
	}
	return r < 0 ? err_set(e, r, "%s", why.text) : 0;
}

/* ---- judging ---- */

struct judgement {
	struct buf drift;
	unsigned differences, tables, tables_gone;
	bool loose;
};

static void tell(struct judgement *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void tell(struct judgement *j, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	if (++j->differences > TOLD_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	buf_addf(&j->drift, "%s\n", text);
}

static const char *key_str(enum nft_key key, const uint8_t *bytes, char dst[static ADDR_STR_MAX])
{
	struct addr a = {.family = key == NFT_KEY_IP4 ? ADDR_V4 : ADDR_V6};
	memcpy(a.bytes, bytes, nft_key_len(key));
	return addr_str(&a, dst);
}

static void judge_elem(struct judgement *j, const struct nft_table *t, enum block_set which,
                       const struct nft_elem *el, const char *what)
{
	char text[ADDR_STR_MAX];
	if (!el->interval_end)
		tell(j, "table %s %s: %s%s %s", nft_family_str(t->family), t->name,
		     sets[which].flags & NFT_SET_INTERVAL ? "the block that begins at " : "",
		     key_str(sets[which].key, el->key, text), what);
}

static void judge_set(struct judgement *j, const struct nft_table *t, enum block_set which,
                      const struct nft_elem *want, size_t n)
{
	const struct nft_set *have = nft_find_set(t, sets[which].name);
	size_t i = 0, k = 0, n_have = have ? have->n_elems : 0;
	while (i < n || k < n_have) {
		int d = i == n        ? 1
		        : k == n_have ? -1
		                      : memcmp(want[i].key, have->elems[k].key, NFT_KEY_MAX);
		if (d == 0 && !same_elem(&want[i], &have->elems[k]))
			judge_elem(j, t, which, &want[i], "has another end or time than ordered");
		else if (d > 0)
			judge_elem(j, t, which, &have->elems[k], "is blocked by nobody's order");
		else if (d < 0 && !(want[i].timeout && want[i].timeout <= SLACK_MSEC))
			judge_elem(j, t, which, &want[i], "is not blocked any more");
		i += d <= 0;
		k += d >= 0;
	}
}

static void judge_table(struct judgement *j, const struct world *w, size_t i,
                        const struct layers *l, const struct block_sets *want)
{
	struct buf drift = BUF_INIT(1u << 20);
	j->differences += nft_compare(&w->want[i], &w->have[i], &drift);
	buf_addf(&j->drift, "%s", buf_str(&drift));
	buf_free(&drift);
	for (size_t k = 0; families[i] == NFPROTO_NETDEV && k < w->n_devices; k++)
		if (!device_covered(&w->have[i], l, &w->devices[k]))
			tell(j, "device %s is not covered: frames pass there unseen by netdev %s",
			     w->devices[k].name, BLOCK_TABLE);
	for (size_t k = 0; k < _BLOCK_SET_MAX; k++)
		judge_set(j, &w->have[i], k, want->v[k], want->n[k]);
}

/* Judging asks for the chains of covered devices; the others are told by name. */
static int expect(struct world *w, const struct layers *l, struct err *e)
{
	_cleanup_free_ struct link *v = NULL;
	size_t n;
	if (!w->wanted[1] || !w->present[1])
		return 0;
	int r = devices_expected(&w->have[1], l, w->devices, w->n_devices, &v, &n, e);
	if (r < 0)
		return r;
	nft_table_free(&w->want[1]);
	r = image(families[1], l, v, n, &w->want[1]);
	return r < 0 ? err_set(e, r, "deriving the rules of the block: %s", strerror(-r)) : 0;
}

static int judge(struct host *h, const struct layers *l, const struct order *o,
                 const struct holds *others, struct judgement *j, struct err *e)
{
	struct world w;
	struct block_sets want = {0};
	size_t n_wants;
	*j = (struct judgement){.drift = BUF_INIT(4u << 20)};
	int r = read_world(h, l, &w, e);
	if (r < 0)
		return r;
	r = expect(&w, l, e);
	if (r == 0)
		r = desired(o, others, &want, &n_wants, e);
	for (size_t i = 0; r == 0 && i < BLOCK_TABLES; i++) {
		if (!w.wanted[i])
			continue;
		j->tables++;
		if (w.present[i]) {
			judge_table(j, &w, i, l, &want);
			j->loose |= host_loose(h, &w.have[i]);
		} else if (n_wants) {
			tell(j, "table %s %s is gone", nft_family_str(families[i]), BLOCK_TABLE);
			j->tables_gone++;
		} else {
			j->tables_gone++;
		}
	}
	if (j->differences > TOLD_MAX)
		buf_addf(&j->drift, "%u differences in all\n", j->differences);
	block_sets_free(&want);
	world_free(&w);
	return r;
}

/* ---- slots ---- */

static int check(struct host *h, const struct layers *l, const struct order *o,
                 const struct holds *others, struct err *e)
{
	struct judgement j;
	int r = judge(h, l, o, others, &j, e);
	if (r == 0 && j.differences)
		r = err_set(e, -EIO, "the block does not read back as it was written: %.300s",
		            buf_str(&j.drift));
	buf_free(&j.drift);
	return r;
}

static int apply(struct host *h, const struct order *o, struct step *s, const struct holds *others,
                 struct err *e)
{
	struct layers l;
	uint64_t left;
	if (block_left(&o->deadlines, boot_now(), &left) < 0)
		return err_set(e, -ETIME, "the order's deadline has passed already");
	int r = layers_from_json(s->forward, &l, e);
	if (r < 0)
		return r;
	r = reconcile(h, &l, o, others, e);
	if (r == 0) {
		r = check(h, &l, o, others, e);
		if (r < 0)
			(void)reconcile(h, &l, NULL, others, NULL);
	}
	layers_free(&l);
	return r;
}

static int verify(struct host *h, const struct order *o, const struct step *s,
                  const struct holds *others, struct readback *ret, struct err *e)
{
	struct layers l;
	struct judgement j;
	uint64_t left;
	bool over = block_left(&o->deadlines, boot_now(), &left) < 0;
	int r = layers_from_json(s->forward, &l, e);
	if (r < 0)
		return r;
	r = judge(h, &l, o, others, &j, e);
	layers_free(&l);
	if (r < 0) {
		buf_free(&j.drift);
		return r;
	}
	struct readback rb = {.verdict = VERDICT_HOLDS, .loose = j.loose};
	enum dim_state state = DIM_CONTAINED;
	if (over || j.tables_gone == j.tables) {
		if (over)
			buf_addf(&j.drift, "the deadline has passed: this order blocks nothing any "
			                   "more\n");
		rb.verdict = VERDICT_ABSENT;
		state = DIM_RELEASED;
	} else if (j.differences) {
		rb.verdict = VERDICT_DRIFTED;
		state = DIM_PARTIAL;
	}
	rb.dims[DIM_V4] = rb.dims[DIM_V6] = rb.dims[DIM_FORWARDED] = state;
	/* No program at tc egress stands behind a block: see BLOCK_RAW_WHY. */
	rb.dims[DIM_RAW] = state == DIM_CONTAINED ? DIM_PARTIAL : state;
	rb.drift = j.drift.len ? buf_steal(&j.drift) : NULL;
	buf_free(&j.drift);
	*ret = rb;
	return 0;
}

static int undo(struct host *h, const struct order *o, struct step *s, const struct holds *others,
                struct err *e)
{
	struct layers l;
	int r = inverse_check(kind_block.kind, s->inverse, e);
	if (r == 0)
		r = layers_from_json(s->forward, &l, e);
	if (r < 0)
		return r;
	bool gone = true;
	for (size_t i = 0; r == 0 && i < BLOCK_TABLES; i++) {
		struct nft_table head;
		bool present;
		r = table_present(h, families[i], BLOCK_TABLE, &head, &present, e);
		gone &= !present;
		if (r == 0 && present && strcmp(head.comment, BLOCK_COMMENT))
			r = err_set(e, -ESTALE,
			            "table %s " BLOCK_TABLE " does not read as ours and was left "
			            "as it is; look at it with: nft list ruleset",
			            nft_family_str(families[i]));
	}
	if (r == 0 && !gone)
		r = reconcile(h, &l, NULL, others, e);
	layers_free(&l);
	return r;
}

static int rearm(struct host *h, const struct order *o, struct step *s, const struct holds *others,
                 struct err *e)
{
	struct layers l = {0};
	struct nft_table head;
	uint64_t left;
	bool present;
	if (block_left(&o->deadlines, boot_now(), &left) < 0)
		return err_set(e, -ETIME, "the new deadline has passed already");
	int r = table_present(h, NFPROTO_INET, BLOCK_TABLE, &head, &present, e);
	if (r == 0 && !present)
		r = err_set(e, -ENOENT, "the block is not in force any more");
	if (r == 0)
		r = layers_from_json(s->forward, &l, e);
	if (r < 0)
		return r;
	r = reconcile(h, &l, o, others, e);
	if (r == 0)
		r = check(h, &l, o, others, e);
	layers_free(&l);
	return r;
}

static int describe(const struct order *o, const struct step *s, struct buf *out, struct err *e)
{
	struct layers l;
	struct wants w = {0};
	struct block_sets want = {0};
	int r = layers_from_json(s->forward, &l, e);
	if (r < 0)
		return r;
	_cleanup_free_ struct link *v = calloc(l.n_devices + 1, sizeof *v);
	for (size_t i = 0; v && i < l.n_devices; i++)
		memcpy(v[i].name, l.devices[i].name, sizeof v[i].name);
	r = v ? add_order(&w, o, boot_now(), e) : err_set(e, -ENOMEM, "out of memory");
	if (r == 0)
		r = block_desired(w.v, w.n, &want, e);
	buf_addf(out, "nft -f - <<'EOF'\n");
	for (size_t i = 0; r == 0 && i < (l.egress || l.ingress ? 2 : 1); i++) {
		struct nft_table t;
		r = image(families[i], &l, v, l.n_devices, &t);
		if (r < 0)
			break;
		for (size_t k = 0; k < _BLOCK_SET_MAX; k++) {
			t.sets[k].elems = want.v[k];
			t.sets[k].n_elems = want.n[k];
		}
		nft_print_table(&t, "", out);
		for (size_t k = 0; k < _BLOCK_SET_MAX; k++)
			t.sets[k].elems = NULL;
		nft_table_free(&t);
	}
	buf_addf(out, "EOF\n");
	block_sets_free(&want);
	free(w.v);
	layers_free(&l);
	return r < 0 ? r : out->error;
}

const struct step_kind kind_block = {
    .kind = "host.block",
    .apply = apply,
    .verify = verify,
    .undo = undo,
    .rearm = rearm,
    .describe = describe,
};
