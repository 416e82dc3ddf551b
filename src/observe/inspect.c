/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/inspect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "observe/halves.h"
#include "wire/app.h"
#include "wire/dns.h"
#include "wire/http.h"
#include "wire/quic.h"
#include "wire/tls.h"

#define TCP_SYN       2
#define QUIC_LEAST    1200 /* RFC 9000 14.1: a server passes over a client's shorter datagram */
#define TLS_SURE      6    /* bytes after which it can be nothing else */
#define BEHIND_MAX    (1 << 20) /* so far back a segment may be a retransmission */
#define HEADLESS_PART 8         /* of the memory: one part in so many */

_Static_assert(HOSTNAME_MAX == NAME_MAX_LEN && DNS_ADDRS_MAX == DNS_EVENT_ADDRS,
               "what the decoders give fits the events");

struct inspect {
	struct inspect_sinks sinks;
	struct inspect_stats stats;
	struct crypt *crypt;
	struct halves *halves, *headless;
	struct half scratch; /* of a QUIC flow whose first datagram may well have it all */
};

/* One packet being looked at. */
struct look {
	struct inspect *in;
	const struct flow *f;
	const struct packet *p;
	uint64_t nsec;
	bool to_server, cut; /* cut: the payload was not captured whole */
};

enum verdict {
	NOTHING, /* it does not begin so */
	WAITS,   /* for more packets */
	SETTLED, /* an event went out */
};

static const enum app_proto app_of_speech[SPEECH_MAX] = {
    [SPEECH_DNS] = APP_DNS,   [SPEECH_TLS] = APP_TLS, [SPEECH_QUIC] = APP_QUIC,
    [SPEECH_HTTP] = APP_HTTP, [SPEECH_SSH] = APP_SSH, [SPEECH_SMTP] = APP_SMTP,
    [SPEECH_FTP] = APP_FTP,   [SPEECH_RDP] = APP_RDP, [SPEECH_SMB] = APP_SMB,
    [SPEECH_NTP] = APP_NTP,
};

int inspect_new(size_t max_bytes, const struct inspect_sinks *sinks, struct inspect **ret,
                struct err *e)
{
	struct inspect *in = calloc(1, sizeof *in);

	if (!in)
		return err_set(e, -ENOMEM, "no memory to look into payloads");
	in->sinks = *sinks;
	in->headless = halves_new(max_bytes / HEADLESS_PART);
	in->halves = halves_new(max_bytes - max_bytes / HEADLESS_PART);
	int r = !in->headless || !in->halves ? -ENOMEM : crypt_new(&in->crypt);
	if (r < 0) {
		inspect_free(in);
		return err_set(e, r, "cannot look into payloads: %s",
		               r == -ENOMEM ? "not enough memory" : "libcrypto lacks AES or HMAC");
	}
	*ret = in;
	return 0;
}

void inspect_free(struct inspect *in)
{
	if (!in)
		return;
	crypt_free(in->crypt);
	halves_free(in->halves);
	halves_free(in->headless);
	free(in);
}

void inspect_stats(const struct inspect *in, struct inspect_stats *ret)
{
	*ret = in->stats;
	ret->evicted = halves_evicted(in->halves) + halves_evicted(in->headless);
}

/* ---- telling ---- */

static enum verdict say(const struct look *l, enum app_proto app, enum name_source source,
                        const char *name)
{
	struct app_event e = {
	    .src = l->f->src,
	    .dest = l->f->dest,
	    .proto = l->f->proto,
	    .nsec = l->nsec,
	    .app = app,
	    .source = *name ? source : NAME_NONE,
	};

	memcpy(e.name, name, strlen(name) + 1);
	l->in->stats.apps++;
	l->in->stats.names += *name != 0;
	if (l->in->sinks.app)
		l->in->sinks.app(l->in->sinks.arg, &e);
	return SETTLED;
}

static enum verdict say_hello(const struct look *l, enum app_proto app, enum name_source source,
                              const struct tls_hello *h)
{
	return say(l, app, h->ech ? NAME_OUTER : source, h->sni);
}

static enum verdict say_speech(const struct look *l, bool udp)
{
	enum speech s = speech_of(udp, l->to_server, l->p->payload, l->p->payload_len);
	return s == SPEECH_UNKNOWN ? NOTHING : say(l, app_of_speech[s], NAME_NONE, "");
}

