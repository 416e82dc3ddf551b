/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/sys.h"
#include "wire/pcap.h"
#include "wire/pcapng.h"

#define READ_BLOCK 262144u /* stays in the second-level cache between read and use */

enum format { FORMAT_UNKNOWN, FORMAT_PCAP, FORMAT_PCAPNG };

/* bytes[pos..end) has been read and not yet handed on; `offset` is where bytes[0] lies in the file.
 */
struct capture_file {
	int fd;
	bool pollable, at_end, failed;
	enum format format;
	size_t pos, end;
	uint64_t offset, skip; /* skip: bytes to pass over before the next record */
	uint64_t packets, n_bytes, malformed;
	struct pcap pcap;
	struct pcapng pcapng;
	uint8_t bytes[CAPTURE_BLOCK_MAX + READ_BLOCK];
};

/* A record never needs more than one block: what is left of one and a new read always fit. */
_Static_assert(CAPTURE_FRAME_MAX + 4096 < CAPTURE_BLOCK_MAX, "a frame fits into a block");

static int open_capture(const char *where, int *ret_fd, struct err *e)
{
	struct stat st;
	int fd = strcmp(where, "-") ? sys->open(where, O_RDONLY | O_CLOEXEC | O_NOCTTY, 0)
	                            : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return err_set(e, -errno, "cannot open capture file %s: %s", where,
		               strerror(errno));
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		sys->close(fd);
		return err_set(e, -EISDIR, "%s is a directory, not a capture file", where);
	}
	/* A hint for cold files; nothing depends on it. */
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	*ret_fd = fd;
	return 0;
}

static int attach(int fd, void **ret_ctx, struct err *e)
{
	struct capture_file *f = malloc(sizeof *f);
	if (!f)
		return err_set(e, -ENOMEM, "no memory for reading a capture file");
	memset(f, 0, offsetof(struct capture_file, bytes));
	f->fd = fd;
	/* Only what cannot seek can make us wait; fstat is not among the child's calls. */
	f->pollable = lseek(fd, 0, SEEK_CUR) < 0;
	*ret_ctx = f;
	return 0;
}

static uint64_t place(const struct capture_file *f)
{
	return f->offset + f->pos;
}

static int fail(struct capture_file *f, int code, struct err *e, const char *why, uint64_t at)
{
	f->failed = true;
	f->malformed++;
	return err_set(e, code, "broken off at byte %llu: %s; %llu packets before it were counted",
	               (unsigned long long)at, why, (unsigned long long)f->packets);
}

/* 1: the descriptor can be read, 0: not yet, -errno. */
static int readable(const struct capture_file *f, int timeout_ms)
{
	if (!f->pollable)
		return 1;
	struct pollfd p = {.fd = f->fd, .events = POLLIN};
	int r = sys->poll(&p, 1, timeout_ms);
	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	return r;
}

static void pass_over(struct capture_file *f)
{
	size_t here = f->end - f->pos;
	if (here > f->skip)
		here = (size_t)f->skip;
	f->pos += here;
	f->skip -= here;
}

/* Reads one more block behind what is left. 1: bytes came or the end is known, 0: none yet. */
static int fill(struct capture_file *f, int timeout_ms, struct err *e)
{
	int r = readable(f, timeout_ms);
	if (r > 0) {
		memmove(f->bytes, f->bytes + f->pos, f->end - f->pos);
		f->offset += f->pos;
		f->end -= f->pos;
		f->pos = 0;
		ssize_t n = sys->read(f->fd, f->bytes + f->end, READ_BLOCK);
		if (n >= 0) {
			f->at_end = n == 0;
			f->end += (size_t)n;
			pass_over(f);
			return 1;
		}
		r = errno == EINTR || errno == EAGAIN ? 0 : -errno;
	}
	if (r < 0) {
		f->failed = true;
		return err_set(e, r, "cannot read at byte %llu: %s", (unsigned long long)place(f),
		               strerror(-r));
	}
	return 0;
}

static int not_a_capture(struct capture_file *f, struct err *e)
{
	char hex[8 * 3 + 1] = "";
	size_t n = f->end < 8 ? f->end : 8;
	for (size_t i = 0; i < n; i++)
		snprintf(hex + 3 * i, 4, " %02x", f->bytes[i]);
	f->failed = true;
	f->malformed++;
	return err_set(e, -EBADMSG, "not a capture file (pcap, pcapng): %s%s",
	               n ? "first bytes" : "it is empty", hex);
}

