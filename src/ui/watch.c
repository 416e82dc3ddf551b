/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `stanch watch`: who sends what to whom, live or from a capture file.
 *
 * A sandboxed child reads packets (observe/role.h); observe/watch.h keeps what is known of flows;
 * here sources are chosen, and what is known is shown and stored.
 */
#include <errno.h>
#include <inttypes.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "kern/link.h"
#include "observe/role.h"
#include "observe/watch.h"
#include "ui/args.h"
#include "ui/ctx.h"
#include "ui/guard.h"
#include "ui/screen.h"
#include "ui/stop.h"
#include "ui/verbs.h"
#include "ui/watch_ladder.h"
#include "ui/watch_show.h"
#include "ui/watch_write.h"
#include "wire/fwlog.h"

const struct opt watch_opts[] = {
    {"file", 0, OPT_TEXT, "CAPTURE", "read a capture (pcap, pcapng; - for standard input)"},
    {"log", 0, OPT_TEXT, "FILE", "read the log of a firewall (- for standard input)"},
    {"log-format", 0, OPT_TEXT, "F", "asa, junos, panos, aws or netfilter; else it is found out"},
    {"run", 0, OPT_DURATION, "DUR", "stop after that long (default: at Ctrl-C)"},
    {"top", 0, OPT_COUNT, "N", "rows of each table (default 10); tables instead of the screen"},
    {"learn", 0, OPT_FLAG, NULL, "live: what is seen now counts as usual from tomorrow on"},
    {"tier", 0, OPT_TEXT, "T",
     "insist on this way of looking: bpf, tpacket_v3, conntrack, inet_diag, or file"},
    {"write", 0, OPT_TEXT, "FILE",
     "write the packets of what is found to this pcapng file, which must not exist"},
    {"select", 0, OPT_LIST, "TARGET",
     "with --write: those of this address, ADDR:PORT or prefix, too"},
    {0},
};

#define TOP_DEFAULT    10
#define TOP_MAX        1000
#define FILE_FLOWS     (1u << 19)
#define LIVE_FLOWS     (1u << 17)
#define TICK_MSEC      200
#define TICKS_A_SCREEN 5
#define FLOWS_A_BREATH 512
#define BREATH         (50 * USEC_PER_MSEC)
#define FOUND_MAX      256
#define OUT_BUFFER     (1u << 18)

struct watching {
	struct ctx *c;
	bool live, log, on_screen;
	int log_format;
	struct watch_screen *screen; /* NULL: none */
	struct screen_about about;
	struct ladder ladder; /* what counts, and what it does not see */
	size_t top;
	struct watch *watch;
	struct geo *geo;           /* without files: finds nothing */
	struct baseline *baseline; /* live: what was usual before; NULL: not known */
	bool learn;
	struct err trouble;              /* why it had to stop */
	bool named;                      /* interfaces were given */
	struct finding found[FOUND_MAX]; /* told and, if that was possible, stored */
	size_t n_found, n_findings;
	bool store;                /* until the journal refuses */
	bool final;                /* the numbers will not change any more */
	bool settled;              /* all has been counted, to know what is to be written */
	struct watch_write *write; /* NULL: nothing is */
	struct kept_record kept;
	unsigned ticks, n_flows;
	usec_t breathed, rest_until;
	char notes[8][256]; /* told at the end */
	size_t n_notes;
};

static void on_final(void *arg, const struct seen_flow *f)
{
	struct watching *w = arg;

	if (w->screen)
		screen_final(w->screen, w->watch, f);
	else if (w->c->out.json)
		show_flow_json(w->c->out.to, f, w->geo);
}

static void on_note(void *arg, const char *text)
{
	struct watching *w = arg;

	if (w->n_notes < ARRAY_SIZE(w->notes))
		snprintf(w->notes[w->n_notes++], sizeof(w->notes[0]), "%s", text);
}

static void on_idle(void *arg)
{
	struct watching *w = arg;

	if (w->screen)
		screen_idle(w->screen);
}

