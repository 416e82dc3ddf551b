/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/role.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/table.h"
#include "observe/file.h"
#include "observe/flowtab.h"
#include "observe/frames_in.h"
#include "observe/keeping.h"
#include "observe/log.h"
#include "observe/record.h"
#include "observe/ring.h"
#include "priv/msg.h"

#define PUMP_FRAMES  65536u
#define END_WAIT_MS  20000
#define FLOWS_MAX    (UINT64_C(1) << 22)
#define EXPIRE_TICKS 16
#define PICKS_A_TICK 16 /* so that neither end ever waits for the other to read */

const int observe_syscalls[] = {RING_SYSCALLS, -1};

/* Records of one type on their way to the parent. Types do not wait for each other: what must come
 * before a tick or the end is sent before it. */
struct batch {
	size_t len;
	uint8_t bytes[MSG_BODY_MAX];
};

struct child;

/* A source's frames on their way to both the flows and those who want them whole. */
struct tap {
	struct child *c;
	uint16_t source;
	uint64_t left; /* second reading: how many frames there were in the first */
};

/* The child. */
struct child {
	int channel;
	struct msg_reader *reader;
	struct observe_start start;
	const struct source_ops *source;
	void *ctx[OBSERVE_SOURCES_MAX];
	struct pollfd poll[OBSERVE_SOURCES_MAX + 1]; /* the last is the channel */
	size_t n;
	struct flowtab *flows;
	struct inspect *inspect;
	uint64_t sent_nsec;      /* changes up to here have been sent */
	uint64_t newest;         /* last packet's time */
	struct keeping *keeping; /* NULL: nobody wants whole packets */
	struct tap tap[OBSERVE_SOURCES_MAX];
	off_t begin; /* where the capture begins; -1: it can be read only once */
	uint64_t packets;
	bool stopped;
	struct batch batch[_OBSERVE_MAX];
	int error;
};

static void child_send(struct child *c, enum observe_msg type)
{
	struct batch *b = &c->batch[type];

	if (b->len && !c->error)
		c->error = msg_send(c->channel, type, b->bytes, b->len);
	b->len = 0;
}

/* What the parent hears of flows rests on the names that came before. */
static void child_send_all(struct child *c)
{
	static const enum observe_msg order[] = {OBSERVE_DNS,     OBSERVE_APP,   OBSERVE_RESUME,
	                                         OBSERVE_CHANGED, OBSERVE_FINAL, OBSERVE_FRAMES};

	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		child_send(c, order[i]);
}

/* Room for one more record of that size. */
static void *child_room(struct child *c, enum observe_msg type, size_t size)
{
	struct batch *b = &c->batch[type];

	if (b->len + size > sizeof(b->bytes)) {
		if (type == OBSERVE_CHANGED || type == OBSERVE_FINAL)
			child_send_all(c);
		else
			child_send(c, type);
	}
	b->len += size;
	return b->bytes + b->len - size;
}

static void child_record(struct child *c, enum observe_msg type, const struct flow *f)
{
	struct flow_record r;

	if (!(c->start.wants & OBSERVE_WANTS_FLOWS))
		return;
	record_of_flow(f, &r);
	memcpy(child_room(c, type, sizeof(r)), &r, sizeof(r));
}

static void child_final(void *arg, const struct flow *f)
{
	child_record(arg, OBSERVE_FINAL, f);
}

static void child_resume(void *arg, const struct flow *f, uint64_t at_nsec)
{
	struct resume_record r;

	record_of_resume(f, at_nsec, &r);
	memcpy(child_room(arg, OBSERVE_RESUME, sizeof(r)), &r, sizeof(r));
}

static bool child_changed(void *arg, const struct flow *f)
{
	struct child *c = arg;

	/* The clock of packets is not strictly ordered over devices: a margin, since a record that
	 * comes twice does no harm. */
	if (f->end_nsec + UINT64_C(50000000) >= c->sent_nsec)
		child_record(c, OBSERVE_CHANGED, f);
	if (f->end_nsec > c->newest)
		c->newest = f->end_nsec;
	return !c->error;
}

