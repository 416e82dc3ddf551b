/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/beacon.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "observe/judge.h"

#define NSEC 1e9

/* ---- numbers ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int by_time(const void *a, const void *b)
{
	const struct beat *x = a, *y = b;

	if (x->at_nsec != y->at_nsec)
		return x->at_nsec > y->at_nsec ? 1 : -1;
	return (x->out > y->out) - (x->out < y->out);
}

/* Of sorted values. */
static double quantile(const double *v, unsigned n, double q)
{
	double at = q * (n - 1);
	unsigned i = (unsigned)at;

	return i + 1 < n ? v[i] + (at - i) * (v[i + 1] - v[i]) : v[n - 1];
}

/* How alike values are: half Bowley's skew, which counts as much as they spread at all, and half
 * the median absolute deviation. v is sorted by it. */
static double alike(double *v, unsigned n, double *ret_median, double *ret_mad, double *ret_skew)
{
	double q1, q2, q3, spread, skew = 0, mad;

	qsort(v, n, sizeof(*v), by_value);
	q1 = quantile(v, n, 0.25);
	q2 = quantile(v, n, 0.5);
	q3 = quantile(v, n, 0.75);
	if (q3 > q1)
		skew = (q1 + q3 - 2 * q2) / (q3 - q1);
	for (unsigned i = 0; i < n; i++)
		v[i] = fabs(v[i] - q2);
	qsort(v, n, sizeof(*v), by_value);
	mad = quantile(v, n, 0.5);
	spread = q2 > 0 ? score_clamp((q3 - q1) / q2) : 1;
	*ret_median = q2;
	*ret_mad = mad;
	if (ret_skew)
		*ret_skew = skew;
	return (1 - fabs(skew) * spread + 1 - score_clamp(q2 > 0 ? mad / q2 : 1)) / 2;
}

/* ---- beats ---- */

/*
 * Check-ins that take several connections at once, and pages that do, are one beat each: where
 * intervals fall into two kinds with next to nothing between, the short kind joins.
 */
static unsigned join_bursts(struct beat *v, unsigned n, double *gap)
{
	unsigned small = 0, between = 0, kept = 0;
	double wide;

	if (n < 2)
		return n;
	for (unsigned i = 1; i < n; i++)
		gap[i - 1] = (double)(v[i].at_nsec - v[i - 1].at_nsec);
	qsort(gap, n - 1, sizeof(*gap), by_value);
	wide = quantile(gap, n - 1, 0.95);
	for (unsigned i = 0; i < n - 1; i++) {
		small += gap[i] < 0.1 * wide;
		between += gap[i] >= 0.1 * wide && gap[i] < 0.3 * wide;
	}
	if (small < n / 4 || between > n / 10)
		return n;
	for (unsigned i = 1; i < n; i++) {
		if ((double)(v[i].at_nsec - v[i - 1].at_nsec) >= 0.1 * wide) {
			v[++kept] = v[i];
			continue;
		}
		v[kept].out += v[i].out;
		v[kept].in += v[i].in;
		/* The next gap is measured from the last of a burst, its beat from the first. */
	}
	return kept + 1;
}

static double cv_of(const unsigned *count, unsigned n, bool busy_only)
{
	double sum = 0, sq = 0;
	unsigned k = 0;

	for (unsigned i = 0; i < n; i++) {
		if (busy_only && !count[i])
			continue;
		sum += count[i];
		sq += (double)count[i] * count[i];
		k++;
	}
	return k ? sqrt(fmax(0, sq / k - sum / k * (sum / k))) / (sum / k) : 1;
}

/* Bins over the beats' own span: about four beats each for evenness, two for occupancy. */
static void fill_bins(const struct beat *v, unsigned n, unsigned bins, double period,
                      unsigned *count)
{
	double width = ((double)(v[n - 1].at_nsec - v[0].at_nsec) + period * NSEC) / bins;

	memset(count, 0, BEACON_BINS * sizeof(*count));
	for (unsigned i = 0; i < n; i++) {
		unsigned at = (unsigned)((double)(v[i].at_nsec - v[0].at_nsec) / width);
		count[at < bins ? at : bins - 1]++;
	}
}

