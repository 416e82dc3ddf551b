/* SPDX-License-Identifier: GPL-3.0-or-later */
/* First byte: how many bytes a read gives at most (0: all). The rest is a log. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_JOIN_FLOWS 64
#include "observe/log.c"
#include "observe/log_join.c"

#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t flows;

static void see(void *arg, const struct flow *f, enum fwlog_action action)
{
	bool syn_ack = (f->tcp_toclient & FWLOG_SYN_ACK) == FWLOG_SYN_ACK;
	if (f->src.addr.family != f->dest.addr.family || f->end_nsec < f->start_nsec)
		abort();
	if (action == FWLOG_DENIED && syn_ack)
		abort();
	flows++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct log_options o = {_FWLOG_FORMAT_INVALID, 0, UINT64_C(1769904000000000000)};
	const struct flow_sink sink = {see, NULL};
	struct sys_ops ops;
	struct log_source *s = NULL;
	struct log_stats st;
	struct err e = {0};
	int r;
	if (!size)
		return 0;
	input_begin(&ops, data, size);
	flows = 0;
	if (log_attach(-1, &o, &s, NULL) < 0) {
		input_end();
		return 0;
	}
	while ((r = log_pump(s, &sink, 5, 0, &e)) > 0)
		;
	log_stats(s, &st);
	/* Every line is accounted for, every record is in a flow. */
	if (st.lines != st.records + st.skipped + st.lost + st.bad + st.overlong)
		abort();
	if (st.flows != flows || flows > st.records || (!flows && st.records))
		abort();
	if ((r < 0 && !e.text[0]) || (!r && left))
		abort();
	log_close(s);
	input_end();
	return 0;
}
