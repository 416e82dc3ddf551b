/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/signs.h"

static const struct {
	const char *name, *text, *technique;
	double weight;
} kinds[_SIGN_MAX] = {
    [SIGN_REVERSE_SHELL] = {"reverse_shell", "a shell with its input and output on a connection",
                            "T1059.004", 0.95},
    [SIGN_BIND_SHELL] = {"bind_shell", "a shell behind a listening port", "T1059.004", 0.90},
    [SIGN_FETCH_RUN] = {"fetch_run", "what is fetched is run", "T1105", 0.85},
    [SIGN_DECODE_RUN] = {"decode_run", "what is decoded is run", "T1140", 0.85},
    [SIGN_NET_CODE] = {"net_code", "code that connects and starts programs", "T1059", 0.80},
    [SIGN_WEB_SHELL] = {"web_shell", "a page that runs what a request says", "T1505.003", 0.90},
    [SIGN_SETUID_SHELL] = {"setuid_shell", "gives a shell setuid or capabilities", "T1548.001",
                           0.90},
    [SIGN_ACCOUNT] = {"account", "makes an account, a key or a sudo rule", "T1136.001", 0.75},
    [SIGN_PRELOAD] = {"preload", "puts a library into other programs", "T1574.006", 0.75},
    [SIGN_RUN_TMP] = {"run_tmp", "runs a program in a place anyone may write to", "T1036.005",
                      0.75},
    [SIGN_RUN_HIDDEN] = {"run_hidden", "runs a program with a hidden name", "T1564.001", 0.72},
    [SIGN_STEAL] = {"steal", "what is typed or secret is written or sent elsewhere", "T1056", 0.80},
    [SIGN_MINER] = {"miner", "a coin miner's words", "T1496", 0.85},
    [SIGN_NO_HISTORY] = {"no_history", "the shell's history is turned off", "T1070.003", 0.45},
    [SIGN_NO_DEFENCE] = {"no_defence", "turns off logging, firewall or audit", "T1562.001", 0.60},
    [SIGN_TUNNEL] = {"tunnel", "a way in from outside by a tunnel", "T1572", 0.70},
};

const char *sign_str(enum sign s)
{
	return (size_t)s < _SIGN_MAX ? kinds[s].name : "invalid";
}

int sign_parse(const char *s)
{
	for (int i = 0; i < _SIGN_MAX; i++)
		if (!strcmp(kinds[i].name, s))
			return i;
	return -EINVAL;
}

double sign_weight(enum sign s)
{
	return kinds[s].weight;
}

const char *sign_text(enum sign s)
{
	return kinds[s].text;
}

const char *sign_technique(enum sign s)
{
	return kinds[s].technique;
}

/* ---- places ------------------------------------------------------------------------------------
 */

bool signs_loose_path(struct cursor path)
{
	static const char *const loose[] = {"/tmp/",        "/var/tmp/",   "/dev/shm/",
	                                    "/run/shm/",    "/var/lock/",  "/run/lock/",
	                                    "/dev/mqueue/", "/var/crash/", "/run/user/"};
	for (size_t i = 0; i < ARRAY_SIZE(loose); i++)
		if (span_starts(path, loose[i]))
			return true;
	/* Programs have no business in /dev at all. */
	return span_starts(path, "/dev/") && !span_starts(path, "/dev/null") &&
	       !span_starts(path, "/dev/std") && !span_starts(path, "/dev/fd/") &&
	       !span_starts(path, "/dev/tty") && !span_starts(path, "/dev/disk/");
}

