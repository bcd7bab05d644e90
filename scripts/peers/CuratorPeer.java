import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.locks.Revoker;
import org.apache.curator.retry.RetryOneTime;

/**
 * Apache Curator as a process that does what it is told: `java CuratorPeer.java <connect string> <session timeout in ms>`.
 *
 * Orders come line by line, `id TAB order TAB arguments`, and each is answered by `id TAB ok|error TAB text` when it is done; see
 * peers.d.mts for them. Locks belong to threads in Java, so each order has one of its own.
 */
public class CuratorPeer {
  interface Held { void release() throws Exception; }

  record Load(int threads, long ms, long holdMs) {}

  private final String connectString;
  private final int sessionMs;
  private final CuratorFramework client;
  private final List<CuratorFramework> crowd = new ArrayList<>();
  private final Map<String, CountDownLatch> holds = new ConcurrentHashMap<>();
  private final Map<String, DistributedDoubleBarrier> doubleBarriers = new ConcurrentHashMap<>();

  private CuratorPeer(String connectString, int sessionMs) throws InterruptedException {
    this.connectString = connectString;
    this.sessionMs = sessionMs;
    client = connect();
  }

  private CuratorFramework connect() throws InterruptedException {
    var connected = CuratorFrameworkFactory.newClient(connectString, sessionMs, 15_000, new RetryOneTime(200));
    connected.start();
    connected.blockUntilConnected();
    return connected;
  }

  public static void main(String[] args) throws Exception {
    var peer = new CuratorPeer(args[0], Integer.parseInt(args[1]));
    System.out.println("ready");
    var orders = new BufferedReader(new InputStreamReader(System.in));
    for (var line = orders.readLine(); line != null; line = orders.readLine()) {
      var order = line.split("\t", -1);
      var thread = new Thread(() -> peer.answer(order));
      thread.setDaemon(true);
      thread.start();
    }
    peer.client.close();
  }

  private void answer(String[] order) {
    String answer;
    try {
      answer = "ok\t" + carryOut(order);
    } catch (Throwable error) {
      answer = "error\t" + error;
    }
    say(order[0], answer);
  }

  private static void say(String id, String answer) {
    synchronized (System.out) {
      System.out.println(id + "\t" + answer);
      System.out.flush();
    }
  }

  private String carryOut(String[] order) throws Exception {
    var path = order[order.length > 3 ? 3 : 2];
    switch (order[1]) {
      case "hold":
        return hold(order[0], order[2], path, Long.parseLong(order[4]));
      case "free":
        holds.remove(order[2]).countDown();
        return "";
      case "rounds":
        return rounds(order[2], path, Integer.parseInt(order[4]), new Room(Path.of(order[5])));
      case "race":
        var load = new Load(Integer.parseInt(order[4]), Long.parseLong(order[5]), Long.parseLong(order[6]));
        return order[2].equals("apart") ? raceApart(path, load) : raceTogether(path, load);
      case "revoke":
        return revoke(order[2]);
      case "barrier":
        return barrier(order[2], new DistributedBarrier(client, path));
      case "enter":
        var entering = new DistributedDoubleBarrier(client, order[2], Integer.parseInt(order[3]));
        doubleBarriers.put(order[0], entering);
        entering.enter();
        return "";
      case "leave":
        doubleBarriers.remove(order[2]).leave();
        return "";
      default:
        throw new IllegalArgumentException("no such order: " + order[1]);
    }
  }

  /** Says `granted` and keeps it until it is to be freed, or `timeout`. */
  private String hold(String id, String kind, String path, long waitMs) throws Exception {
    var free = new CountDownLatch(1);
    holds.put(id, free);
    var held = acquire(kind, path, waitMs);
    if (held == null) return "timeout";
    say(id, "ok\tgranted");
    free.await();
    held.release();
    return "released";
  }

  private Held acquire(String kind, String path, long waitMs) throws Exception {
    var readWrite = new InterProcessReadWriteLock(client, path);
    switch (kind.split(":")[0]) {
      case "mutex":
        return lock(new InterProcessMutex(client, path), waitMs);
      case "read":
        return lock(readWrite.readLock(), waitMs);
      case "write":
        return lock(readWrite.writeLock(), waitMs);
      case "permit":
        var semaphore = new InterProcessSemaphoreV2(client, path, Integer.parseInt(kind.split(":")[1]));
        Lease lease = semaphore.acquire(waitMs, TimeUnit.MILLISECONDS);
        return lease == null ? null : () -> semaphore.returnLease(lease);
      case "leader":
        return lead(path, waitMs);
      default:
        throw new IllegalArgumentException("no such kind: " + kind);
    }
  }

