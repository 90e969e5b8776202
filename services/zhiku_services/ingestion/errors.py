"""What can go wrong in the ingestion service, besides what `parsing.errors` lists.

ZhikuError
├── ConflictError
│   ├── NotStoppedError              409  not_stopped
│   ├── AlreadyEndedError            409  already_ended
│   ├── NewerVersionError            409  newer_version_exists
│   └── IdempotencyKeyReusedError    409  idempotency_key_reused
├── UnprocessableError
│   ├── MalformedUploadError         422  malformed_upload
│   ├── BadPathError                 422  bad_path
│   ├── BadReadersError              422  bad_readers
│   └── BadSourceConfigError         422  bad_source_config
└── ServiceUnavailableError
    └── BlobGoneError                503  blob_gone
"""

from zhiku_platform.errors import ConflictError, ServiceUnavailableError, UnprocessableError


class NotStoppedError(ConflictError):
    """Only a failed, quarantined or cancelled version can be retried."""

    code = "not_stopped"


class AlreadyEndedError(ConflictError):
    """The version has ended and cannot be cancelled."""

    code = "already_ended"


class NewerVersionError(ConflictError):
    code = "newer_version_exists"


class IdempotencyKeyReusedError(ConflictError):
    code = "idempotency_key_reused"


class MalformedUploadError(UnprocessableError):
    code = "malformed_upload"


class BadPathError(UnprocessableError):
    code = "bad_path"


class BadReadersError(UnprocessableError):
    code = "bad_readers"


class BadSourceConfigError(UnprocessableError):
    code = "bad_source_config"


class BlobGoneError(ServiceUnavailableError):
    """The bytes were removed between storing and accepting; the sender has to send them again."""

    code = "blob_gone"
