"""Calls of every kind through a data plane, by the gRPC library for Python on both sides.

    python3 -m venv venv && venv/bin/pip install grpcio
    venv/bin/python tests/interop/grpc_calls.py target/debug/tidegate

Needs no generated code: messages are bytes. Ends with 0 when all calls did what they should.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent import futures

import grpc

SERVICE = "/test.Echo/"
CALLS = int(os.environ.get("CALLS", "10000"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Echo(grpc.GenericRpcHandler):
    def __init__(self):
        self.cancelled = threading.Event()

    def service(self, details):
        kind = details.method.rsplit("/", 1)[1]
        return {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Server": grpc.unary_stream_rpc_method_handler(lambda request, _: (request for _ in range(100))),
            "Client": grpc.stream_unary_rpc_method_handler(lambda requests, _: b"".join(requests)),
            "Bidi": grpc.stream_stream_rpc_method_handler(lambda requests, _: (b"+" + request for request in requests)),
            "Slow": grpc.unary_unary_rpc_method_handler(self.slow),
            "Endless": grpc.unary_stream_rpc_method_handler(self.endless),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
        }.get(kind)

    def unary(self, request, context):
        metadata = dict(context.invocation_metadata())
        context.set_trailing_metadata((("seen", metadata.get("big", "")[:10]), ("bin-bin", b"\x00\x01\xff")))
        return request

    def slow(self, request, context):
        time.sleep(2)
        return request

    def endless(self, request, context):
        context.add_callback(self.cancelled.set)
        while context.is_active():
            yield request
            time.sleep(0.01)

    def fail(self, request, context):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "as told: \u00fc %")


def start_server(port, echo):
    server = grpc.server(futures.ThreadPoolExecutor(32))
    server.add_generic_rpc_handlers((echo,))
    assert server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server


def code_of(call):
    try:
        call()
    except grpc.RpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


def main():
    origin, listener, admin = free_port(), free_port(), free_port()
    echo = Echo()
    server = start_server(origin, echo)
    folder = tempfile.mkdtemp()
    config = {
        "listeners": [{"name": "g", "address": f"127.0.0.1:{listener}", "allow_h2c": True}],
        "upstreams": [
            {"name": "echo", "protocol": "h2c", "backends": [{"name": "a", "address": f"127.0.0.1:{origin}"}]}
        ],
        "routes": [{"name": "echo", "action": {"forward": {"upstream": "echo"}}, "match": {"path": {"prefix": "/test.Echo"}}}],
        "settings": {"access_log": {"file": os.path.join(folder, "access.log")}},
    }
    path = os.path.join(folder, "config.json")
    with open(path, "w") as file:
        json.dump(config, file)
    plane = subprocess.Popen(
        [sys.argv[1], "dataplane", "--config", path, "--workers", "2", "--admin-address", f"127.0.0.1:{admin}"]
    )
    try:
        channel = grpc.insecure_channel(f"127.0.0.1:{listener}")
        grpc.channel_ready_future(channel).result(timeout=20)
        unary = channel.unary_unary(SERVICE + "Unary")

        assert unary(b"hello") == b"hello"
        print("unary: ok")
        assert list(channel.unary_stream(SERVICE + "Server")(b"x" * 1000)) == [b"x" * 1000] * 100
        assert channel.stream_unary(SERVICE + "Client")(iter([b"a", b"b" * 100_000, b"c"])) == b"a" + b"b" * 100_000 + b"c"
        assert list(channel.stream_stream(SERVICE + "Bidi")(iter([b"1", b"2", b"3"]))) == [b"+1", b"+2", b"+3"]
        print("server, client and bidirectional streaming: ok")

        big = "m" * 6000
        _, call = unary.with_call(b"m", metadata=(("big", big), ("other-bin", b"\x00\xff")))
        trailing = dict(call.trailing_metadata())
        assert trailing["seen"] == big[:10] and trailing["bin-bin"] == b"\x00\x01\xff", trailing
        large = os.urandom(3_000_000)
        assert unary(large) == large
        print("metadata and 3 MB messages: ok")

        assert code_of(lambda: channel.unary_unary(SERVICE + "Fail")(b""))  == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "as told: \u00fc %",
        )
        assert code_of(lambda: channel.unary_unary(SERVICE + "Nothing")(b""))[0] == grpc.StatusCode.UNIMPLEMENTED
        assert code_of(lambda: channel.unary_unary("/no.Route/X")(b"")) [1].startswith("no_route")
        print("errors with trailers only, of the server and of the proxy: ok")

        started = time.monotonic()
        status = code_of(lambda: channel.unary_unary(SERVICE + "Slow")(b"", timeout=0.3))[0]
        assert status == grpc.StatusCode.DEADLINE_EXCEEDED and time.monotonic() - started < 1.5
        stream = channel.unary_stream(SERVICE + "Endless")(b"x")
        next(stream)
        stream.cancel()
        assert echo.cancelled.wait(10)
        print("deadline and cancellation: ok")

        pending = []
        for turn in range(CALLS):
            pending.append((turn, unary.future(b"%d" % turn)))
            if len(pending) >= 200:
                number, future = pending.pop(0)
                assert future.result(timeout=30) == b"%d" % number
        for number, future in pending:
            assert future.result(timeout=30) == b"%d" % number
        print(f"{CALLS} calls on one channel: ok")

        outcomes = {}
        stopped = threading.Event()

        def load():
            while not stopped.is_set():
                code = code_of(lambda: unary(b"load", timeout=10))[0]
                outcomes[code] = outcomes.get(code, 0) + 1

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        # Calls under way end, new ones find nobody until the successor listens.
        server.stop(5).wait()
        server = start_server(origin, echo)
        before = outcomes.get(grpc.StatusCode.OK, 0)
        deadline = time.monotonic() + 20
        while outcomes.get(grpc.StatusCode.OK, 0) < before + 100 and time.monotonic() < deadline:
            time.sleep(0.05)
        stopped.set()
        for thread in threads:
            thread.join()
        assert outcomes.get(grpc.StatusCode.OK, 0) >= before + 100, outcomes
        # The server itself answers some of the last calls before its end with CANCELLED.
        allowed = {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
        assert set(outcomes) <= allowed, outcomes
        print("restart of the server under load: ok", {code.name: count for code, count in outcomes.items()})
        channel.close()
        server.stop(0)
    finally:
        plane.terminate()
        plane.wait(30)


main()
