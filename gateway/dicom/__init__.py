"""Encoded DICOM: elements at byte level, transfer syntaxes, character sets, and what the standard says of them."""

from gateway.dicom.encoded import Buffer, Element, Item, Limits, find, index, walk
from gateway.dicom.file_meta import FileMeta, read_file_meta, write_file_meta
from gateway.dicom.instance import Instance, decode_element, open_instance
from gateway.dicom.segments import FileRange, Segment, copy_to, total_length
from gateway.dicom.transfer_syntax import TransferSyntax

__all__ = [
    "Buffer",
    "Element",
    "FileMeta",
    "FileRange",
    "Instance",
    "Item",
    "Limits",
    "Segment",
    "TransferSyntax",
    "copy_to",
    "decode_element",
    "find",
    "index",
    "open_instance",
    "read_file_meta",
    "total_length",
    "walk",
    "write_file_meta",
]
