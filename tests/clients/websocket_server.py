"""A WebSocket server by Debian's python3-websockets: echoes; tells its port in the first line."""
import asyncio
import http

import websockets


async def serve_one(socket):
    async for message in socket:
        if message == "close":
            await socket.close(1001, "as asked")
            return
        await socket.send(message)


async def probe(path, headers):
    if path == "/health":
        return http.HTTPStatus.OK, [], b"ok\n"
    if path == "/refuse":
        return http.HTTPStatus.FORBIDDEN, [], b"no sockets here\n"
    return None


async def main():
    async with websockets.serve(serve_one, "127.0.0.1", 0, process_request=probe,
                                max_size=1 << 24, subprotocols=["chat"]) as server:
        print("port", server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


asyncio.run(main())