bool signs_hidden_path(struct cursor path)
{
	static const char *const usual[] = {
	    ".local",         ".config", ".cargo",       ".rustup", ".nvm",       ".pyenv",
	    ".rbenv",         ".cache",  ".npm",         ".ssh",    ".vscode",    ".git",
	    ".dotnet",        ".bun",    ".deno",        ".go",     ".sdkman",    ".asdf",
	    ".venv",          ".poetry", ".krew",        ".fzf",    ".oh-my-zsh", ".nix-profile",
	    ".volta",         ".yarn",   ".gem",         ".docker", ".kube",      ".build-id",
	    ".well-known",    ".tox",    ".placeholder", ".SEQ",    ".keep",      ".gitkeep",
	    ".vscode-server", ".gradle", ".m2",          ".pnpm",
	};
	struct cursor part;
	while (span_until(&path, '/', &part)) {
		bool known = span_is(part, ".") || span_is(part, "..") || !span_starts(part, ".");
		for (size_t i = 0; !known && i < ARRAY_SIZE(usual); i++)
			known = span_is(part, usual[i]);
		/* An AppImage mounts itself there. */
		known |= span_starts(part, ".mount_");
		if (!known)
			return true;
	}
	return false;
}

/* ---- words -------------------------------------------------------------------------------------
 */

