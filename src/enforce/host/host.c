/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The driver's table, its plans and its probe. The work is in the kinds of steps (parts.h).
 */
#include "enforce/host/host.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/netlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/host/bulk.h"
#include "enforce/host/group.h"
#include "enforce/host/parts.h"
#include "enforce/host/programs.h"
#include "kern/conntrack.h"
#include "kern/diag.h"

static const struct step_kind *const kinds[] = {
    &kind_cut,   &kind_raw,  &kind_inbound, &kind_queues,         &kind_sessions,
    &kind_block, &kind_bulk, &kind_group,   &kind_group_sessions,
};

static const struct step_kind *kind_of(const struct step *s, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i]->kind, s->kind))
			return kinds[i];
	err_set(e, -EBADMSG, "\"%s\" is no kind of step of the driver host", s->kind);
	return NULL;
}

static void host_free(struct host *h)
{
	cut_programs_free(h->programs);
	cut_programs_free(h->inbound);
	bulk_cache_free(h->bulk);
	layers_free(h->layers);
	free(h->layers);
	free(h);
}

static int host_open(const struct point *p, void **ret_ctx, struct err *e)
{
	struct host *h = calloc(1, sizeof *h);
	if (!h)
		return err_set(e, -ENOMEM, "out of memory");
	snprintf(h->point, sizeof h->point, "%s", p->name);
	h->leave = -1;
	ahead_take(h);
	if (!h->programs)
		h->programs = cut_programs_new(CUTPROG_OUT);
	if (!h->inbound)
		h->inbound = cut_programs_new(CUTPROG_IN);
	int r = h->programs && h->inbound ? nl_open(&h->nl, NETLINK_NETFILTER, e)
	                                  : err_set(e, -ENOMEM, "out of memory");
	if (r < 0)
		host_free(h);
	else
		*ret_ctx = h;
	return r;
}

static void host_close(void *ctx)
{
	struct host *h = ctx;
	if (!h)
		return;
	nl_close(&h->nl);
	if (h->leave >= 0)
		sys->close(h->leave);
	host_free(h);
}

/* ---- what this kernel takes ---- */

/* Has the kernel check, and take nothing of, the tables of an empty cut. */
static int try_layers(struct host *h, const struct layers *l, const struct link *v, size_t n,
                      struct err *e)
{
	const struct order nothing = {.verb = VERB_ISOLATE};
	const struct hold_time t = {.armed = USEC_PER_SEC};
	struct images m;
	struct nft_batch b;
	int r = cut_images(&nothing, "probe", l, v, n, &t, &m, e);
	if (r < 0)
		return r;
	nft_batch_begin(&b);
	for (size_t i = 0; i < m.n; i++) {
		strcpy(m.v[i].name, "stanch_probe");
		nft_put_table(&b, &m.v[i]);
	}
	r = nft_try(&h->nl, &b, e);
	nft_batch_free(&b);
	images_free(&m);
	return r;
}

static int keep_devices(struct layers *l, const struct link *v, size_t n, struct err *e)
{
	l->n_devices = n < LAYERS_DEVICES_MAX ? n : LAYERS_DEVICES_MAX;
	l->devices = calloc(l->n_devices + 1, sizeof *l->devices);
	if (!l->devices)
		return err_set(e, -ENOMEM, "out of memory for %zu devices", n);
	for (size_t i = 0; i < l->n_devices; i++) {
		memcpy(l->devices[i].name, v[i].name, IFNAMSIZ);
		l->devices[i].ifindex = v[i].ifindex;
	}
	return 0;
}

/* One device stands for all, and the usual case takes a single trial: each one waits for the kernel
 * to let go of its hooks again. */
