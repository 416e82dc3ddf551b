/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/manifest.h"

static void make(struct manifest *m, struct buf *text)
{
	uint8_t hash[SHA256_LEN] = {1, 2, 3};
	m->about = json_pack("{s:s}", "evidence", "e1");
	assert_int_equal(manifest_add(m, "manifest-sha256.txt", 5, hash, NULL), 0);
	assert_int_equal(manifest_add(m, "data/b", 70000, hash, NULL), 0);
	hash[31] = 9;
	assert_int_equal(manifest_add(m, "data/a", 0, hash, NULL), 0);
	assert_int_equal(manifest_seal(m, NULL), 0);
	assert_int_equal(manifest_write(m, text, NULL), 0);
}

static void reads_back_what_it_wrote(void **state)
{
	struct manifest m = {0}, back = {0};
	struct buf text = BUF_INIT(4096), again = BUF_INIT(4096);
	make(&m, &text);
	assert_int_equal(manifest_parse(text.data, text.len, &back, NULL), 0);
	assert_int_equal(back.n_files, 3);
	assert_string_equal(back.files[0].name, "data/a");
	assert_int_equal(manifest_find(&back, "data/b")->size, 70000);
	assert_null(manifest_find(&back, "data/c"));
	assert_int_equal(manifest_write(&back, &again, NULL), 0);
	assert_int_equal(text.len, again.len);
	assert_memory_equal(text.data, again.data, text.len);
	manifest_free(&m);
	manifest_free(&back);
	buf_free(&text);
	buf_free(&again);
}

/* What a flipped bit leaves readable differs in meaning or does not parse: the root covers names,
 * sizes and hashes. (What it is about is under the signature alone.) */
static void a_flipped_bit_in_files_does_not_parse(void **state)
{
	struct manifest m = {0}, back;
	struct buf text = BUF_INIT(4096);
	make(&m, &text);
	size_t from = (size_t)(strstr(buf_str(&text), "merkle_root") - buf_str(&text));
	for (size_t i = from; i < text.len; i++)
		for (int bit = 0; bit < 8; bit++) {
			text.data[i] ^= (uint8_t)(1 << bit);
			if (manifest_parse(text.data, text.len, &back, NULL) == 0) {
				/* Blanks for blanks, or a digit's other case: the same content. */
				assert_memory_equal(back.root, m.root, SHA256_LEN);
				manifest_free(&back);
			}
			text.data[i] ^= (uint8_t)(1 << bit);
		}
	manifest_free(&m);
	buf_free(&text);
}

static void names_that_lead_elsewhere_are_refused(void **state)
{
	static const char *const bad[] = {"",      "/etc/passwd", "data/../x", "a//b", "a/",
	                                  ".hid",  "a\nb",        "a b",       "a\\b", "a%b",
	                                  "d/\"x", "\xc3\xa4",    "./a"};
	static const char *const good[] = {"data/x", "data/proc/12/exe", "a..b", "-", "data/a:b@c"};
	char longest[MANIFEST_NAME_MAX + 1];
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(manifest_name_ok(bad[i]));
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(manifest_name_ok(good[i]));
	memset(longest, 'a', sizeof longest);
	longest[MANIFEST_NAME_MAX] = 0;
	assert_false(manifest_name_ok(longest));
	longest[MANIFEST_NAME_MAX - 1] = 0;
	assert_true(manifest_name_ok(longest));
}

static void a_name_stands_once(void **state)
{
	struct manifest m = {0};
	uint8_t hash[SHA256_LEN] = {0};
	assert_int_equal(manifest_add(&m, "data/a", 1, hash, NULL), 0);
	assert_int_equal(manifest_add(&m, "data/a", 2, hash, NULL), 0);
	assert_int_equal(manifest_seal(&m, NULL), -EEXIST);
	manifest_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_back_what_it_wrote),
	    cmocka_unit_test(a_flipped_bit_in_files_does_not_parse),
	    cmocka_unit_test(names_that_lead_elsewhere_are_refused),
	    cmocka_unit_test(a_name_stands_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
