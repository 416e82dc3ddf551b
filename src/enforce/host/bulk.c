/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Steps of kind host.bulk. All orders with feeds share the tries; each change brings those to what
 * the orders in force want together, and reads all of it back. Nothing is remembered: what is
 * wanted comes from the orders, what is there from the kernel.
 *
 * A change puts in before it takes out, so that an address that stays listed is listed at every
 * moment, however its prefixes are cut anew.
 */
#include "enforce/host/bulk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "base/table.h"
#include "seal/sha256.h"

#define SLACK_NSEC (SLACK_MSEC * UINT64_C(1000000))
#define TOLD_MAX   20
/* What apply tells of a device, verify knows again. */
#define STAYS_OPEN "device %s stays open: "

/* ---- what is wanted ---- */

struct lists {
	struct bulk_want *wants; /* owned */
	struct prefix *allow;    /* owned */
	size_t n_wants, cap_wants, n_allow, cap_allow;
};

static void lists_free(struct lists *l)
{
	free(l->wants);
	free(l->allow);
	memset(l, 0, sizeof *l);
}

static int room(void **v, size_t size, size_t n, size_t *cap, struct err *e)
{
	if (n <= *cap)
		return 0;
	void *bigger = realloc(*v, n * size);
	if (!bigger)
		return err_set(e, -ENOMEM, "out of memory for %zu prefixes", n);
	*v = bigger;
	*cap = n;
	return 0;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return !a || !b ? a + b : a < b ? a : b;
}

/* Until when an order holds, on the boot clock in ns; 0: for good; -ETIME. Exact where the order
 * is of this boot, so that it reads the same each time. */
static int order_until(const struct deadlines *d, uint64_t *ret)
{
	uint64_t left;
	usec_t now = boot_now();
	int r = block_left(d, now, &left);
	if (r < 0)
		return r;
	if (boot_same(d->boot))
		*ret = sooner(d->confirm_by_boot, d->until_boot) * 1000;
	else
		*ret = left ? (now + left * 1000) * 1000 : 0;
	return 0;
}

/* Entries end by the wall clock; whole seconds, so that a slewed clock reads the same. */
static bool entry_until(uint32_t until, uint64_t order, uint64_t wall_to_boot, uint64_t now,
                        uint64_t *ret)
{
	uint64_t at = until ? until - wall_to_boot : 0;
	if (until && (until <= wall_to_boot || at <= now))
		return false;
	*ret = sooner(at * UINT64_C(1000000000), order);
	return true;
}

/* The bytes must be those that the order names: they lay on a disk. */
static int open_checked(const struct feed *f, struct feed_view *ret, struct err *e)
{
	uint8_t hash[SHA256_LEN];
	char hex[SHA256_HEX_MAX];
	int r = feed_open(f, ret, e);
	if (r < 0)
		return r;
	r = sha256_of(ret->bytes, ret->n_bytes, hash);
	if (r == 0 && strcmp(hex_encode(hash, sizeof hash, hex), f->sha256) != 0)
		r = -EBADMSG;
	if (r < 0) {
		feed_close(ret);
		return err_set(e, r,
		               "the stored entries of %.200s are not those that the order took: "
		               "their hash differs",
		               f->source);
	}
	return 0;
}

static int add_allowed(struct lists *l, const struct feed_view *v, struct err *e)
{
	void *p = l->allow;
	int r = room(&p, sizeof *l->allow, l->n_allow + v->n, &l->cap_allow, e);
	l->allow = p;
	for (size_t i = 0; r == 0 && i < v->n; i++)
		l->allow[l->n_allow++] = feed_prefix(&v->v[i]);
	return r;
}

static int add_blocked(struct lists *l, const struct feed_view *v, uint64_t until, struct err *e)
{
	uint64_t wall_to_boot = (wall_now() - boot_now()) / USEC_PER_SEC;
	uint64_t now = boot_now() / USEC_PER_SEC;
	void *p = l->wants;
	int r = room(&p, sizeof *l->wants, l->n_wants + v->n, &l->cap_wants, e);
	l->wants = p;
	for (size_t i = 0; r == 0 && i < v->n; i++) {
		struct bulk_want w = {.prefix = feed_prefix(&v->v[i])};
		if (entry_until(v->v[i].until, until, wall_to_boot, now, &w.until))
			l->wants[l->n_wants++] = w;
	}
	return r;
}