static bool word_byte(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

/* Needle in c, which is in lower case as all of the tables are. A '<' at its start and a '>' at its
 * end stand for the edge of a word. NULL: not there. */
static const uint8_t *find_word(struct cursor c, const char *needle, size_t n)
{
	bool head = n > 1 && *needle == '<', tail = n > 1 && needle[n - 1] == '>';
	n -= (size_t)head + tail;
	for (struct cursor left = c; left.p < left.end;) {
		const uint8_t *at = memmem(left.p, cursor_left(&left), needle + head, n);
		if (!at)
			return NULL;
		bool begins = !head || at == c.p || !word_byte(at[-1]);
		bool ends = !tail || at + n == c.end || !word_byte(at[n]);
		if (begins && ends)
			return at;
		left.p = at + 1;
	}
	return NULL;
}

/* Any of the alternatives, which are separated by newlines. */
static const uint8_t *find_any(struct cursor c, const char *alternatives)
{
	for (const char *p = alternatives; *p;) {
		size_t n = strcspn(p, "\n");
		const uint8_t *at = find_word(c, p, n);
		if (at)
			return at;
		p += n + (p[n] == '\n');
	}
	return NULL;
}

#define SHELLS "sh\nbash\ndash\nzsh\nksh\nash\nbusybox\n"
#define INTERPRETERS                                                                               \
	SHELLS "python\npython2\npython3\nperl\nruby\nphp\nnode\nlua\ntclsh\neval\nsource\nsudo\n" \
	       "xargs\n"
#define FETCHERS                                                                                   \
	"<curl>\n<wget>\n<lwp-download>\n<lwp-request>\n<aria2c>\n<axel>\n<fetch>\n<tftp>\n<lynx " \
	"-\n"                                                                                      \
	"<w3m "                                                                                    \
	"-\nurllib\nurlopen\nrequests.get\nfile_get_contents('http\nfile_get_contents(\"http\n"
#define DECODERS                                                                                   \
	"base64 -d\nbase64 --d\nbase64 -i -d\nbase64 -di\nbase32 -d\nopenssl base64 -d\n-base64 "  \
	"-d\n"                                                                                     \
	"xxd -r\nxxd -p -r\nb64decode\nb32decode\nfromhex(\nunhexlify\ndecode_base64\n"            \
	"base64_decode\ngzinflate\ngzuncompress\nstr_rot13\nzlib.decompress\nuudecode\n"           \
	"frombase64\nbase64.decode\nbuffer.from(\nopenssl enc -d\ntr 'a-za-z' 'n-z\n"

/* Is this word one of the names, whatever folder it is called in? "python3.11" is python3. */
static bool named(struct cursor word, const char *names)
{
	const uint8_t *slash = word.p < word.end ? memrchr(word.p, '/', cursor_left(&word)) : NULL;
	if (slash)
		word.p = slash + 1;
	for (const char *p = names; *p;) {
		size_t n = strcspn(p, "\n");
		if (cursor_left(&word) >= n && !memcmp(word.p, p, n) &&
		    (word.p + n == word.end || !word_byte(word.p[n])))
			return true;
		p += n + (p[n] == '\n');
	}
	return false;
}

/* Without the brackets and quotes around it. */
static struct cursor bare(struct cursor word, bool wrapped)
{
	while (word.p < word.end && byte_of(*word.p, "({!`@;&$\"'-:+") &&
	       !(wrapped && *word.p == '-'))
		word.p++;
	while (word.p < word.end && byte_of(word.end[-1], ")};&\"'`"))
		word.end--;
	return word;
}

/* The first word of a command, behind what only prepares it: VAR=x, sudo -u x, env, nohup … */
static struct cursor command_word(struct cursor c)
{
	struct cursor word = {c.end, c.end};
	bool wrapped = false;
	for (int i = 0; i < 12 && span_word(&c, &word); i++) {
		word = bare(word, wrapped);
		bool assigns = span_has(word, "=") && !span_starts(word, "/");
		bool wraps =
		    named(word, "sudo\nenv\nnohup\nsetsid\nexec\ntimeout\nnice\nionice\ntime\n"
		                "command\nstdbuf\ndo\nthen\nelse\nif\nwhile\ndoas\nchronic\nflock\n"
		                "chroot\nunbuffer\ntest\nscreen\ntmux\nrun-one\n");
		bool option = wrapped && span_starts(word, "-");
		bool number = wrapped && word.p < word.end && *word.p >= '0' && *word.p <= '9';
		if (word.p < word.end && !assigns && !wraps && !option && !number)
			return word;
		wrapped |= wraps;
	}
	return (struct cursor){c.end, c.end};
}

/* Does anything in the line hand its output to an interpreter: "| sh", "| sudo bash -s",
 * "$(…)" or "`…`" behind one, "<(…)"? */
static bool piped_to_interpreter(struct cursor c)
{
	for (const uint8_t *p = c.p; p < c.end && (p = memchr(p, '|', (size_t)(c.end - p))); p++) {
		struct cursor behind = {p + 1, c.end};
		if (p + 1 < c.end && p[1] == '|') {
			p++;
			continue;
		}
		if (named(command_word(behind), INTERPRETERS))
			return true;
	}
	return find_any(
	           c,
	           "sh -c \"$(\nsh -c '$(\nsh -c $(\nsh -c \"`\nsh -c `\neval $(\neval \"$(\n"
	           "eval `\neval \"`\nsh <(\nsource <(\n. <(\npython <(\npython3 <(\nexec(\n"
	           "eval(\nassert(\ncompile(\nsystem(\nsubprocess\npopen(\ncreate_function(\n") !=
	       NULL;
}

/* ---- the table ---------------------------------------------------------------------------------
 */

enum { WEB = 1, PIPED = 2, SHELL = 4, CALLED = 8 };

/* All three (those there are) must be in one logical line. PIPED: and its output must reach an
 * interpreter; WEB: only of pages; SHELL: not of pages; CALLED: the first is what a function gets
 * whose name is in a variable. */
static const struct {
	enum sign sign;
	int flags;
	const char *all[3];
} rules[] = {
    {SIGN_REVERSE_SHELL, 0, {"/dev/tcp/\n/dev/udp/", "<sh>\n<bash>\n<zsh>\n<exec>\n0>&1\n>&\n<&"}},
    {SIGN_REVERSE_SHELL,
     0,
     {"<nc>\n<ncat>\n<netcat>\n<nc.traditional>\n<nc.openbsd>",
      " -e \n -e/\n -c \n --exec\n --sh-exec\n -ne\n -lvpe\n -nve\n -ve",
      "sh>\n<python\n<perl\n/bin/"}},
    {SIGN_REVERSE_SHELL,
     0,
     {"<nc>\n<ncat>\n<netcat>\n<telnet>\n<openssl s_client>", "mkfifo\nmknod", "sh>\nsh -i"}},
    {SIGN_REVERSE_SHELL,
     0,
     {"<telnet>\n<nc>\n<ncat>", "| sh\n| bash\n|sh\n|bash\n| /bin/\n|/bin/"}},
    {SIGN_REVERSE_SHELL,
     0,
     {"<openssl s_client>", "sh -i\n| sh\n|sh\n| bash\n|bash\n| /bin/\n|/bin/"}},
    {SIGN_REVERSE_SHELL, 0, {"<socat>", "exec:\nsystem:", "tcp\nudp\nopenssl\nssl\nvsock"}},
    {SIGN_REVERSE_SHELL, 0, {"/inet/tcp/\n/inet/udp/"}},
    {SIGN_REVERSE_SHELL, 0, {"<zsh/net/tcp>\nztcp "}},
    {SIGN_REVERSE_SHELL,
     0,
     {"sh -i", ">& /dev/\n>&/dev/\n<&3\n<>/dev/\n<> /dev/\n<&5\n<&196\n0<&"}},
    {SIGN_BIND_SHELL,
     0,
     {"<nc>\n<ncat>\n<netcat>", " -l\n --listen\n -nl\n -vl", " -e\n -c \n--exec\nsh>"}},
    {SIGN_BIND_SHELL, 0, {"<socat>", "listen", "exec:\nsystem:"}},
    {SIGN_FETCH_RUN, PIPED, {FETCHERS}},
    {SIGN_FETCH_RUN, 0, {FETCHERS, "chmod\n<sh /\n<bash /\n<sh ./\n<bash ./", "&&\n;\n||"}},
    {SIGN_FETCH_RUN, 0, {"<nc>\n<ncat>\n/dev/tcp/", "| sh\n| bash\n|sh\n|bash\n| python\n|python"}},
    {SIGN_FETCH_RUN, 0, {"<dig>\n<nslookup>\n<host -t\n<drill>", "| sh\n| bash\n|sh\n|bash\neval"}},
    {SIGN_FETCH_RUN, 0, {"pip install", "--index-url http:\n git+http:"}},
    {SIGN_DECODE_RUN, PIPED, {DECODERS}},
    {SIGN_DECODE_RUN, PIPED, {"<rev>\n<gunzip>\n<zcat>\n<gzip -d", "<echo>\n<printf>\n<<<"}},
    {SIGN_DECODE_RUN,
     PIPED,
     {"printf '\\x\nprintf \"\\x\necho -e '\\x\necho -e \"\\x\necho -ne \"\\x\n"
      "echo -ne '\\x\n$'\\x\n\\\\x2f\\\\x62\\\\x69"}},
    {SIGN_DECODE_RUN,
     0,
     {"eval>", "gzinflate\nbase64_decode\nstr_rot13\ngzuncompress\nb64decode\n"
               "decode_base64\nfromhex\nunpack(\npack("}},
    {SIGN_DECODE_RUN,
     0,
     {"exec(\nexec (", "b64decode\nfromhex\nunhexlify\nzlib.decompress\n"
                       "marshal.loads\ncodecs.decode"}},
    {SIGN_NET_CODE,
     0,
     {"socket",
      "pty.spawn\ndup2(\nsubprocess.\nos.system(\nos.popen(\n/bin/sh\n"
      "/bin/bash\nos.exec",
      "connect(\nbind(\ncreate_connection("}},
    {SIGN_NET_CODE, 0, {"socket", "connect(", "exec{\nexec(\nopen(stdin\nopen(stdout\nexec \""}},
    {SIGN_NET_CODE,
     0,
     {"tcpsocket\nfsockopen(\nstream_socket_client(\nsocket.tcp(\nnet.socket\n"
      "io::socket",
      "/bin/sh\n/bin/bash\nexec\npopen\nsystem\nspawn"}},
    {SIGN_NET_CODE,
     SHELL,
     {"python\n<perl>\n<ruby>\n<php>\n<node>\n<lua>", " -c \n -e \n -r \n -m",
      "import socket\nsocket.socket\nuse socket\nio::socket\nfsockopen\n"
      "tcpsocket\nrequire('net')\nrequire(\"net\")\nrequire('child_process')"}},
    {SIGN_NET_CODE, 0, {"exec(\neval(", "urlopen(\nrequests.get(\nurllib"}},
    {SIGN_WEB_SHELL,
     WEB,
     {"eval(\nassert(\nsystem(\npassthru(\nshell_exec(\npopen(\nproc_open(\n"
      "pcntl_exec(\ncreate_function(\n<exec(\ninclude(\ncall_user_func(\n"
      "array_map(\narray_filter(\nusort(\nregister_shutdown_function(\n"
      "preg_replace('/.*/e\n=`\necho `\nfile_put_contents(",
      "$_get\n$_post\n$_request\n$_cookie\n$_server['http_\n$_server[\"http_\n"
      "php://input\n$_files\ngetallheaders("}},
    {SIGN_WEB_SHELL,
     WEB,
     {"$_get[\n$_post[\n$_request[\n$_cookie[\n${'_'\n${\"_", "]($\n](@$\n]( $\n}($"}},
    {SIGN_WEB_SHELL,
     WEB | CALLED,
     {"($_get\n($_post\n($_request\n($_cookie\n(@$_post\n(@$_request"}},
    {SIGN_WEB_SHELL,
     WEB,
     {"getruntime().exec(\nprocessbuilder(", "request.getparameter\ngetheader("}},
    {SIGN_WEB_SHELL, WEB, {"getruntime().exec(\nprocessbuilder("}},
    {SIGN_WEB_SHELL, WEB, {"eval(request\nexecute(request\nprocess.start(", "request"}},
    {SIGN_WEB_SHELL,
     WEB,
     {"os.popen(\nos.system(\nsubprocess.", "fieldstorage\nquery_string\n"
                                            "request.args\nrequest.form"}},
    {SIGN_WEB_SHELL, WEB, {"query_string\n<param(", "system(\nexec \n`$\neval>\nqx"}},
    {SIGN_WEB_SHELL,
     WEB,
     {"c99shell\nr57shell\nb374k\nwso_version\nfilesman\nweevely\nphpspy\n"
      "p0wny\nchina chopper\nantsword\nbehinder"}},
    {SIGN_SETUID_SHELL,
     SHELL,
     {"<chmod>", "u+s\n+s \n 4755\n 4777\n 6755\n 04755\n 4711\n 4555\n6777"}},
    {SIGN_SETUID_SHELL,
     SHELL,
     {"<setcap>", "cap_setuid\ncap_sys_admin\ncap_dac_override\ncap_sys_ptrace\n"
                  "=ep\n=eip\nall+ep\ncap_dac_read_search"}},
    {SIGN_SETUID_SHELL, SHELL, {"<install>", "-m 4755\n-m4755\n-m 04755\n-m u+s", "sh"}},
    {SIGN_ACCOUNT, SHELL, {"<useradd>\n<usermod>", "-u 0\n-u0\n--uid 0\n-o \n--non-unique"}},
    {SIGN_ACCOUNT, SHELL, {"<usermod>\n<gpasswd>\n<adduser>", "sudo>\n<wheel>\n<docker>\n<root>"}},
    {SIGN_ACCOUNT,
     SHELL,
     {"authorized_keys", "ssh-rsa\nssh-ed25519\necdsa-sha2\n>>\n<curl>\n<wget>\n<tee>"}},
    {SIGN_ACCOUNT,
     SHELL,
     {"/etc/passwd\n/etc/shadow",
      ">> /etc\n>>/etc\n>> $\n>>$\n>> \"$\n>>\"$\n<tee -a\ntee -a\nsed -i\n<openssl passwd"}},
    {SIGN_ACCOUNT,
     SHELL,
     {"<chpasswd>\n<passwd --stdin\n<passwd -d", "<echo>\n<printf>\n<<<\nroot"}},
    {SIGN_ACCOUNT, SHELL, {"nopasswd", ">> /etc\n>>/etc\n> /etc\n>/etc\n<tee"}},
    {SIGN_PRELOAD, SHELL, {"/etc/ld.so.preload"}},
    {SIGN_PRELOAD,
     SHELL,
     {"<ld_preload=/\n<ld_preload=\"/\n<ld_preload='/\n<ld_audit=/\n<ld_preload\" /",
      "/tmp/\n/dev/shm\n/.\n.so"}},
    {SIGN_STEAL,
     SHELL,
     {"/etc/shadow", "<curl>\n<wget>\n<nc>\n<mail>\n/dev/tcp/\n<scp>\n> /tmp\n>/tmp"}},
    {SIGN_STEAL,
     SHELL,
     {"id_rsa\nid_ed25519\n.aws/credentials\n.kube/config\n.git-credentials",
      "<curl>\n<wget>\n<nc>\n<mail>\n/dev/tcp/\n<scp>"}},
    {SIGN_STEAL,
     SHELL,
     {"/.ssh\n/.aws\n/.gnupg\n/.kube\n/.mozilla\n/.bash_history",
      "<curl>\n<wget>\n<nc>\n<ncat>\n/dev/tcp/",
      "<tar>\n<zip>\n<cat>\n -t \n--upload-file\n-d @\n--data-binary\n--post-file\n-f file\n-f f"}},
    {SIGN_STEAL,
     SHELL,
     {"<prompt_command\n<debug>", "=\n<trap>",
      "<curl>\n<wget>\n<nc>\n<ncat>\n/dev/tcp/\n/tmp/\n/dev/shm"}},
    {SIGN_RUN_TMP,
     SHELL,
     {"<path=/tmp/\n<path=\"/tmp/\n<path=/var/tmp\n<path=\"/var/tmp\n<path=/dev/shm\n<path=\"/dev/"
      "shm"}},
    {SIGN_STEAL, SHELL, {"read -s\nread -rs\nread -sp\nread -r -s", ">>\n<curl>\n<tee>\nsudo"}},
    {SIGN_STEAL,
     SHELL,
     {"<alias>\n<function>", "<sudo>\n<ssh>\n<su>\n<passwd>\n<scp>",
      "strace\n<script -\n/tmp/\n/dev/shm\n>>"}},
    {SIGN_STEAL,
     SHELL,
     {"<strace>\n<ltrace>", "sshd\n-e trace\n-e read\n-e write",
      "<ssh>\n<su>\npid\nsshd\n>>\n-o "}},
    {SIGN_STEAL, SHELL, {"<alias>", "ssh=\nsudo=\nsu=", "strace\n/.\n>>"}},
    {SIGN_STEAL, SHELL, {"<tcpdump>\n<tshark>", "-w \n-a", "<nc>\n<curl>\n/tmp/\n/dev/shm"}},
    {SIGN_MINER,
     0,
     {"stratum+tcp\nstratum+ssl\nxmrig\nminerd\ncpuminer\n--donate-level\n"
      "cryptonight\nkinsing\nkdevtmpfsi\nsupportxmr\nnanopool\nminexmr\nrandomx"}},
    {SIGN_NO_HISTORY,
     SHELL,
     {"unset histfile\nhistfile=/dev/null\nset +o history\nhistsize=0\n"
      "histfilesize=0\nhistfile= \nhistory -c\nln -sf /dev/null"}},
    {SIGN_NO_DEFENCE,
     SHELL,
     {"<systemctl>\n<service>", "<stop>\n<disable>\n<mask>",
      "auditd\nrsyslog\nsyslog\nfirewalld\nufw\napparmor\nfail2ban\nfalco\nclam\n"
      "osquery\ncrowdstrike\nfalcon-sensor\nwazuh"}},
    {SIGN_NO_DEFENCE,
     SHELL,
     {"<iptables -f>\n<nft flush ruleset>\n<ufw disable>\n<setenforce 0>\n"
      "<auditctl -e 0>\n<auditctl -d>\n<iptables -p input accept>"}},
    {SIGN_NO_DEFENCE,
     SHELL,
     {"> /var/log/\n>/var/log/\n<rm -rf /var/log\n<shred",
      "wtmp\nbtmp\nlastlog\nauth.log\nsecure\nutmp\n/var/log"}},
    {SIGN_TUNNEL,
     SHELL,
     {"<ssh>\n<autossh>", " -r \n -nr\n -fnr\n -ntr\n -tr\n -r[0-9]",
      ":22\n:localhost:\n:127.0.0.1:"}},
    {SIGN_TUNNEL,
     SHELL,
     {"<ngrok>\n<chisel>\n<frpc>\n<cloudflared tunnel\n<gs-netcat>\n<gsocket>\n"
      "<bore local\n<pwnat>\n<iodine>\n<dnscat\n<tmate -f\n<ligolo\n<revsocks\n<rathole>",
      "tcp\nclient\n-c\n--url\n-s\nlocal\nhttp\n-f\nrun\n-i"}},
};

/* ---- lines -------------------------------------------------------------------------------------
 */

/* A logical line, or a piece of it: as it stands, and in lower case, byte by byte the same place.
 */
struct piece {
	struct cursor raw, low;
	uint32_t number;
};

static void found(struct signs *s, enum sign sign, const struct piece *piece, const uint8_t *at)
{
	struct cursor line = piece->raw;
	size_t skip = at ? (size_t)(at - piece->low.p) : 0;

	s->found |= 1u << sign;
	if (kinds[sign].weight <= s->weight)
		return;
	if (skip > SIGN_LINE_MAX / 2)
		line.p += skip - SIGN_LINE_MAX / 4;
	s->weight = kinds[sign].weight;
	s->heaviest = sign;
	s->number = piece->number;
	span_copy(line, s->line, sizeof s->line);
}

/* Is there a command at a place like that? Commands stand at the start and behind ; & | ( ` and
 * what gives another program to run. */
static void look_at_commands(const struct piece *line, struct signs *s)
{
	struct cursor part = line->low;
	while (part.p < part.end) {
		const uint8_t *p = part.p;
		while (p < part.end && !byte_of(*p, ";&|(`"))
			p++;
		struct cursor one = {part.p, p}, rest = one, word = command_word(one), next;
		/* "sh /tmp/x", ". /tmp/x": the file is what is run. */
		if (named(word,
		          SHELLS "python\npython3\nperl\nruby\nphp\nnode\nsource\n.\nld.so\n")) {
			rest.p = word.end;
			while (span_word(&rest, &next) && span_starts(next, "-"))
				;
			word = rest.p > word.end ? next : word;
			while (word.p < word.end && byte_of(*word.p, "\"'"))
				word.p++;
		}
		if (span_starts(word, "/") && signs_loose_path(word))
			found(s, SIGN_RUN_TMP, line, word.p);
		else if (span_starts(word, "/") && signs_hidden_path(word))
			found(s, SIGN_RUN_HIDDEN, line, word.p);
		part.p = p < part.end ? p + 1 : p;
	}
}

/* Is it handed to a function whose name a variable holds: "$f($_POST…"? Not to a method's. */
static bool called_by_variable(struct cursor line, const uint8_t *at)
{
	const uint8_t *p = at;
	while (p > line.p && word_byte(p[-1]))
		p--;
	return p < at && p > line.p && p[-1] == '$' &&
	       (p - 1 == line.p || (p[-2] != '>' && p[-2] != ':'));
}

/* Is the rule one for texts of this kind? */
static bool of_kind(int flags, enum signs_of kind)
{
	return !(flags & WEB && kind != SIGNS_WEB) && !(flags & SHELL && kind != SIGNS_SHELL);
}

/* Are all of the rule's words in it? Where the first of them is, or NULL. */
static const uint8_t *rule_holds(size_t i, struct cursor line)
{
	const uint8_t *first = NULL;
	for (size_t k = 0; k < 3 && rules[i].all[k]; k++) {
		const uint8_t *at = find_any(line, rules[i].all[k]);
		if (!at)
			return NULL;
		first = first ? first : at;
	}
	return rules[i].flags & CALLED && !called_by_variable(line, first) ? NULL : first;
}

static void look_at_line(enum signs_of kind, const struct piece *piece, struct signs *s)
{
	int piped = -1;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		if (!of_kind(rules[i].flags, kind) || s->found & 1u << rules[i].sign)
			continue;
		const uint8_t *at = rule_holds(i, piece->low);
		if (at && rules[i].flags & PIPED && piped < 0)
			piped = piped_to_interpreter(piece->low);
		if (at && (!(rules[i].flags & PIPED) || piped))
			found(s, rules[i].sign, piece, at);
	}
	if (kind == SIGNS_SHELL)
		look_at_commands(piece, s);
}

