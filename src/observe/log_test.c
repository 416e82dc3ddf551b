/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sys.h"
#include "observe/log.h"
#include "observe/log_join.h"

#define REF    UINT64_C(1769904000000000000) /* 2026-02-01 */
#define SYNACK 18
#define FLOWS  64

static struct {
	struct flow flow[FLOWS];
	enum fwlog_action action[FLOWS];
	size_t n;
} seen;

static void see(void *arg, const struct flow *f, enum fwlog_action action)
{
	if (seen.n < FLOWS) {
		seen.flow[seen.n] = *f;
		seen.action[seen.n] = action;
	}
	seen.n++;
}

static const struct flow_sink sink = {see, NULL};
static struct log_stats st;
static struct err e;

static int file_of(const char *text, size_t n)
{
	int fd = memfd_create("log", 0);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, n), (ssize_t)n);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static int read_fd(int fd, int format, unsigned max)
{
	const struct log_options o = {format, 0, REF};
	struct log_source *s;
	int r;

	memset(&seen, 0, sizeof(seen));
	memset(&e, 0, sizeof(e));
	assert_int_equal(log_attach(fd, &o, &s, &e), 0);
	while ((r = log_pump(s, &sink, max, 1000, &e)) > 0)
		;
	log_stats(s, &st);
	size_t n = seen.n;
	/* It ends, or fails, once. */
	assert_int_equal(log_pump(s, &sink, max, 0, NULL), 0);
	assert_int_equal(seen.n, n);
	log_close(s);
	assert_int_equal(st.lines, st.records + st.skipped + st.lost + st.bad + st.overlong);
	assert_int_equal(st.flows, seen.n);
	return r;
}

static int read_text(const char *text)
{
	return read_fd(file_of(text, strlen(text)), _FWLOG_FORMAT_INVALID, 3);
}

static void flow_is(size_t i, const char *src, const char *dest, uint64_t out, uint64_t in)
{
	char a[ENDPOINT_STR_MAX], b[ENDPOINT_STR_MAX];

	assert_true(i < seen.n);
	assert_string_equal(endpoint_str(&seen.flow[i].src, a), src);
	assert_string_equal(endpoint_str(&seen.flow[i].dest, b), dest);
	assert_int_equal(seen.flow[i].bytes_toserver, out);
	assert_int_equal(seen.flow[i].bytes_toclient, in);
}

static bool answered(size_t i)
{
	return (seen.flow[i].tcp_toclient & SYNACK) == SYNACK;
}

#define BUILT                                                                                      \
	"Jan 15 10:22:01 fw %ASA-6-302013: Built outbound TCP connection 7 for "                   \
	"o:198.51.100.7/8080 (198.51.100.7/8080) to i:192.0.2.10/1024 (192.0.2.10/1024)\n"
#define TORN(bytes, reason)                                                                        \
	"Jan 15 10:22:31 fw %ASA-6-302014: Teardown TCP connection 7 for o:198.51.100.7/8080 to "  \
	"i:192.0.2.10/1024 duration 0:00:30 bytes " bytes " " reason "\n"
#define DENIED                                                                                     \
	"Jan 15 10:22:40 fw %ASA-4-106023: Deny tcp src o:203.0.113.5/40000 dst i:192.0.2.5/22 "   \
	"by access-group \"x\"\n"

static void opened_and_closed(void **state)
{
	assert_int_equal(read_text(BUILT TORN("9001", "TCP FINs") DENIED), 0);
	assert_int_equal(seen.n, 2);
	/* By its ports it would be the other way round. */
	flow_is(0, "192.0.2.10:1024", "198.51.100.7:8080", 4501, 4500);
	assert_false(seen.flow[0].src_guessed);
	assert_true(answered(0));
	assert_int_equal(seen.action[0], FWLOG_ALLOWED);
	assert_int_equal(seen.flow[0].end_nsec - seen.flow[0].start_nsec, UINT64_C(30000000000));
	flow_is(1, "203.0.113.5:40000", "192.0.2.5:22", 0, 0);
	assert_false(answered(1));
	assert_int_equal(seen.action[1], FWLOG_DENIED);
	assert_int_equal(st.format, FWLOG_ASA);
	assert_int_equal(st.records, 3);
	assert_int_equal(st.halved, 1);
	assert_true(st.year_taken && st.zone_taken && !st.uptime_taken);
}

