/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/finding.h"

static const char *const finding_kind_names[_FINDING_MAX] = {
    [FINDING_UPLOAD] = "upload",
};
STRING_TABLE_DEFINE(finding_kind, enum finding_kind, finding_kind_names)
