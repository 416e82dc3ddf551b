# SPDX-License-Identifier: GPL-3.0-or-later
"""The double of a PAN-OS firewall, asked over its own API by a client of the test's."""
import json
import os
import ssl
import subprocess
import urllib.parse
import urllib.request

from lxml import etree
from netconf_bed import TOP, PointBed, wait_for

KEY = "LUFRPT1-the-secret-of-this-test=="


class PanosBed(PointBed):
    def __enter__(self):
        try:
            self.start()
            return self
        except BaseException:
            self.__exit__()
            raise

    def start(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", self.path("tls.key"), "-out", self.path("tls.pem"), "-days", "2", "-subj",
                        "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"], check=True,
                       capture_output=True)
        with open(os.open(self.path("api.key"), os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
            f.write(KEY + "\n")
        self.spawn("/usr/bin/python3", os.path.join(TOP, "tests", "doubles", "panos.py"), str(self.port),
                   self.path("tls.pem"), self.path("tls.key"), KEY, self.path("device"))
        wait_for("the device answers", self.answers)

    def config(self, **more):
        with open(self.path("stanch.conf"), "w", encoding="utf-8") as f:
            f.write(f"""
asset web01 {{
  address = {{"192.0.2.10", "2001:db8::10"}}
  points = {{"edge-panos"}}
}}
point edge-panos {{
  driver = "panos"
  address = "127.0.0.1:{self.port}"
  ca_file = "{more.get('ca', self.path('tls.pem'))}"
  key_file = "{more.get('key', self.path('api.key'))}"
  user = "stanch"
  timeout = "10s"
}}
""")
        return self.path("stanch.conf")

    def knobs(self, **knobs):
        with open(self.path("device.knobs"), "w", encoding="utf-8") as f:
            json.dump(knobs, f)

    def log(self):
        with open(self.path("device"), encoding="utf-8") as f:
            return f.read().splitlines()

    def call(self, **fields):
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}/api/", method="POST",
                                         data=urllib.parse.urlencode(fields).encode(),
                                         headers={"X-PAN-KEY": KEY})
        context = ssl.create_default_context(cafile=self.path("tls.pem"))
        with urllib.request.urlopen(request, context=context, timeout=10) as r:
            return etree.fromstring(r.read())

    def tags(self):
        """{address: sorted tags}"""
        d = self.call(type="op", cmd="<show><object><registered-ip><all/></registered-ip></object></show>")
        return {e.get("ip"): sorted(m.text for m in e.iter("member")) for e in d.iter("entry")}

    def running(self):
        with open(self.path("device.state"), encoding="utf-8") as f:
            state = json.load(f)
        assert not state["changed"], "changes were left uncommitted"
        return state["running"]

    def rules(self):
        return [e.get("name") for e in etree.fromstring(self.running()).xpath("//rules/entry")]

    def set(self, below, element):
        self.call(type="config", action="set", xpath=VSYS + below, element=element)
        self.commit()

    def commit(self):
        d = self.call(type="commit", action="partial",
                      cmd="<commit><partial><admin><member>stanch</member></admin></partial></commit>")
        job = d.findtext(".//job")
        wait_for("the commit", lambda: self.call(
            type="op", cmd=f"<show><jobs><id>{job}</id></jobs></show>").findtext(".//status") == "FIN")


VSYS = "/config/devices/entry[@name='localhost.localdomain']/vsys/entry[@name='vsys1']"
