/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What scoring costs, alone: reads a capture as `watch --file` does, keeps its flows and events,
 * and feeds them to the scores; prints CPU time for each and the findings as JSON lines. One
 * process, no sandbox. usage: score [-q] FILE; -q: no findings.
 */
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "observe/file.h"
#include "observe/flowtab.h"
#include "observe/inspect.h"
#include "observe/scores.h"

#define FLOWS   (1u << 20)
#define TALKS   (1u << 18)
#define ROUNDS  5
#define PACKETS 65536

/* Who opened a conversation, and how far it has been looked into; by a hash, so now and then wrong:
 * it only decides which payloads are looked at. */
struct talk {
	struct endpoint src, dest;
	uint64_t packets;
	bool settled;
};

static struct {
	struct flowtab *t;
	struct inspect *in;
	struct talk *talks;
	struct flow *flows;
	struct resume_event *resumes;
	struct app_event *apps;
	struct dns_event *dns;
	size_t n_flows, n_resumes, n_apps, n_dns;
} run;

#define KEEP(list, n, x)                                                                           \
	do {                                                                                       \
		if (!((n) & ((n)-1))) {                                                            \
			void *more = realloc(list, ((n) ? (n)*2 : 1) * sizeof(*(list)));           \
			if (!more)                                                                 \
				abort();                                                           \
			(list) = more;                                                             \
		}                                                                                  \
		(list)[(n)++] = (x);                                                               \
	} while (0)

static void on_flow(void *arg, const struct flow *f)
{
	KEEP(run.flows, run.n_flows, *f);
}

static void on_resume(void *arg, const struct flow *f, uint64_t at_nsec)
{
	struct resume_event r = {*f, at_nsec};
	KEEP(run.resumes, run.n_resumes, r);
}

static void on_app(void *arg, const struct app_event *e)
{
	KEEP(run.apps, run.n_apps, *e);
}

static void on_dns(void *arg, const struct dns_event *e)
{
	KEEP(run.dns, run.n_dns, *e);
}

static struct endpoint end_of(const struct packet *p, bool src)
{
	struct endpoint e = {.port = src ? p->sport : p->dport};
	const uint8_t *a = src ? p->src : p->dst;
	e.addr = p->family == 4 ? addr_v4(a) : addr_v6(a);
	return e;
}

static void look_into(uint64_t nsec, unsigned link, const uint8_t *data, uint32_t cap,
                      uint32_t wire)
{
	struct packet p;
	if (packet_decode(link, data, cap, wire, &p) != PACKET_IP ||
	    (p.proto != IPPROTO_TCP && p.proto != IPPROTO_UDP))
		return;
	struct endpoint s = end_of(&p, true), d = end_of(&p, false);
	uint64_t h = (hash_addr(&s.addr, s.port) ^ hash_addr(&d.addr, d.port)) + p.proto;
	struct talk *t = &run.talks[h % TALKS];
	bool forth = addr_equal(&t->src.addr, &s.addr) && t->src.port == s.port;
	bool back = addr_equal(&t->src.addr, &d.addr) && t->src.port == d.port;
	if (!forth && !back) {
		bool answers = p.turn & TURN_ANSWERS;
		*t = (struct talk){.src = answers ? d : s, .dest = answers ? s : d};
		forth = !answers;
	}
	t->packets++;
	if (!p.payload_len || !inspect_wants(p.proto, p.sport, p.dport, t->packets, t->settled))
		return;
	struct flow f = {.src = t->src, .dest = t->dest, .proto = p.proto};
	t->settled = inspect_packet(run.in, &f, nsec, forth, t->settled, &p);
}

static void on_frame(void *arg, uint64_t nsec, unsigned link, const uint8_t *data, uint32_t cap,
                     uint32_t wire)
{
	flowtab_frame(run.t, nsec, link, data, cap, wire);
	look_into(nsec, link, data, cap, wire);
}

