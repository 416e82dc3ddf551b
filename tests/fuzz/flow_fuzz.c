/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A few frames, each cut from the input, through a small flow table: what comes out adds up to what
 * went in. A frame: length on the wire beyond the capture, time step, length, bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "observe/flowtab.c"
#include "observe/frags.c"
#include "observe/inspect.h"

/* What looks into payloads has a target of its own; here it only has to be handed sound bytes. */
bool inspect_packet(struct inspect *in, const struct flow *f, uint64_t nsec, bool to_server,
                    bool settled, const struct packet *p)
{
	unsigned sum = 0;
	if (!in || !p->payload_len || p->payload_wire < p->payload_len)
		abort();
	for (uint32_t i = 0; i < p->payload_len; i++)
		sum += p->payload[i];
	return sum % 4 == 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sums {
	uint64_t pkts, bytes, flows;
};

static void sum(void *arg, const struct flow *f)
{
	struct sums *s = arg;
	s->pkts += f->pkts_toserver + f->pkts_toclient;
	s->bytes += f->bytes_toserver + f->bytes_toclient;
	s->flows++;
	if (f->start_nsec > f->end_nsec || !(f->pkts_toserver + f->pkts_toclient))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sums in = {0}, out = {0};
	struct source_stats s = {0};
	struct flowtab *t;
	uint64_t nsec = 1;
	if (size < 2 || flowtab_new(data[0] % 16 + 1, sum, &out, &t, NULL) < 0)
		return 0;
	flowtab_inspect(t, (struct inspect *)(void *)t);
	unsigned link = data[1] & 1 ? LINK_RAW : LINK_ETHERNET;
	for (data += 2, size -= 2; size > 3;) {
		uint32_t n = data[2] < size - 3 ? data[2] : (uint32_t)size - 3;
		struct packet p;
		uint32_t wire = n + data[0];
		nsec += (uint64_t)data[1] << 28;
		if (packet_decode(link, data + 3, n, wire, &p) == PACKET_IP) {
			in.pkts++;
			in.bytes += wire;
		}
		flowtab_frame(t, nsec, link, data + 3, n, wire);
		if (data[1] == 255)
			flowtab_expire(t, nsec / 2);
		data += 3 + n;
		size -= 3 + n;
	}
	flowtab_flush(t);
	flowtab_stats(t, &s);
	if (in.pkts != out.pkts || in.bytes != out.bytes || s.flows != out.flows)
		abort();
	flowtab_free(t);
	return 0;
}
