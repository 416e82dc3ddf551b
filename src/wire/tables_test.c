/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The readers of a host's tables: units, crontabs, dpkg, authorized_keys, sudoers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "wire/authkeys.h"
#include "wire/crontab.h"
#include "wire/dpkg.h"
#include "wire/sudoers.h"
#include "wire/unit.h"

#define SPAN_IS(span, text) assert_true(span_is((span), (text)))

static void units(void **unused)
{
	static const char text[] =
	    "A=0\n[Unit]\n# c\nDescription = a b \n[Service]\nExecStart=\n"
	    "ExecStart=-@/bin/sh sh \\\n  # not this\n  -c 'x' \\\n  y\nodd\n"
	    "Last=\\";
	struct unit_reader r;
	struct unit_line l;
	unit_init(&r, text, sizeof text - 1);
	assert_true(unit_next(&r, &l));
	SPAN_IS(l.section, "");
	assert_true(unit_next(&r, &l));
	SPAN_IS(l.section, "Unit");
	SPAN_IS(l.key, "Description");
	SPAN_IS(l.value, "a b");
	assert_true(unit_next(&r, &l));
	SPAN_IS(l.value, "");
	assert_true(unit_next(&r, &l));
	assert_int_equal(l.number, 7);
	SPAN_IS(l.value, "-@/bin/sh sh  -c 'x'  y");
	struct unit_exec e;
	assert_true(unit_exec(l.value, &e));
	assert_true(e.ignores_failure && e.own_argv0 && !e.full_rights);
	SPAN_IS(e.program, "/bin/sh");
	assert_true(unit_next(&r, &l));
	assert_true(l.bad);
	SPAN_IS(l.key, "odd");
	assert_true(unit_next(&r, &l));
	SPAN_IS(l.value, "");
	assert_false(unit_next(&r, &l));
	unit_free(&r);
	assert_true(unit_exec(cursor_of("+\"/a b/c\" d", 11), &e));
	SPAN_IS(e.program, "/a b/c");
	SPAN_IS(e.rest, "d");
	assert_true(e.full_rights);
	assert_false(unit_exec(cursor_of(" - ", 3), &e));
}

