"""Talks to a WebSocket echo server at the URI given: every size and kind, pings, and a close."""
import asyncio
import os
import ssl
import sys

import websockets


async def main(uri):
    context = None
    if uri.startswith("wss:"):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    async with websockets.connect(uri, ssl=context, max_size=1 << 24,
                                  subprotocols=["chat"]) as socket:
        assert socket.subprotocol == "chat", socket.subprotocol
        for size in (0, 1, 125, 126, 65535, 65536, 1 << 20, 1 << 22):
            message = os.urandom(size)
            await socket.send(message)
            assert await socket.recv() == message, size
        await socket.send("grüße")
        assert await socket.recv() == "grüße"
        # Many at once, and pings among them.
        async def receive_all():
            for i in range(200):
                assert await socket.recv() == str(i)
        receiving = asyncio.create_task(receive_all())
        for i in range(200):
            await socket.send(str(i))
            if i % 20 == 0:
                await (await socket.ping())
        await receiving
        await socket.send("close")
        try:
            await socket.recv()
            raise AssertionError("no close came")
        except websockets.ConnectionClosed as closed:
            assert closed.code == 1001 and closed.reason == "as asked", closed
    print("good")


asyncio.run(asyncio.wait_for(main(sys.argv[1]), 60))
