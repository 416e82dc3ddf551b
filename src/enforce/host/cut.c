/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Steps of kind host.cut. The tables come and go in one transaction over all families; that it took
 * effect is told by verify, which the engine calls after apply, from what it reads back. A table is
 * ours by the step's token in its comment.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/host/cut.h"

#define RACES_MAX 4

static const uint8_t families[CUT_TABLES_MAX] = {NFPROTO_INET, NFPROTO_NETDEV, NFPROTO_BRIDGE};

int table_present(struct host *h, uint8_t family, const char *name, struct nft_table *ret_head,
                  bool *ret_present, struct err *e)
{
	struct err why = {0};
	int r = nft_read_head(&h->nl, family, name, ret_head, &why);
	*ret_present = r == 0;
	/* A kernel without the family has no table of it either. */
	if (r == 0 || r == -ENOENT || r == -EAFNOSUPPORT || r == -EOPNOTSUPP)
		return 0;
	return err_set(e, r, "%s", why.text);
}

static bool is_ours(const struct nft_table *head, const struct step *s)
{
	char comment[NFT_COMMENT_MAX];
	snprintf(comment, sizeof comment, "stanch %s", s->token);
	return !strcmp(head->comment, comment);
}

/* Another isolation in force that this table belongs to; NULL. */
static const struct hold *holder(const struct holds *others, const struct nft_table *head)
{
	for (size_t i = 0; others && i < others->n; i++)
		if (others->v[i].step && !strcmp(others->v[i].step->kind, kind_cut.kind) &&
		    is_ours(head, others->v[i].step))
			return &others->v[i];
	return NULL;
}

/* Leftovers under our names make room for the new tables in the same transaction. */
static int put_away(struct host *h, struct nft_batch *b, const struct step *s,
                    const struct holds *others, bool *ret_foreign, struct err *e)
{
	for (size_t i = 0; i < CUT_TABLES_MAX; i++) {
		struct nft_table head;
		bool present;
		int r = table_present(h, families[i], CUT_TABLE, &head, &present, e);
		if (r < 0)
			return r;
		if (!present)
			continue;
		const struct hold *other = holder(others, &head);
		if (other)
			return err_set(e, -EALREADY,
			               "order o%u isolates this host already; undo it first",
			               other->order ? other->order->id : 0);
		if (strncmp(head.comment, "stanch ", 7))
			*ret_foreign = true;
		nft_del_table(b, families[i], CUT_TABLE);
	}
	return 0;
}

/* ---- reading back ---- */

/* What a reading of all tables found. */
struct judgement {
	struct buf drift;
	unsigned differences, tables_gone, armed_gone, tables;
	bool loose;
};