static int of_order(const struct order *o, struct bulk_sets *ret, struct err *e)
{
	struct lists l = {0};
	uint64_t until;
	int r = 0;
	if (order_until(&o->deadlines, &until) < 0) {
		*ret = (struct bulk_sets){0};
		return 0;
	}
	for (size_t i = 0; r == 0 && i < o->n_feeds; i++) {
		struct feed_view v;
		r = open_checked(&o->feeds[i], &v, e);
		if (r < 0)
			break;
		r = o->feeds[i].role == FEED_ALLOW ? add_allowed(&l, &v, e)
		                                   : add_blocked(&l, &v, until, e);
		feed_close(&v);
	}
	if (r == 0)
		r = bulk_desired(l.wants, l.n_wants, l.allow, l.n_allow, ret, e);
	lists_free(&l);
	return r;
}

static int add_sets(struct lists *l, const struct bulk_sets *s, struct err *e)
{
	for (size_t t = 0; t < _BULK_TRIE_MAX; t++) {
		void *p = l->wants;
		int r = room(&p, sizeof *l->wants, l->n_wants + s->n[t], &l->cap_wants, e);
		l->wants = p;
		if (r < 0)
			return r;
		for (size_t i = 0; i < s->n[t]; i++) {
			const struct bulk_entry *x = &s->v[t][i];
			struct bulk_want *w = &l->wants[l->n_wants++];
			*w = (struct bulk_want){.until = x->until};
			w->prefix.addr.family = (uint8_t)bulk_family((enum bulk_trie)t);
			w->prefix.len = x->len;
			memcpy(w->prefix.addr.bytes, x->addr, sizeof x->addr);
		}
	}
	return 0;
}

/* What one order's lists allow another one's may block. */
static int union_of(const struct order *const *all, size_t n, struct bulk_sets *ret, struct err *e)
{
	struct lists l = {0};
	struct bulk_sets s = {0};
	int r = 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = of_order(all[i], &s, e);
		if (r < 0 || n == 1)
			break;
		r = add_sets(&l, &s, e);
		bulk_sets_free(&s);
	}
	if (r == 0 && n > 1)
		r = bulk_desired(l.wants, l.n_wants, NULL, 0, &s, e);
	lists_free(&l);
	if (r < 0)
		bulk_sets_free(&s);
	else
		*ret = s;
	return r;
}

/* ---- one command asks for the same several times ---- */

#define CACHED 2

struct bulk_cache {
	struct slot {
		char *key; /* owned; NULL: empty */
		struct bulk_sets sets;
	} v[CACHED];
	size_t next;
};

static void forget(struct slot *s)
{
	free(s->key);
	bulk_sets_free(&s->sets);
	s->key = NULL;
}

void bulk_cache_free(struct bulk_cache *c)
{
	for (size_t i = 0; c && i < CACHED; i++)
		forget(&c->v[i]);
	free(c);
}

/* Orders that want the same until the same moment. */
static char *key_of(const struct order *const *all, size_t n)
{
	struct buf b = BUF_INIT(1u << 20);
	for (size_t i = 0; i < n; i++) {
		uint64_t until = 0;
		order_until(&all[i]->deadlines, &until);
		buf_addf(&b, "order %" PRIu64, until / SLACK_NSEC);
		for (size_t k = 0; k < all[i]->n_feeds; k++)
			buf_addf(&b, " %d%s", all[i]->feeds[k].role, all[i]->feeds[k].sha256);
	}
	char *key = buf_steal(&b);
	buf_free(&b);
	return key;
}

