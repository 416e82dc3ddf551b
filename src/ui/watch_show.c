/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/watch_show.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "base/table.h"

const char *proto_name(uint8_t proto, char dst[static 8])
{
	static const struct {
		uint8_t proto;
		const char *name;
	} names[] = {
	    {IPPROTO_TCP, "TCP"},   {IPPROTO_UDP, "UDP"},          {IPPROTO_ICMP, "ICMP"},
	    {IPPROTO_SCTP, "SCTP"}, {IPPROTO_ICMPV6, "IPv6-ICMP"}, {IPPROTO_IGMP, "IGMP"},
	    {IPPROTO_GRE, "GRE"},   {IPPROTO_ESP, "ESP"},          {IPPROTO_AH, "AH"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].proto == proto)
			return names[i].name;
	snprintf(dst, 8, "%u", proto);
	return dst;
}

static bool is_icmp(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

/* ,"owner":{…} or ,"owner_unknown":"…" */
static void owner_json(FILE *to, const struct owner *w)
{
	json_t *o;
	char *text;

	if (!w->pid)
		o = json_pack("{s:s}", "owner_unknown", w->why_unknown);
	else
		o = json_pack("{s:{s:i s:I s:s s:s s:s s:s}}", "owner", "pid", w->pid, "uid",
		              (json_int_t)w->uid, "comm", w->comm, "exe", w->exe, "unit", w->unit,
		              "parents", w->chain);
	text = o ? json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	if (text && strlen(text) > 2)
		fprintf(to, ",%.*s", (int)strlen(text) - 2, text + 1);
	free(text);
	json_decref(o);
}

bool place_text(const struct geo *g, const struct addr *a, char *dst, size_t n)
{
	struct geo_place p;
	char asn[24] = "", text[sizeof(asn) + sizeof(p.country) + sizeof(p.as_org) + 4];

	if (!geo_find(g, a, &p))
		return false;
	if (p.asn)
		snprintf(asn, sizeof(asn), "AS%" PRIu32 "%s", p.asn, p.as_org[0] ? " " : "");
	snprintf(text, sizeof(text), "%s%s%s%s", p.country, p.country[0] && p.asn ? ", " : "", asn,
	         p.as_org);
	out_clean(text, dst, n);
	return true;
}

/* Names are printable and without a space (record.h); two marks mean something to JSON. */
static void name_json(FILE *to, const char *name)
{
	for (; *name; name++) {
		if (*name == '"' || *name == '\\')
			putc('\\', to);
		putc(*name, to);
	}
}

/* ,"dest_geoip":{…} where anything is known. The organisation is UTF-8 without controls (geo.h). */
static void geo_json(FILE *to, const char *key, const struct geo *geo, const struct addr *a)
{
	const char *comma = "";
	struct geo_place p;

	if (!geo_find(geo, a, &p))
		return;
	fprintf(to, ",\"%s\":{", key);
	if (p.country[0]) {
		fprintf(to, "\"country_code2\":\"%s\"", p.country);
		comma = ",";
	}
	if (p.asn) {
		fprintf(to, "%s\"asn\":%" PRIu32, comma, p.asn);
		comma = ",";
	}
	if (p.as_org[0]) {
		fprintf(to, "%s\"as_org\":\"", comma);
		name_json(to, p.as_org);
		putc('"', to);
	}
	putc('}', to);
}

void show_flow_json(FILE *to, const struct seen_flow *w, const struct geo *geo)
{
	const struct flow *f = &w->flow;
	char start[TIME_STR_MAX], end[TIME_STR_MAX], src[ADDR_STR_MAX], dest[ADDR_STR_MAX],
	    proto[8];

	time_str(f->start_nsec / 1000, start);
	time_str(f->end_nsec / 1000, end);
	fprintf(to, "{\"timestamp\":\"%s\",\"event_type\":\"flow\",\"src_ip\":\"%s\"", end,
	        addr_str(&f->src.addr, src));
	if (is_icmp(f->proto))
		fprintf(to, ",\"dest_ip\":\"%s\",\"icmp_type\":%u,\"icmp_code\":%u",
		        addr_str(&f->dest.addr, dest), f->src.port, f->dest.port);
	else
		fprintf(to, ",\"src_port\":%u,\"dest_ip\":\"%s\",\"dest_port\":%u", f->src.port,
		        addr_str(&f->dest.addr, dest), f->dest.port);
	fprintf(to, ",\"proto\":\"%s\"", proto_name(f->proto, proto));
	if (f->vlan)
		fprintf(to, ",\"vlan\":[%u]", f->vlan);
	fprintf(to,
	        ",\"flow\":{\"pkts_toserver\":%" PRIu64 ",\"pkts_toclient\":%" PRIu64
	        ",\"bytes_toserver\":%" PRIu64 ",\"bytes_toclient\":%" PRIu64
	        ",\"start\":\"%s\",\"end\":\"%s\",\"src_guessed\":%s}",
	        f->pkts_toserver, f->pkts_toclient, f->bytes_toserver, f->bytes_toclient, start,
	        end, f->src_guessed ? "true" : "false");
	if (w->app)
		fprintf(to, ",\"app_proto\":\"%s\"", app_proto_str(w->app));
	if (w->name) {
		fputs(",\"dest_name\":\"", to);
		name_json(to, w->name);
		fprintf(to, "\",\"dest_name_source\":\"%s\"", name_source_str(w->source));
	}
	geo_json(to, "src_geoip", geo, &f->src.addr);
	geo_json(to, "dest_geoip", geo, &f->dest.addr);
	if (w->owner)
		owner_json(to, w->owner);
	fputs("}\n", to);
}

static json_t *finding_json(const struct finding *f, bool final)
{
	char now[TIME_STR_MAX], first[TIME_STR_MAX], last[TIME_STR_MAX], src[ADDR_STR_MAX],
	    dest[ADDR_STR_MAX], id[16], proto[8];
	json_t *reasons = json_array(), *orders = json_array(), *o;

	for (size_t i = 0; i < f->n_reasons; i++)
		json_array_append_new(reasons, json_string(f->reasons[i]));
	for (size_t i = 0; i < f->n_orders; i++)
		json_array_append_new(orders, json_string(f->orders[i]));
	o = json_pack("{s:s s:s s:s s:f s:s s:s s:I s:I s:s s:s s:o s:s s:s s:o s:b}", "timestamp",
	              time_str(wall_now(), now), "event_type", "finding", "kind",
	              finding_kind_str(f->kind), "score", f->score, "src_ip",
	              addr_str(&f->src.addr, src), "proto", proto_name(f->proto, proto),
	              "bytes_out", (json_int_t)f->bytes_out, "bytes_in", (json_int_t)f->bytes_in,
	              "first", time_str(f->first, first), "last", time_str(f->last, last),
	              "reasons", reasons, "benign", f->benign, "selector", f->selector, "orders",
	              orders, "final", final);
	if (o && f->id) {
		snprintf(id, sizeof(id), "f%u", f->id);
		json_object_set_new(o, "id", json_string(id));
	}
	/* Many destinations (a scan): there is no one to name. */
	if (o && f->dest.addr.family)
		json_object_set_new(o, "dest_ip", json_string(addr_str(&f->dest.addr, dest)));
	if (o && f->domain[0])
		json_object_set_new(o, "domain", json_string(f->domain));
	if (o && f->dest.port)
		json_object_set_new(o, "dest_port", json_integer(f->dest.port));
	if (o && f->src.port)
		json_object_set_new(o, "src_port", json_integer(f->src.port));
	return o;
}

static json_t *host_finding_json(const struct finding *f)
{
	char now[TIME_STR_MAX], id[16];
	json_t *reasons = json_array(), *orders = json_array(), *o;

	for (size_t i = 0; i < f->n_reasons; i++)
		json_array_append_new(reasons, json_string(f->reasons[i]));
	for (size_t i = 0; i < f->n_orders; i++)
		json_array_append_new(orders, json_string(f->orders[i]));
	o = json_pack("{s:s s:s s:s s:s s:f s:s s:s s:s s:o s:s s:s s:o}", "timestamp",
	              time_str(wall_now(), now), "event_type", "finding", "kind",
	              finding_kind_str(f->kind), "rule", f->rule, "score", f->score, "advice",
	              finding_advice(f), "subject", f->subject, "technique", f->technique,
	              "reasons", reasons, "benign", f->benign, "selector", f->selector, "orders",
	              orders);
	if (o && f->id) {
		snprintf(id, sizeof(id), "f%u", f->id);
		json_object_set_new(o, "id", json_string(id));
	}
	return o;
}

void show_host_finding(struct out *o, const struct finding *f)
{
	enum out_style style = f->score >= FINDING_SCORE_ACT    ? STYLE_BAD
	                       : f->score >= FINDING_SCORE_LOOK ? STYLE_WARN
	                                                        : STYLE_FAINT;
	char id[16] = "";

	if (o->json) {
		out_json(o, host_finding_json(f));
		return;
	}
	if (f->id)
		snprintf(id, sizeof(id), "f%u  ", f->id);
	out_line(o, "%s%s%s  score %.2f  %s: %s%s", out_on(o, style), id, finding_advice(f),
	         f->score, f->rule, f->subject, out_off(o, style));
	for (size_t i = 0; i < f->n_reasons; i++)
		out_line(o, "    %s", f->reasons[i]);
	out_line(o, "    harmless if: %s%s%s", f->benign, f->technique[0] ? "; ATT&CK " : "",
	         f->technique);
	for (size_t i = 0; i < f->n_orders; i++)
		out_line(o, "    %s stanch %s", i ? "or:       " : "to end it:", f->orders[i]);
}

static const char *finding_whom(const struct finding *f, char dst[static ADDR_STR_MAX])
{
	if (f->domain[0])
		return f->domain;
	return f->dest.addr.family ? addr_str(&f->dest.addr, dst) : "many";
}

void show_finding(struct out *o, const struct finding *f, bool final)
{
	char src[ADDR_STR_MAX], dest[ADDR_STR_MAX], id[16] = "";
	enum out_style style = f->score >= 0.70 ? STYLE_BAD : STYLE_WARN;

	if (o->json) {
		out_json(o, finding_json(f, final));
		return;
	}
	if (f->id)
		snprintf(id, sizeof(id), "f%u  ", f->id);
	out_line(o, "%s%sscore %.2f  %s from %s to %s%s", out_on(o, style), id, f->score,
	         finding_kind_str(f->kind), addr_str(&f->src.addr, src), finding_whom(f, dest),
	         out_off(o, style));
	for (size_t i = 0; i < f->n_reasons; i++)
		out_line(o, "    %s", f->reasons[i]);
	out_line(o, "    harmless if: %s", f->benign);
	for (size_t i = 0; i < f->n_orders; i++)
		out_line(o, "    %s stanch %s", i ? "or:       " : "to cut it:", f->orders[i]);
}

void show_any_finding(struct out *o, const struct finding *f)
{
	if (finding_of_host(f))
		show_host_finding(o, f);
	else
		show_finding(o, f, true);
}

/* Names, protocols and findings that a full table had no room for. */
static uint64_t not_kept(const struct watch_losses *l)
{
	return l->flows + l->apps + l->names + l->scores.domains_evicted + l->scores.names_refused +
	       l->scores.channels.evicted;
}

static void stats_json(struct out *o, const struct source_stats *s, const struct pair *rest,
                       uint64_t floor, const struct watch_losses *l, const char *blind)
{
	char now[TIME_STR_MAX];
	json_t *j = json_pack("{s:s s:s s:I s:I s:I s:I s:I s:I s:I s:I s:I s:I s:s}", "timestamp",
	                      time_str(wall_now(), now), "event_type", "stats", "packets",
	                      (json_int_t)s->packets, "bytes", (json_int_t)s->bytes, "dropped",
	                      (json_int_t)s->dropped, "truncated", (json_int_t)s->truncated,
	                      "undecoded", (json_int_t)s->undecoded, "malformed",
	                      (json_int_t)s->malformed, "evicted", (json_int_t)s->evicted, "flows",
	                      (json_int_t)s->flows, "unlisted_flows", (json_int_t)rest->flows,
	                      "not_kept", (json_int_t)not_kept(l), "tier", s->tier);

	if (j && floor)
		json_object_set_new(j, "unlisted_most_bytes", json_integer((json_int_t)floor));
	if (j && blind) {
		json_object_set_new(j, "unowned_bytes", json_integer((json_int_t)s->unowned));
		json_object_set_new(j, "blind_spots", json_string(blind));
	}
	out_json(o, j);
}

void show_note(struct out *o, const char *text)
{
	char now[TIME_STR_MAX];

	if (o->json)
		out_json(o, json_pack("{s:s s:s s:s}", "timestamp", time_str(wall_now(), now),
		                      "event_type", "note", "message", text));
	else
		out_line(o, "%s", text);
}

void show_stats(struct out *o, const struct source_stats *s, const struct pairs *all,
                const struct watch_losses *l, const char *blind)
{
	const struct pair *rest = pairs_rest(all);
	uint64_t floor = pairs_floor(all);
	char bytes[16];

	if (o->json) {
		stats_json(o, s, rest, floor, l, blind);
		return;
	}
	if (!strcmp(s->tier, "log"))
		out_line(o,
		         "%" PRIu64 " records in %" PRIu64 " flows; tier log; %" PRIu64
		         " lines could not be read, %" PRIu64
		         " others say nothing of connections, %" PRIu64 " flows put out early",
		         s->packets, s->flows, s->malformed, s->undecoded, s->evicted);
	else
		out_line(o,
		         "%" PRIu64 " packets, %s in %" PRIu64 " flows; tier %s; lost: %" PRIu64
		         " dropped, %" PRIu64 " truncated, %" PRIu64 " malformed, %" PRIu64
		         " evicted early; %" PRIu64 " not IP",
		         s->packets, out_bytes(s->bytes, bytes), s->flows, s->tier, s->dropped,
		         s->truncated, s->malformed, s->evicted, s->undecoded);
	if (blind)
		out_line(o, "tier %s, not seen: %s", s->tier, blind);
	if (blind && s->unowned)
		out_line(o, "%s are of flows whose owner is not known",
		         out_bytes(s->unowned, bytes));
	if (not_kept(l))
		out_line(o, "%" PRIu64 " names and flows were seen, but not kept: tables were full",
		         not_kept(l));
	if (rest->flows)
		out_line(o,
		         "%" PRIu64 " flows of further address pairs are counted, but not listed; "
		         "no pair that made room had more than %s",
		         rest->flows, out_bytes(floor, bytes));
}

static void owner_text(const struct owner *w, char *dst, size_t n)
{
	if (!w)
		snprintf(dst, n, "?");
	else if (!w->pid)
		snprintf(dst, n, "? (%s)", w->why_unknown);
	else
		snprintf(dst, n, "%s[%d]%s%s", w->comm, w->pid, w->unit[0] ? " " : "", w->unit);
}

static int pair_row(struct out_table *t, const struct pair *q)
{
	char out[16], in[16], pkts[24], flows[24], ours[ADDR_STR_MAX], other[ADDR_STR_MAX + 32],
	    who[256], addr[ADDR_STR_MAX], proto[8];
	const char *cells[OUT_TABLE_COLUMNS] = {out, in, pkts, flows, ours, other, who};

	out_bytes(q->bytes_out, out);
	out_bytes(q->bytes_in, in);
	snprintf(pkts, sizeof(pkts), "%" PRIu64, q->pkts_out + q->pkts_in);
	snprintf(flows, sizeof(flows), "%" PRIu64, q->flows);
	addr_str(&q->ours, ours);
	if (is_icmp(q->main_proto))
		snprintf(other, sizeof(other), "%s %s", addr_str(&q->other, addr),
		         proto_name(q->main_proto, proto));
	else
		snprintf(other, sizeof(other), "%s %s/%u%s", addr_str(&q->other, addr),
		         proto_name(q->main_proto, proto), q->main_port,
		         q->we_opened ? "" : " (came in)");
	owner_text(q->owner, who, sizeof(who));
	return out_table_row(t, cells, NULL);
}

void show_tops(struct out *o, const struct pairs *p, size_t n, bool with_owner)
{
	static const char *const titles[_PAIRS_BY_MAX] = {"Most bytes out", "Most bytes in",
	                                                  "Most packets"};
	static const char *const head[OUT_TABLE_COLUMNS] = {"OUT",  "IN", "PACKETS", "FLOWS",
	                                                    "FROM", "TO", "OWNER"};
	_cleanup_free_ const struct pair **top = calloc(n ? n : 1, sizeof(top[0]));

	for (int by = 0; top && by < _PAIRS_BY_MAX; by++) {
		struct out_table t = {.n_columns = with_owner ? 7 : 6, .right = 15, .indent = 2};
		size_t have = pairs_top(p, by, n, top);
		out_line(o, "%s%s%s", out_on(o, STYLE_STRONG), titles[by],
		         out_off(o, STYLE_STRONG));
		out_table_row(&t, head, NULL);
		for (size_t i = 0; i < have; i++)
			pair_row(&t, top[i]);
		out_table_print(o, &t);
		out_table_free(&t);
		out_line(o, "%s", "");
	}
}
