/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The three views of the screen: flows, processes, findings. */
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/table.h"
#include "ui/screen_table.h"
#include "ui/watch_show.h"

#define FLOWS_OF_PROC 12 /* in a process's detail */

/* ---- shared ---- */

static void put_amount(uint64_t n, char *dst, size_t size)
{
	char text[16];
	snprintf(dst, size, "%s", amount(n, text));
}

static void put_owner(const struct owner *o, char *dst, size_t n)
{
	if (o && o->pid)
		snprintf(dst, n, "%s[%d]", o->comm, o->pid);
	else if (o)
		snprintf(dst, n, "?");
}

static void put_exact(uint64_t n, char dst[static 32])
{
	char digits[24];
	size_t len = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, n), at = 0;

	for (size_t i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			dst[at++] = ',';
		dst[at++] = digits[i];
	}
	dst[at] = 0;
}

static const char *put_time(uint64_t usec, char dst[static TIME_STR_MAX])
{
	time_str(usec, dst);
	dst[10] = ' ';
	memcpy(dst + 19, "Z", 2);
	return dst;
}

static void put_proto(uint8_t proto, char *dst, size_t n)
{
	char number[8];
	snprintf(dst, n, "%s", proto_name(proto, number));
	for (; *dst; dst++)
		*dst = (char)(*dst >= 'A' && *dst <= 'Z' ? *dst + 32 : *dst);
}

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

/* ---- flows ---- */

static const struct endpoint *ours(const struct flow_row *r)
{
	return r->we_opened ? &r->f.flow.src : &r->f.flow.dest;
}

static const struct endpoint *theirs(const struct flow_row *r)
{
	return r->we_opened ? &r->f.flow.dest : &r->f.flow.src;
}

static const char *name_of(const struct flow_row *r)
{
	/* A name is one of the end that was spoken to. */
	return r->f.name && r->we_opened ? r->f.name : NULL;
}

#define FLOW_AMOUNT(field)                                                                         \
	static void flow_##field(const struct screen_data *d, const void *row, char *dst,          \
	                         size_t n)                                                         \
	{                                                                                          \
		put_amount(((const struct flow_row *)row)->field, dst, n);                         \
	}                                                                                          \
	static double flow_##field##_n(const void *row)                                            \
	{                                                                                          \
		return (double)((const struct flow_row *)row)->field;                              \
	}
FLOW_AMOUNT(rate_out)
FLOW_AMOUNT(rate_in)
FLOW_AMOUNT(out)
FLOW_AMOUNT(in)

static void flow_direction(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	const struct flow_row *r = row;
	/* The canvas draws it as the locale can. */
	snprintf(dst, n, "%s", r->we_opened ? "→" : "←");
}

static void flow_remote(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	const struct flow_row *r = row;
	char text[ADDR_STR_MAX];

	snprintf(dst, n, "%s", name_of(r) ? name_of(r) : addr_str(&theirs(r)->addr, text));
}

static void flow_address(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	char text[ADDR_STR_MAX];
	snprintf(dst, n, "%s", addr_str(&theirs(row)->addr, text));
}

/* What it speaks, as far as that is known, and the port that was spoken to. */
static void flow_service(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	const struct flow_row *r = row;
	char proto[16];

	put_proto(r->f.flow.proto, proto, sizeof(proto));
	if (!has_ports(r->f.flow.proto))
		snprintf(dst, n, "%s", proto);
	else
		snprintf(dst, n, "%s/%u", r->f.app ? app_proto_str(r->f.app) : proto,
		         r->f.flow.dest.port);
}

static double flow_port_n(const void *row)
{
	return ((const struct flow_row *)row)->f.flow.dest.port;
}

static void flow_local(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	const struct flow_row *r = row;
	char text[ENDPOINT_STR_MAX];
	struct endpoint e = *ours(r);

	if (has_ports(r->f.flow.proto))
		snprintf(dst, n, "%s", endpoint_str(&e, text));
	else
		snprintf(dst, n, "%s", addr_str(&e.addr, text));
}

