"""A receiver of webhooks, on Python's own HTTP server. Prints `port N`, then a line for each call:
its number, status, Authorization, X-Source and body. /fail/N answers 500 to the first N calls,
/status/S always S, anything else 200."""
import http.server
import itertools
import threading

numbers = itertools.count(1)
lock = threading.Lock()
failed = {}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        words = self.path.strip("/").split("/")
        status = 200
        with lock:
            if words[0] == "fail":
                failed[self.path] = failed.get(self.path, 0) + 1
                status = 500 if failed[self.path] <= int(words[1]) else 200
            elif words[0] == "status":
                status = int(words[1])
            print(next(numbers), status, self.headers.get("Authorization", "-").replace(" ", "_"),
                  self.headers.get("X-Source", "-"), body.strip(), flush=True)
        answer = b"because I say so\n"
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *words):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("port", server.server_address[1], flush=True)
server.serve_forever()
