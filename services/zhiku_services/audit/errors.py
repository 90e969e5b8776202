"""What can go wrong in the audit service.

ServiceUnavailableError
├── AuditKeysMissingError     503  audit_keys_missing
├── AuditKeysWrongError       503  audit_keys_wrong
├── AuditUnavailableError     503  audit_unavailable
└── NoCheckpointError         503  no_checkpoint
PayloadTooLargeError
└── EventTooLargeError        413  event_too_large
UnprocessableError
├── NotCanonicalError         422  not_canonical
└── UnknownEventError         422  unknown_event
ConflictError
├── InconsistentRootError     409  inconsistent_root
├── NoNextKeyError            409  no_next_key
├── SealedPartTouchedError    409  sealed_part_touched
└── WitnessRefusedError       409  witness_refused
"""

from collections.abc import Sequence

from zhiku_platform.errors import ConflictError, PayloadTooLargeError, ServiceUnavailableError, UnprocessableError


class AuditUnavailableError(ServiceUnavailableError):
    """Neither sink can write, so what has to be recorded must not happen."""

    code = "audit_unavailable"
    title = "The audit log cannot be written"

    def __init__(self) -> None:
        super().__init__(
            "Neither the audit database nor the spool on disk can be written.",
            remedy="Try again once an administrator has made room or brought the database back.",
        )


class AuditKeysMissingError(ServiceUnavailableError):
    """The log has entries, and the folders of its keys lack some; new ones would sign another log."""

    code = "audit_keys_missing"
    title = "The audit log's keys are missing"

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__(
            f"The audit log lacks keys: {', '.join(f'`{path}`' for path in missing)}.",
            remedy="Mount the folder that holds them, or restore it from its backup; new keys cannot continue the log.",
        )


class AuditKeysWrongError(ServiceUnavailableError):
    """A key is not the one that the database was written with."""

    code = "audit_keys_wrong"
    title = "The audit log's keys are another log's"

    def __init__(self, which: str) -> None:
        super().__init__(
            f"The {which} is not the one that this audit database was written with.",
            remedy="Mount or restore the key folders of this database, or the database of these folders.",
        )


class NoCheckpointError(ServiceUnavailableError):
    """The log is empty, or its first entries are not signed yet."""

    code = "no_checkpoint"

    def __init__(self) -> None:
        super().__init__("The log has no checkpoint yet.", remedy="Try again in two seconds.")


class EventTooLargeError(PayloadTooLargeError):
    code = "event_too_large"


class NotCanonicalError(UnprocessableError):
    """An event that two programs could write down differently."""

    code = "not_canonical"


class UnknownEventError(UnprocessableError):
    """An action that the catalogue does not have."""

    code = "unknown_event"


class InconsistentRootError(ConflictError):
    """The signer was asked to sign a root that does not continue the one it signed last."""

    code = "inconsistent_root"

    def __init__(self, size: int) -> None:
        super().__init__(
            f"The log of {size} entries does not continue what was signed last.",
            remedy="Run `zhiku audit verify`, keep the database as it is, and call who answers for the audit.",
        )


class SealedPartTouchedError(ConflictError):
    """A sealed part is not the one that was sealed for its event, or its key is another one."""

    code = "sealed_part_touched"

    def __init__(self) -> None:
        super().__init__(
            "The event's sealed part cannot be opened: it, or its key, is not the one of this event.",
            remedy="Run `zhiku audit verify`, keep the database as it is, and call who answers for the audit.",
        )


class PersonTouchedError(ConflictError):
    """The person that the database names for a pseudonym is not the one for whom it was made."""

    code = "person_touched"

    def __init__(self) -> None:
        super().__init__(
            "The database names another person for a pseudonym than the one for whom it was made.",
            remedy="Run `zhiku audit verify`, keep the database as it is, and call who answers for the audit.",
        )


class NoNextKeyError(ConflictError):
    """The log's key cannot hand over: no other signs beside it."""

    code = "no_next_key"

    def __init__(self) -> None:
        super().__init__(
            "No next key of the log has signed a checkpoint yet.",
            remedy="Run `zhiku audit rotate` first, and give the next key to all who trust the present one.",
        )


class WitnessRefusedError(ConflictError):
    """The log shows a witness a history that does not continue the one that it saw."""

    code = "witness_refused"
