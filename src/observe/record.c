/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/record.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

_Static_assert(sizeof(struct flow_record) == 96, "no hidden padding goes over the channel");

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
	};
	memcpy(ret->src.addr.bytes, r.src, 16);
	memcpy(ret->dest.addr.bytes, r.dest, 16);
	return 0;
}

void record_of_stats(const struct source_stats *s, struct stats_record *ret)
{
	*ret = (struct stats_record){
	    s->packets,   s->bytes,   s->dropped, s->truncated,  s->undecoded,
	    s->malformed, s->evicted, s->flows,   s->first_nsec, s->last_nsec,
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
	    r.packets,   r.bytes,   r.dropped, r.truncated,  r.undecoded,
	    r.malformed, r.evicted, r.flows,   r.first_nsec, r.last_nsec,
	};
	memcpy(ret->tier, r.tier, sizeof(ret->tier));
	return 0;
}