static void tell(struct judgement *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void tell(struct judgement *j, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	buf_addf(&j->drift, "%s\n", text);
	j->differences++;
}

static const struct nft_elem *elem_of(const struct nft_set *s, const uint8_t *key)
{
	for (size_t i = 0; s && i < s->n_elems; i++)
		if (!memcmp(s->elems[i].key, key, NFT_KEY_MAX))
			return &s->elems[i];
	return NULL;
}

static bool about_over(const struct nft_elem *el)
{
	return el->timeout && el->timeout <= SLACK_MSEC;
}

static void judge_switch(struct judgement *j, const struct nft_table *want,
                         const struct nft_table *have, const char *name)
{
	const struct nft_set *w = nft_find_set(want, name), *s = nft_find_set(have, name);
	unsigned gone = 0;
	for (size_t i = 0; w && i < w->n_elems; i++) {
		const struct nft_elem *el = elem_of(s, w->elems[i].key);
		if (!el) /* a widening that is due by now has happened */
			gone += strcmp(name, "narrow") || !about_over(&w->elems[i]);
		else if (!left_agrees(w->elems[i].timeout, el))
			tell(j,
			     "table %s %s: set %s runs out in %llu ms, not in %llu ms (0: never)",
			     nft_family_str(want->family), want->name, name,
			     (unsigned long long)el->left, (unsigned long long)w->elems[i].timeout);
	}
	if (!gone)
		return;
	bool all = gone == w->n_elems, armed = !strcmp(name, "armed");
	tell(j, "table %s %s: set %s has lost %u of its %zu elements%s",
	     nft_family_str(want->family), want->name, name, gone, w->n_elems,
	     armed && all ? ": nothing is dropped here"
	     : armed      ? ": some is not dropped here"
	                  : "");
	j->armed_gone += armed && all;
}

/* Resets may pass only for as long as apply set. */
static void judge_drain(struct judgement *j, const struct nft_table *have)
{
	const struct nft_set *s = nft_find_set(have, "drain");
	for (size_t i = 0; s && i < s->n_elems; i++)
		if (s->elems[i].timeout == 0 || s->elems[i].timeout > msec_left(DRAIN_USEC))
			tell(j, "table %s %s: set drain lets TCP resets pass for longer than ours",
			     nft_family_str(have->family), have->name);
}

static void judge_table(struct judgement *j, const struct nft_table *want,
                        const struct nft_table *have)
{
	j->differences += nft_compare(want, have, &j->drift);
	judge_switch(j, want, have, "armed");
	judge_switch(j, want, have, "narrow");
	judge_drain(j, have);
}

static int want_images(struct judgement *j, const struct order *o, const struct step *s,
                       const struct layers *l, const struct hold_time *t,
                       const struct nft_table *netdev, struct images *ret, struct err *e)
{
	_cleanup_free_ struct link *v = NULL, *w = NULL;
	size_t n = 0, n_expected = 0;
	bool bridge;
	int r = host_devices(&v, &n, &bridge, e);
	if (r == 0)
		r = devices_expected(netdev, l, v, n, &w, &n_expected, e);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (!device_covered(netdev, l, &v[i]))
			tell(j, "device %s is not covered: frames pass there unseen by netdev %s",
			     v[i].name, CUT_TABLE);
	if (r == 0 && bridge && !l->bridge)
		tell(j, "a bridge is there that was not when the host was isolated: what it "
		        "forwards is cut on its devices only");
	return r < 0 ? r : cut_images(o, s->token, l, w, n_expected, t, ret, e);
}

static int read_all(struct host *h, struct nft_table have[CUT_TABLES_MAX],
                    bool present[CUT_TABLES_MAX], struct err *e)
{
	for (size_t i = 0; i < CUT_TABLES_MAX; i++) {
		struct err why = {0};
		int r = nft_read_table(&h->nl, families[i], CUT_TABLE, true, &have[i], &why);
		present[i] = r == 0;
		if (r < 0 && r != -ENOENT && r != -EAFNOSUPPORT && r != -EOPNOTSUPP)
			return err_set(e, r, "%s", why.text);
	}
	return 0;
}

static size_t family_index(uint8_t family)
{
	return family == NFPROTO_INET ? 0 : family == NFPROTO_NETDEV ? 1 : 2;
}

/* Reads everything back and compares it with what the order wants now. */
static int judge(struct host *h, const struct order *o, const struct step *s,
                 const struct hold_time *t, struct judgement *j, struct err *e)
{
	struct layers l;
	struct nft_table have[CUT_TABLES_MAX] = {0};
	bool present[CUT_TABLES_MAX] = {0};
	struct images want = {0};
	*j = (struct judgement){.drift = BUF_INIT(1u << 20)};
	int r = layers_from_json(s->forward, &l, e);
	if (r < 0)
		return r;
	r = read_all(h, have, present, e);
	if (r == 0)
		r = want_images(j, o, s, &l, t, &have[1], &want, e);
	for (size_t i = 0; r == 0 && i < want.n; i++) {
		size_t at = family_index(want.v[i].family);
		j->tables++;
		if (present[at]) {
			judge_table(j, &want.v[i], &have[at]);
			j->loose |= host_loose(h, &have[at]);
		} else {
			tell(j, "table %s %s is gone", nft_family_str(want.v[i].family), CUT_TABLE);
			j->tables_gone++;
		}
	}
	images_free(&want);
	for (size_t i = 0; i < CUT_TABLES_MAX; i++)
		nft_table_free(&have[i]);
	layers_free(&l);
	if (r == 0 && j->drift.error)
		r = err_set(e, j->drift.error, "out of memory for what has drifted");
	return r;
}

/* ---- slots ---- */

static int remove_ours(struct host *h, const struct step *s, bool *ret_foreign, struct err *e)
{
	struct nft_batch b;
	int r = 0;
	nft_batch_begin(&b);
	for (size_t i = 0; r == 0 && i < CUT_TABLES_MAX; i++) {
		struct nft_table head;
		bool present;
		r = table_present(h, families[i], CUT_TABLE, &head, &present, e);
		if (r < 0 || !present)
			continue;
		if (is_ours(&head, s))
			nft_del_table(&b, families[i], CUT_TABLE);
		else
			*ret_foreign = true;
	}
	if (r == 0)
		r = host_commit(h, &b, e);
	nft_batch_free(&b);
	return r;
}

static int put_tables(struct host *h, const struct order *o, const struct step *s,
                      const struct layers *l, const struct hold_time *t, const struct holds *others,
                      bool *ret_foreign, struct err *e)
{
	_cleanup_free_ struct link *v = NULL;
	size_t n;
	bool bridge;
	struct images m = {0};
	struct nft_batch b;
	nft_batch_begin(&b);
	int r = host_devices(&v, &n, &bridge, e);
	if (r == 0)
		r = cut_images(o, s->token, l, v, n, t, &m, e);
	if (r == 0)
		r = put_away(h, &b, s, others, ret_foreign, e);
	for (size_t i = 0; r == 0 && i < m.n; i++) {
		m.v[i].flags = host_table_flags(h);
		nft_put_table(&b, &m.v[i]);
	}
	if (r == 0)
		r = host_commit(h, &b, e);
	nft_batch_free(&b);
	images_free(&m);
	return r;
}

static int apply(struct host *h, const struct order *o, struct step *s, const struct holds *others,
                 struct err *e)
{
	struct hold_time t;
	struct layers l;
	bool foreign = false;
	int r = hold_time_of(&o->deadlines, boot_now(), &t);
	if (r < 0)
		return err_set(e, r, "the order's deadline has passed already");
	t.drain = DRAIN_USEC;
	r = layers_from_json(s->forward, &l, e);
	if (r < 0)
		return r;
	struct err why = {0};
	for (int i = 0; i < RACES_MAX; i++) { /* a device may go between the list and the commit */
		why.code = 0;
		r = put_tables(h, o, s, &l, &t, others, &foreign, &why);
		if (r != -ENOENT && r != -ENODEV && r != -EBUSY)
			break;
	}
	layers_free(&l);
	if (r < 0)
		return err_set(e, r, "%s", why.text);
	if (foreign && !s->problem)
		s->problem = strdup("a table named " CUT_TABLE " that was not ours stood in the "
		                    "way and was replaced");
	return 0;
}

static void set_dims(struct readback *ret, enum dim_state state)
{
	ret->dims[DIM_V4] = ret->dims[DIM_V6] = ret->dims[DIM_FORWARDED] = state;
}

static int verify(struct host *h, const struct order *o, const struct step *s,
                  const struct holds *others, struct readback *ret, struct err *e)
{
	struct hold_time t = {0};
	struct judgement j;
	bool over = hold_time_of(&o->deadlines, boot_now(), &t) == -ETIME;
	int r = judge(h, o, s, &t, &j, e);
	if (r < 0) {
		buf_free(&j.drift);
		return r;
	}
	struct readback rb = {.verdict = VERDICT_HOLDS, .loose = j.loose};
	set_dims(&rb, DIM_CONTAINED);
	if (j.tables_gone == j.tables || j.tables_gone + j.armed_gone == j.tables) {
		rb.verdict = VERDICT_ABSENT;
		if (over || j.tables_gone < j.tables)
			tell(&j, "%s: traffic flows",
			     over ? "the deadline has passed" : "nothing is armed any more");
		set_dims(&rb, DIM_RELEASED);
	} else if (j.differences) {
		rb.verdict = VERDICT_DRIFTED;
		set_dims(&rb, DIM_PARTIAL);
	}
	if (j.drift.len)
		rb.drift = buf_steal(&j.drift);
	buf_free(&j.drift);
	*ret = rb;
	return 0;
}

static bool holds_foreign(const struct buf *drift)
{
	return strstr(buf_str(drift), "is not ours") != NULL;
}

static int undo(struct host *h, const struct order *o, struct step *s, const struct holds *others,
                struct err *e)
{
	struct judgement j = {0};
	struct hold_time t = {0};
	bool foreign = false, guests;
	int r = inverse_check(kind_cut.kind, s->inverse, e);
	if (r < 0)
		return r;
	(void)hold_time_of(&o->deadlines, boot_now(), &t);
	/* Only what is to be told depends on this reading: that it fails must not keep the cut. */
	guests = judge(h, o, s, &t, &j, NULL) == 0 && holds_foreign(&j.drift);
	r = remove_ours(h, s, &foreign, e);
	if (r == 0 && foreign)
		r = err_set(e, -ESTALE,
		            "a table named " CUT_TABLE " does not read as this order's and was "
		            "left as it is; look at it with: nft list ruleset");
	else if (r == 0 && guests && !s->problem &&
	         asprintf(&s->problem, "removed with our tables what somebody put there: %.400s",
	                  buf_str(&j.drift)) < 0)
		s->problem = NULL;
	buf_free(&j.drift);
	return r;
}

/* What was armed by this order, by the kernel's word. */
struct armed {
	struct nft_table have[CUT_TABLES_MAX];
	bool present[CUT_TABLES_MAX];
};

static void armed_free(struct armed *a)
{
	for (size_t i = 0; i < CUT_TABLES_MAX; i++)
		nft_table_free(&a->have[i]);
}

static int armed_read(struct host *h, const struct step *s, struct armed *ret, struct err *e)
{
	struct armed a = {0};
	int r = read_all(h, a.have, a.present, e);
	for (size_t i = 0; r == 0 && i < CUT_TABLES_MAX; i++) {
		const struct nft_set *armed =
		    a.present[i] ? nft_find_set(&a.have[i], "armed") : NULL;
		if (i == 0 && !a.present[i])
			r = err_set(e, -ENOENT, "the host is not isolated any more");
		else if (a.present[i] && !is_ours(&a.have[i], s))
			r = err_set(e, -ENOENT, "table %s " CUT_TABLE " is not this order's",
			            nft_family_str(families[i]));
		else if (a.present[i] && (!armed || (i == 0 && !armed->n_elems)))
			r = err_set(e, -ENOENT,
			            "the deadline has passed and the kernel has opened the host; "
			            "isolate it again");
	}
	if (r < 0)
		armed_free(&a);
	else
		*ret = a;
	return r;
}

/* A switch is emptied and set anew, for all that is armed, with another time. */
static int move_timer(struct nft_batch *b, const struct nft_table *t, const char *name, usec_t left)
{
	const struct nft_set *s = nft_find_set(t, name), *armed = nft_find_set(t, "armed");
	if (!s)
		return 0;
	_cleanup_free_ struct nft_elem *v = calloc(armed->n_elems + 1, sizeof *v);
	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < armed->n_elems; i++) {
		memcpy(v[i].key, armed->elems[i].key, sizeof v[i].key);
		v[i].timeout = msec_left(left);
	}
	nft_flush_set(b, t, s);
	nft_put_elems(b, t, s, v, armed->n_elems);
	return 0;
}

