/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/flow.h"

static const char *const app_proto_names[_APP_PROTO_MAX] = {
    [APP_UNKNOWN] = "unknown", [APP_DNS] = "dns", [APP_TLS] = "tls",   [APP_QUIC] = "quic",
    [APP_HTTP] = "http",       [APP_SSH] = "ssh", [APP_SMTP] = "smtp", [APP_FTP] = "ftp",
    [APP_RDP] = "rdp",         [APP_SMB] = "smb", [APP_NTP] = "ntp",
};
STRING_TABLE_DEFINE(app_proto, enum app_proto, app_proto_names)

static const char *const name_source_names[_NAME_SOURCE_MAX] = {
    [NAME_NONE] = "none", [NAME_DNS] = "dns",   [NAME_SNI] = "sni",
    [NAME_QUIC] = "quic", [NAME_HTTP] = "http", [NAME_OUTER] = "outer",
};
STRING_TABLE_DEFINE(name_source, enum name_source, name_source_names)
