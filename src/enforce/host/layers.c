/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Kinds host.raw and host.sessions: the table rows around raw.c and sessions.c. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/host/bulk.h"
#include "enforce/host/cut.h"
#include "enforce/host/programs.h"
#include "enforce/host/sweep.h"

static const struct step *step_of(const struct holds *others, const char *kind)
{
	for (size_t i = 0; others && i < others->n; i++)
		if (others->v[i].step && !strcmp(others->v[i].step->kind, kind))
			return others->v[i].step;
	return NULL;
}

void step_add_problem(struct step *s, const char *fmt, ...)
{
	char *one = NULL, *both = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&one, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if (s->problem && asprintf(&both, "%s; %s", s->problem, one) >= 0) {
		free(s->problem);
		free(one);
		s->problem = both;
	} else if (!s->problem) {
		s->problem = one;
	} else {
		free(one);
	}
}

/* ---- host.raw ---- */

static int attach_all(struct cut_programs *ps, const struct order *o, const struct hold_time *t,
                      const struct link *v, size_t n, struct raw_device *done, size_t *ret_done,
                      struct step *s, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		struct raw_report report = {0};
		struct err why = {0};
		int r = raw_attach(ps, v[i].ifindex, o->permits, o->n_permits, t, &report, &why);
		if (r == -ENODEV)
			continue;
		if (r == -EOPNOTSUPP) {
			step_add_problem(s, "device %s: a BPF redirect can send there: %s",
			                 v[i].name, why.text);
			continue;
		}
		if (r < 0)
			return err_set(e, r, "device %s: %s", v[i].name, why.text);
		struct raw_device *d = &done[(*ret_done)++];
		*d =
		    (struct raw_device){.ifindex = v[i].ifindex, .made_clsact = report.made_clsact};
		memcpy(d->name, v[i].name, sizeof d->name);
		if (report.foreign_ahead)
			step_add_problem(
			    s,
			    "on device %s another tc egress program runs before ours and "
			    "may send frames past it",
			    v[i].name);
	}
	return 0;
}

static void detach_all(const struct raw_device *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)raw_detach(v[i].ifindex, v[i].made_clsact, NULL);
}

static int raw_apply(struct host *h, const struct order *o, struct step *s,
                     const struct holds *others, struct err *e)
{
	_cleanup_free_ struct link *v = NULL;
	_cleanup_free_ struct raw_device *done = NULL;
	struct hold_time t;
	size_t n = 0, n_done = 0;
	bool bridge;
	char *result = NULL;
	int r = hold_time_of(&o->deadlines, boot_now(), &t);
	if (r < 0)
		return err_set(e, r, "the order's deadline has passed already");
	t.drain = DRAIN_USEC;
	r = host_devices(&v, &n, &bridge, e);
	if (r < 0)
		return r;
	done = calloc(n + 1, sizeof *done);
	if (!done)
		return err_set(e, -ENOMEM, "out of memory for %zu devices", n);
	r = attach_all(h->programs, o, &t, v, n, done, &n_done, s, e);
	cut_programs_done(h->programs);
	h->loaded = false;
	if (r == 0)
		r = raw_result_to_json(done, n_done, &result, e);
	if (r < 0) {
		/* A guard has put back what it could: the rest of the order is in force. */
		if (!h->guards)
			detach_all(done, n_done);
		return r;
	}
	free(s->result);
	s->result = result;
	return 0;
}

bool time_agrees(usec_t want, usec_t have)
{
	const struct nft_elem el = {.timeout = msec_left(have), .left = msec_left(have)};
	return left_agrees(msec_left(want), &el);
}

