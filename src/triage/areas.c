/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "triage/areas.h"

const struct triage_area triage_areas[] = {
    {
        .name = "kernel",
        .run = area_kernel,
        .rules = kernel_rules,
        .limit = 5 * USEC_PER_SEC,
        .offline = true,
        .needs = "root for the list of kprobes and for addresses",
    },
    {0},
};
