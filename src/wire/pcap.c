/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/pcap.h"

#include <errno.h>

#include "base/table.h"

/* Magic numbers as read in big-endian order; the file's order follows from which one matches. */
static const struct {
	uint32_t magic;
	uint32_t frac_nsec;
	uint8_t record_len;
} variants[] = {
    {0xa1b2c3d4, 1000, 16},
    {0xa1b23c4d, 1, 16},
    {0xa1b2cd34, 1000, 24},
};

/* Index into variants, or -1. */
static int variant(const uint8_t *four, bool *ret_big)
{
	for (size_t i = 0; i < ARRAY_SIZE(variants); i++) {
		if (load_be32(four) == variants[i].magic || load_le32(four) == variants[i].magic) {
			*ret_big = load_be32(four) == variants[i].magic;
			return (int)i;
		}
	}
	return -1;
}

static inline uint32_t u32(const struct pcap *f, const uint8_t *p)
{
	return f->big ? load_be32(p) : load_le32(p);
}

static inline uint16_t u16(const struct pcap *f, const uint8_t *p)
{
	return f->big ? load_be16(p) : load_le16(p);
}

bool pcap_magic(const uint8_t four[static 4])
{
	bool big;
	return variant(four, &big) >= 0;
}

int pcap_header(struct cursor *c, struct pcap *ret, struct err *e)
{
	struct pcap f = {0};
	struct cursor at = *c;
	const uint8_t *p;
	if (!cursor_take(&at, PCAP_HEADER_LEN, &p))
		return err_set(e, -EBADMSG,
		               "pcap file header is cut off: %zu of %d bytes are there",
		               cursor_left(c), PCAP_HEADER_LEN);
	int i = variant(p, &f.big);
	if (i < 0)
		return err_set(e, -EBADMSG, "no pcap file: first bytes %02x %02x %02x %02x", p[0],
		               p[1], p[2], p[3]);
	unsigned major = u16(&f, p + 4), minor = u16(&f, p + 6);
	if (major != 2)
		return err_set(e, -EBADMSG, "pcap version %u.%u is unknown; 2.x is read", major,
		               minor);
	f.frac_nsec = variants[i].frac_nsec;
	f.record_len = variants[i].record_len;
	f.lengths_swapped = minor < 4;
	f.snaplen = u32(&f, p + 16);
	/* The upper six bits tell of frame check sequences. */
	f.linktype = u32(&f, p + 20) & 0x03ffffff;
	*c = at;
	*ret = f;
	return 0;
}

/* Mends what contradicts itself without doubt about where the next record begins. */
static void mend(const struct pcap *f, uint32_t frac, struct capture_record *r)
{
	if (r->wire_len < r->cap_len) {
		r->contradicts = true;
		r->wire_len = r->cap_len;
	}
	if ((uint64_t)frac * f->frac_nsec >= NSEC_PER_SEC)
		r->contradicts = true;
}

static enum capture_step bad(struct capture_record *ret, const char *why)
{
	ret->why = why;
	return CAPTURE_BAD;
}

enum capture_step pcap_next(const struct pcap *f, struct cursor *c, struct capture_record *ret)
{
	size_t left = cursor_left(c);
	if (left < f->record_len) {
		ret->need = f->record_len;
		return CAPTURE_MORE;
	}
	const uint8_t *p = c->p;
	uint32_t frac = u32(f, p + 4), cap = u32(f, p + 8), wire = u32(f, p + 12);
	if (f->lengths_swapped && cap > wire) {
		uint32_t t = cap;
		cap = wire;
		wire = t;
	}
	if (cap > CAPTURE_FRAME_MAX)
		return bad(ret, "captured length of the record is above 262144 bytes");
	if (left - f->record_len < cap) {
		ret->need = f->record_len + (size_t)cap;
		return CAPTURE_MORE;
	}
	ret->nsec = u32(f, p) * NSEC_PER_SEC + (uint64_t)frac * f->frac_nsec;
	ret->data = p + f->record_len;
	ret->cap_len = cap;
	ret->wire_len = wire;
	ret->linktype = f->linktype;
	ret->contradicts = false;
	mend(f, frac, ret);
	c->p = ret->data + cap;
	return CAPTURE_PACKET;
}