/* ---- TCP, to the server: what a stream starts with ---- */

/* The first n bytes; last: there will be no more to ask about. */
static enum verdict start(const struct look *l, const uint8_t *p, size_t n, bool last)
{
	struct http_request request;
	struct tls_hello hello;

	last = last || n >= PIECES_MAX;
	switch (tls_hello(p, n, &hello)) {
	case TLS_HAVE:
		return say_hello(l, APP_TLS, NAME_SNI, &hello);
	case TLS_MORE:
		if (last && n >= TLS_SURE)
			return say(l, APP_TLS, NAME_NONE, "");
		return last ? NOTHING : WAITS;
	case TLS_NOT:
		break;
	}
	switch (http_request(p, n, last, &request)) {
	case HTTP_HAVE:
		return say(l, APP_HTTP, NAME_HTTP, request.host);
	case HTTP_MORE:
		return WAITS;
	case HTTP_NOT:
		break;
	}
	return NOTHING;
}

static struct half *find(const struct look *l, enum half_kind kind, bool to_server)
{
	struct half_key key = half_key_of(l->f, kind, to_server);
	return halves_find(kind == HALF_HEADLESS ? l->in->headless : l->in->halves, &key);
}

static struct half *make(const struct look *l, enum half_kind kind, bool to_server)
{
	struct half_key key = half_key_of(l->f, kind, to_server);
	return halves_make(kind == HALF_HEADLESS ? l->in->headless : l->in->halves, &key);
}

static int32_t offset_in(const struct half *h, const struct packet *p)
{
	return (int32_t)(p->seq - h->base);
}

/* The stream that this segment belongs to; NULL: none, or one that the ports had before. */
static struct half *find_stream(const struct look *l, enum half_kind kind)
{
	struct half *h = find(l, kind, l->to_server);

	if (h && (offset_in(h, l->p) >= PIECES_MAX || offset_in(h, l->p) < -BEHIND_MAX)) {
		halves_drop(h);
		return NULL;
	}
	return h;
}

static void put_segment(struct half *h, const struct packet *p)
{
	int32_t at = offset_in(h, p);
	size_t skip = at < 0 ? (size_t) - (int64_t)at : 0;

	if (skip < p->payload_len)
		pieces_put(&h->pieces, at < 0 ? 0 : (uint64_t)at, p->payload + skip,
		           p->payload_len - skip);
}

static struct half *make_stream(const struct look *l, enum half_kind kind)
{
	struct half *h = make(l, kind, l->to_server);

	h->base = l->p->seq;
	put_segment(h, l->p);
	return h;
}

/* A segment that starts nothing may have overtaken the one that does. */
static void keep_headless(const struct look *l)
{
	struct half *h = find_stream(l, HALF_HEADLESS);

	if (!h) {
		make_stream(l, HALF_HEADLESS);
		return;
	}
	if (offset_in(h, l->p) < 0) {
		pieces_unshift(&h->pieces, h->base - l->p->seq);
		h->base = l->p->seq;
	}
	put_segment(h, l->p);
}

/* A head has come, which is h: what overtook it is added. */
static void join_headless(const struct look *l, struct half *h)
{
	struct half *rest = find(l, HALF_HEADLESS, true);

	if (!rest)
		return;
	uint32_t at = rest->base - h->base;
	if (at < PIECES_MAX) {
		pieces_unshift(&rest->pieces, at);
		rest->base = h->base;
		put_segment(rest, l->p);
		h->pieces = rest->pieces;
	}
	halves_drop(rest);
}

static enum verdict stream_start(const struct look *l)
{
	struct half *h = find_stream(l, HALF_START);

	if (h) {
		put_segment(h, l->p);
	} else {
		enum verdict v = start(l, l->p->payload, l->p->payload_len, l->cut);
		if (v != WAITS)
			return v;
		h = make_stream(l, HALF_START);
		join_headless(l, h);
	}
	enum verdict v = start(l, h->pieces.bytes, pieces_prefix(&h->pieces), l->cut);
	if (v != WAITS)
		halves_drop(h);
	return v;
}

static enum verdict tcp_up(const struct look *l)
{
	enum verdict v = stream_start(l);

