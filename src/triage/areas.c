/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "triage/areas.h"

const struct triage_area triage_areas[] = {
    {
        .name = "processes",
        .run = area_processes,
        .rules = process_rules,
        .limit = 20 * USEC_PER_SEC,
        .needs = "root, for the programs and descriptors of others",
    },
    {
        .name = "sockets",
        .run = area_sockets,
        .rules = socket_rules,
        .limit = 20 * USEC_PER_SEC,
        .needs = "root, for the owners of sockets; CAP_BPF for programs",
    },
    {
        .name = "kernel",
        .run = area_kernel,
        .rules = kernel_rules,
        .limit = 5 * USEC_PER_SEC,
        .offline = true,
        .needs = "root for the list of kprobes and for addresses",
    },
    {
        .name = "logins",
        .run = area_logins,
        .rules = login_rules,
        .limit = 10 * USEC_PER_SEC,
        .offline = true,
        .needs = "root, or the group utmp, for failed logins",
    },
    {
        .name = "accounts",
        .run = area_accounts,
        .rules = account_rules,
        .limit = 5 * USEC_PER_SEC,
        .offline = true,
        .needs = "root, for shadow, sudoers and the keys of others",
    },
    {
        .name = "persistence",
        .run = area_persistence,
        .rules = persistence_rules,
        .limit = 30 * USEC_PER_SEC,
        .offline = true,
        .needs = "root, for crontabs, homes and what else others may not read",
    },
    {0},
};
