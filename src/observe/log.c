/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "observe/log_join.h"
#include "wire/fwlog_text.h"

#define READ_BLOCK 65536u
#define ZONE_MAX   (24 * 60)

/* bytes[pos..end) has been read and is not yet handed on. */
struct log_source {
	int fd;
	bool pollable, at_end, failed;
	bool known;   /* the format */
	bool in_long; /* passing over the rest of a line that was too long */
	size_t pos, end;
	struct fwlog wire;
	struct log_join *join;
	const struct flow_sink *sink; /* during pump and flush only */
	struct log_stats stats;
	uint8_t bytes[FWLOG_LINE_MAX + READ_BLOCK];
};

int log_open(const char *where, int *ret_fd, uint64_t *ret_ref_nsec, struct err *e)
{
	struct stat st;
	int fd = strcmp(where, "-") ? sys->open(where, O_RDONLY | O_CLOEXEC | O_NOCTTY, 0)
	                            : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return err_set(e, -errno, "cannot open log %s: %s", where, strerror(errno));
	*ret_ref_nsec = wall_now() * 1000;
	if (fstat(fd, &st) == 0) {
		if (S_ISDIR(st.st_mode)) {
			sys->close(fd);
			return err_set(e, -EISDIR, "%s is a directory, not a log", where);
		}
		if (S_ISREG(st.st_mode) && st.st_mtim.tv_sec > 0)
			*ret_ref_nsec = (uint64_t)st.st_mtim.tv_sec * UINT64_C(1000000000);
	}
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	*ret_fd = fd;
	return 0;
}

static void on_flow(void *arg, const struct flow *f, enum fwlog_action action)
{
	struct log_source *s = arg;

	s->stats.flows++;
	s->stats.allowed += action == FWLOG_ALLOWED;
	s->stats.denied += action == FWLOG_DENIED;
	if (!s->stats.first_nsec || f->start_nsec < s->stats.first_nsec)
		s->stats.first_nsec = f->start_nsec;
	if (f->end_nsec > s->stats.last_nsec)
		s->stats.last_nsec = f->end_nsec;
	s->sink->flow(s->sink->arg, f, action);
}

int log_attach(int fd, const struct log_options *o, struct log_source **ret, struct err *e)
{
	struct log_source *s;

	if (o->format >= _FWLOG_FORMAT_MAX || o->zone_min < -ZONE_MAX || o->zone_min > ZONE_MAX)
		return err_set(e, -EINVAL, "unknown format or time zone of a log");
	if (!(s = malloc(sizeof(*s))))
		return err_set(e, -ENOMEM, "no memory for reading a log");
	memset(s, 0, offsetof(struct log_source, bytes));
	if (log_join_new(on_flow, s, &s->join) < 0) {
		free(s);
		return err_set(e, -ENOMEM, "no memory for reading a log");
	}
	s->fd = fd;
	s->pollable = lseek(fd, 0, SEEK_CUR) < 0;
	s->known = o->format >= 0;
	s->wire.format = s->known ? (enum fwlog_format)o->format : FWLOG_ASA;
	s->wire.clock.ref_nsec = o->ref_nsec;
	s->wire.clock.zone_min = o->zone_min;
	*ret = s;
	return 0;
}

static void bad(struct log_source *s, uint64_t *count, const char *why)
{
	++*count;
	if (s->stats.bad_line)
		return;
	s->stats.bad_line = s->stats.lines;
	snprintf(s->stats.bad_why, sizeof(s->stats.bad_why), "%s", why);
}

static void one_line(struct log_source *s, struct cursor line)
{
	struct fwlog_record r;
	const char *why = "";

	s->stats.lines++;
	switch (fwlog_line(&s->wire, line, &r, &why)) {
	case FWLOG_RECORD:
		s->stats.records++;
		s->stats.halved += r.halved;
		log_join_add(s->join, &r);
		break;
	case FWLOG_SKIP:
		s->stats.skipped++;
		break;
	case FWLOG_LOST:
		s->stats.lost++;
		break;
	case FWLOG_BAD:
		bad(s, &s->stats.bad, why);
		break;
	}
}

/* Takes the next line out of what was read. */
static bool next_line(struct log_source *s, struct cursor *ret)
{
	struct cursor c = cursor_of(s->bytes + s->pos, s->end - s->pos);

	if (!text_until(&c, '\n', ret))
		return false;
	s->pos = (size_t)(c.p - s->bytes);
	return true;
}

/* What has no newline in the first FWLOG_LINE_MAX bytes is not kept. */
static void drop_long(struct log_source *s)
{
	if (s->end - s->pos <= FWLOG_LINE_MAX)
		return;
	s->pos = s->end;
	s->in_long = true;
}

static void hand_on(struct log_source *s, struct cursor line)
{
	if (!s->in_long && cursor_left(&line) <= FWLOG_LINE_MAX) {
		one_line(s, line);
		return;
	}
	s->in_long = false;
	s->stats.lines++;
	bad(s, &s->stats.overlong, "longer than 16384 bytes");
}

/* 1: the format is known, 0: more lines are needed, -EBADMSG. */
static int detect(struct log_source *s, struct err *e)
{
	struct cursor all = cursor_of(s->bytes + s->pos, s->end - s->pos), c = all, line;
	size_t lines = 0;
	int format = fwlog_detect(all);

	if (format >= 0) {
		s->wire.format = (enum fwlog_format)format;
		s->known = true;
		return 1;
	}
	while (text_until(&c, '\n', &line))
		lines++;
	if (!s->at_end && lines < LOG_DETECT_LINES && cursor_left(&all) <= FWLOG_LINE_MAX)
		return 0;
	s->failed = true;
	if (!cursor_left(&all))
		return err_set(e, -EBADMSG, "the log is empty");
	return err_set(e, -EBADMSG,
	               "not the log of a firewall that is known here (asa, junos, panos, aws, "
	               "netfilter): none of its first %zu lines looks like one",
	               lines);
}

