# SPDX-License-Identifier: GPL-3.0-or-later
"""A double of a device that is typed at: its running configuration is what it writes down, not what we say."""
import os
import subprocess

from netconf_bed import TOP, PointBed, wait_for


class CliBed(PointBed):
    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def start(self):
        for name, text in (("login", "secret"), ("enable", "enable-me")):
            with open(os.open(self.path(name), os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
                f.write(text + "\n")
        self.spawn("/usr/bin/python3", os.path.join(TOP, "tests", "doubles", "cli.py"), self.kind, str(self.port),
                   self.path("host"), self.path("device"))
        wait_for("the device answers", self.answers)

    def config(self, **more):
        login = more.get("login", self.path("login"))
        with open(self.path("stanch.conf"), "w", encoding="utf-8") as f:
            f.write(f"""
asset web01 {{
  address = {{"192.0.2.10"{', "2001:db8::10"' if self.kind == 'asa' else ''}}}
  points = {{"edge"}}
}}
point edge {{
  driver = "cli"
  device = "{self.kind}"
  address = "127.0.0.1:{self.port}"
  user = "admin"
  password_file = "{login}"
  enable_file = "{more.get('enable', self.path('enable'))}"
  host_key = "{self.host_key}"
  timeout = "10s"
}}
""")
        return self.path("stanch.conf")

    def running(self):
        with open(self.path("device.running"), encoding="utf-8") as f:
            return f.read().splitlines()

    def commands(self):
        try:
            with open(self.path("device"), encoding="utf-8") as f:
                return f.read().splitlines()
        except FileNotFoundError:
            return []

    def knob(self, name, n):
        for old in ("drop", "drop_after"):
            if os.path.exists(self.path("device." + old)):
                os.unlink(self.path("device." + old))
        if n:
            with open(self.path("device." + name), "w", encoding="ascii") as f:
                f.write(str(n))

    def keys(self):
        return subprocess.run(["ssh-keygen", "-l", "-f", self.path("host.pub")], check=True, capture_output=True,
                              text=True).stdout
