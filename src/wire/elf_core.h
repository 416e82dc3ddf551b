/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ELF64 core files, little-endian: the program headers of /proc/kcore, and the headers and notes of
 * a process's core. Source: elf(5), gABI chapter 5, linux/elfcore.h.
 *
 * What is read may have been written by anybody: counts and offsets are checked against what is
 * there.
 */
#ifndef STANCH_WIRE_ELF_CORE_H
#define STANCH_WIRE_ELF_CORE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"

#define ELF_SEGMENTS_MAX 65536

struct elf_segment {
	uint32_t type, flags; /* PT_*, PF_* */
	uint64_t offset, vaddr, paddr, filesz, memsz;
};

/* How many bytes of the file its headers take, from its first bytes (at least 64); more of it than
 * that is not needed by elf_segments. -EBADMSG: no ELF64 little-endian core. */
int elf_core_head_len(const uint8_t *head, size_t n, uint64_t *ret, struct err *e);
/* All program headers in their order; *ret is malloc'd (NULL when there is none). -EBADMSG, -E2BIG,
 * -ENOMEM. A count of PN_XNUM is looked up in section 0. */
int elf_segments(const uint8_t *head, size_t n, struct elf_segment **ret, size_t *ret_n,
                 struct err *e);

struct elf_note {
	const char *name; /* NUL-terminated within the note; "" */
	uint32_t type;    /* NT_* */
	const uint8_t *desc;
	size_t desc_len;
};

/* The next note of a PT_NOTE segment. 1: *ret is set, 0: the end, -EBADMSG: it is cut or its name
 * is no text; *c is untouched then. */
int elf_note_next(struct cursor *c, struct elf_note *ret);

/* Adds a note, padded as its readers want it. name: "CORE", "LINUX". */
int elf_note_add(struct buf *b, const char *name, uint32_t type, const void *desc, size_t n);

/* A mapped file of NT_FILE. */
struct elf_file {
	uint64_t start, end, page; /* page: offset in the file, in pages */
	const char *path;
};
/* The descriptor of an NT_FILE note. -EMSGSIZE, -ENOMEM. */
int elf_file_note(struct buf *desc, const struct elf_file *v, size_t n, uint64_t page_size);

/* The head of a core for `machine` (EM_*): ELF header, a PT_NOTE over `notes`, a PT_LOAD each of
 * the n segments, whose vaddr, memsz, filesz and flags are taken and whose offset is set here, on
 * a page of `page_size` bytes, one behind the other; then the notes and zeros up to the first
 * segment's offset. All is appended to *out, which must be empty. -E2BIG: more segments than a
 * core may have. */
int elf_core_head(struct buf *out, uint16_t machine, struct elf_segment *v, size_t n,
                  const struct buf *notes, uint64_t page_size, struct err *e);

#endif