static void flow_process(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	put_owner(((const struct flow_row *)row)->f.owner, dst, n);
}

static void flow_user(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	const struct owner *o = ((const struct flow_row *)row)->f.owner;
	char text[12];
	if (o && o->pid)
		snprintf(dst, n, "%s", screen_data_user(d, o->uid, text));
}

static void flow_unit(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	const struct owner *o = ((const struct flow_row *)row)->f.owner;
	if (o)
		snprintf(dst, n, "%s", o->unit);
}

static void flow_lasts(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	const struct flow *f = &((const struct flow_row *)row)->f.flow;
	char text[16];

	snprintf(dst, n, "%s", span_short((f->end_nsec - f->start_nsec) / 1000000000, text));
}

static double flow_lasts_n(const void *row)
{
	const struct flow *f = &((const struct flow_row *)row)->f.flow;
	return (double)(f->end_nsec - f->start_nsec);
}

static const struct column flow_columns[] = {
    {"OUT/s", 6, 6, 0, 0, ALIGN_RIGHT, CUT_END, flow_rate_out, flow_rate_out_n},
    {"IN/s", 6, 6, 0, 0, ALIGN_RIGHT, CUT_END, flow_rate_in, flow_rate_in_n},
    {"SENT", 6, 6, 0, 0, ALIGN_RIGHT, CUT_END, flow_out, flow_out_n},
    {"GOT", 6, 6, 0, 1, ALIGN_RIGHT, CUT_END, flow_in, flow_in_n},
    {" ", 1, 1, 0, 0, ALIGN_LEFT, CUT_END, flow_direction},
    {"REMOTE", 20, 64, 3, 0, ALIGN_LEFT, CUT_START, flow_remote},
    {"SERVICE", 9, 11, 1, 0, ALIGN_LEFT, CUT_END, flow_service, flow_port_n},
    {"PROCESS", 14, 24, 1, 0, ALIGN_LEFT, CUT_START, flow_process},
    {"USER", 8, 12, 1, 3, ALIGN_LEFT, CUT_END, flow_user},
    {"LASTS", 6, 6, 0, 2, ALIGN_RIGHT, CUT_END, flow_lasts, flow_lasts_n},
    {"LOCAL", 21, 48, 1, 5, ALIGN_LEFT, CUT_MIDDLE, flow_local},
    {"ADDRESS", 15, 40, 2, 6, ALIGN_LEFT, CUT_MIDDLE, flow_address},
    {"UNIT", 16, 40, 1, 7, ALIGN_LEFT, CUT_START, flow_unit},
};

static const void *flow_rows(const struct screen_data *d, size_t *n)
{
	*n = d->n_flows;
	return d->flows;
}

static bool flow_same(const void *a, const void *b)
{
	const struct flow *x = &((const struct flow_row *)a)->f.flow;
	const struct flow *y = &((const struct flow_row *)b)->f.flow;

	return x->start_nsec == y->start_nsec && x->proto == y->proto && x->vlan == y->vlan &&
	       x->src.port == y->src.port && x->dest.port == y->dest.port &&
	       addr_equal(&x->src.addr, &y->src.addr) && addr_equal(&x->dest.addr, &y->dest.addr);
}

static int more_first(uint64_t x, uint64_t y)
{
	return (x < y) - (x > y);
}

/* By all bytes, then the older, then by the ends: rows of no traffic stay where they are. */
static int flow_tie(const void *a, const void *b)
{
	const struct flow_row *x = a, *y = b;
	int r = more_first(x->rate_out + x->rate_in, y->rate_out + y->rate_in);

	if (!r)
		r = more_first(x->out + x->in, y->out + y->in);
	if (!r)
		r = -more_first(x->f.flow.start_nsec, y->f.flow.start_nsec);
	if (!r)
		r = addr_cmp(&x->f.flow.dest.addr, &y->f.flow.dest.addr);
	return r ? r : (int)x->f.flow.src.port - (int)y->f.flow.src.port;
}

