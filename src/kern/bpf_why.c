/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kern/bpf_why.h"

#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char first_words[160];
static _Thread_local libbpf_print_fn_t before;

static int __attribute__((format(printf, 2, 0)))
on_words(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	if (level != LIBBPF_WARN || first_words[0])
		return 0;
	int n = vsnprintf(first_words, sizeof first_words, fmt, ap);
	if (n > 0 && (size_t)n < sizeof first_words && first_words[n - 1] == '\n')
		first_words[n - 1] = '\0';
	return n;
}

void bpf_why_begin(void)
{
	first_words[0] = '\0';
	before = libbpf_set_print(on_words);
}

void bpf_why_end(void)
{
	libbpf_set_print(before);
}

const char *bpf_why(int code)
{
	return first_words[0] ? first_words : strerror(-code);
}