/* Many flows at once must not keep a person waiting. */
static void breathe(struct watching *w)
{
	usec_t now;

	if (++w->n_flows % FLOWS_A_BREATH || (now = boot_now()) < w->breathed + BREATH)
		return;
	w->breathed = now;
	on_idle(w);
}

static void on_flow(void *arg, const struct flow *f, bool final)
{
	watch_flow(((struct watching *)arg)->watch, f, final);
}

static void on_owned_flow(void *arg, const struct flow *f, const struct owner *owner, bool final)
{
	watch_owned_flow(((struct watching *)arg)->watch, f, owner, final);
	breathe(arg);
}

static void on_app(void *arg, const struct app_event *a)
{
	watch_app(((struct watching *)arg)->watch, a);
}

static void on_dns(void *arg, const struct dns_event *d)
{
	watch_dns(((struct watching *)arg)->watch, d);
}

static void on_resume(void *arg, const struct resume_event *r)
{
	watch_resume(((struct watching *)arg)->watch, r);
}

static int store(struct watching *w, struct finding *f, struct err *e)
{
	char incident[INCIDENT_ID_MAX];
	struct journal *j = NULL;
	int r = journal_open(w->c->state_dir, JOURNAL_WRITE, &j, e);

	if (r < 0)
		return r;
	if ((r = journal_begin(j, e)) == 0 &&
	    ((r = journal_incident(j, w->c->incident, incident, e)) < 0 ||
	     (r = journal_put_finding(j, f, e)) < 0))
		journal_rollback(j);
	if (!r)
		r = journal_commit(j, e);
	journal_close(j);
	return r;
}

static struct finding *found_of(struct watching *w, const struct finding *f)
{
	for (size_t i = 0; i < w->n_found; i++)
		if (finding_same(&w->found[i], f))
			return &w->found[i];
	return NULL;
}

/* A finding that is new and matters: it gets a number, where findings can be stored. */
static struct finding *remember(struct watching *w, const struct finding *f)
{
	struct finding *known = &w->found[w->n_found];
	struct err e = {0};

	if (f->score < FINDING_SCORE_LOOK || w->n_found == FOUND_MAX)
		return NULL;
	*known = *f;
	w->n_found++;
	if (w->store && store(w, known, &e) < 0) {
		w->store = false;
		known->id = 0;
		if (!w->screen)
			out_error(&w->c->out, "findings are shown but not stored: %s", e.text);
	}
	if (!w->final && !w->settled && w->c->out.json)
		show_finding(&w->c->out, known, false);
	return known;
}

/* Where the far end is registered, if that is known. */
static void add_place(const struct watching *w, struct finding *f)
{
	char where[ADDR_STR_MAX], place[FINDING_REASON_MAX - ADDR_STR_MAX - 20];

	if (f->dest.addr.family && place_text(w->geo, &f->dest.addr, place, sizeof(place)))
		finding_reason(f, "%s is registered in %s", addr_str(&f->dest.addr, where), place);
}

/* Told when it is first seen, stored once; the numbers at the end are told again. */
static void report(void *arg, const struct finding *now)
{
	struct watching *w = arg;
	struct finding *known = found_of(w, now), f = *now;

	add_place(w, &f);
	if (!known)
		known = remember(w, &f);
	f.id = known ? known->id : 0;
	if (w->settled && !w->final)
		return;
	if (w->screen)
		screen_finding(w->screen, &f);
	else if (w->final)
		show_finding(&w->c->out, &f, w->final);
	w->n_findings += w->final && f.score >= FINDING_SCORE_LOOK;
}

/* What the kernel's counters say; drops are the capture's, too, which brings the names. */
static void merge_stats(struct watching *w, struct source_stats *s)
{
	const struct ladder *l = &w->ladder;
	uint64_t dropped = s->dropped;

	if (l->ops) {
		l->ops->stats(l->ctx, s);
		s->dropped += dropped;
	}
	if (w->live && w->watch && !(l->ops && l->ops->knows_owners))
		s->unowned = watch_unowned(w->watch);
}

