/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The headers of kcore, its map of physical memory, and the notes. */
#include <stdlib.h>
#include <string.h>

#include "wire/elf_core.h"
#include "wire/kcore_map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void map(const struct elf_segment *s, size_t n)
{
	static const struct phys_range ram[] = {{0x1000, 0x9fbff}, {0x100000, 0x1ffdffff}};
	struct kcore_map m;
	if (kcore_map_make(s, n, ram, 2, &m, NULL) < 0)
		return;
	uint64_t phys = 0;
	for (unsigned steps = 0; steps < 1000; steps++) {
		uint64_t off, len;
		kcore_map_find(&m, phys, &off, &len);
		if (!len)
			abort();
		if (len > UINT64_MAX - phys)
			break;
		phys += len;
	}
	kcore_map_free(&m);
}

/* What is read of notes is written again, and read again the same. */
static void notes(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_of(data, size);
	struct elf_note note, again;
	while (elf_note_next(&c, &note) == 1) {
		struct buf b = BUF_INIT(1 << 20);
		if (elf_note_add(&b, note.name, note.type, note.desc, note.desc_len) == 0) {
			struct cursor own = cursor_of(b.data, b.len);
			if (elf_note_next(&own, &again) != 1 || cursor_left(&own) ||
			    again.type != note.type || strcmp(again.name, note.name) != 0 ||
			    again.desc_len != note.desc_len ||
			    memcmp(again.desc, note.desc, note.desc_len) != 0)
				abort();
		}
		buf_free(&b);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_segment *s = NULL;
	size_t n = 0;
	uint64_t len;
	uint8_t *copy = malloc(size ? size : 1);
	if (!copy)
		return 0;
	if (size)
		memcpy(copy, data, size);
	if (elf_segments(copy, size, &s, &n, NULL) == 0) {
		if (elf_core_head_len(copy, size, &len, NULL) < 0 || len > size)
			abort();
		map(s, n);
	}
	notes(copy, size);
	free(s);
	free(copy);
	return 0;
}
