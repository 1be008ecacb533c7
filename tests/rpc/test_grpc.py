"""gRPC through Cyan: every kind of call, metadata and trailers, deadlines, cancelling, failures."""

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from rpc.service import SECONDS, Service


def echo(channel: grpc.Channel) -> grpc.UnaryUnaryMultiCallable:
    return channel.unary_unary("/test/Echo")


def test_a_unary_call_has_its_metadata_and_trailers(service: Service, channel) -> None:
    metadata = [("x-user", "ana"), ("x-key-bin", b"\x00\x01\xfe")]
    answer, call = echo(channel).with_call(b"hello", metadata=metadata, timeout=SECONDS)
    assert answer == b"hello"
    assert call.code() is grpc.StatusCode.OK
    assert service.metadata["x-user"] == "ana"
    assert service.metadata["x-key-bin"] == b"\x00\x01\xfe"
    assert dict(call.initial_metadata())["x-first"] == "1"
    assert dict(call.initial_metadata())["x-deployment"] == "blue"
    trailers = dict(call.trailing_metadata())
    assert trailers["x-last"] == "2"
    assert trailers["x-last-bin"] == b"\x00\xff"


def test_an_error_keeps_its_code_words_and_trailers(channel) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary("/test/Fail")(b"", timeout=SECONDS)
    assert failed.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert failed.value.details() == "zu viele Anfragen: größer als 5 %"
    assert dict(failed.value.trailing_metadata())["x-why"] == "because"


def test_an_unknown_method_is_unimplemented(channel) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary("/test/Nothing")(b"", timeout=SECONDS)
    assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_stream_from_the_server_arrives(channel) -> None:
    split = channel.unary_stream("/test/Split")
    assert list(split(b"one two three", timeout=SECONDS)) == [b"one", b"two", b"three"]


def test_a_stream_from_the_client_arrives(channel) -> None:
    join = channel.stream_unary("/test/Join")
    assert join(iter([b"one", b"two", b"three"]), timeout=SECONDS) == b"one two three"


def test_a_conversation_goes_back_and_forth(channel) -> None:
    """Each message waits for the answer to the one before: nothing may be held back anywhere."""
    answered = threading.Semaphore(1)

    def messages():
        for number in range(20):
            assert answered.acquire(timeout=SECONDS)
            yield b"%d" % number

    heard = []
    for answer in channel.stream_stream("/test/Converse")(messages(), timeout=SECONDS):
        heard.append(answer)
        answered.release()
    assert heard == [b"you said %d" % number for number in range(20)]


def test_large_messages_pass_whole(channel) -> None:
    message = bytes(range(256)) * 32 * 1024  # 8 MiB
    assert echo(channel)(message, timeout=SECONDS) == message


def test_a_deadline_ends_the_call_on_both_sides(service: Service, channel) -> None:
    hanging = channel.unary_stream("/test/Hang")(b"", timeout=1.0)
    assert next(hanging) == b"begun"
    with pytest.raises(grpc.RpcError) as late:
        next(hanging)
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert 0 < service.time_left <= 1.0, "the server is told how much time there is"
    assert service.cancelled.wait(SECONDS)


def test_a_call_that_is_cancelled_ends_at_the_server(service: Service, channel) -> None:
    hanging = channel.unary_stream("/test/Hang")(b"", timeout=SECONDS)
    assert next(hanging) == b"begun"
    hanging.cancel()
    assert service.cancelled.wait(SECONDS)


def test_a_server_that_dies_in_the_middle_is_never_a_clean_end(service: Service, channel) -> None:
    hanging = channel.unary_stream("/test/Hang")(b"", timeout=SECONDS)
    assert next(hanging) == b"begun"
    assert service.hanging.wait(SECONDS)
    service.die()
    with pytest.raises(grpc.RpcError) as failed:
        list(hanging)
    lost = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL}
    assert failed.value.code() in lost


def test_a_dead_server_is_unavailable(service: Service, channel) -> None:
    assert echo(channel)(b"alive", timeout=SECONDS) == b"alive"
    service.die()
    with pytest.raises(grpc.RpcError) as failed:
        echo(channel)(b"", timeout=SECONDS)
    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE


def test_many_calls_at_once_are_all_answered(channel) -> None:
    def ask(number: int) -> bool:
        return echo(channel)(b"%d" % number, timeout=SECONDS) == b"%d" % number

    with ThreadPoolExecutor(32) as pool:
        assert all(pool.map(ask, range(500)))