static void child_app(void *arg, const struct app_event *a)
{
	struct app_record r;

	record_of_app(a, &r);
	memcpy(child_room(arg, OBSERVE_APP, sizeof(r)), &r, sizeof(r));
}

static void child_dns(void *arg, const struct dns_event *d)
{
	struct dns_record r;

	record_of_dns(d, &r);
	memcpy(child_room(arg, OBSERVE_DNS, sizeof(r)), &r, sizeof(r));
}

static int child_inspect(struct child *c, struct err *e)
{
	const struct inspect_sinks sinks = {
	    .app = c->start.wants & OBSERVE_WANTS_APP ? child_app : NULL,
	    .dns = c->start.wants & OBSERVE_WANTS_DNS ? child_dns : NULL,
	    .arg = c,
	};
	int r = inspect_new(INSPECT_MEMORY, &sinks, &c->inspect, e);

	if (!r)
		flowtab_inspect(c->flows, c->inspect);
	return r;
}

static void child_put_stats(struct child *c, enum observe_msg type, const struct source_stats *s)
{
	struct stats_record r;

	record_of_stats(s, &r);
	child_send_all(c);
	if (!c->error)
		c->error = msg_send(c->channel, type, &r, sizeof(r));
}

static void child_stats(struct child *c, enum observe_msg type)
{
	struct source_stats sum = {0};

	for (size_t i = 0; i < c->n; i++) {
		struct source_stats s = {0};
		c->source->stats(c->ctx[i], &s);
		sum.packets += s.packets;
		sum.bytes += s.bytes;
		sum.dropped += s.dropped;
		sum.truncated += s.truncated;
		sum.undecoded += s.undecoded;
		sum.malformed += s.malformed;
		if (s.first_nsec && (!sum.first_nsec || s.first_nsec < sum.first_nsec))
			sum.first_nsec = s.first_nsec;
		if (s.last_nsec > sum.last_nsec)
			sum.last_nsec = s.last_nsec;
	}
	c->packets = sum.packets;
	flowtab_stats(c->flows, &sum);
	snprintf(sum.tier, sizeof(sum.tier), "%s", c->source->name);
	child_put_stats(c, type, &sum);
}

static int child_failed(struct child *c, const struct err *e)
{
	msg_send(c->channel, OBSERVE_FAILED, e->text, strlen(e->text));
	return 1;
}

/* ---- packets that are wanted whole ---- */

static void stream_put(void *arg, const void *p, size_t n)
{
	struct child *c = arg;
	struct batch *b = &c->batch[OBSERVE_FRAMES];
	const uint8_t *from = p;

	while (n) {
		size_t part = sizeof(b->bytes) - b->len < n ? sizeof(b->bytes) - b->len : n;
		memcpy(b->bytes + b->len, from, part);
		b->len += part;
		from += part;
		n -= part;
		if (b->len == sizeof(b->bytes))
			child_send(c, OBSERVE_FRAMES);
	}
}

static void keep_frame(const struct tap *t, uint64_t nsec, unsigned linktype, const uint8_t *data,
                       uint32_t cap_len, uint32_t wire_len)
{
	const struct frame f = {.nsec = nsec,
	                        .cap_len = cap_len,
	                        .wire_len = wire_len,
	                        .linktype = (uint16_t)linktype,
	                        .source = t->source,
	                        .data = data};

	keeping_frame(t->c->keeping, &f);
}

static void tap_frame(void *arg, uint64_t nsec, unsigned linktype, const uint8_t *data,
                      uint32_t cap_len, uint32_t wire_len)
{
	const struct tap *t = arg;

	flowtab_frame(t->c->flows, nsec, linktype, data, cap_len, wire_len);
	keep_frame(t, nsec, linktype, data, cap_len, wire_len);
}

static void tap_settle(void *arg)
{
	flowtab_settle(((struct tap *)arg)->c->flows);
}

