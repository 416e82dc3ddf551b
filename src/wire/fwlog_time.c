/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/fwlog_time.h"

#include "base/table.h"
#include "wire/fwlog_text.h"

#define NSEC     INT64_C(1000000000)
#define DAY      INT64_C(86400)
#define YEAR_MAX 2200 /* fits 64-bit nanoseconds */

struct civil {
	int64_t year, month, day, hour, minute, second, nsec;
	int64_t epoch; /* seconds since the epoch, or since boot */
	int64_t zone;  /* minutes */
	bool has_zone;
};

/* Days from 1970-01-01; month 1..12. Years begin in March, so that the leap day comes last. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
	int64_t y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9;
	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static bool digits(struct cursor *c, size_t n, int64_t low, int64_t high, int64_t *ret)
{
	const uint8_t *p;
	uint64_t v;

	if (!cursor_take(c, n, &p))
		return false;
	if (!text_number(cursor_of(p, n), (uint64_t)high, &v) || (int64_t)v < low)
		return false;
	*ret = (int64_t)v;
	return true;
}

static bool month_name(struct cursor *c, int64_t *ret)
{
	static const char names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
	                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (text_lit(c, names[i])) {
			*ret = (int64_t)i + 1;
			return true;
		}
	return false;
}

/* One or two digits. */
static bool day_of_month(struct cursor *c, int64_t *ret)
{
	uint64_t v;
	if (!text_u64(c, 31, &v) || !v)
		return false;
	*ret = (int64_t)v;
	return true;
}

/* A fraction of a second, if one is there. */
static void fraction(struct cursor *c, int64_t *ret)
{
	int64_t unit = NSEC / 10, v = 0;

	if (cursor_left(c) < 2 || (*c->p != '.' && *c->p != ',') || c->p[1] < '0' || c->p[1] > '9')
		return;
	for (c->p++; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++, unit /= 10)
		v += unit * (*c->p - '0');
	*ret = v;
}

static bool time_of_day(struct cursor *c, struct civil *t)
{
	if (!digits(c, 2, 0, 23, &t->hour) || !text_lit(c, ":") ||
	    !digits(c, 2, 0, 59, &t->minute) || !text_lit(c, ":") ||
	    !digits(c, 2, 0, 60, &t->second))
		return false;
	fraction(c, &t->nsec);
	return true;
}

/* Names of RFC 5322, and of Europe; others have more than one meaning. */
static bool zone_name(struct cursor *c, int64_t *ret)
{
	static const struct {
		const char *name;
		int minutes;
	} names[] = {
	    {" UTC", 0},    {" GMT", 0},    {" EST", -300}, {" EDT", -240},
	    {" CST", -360}, {" CDT", -300}, {" MST", -420}, {" MDT", -360},
	    {" PST", -480}, {" PDT", -420}, {" WET", 0},    {" WEST", 60},
	    {" CET", 60},   {" CEST", 120}, {" EET", 120},  {" EEST", 180},
	};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct cursor at = *c;
		if (!text_lit(&at, names[i].name) ||
		    (at.p < at.end && *at.p != ' ' && *at.p != ':'))
			continue;
		*ret = names[i].minutes;
		*c = at;
		return true;
	}
	return false;
}

/* "Z", "+02:00", "-0500", " CET", or nothing. */
static void zone(struct cursor *c, struct civil *t)
{
	struct cursor at = *c;
	int64_t h, m;

	t->has_zone = text_lit(c, "Z") || zone_name(c, &t->zone);
	bool west = text_lit(&at, "-");
	if (t->has_zone || (!west && !text_lit(&at, "+")) || !digits(&at, 2, 0, 14, &h))
		return;
	text_lit(&at, ":");
	if (!digits(&at, 2, 0, 59, &m))
		return;
	t->zone = (h * 60 + m) * (west ? -1 : 1);
	t->has_zone = true;
	*c = at;
}

static bool seconds(struct cursor *c, struct civil *t)
{
	uint64_t v;
	if (!text_u64(c, UINT64_C(1) << 32, &v))
		return false;
	t->epoch = (int64_t)v;
	fraction(c, &t->nsec);
	return true;
}

/* One letter of a pattern: b month's name, e day, Y year, m and d two digits, T time, z zone,
 * s seconds; a space: one or more; else itself. */
