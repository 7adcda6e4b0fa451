"""A receiver that is killed in the middle of a transfer (promise P1)."""

import signal
import subprocess
import sys
from pathlib import Path

from gateway.receive import received_of
from gateway.spool import Spool
from tests.integration.raw_peer import DATA, P_DATA, RawPeer, command, data_set, message, pdu, pdv, store_elements

RECEIVER = """
import sys, threading
from pathlib import Path
from gateway.receive import Receiver, ReceiverSettings
from gateway.spool import Spool

root = Path(sys.argv[1])
rows = open(root / "rows", "a", buffering=1)
receiver = Receiver(
    ReceiverSettings(host="127.0.0.1", port=0),
    spool=Spool(root / "spool"),
    record=lambda received: rows.write(received.spool_name + "\\n"),
)
receiver.start()
print("port", receiver.port, flush=True)
threading.Event().wait()
"""


def test_p1_kill_9_keeps_what_was_acknowledged_and_nothing_else(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    for life in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", RECEIVER, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
        )
        try:
            assert process.stdout is not None
            port = next(int(line.split()[1]) for line in process.stdout if line.startswith("port "))
            with RawPeer(port) as peer, RawPeer(port) as other:
                peer.associate()
                other.associate()
                for number in range(10):
                    instance = f"2.25.{life}{number:02}1"
                    assert peer.store(data_set(instance), instance=instance) == 0
                    acknowledged.append(instance)
                # Killed while one data set is half there and the other's last byte is on its way.
                other.send(message(command(store_elements())) + pdu(P_DATA, pdv(data_set()[:150], DATA)))
                received = tmp_path / "spool" / "received"
                while len(list(received.rglob("*.dcm"))) <= len(acknowledged):
                    pass
                process.send_signal(signal.SIGKILL)
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

        spool = Spool(tmp_path / "spool")
        with spool.lock():
            assert spool.sweep().damaged == ()
        assert spool.sweep().removed == 0
        rows = [received_of(spool.check(name)) for name in spool.names()]
        assert [row.spool_name for row in rows] == (tmp_path / "rows").read_text().split()
        stored = [spool.read_record(name).meta.sop_instance_uid for name in spool.names()]
        assert stored == acknowledged
        assert len(list(received.rglob("*.dcm"))) == len(acknowledged)