/* One device's share of a verification; false: our program is not there. */
static bool raw_check(const struct order *o, const struct hold_time *t, const struct link *v,
                      struct buf *drift)
{
	struct raw_report report = {0};
	struct err why = {0};
	bool same = false;
	int r = raw_compare(v->ifindex, o->permits, o->n_permits, &report, &same, &why);
	if (r < 0 || !report.attached) {
		buf_addf(drift, "device %s has no program of ours at tc egress%s%s\n", v->name,
		         why.code ? ": " : "", why.code ? why.text : "");
		return false;
	}
	if (!same)
		buf_addf(drift, "device %s: the permits of the tc program are not the order's\n",
		         v->name);
	if (!time_agrees(t->armed, report.armed_left) ||
	    !time_agrees(t->narrow, report.narrow_left))
		buf_addf(drift, "device %s: the tc program's deadline is not the order's\n",
		         v->name);
	if (report.foreign_ahead)
		buf_addf(drift, "device %s: another tc egress program runs before ours\n", v->name);
	return true;
}

void readback_tell(struct readback *rb, struct buf *text)
{
	char **slot = rb->verdict == VERDICT_HOLDS ? &rb->held : &rb->drift;
	if (text->len && buf_str(text)[text->len - 1] == '\n')
		text->data[--text->len] = 0;
	*slot = text->len ? buf_steal(text) : NULL;
	buf_free(text);
}

/* What could step around all layers, for people; a guard that looks every second leaves it out. */
static void add_sweep(const struct host *h, struct readback *rb, struct buf *text)
{
	struct sweep s;
	struct err why = {0};
	if (h->guards || rb->verdict == VERDICT_ABSENT)
		return;
	if (sweep_host(&s, &why) < 0) {
		buf_addf(text, "what could step around the cut was not looked for: %s\n", why.text);
		return;
	}
	if (s.lines.len)
		buf_addf(text, "%s", buf_str(&s.lines));
	if (s.holes)
		rb->dims[DIM_RAW] = DIM_PARTIAL;
	buf_free(&s.lines);
}

static int raw_verify(struct host *h, const struct order *o, const struct step *s,
                      const struct holds *others, struct readback *ret, struct err *e)
{
	_cleanup_free_ struct link *v = NULL;
	struct hold_time t = {0};
	struct buf drift = BUF_INIT(1u << 20);
	size_t n, found = 0;
	bool bridge, over = hold_time_of(&o->deadlines, boot_now(), &t) == -ETIME;
	int r = host_devices(&v, &n, &bridge, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		found += raw_check(o, &t, &v[i], &drift);
	/* A guard has a program ready that the kernel has verified, for the device that comes next.
	 */
	if (h->guards && !h->loaded && !drift.len)
		h->loaded = raw_probe(h->programs, NULL) == 0;
	struct readback rb = {.verdict = VERDICT_HOLDS};
	rb.dims[DIM_RAW] = DIM_CONTAINED;
	if (over || (n && !found)) {
		rb.verdict = VERDICT_ABSENT;
		rb.dims[DIM_RAW] = DIM_RELEASED;
	} else if (drift.len) {
		rb.verdict = VERDICT_DRIFTED;
		rb.dims[DIM_RAW] = DIM_PARTIAL;
	}
	add_sweep(h, &rb, &drift);
	readback_tell(&rb, &drift);
	*ret = rb;
	return 0;
}

static bool made_by_us(const struct raw_device *v, size_t n, const struct link *l)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].ifindex == l->ifindex)
			return v[i].made_clsact;
	return false;
}

static int raw_undo(struct host *h, const struct order *o, struct step *s,
                    const struct holds *others, struct err *e)
{
	_cleanup_free_ struct link *v = NULL;
	_cleanup_free_ struct raw_device *done = NULL;
	size_t n = 0, n_done = 0;
	bool bridge;
	int first = 0, r = inverse_check(kind_raw.kind, s->inverse, e);
	if (r == 0)
		r = raw_result_from_json(s->result, &done, &n_done, e);
	if (r == 0)
		r = host_devices(&v, &n, &bridge, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		struct raw_report report = {0};
		struct err why = {0};
		r = raw_read(v[i].ifindex, &report, &why);
		/* Also without one of ours: another version of stanch may have left its own. */
		if (r == 0)
			r = raw_detach(v[i].ifindex,
			               report.made_clsact || made_by_us(done, n_done, &v[i]), &why);
		if (r < 0 && r != -ENODEV && first == 0)
			first = err_set(e, r, "device %s: %s", v[i].name, why.text);
	}
	return first;
}