static int try_all(struct host *h, struct layers *l, const struct link *v, size_t n, bool bridge,
                   struct err *e)
{
	struct layers with = {.egress = true, .ingress = true, .bridge = bridge};
	n = n ? 1 : 0;
	if (try_layers(h, &with, v, n, NULL) == 0) {
		*l = with;
		return 0;
	}
	int r = try_layers(h, l, v, n, e);
	with = (struct layers){.ingress = true};
	l->ingress = r == 0 && try_layers(h, &with, v, n, NULL) == 0;
	with = (struct layers){.egress = true, .ingress = true};
	l->egress = l->ingress && try_layers(h, &with, v, n, NULL) == 0;
	with = (struct layers){.bridge = true};
	l->bridge = r == 0 && bridge && try_layers(h, &with, v, n, NULL) == 0;
	return r;
}

int layers_probe(struct host *h, struct layers *ret, struct err *e)
{
	_cleanup_free_ struct link *v = NULL;
	size_t n;
	bool bridge;
	struct layers l = {0};
	if (h->layers) {
		*ret = *h->layers;
		free(h->layers);
		h->layers = NULL;
		return 0;
	}
	int r = host_devices(&v, &n, &bridge, e);
	if (r == 0)
		r = try_all(h, &l, v, n, bridge, e);
	if (r == -EPERM)
		err_set(e, r,
		        "changing nftables needs the capability CAP_NET_ADMIN; run it as root");
	if (r == 0)
		r = keep_devices(&l, v, n, e);
	if (r == 0)
		*ret = l;
	return r;
}

static void __attribute__((format(printf, 4, 5)))
capability(struct capabilities *c, const char *name, bool available, const char *why, ...)
{
	struct capability *v = &c->v[c->n++];
	va_list ap;
	v->name = name;
	v->available = available;
	v->why_not[0] = 0;
	if (available)
		return;
	va_start(ap, why);
	vsnprintf(v->why_not, sizeof v->why_not, why, ap);
	va_end(ap);
}

static bool take_none(void *arg, const struct ct_flow *f)
{
	return false;
}

static int host_probe(void *ctx, struct capabilities *ret, struct err *e)
{
	struct host *h = ctx;
	struct layers l = {0}, bridge = {.bridge = true};
	struct capabilities c = {0};
	struct err why = {0};
	bool nft = layers_probe(h, &l, &why) == 0;
	capability(&c, "nf_tables inet", nft, "%.140s", why.text);
	capability(
	    &c, "netdev egress", l.egress,
	    "not taken by this kernel (5.16 or newer needed): packet sockets send past a cut");
	capability(&c, "netdev ingress", l.ingress, "not taken by this kernel");
	why.code = 0;
	bool br = try_layers(h, &bridge, NULL, 0, &why) == 0;
	capability(&c, "nf_tables bridge", br, "bridged frames are cut at the devices only: %.90s",
	           why.text);
	why.code = 0;
	bool raw = raw_probe(NULL, &why) == 0;
	capability(&c, "tc egress", raw, "BPF redirects pass a cut: %.120s", why.text);
	why.code = 0;
	bool xdp = cut_programs_probe(NULL, CUTPROG_IN, &why) == 0;
	capability(&c, "XDP", xdp, "packet sockets hear what arrives, past a cut: %.110s",
	           why.text);
	why.code = 0;
	bool ct = ct_list(NULL, take_none, NULL, &why) == 0;
	capability(&c, "conntrack", ct, "tracked connections are neither seen nor forgotten: %.90s",
	           why.text);
	why.code = 0;
	bool group = group_probe(GROUP_ALL, &why) == 0;
	capability(&c, "cgroup programs", group,
	           "no unit, account, process or container is cut "
	           "by itself: %.90s",
	           why.text);
	layers_free(&l);
	*ret = c;
	return 0;
}

/* ---- plans ---- */

/* Adds a step with its payloads; texts are taken over, NULL ones are an error. */
static int add_step(struct plan *p, struct host *h, const struct step_kind *k, bool required,
                    char *forward, char *inverse, char *effect, char *undo, const char *no_inverse,
                    struct err *e)
{
	struct step *s = forward && effect ? plan_add_step(p, h->point, k->kind) : NULL;
	char *reason = no_inverse ? strdup(no_inverse) : NULL;
	if (!s || (!inverse && !reason)) {
		free(reason);
		free(forward);
		free(inverse);
		free(effect);
		free(undo);
		return err_set(e, -ENOMEM, "out of memory for the plan");
	}
	s->required = required;
	s->forward = forward;
	s->inverse = inverse;
	s->effect = effect;
	s->undo_effect = undo;
	s->no_inverse = reason;
	return 0;
}

