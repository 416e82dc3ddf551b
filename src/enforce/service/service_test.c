/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A payload comes back from a journal that an enemy may have written: no name in it is a path. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/table.h"
#include "enforce/service/service.h"

static void names(void **state)
{
	static const char *const good[] = {"a.service",      "a@.service", "a@b\\x2dc.service",
	                                   "x-y_z:1.socket", "-.mount",    "a.b.timer"};
	static const char *const bad[] = {"",          "a",           ".service",    "../a.service",
	                                  "a/b.path",  "a b.service", "a\n.service", "a.service/",
	                                  "..service", "a.servic"};
	char longest[SERVICE_NAME_MAX + 1];
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (!service_name_ok(good[i]))
			fail_msg("%s is a name", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (service_name_ok(bad[i]))
			fail_msg("\"%s\" is no name", bad[i]);
	memset(longest, 'a', sizeof longest);
	strcpy(longest + sizeof longest - sizeof ".service", ".service");
	assert_false(service_name_ok(longest));
	assert_true(service_name_ok(longest + 1));
}

static void payload_comes_back_the_same(void **state)
{
	static struct service_units u, back;
	char *text = NULL, *again = NULL;
	u.stop = true;
	u.n = 2;
	strcpy(u.v[0].name, "evil.service");
	strcpy(u.v[1].name, "evil.timer");
	u.v[0].active = u.v[1].trigger = true;
	assert_int_equal(service_to_json(&u, &text, NULL), 0);
	assert_int_equal(service_from_json(text, &back, NULL), 0);
	assert_true(back.stop && back.n == 2 && back.v[0].active && !back.v[0].trigger);
	assert_true(back.v[1].trigger && !strcmp(back.v[1].name, "evil.timer"));
	assert_int_equal(service_to_json(&back, &again, NULL), 0);
	assert_string_equal(text, again);
	free(text);
	free(again);
}

static void strange_payloads_are_refused(void **state)
{
	static const char *const bad[] = {
	    "",
	    "{}",
	    "{\"version\":1,\"stop\":true,\"units\":[]}",
	    "{\"version\":2,\"stop\":true,\"units\":[{\"name\":\"a.service\",\"trigger\":false,"
	    "\"active\":true}]}",
	    "{\"version\":1,\"stop\":true,\"units\":[{\"name\":\"../a.service\",\"trigger\":false,"
	    "\"active\":true}]}",
	    "{\"version\":1,\"stop\":true,\"units\":[{\"name\":\"a.service\",\"trigger\":false,"
	    "\"active\":true,\"more\":1}]}",
	    "{\"version\":1,\"stop\":true,\"units\":{}}",
	};
	static struct service_units u;
	struct err e;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		e = (struct err){0};
		assert_int_equal(service_from_json(bad[i], &u, &e), -EBADMSG);
		assert_true(e.text[0]);
	}
	assert_int_equal(service_from_json(NULL, &u, NULL), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names),
	    cmocka_unit_test(payload_comes_back_the_same),
	    cmocka_unit_test(strange_payloads_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
