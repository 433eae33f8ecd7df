"""Measures what hubs and documents cost in memory and on disk; scripts/measure_sizes.sh runs it and says how."""
import argparse
import concurrent.futures
import json
import pathlib
import random
import shutil
import sys
import tempfile
import time

import stage as parts

OPENED = 200  # below search.max_open_indexes


def megabytes(count):
    return count / (1 << 20)


def used(folder):
    """Bytes that the files take on disk."""
    return sum(one.stat().st_blocks * 512 for one in folder.rglob("*") if one.is_file())


def documents(count, size, seed):
    """Evaluation records of about `size` bytes, as lines for `cmkctl import`, whose words have the spread of a language."""
    words = random.Random(seed)
    vocabulary = [f"{a}{b}{c}" for a in ("re", "con", "pre", "in", "ex", "sub") for b in ("tail", "form", "port", "gest", "lect", "vert")
                  for c in ("", "s", "ed", "ing", "ion", "or", "able")]
    weights = [1 / (rank + 1) for rank in range(len(vocabulary))]
    for n in range(count):
        content = {"dataset": f"golden-{n % 97}", "metrics": {"f1": round(words.random(), 4)}, "text": ""}
        while len(json.dumps(content)) < size:
            content["text"] += " ".join(words.choices(vocabulary, weights, k=8)) + " "
        yield json.dumps({"project": "p", "collection": "evaluations", "id": f"run-{n}", "labels": {"team": f"t{n % 7}"},
                          "content": content})


class Measurement:
    def __init__(self, programs, work):
        self.vault = parts.Vault(programs, work)
        self.data = work / "data"
        self.data.mkdir()
        self.server = parts.Server(programs, work, self.data, self.vault, quick=False, needed_mib=64)
        self.rows = []

    def resident(self):
        for line in pathlib.Path(f"/proc/{self.server.program.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("the server's memory cannot be read")

    def note(self, what):
        shards, indexes = used(self.data / "shards"), used(self.data / "indexes")
        row = {"what": what, "resident": self.resident(), "shards": shards, "indexes": indexes}
        self.rows.append(row)
        print(f"{what:52} {megabytes(row['resident']):9.1f} {megabytes(shards):9.1f} {megabytes(indexes):9.1f}", flush=True)
        return row

    def restart(self):
        """So that memory holds nothing but what is used from here on, and each shard's log is folded into its tables."""
        self.server.stop()
        began = time.monotonic()
        self.server.start()
        return time.monotonic() - began

    def for_each(self, hubs, *arguments):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda hub: self.server.must(*(one.format(hub=hub) for one in arguments)), hubs))

    def wait_until_indexed(self):
        def level():
            page = self.server.metrics()
            return "cmkstore_index_lag_changes 0\n" in page
        parts.wait_for("level indexes", level, 1800)

    def load(self, hub, count, size):
        self.server.must("import", hub, "-", "--timeout", "600s", text="\n".join(documents(count, size, seed=1)) + "\n")


def at_least_one(text):
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 at least, not {text}: the figures are for each hub and document")
    return int(text)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--bin", required=True)
    options.add_argument("--hubs", type=at_least_one, default=1000)
    options.add_argument("--documents", type=at_least_one, default=100000)
    options.add_argument("--size", type=at_least_one, default=1024)
    given = options.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="sizes-", dir="build"))  # on a disk: /tmp may be in memory
    measured = Measurement(pathlib.Path(given.bin).resolve(), work)
    try:
        measured.vault.start()
        measured.server.start()
        print(f"{'MiB':52} {'resident':>9} {'shards':>9} {'indexes':>9}")
        measured.restart()
        empty = measured.note("an empty server")
        hubs = [f"h{n}" for n in range(given.hubs)]
        key = f"{measured.vault.url('kv1')}/keys/k1"
        measured.for_each(hubs, "hub", "create", "{hub}", "--vault-key", key)
        measured.for_each(hubs, "project", "create", "{hub}/p")
        measured.wait_until_indexed()
        measured.restart()
        idle = measured.note(f"{given.hubs} hubs, none in use")
        measured.for_each(hubs, "ls", "{hub}/p")
        cached = measured.note(f"{given.hubs} hubs with their keys in memory")
        measured.for_each(hubs[:OPENED], "search", "{hub}", "nothing")
        opened = measured.note(f"{len(hubs[:OPENED])} of their indexes open")
        began = time.monotonic()
        measured.load("h0", given.documents, given.size)
        loaded = time.monotonic() - began
        measured.wait_until_indexed()
        measured.note(f"{given.documents} documents of {given.size} bytes in one hub")
        started = measured.restart()
        stored = measured.note("the same after a restart")
    finally:
        for part in (measured.server, measured.vault):
            part.program.end()
        shutil.rmtree(work, ignore_errors=True)
    per_hub = (idle["shards"] - empty["shards"] + idle["indexes"]) / given.hubs
    print(f"""
disk of an empty hub                {per_hub / 1024:8.1f} KiB, of it {idle['indexes'] / given.hubs / 1024:.1f} KiB its index
memory of a hub with keys in memory {(cached['resident'] - idle['resident']) / given.hubs / 1024:8.1f} KiB
memory of an open index             {(opened['resident'] - cached['resident']) / len(hubs[:OPENED]) / 1024:8.1f} KiB
disk of a document in its shard     {(stored['shards'] - opened['shards']) / given.documents:8.0f} bytes
disk of a document in its index     {(stored['indexes'] - opened['indexes']) / given.documents:8.0f} bytes
import                              {given.documents / loaded:8.0f} documents/s
start with all of it                {started:8.1f} s""")
    return 0


if __name__ == "__main__":
    sys.exit(main())
