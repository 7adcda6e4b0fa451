"""Everything that can go wrong, as one hierarchy.

GatewayError
├── TransientError                  worth another try: nothing is wrong with the instance itself
│   ├── SpoolFull                   the disk is full or below its reserve (C-STORE status 0xA700)
│   ├── SpoolUnavailable            the spool cannot be read or written
│   ├── LedgerUnavailable           the ledger cannot be read or written
│   │   ├── LedgerUnreachable       its database does not answer, or is only starting
│   │   ├── LedgerBusy              it is locked by something else, or takes no more connections
│   │   ├── LedgerFull              its disk is full
│   │   ├── LedgerReadOnly          it takes no writes: a standby, or a read-only file system
│   │   ├── LedgerRefused           it refuses the user, the password or the rights: a person has to mend that
│   │   ├── LedgerMissing           the server has no such database: a person has to make it
│   │   └── LedgerDamaged           it is damaged: nothing goes on until a person has repaired it
│   ├── DecoderUnavailable          the process that runs the image codecs cannot be started
│   ├── ConnectionFailed            there is no connection to a peer
│   ├── DeliveryFailed              the destination is down, slow, or answered something that may pass
│   ├── OutputOutdated              service.outputs: the output is of a profile that is active no more
│   ├── SupervisorSilent            service.questions: the supervisor does not answer the process that answers over HTTP
│   ├── NotifyFailed                notify.notifier: a person could not be told
│   └── NotRunning                  cli.health: no gateway answers
├── PermanentError                  another try with the same input gives the same result
│   ├── ConfigurationError          gateway.yaml is wrong; names file, line and column
│   ├── ProfileError                a profile is wrong; names file, line and column
│   ├── InstanceError               this instance cannot go on: it is held, never passed
│   │   ├── NotDicom                no DICOM data set can be recognised
│   │   ├── MalformedDataSet        the encoding is broken
│   │   │   ├── TruncatedDataSet
│   │   │   ├── DuplicateElement
│   │   │   ├── OddLength
│   │   │   └── IrregularEncoding   not walkable as it stands; re-encoding may help
│   │   ├── UnsupportedEncoding     a transfer syntax or construct that nothing here understands
│   │   │   └── MediaDirectory      a DICOMDIR, which is no instance
│   │   ├── LimitExceeded           a configured limit (depth, elements, bytes) was passed
│   │   ├── PixelsUnreadable        pixel data contradicts its description, or no decoder makes sense of it
│   │   │   └── DecodingTooLong     a codec did not come to an end
│   │   ├── PixelsUnwritable        pixel data cannot be encoded without loss as asked
│   │   │   └── DecodersDisagree    what was encoded is another image to another decoder
│   │   ├── RuleFailed              a profile rule or condition could not be applied
│   │   ├── WrongValue              a value that the instance needs is not what its value representation says
│   │   ├── SlicesLost              a volume in one picture would lose the number of its slices
│   │   ├── HeldByRule              an accept rule of the profile holds it
│   │   ├── PseudonymMissing        a look-up table lacks the row that a rule needs
│   │   ├── PixelHold               a person has to look at the pixels before the instance may go on
│   │   │   ├── BurnedInTextSuspected
│   │   │   ├── FeaturesSuspected
│   │   │   ├── WaitsForSeries      nobody has to look: it waits until its series is complete
│   │   │   └── HeldByPixelRule
│   │   ├── LeakSuspected           an identifying value of the original was found in the output
│   │   ├── NoRoute                 treatment.routing: no route takes it
│   │   ├── NoDestination           treatment.routing: the conditions of all destinations exclude it
│   │   └── IdentifiedRefused       treatment.routing: a destination does not say that it takes identified ones
│   ├── RejectedByRule              an accept rule of the profile keeps this instance out
│   ├── SeriesUnfit                 a series is no volume: faces are not taken out of it
│   ├── InstanceUnusable            the receiver refuses it (C-STORE status 0xA900 or 0xC000)
│   ├── ProtocolViolation           a peer broke the DICOM protocol: its association is aborted
│   ├── CrosswalkUnreadable         a row of the crosswalk does not open with the project's keys
│   ├── ReasonNamesPatient          the reason given for a look-up holds identity
│   ├── BackupUnusable              a backup is incomplete, changed, or of a gateway that this one does not know
│   ├── IllegalTransition           the ledger was asked for a change of state that its states do not allow
│   ├── SpoolCorrupt                stored bytes are not what was stored
│   ├── OutputLost                  service.outputs: an output is gone and cannot be made again
│   ├── IdentifiedRefused           service.dispatcher: an identified output waits for a destination that takes none
│   ├── LedgerInUse                 ledger.sole_use: another gateway works with the same ledger
│   ├── StartFailed                 service.supervisor: a process ended at once
│   └── StillRunning                service.supervisor: processes of an earlier gateway do not end
├── ThreadEnded                     service.dispatcher: a thread of the delivering process ended by an error
└── NotifierEnded                   service.notifying: the thread that tells people ended by an error

What one module tells the next inside a room, and what never leaves it, is no error of the gateway:

Exception
├── Gone                            deid.values: the rule says that the element goes
├── Unsure                          deid.values: the profile says what is done with a value that a rule does not know
├── OtherSize                       pixels.decoder: a frame is not of the size asked for
├── NoHead                          pixels.faces.atlas: nothing in the volume is of the size of a head
├── Unsure                          pixels.faces.atlas: the face cannot be told with certainty
├── Stopped                         pixels.faces.face_command: the gateway stops
├── _Refused                        console.application: somebody may not have what was asked for
├── _NotKnown                       profile.condition_functions: a value that a condition cannot be decided without
├── _Incomplete                     profile.load: the profile is a layer, not whole
├── _Unusable                       service.export_folder: an archive cannot be unpacked
├── _Unreadable                     dicom.identifiers: the bytes are no data set in this encoding
└── ValueError
    ├── BadQuery                    console.resource: the parameters of a request
    ├── ExpressionWrong             profile.expression: a pattern or a replacement
    ├── NiftiError                  pixels.faces.nifti: no volume of the geometry expected
    ├── ConditionWrong              profile.condition_types: a condition that no instance can meet as written
    ├── _Wrong                      profile.action: a rule for attributes
    ├── _Wrong                      profile.pixel_reading: a rule for pixels
    ├── UnknownElement              profile.importers.ctp.ctp_names: a name of no element
    ├── Inexpressible               profile.importers.ctp.ctp_conditions: a test that conditions cannot say
    ├── FilterError                 profile.importers.ctp.filters: a filter that cannot be read or said
    ├── NotTranslatable             profile.importers.ctp.model: a script that the profile language does not say
    └── ScriptError                 profile.importers.ctp.script: a script that cannot be read

The first paragraph of a class's docstring is its message; ``{names}`` in it are filled from the facts given to the
constructor. Facts are tags, VRs, offsets, numbers and names from the configuration: never values of data elements,
because messages reach logs (promise P9).
"""