/* Where the frames of source i go. */
static struct packet_sink sink_of(struct child *c, size_t i)
{
	if (c->keeping && c->begin < 0)
		return (struct packet_sink){tap_frame, tap_settle, &c->tap[i]};
	return (struct packet_sink){flowtab_frame, flowtab_settle, c->flows};
}

static int keep_setup(struct child *c, const int *fds, struct err *e)
{
	c->begin = c->start.live ? -1 : lseek(fds[0], 0, SEEK_CUR);
	for (size_t i = 0; i < OBSERVE_SOURCES_MAX; i++)
		c->tap[i] = (struct tap){.c = c, .source = (uint16_t)i};
	return keeping_new(c->begin < 0 ? KEEPING_MEMORY : 0, stream_put, c, &c->keeping, e);
}

static void again_frame(void *arg, uint64_t nsec, unsigned linktype, const uint8_t *data,
                        uint32_t cap_len, uint32_t wire_len)
{
	struct tap *t = arg;

	if (!t->left)
		return;
	t->left--;
	keep_frame(t, nsec, linktype, data, cap_len, wire_len);
}

/* Now that it is known what is wanted. What could not be read the first time is no news. */
static void read_again(struct child *c, int fd)
{
	const struct packet_sink sink = {again_frame, NULL, &c->tap[0]};
	struct err e = {0};
	void *ctx;

	c->tap[0].left = c->packets;
	if (lseek(fd, c->begin, SEEK_SET) < 0 || c->source->attach(fd, &ctx, &e) < 0)
		return;
	while (!c->error && c->tap[0].left)
		if (c->source->pump(ctx, &sink, PUMP_FRAMES, 200, &e) <= 0)
			break;
}

static void take_pick(struct child *c, const struct msg *m)
{
	struct pick p;

	if (record_to_pick(m->body, m->len, &p) == 0)
		keeping_pick(c->keeping, &p);
}

/* Everything has been read and told; the parent says what it wants of it. */
static void keep_to_the_end(struct child *c, int fd)
{
	struct kept_record r;
	struct msg m;
	int k;

	while ((k = msg_next(c->reader, END_WAIT_MS, &m)) == 1 && m.type != OBSERVE_KEEP)
		if (m.type == OBSERVE_PICK)
			take_pick(c, &m);
	if (k != 1)
		return;
	if (c->begin >= 0)
		read_again(c, fd);
	keeping_end(c->keeping);
	child_send(c, OBSERVE_FRAMES);
	keeping_report(c->keeping, &r);
	if (!c->error)
		c->error = msg_send(c->channel, OBSERVE_KEPT, &r, sizeof(r));
}

/* What the parent said while we looked elsewhere; all but a pick, and the channel's end, means
 * stop. */
static bool child_told_to_stop(struct child *c)
{
	struct msg m;
	int r;

	while (!c->stopped && (r = msg_next(c->reader, 0, &m)) != -EAGAIN && r != -EINTR) {
		if (r == 1 && m.type == OBSERVE_PICK && c->keeping)
			take_pick(c, &m);
		else
			c->stopped = true;
	}
	return c->stopped;
}

/* Anything on the channel, its end too, means stop. */
static bool child_stopped(struct child *c, int timeout_ms)
{
	struct pollfd p = {.fd = c->channel, .events = POLLIN};
	return sys->poll(&p, 1, timeout_ms) > 0;
}

static int run_file(struct child *c, struct err *e)
{
	const struct packet_sink sink = sink_of(c, 0);
	int r;

	while ((r = c->source->pump(c->ctx[0], &sink, PUMP_FRAMES, 200, e)) > 0)
		if (c->error || child_stopped(c, 0))
			return 0;
	return r;
}

static uint64_t tick_due(const struct child *c)
{
	return boot_now() + c->start.tick_ms * USEC_PER_MSEC;
}