static void crontabs(void **unused)
{
	static const struct {
		const char *line;
		bool system;
		enum crontab_kind kind;
		const char *when, *user, *command;
	} cases[] = {
	    {"*/5 * * * * root  run  me", true, CRONTAB_ENTRY, "*/5 * * * *", "root", "run  me"},
	    {"*/5 * * * * run", false, CRONTAB_ENTRY, "*/5 * * * *", "", "run"},
	    {"@reboot\troot A=1 /x", true, CRONTAB_ENTRY, "@reboot", "root", "A=1 /x"},
	    {"@reboot /x", false, CRONTAB_ENTRY, "@reboot", "", "/x"},
	    {"-0 1 1 jan mon root x", true, CRONTAB_ENTRY, "0 1 1 jan mon", "root", "x"},
	    {"0 1 * *", false, CRONTAB_BAD, "", "", "0 1 * *"},
	    {"1 1 1 1 1 root", true, CRONTAB_BAD, "", "", "1 1 1 1 1 root"},
	    {"what is this", false, CRONTAB_BAD, "", "", "what is this"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct crontab_reader r =
		    crontab_reader_of(cases[i].system, cases[i].line, strlen(cases[i].line));
		struct crontab_line l;
		assert_true(crontab_next(&r, &l));
		assert_int_equal(l.kind, cases[i].kind);
		SPAN_IS(l.when, cases[i].when);
		SPAN_IS(l.user, cases[i].user);
		SPAN_IS(l.command, cases[i].command);
		assert_false(crontab_next(&r, &l));
	}
	static const char env[] = "# c\n\n PATH = \"/a:/b\"\nX=y=z\n";
	struct crontab_reader r = crontab_reader_of(true, env, sizeof env - 1);
	struct crontab_line l;
	assert_true(crontab_next(&r, &l));
	assert_int_equal(l.kind, CRONTAB_ENV);
	SPAN_IS(l.name, "PATH");
	SPAN_IS(l.value, "/a:/b");
	assert_true(crontab_next(&r, &l));
	SPAN_IS(l.value, "y=z");
}

static void dpkg(void **unused)
{
	static const char status[] =
	    "Package: a\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: same\n"
	    "Version: 1:2-3\nConffiles:\n /etc/a 900150983cd24fb0d6963f7d28e17f72\n"
	    " /etc/old d41d8cd98f00b204e9800998ecf8427e obsolete\n /etc/new newconffile\n"
	    "Description: x\n /etc/not 900150983cd24fb0d6963f7d28e17f72\n\n\n"
	    "Status: none\n\nPackage: b\nStatus: install ok half-installed";
	struct lines l = lines_of(status, sizeof status - 1), field;
	struct dpkg_package p;
	struct dpkg_hash h;
	assert_true(dpkg_package_next(&l, &p));
	SPAN_IS(p.name, "a");
	SPAN_IS(p.state, "installed");
	SPAN_IS(p.multi_arch, "same");
	SPAN_IS(p.version, "1:2-3");
	field = lines_of(p.conffiles.p, cursor_left(&p.conffiles));
	assert_true(dpkg_conffile_next(&field, &h));
	SPAN_IS(h.path, "/etc/a");
	assert_int_equal(h.md5[0], 0x90);
	assert_false(h.obsolete);
	assert_true(dpkg_conffile_next(&field, &h));
	SPAN_IS(h.path, "/etc/old");
	assert_true(h.obsolete);
	assert_false(dpkg_conffile_next(&field, &h));
	assert_true(dpkg_package_next(&l, &p));
	SPAN_IS(p.name, "b");
	SPAN_IS(p.state, "half-installed");
	assert_false(dpkg_package_next(&l, &p));
	static const char sums[] = "bad\n900150983cd24fb0d6963f7d28e17f72  usr/a b\n";
	l = lines_of(sums, sizeof sums - 1);
	assert_true(dpkg_md5_next(&l, &h));
	SPAN_IS(h.path, "usr/a b");
	assert_false(dpkg_md5_next(&l, &h));
	static const char diversions[] = "/bin/sh\n/bin/sh.distrib\ndash\n/a\n/b\n";
	struct dpkg_diversion d;
	l = lines_of(diversions, sizeof diversions - 1);
	assert_true(dpkg_diversion_next(&l, &d));
	SPAN_IS(d.to, "/bin/sh.distrib");
	SPAN_IS(d.package, "dash");
	assert_false(dpkg_diversion_next(&l, &d));
}

/* The fingerprint is ssh-keygen's of that line. */
static void authkeys(void **unused)
{
	static const char text[] =
	    "# c\nssh-ed25519 "
	    "AAAAC3NzaC1lZDI1NTE5AAAAIN/dm/8yPcWGgZZtARpXSR0mWdUgdRUIou4Fs4YFt/sF me@there, now\n"
	    "command=\"echo \\\"a b\\\", c\",no-pty ecdsa-sha2-nistp256 AAAA\nrubbish here\n";
	struct lines l = lines_of(text, sizeof text - 1);
	struct authkeys_line k;
	struct cursor name, value;
	char print[AUTHKEYS_FINGERPRINT_MAX];
	assert_true(authkeys_next(&l, &k));
	assert_int_equal(k.number, 2);
	SPAN_IS(k.type, "ssh-ed25519");
	SPAN_IS(k.comment, "me@there, now");
	assert_true(authkeys_fingerprint(k.blob, print));
	assert_string_equal(print, "SHA256:zHrLevYzvKEqoKDX7C9mlDOpFPk+BEiW9xts29M41WI");
	assert_true(authkeys_next(&l, &k));
	SPAN_IS(k.blob, "AAAA");
	assert_true(authkeys_option(&k.options, &name, &value));
	SPAN_IS(name, "command");
	SPAN_IS(value, "echo \\\"a b\\\", c");
	assert_true(authkeys_option(&k.options, &name, &value));
	SPAN_IS(name, "no-pty");
	SPAN_IS(value, "");
	assert_false(authkeys_option(&k.options, &name, &value));
	assert_true(authkeys_next(&l, &k));
	assert_true(k.bad);
	assert_false(authkeys_next(&l, &k));
	assert_false(authkeys_fingerprint(cursor_of("?", 1), print));
	assert_false(authkeys_fingerprint(cursor_of("", 0), print));
}

static void sudoers(void **unused)
{
	static const struct {
		const char *line;
		enum sudoers_kind kind;
		const char *who, *what;
		bool no_password, all;
	} cases[] = {
	    {"root ALL=(ALL:ALL) ALL", SUDOERS_GRANT, "root", "(ALL:ALL) ALL", false, true},
	    {"%sudo\tALL = NOPASSWD: ALL # yes", SUDOERS_GRANT, "%sudo", "NOPASSWD: ALL", true,
	     true},
	    {"a, b web=(www) /bin/x, NOPASSWD:/usr/bin/env", SUDOERS_GRANT, "a, b",
	     "(www) /bin/x, NOPASSWD:/usr/bin/env", true, true},
	    {"backup ALL=NOPASSWD: /usr/bin/rsync --server", SUDOERS_GRANT, "backup",
	     "NOPASSWD: /usr/bin/rsync --server", true, false},
	    {"#1000 ALL=ALL", SUDOERS_GRANT, "#1000", "ALL", false, true},
	    {"@includedir /etc/sudoers.d", SUDOERS_INCLUDE_DIR, "", "/etc/sudoers.d", false, false},
	    {"#include /etc/x", SUDOERS_INCLUDE, "", "/etc/x", false, false},
	    {"Defaults:bob !authenticate", SUDOERS_DEFAULTS, "", "Defaults:bob !authenticate",
	     false, false},
	    {"User_Alias A = b", SUDOERS_ALIAS, "", "A = b", false, false},
	    {"bob ALL=\\\n ALL", SUDOERS_GRANT, "bob", "ALL", false, true},
	    {"nonsense", SUDOERS_ODD, "", "nonsense", false, false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct sudoers_reader r;
		struct sudoers_line l;
		sudoers_init(&r, cases[i].line, strlen(cases[i].line));
		assert_true(sudoers_next(&r, &l));
		assert_int_equal(l.kind, cases[i].kind);
		SPAN_IS(l.who, cases[i].who);
		SPAN_IS(l.what, cases[i].what);
		assert_int_equal(l.no_password, cases[i].no_password);
		assert_int_equal(l.all, cases[i].all);
		assert_false(sudoers_next(&r, &l));
		sudoers_free(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(units), cmocka_unit_test(crontabs),
	                                   cmocka_unit_test(dpkg), cmocka_unit_test(authkeys),
	                                   cmocka_unit_test(sudoers)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
