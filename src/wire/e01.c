/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/e01.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define ADLER_MOD  65521
#define ADLER_RUN  5552 /* sums of so many bytes fit 32 bits */
#define VOLUME_LEN 1052
#define TEXT_MAX   4096

uint32_t e01_adler(const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	uint32_t a = 1, b = 0;
	while (n) {
		size_t run = n < ADLER_RUN ? n : ADLER_RUN;
		for (size_t i = 0; i < run; i++) {
			a += p[i];
			b += a;
		}
		a %= ADLER_MOD;
		b %= ADLER_MOD;
		p += run;
		n -= run;
	}
	return b << 16 | a;
}

int e01_segment_name(unsigned number, char dst[static 16])
{
	if (number < 1 || number > E01_SEGMENTS_MAX)
		return -EFBIG;
	if (number <= 99) {
		snprintf(dst, 16, "disk.E%02u", number);
		return 0;
	}
	unsigned i = number - 100;
	snprintf(dst, 16, "disk.%c%c%c", (char)('E' + i / (26 * 26)), (char)('A' + i / 26 % 26),
	         (char)('A' + i % 26));
	return i / (26 * 26) > 'Z' - 'E' ? -EFBIG : 0;
}

static void le(uint8_t *p, uint64_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

void e01_file_header(struct buf *out, uint16_t number)
{
	uint8_t h[E01_FILE_HEADER] = {'E', 'V', 'F', 9, 13, 10, 255, 0, 1};
	le(h + 9, number, 2);
	buf_add(out, h, sizeof h);
}

static void descriptor(struct buf *out, uint64_t at, const char *type, uint64_t size, bool last)
{
	uint8_t d[E01_DESCRIPTOR] = {0};
	strncpy((char *)d, type, 15);
	le(d + 16, last ? at : at + E01_DESCRIPTOR + size, 8);
	le(d + 24, E01_DESCRIPTOR + size, 8);
	le(d + 72, e01_adler(d, 72), 4);
	buf_add(out, d, sizeof d);
}

/* A zlib stream of one stored block: what is this short needs no compression. */
static size_t stored(const void *bytes, size_t n, uint8_t *dst)
{
	const uint8_t head[] = {
	    0x78, 0x01, 1, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)~n, (uint8_t)(~n >> 8)};
	uint32_t sum = e01_adler(bytes, n);
	memcpy(dst, head, sizeof head);
	memcpy(dst + sizeof head, bytes, n);
	for (int i = 0; i < 4; i++)
		dst[sizeof head + n + (size_t)i] = (uint8_t)(sum >> (24 - 8 * i));
	return sizeof head + n + 4;
}

static void text_section(struct buf *out, uint64_t at, const char *type, const void *text, size_t n)
{
	uint8_t z[2 * TEXT_MAX + 16];
	size_t size = stored(text, n, z);
	descriptor(out, at, type, size, false);
	buf_add(out, z, size);
}

/* The next character of a text; what is no UTF-8 is '?'. */
static uint32_t next_char(const char **text)
{
	const uint8_t *p = (const uint8_t *)*text;
	unsigned more = p[0] >= 0xf0 ? 3 : p[0] >= 0xe0 ? 2 : p[0] >= 0xc0 ? 1 : 0;
	uint32_t c = more ? p[0] & (0x3fu >> more) : p[0];
	for (unsigned i = 1; i <= more; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			*text += i;
			return '?';
		}
		c = c << 6 | (p[i] & 0x3f);
	}
	*text += 1 + more;
	return (!more && c > 0x7f) || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? '?' : c;
}

static size_t utf16(const char *text, uint8_t *dst)
{
	size_t n = 2;
	le(dst, 0xfeff, 2);
	while (*text) {
		uint32_t c = next_char(&text);
		if (c > 0xffff) {
			le(dst + n, 0xd800 + ((c - 0x10000) >> 10), 2);
			n += 2;
			c = 0xdc00 + ((c - 0x10000) & 0x3ff);
		}
		le(dst + n, c, 2);
		n += 2;
	}
	return n;
}

/* In place: a character is never shorter than its '?'. */
static size_t ascii(char *text)
{
	size_t n = 0;
	for (const char *from = text; *from;) {
		uint32_t c = next_char(&from);
		text[n++] = c > 0x7f ? '?' : (char)c;
	}
	return n;
}

