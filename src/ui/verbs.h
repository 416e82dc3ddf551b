/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The handlers and the options of their own, one file a verb; rows in stanch.c. Each returns an
 * enum exit_code. */
#ifndef STANCH_UI_VERBS_H
#define STANCH_UI_VERBS_H

#include "ui/verb.h"

extern const struct opt rates_opts[], watch_opts[], reach_opts[];
extern const struct opt triage_opts[];
int verb_triage(struct ctx *c, const struct args *a);
int verb_rates(struct ctx *c, const struct args *a);
int verb_watch(struct ctx *c, const struct args *a);
int verb_reach(struct ctx *c, const struct args *a);

extern const struct opt isolate_opts[], block_opts[], verify_opts[], confirm_opts[], undo_opts[],
    incident_opts[], reassert_opts[], guard_opts[], contain_opts[];
int verb_isolate(struct ctx *c, const struct args *a);
int verb_block(struct ctx *c, const struct args *a);
extern const struct opt freeze_opts[], disable_opts[];
int verb_disable(struct ctx *c, const struct args *a);
int verb_freeze(struct ctx *c, const struct args *a);
int verb_kill(struct ctx *c, const struct args *a);
int verb_contain(struct ctx *c, const struct args *a);
int verb_status(struct ctx *c, const struct args *a);
int verb_verify(struct ctx *c, const struct args *a);
int verb_confirm(struct ctx *c, const struct args *a);
int verb_undo(struct ctx *c, const struct args *a);
int verb_incident(struct ctx *c, const struct args *a);
int verb_config(struct ctx *c, const struct args *a);
extern const struct opt points_opts[];
int verb_points(struct ctx *c, const struct args *a);
int verb_reassert(struct ctx *c, const struct args *a);
int verb_guard(struct ctx *c, const struct args *a);
extern const struct opt acquire_opts[];
int verb_acquire(struct ctx *c, const struct args *a);

#endif
