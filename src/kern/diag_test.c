/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Real sockets on the loopback of a network namespace of the test's own; judged by what the sockets
 * themselves say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kern/diag.h"

static bool alone; /* in a namespace of our own, where sockets may be destroyed */

static int set_up(void **state)
{
	struct ifreq q = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
		fprintf(stderr, "skipped: no network namespace: %s\n", strerror(errno));
		return 0;
	}
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	alone = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &q) == 0;
	close(fd);
	return 0;
}

#define NEEDS_NAMESPACE()                                                                          \
	do {                                                                                       \
		if (!alone)                                                                        \
			skip();                                                                    \
	} while (0)

static uint64_t inode_of(int fd)
{
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in6 sa;
	socklen_t n = sizeof sa;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
	return ntohs(sa.sin6_port); /* at the same place in sockaddr_in */
}

/* A listener on the loopback of a family, a client and the accepted end of it. */
struct pair {
	int listener, client, accepted;
};

static struct pair connect_pair(int listen_family, const char *to)
{
	struct sockaddr_storage any = {.ss_family = (sa_family_t)listen_family}, at;
	struct addr a;
	struct pair p;
	p.listener = socket(listen_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p.listener, (struct sockaddr *)&any,
	                      listen_family == AF_INET ? sizeof(struct sockaddr_in)
	                                               : sizeof(struct sockaddr_in6)),
	                 0);
	assert_int_equal(listen(p.listener, 4), 0);
	assert_int_equal(addr_parse(to, &a), 0);
	socklen_t n = addr_to_sockaddr(&a, port_of(p.listener), &at);
	p.client = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(p.client, (struct sockaddr *)&at, n), 0);
	p.accepted = accept(p.listener, NULL, NULL);
	assert_true(p.accepted >= 0);
	return p;
}

static void close_pair(struct pair *p)
{
	close(p->listener);
	close(p->client);
	close(p->accepted);
}

struct search {
	uint64_t inode;
	struct diag_sock found;
	unsigned calls;
	bool stop_at_once;
};

static bool look(void *arg, const struct diag_sock *s)
{
	struct search *f = arg;
	f->calls++;
	if (s->inode == f->inode)
		f->found = *s;
	return !f->stop_at_once;
}

static struct diag_sock find(int fd, int proto)
{
	struct search f = {.inode = inode_of(fd)};
	struct err e = {0};
	if (diag_inet(NULL, AF_UNSPEC, proto, DIAG_ALL_STATES, look, &f, &e) < 0)
		fail_msg("%s", e.text);
	return f.found;
}

static void state_names(void **state)
{
	for (unsigned i = DIAG_ESTABLISHED; i < _DIAG_STATE_MAX; i++)
		assert_int_equal(diag_state_parse(diag_state_str(i)), i);
	assert_int_equal(diag_state_parse("no such"), -EINVAL);
	assert_string_equal(diag_state_str(0), "invalid");
	assert_string_equal(diag_state_str(99), "invalid");
}

static void counts_are_the_sockets_own(void **state)
{
	NEEDS_NAMESPACE();
	struct pair p = connect_pair(AF_INET, "127.0.0.1");
	char data[5000] = {0};
	assert_int_equal(send(p.client, data, sizeof data, 0), sizeof data);
	assert_int_equal(recv(p.accepted, data, sizeof data, MSG_WAITALL), sizeof data);
	assert_int_equal(send(p.accepted, data, 300, 0), 300);
	assert_int_equal(recv(p.client, data, 300, MSG_WAITALL), 300);

	struct diag_sock s = find(p.client, IPPROTO_TCP);
	assert_int_equal(s.state, DIAG_ESTABLISHED);
	assert_int_equal(s.family, AF_INET);
	assert_int_equal(s.local.port, port_of(p.client));
	assert_int_equal(s.peer.port, port_of(p.listener));
	assert_true(addr_is_loopback(&s.peer.addr));
	assert_true(s.has_tcp);
	/* The SYN counts as one byte. */
	assert_int_equal(s.tcp.bytes_acked, sizeof data + 1);
	assert_int_equal(s.tcp.bytes_received, 300);
	assert_true(s.tcp.segs_out >= 3 && s.tcp.rtt_usec > 0);
	assert_true(s.tcp.last_data_sent_msec < 5000);

	assert_int_equal(find(p.listener, IPPROTO_TCP).state, DIAG_LISTEN);
	close_pair(&p);
}

static void v4_on_a_v6_socket_is_v4(void **state)
{
	NEEDS_NAMESPACE();
	struct pair p = connect_pair(AF_INET6, "127.0.0.1");
	struct diag_sock s = find(p.accepted, IPPROTO_TCP);
	assert_int_equal(s.family, AF_INET6);
	assert_int_equal(s.local.addr.family, ADDR_V4);
	assert_int_equal(s.peer.addr.family, ADDR_V4);
	assert_int_equal(diag_destroy(NULL, &s, NULL), 0);
	close_pair(&p);
}