static void halves(void **state)
{
	/* No close: it comes out at the end. No opening: who opened is guessed. */
	assert_int_equal(read_text(BUILT), 0);
	assert_int_equal(seen.n, 1);
	flow_is(0, "192.0.2.10:1024", "198.51.100.7:8080", 0, 0);
	assert_int_equal(read_text(TORN("0", "SYN Timeout")), 0);
	assert_int_equal(seen.n, 1);
	assert_true(seen.flow[0].src_guessed);
	assert_false(answered(0));
	/* The number was used again. */
	assert_int_equal(read_text(BUILT BUILT TORN("10", "TCP FINs") TORN("10", "TCP FINs")), 0);
	assert_int_equal(seen.n, 3);
}

#define AWS(src, dst, sport, dport, pkts, bytes, start, end, action)                               \
	"2 1 eni-1 " src " " dst " " sport " " dport " 6 " pkts " " bytes " " start " " end        \
	" " action " OK\n"

static void windows_are_joined(void **state)
{
	assert_int_equal(
	    read_text(
	        AWS("192.0.2.1", "192.0.2.2", "50000", "443", "9", "900", "1000", "1060", "ACCEPT")
	            AWS("192.0.2.2", "192.0.2.1", "443", "50000", "9", "7000", "1000", "1060",
	                "ACCEPT") AWS("192.0.2.1", "192.0.2.2", "50000", "443", "1", "100", "1060",
	                              "1120", "ACCEPT")
	        /* An hour later: another one. Only SYNs: no answer. */
	        AWS("192.0.2.1", "192.0.2.2", "50000", "443", "3", "180", "4660", "4720", "ACCEPT")
	            AWS("192.0.2.1", "192.0.2.2", "50001", "23", "1", "900", "4660", "4720",
	                "REJECT") "2 1 eni-1 - - - - - - - 1 2 - SKIPDATA\n"),
	    0);
	assert_int_equal(seen.n, 3);
	flow_is(0, "192.0.2.1:50000", "192.0.2.2:443", 1000, 7000);
	assert_true(answered(0));
	assert_int_equal(seen.flow[0].pkts_toserver, 10);
	assert_int_equal(seen.flow[0].end_nsec, UINT64_C(1120000000000));
	assert_int_equal(st.lost, 1);
	for (size_t i = 1; i < 3; i++)
		assert_false(answered(i));
}

#define NF(prefix, rest) "Jan 15 10:22:01 gw kernel: " prefix "IN=e OUT= " rest "\n"
#define TO                                                                                         \
	"SRC=192.0.2.1 DST=192.0.2.2 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=TCP SPT=99 "      \
	"DPT=50000 WINDOW=1 RES=0x00 "
#define FRO                                                                                        \
	"SRC=192.0.2.2 DST=192.0.2.1 LEN=52 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=TCP SPT=50000 "   \
	"DPT=99 WINDOW=1 RES=0x00 "

static void packets_are_joined(void **state)
{
	/* In mid-stream the lower port is the server, until a SYN says better. */
	assert_int_equal(
	    read_text(NF("", TO "ACK URGP=0") NF("", FRO "ACK URGP=0") NF("", TO "SYN URGP=0")), 0);
	assert_int_equal(seen.n, 1);
	flow_is(0, "192.0.2.1:99", "192.0.2.2:50000", 120, 52);
	assert_false(seen.flow[0].src_guessed);
	assert_true(answered(0));
	/* Nobody says whether it passed; accepted; dropped. */
	assert_int_equal(read_text(NF("", TO "SYN URGP=0")), 0);
	assert_false(answered(0));
	assert_int_equal(read_text(NF("fwd-accept ", TO "SYN URGP=0")), 0);
	assert_true(answered(0));
	assert_int_equal(read_text(NF("[UFW BLOCK] ", TO "SYN URGP=0")), 0);
	assert_false(answered(0));
	assert_int_equal(st.denied, 1);
}

