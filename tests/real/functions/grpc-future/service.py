"""A gRPC service that takes its time."""

import time
from concurrent import futures

import grpc


def answer(order, context):
    time.sleep(0.2)
    return order.upper()


server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
place = grpc.unary_unary_rpc_method_handler(answer)
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("shop.Orders", {"Place": place})])
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