static int run_live(struct child *c, struct err *e)
{
	uint64_t due = tick_due(c);

	for (unsigned ticks = 1; !c->error && !child_told_to_stop(c);) {
		usec_t now = boot_now();
		int wait = now < due ? (int)((due - now) / USEC_PER_MSEC) + 1 : 0;
		if (sys->poll(c->poll, c->n + 1, wait) < 0 && errno != EINTR)
			return err_set(e, -errno, "cannot wait for packets: %s", strerror(errno));
		for (size_t i = 0; i < c->n; i++) {
			const struct packet_sink sink = sink_of(c, i);
			if (c->source->pump(c->ctx[i], &sink, PUMP_FRAMES, 0, e) < 0)
				return e->code;
		}
		if (boot_now() < due)
			continue;
		flowtab_each(c->flows, child_changed, c);
		child_stats(c, OBSERVE_TICK);
		c->sent_nsec = c->newest;
		if (ticks++ % EXPIRE_TICKS == 0 && wall_now() > c->start.idle_ms * USEC_PER_MSEC)
			flowtab_expire(c->flows,
			               (wall_now() - c->start.idle_ms * USEC_PER_MSEC) * 1000);
		due = tick_due(c);
	}
	/* What is in the rings still counts. */
	for (size_t i = 0; i < c->n; i++) {
		const struct packet_sink sink = sink_of(c, i);
		c->source->pump(c->ctx[i], &sink, PUMP_FRAMES, 2 * 40, NULL);
	}
	return 0;
}

/* ---- the log of a firewall ---- */

static void child_logged(void *arg, const struct flow *f, enum fwlog_action action)
{
	(void)action; /* what was denied has no answer in its flags */
	child_record(arg, OBSERVE_FINAL, f);
}

/* A record stands for a packet: a log knows no others. */
static void log_tell(struct child *c, struct log_source *s, const struct log_options *o)
{
	char notes[8][LOG_NOTE_MAX];
	struct log_stats st;
	struct source_stats sum = {.tier = "log"};
	size_t n;

	log_stats(s, &st);
	n = log_notes(&st, o, ARRAY_SIZE(notes), notes);
	for (size_t i = 0; i < n && !c->error; i++)
		c->error = msg_send(c->channel, OBSERVE_NOTE, notes[i], strlen(notes[i]));
	sum.packets = st.records;
	sum.bytes = st.bytes;
	sum.undecoded = st.skipped;
	sum.malformed = st.bad + st.overlong;
	sum.evicted = st.evicted;
	sum.flows = st.flows;
	sum.first_nsec = st.first_nsec;
	sum.last_nsec = st.last_nsec;
	child_put_stats(c, OBSERVE_END, &sum);
}

static int run_log(struct child *c, int fd, struct err *e)
{
	const struct log_options o = {.format = c->start.log_format,
	                              .zone_min = c->start.log_zone_min,
	                              .ref_nsec = c->start.log_ref_nsec};
	const struct flow_sink sink = {child_logged, c};
	struct log_source *s = NULL;
	int r = log_attach(fd, &o, &s, e);

	if (r < 0)
		return r;
	while ((r = log_pump(s, &sink, PUMP_FRAMES, 200, e)) > 0)
		if (c->error || child_stopped(c, 0))
			break;
	log_flush(s, &sink);
	log_tell(c, s, &o);
	return r < 0 ? r : 0;
}

/* The first message says what to do. */
static int child_job(struct child *c, struct err *e)
{
	struct msg m;
	int r = msg_reader_new(c->channel, &c->reader);

	if (r < 0)
		return err_set(e, r, "out of memory in the observing child");
	r = msg_next(c->reader, END_WAIT_MS, &m);
	if (r == 1 && m.type == OBSERVE_START && m.len == sizeof(c->start))
		memcpy(&c->start, m.body, sizeof(c->start));
	if (!c->start.tick_ms || !c->start.max_flows || c->start.max_flows > FLOWS_MAX)
		return err_set(e, -EBADMSG, "the job of the observing child makes no sense");
	c->source = c->start.live ? &ring_source : &file_source;
	return 0;
}

static int log_role(struct child *c, const int *fds, size_t n_fds)
{
	struct err e = {0};

	if (!n_fds)
		return 1;
	msg_send(c->channel, OBSERVE_LIMITS, role_limits(), strlen(role_limits()));
	if (run_log(c, fds[0], &e) < 0)
		return child_failed(c, &e);
	return c->error ? 2 : 0;
}

