/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "ui/config_file.h"
#include "ui/ctx.h"
#include "ui/verbs.h"

static json_t *config_json(const struct config *c)
{
	char text[CONFIG_STATE_MAX];
	json_t *all = json_pack("{s:s}", "event_type", "config");
	for (const struct config_key *k = config_keys; all && k->name; k++) {
		json_t *list = json_array();
		for (size_t i = 0; k->get(c, i, text, sizeof text); i++)
			json_array_append_new(list, json_string(text));
		json_t *v = k->type == CONFIG_LIST ? json_incref(list)
		                                   : json_incref(json_array_get(list, 0));
		json_object_set_new(all, k->name, v);
		json_decref(list);
	}
	return all;
}

int verb_config(struct ctx *c, const struct args *a)
{
	struct err e = {0};
	bool show = !strcmp(a->pos[0], "show");
	if (!show && strcmp(a->pos[0], "check") != 0) {
		out_error(&c->out, "config takes check or show, not \"%.40s\"", a->pos[0]);
		return EXIT_USAGE;
	}
	int r = config_load(c->config_path, driver_table, &c->config, &e);
	bool missing = r == -ENOENT && !c->config_given;
	if (r < 0 && !missing)
		return ctx_fail(c, EXIT_USAGE, &e);
	if (show && !c->out.json) {
		struct buf b = BUF_INIT(64 << 10);
		config_print(&c->config, &b);
		fputs(buf_str(&b), c->out.to);
		buf_free(&b);
	}
	if (!show)
		out_line(&c->out, missing ? "%s: not there; the defaults hold" : "%s: good",
		         c->config_path);
	out_json(&c->out, c->out.json ? config_json(&c->config) : NULL);
	return EXIT_DONE;
}