/* What several lines do together: a file is fetched in one and made executable in another, a socket
 * is connected and handed to a shell. Rows in turn; `first` is shown. */
struct several {
	bool seen[3];
	struct signs first; /* as if it were a sign of its own */
};

static const struct {
	enum sign sign;
	const char *all[3];
} several_rules[] = {
    {SIGN_FETCH_RUN,
     {FETCHERS, "<chmod +x\n<chmod 7\n<chmod a+x\n<chmod u+x\nos.chmod(\n<chmod 07"}},
    {SIGN_NET_CODE,
     {"socket.socket\nuse socket\nio::socket\nsocket(\nimport socket\nsockaddr",
      ".connect(\nconnect(\n.bind(\ncreate_connection(",
      "pty.spawn\ndup2(\nexec {\n/bin/sh\n/bin/bash\nshell=true\nos.system(\nexecve("}},
    {SIGN_DECODE_RUN,
     {DECODERS, "<eval>\n<exec(\n<bash -c \"$\n<sh -c \"$\n<assert(\n<bash \"$\n<sh \"$"}},
};
#define N_SEVERAL ARRAY_SIZE(several_rules)

static void collect(const struct piece *piece, struct several *v)
{
	for (size_t i = 0; i < N_SEVERAL; i++)
		for (size_t k = 0; k < 3 && several_rules[i].all[k]; k++) {
			const uint8_t *at =
			    v[i].seen[k] ? NULL : find_any(piece->low, several_rules[i].all[k]);
			v[i].seen[k] |= at != NULL;
			if (at && k == 0)
				found(&v[i].first, several_rules[i].sign, piece, at);
		}
}