static int raw_time(const struct hold_time *t, struct err *e)
{
	_cleanup_free_ struct link *v = NULL;
	size_t n;
	bool bridge;
	int first = 0, r = host_devices(&v, &n, &bridge, e);
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct err why = {0};
		int one = raw_rearm(v[i].ifindex, t, &why);
		if (one < 0 && one != -ENODEV && one != -ENOENT && first == 0)
			first = err_set(e, one == -ETIME ? -ENOENT : one, "device %s: %s",
			                v[i].name, why.text);
	}
	return r < 0 ? r : first;
}

static int raw_rearm_all(struct host *h, const struct order *o, struct step *s,
                         const struct holds *others, struct err *e)
{
	struct hold_time t;
	int r = hold_time_of(&o->deadlines, boot_now(), &t);
	if (r < 0)
		return err_set(e, r, "the new deadline has passed already");
	return raw_time(&t, e);
}

static int raw_describe(const struct order *o, const struct step *s, struct buf *out, struct err *e)
{
	struct layers l;
	int r = layers_from_json(s->forward, &l, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < l.n_devices; i++)
		buf_addf(
		    out,
		    "tc qdisc add dev %s clsact; tc filter add dev %s egress bpf direct-action "
		    "object-file … (stanch's own, with the same permits)\n",
		    l.devices[i].name, l.devices[i].name);
	layers_free(&l);
	return out->error;
}

const struct step_kind kind_raw = {
    .kind = "host.raw",
    .apply = raw_apply,
    .verify = raw_verify,
    .undo = raw_undo,
    .rearm = raw_rearm_all,
    .describe = raw_describe,
};

/* ---- host.sessions ---- */

/* The scope of an order; the arrays are malloc'd and freed by scope_free. */
struct owned_scope {
	struct session_scope s;
	struct permit *permits;
	struct prefix *prefixes;
};

static void scope_free(struct owned_scope *x)
{
	free(x->permits);
	free(x->prefixes);
}

static int scope_of(struct host *h, const struct order *o, struct owned_scope *ret, struct err *e)
{
	/* Not a socket of their own: closing one waits until the kernel has freed what the cut's
	 * last transaction took away. */
	struct owned_scope x = {.s.netfilter = &h->nl};
	if (o->verb == VERB_ISOLATE) {
		x.permits = calloc(o->n_permits + 1, sizeof *x.permits);
		/* Break-glass opens later: a session that fits only that ends now. */
		for (size_t i = 0; x.permits && i < o->n_permits; i++)
			if (!o->permits[i].breakglass)
				x.permits[x.s.n_permits++] = o->permits[i];
		x.s.permits = x.permits;
	} else {
		x.prefixes = calloc(o->n_targets + 1, sizeof *x.prefixes);
		for (size_t i = 0; x.prefixes && i < o->n_targets; i++)
			if (o->targets[i].prefix.addr.family != ADDR_NONE)
				x.prefixes[x.s.n_prefixes++] = o->targets[i].prefix;
		x.s.prefixes = x.prefixes;
	}
	if (!x.permits && !x.prefixes)
		return err_set(e, -ENOMEM, "out of memory for the sessions to end");
	int r = o->n_feeds ? bulk_of_order(h, o, &x.s.bulk, e) : 0;
	if (r < 0) {
		scope_free(&x);
		return r;
	}
	*ret = x;
	return 0;
}

static int sessions_prepare(struct host *h, const struct order *o, struct step *s, struct err *e)
{
	struct owned_scope x;
	char *json = NULL;
	int r = scope_of(h, o, &x, e);
	if (r < 0)
		return r;
	r = sessions_evidence(&x.s, &json, e);
	if (r == 0) {
		free(s->evidence);
		s->evidence = json;
	}
	scope_free(&x);
	return r;
}