	if (v == NOTHING)
		v = say_speech(l, false);
	if (v == NOTHING && !l->cut)
		keep_headless(l);
	return v;
}

static enum verdict tcp_down(const struct look *l)
{
	enum verdict v = say_speech(l, false);

	/* The server has answered: what lacks of the question will not come. */
	if (v == SETTLED)
		halves_drop(find(l, HALF_START, true));
	return v;
}

/* ---- QUIC ---- */

/* The half that this packet opens with, from the table or fresh in scratch; NULL: it opens with no
 * keys of a client. */
static struct half *quic_half(const struct look *l, const struct quic_packet *packet,
                              uint8_t plain[static QUIC_PACKET_MAX], struct cursor *ret_frames)
{
	struct inspect *in = l->in;
	struct half *h = find(l, HALF_QUIC, true);
	struct quic_keys keys;

	if (h && quic_open(in->crypt, &h->keys, packet, plain, ret_frames) == 0)
		return h;
	if (quic_client_keys(in->crypt, packet->version, &packet->dcid, &keys) < 0 ||
	    quic_open(in->crypt, &keys, packet, plain, ret_frames) < 0)
		return NULL;
	/* A first packet, or the first after a Retry: the handshake begins anew. */
	if (!h)
		h = &in->scratch;
	h->keys = keys;
	pieces_clear(&h->pieces);
	return h;
}

static enum verdict quic_hello(const struct look *l, const struct half *h)
{
	size_t n = pieces_prefix(&h->pieces);
	struct tls_hello hello;

	switch (tls_client_hello(h->pieces.bytes, n, &hello)) {
	case TLS_HAVE:
		return say_hello(l, APP_QUIC, NAME_QUIC, &hello);
	case TLS_MORE:
		if (n < PIECES_MAX)
			return WAITS;
		break;
	case TLS_NOT:
		break;
	}
	return say(l, APP_QUIC, NAME_NONE, "");
}

static enum verdict quic_initial(const struct look *l, const struct quic_packet *packet)
{
	uint8_t plain[QUIC_PACKET_MAX];
	struct quic_crypto part;
	struct cursor frames;
	struct half *h = quic_half(l, packet, plain, &frames);

	if (!h)
		return NOTHING;
	while (quic_next_crypto(&frames, &part) > 0)
		pieces_put(&h->pieces, part.offset, part.p, part.n);
	enum verdict v = quic_hello(l, h);
	if (v == WAITS && h == &l->in->scratch) {
		struct half *kept = make(l, HALF_QUIC, true);
		kept->keys = h->keys;
		kept->pieces = h->pieces;
	} else if (v == SETTLED && h != &l->in->scratch) {
		halves_drop(h);
	}
	return v;
}

static enum verdict quic(const struct look *l)
{
	struct cursor c = cursor_of(l->p->payload, l->p->payload_len);
	enum verdict v = NOTHING;
	struct quic_packet packet;
	bool any = false, initial = false;

	while (v != SETTLED && quic_next(&c, &packet)) {
		any = true;
		/* To open one costs more than all else here: what no server takes is left alone. */
		if (!packet.initial || !l->to_server || l->p->payload_wire < QUIC_LEAST)
			continue;
		initial = true;
		enum verdict one = quic_initial(l, &packet);
		v = one == NOTHING ? v : one;
	}
	if (v != NOTHING || !any)
		return v;
	/* QUIC, but no ClientHello: if one may still come, it is worth waiting for. */
	if (l->to_server ? !initial : find(l, HALF_QUIC, true) != NULL)
		return WAITS;
	return say(l, APP_QUIC, NAME_NONE, "");
}

/* ---- DNS ---- */

static void dns_event_of(const struct look *l, const struct dns_message *m, size_t size,
                         struct dns_event *ret)
{
	/* Who sent a response is the server, whoever spoke first. */
	bool from_client = !m->response;
	bool forward = from_client == l->to_server;

	*ret = (struct dns_event){
	    .client = forward ? l->f->src : l->f->dest,
	    .server = forward ? l->f->dest : l->f->src,
	    .proto = l->f->proto,
	    .nsec = l->nsec,
	    .response = m->response,
	    .rcode = m->rcode,
	    .qtype = m->qtype,
	    .size = (uint16_t)size,
	    .n_addrs = m->n_addrs,
	};
	memcpy(ret->qname, m->qname, sizeof ret->qname);
	memcpy(ret->addrs, m->addrs, sizeof ret->addrs);
}

