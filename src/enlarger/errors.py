"""Every error that Enlarger raises on purpose, in one tree.

::

    EnlargerError                     exit  HTTP
    ├── UsageError                       2   422   an option is unknown, out of range or contradicts another
    │   └── UnsupportedError             2   422   the chosen engine or model cannot do what was asked
    ├── InputError                       4   422   the source cannot be used
    │   ├── SourceMissingError           4   404
    │   ├── SourceUnreadableError        4   403
    │   ├── NotAnImageError              4   415
    │   ├── DamagedImageError            4   422
    │   └── SourceTooLargeError          4   413
    ├── OutputError                      5   500   the result cannot be written
    │   ├── OutputExistsError            5   409
    │   ├── FormatLimitError             5   422   the format cannot hold a picture of this size or kind
    │   └── DiskFullError                5   507
    ├── OutOfMemoryError                 6   503
    ├── EngineError                      7   500   an engine failed or is not there
    │   ├── EngineMissingError           7   404
    │   ├── DeviceError                  7   503
    │   └── WeightsError                 7   500   model files are missing or are not what the catalogue says
    ├── BatchError                       8   207   some of many files failed; the others are done
    └── CancelledError                 130   499

Each carries ``message`` (what is wrong), ``hint`` (what to do) and ``subject`` (the file, option or model meant).
``str(error)`` is the one line that people see. Exceptions of libraries never leave Enlarger: they are translated where
they arise and stay reachable as ``__cause__``.
"""

from __future__ import annotations


class EnlargerError(Exception):
    """Base of the tree: one line for people, one status for shells, one for HTTP."""

    exit_status = 1
    http_status = 500

    def __init__(self, message: str, *, hint: str = "", subject: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.subject = subject

    def __str__(self) -> str:
        line = f"{self.subject}: {self.message}" if self.subject else self.message
        if self.hint:
            line = f"{line}; {self.hint}"
        # File names may hold newlines and control characters; what people see stays one harmless line.
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


class UsageError(EnlargerError):
    """An option is unknown, out of range or contradicts another."""

    exit_status = 2
    http_status = 422


class UnsupportedError(UsageError):
    """The chosen engine or model cannot do what was asked."""


class InputError(EnlargerError):
    """The source cannot be used."""

    exit_status = 4
    http_status = 422


class SourceMissingError(InputError):
    """There is no such source."""

    http_status = 404


class SourceUnreadableError(InputError):
    """The source is there but may not or cannot be read (permissions, a directory, a device)."""

    http_status = 403


class NotAnImageError(InputError):
    """The bytes are no picture in a format that Enlarger reads."""

    http_status = 415


class DamagedImageError(InputError):
    """The picture is truncated or corrupt."""


class SourceTooLargeError(InputError):
    """The header promises more pixels than Enlarger agrees to decode."""

    http_status = 413


class OutputError(EnlargerError):
    """The result cannot be written."""

    exit_status = 5
    http_status = 500


class OutputExistsError(OutputError):
    """The output is already there and overwriting was not asked for."""

    http_status = 409


class FormatLimitError(OutputError):
    """The output format cannot hold a picture of this size or kind."""

    http_status = 422


class DiskFullError(OutputError):
    """There is too little room on the disk."""

    http_status = 507


class OutOfMemoryError(EnlargerError):
    """The work does not fit into memory."""

    exit_status = 6
    http_status = 503


class EngineError(EnlargerError):
    """An engine failed or broke its contract."""

    exit_status = 7
    http_status = 500


class EngineMissingError(EngineError):
    """No engine or model of that name is installed."""

    http_status = 404


class DeviceError(EngineError):
    """The device asked for is not there or stopped working."""

    http_status = 503


class WeightsError(EngineError):
    """Model files are missing or are not what the catalogue says."""


class BatchError(EnlargerError):
    """Some of many files failed; the others are done."""

    exit_status = 8
    http_status = 207


class DoubtError(EnlargerError):
    """Verify had doubts about the result, and doubt was to stop the job."""

    exit_status = 3
    http_status = 422


class CancelledError(EnlargerError):
    """The caller asked to stop."""

    exit_status = 130
    http_status = 499
