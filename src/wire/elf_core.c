/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/elf_core.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define EHDR_LEN 64
#define PHDR_LEN 56
#define SHDR_LEN 64
/* Offsets within the headers: <elf.h> has the same as structs, which a byte order needs not. */
enum {
	E_TYPE = 16,
	E_MACHINE = 18,
	E_VERSION = 20,
	E_PHOFF = 32,
	E_SHOFF = 40,
	E_EHSIZE = 52,
	E_PHENTSIZE = 54,
	E_PHNUM = 56,
	E_SHENTSIZE = 58,
	SH_INFO = 44
};

static int check(const uint8_t *h, size_t n, struct err *e)
{
	if (n < EHDR_LEN || memcmp(h, ELFMAG, SELFMAG))
		return err_set(e, -EBADMSG, "no ELF file");
	if (h[EI_CLASS] != ELFCLASS64 || h[EI_DATA] != ELFDATA2LSB)
		return err_set(e, -EBADMSG, "an ELF file, but not a 64-bit little-endian one");
	if (load_le16(h + E_TYPE) != ET_CORE)
		return err_set(e, -EBADMSG, "an ELF file of type %u, not a core",
		               load_le16(h + E_TYPE));
	if (load_le16(h + E_PHNUM) && load_le16(h + E_PHENTSIZE) != PHDR_LEN)
		return err_set(e, -EBADMSG, "program headers of %u bytes; 56 are read",
		               load_le16(h + E_PHENTSIZE));
	return 0;
}

/* The end of section 0's header, which holds the count where 16 bits do not; 0: not needed. */
static uint64_t section_end(const uint8_t *h)
{
	uint64_t at = load_le64(h + E_SHOFF);
	if (load_le16(h + E_PHNUM) != PN_XNUM)
		return 0;
	return at > UINT32_MAX ? UINT64_MAX : at + SHDR_LEN;
}

int elf_core_head_len(const uint8_t *h, size_t n, uint64_t *ret, struct err *e)
{
	int r = check(h, n, e);
	if (r < 0)
		return r;
	uint64_t num = load_le16(h + E_PHNUM), off = load_le64(h + E_PHOFF);
	uint64_t section = section_end(h);
	if (num == PN_XNUM && section <= n)
		num = load_le32(h + section - SHDR_LEN + SH_INFO);
	if (num > ELF_SEGMENTS_MAX || off > UINT32_MAX || section == UINT64_MAX)
		return err_set(e, -EBADMSG, "%" PRIu64 " program headers at byte %" PRIu64, num,
		               off);
	uint64_t end = off + num * PHDR_LEN;
	*ret = end > section ? end : section;
	if (*ret < EHDR_LEN)
		*ret = EHDR_LEN;
	return 0;
}

static struct elf_segment segment(const uint8_t *p)
{
	return (struct elf_segment){
	    .type = load_le32(p),
	    .flags = load_le32(p + 4),
	    .offset = load_le64(p + 8),
	    .vaddr = load_le64(p + 16),
	    .paddr = load_le64(p + 24),
	    .filesz = load_le64(p + 32),
	    .memsz = load_le64(p + 40),
	};
}

int elf_segments(const uint8_t *h, size_t n, struct elf_segment **ret, size_t *ret_n, struct err *e)
{
	uint64_t need, num, off;
	int r = elf_core_head_len(h, n, &need, e);
	if (r < 0)
		return r;
	if (need > n)
		return err_set(e, -EBADMSG, "the headers take %" PRIu64 " bytes, %zu are there",
		               need, n);
	num = load_le16(h + E_PHNUM);
	if (num == PN_XNUM)
		num = load_le32(h + section_end(h) - SHDR_LEN + SH_INFO);
	off = load_le64(h + E_PHOFF);
	struct elf_segment *v = num ? calloc(num, sizeof(*v)) : NULL;
	if (num && !v)
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < num; i++)
		v[i] = segment(h + off + i * PHDR_LEN);
	*ret = v;
	*ret_n = num;
	return 0;
}

