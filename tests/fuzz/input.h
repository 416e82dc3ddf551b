/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a source reads by system calls, from the fuzzer's input: its first byte says how many bytes
 * a read gives at most (0: all), the rest is the file. Included once, by the target. */
#ifndef STANCH_FUZZ_INPUT_H
#define STANCH_FUZZ_INPUT_H

#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "base/sys.h"

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

/* size > 0. ops must stay until input_end. */
static void input_begin(struct sys_ops *ops, const uint8_t *data, size_t size)
{
	*ops = sys_kernel;
	ops->read = read_input;
	ops->poll = poll_input;
	ops->close = close_input;
	sys = ops;
	piece = data[0] ? data[0] : SIZE_MAX;
	input = data + 1;
	left = size - 1;
}

static void input_end(void)
{
	sys = &sys_kernel;
}

#endif
