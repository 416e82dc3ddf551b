/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/dpkg.h"

static void take_status(struct cursor value, struct dpkg_package *p)
{
	span_word(&value, &p->want);
	span_word(&value, &p->flag);
	span_word(&value, &p->state);
}

static void take_field(struct cursor key, struct cursor value, struct dpkg_package *p)
{
	const struct {
		const char *key;
		struct cursor *to;
	} fields[] = {{"Package", &p->name},
	              {"Version", &p->version},
	              {"Architecture", &p->arch},
	              {"Multi-Arch", &p->multi_arch}};
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		if (span_is(key, fields[i].key))
			*fields[i].to = value;
	if (span_is(key, "Status"))
		take_status(value, p);
}

bool dpkg_package_next(struct lines *status, struct dpkg_package *ret)
{
	struct dpkg_package p = {0};
	bool in_conffiles = false, more = true;
	while (more) {
		struct cursor line, key;
		more = lines_next(status, &line);
		if (!more || line.p == line.end) {
			if (p.name.p != p.name.end) {
				*ret = p;
				return true;
			}
			p = (struct dpkg_package){0};
			in_conffiles = false;
		} else if (*line.p == ' ' || *line.p == '\t') {
			if (in_conffiles) {
				p.conffiles.p = p.conffiles.p ? p.conffiles.p : line.p;
				p.conffiles.end = line.end;
			}
		} else if (span_until(&line, ':', &key) && line.p) {
			in_conffiles = span_is(key, "Conffiles");
			take_field(key, span_trim(line), &p);
		}
	}
	return false;
}

static int digit(uint8_t c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hash_of(struct cursor c, uint8_t ret[16])
{
	if (cursor_left(&c) != 32)
		return false;
	for (size_t i = 0; i < 16; i++) {
		int high = digit(c.p[2 * i]), low = digit(c.p[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

bool dpkg_conffile_next(struct lines *field, struct dpkg_hash *ret)
{
	struct cursor line;
	while (lines_next(field, &line)) {
		struct dpkg_hash h = {0};
		line = span_trim(line);
		if (span_ends(line, " remove-on-upgrade"))
			line = span_trim((struct cursor){line.p, line.end - 18});
		h.obsolete = span_ends(line, " obsolete");
		if (h.obsolete)
			line = span_trim((struct cursor){line.p, line.end - 9});
		if (cursor_left(&line) < 34 ||
		    !hash_of((struct cursor){line.end - 32, line.end}, h.md5))
			continue;
		h.path = span_trim((struct cursor){line.p, line.end - 32});
		*ret = h;
		return true;
	}
	return false;
}

bool dpkg_md5_next(struct lines *sums, struct dpkg_hash *ret)
{
	struct cursor line;
	while (lines_next(sums, &line)) {
		struct dpkg_hash h = {0};
		if (cursor_left(&line) < 35 ||
		    !hash_of((struct cursor){line.p, line.p + 32}, h.md5) || line.p[32] != ' ' ||
		    line.p[33] != ' ')
			continue;
		h.path = (struct cursor){line.p + 34, line.end};
		*ret = h;
		return true;
	}
	return false;
}

bool dpkg_diversion_next(struct lines *diversions, struct dpkg_diversion *ret)
{
	struct dpkg_diversion d;
	if (!lines_next(diversions, &d.from) || !lines_next(diversions, &d.to) ||
	    !lines_next(diversions, &d.package))
		return false;
	*ret = d;
	return true;
}