static void flow_words(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	const struct flow_row *r = row;
	const struct owner *o = r->f.owner;
	char src[ENDPOINT_STR_MAX], dest[ENDPOINT_STR_MAX], service[32], user[40] = "";

	flow_service(d, row, service, sizeof(service));
	flow_user(d, row, user, sizeof(user));
	endpoint_str(&r->f.flow.src, src);
	endpoint_str(&r->f.flow.dest, dest);
	if (o && o->pid)
		snprintf(dst, n, "%s %s %s %s %s[%d] %s %s %s", src, dest,
		         r->f.name ? r->f.name : "", service, o->comm, o->pid, user, o->exe,
		         o->unit);
	else
		snprintf(dst, n, "%s %s %s %s", src, dest, r->f.name ? r->f.name : "", service);
}

static void owner_detail(const struct screen_data *d, const struct owner *o, struct detail *t)
{
	char user[12];

	if (!o) {
		detail_add(t, INK_FAINT, "process", "%s",
		           d->about.live ? "unknown: nobody has looked for it yet"
		                         : "not told by a capture");
		return;
	}
	if (!o->pid) {
		detail_add(t, INK_WARN, "process", "unknown: %s", o->why_unknown);
		return;
	}
	detail_add(t, INK_STRONG, "process", "%s, pid %d", o->comm, o->pid);
	detail_add(t, INK_PLAIN, "program", "%s", o->exe[0] ? o->exe : "unknown");
	detail_add(t, INK_PLAIN, "user", "%s (uid %u)", screen_data_user(d, o->uid, user), o->uid);
	detail_add(t, INK_PLAIN, "unit", "%s", o->unit[0] ? o->unit : "none");
	if (o->cgroup)
		detail_add(t, INK_PLAIN, "cgroup", "id %" PRIu64, o->cgroup);
	if (o->netns)
		detail_add(t, INK_PLAIN, "network ns", "%" PRIu64, o->netns);
	detail_add(t, INK_PLAIN, "parents", "%s", o->chain[0] ? o->chain : "unknown");
}

static void counts_detail(struct detail *t, const char *label, uint64_t bytes, uint64_t pkts,
                          uint64_t rate)
{
	char exact[32], packets[32], text[16], per[16];

	put_exact(bytes, exact);
	put_exact(pkts, packets);
	detail_add(t, INK_PLAIN, label, "%sB (%s bytes) in %s packets; %sB/s",
	           amount_short(bytes, text), exact, packets, amount_short(rate, per));
}

static const char *const name_from[_NAME_SOURCE_MAX] = {
    [NAME_NONE] = "",
    [NAME_DNS] = "from a DNS answer",
    [NAME_SNI] = "from the TLS ClientHello",
    [NAME_QUIC] = "from the QUIC Initial",
    [NAME_HTTP] = "from the HTTP Host header",
    [NAME_OUTER] = "from a ClientHello with an encrypted one inside: maybe only a provider's",
};

