/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* At tc ingress: sends every frame out of the interface OUT_IFINDEX, past what filters sockets. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int redirect(struct __sk_buff *skb)
{
	return (int)bpf_redirect(OUT_IFINDEX, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
