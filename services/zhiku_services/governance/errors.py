"""What can go wrong in the governance service.

ZhikuError
├── ConflictError
│   ├── ApprovalWaitingError           409  approval_waiting
│   ├── ApprovalClosedError            409  approval_closed
│   ├── ApprovalExpiredError           409  approval_expired
│   ├── ApprovalUsedError              409  approval_used
│   ├── ApprovalInUseError             409  approval_in_use
│   ├── ApprovalMismatchError          409  approval_mismatch
│   ├── ApprovalForAnotherError        409  approval_for_another
│   ├── ApproverGoneError              409  approver_gone
│   ├── AlreadyApprovedError           409  already_approved
│   ├── ErasureForgottenError          409  erasure_forgotten
│   ├── ErasureStateError              409  erasure_state
│   ├── HoldReleasedError              409  hold_released
│   ├── NothingChangesError            409  nothing_changes
│   └── StaleClaimError                409  stale_claim
└── ForbiddenError
    ├── OwnApprovalError               403  own_approval
    ├── ApprovalOfAnotherPersonError   403  approval_of_another_person
    ├── NotAPersonError                403  not_a_person
    └── NotTheOwnerError               403  not_the_owner
"""

from zhiku_platform.errors import ConflictError, ForbiddenError


class ApprovalWaitingError(ConflictError):
    code = "approval_waiting"


class ApprovalClosedError(ConflictError):
    """It was refused or withdrawn."""

    code = "approval_closed"


class ApprovalExpiredError(ConflictError):
    code = "approval_expired"


class ApprovalUsedError(ConflictError):
    code = "approval_used"


class ApprovalInUseError(ConflictError):
    """Somebody claimed the act a moment ago, and has not said that it is done."""

    code = "approval_in_use"


class ApprovalMismatchError(ConflictError):
    """What is to be done is not what was approved, to the last detail."""

    code = "approval_mismatch"


class ApprovalForAnotherError(ConflictError):
    """The approval is for another action, or for the same one on something else."""

    code = "approval_for_another"


class ApproverGoneError(ConflictError):
    """Somebody who approved has left since, or may no longer approve."""

    code = "approver_gone"


class AlreadyApprovedError(ConflictError):
    code = "already_approved"


class HoldReleasedError(ConflictError):
    """The hold was lifted already."""

    code = "hold_released"


class NothingChangesError(ConflictError):
    """The rule says so already."""

    code = "nothing_changes"

    def __init__(self) -> None:
        super().__init__("The rule says so already.", remedy="Look at it in the list.")


class ErasureForgottenError(ConflictError):
    """Nobody knows any more whose erasure it was."""

    code = "erasure_forgotten"

    def __init__(self) -> None:
        super().__init__(
            "It is no longer known whose erasure this was.", remedy="Keep its certificate; ask for another erasure."
        )


class ErasureStateError(ConflictError):
    """It is not in the state that this takes."""

    code = "erasure_state"


class StaleClaimError(ConflictError):
    """The act was claimed again since, or is done."""

    code = "stale_claim"


class OwnApprovalError(ForbiddenError):
    code = "own_approval"


class ApprovalOfAnotherPersonError(ForbiddenError):
    code = "approval_of_another_person"


class NotAPersonError(ForbiddenError):
    """An API key or a service tried what only a person who signed in may do."""

    code = "not_a_person"


class NotTheOwnerError(ForbiddenError):
    """A service asked for an act that another service owns, or broke glass where none may."""

    code = "not_the_owner"
