"""What the gateway refuses, and why."""

from zhiku_platform.errors import ForbiddenError, NotSignedInError, UnprocessableError, ZhikuError


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
    """An ID token failed one of its checks; never shown to a caller."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The ID token is not valid: {reason}.", remedy="Check the identity provider's settings.")
        self.reason = reason


class ForeignAddressError(UnprocessableError):
    """`next` does not lead back into Zhiku."""

    code = "foreign_address"

    def __init__(self) -> None:
        super().__init__("`next` must be a path of this site.", remedy="Use a path such as `/` or `/chat`.")


class ProviderUnavailableError(ZhikuError):
    """The identity provider does not answer, or not as OpenID Connect has it."""

    status = 503
    code = "identity_provider_unavailable"
    title = "Sign-in is not available right now"

    def __init__(self, what: str) -> None:
        super().__init__(f"The identity provider's {what} could not be read.", remedy="Try again in a moment.")