static unsigned bins_for(unsigned n, unsigned each)
{
	return n / each > BEACON_BINS ? BEACON_BINS : n / each < 3 ? 3 : n / each;
}

static void fill_histogram(const struct beat *v, unsigned n, struct beat_parts *p)
{
	unsigned count[BEACON_BINS], bins = bins_for(n, 2), busy = 0;
	double even, by_shift;

	fill_bins(v, n, bins, p->period, count);
	for (unsigned i = 0; i < bins; i++)
		busy += count[i] > 0;
	p->occupied = (double)busy / bins;
	bins = bins_for(n, 4);
	fill_bins(v, n, bins, p->period, count);
	even = score_clamp(1 - cv_of(count, bins, false));
	/* On and off: the time off is as long as it likes, but at least a third is on. */
	by_shift = p->occupied >= 0.33 ? 0.9 * score_clamp(1 - cv_of(count, bins, true)) : 0;
	p->regular = even > by_shift ? even : by_shift;
}

static void analyse(const struct beats *b, struct beat_parts *p)
{
	struct beat v[BEATS_MAX];
	double w[BEATS_MAX];
	unsigned n = b->n;

	memset(p, 0, sizeof(*p));
	memcpy(v, b->v, n * sizeof(v[0]));
	qsort(v, n, sizeof(v[0]), by_time);
	p->n = n = join_bursts(v, n, w);
	if (n < BEACON_MIN_BEATS || v[n - 1].at_nsec == v[0].at_nsec)
		return;
	p->first_nsec = b->first_nsec < v[0].at_nsec ? b->first_nsec : v[0].at_nsec;
	p->last_nsec = v[n - 1].at_nsec;
	p->span = (double)(p->last_nsec - p->first_nsec) / NSEC;
	for (unsigned i = 1; i < n; i++)
		w[i - 1] = (double)(v[i].at_nsec - v[i - 1].at_nsec) / NSEC;
	p->timing = alike(w, n - 1, &p->period, &p->mad, &p->skew);
	p->gate = 1;
	if (p->period > 0)
		p->gate =
		    0.4 + 0.6 * score_ramp(p->mad / p->period, BEACON_MAD_CHANCE, BEACON_MAD_FULL);
	for (unsigned i = 0; i < n; i++)
		w[i] = v[i].out;
	p->size = alike(w, n, &p->bytes, &p->bytes_mad, NULL);
	for (unsigned i = 0; i < n; i++)
		w[i] = (double)v[i].out + v[i].in;
	qsort(w, n, sizeof(*w), by_value);
	p->total = quantile(w, n, 0.5);
	fill_histogram(v, n, p);
}

bool beats_parts(struct beats *b, struct beat_parts *ret)
{
	if (!b || b->n < BEACON_MIN_BEATS || (!b->parts && !(b->parts = malloc(sizeof(*b->parts)))))
		return false;
	if (b->dirty) {
		analyse(b, b->parts);
		b->dirty = false;
	}
	*ret = *b->parts;
	return ret->n >= BEACON_MIN_BEATS && ret->period > 0;
}

double beats_score(const struct beat_parts *p, uint64_t first_nsec, uint64_t last_nsec,
                   double *ret_coverage)
{
	double watched = (double)(last_nsec - first_nsec) / NSEC;
	double share = watched > p->span ? (p->span + p->period) / watched : 1;
	double whole = p->occupied * score_clamp(share);
	/* What began late and beats on without a gap is covered as well, but for a fifth. */
	double own = 0.8 * p->occupied * score_ramp(p->n, BEACON_MIN_BEATS, BEACON_FULL_BEATS);
	double few = 0.6 + 0.4 * score_ramp(p->n, BEACON_MIN_BEATS, BEACON_FULL_BEATS);
	double fast = 0.5 + 0.5 * score_clamp(p->period);
	double big = 1 - 0.5 * score_part(p->total, BEACON_BYTES_FULL, BEACON_BYTES_HALF);

	*ret_coverage = whole > own ? whole : own;
	return (p->timing + p->size + *ret_coverage + p->regular) / 4 * p->gate * few * fast * big;
}