static bool piece(struct cursor *c, char what, struct civil *t)
{
	char literal[2] = {what, 0};

	switch (what) {
	case 'b':
		return month_name(c, &t->month);
	case 'e':
		return day_of_month(c, &t->day);
	case 'Y':
		return digits(c, 4, 1970, YEAR_MAX, &t->year);
	case 'm':
		return digits(c, 2, 1, 12, &t->month);
	case 'd':
		return digits(c, 2, 1, 31, &t->day);
	case 'T':
		return time_of_day(c, t);
	case 'z':
		zone(c, t);
		return true;
	case 's':
		return seconds(c, t);
	case '_':
		text_spaces(c);
		return true;
	default:
		return text_lit(c, literal);
	}
}

static bool not_later(const struct fwlog_clock *k, int64_t sec)
{
	return sec <= (int64_t)(k->ref_nsec / NSEC) + DAY;
}

/* The year of the reference, or the one before where that would lie in its future. */
static int64_t civil_seconds(const struct civil *t, struct fwlog_clock *k)
{
	int64_t of_day = t->hour * 3600 + t->minute * 60 + t->second;
	int64_t east = 60 * (t->has_zone ? t->zone : k->zone_min);

	k->zone_taken |= !t->has_zone;
	if (t->year)
		return days_of(t->year, t->month, t->day) * DAY + of_day - east;
	k->year_taken = true;
	int64_t year = 1971 + (int64_t)(k->ref_nsec / NSEC) / (365 * DAY + DAY / 4);
	int64_t sec;
	do
		sec = days_of(year, t->month, t->day) * DAY + of_day - east;
	while (!not_later(k, sec) && --year > 1970);
	return sec;
}

static bool of_civil(const struct civil *t, struct fwlog_clock *k, uint64_t *ret)
{
	int64_t sec = civil_seconds(t, k);
	if (sec < 0)
		return false;
	*ret = (uint64_t)(sec * NSEC + t->nsec);
	return true;
}

static bool of_epoch(const struct civil *t, struct fwlog_clock *k, uint64_t *ret)
{
	/* Ten digits, else it is some other number. */
	if (t->epoch < NSEC)
		return false;
	*ret = (uint64_t)(t->epoch * NSEC + t->nsec);
	return true;
}

static bool of_uptime(const struct civil *t, struct fwlog_clock *k, uint64_t *ret)
{
	uint64_t up = (uint64_t)(t->epoch * NSEC + t->nsec);

	if (!k->uptime_taken)
		k->uptime_first = up;
	k->uptime_taken = true;
	*ret = k->ref_nsec + up - k->uptime_first;
	/* From before the first by more than the reference: no time. */
	return k->ref_nsec + up >= k->uptime_first;
}

static const struct {
	const char *pattern;
	bool (*value)(const struct civil *t, struct fwlog_clock *k, uint64_t *ret);
} stamps[] = {
    {"b_e_Y_Tz", of_civil}, {"b_e_Tz", of_civil},   {"Y-m-d@Tz", of_civil},
    {"Y-m-d_Tz", of_civil}, {"Y/m/d_Tz", of_civil}, {"s ", of_epoch},
};

static bool matches(const char *pattern, struct cursor *c, struct civil *t)
{
	struct cursor at = *c;

	for (; *pattern; pattern++)
		if (*pattern == '@' ? !text_lit(&at, "T") : !piece(&at, *pattern, t))
			return false;
	*c = at;
	return true;
}

bool fwlog_stamp(struct cursor *c, struct fwlog_clock *k, uint64_t *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(stamps); i++) {
		struct cursor at = *c;
		struct civil t = {0};
		if (!matches(stamps[i].pattern, &at, &t) || !stamps[i].value(&t, k, ret))
			continue;
		*c = at;
		return true;
	}
	return false;
}

/* "[ 1234.567890] ": only where nothing better is in the line. */
static bool uptime_stamp(struct cursor head, struct fwlog_clock *k, uint64_t *ret)
{
	struct civil t = {0};

	for (; text_find(&head, "["); head.p++) {
		struct cursor at = head;
		if (matches("[_s]", &at, &t) && of_uptime(&t, k, ret))
			return true;
	}
	return false;
}

/* "<166>" in front of the stamp. */
static void priority(struct cursor *c)
{
	struct cursor at = *c;
	uint64_t v;

	if (text_lit(&at, "<") && text_u64(&at, 191, &v) && text_lit(&at, ">"))
		*c = at;
}

bool fwlog_header_stamp(struct cursor head, struct fwlog_clock *k, uint64_t *ret)
{
	struct cursor at = head, word;
	bool found = false;

	priority(&at);
	for (;;) {
		text_spaces(&at);
		if (fwlog_stamp(&at, k, ret))
			found = true;
		else if (!text_word(&at, &word))
			break;
	}
	return found || uptime_stamp(head, k, ret);
}
