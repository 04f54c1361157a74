// The JavaScript half of the addon, evaluated once for each environment. It holds what JavaScript does better than a
// native call could: promises, rows assembled from values, and the conversions whose rules are JavaScript's own.
//
// `settle` receives everything that has happened since the last time as one flat list, so that many answers cost one
// call across the boundary. Its messages are those of `promise.rs`.
"use strict";

({ methods, channel, serialize, inferType, undefinedValue, createError, invalidAnswer, define, postgresError }) => {
  const DONE = 0;
  const ROWS = 1;
  const PART = 2;
  const FORMS = 3;
  const LUCIA = 4;
  const DATABASE = 5;
  const SHAPE = 6;
  const PASSWORD = 7;
  const NOTICE = 8;
  const TEXT = 9;
  const OBSERVED = 10;
  const PIECE = 11;

  const JSON_TEXT = 1;
  const DATE = 2;
  const LOCAL_DATE = 3;
  const FLOAT = 4;
  const THEN_NUMBER = 8;

  /** Three arguments of all and two of each of sixteen calls: as many as travel together when few are in flight. */
  const GROUP = 3 + 2 * 16;

  /** More columns than a table can have. */
  const WIDEST_LITERAL = 1600;

  /** How often the types of parameters may change before a call has been sent. */
  const MOST_ATTEMPTS = 5;

  /** Beyond it a `Date` is invalid (ECMA-262, time values). */
  const LAST_TIME = 8.64e15;

  /** What follows the present turn is a reaction to it. */
  const settled = Promise.resolve();

  const noFunction = { call: undefined, password: undefined };

  // What is under way, by slot.
  const calls = [];
  const free = [];
  const shapes = new Map();
  const functions = new Map();

  const toDate = (time) => (Math.abs(time) <= LAST_TIME ? new Date(time) : time);

  const toLocalDate = (time) => {
    if (!(Math.abs(time) <= LAST_TIME)) return time;
    const utc = new Date(time);
    const local = new Date(2000, 0, 1);
    local.setFullYear(utc.getUTCFullYear(), utc.getUTCMonth(), utc.getUTCDate());
    local.setHours(utc.getUTCHours(), utc.getUTCMinutes(), utc.getUTCSeconds(), utc.getUTCMilliseconds());
    return local;
  };

  const leaves = (convert) => {
    const each = (value) => (value === null ? null : Array.isArray(value) ? value.map(each) : convert(value));
    return each;
  };

  const conversions = {
    [JSON_TEXT]: leaves((text) => JSON.parse(text)),
    [DATE]: leaves(toDate),
    [LOCAL_DATE]: leaves(toLocalDate),
    [FLOAT]: leaves(Number),
  };

  const conversion = (number) => {
    const convert = conversions[number & ~THEN_NUMBER];
    if (!(number & THEN_NUMBER)) return convert;
    // Of NULL too, as the reference has it.
    return (value) => Number(convert ? convert(value) : value);
  };

  /** Makes a row of the values from `at` on, whose columns have these names. */
  const assembler = (names, convert) => {
    const property = (name, index) => {
      const value = `values[at + ${index}]`;
      // In brackets it is a property like any other.
      const key = name === "__proto__" ? '["__proto__"]' : JSON.stringify(name);
      return `${key}: ${convert[index] ? `convert[${index}](${value})` : value}`;
    };
    try {
      if (names.length > WIDEST_LITERAL) throw new RangeError("a literal of so many properties is slow to compile");
      // The engine makes a literal six times as fast as it assigns properties whose names it learns one by one.
      return new Function("convert", `return (values, at) => ({ ${names.map(property).join(", ")} })`)(convert);
    } catch {
      // Or the program forbids code that is made of strings.
      return (values, at) => Object.fromEntries(names.map((name, index) => {
        const value = values[at + index];
        return [name, convert[index] ? convert[index](value) : value];
      }));
    }
  };

  const give = {
    Nothing: () => undefined,
    Count: (count) => count,
    Row: ({ first }, count, values, at) => (count === 0 ? null : first(values, at)),
    Rows({ first, width }, count, values, at) {
      const rows = [];
      for (let row = 0; row < count; row++) rows.push(first(values, at + row * width));
      return rows;
    },
    Pair({ first, second, split }, count, values, at) {
      return count === 0 ? [null, null] : [first(values, at), second(values, at + split)];
    },
  };

  const release = (slot) => {
    const call = calls[slot];
    calls[slot] = undefined;
    free.push(slot);
    call.connection.settled();
    return call;
  };

  // The error is made two turns later, when the engine knows who awaits the promise: its stack then names the caller, at
  // no cost to a call that succeeds.
  const reject = ({ resolve, isDestroyed }, makeError) => {
    if (isDestroyed) return;
    resolve(Promise.resolve().then(() => {}).then(() => {
      throw makeError();
    }));
  };

  /** Takes rows, a part of a call's or the last. A value that has no meaning is the failure of this call alone. */
  const takeRows = (call, values, at) => {
    const shape = shapes.get(values[at]);
    const count = values[at + 1];
    try {
      const more = call.gives(shape, count, values, at + 2);
      // Only a list has more than one part; else it is the first row that counts.
      call.rows = call.rows === undefined ? more : call.gives === give.Rows ? call.rows.concat(more) : call.rows;
    } catch (error) {
      call.failure ??= invalidAnswer(error);
    }
    return at + 2 + count * shape.width;
  };

  const answer = {
    [DONE](values, at) {
      const call = release(values[at]);
      call.resolve(call.gives === give.Count ? values[at + 1] : undefined);
      return at + 2;
    },
    [ROWS](values, at) {
      const call = release(values[at]);
      const end = takeRows(call, values, at + 1);
      if (call.failure === undefined) call.resolve(call.rows);
      else reject(call, () => call.failure);
      return end;
    },
    [PART](values, at) {
      return takeRows(calls[values[at]], values, at + 1);
    },
    [FORMS](values, at) {
      const count = values[at + 1];
      const forms = values.slice(at + 2, at + 2 + count);
      const { again, tally, isDestroyed } = calls[values[at]];
      // Nothing was sent.
      if (tally) tally.batch = 0;
      // First again, then release: the adapter may be waiting for its last call to end.
      const result = again && !isDestroyed ? new Promise((resolve) => resolve(again(forms))) : forms;
      release(values[at]).resolve(result);
      return at + 2 + count;
    },
    [LUCIA](values, at) {
      const call = release(values[at]);
      const message = values[at + 1];
      reject(call, () => new call.LuciaError(message));
      return at + 2;
    },
    [DATABASE](values, at) {
      const call = release(values[at]);
      const description = values[at + 1];
      reject(call, () => createError(description, call.connection.PostgresError));
      return at + 2;
    },
    [SHAPE](values, at) {
      const [number, split, width] = values.slice(at, at + 3);
      const names = values.slice(at + 3, at + 3 + width);
      const convert = values.slice(at + 3 + width, at + 3 + 2 * width).map(conversion);
      const first = assembler(names.slice(0, split), convert.slice(0, split));
      const second = assembler(names.slice(split), convert.slice(split));
      shapes.set(number, { first, second, split, width });
      return at + 3 + 2 * width;
    },
    [PASSWORD](values, at) {
      const [reply, handle] = values.slice(at, at + 2);
      const { call, password } = functions.get(handle) ?? noFunction;
      Promise.resolve()
        .then(call)
        .then(
          (text) => {
            if (typeof text !== "string") throw new TypeError("it must give a string");
            password(reply, text, null);
          },
          // Its message may hold what it was given to find the password.
          (error) => password?.(reply, null, [error?.name ?? typeof error, error?.code].filter((part) => part !== undefined).join(" ")),
        )
        .catch((error) => password?.(reply, null, error.message));
      return at + 2;
    },
    [NOTICE](values, at) {
      const { call } = functions.get(values[at]) ?? noFunction;
      const { message, fields } = values[at + 1];
      if (call) settled.then(() => call({ message, ...fields }));
      return at + 2;
    },
    [TEXT](values, at) {
      release(values[at]).resolve(values[at + 1]);
      return at + 2;
    },
    [OBSERVED](values, at) {
      const { tally } = calls[values[at]];
      tally.rows = values[at + 1];
      tally.retries += values[at + 2];
      tally.batch = values[at + 3];
      return at + 4;
    },
  };

  let pieces = [];

  const settle = (...given) => {
    if (given[0] === PIECE) {
      for (let at = 1; at < given.length; at++) pieces.push(given[at]);
      return;
    }
    const values = pieces.length > 0 ? pieces.concat(given) : given;
    if (pieces.length > 0) pieces = [];
    let at = 0;
    while (at < values.length) at = answer[values[at]](values, at + 1);
  };

  /** The slot of a new call, which `settle` will resolve. */
  const take = (resolve, connection, LuciaError, gives, tally, again) => {
    const slot = free.length > 0 ? free.pop() : calls.length;
    calls[slot] = { resolve, connection, LuciaError, gives, tally, again, rows: undefined, failure: undefined, isDestroyed: false };
    connection.started();
    return slot;
  };

  /** What an error is known by, which says nothing of what the call was about. */
  const kindOf = (error, LuciaError) => {
    if (LuciaError && error?.constructor === LuciaError) return error.message;
    return String(error?.code ?? error?.name ?? "Error");
  };

  /** Calls, and publishes what it came to when it has settled. */
  const observe = async (method, LuciaError, call, first, second) => {
    const tally = { rows: 0, retries: 0, batch: 0 };
    const start = performance.now();
    let error;
    try {
      return await call(first, second, tally);
    } catch (reason) {
      error = kindOf(reason, LuciaError);
      throw reason;
    } finally {
      const { retries, batch } = tally;
      const rows = error === undefined ? tally.rows : 0;
      channel.publish({ method, rows, duration: performance.now() - start, retries, batch, error });
    }
  };

  /** `call`, which is given a tally to keep while somebody has subscribed. */
  const observable = (method, LuciaError, call) => (first, second) =>
    (channel?.hasSubscribers ? observe(method, LuciaError, call, first, second) : call(first, second));

  const describe = (value) => (value === null ? "null" : Array.isArray(value) ? "an array" : typeof value);

  const checkId = (name, id) => {
    if (typeof id !== "string") throw new TypeError(`${name}: the id must be a string, not ${describe(id)}`);
    if (id.length > LONGEST_ID) throw new TypeError(`${name}: the id is too long: a value has less than 1 GB in PostgreSQL`);
  };

  const checkRow = (name, what, row) => {
    if (typeof row === "object" && row !== null && !Array.isArray(row)) return;
    throw new TypeError(`${name}: ${what} must be an object of column names and values, not ${describe(row)}`);
  };

  /** The names and values of a row's columns, read once. */
  const readRow = (row) => {
    const columns = Object.keys(row);
    const values = columns.map((column) => row[column]);
    const missing = values.indexOf(undefined);
    if (missing >= 0) throw undefinedValue(columns[missing]);
    return { columns, values };
  };

  /** What an adapter's calls have in common: the native functions, and how many calls are under way. */
  const createConnection = (native, PostgresError) => {
    let underway = 0;
    let isStarting = false;
    // Calls by id that are yet to be handed over: the arguments of the native function.
    let group = [];
    /** Hands them over: as the last ones of a turn, or some of them. */
    const handOver = (areLast) => {
      const handed = group;
      group = [];
      try {
        native.byId(areLast, ...handed);
      } catch (error) {
        for (let at = 3; at < handed.length; at += 2) reject(release(handed[at]), () => error);
      }
    };
    /** What is called for next comes after them. */
    const handOverFirst = () => {
      if (group.length > 0) handOver(false);
    };
    const start = () => {
      isStarting = false;
      if (group.length > 0) handOver(true);
      else native.start();
    };
    let isEnding = false;
    let drained;
    let ending;
    const connection = {
      native,
      PostgresError,
      started() {
        underway += 1;
        if (isStarting) return;
        isStarting = true;
        // The answers that came together are followed by calls that can travel together: one wake-up for all of them.
        // Not `queueMicrotask`, which fake timers replace.
        settled.then(start);
      },
      /** Of one method, as many as travel together are handed over together. */
      byId(index, form, isObserved, slot, id) {
        if (group.length > 0 && !(group[0] === index && group[1] === form && group[2] === isObserved)) handOverFirst();
        if (group.length === 0) group.push(index, form, isObserved);
        group.push(slot, id);
        if (group.length >= GROUP) handOver(false);
      },
      load() {
        handOverFirst();
        const [max, connections, idle, waiting] = native.load();
        return { max, connections, idle, waiting };
      },
      write(...call) {
        handOverFirst();
        native.write(...call);
      },
      deleteExpired(...call) {
        handOverFirst();
        native.deleteExpired(...call);
      },
      settled() {
        underway -= 1;
        if (underway === 0) drained?.();
      },
      checkOpen() {
        if (isEnding) throw createError({ message: "the adapter has ended", code: "CONNECTION_ENDED" });
      },
      end(options) {
        const timeout = (options && Object.hasOwn(options, "timeout") ? options.timeout : null) ?? null;
        if (timeout !== null && !(typeof timeout === "number" && timeout >= 0)) {
          return Promise.reject(new TypeError("end: `timeout` must be a number of seconds, 0 or more"));
        }
        isEnding = true;
        ending ??= finish();
        // A longer time would overflow, and pass at once.
        if (timeout === null || timeout * 1000 >= 2 ** 31) return ending;
        const timer = setTimeout(destroy, timeout * 1000);
        return ending.finally(() => clearTimeout(timer));
      },
    };
    const finish = async () => {
      await new Promise((resolve) => {
        drained = resolve;
        if (underway === 0) resolve();
      });
      for (const [handle, { password }] of functions) if (password === native.password) functions.delete(handle);
      native.end();
    };
    const destroy = () => {
      for (const call of calls) {
        if (call?.connection !== connection) continue;
        const message = "the connection was destroyed by end({ timeout }) before the answer came";
        reject(call, () => createError({ message, code: "CONNECTION_DESTROYED" }));
        // The slot stays taken until the other thread has let go of it.
        call.isDestroyed = true;
      }
      drained();
    };
    return connection;
  };

  const createAdapter = (connection, LuciaError) => {
    const { native } = connection;

    const byId = ({ index, name, gives }) => {
      let form = 0;
      const send = (id, tally, attempt = 1) =>
        new Promise((resolve) => {
          let text = id;
          try {
            if (form !== 0) text = serialize(id, form);
          } catch {
            // No date, say. The server refuses it, or the column has become another type, for which it is a good one.
          }
          // An id column whose texts have rules of their own (`bytea`, say) is found out by the first call.
          const again = (forms) => {
            if (attempt === MOST_ATTEMPTS) throw invalidAnswer("the type of the id changes faster than it can be written");
            if (forms.length !== 1) throw invalidAnswer(`a statement of one parameter has ${forms.length}`);
            [form] = forms;
            return send(id, tally, attempt + 1);
          };
          const slot = take(resolve, connection, LuciaError, gives, tally, again);
          connection.byId(index, form, tally !== undefined, slot, text);
        });
      return (id, _, tally) => {
        try {
          connection.checkOpen();
          checkId(name, id);
        } catch (error) {
          return Promise.reject(error);
        }
        return send(id, tally);
      };
    };

    const learned = new Map();
    const write = async ({ index, name, gives }, tally, rows, id) => {
      const columns = rows.map((row) => row.columns);
      const values = rows.flatMap((row) => row.values);
      if (columns.some((ofRow) => ofRow.length === 0)) throw new TypeError(`${name}: a row must have a column at least`);
      if (values.length > MOST_PARAMETERS) {
        throw createError({
          message: `MAX_PARAMETERS_EXCEEDED: ${name}: a statement takes ${MOST_PARAMETERS} values at most`,
          code: "MAX_PARAMETERS_EXCEEDED",
        });
      }
      const declared = values.map(inferType);
      if (id !== undefined) values.push(id);
      const key = JSON.stringify([index, columns, declared]);
      let forms = learned.get(key) ?? values.map((value, at) => firstForm(value, declared[at]));
      let isFresh = false;
      connection.started();
      try {
        for (let attempt = 1; ; attempt++) {
          let sent = forms;
          let texts;
          try {
            texts = values.map((value, at) =>
              (value === null || sent[at] === UNKNOWN ? null : serialize(value, sent[at])));
          } catch (error) {
            if (isFresh) throw error;
            // The column may be of another type by now, for which the value is a good one.
            sent = values.map(() => UNKNOWN);
            texts = values.map(() => null);
          }
          forms = await new Promise((resolve) => {
            const slot = take(resolve, connection, LuciaError, gives, tally);
            try {
              connection.write(slot, index, columns, declared, texts, sent, tally !== undefined);
            } catch (error) {
              // A column without a name: nothing has been started.
              release(slot);
              throw error;
            }
          });
          // The server has done it, or has told what the parameters are to be.
          if (forms === undefined) {
            // The statement counts the rows of the last table alone.
            if (tally) tally.rows *= rows.length;
            return;
          }
          if (forms.length !== values.length) {
            throw invalidAnswer(`a statement of ${values.length} parameters has ${forms.length}`);
          }
          if (attempt === MOST_ATTEMPTS) throw invalidAnswer("the types of columns change faster than they are written");
          if (learned.size >= LEARNED) learned.clear();
          learned.set(key, forms);
          isFresh = true;
        }
      } finally {
        connection.settled();
      }
    };

    const takes = {
      Id: byId,
      Change: (method) => async (id, change, tally) => {
        connection.checkOpen();
        checkId(method.name, id);
        checkRow(method.name, "the second argument", change);
        const row = readRow(change);
        // No column to set: there is nothing to do.
        if (row.columns.length > 0) await write(method, tally, [row], id);
      },
      Row: (method) => async (row, _, tally) => {
        connection.checkOpen();
        checkRow(method.name, "the argument", row);
        await write(method, tally, [readRow(row)]);
      },
      UserAndKey: (method) => async (user, key, tally) => {
        connection.checkOpen();
        checkRow(method.name, "the user", user);
        if (key) checkRow(method.name, "the key", key);
        await write(method, tally, key ? [readRow(user), readRow(key)] : [readRow(user)]);
      },
    };

    const adapter = {};
    const missing = () => Promise.reject(new Error("Session table not defined"));
    for (const method of methods) {
      const call = takes[method.takes]({ ...method, gives: give[method.gives] });
      const isMissing = method.isOfSessions && !native.hasSessions;
      define(adapter, { [method.name]: observable(method.name, LuciaError, isMissing ? missing : call) });
    }
    return adapter;
  };

  /** In UTF-8 a character of JavaScript's takes three bytes at most. */
  const LONGEST_ID = 2 ** 28;
  /** A form that no parameter has: the server tells it before anything is sent. */
  const UNKNOWN = -1;
  /** The protocol counts a statement's parameters in 16 bits; one is left for the id. */
  const MOST_PARAMETERS = 65_534;
  /** How many combinations of columns an adapter remembers the parameters' types of. */
  const LEARNED = 500;

  const firstForm = (value, declared) => {
    if (value === null || ["string", "number", "bigint"].includes(typeof value)) return 0;
    return declared || UNKNOWN;
  };

  /** Of calls that are no adapter's. */
  const alone = { PostgresError: postgresError, started() {}, settled() {} };

  return {
    settle,
    text: (start) => new Promise((resolve) => start(take(resolve, alone))),
    initializer({ native, handles, PostgresError }) {
      for (const [handle, call] of handles) functions.set(handle, { call, password: native.password });
      const connection = createConnection(native, PostgresError ?? postgresError);
      const initialize = (LuciaError) => {
        if (typeof LuciaError === "function") return createAdapter(connection, LuciaError);
        throw new TypeError("the initializer must be called with the class LuciaError, as `lucia({ adapter })` does");
      };
      const deleteExpired = async (_, __, tally) => {
        connection.checkOpen();
        if (!native.hasSessions) throw new Error("Session table not defined");
        return await new Promise((resolve) => {
          const slot = take(resolve, connection, undefined, give.Count, tally);
          connection.deleteExpired(slot, String(Date.now()), tally !== undefined);
        });
      };
      return define(initialize, {
        end: connection.end,
        stats: connection.load,
        deleteExpiredSessions: observable("deleteExpiredSessions", undefined, deleteExpired),
      });
    },
  };
}
