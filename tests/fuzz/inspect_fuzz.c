/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Packets of a few flows through a small inspector. A packet: one byte (bit 0 UDP, 1 to the server,
 * 2 and 3 which port, 4 not captured whole, 5 settled, 6 and 7 which client), two of sequence
 * number, two of length, payload.
 */
#include <stdlib.h>
#include <string.h>

#include "observe/halves.c"
#include "observe/inspect.c"
#include "observe/pieces.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *name)
{
	size_t n = strnlen(name, NAME_MAX_LEN);
	if (n == NAME_MAX_LEN)
		abort();
	for (size_t i = 0; i < n; i++)
		if (name[i] <= 0x20 || name[i] >= 0x7f || (name[i] >= 'A' && name[i] <= 'Z'))
			abort();
}

static unsigned apps;

static void on_app(void *arg, const struct app_event *e)
{
	check_name(e->name);
	if (e->app <= APP_UNKNOWN || e->app >= _APP_PROTO_MAX ||
	    (e->source == NAME_NONE) != !e->name[0])
		abort();
	apps++;
}

static void on_dns(void *arg, const struct dns_event *e)
{
	check_name(e->qname);
	if (e->n_addrs > DNS_EVENT_ADDRS)
		abort();
}

static void packet(struct inspect *in, const uint8_t *head, const uint8_t *p, uint32_t n)
{
	static const uint16_t ports[] = {443, 53, 5353, 80};
	struct flow f = {
	    .proto = head[0] & 1 ? IPPROTO_UDP : IPPROTO_TCP,
	    .src = {.addr = {ADDR_V4, {10, 0, 0, head[0] >> 6}}, .port = 1},
	    .dest = {.addr = {ADDR_V4, {10, 0, 0, 9}}, .port = ports[head[0] >> 2 & 3]},
	};
	uint8_t *copy = malloc(n ? n : 1);
	if (!copy)
		return;
	memcpy(copy, p, n);
	bool settled = head[0] & 32;
	struct packet k = {
	    .seq = load_be16(head + 1) - 0x8000u,
	    .payload = copy,
	    .payload_len = n,
	    .payload_wire = head[0] & 16 ? n + 1000 : n,
	};
	unsigned before = apps;
	bool now = inspect_packet(in, &f, 1, head[0] & 2, settled, &k);
	if (now != (settled || apps > before) || apps > before + 1 || (settled && apps > before))
		abort();
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct inspect_sinks sinks = {on_app, on_dns, NULL};
	struct cursor c = cursor_of(data, size);
	struct inspect *in;
	const uint8_t *head, *p;
	if (inspect_new(9 * 8 * sizeof(struct half), &sinks, &in, NULL) < 0)
		abort();
	while (cursor_take(&c, 5, &head)) {
		size_t n = load_be16(head + 3) % 8192;
		if (n > cursor_left(&c))
			n = cursor_left(&c);
		if (cursor_take(&c, n, &p))
			packet(in, head, p, (uint32_t)n);
	}
	inspect_free(in);
	return 0;
}