static void bad_lines_are_told(void **state)
{
	char note[8][LOG_NOTE_MAX];
	const struct log_options o = {_FWLOG_FORMAT_INVALID, -90, REF};

	assert_int_equal(read_text("\r\n" DENIED "rubbish\n" BUILT "more\n"
	                           "Jan 15 10:22:31 web sshd[1]: hello\n"
	                           "Jan 15 10:22:31 fw %ASA-6-302014: Teardown TCP connection"),
	                 0);
	assert_int_equal(st.lines, 7);
	assert_int_equal(st.bad, 3);
	assert_int_equal(st.skipped, 2);
	assert_int_equal(st.bad_line, 3);
	assert_string_equal(st.bad_why, "neither a message of this format nor a line with a time");
	assert_int_equal(log_notes(&st, &o, 8, note), 3);
	assert_string_equal(note[0], "3 of 7 lines could not be read; the first is line 3: neither "
	                             "a message of this format nor a line with a time");
	assert_string_equal(note[1], "times name no zone: read as UTC-01:30");
	assert_string_equal(note[2], "times have no year: the latest before 2026-02-02");
	assert_int_equal(log_notes(&st, &o, 1, note), 1);
}

static void long_lines(void **state)
{
	static const size_t lengths[] = {FWLOG_LINE_MAX - 1, FWLOG_LINE_MAX, FWLOG_LINE_MAX + 1,
	                                 70000, 300000};
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
		for (int last = 0; last < 2; last++) {
			size_t n = strlen(DENIED), size = 2 * n + lengths[i] + 1;
			char *text = malloc(size);
			assert_non_null(text);
			memcpy(text, DENIED, n);
			memset(text + n, 'x', lengths[i]);
			text[n + lengths[i]] = '\n';
			memcpy(text + n + lengths[i] + 1, DENIED, n);
			if (last)
				size -= n + 1;
			assert_int_equal(read_fd(file_of(text, size), _FWLOG_FORMAT_INVALID, 100),
			                 0);
			free(text);
			bool over = lengths[i] > FWLOG_LINE_MAX;
			assert_int_equal(st.overlong, over);
			assert_int_equal(st.bad, !over);
			assert_int_equal(st.bad_line, 2);
			assert_int_equal(seen.n, last ? 1 : 2);
		}
}

static void not_a_log(void **state)
{
	assert_int_equal(read_text(""), -EBADMSG);
	assert_string_equal(e.text, "the log is empty");
	assert_int_equal(read_text("Jan 15 10:22:31 web sshd[1]: hello\n"), -EBADMSG);
	assert_non_null(strstr(e.text, "none of its first 1 lines"));
	char *zeros = calloc(1, 200000);
	assert_non_null(zeros);
	assert_int_equal(read_fd(file_of(zeros, 200000), _FWLOG_FORMAT_INVALID, 100), -EBADMSG);
	/* Told what it is, it is a log with a bad line. */
	assert_int_equal(read_fd(file_of(zeros, 200000), FWLOG_AWS, 100), 0);
	assert_int_equal(st.overlong, 1);
	assert_int_equal(read_fd(file_of("", 0), FWLOG_AWS, 100), 0);
	free(zeros);
}

static void from_a_pipe(void **state)
{
	const struct log_options o = {_FWLOG_FORMAT_INVALID, 0, REF};
	struct log_source *s;
	int fds[2];

	memset(&seen, 0, sizeof(seen));
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(log_attach(fds[0], &o, &s, NULL), 0);
	assert_int_equal(log_pump(s, &sink, 10, 0, NULL), 1);
	for (const char *p = DENIED; *p; p++) {
		assert_int_equal(write(fds[1], p, 1), 1);
		assert_int_equal(log_pump(s, &sink, 10, 0, NULL), 1);
	}
	assert_int_equal(seen.n, 1);
	assert_int_equal(write(fds[1], BUILT, strlen(BUILT)), (ssize_t)strlen(BUILT));
	assert_int_equal(log_pump(s, &sink, 10, 0, NULL), 1);
	/* Ended from outside: what waits comes out. */
	log_flush(s, &sink);
	assert_int_equal(seen.n, 2);
	close(fds[1]);
	assert_int_equal(log_pump(s, &sink, 10, 100, NULL), 0);
	assert_int_equal(seen.n, 2);
	log_close(s);
}