/* One look at the kernel's counters and at who has the sockets. */
static void count(struct watching *w)
{
	const struct ladder *l = &w->ladder;

	if (l->ops && !w->trouble.code && l->ops->tick(l->ctx, &w->trouble) < 0)
		stop_asked = 1;
	watch_tick(w->watch);
}

static void on_tick(void *arg, const struct source_stats *packets)
{
	struct watching *w = arg;
	struct source_stats merged = *packets, *s = &merged;

	usec_t begin = boot_now();

	/* Never more than half of the time for reading, whatever the flood. */
	if (begin >= w->rest_until) {
		count(w);
		w->rest_until = 2 * boot_now() - begin;
	}
	merge_stats(w, s);
	if (++w->ticks % TICKS_A_SCREEN)
		return;
	watch_findings(w->watch, report, w, NULL);
	ladder_look(&w->ladder);
	if (w->screen)
		screen_second(w->screen, w->watch, s);
	else
		fflush(w->c->out.to);
}

/* The last counts. */
static void flush_counts(struct watching *w)
{
	if (w->ladder.ops && w->watch && !w->trouble.code)
		w->ladder.ops->flush(w->ladder.ctx, &w->trouble);
}

/* What is found at the very end is wanted, too. */
static void settle(struct watching *w)
{
	if (w->settled)
		return;
	w->settled = true;
	flush_counts(w);
	watch_findings(w->watch, report, w, NULL);
}

static bool on_pick(void *arg, bool ended, struct pick *ret)
{
	struct watching *w = arg;

	if (ended)
		settle(w);
	return watch_write_next(w->write, w->found, w->n_found, w->watch, ret);
}

static void on_frame(void *arg, const struct frame *f, size_t why)
{
	watch_write_frame(((struct watching *)arg)->write, f, why);
}

static int by_traffic(const void *a, const void *b)
{
	const struct link *x = a, *y = b;
	uint64_t m = x->counters.rx_bytes + x->counters.tx_bytes;
	uint64_t n = y->counters.rx_bytes + y->counters.tx_bytes;

	return (m < n) - (m > n);
}

