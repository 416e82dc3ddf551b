/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Composition root: the points, roles and verbs of this build, and main. */
#include <string.h>

#include "acquire/captures.h"
#include "base/table.h"
#include "enforce/account/account.h"
#include "enforce/aws/aws.h"
#include "enforce/feed/fetch.h"
#include "enforce/feed/role.h"
#include "enforce/cli/cli.h"
#include "enforce/host/holder.h"
#include "enforce/host/host.h"
#include "enforce/junos/junos.h"
#include "enforce/local/local.h"
#include "enforce/panos/panos.h"
#include "enforce/process/process.h"
#include "enforce/service/service.h"
#include "observe/role.h"
#include "priv/role.h"
#include "ui/verbs.h"

const struct point point_table[] = {
    {.name = "self", .driver = &local_driver},
};
const size_t point_table_n = ARRAY_SIZE(point_table);

/* What carries orders out at this host, in the sequence of their steps. */
const struct local_row local_table[] = {
    {&host_driver, 1 << VERB_ISOLATE | 1 << VERB_BLOCK, ~0u},
    {&service_driver, 1 << VERB_FREEZE | 1 << VERB_KILL | 1 << VERB_DISABLE, 1 << TARGET_UNIT},
    {&account_driver, 1 << VERB_DISABLE, 1 << TARGET_ACCOUNT},
    {&process_driver, 1 << VERB_FREEZE | 1 << VERB_KILL | 1 << VERB_DISABLE,
     1 << TARGET_PROCESS | 1 << TARGET_UNIT | 1 << TARGET_ACCOUNT},
    {0},
};

const struct driver_ops *const driver_table[] = {
    &aws_driver, &cli_driver, &junos_driver, &panos_driver, NULL,
};

const struct capture_ops *const capture_table[] = {
    &capture_disk,
    &capture_memory,
    &capture_state,
    NULL,
};

