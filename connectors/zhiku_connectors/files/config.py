"""The configuration of a folder."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from zhiku_connectors.base import FatalSourceError

SUFFIXES = frozenset(
    [
        ".pdf",
        ".docx",
        ".docm",
        ".dotx",
        ".dotm",
        ".pptx",
        ".pptm",
        ".ppsx",
        ".ppsm",
        ".potx",
        ".xlsx",
        ".xlsm",
        ".xltx",
        ".xltm",
        ".csv",
        ".tsv",
        ".html",
        ".htm",
        ".xhtml",
        ".md",
        ".markdown",
        ".txt",
        ".text",
        ".log",
        ".eml",
    ]
)
"""The names of files that are listed; others are skipped with a reason."""


class FolderNotAllowedError(FatalSourceError):
    code = "folder_not_allowed"


class FilesConfig(BaseModel):
    """`folder` is the root of what is listed; an absolute path."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path = Field(description="The folder to read, as an absolute path on the server.")


def allowed_folder(config: FilesConfig, roots: tuple[Path, ...]) -> Path:
    """Resolve the folder, which must lie in one of `roots`.

    Raises:
        FolderNotAllowedError: it does not; whether it exists is not told.
    """
    folder = config.folder.resolve()
    if config.folder.is_absolute() and any(folder.is_relative_to(root.resolve()) for root in roots):
        return folder
    raise FolderNotAllowedError(
        "This folder may not be read by Zhiku.",
        remedy="Ask an administrator to add it, or a folder above it, to `ZHIKU_FILES_ROOTS`.",
    )
