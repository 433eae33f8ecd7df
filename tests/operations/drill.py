"""The alert drill; scripts/alert_drill.sh runs it and says how."""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import stage as parts

NEEDED_MIB, DISK_MIB, INDEX_DISK_MIB = 64, 768, 24
# Looks hours back and days ahead, so a disk that was filled for a minute concerns it for the rest of the drill.
AT_ANY_TIME = {"CmkstoreDiskFillsUp"}


class Drill:
    """One fault after another, and a table of how long each alert took."""

    def __init__(self, stage, factor):
        self.stage, self.factor = stage, factor
        self.rows, self.faults = [], []

    def run(self, cause, begin, end, alerts, also=(), seconds=60):
        """`begin` breaks something: each of `alerts` must fire, those of `also` may, any other is a fault; `end` mends it.

        `seconds`: how long the fault may take to be seen, before the rules' own times."""
        print(f"-- {cause}", flush=True)
        deadline = seconds + 1300 / self.factor
        allowed = set(alerts) | set(also) | AT_ANY_TIME
        began = time.monotonic()
        begin()
        fired = self.wait(lambda firing, name: name in firing, alerts, allowed, began, deadline, cause)
        began = time.monotonic()
        end()
        cleared = self.wait(lambda firing, name: name not in firing, [*alerts, *also], allowed, began, deadline, cause)
        for name in alerts:
            self.rows.append((cause, name, fired.get(name), cleared.get(name)))
            if name not in fired:
                self.faults.append(f"{name} did not fire while {cause}")
        for name in [*alerts, *also]:
            if name not in cleared:
                self.faults.append(f"{name} did not clear after {cause}")

    def wait(self, seen, names, allowed, began, deadline, cause):
        """Seconds until `seen` of each name; those that were not are absent."""
        found = {}
        while len(found) < len(names) and time.monotonic() - began < deadline:
            firing = self.stage.prometheus.firing()
            for name in names:
                if name not in found and seen(firing, name):
                    found[name] = time.monotonic() - began
            for name in firing - allowed:
                text = f"{name} fired while {cause}, which is none of its business"
                if text not in self.faults:
                    self.faults.append(text)
            time.sleep(0.25)
        return found

    def report(self):
        print(f"\n{'cause':34} {'alert':28} {'fires after':>12} {'clears after':>13}")
        seconds = lambda value: "never" if value is None else f"{value:.1f} s"
        for cause, name, fired, cleared in self.rows:
            print(f"{cause:34} {name:28} {seconds(fired):>12} {seconds(cleared):>13}")
        for text in self.faults:
            print(f"alert_drill: {text}", file=sys.stderr)


def fill(path, room_left):
    """Fills the file system of `path` until `room_left` bytes are free."""
    with open(path, "wb", buffering=0) as filler:
        while True:
            disk = os.statvfs(path)
            excess = disk.f_bavail * disk.f_frsize - room_left
            if excess <= 0:
                return
            try:
                filler.write(b"x" * min(excess, 1 << 20))
            except OSError:
                return


def disk_faults(drill, stage):
    filler, index_filler = stage.data / "filler", stage.data / "indexes" / "filler"
    drill.run("the disk is nearly full", lambda: fill(filler, (2 * NEEDED_MIB - 16) << 20), filler.unlink,
              ["CmkstoreDiskNearlyFull"])
    drill.run("the disk is full", lambda: fill(filler, (NEEDED_MIB - 16) << 20), filler.unlink,
              ["CmkstoreDiskNearlyFull", "CmkstoreNotReady"])
    drill.run("an index cannot be written", lambda: fill(index_filler, 0), index_filler.unlink,
              ["CmkstoreIndexLags"], seconds=120)


def damage_index(server):
    """Cuts the end off the files of an index that is closed, and has the server look."""
    server.must("key", "lock", "hung")
    uid = json.loads(server.run("hub", "get", "hung", "--json").stdout)["uid"]
    index = next((server.data / "indexes").glob(f"{uid}*.index"))
    os.truncate(index, index.stat().st_size - 100)
    server.run("--token-file", str(server.data / "dev" / "operator.token"), "verify")


def expire_soon(bundle):
    """Puts a certificate of one day before the others of a bundle."""
    openssl = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=drill", "-days", "1", "-keyout", "/dev/null"]
    soon = subprocess.run(openssl, capture_output=True, check=True, text=True).stdout
    bundle.write_text(soon + bundle.read_text())


class BadTokens:
    """Callers whose tokens are not signed by anybody, more of them than of the others."""

    def __init__(self, stage):
        self.stage, self.ending, self.threads = stage, threading.Event(), []

    def begin(self):
        good = (self.stage.data / "dev" / "owner.token").read_text().strip()
        bad = self.stage.server.config.with_name("bad.token")
        bad.write_text(good[:-16] + good[-16:][::-1])

        def call():
            while not self.ending.wait(0.1):
                self.stage.server.run("--token-file", str(bad), "hub", "get", "steady")
        self.threads = [threading.Thread(target=call) for _ in range(4)]
        for one in self.threads:
            one.start()

    def end(self):
        self.ending.set()
        for one in self.threads:
            one.join()


