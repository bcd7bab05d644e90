"""kazoo as a process that does what it is told: `kazoo_peer.py <connect string> <session timeout in ms>`.

Orders come line by line, `id TAB order TAB arguments`, and each is answered by `id TAB ok|error TAB text` when it is done; see
peers.d.mts for them.
"""

import os
import sys
import threading
import time
import uuid

from kazoo.client import KazooClient
from kazoo.exceptions import LockTimeout
from kazoo.recipe.barrier import Barrier, DoubleBarrier

output = threading.Lock()


def say(order_id, answer):
    with output:
        sys.stdout.write(f"{order_id}\t{answer}\n")
        sys.stdout.flush()


class Room:
    """A folder in which everybody inside has a file, whatever language they speak."""

    def __init__(self, folder):
        self.folder = folder

    def visit(self, kind):
        """False when somebody is inside who must not be."""
        own = os.path.join(self.folder, f"{kind.split(':')[0]}-{uuid.uuid4()}")
        os.close(os.open(own, os.O_CREAT | os.O_EXCL))
        try:
            time.sleep(0.001)
            return self.is_allowed(kind)
        finally:
            os.unlink(own)

    def is_allowed(self, kind):
        inside = os.listdir(self.folder)
        if kind.startswith("permit:"):
            return len(inside) <= int(kind.split(":")[1])
        if kind == "read":
            return all(name.startswith("read-") for name in inside)
        return len(inside) == 1


class Peer:
    def __init__(self, connect):
        self.connect = connect
        self.client = connect()
        self.crowd = []
        self.holds = {}
        self.double_barriers = {}

    def answer(self, order):
        try:
            answer = f"ok\t{self.carry_out(order)}"
        except BaseException as error:  # whatever it is, whoever ordered wants to know
            answer = f"error\t{error!r}"
        say(order[0], answer)

    def carry_out(self, order):
        name, arguments = order[1], order[2:]
        if name == "hold":
            return self.hold(order[0], *arguments)
        if name == "free":
            self.holds.pop(arguments[0]).set()
            return ""
        if name == "rounds":
            return self.rounds(arguments[0], arguments[1], int(arguments[2]), Room(arguments[3]))
        if name == "race":
            threads, ms, hold_ms = (int(argument) for argument in arguments[2:])
            return self.race(self.locks_for(arguments[0], arguments[1], threads), ms / 1000, hold_ms / 1000)
        if name == "barrier":
            return self.barrier(*arguments)
        if name == "enter":
            barrier = DoubleBarrier(self.client, arguments[0], int(arguments[1]))
            self.double_barriers[order[0]] = barrier
            barrier.enter()
            return ""
        if name == "leave":
            self.double_barriers.pop(arguments[0]).leave()
            return ""
        raise ValueError(f"no such order: {name}")

    def hold(self, order_id, kind, path, wait_ms):
        """Says `granted` and keeps it until it is to be freed, or `timeout`."""
        free = self.holds[order_id] = threading.Event()
        if kind == "leader":
            return self.lead(order_id, path, free)
        lock = self.lock(kind, path)
        try:
            if not lock.acquire(timeout=float(wait_ms) / 1000):
                return "timeout"
        except LockTimeout:
            return "timeout"
        say(order_id, "ok\tgranted")
        free.wait()
        lock.release()
        return "released"

    def lead(self, order_id, path, free):
        def leads():
            say(order_id, "ok\tgranted")
            free.wait()

        self.client.Election(path, "kazoo").run(leads)
        return "released"

    def lock(self, kind, path):
        if kind == "mutex":
            return self.client.Lock(path, "kazoo")
        if kind == "read":
            return self.client.ReadLock(path, "kazoo")
        if kind == "write":
            return self.client.WriteLock(path, "kazoo")
        if kind.startswith("permit:"):
            return self.client.Semaphore(path, "kazoo", max_leases=int(kind.split(":")[1]))
        raise ValueError(f"no such kind: {kind}")

    def rounds(self, kind, path, count, room):
        """So many rounds of acquire, be inside, release. Says how often somebody was met inside who must not be there."""
        violations = 0
        for _ in range(count):
            lock = self.lock(kind, path)
            lock.acquire(timeout=60)
            try:
                if not room.visit(kind):
                    violations += 1
            finally:
                lock.release()
        return violations

    def locks_for(self, placement, path, threads):
        """A lock each over one connection (`apart`), or one for all with a connection each (`together`)."""
        if placement == "apart":
            return [self.client.Lock(f"{path}/{at}", "kazoo") for at in range(threads)]
        while len(self.crowd) < threads:
            self.crowd.append(self.connect())
        return [self.crowd[at].Lock(path, "kazoo") for at in range(threads)]

    def race(self, locks, seconds, hold_seconds):
        """As many rounds of acquire and release as a thread for each lock gets done. Says how many."""
        stop = threading.Event()
        counts = [0] * len(locks)

        def loop(at, lock):
            while not stop.is_set():
                with lock:
                    if hold_seconds > 0:
                        time.sleep(hold_seconds)
                counts[at] += 1

        crew = [threading.Thread(target=loop, args=(at, lock), daemon=True) for at, lock in enumerate(locks)]
        for thread in crew:
            thread.start()
        time.sleep(seconds)
        done = sum(counts)
        stop.set()
        for thread in crew:
            thread.join()
        return done

    def barrier(self, what, path):
        barrier = Barrier(self.client, path)
        if what == "set":
            barrier.create()
        elif what == "remove":
            barrier.remove()
        else:
            barrier.wait()
        return ""


def main():
    def connect():
        client = KazooClient(hosts=sys.argv[1], timeout=float(sys.argv[2]) / 1000)
        client.start()
        return client

    peer = Peer(connect)
    print("ready", flush=True)
    for line in sys.stdin:
        order = line.rstrip("\n").split("\t")
        threading.Thread(target=peer.answer, args=(order,), daemon=True).start()
    peer.client.stop()


main()
