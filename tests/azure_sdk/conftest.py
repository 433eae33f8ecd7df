"""A cmkdevvault of its own for the tests, and the official clients of Azure pointed at it."""

import json
import os
import pathlib
import signal
import subprocess
import time

import pytest
import requests
from azure.identity import ClientSecretCredential
from azure.keyvault.keys import KeyClient


class DevVault:
    """The program, its admin API and the arguments that every client takes."""

    def __init__(self, directory: pathlib.Path):
        self.directory = directory
        self.process = None
        self.port = 0
        self.start()

    def start(self):
        ready = self.directory / "ready.json"
        ready.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [os.environ["CMKDEVVAULT"], "--state-dir", self.directory, "--port", str(self.port)],
            stdout=subprocess.DEVNULL)
        give_up = time.monotonic() + 120
        while not ready.exists():
            assert self.process.poll() is None, "cmkdevvault ended"
            assert time.monotonic() < give_up, "cmkdevvault does not get ready"
            time.sleep(0.05)
        self.at = json.loads(ready.read_text())
        self.port = int(self.at["url"].rsplit(":", 1)[1])

    def end(self, with_signal=signal.SIGTERM):
        self.process.send_signal(with_signal)
        self.process.wait(timeout=60)

    def file(self, name: str) -> str:
        return pathlib.Path(self.at[name]).read_text()

    def admin(self, method: str, path: str, body=None):
        answer = requests.request(
            method, f"{self.at['url']}/_dev/{path}", json=body or {}, timeout=30, verify=self.at["ca_file"],
            headers={"Authorization": f"Bearer {self.file('admin_token_file')}"})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def script(self, *faults):
        self.admin("POST", "faults", {"faults": list(faults)})

    def login(self) -> dict:
        """Arguments of the credentials that talk to an authority."""
        return {"authority": self.at["authority"], "disable_instance_discovery": True,
                "connection_verify": self.at["ca_file"]}

    def secret_credential(self, secret=None):
        return ClientSecretCredential(self.at["tenant_id"], self.at["client_id"],
                                      secret or self.file("secret_file"), **self.login())

    def client(self, credential=None) -> KeyClient:
        return KeyClient(self.at["url"], credential or self.secret_credential(), api_version="7.4",
                         verify_challenge_resource=False, connection_verify=self.at["ca_file"],
                         retry_backoff_factor=0.05)


@pytest.fixture(scope="session")
def vault(tmp_path_factory):
    started = DevVault(tmp_path_factory.mktemp("vault"))
    yield started
    started.end()


@pytest.fixture(autouse=True)
def no_faults(vault):
    vault.script()
    yield
    vault.script()


@pytest.fixture
def client(vault):
    return vault.client()


@pytest.fixture
def name(request):
    """A key name of this test's own."""
    return "".join(c if c.isalnum() else "-" for c in request.node.name)
