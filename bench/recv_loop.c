/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * recv_loop IFACE: what a plain sniffer does: one packet socket, one recv a frame, bytes summed.
 * "ready" when it listens; at SIGTERM "FRAMES DROPPED".
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

static volatile sig_atomic_t stop;

static void on_stop(int signo)
{
	stop = signo;
}

int main(int argc, char **argv)
{
	struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	struct sigaction act = {.sa_handler = on_stop}; /* no SA_RESTART: recv ends */
	struct tpacket_stats s = {0};
	socklen_t n = sizeof(s);
	unsigned long frames = 0, bytes = 0;
	char frame[65536];
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	a.sll_ifindex = argc > 1 ? (int)if_nametoindex(argv[1]) : 0;
	if (fd < 0 || !a.sll_ifindex || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		perror("recv_loop");
		return 1;
	}
	sigaction(SIGTERM, &act, NULL);
	puts("ready");
	fflush(stdout);
	while (!stop) {
		ssize_t got = recv(fd, frame, sizeof(frame), 0);
		if (got > 0) {
			frames++;
			bytes += (unsigned long)got;
		}
	}
	getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &s, &n);
	printf("%lu %u %lu\n", frames, s.tp_drops, bytes);
	return 0;
}
