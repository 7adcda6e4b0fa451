"""What the receiver relies on inside pynetdicom; a version that changes one of these needs a look at upper_layer.py."""

import inspect
import queue
import threading

import pynetdicom
from pynetdicom import _config, evt, fsm
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.transport import AssociationServer, AssociationSocket, RequestHandler


def test_the_version_is_one_that_was_looked_at() -> None:
    assert pynetdicom.__version__.startswith("3.0.")


def test_names_of_the_upper_layer_provider() -> None:
    provider = DULServiceProvider(Association(ApplicationEntity(), "acceptor"))
    assert isinstance(provider.event_queue, queue.Queue)
    assert isinstance(provider._recv_pdu, queue.Queue)
    assert provider.state_machine.current_state == "Sta1"
    assert not provider.daemon
    assert list(inspect.signature(DULServiceProvider._read_pdu_data).parameters) == ["self"]
    assert list(inspect.signature(DULServiceProvider._decode_pdu).parameters) == ["self", "bytestream"]


def test_the_reactor_calls_the_methods_that_are_shadowed() -> None:
    assert "self._read_pdu_data()" in inspect.getsource(DULServiceProvider._is_transport_event)
    source = inspect.getsource(DULServiceProvider.run_reactor)
    assert source.index("self._process_recv_primitive()") < source.index("self._is_transport_event()")


def test_nothing_received_is_a_time_out_to_the_associations_thread() -> None:
    association = Association(ApplicationEntity(), "acceptor")
    association.dul.to_user_queue.put(None)  # type: ignore[arg-type, unused-ignore]  # what the receiver does
    assert association.dul.receive_pdu(wait=True, timeout=60) is None
    source = inspect.getsource(Association.run_reactor)
    assert source.index("if primitive is None:") < source.index("self.kill()") < source.index("requestor.primitive =")


def test_the_associations_thread_can_be_paused() -> None:
    association = Association(ApplicationEntity(), "acceptor")
    assert isinstance(association._reactor_checkpoint, threading.Event)
    assert association._reactor_checkpoint.is_set()
    assert "self._reactor_checkpoint.wait()" in inspect.getsource(Association._run_reactor)
    assert "self._reactor_checkpoint.set()" in inspect.getsource(Association.kill)


def test_events_and_states_mean_what_they_did() -> None:
    expected = {
        ("Evt17", "Sta6"): "AA-4",  # connection closed
        ("Evt19", "Sta6"): "AA-8",  # invalid PDU: A-ABORT
        ("Evt12", "Sta6"): "AR-2",  # A-RELEASE-RQ
        ("Evt16", "Sta6"): "AA-3",  # A-ABORT
        ("Evt17", "Sta2"): "AA-5",
        ("Evt19", "Sta2"): "AA-1",
        ("Evt17", "Sta13"): "AR-5",
    }
    assert {key: fsm.TRANSITION_TABLE[key] for key in expected} == expected


def test_an_association_is_made_where_the_reader_is_put() -> None:
    assert "self._create_association()" in inspect.getsource(RequestHandler.handle)
    assert "assoc.start()" in inspect.getsource(RequestHandler.handle)
    assert hasattr(AssociationServer, "verify_request")
    assert isinstance(inspect.getattr_static(AssociationSocket, "ready"), property)


def test_a_rejection_in_the_handler_ends_negotiation() -> None:
    source = inspect.getsource(Association.run_reactor)
    assert source.index("evt.EVT_REQUESTED") < source.index("not self.is_rejected") < source.index("negotiate_assoc")
    assert "EVT_REQUESTED" in {event.name for event in evt._NOTIFICATION_EVENTS}


def test_its_own_log_handlers_can_be_switched_off() -> None:
    assert isinstance(_config.LOG_HANDLER_LEVEL, str)
    assert '_config.LOG_HANDLER_LEVEL == "standard"' in inspect.getsource(Association._bind_defaults)