static int move_timers(struct host *h, const struct armed *a, const struct hold_time *t,
                       struct err *e)
{
	struct nft_batch b;
	int r = 0;
	nft_batch_begin(&b);
	for (size_t i = 0; r == 0 && i < CUT_TABLES_MAX; i++) {
		if (!a->present[i])
			continue;
		r = move_timer(&b, &a->have[i], "armed", t->armed);
		if (r == 0)
			r = move_timer(&b, &a->have[i], "narrow", t->narrow);
		if (r < 0)
			err_set(e, r, "out of memory for the timers");
	}
	if (r == 0)
		r = host_commit(h, &b, e);
	nft_batch_free(&b);
	return r;
}

/* Older kernels keep the old time without a word. */
static int check_timers(struct host *h, const struct step *s, const struct hold_time *t,
                        struct err *e)
{
	struct armed a;
	int r = armed_read(h, s, &a, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < CUT_TABLES_MAX; i++) {
		const struct nft_set *armed =
		    a.present[i] ? nft_find_set(&a.have[i], "armed") : NULL;
		for (size_t k = 0; armed && k < armed->n_elems; k++)
			if (!left_agrees(msec_left(t->armed), &armed->elems[k]))
				r = err_set(e, -EIO,
				            "the timer of table %s " CUT_TABLE
				            " did not move: it runs out in %llu ms",
				            nft_family_str(families[i]),
				            (unsigned long long)armed->elems[k].left);
	}
	armed_free(&a);
	return r;
}