const struct verb_row verb_table[] = {
    {
        .name = "rates",
        .synopsis = "[IFACE…] [--every DUR] [--count N]",
        .summary = "packets and bytes in and out, each interface, each second",
        .text = "Reads the kernel's own 64-bit counters and prints their change, with averages at "
                "the end; kB are 1024 bytes, as in sar. Without IFACE every interface.",
        .opts = rates_opts,
        .examples = "stanch rates\nstanch rates eth0 --every 1s --count 5",
        .max_args = -1,
        .run = verb_rates,
    },
    {
        .name = "watch",
        .synopsis = "[IFACE…] [--file CAPTURE|-] [--log FILE|-] [--log-format F] [--run DUR] "
                    "[--top N] [--learn] [--tier T] [--write FILE [--select TARGET]…]",
        .summary = "who sends what to whom, which program, and what looks wrong",
        .text = "Counts every flow exactly, live or from a capture file, names owner and far end "
                "where they are known, and reports findings with their reasons and the orders that "
                "would end them. Packets are parsed in a child process without rights. Live, "
                "programs at the cgroup root count and know the owner (tier bpf: every network "
                "namespace; forwarded traffic is not seen); without the rights or kernel for them "
                "packets are counted and owners looked up (tier tpacket_v3), without those the "
                "tracked connections, if their accounting is on already (conntrack), or the "
                "sockets of TCP (inet_diag); tier, reason and blind spots are told. What "
                "was usual on days before, learned by --learn on quiet ones, lowers scores. A "
                "screen on a terminal, else tables at the end; with --json one flow a line. "
                "Without IFACE every interface that is up but lo; a packet that passes two of them "
                "counts twice. --write makes a pcapng file of the packets of findings from "
                "score 0.40 and of each --select, with the reasons, names and owners as comments: "
                "of a capture all of them, live (and from a pipe) also those before the finding "
                "that are among the last 64 MiB of packets; it says where that was too little. "
                "Exit 1: a finding of score 0.40 or more.",
        .opts = watch_opts,
        .examples = "stanch watch\nstanch watch eth0 --run 30s --json\n"
                    "stanch watch --file capture.pcapng --top 20\n"
                    "stanch watch eth0 --write evidence.pcapng --select 203.0.113.0/24\n"
                    "stanch watch --log asa.log --json",
        .max_args = -1,
        .run = verb_watch,
    },
    {
        .name = "reach",
        .synopsis = "HOST [--port P]… [--from ADDR]",
        .summary = "can HOST be reached: ping, TCP ports, SSH banner",
        .text = "Tells refused, filtered, unreachable and reset apart, for each address of HOST. "
                "Without --port: ping and SSH on 22. At most 2 s a probe. Exit 0: all reachable, "
                "1: not.",
        .opts = reach_opts,
        .examples = "stanch reach web01 --port 22 --port 443",
        .min_args = 1,
        .max_args = 1,
        .run = verb_reach,
    },
    {
        .name = "triage",
        .synopsis = "[--root DIR] [--since TIME] [--area AREA]…",
        .summary = "what is on this host that should not be",
        .text =
            "Looks at processes, sockets, the kernel's state, logins, accounts, and places from "
            "which something is started by itself, by system calls alone: no program "
            "of the host is run and no name service asked, "
            "nothing is changed. Each finding has its evidence, the harmless thing that looks "
            "the same, the ATT&CK technique and the orders that would end it; those from score "
            "0.40 are stored for `contain`.\n\n"
            "--root looks at the files of a mounted disk; what only lives in memory is left out, "
            "and told, and no orders are proposed: they would be about this host. --since names "
            "the time from which changes matter most. Each area "
            "has a limit of time. Without root it does what it can, and says what it could not "
            "see. Root in the kernel can hide from it: see the threat model.\n\n"
            "Exit 0: nothing; 1: findings of score 0.40 or more; 5: an area could not look.",
        .opts = triage_opts,
        .examples = "stanch triage\nstanch triage --area processes --area sockets --json\n"
                    "stanch triage --root /mnt/disk --since 2026-11-24T00:00:00Z",
        .max_args = 0,
        .run = verb_triage,
    },
    {
        .name = "isolate",
        .synopsis = "self|HOST [--via POINT,…] [--keep ADDR[:PORT]]… [--console] | --unit U | "
                    "--account A | --pid P | --container C",
        .summary = "cut a host off, or just one unit, account, process or container",
        .text =
            "Drops everything but the printed allow-list, in one transaction: IPv4 and IPv6, this "
            "host's, forwarded and container traffic, raw frames, open connections. Your own "
            "session is found and kept; if none is found, name one by --keep or sit at the "
            "console.\n\n"
            "Unless confirmed within the deadline (10 minutes, or --confirm-within) the cut lifts "
            "itself, in the kernel, though stanch were killed. Confirm it from a second SSH "
            "session. If the way in does not answer right after the cut, all is taken back.\n\n"
            "HOST, an asset of the configuration or an address, is isolated by the points around "
            "it (--via, else those its section names), all at the same time: a firewall, a router, "
            "a cloud account. A point that fails leaves the others in force (exit 5) unless "
            "--all-or-nothing. Never run that on HOST itself: the points' credentials are not "
            "loaded there.\n\n"
            "--unit, --account, --pid, --container: just that is cut, the rest of this host goes "
            "on. BPF programs at its cgroup (at the cgroup root for an account) drop what the "
            "allow-list does not name, in and out, connect is refused at once, and its old "
            "connections are closed after their evidence is in the journal. Loopback goes on. A "
            "process is moved into a cgroup of its own below the one it is in, with what descends "
            "from it, and moved back by undo. No deadline runs unless --confirm-within gives one. "
            "Refused (exit 3): process 1, root, and what holds your own session or serves it.",
        .opts = isolate_opts,
        .examples = "stanch isolate self --dry-run\nstanch isolate self\n"
                    "stanch isolate self --keep 198.51.100.7:22 --confirm-within 5m --yes\n"
                    "stanch isolate --unit nginx --for 2h\n"
                    "stanch isolate --container 3f2a9c51e07b --keep 10.0.0.53:53",
        .flags = VERB_CHANGES | VERB_CUTS,
        .min_args = 0,
        .max_args = 1,
        .run = verb_isolate,
    },
    {
        .name = "block",
        .synopsis = "TARGET… [--feed FILE|URL]… [--feed-format F] [--feed-ca FILE] [--allow "
                    "PREFIX|FILE]… [--via POINT,…] "
                    "[--for DUR]",
        .summary = "cut addresses, prefixes, domains, or all that a feed lists",
        .text =
            "Cuts exactly the targets, as source and as destination, for this host, forwarded "
            "and container traffic, and ends their open connections; all else is left alone. "
            "A domain is resolved once and all its addresses are pinned and shown. Blocking "
            "again with a longer --for extends it.\n\n"
            "--feed blocks what a list names, up to millions of prefixes: plain lists, CSV, nft "
            "sets, FireHOL netsets, STIX 2.1 bundles, MISP exports; from a file, or a URL over "
            "https with the server's certificate always checked. It is read in a child "
            "without rights. What this host needs (its networks, gateways, name servers, "
            "your session, what is kept or protected) and what --allow names is spared, and "
            "each hit is told. Each entry keeps its own end. The same feed again takes the "
            "place of the order before, and only what has changed is changed. A feed that "
            "cannot be read, is empty or has lost half of its entries changes nothing.\n\n"
            "Guards refuse what would cut you, loopback or everything; --force GUARD overrules "
            "one by its name. A gateway or name server is only cut under the dead man's "
            "switch.",
        .opts = block_opts,
        .examples = "stanch block 203.0.113.5 198.51.100.20\nstanch block 203.0.113.0/24 --for 2h\n"
                    "stanch block evil.example --dry-run\n"
                    "stanch block --feed firehol_level1.netset --allow 10.0.0.0/8 --for 1d",
        .flags = VERB_CHANGES | VERB_CUTS,
        .min_args = 0,
        .max_args = -1,
        .run = verb_block,
    },
    {
        .name = "freeze",
        .synopsis = "PID… | service UNIT | account NAME [--for DUR] [--confirm-within DUR]",
        .summary = "stop processes, a service, an account where they are; undone exactly",
        .text =
            "Moves the processes, each with what descends from it, those of a unit, or all with "
            "the account's uid (any of the four) into a frozen cgroup of stanch's own, again and "
            "again until none is new, and reads back that the kernel has frozen it. They run no "
            "more and stay as they are: memory, files and connections can be looked at. SIGCONT, "
            "systemctl stop and thaw, and a partner that would start them anew do not reach "
            "them. Undo moves each back into the cgroup that it came from.\n\n"
            "Its connections stay open at the far end: isolate it first. Nothing in the kernel "
            "ends a freeze by itself: when its time has come the guard does, or the next "
            "command.\n\n"
            "Refused (exit 3): process 1, the kernel's own, root as an account, this command and "
            "what started it, what serves your session, and daemons that the host cannot do "
            "without (--force daemon); and a service with a watchdog, which systemd would kill.",
        .opts = freeze_opts,
        .examples = "stanch freeze 4711 --dry-run\nstanch freeze service nginx --for 2h\n"
                    "stanch freeze account mallory --yes",
        .flags = VERB_CHANGES,
        .min_args = 1,
        .max_args = -1,
        .run = verb_freeze,
    },
    {
        .name = "kill",
        .synopsis = "PID… | service UNIT | account NAME",
        .summary = "freeze, capture, then end processes, a service or an account",
        .text =
            "Freezes as `freeze` does; then writes into the journal what /proc tells of each "
            "process (program with its SHA-256, and its bytes where no file has them any more, "
            "arguments, environment, maps, descriptors, sockets, status); only then ends all of "
            "them at once by cgroup.kill, and looks again. Of a pair that starts each other anew "
            "none is left: give both. Memory is not captured: see stanch acquire.\n\n"
            "What was ended cannot be brought back: there is no undo. Where the journal cannot "
            "take the capture nothing is ended, and what was caught stays frozen (exit 5). "
            "Refused is what freeze refuses.",
        .examples = "stanch kill 4711 4712 --dry-run\nstanch kill service xmrig --yes",
        .flags = VERB_CHANGES,
        .min_args = 1,
        .max_args = -1,
        .run = verb_kill,
    },
    {
        .name = "disable",
        .synopsis = "service UNIT | account NAME [--watch DUR]",
        .summary = "a service cannot start again; an account lets nobody in",
        .text =
            "service: finds what belongs to the unit: its other names, the instances of a "
            "template, the "
            "sockets, timers and paths that trigger it. Links to /dev/null go into "
            "/run/systemd/system.control, which systemd reads before /etc (systemctl mask does "
            "not help against a unit file there); then systemd reads its units anew, triggers "
            "are stopped, and the unit. None of the unit's own stop commands runs. Then it is "
            "watched, 60 seconds or --watch, for whatever brings it back (exit 1).\n\n"
            "Undo removes exactly these links and starts again what was active. systemd is asked "
            "over its own socket, some seconds at most; no program of the host is run. Units of "
            "a user's own manager are not reached: disable the account.\n\n"
            "account: every name of the uid in /etc/passwd is locked and expired in /etc/shadow; "
            "authorized keys, crontabs, at jobs, linger and user units are set aside by renaming; "
            "then what runs with the uid is frozen, as `freeze` does, captured and "
            "ended. A lock that another tool or process holds on the account files is named, and "
            "nothing is changed (exit 3). Undo puts each field and file back where it still is as "
            "it was left; ended processes stay ended. Root's own runuser, sudo -u, su, and units "
            "with User= still run programs as it. Refused: root, your own account, accounts of a "
            "directory.",
        .opts = disable_opts,
        .examples = "stanch disable service backdoor --dry-run\n"
                    "stanch disable service backdoor@.service --watch 5m --yes\n"
                    "stanch disable account mallory --watch 10s",
        .flags = VERB_CHANGES,
        .min_args = 2,
        .max_args = 2,
        .run = verb_disable,
    },
    {
        .name = "contain",
        .synopsis = "FINDING… [--via POINT,…] [--console]",
        .summary = "carry out the orders that findings propose",
        .text =
            "Reads the findings that `watch` and `triage` stored (f1, f2, …; see stanch incident "
            "show), and carries out what they propose, in the sequence that holds: the network "
            "first (all blocks as one order, isolate self), then what would start it again "
            "(disable service), then freeze, then kill with its capture, then accounts. All "
            "plans are shown before the one question; an order that fails ends the sequence. "
            "One line takes all of it back. Everything that is said of the single verbs holds "
            "here.",
        .opts = contain_opts,
        .examples = "stanch contain f3 --dry-run\nstanch contain f3 f4 --yes",
        .flags = VERB_CHANGES | VERB_CUTS,
        .min_args = 1,
        .max_args = -1,
        .run = verb_contain,
    },
    {
        .name = "acquire",
        .synopsis = "disk DEV [--format raw|e01|zstd] [--split SIZE] [--hash LIST] [--rate SIZE] "
                    "[--retries N] [--reserve SIZE] [--idle] | memory [--source WAY | --lime "
                    "FILE.ko | --pid PID [--hold]] | state [--max-size SIZE] [--item-limit DUR] "
                    "[--time-limit DUR] --to DIR [--resume EVIDENCE] [--examiner NAME] "
                    "[--case ID]",
        .summary = "take evidence into a signed bundle",
        .text = "Writes the bundle DIR/INCIDENT/eN: what was taken under data/, with a log of each "
                "action; a manifest of every file with its SHA-256 under a Merkle root, signed by "
                "this state directory's key; lists for sha256sum -c and BagIt; and a request for a "
                "time stamp (RFC 3161) to be sent when there is a network again. The journal "
                "knows the manifest's hash. stanch verify DIR/INCIDENT/eN checks it on any "
                "machine.\n\n"
                "disk: a device or an image file, opened for reading only. Sectors that cannot be "
                "read are found by halving, read once more past the page cache, and are zero in "
                "the image; data/disk.map, in ddrescue's format, says which (exit 5). Runs of "
                "zeros are holes, listed in data/disk.zeros. Killed, full, or unplugged: "
                "--resume goes on, reads back what is there, and the hash covers all of it (raw "
                "and zstd). Refused: a destination on the disk that is read; one without the "
                "room. What is mounted changes while it is read: the image is called smeared.\n\n"
                "memory: this machine's, as LiME records of the ranges of /proc/iomem, read by "
                "/proc/kcore, else /dev/crash, else /dev/mem; --source insists on one. What could "
                "not be read is zeros and listed in memory.map, apart from what is zero; types and "
                "symbols of the kernel lie beside it in kit/. --lime loads a module and unloads "
                "it, where the kernel's own ways are shut. --pid: an ELF core of one process for "
                "debuggers; it runs on meanwhile unless --hold stops its threads. --dry-run "
                "tells what lockdown, Secure Boot, rights and space allow.\n\n"
                "state: what is lost with the power, in RFC 3227's order: network of every "
                "namespace, processes, executables without a file, kernel, BPF, listings, "
                "sessions and persistence, logs. By system calls alone; what does not answer "
                "(a hung mount) is given up and named, what is over a limit is told (exit 5). An "
                "item ends after --item-limit and all after --time-limit, however steady they are.",
        .opts = acquire_opts,
        .examples = "stanch acquire disk /dev/sdb --to /mnt/evidence --examiner \"$USER\" --case "
                    "2026-017\n"
                    "stanch acquire memory --to /mnt/evidence\n"
                    "stanch acquire memory --pid 4711 --hold --to /mnt/evidence\n"
                    "stanch acquire state --to /mnt/evidence",
        .flags = VERB_CHANGES,
        .min_args = 1,
        .max_args = 2,
        .run = verb_acquire,
    },
    {
        .name = "status",
        .synopsis = "[ORDER… | ADDRESS]",
        .summary = "what holds, read back from the kernel, and which clocks run",
        .text =
            "One line an order, then each dimension: contained, partial, unknown or released. "
            "Without root the journal's word is all there is, and every dimension is unknown. "
            "Exit 1: something does not hold as ordered, or tables and programs of ours stand in "
            "the kernel that no order of this journal claims.\n\n"
            "ADDRESS: which orders name it, by which entry of which feed, and whether the kernel's "
            "tries of feeds hold it.",
        .examples = "stanch status\nstanch status o1 --json\nstanch status 203.0.113.7",
        .max_args = -1,
        .run = verb_status,
    },
    {
        .name = "verify",
        .synopsis = "ORDER… | EVIDENCE… [--key HEX] | journal [--head HASH]",
        .summary = "read the kernel, evidence or the journal back: what differs",
        .text =
            "ORDER: reads the kernel back and names drift (exit 1). EVIDENCE (e1, or the path of "
            "a bundle or of an incident's folder, on any machine and offline): reads every "
            "byte again and names each file that was changed, removed or added (exit 6); of a "
            "path give --key, the key that was noted when it was taken. journal: checks the hash "
            "chain and its signature (exit 6 when they do not match); root on this host can "
            "sign anew, so give --head with a hash that was noted elsewhere.",
        .opts = verify_opts,
        .examples =
            "stanch verify o1\nstanch verify e1\nstanch verify /mnt/evidence/2026-11-24-web01/e1\n"
            "stanch verify journal --head HASH",
        .min_args = 1,
        .max_args = -1,
        .run = verb_verify,
    },
    {
        .name = "confirm",
        .synopsis = "ORDER… [--for DUR] [--keep ADDR:PORT]",
        .summary = "keep it: stops the dead man's switch",
        .text = "Only after a fresh round trip: run it in an SSH session that was opened after the "
                "order was applied, or let a TCP connect to a kept address and port prove the way. "
                "--force roundtrip does without.",
        .opts = confirm_opts,
        .examples = "stanch confirm o1\nstanch confirm o1 --keep 198.51.100.7:22",
        .flags = VERB_CHANGES,
        .min_args = 1,
        .max_args = -1,
        .run = verb_confirm,
    },
    {
        .name = "undo",
        .synopsis = "ORDER… | --all",
        .summary = "take it back, exactly",
        .text = "Takes the steps back, last first, and reads the kernel back. What has been "
                "changed by others since is left alone and told. What another order still wants "
                "stays. --all takes away, too, what of ours no order of this journal claims.",
        .opts = undo_opts,
        .examples = "stanch undo o1\nstanch undo --all --yes",
        .flags = VERB_CHANGES,
        .max_args = -1,
        .run = verb_undo,
    },
    {
        .name = "incident",
        .synopsis = "new NAME | list | show [ID] | use ID | close ID | report [ID] [--html FILE]",
        .summary = "the breach that orders and findings belong to",
        .text = "The first order or finding opens an incident by itself. show lists its orders and "
                "findings; report shows orders, plans, and the "
                "journal's timeline with its hashes.",
        .opts = incident_opts,
        .examples = "stanch incident list\nstanch incident report --html report.html",
        .min_args = 1,
        .max_args = 2,
        .run = verb_incident,
    },
    {
        .name = "config",
        .synopsis = "check | show",
        .summary = "check the configuration, or print it in canonical form",
        .text = "What show prints reads back to the same. Unknown keys are errors with file and "
                "line (exit 2).",
        .examples = "stanch config check\nstanch config show --config ./stanch.conf",
        .flags = VERB_OWN_CONFIG,
        .min_args = 1,
        .max_args = 1,
        .run = verb_config,
    },
    {
        .name = "points",
        .synopsis = "[setup POINT [--dry-run] [--yes]]",
        .summary = "what each enforcement point can do here, and why not",
        .text = "Asks the kernel with the rights at hand, and every point of the configuration; "
                "changes nothing. setup prepares a point that needs it, once: it shows what is "
                "missing, asks, makes it, and reads it back.",
        .opts = points_opts,
        .examples = "stanch points\nstanch points setup edge-panos --dry-run",
        .max_args = 2,
        .run = verb_points,
    },
    {
        .name = "guard",
        .synopsis = "[--every DUR] [--points]",
        .summary = "stay, and put back what somebody changes of what is in force",
        .text =
            "Listens to nftables and rtnetlink, looks by itself every second for what raises no "
            "event, and brings about again what drifted of any order in force; covers devices "
            "as they come; ends orders whose time has passed. Each change is told, with the "
            "process that made it where the kernel names it, journalled, and becomes a finding "
            "(tamper).\n\n"
            "On Linux 6.9 and newer the tables become the guard's own: no other process can "
            "change them, `nft flush ruleset` leaves them out, and they stay if the guard "
            "dies. Commands of stanch ask it for leave by themselves. A second guard waits and "
            "takes over at once when the first one ends.\n\n"
            "--points: keeps the deadlines of orders at points elsewhere that hold none themselves "
            "(aws, cli, junos), for the machine that gave them: it looks into the journal and ends "
            "what has run out, also after it was started anew; run by stanch-keeper.service. "
            "Refused on a host that is an asset of the configuration. Orders that have a step on "
            "this host as well are left to the next command.\n\n"
            "Run by stanch-guard.service. Root in the "
            "kernel, or root that ends every guard "
            "first, still gets past it: see the threat model.",
        .opts = guard_opts,
        .examples = "stanch guard\nstanch guard --json --every 5s\nstanch guard --points",
        .flags = VERB_ROOT | VERB_LENIENT,
        .max_args = 0,
        .run = verb_guard,
    },
    {
        .name = "reassert",
        .synopsis = "[--dry-run]",
        .summary = "apply confirmed orders again; at boot, before the network is up",
        .text = "Run by stanch-reassert.service. Confirmed orders that have not ended are brought "
                "about again; unconfirmed ones are not, and that is told. Does nothing that "
                "already holds.",
        .opts = reassert_opts,
        .examples = "stanch reassert --dry-run",
        .flags = VERB_ROOT | VERB_LENIENT,
        .max_args = 0,
        .run = verb_reassert,
    },
    {0},
};

/* gen-docs and tests take the tables and bring their own main. */
#ifndef STANCH_TABLES_ONLY
static const struct role role_table[] = {
    OBSERVE_ROLE, FEED_ROLE, FETCH_ROLE, HOLDER_ROLE, {0},
};

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], ROLE_ARG))
		return role_main(role_table, argv[2]);
	return ui_main(argc, argv);
}
#endif
