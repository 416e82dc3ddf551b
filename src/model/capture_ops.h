/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A kind of evidence and how it is taken: disk, memory, state. The verb `acquire` knows captures
 * only through this table; adding one = its files in src/acquire and one row in stanch.c.
 *
 * Legal order of calls: preflight, then at most one run with the same order. Both may block.
 *
 * A capture writes through its sink and nowhere else. What it writes becomes part of the bundle:
 * every file that it ends is hashed on the way, of exactly the bytes written, and listed in the
 * manifest that is signed at the end.
 */
#ifndef STANCH_MODEL_CAPTURE_OPS_H
#define STANCH_MODEL_CAPTURE_OPS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "model/evidence.h"

#define CAPTURE_NAME_MAX    240 /* of a file in the bundle, "data/" not counted */
#define CAPTURE_OPTIONS_MAX 32

/* What the command line asks for. All belongs to the caller. */
struct capture_order {
	const char *source; /* "/dev/sda"; NULL where the kind takes none */
	struct capture_option {
		const char *name, *text; /* text NULL for a flag */
		uint64_t number;         /* counts; usec for durations */
	} options[CAPTURE_OPTIONS_MAX];
	size_t n_options;
	/* For formats that have a place for them: UTF-8 without control characters, or NULL. */
	const char *evidence, *examiner, *case_id;
	const char *resume_dir; /* data folder of an evidence that was left unfinished; NULL: new */
};
bool capture_has(const struct capture_order *o, const char *name);
/* The last value of that name, or `otherwise`. */
const char *capture_text(const struct capture_order *o, const char *name, const char *otherwise);
uint64_t capture_number(const struct capture_order *o, const char *name, uint64_t otherwise);
/* "4096", "64k", "2G": a whole number above 0, with k, M, G or T (powers of 1024). -EINVAL. */
int capture_size_parse(const char *s, uint64_t *ret, struct err *e);

struct capture_sink;

/* A file being written to, from front to back. */
struct capture_file;

struct capture_sink_ops {
	/* Creates data/NAME; '/' makes folders, "..", a leading '/' and control bytes are refused
	 * (-EINVAL), as is a name that is there already (-EEXIST). */
	int (*begin)(struct capture_sink *s, const char *name, struct capture_file **ret,
	             struct err *e);
	/* All n bytes or an error; what was written before an error stays counted. */
	int (*write)(struct capture_file *f, const void *bytes, size_t n, struct err *e);
	/* n zero bytes, as a hole where the sink has holes; they are hashed like any other. */
	int (*zeros)(struct capture_file *f, uint64_t n, struct err *e);
	/* Syncs, closes, notes size and hash; frees f in every case. */
	int (*end)(struct capture_file *f, struct err *e);
	/* Closes without listing it; the file stays only if `keep`. Takes NULL. */
	void (*drop)(struct capture_file *f, bool keep);
	/* A file that the capture itself wrote below sink->dir, with its size and hash. */
	int (*list)(struct capture_sink *s, const char *name, uint64_t size,
	            const uint8_t sha256[static EVIDENCE_HASH_LEN], struct err *e);
	/* One action or observation, with the time, into data/log.jsonl; takes the reference. */
	int (*log)(struct capture_sink *s, const char *what, json_t *fields, struct err *e);
	/* done of total bytes (0: not known) of what is now being done ("reading"). Cheap. */
	void (*progress)(struct capture_sink *s, const char *doing, uint64_t done, uint64_t total);
};

struct capture_sink {
	const struct capture_sink_ops *ops;
	int dir; /* the evidence's data folder; -1: streams only (ssh, standard output) */
	/* What is now true of this evidence beyond its files: goes into the manifest ("source",
	 * "unread", "hashes", …). An object, owned by the sink. */
	json_t *facts;
	const volatile bool *stop; /* true: end soon, leave things so that they can be resumed */
};

enum capture_outcome {
	CAPTURE_WHOLE,   /* all of it */
	CAPTURE_PARTIAL, /* something could not be read; it is named */
};

struct capture_report {
	enum capture_outcome outcome;
	/* Of what the evidence is about, not of the files beside it: "image.raw", its size as the
	 * examiner knows it (of the disk), and the SHA-256 of that content. May stay empty. */
	char main_file[CAPTURE_NAME_MAX];
	uint64_t bytes, missing; /* of the source: covered, and not readable among these */
	char sha256[EVIDENCE_HEX_MAX];
	struct buf notes; /* sentences for a person, one a line */
};

struct capture_ops {
	const char *name;     /* "disk": the word behind `acquire` */
	const char *argument; /* "DEV"; NULL: takes none */
	bool argument_optional;
	const char *const *options; /* names of options that it takes; ended by NULL */
	/* What would be taken and what stands against it, without changing anything. The object
	 * has at least "source"; "bytes" is an estimate of what goes to the sink (0: not known),
	 * "notes" an array of sentences. -EPERM, -ENOENT, -EOPNOTSUPP, -EBUSY: refused, with what
	 * would help. dest: a descriptor of the folder that it would go to (the nearest that
	 * exists), -1: not on this machine's disks. */
	int (*preflight)(const struct capture_order *o, int dest, json_t **ret, struct err *e);
	/* 0 and *ret (whose notes the caller frees), or -errno: then what was written so far stays
	 * as it is, without a manifest. -EINTR: stopped as asked, may be resumed. */
	int (*run)(const struct capture_order *o, struct capture_sink *s,
	           struct capture_report *ret, struct err *e);
	bool resumable;
};

#endif