static size_t padded(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

int elf_note_next(struct cursor *c, struct elf_note *ret)
{
	struct cursor at = *c;
	const uint8_t *p, *name, *desc;
	if (!cursor_left(&at))
		return 0;
	if (!cursor_take(&at, 12, &p))
		return -EBADMSG;
	uint32_t name_len = load_le32(p), desc_len = load_le32(p + 4);
	if (!cursor_take(&at, padded(name_len), &name) || !cursor_take(&at, desc_len, &desc))
		return -EBADMSG;
	/* The last one's padding may be missing. */
	size_t pad = padded(desc_len) - desc_len;
	cursor_skip(&at, pad < cursor_left(&at) ? pad : cursor_left(&at));
	if (name_len && name[name_len - 1])
		return -EBADMSG;
	*ret = (struct elf_note){
	    .name = name_len ? (const char *)name : "",
	    .type = load_le32(p + 8),
	    .desc = desc,
	    .desc_len = desc_len,
	};
	*c = at;
	return 1;
}

static int add_le(struct buf *b, uint64_t v, size_t n)
{
	uint8_t bytes[8];
	store_le64(bytes, v);
	return buf_add(b, bytes, n);
}

static int add_zeros(struct buf *b, uint64_t n)
{
	static const uint8_t zeros[4096];
	while (n && !b->error) {
		size_t part = n < sizeof(zeros) ? (size_t)n : sizeof(zeros);
		buf_add(b, zeros, part);
		n -= part;
	}
	return b->error;
}

int elf_note_add(struct buf *b, const char *name, uint32_t type, const void *desc, size_t n)
{
	size_t name_len = strlen(name) + 1;
	if (n > UINT32_MAX)
		return b->error = -EMSGSIZE;
	add_le(b, name_len, 4);
	add_le(b, n, 4);
	add_le(b, type, 4);
	buf_add(b, name, name_len);
	add_zeros(b, padded(name_len) - name_len);
	buf_add(b, desc, n);
	return add_zeros(b, padded(n) - n);
}

int elf_file_note(struct buf *desc, const struct elf_file *v, size_t n, uint64_t page_size)
{
	add_le(desc, n, 8);
	add_le(desc, page_size, 8);
	for (size_t i = 0; i < n; i++) {
		add_le(desc, v[i].start, 8);
		add_le(desc, v[i].end, 8);
		add_le(desc, v[i].page, 8);
	}
	for (size_t i = 0; i < n; i++)
		buf_add(desc, v[i].path, strlen(v[i].path) + 1);
	return desc->error;
}

static void add_phdr(struct buf *b, const struct elf_segment *s, uint64_t align)
{
	add_le(b, s->type, 4);
	add_le(b, s->flags, 4);
	add_le(b, s->offset, 8);
	add_le(b, s->vaddr, 8);
	add_le(b, s->paddr, 8);
	add_le(b, s->filesz, 8);
	add_le(b, s->memsz, 8);
	add_le(b, align, 8);
}

static void add_ehdr(struct buf *b, uint16_t machine, size_t phnum)
{
	uint8_t h[EHDR_LEN] = {0};
	for (size_t i = 0; i < SELFMAG; i++)
		h[i] = (uint8_t)ELFMAG[i];
	h[EI_CLASS] = ELFCLASS64;
	h[EI_DATA] = ELFDATA2LSB;
	h[EI_VERSION] = EV_CURRENT;
	store_le16(h + E_TYPE, ET_CORE);
	store_le16(h + E_MACHINE, machine);
	store_le32(h + E_VERSION, EV_CURRENT);
	store_le64(h + E_PHOFF, EHDR_LEN);
	store_le16(h + E_EHSIZE, EHDR_LEN);
	store_le16(h + E_PHENTSIZE, PHDR_LEN);
	store_le16(h + E_PHNUM, (uint16_t)phnum);
	buf_add(b, h, sizeof(h));
}

int elf_core_head(struct buf *out, uint16_t machine, struct elf_segment *v, size_t n,
                  const struct buf *notes, uint64_t page_size, struct err *e)
{
	if (n + 1 >= PN_XNUM)
		return err_set(e, -E2BIG, "%zu mappings are more than a core file may have", n);
	uint64_t note_at = EHDR_LEN + (n + 1) * PHDR_LEN;
	uint64_t at = (note_at + notes->len + page_size - 1) / page_size * page_size;
	struct elf_segment note = {.type = PT_NOTE, .offset = note_at, .filesz = notes->len};

	add_ehdr(out, machine, n + 1);
	add_phdr(out, &note, 4);
	for (size_t i = 0; i < n; i++) {
		v[i].type = PT_LOAD;
		v[i].paddr = 0;
		v[i].offset = at;
		at += (v[i].filesz + page_size - 1) / page_size * page_size;
		add_phdr(out, &v[i], page_size);
	}
	buf_add(out, notes->data, notes->len);
	add_zeros(out, (page_size - out->len % page_size) % page_size);
	return out->error ? err_set(e, out->error, "the headers of the core are too long") : 0;
}
