// A TCP proxy in front of PostgreSQL that does what networks do: cuts at any byte, stalls, delays, resets, refuses.
import { EventEmitter, once } from "node:events";
import { connect, createServer } from "node:net";

const TO_SERVER = "toServer";
const TO_CLIENT = "toClient";
/** The code of https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-CANCELREQUEST */
const CANCEL_REQUEST = 80877102;

class Connection extends EventEmitter {
  /** Bytes forwarded in either direction. */
  passed = { [TO_SERVER]: 0, [TO_CLIENT]: 0 };
  /** What the client has sent, when the proxy records. */
  sent = [];
  closed = false;
  /** How often the direction changed, the first message included: two make a round trip. */
  flights = 0;
  #last;
  #proxy;
  #client;
  #server;
  #due = { [TO_SERVER]: 0, [TO_CLIENT]: 0 };
  /** What is on its way in either direction, the oldest first. */
  #delayed = { [TO_SERVER]: [], [TO_CLIENT]: [] };

  constructor(proxy, client, server) {
    super();
    this.#proxy = proxy;
    this.#client = client;
    this.#server = server;
    client.setNoDelay(true);
    server.setNoDelay(true);
    client.on("data", (bytes) => this.#arrived(TO_SERVER, bytes));
    server.on("data", (bytes) => this.#arrived(TO_CLIENT, bytes));
    for (const socket of [client, server]) {
      socket.on("error", () => {});
      socket.on("end", () => this.#afterDelay(TO_SERVER, () => this.#afterDelay(TO_CLIENT, () => this.close("end"))));
      socket.on("close", () => this.close("reset"));
    }
  }

  #arrived(direction, bytes) {
    if (this.closed) return;
    if (direction !== this.#last) this.flights += 1;
    this.#last = direction;
    if (direction === TO_SERVER && this.#proxy.recording) this.sent.push(bytes);
    const at = this.#proxy.cutIn(this, direction, bytes);
    if (at) {
      this.#client.pause();
      this.#server.pause();
    }
    this.#afterDelay(direction, () => {
      const to = direction === TO_SERVER ? this.#server : this.#client;
      const part = at ? at.bytes ?? bytes.subarray(0, at.index) : bytes;
      this.passed[direction] += part.length;
      if (at) to.write(part, () => at.cut(this));
      else to.write(part);
      this.#proxy.emit("forwarded", this, direction);
    });
  }

  #afterDelay(direction, act) {
    const now = performance.now();
    // Never earlier than what was sent before it, even if the delay has since become shorter.
    const due = Math.max(this.#due[direction], now + this.#proxy.latency());
    this.#due[direction] = due;
    const delayed = this.#delayed[direction];
    if (due <= now && delayed.length === 0) {
      act();
      return;
    }
    // A timer may be late: whichever is over first is for the oldest.
    delayed.push(act);
    setTimeout(() => {
      const oldest = delayed.shift();
      if (!this.closed) oldest();
    }, due - now);
  }

  /** Forwards nothing more, in neither direction, and stays open: a black hole. */
  stall() {
    this.#client.pause();
    this.#server.pause();
  }

  resume() {
    this.#client.resume();
    this.#server.resume();
  }

  /** Sends the server what was kept from it, and goes on. */
  send(bytes) {
    this.#server.write(bytes);
    this.resume();
  }

  /** `reset` is rude, `end` is polite; both are final. */
  close(how) {
    if (this.closed) return;
    this.closed = true;
    for (const socket of [this.#client, this.#server]) {
      if (how === "reset") socket.resetAndDestroy();
      else socket.destroySoon();
    }
    this.emit("close");
  }
}

class Proxy extends EventEmitter {
  connections = new Set();
  /** How many connections were ever accepted. */
  accepted = 0;
  recording = false;
  /** Milliseconds that the next bytes take on their way. */
  latency = () => 0;
  #listener;
  #target;
  #rules = new Set();
  #stalling = false;
  #fate;
  #recorded = [];

  constructor(target) {
    super();
    this.#target = target;
  }

  /** `url` with the proxy in the server's place. */
  url(url) {
    const through = new URL(url);
    through.hostname = "127.0.0.1";
    through.port = this.port;
    return through.href;
  }

  /** Accepts connections (again). */
  async accept() {
    this.#listener = createServer((client) => this.#accepted(client)).listen(this.port ?? 0, "127.0.0.1");
    await once(this.#listener, "listening");
    this.port = this.#listener.address().port;
  }

  /** New connections meet ECONNREFUSED; those that are open are reset. */
  async refuse() {
    const closed = once(this.#listener, "close");
    this.#listener.close();
    this.reset();
    await closed;
  }

  #accepted(client) {
    const server = connect(this.#target);
    const connection = new Connection(this, client, server);
    this.accepted += 1;
    this.connections.add(connection);
    if (this.recording) this.#recorded.push(connection);
    connection.once("close", () => {
      this.connections.delete(connection);
      this.emit("closed", connection);
    });
    if (this.#stalling) connection.stall();
    if (this.#fate) this.#meet(connection, this.#fate);
    this.emit("connection", connection);
  }

  /** Where in `bytes` a rule wants the connection cut. */
  cutIn(connection, direction, bytes) {
    for (const rule of this.#rules) {
      const cut = rule(connection, direction, bytes);
      if (cut) return cut;
    }
    return undefined;
  }

  /** Resolves when `find`, which gives the number of bytes to forward first, has found where to cut, and it is cut. */
  #cutWhere(find, { how = "reset", connection: only } = {}) {
    return new Promise((resolve) => {
      const rule = (connection, direction, bytes) => {
        if (only && only !== connection) return undefined;
        const index = find(connection, direction, bytes);
        if (index === undefined) return undefined;
        this.#rules.delete(rule);
        const cut = () => {
          connection.close(how);
          resolve(connection);
        };
        return { index, cut };
      };
      this.#rules.add(rule);
    });
  }

  /** Forwards so many more bytes in one direction, over whatever connection, and cuts the one that carried the last. */
  cutAfter(bytes, { direction = TO_CLIENT, ...options } = {}) {
    let left = bytes;
    return this.#cutWhere((_, way, chunk) => {
      if (way !== direction) return undefined;
      if (chunk.length >= left) return left;
      left -= chunk.length;
      return undefined;
    }, options);
  }

  /** Cuts the message to the server in which `text` appears, with that part of it (0 to 1) forwarded, not all of it. */
  cutWhileSent(text, part, options) {
    return this.#cutWhere((_, way, chunk) => {
      if (way !== TO_SERVER || !chunk.includes(text)) return undefined;
      return Math.min(Math.floor(part * chunk.length), chunk.length - 1);
    }, options);
  }

  /** Lets `text` reach the server, forwards so many bytes of what the server answers, and cuts. */
  cutAnswer(text, bytes, options) {
    let asked;
    let left = bytes;
    return this.#cutWhere((connection, way, chunk) => {
      if (way === TO_SERVER) {
        if (!asked && chunk.includes(text)) asked = connection;
        return undefined;
      }
      if (connection !== asked) return undefined;
      if (chunk.length > left) return left;
      left -= chunk.length;
      return undefined;
    }, options);
  }