static double cpu(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_json(void *arg, const struct finding *f)
{
	char s[ADDR_STR_MAX], d[ADDR_STR_MAX];
	if (arg)
		return;
	printf("{\"event_type\":\"finding\",\"kind\":\"%s\",\"score\":%.3f,\"src_ip\":\"%s\","
	       "\"dest_ip\":\"%s\",\"dest_port\":%u,\"domain\":\"%s\",\"reasons\":[",
	       finding_kind_str(f->kind), f->score, addr_str(&f->src.addr, s),
	       f->dest.addr.family ? addr_str(&f->dest.addr, d) : "", f->dest.port, f->domain);
	for (size_t i = 0; i < f->n_reasons; i++)
		printf("%s\"%s\"", i ? "," : "", f->reasons[i]);
	printf("]}\n");
}

/* Order within a kind is kept; kinds go one after the other, as no score depends on it. */
static struct scores *feed(double *ret_events, double *ret_flows)
{
	const struct scores_config c = {0};
	struct scores *s = NULL;
	double start = cpu();
	if (scores_new(&c, &s, NULL) < 0)
		abort();
	for (size_t i = 0; i < run.n_dns; i++)
		scores_dns(s, &run.dns[i]);
	for (size_t i = 0; i < run.n_apps; i++)
		scores_app(s, &run.apps[i]);
	for (size_t i = 0; i < run.n_resumes; i++)
		scores_resume(s, &run.resumes[i]);
	*ret_events = cpu() - start;
	start = cpu();
	for (size_t i = 0; i < run.n_flows; i++)
		scores_flow(s, &run.flows[i], NULL, true);
	*ret_flows = cpu() - start;
	return s;
}

static int score(bool quiet)
{
	double events = 1e9, flows = 1e9, findings = 1e9;
	for (int i = 0; i < ROUNDS; i++) {
		double e, f, start;
		struct scores *s = feed(&e, &f);
		start = cpu();
		int r = scores_findings(s, print_json, quiet || i ? &run : NULL, NULL);
		start = cpu() - start;
		scores_free(s);
		if (r < 0)
			return 1;
		events = e < events ? e : events;
		flows = f < flows ? f : flows;
		findings = start < findings ? start : findings;
	}
	printf("{\"event_type\":\"cost\",\"flows\":%zu,\"flows_ms\":%.2f,\"ns_a_flow\":%.0f,"
	       "\"events\":%zu,\"events_ms\":%.2f,\"findings_ms\":%.2f}\n",
	       run.n_flows, flows * 1e3, flows * 1e9 / (run.n_flows ? (double)run.n_flows : 1),
	       run.n_resumes + run.n_apps + run.n_dns, events * 1e3, findings * 1e3);
	return 0;
}

int main(int argc, char **argv)
{
	const struct packet_sink sink = {on_frame, NULL};
	const struct inspect_sinks events = {.app = on_app, .dns = on_dns};
	bool quiet = argc > 1 && !strcmp(argv[1], "-q");
	struct err e = {0};
	void *source = NULL;
	int fd = -1, r;
	if (argc != 2 + quiet) {
		fprintf(stderr, "usage: score [-q] FILE\n");
		return 2;
	}
	run.talks = calloc(TALKS, sizeof(*run.talks));
	if (!run.talks || file_source.open(argv[1 + quiet], &fd, &e) < 0 ||
	    file_source.attach(fd, &source, &e) < 0 ||
	    flowtab_new(FLOWS, on_flow, NULL, &run.t, &e) < 0 ||
	    inspect_new(INSPECT_MEMORY, &events, &run.in, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return 2;
	}
	flowtab_on_resume(run.t, on_resume);
	while ((r = file_source.pump(source, &sink, PACKETS, 200, &e)) > 0)
		;
	flowtab_flush(run.t);
	file_source.close(source);
	return r < 0 ? 1 : score(quiet);
}
