"""pynetdicom as its documentation shows it: a Storage SCP on its defaults that writes files.

Run as ``python -m benchmarks.plain_scp FOLDER``; prints its port, works until its standard input ends.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.dimse_primitives import C_STORE

if TYPE_CHECKING:
    from pynetdicom.events import Event


def main(folder: Path) -> None:
    """Take every storage class and write what comes, without waiting for the disk."""

    def store(event: Event) -> int:
        assert isinstance(event.request, C_STORE)
        path = folder / f"{event.request.AffectedSOPInstanceUID}.dcm"
        path.write_bytes(event.encoded_dataset())
        return 0x0000

    entity = AE(ae_title="GATEWAY")
    entity.supported_contexts = [*AllStoragePresentationContexts]
    for context in AllStoragePresentationContexts:
        assert context.abstract_syntax is not None
        entity.add_supported_context(context.abstract_syntax, "1.2.840.10008.1.2.4.70")
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    assert server is not None
    print(server.server_address[1], flush=True)  # noqa: T201  (who started this waits for it)
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
