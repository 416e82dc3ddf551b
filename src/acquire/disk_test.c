/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A disk through the bundle, with system calls that read short or fail: judged by the bytes. */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "acquire/bundle.h"
#include "acquire/captures.h"
#include "base/sys.h"

#define SIZE ((3u << 20) + 12345)

static char dir[] = "/tmp/stanch-disk-test.XXXXXX", source[64], to[64];
static uint8_t content[SIZE];
static struct sys_ops ops;
static atomic_uint writes, fail_at;
static unsigned n_bundles;

static ssize_t short_pread(int fd, void *p, size_t n, off_t at)
{
	return pread(fd, p, n > 1000 ? n / 3 : n, at);
}

static ssize_t bad_pwrite(int fd, const void *p, size_t n, off_t at)
{
	if (atomic_fetch_add(&writes, 1) + 1 == fail_at) {
		errno = EIO;
		return -1;
	}
	return pwrite(fd, p, n > 5000 ? 5000 : n, at);
}

static int begin_all(void **state)
{
	assert_non_null(mkdtemp(dir));
	snprintf(source, sizeof source, "%s/source", dir);
	snprintf(to, sizeof to, "%s/to", dir);
	for (size_t i = 0; i < SIZE; i++)
		content[i] = i / 100000 % 3 ? (uint8_t)(i * 31 + i / 251) : 0;
	FILE *f = fopen(source, "w");
	assert_int_equal(fwrite(content, 1, SIZE, f), SIZE);
	return fclose(f);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	return remove(path);
}

static int end_all(void **state)
{
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int undo_sys(void **state)
{
	sys = &sys_kernel;
	return 0;
}

static void must_be_source(const char *place)
{
	char path[EVIDENCE_PATH_MAX + 32];
	static uint8_t got[SIZE + 1];
	snprintf(path, sizeof path, "%s/data/disk.raw", place);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fread(got, 1, sizeof got, f), SIZE);
	fclose(f);
	assert_memory_equal(got, content, SIZE);
}

static int run_disk(struct bundle *b, const char *resume_dir, struct capture_report *rep)
{
	struct err e = {0};
	const struct capture_order o = {.source = source, .resume_dir = resume_dir};
	int r = capture_disk.run(&o, bundle_sink(b), rep, &e);
	if (r)
		assert_true(e.text[0]);
	buf_free(&rep->notes);
	return r;
}

static struct bundle *new_bundle(char place[static EVIDENCE_PATH_MAX])
{
	struct bundle *b = NULL;
	assert_int_equal(bundle_create(to, "case", ++n_bundles, &b, place, NULL), 0);
	return b;
}

static void must_hash(const struct capture_report *rep)
{
	uint8_t hash[SHA256_LEN];
	char hex[SHA256_HEX_MAX];
	assert_int_equal(sha256_of(content, SIZE, hash), 0);
	assert_string_equal(hex_encode(hash, SHA256_LEN, hex), rep->sha256);
}

static void short_reads_and_writes_are_whole(void **state)
{
	char place[EVIDENCE_PATH_MAX];
	struct capture_report rep = {.notes = BUF_INIT(4096)};
	struct bundle *b = new_bundle(place);
	ops = sys_kernel;
	ops.pread = short_pread;
	ops.pwrite = bad_pwrite;
	fail_at = 0;
	sys = &ops;
	assert_int_equal(run_disk(b, NULL, &rep), 0);
	bundle_close(b);
	assert_int_equal(rep.outcome, CAPTURE_WHOLE);
	must_be_source(place);
	must_hash(&rep);
}

/* The destination fails at one write after the other; what resumes behind it is the source. */
static void a_failed_write_is_resumed(void **state)
{
	for (unsigned at = 1, ended = 0; !ended; at += 37) {
		char place[EVIDENCE_PATH_MAX], data[EVIDENCE_PATH_MAX + 8];
		struct capture_report rep = {.notes = BUF_INIT(4096)};
		struct bundle *b = new_bundle(place);
		ops = sys_kernel;
		ops.pwrite = bad_pwrite;
		writes = 0;
		fail_at = at;
		sys = &ops;
		int r = run_disk(b, NULL, &rep);
		sys = &sys_kernel;
		bundle_close(b);
		ended = writes < at;
		assert_int_equal(r, ended ? 0 : -EIO);
		if (ended)
			break;
		assert_int_equal(bundle_reopen(place, &b, NULL), 0);
		snprintf(data, sizeof data, "%s/data", place);
		rep = (struct capture_report){.notes = BUF_INIT(4096)};
		assert_int_equal(run_disk(b, data, &rep), 0);
		bundle_close(b);
		must_be_source(place);
		must_hash(&rep);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(short_reads_and_writes_are_whole, undo_sys),
	    cmocka_unit_test_teardown(a_failed_write_is_resumed, undo_sys),
	};
	return cmocka_run_group_tests(tests, begin_all, end_all);
}
