"""What the gateway refuses, and why."""

from zhiku_platform.errors import ForbiddenError, NotSignedInError, ZhikuError


class CrossSiteRequestError(ForbiddenError):
    """A change came with a session cookie but without proof that our own pages sent it."""

    code = "cross_site_request"

    def __init__(self) -> None:
        super().__init__(
            "This change was not sent by a page of Zhiku.",
            remedy="Send the session's `csrf_token` in the `X-CSRF-Token` header, from the same origin.",
        )


class LoginRefusedError(NotSignedInError):
    """The identity provider, or what came back from it, did not convince us. `reason` is for the audit."""

    code = "login_refused"
    title = "Sign-in failed"

    def __init__(self, reason: str) -> None:
        super().__init__("The sign-in could not be completed.", remedy="Start again at `/api/v1/auth/login`.")
        self.reason = reason


class TokenInvalidError(ZhikuError):
    """A token of the provider failed one of its checks; never shown to a caller. `reason` names the check."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The token is not valid: {reason}.", remedy="Check the identity provider's settings.")
        self.reason = reason


class RenewalRefusedError(ZhikuError):
    """The provider does not vouch for a session any more; it ends, and its owner is asked to sign in."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The session was not renewed: {reason}.", remedy="Sign in again.")
        self.reason = reason


class LogoutRefusedError(ZhikuError):
    """A back-channel logout that the provider did not send, or sent before."""

    status = 400
    code = "logout_token_invalid"
    title = "Logout refused"

    def __init__(self) -> None:
        super().__init__("The logout token is not valid.", remedy="Send a fresh one, signed by the provider.")


class StepUpRequiredError(NotSignedInError):
    """What was asked for needs a login that is fresher, or stronger, than this session's.

    `login_url` begins it; a portal adds `next` to come back.
    """

    code = "step_up_required"
    title = "Please confirm that it is you"

    def __init__(self, max_age_s: int, acr_values: str | None, login_url: str) -> None:
        super().__init__(
            f"This needs a login of the last {max_age_s} seconds.",
            remedy="Sign in again at `login_url`, then repeat the request.",
            max_age=max_age_s,
            acr_values=acr_values,
            login_url=login_url,
        )


class DirectoryUnavailableError(ZhikuError):
    """The provider's directory could not be read whole; nothing of the mirror was changed."""

    status = 503
    code = "directory_unavailable"
    title = "The directory is not available right now"


class DirectoryShrankError(ZhikuError):
    """So many users are gone that a fault is likelier than the truth; nothing of the mirror was changed."""

    status = 409
    code = "directory_shrank"
    title = "The directory shrank too much"

    def __init__(self, gone: int, known: int) -> None:
        super().__init__(
            f"{gone} of {known} users would be deprovisioned at once.",
            remedy="Check the realm and the rights of the sync's client; if it is true, run "
            "`zhiku keycloak sync --allow-shrink`.",
            gone=gone,
            known=known,
        )


class ProviderUnavailableError(ZhikuError):
    """The identity provider does not answer, or not as OpenID Connect has it."""

    status = 503
    code = "identity_provider_unavailable"
    title = "Sign-in is not available right now"

    def __init__(self, what: str) -> None:
        super().__init__(f"The identity provider's {what} could not be read.", remedy="Try again in a moment.")