/* One message of n bytes, size on the wire. False: it is none. */
static bool dns_message(const struct look *l, const uint8_t *p, size_t n, size_t size)
{
	bool multicast = l->f->src.port == 5353 || l->f->dest.port == 5353;
	struct dns_message m;
	struct dns_event e;

	if (dns_decode(p, n, n < size, &m) < 0 || (m.n_questions != 1 && !multicast) ||
	    m.opcode > 6 || size > UINT16_MAX) {
		l->in->stats.malformed++;
		return false;
	}
	dns_event_of(l, &m, size, &e);
	l->in->stats.dns++;
	if (l->in->sinks.dns)
		l->in->sinks.dns(l->in->sinks.arg, &e);
	return true;
}

/* Tells the whole messages at the start of the window and moves it behind them. 1: there were some;
 * 0: none; -1: this is no DNS. */
static int take_messages(const struct look *l, struct half *h)
{
	size_t n = pieces_prefix(&h->pieces), at = 0, len = 0;
	const uint8_t *p = h->pieces.bytes;

	for (; n - at >= 2; at += 2 + len) {
		len = load_be16(p + at);
		if (len < DNS_HEADER)
			return -1;
		if (2 + len > n - at)
			break;
		if (!dns_message(l, p + at + 2, len, len))
			return -1;
	}
	/* Longer than the window: its head is told, the rest passed over. */
	if (!at && n == PIECES_MAX) {
		if (!dns_message(l, p + 2, n - 2, len))
			return -1;
		at = 2 + len;
	}
	pieces_drop(&h->pieces, at);
	h->base += (uint32_t)at;
	return at > 0;
}

/* The segment's end was not captured: nor is that of a message in it. */
static bool take_cut_message(const struct look *l, struct half *h)
{
	size_t n = pieces_prefix(&h->pieces);
	const uint8_t *p = h->pieces.bytes;
	bool told = n >= 2 + DNS_HEADER && load_be16(p) >= n - 2 &&
	            dns_message(l, p + 2, n - 2, load_be16(p));

	pieces_clear(&h->pieces);
	h->base = l->p->seq + l->p->payload_wire;
	return told;
}

static bool dns_over_tcp(const struct look *l)
{
	struct half *h = find_stream(l, HALF_DNS);
	bool told = false;
	int r;

	if (!h)
		h = make_stream(l, HALF_DNS);
	do {
		put_segment(h, l->p);
		r = take_messages(l, h);
		told |= r > 0;
	} while (r > 0);
	if (r < 0)
		halves_drop(h);
	else if (l->cut)
		told |= take_cut_message(l, h);
	return told;
}

/* ---- all together ---- */

static enum verdict udp(const struct look *l)
{
	enum verdict v = quic(l);
	return v == NOTHING ? say_speech(l, true) : v;
}

static bool dns(const struct look *l)
{
	return l->f->proto == IPPROTO_UDP
	           ? dns_message(l, l->p->payload, l->p->payload_len, l->p->payload_wire)
	           : dns_over_tcp(l);
}

bool inspect_packet(struct inspect *in, const struct flow *f, uint64_t nsec, bool to_server,
                    bool settled, const struct packet *p)
{
	struct packet syn;
	struct look l = {
	    .in = in,
	    .f = f,
	    .p = p,
	    .nsec = nsec,
	    .to_server = to_server,
	    .cut = p->payload_len < p->payload_wire,
	};

	/* With fast open, data comes with SYN, which has a number of its own. */
	if (p->tcp_flags & TCP_SYN) {
		syn = *p;
		syn.seq++;
		l.p = &syn;
	}
	if (!p->payload_len || (f->proto != IPPROTO_TCP && f->proto != IPPROTO_UDP))
		return settled;
	if ((inspect_dns_port(f->src.port) || inspect_dns_port(f->dest.port)) && dns(&l))
		return settled || say(&l, APP_DNS, NAME_NONE, "") == SETTLED;
	if (settled)
		return true;
	if (f->proto == IPPROTO_UDP)
		return udp(&l) == SETTLED;
	return (to_server ? tcp_up(&l) : tcp_down(&l)) == SETTLED;
}
