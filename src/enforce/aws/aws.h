/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The driver for an AWS account and region. Instances are isolated by a quarantine group on every
 * one of their interfaces; destinations are blocked in network ACLs.
 *
 * Invariants
 *  1. Every call is a POST that is signed; answers are read by wire/ec2.h.
 *  2. What is made carries the step's token as the tag "stanch" (an ACL entry cannot: its place and
 *     its content are compared). Nothing is remembered: whatever is said was read back.
 *  3. Undo touches what reads as ours and nothing else.
 *  4. A call may be sent again after a lost answer, but for the one that would make two things.
 *  5. AWS holds no clocks: when an order ends, stanch must lift it.
 */
#ifndef STANCH_ENFORCE_AWS_AWS_H
#define STANCH_ENFORCE_AWS_AWS_H

#include "model/driver_ops.h"

extern const struct driver_ops aws_driver;

#endif
