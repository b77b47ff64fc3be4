"""A websocket server that answers in capitals."""

from websockets.sync.server import serve


def answer(connection):
    for message in connection:
        connection.send(message.upper())


with serve(answer, "127.0.0.1", 0) as server:
    print(server.socket.getsockname()[1], flush=True)
    server.serve_forever()
