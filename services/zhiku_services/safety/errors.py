"""What can go wrong in content safety.

ServiceUnavailableError
└── GuardUnavailableError   503  guard_unavailable    the guard model did not say what a text is
ConflictError
└── UnchangedPolicyError    409  policy_unchanged     the policy in force is this one already
UnprocessableError
├── LexiconError            422  lexicon_malformed
├── PolicyError             422  policy_malformed
└── SafetyDataError         422  safety_data_malformed
"""

from zhiku_platform.errors import ConflictError, ServiceUnavailableError, UnprocessableError


class GuardUnavailableError(ServiceUnavailableError):
    """Nobody knows what the text is, so it must not pass as if it were harmless."""

    code = "guard_unavailable"
    title = "The guard model does not answer"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, remedy="Try again in a moment; administrators check `ZHIKU_GUARD_BASE_URL`.")


class UnchangedPolicyError(ConflictError):
    code = "policy_unchanged"
    title = "Nothing would change"

    def __init__(self) -> None:
        super().__init__("This safety policy is in force already.", remedy="Change it before asking others.")


class LexiconError(UnprocessableError):
    """A list of terms that cannot be used."""

    code = "lexicon_malformed"
    title = "The list of terms cannot be used"


class PolicyError(UnprocessableError):
    """A safety policy that cannot be used."""

    code = "policy_malformed"
    title = "The safety policy cannot be used"


class SafetyDataError(UnprocessableError):
    """A file that holds no labelled texts."""

    code = "safety_data_malformed"
    title = "The labelled texts cannot be read"