static void list_devices(const struct layers *l, struct buf *out)
{
	const size_t shown = 12;
	for (size_t i = 0; i < l->n_devices && i < shown; i++)
		buf_addf(out, "%s%s", i ? ", " : "", l->devices[i].name);
	if (l->n_devices > shown)
		buf_addf(out, " and %zu more", l->n_devices - shown);
	if (!l->n_devices)
		buf_addf(out, "none");
}

static const char *tables_text(const struct layers *l)
{
	if (l->bridge)
		return l->egress || l->ingress ? "inet, netdev and bridge" : "inet and bridge";
	return l->egress || l->ingress ? "inet and netdev" : "inet";
}

static char *cut_effect(const struct order *o, const struct layers *l)
{
	struct buf out = BUF_INIT(1u << 20);
	buf_addf(&out,
	         "one nftables transaction adds tables " CUT_TABLE " (%s): drops every packet "
	         "in, out and through, IPv4 and IPv6, on every device but lo (now: ",
	         tables_text(l));
	list_devices(l, &out);
	buf_addf(&out, "), except:");
	for (size_t i = 0; i < o->n_permits; i++) {
		buf_addf(&out, "%s ", i ? ";" : "");
		permit_describe(&o->permits[i], &out);
	}
	if (!o->n_permits)
		buf_addf(&out, " nothing");
	char *text = buf_steal(&out);
	buf_free(&out);
	return text;
}

static int add_with_inverse(struct plan *p, struct host *h, const struct step_kind *k,
                            bool required, const struct layers *l, char *effect, const char *undo,
                            struct err *e)
{
	char *forward = NULL, *inverse = NULL;
	int r = layers_to_json(l, &forward, e);
	if (r == 0)
		r = inverse_to_json(k->kind, &inverse, e);
	if (r < 0) {
		free(forward);
		free(effect);
		return r;
	}
	return add_step(p, h, k, required, forward, inverse, effect, strdup(undo), NULL, e);
}

static int add_sessions(struct plan *p, struct host *h, const char *effect, struct err *e)
{
	char *forward = NULL;
	int r = sessions_to_json(&forward, e);
	return r < 0
	           ? r
	           : add_step(p, h, &kind_sessions, false, forward, NULL, strdup(effect), NULL,
	                      "a connection that was closed cannot be opened again from here; the "
	                      "programs have to do that",
	                      e);
}

static bool resolves_names(const struct order *o)
{
	for (size_t i = 0; i < o->n_permits; i++)
		if (o->permits[i].kind == PERMIT_FLOW && !o->permits[i].breakglass &&
		    (o->permits[i].peer_port == 53 ||
		     (!o->permits[i].peer_port && !o->permits[i].local_port)))
			return true;
	return false;
}

static int cut_notes(struct plan *p, const struct order *o, const struct layers *l)
{
	int r = plan_note(p, "containers and virtual machines on this host are cut, too: what is "
	                     "forwarded fits no entry of the allow-list");
	if (r == 0 && !resolves_names(o))
		r = plan_note(p, "names will not resolve; to keep one resolver: --keep-out "
		                 "RESOLVER:53");
	if (r == 0 && !l->egress)
		r = plan_note(p, "this kernel has no netdev egress hook (5.16 or newer): packet "
		                 "sockets can send past the nftables cut");
	return r < 0 ? r : 0;
}

