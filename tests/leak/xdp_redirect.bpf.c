/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* At XDP: sends every frame out of the interface OUT_IFINDEX, past netfilter and tc. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int redirect(struct xdp_md *ctx)
{
	return (int)bpf_redirect(OUT_IFINDEX, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
