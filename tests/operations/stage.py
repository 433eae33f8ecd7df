"""What the alert drill breaks and watches, and what sizes.py measures: the local vault, the server, Prometheus."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.request

HUBS = {"steady": ("kv1", "k1"), "dark": ("kv1", "k2"), "dark2": ("kv1", "k3"), "dark3": ("kv1", "k4"), "hung": ("kv2", "k1")}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def scaled(rules, factor):
    """The rules with each `for:` and each [range] divided by factor; none below 2 s and no range below 5 s."""
    def shorter(match):
        seconds = int(match[2]) * SECONDS[match[3]]
        least = 5 if match[1] == "[" else 2
        return f"{match[1]}{max(seconds // factor, least)}s{match[4]}"
    if factor == 1:
        return rules
    return re.sub(r"(\[|for: )(\d+)([smhd])(\]|$)", shorter, rules, flags=re.M)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, ready, seconds=60):
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not come about within {seconds} s")
        time.sleep(0.1)


class Program:
    def __init__(self, arguments, log):
        self.arguments, self.log, self.process = [str(one) for one in arguments], log, None

    def launch(self, ready):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.arguments, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

        def up():
            if self.process.poll() is not None:
                tail = pathlib.Path(self.log).read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.arguments[0]} ended: {tail}")
            return ready()
        wait_for(f"the start of {self.arguments[0]}", up, seconds=300)

    def end(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Vault:
    """cmkdevvault with two vaults, kv1 and kv2."""

    def __init__(self, programs, work):
        self.folder = work / "vault"
        self.program = Program([programs / "cmkdevvault", "--state-dir", self.folder, "--port", "0"], work / "vault.log")

    def start(self):
        self.program.launch(lambda: (self.folder / "ready.json").exists())
        self.facts = json.loads((self.folder / "ready.json").read_text())
        self.tls = ssl.create_default_context(cafile=self.facts["ca_file"])
        self.tls.check_hostname = False
        self.port = self.facts["url"].rsplit(":", 1)[1]
        body = (f"grant_type=client_credentials&client_id={self.facts['client_id']}"
                f"&scope=https://vault.azure.net/.default&client_secret={pathlib.Path(self.facts['secret_file']).read_text().strip()}")
        self.token = self.call("POST", self.facts["url"], f"/{self.facts['tenant_id']}/oauth2/v2.0/token", body)["access_token"]
        for vault, key in HUBS.values():
            self.key("POST", vault, f"/keys/{key}/create", {"kty": "RSA", "key_size": 2048})

    def host(self, vault):
        return f"{vault}.vault.localhost"

    def url(self, vault):
        return f"https://{self.host(vault)}:{self.port}"

    def call(self, method, url, path, body, headers=None):
        data = body if isinstance(body, str) else json.dumps(body)
        # The name decides which vault it is; the address is this machine's whatever the resolver says.
        host = url.split("//")[1]
        request = urllib.request.Request(f"https://localhost:{self.facts['url'].rsplit(':', 1)[1]}{path}", data.encode(),
                                         {"Host": host, **(headers or {})}, method=method)
        with urllib.request.urlopen(request, context=self.tls, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else {}

    def key(self, method, vault, path, body):
        return self.call(method, self.url(vault), f"{path}?api-version=7.4", body,
                         {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})

    def admin(self, method, path, body):
        token = (self.folder / "admin.token").read_text().strip()
        return self.call(method, self.facts["url"], f"/_dev/{path}", body, {"Authorization": f"Bearer {token}"})

    def enable(self, vault, key, enabled):
        self.key("PATCH", vault, f"/keys/{key}", {"attributes": {"enabled": enabled}})

    def script(self, faults):
        self.admin("POST", "faults", {"faults": faults})

    def revoke_tokens(self):
        self.admin("PUT", "tokens", {"revoke_all": True})


class Server:
    """cmkstored, and cmkctl to speak to it."""

    def __init__(self, programs, work, data, vault, quick, needed_mib):
        self.programs, self.data, self.vault = programs, data, vault
        self.port, self.admin_port = free_port(), free_port()
        self.config, self.vault_ca = work / "config.yaml", work / "vault_ca.pem"
        self.program = Program([programs / "cmkstored", "--config", self.config], work / "server.log")
        self.quick, self.needed_mib, self.serving = quick, needed_mib, False

    def write_config(self):
        facts = self.vault.facts
        self.vault_ca.write_text(pathlib.Path(facts["ca_file"]).read_text())
        keys = {"probe_interval": "1s", "unhealthy_probe_interval": "1s", "confirm_delay": "1s", "negative_lifetime": "1s",
                "vault_call_timeout": "2s"} if self.quick else {}
        self.config.write_text(json.dumps({  # JSON is YAML
            "data_dir": str(self.data), "listeners": [{"address": f"127.0.0.1:{self.port}"}],
            "admin": {"address": f"127.0.0.1:{self.admin_port}"}, "keys": keys, "shutdown": {"notice": "0s"},
            "store": {"min_free_disk": f"{self.needed_mib}MiB", "write_buffer": "32MiB"},
            "vaults": {"ca_file": str(self.vault_ca)},
            "identities": [{"kind": "client-secret", "authority": facts["authority"], "tenant_id": facts["tenant_id"],
                            "client_id": facts["client_id"], "secret_file": facts["secret_file"]}],
            "development": {"enabled": True, "tenant": facts["tenant_id"],
                            "vault_hosts": [self.vault.url(one)[8:] for one in ("kv1", "kv2")]}}))
        dev = self.data / "dev"
        self.environment = {**os.environ, "CMKSTORE_ENDPOINT": f"localhost:{self.port}", "CMKSTORE_CA": str(dev / "ca.pem"),
                            "CMKSTORE_CERT": str(dev / "client.pem"), "CMKSTORE_KEY": str(dev / "client.key"),
                            "CMKSTORE_TOKEN_FILE": str(dev / "owner.token"), "CMKSTORE_TENANT": facts["tenant_id"],
                            "CMKSTORE_TIMEOUT": "120s"}

    def start(self):
        self.write_config()

        def ready():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/readyz", timeout=2) as answer:
                    return answer.status == 200
            except OSError:
                return False
        self.program.launch(ready)
        self.serving = True

    def stop(self):
        self.serving = False
        self.program.end()

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def run(self, *arguments, text=""):
        return subprocess.run([self.programs / "cmkctl", *arguments], input=text, env=self.environment, text=True,
                              capture_output=True, check=False)

    def ctl(self, *arguments, text=""):
        done = self.run(*arguments, text=text)
        return None if done.returncode == 0 else f"cmkctl {' '.join(arguments)}: {done.stderr.strip()}"

    def must(self, *arguments, text=""):
        if failure := self.ctl(*arguments, text=text):
            raise RuntimeError(failure)


class Prometheus:
    def __init__(self, program, work, rules, target, quick):
        self.port, self.folder = free_port(), work / "prometheus"
        self.folder.mkdir()
        (self.folder / "rules.yaml").write_text(rules)
        pace = "1s" if quick else "5s"
        (self.folder / "prometheus.yaml").write_text(json.dumps({
            "global": {"scrape_interval": pace, "evaluation_interval": pace, "scrape_timeout": pace},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{"job_name": "cmkstore", "static_configs": [{"targets": [target]}]}]}))
        self.program = Program([program, f"--config.file={self.folder}/prometheus.yaml", "--log.level=warn",
                                f"--storage.tsdb.path={self.folder}/data", f"--web.listen-address=127.0.0.1:{self.port}"],
                               work / "prometheus.log")

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return answer.read()

    def start(self):
        def ready():
            try:
                return b"" != self.get("/-/ready")
            except OSError:
                return False
        self.program.launch(ready)

    def faults_of(self, page):
        """What `promtool check metrics` says of a page of metrics: nothing, when it is as it should be."""
        promtool = pathlib.Path(self.program.arguments[0]).with_name("promtool")
        done = subprocess.run([promtool, "check", "metrics"], input=page, text=True, capture_output=True, check=False)
        return [f"promtool check metrics: {line}" for line in (done.stdout + done.stderr).splitlines()]

    def firing(self):
        alerts = json.loads(self.get("/api/v1/alerts"))["data"]["alerts"]
        return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}

    def target_is_up(self):
        return json.loads(self.get("/api/v1/query?query=up"))["data"]["result"][:1] and \
            json.loads(self.get("/api/v1/query?query=up"))["data"]["result"][0]["value"][1] == "1"


class Stage:
    """All of it, with one hub on each vault key and a little load on one of them."""

    def __init__(self, programs, work, prometheus, rules, quick, needed_mib, disks):
        self.data, self.disks = work / "data", disks
        self.vault = Vault(programs, work)
        self.server = Server(programs, work, self.data, self.vault, quick, needed_mib)
        self.prometheus = Prometheus(prometheus, work, rules, f"127.0.0.1:{self.server.admin_port}", quick)
        self.load_errors, self.ending = [], threading.Event()
        self.load = threading.Thread(target=self.keep_busy)

    def start(self):
        self.data.mkdir()
        if self.disks is not None:
            for folder, mib in zip((self.data, self.data / "indexes"), self.disks):
                folder.mkdir(exist_ok=True, mode=0o700)
                subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=700", "drill", folder], check=True)
        self.vault.start()
        self.server.start()
        for hub, (vault, key) in HUBS.items():
            self.server.must("hub", "create", hub, "--vault-key", f"{self.vault.url(vault)}/keys/{key}")
            self.server.must("project", "create", f"{hub}/p")
            self.server.must("put", f"{hub}/p/notes/n1", text='{"n": 1}')
        self.prometheus.start()
        wait_for("the first scrape", self.prometheus.target_is_up)
        self.load.start()

    def keep_busy(self):
        """Reads and writes of the steady hub, which no fault but the server's own may touch."""
        count = 0
        while not self.ending.wait(0.5):
            count += 1
            serving = self.server.serving
            failure = self.server.ctl("put", "steady/p/notes/n1", text=json.dumps({"n": count})) or \
                self.server.ctl("get", "steady/p/notes/n1")
            if failure and serving and self.server.serving:
                self.load_errors.append(failure)

    def use_all(self):
        """So that every key is in memory, and under watch."""
        for hub in HUBS:
            self.server.must("get", f"{hub}/p/notes/n1")

    def stop(self):
        self.ending.set()
        if self.load.ident is not None:
            self.load.join()
        for part in (self.prometheus, self.server, self.vault):
            part.program.end()
        if self.disks is not None:
            for folder in (self.data / "indexes", self.data):
                subprocess.run(["umount", folder], check=False, capture_output=True)
        shutil.rmtree(self.data, ignore_errors=True)
