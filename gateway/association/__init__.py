"""The DICOM upper layer and DIMSE, once (PS3.8, PS3.7): PDUs, messages, acceptor, requestor.

Who may associate, and what a message means, is for those who stand on it: ``receive`` and ``deliver``.
"""