static void flow_detail(const struct screen_data *d, const void *row, struct detail *t)
{
	const struct flow_row *r = row;
	const struct flow *f = &r->f.flow;
	char src[ENDPOINT_STR_MAX], dest[ENDPOINT_STR_MAX], start[TIME_STR_MAX], end[TIME_STR_MAX],
	    proto[16], age[32] = "", place[128];

	put_proto(f->proto, proto, sizeof(proto));
	flow_lasts(d, row, age, sizeof(age));
	detail_add(t, INK_STRONG, "flow", "%s %s opened it to %s%s", proto,
	           endpoint_str(&f->src, src), endpoint_str(&f->dest, dest),
	           f->src_guessed ? " (guessed: its beginning was not seen)" : "");
	if (f->vlan)
		detail_add(t, INK_PLAIN, "vlan", "%u", f->vlan);
	detail_add(t, r->f.name ? INK_STRONG : INK_PLAIN, "name", "%s%s%s",
	           r->f.name ? r->f.name : "unknown", r->f.name ? ", " : "",
	           r->f.name && r->f.source < _NAME_SOURCE_MAX ? name_from[r->f.source] : "");
	if (place_text(d->about.geo, r->we_opened ? &f->dest.addr : &f->src.addr, place,
	               sizeof(place)))
		detail_add(t, INK_PLAIN, "place", "%s", place);
	detail_add(t, INK_PLAIN, "speaks", "%s", r->f.app ? app_proto_str(r->f.app) : "unknown");
	counts_detail(t, "out", r->out, r->we_opened ? f->pkts_toserver : f->pkts_toclient,
	              r->rate_out);
	counts_detail(t, "in", r->in, r->we_opened ? f->pkts_toclient : f->pkts_toserver,
	              r->rate_in);
	detail_add(t, INK_PLAIN, "first, last", "%s, %s (%s)",
	           put_time(f->start_nsec / 1000, start), put_time(f->end_nsec / 1000, end), age);
	owner_detail(d, r->f.owner, t);
}

static const char *flow_empty(const struct screen_data *d)
{
	return d->about.live ? "No flow yet." : "No flow in it.";
}

/* ---- processes ---- */

#define PROC_AMOUNT(field)                                                                         \
	static void proc_##field(const struct screen_data *d, const void *row, char *dst,          \
	                         size_t n)                                                         \
	{                                                                                          \
		put_amount(((const struct proc_row *)row)->field, dst, n);                         \
	}                                                                                          \
	static double proc_##field##_n(const void *row)                                            \
	{                                                                                          \
		return (double)((const struct proc_row *)row)->field;                              \
	}
PROC_AMOUNT(rate_out)
PROC_AMOUNT(rate_in)
PROC_AMOUNT(out)
PROC_AMOUNT(in)

static void proc_living(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	const struct proc_row *r = row;
	snprintf(dst, n, "%" PRIu32, d->about.live ? r->living : r->flows);
}

static double proc_living_n(const void *row)
{
	const struct proc_row *r = row;
	return r->living ? r->living : (double)r->flows / 4294967296.0;
}

static void proc_pid(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	const struct owner *o = ((const struct proc_row *)row)->owner;
	if (o->pid)
		snprintf(dst, n, "%d", o->pid);
}

static double proc_pid_n(const void *row)
{
	return ((const struct proc_row *)row)->owner->pid;
}

static void proc_comm(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	const struct owner *o = ((const struct proc_row *)row)->owner;
	if (o->pid)
		snprintf(dst, n, "%s", o->comm);
	else
		snprintf(dst, n, "? %s", o->why_unknown);
}

static void proc_user(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	const struct owner *o = ((const struct proc_row *)row)->owner;
	char text[12];
	if (o->pid)
		snprintf(dst, n, "%s", screen_data_user(d, o->uid, text));
}

static void proc_unit(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	snprintf(dst, n, "%s", ((const struct proc_row *)row)->owner->unit);
}

static void proc_exe(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	snprintf(dst, n, "%s", ((const struct proc_row *)row)->owner->exe);
}

static void proc_chain(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	snprintf(dst, n, "%s", ((const struct proc_row *)row)->owner->chain);
}

static enum ink proc_ink(const void *row)
{
	return ((const struct proc_row *)row)->owner->pid ? INK_PLAIN : INK_WARN;
}

