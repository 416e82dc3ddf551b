/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/geo.h"

#include <errno.h>
#include <maxminddb.h>
#include <stdlib.h>
#include <string.h>

struct geo {
	size_t n;
	MMDB_s files[GEO_FILES_MAX];
};

int geo_new(struct geo **ret)
{
	struct geo *g = calloc(1, sizeof *g);

	if (!g)
		return -ENOMEM;
	*ret = g;
	return 0;
}

void geo_free(struct geo *g)
{
	if (!g)
		return;
	while (g->n)
		MMDB_close(&g->files[--g->n]);
	free(g);
}

int geo_add(struct geo *g, const char *path, struct err *e)
{
	if (g->n == GEO_FILES_MAX)
		return err_set(e, -E2BIG, "%s: at most %d files tell where addresses are", path,
		               GEO_FILES_MAX);
	errno = 0;
	int r = MMDB_open(path, MMDB_MODE_MMAP, &g->files[g->n]);
	if (r == MMDB_FILE_OPEN_ERROR || r == MMDB_IO_ERROR) {
		int failed = errno ? errno : EIO;
		return err_set(e, -failed, "cannot open %s: %s", path, strerror(failed));
	}
	if (r == MMDB_OUT_OF_MEMORY_ERROR)
		return err_set(e, -ENOMEM, "no memory to open %s", path);
	if (r != MMDB_SUCCESS)
		return err_set(e, -EBADMSG, "%s is no database in MaxMind's format (.mmdb): %s",
		               path, MMDB_strerror(r));
	g->n++;
	return 0;
}

/* How many bytes the character at p has, of n; 0: none in UTF-8, or a control character. */
static size_t character(const uint8_t *p, size_t n)
{
	static const uint32_t least[5] = {0, 0x20, 0xa0, 0x800, 0x10000};
	size_t len = *p < 0x80 ? 1 : *p >> 5 == 6 ? 2 : *p >> 4 == 14 ? 3 : *p >> 3 == 30 ? 4 : 0;

	if (!len || len > n)
		return 0;
	uint32_t v = len == 1 ? *p : *p & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		v = v << 6 | (p[i] & 0x3f);
	}
	return v < least[len] || v == 0x7f || (v >= 0xd800 && v < 0xe000) || v > 0x10ffff ? 0 : len;
}

static void copy_text(const uint8_t *p, size_t n, char *dst, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < n;) {
		size_t len = character(p + i, n - i);
		if (used + (len ? len : 1) >= size)
			break;
		if (len)
			memcpy(dst + used, p + i, len);
		else
			dst[used] = '?';
		used += len ? len : 1;
		i += len ? len : 1;
	}
	dst[used] = 0;
}

static bool is_capital(uint8_t c)
{
	return c >= 'A' && c <= 'Z';
}

static void read_country(MMDB_entry_s *entry, struct geo_place *p)
{
	MMDB_entry_data_s d;

	if (MMDB_get_value(entry, &d, "country", "iso_code", NULL) != MMDB_SUCCESS || !d.has_data ||
	    d.type != MMDB_DATA_TYPE_UTF8_STRING || d.data_size != 2)
		return;
	const uint8_t *s = (const uint8_t *)d.utf8_string;
	if (is_capital(s[0]) && is_capital(s[1]))
		memcpy(p->country, s, 2);
}

static void read_asn(MMDB_entry_s *entry, struct geo_place *p)
{
	MMDB_entry_data_s d;

	if (MMDB_get_value(entry, &d, "autonomous_system_number", NULL) == MMDB_SUCCESS &&
	    d.has_data && d.type == MMDB_DATA_TYPE_UINT32)
		p->asn = d.uint32;
	if (MMDB_get_value(entry, &d, "autonomous_system_organization", NULL) == MMDB_SUCCESS &&
	    d.has_data && d.type == MMDB_DATA_TYPE_UTF8_STRING)
		copy_text((const uint8_t *)d.utf8_string, d.data_size, p->as_org, sizeof p->as_org);
}

static void read_file(const MMDB_s *file, const struct sockaddr *sa, struct geo_place *p)
{
	int failed = MMDB_SUCCESS;
	MMDB_lookup_result_s found = MMDB_lookup_sockaddr(file, sa, &failed);

	if (failed != MMDB_SUCCESS || !found.found_entry)
		return;
	if (!p->country[0])
		read_country(&found.entry, p);
	if (!p->asn)
		read_asn(&found.entry, p);
}

bool geo_find(const struct geo *g, const struct addr *a, struct geo_place *ret)
{
	struct sockaddr_storage ss;

	*ret = (struct geo_place){0};
	if (!g || !addr_bits(a))
		return false;
	addr_to_sockaddr(a, 0, &ss);
	for (size_t i = 0; i < g->n; i++)
		read_file(&g->files[i], (const struct sockaddr *)&ss, ret);
	return ret->country[0] || ret->asn || ret->as_org[0];
}
