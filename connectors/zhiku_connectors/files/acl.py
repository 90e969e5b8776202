"""Folder ACLs: `.zhiku-acl.toml` says who may read a folder's files and those of the folders below.

readers = ["group:hr", "user:alice"]   # leave out to keep what the folder above says
level = 2                              # 0 to 9; leave out likewise
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from zhiku_platform.contracts.knowledge import AclToken

ACL_FILE = ".zhiku-acl.toml"

_MAX_BYTES = 64 * 1024
_TOKENS: TypeAdapter[list[AclToken]] = TypeAdapter(list[AclToken])


@dataclass(frozen=True, slots=True)
class FolderAcl:
    """`readers` None: whoever may view the knowledge base. `is_stated`: an ACL file says so, not the lack of one."""

    readers: tuple[str, ...] | None = None
    level: int = 0
    is_stated: bool = False


@dataclass(frozen=True, slots=True)
class UnknownAcl:
    """The ACL cannot be told; `detail` says why, without quoting the file."""

    detail: str


def acl_from_root(folder: Path) -> FolderAcl | UnknownAcl:
    """Read what the ACL files of a folder and of every folder above it say together, from the file system's root."""
    acl: FolderAcl | UnknownAcl = FolderAcl()
    resolved = folder.resolve()
    for above in (*reversed(resolved.parents), resolved):
        acl = folder_acl(above, acl)
    return acl


def folder_acl(folder: Path, inherited: FolderAcl | UnknownAcl) -> FolderAcl | UnknownAcl:
    """Read a folder's ACL on top of what it inherits. What is unknown above stays unknown below."""
    if isinstance(inherited, UnknownAcl):
        return inherited
    path = folder / ACL_FILE
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        # A dangling link is a broken ACL file; only the absence of any name means that there is none.
        return UnknownAcl(f"`{ACL_FILE}` is a broken link.") if path.is_symlink() else inherited
    except OSError as error:
        return UnknownAcl(f"`{ACL_FILE}` cannot be read ({type(error).__name__}).")
    if len(content) > _MAX_BYTES:
        return UnknownAcl(f"`{ACL_FILE}` is larger than 64 KiB.")
    return parse_acl(content, inherited)


def parse_acl(content: bytes, inherited: FolderAcl) -> FolderAcl | UnknownAcl:
    """Read the text of an ACL file; anything but the two known keys, well formed, makes it unknown."""
    try:
        values = tomllib.loads(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        return UnknownAcl(f"`{ACL_FILE}` is not valid TOML.")
    if unknown := sorted(set(values) - {"readers", "level"}):
        return UnknownAcl(f"`{ACL_FILE}` has {len(unknown)} unknown key(s); known are `readers` and `level`.")
    readers = values.get("readers", inherited.readers)
    if readers is not None and not _are_tokens(readers):
        return UnknownAcl(f"`readers` in `{ACL_FILE}` is not a list of `user:…`, `group:…` or `everyone`.")
    level = values.get("level", inherited.level)
    if isinstance(level, bool) or not isinstance(level, int) or not 0 <= level <= 9:
        return UnknownAcl(f"`level` in `{ACL_FILE}` is not a whole number from 0 to 9.")
    return FolderAcl(None if readers is None else tuple(sorted(set(readers))), level, is_stated=True)


def _are_tokens(readers: object) -> bool:
    try:
        _TOKENS.validate_python(readers)
    except ValidationError:
        return False
    return True
