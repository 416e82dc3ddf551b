/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/mismatch.h"

#include <netinet/in.h>
#include <stdio.h>

#include "base/table.h"
#include "observe/judge.h"

#define HOME_MAX 8

/* Where a protocol belongs (0 ends), and what it scores elsewhere. */
static const struct rule {
	uint16_t home[HOME_MAX];
	double taken; /* on a well-known port of others */
	double odd;   /* on any other */
} rules[_APP_PROTO_MAX] = {
    [APP_DNS] = {{53, 5353, 5355, 853, 137}, 0.65, 0.45},
    [APP_TLS] = {{443, 465, 587, 853, 993, 995, 8443, 3389}, 0.70, 0},
    [APP_QUIC] = {{443, 80, 853, 8443}, 0.60, 0},
    [APP_HTTP] = {{80, 8080, 8443}, 0.75, 0},
    [APP_SSH] = {{22, 2222}, 0.80, 0.35},
    [APP_SMTP] = {{25, 465, 587, 2525}, 0.70, 0.50},
    [APP_FTP] = {{21, 990, 2121}, 0.70, 0.40},
    [APP_RDP] = {{3389}, 0.80, 0.50},
    [APP_SMB] = {{445, 139}, 0.80, 0.50},
    [APP_NTP] = {{123}, 0.60, 0.30},
};

/* Odd, but common enough to be looked at only. */
static const struct exception {
	enum app_proto app;
	uint16_t port;
	double score;
} exceptions[] = {
    {APP_HTTP, 443, 0.50}, {APP_TLS, 80, 0.45},  {APP_TLS, 25, 0.30},
    {APP_TLS, 110, 0.30},  {APP_TLS, 143, 0.30}, {APP_TLS, 8080, 0},
    {APP_TLS, 21, 0.30},   {APP_TLS, 5223, 0},   {APP_HTTP, 853, 0.50},
};

static const uint16_t taken[] = {21,  22,  23,  25,  53,  80,  110, 123,  143,  389,
                                 443, 445, 465, 587, 853, 993, 995, 3389, 8080, 8443};

static bool in(const uint16_t *list, size_t n, uint16_t port)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == port)
			return true;
	return false;
}

static double oddness(enum app_proto app, uint16_t port)
{
	const struct rule *r = &rules[app];

	for (size_t i = 0; i < ARRAY_SIZE(exceptions); i++)
		if (exceptions[i].app == app && exceptions[i].port == port)
			return exceptions[i].score;
	if (app == APP_UNKNOWN || !port || in(r->home, HOME_MAX, port))
		return 0;
	return in(taken, ARRAY_SIZE(taken), port) ? r->taken : r->odd;
}

static bool known(const struct score_context *x, const struct channel *c, struct finding *f)
{
	double bytes = (double)(c->bytes_out + c->bytes_in), worst = 0;
	enum app_proto which = APP_UNKNOWN;

	for (int app = APP_UNKNOWN + 1; app < _APP_PROTO_MAX; app++)
		if (c->apps & 1u << app && oddness((enum app_proto)app, c->port) > worst) {
			worst = oddness((enum app_proto)app, c->port);
			which = (enum app_proto)app;
		}
	if (worst <= 0)
		return false;
	finding_of_channel(x, c, FINDING_MISMATCH, f);
	f->score =
	    worst * (0.75 + 0.25 * score_part(bytes, MISMATCH_BYTES_LOW, MISMATCH_BYTES_HIGH));
	finding_reason(f, "%s on port %u, which is %s: %.2f", app_proto_str(which), c->port,
	               in(taken, ARRAY_SIZE(taken), c->port) ? "another's" : "not its own", worst);
	finding_reason(f,
	               "%.1f kB both ways; from %.0f kB on more than three quarters, %.0f kB all",
	               bytes / 1e3, MISMATCH_BYTES_LOW / 1e3, MISMATCH_BYTES_HIGH / 1e3);
	return true;
}

static bool unknown(const struct score_context *x, const struct channel *c, struct finding *f)
{
	double bytes = (double)(c->bytes_out + c->bytes_in);
	double worst = c->port == 53 ? 0.80 : c->proto == IPPROTO_TCP ? 0.65 : 0.45;
	double volume = score_part(bytes, UNKNOWN_BYTES_LOW, UNKNOWN_BYTES_HIGH);

	if ((c->port != 53 && c->port != 80 && c->port != 443) || volume <= 0 || !x->apps_seen ||
	    c->flags & CHANNEL_MIDSTREAM || c->conns == c->failed)
		return false;
	finding_of_channel(x, c, FINDING_MISMATCH, f);
	f->score = worst * (0.5 + 0.5 * volume);
	finding_reason(f, "nothing that belongs on port %u was recognised: %.2f", c->port, worst);
	finding_reason(f, "%.1f kB both ways; counts from %.0f kB, fully at %.0f kB", bytes / 1e3,
	               UNKNOWN_BYTES_LOW / 1e3, UNKNOWN_BYTES_HIGH / 1e3);
	return true;
}

bool mismatch_score(const struct score_context *x, const struct channel *c, struct finding *ret)
{
	bool any = c->apps & ~(1u << APP_UNKNOWN);

	if (c->proto != IPPROTO_TCP && c->proto != IPPROTO_UDP)
		return false;
	if (any ? !known(x, c, ret) : !unknown(x, c, ret))
		return false;
	if (!context_outside(x, &c->other)) {
		ret->score *= 0.6;
		finding_reason(ret, "the far end is inside: counts 60 %%");
	}
	ret->score = score_round(ret->score * context_novelty(x, c, ret));
	snprintf(ret->benign, sizeof(ret->benign),
	         "a way round a strict firewall, or a service that someone moved: ask who set it "
	         "up");
	return ret->score >= FINDING_SCORE_SAY;
}