void e01_headers(struct buf *out, uint64_t at, const char *case_id, const char *evidence,
                 const char *examiner, const char *description, uint64_t when)
{
	char text[TEXT_MAX], date[64];
	uint8_t wide[2 * TEXT_MAX];
	time_t t = (time_t)when;
	struct tm tm = {0};
	gmtime_r(&t, &tm);
	snprintf(text, sizeof text,
	         "3\nmain\na\tc\tn\te\tt\tmd\tsn\tl\tav\tov\tm\tu\tp\tdc\n"
	         "%.255s\t%.255s\t%.63s\t%.255s\t\t\t\t\tstanch\tLinux\t%" PRIu64 "\t%" PRIu64
	         "\t\t\n\nsrce\n0\t1\np\tn\tid\tev\ttb\tlo\tpo\tah\tgu\taq\n0\t0\n\t\t\t\t\t-1\t-1"
	         "\t\t\t\n\nsub\n0\t1\np\tn\tid\tnu\tco\tgu\n0\t0\n\t\t\t\t1\t\n\n",
	         description, case_id, evidence, examiner, when, when);
	size_t n = utf16(text, wide);
	for (int i = 0; i < 2; i++) {
		size_t before = out->len;
		text_section(out, at, "header2", wide, n);
		at += out->len - before;
	}
	snprintf(date, sizeof date, "%d %d %d %d %d %d", tm.tm_year + 1900, tm.tm_mon + 1,
	         tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	snprintf(text, sizeof text,
	         "1\r\nmain\r\nc\tn\ta\te\tt\tav\tov\tm\tu\tp\r\n"
	         "%.255s\t%.63s\t%.255s\t%.255s\t\tstanch\tLinux\t%s\t%s\t0\r\n\r\n",
	         case_id, evidence, description, examiner, date, date);
	text_section(out, at, "header", text, ascii(text));
}

void e01_volume(struct buf *out, uint64_t at, const char *type, const struct e01_media *m)
{
	uint8_t v[VOLUME_LEN] = {0};
	const uint64_t per_chunk = E01_CHUNK / E01_SECTOR;
	v[0] = 1; /* a fixed disk */
	le(v + 4, (m->sectors + per_chunk - 1) / per_chunk, 4);
	le(v + 8, per_chunk, 4);
	le(v + 12, E01_SECTOR, 4);
	le(v + 16, m->sectors, 8);
	v[36] = 1 | 2; /* an image, of a physical disk */
	v[52] = 1;     /* deflated */
	le(v + 56, per_chunk, 4);
	memcpy(v + 64, m->guid, 16);
	le(v + VOLUME_LEN - 4, e01_adler(v, VOLUME_LEN - 4), 4);
	descriptor(out, at, type, VOLUME_LEN, false);
	buf_add(out, v, sizeof v);
}

void e01_sectors(struct buf *out, uint64_t at, uint64_t size)
{
	descriptor(out, at, "sectors", size, false);
}

static void table(struct buf *out, uint64_t at, const char *type, uint64_t base,
                  const uint32_t *offsets, uint32_t n)
{
	uint8_t head[24] = {0}, word[4];
	le(head, n, 4);
	le(head + 8, base, 8);
	le(head + 20, e01_adler(head, 20), 4);
	descriptor(out, at, type, sizeof head + 4 * (uint64_t)n + 4, false);
	buf_add(out, head, sizeof head);
	size_t from = out->len;
	for (uint32_t i = 0; i < n; i++) {
		le(word, offsets[i], 4);
		buf_add(out, word, 4);
	}
	le(word, out->error ? 0 : e01_adler(out->data + from, out->len - from), 4);
	buf_add(out, word, 4);
}

void e01_tables(struct buf *out, uint64_t at, uint64_t base, const uint32_t *offsets, uint32_t n)
{
	size_t before = out->len;
	table(out, at, "table", base, offsets, n);
	table(out, at + (out->len - before), "table2", base, offsets, n);
}

void e01_hashes(struct buf *out, uint64_t at, const uint8_t *md5, const uint8_t *sha1)
{
	uint8_t digest[80] = {0}, hash[36] = {0};
	size_t before = out->len;
	if (md5)
		memcpy(digest, md5, 16);
	if (sha1)
		memcpy(digest + 16, sha1, 20);
	le(digest + 76, e01_adler(digest, 76), 4);
	if (sha1) {
		descriptor(out, at, "digest", sizeof digest, false);
		buf_add(out, digest, sizeof digest);
	}
	if (!md5)
		return;
	memcpy(hash, md5, 16);
	le(hash + 32, e01_adler(hash, 32), 4);
	descriptor(out, at + (out->len - before), "hash", sizeof hash, false);
	buf_add(out, hash, sizeof hash);
}

void e01_errors(struct buf *out, uint64_t at, const struct e01_error *v, uint32_t n)
{
	uint8_t head[520] = {0}, entry[8];
	if (!n)
		return;
	le(head, n, 4);
	le(head + 516, e01_adler(head, 516), 4);
	descriptor(out, at, "error2", sizeof head + 8 * (uint64_t)n + 4, false);
	buf_add(out, head, sizeof head);
	size_t from = out->len;
	for (uint32_t i = 0; i < n; i++) {
		le(entry, v[i].first, 4);
		le(entry + 4, v[i].count, 4);
		buf_add(out, entry, sizeof entry);
	}
	le(entry, out->error ? 0 : e01_adler(out->data + from, out->len - from), 4);
	buf_add(out, entry, 4);
}

void e01_last(struct buf *out, uint64_t at, bool done)
{
	descriptor(out, at, done ? "done" : "next", 0, true);
}
