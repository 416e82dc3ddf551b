/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/record.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "wire/capture.h"

_Static_assert(sizeof(struct flow_record) == 96, "no hidden padding goes over the channel");
_Static_assert(sizeof(struct app_record) == 8 + 40 + 2 + NAME_MAX_LEN, "nor here");
_Static_assert(sizeof(struct frame_record) == 24 && sizeof(struct kept_record) == 24, "nor here");
_Static_assert(sizeof(struct pick_record) == 56 + PICK_TEXT_MAX, "nor here");
_Static_assert(sizeof(struct dns_record) == 8 + 40 + 16 + 16 * DNS_EVENT_ADDRS + NAME_MAX_LEN + 2,
               "nor here");

void record_of_flow(const struct flow *f, struct flow_record *ret)
{
	*ret = (struct flow_record){
	    .pkts_toserver = f->pkts_toserver,
	    .pkts_toclient = f->pkts_toclient,
	    .bytes_toserver = f->bytes_toserver,
	    .bytes_toclient = f->bytes_toclient,
	    .start_nsec = f->start_nsec,
	    .end_nsec = f->end_nsec,
	    .src_port = f->src.port,
	    .dest_port = f->dest.port,
	    .vlan = f->vlan,
	    .family = f->src.addr.family,
	    .proto = f->proto,
	    .src_guessed = f->src_guessed,
	    .tcp_toserver = f->tcp_toserver,
	    .tcp_toclient = f->tcp_toclient,
	};
	memcpy(ret->src, f->src.addr.bytes, 16);
	memcpy(ret->dest, f->dest.addr.bytes, 16);
}

static bool fits_family(const uint8_t bytes[static 16], uint8_t family)
{
	static const uint8_t zero[12];
	return family == ADDR_V6 || !memcmp(bytes + 4, zero, sizeof(zero));
}

int record_to_flow(const void *bytes, struct flow *ret)
{
	struct flow_record r;

	memcpy(&r, bytes, sizeof(r));
	if ((r.family != ADDR_V4 && r.family != ADDR_V6) || r.src_guessed > 1 ||
	    !fits_family(r.src, r.family) || !fits_family(r.dest, r.family))
		return -EBADMSG;
	*ret = (struct flow){
	    .src = {.addr.family = r.family, .port = r.src_port},
	    .dest = {.addr.family = r.family, .port = r.dest_port},
	    .proto = r.proto,
	    .vlan = r.vlan,
	    .src_guessed = r.src_guessed,
	    .pkts_toserver = r.pkts_toserver,
	    .pkts_toclient = r.pkts_toclient,
	    .bytes_toserver = r.bytes_toserver,
	    .bytes_toclient = r.bytes_toclient,
	    .start_nsec = r.start_nsec,
	    .end_nsec = r.end_nsec,
	    .tcp_toserver = r.tcp_toserver,
	    .tcp_toclient = r.tcp_toclient,
	};
	memcpy(ret->src.addr.bytes, r.src, 16);
	memcpy(ret->dest.addr.bytes, r.dest, 16);
	return 0;
}

static void ends_of(const struct endpoint *src, const struct endpoint *dest, uint8_t proto,
                    struct ends_record *ret)
{
	*ret = (struct ends_record){.src_port = src->port,
	                            .dest_port = dest->port,
	                            .family = src->addr.family,
	                            .proto = proto};
	memcpy(ret->src, src->addr.bytes, 16);
	memcpy(ret->dest, dest->addr.bytes, 16);
}

static bool ends_to(const struct ends_record *r, struct endpoint *src, struct endpoint *dest)
{
	if ((r->family != ADDR_V4 && r->family != ADDR_V6) || !fits_family(r->src, r->family) ||
	    !fits_family(r->dest, r->family))
		return false;
	*src = (struct endpoint){.addr.family = r->family, .port = r->src_port};
	*dest = (struct endpoint){.addr.family = r->family, .port = r->dest_port};
	memcpy(src->addr.bytes, r->src, 16);
	memcpy(dest->addr.bytes, r->dest, 16);
	return true;
}