static int end_drain(struct host *h, const struct order *o, const struct holds *others,
                     struct err *e)
{
	struct hold_time t;
	if (o->verb != VERB_ISOLATE)
		return 0;
	int r = cut_drain_off(h, e);
	if (r < 0 || hold_time_of(&o->deadlines, boot_now(), &t) < 0)
		return r;
	if (step_of(others, kind_raw.kind))
		r = raw_time(&t, e);
	if (r == 0 && step_of(others, kind_inbound.kind))
		r = inbound_time(&t, e);
	return r;
}

static int sessions_apply(struct host *h, const struct order *o, struct step *s,
                          const struct holds *others, struct err *e)
{
	struct owned_scope x = {0};
	struct session_counts c = {0};
	struct err why = {0};
	char *result = NULL;
	int r = sessions_check(s->forward, e);
	if (r == 0)
		r = scope_of(h, o, &x, e);
	if (r < 0)
		return r;
	if (sessions_destroy_sockets(&x.s, &c, &why) < 0)
		step_add_problem(s, "sockets were not all closed: %s", why.text);
	r = end_drain(h, o, others, e);
	why.code = 0;
	if (r == 0 && sessions_delete_flows(&x.s, &c, &why) < 0)
		step_add_problem(s, "tracked connections were not all forgotten: %s", why.text);
	scope_free(&x);
	if (r == 0)
		r = counts_to_json(&c, &result, e);
	if (r == 0) {
		free(s->result);
		s->result = result;
	}
	return r;
}

static int sessions_verify(struct host *h, const struct order *o, const struct step *s,
                           const struct holds *others, struct readback *ret, struct err *e)
{
	struct owned_scope x;
	struct session_counts c = {0};
	int r = scope_of(h, o, &x, e);
	if (r < 0)
		return r;
	r = sessions_count(&x.s, &c, e);
	scope_free(&x);
	if (r < 0)
		return r;
	struct readback rb = {.verdict = VERDICT_HOLDS};
	bool left = c.sockets_seen || c.flows_seen;
	/* They send nothing past the one layer and hear nothing past the other, while these hold:
	 * their own steps tell. A dhclient's stays for ever. */
	bool mute = step_of(others, kind_raw.kind) && step_of(others, kind_inbound.kind);
	rb.dims[DIM_SESSIONS] = left || (c.packet_sockets && !mute) ? DIM_PARTIAL : DIM_CONTAINED;
	/* New attempts of the same programs look like this, too: the cut holds them, so that it is
	 * told and is no drift. */
	struct buf drift = BUF_INIT(4096);
	if (left)
		buf_addf(&drift,
		         "%u sockets and %u tracked connections outside of what is kept are still "
		         "(or again) there\n",
		         c.sockets_seen, c.flows_seen);
	if (c.packet_sockets && !mute) /* else the sweep names them */
		buf_addf(&drift, "%u packet sockets are open\n", c.packet_sockets);
	readback_tell(&rb, &drift);
	*ret = rb;
	return 0;
}

static int sessions_describe(const struct order *o, const struct step *s, struct buf *out,
                             struct err *e)
{
	char text[PREFIX_STR_MAX];
	if (o->verb == VERB_ISOLATE) {
		buf_addf(out, "ss -K -t -u state connected   # all whose peer is not kept\n");
		buf_addf(out, "conntrack -D                  # all whose peer is not kept\n");
		return out->error;
	}
	for (size_t i = 0; i < o->n_targets; i++) {
		prefix_str(&o->targets[i].prefix, text);
		buf_addf(out, "ss -K -t -u dst %s\nconntrack -D -d %s; conntrack -D -s %s\n", text,
		         text, text);
	}
	return out->error;
}

const struct step_kind kind_sessions = {
    .kind = "host.sessions",
    .prepare = sessions_prepare,
    .apply = sessions_apply,
    .verify = sessions_verify,
    .describe = sessions_describe,
};