static const struct column proc_columns[] = {
    {"OUT/s", 6, 6, 0, 0, ALIGN_RIGHT, CUT_END, proc_rate_out, proc_rate_out_n},
    {"IN/s", 6, 6, 0, 0, ALIGN_RIGHT, CUT_END, proc_rate_in, proc_rate_in_n},
    {"SENT", 6, 6, 0, 0, ALIGN_RIGHT, CUT_END, proc_out, proc_out_n},
    {"GOT", 6, 6, 0, 1, ALIGN_RIGHT, CUT_END, proc_in, proc_in_n},
    {"FLOWS", 6, 6, 0, 0, ALIGN_RIGHT, CUT_END, proc_living, proc_living_n},
    {"PID", 7, 7, 0, 0, ALIGN_RIGHT, CUT_END, proc_pid, proc_pid_n},
    {"PROCESS", 15, 40, 1, 0, ALIGN_LEFT, CUT_END, proc_comm, NULL, proc_ink},
    {"USER", 8, 16, 1, 0, ALIGN_LEFT, CUT_END, proc_user},
    {"UNIT", 10, 40, 2, 2, ALIGN_LEFT, CUT_START, proc_unit},
    {"PROGRAM", 20, 60, 2, 3, ALIGN_LEFT, CUT_START, proc_exe},
    {"PARENTS", 20, 80, 2, 4, ALIGN_LEFT, CUT_END, proc_chain},
};

static const void *proc_rows(const struct screen_data *d, size_t *n)
{
	*n = d->n_procs;
	return d->procs;
}

static bool proc_same(const void *a, const void *b)
{
	const struct owner *x = ((const struct proc_row *)a)->owner;
	const struct owner *y = ((const struct proc_row *)b)->owner;

	return x == y || (x->pid == y->pid && !strcmp(x->comm, y->comm) &&
	                  (x->pid || !strcmp(x->why_unknown, y->why_unknown)));
}

static int proc_tie(const void *a, const void *b)
{
	const struct proc_row *x = a, *y = b;
	int r = more_first(x->rate_out + x->rate_in, y->rate_out + y->rate_in);

	if (!r)
		r = more_first(x->out + x->in, y->out + y->in);
	return r ? r : x->owner->pid - y->owner->pid;
}

static void proc_words(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	const struct owner *o = ((const struct proc_row *)row)->owner;
	char user[40] = "";

	proc_user(d, row, user, sizeof(user));
	snprintf(dst, n, "%s[%d] %s %s %s %s %s", o->comm, o->pid, user, o->unit, o->exe, o->chain,
	         o->pid ? "" : o->why_unknown);
}

static bool is_of(const struct flow_row *f, const struct proc_row *p)
{
	const struct proc_row other = {.owner = f->f.owner};
	return f->f.owner && proc_same(&other, p);
}

/* Its greatest flows, as the flows' view sorts them. */
static void flows_of_proc(const struct screen_data *d, const struct proc_row *p, struct detail *t)
{
	const struct flow_row *top[FLOWS_OF_PROC];
	size_t n = 0;

	for (size_t i = 0; i < d->n_flows; i++) {
		const struct flow_row *f = &d->flows[i];
		size_t at = n;
		if (!is_of(f, p))
			continue;
		for (; at && flow_tie(f, top[at - 1]) < 0; at--)
			if (at < FLOWS_OF_PROC)
				top[at] = top[at - 1];
		if (at < FLOWS_OF_PROC) {
			top[at] = f;
			n += n < FLOWS_OF_PROC;
		}
	}
	for (size_t i = 0; i < n; i++) {
		char remote[CELL_MAX / 2] = "", service[32] = "", out[16], in[16];
		flow_remote(d, top[i], remote, sizeof(remote));
		flow_service(d, top[i], service, sizeof(service));
		detail_add(t, INK_PLAIN, i ? "" : "top flows", "%s out  %s in  %s %s %s",
		           amount(top[i]->out, out), amount(top[i]->in, in),
		           top[i]->we_opened ? "→" : "←", remote, service);
	}
}

