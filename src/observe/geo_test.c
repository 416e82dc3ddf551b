/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/table.h"
#include "observe/geo.h"
#include "observe/geo_vectors.h"
#include "seal/sha256.h"

static uint8_t bytes[4096];

/* A file with the first n bytes of the database, `flip` in one of them; its path. */
static const char *file(const char *hex, size_t n, size_t at, uint8_t flip)
{
	static char path[64];
	size_t all = strlen(hex) / 2;
	assert_int_equal(hex_decode(hex, bytes, all), 0);
	if (at < all)
		bytes[at] ^= flip;
	strcpy(path, "/tmp/stanch-geo.XXXXXX");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	n = n < all ? n : all;
	assert_int_equal(write(fd, bytes, n), n);
	close(fd);
	return path;
}

static int add(struct geo *g, const char *hex, size_t n, size_t at, uint8_t flip)
{
	const char *path = file(hex, n, at, flip);
	struct err e = {0};
	int r = geo_add(g, path, &e);
	assert_true(r == 0 || strstr(e.text, path));
	unlink(path);
	return r;
}

static bool find(const struct geo *g, const char *text, struct geo_place *p)
{
	struct addr a;
	assert_int_equal(addr_parse(text, &a), 0);
	return geo_find(g, &a, p);
}

static void places(void **state)
{
	static const struct {
		const char *addr, *country, *org;
		uint32_t asn;
	} cases[] = {
	    {"192.0.2.1", "DE", "Example Networks GmbH", 64500},
	    {"192.0.2.127", "DE", "Example Networks GmbH", 64500},
	    {"2001:db8::1", "", "Six", 64501},
	    {"198.51.100.1", "", "", 0}, /* only registered there */
	    {"203.0.113.1", "", "", 0},  /* of wrong types */
	    {"10.0.0.1", "", "", 0},
	    {"2001:db9::1", "", "", 0},
	};
	struct geo *g;
	struct geo_place p;
	assert_int_equal(geo_new(&g), 0);
	assert_false(find(g, "192.0.2.1", &p));
	assert_int_equal(add(g, country_db, SIZE_MAX, SIZE_MAX, 0), 0);
	assert_int_equal(add(g, asn_db, SIZE_MAX, SIZE_MAX, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(find(g, cases[i].addr, &p), cases[i].country[0] || cases[i].asn);
		assert_string_equal(p.country, cases[i].country);
		assert_string_equal(p.as_org, cases[i].org);
		assert_int_equal(p.asn, cases[i].asn);
	}
	/* Long, with an umlaut and an escape. */
	assert_true(find(g, "192.0.2.200", &p));
	assert_int_equal(p.asn, 4200000000);
	assert_int_equal(strlen(p.as_org), GEO_ORG_MAX - 1);
	assert_memory_equal(p.as_org, "Ex\xc3\xa4mple ?[31myyy", 17);
	geo_free(g);
	assert_false(find(NULL, "192.0.2.1", &p));
	geo_free(NULL);
}

static void what_cannot_be_opened(void **state)
{
	struct geo *g;
	struct err e = {0};
	assert_int_equal(geo_new(&g), 0);
	assert_int_equal(geo_add(g, "/nonexistent/x.mmdb", &e), -ENOENT);
	assert_non_null(strstr(e.text, "/nonexistent/x.mmdb"));
	for (size_t n = 0; n < 400; n += 7)
		assert_true(add(g, country_db, n, SIZE_MAX, 0) < 0);
	for (int i = 0; i < GEO_FILES_MAX; i++)
		assert_int_equal(add(g, country_db, SIZE_MAX, SIZE_MAX, 0), 0);
	assert_int_equal(add(g, country_db, SIZE_MAX, SIZE_MAX, 0), -E2BIG);
	geo_free(g);
}

/* A byte broken anywhere: refused, or something is found or not; nothing else happens. */
static void broken_files(void **state)
{
	for (size_t at = 0; at < sizeof asn_db / 2; at++) {
		struct geo *g;
		struct geo_place p;
		assert_int_equal(geo_new(&g), 0);
		if (add(g, asn_db, SIZE_MAX, at, (uint8_t)(1u << at % 8)) == 0) {
			find(g, "192.0.2.200", &p);
			find(g, "2001:db8::1", &p);
			assert_non_null(memchr(p.as_org, 0, sizeof p.as_org));
		}
		geo_free(g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(places),
	    cmocka_unit_test(what_cannot_be_opened),
	    cmocka_unit_test(broken_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
