/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Why a BPF object did not load. libbpf tells only by printing; its first warning names the cause.
 * Between begin and end nothing is printed, and that warning is kept.
 */
#ifndef STANCH_KERN_BPF_WHY_H
#define STANCH_KERN_BPF_WHY_H

void bpf_why_begin(void);
void bpf_why_end(void);
/* The first warning of the last begin … end of this thread; else what errno `code` (negative)
 * means. Valid until the next begin. */
const char *bpf_why(int code);

#endif
