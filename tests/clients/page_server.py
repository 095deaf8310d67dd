"""A page of a hundred resources of several kinds, and the beacon that says they are all there."""
import http.server
import json
import urllib.parse
import zlib

COUNT = 100


def image(seed):
    """A PNG of 8x8, made by hand."""
    def chunk(kind, body):
        return (len(body).to_bytes(4, "big") + kind + body +
                zlib.crc32(kind + body).to_bytes(4, "big"))
    rows = b"".join(b"\0" + bytes((seed * 3 + x) % 256 for x in range(8)) for _ in range(8))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", b"\0\0\0\x08\0\0\0\x08\x08\0\0\0\0") +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


PAGE = """<!doctype html><title>loading</title>
<link rel="stylesheet" href="/style.css"><body><script>
let left = %d, bad = 0;
function one(good) {
  if (!good) bad++;
  if (--left) return;
  const how = [...new Set(performance.getEntriesByType("resource").map(e => e.nextHopProtocol))];
  document.title = "loaded, " + bad + " bad, over " + how.join("+");
  fetch("/beacon?bad=" + bad + "&over=" + how.join("+"), {method: "POST", body: "x".repeat(100000)});
}
for (let i = 0; i < %d; i++) {
  if (i %% 2) {
    const image = new Image();
    image.onload = () => one(image.width === 8);
    image.onerror = () => one(false);
    image.src = "/image/" + i + ".png";
  } else {
    fetch("/data/" + i + ".json").then(r => r.json()).then(j => one(j.number === i))
      .catch(() => one(false));
  }
}
</script></body>""" % (COUNT, COUNT)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, kind, body):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path = urllib.parse.urlparse(self.path).path
        if path.startswith("/image/"):
            return self.answer("image/png", image(int(path[7:-4])))
        if path.startswith("/data/"):
            number = int(path[6:-5])
            return self.answer("application/json",
                               json.dumps({"number": number, "fill": "x" * number * 500}).encode())
        if path == "/style.css":
            return self.answer("text/css", b"body { color: navy }")
        if path == "/favicon.ico":
            return self.answer("image/png", image(0))
        return self.answer("text/html", PAGE.encode())

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer("text/plain", b"thanks\n")
        print("beacon", urllib.parse.urlparse(self.path).query, flush=True)


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256


server = Server(("127.0.0.1", 0), Handler)
print("port", server.server_address[1], flush=True)
server.serve_forever()