from __future__ import annotations

import re
from inspect import cleandoc
from typing import ClassVar


class _Facts(dict[str, object]):
    """Format mapping that leaves an unknown name visible instead of raising while an error is being reported."""

    def __missing__(self, key: str) -> str:
        return f"<{key}>"


class GatewayError(Exception):
    """The gateway met an error."""

    code: ClassVar[str] = "gateway-error"

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not cls.__doc__:
            raise TypeError(f"{cls.__name__} has no message: a docstring, which python -OO takes away")
        cls.code = re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    def __init__(self, **facts: object) -> None:
        self.facts: dict[str, object] = facts
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """The docstring's first paragraph with the facts filled in."""
        paragraph = cleandoc(type(self).__doc__ or "").split("\n\n", 1)[0]
        return " ".join(paragraph.format_map(_Facts(self.facts)).split())

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.facts))


def _rebuild(kind: type[GatewayError], facts: dict[str, object]) -> GatewayError:
    return kind(**facts)


class TransientError(GatewayError):
    """Something outside the instance failed and may work later."""


class SpoolFull(TransientError):
    """The spool's disk has {free} bytes free, too few to {operation} {name} above a reserve of {reserve} bytes: free
    space or enlarge the disk.
    """


class SpoolUnavailable(TransientError):
    """The spool cannot {operation} {name}: {reason}."""


class LedgerUnavailable(TransientError):
    """The ledger cannot {operation}: {reason}.

    Facts: ``operation``, what was to be done; ``server``, the database without its password; ``state``, what the
    database calls it (SQLSTATE, or SQLite's name); ``reason``, the short form of both.
    """

    #: Whether a person has to mend it: to wait is in vain.
    lasting: ClassVar[bool] = False

    def about(self, operation: str) -> LedgerUnavailable:
        """The same of another operation."""
        return type(self)(**{**self.facts, "operation": operation})

    @property
    def public(self) -> str:
        """The message without the address of the database, for those who may not know it."""
        state = self.facts.get("state", self.facts.get("reason"))
        return type(self)(**{**self.facts, "server": "its database", "reason": state}).message


class LedgerUnreachable(LedgerUnavailable):
    """The ledger cannot {operation}: {server} does not answer ({state}). See that the server runs, and that host and
    port in storage.ledger are right.
    """


class LedgerBusy(LedgerUnavailable):
    """The ledger cannot {operation}: {server} is busy ({state}). Look for what holds its locks or its connections."""


class LedgerFull(LedgerUnavailable):
    """The ledger cannot {operation}: the disk of {server} is full ({state}). Free space or enlarge the disk."""


class LedgerReadOnly(LedgerUnavailable):
    """The ledger cannot {operation}: {server} takes no writes ({state}). Name the primary server in storage.ledger, or
    mount the file system for writing.
    """


class LedgerRefused(LedgerUnavailable):
    """The ledger cannot {operation}: {server} refuses the gateway ({state}). Set user and password in storage.ledger,
    and let the server allow them: pg_hba.conf and the rights on the database, or the permissions of the file.
    """

    lasting = True