void beats_explain(const struct beat_parts *p, double coverage, const char *what, struct finding *f)
{
	finding_reason(f, "%u %s, one every %.3g s (MAD %.2g s, %.0f %%; to %.0f %% passes whole)",
	               p->n, what, p->period, p->mad, p->mad / p->period * 100,
	               BEACON_MAD_FULL * 100);
	finding_reason(f, "timing %.2f, skew of the intervals %.2f; %u make a beacon, fully at %u",
	               p->timing, p->skew, BEACON_MIN_BEATS, BEACON_FULL_BEATS);
	finding_reason(f, "size %.2f: %.0f bytes out each, MAD %.0f; over %.0f kB both ways lowers",
	               p->size, p->bytes, p->bytes_mad, BEACON_BYTES_FULL / 1e3);
	finding_reason(f, "coverage %.2f of the time watched, regularity %.2f over %.0f s",
	               coverage, p->regular, p->span);
}

/* ---- channels ---- */

struct service {
	uint8_t proto;
	uint16_t port;
};

/* By the clock by design. */
static const struct service never[] = {
    {IPPROTO_UDP, 53},   {IPPROTO_TCP, 53},   {IPPROTO_TCP, 853},  {IPPROTO_UDP, 853},
    {IPPROTO_UDP, 67},   {IPPROTO_UDP, 68},   {IPPROTO_UDP, 123},  {IPPROTO_UDP, 137},
    {IPPROTO_UDP, 138},  {IPPROTO_UDP, 161},  {IPPROTO_UDP, 162},  {IPPROTO_UDP, 319},
    {IPPROTO_UDP, 320},  {IPPROTO_UDP, 514},  {IPPROTO_UDP, 546},  {IPPROTO_UDP, 547},
    {IPPROTO_UDP, 1900}, {IPPROTO_UDP, 3702}, {IPPROTO_UDP, 5350}, {IPPROTO_UDP, 5351},
    {IPPROTO_UDP, 5353}, {IPPROTO_UDP, 5355},
};

/* Connections that live long and say so by the clock: remote shells, mail that is pushed, messages,
 * telemetry, VPNs, address translation. */
static const struct service keep_alive[] = {
    {IPPROTO_TCP, 22},    {IPPROTO_TCP, 143},   {IPPROTO_TCP, 993},  {IPPROTO_TCP, 179},
    {IPPROTO_TCP, 1883},  {IPPROTO_TCP, 8883},  {IPPROTO_TCP, 5222}, {IPPROTO_TCP, 5223},
    {IPPROTO_TCP, 5228},  {IPPROTO_TCP, 5229},  {IPPROTO_TCP, 5230}, {IPPROTO_TCP, 5671},
    {IPPROTO_TCP, 5672},  {IPPROTO_TCP, 1194},  {IPPROTO_UDP, 1194}, {IPPROTO_UDP, 500},
    {IPPROTO_UDP, 4500},  {IPPROTO_UDP, 51820}, {IPPROTO_UDP, 3478}, {IPPROTO_UDP, 3479},
    {IPPROTO_UDP, 19302}, {IPPROTO_UDP, 5060},  {IPPROTO_TCP, 5060}, {IPPROTO_TCP, 5061},
    {IPPROTO_TCP, 3389},  {IPPROTO_TCP, 6667},  {IPPROTO_TCP, 6697},
};

static bool in(const struct service *list, size_t n, uint8_t proto, uint16_t port)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].proto == proto && list[i].port == port)
			return true;
	return false;
}

bool beacon_may(uint8_t proto, uint16_t port)
{
	return (proto == IPPROTO_TCP || proto == IPPROTO_UDP) &&
	       !in(never, ARRAY_SIZE(never), proto, port);
}

/* Multiplies and says why; the reason comes with both numbers. */
#define LOWER(score, factor, f, ...)                                                               \
	do {                                                                                       \
		(score) *= (factor);                                                               \
		finding_reason(f, __VA_ARGS__);                                                    \
	} while (0)

