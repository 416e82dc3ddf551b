/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The seat: which process holds the orders of this network namespace in the kernel, and how another
 * stanch gets its leave to change them.
 *
 * One guard sits; it listens on /run/stanch/guard-INODE (INODE: of the network namespace), a socket
 * of packets that only root reaches. A second guard waits with a connection that ends when the
 * first one does. A command that the kernel refuses (-EPERM, the tables are the guard's) asks for
 * leave; the guard lets go of its tables, and takes them back when the connection closes or LEAVE
 * is over. Messages are a type and a value, of fixed size; what does not match ends the connection.
 *
 * Leave gives root no more than it has: root may end the guard as well. It is told and journalled.
 */
#ifndef STANCH_PRIV_SEAT_H
#define STANCH_PRIV_SEAT_H

#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/err.h"

#define SEAT_LEAVE_USEC (60 * USEC_PER_SEC) /* the longest leave */
#define SEAT_WAIT_MSEC  5000                /* how long a command waits for an answer */
#define SEAT_DIR        "/run/stanch"

enum seat_word {
	SEAT_WAIT,    /* to the guard: I am a guard, too, and wait for you to go */
	SEAT_ASK,     /* to the guard: let go of the tables */
	SEAT_GRANTED, /* from the guard: done; close when you are */
	_SEAT_WORD_MAX
};

struct seat_msg {
	uint32_t word;  /* enum seat_word */
	uint32_t value; /* 0 */
};

/* Sits down: *ret_listen is the socket to accept on (not blocking). -EBUSY: somebody sits already;
 * *ret_other is a connection to him, readable (closed) as soon as he goes. */
int seat_take(int *ret_listen, int *ret_other, struct err *e);
/* Asks whoever sits for leave: the connection to close afterwards. -ENOENT: nobody sits here. */
int seat_ask(int *ret_leave, struct err *e);
/* The process at the other end and its user. */
int seat_peer(int fd, pid_t *ret_pid, uid_t *ret_uid);
int seat_send(int fd, enum seat_word w);
/* 1: *ret; 0: the other end has gone; -EAGAIN; -EBADMSG: no message of ours. */
int seat_recv(int fd, struct seat_msg *ret);

#endif
