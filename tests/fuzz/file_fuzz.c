/* SPDX-License-Identifier: GPL-3.0-or-later */
/* First byte: how many bytes a read gives at most (0: all). The rest is a capture file. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "observe/file.c"

#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
	struct sys_ops ops;
	struct source_stats s = {0};
	struct err e = {0};
	void *ctx = NULL;
	int r;
	if (!size)
		return 0;
	input_begin(&ops, data, size);
	frames = 0;
	if (file_source.attach(-1, &ctx, NULL) < 0) {
		input_end();
		return 0;
	}
	while ((r = file_source.pump(ctx, &sink, 5, 0, &e)) > 0)
		;
	file_source.stats(ctx, &s);
	/* An error has a text, an end has read all there is. */
	if (s.packets != frames || (r < 0 && !e.text[0]) || (!r && left))
		abort();
	file_source.close(ctx);
	input_end();
	return 0;
}
