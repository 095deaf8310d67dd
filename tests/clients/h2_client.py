"""Python's h2 over a plain or TLS socket: GETs, an upload with flow control, many streams.

usage: h2_client.py PORT [tls]
"""
import socket
import ssl
import sys

import h2.config
import h2.connection
import h2.events


class Client:
    def __init__(self, port, tls):
        sock = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.scheme = "https" if tls else "http"
        if tls:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.set_alpn_protocols(["h2"])
            sock = context.wrap_socket(sock, server_hostname="localhost")
            assert sock.selected_alpn_protocol() == "h2"
        self.sock = sock
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.h2.initiate_connection()
        self.answers = {}

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.sock.sendall(data)

    def begin(self, method, path, fields=(), end=True):
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, [(":method", method), (":scheme", self.scheme),
                                      (":authority", "localhost"), (":path", path), *fields],
                             end_stream=end)
        self.answers[stream] = {"headers": {}, "body": b"", "done": False, "trailers": {}}
        return stream

    def step(self):
        self.flush()
        data = self.sock.recv(65536)
        assert data, "the connection ended"
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.ConnectionTerminated):
                raise AssertionError(f"GOAWAY {event}")
            if isinstance(event, h2.events.StreamReset):
                raise AssertionError(f"reset {event}")
            if isinstance(event, h2.events.ResponseReceived):
                self.answers[event.stream_id]["headers"] = dict(event.headers)
            if isinstance(event, h2.events.TrailersReceived):
                self.answers[event.stream_id]["trailers"] = dict(event.headers)
            if isinstance(event, h2.events.DataReceived):
                self.answers[event.stream_id]["body"] += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if isinstance(event, h2.events.StreamEnded):
                self.answers[event.stream_id]["done"] = True
        self.flush()

    def finish(self, stream):
        while not self.answers[stream]["done"]:
            self.step()
        return self.answers.pop(stream)

    def upload(self, path, body):
        stream = self.begin("POST", path, [("content-length", str(len(body)))], end=False)
        at = 0
        while at < len(body):
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if room == 0:
                self.step()
                continue
            piece = body[at:at + room]
            at += len(piece)
            self.h2.send_data(stream, piece, end_stream=at == len(body))
            self.flush()
        return self.finish(stream)


def main():
    client = Client(int(sys.argv[1]), len(sys.argv) > 2)
    answer = client.finish(client.begin("GET", "/"))
    headers = {k.decode() if isinstance(k, bytes) else k: v for k, v in answer["headers"].items()}
    assert str(headers[":status"]) in ("200", "b'200'"), headers
    streams = [client.begin("GET", f"/bytes/{size}") for size in range(0, 50_000, 1000)]
    for size, stream in zip(range(0, 50_000, 1000), streams):
        assert len(client.finish(stream)["body"]) == size
    body = bytes(range(256)) * 8192
    assert client.upload("/echo", body)["body"] == body
    answer = client.finish(client.begin("GET", "/trailers"))
    assert len(answer["trailers"]) >= 2, answer["trailers"]
    print("good")


main()
