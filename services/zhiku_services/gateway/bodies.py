"""How large a request may be."""

from zhiku_platform.errors import PayloadTooLargeError

MAX_BODY_BYTES = 4 * 1024 * 1024
"""The limit of everything but uploads, which have one in the settings."""


def too_large(max_bytes: int) -> PayloadTooLargeError:
    """The error for a request of more than `max_bytes`."""
    return PayloadTooLargeError(
        f"The request is larger than {max_bytes} bytes.",
        remedy="Send a smaller one; `ZHIKU_MAX_UPLOAD_BYTES` sets the limit of uploads.",
    )


def announced_bytes(content_length: str | None) -> int:
    """What `Content-Length` says; 0 if it says nothing."""
    return int(content_length) if content_length and content_length.isdecimal() else 0
