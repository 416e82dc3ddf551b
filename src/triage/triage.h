/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Triage: who and what is on this host that should not be. Each area looks at one kind of thing and
 * hands out findings; nothing is changed, no program of the host is run, no NSS is asked.
 *
 * Invariants
 *  1. Every file of the host is opened beneath one descriptor of its root, opened once: an absolute
 *     link of a mounted root stays in it, a magic link is refused, a FIFO or device is never
 *     waited for, and access times are not moved where we may say so.
 *  2. A finding comes from a row of a rule table, which has its harmless explanation and its ATT&CK
 *     technique; an area adds the evidence, the selector, and the orders proposed.
 *  3. What could not be seen, and why, is told once for each area, as is a limit that was reached.
 *  4. All that is read was written by somebody who may own the host: bounded, parsed by wire/.
 */
#ifndef STANCH_TRIAGE_TRIAGE_H
#define STANCH_TRIAGE_TRIAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "model/finding.h"

#define TRIAGE_UNSEEN_MAX 16

struct triage;

/* One sign. name is unique over all areas; doc/triage.md has a row for each. */
struct triage_rule {
	const char *name; /* "reverse_shell": fits FINDING_RULE_MAX */
	enum finding_kind kind;
	double score;          /* the finding's, unless the area has reason for another one */
	const char *technique; /* "T1059.004" */
	const char *benign;    /* what harmless thing looks the same */
};

struct triage_area {
	const char *name; /* as --area takes it */
	/* Looks, and calls triage_found. 0 or -errno: it could not look at all. */
	int (*run)(struct triage *t, struct err *e);
	const struct triage_rule *rules; /* ended by a row without a name */
	usec_t limit;                    /* it asks triage_over and ends by then */
	bool offline;                    /* looks at a mounted root (--root), too */
	const char *needs;               /* the rights it needs to see all; for --help and doc */
};
/* Ended by a row without a name. */
extern const struct triage_area triage_areas[];

/* What an area did. */
struct triage_stats {
	const char *area;
	uint64_t looked; /* things looked at: processes, sockets, files, records */
	unsigned found;  /* findings of any score */
	usec_t took;
	bool limit;       /* time or room ran out: what is told is not all */
	bool skipped;     /* it did not run: not for a mounted root */
	char failed[256]; /* it could not look at all; "" */
	size_t n_unseen;
	char unseen[TRIAGE_UNSEEN_MAX][160]; /* what could not be seen, and why */
};

/* The context of a run. Areas read it; only triage_run writes root, live and since. */
struct triage {
	int root;  /* descriptor of the host's root */
	int proc;  /* of a procfs: of ours alone where the kernel gives one; -1: not live */
	bool live; /* this host, running; else files only */
	const char *beneath; /* what --root names; NULL: live */
	bool own_proc;       /* proc is a mount of our own: nothing is mounted over it */
	usec_t since;        /* what was changed before is of less interest; 0: no such time */
	usec_t deadline;     /* boot time by which the area at hand ends */
	struct triage_stats *stats; /* of the area at hand */
	const struct triage_area *area;
	void (*found)(void *arg, const struct finding *f);
	void *arg;
	struct procs *procs; /* see procs.h; made by the first area that asks */
};

struct triage_config {
	const char *root; /* NULL: this host, live */
	usec_t since;
	uint64_t areas; /* bit i: row i of triage_areas; 0: all */
	void (*found)(void *arg, const struct finding *f);
	void (*done)(void *arg, const struct triage_stats *s); /* after each area */
	void *arg;
};

/* Runs the areas one after the other; one that fails does not stop the others. -errno: the root
 * cannot be opened. */
int triage_run(const struct triage_config *c, struct err *e);
/* Row number, or -EINVAL. */
int triage_area_parse(const char *name);

/* --- for areas --- */

/* Opens a file beneath the root: path as from "/". flags as of open(2); O_NOATIME is added where it
 * is allowed, O_NONBLOCK, O_NOCTTY and O_CLOEXEC always. Links are followed within the root, unless
 * O_NOFOLLOW. -errno. */
int triage_open(const struct triage *t, const char *path, int flags);
int triage_open_at(const struct triage *t, int dir, const char *path, int flags);
/* lstat beneath the root. */
int triage_stat(const struct triage *t, const char *path, struct stat *ret);
/* A regular file's bytes, at most b->max: -EFBIG when it has more (b holds the beginning). Anything
 * but a regular file: -EINVAL. Adds to b. */
int triage_read(const struct triage *t, const char *path, struct buf *b);
/* The same for a descriptor, which stays open; of /proc and /sys, too. */
int triage_read_fd(int fd, struct buf *b);
/* Opens a folder and calls cb for each name but "." and "..", by getdents, until it returns false.
 * type is DT_*. Also for a folder of more names than one would like: ask triage_over. */
typedef bool (*triage_name_fn)(void *arg, int dir, const char *name, unsigned char type);
int triage_list(const struct triage *t, const char *path, triage_name_fn cb, void *arg);
int triage_list_fd(int fd, triage_name_fn cb, void *arg);

/* Has the area's time run out? Notes it. Cheap enough for every thing looked at. */
bool triage_over(struct triage *t);
/* What could not be seen; the same sentence is kept once. */
void triage_unseen(struct triage *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A finding of the area's rule of that name (which must be there), with the rule's kind, score,
 * technique and benign text; no evidence yet. */
void triage_begin(const struct triage *t, const char *rule, struct finding *ret);
/* Hands it out. Texts are cleaned of what is no text (proc_clean), and first and last set to now
 * where they are 0. */
void triage_found(struct triage *t, struct finding *f);

#endif