  /**
   * Gives the client what `change` makes of the bytes of the server in which `text` appears, once. Then the connection
   * ends, or stays as it is.
   */
  changeAnswer(text, change, { how = "end" } = {}) {
    return new Promise((resolve) => {
      const rule = (_, way, chunk) => {
        if (way !== TO_CLIENT || !chunk.includes(text)) return undefined;
        this.#rules.delete(rule);
        const cut = (connection) => {
          if (how === "stay") connection.resume();
          else connection.close(how);
          resolve(connection);
        };
        return { bytes: change(chunk), cut };
      };
      this.#rules.add(rule);
    });
  }

  /** Keeps the next request to cancel from the server, and resolves to the function that lets it go there. */
  holdCancel() {
    return new Promise((resolve) => {
      const rule = (_, way, chunk) => {
        if (way !== TO_SERVER || chunk.length !== 16 || chunk.readInt32BE(4) !== CANCEL_REQUEST) return undefined;
        this.#rules.delete(rule);
        return { index: 0, cut: (connection) => resolve(() => connection.send(chunk)) };
      };
      this.#rules.add(rule);
    });
  }

  /** A black hole for what is open and for what is opened later. */
  stall() {
    this.#stalling = true;
    for (const connection of this.connections) connection.stall();
  }

  resume() {
    this.#stalling = false;
    for (const connection of this.connections) connection.resume();
  }

  reset() {
    for (const connection of this.connections) connection.close("reset");
  }

  /** From now on every connection meets a fate of its own, those that are open included. */
  chaos(random) {
    this.#fate = random;
    this.latency = () => (random.fraction() < 0.2 ? random.between(0, 4) : 0);
    for (const connection of this.connections) this.#meet(connection, random);
  }

  /** No new faults, and what is open lives on. */
  calm() {
    this.#fate = undefined;
    this.#rules.clear();
    this.latency = () => 0;
    this.resume();
  }

  #meet(connection, random) {
    const direction = random.pick([TO_SERVER, TO_CLIENT]);
    const how = random.pick(["reset", "reset", "end"]);
    if (random.fraction() < 0.15) {
      const left = random.between(0, 40);
      setTimeout(() => this.#fate && connection.stall(), left);
      setTimeout(() => this.#fate && connection.close(how), left + random.between(20, 200));
      return;
    }
    this.cutAfter(random.magnitude(1, 100_000), { direction, how, connection });
  }

  /** Keeps what is sent from now on, for `timesSent`, and forgets what was. */
  record() {
    this.recording = true;
    this.#recorded = [...this.connections];
    for (const connection of this.#recorded) connection.sent = [];
  }

  /** How often each text that `pattern` (global) matches was sent towards the server. */
  timesSent(pattern) {
    const times = new Map();
    for (const { sent } of this.#recorded) {
      const text = Buffer.concat(sent).toString("latin1");
      for (const [match] of text.matchAll(pattern)) times.set(match, (times.get(match) ?? 0) + 1);
    }
    return times;
  }

  async stop() {
    this.calm();
    await this.refuse();
  }
}

/** Starts a proxy on a free port of 127.0.0.1, in front of the server that `url` names. */
export async function startProxy(url) {
  const { hostname, port } = new URL(url);
  const proxy = new Proxy({ host: hostname, port: Number(port || 5432) });
  await proxy.accept();
  return proxy;
}
