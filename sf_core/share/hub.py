"""Runs to the Hugging Face hub and from it: data only, private unless asked otherwise, one commit and no moving name.

In: a client of the hub, the folder of a run or the name of a repository. Out: a commit there, or the folder of a run
here. What comes from the hub is a stranger's: only files of `hub_files.py` are taken, each is read as data before the
folder gets its name, and nothing in them is executed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from sf_core.cfg.saved import read_config
from sf_core.model.checkpoint_files import MODEL_FILE, read_saved_policy
from sf_core.runner.files.run_folder import write_json
from sf_core.share.hub_files import CARD, HubFile, RefusedFilesError, files_of_run, taken
from sf_core.share.model_card import model_card
from sf_core.utils.errors import UsageError

ORIGIN_FILE = "hub.json"
_SCHEMA = 1
_COMMIT = re.compile(r"[0-9a-f]{40}")


class HubError(RuntimeError):
    """The hub refused, could not be reached, or offered what is not taken; one sentence."""


class HubApi(Protocol):
    """What is used of `huggingface_hub.HfApi`."""

    def create_repo(self, repo_id: str, *, private: bool, repo_type: str, exist_ok: bool) -> Any:
        """Make a repository, or leave it as it is."""

    def upload_folder(
        self, *, repo_id: str, folder_path: str, commit_message: str, repo_type: str, delete_patterns: str
    ) -> Any:
        """One commit, with its `oid`: all files of a folder, and without what matches the pattern otherwise."""

    def model_info(self, repo_id: str, *, revision: str | None = None, files_metadata: bool = False) -> Any:
        """`sha`, `private`, and `siblings` with `rfilename` and `size`."""

    def hf_hub_download(self, repo_id: str, filename: str, *, revision: str, local_dir: str) -> str:
        """One file of one commit into a folder."""


@dataclass(frozen=True)
class Push:
    """What is sent: files of the run, and the card."""

    run: Path
    files: list[HubFile]
    card: str


@dataclass(frozen=True)
class Pulled:
    """What was taken, from which commit, and what was left there."""

    folder: Path
    commit: str
    files: list[HubFile]
    left: list[str]


def connect() -> HubApi:
    """The client, with the token and the endpoint that `hf auth login` and `HF_ENDPOINT` set.

    Raises:
        UsageError: huggingface_hub is not installed.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise UsageError("huggingface_hub cannot be imported; pip install 'sf-core[hub]'") from error
    api: HubApi = HfApi()
    return api


def prepare_push(run: Path, repository: str, evaluation: Path | None = None) -> Push:
    """Collect what would be sent; touches nothing.

    Raises:
        UsageError: it is no run with a checkpoint, something of it or the evaluation cannot be read, or the evaluation
            is of a checkpoint that would not be sent.
    """
    try:
        files = files_of_run(run)
    except RefusedFilesError as error:
        raise UsageError(f"{run} cannot be sent: {error}") from error
    _read_all(run, files)
    return Push(run, files, model_card(run, repository, [file.path for file in files], evaluation))


def push(api: HubApi, repository: str, what: Push, *, public: bool = False, message: str = "") -> str:
    """Send a run in one commit, in place of the checkpoints that are there; returns its id.

    Args:
        api: of the hub.
        repository: `user/name`; made if it is not there.
        what: from `prepare_push`.
        public: whether everybody may see it.
        message: of the commit.

    Raises:
        UsageError: the repository is public, and `public` was not asked for; or a file is not there any more.
        HubError: the hub refused, or could not be reached.
    """
    with _asking(f"{repository} could not be made"):
        api.create_repo(repository, private=not public, repo_type="model", exist_ok=True)
        is_private = bool(api.model_info(repository).private)
    if not is_private and not public:
        raise UsageError(f"{repository} is public already; add --public to send the run there, or name another one")
    with tempfile.TemporaryDirectory(prefix="sf_hub_") as staging:
        (Path(staging) / CARD).write_text(what.card, encoding="utf-8")
        for file in what.files:
            copy = Path(staging) / file.path
            try:
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(what.run / (file.source or file.path), copy)
            except OSError as error:  # a run that still trains has replaced its checkpoint
                raise UsageError(f"{file.path} cannot be copied ({error.strerror}); push again") from error
        with _asking(f"the run could not be sent to {repository}"):
            commit = api.upload_folder(
                repo_id=repository,
                folder_path=staging,
                commit_message=message or f"Run {what.run.name}",
                repo_type="model",
                delete_patterns="checkpoint_p*",  # those of earlier commits stay in these
            )
    return str(commit.oid)


