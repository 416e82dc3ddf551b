/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enforce/feed/role.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/sys.h"
#include "priv/msg.h"

#define READ_BYTES (1u << 20)
#define WAIT_MS    20000

enum feed_msg { FEED_START = 1, FEED_ENTRIES, FEED_DOMAIN, FEED_DONE, FEED_FAILED };

struct start {
	int32_t format;
	uint32_t now; /* wall seconds */
};

/* One entry on its way; n_note bytes follow. */
struct record {
	uint8_t addr[16];
	uint8_t family, len;
	uint16_t n_note;
	uint32_t line, until;
};

struct done {
	uint32_t format;
	struct blocklist_stats stats;
	char limits[128];
};

/* ---- the child ---- */

struct child {
	int channel, error;
	unsigned domains;
	size_t len;
	uint8_t bytes[MSG_BODY_MAX];
};

static void flush(struct child *c)
{
	if (c->len && !c->error)
		c->error = msg_send(c->channel, FEED_ENTRIES, c->bytes, c->len);
	c->len = 0;
}

static void on_entry(void *arg, const struct blocklist_entry *x)
{
	struct child *c = arg;
	struct record r = {.family = x->prefix.addr.family,
	                   .len = x->prefix.len,
	                   .n_note = (uint16_t)strnlen(x->note, FEED_NOTE_MAX - 1),
	                   .line = x->line,
	                   .until = x->until};
	memcpy(r.addr, x->prefix.addr.bytes, sizeof r.addr);
	if (c->len + sizeof r + r.n_note > sizeof c->bytes)
		flush(c);
	memcpy(c->bytes + c->len, &r, sizeof r);
	memcpy(c->bytes + c->len + sizeof r, x->note, r.n_note);
	c->len += sizeof r + r.n_note;
}

static void on_domain(void *arg, const char *name, uint32_t line)
{
	struct child *c = arg;
	if (c->domains++ < FEED_DOMAINS_MAX && !c->error)
		c->error = msg_send(c->channel, FEED_DOMAIN, name, strlen(name));
}

