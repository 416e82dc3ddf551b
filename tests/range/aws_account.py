# SPDX-License-Identifier: GPL-3.0-or-later
"""An AWS account for tests and benchmarks: tests/doubles/aws.py, a stanch that knows it, and Debian's
awscli as somebody else's client."""
import contextlib
import io
import json
import os
import subprocess
import urllib.request

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("STANCH_BUILD", os.path.join(TOP, "build"))
STANCH = os.path.join(BUILD, "stanch")
PYTHON = os.path.join(TOP, ".venv", "bin", "python")


class Run:
    def __init__(self, p):
        self.code, self.out, self.err = p.returncode, p.stdout, p.stderr

    def __str__(self):
        return f"exit {self.code}\n{self.out}\n{self.err}"


class Account:
    """The double, and a stanch that knows it."""

    def __init__(self, tmp):
        self.tmp = str(tmp)
        self.log = open(os.path.join(self.tmp, "double.log"), "wb")
        self.double = subprocess.Popen(
            [PYTHON, os.path.join(TOP, "tests", "doubles", "aws.py"), self.tmp], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self.log)
        line = self.double.stdout.readline()
        assert line, f"the double did not start: {open(self.log.name).read()[-2000:]}"
        self.scene = json.loads(line)
        self.url = f"http://127.0.0.1:{self.scene['port']}"
        self.secrets = [u["secret"] for u in self.scene["users"].values()] + self.scene["lent"]
        for name, user in self.scene["users"].items():
            self.secret(name, user["secret"])
        self.conf = self.configure("stanch")
        self.clean = self.world()
        self.n, self.reader = 0, None

    def end(self):
        self.double.stdin.close()
        self.double.terminate()
        self.double.wait(10)
        self.log.close()

    def path(self, name):
        return os.path.join(self.tmp, name)

    def secret(self, name, text):
        with open(os.open(self.path(f"{name}.key"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
                  "w") as f:
            f.write(text + "\n")
        return self.path(f"{name}.key")

    def configure(self, name, user="stanch", keys=None, asset="", **settings):
        s = self.scene
        defaults = {"region": s["region"], "endpoint": self.url, "network_acl": s["acl"],
                    "untie_wait": "1ms", "timeout": "3s"}
        if keys is None:
            keys = {"access_key": s["users"][user]["id"], "secret_key_file": self.path(f"{user}.key")}
        rows = "".join(f'  {k} = "{v}"\n' for k, v in {**defaults, **keys, **settings}.items() if v)
        path = self.path(f"{name}.conf")
        with open(path, "w") as f:
            f.write(f'asset "web01" {{\n  address = {{"10.9.1.10", "{s["v6"]}"}}\n'
                    f'  points = {{"cloud"}}\n{asset}}}\n'
                    f'point "cloud" {{\n  driver = "aws"\n{rows}}}\n')
        return path

    def fresh(self):
        self.n += 1
        return self.path(f"state-{self.n}")

    def run(self, *argv, state, conf=None, exe=STANCH, env=None, timeout=60):
        return Run(subprocess.run([exe, *argv, "--config", conf or self.conf, "--state", state],
                                  capture_output=True, text=True, timeout=timeout,
                                  env={**os.environ, **(env or {})}))

    def control(self, fault=None):
        data = None if fault is None else json.dumps(fault).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/_double", data=data)) as r:
            return json.load(r)

    def world(self):
        return self.control()["world"]

    def calls(self):
        return self.control()["calls"]

    def aws(self, *argv):
        """Debian's awscli, loaded once: its start takes longer than all that it is asked here. What
        changes something leaves handlers in it, so those get one of their own."""
        from awscli import clidriver
        admin = self.scene["users"]["admin"]
        os.environ.update(AWS_ACCESS_KEY_ID=admin["id"], AWS_SECRET_ACCESS_KEY=admin["secret"],
                          AWS_DEFAULT_REGION=self.scene["region"], AWS_EC2_METADATA_DISABLED="true",
                          AWS_CONFIG_FILE="/dev/null", AWS_SHARED_CREDENTIALS_FILE="/dev/null")
        if not self.reader:
            self.reader = clidriver.create_clidriver()
        asks = argv[1].startswith(("describe-", "get-"))
        client = self.reader if asks else clidriver.create_clidriver()
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = client.main(["--endpoint-url", self.url, "--output", "json", "--no-cli-pager",
                                *argv])
        assert code == 0, err.getvalue()
        return json.loads(out.getvalue() or "{}")

    def read(self):
        """As somebody else's client reads it: interfaces, groups, ACLs, tags of the target."""
        asks = {"interfaces": ("ec2", "describe-network-interfaces", "--no-paginate"),
                "groups": ("ec2", "describe-security-groups"),
                "acls": ("ec2", "describe-network-acls"),
                "instance": ("ec2", "describe-tags", "--filters",
                             f"Name=resource-id,Values={self.scene['target']}")}
        got = {name: self.aws(*ask) for name, ask in asks.items()}
        got["interfaces"] = {i["NetworkInterfaceId"]: sorted(g["GroupId"] for g in i["Groups"])
                             for i in got["interfaces"]["NetworkInterfaces"]}
        return json.loads(json.dumps(got, sort_keys=True))
