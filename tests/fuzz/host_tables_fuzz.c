/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Units, crontabs, dpkg's files, authorized_keys, sudoers: the first byte says which reader gets
 * the rest. Views must lie in the bytes or in what the reader joined; each reader comes to an end.
 */
#include <stdlib.h>

#include "wire/authkeys.h"
#include "wire/crontab.h"
#include "wire/dpkg.h"
#include "wire/sudoers.h"
#include "wire/unit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *from, *to;
static const struct buf *joined;

static void inside(struct cursor c)
{
	bool here = c.p >= from && c.end <= to;
	bool there =
	    joined && joined->data && c.p >= joined->data && c.end <= joined->data + joined->len;
	if (c.p > c.end || (c.p != c.end && !here && !there))
		abort();
}

static void units(size_t n)
{
	struct unit_reader r;
	struct unit_exec e;
	unit_init(&r, from, n);
	joined = &r.joined;
	for (struct unit_line l; unit_next(&r, &l);) {
		inside(l.section);
		inside(l.key);
		inside(l.value);
		if (unit_exec(l.value, &e)) {
			inside(e.program);
			inside(e.rest);
		}
	}
	unit_free(&r);
}

static void crontabs(size_t n, bool system)
{
	struct crontab_reader r = crontab_reader_of(system, from, n);
	for (struct crontab_line l; crontab_next(&r, &l);) {
		inside(l.when);
		inside(l.user);
		inside(l.command);
		inside(l.name);
		inside(l.value);
		if (l.kind == CRONTAB_ENTRY && l.command.p == l.command.end)
			abort();
	}
}

static void dpkg(size_t n)
{
	struct lines l = lines_of(from, n);
	struct dpkg_hash h;
	struct dpkg_diversion d;
	for (struct dpkg_package p; dpkg_package_next(&l, &p);) {
		struct lines c = lines_of(p.conffiles.p, cursor_left(&p.conffiles));
		inside(p.name);
		inside(p.state);
		inside(p.conffiles);
		while (dpkg_conffile_next(&c, &h))
			inside(h.path);
	}
	for (l = lines_of(from, n); dpkg_md5_next(&l, &h);)
		inside(h.path);
	for (l = lines_of(from, n); dpkg_diversion_next(&l, &d);)
		inside(d.package);
}

static void authkeys(size_t n)
{
	struct lines l = lines_of(from, n);
	char print[AUTHKEYS_FINGERPRINT_MAX];
	for (struct authkeys_line k; authkeys_next(&l, &k);) {
		struct cursor name, value;
		inside(k.type);
		inside(k.blob);
		inside(k.comment);
		while (authkeys_option(&k.options, &name, &value)) {
			inside(name);
			inside(value);
		}
		if (authkeys_fingerprint(k.blob, print) && strlen(print) != sizeof print - 1)
			abort();
	}
}

static void sudoers(size_t n)
{
	struct sudoers_reader r;
	sudoers_init(&r, from, n);
	joined = &r.joined;
	for (struct sudoers_line l; sudoers_next(&r, &l);) {
		inside(l.who);
		inside(l.what);
	}
	sudoers_free(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	from = data + 1;
	to = data + size;
	joined = NULL;
	switch (data[0] % 6) {
	case 0:
		units(size - 1);
		break;
	case 1:
	case 2:
		crontabs(size - 1, data[0] % 2);
		break;
	case 3:
		dpkg(size - 1);
		break;
	case 4:
		authkeys(size - 1);
		break;
	default:
		sudoers(size - 1);
	}
	return 0;
}