static int cached(struct host *h, const struct order *const *all, size_t n,
                  const struct bulk_sets **ret, struct err *e)
{
	char *key = key_of(all, n);
	if (!h->bulk)
		h->bulk = calloc(1, sizeof *h->bulk);
	if (!h->bulk || !key) {
		free(key);
		return err_set(e, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < CACHED; i++)
		if (h->bulk->v[i].key && !strcmp(h->bulk->v[i].key, key)) {
			free(key);
			*ret = &h->bulk->v[i].sets;
			return 0;
		}
	struct slot *s = &h->bulk->v[h->bulk->next];
	forget(s);
	int r = union_of(all, n, &s->sets, e);
	if (r < 0) {
		free(key);
		return r;
	}
	s->key = key;
	h->bulk->next = (h->bulk->next + 1) % CACHED;
	*ret = &s->sets;
	return 0;
}

int bulk_of_order(struct host *h, const struct order *o, const struct bulk_sets **ret,
                  struct err *e)
{
	return cached(h, &o, 1, ret, e);
}

/* *ret_orders: how many want anything. */
static int desired(struct host *h, const struct order *o, const struct holds *others,
                   const struct bulk_sets **ret, size_t *ret_orders, struct err *e)
{
	const struct order *all[1 + 1024];
	size_t n = 0;
	uint64_t until;
	if (o && order_until(&o->deadlines, &until) == 0)
		all[n++] = o;
	for (size_t i = 0; others && i < others->n && n < ARRAY_SIZE(all); i++)
		if (others->v[i].step && !strcmp(others->v[i].step->kind, kind_bulk.kind) &&
		    order_until(&others->v[i].order->deadlines, &until) == 0)
			all[n++] = others->v[i].order;
	*ret_orders = n;
	return n == ARRAY_SIZE(all) ? err_set(e, -E2BIG, "too many orders with feeds hold")
	                            : cached(h, all, n, ret, e);
}

/* ---- changing ---- */

static int change_trie(const struct bulkprog *b, enum bulk_trie t, const struct bulk_sets *want,
                       struct err *e)
{
	struct bulk_entry *have = NULL;
	struct bulk_delta d;
	size_t n, done;
	enum addr_family f = bulk_family(t);
	int r = bulkprog_read(b, f, &have, &n, e);
	if (r < 0)
		return r;
	r = bulk_diff(want->v[t], want->n[t], have, n, SLACK_NSEC, &d, e);
	free(have);
	if (r < 0)
		return r;
	r = bulkprog_put(b, f, d.put, d.n_put, &done, e);
	if (r == 0)
		r = bulkprog_del(b, f, d.del, d.n_del, &done, e);
	bulk_delta_free(&d);
	return r;
}

/* One sentence for each device that stays open; *ret_covered: how many do not. */
static int attach_all(const struct bulkprog *b, const struct link *v, size_t n,
                      struct buf *problems, size_t *ret_covered, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		struct err why = {0};
		struct bulk_device d = {0};
		int r = bulk_attach(b, &v[i], &why);
		if (r == -ENODEV)
			continue;
		if (r == -EPERM)
			return err_set(e, r, "%s", why.text);
		if (r == 0)
			r = bulk_device_read(b, &v[i], &d, &why);
		*ret_covered += r == 0 && d.ingress && d.egress;
		if (r < 0)
			buf_addf(problems, STAYS_OPEN "%s\n", v[i].name, why.text);
		else if (d.foreign_ahead)
			buf_addf(problems,
			         "on device %s another tc program runs before ours and may let "
			         "packets past it\n",
			         v[i].name);
	}
	return 0;
}

static void detach_all(const struct bulkprog *b, const struct link *v, size_t n, struct err *first)
{
	for (size_t i = 0; i < n; i++) {
		struct err why = {0};
		int r = bulk_detach(b, &v[i], &why);
		if (r < 0 && first && !first->code)
			err_set(first, r, "device %s: %s", v[i].name, why.text);
	}
}

struct change {
	struct link *devices; /* owned */
	size_t n_devices;
	struct bulkprog b;
	bool fresh; /* the tries are ours alone until they are attached */
};

static void change_end(struct change *c)
{
	bulkprog_close(&c->b);
	free(c->devices);
}

static int change_begin(struct change *ret, struct err *e)
{
	struct change c = {.b = {{-1, -1}, -1, -1, -1}};
	bool bridge;
	struct err why = {0};
	int r = host_devices(&c.devices, &c.n_devices, &bridge, e);
	if (r < 0)
		return r;
	r = bulk_open(c.devices, c.n_devices, &c.b, &why);
	c.fresh = r == -ENOENT;
	r = c.fresh  ? bulkprog_load(&c.b, e)
	    : r == 0 ? bulkprog_complete(&c.b, e)
	             : err_set(e, r, "%s", why.text);
	if (r < 0)
		change_end(&c);
	else
		*ret = c;
	return r;
}

