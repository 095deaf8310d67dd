"""A gRPC server and client without generated code: identity serializers, generic handlers.

usage: grpc_echo.py server [CERT KEY]
       grpc_echo.py client HOST:PORT [CA]
       grpc_echo.py down HOST:PORT          the server is down: UNAVAILABLE
       grpc_echo.py unknown HOST:PORT       no such route: UNIMPLEMENTED
       grpc_echo.py load HOST:PORT AUTHORITY    calls until SIGTERM; says how many
"""
import concurrent.futures
import signal
import sys
import time

import grpc

NAME = "test.Echo"
SIZE = [("grpc.max_receive_message_length", 1 << 25), ("grpc.max_send_message_length", 1 << 25)]


def unary(request, context):
    context.send_initial_metadata((("x-first", "1"),))
    context.set_trailing_metadata((("x-last", "2"), ("x-bytes-bin", b"\x00\xff")))
    return request


def fail(request, context):
    context.set_trailing_metadata((("x-why", "because"),))
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "grüße: not %d%% ready" % 100)


def slow(request, context):
    time.sleep(5)
    return request


def split(request, context):
    for i in range(len(request)):
        yield request[i:i + 1]


def join(requests, context):
    return b"".join(requests)


def echo(requests, context):
    for request in requests:
        yield request


def serve(certificate):
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), options=SIZE)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NAME, {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "Slow": grpc.unary_unary_rpc_method_handler(slow),
        "Split": grpc.unary_stream_rpc_method_handler(split),
        "Join": grpc.stream_unary_rpc_method_handler(join),
        "Echo": grpc.stream_stream_rpc_method_handler(echo),
    }),))
    if certificate:
        pem, key = (open(path, "rb").read() for path in certificate)
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, pem)]))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print("port", port, flush=True)
    server.wait_for_termination()


def connect(target, ca):
    if not ca:
        return grpc.insecure_channel(target, options=SIZE)
    credentials = grpc.ssl_channel_credentials(open(ca, "rb").read())
    return grpc.secure_channel(target, credentials,
                               options=SIZE + [("grpc.ssl_target_name_override", "localhost")])


def method(kind, channel, name):
    return getattr(channel, kind)(f"/{NAME}/{name}")


def expect_status(call, code):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, error
        return error
    raise AssertionError(f"no error, but {code} was due")


def run(channel):
    unary_call = method("unary_unary", channel, "Unary")
    answer, call = unary_call.with_call(b"hello", timeout=30)
    assert answer == b"hello"
    assert dict(call.initial_metadata())["x-first"] == "1"
    trailing = dict(call.trailing_metadata())
    assert trailing["x-last"] == "2" and trailing["x-bytes-bin"] == b"\x00\xff", trailing
    assert unary_call(b"", timeout=30) == b""
    large = bytes(range(256)) * (16 << 10)
    assert unary_call(large, timeout=60) == large
    assert b"".join(method("unary_stream", channel, "Split")(b"streaming", timeout=30)) == b"streaming"
    parts = [b"x" * size for size in (0, 1, 1000, 100_000, 1)]
    assert method("stream_unary", channel, "Join")(iter(parts), timeout=30) == b"".join(parts)

    # Ping-pong: each answer is in before the next question goes out.
    import queue
    questions = queue.Queue()
    answers = method("stream_stream", channel, "Echo")(iter(questions.get, None), timeout=30)
    for i in range(50):
        questions.put(b"%d" % i)
        assert next(answers) == b"%d" % i
    questions.put(None)
    assert list(answers) == []

    error = expect_status(lambda: method("unary_unary", channel, "Fail")(b"", timeout=30),
                          grpc.StatusCode.FAILED_PRECONDITION)
    assert error.details() == "grüße: not 100% ready", error.details()
    assert dict(error.trailing_metadata())["x-why"] == "because"
    expect_status(lambda: method("unary_unary", channel, "Slow")(b"", timeout=0.5),
                  grpc.StatusCode.DEADLINE_EXCEEDED)
    expect_status(lambda: method("unary_unary", channel, "Nothing")(b"", timeout=30),
                  grpc.StatusCode.UNIMPLEMENTED)
    many = [unary_call.future(b"%d" % i, timeout=60) for i in range(200)]
    assert [call.result() for call in many] == [b"%d" % i for i in range(200)]


def load(target, authority):
    options = SIZE + [("grpc.default_authority", authority)]
    channel = grpc.insecure_channel(target, options=options)
    over = []
    signal.signal(signal.SIGTERM, lambda *_: over.append(True))
    print("client runs", flush=True)
    calls = 0
    while not over:
        message = b"%d" % calls * (calls % 100)
        assert method("unary_unary", channel, "Unary")(message, timeout=30) == message
        parts = [message, b"", b"x"]
        assert list(method("stream_stream", channel, "Echo")(iter(parts), timeout=30)) == parts
        calls += 2
        time.sleep(0.002)
    print("calls", calls)


def main():
    what, rest = sys.argv[1], sys.argv[2:]
    if what == "server":
        return serve(rest)
    if what == "load":
        return load(*rest)
    channel = connect(rest[0], rest[1] if len(rest) > 1 else None)
    if what == "client":
        run(channel)
    else:
        code = {"down": grpc.StatusCode.UNAVAILABLE, "unknown": grpc.StatusCode.UNIMPLEMENTED}[what]
        error = expect_status(lambda: method("unary_unary", channel, "Unary")(b"x", timeout=30), code)
        print("details", error.details())
    print("good")


main()
