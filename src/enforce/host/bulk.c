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

#define TOLD_MAX   20
#define READ_SHARE 100
/* What apply tells of a device, verify knows again. */
#define STAYS_OPEN "device %s stays open: "

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
	r = bulk_diff(want->v[t], want->n[t], have, n, BULK_SLACK_NSEC, &d, e);
	free(have);
	if (r < 0)
		return r;
	r = bulkprog_put(b, f, d.put, d.n_put, &done, e);
	if (r == 0)
		r = bulkprog_del(b, f, d.del, d.n_del, &done, e);
	bulk_delta_free(&d);
	return r;
}

/* Nothing that is listed passes there. It is the device that is always there, before any other at
 * boot, and keeps the tries. */
static bool is_loopback(const struct link *l)
{
	return l->flags & IFF_LOOPBACK;
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
		*ret_covered += r == 0 && d.ingress && d.egress && !is_loopback(&v[i]);
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
	bool alone; /* nothing of ours hangs anywhere yet */
};

static void change_end(struct change *c)
{
	bulkprog_close(&c->b);
	free(c->devices);
}

static bool has_programs(const struct bulkprog *b, const struct link *v, size_t n)
{
	enum bulk_layer layer;
	for (size_t i = 0; i < n; i++)
		if (bulk_layer_of(&v[i], &layer, NULL) == 0 && b->progs[layer] < 0)
			return false;
	return true;
}

/* A kind of device has come that the programs at hand cannot read: fresh ones take their place,
 * with what is known of the qdiscs. */
static int replace(struct change *c, struct err *e)
{
	struct bulkprog fresh = BULKPROG_NONE;
	struct bulk_device_note note;
	int r = bulkprog_load(&fresh, e);
	for (size_t i = 0; r == 0 && i < c->n_devices; i++)
		if (bulkprog_get_device(&c->b, c->devices[i].ifindex, &note, NULL) == 0)
			r = bulkprog_set_device(&fresh, c->devices[i].ifindex, &note, e);
	if (r < 0)
		return r;
	bulkprog_close(&c->b);
	c->b = fresh;
	return 0;
}

static int change_begin(struct change *ret, struct err *e)
{
	struct change c = {.b = BULKPROG_NONE};
	struct err why = {0};
	int r = link_list(NULL, &c.devices, &c.n_devices, e);
	if (r < 0)
		return r;
	r = bulk_open(c.devices, c.n_devices, &c.b, &why);
	c.alone = r == -ENOENT;
	if (c.alone)
		r = bulkprog_load(&c.b, e);
	else if (r < 0)
		err_set(e, r, "%s", why.text);
	else if (!has_programs(&c.b, c.devices, c.n_devices))
		r = replace(&c, e);
	if (r < 0)
		change_end(&c);
	else
		*ret = c;
	return r;
}

/* Were these very tries read back, and found to hold what is wanted, but now? */
static bool known_by_reading(const struct host *h, const struct bulkprog *b,
                             const struct bulk_sets *want)
{
	const struct bulk_reading *seen = &h->bulk->seen;
	uint32_t maps;
	return bulkprog_maps(b, &maps, NULL) == 0 && seen->want == want && seen->maps == maps &&
	       boot_now() - seen->at < seen->took * READ_SHARE;
}

/* Full before they are attached, where they are fresh: nothing is judged by half a list. */
static int bring_about(struct host *h, struct change *c, const struct bulk_sets *want,
                       struct buf *problems, struct err *e)
{
	size_t covered = 0;
	int r = 0;
	/* A guard that finds a device bare does not read a million prefixes first. */
	bool tries = !h->guards || !known_by_reading(h, &c->b, want);
	for (size_t t = 0; tries && r == 0 && t < _BULK_TRIE_MAX; t++)
		r = change_trie(&c->b, (enum bulk_trie)t, want, e);
	if (r == 0)
		r = attach_all(&c->b, c->devices, c->n_devices, problems, &covered, e);
	if (r == 0 && !covered && problems->len)
		r = err_set(e, -EOPNOTSUPP, "no device takes the programs: %.300s",
		            buf_str(problems));
	if (r < 0 && c->alone)
		detach_all(&c->b, c->devices, c->n_devices, NULL);
	return r;
}