class LedgerMissing(LedgerUnavailable):
    """The ledger cannot {operation}: there is no {server} ({state}). Make the database, or mend its name in
    storage.ledger.
    """

    lasting = True


class LedgerDamaged(LedgerUnavailable):
    """The ledger cannot {operation}: {server} is damaged ({state}). Stop the gateway, then restore or rebuild the
    ledger.
    """

    lasting = True


class DecoderUnavailable(TransientError):
    """The process that runs the image codecs cannot be started: {reason}."""


class ConnectionFailed(TransientError):
    """There is no connection: {reason}."""


class DeliveryFailed(TransientError):
    """Destination {destination} did not take the instance: {reason}."""


class PermanentError(GatewayError):
    """Something is wrong that another try will not change."""


class ConfigurationError(PermanentError):
    """{place}: {problem}"""


class ProfileError(PermanentError):
    """{place}: {problem}"""


class InstanceError(PermanentError):
    """The instance cannot be processed: {reason}."""


class NotDicom(InstanceError):
    """No DICOM data set was recognised: {reason}."""


class MalformedDataSet(InstanceError):
    """The data set is malformed at {where}, byte {offset}: {reason}."""

    def within(self, step: str) -> None:
        """Put ``step`` (a sequence and its item) in front of the place that the error names."""
        where = self.facts.get("where")
        self.facts["where"] = f"{step}/{where}" if where else step
        self.args = (self.message,)


class TruncatedDataSet(MalformedDataSet):
    """The data set ends inside {where}, byte {offset}: {missing} bytes are missing."""


class DuplicateElement(MalformedDataSet):
    """The data set holds {where} twice, the second time at byte {offset}."""


class OddLength(MalformedDataSet):
    """The value of {where} at byte {offset} has the odd length {length}."""


class IrregularEncoding(MalformedDataSet):
    """The data set is irregular at {where}, byte {offset}: {reason}."""


class UnsupportedEncoding(InstanceError):
    """The encoding is not supported: {reason}."""


class MediaDirectory(UnsupportedEncoding):
    """The file is no instance: {reason}."""


class LimitExceeded(InstanceError):
    """The data set passes the limit of {limit} {unit} at {where}."""


class PixelsUnreadable(InstanceError):
    """The pixel data cannot be read: {reason}."""


class DecodingTooLong(PixelsUnreadable):
    """The pixel data cannot be read: a codec did not finish within {seconds} seconds."""


class PixelsUnwritable(InstanceError):
    """The pixel data cannot be written as {syntax}: {reason}."""


class DecodersDisagree(PixelsUnwritable):
    """The pixel data cannot be written as {syntax}: two decoders do not read the same of frame {frame}."""


class RuleFailed(InstanceError):
    """The rule for {where} failed: {reason}."""


class WrongValue(InstanceError):
    """{where} holds a value that is not what its value representation says, and the instance needs one."""


class SlicesLost(InstanceError):
    """A mosaic (MOSAIC in Image Type) would lose the number of its slices, which stands in no element that stays."""


class HeldByRule(InstanceError):
    """The rule {rule} holds the instance: {because}."""


class PseudonymMissing(InstanceError):
    """The table {table} has no row for {what} with the token {token}: add the row, then resume the instance."""


class PixelHold(InstanceError):
    """A person has to look at the pixels: {reason}."""


class BurnedInTextSuspected(PixelHold):
    """Burned-in text is suspected: {reason}.

    The facts ``boxes`` and ``left``, if there are any, tell where text was found and where a second look still saw some
    after these were blackened: rectangles of x, y, width and height in pixels of the received image.
    """


class FeaturesSuspected(PixelHold):
    """A face may be recognised: {reason}."""


class WaitsForSeries(PixelHold):
    """The instance waits until its series is complete, and faces are taken out of all of it: {reason}."""


class HeldByPixelRule(PixelHold):
    """Held by {rule}: {because}."""


class LeakSuspected(InstanceError):
    """A value that identifies the original is still present in {where}: {reason}."""


class RejectedByRule(PermanentError):
    """The rule {rule} rejects the instance: {because}."""


class SeriesUnfit(PermanentError):
    """The series cannot be treated as a volume: {reason}."""


class InstanceUnusable(PermanentError):
    """The instance is refused with status 0x{status:04X}: {reason}."""


class ProtocolViolation(PermanentError):
    """The peer broke the DICOM protocol: {reason}."""


class CrosswalkUnreadable(PermanentError):
    """A row of the crosswalk of project {project} cannot be opened: {reason}."""


class ReasonNamesPatient(PermanentError):
    """The reason holds what it is to keep secret, so it was not written down and nothing is answered: give another."""


class BackupUnusable(PermanentError):
    """The backup {place} cannot be used: {problem}."""


class IllegalTransition(PermanentError):
    """The ledger cannot move {kind} {id} from {before} to {after}."""


class SpoolCorrupt(PermanentError):
    """The spool file {name} is not what was stored: {reason}."""