static void opened(void **state)
{
	char path[] = "/tmp/stanch-log-XXXXXX";
	uint64_t ref = 0;
	int fd = mkstemp(path), r;

	assert_true(fd >= 0);
	const struct timespec then[2] = {{.tv_sec = 1234567890}, {.tv_sec = 1234567890}};
	assert_int_equal(futimens(fd, then), 0);
	close(fd);
	assert_int_equal(log_open(path, &fd, &ref, &e), 0);
	assert_int_equal(ref, UINT64_C(1234567890000000000));
	close(fd);
	unlink(path);
	assert_int_equal(log_open(path, &fd, &ref, &e), -ENOENT);
	assert_int_equal(log_open("/tmp", &fd, &ref, &e), -EISDIR);
	assert_non_null(strstr(e.text, "/tmp is a directory"));
	const struct log_options wrong = {_FWLOG_FORMAT_MAX, 0, REF};
	struct log_source *s;
	r = log_attach(-1, &wrong, &s, &e);
	assert_int_equal(r, -EINVAL);
	log_close(NULL);
}

static uint64_t emitted;

static void count(void *arg, const struct flow *f, enum fwlog_action action)
{
	emitted += f->bytes_toserver;
}

/* More that wait than there is room for: all come out once, and the bytes are right. */
static void bounded(void **state)
{
	struct log_join *j;
	const uint32_t n = 3 * LOG_JOIN_FLOWS;

	assert_int_equal(log_join_new(count, NULL, &j), 0);
	emitted = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t ip = htonl(0xc0000200 + i);
		struct fwlog_record r = {.part = i & 1 ? FWLOG_WINDOW : FWLOG_OPENED,
		                         .id = i & 1 ? 0 : i + 1,
		                         .proto = IPPROTO_UDP,
		                         .src.addr = addr_v4(&ip),
		                         .dest.addr = addr_v4(&ip),
		                         .bytes_toserver = 1,
		                         .start_nsec = REF + i,
		                         .end_nsec = REF + i};
		log_join_add(j, &r);
	}
	assert_true(log_join_evicted(j) >= n - LOG_JOIN_FLOWS);
	assert_int_equal(emitted, log_join_evicted(j));
	log_join_flush(j);
	assert_int_equal(emitted, n);
	log_join_free(j);
}

/* A piece that is over comes out while the log goes on. */
static void idle(void **state)
{
	struct log_join *j;
	uint32_t ip = 1;

	assert_int_equal(log_join_new(count, NULL, &j), 0);
	emitted = 0;
	for (unsigned i = 0; i < LOG_JOIN_FLOWS; i++) {
		struct fwlog_record r = {.part = i ? FWLOG_WHOLE : FWLOG_PACKET,
		                         .proto = IPPROTO_UDP,
		                         .src.addr = addr_v4(&ip),
		                         .dest.addr = addr_v4(&ip),
		                         .bytes_toserver = !i,
		                         .end_nsec = REF + (i ? 2 * LOG_JOIN_IDLE_NSEC : 0)};
		log_join_add(j, &r);
	}
	assert_int_equal(emitted, 1);
	log_join_free(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(opened_and_closed),
	    cmocka_unit_test(halves),
	    cmocka_unit_test(windows_are_joined),
	    cmocka_unit_test(packets_are_joined),
	    cmocka_unit_test(bad_lines_are_told),
	    cmocka_unit_test(long_lines),
	    cmocka_unit_test(not_a_log),
	    cmocka_unit_test(from_a_pipe),
	    cmocka_unit_test(opened),
	    cmocka_unit_test(bounded),
	    cmocka_unit_test(idle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
