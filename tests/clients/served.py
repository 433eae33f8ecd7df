"""Starts a local vault and a real server over mutual TLS, and talks to it as an ordinary client does: with stubs
generated from the protos of this repository."""
import json
import os
import pathlib
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TENANT = "11111111-2222-4333-8444-555555555555"
HUB = f"tenants/{TENANT}/hubs/h1"
PROJECT = f"{HUB}/projects/p1"
START_SECONDS = 300  # a machine may be busy with other things


def generate_stubs(directory: str) -> None:
    """Makes Python modules of the protos and puts them on the path."""
    protos = [str(p) for p in sorted((ROOT / "proto").rglob("*.proto")) if "storage" not in p.parts]
    plugin = subprocess.check_output(["which", "grpc_python_plugin"], text=True).strip()
    subprocess.run(["protoc", "-I", str(ROOT / "proto"), f"--python_out={directory}", f"--grpc_out={directory}",
                    f"--plugin=protoc-gen-grpc={plugin}", *protos], check=True)
    sys.path.insert(0, directory)
    # google/ is also a package of the system's protobuf: let it find our modules beside its own.
    import google
    google.__path__.append(str(pathlib.Path(directory) / "google"))


class Served:
    """A vault with the key `k1`, and a server on a data directory that outlives its restarts."""

    def __init__(self, bin_dir: str):
        self.bin = pathlib.Path(bin_dir)
        self.directory = tempfile.TemporaryDirectory(prefix="cmkstore-client-")
        self.path = pathlib.Path(self.directory.name)
        generate_stubs(self._folder("stubs"))
        self.server = None
        self.vault = self._spawn("cmkdevvault", "vault.log", "--state-dir", self._folder("vault"))
        self.ready = json.loads(self._await(self.path / "vault" / "ready.json", self.vault))
        self.vault_call("POST", "/keys/k1/create", {"kty": "RSA", "key_size": 2048})

    def _folder(self, name: str) -> str:
        (self.path / name).mkdir(exist_ok=True)
        return str(self.path / name)

    def _spawn(self, program: str, log: str, *arguments: str) -> subprocess.Popen:
        with open(self.path / log, "a", encoding="utf-8") as out:
            return subprocess.Popen([self.bin / program, *arguments], stdout=out, stderr=out)

    def _await(self, path: pathlib.Path, process: subprocess.Popen) -> str:
        give_up = time.monotonic() + START_SECONDS
        while not (path.exists() and path.stat().st_size > 0):
            if process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"not up: {path.name}\n" + self.logs()[-3000:])
            time.sleep(0.02)
        return path.read_text(encoding="utf-8")

    def logs(self) -> str:
        return "".join(p.read_text(errors="replace") for p in sorted(self.path.glob("*.log")))

    def start(self, **config) -> None:
        """Starts the server anew on the same data; sections of the configuration beside what it needs."""
        address = self.path / "address"
        address.unlink(missing_ok=True)
        r = self.ready
        identity = {"kind": "client-secret", "authority": r["authority"], "tenant_id": r["tenant_id"],
                    "client_id": r["client_id"], "secret_file": r["secret_file"]}
        (self.path / "server.yaml").write_text(json.dumps({
            "data_dir": str(self.path / "data"), "listeners": [{"address": "127.0.0.1:0"}],
            "admin": {"address": "127.0.0.1:0"}, "vaults": {"ca_file": r["ca_file"]}, "identities": [identity],
            "development": {"enabled": True, "vault_hosts": [r["url"].removeprefix("https://")]},
            "shutdown": {"notice": "0s"}, **config}), encoding="utf-8")
        self.server = self._spawn("cmkstored", "server.log", "--config", str(self.path / "server.yaml"),
                                  "--ready-file", str(address))
        self.port = int(self._await(address, self.server).rsplit(":", 1)[1])

    def admin_page(self, path: str) -> str:
        """What the server says about itself over HTTP."""
        lines = (self.path / "server.log").read_text(encoding="utf-8").splitlines()
        port = [json.loads(line)["admin_port"] for line in lines if '"event":"serving"' in line][-1]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return answer.read().decode()

    def kill(self) -> None:
        self.server.kill()
        self.server.wait()

    def stop(self) -> None:
        for process in (self.server, self.vault):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(timeout=60)
        self.directory.cleanup()

    def channel(self, with_certificate: bool = True, service_config: str = "{}"):
        import grpc
        dev = self.path / "data" / "dev"
        mine = {"private_key": (dev / "client.key").read_bytes(), "certificate_chain": (dev / "client.pem").read_bytes()}
        credentials = grpc.ssl_channel_credentials((dev / "ca.pem").read_bytes(), **(mine if with_certificate else {}))
        return grpc.secure_channel(f"localhost:{self.port}", credentials,
                                   options=[("grpc.service_config", service_config)])

    def bearer(self, role: str):
        token = (self.path / "data" / "dev" / f"{role}.token").read_text(encoding="utf-8").strip()
        return (("authorization", f"Bearer {token}"),)

    def vault_call(self, method: str, path: str, body: dict) -> None:
        r = self.ready
        context = ssl.create_default_context(cafile=r["ca_file"])
        form = urllib.parse.urlencode({
            "grant_type": "client_credentials", "client_id": r["client_id"],
            "scope": "https://vault.azure.net/.default",
            "client_secret": pathlib.Path(r["secret_file"]).read_text(encoding="utf-8")})
        login = urllib.request.Request(f"{r['url']}/{r['tenant_id']}/oauth2/v2.0/token", form.encode())
        with urllib.request.urlopen(login, context=context) as answer:
            token = json.load(answer)["access_token"]
        call = urllib.request.Request(
            f"{r['url']}{path}?api-version=7.4", json.dumps(body).encode(), method=method,
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
        urllib.request.urlopen(call, context=context).close()

    def create_hub_and_project(self, channel) -> None:
        from cmkstore.v1 import hub_service_pb2, hub_service_pb2_grpc, project_service_pb2, project_service_pb2_grpc
        hub = hub_service_pb2.Hub(display_name="a hub")
        hub.encryption.customer_managed.vault_uri = self.ready["url"]
        hub.encryption.customer_managed.key_name = "k1"
        hub_service_pb2_grpc.HubServiceStub(channel).CreateHub(
            hub_service_pb2.CreateHubRequest(parent=f"tenants/{TENANT}", hub_id="h1", hub=hub),
            metadata=self.bearer("owner"), timeout=30)
        project_service_pb2_grpc.ProjectServiceStub(channel).CreateProject(
            project_service_pb2.CreateProjectRequest(parent=HUB, project_id="p1"),
            metadata=self.bearer("owner"), timeout=30)


def document_name(document: str, collection: str = "flows") -> str:
    return f"{PROJECT}/collections/{collection}/documents/{document}"
