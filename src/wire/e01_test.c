/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What libewf does not tell (tests/acquire has it judge whole images): sums, names, offsets. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/cursor.h"
#include "wire/ddmap.h"
#include "wire/e01.h"

static void adler_is_that_of_rfc_1950(void **state)
{
	assert_int_equal(e01_adler("", 0), 1);
	assert_int_equal(e01_adler("Wikipedia", 9), 0x11E60398);
	static uint8_t many[100000];
	memset(many, 0xff, sizeof many);
	/* By the definition, without runs. */
	uint32_t a = 1, b = 0;
	for (size_t i = 0; i < sizeof many; i++) {
		a = (a + many[i]) % 65521;
		b = (b + a) % 65521;
	}
	assert_int_equal(e01_adler(many, sizeof many), b << 16 | a);
}

static void segments_are_named_in_order(void **state)
{
	static const struct {
		unsigned number;
		const char *name;
	} known[] = {{1, "disk.E01"},   {99, "disk.E99"},  {100, "disk.EAA"},  {126, "disk.EBA"},
	             {775, "disk.EZZ"}, {776, "disk.FAA"}, {14971, "disk.ZZZ"}};
	char name[16], before[16] = "";
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		assert_int_equal(e01_segment_name(known[i].number, name), 0);
		assert_string_equal(name, known[i].name);
	}
	for (unsigned i = 1; i <= E01_SEGMENTS_MAX; i++) {
		assert_int_equal(e01_segment_name(i, name), 0);
		assert_true(strcmp(before, name) < 0);
		strcpy(before, name);
	}
	assert_int_equal(e01_segment_name(0, name), -EFBIG);
	assert_int_equal(e01_segment_name(E01_SEGMENTS_MAX + 1, name), -EFBIG);
}

static uint64_t le64(const uint8_t *p)
{
	return load_le32(p) | (uint64_t)load_le32(p + 4) << 32;
}

/* Follows the chain of sections as a reader does. */
static void sections_lead_to_each_other(void **state)
{
	static const char *const want[] = {"header2", "header2", "header", "volume",
	                                   "sectors", "table",   "table2", "error2",
	                                   "digest",  "hash",    "done"};
	const uint32_t offsets[] = {76, 80 | 0x80000000u};
	const struct e01_error bad = {3, 2};
	const uint8_t sum[20] = {1};
	const struct e01_media media = {.sectors = 128};
	struct buf b = BUF_INIT(1 << 20);
	e01_file_header(&b, 1);
	e01_headers(&b, b.len, "c", "e1", "\xf0\x9d\x84\x9e \xff\xf0\x9d", "d", 1000000000);
	e01_volume(&b, b.len, "volume", &media);
	uint64_t base = b.len;
	e01_sectors(&b, base, 8);
	buf_add(&b, "12345678", 8);
	e01_tables(&b, b.len, base, offsets, 2);
	e01_errors(&b, b.len, &bad, 1);
	e01_hashes(&b, b.len, sum, sum);
	e01_last(&b, b.len, true);
	assert_int_equal(b.error, 0);
	uint64_t at = E01_FILE_HEADER;
	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		const uint8_t *d = b.data + at;
		assert_true(at + E01_DESCRIPTOR <= b.len);
		assert_string_equal((const char *)d, want[i]);
		assert_int_equal(load_le32(d + 72), e01_adler(d, 72));
		bool last = i + 1 == sizeof want / sizeof *want;
		assert_int_equal(le64(d + 16), last ? at : at + le64(d + 24));
		at += le64(d + 24);
	}
	assert_int_equal(at, b.len);
	buf_free(&b);
}

static void a_map_has_no_gap(void **state)
{
	struct ddmap m = {0}, back;
	struct buf b = BUF_INIT(4096);
	static const char theirs[] = "# Mapfile. Created by GNU ddrescue version 1.27\n"
	                             "# Command line: ddrescue a b c\n# current_pos\n"
	                             "0x00001000     +               1\n#      pos\n"
	                             "0x00000000  0x00001000  +\n0x00001000  0x00000200  -\n"
	                             "0x00001200  0x00000E00  ?\n";
	assert_int_equal(ddmap_add(&m, 0, 512, '+'), 0);
	assert_int_equal(ddmap_add(&m, 512, 512, '+'), 0);
	assert_int_equal(ddmap_add(&m, 1024, 512, '-'), 0);
	assert_int_equal(m.n, 2);
	assert_int_equal(ddmap_add(&m, 4096, 512, '+'), -EINVAL);
	assert_int_equal(ddmap_add(&m, 1536, 0, '+'), -EINVAL);
	assert_int_equal(ddmap_add(&m, 1536, UINT64_MAX, '+'), -EINVAL);
	assert_int_equal(ddmap_sum(&m, '-'), 512);
	assert_int_equal(ddmap_write(&m, &b), 0);
	assert_int_equal(ddmap_parse((const char *)b.data, b.len, &back, NULL), 0);
	assert_int_equal(back.n, 2);
	ddmap_free(&back);
	assert_int_equal(ddmap_parse(theirs, sizeof theirs - 1, &back, NULL), 0);
	assert_int_equal(back.n, 3);
	assert_int_equal(ddmap_sum(&back, '?'), 0xE00);
	ddmap_free(&back);
	assert_int_equal(ddmap_parse("0x0 + 1\n0x0 0x10 +\n0x20 0x10 -\n", 32, &back, NULL),
	                 -EBADMSG);
	assert_int_equal(ddmap_parse("", 0, &back, NULL), -EBADMSG);
	ddmap_free(&m);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(adler_is_that_of_rfc_1950),
	    cmocka_unit_test(segments_are_named_in_order),
	    cmocka_unit_test(sections_lead_to_each_other),
	    cmocka_unit_test(a_map_has_no_gap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