/* 1: the descriptor can be read, 0: not yet, -errno. */
static int readable(const struct log_source *s, int timeout_ms)
{
	struct pollfd p = {.fd = s->fd, .events = POLLIN};
	int r = s->pollable ? sys->poll(&p, 1, timeout_ms) : 1;

	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	return r;
}

/* Reads one more block behind what is left, which is at most one line. 1: bytes came or the end is
 * known, 0: none yet. A last line gets the newline that it may lack. */
static int fill(struct log_source *s, int timeout_ms, struct err *e)
{
	int r = readable(s, timeout_ms);

	if (r > 0) {
		memmove(s->bytes, s->bytes + s->pos, s->end - s->pos);
		s->end -= s->pos;
		s->pos = 0;
		ssize_t n = sys->read(s->fd, s->bytes + s->end, READ_BLOCK);
		if (n >= 0) {
			s->at_end = n == 0;
			s->end += (size_t)n;
			s->stats.bytes += (uint64_t)n;
			if (s->at_end && (s->end ? s->bytes[s->end - 1] != '\n' : s->in_long))
				s->bytes[s->end++] = '\n';
			return 1;
		}
		r = errno == EINTR || errno == EAGAIN ? 0 : -errno;
	}
	if (r < 0) {
		s->failed = true;
		return err_set(e, r, "cannot read behind line %" PRIu64 ": %s", s->stats.lines,
		               strerror(-r));
	}
	return 0;
}

void log_flush(struct log_source *s, const struct flow_sink *sink)
{
	s->sink = sink;
	log_join_flush(s->join);
}

/* Hands on the lines that are there. */
static void hand_on_all(struct log_source *s, uint64_t stop)
{
	struct cursor line;

	while (s->stats.lines < stop && next_line(s, &line))
		hand_on(s, line);
}

int log_pump(struct log_source *s, const struct flow_sink *sink, unsigned max, int timeout_ms,
             struct err *e)
{
	uint64_t stop = s->stats.lines + max;

	s->sink = sink;
	while (!s->failed) {
		int r = s->known ? 1 : detect(s, e);
		if (r < 0)
			return r;
		if (r > 0)
			hand_on_all(s, stop);
		if (s->stats.lines >= stop)
			return 1;
		if (s->at_end) {
			log_flush(s, sink);
			return 0;
		}
		drop_long(s);
		if ((r = fill(s, timeout_ms, e)) <= 0)
			return r < 0 ? r : 1;
	}
	return 0;
}

void log_stats(const struct log_source *s, struct log_stats *ret)
{
	*ret = s->stats;
	ret->evicted = log_join_evicted(s->join);
	ret->format = s->known ? (int)s->wire.format : _FWLOG_FORMAT_INVALID;
	ret->year_taken = s->wire.clock.year_taken;
	ret->zone_taken = s->wire.clock.zone_taken;
	ret->uptime_taken = s->wire.clock.uptime_taken;
}

void log_close(struct log_source *s)
{
	if (!s)
		return;
	sys->close(s->fd);
	log_join_free(s->join);
	free(s);
}

/* A list of sentences that is full at max. */
struct notes {
	size_t n, max;
	char (*text)[LOG_NOTE_MAX];
};

static void note(struct notes *t, bool when, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void note(struct notes *t, bool when, const char *fmt, ...)
{
	va_list ap;

	if (!when || t->n == t->max)
		return;
	va_start(ap, fmt);
	vsnprintf(t->text[t->n++], LOG_NOTE_MAX, fmt, ap);
	va_end(ap);
}

size_t log_notes(const struct log_stats *st, const struct log_options *o, size_t max,
                 char ret[][LOG_NOTE_MAX])
{
	struct notes t = {.max = max, .text = ret};
	int zone = o->zone_min < 0 ? -o->zone_min : o->zone_min;
	char ref[TIME_STR_MAX];

	note(&t, st->bad + st->overlong > 0,
	     "%" PRIu64 " of %" PRIu64 " lines could not be read; the first is line %" PRIu64
	     ": %s",
	     st->bad + st->overlong, st->lines, st->bad_line, st->bad_why);
	note(&t, st->lost > 0,
	     "%" PRIu64 " lines say that the logging side itself skipped records there", st->lost);
	note(&t, st->evicted > 0,
	     "%" PRIu64 " connections were told before their end was seen: too many were open at "
	     "once",
	     st->evicted);
	note(&t, st->halved > 0,
	     "this log has one sum of bytes for both directions: half is put into each, so that "
	     "uploads cannot be told from downloads");
	note(&t, st->zone_taken, "times name no zone: read as UTC%c%02d:%02d",
	     o->zone_min < 0 ? '-' : '+', zone / 60, zone % 60);
	note(&t, st->year_taken, "times have no year: the latest before %.10s",
	     time_str(o->ref_nsec / 1000 + 86400 * USEC_PER_SEC, ref));
	note(&t, st->uptime_taken,
	     "times count from the start of the machine: the first is put at %.19sZ",
	     time_str(o->ref_nsec / 1000, ref));
	return t.n;
}