static void proc_detail(const struct screen_data *d, const void *row, struct detail *t)
{
	const struct proc_row *r = row;
	char text[16], per[16], exact[32];

	owner_detail(d, r->owner, t);
	put_exact(r->out, exact);
	detail_add(t, INK_PLAIN, "out", "%sB (%s bytes); %sB/s", amount_short(r->out, text), exact,
	           amount_short(r->rate_out, per));
	put_exact(r->in, exact);
	detail_add(t, INK_PLAIN, "in", "%sB (%s bytes); %sB/s", amount_short(r->in, text), exact,
	           amount_short(r->rate_in, per));
	detail_add(t, INK_PLAIN, "flows", "%" PRIu32 " now, %" PRIu32 " since we look", r->living,
	           r->flows);
	flows_of_proc(d, r, t);
}

static const char *proc_empty(const struct screen_data *d)
{
	return d->about.live ? "No process with traffic yet."
	                     : "A capture does not tell which process sent what.";
}

/* ---- findings ---- */

const char *finding_level(const struct finding *f)
{
	return f->score >= FINDING_SCORE_ACT ? "ACT" : f->score >= FINDING_SCORE_LOOK ? "look" : "";
}

enum ink finding_ink(const void *row)
{
	const struct finding *f = row;

	return f->score >= FINDING_SCORE_ACT    ? INK_BAD
	       : f->score >= FINDING_SCORE_LOOK ? INK_WARN
	                                        : INK_PLAIN;
}

static void finding_score(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	snprintf(dst, n, "%.2f", ((const struct finding *)row)->score);
}

static double finding_score_n(const void *row)
{
	return ((const struct finding *)row)->score;
}

static void finding_level_text(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	snprintf(dst, n, "%s", finding_level(row));
}

static void finding_id(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	const struct finding *f = row;
	if (f->id)
		snprintf(dst, n, "f%u", f->id);
}

static double finding_id_n(const void *row)
{
	return ((const struct finding *)row)->id;
}

static void finding_kind_text(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	snprintf(dst, n, "%s", finding_kind_str(((const struct finding *)row)->kind));
}

static void finding_from(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	char text[ADDR_STR_MAX];
	const struct finding *f = row;
	if (f->src.addr.family)
		snprintf(dst, n, "%s", addr_str(&f->src.addr, text));
}

static void finding_to(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	const struct finding *f = row;
	char text[ADDR_STR_MAX];

	if (f->domain[0])
		snprintf(dst, n, "%s", f->domain);
	else if (f->dest.addr.family)
		snprintf(dst, n, "%s", addr_str(&f->dest.addr, text));
	else
		snprintf(dst, n, "many");
}

static void finding_why(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	const struct finding *f = row;
	if (f->n_reasons)
		snprintf(dst, n, "%s", f->reasons[0]);
}

static const struct column finding_columns[] = {
    {"SCORE", 6, 6, 0, 0, ALIGN_RIGHT, CUT_END, finding_score, finding_score_n, finding_ink},
    {"", 4, 4, 0, 0, ALIGN_LEFT, CUT_END, finding_level_text, finding_score_n, finding_ink},
    {"ID", 4, 5, 0, 1, ALIGN_LEFT, CUT_END, finding_id, finding_id_n},
    {"KIND", 12, 14, 1, 0, ALIGN_LEFT, CUT_END, finding_kind_text, NULL, finding_ink},
    {"FROM", 15, 40, 1, 0, ALIGN_LEFT, CUT_MIDDLE, finding_from},
    {"TO", 15, 40, 1, 0, ALIGN_LEFT, CUT_START, finding_to},
    {"WHY", 12, 160, 4, 0, ALIGN_LEFT, CUT_END, finding_why},
};

static const void *finding_rows(const struct screen_data *d, size_t *n)
{
	*n = d->n_findings;
	return d->findings;
}

static bool finding_same_row(const void *a, const void *b)
{
	return finding_same(a, b);
}

static int finding_tie(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;
	int r = finding_score_n(x) < finding_score_n(y)   ? 1
	        : finding_score_n(x) > finding_score_n(y) ? -1
	                                                  : 0;
	return r ? r : -more_first(x->first, y->first);
}

