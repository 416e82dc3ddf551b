/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dpkg's database: status, info/NAME.list, info/NAME.md5sums, diversions. Sources: dpkg(1),
 * deb-md5sums(5), deb-conffiles(5), dpkg-divert(1), lib/dpkg/dump.c for the order of diversions.
 * It lies on the host that is looked at: it says what somebody wants us to think.
 */
#ifndef STANCH_WIRE_DPKG_H
#define STANCH_WIRE_DPKG_H

#include "wire/lines.h"

/* One stanza of status. Views into the bytes; empty where the field is absent. */
struct dpkg_package {
	struct cursor name, version, arch, multi_arch;
	struct cursor want, flag, state; /* the three words of Status: "install ok installed" */
	struct cursor conffiles;         /* the lines of the field, for dpkg_conffile */
};
/* False at the end. Stanzas without a name are passed over. */
bool dpkg_package_next(struct lines *status, struct dpkg_package *ret);

struct dpkg_hash {
	struct cursor path; /* "/etc/x"; of md5sums without the slash it begins with */
	uint8_t md5[16];
	bool obsolete; /* conffile: the package no longer has it */
};
/* " /etc/x 0123… [obsolete]"; false at the end. Lines without a hash ("newconffile") are not given.
 */
bool dpkg_conffile_next(struct lines *field, struct dpkg_hash *ret);
/* "0123…  usr/bin/x" */
bool dpkg_md5_next(struct lines *sums, struct dpkg_hash *ret);

struct dpkg_diversion {
	struct cursor from, to, package; /* package ":" is local */
};
bool dpkg_diversion_next(struct lines *diversions, struct dpkg_diversion *ret);

#endif