/* Finds the format out; 1: known, 0: more bytes are needed, -errno. */
static int detect(struct capture_file *f, struct err *e)
{
	if (f->end < 4 && !f->at_end)
		return 0;
	if (f->end >= 4 && pcapng_magic(f->bytes)) {
		f->format = FORMAT_PCAPNG;
		return 1;
	}
	if (f->end < 4 || !pcap_magic(f->bytes))
		return not_a_capture(f, e);
	if (f->end < PCAP_HEADER_LEN && !f->at_end)
		return 0;
	struct cursor c = cursor_of(f->bytes, f->end);
	struct err why = {0};
	if (pcap_header(&c, &f->pcap, &why) < 0)
		return fail(f, f->end < PCAP_HEADER_LEN ? -ENODATA : -EBADMSG, e, why.text, 0);
	f->format = FORMAT_PCAP;
	f->pos = PCAP_HEADER_LEN;
	return 1;
}

static inline enum capture_step step(struct capture_file *f, struct cursor *c,
                                     struct capture_record *r)
{
	return f->format == FORMAT_PCAP ? pcap_next(&f->pcap, c, r) : pcapng_next(&f->pcapng, c, r);
}

/* Hands on what is in the buffer. CAPTURE_PACKET: max frames were handed. */
static enum capture_step hand_on(struct capture_file *f, const struct packet_sink *sink,
                                 unsigned max, struct capture_record *r)
{
	struct cursor c = cursor_of(f->bytes + f->pos, f->end - f->pos);
	enum capture_step s = CAPTURE_PACKET;
	unsigned handed = 0;
	uint64_t bytes = 0;

	while (handed < max && (s = step(f, &c, r)) <= CAPTURE_SKIP && s != CAPTURE_MORE) {
		if (s == CAPTURE_SKIP) {
			f->skip = r->need;
			if (f->skip)
				break;
			continue;
		}
		handed++;
		bytes += r->wire_len;
		f->malformed += r->contradicts;
		sink->frame(sink->arg, r->nsec, r->linktype, r->data, r->cap_len, r->wire_len);
	}
	f->packets += handed;
	f->n_bytes += bytes;
	f->pos = (size_t)(c.p - f->bytes);
	return handed == max ? CAPTURE_PACKET : s;
}

static int ended(struct capture_file *f, struct err *e)
{
	if (f->skip)
		return fail(f, -ENODATA, e, "the file ends inside a block", place(f));
	if (f->pos < f->end)
		return fail(f, -ENODATA, e, "the file ends inside a record", place(f));
	return 0;
}

static void settle(const struct packet_sink *sink)
{
	if (sink->settle)
		sink->settle(sink->arg);
}

static int read_on(void *ctx, const struct packet_sink *sink, unsigned max, int timeout_ms,
                   struct err *e)
{
	struct capture_file *f = ctx;
	uint64_t stop = f->packets + max;

	while (!f->failed && f->packets < stop) {
		struct capture_record r = {0};
		enum capture_step s = CAPTURE_MORE;
		int found = f->format == FORMAT_UNKNOWN ? detect(f, e) : 1;
		if (found < 0)
			return found;
		if (found && !f->skip)
			s = hand_on(f, sink, (unsigned)(stop - f->packets), &r);
		if (s == CAPTURE_PACKET)
			return 1;
		if (s == CAPTURE_BAD)
			return fail(f, -EBADMSG, e, r.why, place(f));
		if (f->at_end)
			return ended(f, e);
		settle(sink);
		int got = fill(f, timeout_ms, e);
		if (got <= 0)
			return got < 0 ? got : 1;
	}
	return f->failed ? 0 : 1;
}

static int pump(void *ctx, const struct packet_sink *sink, unsigned max, int timeout_ms,
                struct err *e)
{
	int r = read_on(ctx, sink, max, timeout_ms, e);

	settle(sink);
	return r;
}

static void stats(void *ctx, struct source_stats *ret)
{
	const struct capture_file *f = ctx;
	ret->packets += f->packets;
	ret->bytes += f->n_bytes;
	ret->malformed += f->malformed;
	ret->dropped += pcapng_dropped(&f->pcapng);
	snprintf(ret->tier, sizeof ret->tier, "file");
}

static void close_capture(void *ctx)
{
	struct capture_file *f = ctx;
	if (!f)
		return;
	sys->close(f->fd);
	free(f);
}

const struct source_ops file_source = {
    .name = "file",
    .open = open_capture,
    .attach = attach,
    .pump = pump,
    .stats = stats,
    .close = close_capture,
};
