/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/pcapng.h"

#include "base/table.h"

enum {
	BLOCK_IDB = 1,
	BLOCK_PB = 2, /* obsolete packet block */
	BLOCK_SPB = 3,
	BLOCK_ISB = 5,
	BLOCK_EPB = 6,
};
#define BLOCK_SHB        UINT32_C(0x0a0d0d0a)
#define BYTE_ORDER_MAGIC UINT32_C(0x1a2b3c4d)
#define FRAME_LEN        12 /* type, length, and the length again */

enum {
	OPT_END = 0,
	OPT_IF_TSRESOL = 9,
	OPT_IF_TSOFFSET = 14,
	OPT_ISB_IFDROP = 5,
	OPT_ISB_OSDROP = 7
};

static inline uint32_t u32(const struct pcapng *f, const uint8_t *p)
{
	return f->big ? load_be32(p) : load_le32(p);
}

static inline uint16_t u16(const struct pcapng *f, const uint8_t *p)
{
	return f->big ? load_be16(p) : load_le16(p);
}

static inline uint64_t u64(const struct pcapng *f, const uint8_t *p)
{
	return f->big ? (uint64_t)u32(f, p) << 32 | u32(f, p + 4)
	              : (uint64_t)u32(f, p + 4) << 32 | u32(f, p);
}

static enum capture_step bad(struct capture_record *ret, const char *why)
{
	ret->why = why;
	return CAPTURE_BAD;
}

/* Takes one option; false at the end of options or where they do not fit. */
static bool option(const struct pcapng *f, struct cursor *c, unsigned *ret_code,
                   const uint8_t **ret_value, size_t *ret_len)
{
	const uint8_t *p;
	if (!cursor_take(c, 4, &p) || u16(f, p) == OPT_END)
		return false;
	*ret_code = u16(f, p);
	*ret_len = u16(f, p + 2);
	if (!cursor_take(c, *ret_len, ret_value))
		return false;
	size_t pad = (4 - *ret_len % 4) % 4;
	return cursor_skip(c, pad < cursor_left(c) ? pad : cursor_left(c));
}

static const uint64_t power10[] = {
    UINT64_C(1),
    UINT64_C(10),
    UINT64_C(100),
    UINT64_C(1000),
    UINT64_C(10000),
    UINT64_C(100000),
    UINT64_C(1000000),
    UINT64_C(10000000),
    UINT64_C(100000000),
    UINT64_C(1000000000),
    UINT64_C(10000000000),
    UINT64_C(100000000000),
    UINT64_C(1000000000000),
    UINT64_C(10000000000000),
    UINT64_C(100000000000000),
    UINT64_C(1000000000000000),
    UINT64_C(10000000000000000),
    UINT64_C(100000000000000000),
    UINT64_C(1000000000000000000),
    UINT64_C(10000000000000000000),
};

/* Resolutions finer than these cannot count up to today in 64 bits. */
static bool resolution_known(uint8_t resol)
{
	return resol & 0x80 ? (resol & 0x7f) < 64 : resol < ARRAY_SIZE(power10);
}

/* Ticks since the epoch to nanoseconds; false when they do not fit. */
static bool ticks_nsec(const struct pcapng_iface *i, uint64_t ticks, uint64_t *ret)
{
	__extension__ typedef unsigned __int128 u128;
	unsigned n = i->resol & 0x7f;
	uint64_t v;
	if (i->resol & 0x80) {
		u128 wide = ((u128)ticks * NSEC_PER_SEC) >> n;
		v = (uint64_t)wide;
		if (wide >> 64)
			return false;
	} else if (n <= 9) {
		if (__builtin_mul_overflow(ticks, power10[9 - n], &v))
			return false;
	} else {
		v = ticks / power10[n - 9];
	}
	int64_t offset;
	if (__builtin_mul_overflow(i->offset_sec, (int64_t)NSEC_PER_SEC, &offset))
		return false;
	*ret = v + (uint64_t)offset;
	return offset >= 0 ? *ret >= v : *ret < v;
}

