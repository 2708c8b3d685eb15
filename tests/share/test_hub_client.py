"""`sf-hub` with the real client, against a server on this machine that answers as the hub's HTTP API does.

It covers repositories, commits of small files, listing and downloads. Not covered: large files by LFS or Xet, which the
client uploads and downloads on its own, and accounts.
"""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import sf_core

pytest.importorskip("huggingface_hub")


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    @property
    def api(self):
        return self.server.api

    def answer(self, data, status=200, **headers):
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_POST(self):
        self.server.requests.append(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        if path == "/api/repos/create":
            asked = json.loads(body)
            repository = f"{asked['organization']}/{asked['name']}"
            private = asked.get("private") or asked.get("visibility") == "private"
            self.api.create_repo(repository, private=bool(private), repo_type="model", exist_ok=True)
            self.answer({"url": f"{self.server.endpoint}/{repository}"})
        elif path == "/api/validate-yaml":
            self.answer({"warnings": [], "errors": []})
        elif path.endswith("/preupload/main"):
            files = json.loads(body)["files"]
            answers = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]
            self.answer({"files": answers})
        elif match := re.fullmatch(r"/api/models/(.+?/.+?)/commit/main", path):
            files = dict(self.api.files(match[1]))
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
                elif entry["key"] == "deletedFile":
                    del files[entry["value"]["path"]]
            oid = self.api.commit(match[1], files)
            self.answer({"commitUrl": f"{self.server.endpoint}/{match[1]}/commit/{oid}", "commitOid": oid})
        else:
            self.answer({"error": f"unknown: {path}"}, 404)

    def do_GET(self):
        self.server.requests.append(f"{self.command} {self.path}")
        path = unquote(urlsplit(self.path).path)
        match = re.fullmatch(r"/(api/models/)?([^/]+/[^/]+)(?:/(revision|tree|resolve)/([^/]+)/?(.*))?", path)
        if not match or match[2] not in self.api.repositories:
            self.answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
            return
        _, repository, verb, revision, name = match.groups()
        info = self.api.model_info(repository, revision=None if revision in (None, "main") else revision)
        files = self.api.files(repository, info.sha)
        if verb in (None, "revision"):
            siblings = [{"rfilename": p, "size": len(data), "blobId": "b" * 40} for p, data in files.items()]
            self.answer(
                {"id": repository, "modelId": repository, "sha": info.sha, "private": info.private, "tags": []}
                | {"siblings": siblings, "downloads": 0, "likes": 0}
            )
        elif verb == "tree":
            tree = [
                {"type": "file", "path": p, "size": len(d), "oid": hashlib.sha1(d).hexdigest()}
                for p, d in files.items()
            ]
            self.answer(tree)
        elif name in files:
            etag = hashlib.sha256(files[name]).hexdigest()
            self.answer(files[name], X_Repo_Commit=info.sha, ETag=f'"{etag}"', Accept_Ranges="bytes")
        else:
            self.answer({"error": "no such file"}, 404, X_Error_Code="EntryNotFound")

    do_HEAD = do_GET


@pytest.fixture
def server(hub):
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.api, server.requests = hub, []
        server.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def sf_hub(server, home, *arguments):
    """In a process of its own, since the client reads its environment when it is imported."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    environment |= {
        "HF_ENDPOINT": server.endpoint,
        "HF_HOME": str(home),
        "HF_TOKEN": "hf_not_a_token",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "PYTHONPATH": str(Path(sf_core.__file__).parents[1]),
        "NO_PROXY": "127.0.0.1",
    }
    command = [sys.executable, "-m", "sf_core", "hub", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)


def test_a_run_is_sent_and_fetched_with_the_real_client(run_of, server, hub, tmp_path):
    run = run_of()
    where = [f"--train_dir={run.parent}"]
    done = sf_hub(server, tmp_path / "home", "push", "me/cartpole", "--experiment=run", *where)
    assert done.returncode == 0, done.stderr + "\n".join(server.requests)
    assert hub.repositories["me/cartpole"]["private"]
    first = hub.model_info("me/cartpole").sha
    assert f"commit {first}" in done.stdout
    (run / "checkpoint_p0" / "checkpoint_000000007_1000").rename(run / "checkpoint_p0" / "checkpoint_000000008_2000")
    done = sf_hub(server, tmp_path / "home", "push", "me/cartpole", "--experiment=run", *where)
    assert done.returncode == 0, done.stderr + "\n".join(server.requests)
    assert [path for path in hub.files("me/cartpole") if "000000007" in path] == []

    done = sf_hub(server, tmp_path / "home", "pull", "me/cartpole", "--experiment=old", f"--revision={first}", *where)
    assert done.returncode == 0, done.stderr + "\n".join(server.requests)
    old = run.parent / "old"
    assert sorted(path.relative_to(old).as_posix() for path in old.rglob("*") if path.is_file()) == [
        "README.md",
        "checkpoint_p0/checkpoint_000000007_1000/checkpoint.json",
        "checkpoint_p0/checkpoint_000000007_1000/model.safetensors",
        "config.json",
        "hub.json",
    ]
    assert json.loads((old / "hub.json").read_text())["commit"] == first

    done = sf_hub(server, tmp_path / "home", "pull", "me/nothing", *where)
    assert done.returncode == 1
    assert done.stderr.startswith("error: me/nothing could not be looked at: ")
    assert "Traceback" not in done.stderr


def test_the_client_reads_the_card(run_of, tmp_path):
    from huggingface_hub import ModelCard

    from sf_core.share.model_card import model_card

    run = run_of()
    score = {"reward_mean": 12.5, "reward_std": 0.5, "episodes": 20, "deterministic": False, "checkpoint": "x"}
    (tmp_path / "score.json").write_text(json.dumps(score))
    sent = ["checkpoint_p0/x/model.safetensors"]
    data = ModelCard(model_card(run, "me/cartpole", sent, tmp_path / "score.json")).data
    assert data.library_name == "sf-core"
    assert "CartPole-v1" in data.tags
    [result] = data.eval_results
    assert (result.dataset_name, result.metric_type, result.metric_value) == (
        "CartPole-v1",
        "mean_reward",
        "12.50 +/- 0.50",
    )
    assert ModelCard(model_card(run, "me/cartpole", [])).data.eval_results is None
