/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/utmp.h"

#include "wire/lines.h"

static const char *const type_names[_UTMP_TYPE_MAX] = {
    [UTMP_EMPTY] = "empty",           [UTMP_RUN_LVL] = "run_level", [UTMP_BOOT] = "boot",
    [UTMP_NEW_TIME] = "new_time",     [UTMP_OLD_TIME] = "old_time", [UTMP_INIT] = "init",
    [UTMP_LOGIN] = "login",           [UTMP_USER] = "user",         [UTMP_DEAD] = "dead",
    [UTMP_ACCOUNTING] = "accounting",
};
STRING_TABLE_DEFINE(utmp_type, enum utmp_type, type_names)

enum {
	AT_PID = 4,
	AT_LINE = 8,
	AT_USER = 44,
	AT_HOST = 76,
	AT_SEC = 340,
	AT_USEC = 344,
	AT_ADDR = 348,
	AT_LAST_LINE = 4,
	AT_LAST_HOST = 36,
};

/* A text of at most n - 1 bytes, which need not be terminated. */
static void text(const uint8_t *p, char *dst, size_t n)
{
	const uint8_t *end = memchr(p, 0, n - 1);
	span_copy((struct cursor){p, end ? end : p + n - 1}, dst, n);
}

static bool all_zero(const uint8_t *p, size_t n)
{
	return !p[0] && !memcmp(p, p + 1, n - 1);
}

bool utmp_next(struct cursor *c, struct utmp_record *ret)
{
	const uint8_t *p;
	if (!cursor_take(c, UTMP_RECORD, &p))
		return false;
	*ret =
	    (struct utmp_record){.type = (int16_t)load_le16(p), .pid = (int)load_le32(p + AT_PID)};
	text(p + AT_LINE, ret->line, sizeof ret->line);
	text(p + AT_USER, ret->user, sizeof ret->user);
	text(p + AT_HOST, ret->host, sizeof ret->host);
	uint32_t usec = load_le32(p + AT_USEC);
	ret->time = load_le32(p + AT_SEC) * USEC_PER_SEC + (usec < USEC_PER_SEC ? usec : 0);
	ret->zero = all_zero(p, UTMP_RECORD);
	if (!all_zero(p + AT_ADDR + 4, 12))
		ret->addr = addr_v6(p + AT_ADDR);
	else if (!all_zero(p + AT_ADDR, 4))
		ret->addr = addr_v4(p + AT_ADDR);
	return true;
}

bool lastlog_next(struct cursor *c, struct lastlog_record *ret)
{
	const uint8_t *p;
	if (!cursor_take(c, LASTLOG_RECORD, &p))
		return false;
	*ret = (struct lastlog_record){.time = load_le32(p) * USEC_PER_SEC};
	text(p + AT_LAST_LINE, ret->line, sizeof ret->line);
	text(p + AT_LAST_HOST, ret->host, sizeof ret->host);
	return true;
}
