/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Junos routers and SRX firewalls, by NETCONF over SSH: terms in stateless filters, put first where
 * a filter is bound already, committed under the device's own rollback until they have been read
 * back. Also any NETCONF server that has that configuration model (RFC 6241, :candidate).
 *
 * Sources: Junos XML Protocol and NETCONF XML Management Protocol developer guides; Junos firewall
 * filters ("Guidelines for Applying Standard Firewall Filters", "Multiple Filters in a Nested
 * Configuration"); RFC 6241, RFC 6242, RFC 7950 7.8.6 (insert).
 */
#ifndef STANCH_ENFORCE_JUNOS_H
#define STANCH_ENFORCE_JUNOS_H

#include "model/driver_ops.h"

extern const struct driver_ops junos_driver;

#endif