static int cut_dims(struct plan *p, const struct layers *l)
{
	int r = plan_set_dim(p, DIM_V4, DIM_CONTAINED, NULL);
	if (r == 0)
		r = plan_set_dim(p, DIM_V6, DIM_CONTAINED, NULL);
	if (r == 0)
		r = l->egress ? plan_set_dim(p, DIM_FORWARDED, DIM_CONTAINED, NULL)
		              : plan_set_dim(p, DIM_FORWARDED, DIM_PARTIAL,
		                             "no netdev egress hook: macvlan traffic is not seen");
	if (r == 0)
		r = l->egress ? plan_set_dim(p, DIM_RAW, DIM_CONTAINED, NULL)
		              : plan_set_dim(p, DIM_RAW, DIM_PARTIAL,
		                             "no netdev egress hook on this kernel");
	return r < 0 ? r : plan_set_dim(p, DIM_SESSIONS, DIM_CONTAINED, NULL);
}

static int refuse_second(const struct holds *others, struct err *e)
{
	for (size_t i = 0; others && i < others->n; i++)
		if (others->v[i].step && !strcmp(others->v[i].step->kind, kind_cut.kind))
			return err_set(e, -EALREADY,
			               "order o%u isolates this host already; undo it first, or "
			               "confirm it",
			               others->v[i].order ? others->v[i].order->id : 0);
	return 0;
}

static int lacks(struct plan *p, const char *what, const char *why, struct err *e)
{
	int r = plan_note(p, "%s: %s", what, why);
	if (r == 0)
		r = plan_set_dim(p, DIM_RAW, DIM_PARTIAL, why);
	return r < 0 ? err_set(e, r, "out of memory for the plan") : 0;
}

static int plan_raw(struct host *h, const struct layers *l, struct plan *p, struct err *e)
{
	struct err why = {0};
	if (!h->loaded)
		h->loaded = cut_programs_probe(h->programs, CUTPROG_OUT, &why) == 0;
	if (!h->loaded)
		return lacks(p, "frames that a BPF redirect puts on a device pass the cut",
		             why.text, e);
	return add_with_inverse(
	    p, h, &kind_raw, false, l,
	    strdup("a tc egress program on every device but lo drops what the allow-list does not "
	           "name, for frames that reach the device behind nftables"),
	    "detaches our tc programs, and the clsact qdiscs that were made for them and that "
	    "nobody else uses",
	    e);
}

static int plan_inbound(struct host *h, const struct layers *l, struct plan *p, struct err *e)
{
	struct err why = {0};
	if (!h->inbound_loaded)
		h->inbound_loaded = cut_programs_probe(h->inbound, CUTPROG_IN, &why) == 0;
	if (!h->inbound_loaded)
		return lacks(p, "packet sockets hear what arrives, though they cannot answer",
		             why.text, e);
	return add_with_inverse(p, h, &kind_inbound, false, l,
	                        strdup("an XDP program on every device that frames come in by "
	                               "drops what the allow-list does "
	                               "not name, before packet sockets can hear it"),
	                        "detaches our XDP programs", e);
}

/* Where the kernel has no such sockets there is nothing to hold. */
static int plan_queues(struct host *h, const struct layers *l, struct plan *p, struct err *e)
{
	_cleanup_close_ int fd = sys->socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0 && errno == EAFNOSUPPORT)
		return 0;
	return add_with_inverse(
	    p, h, &kind_queues, false, l,
	    strdup(
	        "a process of stanch's own stays (\"stanch @role hold\", without rights) and holds "
	        "the AF_XDP place of each queue, so that nobody sends there past the other layers"),
	    "ends that process", e);
}