/* A section header has been framed: everything of the section before it is forgotten. */
static enum capture_step section(struct pcapng *f, struct cursor body, struct capture_record *ret)
{
	const uint8_t *p;
	if (!cursor_take(&body, 16, &p))
		return bad(ret, "section header is shorter than its fields");
	if (u16(f, p + 4) != 1)
		return bad(ret, "major version of the section is not 1");
	f->dropped_before = pcapng_dropped(f);
	f->n_ifaces = 0;
	f->in_section = true;
	return CAPTURE_SKIP;
}

static enum capture_step iface(struct pcapng *f, struct cursor body, struct capture_record *ret)
{
	const uint8_t *p;
	if (!cursor_take(&body, 8, &p))
		return bad(ret, "interface description is shorter than its fields");
	if (f->n_ifaces == PCAPNG_IFACES_MAX)
		return bad(ret, "more than 1024 interfaces in one section");
	struct pcapng_iface i = {.linktype = u16(f, p), .snaplen = u32(f, p + 4), .resol = 6};
	const uint8_t *value;
	unsigned code;
	size_t len;
	while (option(f, &body, &code, &value, &len)) {
		if (code == OPT_IF_TSRESOL && len == 1)
			i.resol = value[0];
		else if (code == OPT_IF_TSOFFSET && len == 8)
			i.offset_sec = (int64_t)u64(f, value);
	}
	if (!resolution_known(i.resol))
		return bad(ret, "time resolution of the interface is beyond 64 bits");
	f->ifaces[f->n_ifaces++] = i;
	return CAPTURE_SKIP;
}

static enum capture_step statistics(struct pcapng *f, struct cursor body,
                                    struct capture_record *ret)
{
	const uint8_t *p, *value;
	unsigned code;
	size_t len;
	uint64_t dropped = 0;
	if (!cursor_take(&body, 12, &p))
		return bad(ret, "interface statistics are shorter than their fields");
	while (option(f, &body, &code, &value, &len))
		if ((code == OPT_ISB_IFDROP || code == OPT_ISB_OSDROP) && len == 8)
			dropped += u64(f, value);
	if (u32(f, p) < f->n_ifaces)
		f->ifaces[u32(f, p)].dropped = dropped;
	return CAPTURE_SKIP;
}

/* The frame itself, once a packet block's own fields have been read. */
static enum capture_step frame(struct pcapng *f, struct cursor *body, uint32_t iface_id,
                               uint32_t cap, uint32_t wire, struct capture_record *ret)
{
	if (iface_id >= f->n_ifaces)
		return bad(ret, "packet names an interface that was not described");
	if (cap > CAPTURE_FRAME_MAX || !cursor_take(body, cap, &ret->data))
		return bad(ret, "captured length does not fit into its block");
	ret->linktype = f->ifaces[iface_id].linktype;
	ret->cap_len = cap;
	ret->contradicts = wire < cap;
	ret->wire_len = wire < cap ? cap : wire;
	return CAPTURE_PACKET;
}

static enum capture_step stamped(struct pcapng *f, struct cursor *body, uint32_t iface_id,
                                 const uint8_t *p, struct capture_record *ret)
{
	enum capture_step s = frame(f, body, iface_id, u32(f, p + 8), u32(f, p + 12), ret);
	if (s != CAPTURE_PACKET)
		return s;
	uint64_t ticks = (uint64_t)u32(f, p) << 32 | u32(f, p + 4);
	if (ticks_nsec(&f->ifaces[iface_id], ticks, &ret->nsec)) {
		f->last_nsec = ret->nsec;
	} else {
		ret->nsec = f->last_nsec;
		ret->contradicts = true;
	}
	return s;
}

static enum capture_step enhanced(struct pcapng *f, struct cursor body, struct capture_record *ret)
{
	const uint8_t *p;
	if (!cursor_take(&body, 20, &p))
		return bad(ret, "packet block is shorter than its fields");
	return stamped(f, &body, u32(f, p), p + 4, ret);
}

