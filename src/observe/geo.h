/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where an address is registered: country, autonomous system and who runs it, from files in
 * MaxMind's format that the operator has put there. Offline: nothing is asked of anyone. The files
 * are trusted as the configuration is which names them; they are mapped, not read in.
 *
 * Fields read: country.iso_code, autonomous_system_number, autonomous_system_organization (GeoLite2
 * and GeoIP2 Country, City, ASN; DB-IP has the same). "registered_country" is another thing and
 * does not stand in. Source: MaxMind DB File Format Specification 2.0.
 *
 * Built without libmaxminddb (meson -Dgeo=disabled), geo_add says so and nothing is ever found.
 */
#ifndef STANCH_OBSERVE_GEO_H
#define STANCH_OBSERVE_GEO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"

#define GEO_FILES_MAX 4 /* country and ASN mostly come as two files */
#define GEO_ORG_MAX   96

struct geo_place {
	char country[3];          /* ISO 3166-1 alpha-2, capitals; "" unknown */
	uint32_t asn;             /* 0 unknown */
	char as_org[GEO_ORG_MAX]; /* UTF-8 without control characters, cut at a character; ""
	                             unknown */
};

struct geo;

int geo_new(struct geo **ret); /* -ENOMEM; without files: finds nothing */
void geo_free(struct geo *g);  /* takes NULL */
/* -ENOENT, -EACCES, …: cannot be opened; -EBADMSG: not in that format; -E2BIG: GEO_FILES_MAX are
 * there; -EOPNOTSUPP: built without. */
int geo_add(struct geo *g, const char *path, struct err *e);
/* Of several files that know a field the first added is believed. False, and *ret empty: none knows
 * anything. g may be NULL. Safe for several threads at once. */
bool geo_find(const struct geo *g, const struct addr *a, struct geo_place *ret);

#endif