static int plan_isolate(struct host *h, const struct order *o, const struct holds *others,
                        struct plan *p, struct err *e)
{
	struct layers l = {0};
	int r = refuse_second(others, e);
	if (r == 0)
		r = snapshot_guards(p, e);
	if (r == 0)
		r = layers_probe(h, &l, e);
	if (r < 0)
		return r;
	r = add_with_inverse(p, h, &kind_cut, true, &l, cut_effect(o, &l),
	                     "one nftables transaction deletes the tables " CUT_TABLE
	                     "; the rest of the ruleset is as it was",
	                     e);
	if (r == 0 && (r = cut_dims(p, &l)) < 0)
		err_set(e, r, "out of memory for the plan");
	if (r == 0)
		r = plan_raw(h, &l, p, e);
	if (r == 0)
		r = plan_inbound(h, &l, p, e);
	if (r == 0)
		r = plan_queues(h, &l, p, e);
	if (r == 0)
		r = add_sessions(
		    p, h,
		    "closes every TCP and connected UDP socket that the allow-list does "
		    "not name (its program gets an error, its peer a reset), then drops "
		    "resets, too, and forgets the matching tracked connections",
		    e);
	if (r == 0 && (r = cut_notes(p, o, &l)) < 0)
		err_set(e, r, "out of memory for the plan");
	layers_free(&l);
	return r;
}

static char *block_effect(const struct order *o, const struct layers *l)
{
	const size_t shown = 20;
	struct buf out = BUF_INIT(1u << 16);
	buf_addf(&out,
	         "one nftables transaction drops every packet from and to these, by this host, "
	         "forwarded, and of containers (tables " BLOCK_TABLE ", %s):",
	         l->egress || l->ingress ? "inet and netdev" : "inet");
	for (size_t i = 0; i < o->n_targets && i < shown; i++) {
		char text[PREFIX_STR_MAX];
		buf_addf(&out, "%s %s", i ? "," : "", prefix_str(&o->targets[i].prefix, text));
	}
	if (o->n_targets > shown)
		buf_addf(&out, " and %zu more", o->n_targets - shown);
	char *text = buf_steal(&out);
	buf_free(&out);
	return text;
}

static int block_targets(const struct order *o, struct err *e)
{
	for (size_t i = 0; i < o->n_targets; i++)
		if (o->targets[i].prefix.addr.family == ADDR_NONE)
			return err_set(e, -EINVAL, "%s has no address to block",
			               o->targets[i].name);
	return o->n_targets || o->n_feeds ? 0 : err_set(e, -EINVAL, "there is nothing to block");
}

static char *bulk_effect(const struct order *o, const struct layers *l)
{
	struct buf out = BUF_INIT(1u << 16);
	buf_addf(&out, "tc programs at ingress and egress of every device (now lo, which keeps the "
	               "tries, and ");
	list_devices(l, &out);
	buf_addf(&out, ") drop every packet from and to the prefixes of:");
	for (size_t i = 0, k = 0; i < o->n_feeds; i++)
		if (o->feeds[i].role == FEED_BLOCK)
			buf_addf(&out, "%s %.100s (%" PRIu64 " entries, sha256 %.12s…)",
			         k++ ? "," : "", o->feeds[i].source, o->feeds[i].n,
			         o->feeds[i].sha256);
	for (size_t i = 0, k = 0; i < o->n_feeds; i++)
		if (o->feeds[i].role == FEED_ALLOW)
			buf_addf(&out, "%s %.100s (%" PRIu64 ")",
			         k++ ? "," : "; but never those of:", o->feeds[i].source,
			         o->feeds[i].n);
	char *text = buf_steal(&out);
	buf_free(&out);
	return text;
}

static int add_bulk(struct plan *p, struct host *h, const struct order *o, const struct layers *l,
                    struct err *e)
{
	return add_with_inverse(p, h, &kind_bulk, true, l, bulk_effect(o, l),
	                        "takes from the tries what no other order wants; the last order "
	                        "takes the tc programs with it, and the clsact qdiscs that were "
	                        "made for them and that nobody else uses",
	                        e);
}