  private static Held lock(InterProcessMutex mutex, long waitMs) throws Exception {
    return mutex.acquire(waitMs, TimeUnit.MILLISECONDS) ? mutex::release : null;
  }

  private Held lead(String path, long waitMs) throws Exception {
    var leads = new CountDownLatch(1);
    var resigns = new CountDownLatch(1);
    var selector = new LeaderSelector(client, path, new LeaderSelectorListenerAdapter() {
      @Override
      public void takeLeadership(CuratorFramework ignored) throws Exception {
        leads.countDown();
        resigns.await();
      }
    });
    selector.setId("curator");
    selector.start();
    if (leads.await(waitMs, TimeUnit.MILLISECONDS)) {
      return () -> {
        resigns.countDown();
        selector.close();
      };
    }
    selector.close();
    return null;
  }

  /** So many rounds of acquire, be inside, release. Says how often somebody was met inside who must not be there. */
  private String rounds(String kind, String path, int count, Room room) throws Exception {
    int violations = 0;
    for (int round = 0; round < count; round++) {
      var held = acquire(kind, path, 60_000);
      if (held == null) throw new IllegalStateException("stuck in round " + round);
      try {
        if (!room.visit(kind)) violations++;
      } finally {
        held.release();
      }
    }
    return String.valueOf(violations);
  }

  /** Threads with a lock each, over one connection. Says how many rounds they did. */
  private String raceApart(String path, Load load) throws Exception {
    var mutexes = new InterProcessMutex[load.threads()];
    for (int at = 0; at < mutexes.length; at++) mutexes[at] = new InterProcessMutex(client, path + "/" + at);
    return race(mutexes, load);
  }

  /** Threads with one lock for all, and a connection each. Says how many rounds they did. */
  private String raceTogether(String path, Load load) throws Exception {
    while (crowd.size() < load.threads()) crowd.add(connect());
    var mutexes = new InterProcessMutex[load.threads()];
    for (int at = 0; at < mutexes.length; at++) mutexes[at] = new InterProcessMutex(crowd.get(at), path);
    return race(mutexes, load);
  }

  private static String race(InterProcessMutex[] mutexes, Load load) throws Exception {
    var goesOn = new AtomicBoolean(true);
    var done = new AtomicInteger();
    var threads = new ArrayList<Thread>();
    for (var mutex : mutexes) threads.add(new Thread(() -> loop(mutex, load.holdMs(), goesOn, done)));
    for (var thread : threads) thread.start();
    Thread.sleep(load.ms());
    int count = done.get();
    goesOn.set(false);
    for (var thread : threads) thread.join();
    return String.valueOf(count);
  }

  private static void loop(InterProcessMutex mutex, long holdMs, AtomicBoolean goesOn, AtomicInteger done) {
    try {
      while (goesOn.get()) {
        mutex.acquire();
        if (holdMs > 0) Thread.sleep(holdMs);
        mutex.release();
        done.incrementAndGet();
      }
    } catch (Exception error) {
      throw new IllegalStateException(error);
    }
  }

  /** Asks whoever is first. */
  private String revoke(String path) throws Exception {
    var first = client.getChildren().forPath(path).stream()
        .filter(name -> name.contains("lock-"))
        .min((a, b) -> a.substring(a.length() - 10).compareTo(b.substring(b.length() - 10)));
    Revoker.attemptRevoke(client, path + "/" + first.orElseThrow());
    return "";
  }

  private static String barrier(String what, DistributedBarrier barrier) throws Exception {
    switch (what) {
      case "set":
        barrier.setBarrier();
        return "";
      case "remove":
        barrier.removeBarrier();
        return "";
      default:
        barrier.waitOnBarrier();
        return "";
    }
  }

  /** A folder in which everybody inside has a file, whatever language they speak. */
  private static final class Room {
    private final Path folder;

    Room(Path folder) {
      this.folder = folder;
    }

    /** False when somebody is inside who must not be. */
    boolean visit(String kind) throws Exception {
      var name = kind.split(":")[0] + "-" + java.util.UUID.randomUUID();
      var own = folder.resolve(name);
      java.nio.file.Files.createFile(own);
      try {
        Thread.sleep(1);
        return isAllowed(kind);
      } finally {
        java.nio.file.Files.delete(own);
      }
    }

    private boolean isAllowed(String kind) {
      var inside = folder.toFile().list();
      if (kind.startsWith("permit:")) return inside.length <= Integer.parseInt(kind.split(":")[1]);
      if (kind.equals("read")) return Arrays.stream(inside).allMatch(name -> name.startsWith("read-"));
      return inside.length == 1;
    }
  }
}
