/* SPDX-License-Identifier: GPL-3.0-or-later */
/* E01 as wire/e01.h has it. Chunks are deflated by ISA-L on the pipe's threads; each group of
 * pieces is a sectors section with its tables, so that all is written from front to back and hashed
 * as it is. */
#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "acquire/image.h"
#include "base/clock.h"
#include "wire/e01.h"

#define GROUP_PIECES  8
#define GROUP_CHUNKS  (GROUP_PIECES * PIECE_PARTS)
#define CHUNK_ROOM    (E01_CHUNK + 4) /* what does not shrink is kept as it is with its sum */
#define PIECE_ROOM    (PIECE_PARTS * (CHUNK_ROOM + 64))
#define GROUP_ROOM    (GROUP_PIECES * PIECE_ROOM)
#define SEGMENT_BYTES (UINT64_C(1500) << 20)
#define ERRORS_MAX    (1u << 16)
#define DEFLATED      0x80000000u

/* Of each block of a file system a bit is looked at, so that a chunk with one that shrinks shows.
 */
#define SAMPLE_EVERY 4096
#define SAMPLE_BYTES 512
/* Sum of the squares of how often each byte is in a chunk's samples: noise has 69616 (standard
 * deviation 362); what is above shrinks, or may. */
#define SAMPLE_NOISE 71100

struct e01 {
	struct image_want w;
	struct out_file file;
	struct e01_media media;
	struct isal_zstream *streams[PIPE_WORKERS];
	uint8_t *levels[PIPE_WORKERS];
	uint8_t zero[1024]; /* a whole chunk of zeros, deflated */
	size_t n_zero;
	uint8_t *group; /* chunks that wait for their tables */
	size_t n_group;
	uint32_t offsets[GROUP_CHUNKS], n_chunks;
	unsigned number;
	struct buf room; /* of the sections being made */
};

/* n bytes as a zlib stream; its size, or 0 where it does not fit into cap. */
static size_t deflate(struct e01 *x, unsigned worker, const uint8_t *from, size_t n, uint8_t *to,
                      size_t cap)
{
	struct isal_zstream *z = x->streams[worker];
	isal_deflate_stateless_init(z);
	z->level = 1;
	z->level_buf = x->levels[worker];
	z->level_buf_size = ISAL_DEF_LVL1_DEFAULT;
	z->gzip_flag = IGZIP_ZLIB;
	z->end_of_stream = 1;
	z->flush = NO_FLUSH;
	z->next_in = (uint8_t *)(uintptr_t)from;
	z->avail_in = (uint32_t)n;
	z->next_out = to;
	z->avail_out = (uint32_t)cap;
	return isal_deflate_stateless(z) == COMP_OK ? z->total_out : 0;
}

static void e01_close(void *ctx)
{
	struct e01 *x = ctx;
	if (!x)
		return;
	out_drop(&x->file);
	for (size_t i = 0; i < PIPE_WORKERS; i++) {
		free(x->streams[i]);
		free(x->levels[i]);
	}
	free(x->group);
	buf_free(&x->room);
	free(x);
}

static int flush_room(struct e01 *x, struct err *e)
{
	int r = x->room.error ? err_set(e, x->room.error, "out of memory")
	                      : out_write(&x->file, x->room.data, x->room.len, e);
	buf_reset(&x->room);
	return r;
}

static const char *told(const char *text)
{
	return text ? text : "";
}

static int next_segment(struct e01 *x, struct err *e)
{
	char name[16];
	if (e01_segment_name(++x->number, name) < 0)
		return err_set(e, -EFBIG,
		               "more segments than E01 has names for: give a larger "
		               "--split");
	int r = out_open(&x->file, x->w.sink, name, false, true, e);
	if (r)
		return r;
	e01_file_header(&x->room, (uint16_t)x->number);
	if (x->number == 1)
		e01_headers(&x->room, x->room.len, told(x->w.case_id), told(x->w.evidence),
		            told(x->w.examiner), "stanch acquire disk", wall_now() / USEC_PER_SEC);
	e01_volume(&x->room, x->room.len, x->number == 1 ? "volume" : "data", &x->media);
	return flush_room(x, e);
}

static int make_workers(struct e01 *x)
{
	static const uint8_t zeros[E01_CHUNK];
	for (unsigned i = 0; i < x->w.workers; i++) {
		x->streams[i] = malloc(sizeof **x->streams);
		x->levels[i] = malloc(ISAL_DEF_LVL1_DEFAULT);
		if (!x->streams[i] || !x->levels[i])
			return -ENOMEM;
	}
	x->n_zero = deflate(x, 0, zeros, sizeof zeros, x->zero, sizeof x->zero);
	return x->n_zero ? 0 : -EIO;
}

static int e01_open(const struct image_want *w, void **ret, struct err *e)
{
	struct e01 *x = calloc(1, sizeof *x);
	if (!x)
		return err_set(e, -ENOMEM, "out of memory");
	x->w = *w;
	x->w.split = w->split ? w->split : SEGMENT_BYTES;
	x->file.fd = -1;
	x->media.sectors = w->size / E01_SECTOR;
	x->room = BUF_INIT(4u << 20);
	x->group = malloc(GROUP_ROOM);
	int r = x->group ? make_workers(x) : -ENOMEM;
	if (!r &&
	    getrandom(x->media.guid, sizeof x->media.guid, 0) != (ssize_t)sizeof x->media.guid)
		r = -EIO;
	if (!r && w->size / E01_CHUNK >= UINT32_MAX)
		r = -EFBIG;
	r = r ? err_set(e, r, "the E01 cannot be begun: %s", strerror(-r)) : next_segment(x, e);
	if (r)
		e01_close(x);
	else
		*ret = x;
	return r;
}