/* All that are up but lo; the busiest where there are more than one child can take. */
static int pick_links(struct watching *w, struct link **ret, size_t *ret_n, struct err *e)
{
	size_t n = 0, up = 0;
	int r = link_list(NULL, ret, &n, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if ((*ret)[i].flags & IFF_UP && (*ret)[i].type != ARPHRD_LOOPBACK)
			(*ret)[up++] = (*ret)[i];
	if (!up)
		return err_set(e, -ENODEV,
		               "no interface but loopback is up here; name one (`stanch "
		               "watch lo`), or read a capture with --file");
	if (up > OBSERVE_SOURCES_MAX) {
		qsort(*ret, up, sizeof(**ret), by_traffic);
		out_error(&w->c->out,
		          "watching the %d busiest of %zu interfaces; name others to "
		          "watch them",
		          OBSERVE_SOURCES_MAX, up);
		up = OBSERVE_SOURCES_MAX;
	}
	*ret_n = up;
	return 0;
}

/* A capture has been read: its screen stays until a person quits. */
static void leave_screen(struct watching *w, int r, const struct source_stats *s)
{
	w->settled = false;
	if (w->screen && !w->live && (!r || s->packets)) {
		watch_findings(w->watch, report, w, NULL);
		screen_second(w->screen, w->watch, s);
		screen_stay(w->screen);
	}
	screen_close(w->screen);
	w->screen = NULL;
}

/* On a terminal; where none can be drawn the tables at the end are all there is. */
static void enter_screen(struct watching *w, const char *const *where, size_t n)
{
	struct err e = {0};

	w->about = (struct screen_about){
	    .live = w->live,
	    .what = w->live ? NULL : where[0],
	    .iface = where,
	    .n_ifaces = w->live ? n : 0,
	    .blind = w->ladder.blind,
	    .geo = w->geo,
	    .contain = verb_find(verb_table, "contain") != NULL,
	};
	if (w->on_screen && screen_open(w->c, &w->about, &w->screen, &e) < 0)
		out_error(&w->c->out, "no screen, tables at the end: %s", e.text);
}

/* Ends the file of --write; what was read before an error is in it. 0, or -errno: told. */
static int end_writing(struct watching *w, bool any)
{
	struct err e = {0};
	int r = 0;

	if (w->write && any)
		r = watch_write_close(w->write, &w->kept, &w->c->out, &e);
	else
		watch_write_free(w->write);
	w->write = NULL;
	if (r < 0)
		out_error(&w->c->out, "%s", e.text);
	return r;
}

/* What was read before an error counts and is shown; the error is told after it. */
static int conclude(struct watching *w, int r, const struct source_stats *s, const char *limits,
                    const struct err *e)
{
	struct out *o = &w->c->out;
	struct watch_losses losses;
	bool any = w->watch && (!r || s->packets);
	int k;

	leave_screen(w, r, s);
	if (any) {
		const struct pairs *all = watch_pairs(w->watch);
		w->final = true;
		if (!o->json)
			show_tops(o, all, w->top, w->live);
		watch_findings(w->watch, report, w, NULL);
		losses = watch_losses(w->watch);
		for (size_t i = 0; i < w->n_notes; i++)
			show_note(o, w->notes[i]);
		show_stats(o, s, all, &losses, w->live ? w->ladder.blind : NULL);
	}
	k = end_writing(w, any);
	if (limits[0])
		out_info(o, "sandbox of the reading child: %s", limits);
	fflush(o->to);
	if (r < 0)
		return ctx_fail(w->c, ctx_exit_of(r), e);
	if (k < 0)
		return EXIT_PARTIAL;
	return w->n_findings ? EXIT_FOUND : EXIT_DONE;
}

static struct observe_job job_of(struct watching *w, const char *const *where, size_t n,
                                 usec_t run_for)
{
	return (struct observe_job){
	    .live = w->live,
	    .log = w->log,
	    .log_format = w->log_format,
	    .where = where,
	    .n = n,
	    .run = run_for,
	    .tick_ms = TICK_MSEC,
	    .max_flows = w->live ? LIVE_FLOWS : FILE_FLOWS,
	    .stop = &stop_asked,
	    .arg = w,
	    .flow = on_flow,
	    .app = on_app,
	    .dns = on_dns,
	    .resume = on_resume,
	    .tick = on_tick,
	    .note = on_note,
	    .idle = on_idle,
	    .pick = w->write ? on_pick : NULL,
	    .frame = w->write ? on_frame : NULL,
	    .kept = &w->kept,
	};
}

/* The kernel's counters alone: nobody is named. */
static void count_only(struct watching *w, const struct observe_job *job, const struct err *why,
                       struct source_stats *s)
{
	char note[256];
	usec_t until = job->run ? boot_now() + job->run : 0, due = boot_now();

	snprintf(note, sizeof(note), "no names and no protocols: %.200s",
	         why->text[0] ? why->text : "no packets are read");
	on_note(w, note);
	while (!stop_asked && (!until || boot_now() < until)) {
		sys->poll(NULL, 0, OBSERVE_IDLE_MSEC);
		on_idle(w);
		if (boot_now() < due)
			continue;
		*s = (struct source_stats){0};
		on_tick(w, s);
		due = boot_now() + TICK_MSEC * USEC_PER_MSEC;
	}
}

static bool wants_packets(const struct ladder *l)
{
	return !l->ops || l->ops->knows_owners;
}

/* The source: packets in the child, and the kernel's counts with each of its ticks. Without the
 * right to packet sockets those count alone. */
static int observe(struct watching *w, const struct observe_job *job,
                   const struct observe_job *counted, struct source_stats *s,
                   char limits[static 128], struct err *e)
{
	struct err why = {0};
	int r;

	if (wants_packets(&w->ladder)) {
		r = observe_run(job, s, limits, e);
		why = *e;
		if (r != -EPERM || s->packets || w->write || !w->live)
			return r;
	} else if (w->write) {
		return err_set(e, -EOPNOTSUPP, "--write needs packets, and tier %s has none",
		               w->ladder.ops->name);
	}
	if (!w->ladder.ops && (r = ladder_down(&w->ladder, counted, on_owned_flow, e)) < 0)
		return r;
	*e = (struct err){0};
	count_only(w, job, &why, s);
	return 0;
}

static void baseline_path(const struct watching *w, char dst[static CONFIG_STATE_MAX + 16])
{
	snprintf(dst, CONFIG_STATE_MAX + 16, "%s/baseline", w->c->state_dir);
}

/* Without one nothing is usual, which is never a reason to stop. */
static void load_baseline(struct watching *w)
{
	char path[CONFIG_STATE_MAX + 16], text[256];
	struct err e = {0};
	int r = baseline_new(0, &w->baseline);

	baseline_path(w, path);
	if (r < 0 || (r = baseline_load(w->baseline, path, &e)) == 0 || r == -ENOENT)
		return;
	/* Nor is it written over: what is wrong with it may matter. */
	w->learn = false;
	snprintf(text, sizeof(text), "nothing counts as usual, and nothing is learned: %.180s",
	         e.text);
	on_note(w, text);
}

/* Only when asked: in a breach its traffic must not become what is usual. */
static void save_baseline(struct watching *w)
{
	char path[CONFIG_STATE_MAX + 16], text[256];
	struct err e = {0};

	if (!w->learn || !w->baseline || !w->watch)
		return;
	baseline_path(w, path);
	watch_learn(w->watch, w->baseline);
	if (baseline_save(w->baseline, path, &e) == 0)
		return;
	snprintf(text, sizeof(text), "nothing was learned: %.200s", e.text);
	on_note(w, text);
}

/* Opens what counts and what keeps the counts. counted must stay. */
static int begin(struct watching *w, const struct observe_job *counted, struct err *e)
{
	struct surroundings around = {0};
	struct watch_config config = {
	    .live = w->live,
	    .arg = w,
	    .final = w->c->out.json || w->on_screen ? on_final : NULL,
	    .resolvers = around.resolvers,
	};
	int r = w->live ? ladder_open(&w->ladder, counted, on_owned_flow, e) : 0;

	if (r < 0)
		return r;
	if (w->live)
		load_baseline(w);
	/* Where nothing was ever learned, nothing is new either. */
	if (w->baseline && baseline_count(w->baseline))
		config.baseline = w->baseline;
	/* What cannot be read is left out: its resolver may then look like any other end. */
	if (w->live)
		surroundings_read(&around, NULL);
	config.n_resolvers = around.n_resolvers;
	config.look_at_owners = w->live && !(w->ladder.ops && w->ladder.ops->knows_owners);
	return watch_new(&config, &w->watch, e);
}

/* The last counts, and what went wrong on the way. */
static int finish(struct watching *w, struct source_stats *s, int r, struct err *e)
{
	flush_counts(w);
	merge_stats(w, s);
	save_baseline(w);
	return r || !w->trouble.code ? r : err_set(e, w->trouble.code, "%s", w->trouble.text);
}

static int run(struct watching *w, const struct args *a, const char *const *where, size_t n)
{
	struct observe_job job, counted;
	struct source_stats s = {0};
	char limits[128] = "";
	struct err e = {0};
	int r = watch_write_open(a, w->live ? where : NULL, w->live ? n : 0, &w->write, &e);

	if (r < 0)
		return ctx_fail(w->c, r == -EEXIST ? EXIT_REFUSED : ctx_exit_of(r), &e);
	counted = job = job_of(w, where, n, args_duration(a, "run", 0));
	stop_catch();
	/* Interfaces that were not named are all of them, in every network namespace. */
	counted.n = w->named ? n : 0;
	counted.tick = NULL;
	r = begin(w, &counted, &e);
	if (w->ladder.ops) {
		job.flow = NULL;
		job.resume = NULL;
	}
	if (!r) {
		enter_screen(w, where, n);
		r = observe(w, &job, &counted, &s, limits, &e);
	}
	r = conclude(w, finish(w, &s, r, &e), &s, limits, &e);
	ladder_close(&w->ladder);
	return r;
}

/* Interfaces as named, or all of them. */
static int run_live(struct watching *w, const struct args *a)
{
	const char *names[OBSERVE_SOURCES_MAX];
	_cleanup_free_ struct link *links = NULL;
	struct err e = {0};
	size_t n = a->n_pos;
	int r;

	if (n)
		return run(w, a, a->pos, n);
	if ((r = pick_links(w, &links, &n, &e)) < 0)
		return ctx_fail(w->c, ctx_exit_of(r), &e);
	for (size_t i = 0; i < n; i++)
		names[i] = links[i].name;
	return run(w, a, names, n);
}

/* The files that the configuration names; one that is wrong is an error of it. */
static int open_geo(struct watching *w, struct err *e)
{
	const struct config *c = &w->c->config;
	const char *const files[][2] = {{"geo_country", c->geo_country}, {"geo_asn", c->geo_asn}};
	struct err why = {0};
	int r = geo_new(&w->geo);

	if (r < 0)
		return err_set(e, r, "out of memory");
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (!files[i][1][0] || (i && !strcmp(files[i][1], files[0][1])))
			continue;
		if ((r = geo_add(w->geo, files[i][1], &why)) < 0)
			return err_set(e, r, "%s:%u: %s: %s", w->c->config_path,
			               config_line(c, files[i][0]), files[i][0], why.text);
	}
	return 0;
}