static enum capture_step obsolete(struct pcapng *f, struct cursor body, struct capture_record *ret)
{
	const uint8_t *p;
	if (!cursor_take(&body, 20, &p))
		return bad(ret, "packet block is shorter than its fields");
	return stamped(f, &body, u16(f, p), p + 4, ret);
}

static enum capture_step simple(struct pcapng *f, struct cursor body, struct capture_record *ret)
{
	const uint8_t *p;
	if (!cursor_take(&body, 4, &p))
		return bad(ret, "packet block is shorter than its fields");
	uint32_t wire = u32(f, p), cap = wire;
	uint32_t snap = f->n_ifaces ? f->ifaces[0].snaplen : 0;
	if (snap && cap > snap)
		cap = snap;
	ret->nsec = f->last_nsec;
	return frame(f, &body, 0, cap, wire, ret);
}

static const struct {
	uint32_t type;
	enum capture_step (*read)(struct pcapng *f, struct cursor body, struct capture_record *ret);
} blocks[] = {
    {BLOCK_EPB, enhanced}, {BLOCK_SPB, simple},     {BLOCK_PB, obsolete},
    {BLOCK_IDB, iface},    {BLOCK_ISB, statistics}, {BLOCK_SHB, section},
};

bool pcapng_magic(const uint8_t four[static 4])
{
	return load_be32(four) == BLOCK_SHB;
}

uint64_t pcapng_dropped(const struct pcapng *f)
{
	uint64_t sum = f->dropped_before;
	for (size_t i = 0; i < f->n_ifaces; i++)
		sum += f->ifaces[i].dropped;
	return sum;
}

/* A block that carries nothing for us: its end may lie beyond what is there. */
static enum capture_step pass_over(struct cursor *c, uint32_t total, struct capture_record *ret)
{
	size_t here = total < cursor_left(c) ? total : cursor_left(c);
	cursor_skip(c, here);
	ret->need = total - here;
	return CAPTURE_SKIP;
}

/* The byte order of a section stands in its header and holds for that header's length, too. */
static bool byte_order(const uint8_t *p, bool *ret_big)
{
	*ret_big = load_be32(p + 8) == BYTE_ORDER_MAGIC;
	return *ret_big || load_le32(p + 8) == BYTE_ORDER_MAGIC;
}

static enum capture_step framed(struct pcapng *f, size_t kind, uint32_t total, struct cursor *c,
                                struct capture_record *ret)
{
	if (total > CAPTURE_BLOCK_MAX)
		return bad(ret, "block is longer than 524288 bytes");
	if (cursor_left(c) < total) {
		ret->need = total;
		return CAPTURE_MORE;
	}
	if (u32(f, c->p + total - 4) != total)
		return bad(ret, "the two lengths of a block differ");
	ret->need = 0;
	enum capture_step s = blocks[kind].read(f, cursor_of(c->p + 8, total - FRAME_LEN), ret);
	if (s != CAPTURE_BAD)
		cursor_skip(c, total);
	return s;
}

enum capture_step pcapng_next(struct pcapng *f, struct cursor *c, struct capture_record *ret)
{
	if (cursor_left(c) < FRAME_LEN) {
		ret->need = FRAME_LEN;
		return CAPTURE_MORE;
	}
	const uint8_t *p = c->p;
	if (load_be32(p) == BLOCK_SHB && !byte_order(p, &f->big))
		return bad(ret, "section header without byte-order magic");
	if (load_be32(p) != BLOCK_SHB && !f->in_section)
		return bad(ret, "block outside of any section");
	uint32_t type = u32(f, p), total = u32(f, p + 4);
	if (total < FRAME_LEN || total % 4)
		return bad(ret, "block length is below 12 or no multiple of 4");
	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++)
		if (type == blocks[i].type)
			return framed(f, i, total, c, ret);
	return pass_over(c, total, ret);
}
