#!/usr/bin/env python3
"""Load on real servers over loopback, from several clients at once, until standard input ends; then a JSON report.

load.py HTTP_PORT REDIS_PORT LEDGER_PORT. Every reply is checked. One client walks the ledger server through /1, /2, /3, ...
so that each of its log lines has a number. A failure is a refused or broken connection, a wrong reply, or none in time.
"""
import http.client
import json
import socket
import sys
import threading

PATIENCE = 30  # seconds for one reply
BODY = b"hello from nginx\n"


class Client(threading.Thread):
    def __init__(self, name, port, stop):
        super().__init__(name=name, daemon=True)
        self.port, self.stop = port, stop
        self.requests = 0
        self.failures = []

    def run(self):
        while not self.stop.is_set() and len(self.failures) < 20:
            try:
                self.work()
            except Exception as error:  # noqa: BLE001 - every kind of failure is what we are here to count
                self.failures.append(f"after {self.requests} requests: {type(error).__name__}: {error}")


class KeptHttp(Client):
    """One connection for as long as the server keeps it."""

    def work(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        while not self.stop.is_set():
            self.ask(connection)
        connection.close()

    def ask(self, connection):
        connection.request("GET", "/")
        reply = connection.getresponse()
        body = reply.read()
        if (reply.status, body) != (200, BODY):
            raise ValueError(f"wrong reply: {reply.status} {body[:80]!r}")
        self.requests += 1


class NewHttp(KeptHttp):
    """A connection for each request."""

    def work(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            self.ask(connection)
        finally:
            connection.close()


class Ledger(Client):
    def work(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        while not self.stop.is_set():
            number = self.requests + 1
            connection.request("GET", f"/{number}")
            reply = connection.getresponse()
            body = reply.read()
            if (reply.status, body) != (200, b"%d\n" % number):
                raise ValueError(f"wrong reply to {number}: {reply.status} {body[:80]!r}")
            self.requests = number
        connection.close()


class KeptRedis(Client):
    def work(self):
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
            with connection.makefile("rwb") as stream:
                while not self.stop.is_set():
                    self.ask(stream)

    def ask(self, stream):
        value = f"{self.requests}"
        self.command(stream, "SET", self.name, value, expect=b"+OK")
        self.command(stream, "GET", self.name, expect=b"$%d" % len(value))
        if stream.readline().strip() != value.encode():
            raise ValueError("another value than the one that was set")
        self.requests += 1

    @staticmethod
    def command(stream, *words, expect):
        stream.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words))
        stream.flush()
        reply = stream.readline().strip()
        if reply != expect:
            raise ValueError(f"wrong reply to {words}: {reply!r}")


class NewRedis(KeptRedis):
    def work(self):
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
            with connection.makefile("rwb") as stream:
                self.ask(stream)


def main():
    http_port, redis_port, ledger_port = map(int, sys.argv[1:])
    stop = threading.Event()
    clients = [KeptHttp("http-kept-1", http_port, stop), KeptHttp("http-kept-2", http_port, stop),
               NewHttp("http-new", http_port, stop), KeptRedis("redis-kept", redis_port, stop),
               NewRedis("redis-new", redis_port, stop), Ledger("ledger", ledger_port, stop)]
    for client in clients:
        client.start()
    print("started", flush=True)
    sys.stdin.read()
    stop.set()
    for client in clients:
        client.join(PATIENCE * 2)
    print(json.dumps({client.name: {"requests": client.requests, "failures": client.failures,
                                    "ended": not client.is_alive()} for client in clients}))


if __name__ == "__main__":
    main()