static int read_all(int fd, uint8_t **ret, size_t *ret_n, struct err *e)
{
	uint8_t *v = NULL;
	size_t n = 0, cap = 0;
	for (;;) {
		if (n == cap) {
			cap = cap ? cap * 2 : READ_BYTES;
			uint8_t *bigger = n > BLOCKLIST_BYTES_MAX ? NULL : realloc(v, cap);
			if (!bigger) {
				free(v);
				return err_set(e, -EFBIG, "it is larger than %u MiB",
				               BLOCKLIST_BYTES_MAX >> 20);
			}
			v = bigger;
		}
		ssize_t k = sys->read(fd, v + n, cap - n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0) {
			int code = -errno;
			free(v);
			return err_set(e, code, "reading: %s", strerror(-code));
		}
		if (k == 0)
			break;
		n += (size_t)k;
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

static int take_job(int channel, struct start *ret)
{
	struct msg_reader *reader;
	struct msg m;
	int r = msg_reader_new(channel, &reader);
	if (r < 0)
		return r;
	r = msg_next(reader, WAIT_MS, &m);
	bool good = r == 1 && m.type == FEED_START && m.len == sizeof *ret;
	if (good)
		memcpy(ret, m.body, sizeof *ret);
	msg_reader_free(reader);
	return good ? 0 : -EBADMSG;
}

/* jansson would open /dev/urandom for it, which is forbidden here. */
static bool seed_json(void)
{
	size_t seed;
	if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
		return false;
	json_object_seed(seed ? seed : 1);
	return true;
}

int feed_role(int channel, const int *fds, size_t n_fds)
{
	static struct child c;
	struct start job;
	struct done done = {0};
	struct err e = {0};
	uint8_t *bytes = NULL;
	size_t n = 0;
	const struct blocklist_sink sink = {on_entry, on_domain, &c};
	c.channel = channel;
	if (n_fds != 1 || !seed_json() || take_job(channel, &job) < 0)
		return 1;
	int r = read_all(fds[0], &bytes, &n, &e);
	if (r == 0) {
		enum blocklist_format f =
		    job.format < 0 ? blocklist_guess(bytes, n) : (enum blocklist_format)job.format;
		done.format = (uint32_t)f;
		r = blocklist_parse(f, bytes, n, job.now, &sink, &done.stats, &e);
	}
	flush(&c);
	if (r < 0)
		return msg_send(channel, FEED_FAILED, e.text, strlen(e.text)) < 0;
	strncpy(done.limits, role_limits(), sizeof done.limits - 1);
	return c.error || msg_send(channel, FEED_DONE, &done, sizeof done) < 0;
}

/* ---- the parent ---- */

struct parent {
	struct feed_builder *b;
	struct feed_report report;
	unsigned domains;
	bool done;
	struct err failed;
};

static void clean(const uint8_t *p, size_t len, char *dst, size_t n)
{
	size_t k = len < n - 1 ? len : n - 1;
	for (size_t i = 0; i < k; i++)
		dst[i] = (char)(p[i] >= 0x20 && p[i] < 0x7f ? p[i] : '?');
	dst[k] = 0;
}

static int on_entries(struct parent *p, const struct msg *m)
{
	char note[FEED_NOTE_MAX];
	for (size_t at = 0; at < m->len;) {
		struct record r;
		struct prefix x = {.len = 0}, same;
		if (m->len - at < sizeof r)
			return -EBADMSG;
		memcpy(&r, m->body + at, sizeof r);
		at += sizeof r;
		x.addr.family = r.family;
		x.len = r.len;
		memcpy(x.addr.bytes, r.addr, sizeof r.addr);
		if ((r.family != ADDR_V4 && r.family != ADDR_V6) || r.len > addr_bits(&x.addr) ||
		    r.n_note >= FEED_NOTE_MAX || r.n_note > m->len - at)
			return -EBADMSG;
		same = prefix_of(&x.addr, x.len);
		if (!addr_equal(&same.addr, &x.addr))
			return -EBADMSG;
		clean(m->body + at, r.n_note, note, sizeof note);
		at += r.n_note;
		feed_add(p->b, &x, r.line, r.until, note);
	}
	return 0;
}

static void terminate(struct blocklist_stats *s)
{
	char *const texts[] = {s->bad_text, s->bad_why, s->title};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		texts[i][BLOCKLIST_TEXT_MAX - 1] = 0;
		clean((const uint8_t *)texts[i], strlen(texts[i]), texts[i], BLOCKLIST_TEXT_MAX);
	}
}

static int on_done(struct parent *p, const struct msg *m)
{
	struct done d;
	if (m->len != sizeof d)
		return -EBADMSG;
	memcpy(&d, m->body, sizeof d);
	if (d.format >= _BLOCKLIST_MAX)
		return -EBADMSG;
	d.limits[sizeof d.limits - 1] = 0;
	terminate(&d.stats);
	p->report.format = (enum blocklist_format)d.format;
	p->report.stats = d.stats;
	clean((const uint8_t *)d.limits, strlen(d.limits), p->report.limits,
	      sizeof p->report.limits);
	p->done = true;
	return 0;
}

static int on_message(struct parent *p, const struct msg *m)
{
	switch (m->type) {
	case FEED_ENTRIES:
		return on_entries(p, m);
	case FEED_DOMAIN:
		if (p->domains == FEED_DOMAINS_MAX)
			return -EBADMSG;
		clean(m->body, m->len, p->report.domains[p->domains++], BLOCKLIST_TEXT_MAX);
		return 0;
	case FEED_DONE:
		return on_done(p, m);
	case FEED_FAILED:
		p->failed.code = -EBADMSG;
		clean(m->body, m->len, p->failed.text, sizeof p->failed.text);
		return 0;
	default:
		return -EBADMSG;
	}
}

static int listen_to(struct parent *p, int channel)
{
	usec_t until = boot_now() + FEED_READ_MS * USEC_PER_MSEC;
	struct msg_reader *reader;
	struct msg m;
	int r = msg_reader_new(channel, &reader);
	while (r == 0 && !p->done && !p->failed.code) {
		usec_t now = boot_now();
		r = now < until ? msg_next(reader, (int)((until - now) / USEC_PER_MSEC) + 1, &m)
		                : -ETIMEDOUT;
		if (r == -EAGAIN || r == -EINTR)
			r = 0;
		else if (r == 1)
			r = on_message(p, &m);
		else if (r == 0)
			break;
	}
	msg_reader_free(reader);
	return r;
}

int feed_read(int fd, int format, struct feed_builder *b, struct feed_report *ret, struct err *e)
{
	const struct start job = {format, (uint32_t)(wall_now() / USEC_PER_SEC)};
	struct parent p = {.b = b};
	struct role_child child;
	struct err died = {0};
	int r = role_spawn("feed", &fd, 1, &child, e);
	if (r < 0)
		return r;
	r = msg_send(child.channel, FEED_START, &job, sizeof job);
	if (r == 0)
		r = listen_to(&p, child.channel);
	int w = role_wait(&child, r < 0 ? 0 : 5000, &died);
	if (p.failed.code)
		return err_set(e, p.failed.code, "%s", p.failed.text);
	if (r == -ETIMEDOUT)
		return err_set(e, r, "it was not read to its end within %d s", FEED_READ_MS / 1000);
	if (r < 0)
		return err_set(e, r,
		               "the child that read it sent what makes no sense and was ended");
	if (w < 0)
		return err_set(e, w, "%s", died.text);
	if (!p.done)
		return err_set(e, -EBADMSG, "the child that read it ended before its time");
	*ret = p.report;
	return 0;
}
