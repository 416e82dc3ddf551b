/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/sys.h"
#include "base/table.h"
#include "wire/elf_core.h"

/* Against <elf.h>'s own structs, which this machine has in the right order. */
static void a_head_is_what_elf_h_says(void **state)
{
	struct elf_segment v[] = {
	    {.vaddr = 0x400000, .filesz = 0x1000, .memsz = 0x1000, .flags = PF_R | PF_X},
	    {.vaddr = 0x7f0000000000, .filesz = 0, .memsz = 0x5000, .flags = 0},
	    {.vaddr = 0x7ffff0000000, .filesz = 0x2001, .memsz = 0x3000, .flags = PF_R | PF_W},
	};
	struct buf notes = BUF_INIT(4096), out = BUF_INIT(1 << 20);
	Elf64_Ehdr h;
	Elf64_Phdr p[4];
	elf_note_add(&notes, "CORE", NT_AUXV, "0123456789", 10);
	assert_int_equal(elf_core_head(&out, EM_X86_64, v, 3, &notes, 4096, NULL), 0);
	assert_int_equal(out.len, 4096);
	memcpy(&h, out.data, sizeof(h));
	memcpy(p, out.data + h.e_phoff, sizeof(p));
	assert_int_equal(h.e_type, ET_CORE);
	assert_int_equal(h.e_machine, EM_X86_64);
	assert_int_equal(h.e_phnum, 4);
	assert_int_equal(h.e_phentsize, sizeof(p[0]));
	assert_int_equal(p[0].p_type, PT_NOTE);
	assert_int_equal(p[0].p_filesz, notes.len);
	assert_memory_equal(out.data + p[0].p_offset, notes.data, notes.len);
	assert_int_equal(p[1].p_offset, 4096);
	assert_int_equal(p[1].p_flags, PF_R | PF_X);
	assert_int_equal(p[2].p_offset, 8192);
	assert_int_equal(p[2].p_memsz, 0x5000);
	assert_int_equal(p[3].p_offset, 8192);

	/* And our own reader. */
	struct elf_segment *s = NULL;
	size_t n = 0;
	uint64_t len = 0;
	assert_int_equal(elf_core_head_len(out.data, 64, &len, NULL), 0);
	assert_int_equal(len, 64 + 4 * sizeof(p[0]));
	assert_int_equal(elf_segments(out.data, out.len, &s, &n, NULL), 0);
	assert_int_equal(n, 4);
	assert_int_equal(s[3].vaddr, 0x7ffff0000000);
	assert_int_equal(s[3].filesz, 0x2001);
	free(s);
	buf_free(&notes);
	buf_free(&out);
}

static void notes_there_and_back(void **state)
{
	static const struct elf_file files[] = {{0x1000, 0x2000, 3, "/bin/a"},
	                                        {0x3000, 0x9000, 0, "/lib/b"}};
	struct buf b = BUF_INIT(4096), desc = BUF_INIT(4096);
	struct elf_note note;
	assert_int_equal(elf_file_note(&desc, files, 2, 4096), 0);
	assert_int_equal(desc.len, 16 + 2 * 24 + 14);
	assert_int_equal(load_le64(desc.data), 2);
	assert_int_equal(load_le64(desc.data + 32), 3);
	assert_string_equal((char *)desc.data + 64, "/bin/a");
	elf_note_add(&b, "CORE", NT_FILE, desc.data, desc.len);
	elf_note_add(&b, "LINUX", 0x202, "x", 1);
	elf_note_add(&b, "", 7, NULL, 0);
	assert_int_equal(b.error, 0);
	assert_int_equal(b.len % 4, 0);

	struct cursor c = cursor_of(b.data, b.len);
	assert_int_equal(elf_note_next(&c, &note), 1);
	assert_string_equal(note.name, "CORE");
	assert_int_equal(note.type, NT_FILE);
	assert_int_equal(note.desc_len, desc.len);
	assert_memory_equal(note.desc, desc.data, desc.len);
	assert_int_equal(elf_note_next(&c, &note), 1);
	assert_string_equal(note.name, "LINUX");
	assert_int_equal(*note.desc, 'x');
	assert_int_equal(elf_note_next(&c, &note), 1);
	assert_int_equal(note.desc_len, 0);
	assert_int_equal(elf_note_next(&c, &note), 0);

	for (size_t cut = 1; cut < 12; cut++) {
		c = cursor_of(b.data, cut);
		assert_int_equal(elf_note_next(&c, &note), -EBADMSG);
		assert_int_equal(cursor_left(&c), cut);
	}
	buf_free(&b);
	buf_free(&desc);
}

static void more_headers_than_16_bits_count(void **state)
{
	enum { N = 66000 };
	size_t size = sizeof(Elf64_Ehdr) + sizeof(Elf64_Shdr);
	uint8_t file[sizeof(Elf64_Ehdr) + sizeof(Elf64_Shdr)];
	Elf64_Ehdr h = {.e_type = ET_CORE,
	                .e_phnum = PN_XNUM,
	                .e_phentsize = sizeof(Elf64_Phdr),
	                .e_phoff = size,
	                .e_shoff = sizeof(Elf64_Ehdr)};
	Elf64_Shdr s = {.sh_info = 1000};
	uint64_t len = 0;
	memcpy(h.e_ident, ELFMAG, SELFMAG);
	h.e_ident[EI_CLASS] = ELFCLASS64;
	h.e_ident[EI_DATA] = ELFDATA2LSB;
	memcpy(file, &h, sizeof(h));
	memcpy(file + sizeof(h), &s, sizeof(s));
	assert_int_equal(elf_core_head_len(file, size, &len, NULL), 0);
	assert_int_equal(len, size + 1000 * sizeof(Elf64_Phdr));
	s.sh_info = N;
	memcpy(file + sizeof(h), &s, sizeof(s));
	assert_int_equal(elf_core_head_len(file, size, &len, NULL), -EBADMSG);
}

static void what_is_refused(void **state)
{
	struct buf notes = BUF_INIT(64), out = BUF_INIT(4096);
	struct elf_segment *s = NULL, v = {.vaddr = 1};
	struct err e = {0};
	size_t n;
	assert_int_equal(elf_core_head(&out, EM_X86_64, &v, 1, &notes, 64, NULL), 0);
	static const struct {
		size_t at;
		uint8_t byte;
	} wrong[] = {{0, 'x'}, {EI_CLASS, 1}, {EI_DATA, 2}, {16, ET_EXEC},
	             {54, 55}, {57, 200},     {39, 1}};
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		uint8_t was = out.data[wrong[i].at];
		out.data[wrong[i].at] = wrong[i].byte;
		assert_int_equal(elf_segments(out.data, out.len, &s, &n, &e), -EBADMSG);
		out.data[wrong[i].at] = was;
	}
	assert_int_equal(elf_segments(out.data, 64 + 56, &s, &n, &e), -EBADMSG);
	assert_int_equal(elf_segments(out.data, 63, &s, &n, &e), -EBADMSG);
	assert_null(s);
	assert_int_equal(elf_core_head(&out, EM_X86_64, &v, PN_XNUM, &notes, 64, &e), -E2BIG);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_head_is_what_elf_h_says),
	    cmocka_unit_test(notes_there_and_back),
	    cmocka_unit_test(more_headers_than_16_bits_count),
	    cmocka_unit_test(what_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