/* Is deflating this chunk a waste of time? Of compressed and encrypted content and of noise. */
static bool is_noise(const uint8_t *p)
{
	uint32_t seen[256] = {0}, sum = 0;
	for (size_t at = 0; at < E01_CHUNK; at += SAMPLE_EVERY)
		for (size_t i = 0; i < SAMPLE_BYTES; i++)
			seen[p[at + i]]++;
	for (size_t i = 0; i < 256; i++)
		sum += seen[i] * seen[i];
	return sum < SAMPLE_NOISE;
}

/* parts[i]: size of the chunk, with DEFLATED. */
static int e01_pack(void *ctx, unsigned worker, struct piece *p)
{
	struct e01 *x = ctx;
	size_t used = 0;
	for (size_t i = 0; i * E01_CHUNK < p->n; i++) {
		const uint8_t *from = p->raw + i * E01_CHUNK;
		size_t n = p->n - i * E01_CHUNK < E01_CHUNK ? p->n - i * E01_CHUNK : E01_CHUNK;
		uint8_t *to = p->out + used;
		size_t size;
		if (n == E01_CHUNK && all_zero(from, n)) {
			memcpy(to, x->zero, x->n_zero);
			size = x->n_zero;
		} else if (n == E01_CHUNK && is_noise(from)) {
			size = 0;
		} else {
			size = deflate(x, worker, from, n, to, CHUNK_ROOM + 60);
		}
		p->parts[i] = (uint32_t)size | DEFLATED;
		if (!size || size >= n + 4) {
			uint32_t sum = isal_adler32(1, from, n);
			memcpy(to, from, n);
			for (int k = 0; k < 4; k++)
				to[n + (size_t)k] = (uint8_t)(sum >> (8 * k));
			size = n + 4;
			p->parts[i] = (uint32_t)size;
		}
		used += size;
	}
	p->out_n = used;
	return 0;
}

/* The chunks that wait, as one sectors section and its tables; first a new segment where they would
 * not fit this one. */
static int flush_group(struct e01 *x, struct err *e)
{
	uint64_t need = x->n_group + 3 * E01_DESCRIPTOR + 2 * (28 + 4 * (uint64_t)x->n_chunks);
	int r = 0;
	if (!x->n_chunks)
		return 0;
	if (x->file.at + need + 4096 > x->w.split && x->file.at > 4096) {
		e01_last(&x->room, x->file.at, false);
		r = flush_room(x, e);
		r = r ? r : out_end(&x->file, NULL, e);
		r = r ? r : next_segment(x, e);
	}
	if (r)
		return r;
	uint64_t base = x->file.at;
	e01_sectors(&x->room, base, x->n_group);
	r = flush_room(x, e);
	if (!r)
		r = out_write(&x->file, x->group, x->n_group, e);
	if (!r) {
		e01_tables(&x->room, x->file.at, base, x->offsets, x->n_chunks);
		r = flush_room(x, e);
	}
	x->n_group = 0;
	x->n_chunks = 0;
	return r;
}

static int e01_write(void *ctx, struct piece *p, struct err *e)
{
	struct e01 *x = ctx;
	uint32_t at = E01_DESCRIPTOR + (uint32_t)x->n_group;
	for (size_t i = 0; i * E01_CHUNK < p->n; i++) {
		x->offsets[x->n_chunks++] = at | (p->parts[i] & DEFLATED);
		at += p->parts[i] & ~DEFLATED;
	}
	memcpy(x->group + x->n_group, p->out, p->out_n);
	x->n_group += p->out_n;
	return x->n_chunks + PIECE_PARTS > GROUP_CHUNKS ? flush_group(x, e) : 0;
}

static int add_errors(struct e01 *x, const struct image_end *end, struct err *e)
{
	struct e01_error *v = calloc(end->map->n + 1, sizeof *v);
	uint32_t n = 0;
	if (!v)
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < end->map->n && n < ERRORS_MAX; i++) {
		const struct ddmap_block *b = &end->map->v[i];
		if (b->state == '-')
			v[n++] = (struct e01_error){(uint32_t)(b->at / E01_SECTOR),
			                            (uint32_t)(b->size / E01_SECTOR)};
	}
	e01_errors(&x->room, x->file.at, v, n);
	free(v);
	return flush_room(x, e);
}

static int e01_end(void *ctx, const struct image_end *end, struct err *e)
{
	struct e01 *x = ctx;
	int r = flush_group(x, e);
	if (!r)
		r = add_errors(x, end, e);
	if (!r) {
		e01_hashes(&x->room, x->file.at, end->md5, end->sha1);
		r = flush_room(x, e);
	}
	if (!r) {
		e01_last(&x->room, x->file.at, true);
		r = flush_room(x, e);
	}
	return r ? r : out_end(&x->file, NULL, e);
}

static int e01_sync(void *ctx)
{
	return 0;
}

const struct image_format image_e01 = {
    .name = "e01",
    .file = "disk.E01",
    .out_cap = PIECE_ROOM,
    .open = e01_open,
    .pack = e01_pack,
    .write = e01_write,
    .sync = e01_sync,
    .end = e01_end,
    .close = e01_close,
};