/* Printable, ended, and nothing behind the end. */
static bool name_fits(const char name[static NAME_MAX_LEN])
{
	size_t n = strnlen(name, NAME_MAX_LEN);

	for (size_t i = 0; i < n; i++)
		if (name[i] <= 0x20 || name[i] >= 0x7f)
			return false;
	for (size_t i = n; i < NAME_MAX_LEN; i++)
		if (name[i])
			return false;
	return n < NAME_MAX_LEN;
}

static void name_put(char dst[static NAME_MAX_LEN], const char *name)
{
	size_t n = strnlen(name, NAME_MAX_LEN - 1);

	memset(dst, 0, NAME_MAX_LEN);
	memcpy(dst, name, n);
}

void record_of_app(const struct app_event *a, struct app_record *ret)
{
	*ret = (struct app_record){
	    .nsec = a->nsec, .app = (uint8_t)a->app, .source = (uint8_t)a->source};
	ends_of(&a->src, &a->dest, a->proto, &ret->ends);
	name_put(ret->name, a->name);
}

int record_to_app(const void *bytes, struct app_event *ret)
{
	struct app_record r;
	struct app_event a;

	memcpy(&r, bytes, sizeof(r));
	if (r.app >= _APP_PROTO_MAX || r.source >= _NAME_SOURCE_MAX || !name_fits(r.name))
		return -EBADMSG;
	a = (struct app_event){
	    .proto = r.ends.proto, .nsec = r.nsec, .app = r.app, .source = r.source};
	if (!ends_to(&r.ends, &a.src, &a.dest))
		return -EBADMSG;
	memcpy(a.name, r.name, sizeof(a.name));
	*ret = a;
	return 0;
}

void record_of_dns(const struct dns_event *d, struct dns_record *ret)
{
	*ret = (struct dns_record){
	    .nsec = d->nsec,
	    .qtype = d->qtype,
	    .size = d->size,
	    .response = d->response,
	    .rcode = d->rcode,
	    .n_addrs = (uint8_t)d->n_addrs,
	};
	ends_of(&d->client, &d->server, d->proto, &ret->ends);
	for (size_t i = 0; i < d->n_addrs; i++) {
		ret->addr_family[i] = d->addrs[i].family;
		memcpy(ret->addrs[i], d->addrs[i].bytes, 16);
	}
	name_put(ret->qname, d->qname);
}

int record_to_dns(const void *bytes, struct dns_event *ret)
{
	struct dns_record r;
	struct dns_event d;

	memcpy(&r, bytes, sizeof(r));
	if (r.response > 1 || r.n_addrs > DNS_EVENT_ADDRS || !name_fits(r.qname))
		return -EBADMSG;
	d = (struct dns_event){
	    .proto = r.ends.proto,
	    .nsec = r.nsec,
	    .response = r.response,
	    .rcode = r.rcode,
	    .qtype = r.qtype,
	    .size = r.size,
	    .n_addrs = r.n_addrs,
	};
	if (!ends_to(&r.ends, &d.client, &d.server))
		return -EBADMSG;
	for (size_t i = 0; i < d.n_addrs; i++) {
		uint8_t family = r.addr_family[i];
		if ((family != ADDR_V4 && family != ADDR_V6) || !fits_family(r.addrs[i], family))
			return -EBADMSG;
		d.addrs[i].family = family;
		memcpy(d.addrs[i].bytes, r.addrs[i], 16);
	}
	memcpy(d.qname, r.qname, sizeof(d.qname));
	*ret = d;
	return 0;
}

void record_of_resume(const struct flow *f, uint64_t at_nsec, struct resume_record *ret)
{
	record_of_flow(f, &ret->flow);
	ret->at_nsec = at_nsec;
}