/* Where to look, from the options. */
static int sources_of(struct watching *w, const struct args *a, const char **ret_file,
                      struct err *e)
{
	const char *log = args_text(a, "log", NULL), *file = args_text(a, "file", log);
	const char *format = args_text(a, "log-format", NULL);

	if ((file && a->n_pos) || (log && file != log))
		return err_set(e, -EINVAL,
		               "more than one source at once: give --file, --log or IFACE");
	w->learn = args_has(a, "learn");
	if (file && w->learn)
		return err_set(e, -EINVAL,
		               "--learn is for live traffic: a capture may be of any day");
	if (log && args_has(a, "write"))
		return err_set(e, -EINVAL, "--write writes packets, and a log has none");
	w->live = !file;
	w->log = log;
	w->store = !file;
	w->named = a->n_pos > 0;
	w->log_format = format ? fwlog_format_parse(format) : _FWLOG_FORMAT_INVALID;
	if (format && w->log_format < 0)
		return err_set(e, -EINVAL,
		               "no log format %.32s; there are asa, junos, panos, aws, netfilter",
		               format);
	*ret_file = file;
	return 0;
}

int verb_watch(struct ctx *c, const struct args *a)
{
	uint64_t top = args_count(a, "top", TOP_DEFAULT);
	struct watching w = {.c = c, .top = top};
	const char *file = NULL;
	struct err e = {0};
	int r;

	if (sources_of(&w, a, &file, &e) < 0)
		return ctx_fail(c, EXIT_USAGE, &e);
	if (top > TOP_MAX) {
		err_set(&e, -EINVAL, "--top %" PRIu64 " is too many, at most %d", top, TOP_MAX);
		return ctx_fail(c, EXIT_USAGE, &e);
	}
	if (ladder_init(&w.ladder, args_text(a, "tier", NULL), w.live, &e) < 0)
		return ctx_fail(c, EXIT_REFUSED, &e);
	if (open_geo(&w, &e) < 0) {
		geo_free(w.geo);
		return ctx_fail(c, EXIT_USAGE, &e);
	}
	w.on_screen = !args_has(a, "top") && screen_possible(c);
	setvbuf(c->out.to, NULL, _IOFBF, OUT_BUFFER);
	r = w.live ? run_live(&w, a) : run(&w, a, &file, 1);
	watch_free(w.watch);
	baseline_free(w.baseline);
	geo_free(w.geo);
	return r;
}
