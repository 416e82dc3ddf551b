/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sys.h"
#include "observe/file.h"
#include "wire/capture.h"

/* A capture in memory, little-endian. */
static uint8_t *bytes;
static size_t len;

static void put(uint64_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		bytes[len++] = (uint8_t)(v >> (8 * i));
}

static void pcap(unsigned records, uint32_t cap)
{
	len = 0;
	put(0xa1b2c3d4, 4);
	put(2, 2);
	put(4, 2);
	put(0, 8);
	put(262144, 4);
	put(1, 4);
	for (unsigned i = 0; i < records; i++) {
		put(i, 4);
		put(0, 4);
		put(cap, 4);
		put(cap + 10, 4);
		memset(bytes + len, (int)i, cap);
		len += cap;
	}
}

static void pcapng(size_t unknown)
{
	len = 0;
	put(0x0a0d0d0a, 4), put(28, 4), put(0x1a2b3c4d, 4), put(1, 2), put(0, 2), put(0, 8),
	    put(28, 4);
	put(1, 4), put(20, 4), put(1, 2), put(0, 2), put(0, 4), put(20, 4);
	put(0xbad, 4), put(unknown + 12, 4);
	memset(bytes + len, 1, unknown);
	len += unknown;
	put(unknown + 12, 4);
	put(6, 4), put(36, 4), put(0, 4), put(0, 4), put(5, 4), put(4, 4), put(60, 4), put(0, 4),
	    put(36, 4);
}

struct seen {
	uint64_t frames, bytes, nsec;
};

static void see(void *arg, uint64_t nsec, unsigned linktype, const uint8_t *data, uint32_t cap_len,
                uint32_t wire_len)
{
	struct seen *s = arg;
	assert_int_equal(linktype, 1);
	assert_true(cap_len <= wire_len);
	if (cap_len)
		assert_int_equal(data[0], data[cap_len - 1]);
	s->frames++;
	s->bytes += wire_len;
	s->nsec = nsec;
}

static int file_of(const void *p, size_t n)
{
	int fd = memfd_create("capture", 0);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), (ssize_t)n);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static int read_all(int fd, unsigned max, struct seen *s, struct source_stats *st, struct err *e)
{
	const struct packet_sink sink = {.frame = see, .arg = s};
	void *ctx;
	int r;
	*s = (struct seen){0};
	*st = (struct source_stats){0};
	assert_int_equal(file_source.attach(fd, &ctx, e), 0);
	uint64_t before = 0;
	while ((r = file_source.pump(ctx, &sink, max, 1000, e)) > 0) {
		assert_true(s->frames - before <= max);
		before = s->frames;
	}
	/* It fails once. */
	assert_int_equal(file_source.pump(ctx, &sink, max, 1000, NULL), 0);
	file_source.stats(ctx, st);
	file_source.close(ctx);
	return r;
}

static void whole_files(void **state)
{
	static const struct {
		unsigned records;
		uint32_t cap;
		unsigned max;
	} cases[] = {{0, 0, 10},          {1, 60, 10},     {10000, 128, 7},
	             {10000, 128, 10000}, {3000, 0, 1000}, {5, 262144, 2}};
	struct seen s;
	struct source_stats st;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		pcap(cases[i].records, cases[i].cap);
		assert_int_equal(read_all(file_of(bytes, len), cases[i].max, &s, &st, NULL), 0);
		assert_int_equal(s.frames, cases[i].records);
		assert_int_equal(st.packets, s.frames);
		assert_int_equal(st.bytes, s.bytes);
		assert_int_equal(s.bytes, (uint64_t)cases[i].records * (cases[i].cap + 10));
		assert_int_equal(st.malformed, 0);
		assert_string_equal(st.tier, "file");
	}
}

/* Read in pieces of any size, as a pipe gives them. */
static size_t piece;

static ssize_t read_little(int fd, void *p, size_t n)
{
	return sys_kernel.read(fd, p, n < piece ? n : piece);
}

static void in_pieces(void **state)
{
	struct sys_ops little = sys_kernel;
	struct seen s;
	struct source_stats st;
	little.read = read_little;
	sys = &little;
	for (piece = 1; piece < 200; piece += piece < 40 ? 1 : 37) {
		pcap(100, 33);
		assert_int_equal(read_all(file_of(bytes, len), 9, &s, &st, NULL), 0);
		assert_int_equal(s.frames, 100);
		pcapng(1000);
		assert_int_equal(read_all(file_of(bytes, len), 9, &s, &st, NULL), 0);
		assert_int_equal(s.frames, 1);
		assert_int_equal(s.nsec, 5000);
	}
	sys = &sys_kernel;
}

