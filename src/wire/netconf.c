/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/netconf.h"

#include <errno.h>
#include <string.h>

#define EOM       "]]>]]>"
#define EOM_LEN   6
#define CHUNK_MAX 4294967295ull

/* Chunked: what is expected next. */
enum { WANT_LF, WANT_HASH, WANT_LENGTH, WANT_DATA, WANT_END_LF, STATE_MAX };

void netconf_reader_init(struct netconf_reader *r, enum netconf_framing framing, size_t max)
{
	*r = (struct netconf_reader){.framing = framing, .message = BUF_INIT(max)};
}

void netconf_reader_free(struct netconf_reader *r)
{
	buf_free(&r->message);
}

void netconf_reader_next(struct netconf_reader *r)
{
	buf_reset(&r->message);
	r->state = WANT_LF;
	r->any = false;
}

static int add(struct netconf_reader *r, const uint8_t *p, size_t n, struct err *e)
{
	int x = buf_add(&r->message, p, n);
	if (x == -EMSGSIZE)
		return err_set(e, x, "the answer is longer than %zu bytes", r->message.max);
	return x < 0 ? err_set(e, x, "out of memory for the answer") : 0;
}

static int feed_eom(struct netconf_reader *r, const uint8_t *p, size_t n, size_t *used, bool *done,
                    struct err *e)
{
	struct buf *m = &r->message;
	for (size_t at = 0; at < n;) {
		/* Up to the next '>' at once: only behind one can the end be. */
		const uint8_t *gt = memchr(p + at, '>', n - at);
		size_t take = gt ? (size_t)(gt - (p + at)) + 1 : n - at;
		int x = add(r, p + at, take, e);
		if (x < 0)
			return x;
		at += take;
		*used = at;
		if (m->len >= EOM_LEN && !memcmp(m->data + m->len - EOM_LEN, EOM, EOM_LEN)) {
			m->len -= EOM_LEN;
			m->data[m->len] = 0;
			*done = true;
			return 0;
		}
	}
	return 0;
}

static int bad_chunk(const struct netconf_reader *r, uint8_t byte, struct err *e)
{
	static const char *const wants[STATE_MAX] = {
	    [WANT_LF] = "a line's end before a chunk", [WANT_HASH] = "\"#\"",
	    [WANT_LENGTH] = "a chunk's length",        [WANT_DATA] = "data",
	    [WANT_END_LF] = "the end of chunks",
	};
	return err_set(e, -EBADMSG,
	               "the answer is not framed in chunks: %s was due, and 0x%02x came",
	               wants[r->state], byte);
}

/* The length is 1 to 4294967295 without leading zeros (RFC 6242 4.2). */
static int take_length(struct netconf_reader *r, uint8_t c, struct err *e)
{
	if (c == '\n' && r->digits) {
		r->state = WANT_DATA;
		return 0;
	}
	bool digit = c >= '0' && c <= '9' && !(c == '0' && !r->digits);
	uint64_t v = (uint64_t)r->chunk * 10 + (digit ? (uint64_t)(c - '0') : 0);
	if (!digit || v > CHUNK_MAX)
		return bad_chunk(r, c, e);
	r->chunk = (uint32_t)v;
	r->digits++;
	return 0;
}

/* One byte between the data. */
static int take_mark(struct netconf_reader *r, uint8_t c, bool *done, struct err *e)
{
	switch (r->state) {
	case WANT_LF:
		if (c != '\n')
			return bad_chunk(r, c, e);
		r->state = WANT_HASH;
		return 0;
	case WANT_HASH:
		if (c != '#')
			return bad_chunk(r, c, e);
		r->state = WANT_LENGTH;
		r->chunk = r->digits = 0;
		return 0;
	case WANT_LENGTH:
		if (c == '#' && !r->digits && r->any) {
			r->state = WANT_END_LF;
			return 0;
		}
		return take_length(r, c, e);
	default:
		if (c != '\n')
			return bad_chunk(r, c, e);
		*done = true;
		return 0;
	}
}

static int feed_chunked(struct netconf_reader *r, const uint8_t *p, size_t n, size_t *used,
                        bool *done, struct err *e)
{
	for (size_t at = 0; at < n && !*done; *used = at) {
		int x;
		if (r->state != WANT_DATA) {
			x = take_mark(r, p[at++], done, e);
		} else {
			size_t take = n - at < r->chunk ? n - at : r->chunk;
			x = add(r, p + at, take, e);
			at += take;
			r->chunk -= (uint32_t)take;
			r->any = true;
			if (!r->chunk)
				r->state = WANT_LF;
		}
		if (x < 0)
			return x;
	}
	return 0;
}

int netconf_feed(struct netconf_reader *r, const uint8_t *p, size_t n, size_t *ret_used,
                 bool *ret_done, struct err *e)
{
	*ret_used = 0;
	*ret_done = false;
	return r->framing == NETCONF_EOM ? feed_eom(r, p, n, ret_used, ret_done, e)
	                                 : feed_chunked(r, p, n, ret_used, ret_done, e);
}

int netconf_frame(enum netconf_framing framing, const char *message, size_t n, struct buf *out,
                  struct err *e)
{
	if (framing == NETCONF_EOM && memmem(message, n, EOM, EOM_LEN))
		return err_set(e, -EINVAL, "the message has \"" EOM "\" in it and cannot be sent");
	if (framing == NETCONF_CHUNKED)
		buf_addf(out, "\n#%zu\n", n);
	buf_add(out, message, n);
	buf_addf(out, "%s", framing == NETCONF_CHUNKED ? "\n##\n" : EOM);
	return out->error ? err_set(e, out->error, "out of memory for the message") : 0;
}
