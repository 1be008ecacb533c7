"""A gRPC server without generated code: methods by name, messages as bytes."""

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc

MESSAGE_BYTES_MAX = 16 * 1024 * 1024
LARGE = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
]
SECONDS = 10
"""Longest wait of a test for anything."""


class Service:
    """The server on a free loopback port. A context manager."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        """A call of `/test/Hang` was given up by its client."""
        self.hanging = threading.Event()
        """A call of `/test/Hang` has come."""
        self.metadata: dict[str, str | bytes] = {}
        """Of the last unary call."""
        self.time_left: float | None = None
        """Until the deadline of the last call of `/test/Hang`."""
        self._server = grpc.server(ThreadPoolExecutor(64), options=LARGE)
        self._server.add_generic_rpc_handlers([Methods(self)])
        self.port = self._server.add_insecure_port("127.0.0.1:0")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "Service":
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait(SECONDS)

    def die(self) -> None:
        """Ends at once, in the middle of whatever it does."""
        self._server.stop(0).wait(SECONDS)


class Methods(grpc.GenericRpcHandler):
    """`/test/…`: one method per kind of call, and some that fail."""

    def __init__(self, service: Service):
        self._service = service
        self._known = {
            "/test/Echo": grpc.unary_unary_rpc_method_handler(self._echo),
            "/test/Fail": grpc.unary_unary_rpc_method_handler(self._fail),
            "/test/Split": grpc.unary_stream_rpc_method_handler(self._split),
            "/test/Join": grpc.stream_unary_rpc_method_handler(self._join),
            "/test/Converse": grpc.stream_stream_rpc_method_handler(self._converse),
            "/test/Hang": grpc.unary_stream_rpc_method_handler(self._hang),
        }

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return self._known.get(details.method)

    def _echo(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        self._service.metadata = dict(context.invocation_metadata())
        context.send_initial_metadata([("x-first", "1")])
        context.set_trailing_metadata([("x-last", "2"), ("x-last-bin", b"\x00\xff")])
        return message

    def _fail(self, _message: bytes, context: grpc.ServicerContext) -> bytes:
        context.set_trailing_metadata([("x-why", "because")])
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "zu viele Anfragen: größer als 5 %")

    def _split(self, message: bytes, _context: grpc.ServicerContext):
        for word in message.split():
            yield word

    def _join(self, messages, _context: grpc.ServicerContext) -> bytes:
        return b" ".join(messages)

    def _converse(self, messages, _context: grpc.ServicerContext):
        for message in messages:
            yield b"you said " + message

    def _hang(self, _message: bytes, context: grpc.ServicerContext):
        self._service.time_left = context.time_remaining()
        gone = threading.Event()
        context.add_callback(gone.set)
        yield b"begun"
        self._service.hanging.set()
        if gone.wait(SECONDS):
            self._service.cancelled.set()
