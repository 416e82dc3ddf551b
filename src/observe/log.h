/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Logs of firewalls as a source of flows: a file, a pipe or standard input ("-"), line by line.
 * The format is told, or found from the first lines.
 *
 * Invariants
 *  1. Memory is fixed at attach, whatever a log contains.
 *  2. Every line is a record, skipped, lost, bad or too long, and counted as such; empty lines are
 *     skipped. Bad lines never end the reading; the first one is kept with its number and why.
 *  3. Flows come out as log_join.h has it. After the last line all that was waiting comes out.
 *  4. pump fails once, then returns 0: -EBADMSG where no line looks like a known format, else the
 *     errno of read.
 */
#ifndef STANCH_OBSERVE_LOG_H
#define STANCH_OBSERVE_LOG_H

#include "base/err.h"
#include "model/flow.h"
#include "wire/fwlog.h"

#define LOG_DETECT_LINES 200 /* so many are looked at before a format is despaired of */

/* How a log is to be read. */
struct log_options {
	int format;        /* enum fwlog_format, or _FWLOG_FORMAT_INVALID: find out */
	int zone_min;      /* of times that name no zone: minutes east of UTC */
	uint64_t ref_nsec; /* when the log was written last, wall: for times without a year */
};

struct log_stats {
	uint64_t lines, bytes, records, flows, allowed, denied; /* allowed, denied: of the flows */
	uint64_t skipped, lost, bad, overlong, evicted;
	uint64_t halved; /* records with one sum of both directions */
	uint64_t first_nsec, last_nsec;
	uint64_t bad_line; /* number of the first bad or overlong one, from 1; 0: none */
	char bad_why[128]; /* "" none */
	int format;        /* enum fwlog_format; invalid until it is known */
	bool year_taken;   /* times had no year: taken from ref_nsec */
	bool zone_taken;   /* times had no zone: zone_min was taken */
	bool uptime_taken; /* only the kernel's clock: the first line was put at ref_nsec */
};

struct flow_sink {
	/* f is valid in the call. */
	void (*flow)(void *arg, const struct flow *f, enum fwlog_action action);
	void *arg;
};

struct log_source;

/* Privileged: opens a path or "-"; *ret_ref_nsec is for log_options: when the file was changed
 * last, or now. */
int log_open(const char *where, int *ret_fd, uint64_t *ret_ref_nsec, struct err *e);
/* Unprivileged; takes the fd over on success. -ENOMEM, -EINVAL. */
int log_attach(int fd, const struct log_options *o, struct log_source **ret, struct err *e);
/* Reads at most max lines; waits up to timeout_ms only where the descriptor is no regular file.
 * 1: more may come, 0: end of the log, -errno. Texts do not name the file. System calls: read,
 * poll.
 */
int log_pump(struct log_source *s, const struct flow_sink *sink, unsigned max, int timeout_ms,
             struct err *e);
/* Hands out what is waiting, when reading is ended early. */
void log_flush(struct log_source *s, const struct flow_sink *sink);
void log_stats(const struct log_source *s, struct log_stats *ret);
void log_close(struct log_source *s); /* takes NULL */

/* What a person should know about how this log was read; at most `max` sentences into ret, each
 * without a newline. Returns how many. */
#define LOG_NOTE_MAX 256
size_t log_notes(const struct log_stats *st, const struct log_options *o, size_t max,
                 char ret[][LOG_NOTE_MAX]);

#endif