/* Full before they are attached, where they are fresh: nothing is judged by half a list. */
static int bring_about(struct change *c, const struct bulk_sets *want, struct buf *problems,
                       struct err *e)
{
	size_t covered = 0;
	int r = 0;
	for (size_t t = 0; r == 0 && t < _BULK_TRIE_MAX; t++)
		r = change_trie(&c->b, (enum bulk_trie)t, want, e);
	if (r == 0)
		r = attach_all(&c->b, c->devices, c->n_devices, problems, &covered, e);
	if (r == 0 && !covered)
		r = err_set(e, -EOPNOTSUPP, "no device takes the programs: %.300s",
		            problems->len ? buf_str(problems) : "there is none");
	if (r < 0 && c->fresh)
		detach_all(&c->b, c->devices, c->n_devices, NULL);
	return r;
}

static int take_away(struct err *e)
{
	struct link *v = NULL;
	struct bulkprog b;
	size_t n = 0;
	bool bridge;
	struct err first = {0};
	int r = host_devices(&v, &n, &bridge, e);
	if (r < 0)
		return r;
	bool ours = bulk_open(v, n, &b, NULL) == 0;
	detach_all(ours ? &b : NULL, v, n, &first);
	if (ours)
		bulkprog_close(&b);
	free(v);
	return first.code ? err_set(e, first.code, "%s", first.text) : 0;
}

static int reconcile(struct host *h, const struct order *o, const struct holds *others,
                     struct buf *problems, struct err *e)
{
	struct change c;
	const struct bulk_sets *want;
	size_t orders;
	int r = desired(h, o, others, &want, &orders, e);
	if (r < 0 || orders == 0)
		return r < 0 ? r : take_away(e);
	r = change_begin(&c, e);
	if (r == 0) {
		r = bring_about(&c, want, problems, e);
		change_end(&c);
	}
	return r;
}

/* ---- judging ---- */

struct judgement {
	struct buf drift;
	unsigned differences, open; /* devices that are known to stay open */
	size_t orders, held;
	bool absent;
	const char *known;  /* problems that were told when it was applied */
	struct sha256 hash; /* of what was read back */
	char hex[SHA256_HEX_MAX];
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

static void tell_entries(struct judgement *j, enum bulk_trie t, const struct bulk_entry *v,
                         size_t n, const char *what)
{
	char text[PREFIX_STR_MAX];
	for (size_t i = 0; i < n; i++) {
		struct prefix p = {.addr = {.family = (uint8_t)bulk_family(t)}, .len = v[i].len};
		memcpy(p.addr.bytes, v[i].addr, sizeof v[i].addr);
		tell(j, "%s %s", prefix_str(&p, text), what);
	}
}

/* Family, length and address of each: what is blocked, not how long. */
static void add_to_hash(struct sha256 *h, enum bulk_trie t, const struct bulk_entry *v, size_t n)
{
	size_t bytes = t == BULK_V4 ? 4 : 16;
	uint8_t x[18] = {(uint8_t)bulk_family(t)};
	for (size_t i = 0; i < n; i++) {
		x[1] = v[i].len;
		memcpy(x + 2, v[i].addr, bytes);
		sha256_add(h, x, 2 + bytes);
	}
}

static int judge_trie(struct judgement *j, const struct bulkprog *b, enum bulk_trie t,
                      const struct bulk_sets *want, struct err *e)
{
	struct bulk_entry *have;
	struct bulk_delta d;
	size_t n;
	int r = bulkprog_read(b, bulk_family(t), &have, &n, e);
	if (r < 0)
		return r;
	uint64_t now = boot_now() * 1000;
	/* What has run out blocks nothing; the next change takes it away. */
	size_t k = 0;
	for (size_t i = 0; i < n; i++)
		if (!have[i].until || have[i].until > now)
			have[k++] = have[i];
	j->held += k;
	add_to_hash(&j->hash, t, have, k);
	r = bulk_diff(want->v[t], want->n[t], have, k, SLACK_NSEC, &d, e);
	free(have);
	if (r < 0)
		return r;
	size_t ending = 0;
	for (size_t i = 0; i < d.n_put; i++)
		if (!d.put[i].until || d.put[i].until > now + SLACK_NSEC)
			d.put[ending++] = d.put[i];
	tell_entries(j, t, d.put, ending, "is not blocked as ordered");
	tell_entries(j, t, d.del, d.n_del, "is blocked by nobody's order");
	bulk_delta_free(&d);
	return 0;
}

static bool is_known(const struct judgement *j, const char *device)
{
	char text[64];
	snprintf(text, sizeof text, STAYS_OPEN, device);
	return strstr(j->known, text) != NULL;
}

static int judge_devices(struct judgement *j, const struct bulkprog *b, const struct link *v,
                         size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		struct bulk_device d;
		struct err why = {0};
		int r = bulk_device_read(b, &v[i], &d, &why);
		if (r == -ENODEV)
			continue;
		if (r < 0)
			return err_set(e, r, "%s", why.text);
		if ((!d.ingress || !d.egress) && is_known(j, v[i].name))
			j->open++;
		else if (!d.ingress || !d.egress)
			tell(j, "device %s is not covered%s", v[i].name,
			     d.ingress  ? " at egress"
			     : d.egress ? " at ingress"
			                : "");
		if (d.kin)
			tell(j, "device %s has a program of our name that is not ours", v[i].name);
		if (d.foreign_ahead)
			tell(j, "on device %s another tc program runs before ours", v[i].name);
	}
	return 0;
}