int record_to_resume(const void *bytes, struct resume_event *ret)
{
	struct resume_record r;
	int k;

	memcpy(&r, bytes, sizeof(r));
	if ((k = record_to_flow(&r.flow, &ret->flow)) < 0)
		return k;
	ret->at_nsec = r.at_nsec;
	return 0;
}

void record_of_pick(const struct pick *p, struct pick_record *ret)
{
	*ret = (struct pick_record){.first_nsec = p->first_nsec,
	                            .a_port = p->a_port,
	                            .b_port = p->b_port,
	                            .a_family = p->a.addr.family,
	                            .b_family = p->b.addr.family,
	                            .a_len = p->a.len,
	                            .b_len = p->b.len,
	                            .proto = p->proto};
	memcpy(ret->a, p->a.addr.bytes, 16);
	memcpy(ret->b, p->b.addr.bytes, 16);
	memcpy(ret->text, p->text, strnlen(p->text, PICK_TEXT_MAX - 1));
}

int record_to_pick(const void *bytes, size_t len, struct pick *ret)
{
	struct pick_record r;

	if (len != sizeof(r))
		return -EBADMSG;
	memcpy(&r, bytes, sizeof(r));
	if (r.text[PICK_TEXT_MAX - 1])
		return -EBADMSG;
	*ret = (struct pick){.first_nsec = r.first_nsec,
	                     .a_port = r.a_port,
	                     .b_port = r.b_port,
	                     .proto = r.proto,
	                     .a = {.addr.family = r.a_family, .len = r.a_len},
	                     .b = {.addr.family = r.b_family, .len = r.b_len}};
	memcpy(ret->a.addr.bytes, r.a, 16);
	memcpy(ret->b.addr.bytes, r.b, 16);
	memcpy(ret->text, r.text, sizeof(ret->text));
	return 0;
}

int record_to_frame(const void *bytes, size_t n_sources, size_t n_picks, struct frame *ret,
                    size_t *ret_pick)
{
	struct frame_record r;

	memcpy(&r, bytes, sizeof(r));
	if (r.cap_len > CAPTURE_FRAME_MAX || r.wire_len < r.cap_len || r.source >= n_sources ||
	    r.pick >= n_picks)
		return -EBADMSG;
	*ret = (struct frame){.nsec = r.nsec,
	                      .cap_len = r.cap_len,
	                      .wire_len = r.wire_len,
	                      .linktype = r.linktype,
	                      .source = r.source};
	*ret_pick = r.pick;
	return 0;
}

void record_of_stats(const struct source_stats *s, struct stats_record *ret)
{
	*ret = (struct stats_record){
	    .packets = s->packets,
	    .bytes = s->bytes,
	    .dropped = s->dropped,
	    .truncated = s->truncated,
	    .undecoded = s->undecoded,
	    .malformed = s->malformed,
	    .evicted = s->evicted,
	    .flows = s->flows,
	    .first_nsec = s->first_nsec,
	    .last_nsec = s->last_nsec,
	};
	memcpy(ret->tier, s->tier, sizeof(ret->tier));
}

int record_to_stats(const void *bytes, size_t len, struct source_stats *ret)
{
	struct stats_record r;

	if (len != sizeof(r))
		return -EBADMSG;
	memcpy(&r, bytes, sizeof(r));
	if (!memchr(r.tier, 0, sizeof(r.tier)))
		return -EBADMSG;
	for (const char *p = r.tier; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '_')
			return -EBADMSG;
	*ret = (struct source_stats){
	    .packets = r.packets,
	    .bytes = r.bytes,
	    .dropped = r.dropped,
	    .truncated = r.truncated,
	    .undecoded = r.undecoded,
	    .malformed = r.malformed,
	    .evicted = r.evicted,
	    .flows = r.flows,
	    .first_nsec = r.first_nsec,
	    .last_nsec = r.last_nsec,
	};
	memcpy(ret->tier, r.tier, sizeof(ret->tier));
	return 0;
}