static int plan_block(struct host *h, const struct order *o, const struct holds *others,
                      struct plan *p, struct err *e)
{
	struct layers l = {0};
	int r = block_targets(o, e);
	if (r == 0)
		r = layers_probe(h, &l, e);
	if (r < 0)
		return r;
	l.bridge = false;
	if (o->n_targets)
		r = add_with_inverse(p, h, &kind_block, true, &l, block_effect(o, &l),
		                     "takes from the block sets what no other order wants; the "
		                     "last order takes the tables " BLOCK_TABLE " with it",
		                     e);
	if (r == 0 && o->n_feeds)
		r = add_bulk(p, h, o, &l, e);
	if (r == 0)
		r = add_sessions(
		    p, h,
		    "closes the TCP and connected UDP sockets whose peer is blocked and "
		    "forgets their tracked connections",
		    e);
	layers_free(&l);
	static const enum dimension dims[] = {DIM_V4, DIM_V6, DIM_FORWARDED, DIM_SESSIONS};
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(dims); i++)
		if ((r = plan_set_dim(p, dims[i], DIM_CONTAINED, NULL)) < 0)
			err_set(e, r, "out of memory for the plan");
	const char *raw = o->n_targets ? BLOCK_RAW_WHY : BULK_RAW_WHY;
	if (r == 0 && (r = plan_set_dim(p, DIM_RAW, DIM_PARTIAL, raw)) < 0)
		err_set(e, r, "out of memory for the plan");
	return r;
}

static int host_plan(void *ctx, const struct order *o, const struct holds *others, struct plan *ret,
                     struct err *e)
{
	static int (*const plans[_VERB_MAX])(struct host *, const struct order *,
	                                     const struct holds *, struct plan *, struct err *) = {
	    [VERB_ISOLATE] = plan_isolate,
	    [VERB_BLOCK] = plan_block,
	};
	struct plan p = {0};
	if ((unsigned)o->verb >= _VERB_MAX || !plans[o->verb])
		return err_set(e, -EOPNOTSUPP, "the driver host cannot %s", verb_str(o->verb));
	int r = order_is_of_group(o) ? plan_group(ctx, o, others, &p, e)
	                             : plans[o->verb](ctx, o, others, &p, e);
	if (r < 0)
		plan_free(&p);
	else
		*ret = p;
	return r;
}

/* ---- steps ---- */

static int host_prepare(void *ctx, const struct order *o, struct step *s, struct err *e)
{
	const struct step_kind *k = kind_of(s, e);
	return !k ? -EBADMSG : k->prepare ? k->prepare(ctx, o, s, e) : 0;
}

static int host_apply(void *ctx, const struct order *o, struct step *s, const struct holds *others,
                      struct err *e)
{
	const struct step_kind *k = kind_of(s, e);
	return k ? k->apply(ctx, o, s, others, e) : -EBADMSG;
}

static int host_verify(void *ctx, const struct order *o, const struct step *s,
                       const struct holds *others, struct readback *ret, struct err *e)
{
	const struct step_kind *k = kind_of(s, e);
	return k ? k->verify(ctx, o, s, others, ret, e) : -EBADMSG;
}

static int host_undo(void *ctx, const struct order *o, struct step *s, const struct holds *others,
                     struct err *e)
{
	const struct step_kind *k = kind_of(s, e);
	if (k && !k->undo)
		return err_set(e, -EOPNOTSUPP, "a step %s cannot be taken back", s->kind);
	return k ? k->undo(ctx, o, s, others, e) : -EBADMSG;
}

static int host_rearm(void *ctx, const struct order *o, struct step *s, const struct holds *others,
                      struct err *e)
{
	const struct step_kind *k = kind_of(s, e);
	return !k ? -EBADMSG : k->rearm ? k->rearm(ctx, o, s, others, e) : 0;
}

static int host_describe(void *ctx, const struct order *o, const struct step *s, struct buf *out,
                         struct err *e)
{
	const struct step_kind *k = kind_of(s, e);
	return k ? k->describe(o, s, out, e) : -EBADMSG;
}

static const struct setting_key no_settings[] = {{NULL}};

const struct driver_ops host_driver = {
    .name = "host",
    .settings = no_settings,
    .open = host_open,
    .close = host_close,
    .probe = host_probe,
    .plan = host_plan,
    .prepare = host_prepare,
    .apply = host_apply,
    .verify = host_verify,
    .undo = host_undo,
    .rearm = host_rearm,
    .describe = host_describe,
    .strays = host_strays,
    .own = host_own,
};
