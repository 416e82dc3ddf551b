/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `acquire state`: the items, in the order in which their content fades (RFC 3227). */
#include "acquire/state/state.h"

#include <errno.h>
#include <unistd.h>

#include "acquire/captures.h"
#include "base/table.h"

#define ITEM_LIMIT (60 * USEC_PER_SEC)
#define TIME_LIMIT (5 * 60 * USEC_PER_SEC)
#define SIZE_LIMIT (UINT64_C(2) << 30)

static const struct item items[] = {
    {"clock", read_clock, 0, 0},
    {"network", read_network, 10 * USEC_PER_SEC, 0},
    {"processes", read_processes, 0, 0},
    {"hidden", read_hidden, 30 * USEC_PER_SEC, 30 * USEC_PER_SEC},
    {"executables", read_executables, 10 * USEC_PER_SEC, 0},
    {"kernel", read_kernel, 10 * USEC_PER_SEC, 0},
    {"bpf", read_bpf, 10 * USEC_PER_SEC, 0},
    {"listings", read_listings, 0, 0},
    {"files", read_files, 0, 0},
    {"privileged", read_privileged, 10 * USEC_PER_SEC, 30 * USEC_PER_SEC},
    {"logs", read_logs, 20 * USEC_PER_SEC, 0},
};

static int limits_of(const struct capture_order *o, struct state_limits *ret, struct err *e)
{
	const char *size = capture_text(o, "max-size", NULL);
	ret->item = capture_number(o, "item-limit", ITEM_LIMIT);
	ret->all = capture_number(o, "time-limit", TIME_LIMIT);
	ret->bytes = SIZE_LIMIT;
	return size ? capture_size_parse(size, &ret->bytes, e) : 0;
}

static int state_preflight(const struct capture_order *o, int dest, json_t **ret, struct err *e)
{
	struct state_limits limits;
	int r = limits_of(o, &limits, e);
	json_t *notes = json_array();
	if (r < 0) {
		json_decref(notes);
		return r;
	}
	if (geteuid() != 0)
		json_array_append_new(notes, json_string("not root: other users' processes, the "
		                                         "kernel and most files stay unread"));
	*ret = json_pack("{s:s, s:i, s:I, s:o}", "source", "volatile state of this host", "bytes",
	                 0, "at_most", (json_int_t)limits.bytes, "notes", notes);
	return *ret ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static int state_run(const struct capture_order *o, struct capture_sink *s,
                     struct capture_report *ret, struct err *e)
{
	struct state_limits limits;
	struct state_totals totals = {0};
	int r = limits_of(o, &limits, e);
	if (r == 0)
		r = s->ops->log(s, "footprint",
		                json_pack("{s:i, s:i, s:i, s:s}", "pid", (int)getpid(), "parent",
		                          (int)getppid(), "uid", (int)geteuid(), "does",
		                          "one process an item, no program is started, nothing is "
		                          "written but the bundle and the journal"),
		                e);
	if (r == 0)
		r = state_take(items, ARRAY_SIZE(items), &limits, s, ret, &totals, e);
	if (r < 0)
		return r;
	ret->bytes = totals.bytes;
	ret->outcome = totals.hung || totals.cut || geteuid() ? CAPTURE_PARTIAL : CAPTURE_WHOLE;
	json_object_set_new(s->facts, "state",
	                    json_pack("{s:I, s:I, s:I, s:i}", "rows", (json_int_t)totals.rows,
	                              "files", (json_int_t)totals.files, "units_given_up",
	                              (json_int_t)totals.hung, "items_not_whole", (int)totals.cut));
	return 0;
}

static const char *const state_options[] = {"max-size", "item-limit", "time-limit", NULL};

const struct capture_ops capture_state = {
    .name = "state",
    .options = state_options,
    .preflight = state_preflight,
    .run = state_run,
};