static void states_and_stopping(void **state)
{
	NEEDS_NAMESPACE();
	struct pair p = connect_pair(AF_INET, "127.0.0.1");
	struct search f = {.inode = inode_of(p.listener)};
	assert_int_equal(
	    diag_inet(NULL, AF_INET, IPPROTO_TCP, DIAG_STATE_BIT(DIAG_ESTABLISHED), look, &f, NULL),
	    0);
	assert_int_equal(f.found.inode, 0); /* a listener is not established */
	assert_int_equal(f.calls, 2);
	f = (struct search){.stop_at_once = true};
	assert_int_equal(diag_inet(NULL, AF_UNSPEC, IPPROTO_TCP, DIAG_ALL_STATES, look, &f, NULL),
	                 0);
	assert_int_equal(f.calls, 1);
	close_pair(&p);
}

static void destroy_is_an_error_on_both_sides(void **state)
{
	NEEDS_NAMESPACE();
	struct pair p = connect_pair(AF_INET6, "::1");
	struct diag_sock s = find(p.client, IPPROTO_TCP);
	char c;
	assert_int_equal(diag_destroy(NULL, &s, NULL), 0);
	assert_int_equal(recv(p.client, &c, 1, 0), -1);
	assert_int_equal(errno, ECONNABORTED);
	struct pollfd pfd = {.fd = p.accepted, .events = POLLIN};
	assert_int_equal(poll(&pfd, 1, 2000), 1);
	assert_int_equal(recv(p.accepted, &c, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(diag_destroy(NULL, &s, NULL), -ENOENT);
	close_pair(&p);
}

static void destroy_takes_the_cookie_into_account(void **state)
{
	NEEDS_NAMESPACE();
	struct pair p = connect_pair(AF_INET, "127.0.0.1");
	struct diag_sock s = find(p.client, IPPROTO_TCP);
	s.id.idiag_cookie[0] ^= 1;
	assert_true(diag_destroy(NULL, &s, NULL) < 0);
	assert_int_equal(send(p.client, "x", 1, 0), 1);
	close_pair(&p);
}

static void connected_udp(void **state)
{
	NEEDS_NAMESPACE();
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	struct diag_sock s = find(fd, IPPROTO_UDP);
	assert_int_equal(s.state, DIAG_ESTABLISHED);
	assert_int_equal(s.peer.port, 9);
	assert_false(s.has_tcp);
	assert_int_equal(diag_destroy(NULL, &s, NULL), 0);
	char c;
	assert_int_equal(recv(fd, &c, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, ECONNABORTED);
	/* Only disconnected: it may be pointed somewhere again. */
	assert_int_equal(send(fd, "x", 1, 0), -1);
	assert_int_equal(errno, EDESTADDRREQ);
	close(fd);
}

static bool look_packet(void *arg, const struct diag_packet *p)
{
	struct diag_packet *want = arg;
	if (p->inode == want->inode)
		*want = *p;
	return true;
}

static void packet_sockets(void **state)
{
	NEEDS_NAMESPACE();
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_IP));
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};
	at.sll_ifindex = (int)if_nametoindex("lo");
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	struct diag_packet p = {.inode = inode_of(fd)};
	int r = diag_packet(NULL, look_packet, &p, NULL);
	close(fd);
	if (r == -EOPNOTSUPP)
		skip();
	assert_int_equal(r, 0);
	assert_int_equal(p.protocol, ETH_P_IP);
	assert_int_equal(p.type, SOCK_RAW);
	assert_int_equal(p.ifindex, at.sll_ifindex);
	assert_true(p.running && !p.rx_ring && !p.tx_ring);
}

static void unknown_protocols_are_told(void **state)
{
	struct err e = {0};
	struct search f = {0};
	assert_int_equal(diag_inet(NULL, AF_INET, IPPROTO_EGP, DIAG_ALL_STATES, look, &f, &e),
	                 -EOPNOTSUPP);
	assert_non_null(strstr(e.text, "does not list"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(state_names),
	    cmocka_unit_test(counts_are_the_sockets_own),
	    cmocka_unit_test(v4_on_a_v6_socket_is_v4),
	    cmocka_unit_test(states_and_stopping),
	    cmocka_unit_test(destroy_is_an_error_on_both_sides),
	    cmocka_unit_test(destroy_takes_the_cookie_into_account),
	    cmocka_unit_test(connected_udp),
	    cmocka_unit_test(packet_sockets),
	    cmocka_unit_test(unknown_protocols_are_told),
	};
	return cmocka_run_group_tests_name("diag", tests, set_up, NULL);
}
