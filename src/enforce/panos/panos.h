/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * PAN-OS firewalls by the XML API: addresses are tagged (User-ID registration: no commit), two
 * rules at the top drop what has the tag. The tag has a time-out of the device's own, so an order
 * that nobody confirms ends there without us.
 *
 * Sources: PAN-OS XML API guide ("Register IP Addresses and Tags", "Commit Configuration", "Move");
 * PAN-OS administrator's guide ("Dynamic Address Groups", "CLI: show object registered-ip").
 */
#ifndef STANCH_ENFORCE_PANOS_H
#define STANCH_ENFORCE_PANOS_H

#include "model/driver_ops.h"

extern const struct driver_ops panos_driver;

#endif
