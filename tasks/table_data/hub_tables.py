"""Data sets of a Hugging Face hub: `--data hf:ORG/NAME@REVISION:CONFIG#image=COLUMN,caption=COLUMN`.

The revision (main without one) is resolved to a commit, whose Parquet files are fetched and read; nothing of the
repository is run. Sets without Parquet files have them at the revision `refs/convert/parquet`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.errors import DataError
from tasks.table_data.columns import split_wish
from tasks.table_data.parquet_tables import read_tables

Progress = Callable[[str, int, int], None]
_NAME = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^:#]+))?(?::(?P<config>[\w.-]+))?")
_SECONDS = 20.0


def open_hub(wish: str, cache: Path, progress: Progress) -> Path:
    """Give the folder of a hub's data set; raises DataError that says what could not be had."""
    place, text = split_wish(wish)
    match = _NAME.fullmatch(place)
    if match is None:
        raise DataError(f"--data hf:{place}: wanted hf:ORG/NAME, hf:ORG/NAME@REVISION or hf:ORG/NAME@REVISION:CONFIG.")
    name, revision, config = match["name"], match["revision"] or "main", match["config"]
    commit, files = _listed(name, revision)
    chosen = _chosen(files, config, name, revision)
    folder = _fetched(name, commit, chosen, progress)
    paths = [folder / file for file in chosen]
    label = f"hf:{name}@{commit}"
    return read_tables(label, folder, paths, [f"{commit}/{file}" for file in chosen], text, cache, progress)


def _listed(name: str, revision: str) -> tuple[str, list[str]]:
    """Ask for the commit of a revision and its files."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        info = HfApi().dataset_info(name, revision=revision, timeout=_SECONDS)
    except GatedRepoError:
        raise DataError(f"hf:{name} is gated. Ask for access on its page, then log in with 'hf auth login' or set "
                        "HF_TOKEN.") from None  # fmt: skip
    except RevisionNotFoundError:
        raise DataError(f"hf:{name} has no revision '{revision}'.") from None
    except RepositoryNotFoundError:
        raise DataError(f"The hub has no data set '{name}', or it is private. Check the name, or log in with "
                        "'hf auth login'.") from None  # fmt: skip
    except Exception as error:  # of the client, of what it is made with, of the system
        raise DataError(f"The hub did not answer for hf:{name} ({type(error).__name__}). Run it again when it does, or "
                        "fetch the Parquet files and give --data parquet:FOLDER.") from None  # fmt: skip
    return str(info.sha), [each.rfilename for each in info.siblings or ()]


def _chosen(files: Sequence[str], config: str | None, name: str, revision: str) -> list[str]:
    """Choose the Parquet files of a configuration; raises DataError where there is none, or not one alone."""
    tables = sorted(file for file in files if file.endswith(".parquet"))
    if not tables:
        raise DataError(f"hf:{name}@{revision} has no Parquet files. Try hf:{name}@refs/convert/parquet.")
    configs = sorted({file.partition("/")[0] for file in tables if "/" in file} - {"data"})
    if config is not None:
        chosen = [file for file in tables if file.startswith(f"{config}/")]
        if not chosen:
            raise DataError(f"hf:{name} has no configuration '{config}'. There are {', '.join(configs) or 'none'}.")
        return chosen
    if len(configs) > 1:
        names = ", ".join(configs)
        raise DataError(f"hf:{name} has the configurations {names}. Name one: hf:{name}@{revision}:{configs[0]}.")
    return tables


def _fetched(name: str, commit: str, files: Sequence[str], progress: Progress) -> Path:
    """Fetch files of a commit into the hub's cache; returns the folder that they lie in."""
    from huggingface_hub import hf_hub_download

    folder = Path()
    for number, file in enumerate(files, 1):
        progress(f"fetching {name} at {commit[:12]}", number, len(files))
        try:
            place = Path(hf_hub_download(name, file, repo_type="dataset", revision=commit))
        except Exception as error:  # the client raises many kinds, none of them ours
            reason = str(error).partition("\n")[0]
            raise DataError(f"hf:{name}: {file} could not be fetched ({reason}). Run it again.") from error
        folder = place.parents[file.count("/")]
    return folder