static int judge_kernel(struct judgement *j, const struct link *v, size_t n,
                        const struct bulk_sets *want, struct err *e)
{
	uint8_t hash[SHA256_LEN];
	struct bulkprog b;
	struct err why = {0};
	int r = bulk_open(v, n, &b, &why);
	j->absent = r == -ENOENT;
	if (r < 0)
		return j->absent ? 0 : err_set(e, r, "%s", why.text);
	sha256_begin(&j->hash);
	for (size_t t = 0; r == 0 && t < _BULK_TRIE_MAX; t++)
		r = judge_trie(j, &b, (enum bulk_trie)t, want, e);
	int hashed = sha256_end(&j->hash, hash);
	if (r == 0 && hashed < 0)
		r = err_set(e, hashed, "hashing what was read back: %s", strerror(-hashed));
	if (r == 0) {
		hex_encode(hash, sizeof hash, j->hex);
		r = judge_devices(j, &b, v, n, e);
	}
	bulkprog_close(&b);
	return r;
}

/* known: what the step told of devices that stay open; may be NULL. */
static int judge(struct host *h, const struct order *o, const struct holds *others,
                 const char *known, struct judgement *ret, struct err *e)
{
	struct judgement j = {.drift = BUF_INIT(1u << 20), .known = known ? known : ""};
	const struct bulk_sets *want = NULL;
	struct link *v = NULL;
	size_t n = 0;
	bool bridge;
	int r = desired(h, o, others, &want, &j.orders, e);
	if (r == 0)
		r = host_devices(&v, &n, &bridge, e);
	if (r == 0)
		r = judge_kernel(&j, v, n, want, e);
	if (r == 0 && j.absent && j.orders)
		tell(&j, "no device has the bulk programs");
	if (j.differences > TOLD_MAX)
		buf_addf(&j.drift, "%u differences in all\n", j.differences);
	free(v);
	if (r < 0)
		buf_free(&j.drift);
	else
		*ret = j;
	return r;
}

/* ---- slots ---- */

/* Engine and person read the kernel back right after: this only brings it about. */
static void set_problem(struct step *s, const struct buf *problems)
{
	char *text = problems->len ? strdup(buf_str(problems)) : NULL;
	size_t n = text ? strlen(text) : 0;
	if (!text)
		return;
	text[n - 1] = 0;
	for (char *p = text; *p; p++)
		*p = *p == '\n' ? ';' : *p;
	free(s->problem);
	s->problem = text;
}

static int apply(struct host *h, const struct order *o, struct step *s, const struct holds *others,
                 struct err *e)
{
	struct buf problems = BUF_INIT(1u << 16);
	uint64_t until;
	if (order_until(&o->deadlines, &until) < 0)
		return err_set(e, -ETIME, "the order's deadline has passed already");
	struct err why = {0}, left = {0};
	int r = reconcile(h, o, others, &problems, &why);
	if (r == 0)
		set_problem(s, &problems);
	else if (reconcile(h, NULL, others, &problems, &left) == 0)
		err_set(e, r, "%s", why.text);
	else
		err_set(e, r, "%.200s; and it could not be taken back: %.200s", why.text,
		        left.text);
	buf_free(&problems);
	return r;
}

