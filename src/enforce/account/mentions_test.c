/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/table.h"
#include "enforce/account/mentions.h"

static void who_is_named_and_whether_alone(void **state)
{
	static const struct {
		enum mention_kind kind;
		uint32_t line; /* 0: not named */
		bool only;
		const char *text;
	} cases[] = {
	    {MENTION_SUDOERS, 2, true, "# to run all\nalice ALL=(ALL) NOPASSWD: ALL\n"},
	    {MENTION_SUDOERS, 1, true, "alice, alice2 ALL=(ALL) ALL\n#1000 ALL=(ALL) ALL\n"},
	    {MENTION_SUDOERS, 1, false, "alice,bob ALL=(ALL) ALL\n"},
	    {MENTION_SUDOERS, 2, false, "bob ALL=(ALL) ALL\nalice ALL=(ALL) ALL\n"},
	    {MENTION_SUDOERS, 1, false, "alice,%sudo ALL=(ALL) ALL\n"},
	    {MENTION_SUDOERS, 1, false, "User_Alias OPS = bob, alice\nOPS ALL=(ALL) ALL\n"},
	    {MENTION_SUDOERS, 1, false, "alice ALL=(ALL) ALL\n@include /etc/more\n"},
	    {MENTION_SUDOERS, 1, false, "Defaults:alice !authenticate\n"},
	    {MENTION_SUDOERS, 1, false, "alice ALL=(ALL) ALL\nnonsense\n"},
	    {MENTION_SUDOERS, 0, false, "malice ALL=(ALL) ALL\n#10000 ALL=(ALL) ALL\n"},
	    {MENTION_SUDOERS, 0, false, ""},
	    {MENTION_CRON, 2, false, "PATH=/bin\n* * * * * alice id\n* * * * * root id\n"},
	    {MENTION_CRON, 1, false, "@reboot alice2 id\n"},
	    {MENTION_CRON, 0, false, "* * * * * root alice\n* * * * * 1000 id\n"},
	    {MENTION_UNIT, 2, false, "[Service]\nUser = alice\n"},
	    {MENTION_UNIT, 2, false, "[Service]\nUser=1000\n"},
	    {MENTION_UNIT, 0, false, "[Service]\n#User=alice\nGroup=alice\nUser=bob\n"},
	};
	struct account *a = calloc(1, sizeof *a);
	assert_non_null(a);
	a->n = 2;
	strcpy(a->v[0].name, "alice");
	strcpy(a->v[1].name, "alice2");
	a->uid = 1000;
	a->uid_known = true;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t line = 99;
		bool only = true;
		bool is = mentions_in(cases[i].kind, a, cases[i].text, strlen(cases[i].text), &line,
		                      &only);
		if (is != (cases[i].line != 0) || line != cases[i].line || only != cases[i].only)
			fail_msg("%s: line %u, only %d", cases[i].text, line, only);
	}
	free(a);
}

static void what_stays_is_told_what_goes_is_not(void **state)
{
	struct mention v[10] = {
	    {MENTION_SUDOERS, 3, false, "/etc/sudoers"},
	    {MENTION_SUDOERS, 1, true, "/etc/sudoers.d/alice"},
	    {MENTION_CRON, 7, false, "/etc/cron.d/a\nb"},
	};
	struct mentions m = {.v = v, .n = 3, .more = {[MENTION_SUDOERS] = 9}};
	struct buf out = BUF_INIT(4096);
	mentions_text(&m, MENTION_SUDOERS, &out);
	assert_non_null(strstr(buf_str(&out), "in /etc/sudoers (line 3) and 2 more: sudo"));
	assert_null(strstr(buf_str(&out), "sudoers.d"));
	buf_reset(&out);
	mentions_text(&m, MENTION_CRON, &out);
	assert_null(strchr(buf_str(&out), '\n')); /* hostile names are shown escaped */
	assert_non_null(strstr(buf_str(&out), "(line 7)"));
	buf_reset(&out);
	mentions_text(&m, MENTION_UNIT, &out);
	assert_int_equal(out.len, 0);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(who_is_named_and_whether_alone),
	    cmocka_unit_test(what_stays_is_told_what_goes_is_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