static int child_setup(struct child *c, const int *fds, size_t n_fds, struct err *e)
{
	int r;

	if (!n_fds)
		return err_set(e, -EINVAL, "nothing to observe was handed over");
	if ((r = flowtab_new(c->start.max_flows, child_final, c, &c->flows, e)) < 0)
		return r;
	if (c->start.wants & OBSERVE_WANTS_RESUME)
		flowtab_on_resume(c->flows, child_resume);
	if (c->start.wants & (OBSERVE_WANTS_APP | OBSERVE_WANTS_DNS) &&
	    (r = child_inspect(c, e)) < 0)
		return r;
	if (c->start.wants & OBSERVE_WANTS_FRAMES && (r = keep_setup(c, fds, e)) < 0)
		return r;
	for (; c->n < (c->start.live ? n_fds : 1); c->n++) {
		if ((r = c->source->attach(fds[c->n], &c->ctx[c->n], e)) < 0)
			return r;
		c->poll[c->n] = (struct pollfd){.fd = fds[c->n], .events = POLLIN};
	}
	c->poll[c->n] = (struct pollfd){.fd = c->channel, .events = POLLIN};
	return 0;
}

int observe_role(int channel, const int *fds, size_t n_fds)
{
	static struct child c;
	struct err e = {0};
	int r;

	c.channel = channel;
	if (child_job(&c, &e) < 0)
		return child_failed(&c, &e);
	if (c.start.log)
		return log_role(&c, fds, n_fds);
	if (child_setup(&c, fds, n_fds, &e) < 0)
		return child_failed(&c, &e);
	msg_send(channel, OBSERVE_LIMITS, role_limits(), strlen(role_limits()));
	r = c.start.live ? run_live(&c, &e) : run_file(&c, &e);
	/* What was read before the failure is worth telling. */
	flowtab_flush(c.flows);
	child_stats(&c, OBSERVE_END);
	if (c.keeping && !c.error)
		keep_to_the_end(&c, fds[0]);
	if (r < 0)
		return child_failed(&c, &e);
	return c.error ? 2 : 0;
}

/* The parent. */
struct parent {
	const struct observe_job *job;
	struct role_child child;
	struct msg_reader *reader;
	struct source_stats stats;
	char *limits;
	usec_t until;
	bool stopping, ended, kept;
	size_t n_picks;
	struct frames_in *frames;
	struct err failed;
};

static int on_flows(struct parent *p, const struct msg *m, bool final)
{
	if (!p->job->flow || m->len % sizeof(struct flow_record))
		return -EBADMSG;
	for (size_t at = 0; at < m->len; at += sizeof(struct flow_record)) {
		struct flow f;
		if (record_to_flow(m->body + at, &f) < 0)
			return -EBADMSG;
		p->job->flow(p->job->arg, &f, final);
	}
	return 0;
}

