/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/session.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/table.h"
#include "observe/judge.h"

/* Ports of well-known services with sessions; sorted. */
static const uint16_t usual[] = {20,   21,   22,   25,   53,   80,    110,   119,  123,  143,  179,
                                 389,  443,  465,  500,  554,  563,   587,   636,  853,  873,  989,
                                 990,  993,  995,  1194, 1701, 1723,  1883,  1935, 2049, 2222, 3128,
                                 3389, 3478, 3479, 3480, 3481, 4500,  5060,  5061, 5222, 5223, 5228,
                                 5229, 5230, 5269, 5349, 5432, 5671,  5672,  6667, 6697, 8000, 8080,
                                 8443, 8801, 8802, 8883, 9418, 19302, 19305, 51820};

static int compare(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

static bool may_be_odd(const struct score_context *x, const struct channel *c)
{
	return (c->proto == IPPROTO_TCP || c->proto == IPPROTO_UDP) &&
	       c->longest_sec > SESSION_LOW &&
	       !bsearch(&c->port, usual, ARRAY_SIZE(usual), sizeof(usual[0]), compare) &&
	       (double)c->pkts_out + c->pkts_in >= SESSION_PKTS && c->bytes_out >= SESSION_BYTES &&
	       c->bytes_in >= SESSION_BYTES && context_outside(x, &c->other);
}

/* What its length is multiplied by. */
static double oddness(const struct score_context *x, const struct channel *c, struct finding *f)
{
	bool resolved = x->dns_seen && context_resolved(x, &c->other);
	double odd = SESSION_ODD;

	if (!(c->apps & ~(1u << APP_UNKNOWN))) {
		finding_reason(f, "nobody recognised what it speaks: raises by 0.15");
		odd += 0.15;
	} else {
		finding_reason(f, "what it speaks was recognised: lowers by 0.15");
		odd -= 0.15;
	}
	if (f->domain[0] || resolved) {
		finding_reason(f, "its address was looked up by name: lowers by 0.25");
		odd -= 0.25;
	} else if (x->dns_seen) {
		finding_reason(f, "no DNS answer that was seen names it: raises by 0.10");
		odd += 0.10;
	}
	if (c->bytes_out > c->bytes_in) {
		finding_reason(f, "more goes out (%.1f kB) than in (%.1f kB): raises by 0.05",
		               (double)c->bytes_out / 1e3, (double)c->bytes_in / 1e3);
		odd += 0.05;
	}
	if (c->proto == IPPROTO_UDP) {
		finding_reason(f, "UDP, as calls and games use it: counts 60 %%");
		odd *= 0.6;
	}
	return odd;
}

bool session_score(const struct score_context *x, const struct channel *c, struct finding *ret)
{
	if (!may_be_odd(x, c))
		return false;
	finding_of_channel(x, c, FINDING_LONG_SESSION, ret);
	finding_reason(ret, "one connection of %u s; counts from %.0f, fully at %.0f",
	               c->longest_sec, SESSION_LOW, SESSION_HIGH);
	finding_reason(ret, "port %u is that of no service with long sessions: %.2f", c->port,
	               SESSION_ODD);
	ret->score = score_part(c->longest_sec, SESSION_LOW, SESSION_HIGH) * oddness(x, c, ret);
	ret->score = score_round(ret->score * context_novelty(x, c, ret));
	snprintf(ret->benign, sizeof(ret->benign),
	         "a VPN, a game, a chat or a device that calls its maker looks the same: ask "
	         "which program holds it open");
	return ret->score >= FINDING_SCORE_SAY;
}
