/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Payloads make the round trip, and what an enemy wrote into the journal is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "enforce/host/parts.h"

static void layers_round_trip(void **state)
{
	struct layer_device v[] = {{"eth0", 2}, {"a\nb\x80", 3}};
	struct layers l = {.egress = true, .bridge = true, .devices = v, .n_devices = 2}, back;
	char *json;
	assert_int_equal(layers_to_json(&l, &json, NULL), 0);
	assert_int_equal(layers_from_json(json, &back, NULL), 0);
	assert_true(back.egress && back.bridge && !back.ingress);
	assert_int_equal(back.n_devices, 2);
	assert_string_equal(back.devices[0].name, "eth0");
	assert_int_equal(back.devices[1].ifindex, 3);
	assert_string_equal(back.devices[1].name, "a?b?"); /* for people: no control bytes */
	layers_free(&back);
	layers_free(NULL);
	free(json);
}

#define LAYERS(version, egress, devices)                                                           \
	"{\"version\":" version ",\"egress\":" egress                                              \
	",\"ingress\":true,\"bridge\":false,\"devices\":" devices "}"

static void layers_refused(void **state)
{
	static const char *const bad[] = {
	    "",
	    "{}",
	    "[]",
	    "null",
	    LAYERS("2", "true", "[]"),
	    LAYERS("\"1\"", "true", "[]"),
	    LAYERS("1", "1", "[]"),
	    LAYERS("1", "true", "{}"),
	    LAYERS("1", "true", "[1]"),
	    LAYERS("1", "true", "[\"eth0\"]"),
	    LAYERS("1", "true", "[{\"name\":\"\",\"ifindex\":1}]"),
	    LAYERS("1", "true", "[{\"name\":\"a/b\",\"ifindex\":1}]"),
	    LAYERS("1", "true", "[{\"name\":\"eth0\",\"ifindex\":0}]"),
	    LAYERS("1", "true", "[{\"name\":\"eth0\",\"ifindex\":1,\"x\":1}]"),
	    LAYERS("1", "true", "[{\"name\":\"0123456789abcdef\",\"ifindex\":1}]"),
	    LAYERS("1", "true", "[]") "x",
	    "{\"version\":1,\"version\":1,\"egress\":true,\"ingress\":true,\"bridge\":true,"
	    "\"devices\":[]}",
	    "{\"version\":1,\"egress\":true,\"ingress\":true,\"bridge\":true,\"devices\":[],"
	    "\"more\":1}",
	};
	struct layers l;
	assert_int_equal(layers_from_json(LAYERS("1", "true", "[]"), &l, NULL), 0);
	layers_free(&l);
	assert_int_equal(layers_from_json(NULL, &l, NULL), -EBADMSG);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err e = {0};
		assert_int_equal(layers_from_json(bad[i], &l, &e), -EBADMSG);
		assert_true(e.text[0]);
	}
}

static void inverses(void **state)
{
	char *json;
	assert_int_equal(inverse_to_json("host.cut", &json, NULL), 0);
	assert_int_equal(inverse_check("host.cut", json, NULL), 0);
	assert_int_equal(inverse_check("host.block", json, NULL), -EBADMSG);
	free(json);
	assert_int_equal(inverse_check("host.cut", "{\"version\":1}", NULL), -EBADMSG);
	assert_int_equal(
	    inverse_check("host.cut", "{\"version\":1,\"delete\":\"ip filter\"}", NULL), -EBADMSG);
	assert_int_equal(
	    inverse_check("host.cut", "{\"version\":1,\"delete\":\"host.cut\",\"x\":0}", NULL),
	    -EBADMSG);
	assert_int_equal(inverse_check("host.cut", NULL, NULL), -EBADMSG);
}

static void sessions(void **state)
{
	char *json;
	assert_int_equal(sessions_to_json(&json, NULL), 0);
	assert_int_equal(sessions_check(json, NULL), 0);
	free(json);
	assert_int_equal(sessions_check("{}", NULL), -EBADMSG);
	assert_int_equal(sessions_check("{\"version\":3}", NULL), -EBADMSG);
}