static int take_away(struct err *e)
{
	struct link *v = NULL;
	struct bulkprog b = BULKPROG_NONE;
	size_t n = 0;
	struct err first = {0};
	int r = link_list(NULL, &v, &n, e);
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
	int r = bulk_wanted(h, o, others, &want, &orders, e);
	if (r == 0)
		h->bulk->seen.want = NULL; /* what comes now is read back */
	if (r < 0 || orders == 0)
		return r < 0 ? r : take_away(e);
	r = change_begin(&c, e);
	if (r == 0) {
		r = bring_about(h, &c, want, problems, e);
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
	r = bulk_diff(want->v[t], want->n[t], have, k, BULK_SLACK_NSEC, &d, e);
	free(have);
	if (r < 0)
		return r;
	size_t ending = 0;
	for (size_t i = 0; i < d.n_put; i++)
		if (!d.put[i].until || d.put[i].until > now + BULK_SLACK_NSEC)
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
		bool covered = (d.ingress && d.egress) || is_loopback(&v[i]);
		if (!covered && is_known(j, v[i].name))
			j->open++;
		else if (!covered)
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

static int judge_tries(struct judgement *j, const struct bulkprog *b, const struct bulk_sets *want,
                       struct err *e)
{
	uint8_t hash[SHA256_LEN];
	int r = 0;
	sha256_begin(&j->hash);
	for (size_t t = 0; r == 0 && t < _BULK_TRIE_MAX; t++)
		r = judge_trie(j, b, (enum bulk_trie)t, want, e);
	int hashed = sha256_end(&j->hash, hash);
	if (r == 0 && hashed < 0)
		r = err_set(e, hashed, "hashing what was read back: %s", strerror(-hashed));
	if (r == 0)
		hex_encode(hash, sizeof hash, j->hex);
	return r;
}

/* Who looks again and again (the guard) reads a whole trie so seldom that it takes one hundredth of
 * its time: the programs are looked at each time. Every command reads all. */
static int judge_seldom(struct host *h, struct judgement *j, const struct bulkprog *b,
                        const struct bulk_sets *want, struct err *e)
{
	struct bulk_reading *seen = &h->bulk->seen;
	uint32_t maps;
	usec_t now = boot_now();
	int r = bulkprog_maps(b, &maps, e);
	if (r < 0)
		return r;
	if (known_by_reading(h, b, want)) {
		j->held = seen->held;
		memcpy(j->hex, seen->hex, sizeof j->hex);
		return 0;
	}
	r = judge_tries(j, b, want, e);
	*seen = (struct bulk_reading){.want = r == 0 && !j->differences ? want : NULL,
	                              .maps = maps,
	                              .at = boot_now(),
	                              .took = boot_now() - now,
	                              .held = j->held};
	memcpy(seen->hex, j->hex, sizeof seen->hex);
	return r;
}

static int judge_kernel(struct host *h, struct judgement *j, const struct link *v, size_t n,
                        const struct bulk_sets *want, struct err *e)
{
	struct bulkprog b = BULKPROG_NONE;
	struct err why = {0};
	int r = bulk_open(v, n, &b, &why);
	j->absent = r == -ENOENT;
	if (r < 0)
		return j->absent ? 0 : err_set(e, r, "%s", why.text);
	r = judge_seldom(h, j, &b, want, e);
	if (r == 0)
		r = judge_devices(j, &b, v, n, e);
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
	int r = bulk_wanted(h, o, others, &want, &j.orders, e);
	if (r == 0)
		r = link_list(NULL, &v, &n, e);
	if (r == 0)
		r = judge_kernel(h, &j, v, n, want, e);
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
	if (bulk_order_until(&o->deadlines, &until) < 0)
		return err_set(e, -ETIME, "the order's deadline has passed already");
	struct err why = {0}, left = {0};
	int r = reconcile(h, o, others, &problems, &why);
	if (r == 0)
		set_problem(s, &problems);
	else if (h->guards || reconcile(h, NULL, others, &problems, &left) == 0)
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
	bool over = bulk_order_until(&o->deadlines, &until) < 0;
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
	if (bulk_order_until(&o->deadlines, &until) < 0)
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
	int r = link_list(NULL, &v, &n, e);
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
	struct bulkprog b = BULKPROG_NONE;
	size_t n = 0;
	uint64_t until = 0, now = boot_now() * 1000;
	int r = link_list(NULL, &v, &n, e);
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