static double weigh_ends(const struct score_context *x, const struct channel *c, double score,
                         struct finding *f)
{
	unsigned hosts = context_hosts_of(x, c);

	if (!context_outside(x, &c->other))
		LOWER(score, 0.55, f, "the destination is inside: counts 55 %%");
	else if (!(c->flags & CHANNEL_WE_OPENED))
		LOWER(score, 0.55, f, "the far end opens the connections: counts 55 %%");
	else if (x->dns_seen && !context_resolved(x, &c->other))
		LOWER(score, 1.05, f,
		      "no DNS answer that was seen names this address: raises by 5 %%");
	if (c->proto == IPPROTO_UDP && c->failed > c->conns / 2)
		LOWER(score, 0.85, f, "%u of %u were not answered: counts 85 %%", c->failed,
		      c->conns);
	if (hosts >= BEACON_HOSTS && hosts >= x->hosts * 0.25)
		LOWER(score, hosts >= 2 * BEACON_HOSTS ? 0.7 : 0.8, f,
		      "%u of about %.0f hosts talk to it; from %u and a quarter on lowers", hosts,
		      x->hosts, BEACON_HOSTS);
	return score;
}

/* Bursts within one connection: much that is harmless keeps itself alive so. */
static double weigh_bursts(const struct score_context *x, const struct channel *c,
                           const struct beat_parts *p, double score, struct finding *f)
{
	double pkts = (double)c->pkts_out + c->pkts_in;
	double frame = pkts > 0 ? (double)(c->bytes_out + c->bytes_in) / pkts : 0;
	double empty = BEACON_EMPTY + (c->other.family == ADDR_V6 ? 20 : 0);
	const char *name = context_name(x, c);

	if (p->total <= 2 * empty)
		LOWER(score, 0.35, f,
		      "%.0f bytes a burst: next to no payload, up to %.0f counts 35 %%", p->total,
		      2 * empty);
	else if (frame > 0 && frame <= empty)
		LOWER(score, 0.35, f, "%.0f bytes a frame: no payload, up to %.0f counts 35 %%",
		      frame, empty);
	else if (in(keep_alive, ARRAY_SIZE(keep_alive), c->proto, c->port))
		LOWER(score, 0.6, f, "port %u keeps connections alive by design: counts 60 %%",
		      c->port);
	else if (name[0] && c->port == 443)
		LOWER(score, 0.65, f, "pings of a named service over TLS or QUIC: counts 65 %%");
	return score;
}

static bool score_beats(const struct score_context *x, const struct channel *c, struct beats *b,
                        bool bursts, struct finding *f)
{
	struct beat_parts p;
	double score, coverage;

	if (!beats_parts(b, &p))
		return false;
	score = beats_score(&p, x->first_nsec, x->last_nsec, &coverage);
	if (score < FINDING_SCORE_SAY)
		return false;
	finding_of_channel(x, c, FINDING_BEACON, f);
	beats_explain(&p, coverage, bursts ? "bursts within one connection" : "connections", f);
	score = weigh_ends(x, c, score, f);
	if (bursts)
		score = weigh_bursts(x, c, &p, score, f);
	f->score = score_round(score * context_novelty(x, c, f));
	snprintf(f->benign, sizeof(f->benign),
	         "update checks, telemetry, monitoring and chat keep such a rhythm: ask which "
	         "program it is and whether it should talk to that address");
	return f->score >= FINDING_SCORE_SAY;
}

bool beacon_score(const struct score_context *x, const struct channel *c, struct finding *ret)
{
	struct finding other;
	bool found;

	if (!(c->flags & CHANNEL_BEATS) || !beacon_may(c->proto, c->port) ||
	    context_is_resolver(x, &c->other))
		return false;
	found = score_beats(x, c, c->starts, false, ret);
	if (score_beats(x, c, c->resumes, true, &other) && (!found || other.score > ret->score)) {
		*ret = other;
		found = true;
	}
	return found;
}