static void finding_words(const struct screen_data *d, const void *row, char *dst, size_t n)
{
	const struct finding *f = row;
	char src[ENDPOINT_STR_MAX], dest[ENDPOINT_STR_MAX];

	snprintf(dst, n, "f%u %s %s %s %s %s", f->id, finding_kind_str(f->kind),
	         endpoint_str(&f->src, src), endpoint_str(&f->dest, dest), f->domain,
	         f->n_reasons ? f->reasons[0] : "");
}

static void put_end(const struct endpoint *e, char *dst, size_t n)
{
	char text[ENDPOINT_STR_MAX];

	if (!e->addr.family)
		snprintf(dst, n, "many");
	else if (e->port)
		snprintf(dst, n, "%s", endpoint_str(e, text));
	else
		snprintf(dst, n, "%s", addr_str(&e->addr, text));
}

static void finding_detail(const struct screen_data *d, const void *row, struct detail *t)
{
	const struct finding *f = row;
	char src[ENDPOINT_STR_MAX], dest[ENDPOINT_STR_MAX], first[TIME_STR_MAX], last[TIME_STR_MAX],
	    proto[16], out[16], in[16], id[16] = "";

	put_end(&f->src, src, sizeof(src));
	put_end(&f->dest, dest, sizeof(dest));
	put_proto(f->proto, proto, sizeof(proto));
	if (f->id)
		snprintf(id, sizeof(id), "f%u ", f->id);
	detail_add(t, finding_ink(f), "finding", "%s%s, score %.2f%s%s", id,
	           finding_kind_str(f->kind), f->score, finding_level(f)[0] ? ": " : "",
	           f->score >= FINDING_SCORE_ACT    ? "act"
	           : f->score >= FINDING_SCORE_LOOK ? "look at it"
	                                            : "");
	detail_add(t, INK_STRONG, "from, to", "%s → %s%s%s%s", src, dest, f->proto ? ", " : "",
	           f->proto ? proto : "", "");
	if (f->domain[0])
		detail_add(t, INK_STRONG, "name", "%s", f->domain);
	for (size_t i = 0; i < f->n_orders; i++)
		detail_add(t, INK_GOOD, i ? "" : "orders", "stanch %s", f->orders[i]);
	if (f->n_orders)
		detail_add(t, INK_FAINT, "", "o shows the plan and asks; nothing is done before");
	for (size_t i = 0; i < f->n_reasons; i++)
		detail_add(t, INK_PLAIN, i ? "" : "reasons", "%s", f->reasons[i]);
	if (f->benign[0])
		detail_add(t, INK_PLAIN, "harmless if", "%s", f->benign);
	detail_add(t, INK_PLAIN, "bytes", "%sB out, %sB in", amount_short(f->bytes_out, out),
	           amount_short(f->bytes_in, in));
	if (f->first)
		detail_add(t, INK_PLAIN, "first, last", "%s, %s", put_time(f->first, first),
		           put_time(f->last, last));
}

static const char *finding_empty(const struct screen_data *d)
{
	return d->about.live ? "No finding yet: nothing scores 0.30 or more."
	                     : "No finding: nothing scores 0.30 or more.";
}

const struct view screen_views[_VIEW_MAX] = {
    [VIEW_FLOWS] = {"flows", flow_columns, ARRAY_SIZE(flow_columns), 0, sizeof(struct flow_row),
                    flow_rows, flow_same, flow_tie, flow_words, flow_detail, flow_empty},
    [VIEW_PROCS] = {"processes", proc_columns, ARRAY_SIZE(proc_columns), 0, sizeof(struct proc_row),
                    proc_rows, proc_same, proc_tie, proc_words, proc_detail, proc_empty},
    [VIEW_FINDINGS] = {"findings", finding_columns, ARRAY_SIZE(finding_columns), 0,
                       sizeof(struct finding), finding_rows, finding_same_row, finding_tie,
                       finding_words, finding_detail, finding_empty},
};