static void raw_results(void **state)
{
	const struct raw_device v[] = {{"eth0", 2, true}, {"eth1", 3, false}};
	struct raw_device *back;
	size_t n;
	char *json;
	assert_int_equal(raw_result_to_json(v, 2, &json, NULL), 0);
	assert_int_equal(raw_result_from_json(json, &back, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_true(back[0].made_clsact && !back[1].made_clsact);
	assert_int_equal(back[1].ifindex, 3);
	free(back);
	free(json);
	assert_int_equal(raw_result_from_json(NULL, &back, &n, NULL), 0);
	assert_int_equal(n, 0);
	assert_int_equal(
	    raw_result_from_json("{\"version\":1,\"devices\":[{\"name\":\"x\",\"ifindex\":-1,"
	                         "\"made_clsact\":true}]}",
	                         &back, &n, NULL),
	    -EBADMSG);
	assert_int_equal(raw_result_from_json("{\"version\":1,\"devices\":3}", &back, &n, NULL),
	                 -EBADMSG);
}

static void kept_programs(void **state)
{
	struct kept_program v[] = {{2, 77}, {3, 4000000000}};
	struct kept_list l = {.boot = "b", .v = v, .n = 2}, back = {0};
	char *json;
	assert_int_equal(kept_to_json(&l, &json, NULL), 0);
	assert_int_equal(kept_from_json(json, &back, NULL), 0);
	assert_string_equal(back.boot, "b");
	assert_true(back.n == 2 && back.v[1].ifindex == 3 && back.v[1].prog_id == 4000000000);
	free(back.v);
	free(json);
	assert_int_equal(kept_from_json(NULL, &back, NULL), 0);
	assert_true(back.n == 0 && !back.boot[0]);
	static const char *const bad[] = {
	    "",
	    "{}",
	    "{\"version\":1,\"boot\":\"b\",\"kept\":3}",
	    "{\"version\":2,\"boot\":\"b\",\"kept\":[]}",
	    "{\"version\":1,\"boot\":\"b\",\"kept\":[{\"ifindex\":0,\"prog_id\":1}]}",
	    "{\"version\":1,\"boot\":\"b\",\"kept\":[{\"ifindex\":1,\"prog_id\":4294967295}]}",
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_true(kept_from_json(bad[i], &back, NULL) < 0);
}

static void roots(void **state)
{
	char why[128];
#define LINE(mount, type, source)                                                                  \
	"36 35 98:0 / " mount " rw,noatime shared:1 - " type " " source " rw\n"
	assert_false(mountinfo_root_is_remote(LINE("/", "ext4", "/dev/sda1"), why));
	assert_true(mountinfo_root_is_remote(LINE("/", "nfs4", "10.0.0.1:/root"), why));
	assert_non_null(strstr(why, "nfs4"));
	assert_true(mountinfo_root_is_remote(LINE("/", "ext4", "/dev/nbd0"), why));
	assert_false(mountinfo_root_is_remote(
	    LINE("/", "ext4", "/dev/sda1") LINE("/home", "nfs", "srv:/home"), why));
	/* the last mount on / is the one in use */
	assert_false(mountinfo_root_is_remote(
	    LINE("/", "nfs", "srv:/root") LINE("/", "overlay", "overlay"), why));
	assert_false(mountinfo_root_is_remote("", why));
}

static void directories(void **state)
{
	char service[32];
	assert_true(nsswitch_asks_network("passwd: files sss\n", service));
	assert_string_equal(service, "sss");
	assert_true(nsswitch_asks_network("hosts: dns\npasswd:\tldap", service));
	assert_false(nsswitch_asks_network("passwd: files systemd # ldap\n", service));
	assert_false(nsswitch_asks_network("hosts: files ldap\n", service));
	assert_false(nsswitch_asks_network("", service));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(layers_round_trip),
	    cmocka_unit_test(layers_refused),
	    cmocka_unit_test(inverses),
	    cmocka_unit_test(sessions),
	    cmocka_unit_test(raw_results),
	    cmocka_unit_test(kept_programs),
	    cmocka_unit_test(roots),
	    cmocka_unit_test(directories),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
