"""A gRPC service that answers in capitals."""

from concurrent import futures

import grpc

server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
place = grpc.unary_unary_rpc_method_handler(lambda order, _: order.upper())
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("shop.Orders", {"Place": place})])
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
