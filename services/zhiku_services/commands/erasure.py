"""`zhiku erasure`: erase a person everywhere, with the approval of two, and again after the restore of a backup.

Exit codes of `verify`, `replay` and `check`: 0 nothing is left, or the certificate is good · 2 it is not.
"""

import hashlib
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from zhiku_platform.contracts.erasure import Certificate, Erasure, NewErasure, StoreReport
from zhiku_platform.contracts.governance import Approval
from zhiku_platform.errors import UnprocessableError
from zhiku_services.commands.home import AsJson, AsUser, Home, services, settings_for
from zhiku_services.commands.output import console, print_json, print_table

app = typer.Typer(help="Erase a person everywhere.", no_args_is_help=True)

ErasureId = Annotated[str, typer.Argument(help="The erasure's id.")]
_LEFT = 2
_REVIEWER = "chen"


@app.command()
def request(
    sub: Annotated[str, typer.Option(help="The id they sign in with.")],
    reason: Annotated[str, typer.Option(help="Why; name nobody here, for it is kept.")],
    legal_basis: Annotated[str, typer.Option(help="Such as `PIPL 47`.")],
    due: Annotated[datetime, typer.Option(help="Until when it has to be done, in UTC.")],
    values: Annotated[
        Path | None,
        typer.Option(
            help="A file of names, addresses and numbers, one a line; `-` reads standard input.", allow_dash=True
        ),
    ] = None,
    user: AsUser = _REVIEWER,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Take down whom to erase. What names them is read from a file, so that no shell remembers it."""
    new = NewErasure(sub=sub, values=_lines(values), reason=reason, legal_basis=legal_basis, due_at=due.astimezone())
    with services(settings_for(home)) as clients:
        _say(clients.erasures.request(clients.principal(user), new), as_json)


@app.command()
def find(
    erasure: ErasureId,
    choose: Annotated[
        list[str] | None, typer.Option(help="The id of something for decision that is to be erased too.")
    ] = None,
    user: AsUser = _REVIEWER,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Ask every store what it holds of the person; nothing is erased."""
    with services(settings_for(home)) as clients:
        _say(clients.erasures.report(clients.principal(user), erasure, choose or []), as_json)


@app.command()
def run(
    erasure: ErasureId,
    approval: Annotated[str | None, typer.Option(help="The approval of two others; without it they are asked.")] = None,
    user: AsUser = _REVIEWER,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Erase what was found, once two others have approved it; what was begun goes on."""
    with services(settings_for(home)) as clients:
        answer = clients.erasures.run(clients.principal(user), erasure, approval)
    if not isinstance(answer, Approval):
        _say(answer, as_json)
    elif as_json:
        print_json(answer.model_dump(mode="json"))
    else:
        console.print(
            f"Two others are asked. Then: zhiku erasure run {erasure} --approval {answer.id}", highlight=False
        )


@app.command()
def verify(erasure: ErasureId, user: AsUser = _REVIEWER, home: Home = None, as_json: AsJson = False) -> None:
    """Ask every store again what it holds of what was erased."""
    with services(settings_for(home)) as clients:
        left = clients.erasures.verify(clients.principal(user), erasure)
    if as_json:
        print_json({"left": [each.model_dump(mode="json") for each in left]})
    elif left:
        _table(left, title="left")
    else:
        console.print("Nothing is left.")
    raise typer.Exit(_LEFT if left else 0)


@app.command()
def certificate(
    erasure: ErasureId,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write it.")] = Path("certificate.json"),
    user: AsUser = _REVIEWER,
    home: Home = None,
) -> None:
    """Write the signed certificate of an erasure that is done."""
    with services(settings_for(home)) as clients:
        signed = clients.erasures.certificate(clients.principal(user), erasure)
    output.write_text(signed.model_dump_json(indent=1), encoding="utf-8")
    console.print(f"Check it with: zhiku erasure check {output} --key {signed.key}", highlight=False, soft_wrap=True)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The certificate.")],
    key: Annotated[str, typer.Option(help="The audit log's public key, from a source that you trust.")],
) -> None:
    """Find out, without a platform, whether a certificate is what the log's key signed."""
    is_good = _is_signed(Certificate.model_validate_json(file.read_bytes()), key)
    console.print("Signed by this key." if is_good else "Not what this key signed.")
    raise typer.Exit(0 if is_good else _LEFT)


@app.command()
def replay(home: Home = None, as_json: AsJson = False) -> None:
    """Repeat every erasure of the last 90 days: do this after the restore of any backup."""
    settings = settings_for(home)
    with services(settings) as clients:
        replayed = clients.erasures.replay(settings.tenant).replayed
    if as_json:
        print_json({"replayed": [each.model_dump() for each in replayed]})
    else:
        rows = [(each.erasure_id, sum(each.counts.values()), ", ".join(each.left) or "nothing") for each in replayed]
        print_table(("erasure", "erased again", "left"), rows)
    raise typer.Exit(_LEFT if any(each.left for each in replayed) else 0)


def _lines(values: Path | None) -> list[str]:
    if values is None:
        return []
    text = sys.stdin.read() if str(values) == "-" else values.read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _is_signed(signed: Certificate, key: str) -> bool:
    from zhiku_services.audit.verifier import Note, VerifierKey

    said = json.dumps(signed.certificate, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    digest = hashlib.sha256(said.encode()).hexdigest()
    try:
        verifier, note = VerifierKey.parse(key), Note.parse(signed.note)
    except ValueError as error:
        raise UnprocessableError(
            "The key or the note cannot be read.", remedy="Take them as they were given."
        ) from error
    return verifier.signed(note) and note.body.decode() == f"{verifier.name}/erasure\n{digest}\n"


def _say(erasure: Erasure, as_json: bool) -> None:
    if as_json:
        print_json(erasure.model_dump(mode="json"))
        return
    _table(erasure.report, title=f"{erasure.id}: {erasure.state}")
    if erasure.left:
        _table(erasure.left, title="left")


def _table(stores: list[StoreReport], *, title: str) -> None:
    rows = [
        (store.store, found.kind, found.disposition, found.count, " ".join(found.ids[:3]))
        for store in stores
        for found in store.found
    ]
    print_table(("store", "kind", "what becomes of it", "how many", "ids"), rows, title=title)