static int verify(struct host *h, const struct order *o, const struct step *s,
                  const struct holds *others, struct readback *ret, struct err *e)
{
	struct judgement j;
	uint64_t until;
	bool over = order_until(&o->deadlines, &until) < 0;
	int r = judge(h, o, others, s->problem, &j, e);
	if (r < 0)
		return r;
	struct readback rb = {.verdict = VERDICT_HOLDS};
	enum dim_state state = DIM_CONTAINED;
	if (over || j.absent) {
		if (over)
			buf_addf(&j.drift, "the deadline has passed: this order blocks nothing any "
			                   "more\n");
		rb.verdict = VERDICT_ABSENT;
		state = DIM_RELEASED;
	} else if (j.differences) {
		rb.verdict = VERDICT_DRIFTED;
		state = DIM_PARTIAL;
	} else if (j.open) {
		state = DIM_PARTIAL;
	}
	rb.dims[DIM_V4] = rb.dims[DIM_V6] = rb.dims[DIM_FORWARDED] = state;
	rb.dims[DIM_RAW] = state == DIM_CONTAINED ? DIM_PARTIAL : state;
	rb.drift = j.drift.len ? buf_steal(&j.drift) : NULL;
	if (rb.verdict == VERDICT_HOLDS &&
	    asprintf(&rb.held, "%zu prefixes of feeds were read back from the kernel, sha256 %s",
	             j.held, j.hex) < 0)
		rb.held = NULL;
	buf_free(&j.drift);
	*ret = rb;
	return 0;
}

static int undo(struct host *h, const struct order *o, struct step *s, const struct holds *others,
                struct err *e)
{
	struct buf problems = BUF_INIT(1u << 16);
	int r = inverse_check(kind_bulk.kind, s->inverse, e);
	if (r == 0)
		r = reconcile(h, NULL, others, &problems, e);
	buf_free(&problems);
	return r;
}

static int rearm(struct host *h, const struct order *o, struct step *s, const struct holds *others,
                 struct err *e)
{
	struct judgement j;
	uint64_t until;
	if (order_until(&o->deadlines, &until) < 0)
		return err_set(e, -ETIME, "the new deadline has passed already");
	int r = judge(h, o, others, s->problem, &j, e);
	if (r < 0)
		return r;
	buf_free(&j.drift);
	return j.absent ? err_set(e, -ENOENT, "the blocklist is not in force any more")
	                : apply(h, o, s, others, e);
}

static int describe(const struct order *o, const struct step *s, struct buf *out, struct err *e)
{
	struct layers l;
	int r = layers_from_json(s->forward, &l, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < o->n_feeds; i++)
		buf_addf(out, "# %s %s: %" PRIu64 " entries, sha256 %s\n",
		         feed_role_str(o->feeds[i].role), o->feeds[i].source, o->feeds[i].n,
		         o->feeds[i].sha256);
	for (size_t i = 0; i < l.n_devices; i++)
		buf_addf(out,
		         "tc qdisc add dev %s clsact; tc filter add dev %s ingress|egress bpf "
		         "direct-action object-file … (stanch's own, with its tries)\n",
		         l.devices[i].name, l.devices[i].name);
	layers_free(&l);
	return out->error;
}

const struct step_kind kind_bulk = {
    .kind = "host.bulk",
    .apply = apply,
    .verify = verify,
    .undo = undo,
    .rearm = rearm,
    .describe = describe,
};

/* ---- what nobody claims ---- */

int bulk_strays(bool remove, struct buf *out, struct err *e)
{
	struct link *v = NULL;
	size_t n = 0;
	bool bridge;
	int r = host_devices(&v, &n, &bridge, e);
	for (size_t i = 0; r == 0 && i < n; i++) {
		unsigned named = 0;
		r = bulk_named(&v[i], &named, e);
		if (r == -ENODEV)
			r = 0;
		if (r == 0 && named)
			r = buf_addf(out, "tc programs " BULKPROG_NAME " on device %s\n",
			             v[i].name);
	}
	free(v);
	return r == 0 && remove ? take_away(e) : r;
}

/* ---- one address ---- */

int host_ask_feeds(const struct addr *a, usec_t *ret_left, struct err *e)
{
	struct link *v = NULL;
	struct bulkprog b;
	size_t n = 0;
	bool bridge;
	uint64_t until = 0, now = boot_now() * 1000;
	int r = host_devices(&v, &n, &bridge, e);
	if (r == 0)
		r = bulk_open(v, n, &b, e);
	free(v);
	if (r < 0)
		return r;
	r = bulkprog_find(&b, a, &until, e);
	bulkprog_close(&b);
	if (r < 0 || (until && until <= now))
		return r < 0 ? r : -ENOENT;
	*ret_left = until ? (until - now) / 1000 : 0;
	return 0;
}
