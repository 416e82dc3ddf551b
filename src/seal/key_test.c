/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "seal/key.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[] = "/tmp/seal-test-XXXXXX";

static const char *in_dir(const char *name)
{
	static char path[64];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static int fresh(void **state)
{
	strcpy(dir, "/tmp/seal-test-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int gone(void **state)
{
	unlink(in_dir("key"));
	unlink(in_dir("key.pub"));
	return rmdir(dir);
}

static void signs_and_verifies(void **state)
{
	struct seal_key *k, *pub;
	struct err e;
	struct stat st;
	uint8_t s[SEAL_SIGNATURE_LEN];
	assert_int_equal(seal_key_open(dir, false, &k, &e), -ENOENT);
	assert_int_equal(seal_key_open(dir, true, &k, &e), 0);
	assert_int_equal(stat(in_dir("key"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(seal_sign(k, "abc", 3, s, &e), 0);
	seal_key_free(k);

	assert_int_equal(seal_key_open(dir, true, &k, &e), 0);
	assert_int_equal(seal_pub_open(dir, &pub, &e), 0);
	assert_int_equal(seal_verify(pub, "abc", 3, s, sizeof s), 0);
	assert_int_equal(seal_verify(k, "abc", 3, s, sizeof s), 0);
	assert_int_equal(seal_verify(pub, "abd", 3, s, sizeof s), -EBADMSG);
	assert_int_equal(seal_verify(pub, "abc", 3, s, sizeof s - 1), -EBADMSG);
	s[7] ^= 1;
	assert_int_equal(seal_verify(pub, "abc", 3, s, sizeof s), -EBADMSG);
	seal_key_free(k);
	seal_key_free(pub);
	seal_key_free(NULL);
}

static void openssl_reads_them(void **state)
{
	struct seal_key *k;
	char cmd[256];
	assert_int_equal(seal_key_open(dir, true, &k, NULL), 0);
	seal_key_free(k);
	snprintf(cmd, sizeof cmd,
	         "test \"$(openssl pkey -in %s/key -pubout)\" = \"$(cat %s/key.pub)\"", dir, dir);
	assert_int_equal(system(cmd), 0);
}

static void pub_is_made_again(void **state)
{
	struct seal_key *k;
	assert_int_equal(seal_key_open(dir, true, &k, NULL), 0);
	seal_key_free(k);
	unlink(in_dir("key.pub"));
	assert_int_equal(seal_key_open(dir, true, &k, NULL), 0);
	seal_key_free(k);
	assert_int_equal(access(in_dir("key.pub"), F_OK), 0);
}

static void put(const char *name, const char *text, size_t n)
{
	FILE *f = fopen(in_dir(name), "w");
	fwrite(text, 1, n, f);
	fclose(f);
	chmod(in_dir(name), 0600);
}

static void bad_files_are_refused(void **state)
{
	struct seal_key *k;
	struct err e;
	char pem[256] = "";
	assert_int_equal(seal_key_open(dir, true, &k, NULL), 0);
	seal_key_free(k);
	chmod(in_dir("key"), 0644);
	assert_int_equal(seal_key_open(dir, true, &k, &e), -EPERM);
	chmod(in_dir("key"), 0600);

	FILE *f = fopen(in_dir("key"), "r");
	size_t n = fread(pem, 1, sizeof pem - 1, f);
	fclose(f);
	for (size_t i = 0; i < n; i++) { /* every cut */
		put("key", pem, i);
		assert_int_equal(seal_key_open(dir, true, &k, &e), -EBADMSG);
	}
	for (size_t i = 0; i < 40; i++) { /* label, algorithm: whatever is not key bytes */
		char bad[sizeof pem];
		memcpy(bad, pem, sizeof bad);
		bad[i] ^= 1;
		put("key", bad, n);
		assert_int_equal(seal_key_open(dir, true, &k, &e), -EBADMSG);
	}
	strcat(pem, "x");
	put("key", pem, n + 1);
	assert_int_equal(seal_key_open(dir, true, &k, &e), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(signs_and_verifies, fresh, gone),
	    cmocka_unit_test_setup_teardown(openssl_reads_them, fresh, gone),
	    cmocka_unit_test_setup_teardown(pub_is_made_again, fresh, gone),
	    cmocka_unit_test_setup_teardown(bad_files_are_refused, fresh, gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