def pull(api: HubApi, repository: str, folder: Path, revision: str | None = None) -> Pulled:
    """Make `folder` from a repository; `hub.json` in it says which commit it is.

    Args:
        api: of the hub.
        repository: `user/name`.
        folder: of the new run; must not exist.
        revision: a commit, tag or branch; the newest commit by default.

    Raises:
        UsageError: the folder exists or cannot be made.
        HubError: the hub refused, or the repository holds no run that can be read; nothing is left behind.
    """
    if folder.exists() or folder.is_symlink():
        raise UsageError(f"{folder} is there already; name the run with --experiment, or choose another --train_dir")
    with _asking(f"{repository} could not be looked at"):
        info = api.model_info(repository, revision=revision, files_metadata=True)
    commit = str(info.sha)
    if not _COMMIT.fullmatch(commit):
        raise HubError(f"{repository}: the hub names no commit")
    try:
        files, left = taken(
            HubFile(str(offered.rfilename), -1 if offered.size is None else int(offered.size))
            for offered in info.siblings or ()
        )
    except RefusedFilesError as error:
        raise HubError(f"{repository} is not taken: {error}") from error
    staging = folder.with_name(f".pulling_{folder.name}_{os.getpid()}")
    try:
        staging.mkdir(parents=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made ({error.strerror}); choose another --train_dir") from error
    try:
        checksums = {file.path: _download(api, repository, commit, file, staging) for file in files}
        shutil.rmtree(staging / ".cache", ignore_errors=True)  # where the client keeps its books
        try:
            _read_all(staging, files)
        except UsageError as error:
            raise HubError(f"{repository} is not taken: {str(error).replace(f'{staging}/', '')}") from error
        write_json(staging / ORIGIN_FILE, _origin(repository, revision, commit, checksums))
        try:
            staging.rename(folder)
        except OSError as error:  # somebody made it meanwhile
            raise UsageError(f"{folder} cannot be made ({error.strerror}); name the run with --experiment") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Pulled(folder, commit, files, left)


def _download(api: HubApi, repository: str, commit: str, file: HubFile, staging: Path) -> str:
    """Fetch one file of one commit; returns its sha256."""
    with _asking(f"{file.path} of {repository} could not be fetched"):
        api.hf_hub_download(repository, file.path, revision=commit, local_dir=str(staging))
    path = staging / file.path
    if not path.is_file() or path.is_symlink() or path.stat().st_size != file.size:
        raise HubError(f"{file.path} of {repository} is not the file that the hub announced")
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _read_all(folder: Path, files: Sequence[HubFile]) -> None:
    """Read, as data, what later commands read; `UsageError` if it is damaged."""
    read_config(folder)
    for file in files:
        if file.path.endswith(f"/{MODEL_FILE}"):
            read_saved_policy((folder / file.path).parent)


def _origin(repository: str, revision: str | None, commit: str, checksums: Mapping[str, str]) -> dict[str, Any]:
    return {
        "schema": _SCHEMA,
        "repository": repository,
        "revision": revision,
        "commit": commit,
        "pulled": datetime.now(UTC).isoformat(timespec="seconds"),
        "sha256": dict(checksums),
    }


@contextmanager
def _asking(what: str) -> Iterator[None]:
    """The client raises errors of its HTTP library, its own and of Python; all mean that the hub did not do it."""
    try:
        yield
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise HubError(f"{what}: {lines[0] if lines else type(error).__name__}") from error