def more_faults(drill, stage):
    """Those that take minutes each at any pace."""
    vault, server = stage.vault, stage.server
    bad = BadTokens(stage)
    drill.run("callers' tokens are forged", bad.begin, bad.end, ["CmkstoreTokensRefused"])
    drill.run("a vault says too many requests",
              lambda: vault.script([{"operation": "unwrapkey", "vault": vault.host("kv2"), "status": 429, "count": -1}]),
              lambda: vault.script([]), ["CmkstoreVaultThrottled"], also=["CmkstoreVaultUnreachable"])
    drill.run("the configuration is edited badly", lambda: server.config.write_text("{nonsense"), server.write_config,
              ["CmkstoreConfigPending"])
    drill.run("a certificate ends tomorrow", lambda: expire_soon(server.vault_ca), server.write_config,
              ["CmkstoreCertificateExpires"], seconds=120)
    drill.run("an index is cut short", lambda: damage_index(server), lambda: server.must("key", "unlock", "hung"),
              ["CmkstoreDataDamaged"], seconds=120)

    def restart():
        for _ in range(3):
            server.stop()
            server.start()
            time.sleep(5)  # so that its time is seen to grow
    drill.run("the server restarts again and again", restart, lambda: None, ["CmkstoreRestarting"], also=["CmkstoreDown"])


def faults(drill, stage, mounts, more):
    vault, server = stage.vault, stage.server
    drill.run("a customer's key is disabled", lambda: vault.enable("kv1", "k2", False),
              lambda: vault.enable("kv1", "k2", True), ["CmkstoreHubsDark"])
    drill.run("a vault hangs",
              lambda: vault.script([{"operation": "unwrapkey", "vault": vault.host("kv2"), "kind": "hang",
                                     "hang_ms": 600000, "count": -1}]),
              lambda: vault.script([]), ["CmkstoreVaultUnreachable"])

    most = ("k2", "k3", "k4")

    def disable_most():
        stage.use_all()
        for key in most:
            vault.enable("kv1", key, False)
    drill.run("most keys are disabled", disable_most, lambda: [vault.enable("kv1", key, True) for key in most],
              ["CmkstoreManyHubsDark"], also=["CmkstoreHubsDark"])

    def refuse_login():
        stage.use_all()
        vault.script([{"operation": "token", "status": 401, "count": -1}])
        vault.revoke_tokens()
    drill.run("our login to vaults is refused", refuse_login, lambda: vault.script([]),
              ["CmkstoreVaultLoginFailed"])

    def lose_the_network():
        stage.use_all()
        vault.script([{"operation": "unwrapkey", "vault": vault.host(one), "kind": "reset", "count": -1}
                      for one in ("kv1", "kv2")])
    drill.run("no vault is reached", lose_the_network, lambda: vault.script([]), ["CmkstoreVaultsUnreachable"])
    if more:
        more_faults(drill, stage)
    if mounts:
        disk_faults(drill, stage)
    else:
        print("-- SKIPPED: the disk is nearly full, the disk is full, an index cannot be written: no right to mount a small disk")
    drill.run("the server is down", server.stop, server.start, ["CmkstoreDown"])


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true")
    options.add_argument("--all", action="store_true")
    options.add_argument("--bin")
    options.add_argument("--rules", default="helm/cmkstore/files/alerts.yaml")
    options.add_argument("--prometheus", required=True)
    options.add_argument("--mounts", required=True)
    given = options.parse_args()
    found = [pathlib.Path(one) for one in ([given.bin] if given.bin else ["build/dev/bin", "build/release/bin"])]
    programs = next((one.resolve() for one in found if (one / "cmkstored").exists()), None)
    if programs is None:
        sys.exit(f"alert_drill: no cmkstored in {' or '.join(map(str, found))}; build it, or name its folder by --bin")
    quick, mounts = given.quick or given.all, given.mounts == "yes"
    factor = 30 if quick else 1
    work = pathlib.Path(tempfile.mkdtemp(prefix="alert-drill-"))
    stage = parts.Stage(programs, work, pathlib.Path(given.prometheus).resolve(),
                        parts.scaled(pathlib.Path(given.rules).read_text(), factor),
                        quick=quick, needed_mib=NEEDED_MIB,
                        disks=(DISK_MIB, INDEX_DISK_MIB) if mounts else None)
    drill = Drill(stage, factor)
    try:
        stage.start()
        drill.faults += stage.prometheus.faults_of(stage.server.metrics())
        faults(drill, stage, mounts, given.all)
    finally:
        stage.stop()
        shutil.rmtree(work, ignore_errors=True)
    if stage.load_errors:
        drill.faults.append(f"calls to the steady hub failed: {stage.load_errors[0]}")
    drill.report()
    if drill.faults:
        return 1
    print(f"alert_drill: {len(drill.rows)} alerts fired and cleared, no other did")
    return 0


if __name__ == "__main__":
    sys.exit(main())
