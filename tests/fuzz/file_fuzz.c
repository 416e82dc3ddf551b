/* SPDX-License-Identifier: GPL-3.0-or-later */
/* First byte: how many bytes a read gives at most (0: all). The rest is a capture file. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "observe/file.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *input;
static size_t left, piece;

static ssize_t read_input(int fd, void *p, size_t n)
{
	if (n > piece)
		n = piece;
	if (n > left)
		n = left;
	memcpy(p, input, n);
	input += n;
	left -= n;
	return (ssize_t)n;
}

static int poll_input(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	return 1;
}

static int close_input(int fd)
{
	return 0;
}

static uint64_t frames;

static void frame(void *arg, uint64_t nsec, unsigned linktype, const uint8_t *data,
                  uint32_t cap_len, uint32_t wire_len)
{
	volatile uint8_t sink = 0;
	for (uint32_t i = 0; i < cap_len; i++)
		sink = (uint8_t)(sink + data[i]);
	if (cap_len > wire_len)
		abort();
	frames++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct packet_sink sink = {.frame = frame};
	struct sys_ops ops = sys_kernel;
	struct source_stats s = {0};
	struct err e = {0};
	void *ctx = NULL;
	int r;
	if (!size)
		return 0;
	ops.read = read_input;
	ops.poll = poll_input;
	ops.close = close_input;
	sys = &ops;
	frames = 0;
	piece = data[0] ? data[0] : SIZE_MAX;
	input = data + 1;
	left = size - 1;
	if (file_source.attach(-1, &ctx, NULL) < 0)
		return 0;
	while ((r = file_source.pump(ctx, &sink, 5, 0, &e)) > 0)
		;
	file_source.stats(ctx, &s);
	/* An error has a text, an end has read all there is. */
	if (s.packets != frames || (r < 0 && !e.text[0]) || (!r && left))
		abort();
	file_source.close(ctx);
	sys = &sys_kernel;
	return 0;
}
