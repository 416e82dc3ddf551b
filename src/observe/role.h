/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Observing: the parent opens the sources (it has the rights), a sandboxed child reads every byte
 * that came from outside and sends flow records back.
 */
#ifndef STANCH_OBSERVE_ROLE_H
#define STANCH_OBSERVE_ROLE_H

#include <signal.h>

#include "model/flow.h"
#include "model/source_ops.h"
#include "observe/record.h"
#include "priv/role.h"

#define OBSERVE_SOURCES_MAX ROLE_FDS_MAX

/* The child's job; a row of the composition root's registry is OBSERVE_ROLE. */
int observe_role(int channel, const int *fds, size_t n_fds);
extern const int observe_syscalls[];
#define OBSERVE_ROLE                                                                               \
	{                                                                                          \
		"observe", observe_role, observe_syscalls                                          \
	}

struct observe_job {
	bool live;                /* interfaces, else one capture file or log */
	bool log;                 /* the log of a firewall (log.h); not with live */
	int log_format;           /* enum fwlog_format; invalid: it is found out */
	const char *const *where; /* n of them: interface names; a path or "-" */
	size_t n;
	usec_t run;       /* live: stop after that long; 0: until *stop */
	unsigned tick_ms; /* live: how often `changed` and `tick` come */
	size_t max_flows; /* held at once; what is over is put out early and counted */
	const volatile sig_atomic_t *stop; /* set by a signal handler; may be NULL */
	void *arg;
	/* final: the flow has left the table; else it changed and will come again. NULL: only what
	 * payloads say is wanted. */
	void (*flow)(void *arg, const struct flow *f, bool final);
	/* What else is seen; each may be NULL: not wanted, and not looked for. */
	void (*app)(void *arg, const struct app_event *a);
	void (*dns)(void *arg, const struct dns_event *d);
	void (*resume)(void *arg, const struct resume_event *r);
	/* live: after the changed flows of one tick; may be NULL. */
	void (*tick)(void *arg, const struct source_stats *s);
	/* A sentence about how the source was read; may be NULL. */
	void (*note)(void *arg, const char *text);
	/* Packets that are wanted whole; both or none. pick is asked after each tick and, with
	 * ended, when everything has been read, until it returns false; at most PICKS_MAX times in
	 * all. frame gets what they want, in the order of the source, when it is known that no
	 * earlier one is wanted; why is the number of the pick, from 0. */
	bool (*pick)(void *arg, bool ended, struct pick *ret);
	void (*frame)(void *arg, const struct frame *f, size_t why);
	struct kept_record *kept; /* gets how that went; may be NULL */
	/* At least every OBSERVE_IDLE_MSEC, whatever comes in or does not; may be NULL. */
	void (*idle)(void *arg);
};
#define OBSERVE_IDLE_MSEC 50

/* Runs the job to its end. limits gets what the sandbox could not do here ("" none). Errors of the
 * sources are those of their open; -EBADMSG: the child sent nonsense or died: what came before is
 * valid. */
int observe_run(const struct observe_job *job, struct source_stats *ret, char limits[static 128],
                struct err *e);

#endif
