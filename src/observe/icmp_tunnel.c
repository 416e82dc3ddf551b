/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/icmp_tunnel.h"

#include <netinet/in.h>
#include <stdio.h>

#include "observe/judge.h"

/* Echo; and what no standard uses. Not: errors, redirects, router and neighbour discovery, groups.
 */
static bool may_carry(const struct channel *c)
{
	unsigned type = c->port >> 8;

	if (c->proto == IPPROTO_ICMP)
		return type == 8 || type == 0 || type == 13 || type == 15 || type == 17 ||
		       type > 40;
	return c->proto == IPPROTO_ICMPV6 && (type == 128 || type == 129 || type > 161);
}

bool icmp_tunnel_score(const struct score_context *x, const struct channel *c, struct finding *ret)
{
	if (!may_carry(c))
		return false;
	double pkts = (double)c->pkts_out + c->pkts_in,
	       bytes = (double)(c->bytes_out + c->bytes_in);
	double seconds = (double)(c->last_nsec - c->first_nsec) / 1e9;
	double rate = fmax(c->pkts_out, c->pkts_in) / fmax(seconds, 1), size = bytes / pkts;
	double volume = score_part(bytes, ICMP_VOLUME_LOW, ICMP_VOLUME_HIGH), varies;

	if (pkts < ICMP_MIN_PKTS || volume <= 0)
		return false;
	varies = c->flags & CHANNEL_VARIES ? 1 : 0;
	finding_of_channel(x, c, FINDING_ICMP_TUNNEL, ret);
	ret->score = ICMP_W_VOLUME * volume +
	             ICMP_W_SIZE * score_part(size, ICMP_SIZE_LOW, ICMP_SIZE_HIGH) +
	             ICMP_W_VARIES * varies * fmin(1, 4 * volume) +
	             ICMP_W_RATE * score_part(rate, ICMP_RATE_LOW, ICMP_RATE_HIGH);
	if (!context_outside(x, &c->other))
		ret->score *= 0.8;
	ret->score = score_round(ret->score);
	finding_reason(ret, "%.1f kB in %.0f echo messages; counts from %.0f kB, fully at %.0f kB",
	               bytes / 1e3, pkts, ICMP_VOLUME_LOW / 1e3, ICMP_VOLUME_HIGH / 1e3);
	finding_reason(ret,
	               "%.0f bytes a frame (a ping: 74 or 98); counts from %.0f, fully at %.0f",
	               size, ICMP_SIZE_LOW, ICMP_SIZE_HIGH);
	finding_reason(ret, "%s; a ping sends one size and gets it back",
	               varies > 0 ? "sizes vary, or answers differ from what they answer"
	                          : "one size, mirrored");
	finding_reason(ret, "%.1f frames a second; counts from %.1f, fully at %.0f", rate,
	               ICMP_RATE_LOW, ICMP_RATE_HIGH);
	snprintf(ret->benign, sizeof(ret->benign),
	         "a ping with a big or changing payload (path MTU, line tests) looks the same: ask "
	         "who runs it");
	return ret->score >= FINDING_SCORE_SAY;
}