static void look_at_several(const struct several *v, struct signs *s)
{
	for (size_t i = 0; i < N_SEVERAL; i++) {
		bool all = true;
		for (size_t k = 0; k < 3 && several_rules[i].all[k]; k++)
			all &= v[i].seen[k];
		if (!all || s->found & v[i].first.found)
			continue;
		uint32_t both = s->found | v[i].first.found;
		if (v[i].first.weight > s->weight)
			*s = v[i].first;
		s->found = both;
	}
}

#define JOINED_MAX 16384 /* bytes of one logical line that are looked at together */

/* Lines that end with a backslash, with their followers: the bytes between are looked at as they
 * stand. */
static bool next_logical(struct lines *l, struct cursor *ret, uint32_t *ret_number)
{
	struct cursor more;
	if (!lines_next(l, ret))
		return false;
	*ret_number = l->number;
	while (span_ends(*ret, "\\") && cursor_left(ret) < JOINED_MAX && lines_next(l, &more))
		ret->end = more.end;
	return true;
}

static struct piece lowered(struct cursor raw, uint32_t number, uint8_t *room)
{
	size_t n = cursor_left(&raw);
	for (size_t i = 0; i < n; i++)
		room[i] = raw.p[i] >= 'A' && raw.p[i] <= 'Z' ? raw.p[i] + 32 : raw.p[i];
	return (struct piece){raw, cursor_of(room, n), number};
}

void signs_look(enum signs_of kind, const void *bytes, size_t n, struct signs *ret)
{
	struct lines l = lines_of(bytes, n);
	struct several several[N_SEVERAL] = {0};
	uint8_t room[JOINED_MAX];
	struct cursor line;
	uint32_t number;
	while (next_logical(&l, &line, &number)) {
		line = span_trim(line);
		if (line.p == line.end || (kind != SIGNS_WEB && *line.p == '#'))
			continue;
		/* Long lines are packed code; pieces overlap so that nothing hides at a cut. */
		while (line.p < line.end) {
			struct cursor raw = line;
			if (cursor_left(&raw) > JOINED_MAX)
				raw.end = raw.p + JOINED_MAX;
			struct piece piece = lowered(raw, number, room);
			look_at_line(kind, &piece, ret);
			collect(&piece, several);
			line.p = raw.end == line.end ? line.end : raw.end - 256;
		}
	}
	look_at_several(several, ret);
}
