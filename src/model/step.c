/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/step.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "model/driver_ops.h"

static const char *const step_state_names[_STEP_STATE_MAX] = {
    [STEP_PLANNED] = "planned",   [STEP_INTENT] = "intent",   [STEP_APPLIED] = "applied",
    [STEP_VERIFIED] = "verified", [STEP_UNDOING] = "undoing", [STEP_UNDONE] = "undone",
    [STEP_FAILED] = "failed",     [STEP_UNKNOWN] = "unknown",
};
STRING_TABLE_DEFINE(step_state, enum step_state, step_state_names)

static const char *const verdict_names[_VERDICT_MAX] = {
    [VERDICT_HOLDS] = "holds",
    [VERDICT_ABSENT] = "absent",
    [VERDICT_DRIFTED] = "drifted",
    [VERDICT_UNKNOWN] = "unknown",
};
STRING_TABLE_DEFINE(verdict, enum verdict, verdict_names)

static const char *const dimension_names[_DIM_MAX] = {
    [DIM_V4] = "v4",
    [DIM_V6] = "v6",
    [DIM_FORWARDED] = "forwarded",
    [DIM_RAW] = "raw",
    [DIM_SESSIONS] = "sessions",
    [DIM_PROCESSES] = "processes",
    [DIM_SERVICES] = "services",
    [DIM_LOGINS] = "logins",
};
STRING_TABLE_DEFINE(dimension, enum dimension, dimension_names)

static const char *const dim_state_names[_DIM_STATE_MAX] = {
    [DIM_NONE] = "none",          [DIM_CONTAINED] = "contained", [DIM_PARTIAL] = "partial",
    [DIM_IS_UNKNOWN] = "unknown", [DIM_RELEASED] = "released",
};
STRING_TABLE_DEFINE(dim_state, enum dim_state, dim_state_names)

void step_free(struct step *s)
{
	if (!s)
		return;
	char **const owned[] = {&s->forward,    &s->inverse,  &s->effect, &s->undo_effect,
	                        &s->no_inverse, &s->evidence, &s->result, &s->problem};
	for (size_t i = 0; i < ARRAY_SIZE(owned); i++)
		free(*owned[i]);
	memset(s, 0, sizeof *s);
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_steps; i++)
		step_free(&p->steps[i]);
	for (size_t i = 0; i < p->n_notes; i++)
		free(p->notes[i]);
	for (size_t i = 0; i < _DIM_MAX; i++)
		free(p->dim_reasons[i]);
	free(p->steps);
	free(p->notes);
	memset(p, 0, sizeof *p);
}

void readback_free(struct readback *r)
{
	if (!r)
		return;
	free(r->drift);
	free(r->held);
	memset(r, 0, sizeof *r);
}

static int fresh_token(char token[static STEP_TOKEN_MAX])
{
	unsigned char b[(STEP_TOKEN_MAX - 1) / 2];
	if (getrandom(b, sizeof b, 0) != (ssize_t)sizeof b)
		return -EIO;
	for (size_t i = 0; i < sizeof b; i++)
		snprintf(token + 2 * i, 3, "%02x", b[i]);
	return 0;
}

struct step *plan_add_step(struct plan *p, const char *point, const char *kind)
{
	struct step s = {.seq = (unsigned)p->n_steps + 1, .state = STEP_PLANNED};
	if (strlen(point) >= sizeof s.point || strlen(kind) >= sizeof s.kind ||
	    fresh_token(s.token) < 0)
		return NULL;
	strcpy(s.point, point);
	strcpy(s.kind, kind);

	struct step *v = realloc(p->steps, (p->n_steps + 1) * sizeof *v);
	if (!v)
		return NULL;
	p->steps = v;
	v[p->n_steps] = s;
	return &v[p->n_steps++];
}

static int grow(void *list, size_t n, size_t more, size_t size)
{
	void **v = list;
	void *bigger = more ? reallocarray(*v, n + more, size) : *v;
	if (more && !bigger)
		return -ENOMEM;
	*v = bigger;
	return 0;
}

static int join_notes(struct plan *to, struct plan *from, const char *point)
{
	for (size_t i = 0; i < from->n_notes; i++)
		if (plan_note(to, "%s%s%s", point ? point : "", point ? ": " : "", from->notes[i]) <
		    0)
			return -ENOMEM;
	return 0;
}

static int join_dims(struct plan *to, struct plan *from, const char *point)
{
	for (size_t d = 0; d < _DIM_MAX; d++) {
		const char *why = from->dim_reasons[d], *was = to->dim_reasons[d];
		char *text = NULL;
		if (why && asprintf(&text, "%s%s%s%s%s", was ? was : "", was ? "; " : "",
		                    point ? point : "", point ? ": " : "", why) < 0)
			return -ENOMEM;
		int r = plan_set_dim(to, (enum dimension)d, dim_merge(to->dims[d], from->dims[d]),
		                     text ? text : was);
		free(text);
		if (r < 0)
			return r;
	}
	return 0;
}

int plan_join(struct plan *to, struct plan *from, const char *point)
{
	if (grow(&to->steps, to->n_steps, from->n_steps, sizeof *to->steps) < 0 ||
	    join_notes(to, from, point) < 0 || join_dims(to, from, point) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < from->n_steps; i++) {
		to->steps[to->n_steps] = from->steps[i];
		to->steps[to->n_steps].seq = (unsigned)to->n_steps + 1;
		to->n_steps++;
	}
	from->n_steps = 0;
	to->left_out += from->left_out;
	plan_free(from);
	return 0;
}

enum dim_state dim_merge(enum dim_state a, enum dim_state b)
{
	if (a == DIM_NONE || b == DIM_NONE || a == b)
		return a == DIM_NONE ? b : a;
	return a == DIM_IS_UNKNOWN || b == DIM_IS_UNKNOWN ? DIM_IS_UNKNOWN : DIM_PARTIAL;
}

int plan_note(struct plan *p, const char *fmt, ...)
{
	char **v = realloc(p->notes, (p->n_notes + 1) * sizeof *v);
	if (!v)
		return -ENOMEM;
	p->notes = v;

	char *text;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -ENOMEM;
	v[p->n_notes++] = text;
	return 0;
}

int plan_set_dim(struct plan *p, enum dimension d, enum dim_state s, const char *why)
{
	char *copy = why ? strdup(why) : NULL;
	if (why && !copy)
		return -ENOMEM;
	free(p->dim_reasons[d]);
	p->dim_reasons[d] = copy;
	p->dims[d] = s;
	return 0;
}