static int rearm(struct host *h, const struct order *o, struct step *s, const struct holds *others,
                 struct err *e)
{
	struct hold_time t;
	struct armed a;
	int r = hold_time_of(&o->deadlines, boot_now(), &t);
	if (r < 0)
		return err_set(e, r, "the new deadline has passed already");
	r = armed_read(h, s, &a, e);
	if (r < 0)
		return r;
	r = move_timers(h, &a, &t, e);
	if (r == 0)
		r = check_timers(h, s, &t, e);
	armed_free(&a);
	return r;
}

int cut_drain_off(struct host *h, struct err *e)
{
	struct nft_batch b;
	const struct nft_set drain = {.name = "drain"};
	int r = 0;
	nft_batch_begin(&b);
	for (size_t i = 0; r == 0 && i < CUT_TABLES_MAX; i++) {
		struct nft_table head;
		bool present;
		r = table_present(h, families[i], CUT_TABLE, &head, &present, e);
		if (r == 0 && present && !strncmp(head.comment, "stanch ", 7))
			nft_flush_set(&b, &head, &drain);
	}
	if (r == 0)
		r = host_commit(h, &b, e);
	nft_batch_free(&b);
	return r;
}

static int describe(const struct order *o, const struct step *s, struct buf *out, struct err *e)
{
	struct hold_time t = {0};
	struct layers l;
	struct images m = {0};
	int r = layers_from_json(s->forward, &l, e);
	if (r < 0)
		return r;
	_cleanup_free_ struct link *v = calloc(l.n_devices + 1, sizeof *v);
	for (size_t i = 0; v && i < l.n_devices; i++) {
		memcpy(v[i].name, l.devices[i].name, sizeof v[i].name);
		v[i].ifindex = l.devices[i].ifindex;
	}
	(void)hold_time_of(&o->deadlines, boot_now(), &t);
	t.drain = DRAIN_USEC;
	r = v ? cut_images(o, s->token, &l, v, l.n_devices, &t, &m, e)
	      : err_set(e, -ENOMEM, "out of memory");
	if (r == 0) {
		buf_addf(out, "nft -f - <<'EOF'\n");
		for (size_t i = 0; i < m.n; i++)
			nft_print_table(&m.v[i], "", out);
		r = buf_addf(out, "EOF\n");
	}
	images_free(&m);
	layers_free(&l);
	return r;
}

const struct step_kind kind_cut = {
    .kind = "host.cut",
    .apply = apply,
    .verify = verify,
    .undo = undo,
    .rearm = rearm,
    .describe = describe,
};