static void large_unknown_blocks(void **state)
{
	struct seen s;
	struct source_stats st;
	struct err e = {0};
	pcapng(3000000);
	assert_int_equal(read_all(file_of(bytes, len), 9, &s, &st, NULL), 0);
	assert_int_equal(s.frames, 1);
	assert_int_equal(read_all(file_of(bytes, 2000000), 9, &s, &st, &e), -ENODATA);
	assert_non_null(strstr(e.text, "ends inside a block"));
}

static void a_cut_file_is_told(void **state)
{
	struct seen s;
	struct source_stats st;
	pcap(3, 60);
	for (size_t n = 0; n < len; n++) {
		struct err e = {0};
		int r = read_all(file_of(bytes, n), 9, &s, &st, &e);
		if (n >= 24 && (n - 24) % 76 == 0) {
			assert_int_equal(r, 0);
			continue;
		}
		assert_int_equal(r, n < 4 ? -EBADMSG : -ENODATA);
		assert_int_equal(st.malformed, 1);
		assert_int_equal(s.frames, n < 24 ? 0 : (n - 24) / 76);
		char place[32];
		snprintf(place, sizeof place, "byte %zu:", n < 24 ? 0 : n - (n - 24) % 76);
		if (n >= 4)
			assert_non_null(strstr(e.text, place));
	}
}

static void no_capture(void **state)
{
	static const char text[] = "{\"this\": \"is no capture\"}";
	struct seen s;
	struct source_stats st;
	struct err e = {0};
	assert_int_equal(read_all(file_of(text, sizeof text), 9, &s, &st, &e), -EBADMSG);
	assert_string_equal(e.text, "not a capture file (pcap, pcapng): first bytes 7b 22 74 68 69 "
	                            "73 22 3a");
	assert_int_equal(st.malformed, 1);
	assert_int_equal(read_all(file_of("", 0), 9, &s, &st, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "empty"));
	pcap(3, 60);
	bytes[24 + 76 + 11] = 0xff;
	assert_int_equal(read_all(file_of(bytes, len), 9, &s, &st, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "byte 100:"));
	assert_int_equal(s.frames, 1);
}

static void pipes(void **state)
{
	const struct packet_sink sink = {.frame = see, .arg = &(struct seen){0}};
	struct source_stats st = {0};
	void *ctx;
	int p[2];
	assert_int_equal(pipe(p), 0);
	pcap(2, 60);
	assert_int_equal(file_source.attach(p[0], &ctx, NULL), 0);
	assert_int_equal(file_source.pump(ctx, &sink, 5, 1, NULL), 1); /* nothing is there yet */
	assert_int_equal(write(p[1], bytes, 150), 150);
	assert_int_equal(file_source.pump(ctx, &sink, 5, 1, NULL), 1);
	assert_int_equal(write(p[1], bytes + 150, len - 150), (ssize_t)len - 150);
	close(p[1]);
	assert_int_equal(file_source.pump(ctx, &sink, 5, 1000, NULL), 0);
	file_source.stats(ctx, &st);
	assert_int_equal(st.packets, 2);
	file_source.close(ctx);
}

static ssize_t read_fails(int fd, void *p, size_t n)
{
	errno = EIO;
	return -1;
}

static void what_cannot_be_read(void **state)
{
	struct sys_ops broken = sys_kernel;
	struct seen s;
	struct source_stats st;
	struct err e = {0};
	int fd = -1;
	assert_int_equal(file_source.open("/nonexistent/x.pcap", &fd, &e), -ENOENT);
	assert_non_null(strstr(e.text, "/nonexistent/x.pcap"));
	assert_int_equal(file_source.open("/", &fd, &e), -EISDIR);
	assert_int_equal(file_source.open("-", &fd, &e), 0);
	assert_true(fd > 2);
	close(fd);
	broken.read = read_fails;
	sys = &broken;
	pcap(1, 60);
	assert_int_equal(read_all(file_of(bytes, len), 9, &s, &st, &e), -EIO);
	assert_non_null(strstr(e.text, "byte 0"));
	sys = &sys_kernel;
	file_source.close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(whole_files),          cmocka_unit_test(in_pieces),
	    cmocka_unit_test(large_unknown_blocks), cmocka_unit_test(a_cut_file_is_told),
	    cmocka_unit_test(no_capture),           cmocka_unit_test(pipes),
	    cmocka_unit_test(what_cannot_be_read),
	};
	bytes = malloc(4 << 20);
	int r = bytes ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
	free(bytes);
	return r;
}
