"""CRC-32 of what lies in the spool and goes into archives (ISO 3309; what ``zlib.crc32`` gives).

Every byte of an instance passes it several times between sender and destination; zlib-ng's uses the processor's
carry-less multiplication and takes a sixth of the time of zlib's.
"""

from zlib_ng.zlib_ng import crc32

__all__ = ["crc32"]