#define ON_RECORDS(name)                                                                           \
	static int on_##name(const struct parent *p, const struct msg *m)                          \
	{                                                                                          \
		struct name##_event v;                                                             \
		if (!p->job->name || m->len % sizeof(struct name##_record))                        \
			return -EBADMSG;                                                           \
		for (size_t at = 0; at < m->len; at += sizeof(struct name##_record)) {             \
			if (record_to_##name(m->body + at, &v) < 0)                                \
				return -EBADMSG;                                                   \
			p->job->name(p->job->arg, &v);                                             \
		}                                                                                  \
		return 0;                                                                          \
	}
ON_RECORDS(app)
ON_RECORDS(dns)
ON_RECORDS(resume)

static void text_of(const struct msg *m, char *dst, size_t n)
{
	size_t len = m->len < n - 1 ? m->len : n - 1;

	for (size_t i = 0; i < len; i++)
		dst[i] = (char)(m->body[i] >= 0x20 && m->body[i] < 0x7f ? m->body[i] : '?');
	dst[len] = 0;
}

static void send_picks(struct parent *p)
{
	struct pick_record r;
	struct pick k;

	for (size_t i = 0; (i < PICKS_A_TICK || p->ended) && p->n_picks < PICKS_MAX &&
	                   p->job->pick(p->job->arg, p->ended, &k);
	     i++) {
		record_of_pick(&k, &r);
		/* A child that has gone is told by what it did not send. */
		msg_send(p->child.channel, OBSERVE_PICK, &r, sizeof(r));
		p->n_picks++;
	}
	if (p->ended)
		msg_send(p->child.channel, OBSERVE_KEEP, NULL, 0);
}

static int on_frames(const struct parent *p, const struct msg *m)
{
	return p->frames ? frames_in_take(p->frames, m->body, m->len, p->n_picks, p->job->frame,
	                                  p->job->arg)
	                 : -EBADMSG;
}

static int on_kept(struct parent *p, const struct msg *m)
{
	struct kept_record r;

	if (!p->frames || m->len != sizeof(r) || !frames_in_whole(p->frames))
		return -EBADMSG;
	memcpy(&r, m->body, sizeof(r));
	p->kept = true;
	if (p->job->kept)
		*p->job->kept = r;
	return 0;
}

static int on_stats(struct parent *p, const struct msg *m)
{
	int r = record_to_stats(m->body, m->len, &p->stats);

	p->ended = m->type == OBSERVE_END;
	if (!r && !p->ended && p->job->tick)
		p->job->tick(p->job->arg, &p->stats);
	if (!r && p->frames)
		send_picks(p);
	return r;
}

static int on_message(struct parent *p, const struct msg *m)
{
	char note[LOG_NOTE_MAX];

	switch (m->type) {
	case OBSERVE_CHANGED:
	case OBSERVE_FINAL:
		return on_flows(p, m, m->type == OBSERVE_FINAL);
	case OBSERVE_APP:
		return on_app(p, m);
	case OBSERVE_DNS:
		return on_dns(p, m);
	case OBSERVE_RESUME:
		return on_resume(p, m);
	case OBSERVE_TICK:
	case OBSERVE_END:
		return on_stats(p, m);
	case OBSERVE_FRAMES:
		return on_frames(p, m);
	case OBSERVE_KEPT:
		return on_kept(p, m);
	case OBSERVE_LIMITS:
		text_of(m, p->limits, 128);
		return 0;
	case OBSERVE_NOTE:
		text_of(m, note, sizeof(note));
		if (p->job->note)
			p->job->note(p->job->arg, note);
		return 0;
	case OBSERVE_FAILED:
		p->failed.code = -EIO;
		text_of(m, p->failed.text, sizeof(p->failed.text));
		return 0;
	default:
		return -EBADMSG;
	}
}

static bool over(const struct parent *p)
{
	return (p->job->stop && *p->job->stop) || (p->until && boot_now() >= p->until);
}

/* A stream of messages must not keep a person waiting. */
static void idle(const struct parent *p, usec_t *last)
{
	usec_t now = boot_now();

	if (!p->job->idle || now - *last < OBSERVE_IDLE_MSEC * USEC_PER_MSEC)
		return;
	*last = now;
	p->job->idle(p->job->arg);
}

static int listen_to(struct parent *p)
{
	usec_t give_up = 0, last = 0;
	struct msg m;
	int r;

	for (;;) {
		if (!p->stopping && !p->ended && over(p)) {
			p->stopping = true;
			give_up = boot_now() + END_WAIT_MS * USEC_PER_MSEC;
			msg_send(p->child.channel, OBSERVE_STOP, NULL, 0);
		}
		if (give_up && boot_now() > give_up)
			return -ETIMEDOUT;
		idle(p, &last);
		r = msg_next(p->reader, OBSERVE_IDLE_MSEC, &m);
		if (r == -EAGAIN || r == -EINTR)
			continue;
		if (r <= 0)
			return r;
		if ((r = on_message(p, &m)) < 0)
			return r;
	}
}

static int open_sources(const struct observe_job *job, int *fds, uint64_t *ret_ref_nsec,
                        struct err *e)
{
	const struct source_ops *s = !job->live  ? &file_source
	                             : job->pick ? &ring_whole_source
	                                         : &ring_source;
	int r;

	if (job->log)
		return log_open(job->where[0], &fds[0], ret_ref_nsec, e);

	if (job->n > OBSERVE_SOURCES_MAX)
		return err_set(e, -E2BIG,
		               "%zu interfaces, but at most %d at once: name those that matter",
		               job->n, OBSERVE_SOURCES_MAX);
	for (size_t i = 0; i < job->n; i++) {
		if ((r = s->open(job->where[i], &fds[i], e)) < 0) {
			while (i--)
				sys->close(fds[i]);
			return r;
		}
	}
	return 0;
}

static int start(struct parent *p, const int *fds, uint64_t ref_nsec, struct err *e)
{
	const struct observe_job *job = p->job;
	const struct observe_start s = {
	    .live = job->live,
	    .tick_ms = job->tick_ms ? job->tick_ms : 1000,
	    .max_flows = job->max_flows,
	    .idle_ms = 120000,
	    .log = job->log,
	    .log_format = job->log_format,
	    .log_ref_nsec = ref_nsec,
	    .wants = (job->app ? OBSERVE_WANTS_APP : 0) | (job->dns ? OBSERVE_WANTS_DNS : 0) |
	             (job->resume ? OBSERVE_WANTS_RESUME : 0) |
	             (job->flow ? OBSERVE_WANTS_FLOWS : 0) | (job->pick ? OBSERVE_WANTS_FRAMES : 0),
	};
	int r = job->pick ? frames_in_new(job->n, &p->frames) : 0;

	if (r < 0)
		return err_set(e, r, "out of memory for packets");
	if ((r = role_spawn("observe", fds, job->n, &p->child, e)) < 0)
		return r;
	if ((r = msg_reader_new(p->child.channel, &p->reader)) < 0 ||
	    (r = msg_send(p->child.channel, OBSERVE_START, &s, sizeof(s))) < 0)
		return err_set(e, r, "cannot talk to the observing child: %s", strerror(-r));
	return 0;
}

/* The child's own sentence first, then how it died, then what we made of its messages. */
static int conclude(struct parent *p, int r, struct err *e)
{
	struct err died = {0};
	int w = role_wait(&p->child, r < 0 ? 0 : 5000, &died);

	if (p->failed.code && !p->job->live)
		return err_set(e, p->failed.code, "%s: %s",
		               strcmp(p->job->where[0], "-") ? p->job->where[0] : "standard input",
		               p->failed.text);
	if (p->failed.code)
		return err_set(e, p->failed.code, "%s", p->failed.text);
	if (r < 0)
		return err_set(e, r, "the observing child %s",
		               r == -ETIMEDOUT ? "did not end when told to and was killed"
		                               : "sent what makes no sense and was ended");
	if (w < 0)
		return err_set(e, w, "%s", died.text);
	return p->ended && (!p->frames || p->kept)
	           ? 0
	           : err_set(e, -EBADMSG, "the observing child ended before its time");
}

int observe_run(const struct observe_job *job, struct source_stats *ret, char limits[static 128],
                struct err *e)
{
	struct parent p = {.job = job, .limits = limits};
	int fds[OBSERVE_SOURCES_MAX] = {-1}, r;
	uint64_t ref_nsec = 0;

	limits[0] = 0;
	if ((r = open_sources(job, fds, &ref_nsec, e)) < 0)
		return r;
	r = start(&p, fds, ref_nsec, e);
	for (size_t i = 0; i < job->n; i++)
		/* As many were opened. NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage) */
		sys->close(fds[i]);
	if (!r) {
		p.until = job->run ? boot_now() + job->run : 0;
		r = conclude(&p, listen_to(&p), e);
	} else {
		role_wait(&p.child, 1000, NULL);
	}
	msg_reader_free(p.reader);
	frames_in_free(p.frames);
	*ret = p.stats;
	return r;
}
