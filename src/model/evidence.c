/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/evidence.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "model/field.h"

#define JSON_MAX (64u << 10)

static const char *const evidence_state_names[_EVIDENCE_MAX] = {
    [EVIDENCE_BEGUN] = "begun",
    [EVIDENCE_WHOLE] = "whole",
    [EVIDENCE_PARTIAL] = "partial",
    [EVIDENCE_FAILED] = "failed",
};
STRING_TABLE_DEFINE(evidence_state, enum evidence_state, evidence_state_names)

/* The texts, each with its place and size: written and read by the same table. */
static const struct text_field {
	const char *name;
	size_t at, size;
} texts[] = {
#define TEXT(n, m)                                                                                 \
	{                                                                                          \
		n, offsetof(struct evidence, m), sizeof((struct evidence *)0)->m                   \
	}
    TEXT("kind", kind),
    TEXT("source", source),
    TEXT("place", place),
    TEXT("host", host),
    TEXT("by", by),
    TEXT("examiner", examiner),
    TEXT("case", case_id),
    TEXT("reason", reason),
    TEXT("sha256", sha256),
    TEXT("manifest", manifest),
    TEXT("merkle_root", root),
    TEXT("problem", problem),
#undef TEXT
};
static const struct number_field {
	const char *name;
	size_t at;
} numbers[] = {
#define NUMBER(m)                                                                                  \
	{                                                                                          \
#m, offsetof(struct evidence, m)                                                   \
	}
    NUMBER(begun), NUMBER(ended), NUMBER(bytes), NUMBER(missing), NUMBER(files),
#undef NUMBER
};

char *evidence_json(const struct evidence *v)
{
	json_t *j = json_pack("{s:s}", "state", evidence_state_str(v->state));
	int bad = !j;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		bad |= json_object_set_new(j, texts[i].name,
		                           json_string((const char *)v + texts[i].at));
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		uint64_t n;
		memcpy(&n, (const char *)v + numbers[i].at, sizeof n);
		bad |= json_object_set_new(j, numbers[i].name, json_integer((json_int_t)n));
	}
	char *text = bad ? NULL : field_dump(j);
	json_decref(j);
	return text;
}

static int read_fields(json_t *j, struct evidence *v, struct err *e)
{
	int state = evidence_state_parse(json_string_value(json_object_get(j, "state"))
	                                     ? json_string_value(json_object_get(j, "state"))
	                                     : "");
	if (state < 0 || json_object_size(j) != 1 + ARRAY_SIZE(texts) + ARRAY_SIZE(numbers))
		return err_set(e, -EBADMSG, "evidence: its fields are not those there are");
	v->state = (enum evidence_state)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const char *t = json_string_value(json_object_get(j, texts[i].name));
		int r = t ? field_copy((char *)v + texts[i].at, texts[i].size, t, texts[i].name, e)
		          : err_set(e, -EBADMSG, "evidence: %s is not text", texts[i].name);
		if (r)
			return r;
	}
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		json_t *n = json_object_get(j, numbers[i].name);
		if (!json_is_integer(n) || json_integer_value(n) < 0)
			return err_set(e, -EBADMSG, "evidence: %s is no number", numbers[i].name);
		uint64_t value = (uint64_t)json_integer_value(n);
		memcpy((char *)v + numbers[i].at, &value, sizeof value);
	}
	return 0;
}

int evidence_parse(const char *json, struct evidence *ret, struct err *e)
{
	json_t *j;
	struct evidence *v = calloc(1, sizeof *v);
	int r = v ? field_load(json, JSON_MAX, "evidence", &j, e)
	          : err_set(e, -ENOMEM, "out of memory while reading evidence");
	if (r == 0) {
		r = read_fields(j, v, e);
		json_decref(j);
	}
	if (r == 0)
		*ret = *v;
	free(v);
	return r;
}

int evidence_id_parse(const char *s, unsigned *ret, struct err *e)
{
	char *end;
	errno = 0;
	unsigned long v = s[0] == 'e' && s[1] >= '1' && s[1] <= '9' ? strtoul(s + 1, &end, 10) : 0;
	if (!v || *end || errno || v > INT32_MAX)
		return err_set(e, -EINVAL,
		               "\"%.40s\" is no evidence; they are called e1, e2, … (see stanch "
		               "incident show)",
		               s);
	*ret = (unsigned)v;
	return 0;
}
