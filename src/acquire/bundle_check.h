/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Verifying a bundle from its bytes alone: no journal and no network needed, on any machine. */
#ifndef STANCH_ACQUIRE_BUNDLE_CHECK_H
#define STANCH_ACQUIRE_BUNDLE_CHECK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "model/evidence.h"

struct bundle_wish {
	/* What is known from elsewhere; NULL: not known. In hex. */
	const char *manifest;    /* SHA-256 of manifest.json, from the journal */
	const char *fingerprint; /* of the key that must have signed */
	/* One file, or "." for the bundle, that is not what it should be, and why. */
	void (*problem)(void *arg, const char *file, const char *why);
	void (*progress)(void *arg, const char *doing, uint64_t done, uint64_t total); /* or NULL */
	void *arg;
};

struct bundle_verdict {
	unsigned problems; /* 0: all is as the manifest says */
	uint64_t files, bytes;
	char manifest[EVIDENCE_HEX_MAX], root[EVIDENCE_HEX_MAX], fingerprint[EVIDENCE_HEX_MAX];
	json_t
	    *about; /* what the manifest is about, once its signature held; the caller's; or NULL */
};

/* Is this folder a bundle, be it a damaged one (or else a folder of an incident with bundles)? */
bool bundle_is(const char *path);
/* Reads every byte. 0 with the verdict; -errno where the folder cannot be looked at. */
int bundle_check(const char *path, const struct bundle_wish *w, struct bundle_verdict *ret,
                 struct err *e);
/* The evidence as the journal would have it, from the manifest of a bundle that was checked and has
 * no problem. -EBADMSG where the manifest is not about evidence `id` of `incident`. */
int bundle_evidence(const struct bundle_verdict *v, unsigned id, const char *incident,
                    struct evidence *ret, struct err *e);

#endif
