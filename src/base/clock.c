/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/sys.h"
#include "base/table.h"

static usec_t now(clockid_t id)
{
	struct timespec ts;
	clock_gettime(id, &ts);
	return (usec_t)ts.tv_sec * USEC_PER_SEC + (usec_t)ts.tv_nsec / 1000;
}

usec_t wall_now(void)
{
	return now(CLOCK_REALTIME);
}

usec_t boot_now(void)
{
	return now(CLOCK_BOOTTIME);
}

const char *boot_id(void)
{
	static char id[BOOT_ID_MAX];
	if (id[0])
		return id;

	int fd = sys->open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return id;
	char text[BOOT_ID_MAX] = "";
	ssize_t n = sys->read(fd, text, sizeof text - 1);
	sys->close(fd);
	if (n == (ssize_t)sizeof text - 1)
		memcpy(id, text, sizeof id);
	return id;
}

bool boot_same(const char *id)
{
	return !id[0] || !boot_id()[0] || !strcmp(id, boot_id());
}

static const struct {
	const char *name;
	usec_t usec;
} units[] = {
    {"ms", USEC_PER_MSEC},      {"s", USEC_PER_SEC},         {"m", 60 * USEC_PER_SEC},
    {"h", 3600 * USEC_PER_SEC}, {"d", 86400 * USEC_PER_SEC},
};

/* Ten years: past any deadline that makes sense, and far from overflow in nanoseconds. */
#define DURATION_MAX (3650 * 86400 * USEC_PER_SEC)

int duration_parse(const char *s, usec_t *ret, struct err *e)
{
	char *unit;
	errno = 0;
	uintmax_t n = strtoumax(s, &unit, 10);
	if (*s < '0' || *s > '9' || errno)
		return err_set(e, -EINVAL, "\"%.40s\" is not a duration; write 90s, 10m, 2h or 7d",
		               s);
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (strcmp(units[i].name, unit) != 0)
			continue;
		if (n == 0 || n > DURATION_MAX / units[i].usec)
			return err_set(e, -ERANGE,
			               "\"%.40s\" is out of range: from 1ms to 3650 days", s);
		*ret = n * units[i].usec;
		return 0;
	}
	return err_set(e, -EINVAL, "\"%.40s\" needs a unit: ms, s, m, h or d", s);
}

const char *duration_str(usec_t d, char dst[static TIME_STR_MAX])
{
	for (size_t i = ARRAY_SIZE(units); i-- > 0;) {
		if (d >= units[i].usec && d % units[i].usec == 0) {
			snprintf(dst, TIME_STR_MAX, "%" PRIu64 "%s", d / units[i].usec,
			         units[i].name);
			return dst;
		}
	}
	snprintf(dst, TIME_STR_MAX, "%" PRIu64 "us", d);
	return dst;
}

/* The date of a day since 1970 in the Gregorian calendar. libc's own opens /etc/localtime even for
 * UTC: neither a sandbox nor a host that someone else owns is the place for that. Years are counted
 * from March, so that a leap day is the last of its year; 146,097 days are 400 years. */
static void date_of(uint64_t days, uint64_t *year, unsigned *month, unsigned *day)
{
	uint64_t d = days + 719468, in_era = d % 146097;
	uint64_t y = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	unsigned in_year = (unsigned)(in_era - (365 * y + y / 4 - y / 100));
	unsigned m = (5 * in_year + 2) / 153;

	*day = in_year - (153 * m + 2) / 5 + 1;
	*month = m < 10 ? m + 3 : m - 9;
	*year = y + d / 146097 * 400 + (*month <= 2);
}

const char *time_str(usec_t wall, char dst[static TIME_STR_MAX])
{
	uint64_t sec = wall / USEC_PER_SEC, year;
	unsigned month, day, at = (unsigned)(sec % 86400);

	date_of(sec / 86400, &year, &month, &day);
	if (year > 9999) {
		strcpy(dst, "-");
		return dst;
	}
	snprintf(dst, TIME_STR_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ", (unsigned)year, month,
	         day, at / 3600, at / 60 % 60, at % 60, (unsigned)(wall % USEC_PER_SEC));
	return dst;
}

/* ".123456" behind the seconds: one to nine digits, cut to microseconds. */
static const char *fraction(const char *s, usec_t *ret)
{
	usec_t v = 0, scale = USEC_PER_SEC / 10;
	const char *p = s + 1;
	for (; *p >= '0' && *p <= '9' && p - s <= 9; p++, scale /= 10)
		v += (usec_t)(*p - '0') * scale;
	if (p == s + 1)
		return NULL;
	*ret = v;
	return p;
}

int time_parse(const char *s, usec_t *ret, struct err *e)
{
	struct tm tm = {0};
	usec_t frac = 0;
	const char *p = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
	if (p && *p == '.')
		p = fraction(p, &frac);
	time_t sec = p && !strcmp(p, "Z") ? timegm(&tm) : -1;
	if (sec < 0)
		return err_set(e, -EINVAL,
		               "\"%.40s\" is not a time; write it as 2026-11-24T04:07:00Z (UTC)",
		               s);
	*ret = (usec_t)sec * USEC_PER_SEC + frac;
	return 0;
}
