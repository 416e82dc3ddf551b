/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the screen shows, as it was at one moment: flows, processes, findings, interface rates. It
 * is taken anew every second, and not while the screen stands still; what is counted goes on.
 *
 * Invariants
 *  1. Bounded: SCREEN_FLOWS flows, SCREEN_PROCS processes, SCREEN_FINDINGS findings; what does not
 *     fit is counted in `left_out`.
 *  2. A process's totals contain flows that have ended; a live flow row exists while it lives. Of a
 *     capture, in which all flows end, the rows stay.
 *  3. "Out" is from our side, as in observe/upload.h.
 */
#ifndef STANCH_UI_SCREEN_DATA_H
#define STANCH_UI_SCREEN_DATA_H

#include "kern/link.h"
#include "observe/geo.h"
#include "observe/watch.h"
#include "ui/rate_table.h"

#define SCREEN_FLOWS    (1u << 17)
#define SCREEN_PROCS    (1u << 14)
#define SCREEN_FINDINGS 256
#define SCREEN_IFACES   16
#define SCREEN_SECONDS  60
#define SCREEN_USERS    4096

struct flow_row {
	struct seen_flow f;
	bool we_opened;
	uint64_t out, in, rate_out, rate_in; /* bytes; a capture's rates are means over the flow */
};

struct proc_row {
	const struct owner *owner; /* pid 0: of the flows whose owner is not known */
	uint64_t out, in, rate_out, rate_in;
	uint32_t living, flows; /* flows now; ever */
};

struct iface_row {
	char name[IFNAMSIZ];
	uint64_t out[SCREEN_SECONDS],
	    in[SCREEN_SECONDS]; /* bytes/s, oldest first; UINT64_MAX: none */
	uint64_t dropped;       /* by the interface, since we look */
	unsigned seconds;       /* how often it was sampled; for graphs that do not jitter */
};

struct user_row {
	uint32_t uid;
	char name[33];
};

/* What stays the same while the screen is up. */
struct screen_about {
	bool live;
	const char *what;         /* a capture's or a log's name; live: NULL */
	const char *const *iface; /* live: n_ifaces names, 0: all that are up but lo */
	size_t n_ifaces;
	const char *blind;     /* what this way of looking does not see; "" nothing */
	const struct geo *geo; /* may be NULL */
	bool contain;          /* there is a verb that carries out all orders of a finding */
};

struct screen_data {
	struct screen_about about;
	struct flow_row *flows; /* owned, n_flows of them */
	size_t n_flows, cap_flows;
	struct proc_row *procs; /* owned */
	size_t n_procs;
	struct finding findings[SCREEN_FINDINGS];
	size_t n_findings;
	struct iface_row ifaces[SCREEN_IFACES];
	size_t n_ifaces;
	struct source_stats stats;
	struct watch_losses losses;
	uint64_t unowned;       /* bytes of flows without a known owner */
	uint64_t left_out;      /* rows that did not fit */
	usec_t now;             /* wall; of a capture its end */
	struct user_row *users; /* owned; from /etc/passwd, once */
	size_t n_users;
	struct tally *tally; /* what goes on counting; screen_data.c */
};

int screen_data_new(const struct screen_about *about, struct screen_data **ret);
void screen_data_free(struct screen_data *d); /* takes NULL */
/* Reads names of users; a file that is not there is none. */
void screen_data_users(struct screen_data *d, const char *passwd);

/* These count, whether the screen stands still or not. we_opened: watch_we_opened. */
void screen_data_final(struct screen_data *d, const struct seen_flow *f, bool we_opened);
void screen_data_finding(struct screen_data *d, const struct finding *f);
void screen_data_links(struct screen_data *d, const struct link *l, size_t n, usec_t boot);

/* The moment that is shown becomes now: begin, then each living flow, then end. */
void screen_data_begin(struct screen_data *d);
void screen_data_living(struct screen_data *d, const struct seen_flow *f, bool we_opened);
void screen_data_end(struct screen_data *d, const struct source_stats *s,
                     const struct watch_losses *l, usec_t wall);
/* The findings told from here on are those of the next moment. */
void screen_data_forget_findings(struct screen_data *d);

/* "root", else the number. */
const char *screen_data_user(const struct screen_data *d, uint32_t uid, char dst[static 12]);

#endif
